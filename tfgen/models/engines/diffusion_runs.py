"""`Runs`: the compiled loops of a diffusion model, from noise to channels and back."""

import functools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.models.conditions import NO_CLASS
from tfgen.sampling import inversion, likelihood, random, thresholding, windows
from tfgen.sampling.buckets import bucket
from tfgen.sampling.diffusion import SOLVERS, advance, evaluations, make_solver, start
from tfgen.sampling.energies import weighted_energy
from tfgen.sampling.guidance import classifier_free_joint, reconstruction
from tfgen.sampling.langevin import mala
from tfgen.sampling.noise_schedules import places
from tfgen.sampling.repaint import repaint
from tfgen.sampling.rows import in_sizes

# The levels of a run are so many, those beyond its steps being 0: runs of any number of steps share
# one compiled loop.
MOST_STEPS = 1000
METROPOLIS = "mala"  # the solver of an energy
PIECES = 20  # of a run that tells its progress
_WIDE = ("x", "condition", "sequence", "self_condition")  # tensors whose last axis is of features
_NOISE, _RUN = 0, 2  # purposes of the draws of one call
_HELD = 2**30  # and of one run, besides its evaluations
# Rows go through a compiled loop in batches, because each size is compiled for: one alone, few in
# small batches, one after the other, and many in one that is filled up, or in several of the most.
SMALL_BATCH, LARGE_BATCH, MOST_ROWS = 4, 64, 256


def batch_size(rows):
    """Rows of the batches in which so many are drawn, an int32 scalar tensor."""
    large = tf.minimum(bucket(rows, LARGE_BATCH), MOST_ROWS)
    return tf.where(rows == 1, 1, tf.where(rows <= 8 * SMALL_BATCH, SMALL_BATCH, large))


class Choices(NamedTuple):
    """What of a run is chosen before it is compiled.

    Attributes:
        solver: Name of a solver, or of a way to fill gaps.
        reports: Whether the run stops after pieces to report its progress.
        guided: Whether there is classifier-free guidance. None leaves it to the tensor of its scale,
            in a graph of both ways: twice as much to prepare as is run.
        windows: A `tfgen.recipe.Windows`; None draws the whole at once.
    """

    solver: str
    reports: bool = False
    guided: Any = None
    windows: Any = None


