"""`DiffusionGraphs`: the functions of tensors of a diffusion model, live and served."""

import functools

import tensorflow as tf

from tfgen.models.engines.denoiser import SPREAD
from tfgen.models.engines.diffusion_windows import draw_window, draw_windows
from tfgen.models.numbers.results import likelihoods_of, summary_of
from tfgen.models.serving import option_specs
from tfgen.recipe import DiffusionSampling
from tfgen.sampling import random
from tfgen.sampling.rows import repeat_rows
from tfgen.sampling.windows import WindowState

# Ways to fill gaps; a network that was trained to is run by a solver, as always.
FILLERS = ("repaint", "guidance")
SCORES = ("ode", "elbo")
_LENGTHS = 1  # purpose of the draws of one call
SAMPLING = option_specs(DiffusionSampling, "num_steps", "guidance_scale")
FILLING = option_specs(DiffusionSampling, "num_steps", "guidance_scale", "resamplings")


class DiffusionGraphs:
    """What a diffusion model computes on tensors in the data's units, by its `Runs`.

    Each function takes one dict of tensors, behind choices that are made before it is compiled.

    Args:
        runs: A `Runs`.
    """

    def __init__(self, runs):
        self.runs = runs
        self.denoiser = runs.denoiser
        self.emission = runs.emission
        self.context = runs.context
        self.positions = runs.emission.positions
        self.processor = self.positions.processor
        self._functions = {}

    def reset(self):
        """Forgets what was traced."""
        self._functions = {}

    def get(self, name, *choices):
        """The function of this name as a graph, compiled once for its choices."""
        key = name, *choices
        if key not in self._functions:
            function = functools.partial(getattr(self, name), *choices)
            self._functions[key] = tf.function(
                function, input_signature=[self.specs(name)], autograph=False
            )
        return self._functions[key]

    def specs(self, name):
        """What the function of this name takes: a dict from names to `tf.TensorSpec`."""
        series, own = self.positions.series_specs(), {}
        if name == "generate":
            return self.positions.generate_specs(SAMPLING)
        if name == "stream":
            of_whole = self.positions.generate_specs(SAMPLING)
            own = {key: of_whole[key] for key in of_whole if key not in ("num_samples", "length")}
            state = tf.TensorSpec([None, None, self.emission.channels], tf.float32)
            return {"state": state, "index": tf.TensorSpec([], tf.int32), **own}
        if name == "forecast":
            return self.positions.forecast_specs(FILLING)
        if name == "impute":
            own = {"num_samples": tf.TensorSpec([], tf.int32), **FILLING}
        elif name == "denoise":
            own = {"sigma": tf.TensorSpec([None], tf.float32)}
        else:
            own = {"num_steps": SAMPLING["num_steps"]}
        if name == "score":
            own["seed"] = SAMPLING["seed"]
        if name == "decode":
            del series["values"]
            own["latents"] = tf.TensorSpec([None, None, self.emission.channels], tf.float32)
        return {**series, **own}

    def generate(self, choices, arguments):
        """Sequences from noise."""
        positions, ends = self.positions, self.processor.ends
        rows, length = arguments["num_samples"], arguments["length"]
        key = random.root(arguments["seed"], random.SAMPLING)
        frames = positions.count(length)
        whole, scale = self.context.of_rows(rows, arguments)
        lengths = self._lengths(rows, length, arguments, key)
        valid = tf.sequence_mask(positions.count(lengths), frames) if ends else None
        if choices.windows is not None:
            x = draw_windows(self.runs, choices, arguments, rows, frames, key)
            return self.emission.sequences(x, scale, lengths, length)
        covariates = positions.covariates_ahead(arguments, tf.constant(0), frames, rows)
        covariates = self.denoiser.covariates(covariates, valid, {})
        given = {"valid": valid, "whole": whole, "covariates": covariates}
        shape = [rows, frames, self.emission.channels]
        x = self.runs.draw(choices, arguments, given, shape, key)
        return self.emission.sequences(x, scale, lengths, length)

    def stream(self, choices, arguments):
        """The next positions of sequences `values`, and the `state` and `index` after them.

        Args:
            choices: `Choices` with windows.
            arguments: `state` `(rows, size, channels)` and `index` int32, both 0 at the beginning,
                what `generate` takes besides sizes, and `known` of the positions of the window.
        """
        state = WindowState(arguments["index"], arguments["state"])
        key = random.root(arguments["seed"], random.SAMPLING)
        new, state = draw_window(self.runs, choices, arguments, state, key)
        _, scale = self.context.of_rows(tf.shape(new)[0], arguments)
        values = self.positions.restored(self.emission.values(new, scale)[0])
        return {"values": values, "state": state.x, "index": state.index}

    def _lengths(self, rows, length, arguments, key):
        """Samples of each sequence: one of the training data's, of what ends by itself."""
        if not self.processor.lengths:
            return tf.fill([rows], length)
        share = random.uniform(random.fold(key, _LENGTHS), [rows])
        return self.positions.drawn_lengths(share, length, arguments)

    def impute(self, choices, arguments):
        """Sequences `(batch, num_samples, time, features)` with their gaps filled.

        Args:
            choices: `Choices` with one of `FILLERS`, or a solver for a network that is told what
                was observed.
            arguments: What was asked for.
        """
        num_samples = arguments["num_samples"]
        batch = self.positions.series(arguments)
        key = random.root(arguments["seed"], random.SAMPLING)
        x0, known = self.emission.call(batch, random.fold(key, SPREAD))
        fills = choices.solver in FILLERS
        given = {} if fills else self.denoiser.told(x0, known)
        given |= self.denoiser.given(batch, told=given.get("told"))
        observed, known, given = repeat_rows((x0, known, given), num_samples)
        sampling = dict(arguments)
        for name in ("condition", "static"):
            if name in arguments:
                sampling[name] = repeat_rows(arguments[name], num_samples)
        if "scale" in batch:
            sampling["scale"] = repeat_rows(batch["scale"], num_samples)
        gaps = (observed, known, arguments["resamplings"]) if fills else None
        x = self.runs.draw(choices, sampling, given, tf.shape(observed), key, gaps)
        if "units" in given:
            origin, unit = given["units"]
            x = x * unit + origin
        values, _ = self.emission.values(x, sampling.get("scale"))
        values = self.positions.restored(values)[:, : tf.shape(arguments["values"])[1]]
        values = tf.reshape(values, [-1, num_samples, *tf.unstack(tf.shape(values)[1:])])
        # What was observed is as it was, to the last bit.
        before = arguments["values"][:, None]
        values = tf.where(tf.math.is_nan(before), values, before)
        valid = tf.sequence_mask(arguments["lengths"], tf.shape(before)[2])
        return {"samples": tf.where(valid[:, None, :, None], values, self.positions.missing)}

    def forecast(self, choices, window, arguments):
        """What comes after series: a gap at their end.

        What is further than half a window is forecast piece by piece, each after the samples of the
        one before.

        Args:
            choices: As of `impute`.
            window: Positions that the network was trained on at once; None if that is not known.
            arguments: What was asked for.
        """
        piece = None if window is None else max(window // 2 // self.positions.frame, 1)
        if piece is None:
            samples = self._ahead(choices, window, arguments)
        else:
            piece *= self.positions.frame
            samples = tf.cond(
                arguments["horizon"] <= piece,
                lambda: self._ahead(choices, window, arguments),
                lambda: self._further(choices, window, piece, arguments),
            )
        return summary_of(samples, arguments["quantiles"], self.processor)

    def _further(self, choices, window, piece, arguments):
        """Samples `(batch, num_samples, horizon, features)`, so many positions at a time."""
        lengths, horizon = arguments["lengths"], arguments["horizon"]
        num_samples, seed = arguments["num_samples"], arguments["seed"]
        batch, time = tf.unstack(tf.shape(arguments["values"])[:2])
        room = horizon + piece
        series = {**arguments, "num_samples": tf.constant(1), "horizon": tf.constant(piece)}
        values = tf.pad(arguments["values"], [[0, 0], [0, room], [0, 0]])
        if "times" in arguments:
            index = tf.broadcast_to(tf.range(time + room)[None], [batch, time + room])
            series["times"] = self._times_at(arguments["times"], lengths, index)
        for name in ("times", "known", "condition", "static"):
            if name in series:
                series[name] = repeat_rows(series[name], num_samples)
        values, lengths = repeat_rows((values, lengths), num_samples)

        def body(done, values):
            begun = lengths + done
            own = {**series, "values": values, "lengths": begun}
            own["seed"] = seed + tf.cast(done, tf.int64) * 2**32  # another piece, other noise
            found = self._ahead(choices, window, own)[:, 0]
            place = tf.range(tf.shape(values)[1])[None] - begun[:, None]
            found = tf.gather(found, tf.clip_by_value(place, 0, piece - 1), axis=1, batch_dims=1)
            values = tf.where((place >= 0)[..., None], found, values)
            return done + piece, tf.ensure_shape(values, shape)

        shape = values.shape
        _, values = tf.while_loop(
            lambda done, _: done < horizon, body, (tf.constant(0), values), parallel_iterations=1
        )
        place = lengths[:, None] + tf.range(horizon)[None]
        found = tf.gather(values, place, axis=1, batch_dims=1)
        return tf.reshape(found, [batch, num_samples, horizon, values.shape[-1]])

    def _ahead(self, choices, window, arguments):
        """Samples `(batch, num_samples, horizon, features)` of a gap at the end of series."""
        positions = self.positions
        horizon, lengths = arguments["horizon"], arguments["lengths"]
        values = arguments["values"]
        # What the network was not trained on at once it does not see at once.
        most = tf.shape(values)[1]
        if window is not None:
            most = tf.minimum(most, tf.maximum(window - horizon, 1))
        kept = tf.minimum(lengths, most)
        # Whole frames: the future begins with one.
        kept = tf.where(kept < positions.frame, kept, kept - kept % positions.frame)
        position = tf.range(most + horizon)[None]
        index = position + (lengths - kept)[:, None]
        last = tf.maximum(lengths - 1, 0)[:, None]
        past = tf.gather(values, tf.minimum(index, last), batch_dims=1)
        ahead = position >= kept[:, None]
        series = {
            **arguments,
            "values": tf.where(ahead[..., None], positions.missing, past),
            "lengths": kept + horizon,
        }
        if "times" in arguments:
            series["times"] = self._times_at(arguments["times"], lengths, index)
        if "known" in arguments:
            most_known = tf.shape(arguments["known"])[1] - 1
            series["known"] = tf.gather(
                arguments["known"], tf.minimum(index, most_known), batch_dims=1
            )
        samples = self.impute(choices, series)["samples"]
        index = kept[:, None, None] + tf.range(horizon)[None, None]
        index = tf.tile(index, [1, arguments["num_samples"], 1])
        return tf.gather(samples, index, batch_dims=2)

    def _times_at(self, times, lengths, index):
        """Times int64 `(batch, count)` at places `index` of series, those after their end too."""
        last = tf.maximum(lengths - 1, 0)[:, None]
        start = tf.gather(times, last[:, 0], batch_dims=1)
        after = self.positions.times_after(start, tf.range(1, tf.shape(index)[1] + 1))
        future = tf.gather(after, tf.maximum(index - lengths[:, None], 0), batch_dims=1)
        past = tf.gather(times, tf.minimum(index, last), batch_dims=1)
        return tf.where(index >= lengths[:, None], future, past)

    def score(self, method, arguments):
        """The likelihood of series, by one of `SCORES`."""
        processor, batch = self.processor, self.positions.series(arguments)
        key = random.root(arguments["seed"], random.EVALUATION)
        spread = random.fold(key, SPREAD)
        x0, observed = self.emission.call(batch, spread)
        # Categories are given: there is no density of them.
        observed &= self.emission.is_number
        given = self.denoiser.given(batch)
        density = self.runs.density(method, given, x0, observed, arguments["num_steps"], key)
        numbers = processor.numbers(batch["values"])
        scale = batch["scale"][:, None] if processor.scaler.needs_scale else None
        there = ~tf.math.is_nan(numbers) & batch["valid"][..., None]
        if self.positions.frame > 1:  # with a sample all of its frame is missing
            there &= tf.reduce_all(there, axis=-1, keepdims=True)
        slopes = self.emission.log_slope(tf.where(there, numbers, 0.0), scale, spread)
        slopes = tf.reduce_sum(tf.where(there, slopes, 0.0), axis=[1, 2])
        total = tf.cast(density + slopes, tf.float64)
        lengths = arguments["lengths"]
        valid = tf.sequence_mask(lengths, tf.shape(arguments["values"])[1])[..., None]
        seen = self.positions.samples(there)[:, : tf.shape(valid)[1]] & valid
        values = tf.reduce_sum(tf.cast(seen, tf.int32), axis=[1, 2])
        return likelihoods_of(total, values, lengths)

    def encode(self, arguments):
        """The latents of series."""
        batch = self.positions.series(arguments)
        x0, _ = self.emission.call(batch)
        given = self.denoiser.given(batch)
        return {"latents": self.runs.upward(given, x0, arguments["num_steps"])}

    def decode(self, arguments):
        """The series of latents."""
        # They are those of every position, and not told of the whole, as those of an encoder.
        arguments = dict(arguments)
        latents = arguments.pop("latents")
        time = tf.shape(latents)[1] * self.positions.frame
        empty = tf.zeros([tf.shape(latents)[0], time, self.processor.num_features])
        batch = self.positions.series({**arguments, "values": empty})
        scale = None
        if self.processor.scaler.needs_scale:
            del batch["scale"]  # of nothing but zeros
            scale = tf.constant(self.processor.scale, tf.float32)[None]
        given = self.denoiser.given(batch)
        x = self.runs.downward(given, latents, arguments["num_steps"])
        values = self.positions.restored(self.emission.values(x, scale)[0])
        return {"values": self._valid(values, arguments["lengths"])}

    def denoise(self, arguments):
        """What series with noise on them are taken for."""
        batch = self.positions.series(arguments)
        x, _ = self.emission.call(batch)
        denoiser = self.denoiser.denoiser(self.runs.once(self.denoiser.given(batch)))
        values, _ = self.emission.values(denoiser(x, arguments["sigma"]), batch.get("scale"))
        values = self.positions.restored(values)[:, : tf.shape(arguments["values"])[1]]
        return {"values": self._valid(values, arguments["lengths"])}

    def _valid(self, values, lengths):
        """Values of which those after the end of each sequence are missing."""
        valid = tf.sequence_mask(lengths, tf.shape(values)[1])
        return tf.where(valid[..., None], values, self.positions.missing)
