"""Langevin dynamics: annealed, as a corrector, and with Metropolis' accept step.

The score of the noisy data is `(x0_hat - x) / sigma**2`; a step of length `step_size` is one of
`step_size * sigma**2` in the units of x squared, so that one number serves every level.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.sampling import random
from tfgen.sampling.denoising import cast, expand
from tfgen.sampling.solvers import Solver, towards


def langevin(corrector_steps=100, step_size=0.2):
    """Annealed Langevin dynamics, arXiv:1907.05600, algorithm 1.

    If the levels end at 0, the denoiser has the last word, as in arXiv:2009.05475.

    Args:
        corrector_steps: Integer from 1 up: steps at each level, T in the paper.
        step_size: Number above 0, epsilon / sigma_L^2 in the paper.
    """

    def evaluations(place):
        return place.steps * corrector_steps + tf.cast(place.to_zero, tf.int32)

    def arrive(place, x):
        return x, place.sigma(tf.minimum(place.index // corrector_steps, place.steps - 1))

    def update(place, x, sigma, x0_hat, _previous, memory):
        length = cast(step_size, x.dtype)
        moved = x + length / 2.0 * (x0_hat - x) + sigma * tf.sqrt(length) * place.noise(x)
        return tf.where(place.index // corrector_steps == place.steps, x0_hat, moved), memory

    return Solver(evaluations, arrive, update)


def predictor_corrector(corrector_steps=1, snr=0.16):
    """Predictor-corrector sampling, arXiv:2011.13456, algorithm 2.

    Predictor: reverse diffusion. Corrector: Langevin steps at the level just reached, their length
    `2 * (snr * |noise| / |score|)**2`, the norms being those of each row.

    Args:
        corrector_steps: Integer from 0 up: Langevin steps after each step.
        snr: Number above 0, r in the paper.
    """
    block = corrector_steps + 1

    def evaluations(place):
        return place.steps * block - tf.where(place.to_zero, corrector_steps, 0)

    def arrive(place, x):
        step, correcting = place.index // block, place.index % block > 0
        return x, place.sigma(step + tf.cast(correcting, tf.int32))

    def update(place, x, sigma, x0_hat, _previous, memory):
        step, correcting = place.index // block, place.index % block > 0
        noise = place.noise(x)
        following = place.sigma(step + 1)
        fall = tf.maximum(tf.square(sigma) - tf.square(following), 0.0)
        # x0_hat itself at level 0, where the noise of the last step would stay.
        predicted = towards(x, sigma, x0_hat, tf.square(following) / sigma)
        predicted += tf.where(following > 0, tf.sqrt(fall), 0.0) * noise

        score = (x0_hat - x) / tf.square(sigma)
        ratio = _norm(noise, place.valid) / tf.maximum(_norm(score, place.valid), 1e-20)
        length = 2.0 * tf.square(cast(snr, x.dtype) * ratio)
        corrected = x + length * score + tf.sqrt(2.0 * length) * noise
        return tf.where(correcting, corrected, predicted), memory

    return Solver(evaluations, arrive, update)


class Chain(NamedTuple):
    """Where Markov chains have come to.

    Attributes:
        x: float `(batch, time, channels)`.
        acceptance: float `(levels, batch)`: the share of proposals taken at each level above 0, in
            the dtype of x; 0 at the levels behind the end.
    """

    x: Any
    acceptance: Any


def mala(energy, x, sigmas, key, corrector_steps=10, step_size=0.2, predictor=True, valid=None):
    """Metropolis-adjusted Langevin dynamics, from level to level.

    At each level, `corrector_steps` proposals of a Langevin step, each taken with the probability
    that makes `exp(-energy)` exactly the stationary distribution, whatever the step size (Roberts &
    Tweedie 1996, "Exponential convergence of Langevin distributions"). It takes
    `corrector_steps + 1` evaluations of the energy and of its gradient at each level.

    Args:
        energy: Function `(x, sigma (batch,))` -> `(batch,)`, minus the logarithm of a density at
            that level, up to a constant, differentiable in x.
        x: float `(batch, time, channels)`, at level `sigmas[0]`.
        sigmas: float `(levels,)`, falling, or `(levels, batch)`. A 0 is the end: there the chains
            stay at the level before, but for the predictor's step.
        key: int32 `(2,)`.
        corrector_steps: Integer from 0 up, or int32 scalar tensor: proposals at each level.
        step_size: Number above 0, or float `(levels,)`: steps are `step_size * sigma**2`.
        predictor: Whether each level begins with a deterministic step from the one before (DDIM's,
            `x0_hat` being `x - sigma**2 * gradient`), instead of where that one ended. It costs no
            evaluation.
        valid: bool, broadcast against x: which numbers are no padding. The others stay as they are.

    Returns:
        A `Chain`.
    """
    shape = x.shape
    sigmas = cast(sigmas, x.dtype)
    batch = tf.shape(x)[0]
    count = tf.shape(sigmas)[0]
    step_sizes = tf.broadcast_to(cast(step_size, x.dtype), [count])
    sigmas = tf.broadcast_to(tf.reshape(sigmas, [count, -1]), [count, batch])
    levels = tf.reduce_sum(tf.cast(tf.reduce_any(sigmas > 0, axis=1), tf.int32))
    block = corrector_steps + 1

    def gradient_of(x, sigma):
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = energy(x, sigma)
        slope = tape.gradient(values, x)
        return values, slope if valid is None else tf.where(valid, slope, 0.0)

    def body(index, x, values, slope, taken):
        level = index // block
        first = index % block == 0
        sigma = tf.gather(sigmas, level)
        length = expand(tf.gather(step_sizes, level) * tf.square(sigma), x)
        here = random.fold(key, index)
        noise = tf.cast(random.normal(random.fold(here, 0), tf.shape(x)), x.dtype)
        if valid is not None:
            noise = tf.where(valid, noise, 0.0)
        proposal = x - length / 2.0 * slope + tf.sqrt(length) * noise
        # The first evaluation of a level is that of its starting point.
        proposal = tf.where(first, x, proposal)
        new_values, new_slope = gradient_of(proposal, sigma)

        back = x - proposal + length / 2.0 * new_slope  # what noise would lead back, scaled
        forth = _total(tf.square(noise)) / 2.0
        log_ratio = values - new_values + forth - _total(tf.square(back) / (2.0 * length))
        draw = tf.cast(random.uniform(random.fold(here, 1), [batch]), x.dtype)
        accepted = tf.math.log(draw) < log_ratio
        share = tf.cast(accepted & ~first, x.dtype) / tf.cast(tf.maximum(block - 1, 1), x.dtype)
        taken = tf.tensor_scatter_nd_add(taken, [[level]], share[None])

        accepted |= first
        chosen = accepted[(..., *[None] * (len(shape) - 1))]
        x = tf.where(chosen, proposal, x)
        slope = tf.where(chosen, new_slope, slope)
        values = tf.where(accepted, new_values, values)
        if predictor:
            following = expand(tf.gather(sigmas, tf.minimum(level + 1, count - 1)), x)
            wide = expand(sigma, x)
            moved = towards(x, wide, x - tf.square(wide) * slope, following)
            x = tf.where(index % block == block - 1, moved, x)
        return index + 1, tf.ensure_shape(x, shape), values, tf.ensure_shape(slope, shape), taken

    rows = tf.zeros([batch], x.dtype)
    taken = tf.zeros([count, batch], x.dtype)
    _, x, _, _, taken = tf.while_loop(
        lambda index, *_: index < levels * block,
        body,
        (tf.constant(0), x, rows, tf.zeros_like(x), taken),
    )
    return Chain(x, taken)


def _total(x):
    """The sum of each row: `(batch,)`."""
    return tf.reduce_sum(x, axis=list(range(1, len(x.shape))))


def _norm(x, valid):
    """The Euclidean norm of the valid numbers of each row, with axes of 1: `(batch, 1, ...)`."""
    x = x if valid is None else tf.where(valid, x, 0.0)
    return tf.sqrt(tf.reduce_sum(tf.square(x), axis=list(range(1, len(x.shape))), keepdims=True))
