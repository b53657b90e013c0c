"""`DiffusionGraphs`: the functions of tensors that a diffusion model computes, live and served."""

import functools

import numpy as np
import tensorflow as tf

from tfgen.models.diffusion_density import DiffusionDensity
from tfgen.models.first_calls import FirstCalls
from tfgen.models.numbers import likelihoods_of, summary_of
from tfgen.models.series_arguments import NO_CLASS
from tfgen.sampling import inversion, likelihood, random, thresholding
from tfgen.sampling.buckets import bucket
from tfgen.sampling.diffusion import advance, evaluations, make_solver, start
from tfgen.sampling.energies import weighted_energy
from tfgen.sampling.guidance import classifier_free_joint, reconstruction
from tfgen.sampling.langevin import mala
from tfgen.sampling.repaint import repaint
from tfgen.sampling.rows import repeat_rows

# The levels of a run are so many, those beyond its steps being 0: runs of any number of steps share
# one compiled loop.
MOST_STEPS = 1000
# Ways to fill gaps; a network that was trained to is run by a solver, as always.
FILLERS = ("repaint", "guidance")
SCORES = ("ode", "elbo")
METROPOLIS = "mala"  # the solver of an energy
PIECES = 20  # of a run that tells its progress
_WIDE = ("x", "condition", "sequence", "self_condition")  # tensors whose last axis is of features
_NOISE, _LENGTHS, _RUN = 0, 1, 2  # purposes of the draws of one call
# Rows go through a compiled loop in batches, because each size is compiled for: one alone, few in
# small batches, one after the other, and many in one that is filled up, or in several of the most.
SMALL_BATCH, LARGE_BATCH, MOST_ROWS = 4, 64, 256


def batch_size(rows):
    """Rows of the batches in which so many are drawn, an int32 scalar tensor."""
    large = tf.minimum(bucket(rows, LARGE_BATCH), MOST_ROWS)
    return tf.where(rows == 1, 1, tf.where(rows <= 8 * SMALL_BATCH, SMALL_BATCH, large))