class Runs:
    """What a `Denoiser` computes in loops, each compiled once for its choices.

    Args:
        denoiser: A `Denoiser`.
        progress: Function `(done, total)`, called between the pieces of a run that reports.
    """

    def __init__(self, denoiser, progress):
        self.denoiser = denoiser
        self.emission = denoiser.emission
        self.context = denoiser.context
        self.progress = progress
        self.xla = True
        self._compiled = {}

    def reset(self):
        """Forgets what was compiled."""
        self._compiled = {}

    def kept(self, key, make):
        """What `make()` gives, made once."""
        if key not in self._compiled:
            self._compiled[key] = make()
        return self._compiled[key]

    def _jitted(self, function, *choices):
        return self.kept(
            (function.__name__, *choices),
            lambda: tf.function(
                functools.partial(function, *choices), jit_compile=self.xla, autograph=False
            ),
        )

    def levels(self, num_steps, lowest=True):
        """Noise levels of a run `(MOST_STEPS + 1,)`: `num_steps` of them and zeros."""
        steps = tf.range(MOST_STEPS + 1)
        levels = self.denoiser.noise_schedule.sigma(places(steps, num_steps, lowest))
        return tf.where(steps < num_steps, levels, 0.0)

    def draw(self, choices, arguments, given, shape, key, gaps=None):
        """A whole run from noise to channels.

        Args:
            choices: `Choices`.
            arguments: What was asked for: the tensors of a function.
            given: As of `Denoiser.given`.
            shape: Of the channels.
            key: int32 `(2,)`.
            gaps: `(observed, known, resamplings)`, as of `tfgen.sampling.repaint.repaint`.
        """
        lowest = choices.solver not in SOLVERS or make_solver(choices.solver).lowest
        sigmas = self.levels(arguments["num_steps"], lowest)
        x = random.normal(random.fold(key, _NOISE), shape) * sigmas[0]
        return self.run(choices, arguments, given, x, sigmas, random.fold(key, _RUN), gaps)

    def run(self, choices, arguments, given, x, sigmas, key, gaps=None):
        """A run from `x` at `sigmas[0]` to the last of the levels, as of `tfgen.sampling.diffusion`;
        the others as of `draw`."""
        guided = choices.guided if self.context.processor.num_classes else False
        choices = choices._replace(guided=guided)
        rows = tf.shape(x)[0]
        if guided is not False:
            hidden = {**arguments, "condition": tf.fill([rows], NO_CLASS)}
            given = {**given, "whole_without": self.context.of_rows(rows, hidden)[0]}
        observed, resamplings = (None, None) if gaps is None else (gaps[:2], gaps[2])
        size = batch_size(rows)
        batches = -(-rows // size)
        scale = arguments["guidance_scale"]

        def run(batch):
            """The channels of the rows of one batch; what is missing in the last is its last row."""
            index = tf.minimum(batch * size + tf.range(size), rows - 1)
            of_batch = tf.nest.map_structure(
                lambda each: None if each is None else tf.gather(each, index), (x, given, observed)
            )
            own = of_batch[2] if gaps is None else (*of_batch[2], resamplings)
            place = batch, batches, batch * size
            return self._of_batch(choices, scale, *of_batch[:2], sigmas, key, own, place)

        parts = tf.TensorArray(
            x.dtype, batches, infer_shape=False, element_shape=[None, None, self.emission.channels]
        )
        _, parts = tf.while_loop(
            lambda batch, _: batch < batches,
            lambda batch, parts: (batch + 1, parts.write(batch, run(batch))),
            (tf.constant(0), parts),
            parallel_iterations=1,
        )
        return parts.concat()[:rows]

    def _of_batch(self, choices, scale, x, given, sigmas, key, gaps, place):
        """`draw` of one batch: `place` is its number, how many there are, and its first row."""
        batch, batches, begin = place

        def guided(core, own, operands):
            """Calls a compiled core with or without classifier-free guidance."""
            alone = {name: given[name] for name in given if name != "whole_without"}

            def without():
                return self._jitted(core, False, *own)(alone, *operands, 1.0)

            def guide():
                return self._jitted(core, True, *own)(given, *operands, scale)

            if choices.guided is None:
                return tf.cond(scale == 1, without, guide)
            return guide() if choices.guided else without()

        if choices.solver == METROPOLIS:
            x = guided(self._chain, [], [x, sigmas, key, begin])
            return self.after_report(x, (batch + 1) // batches, 1) if choices.reports else x
        steps = self._solver(choices.solver, gaps)
        run, total = start(x, steps), evaluations(sigmas, steps)

        def piece(run, count):
            operands = [run, sigmas, key, gaps, count, begin]
            return guided(self._advance, [choices.solver], operands)

        if not choices.reports:
            return piece(run, total).x
        count = tf.maximum(batches * total // PIECES, 1)

        def body(run):
            run = piece(run, count)
            done = (batch * total + run.index) // batches
            return (self.after_report(run, done, total),)

        return tf.while_loop(lambda run: run.index < total, body, (run,))[0].x

    def after_report(self, tensors, done, total):
        """The tensors, once a person was told how far a run has come."""
        reported = tf.py_function(
            lambda done, total: self.progress(int(done), int(total)), [done, total], []
        )
        with tf.control_dependencies([reported]):
            return tf.nest.map_structure(tf.identity, tensors)

    # The opposite ways

    def density(self, method, given, x0, observed, num_steps, key):
        """Log-density `(rows,)` of channels: see `tfgen.sampling.likelihood`."""
        sigmas = self.levels(num_steps)
        return self._of_rows((given, x0, observed), sigmas, key, core=(self._density, method))

    def upward(self, given, x0, num_steps):
        """The latents of channels: the noise from which the ODE leads to them."""
        sigmas = self.levels(num_steps)
        return self._of_rows((given, x0), sigmas, core=(self._upward,)) / sigmas[0]

    def downward(self, given, latents, num_steps):
        """The channels of latents."""
        sigmas = self.levels(num_steps)
        return self._of_rows((given, latents * sigmas[0]), sigmas, core=(self._downward,))

    def _of_rows(self, rows, *operands, core):
        """What a compiled core gives of rows and other operands."""
        return in_sizes(rows, lambda rows, beyond: self._jitted(*core)(*rows, *operands))

    def once(self, given):
        """What is `given`, with a network that is traced once for all that is compiled.

        Tracing it takes seconds, and each loop, with guidance and without, would do so anew.
        """

        def network(x, c_noise, drop, record, **optional):
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
            function = self.kept(
                ("network", *specs.items()),
                lambda: tf.function(
                    lambda given: self.denoiser.network(**given),
                    input_signature=[specs],
                    autograph=False,
                ),
            )
            return function(tensors)

        return {**given, "network": network}

    # The compiled cores

    def _denoiser(self, guided, given, guidance_scale):
        if not guided:
            return self.denoiser.denoiser(self.once(given))
        given = dict(given)
        without = given.pop("whole_without")
        twice = tf.nest.map_structure(
            lambda x: None if x is None else tf.concat([x, x], axis=0), given
        )
        twice["whole"] = tf.concat([given["whole"], without], axis=0)
        return classifier_free_joint(self.denoiser.denoiser(self.once(twice)), guidance_scale)

    def _energy(self, guided, given, guidance_scale):
        if not guided:
            return self.denoiser.energies(given)
        given = dict(given)
        without = {**given, "whole": given.pop("whole_without")}
        energies = self.denoiser.energies(given), self.denoiser.energies(without)
        return weighted_energy(energies, (guidance_scale, 1.0 - guidance_scale))

    def limits(self, valid, units=None):
        """What every estimate of the denoiser goes through, or None."""
        limits, threshold = self.emission.limits, self.denoiser.threshold
        if threshold == "none" or not np.isfinite(limits).any():
            return None
        if units is not None:
            origin, unit = units
            limits = [(limit - origin) / unit for limit in limits]
        if threshold == "dynamic":
            valid = None if valid is None else valid[..., None]
            return thresholding.dynamic(*limits, valid=valid)
        return thresholding.static(lambda x0_hat: tf.clip_by_value(x0_hat, *limits))

    def _solver(self, name, gaps):
        if name == "repaint":
            return repaint(*gaps)
        return make_solver("ddpm" if name == "guidance" else name)

    def _advance(self, guided, solver, given, run, sigmas, key, gaps, count, begin, guidance_scale):
        denoiser = self._denoiser(guided, given, guidance_scale)
        if solver == "guidance":
            denoiser = reconstruction(denoiser, *gaps[:2], sigma_data=self.denoiser.sigma_data)
        valid = given["valid"]
        with random.rows_from(begin):
            if len(sigmas.shape) > 1:  # levels by position
                denoiser = self._by_position(denoiser, tf.shape(run.x), key)
            return advance(
                denoiser,
                run,
                sigmas,
                self._solver(solver, gaps),
                key,
                count,
                self.limits(valid, given.get("units")),
                self.denoiser.self_condition,
                None if valid is None else valid[..., None],
            )

    def _by_position(self, denoiser, shape, key):
        """A denoiser that takes levels by position, and leaves what is clean."""
        if self.denoiser.noise_levels != "shared":
            return windows.held(denoiser, self.denoiser.sigma_min)
        return windows.raised(denoiser, random.normal(random.fold(key, _HELD), shape))

    def _chain(self, guided, given, x, sigmas, key, begin, guidance_scale):
        energy, valid = self._energy(guided, given, guidance_scale), given["valid"]
        valid = None if valid is None else valid[..., None]
        with random.rows_from(begin):
            return mala(energy, x, sigmas, key, valid=valid).x

    def _density(self, method, given, x0, observed, sigmas, key):
        prior = tf.sqrt(tf.square(sigmas[0]) + self.denoiser.sigma_data**2)
        operands = {"prior_std": prior, "valid": observed}
        if method == "elbo":
            denoiser = self.denoiser.denoiser(self.once(given))
            return likelihood.elbo(denoiser, x0, sigmas, key, continuous=True, **operands)
        # The gradient of a function's call would be one of its weights, too: the network's own
        # operations are traced here.
        denoiser = self.denoiser.denoiser(given)
        return likelihood.log_likelihood(denoiser, x0, sigmas, key, **operands)

    def _upward(self, given, x0, sigmas):
        return inversion.encode(self.denoiser.denoiser(self.once(given)), x0, sigmas)

    def _downward(self, given, latents, sigmas):
        return inversion.decode(self.denoiser.denoiser(self.once(given)), latents, sigmas)
