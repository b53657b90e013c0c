"""`NumbersModel`: models of numbers that generate, forecast, fill gaps, score and serve."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.data.frames import is_frame
from tfgen.errors import InputError
from tfgen.models import serving
from tfgen.models.base import EXPORT_FORMAT, SequenceGenerator
from tfgen.models.numbers.calibration import calibrated_result, check_calibrated
from tfgen.models.numbers.decoding import decoded
from tfgen.models.numbers.frames import forecast_frame
from tfgen.models.numbers.lengths import check_room, length_of
from tfgen.models.numbers.options import check_options, options_of, sampling_options
from tfgen.models.numbers.results import QUANTILES, Forecast, scores_of
from tfgen.models.numbers.served import served
from tfgen.models.numbers.told import Defaults, Told, for_each
from tfgen.values import quantile_levels, whole_number


@keras.saving.register_keras_serializable(package="tfgen")
class NumbersModel(SequenceGenerator):
    """A model of sequences of numbers: time series, pen strokes, sound.

    A person's numbers go in and come out in the data's own units. What says how is sampled is the
    engine's own and given by keyword: a `tfgen.models.engines.rollout.Rollout` takes

    - `temperature`, which widens or narrows what is drawn: logits are divided by it, and standard
      deviations multiplied by its root; 0 takes the most likely value;
    - `bias`: above 0 samples nearer to the most likely value (arXiv:1308.0850, section 5.4);
    - `particles` of `impute`: lines that its filter keeps; more come closer to the model's own
      distribution;
    - `pooling` of `encode`: `"mean"` of all positions, or the `"last"` one, which has read all;

    and a `tfgen.models.engines.diffusion.Diffusion` takes `num_steps`, `solver`, `guidance_scale`,
    `method`, `resamplings` and `progress`, which its methods explain; and a
    `tfgen.models.engines.adversarial.Adversarial` `temperature`, and `num_steps` of `encode`.

    Args:
        engine: A `Rollout`, a `Diffusion`, a `Latent` or an `Adversarial`.
        **kwargs: Arguments of `SequenceGenerator`.
    """

    fit_takes = "sequences of numbers (sequences, time, features)"

    def __init__(self, engine, **kwargs):
        super().__init__(**kwargs)
        self.engine = engine
        self.processor = processor = engine.processor
        # Everything that has weights, in the order in which norms of their gradients are summed.
        self.parts = engine.layers
        self.max_positions = engine.max_positions
        self.state_is_constant = engine.state_is_constant
        self.jit_compile_training = engine.jit_compile_training
        self.draws_in_order = engine.draws_in_order  # whatever length is asked for
        self.history = engine.history  # positions before a window that are of use to it
        self.rows_at_once = engine.rows_at_once  # futures of `forecast`, for their memory
        self.tells_progress = "progress" in options_of(engine, "generate")  # to such a function
        self.generation.check_used(processor.kind, engine.kind, bool(processor.num_classes))
        self.built = True

    def build(self, input_shape=None):
        """Does nothing: every weight exists since the model was made."""

    @property
    def preprocessing(self):
        return self.processor

    @property
    def network(self):
        """The engine's network."""
        return self.engine.network

    @property
    def options(self):
        """What `generate`, `forecast` and `impute` take that says how is sampled, by their names."""
        return sampling_options(self.engine)

    @property
    def defaults(self):
        """What a call goes by where it says nothing."""
        window = None if self.recipe is None else self.recipe.training.window
        return Defaults(self.generation, window)

    # Training

    def unpack(self, data):
        """The batch as a dict by positions, see `tfgen.models.numbers.positions.Positions.batch`."""
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        self.given_to_fit(inputs, targets, weights)
        return self.engine.positions.batch(inputs)

    def given_to_fit(self, x, y, sample_weight):
        for name, value in {"y": y, "sample_weight": sample_weight}.items():
            if value is not None:
                raise InputError(
                    "A model of numbers learns from sequences alone, each position the target of those "
                    f"before it: leave {name} out. Received: {name} of shape {np.shape(value)}"
                )
        return super().given_to_fit(x, y, sample_weight)

    def batch_total(self, batch, key=None, state=None, training=False):
        return self.engine.loss(batch, key, state, training)

    def initial_state(self, batch_size):
        """The state before a sequence: a nest of tensors `(batch, ...)`."""
        return self.engine.initial_state(batch_size)

    def call(self, inputs, training=False):
        """What the engine says of sequences: the parameters of the distribution of each position,
        given those before it; or, of a diffusion model, what it takes noisy channels for.

        Args:
            inputs: As for `unpack`.
            training: Whether dropout is on.
        """
        return self.engine.outputs(self.unpack(inputs), self.seed, training)

    def activations(self, inputs):
        return self.engine.activations(self.unpack(inputs))

    def reset_graphs(self):
        """Forgets what was compiled: what is read besides weights was changed."""
        self.engine.reset_graphs()

    def quantize_weights(self, dtype):
        self.engine.quantize_weights(dtype)

    # What a person calls

    def generate(
        self, num_samples=1, length=None, seed=None, *, condition=None, static=None,
        start_time=None, known=None, source=None, **options,
    ):  # fmt: skip
        """Draws sequences from nothing.

        The whole generation is one compiled loop, which a first call of its sizes compiles.

        Args:
            num_samples: How many.
            length: Positions of each; of drawings and clips, which end by themselves, the most.
                None here and below takes the model's own default, `model.generation`.
            seed: An integer. The same seed gives the same numbers, on every call and in the
                SavedModel; None takes a new one each time.
            condition: The class of the samples: its name or number, or a list of one for each. None
                leaves it open.
            static: Numbers of the whole sequence, `(static,)` or `(num_samples, static)`.
            start_time: Where the calendar begins: a `numpy.datetime64`, an ISO 8601 text, or seconds
                since 1970, for all samples or one for each; None takes the beginning of the
                training data.
            known: What is known beforehand, `(length, known)` or `(num_samples, length, known)`, if
                the model was trained with such columns.
            source: Of a model with an encoder, here and below: the text that the drawings say, or a
                list of one for each.
            **options: How is sampled, see `model.options`.

        Returns:
            float32 array `(num_samples, length, features)` in the data's units, a category as the
            number of its level; of drawings and clips a list of arrays of their own lengths.

        Raises:
            InputError: For an argument out of its range, or one that the model does not take.
        """
        told = Told(None, known, condition, static, start_time, source)
        result = self._drawn(num_samples, length, seed, told, "generate", options)
        if self.processor.ends:
            return [row[:size] for row, size in zip(result["values"], result["lengths"])]
        return result["values"]

    def draw(
        self, num_samples=1, length=None, seed=None, *, condition=None, static=None,
        start_time=None, known=None, source=None, **options,
    ):  # fmt: skip
        """As `generate`, but with what is known of the samples besides their values.

        Returns:
            `(values, lengths, clip_fraction)`: values `(num_samples, length, features)`, NaN after
            the end of a sequence; int32 `(num_samples,)`; and the share of the numbers that the
            data's bounds have held back.
        """
        told = Told(None, known, condition, static, start_time, source)
        result = self._drawn(num_samples, length, seed, told, "draw", options)
        return result["values"], result["lengths"], float(result["clip_fraction"])

    def _drawn(self, num_samples, length, seed, told, method, options):
        check_options(self, "generate", options, method)
        num_samples, length = whole_number("num_samples", num_samples, 1), length_of(self, length)
        arguments = {"num_samples": tf.constant(num_samples), "length": tf.constant(length)}
        arguments |= told.of_samples(self.engine, num_samples, length)
        return self.engine.generate(arguments, self.defaults, seed, **options)

    def forecast(
        self, context, horizon, num_samples=100, quantiles=QUANTILES, seed=None, *, times=None,
        known=None, condition=None, static=None, start_time=None, calibrated=False, source=None,
        **options,
    ):  # fmt: skip
        """Draws what may come after a context.

        Args:
            context: The past, in the data's units: `(time, features)`, `(batch, time, features)`, a
                list of arrays of different lengths, also 0 for a new series; or a frame of pandas
                or polars, which says by its columns what else the model is told. NaN is missing.
            horizon: Positions to forecast.
            num_samples: Futures to draw for each context.
            quantiles: Between 0 and 1.
            seed: See `generate`.
            times: Of the context: `(time,)` or `(batch, time)`, `numpy.datetime64` or seconds since
                1970. Needed by a model that was trained with timestamps. The future goes on by the
                step of the training data.
            known: What is known beforehand, for the context and for the future: `(time + horizon,
                known)` or with a batch axis before.
            condition, static: See `generate`; one for each context.
            start_time: See `generate`, of a context of length 0.
            calibrated: Whether samples are moved so that their intervals hold what they promise, see
                `tfgen.evaluation.calibrate`, which has to come first.
            **options: How is sampled, see `model.options`.

        Returns:
            A `Forecast`; of a frame a frame, see `tfgen.models.numbers.frames.forecast_frame`.
        """
        check_options(self, "forecast", options)
        told = Told(times, known, condition, static, start_time, source)
        if is_frame(context):
            options = {**options, "quantiles": quantiles, "calibrated": calibrated}
            return forecast_frame(self, context, horizon, num_samples, seed, told, **options)
        horizon = whole_number("horizon", horizon, 1)
        num_samples = whole_number("num_samples", num_samples, 1)
        if calibrated:
            check_calibrated(self, horizon, options)
        levels = quantile_levels(quantiles)
        arguments, single = self._series(context, told, horizon)
        arguments |= {"horizon": tf.constant(horizon), "num_samples": tf.constant(num_samples)}
        arguments["quantiles"] = levels
        result = self.engine.forecast(arguments, self.defaults, seed, **options)
        result = calibrated_result(self, arguments, result) if calibrated else result
        return Forecast.of(result, quantiles, single)

    def impute(
        self, series, num_samples=10, seed=None, *, times=None, known=None, condition=None,
        static=None, source=None, **options,
    ):  # fmt: skip
        """Draws what may stand in the gaps of a series, given all of what was observed.

        Args:
            series: `(time, features)` in the data's units; NaN is a gap.
            num_samples: How many complete series to draw.
            seed: See `generate`.
            times: See `forecast`.
            known: `(time, known)`.
            condition, static: See `generate`.
            **options: How is sampled, see `model.options`.

        Returns:
            float32 `(num_samples, time, features)`; what was observed is as it was.
        """
        check_options(self, "impute", options)
        told = Told(times, known, condition, static, source=source)
        arguments, single = self._series(series, told)
        if not single:
            count = len(arguments["lengths"])
            raise InputError(f"impute takes one series. Received: {count} series")
        arguments["num_samples"] = tf.constant(whole_number("num_samples", num_samples, 1))
        return self.engine.impute(arguments, self.defaults, seed, **options)

    def score(
        self, series, *, times=None, known=None, condition=None, static=None, source=None, **options
    ):  # fmt: skip
        """How likely the model finds series.

        Args:
            series: `(time, features)` in the data's units, `(batch, time, features)`, a list of
                arrays of different lengths, or a frame. Missing values (NaN) are left out.
            times: See `forecast`.
            known: `(time, known)` or `(batch, time, known)`.
            condition, static: See `generate`.
            **options: The engine's own, as `ends`: whether to count that drawings and clips end.

        Returns:
            A dict of arrays `(batch,)`, or of numbers for a single series: `log_likelihood` in
            nats, of a density in the data's units; `values`, how many were observed;
            `nats_per_value`; and `nats_per_position`.
        """
        check_options(self, "score", options)
        told = Told(times, known, condition, static, source=source)
        arguments, single = self._series(series, told)
        return scores_of(self.engine.score(arguments, self.defaults, **options), single)

    def encode(
        self, series, *, times=None, known=None, condition=None, static=None, source=None, **options
    ):  # fmt: skip
        """Embeds series: their last hidden states, or the latents of a diffusion model.

        Args:
            series: As for `score`.
            times: See `forecast`.
            known: See `score`.
            condition, static: See `generate`.
            **options: The engine's own.

        Returns:
            float32 array `(batch, width)` of hidden states, `(batch, latent_size)` or, of diffusion,
            `(batch, positions, channels)` of latents; without the batch axis for a single series.
        """
        check_options(self, "encode", options)
        told = Told(times, known, condition, static, source=source)
        arguments, single = self._series(series, told)
        result = self.engine.encode(arguments, self.defaults, **options)
        return result[0] if single else result

    def decode(
        self, latents, lengths=None, *, times=None, known=None, condition=None, static=None,
        start_time=None, **options,
    ):  # fmt: skip
        """The series of latents: the opposite of `encode`, of a model that has them.

        Args:
            latents: As of `encode`, with or without the batch axis.
            lengths: `length` of `generate`; of a diffusion model, which gives as many positions,
                those of each series, a number or one for each.
            times: Of a diffusion model, see `forecast`; others take `start_time`.
            known: See `score`.
            condition, static, start_time: See `generate`.
            **options: As of `encode`, of a diffusion model; else `seed` and those of `generate`.

        Returns:
            float32 `(time, features)` or `(batch, time, features)` in the data's units, NaN after
            the end of a series; drawings and clips as of `generate`. What was scaled by its own
            mean comes back on the training data's typical scale.
        """
        check_options(self, "decode", options)
        told = Told(times, known, condition, static, start_time)
        arguments, single = decoded(self, latents, lengths, told)
        values = self.engine.decode(arguments, self.defaults, **options)
        return values[0] if single else values

    def denoise(self, series, sigma, *, times=None, known=None, condition=None, static=None):
        """What a diffusion model takes noisy series for: the mean of what they may have been.

        Args:
            series: As for `score`: clean series plus noise.
            sigma: Standard deviation of the noise in scaled units, a number or one for each series.
            times: See `forecast`.
            known: See `score`.
            condition, static: See `generate`.

        Returns:
            float32 `(time, features)` or `(batch, time, features)` in the data's units.
        """
        check_options(self, "denoise", {})
        told = Told(times, known, condition, static)
        arguments, single = self._series(series, told)
        sigma = for_each("sigma", sigma, len(arguments["lengths"]))
        if not (sigma > 0).all():
            raise InputError(f"sigma must be above 0. Received: sigma={sigma.tolist()}")
        values = self.engine.denoise({**arguments, "sigma": sigma}, self.defaults)
        return values[0] if single else values

    def stream(
        self, length=None, seed=None, *, condition=None, static=None, start_time=None,
        known=None, source=None, **options,
    ):  # fmt: skip
        """Draws one sequence piece by piece; joined, the pieces are what `generate` returns.

        Takes the arguments of `generate`; a diffusion model goes on window after window. A model
        whose state has a constant size can go on without end: `length=10**9` costs no more memory
        than a short one.

        Returns:
            An iterator of float32 arrays `(positions, features)`.
        """
        check_options(self, "stream", options)
        length = length_of(self, length)
        told = Told(None, known, condition, static, start_time, source)
        told = told.of_samples(self.engine, 1, length)
        return self.engine.stream(told, length, self.defaults, seed, **options)

    # Serving

    def functions(self, random=True):
        """What is served, as `tfgen.export.Function`s of tensors in the data's units.

        The functions of the engine; `serving_default`, which takes `num_samples` and what the model
        cannot do without, and draws as `model.generation` says with a new seed for every call; and,
        beside each function that has inputs with defaults, one without these, e.g.
        `forecast_default`.

        Args:
            random: Whether there are operations for random numbers. Without, `seed` has no default,
                and the same numbers are made of it by operations on integers.
        """
        return served(self, random)

    def export(self, filepath, format=EXPORT_FORMAT, verbose=False, warm=()):
        """Writes a SavedModel that draws, forecasts, scores and so on with TensorFlow alone.

        All numbers are in the data's own units. Its signatures, as tensors:

        - `serving_default`: `num_samples` -> `values` `(num_samples, length, features)` and
          `lengths`, drawn as `model.generation` says, with a new seed for every call;
        - `generate`: every argument of `generate` -> the same; the same numbers for the same seed
          as this model (of a diffusion model, of up to 256 samples);
        - `forecast`: `values` `(batch, time, features)` right-padded, `lengths` `(batch,)`,
          `horizon`, `num_samples`, `quantiles` and the options -> `mean`, `quantiles` `(batch,
          quantiles, horizon, features)` and `samples`; of a calibrated model `forecast_calibrated`;
        - `score` and `encode`: `values`, `lengths` -> what `score` returns; `mean` and `last`, or
          `latents`;
        - of a diffusion model, `impute`: as `forecast` without a horizon and quantiles ->
          `samples`; `decode`: `latents` -> `values`; `denoise`: `values`, `lengths`, `sigma`
          `(batch,)` -> `values`;
        - of models of any length without an encoder, `stream`: `state` and `index`, zeros at first,
          -> the next positions `values`, and the `state` and `index` after, see docs/serving.md;
        - `generate_default`, `forecast_default` and so on: the same without the inputs that
          `generate`, `forecast` and so on have defaults for, so that a forecast takes `values` and
          `horizon`, and what the model cannot do without.

        A model that was trained with timestamps, with covariates, classes, static numbers or sources
        takes `times` (int64 seconds; `start_time` where it draws), `known`, `condition` (int32, -1
        for none), `static` and `source` as well. The solver is that of `model.generation`.

        Args:
            filepath: Folder to write; servers expect the name `<model>/<number>`.
            format: One of `tfgen.export.FORMATS`; `"tf_saved_model"`, as Keras calls it.
            verbose: Whether to print each signature.
            warm: Samples for which servers compile `serving_default` before they serve.

        Raises:
            InputError: For another format, or a folder that holds something.
        """
        serving.write(self, filepath, format, verbose, warm, length_of(self, None))

    # What a person gave

    def can(self, method):
        """Whether the model has what only some engines have: `stream`, `decode` or `denoise`."""
        return hasattr(self.engine, method) and method not in getattr(self.engine, "refusals", ())

    def _series(self, series, told, horizon=0):
        """The tensors of a function of series, and whether there is a single one."""
        values, lengths, single = self.processor.as_values(series)
        time = int(lengths.max())
        check_room(self.max_positions, time, horizon)
        given = told.of_series(self.engine, lengths, time, horizon)
        return {"values": values, "lengths": lengths, **given}, single

    def get_config(self):
        return {
            **super().get_config(),
            "engine": keras.saving.serialize_keras_object(self.engine),
        }