class DiffusionGraphs(DiffusionDensity):
    """What `DiffusionGenerator` computes, on tensors: the same graphs here and in the SavedModel."""

    sampling_specs = {
        "seed": tf.TensorSpec([], tf.int64),
        "num_steps": tf.TensorSpec([], tf.int32),
        "guidance_scale": tf.TensorSpec([], tf.float32),
    }
    filling_specs = {**sampling_specs, "resamplings": tf.TensorSpec([], tf.int32)}

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._xla = True
        self.reset_graphs()

    def without_xla(self):
        """Has the loops run as graphs, for a few calls that are done before XLA has compiled them.

        The samples are the same but for rounding.
        """
        self._xla = False
        self.reset_graphs()

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        # Not layers: Keras is not to look into them.
        self.__dict__["_compiled"] = {}
        self.__dict__["_first_call"] = FirstCalls()

    def _graph(self, name, *choices):
        """The function of tensors of this name, for choices that are made before it is compiled."""
        function = functools.partial(getattr(self, f"_{name}"), *choices)
        specs = getattr(self, f"_{name}_specs")()
        return self._kept(
            (name, *choices),
            lambda: tf.function(function, input_signature=[specs], autograph=False),
        )

    def _jitted(self, function, *choices):
        return self._kept(
            (function.__name__, *choices),
            lambda: tf.function(
                functools.partial(function, *choices), jit_compile=self._xla, autograph=False
            ),
        )

    def _kept(self, key, make):
        if key not in self._compiled:
            self._compiled[key] = make()
        return self._compiled[key]

    # The tensors of the graphs

    def _forecast_specs(self):
        return {
            **self._series_specs(),
            "horizon": tf.TensorSpec([], tf.int32),
            "num_samples": tf.TensorSpec([], tf.int32),
            "quantiles": tf.TensorSpec([None], tf.float32),
            **self.filling_specs,
        }

    def _impute_specs(self):
        return {
            **self._series_specs(),
            "num_samples": tf.TensorSpec([], tf.int32),
            **self.filling_specs,
        }

    def _score_specs(self):
        steps = {name: self.sampling_specs[name] for name in ("seed", "num_steps")}
        return {**self._series_specs(), **steps}

    def _encode_specs(self):
        return {**self._series_specs(), "num_steps": self.sampling_specs["num_steps"]}

    def _decode_specs(self):
        specs = self._encode_specs()
        specs["latents"] = tf.TensorSpec([None, None, self.channels], tf.float32)
        del specs["values"]
        return specs

    def _denoise_specs(self):
        return {**self._series_specs(), "sigma": tf.TensorSpec([None], tf.float32)}

    # Graphs around the compiled loops

    def _generate(self, solver, told, arguments):
        rows, length = arguments["num_samples"], arguments["length"]
        key = random.root(arguments["seed"], random.SAMPLING)
        frames = self._frames(length)
        whole, scale = self._rows_of(rows, arguments)
        lengths = self._drawn_lengths(rows, length, arguments, key)
        valid = None
        if self.processor.ends:
            valid = tf.sequence_mask(self._frames(lengths), frames)
        covariates = self._future(arguments, tf.constant(0), frames, rows)
        covariates = self._with_told(self._placed(covariates, valid, {}))
        given = {"valid": valid, "whole": whole, "covariates": covariates}
        shape = [rows, frames, self.channels]
        x = self._run(solver, told, arguments, given, shape, key)
        values, clipped = self._values(x, scale)
        values = self._restored(values)[:, :length]
        valid = tf.sequence_mask(lengths, length)
        if self.processor.ends:
            clipped = tf.where(given["valid"], clipped, 0.0)
        total = tf.cast(tf.reduce_sum(self._frames(lengths)), tf.float32)
        return {
            "values": tf.where(valid[..., None], values, self._missing()),
            "lengths": lengths,
            "clip_fraction": tf.math.divide_no_nan(tf.reduce_sum(clipped), total),
        }

    def _drawn_lengths(self, rows, length, arguments, key):
        """Samples of each sequence: one of the training data's, of what ends by itself."""
        if not self.processor.lengths:
            return tf.fill([rows], length)
        # By class, and in the last row of all.
        table = tf.constant(self.processor.lengths, tf.int32)
        row = tf.fill([rows], len(self.processor.lengths) - 1)
        if "condition" in arguments:
            label = tf.broadcast_to(arguments["condition"], [rows])
            row = tf.where(label >= 0, label, row)
        place = random.uniform(random.fold(key, _LENGTHS), [rows]) * table.shape[1]
        chosen = tf.gather_nd(table, tf.stack([row, tf.cast(place, tf.int32)], axis=-1))
        return tf.minimum(chosen, length)

    def _levels(self, num_steps):
        """Noise levels of a run `(MOST_STEPS + 1,)`: `num_steps` of them and zeros."""
        steps = tf.range(MOST_STEPS + 1)
        last = tf.cast(tf.maximum(num_steps - 1, 1), tf.float32)
        n = tf.maximum(1.0 - tf.cast(steps, tf.float32) / last, 0.0)
        return tf.where(steps < num_steps, self.noise_schedule.sigma(n), 0.0)

    def _guided(self, scale, given, core, choices, operands):
        """Calls a compiled core with or without classifier-free guidance."""
        if not self.processor.num_classes:
            return self._jitted(core, False, *choices)(given, *operands, 1.0)
        alone = {name: given[name] for name in given if name != "whole_without"}
        return tf.cond(
            scale == 1,
            lambda: self._jitted(core, False, *choices)(alone, *operands, 1.0),
            lambda: self._jitted(core, True, *choices)(given, *operands, scale),
        )

    def _run(self, solver, told, arguments, given, shape, key, gaps=None):
        """A whole run from noise to channels.

        Args:
            solver: Name of a solver, or of a way to fill gaps.
            told: Whether `_tell` is called between the pieces of the run.
            arguments: What was asked for.
            given: As of `_network`.
            shape: Of the channels.
            key: int32 `(2,)`.
            gaps: `(observed, known, resamplings)`, as of `tfgen.sampling.repaint.repaint`.
        """
        sigmas, scale = self._levels(arguments["num_steps"]), arguments["guidance_scale"]
        x = random.normal(random.fold(key, _NOISE), shape) * sigmas[0]
        key, rows = random.fold(key, _RUN), shape[0]
        if self.processor.num_classes:
            hidden = {**arguments, "condition": tf.fill([rows], NO_CLASS)}
            given = {**given, "whole_without": self._rows_of(rows, hidden)[0]}
        observed, resamplings = (None, None) if gaps is None else (gaps[:2], gaps[2])
        size = batch_size(rows)
        batches = -(-rows // size)

        def run(batch):
            """The channels of the rows of one batch; what is missing in the last is its last row."""
            index = tf.minimum(batch * size + tf.range(size), rows - 1)
            of_batch = tf.nest.map_structure(
                lambda each: None if each is None else tf.gather(each, index), (x, given, observed)
            )
            own = of_batch[2] if gaps is None else (*of_batch[2], resamplings)
            place = batch, batches, batch * size
            return self._run_batch(solver, told, scale, *of_batch[:2], sigmas, key, own, place)

        parts = tf.TensorArray(
            x.dtype, batches, infer_shape=False, element_shape=[None, None, self.channels]
        )
        _, parts = tf.while_loop(
            lambda batch, _: batch < batches,
            lambda batch, parts: (batch + 1, parts.write(batch, run(batch))),
            (tf.constant(0), parts),
            parallel_iterations=1,
        )
        return parts.concat()[:rows]

    def _run_batch(self, solver, told, scale, x, given, sigmas, key, gaps, place):
        """`_run` of one batch: `place` is its number, how many there are, and its first row."""
        batch, batches, begin = place
        if solver == METROPOLIS:
            x = self._guided(scale, given, self._chain, [], [x, sigmas, key, begin])
            return self._after_telling(x, (batch + 1) // batches, 1) if told else x
        steps = self._solver_of(solver, gaps)
        run, total = start(x, steps), evaluations(sigmas, steps)

        def piece(run, count):
            operands = [run, sigmas, key, gaps, count, begin]
            return self._guided(scale, given, self._advance, [solver], operands)

        if not told:
            return piece(run, total).x
        count = tf.maximum(batches * total // PIECES, 1)

        def body(run):
            run = piece(run, count)
            done = (batch * total + run.index) // batches
            return (self._after_telling(run, done, total),)

        return tf.while_loop(lambda run: run.index < total, body, (run,))[0].x

    def _after_telling(self, tensors, done, total):
        told = tf.py_function(self._tell, [done, total], [])
        with tf.control_dependencies([told]):
            return tf.nest.map_structure(tf.identity, tensors)

    def _tell(self, done, total):
        self._progress(int(done), int(total))

    def _impute(self, solver, told, arguments):
        """Sequences `(batch, num_samples, time, features)` with their gaps filled.

        Args:
            solver: One of `FILLERS`, or a solver for a network that is told what was observed.
            told: As of `_run`.
            arguments: What was asked for.
        """
        num_samples = arguments["num_samples"]
        batch = self._batch(arguments)
        x0, known = self._channels(batch)
        given = self._given(batch, told=None if solver in FILLERS else (x0, known))
        observed, known, given = repeat_rows((x0, known, given), num_samples)
        key = random.root(arguments["seed"], random.SAMPLING)
        sampling = dict(arguments)
        for name in ("condition", "static"):
            if name in arguments:
                sampling[name] = repeat_rows(arguments[name], num_samples)
        if "scale" in batch:
            sampling["scale"] = repeat_rows(batch["scale"], num_samples)
        gaps = (observed, known, arguments["resamplings"]) if solver in FILLERS else None
        x = self._run(solver, told, sampling, given, tf.shape(observed), key, gaps)
        values, _ = self._values(x, sampling.get("scale"))
        values = self._restored(values)[:, : tf.shape(arguments["values"])[1]]
        values = tf.reshape(values, [-1, num_samples, *tf.unstack(tf.shape(values)[1:])])
        # What was observed is as it was, to the last bit.
        before = arguments["values"][:, None]
        values = tf.where(tf.math.is_nan(before), values, before)
        valid = tf.sequence_mask(arguments["lengths"], tf.shape(before)[2])
        return {"samples": tf.where(valid[:, None, :, None], values, self._missing())}

    def _forecast(self, solver, told, arguments):
        horizon, lengths = arguments["horizon"], arguments["lengths"]
        values = arguments["values"]
        # What the network was not trained on at once it does not see at once.
        most = tf.shape(values)[1]
        if self.window is not None:
            most = tf.minimum(most, tf.maximum(self.window - horizon, 1))
        kept = tf.minimum(lengths, most)
        # Whole frames: the future begins with one.
        kept = tf.where(kept < self.frame, kept, kept - kept % self.frame)
        position = tf.range(most + horizon)[None]
        index = position + (lengths - kept)[:, None]
        last = tf.maximum(lengths - 1, 0)[:, None]
        past = tf.gather(values, tf.minimum(index, last), batch_dims=1)
        ahead = position >= kept[:, None]
        series = {
            **arguments,
            "values": tf.where(ahead[..., None], self._missing(), past),
            "lengths": kept + horizon,
        }
        if "times" in arguments:
            times = arguments["times"]
            start = tf.gather(times, last[:, 0], batch_dims=1)
            after = self._after(start, tf.range(1, most + horizon + 1))
            steps = tf.maximum(position - kept[:, None], 0)
            future = tf.gather(after, steps, batch_dims=1)
            series["times"] = tf.where(
                ahead, future, tf.gather(times, tf.minimum(index, last), batch_dims=1)
            )
        if "known" in arguments:
            most_known = tf.shape(arguments["known"])[1] - 1
            series["known"] = tf.gather(
                arguments["known"], tf.minimum(index, most_known), batch_dims=1
            )
        samples = self._impute(solver, told, series)["samples"]
        index = kept[:, None, None] + tf.range(horizon)[None, None]
        index = tf.tile(index, [1, arguments["num_samples"], 1])
        samples = tf.gather(samples, index, batch_dims=2)
        return summary_of(samples, arguments["quantiles"])

    def _score(self, method, arguments):
        processor, batch = self.processor, self._batch(arguments)
        x0, observed = self._channels(batch)
        # Categories are given: there is no density of them.
        numbers = np.arange(self.channels) < processor.num_numbers * self.frame
        key = random.root(arguments["seed"], random.EVALUATION)
        sigmas = self._levels(arguments["num_steps"])
        density = self._jitted(self._density, method)(
            self._given(batch), x0, observed & numbers, sigmas, key
        )
        numbers = processor.numbers(batch["values"])
        scale = batch["scale"][:, None] if processor.scaler.needs_scale else None
        there = ~tf.math.is_nan(numbers) & batch["valid"][..., None]
        if self.frame > 1:  # with a sample all of its frame is missing
            there &= tf.reduce_all(there, axis=-1, keepdims=True)
        slopes = self._log_slope(tf.where(there, numbers, 0.0), scale)
        slopes = tf.reduce_sum(tf.where(there, slopes, 0.0), axis=[1, 2])
        total = tf.cast(density + slopes, tf.float64)
        positions = arguments["lengths"]
        valid = tf.sequence_mask(positions, tf.shape(arguments["values"])[1])[..., None]
        seen = self._samples(there)[:, : tf.shape(valid)[1]] & valid
        values = tf.reduce_sum(tf.cast(seen, tf.int32), axis=[1, 2])
        return likelihoods_of(total, values, positions)

    def _encode(self, arguments):
        batch = self._batch(arguments)
        x0, _ = self._channels(batch)
        sigmas = self._levels(arguments["num_steps"])
        latents = self._jitted(self._upward)(self._given(batch), x0, sigmas)
        return {"latents": latents / sigmas[0]}

    def _decode(self, arguments):
        latents = arguments["latents"]
        time = tf.shape(latents)[1] * self.frame
        features = self.processor.num_features
        empty = tf.zeros([tf.shape(latents)[0], time, features])
        batch = self._batch({**arguments, "values": empty})
        if self.processor.scaler.needs_scale:
            del batch["scale"]  # of nothing but zeros
        sigmas = self._levels(arguments["num_steps"])
        x = self._jitted(self._downward)(self._given(batch), latents * sigmas[0], sigmas)
        scale = None
        if self.processor.scaler.needs_scale:
            scale = tf.constant(self.processor.scale, tf.float32)[None]
        values = self._restored(self._values(x, scale)[0])
        valid = tf.sequence_mask(arguments["lengths"], time)
        return {"values": tf.where(valid[..., None], values, self._missing())}

    def _denoise(self, arguments):
        batch = self._batch(arguments)
        x, _ = self._channels(batch)
        x0_hat = self.denoiser(self._once(self._given(batch)))(x, arguments["sigma"])
        values, _ = self._values(x0_hat, batch.get("scale"))
        values = self._restored(values)[:, : tf.shape(arguments["values"])[1]]
        valid = tf.sequence_mask(arguments["lengths"], tf.shape(values)[1])
        return {"values": tf.where(valid[..., None], values, self._missing())}

    # The compiled loops

    def _once(self, given):
        """What is `given`, with a network that is traced once for all that is compiled.

        Tracing it takes seconds, and each loop, with guidance and without, would do so anew.
        """

        def unet(x, c_noise, drop, record, **optional):
            tensors = {name: tensor for name, tensor in optional.items() if tensor is not None}
            tensors = {"x": x, "c_noise": c_noise, **tensors}
            specs = {
                name: tf.TensorSpec(
                    [None] * (tensor.shape.rank - 1)
                    + [tensor.shape[-1] if name in _WIDE else None],
                    tensor.dtype,
                )
                for name, tensor in tensors.items()
            }
            function = self._kept(
                ("unet", *specs.items()),
                lambda: tf.function(
                    lambda given: self.unet(**given), input_signature=[specs], autograph=False
                ),
            )
            return function(tensors)

        return {**given, "unet": unet}

    def _denoiser_of(self, guided, given, guidance_scale):
        if not guided:
            return self.denoiser(self._once(given))
        given = dict(given)
        without = given.pop("whole_without")
        twice = {name: None if x is None else tf.concat([x, x], 0) for name, x in given.items()}
        twice["whole"] = tf.concat([given["whole"], without], axis=0)
        return classifier_free_joint(self.denoiser(self._once(twice)), guidance_scale)

    def _energy_of(self, guided, given, guidance_scale):
        if not guided:
            return self.energies(given)
        given = dict(given)
        without = {**given, "whole": given.pop("whole_without")}
        energies = self.energies(given), self.energies(without)
        return weighted_energy(energies, (guidance_scale, 1.0 - guidance_scale))

    def _limits(self, valid):
        """What every estimate of the denoiser goes through, or None."""
        limits = self._channel_bounds()
        if self.threshold == "none" or not np.isfinite(limits).any():
            return None
        if self.threshold == "dynamic":
            valid = None if valid is None else valid[..., None]
            return thresholding.dynamic(*limits, valid=valid)
        return thresholding.static(lambda x0_hat: tf.clip_by_value(x0_hat, *limits))

    def _solver_of(self, name, gaps):
        if name == "repaint":
            return repaint(*gaps)
        return make_solver("ddpm" if name == "guidance" else name)

    def _advance(self, guided, solver, given, run, sigmas, key, gaps, count, begin, guidance_scale):
        denoiser = self._denoiser_of(guided, given, guidance_scale)
        if solver == "guidance":
            denoiser = reconstruction(denoiser, *gaps[:2], sigma_data=self.sigma_data)
        valid = given["valid"]
        with random.rows_from(begin):
            return advance(
                denoiser,
                run,
                sigmas,
                self._solver_of(solver, gaps),
                key,
                count,
                self._limits(valid),
                self.self_condition,
                None if valid is None else valid[..., None],
            )

    def _chain(self, guided, given, x, sigmas, key, begin, guidance_scale):
        energy, valid = self._energy_of(guided, given, guidance_scale), given["valid"]
        valid = None if valid is None else valid[..., None]
        with random.rows_from(begin):
            return mala(energy, x, sigmas, key, valid=valid).x

    def _density(self, method, given, x0, observed, sigmas, key):
        prior = tf.sqrt(tf.square(sigmas[0]) + self.sigma_data**2)
        operands = {"prior_std": prior, "valid": observed}
        denoiser = self.denoiser(self._once(given))
        if method == "elbo":
            return likelihood.elbo(denoiser, x0, sigmas, key, continuous=True, **operands)
        return likelihood.log_likelihood(denoiser, x0, sigmas, key, **operands)

    def _upward(self, given, x0, sigmas):
        return inversion.encode(self.denoiser(self._once(given)), x0, sigmas)

    def _downward(self, given, latents, sigmas):
        return inversion.decode(self.denoiser(self._once(given)), latents, sigmas)
