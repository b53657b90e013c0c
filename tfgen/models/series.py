"""`SeriesGenerator`: models of numbers that generate, forecast, fill gaps, score and serve."""

import numbers

import keras
import numpy as np
import tensorflow as tf

from tfgen.data.frames import is_frame
from tfgen.errors import InputError, unknown
from tfgen.export import write_saved_model
from tfgen.models.base import EXPORT_FORMAT, check_export_format
from tfgen.models.frame_forecasts import forecast_frame
from tfgen.models.series_arguments import QUANTILES, Forecast, scores_of, whole_number
from tfgen.models.series_density import SeriesDensity
from tfgen.models.series_graphs import BUCKET, SAMPLING, SeriesGraphs
from tfgen.models.serving import constant, with_defaults
from tfgen.sampling import random
from tfgen.sampling.buckets import bucket

POOLINGS = ("mean", "last")
# Positions that `stream` draws at once.
STREAM_CHUNK = 32


@keras.saving.register_keras_serializable(package="tfgen")
class SeriesGenerator(SeriesGraphs):
    __doc__ = SeriesDensity.__doc__
    engine = "autoregressive"

    # What the methods take that says how is sampled, by their names.
    options = {
        "generate": ("temperature", "bias"),
        "forecast": ("temperature",),
        "impute": ("particles",),
    }
    rows_at_once = 4096  # futures, for their memory

    # What a person calls

    def generate(
        self,
        num_samples=1,
        length=None,
        seed=None,
        temperature=None,
        bias=None,
        condition=None,
        static=None,
        start_time=None,
        known=None,
    ):
        """Draws sequences from nothing.

        The whole generation is one compiled loop. A first call compiles it; later ones with the
        same number of samples, and lengths that round up to the same power of two, do not.

        Args:
            num_samples: How many.
            length: Positions of each; of drawings and clips, which end by themselves, the most.
                None here and below takes the model's own default, `model.generation`.
            seed: An integer. The same seed gives the same numbers, on every call and in the
                SavedModel; None takes a new one each time.
            temperature: Widens or narrows what is drawn: logits are divided by it, and standard
                deviations multiplied by its root; 0 takes the most likely value.
            bias: Above 0 samples nearer to the most likely value (arXiv:1308.0850, section 5.4).
            condition: The class of the samples: its name or number, or a list of one for each. None
                leaves it open.
            static: Numbers of the whole sequence, `(static,)` or `(num_samples, static)`.
            start_time: Where the calendar begins: a `numpy.datetime64`, an ISO 8601 text, or seconds
                since 1970, for all samples or one for each; None takes the beginning of the
                training data.
            known: What is known beforehand, `(length, known)` or `(num_samples, length, known)`, if
                the model was trained with such columns.

        Returns:
            float32 array `(num_samples, length, features)` in the data's units, a category as the
            number of its level; of drawings and clips a list of arrays of their own lengths.

        Raises:
            InputError: For an argument out of its range, or one that the model does not take.
        """
        values, lengths, _ = self.draw(
            num_samples, length, seed, temperature, bias, condition, static, start_time, known
        )
        if self.processor.ends:
            return [row[:size] for row, size in zip(values, lengths)]
        return values

    def draw(
        self,
        num_samples=1,
        length=None,
        seed=None,
        temperature=None,
        bias=None,
        condition=None,
        static=None,
        start_time=None,
        known=None,
    ):
        """As `generate`, but with what is known of the samples besides their values.

        Returns:
            `(values, lengths, clip_fraction)`: values `(num_samples, length, features)`, NaN after
            the end of a sequence; int32 `(num_samples,)`; and the share of the numbers that the
            data's bounds have held back.
        """
        num_samples = whole_number("num_samples", num_samples, 1)
        length = self._length(length)
        arguments = {
            "num_samples": tf.constant(num_samples),
            "length": tf.constant(length),
            **self._sampling(seed, temperature, bias),
            **self._given_to_generate(num_samples, length, condition, static, start_time, known),
        }
        with self._first_call("generate", num_samples, self._capacity(length)):
            result = self._generate_graph(arguments)
        return (
            result["values"].numpy(),
            result["lengths"].numpy(),
            float(result["clip_fraction"]),
        )

    def forecast(
        self,
        context,
        horizon,
        num_samples=100,
        quantiles=QUANTILES,
        seed=None,
        temperature=None,
        times=None,
        known=None,
        condition=None,
        static=None,
    ):
        """Draws what may come after a context.

        Args:
            context: The past, in the data's units: `(time, features)`, `(batch, time, features)`, a
                list of arrays of different lengths, or a frame of pandas or polars, which says by
                its columns what else the model is told. NaN is missing.
            horizon: Positions to forecast.
            num_samples: Futures to draw for each context.
            quantiles: Between 0 and 1.
            seed: See `generate`.
            temperature: See `generate`.
            times: Of the context: `(time,)` or `(batch, time)`, `numpy.datetime64` or seconds since
                1970. Needed by a model that was trained with timestamps. The future goes on by the
                step of the training data.
            known: What is known beforehand, for the context and for the future: `(time + horizon,
                known)` or with a batch axis before.
            condition: See `generate`.
            static: See `generate`; one for each context.

        Returns:
            A `Forecast`; of a frame a frame, see `tfgen.models.frame_forecasts.forecast_frame`.

        Raises:
            InputError: For an argument out of its range, or one that the model does not take.
        """
        if is_frame(context):
            told = {"times": times, "known": known, "condition": condition, "static": static}
            return forecast_frame(
                self, context, horizon, num_samples, seed, told,
                quantiles=quantiles, temperature=temperature,
            )  # fmt: skip
        arguments, single = self._forecast_arguments(
            context, horizon, num_samples, quantiles, times, known, condition, static
        )
        arguments |= self._sampling(seed, temperature, None)
        rows = len(arguments["lengths"]) * num_samples
        with self._first_call("forecast", rows, self._capacity(horizon)):
            result = self._forecast_graph(arguments)
        return Forecast.of(result, quantiles, single)

    def impute(
        self,
        series,
        num_samples=10,
        seed=None,
        particles=256,
        times=None,
        known=None,
        condition=None,
        static=None,
    ):
        """Draws what may stand in the gaps of a series, given all of what was observed.

        What comes after a gap is taken into account by a particle filter whose surviving lines of
        descent are the samples; see `tfgen.sampling.particles`. More particles come closer to the
        model's own distribution.

        Args:
            series: `(time, features)` in the data's units; NaN is a gap.
            num_samples: How many complete series to draw.
            seed: See `generate`.
            particles: Lines that the filter keeps.
            times: See `forecast`.
            known: `(time, known)`.
            condition: See `generate`.
            static: See `generate`.

        Returns:
            float32 `(num_samples, time, features)`; what was observed is as it was.

        Raises:
            InputError: For an argument out of its range, or one that the model does not take.
        """
        values, lengths, single = self.processor.as_values(series)
        if not single:
            raise InputError(f"impute takes one series. Received: {len(values)} series")
        num_samples = whole_number("num_samples", num_samples, 1)
        particles = whole_number("particles", particles, 2)
        time = values.shape[1]
        given = self._series_given(1, time, lengths, times, known, condition, static, 0)
        batch = self._batch({"values": values, "lengths": lengths, **given})
        frames = self._frames(time)
        capacity = int(bucket(frames, BUCKET))
        room = [[0, capacity - frames], [0, 0]]
        padded = tf.pad(batch["values"][0], room, constant_values=np.nan)
        covariates = self._room(self._covariates(batch), particles, capacity)
        sampling = self._sampling(seed, 1.0, 0.0)
        rollout = self._begin(particles, batch, sampling, covariates, capacity)
        rollout = rollout._replace(count=tf.constant(frames))
        with self._first_call("impute", particles, num_samples, capacity):
            filled = self._restored(self._fill(rollout, padded, tf.zeros([num_samples])))
        filled = filled[:, :time].numpy()
        return np.where(np.isnan(values), filled, values)

    def score(self, series, times=None, known=None, condition=None, static=None):
        """How likely the model finds series.

        Args:
            series: `(time, features)` in the data's units, `(batch, time, features)`, a list of
                arrays of different lengths, or a frame. Missing values (NaN) are left out.
            times: See `forecast`.
            known: `(time, known)` or `(batch, time, known)`.
            condition: See `generate`.
            static: See `generate`.

        Returns:
            A dict of arrays `(batch,)`, or of numbers for a single series: `log_likelihood` in
            nats, of a density in the data's units; `values`, how many were observed;
            `nats_per_value`; and `nats_per_position`.
        """
        arguments, single = self._series(series, times, known, condition, static)
        return scores_of(self._score_graph(arguments), single)

    def encode(self, series, pooling="mean", times=None, known=None, condition=None, static=None):
        """Embeds series: the last hidden states, pooled over the positions of each.

        Args:
            series: As for `score`.
            pooling: `"mean"` of all positions, or the `"last"` one, which has read all of it.
            times: See `forecast`.
            known: See `score`.
            condition: See `generate`.
            static: See `generate`.

        Returns:
            float32 array `(batch, width)`, or `(width,)` for a single series.
        """
        if pooling not in POOLINGS:
            raise unknown("pooling", pooling, POOLINGS)
        arguments, single = self._series(series, times, known, condition, static)
        result = self._encode_graph(arguments)[pooling].numpy()
        return result[0] if single else result

    def stream(
        self,
        length=None,
        seed=None,
        temperature=None,
        bias=None,
        condition=None,
        static=None,
        start_time=None,
        known=None,
    ):
        """Draws one sequence piece by piece; joined, the pieces are what `generate` returns.

        Takes the arguments of `generate`. A model whose state has a constant size can go on
        without end: `length=10**9` costs no more memory than a short one.

        Returns:
            An iterator of float32 arrays `(positions, features)`.
        """
        length = self._length(length)
        sampling = self._sampling(seed, temperature, bias)
        given = self._given_to_generate(
            1, min(length, STREAM_CHUNK), condition, static, start_time, None
        )
        if self.processor.known_names:
            given |= self._given_to_generate(1, length, None, None, None, known, only="known")
        return self._pieces(length, sampling, given)

    def _pieces(self, length, sampling, given):
        rollout, done, most = None, 0, self._frames(length)
        while done < most:
            count = min(STREAM_CHUNK, most - done)
            covariates = self._future(given, tf.constant(done), STREAM_CHUNK, 1)
            if rollout is None:
                # Room for the whole at once, because each size of a state is compiled for.
                room = 0 if self.state_is_constant else int(bucket(most, BUCKET))
                rollout = self._begin(1, given, sampling, covariates, room)
            rollout = rollout._replace(covariates=covariates, count=tf.constant(count))
            with self._first_call("stream"):
                drawn = self._roll_single(rollout)
            rollout = drawn.rollout
            drawn_now = int(drawn.lengths[0])
            samples = self._restored(drawn.values)[0, : drawn_now * self.frame]
            yield samples[: length - done * self.frame].numpy()
            done += drawn_now
            if drawn_now < count or (self.processor.ends and bool(drawn.ended[0])):
                return

    def export(self, filepath, format=EXPORT_FORMAT, verbose=False):
        """Writes a SavedModel that generates, forecasts, scores and encodes with TensorFlow alone.

        All numbers are in the data's own units. Its signatures:

        - `serving_default`: `num_samples` -> `values` `(num_samples, length, features)` and
          `lengths`, drawn as `model.generation` says, with a new seed for every call;
        - `generate`: as tensors, every argument of `generate` -> the same; the same numbers for the
          same seed as this model;
        - `forecast`: `values` `(batch, time, features)` right-padded, `lengths` `(batch,)`,
          `horizon`, `num_samples`, `quantiles`, `seed`, `temperature`, `bias` -> `mean`,
          `quantiles` `(batch, quantiles, horizon, features)` and `samples`;
        - `score` and `encode`: `values`, `lengths` -> what `score` returns; `mean` and `last`;
        - `generate_default`, `forecast_default`, `score_default` and `encode_default`: the same
          without the inputs that `generate`, `forecast`, `score` and `encode` have defaults for,
          so that a forecast takes `values` and `horizon`, and what the model cannot do without.

        A model that was trained with timestamps, with covariates, classes or static numbers takes
        `times` (int64 seconds), `known`, `condition` (int32, -1 for none) and `static` as well.

        Args:
            filepath: Folder to write; servers expect the name `<model>/<number>`.
            format: `"tf_saved_model"`, as Keras calls it.
            verbose: Whether to print each signature.

        Raises:
            InputError: For another format, or a folder that holds something.
        """
        check_export_format(format)
        generate, series = self._generate_specs(), self._series_specs()
        simple = {
            name: spec for name, spec in generate.items() if name not in {*SAMPLING, "length"}
        }
        endpoints = {
            "generate": (self._generate_graph, generate),
            "forecast": (self._forecast_graph, self._forecast_specs()),
            "score": (self._score_graph, series),
            "encode": (self._encode_graph, series),
        }
        defaults = {
            **self._serving_defaults(),
            "temperature": constant(float(self.generation.temperature)),
            "bias": constant(float(self.generation.bias)),
        }
        serving = {"serving_default": (lambda **arguments: self._serve(arguments), simple)}
        write_saved_model(filepath, serving | with_defaults(endpoints, defaults), verbose)

    def _capacity(self, length):
        """What a loop over so many samples is compiled for."""
        return int(bucket(self._frames(length), BUCKET))

    def _sampling(self, seed, temperature, bias):
        given = {"temperature": temperature, "bias": bias}
        numbers_given = {}
        for name, value in given.items():
            value = getattr(self.generation, name) if value is None else value
            if (
                not isinstance(value, numbers.Real)
                or isinstance(value, bool)
                or not 0 <= value < 1e6
            ):
                raise InputError(f"{name} must be a number >= 0. Received: {name}={value!r}")
            numbers_given[name] = tf.constant(float(value))
        return {"seed": self._seed(seed), **numbers_given}

    def _serve(self, arguments):
        defaults = self._sampling(random.serving_seed(), None, None)
        return self._generate_graph(
            {**defaults, **arguments, "length": self._serving_length(arguments)}
        )
