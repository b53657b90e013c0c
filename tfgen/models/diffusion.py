"""`DiffusionGenerator`: one denoiser that draws, fills gaps, forecasts, scores and encodes."""

import contextlib
import numbers

import keras
import numpy as np
import tensorflow as tf

from tfgen.data.frames import is_frame
from tfgen.errors import InputError, unknown
from tfgen.export import write_saved_model
from tfgen.models.base import EXPORT_FORMAT, check_export_format
from tfgen.models.diffusion_density import DiffusionDensity
from tfgen.models.diffusion_graphs import (
    FILLERS,
    METROPOLIS,
    MOST_ROWS,
    MOST_STEPS,
    SCORES,
    DiffusionGraphs,
    batch_size,
)
from tfgen.models.frame_forecasts import forecast_frame
from tfgen.models.series_arguments import (
    QUANTILES,
    Forecast,
    finite_numbers,
    scores_of,
    whole_number,
)
from tfgen.models.serving import constant, with_defaults
from tfgen.sampling import random
from tfgen.sampling.diffusion import SOLVERS

# Sequences that are drawn at once: what more there are is drawn in turn.
ROWS = MOST_ROWS


@keras.saving.register_keras_serializable(package="tfgen")
class DiffusionGenerator(DiffusionGraphs):
    __doc__ = DiffusionDensity.__doc__
    engine = "diffusion"

    # What the methods take that says how is sampled, by their names.
    options = {
        "generate": ("num_steps", "solver", "guidance_scale"),
        "forecast": ("num_steps", "method", "resamplings"),
        "impute": ("num_steps", "method", "resamplings"),
    }
    tells_progress = True
    draws_in_order = False
    rows_at_once = ROWS  # futures, for their memory

    # What a person calls

    def generate(
        self,
        num_samples=1,
        length=None,
        seed=None,
        num_steps=None,
        solver=None,
        guidance_scale=None,
        condition=None,
        static=None,
        start_time=None,
        known=None,
        progress=None,
    ):
        """Draws sequences from noise, all positions at once.

        The whole run is one compiled loop over the noise levels. The first call compiles it, and so
        does another length; another number of steps does not, nor another number of samples: one is
        drawn alone, more go through the loop 4 at a time, and more than 32 as the next of 64, 128
        and 256.

        Args:
            num_samples: How many.
            length: Positions of each; of drawings and clips the most, their own lengths being drawn
                from those of the training data. None here and below takes the model's own default,
                `model.generation`.
            seed: An integer. The same seed gives the same numbers, on every call and in the
                SavedModel; None takes a new one each time.
            num_steps: Steps from noise to a sequence, at most 1000. More are nearer to the model's
                own distribution.
            solver: How a step is taken: `"dpmpp_2m"`, `"ddim"`, `"euler"`, `"heun"` (two evaluations
                a step), `"ddpm"`, `"dpmpp_2m_sde"`, `"langevin"` or `"predictor_corrector"`; see
                `tfgen.sampling.diffusion`. Of a model with `energy=True` also `"mala"`, ten
                proposals at each level; see `tfgen.sampling.langevin`.
            guidance_scale: Above 1 exaggerates the class (arXiv:2207.12598), at the cost of a second
                evaluation; 1 takes it as it is, 0 ignores it.
            condition: The class of the samples: its name or number, or a list of one for each. None
                leaves it open.
            static: Numbers of the whole sequence, `(static,)` or `(num_samples, static)`.
            start_time: Where the calendar begins: a `numpy.datetime64`, an ISO 8601 text, or seconds
                since 1970, for all samples or one for each; None takes the beginning of the
                training data.
            known: What is known beforehand, `(length, known)` or `(num_samples, length, known)`, if
                the model was trained with such columns.
            progress: Function `(done, total)` of evaluations, called about 20 times in the course
                of the run, and with `done` equal to `total` at its end.

        Returns:
            float32 array `(num_samples, length, features)` in the data's units, a category as the
            number of its level; of drawings and clips a list of arrays of their own lengths.

        Raises:
            InputError: For an argument out of its range, or one that the model does not take.
        """
        values, lengths, _ = self.draw(
            num_samples, length, seed, num_steps, solver, guidance_scale, condition, static,
            start_time, known, progress,
        )  # fmt: skip
        if self.processor.ends:
            return [row[:size] for row, size in zip(values, lengths)]
        return values

    def draw(
        self,
        num_samples=1,
        length=None,
        seed=None,
        num_steps=None,
        solver=None,
        guidance_scale=None,
        condition=None,
        static=None,
        start_time=None,
        known=None,
        progress=None,
    ):
        """As `generate`, but with what is known of the samples besides their values.

        Returns:
            `(values, lengths, clip_fraction)`: values `(num_samples, length, features)`, NaN after
            the end of a sequence; int32 `(num_samples,)`; and the share of the numbers that the
            data's bounds have held back.
        """
        num_samples = whole_number("num_samples", num_samples, 1)
        length = self._length(length)
        sampling = self._sampling(seed, num_steps, guidance_scale)
        self._check_guided(guidance_scale, condition)
        given = self._given_to_generate(num_samples, length, condition, static, start_time, known)
        solver, guided = self._solver(solver), float(sampling["guidance_scale"]) != 1
        graph = self._graph("generate", solver, progress is not None)
        parts = []
        begins = range(0, num_samples, ROWS)
        for part, begin in enumerate(begins):
            count = min(ROWS, num_samples - begin)
            own = {
                name: value[begin : begin + count] if value.shape[0] == num_samples else value
                for name, value in given.items()
            }
            seed = sampling["seed"] + begin * 2**40  # another part, other noise
            arguments = {**sampling, **own, "seed": seed, "num_samples": tf.constant(count)}
            with self._compiling(progress, "generate", solver, count, length, guided) as tell:
                self._tell_to(tell, part, len(begins))
                parts.append((count, graph({**arguments, "length": tf.constant(length)})))
        values, lengths = (
            np.concatenate([part[name].numpy() for _, part in parts])
            for name in ("values", "lengths")
        )
        clipped = sum(count * float(part["clip_fraction"]) for count, part in parts) / num_samples
        return values, lengths, clipped

    def forecast(
        self,
        context,
        horizon,
        num_samples=100,
        quantiles=QUANTILES,
        seed=None,
        num_steps=None,
        method=None,
        resamplings=None,
        times=None,
        known=None,
        condition=None,
        static=None,
        progress=None,
    ):
        """Draws what may come after a context: a gap at its end, filled as `impute` does.

        Of a context that is longer than what the model was trained on, the last part counts.

        Args:
            context: The past, in the data's units: `(time, features)`, `(batch, time, features)`, a
                list of arrays of different lengths, or a frame of pandas or polars, which says by
                its columns what else the model is told. NaN is missing.
            horizon: Positions to forecast.
            num_samples: Futures to draw for each context.
            quantiles: Between 0 and 1.
            seed: See `generate`.
            num_steps: See `generate`.
            method: See `impute`.
            resamplings: See `impute`.
            times: Of the context: `(time,)` or `(batch, time)`, `numpy.datetime64` or seconds since
                1970. Needed by a model that was trained with timestamps. The future goes on by the
                step of the training data.
            known: What is known beforehand, for the context and for the future: `(time + horizon,
                known)` or with a batch axis before.
            condition: See `generate`.
            static: See `generate`; one for each context.
            progress: See `generate`.

        Returns:
            A `Forecast`; of a frame a frame, see `tfgen.models.frame_forecasts.forecast_frame`.

        Raises:
            InputError: For an argument out of its range, or one that the model does not take.
        """
        if is_frame(context):
            told = {"times": times, "known": known, "condition": condition, "static": static}
            return forecast_frame(
                self, context, horizon, num_samples, seed, told, quantiles=quantiles,
                num_steps=num_steps, method=method, resamplings=resamplings, progress=progress,
            )  # fmt: skip
        arguments, single = self._forecast_arguments(
            context, horizon, num_samples, quantiles, times, known, condition, static
        )
        filler = self._filler(method)
        arguments |= self._filling(filler, seed, num_steps, resamplings)
        rows = len(arguments["lengths"]) * num_samples
        graph = self._graph("forecast", filler, progress is not None)
        with self._compiling(progress, "fill", filler, rows, horizon) as tell:
            self._tell_to(tell)
            result = graph(arguments)
        return Forecast.of(result, quantiles, single)

    def impute(
        self,
        series,
        num_samples=10,
        seed=None,
        num_steps=None,
        method=None,
        resamplings=None,
        times=None,
        known=None,
        condition=None,
        static=None,
        progress=None,
    ):
        """Draws what may stand in the gaps of a series, given all of what was observed.

        Args:
            series: `(time, features)` in the data's units; NaN is a gap.
            num_samples: How many complete series to draw.
            seed: See `generate`.
            num_steps: See `generate`.
            method: `"network"` is what a model with `infilling` does by itself, and then the default.
                Any model can do without: `"repaint"`, else the default, comes back to each noise level several times (arXiv:2201.09865);
                `"guidance"` follows the gradient of how well the estimate reconstructs what was
                observed (PiGDM, ICLR 2023), whose gradient each evaluation takes.
            resamplings: Of `"repaint"` alone: how often each step is taken, U in the paper.
            times: See `forecast`.
            known: `(time, known)`.
            condition: See `generate`.
            static: See `generate`.
            progress: See `generate`.

        Returns:
            float32 `(num_samples, time, features)`; what was observed is as it was.

        Raises:
            InputError: For an argument out of its range, or one that the model does not take.
        """
        values, lengths, single = self.processor.as_values(series)
        if not single:
            raise InputError(f"impute takes one series. Received: {len(values)} series")
        num_samples = whole_number("num_samples", num_samples, 1)
        time = values.shape[1]
        filler = self._filler(method)
        arguments = {
            "values": values,
            "lengths": lengths,
            "num_samples": tf.constant(num_samples),
            **self._filling(filler, seed, num_steps, resamplings),
            **self._series_given(1, time, lengths, times, known, condition, static, 0),
        }
        graph = self._graph("impute", filler, progress is not None)
        with self._compiling(progress, "fill", filler, num_samples, time) as tell:
            self._tell_to(tell)
            result = graph(arguments)
        return result["samples"].numpy()[0]

    def score(
        self,
        series,
        times=None,
        known=None,
        condition=None,
        static=None,
        num_steps=None,
        seed=0,
        method="ode",
    ):
        """How likely the model finds series: by its probability-flow ODE (arXiv:2011.13456).

        The density is that of the data with noise of `sigma_min` of the scaled unit, and is
        estimated: along the way the trace of a Jacobian is, with one random probe for each
        evaluation. Categories are taken as given. Missing values do not count, but stand at their
        mean beside the others at every level: with gaps it is exact for independent values only.

        With `method="elbo"` it is a lower bound of the log-likelihood instead (arXiv:2107.00630,
        section 5), in expectation over the noise: one draw for each of `num_steps` levels, whose
        own scatter more levels make smaller.

        Args:
            series: `(time, features)` in the data's units, `(batch, time, features)`, a list of
                arrays of different lengths, or a frame.
            times: See `forecast`.
            known: `(time, known)` or `(batch, time, known)`.
            condition: See `generate`.
            static: See `generate`.
            num_steps: Levels, at least 2; the ODE takes four evaluations each, the bound one.
            seed: Of the probes, or of the noise.
            method: `"ode"` or `"elbo"`.

        Returns:
            A dict of arrays `(batch,)`, or of numbers for a single series: `log_likelihood` in
            nats, of a density in the data's units; `values`, how many numbers it is of;
            `nats_per_value`; and `nats_per_position`.
        """
        arguments, single = self._series(series, times, known, condition, static)
        sampling = self._sampling(seed, num_steps, None, least=2)
        arguments |= {name: sampling[name] for name in ("seed", "num_steps")}
        if method not in SCORES:
            raise unknown("method", method, SCORES)
        return scores_of(self._graph("score", method)(arguments), single)

    def encode(
        self, series, times=None, known=None, condition=None, static=None, num_steps=None
    ):  # fmt: skip
        """The latents of series: the noise from which the model's ODE leads to each of them.

        Args:
            series: As for `score`. A gap counts as the mean.
            times: See `forecast`.
            known: See `score`.
            condition: See `generate`.
            static: See `generate`.
            num_steps: Levels that the ODE goes through, at least 2; two evaluations each.

        Returns:
            float32 `(batch, positions, channels)` of about unit variance, or without the batch axis
            for a single series. `decode` turns it back; between two latents,
            `tfgen.sampling.inversion.interpolate` leads.
        """
        arguments, single = self._series(series, times, known, condition, static)
        arguments["num_steps"] = self._sampling(0, num_steps, None, least=2)["num_steps"]
        latents = self._graph("encode")(arguments)["latents"].numpy()
        return latents[0] if single else latents

    def decode(
        self,
        latents,
        lengths=None,
        times=None,
        known=None,
        condition=None,
        static=None,
        num_steps=None,
    ):
        """The series of latents: the opposite of `encode`, up to the error of the steps.

        Args:
            latents: `(positions, channels)` or `(batch, positions, channels)`.
            lengths: Positions of each series, a number or one for each; None is all.
            times: See `forecast`.
            known: See `score`.
            condition: See `generate`.
            static: See `generate`.
            num_steps: See `encode`.

        Returns:
            float32 `(time, features)` or `(batch, time, features)` in the data's units, NaN after
            the end of a series. What was scaled by its own mean comes back on the training data's
            typical scale.
        """
        latents = finite_numbers("latents", latents)
        if latents.ndim not in (2, 3) or latents.shape[-1] != self.channels:
            raise InputError(
                f"latents must be (positions, {self.channels}) or (batch, positions, "
                f"{self.channels}). Received: an array of shape {latents.shape}"
            )
        single = latents.ndim == 2
        latents = latents[None] if single else latents
        count, time = latents.shape[0], latents.shape[1] * self.frame
        lengths = for_each("lengths", time if lengths is None else lengths, count)
        if not ((lengths >= 1) & (lengths <= time) & (lengths % 1 == 0)).all():
            raise InputError(
                f"lengths must be integers from 1 to {time}. Received: lengths={lengths.tolist()}"
            )
        lengths = lengths.astype(np.int32)
        arguments = {
            "latents": latents,
            "lengths": lengths,
            "num_steps": self._sampling(0, num_steps, None, least=2)["num_steps"],
            **self._series_given(count, time, lengths, times, known, condition, static, 0),
        }
        values = self._graph("decode")(arguments)["values"].numpy()
        return values[0] if single else values

    def denoise(self, series, sigma, times=None, known=None, condition=None, static=None):
        """What the model takes noisy series for: the mean of what they may have been.

        Args:
            series: As for `score`: clean series plus noise.
            sigma: Standard deviation of the noise in scaled units, a number or one for each series.
            times: See `forecast`.
            known: See `score`.
            condition: See `generate`.
            static: See `generate`.

        Returns:
            float32 `(time, features)` or `(batch, time, features)` in the data's units.
        """
        arguments, single = self._series(series, times, known, condition, static)
        sigma = for_each("sigma", sigma, len(arguments["lengths"]))
        if not (sigma > 0).all():
            raise InputError(f"sigma must be above 0. Received: sigma={sigma.tolist()}")
        values = self._graph("denoise")({**arguments, "sigma": sigma})["values"].numpy()
        return values[0] if single else values

    def export(self, filepath, format=EXPORT_FORMAT, verbose=False):
        """Writes a SavedModel that draws, fills gaps, forecasts, scores, encodes and denoises.

        All numbers are in the data's own units. Its signatures, as tensors:

        - `serving_default`: `num_samples` -> `values` `(num_samples, length, features)` and
          `lengths`, drawn as `model.generation` says, with a new seed for every call;
        - `generate`: `num_samples`, `length`, `seed`, `num_steps`, `guidance_scale` -> the same; the
          same numbers for the same seed as this model, of up to 256 samples;
        - `forecast`: `values` `(batch, time, features)` right-padded, `lengths` `(batch,)`,
          `horizon`, `num_samples`, `quantiles`, `seed`, `num_steps`, `guidance_scale`, `resamplings`
          -> `mean`, `quantiles` `(batch, quantiles, horizon, features)` and `samples`;
        - `impute`: as `forecast` without a horizon and quantiles -> `samples`;
        - `score`: `values`, `lengths`, `seed`, `num_steps` -> what `score` returns;
        - `encode`: `values`, `lengths`, `num_steps` -> `latents`; `decode` takes `latents`;
        - `denoise`: `values`, `lengths`, `sigma` `(batch,)` -> `values`;
        - `generate_default`, `forecast_default` and so on: the same without the inputs that
          `generate`, `forecast` and so on have defaults for, so that a forecast takes `values` and
          `horizon`, and what the model cannot do without.

        A model that was trained with timestamps, with covariates, classes or static numbers takes
        `times` (int64 seconds; `start_time` where it draws), `known`, `condition` (int32, -1 for
        none) and `static` as well. The solver is that of `model.generation`.

        Args:
            filepath: Folder to write; servers expect the name `<model>/<number>`.
            format: `"tf_saved_model"`, as Keras calls it.
            verbose: Whether to print each signature.

        Raises:
            InputError: For another format, or a folder that holds something.
        """
        check_export_format(format)
        solver, filler = self._solver(None), self._filler(None)
        choices = {
            "generate": (solver, False),
            "forecast": (filler, False),
            "impute": (filler, False),
            "score": (SCORES[0],),
            "encode": (),
            "decode": (),
            "denoise": (),
        }
        endpoints = {
            name: (self._graph(name, *own), getattr(self, f"_{name}_specs")())
            for name, own in choices.items()
        }
        steps = self.generation.num_steps
        defaults = {
            **self._serving_defaults(),
            "guidance_scale": constant(float(self.generation.guidance_scale)),
            "num_steps": constant(steps),
            # What follows the ODE needs two levels.
            **{
                f"{each}.num_steps": constant(max(2, steps))
                for each in ("score", "encode", "decode")
            },
            "resamplings": constant(self.generation.resamplings),
        }
        drawn = {*self.sampling_specs, "length"}
        specs = endpoints["generate"][1]
        simple = {name: spec for name, spec in specs.items() if name not in drawn}
        serving = {"serving_default": (lambda **arguments: self._serve(solver, arguments), simple)}
        write_saved_model(filepath, serving | with_defaults(endpoints, defaults), verbose)

    # What a person gave, as tensors

    @property
    def window(self):
        """Positions that the model was trained on at once; None if that is not known."""
        return None if self.recipe is None else self.recipe.training.window

    def _sampling(self, seed, num_steps, guidance_scale, least=1):
        steps = self.generation.num_steps if num_steps is None else num_steps
        steps = whole_number("num_steps", steps, least)
        if steps > MOST_STEPS:
            raise InputError(f"num_steps must be at most {MOST_STEPS}. Received: num_steps={steps}")
        scale = self.generation.guidance_scale if guidance_scale is None else guidance_scale
        number = isinstance(scale, numbers.Real) and not isinstance(scale, bool)
        if not number or not 0 <= scale < 1e6:
            raise InputError(
                f"guidance_scale must be a number >= 0. Received: guidance_scale={scale!r}"
            )
        return {
            "seed": self._seed(seed),
            "num_steps": tf.constant(steps),
            "guidance_scale": tf.constant(float(scale)),
        }

    def _check_guided(self, guidance_scale, condition):
        """Refuses a scale that a person gave where there is nothing to exaggerate."""
        if guidance_scale in (None, 1):
            return
        if not self.processor.num_classes:
            raise InputError(
                "guidance_scale is for models trained with classes; this one has none. "
                f"Received: guidance_scale={guidance_scale!r}"
            )
        if condition is None:
            raise InputError(
                "guidance_scale does nothing without a condition. "
                f"Received: guidance_scale={guidance_scale!r}"
            )

    def _filling(self, filler, seed, num_steps, resamplings):
        if resamplings is not None and filler != "repaint":
            used = "guidance" if filler in FILLERS else "network"
            raise InputError(
                f"resamplings is for method='repaint', and gaps are filled by '{used}' here. "
                f"Received: resamplings={resamplings!r}"
            )
        resamplings = self.generation.resamplings if resamplings is None else resamplings
        resamplings = whole_number("resamplings", resamplings, 1)
        return {
            **self._sampling(seed, num_steps, None),
            "resamplings": tf.constant(resamplings),
        }

    def _solver(self, solver):
        solver = self.generation.solver if solver is None else solver
        if not isinstance(solver, str) or solver not in (*SOLVERS, METROPOLIS):
            raise unknown("solver", solver, [*SOLVERS, METROPOLIS])
        if solver == METROPOLIS and not self.energy:
            raise InputError(
                f"solver='{METROPOLIS}' needs a model that was made with energy=True. "
                f"Received: solver='{solver}'"
            )
        return solver

    @contextlib.contextmanager
    def _compiling(self, progress, name, how, rows, *sizes):
        """Surrounds a call; yields its `progress`, whose first word ends the compiling."""
        told = progress is not None
        with self._first_call(name, how, told, int(batch_size(rows)), *sizes) as over:

            def tell(done, total):
                over()
                progress(done, total)

            yield tell if told else None

    def _tell_to(self, progress, part=0, parts=1):
        """Has the run that comes next tell its progress, as one of several equal parts."""
        last = 0

        def tell(done, total):
            nonlocal last
            if done > last:  # several batches share the evaluations of one
                last = done
                progress(part * total + done, parts * total)

        if progress is not None:
            self.__dict__["_progress"] = tell

    def _filler(self, method):
        """What `_impute` is to do by a method: one of `FILLERS`, or the network's own solver."""
        if method is None:
            method = "network" if self.infilling else "repaint"
        if method not in (*FILLERS, "network"):
            raise unknown("method", method, (*FILLERS, "network"))
        if method in FILLERS:
            return method
        if not self.infilling:
            raise InputError(
                "method='network' needs a model that was trained with infilling above 0. "
                "Received: method='network'"
            )
        return self._solver(None)

    def _serve(self, solver, arguments):
        defaults = self._sampling(random.serving_seed(), None, None)
        return self._graph("generate", solver, False)(
            {**defaults, **arguments, "length": self._serving_length(arguments)}
        )


def for_each(name, value, count):
    """A number for all of so many series, or one for each: float32 `(count,)`."""
    array = finite_numbers(name, value)
    if array.shape not in ((), (1,), (count,)):
        raise InputError(
            f"{name} must be a number or {count}, one for each series. "
            f"Received: an array of shape {array.shape}"
        )
    return np.broadcast_to(array, [count])
