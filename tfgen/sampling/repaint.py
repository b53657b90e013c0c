"""RePaint: gaps filled by a model that knows nothing of gaps (arXiv:2201.09865, algorithm 1).

At each level the observed numbers are put in place, with new noise of that level. They and the rest
do not fit together at first: the rest was drawn without them. So a level is left upward again, by
adding noise, and come back to, several times, until they do. The result is a sample of the gap
given the observed numbers in the limit of many levels and many returns; `tests/sampling` shows how
far it is from that for a Gaussian process.
"""

import tensorflow as tf

from tfgen.sampling.denoising import cast
from tfgen.sampling.solvers import Solver, new_noise, towards

_STEP, _KNOWN, _BACK = 0, 1, 2  # purposes of the draws of one evaluation


def repaint(observed, known, resamplings=10, jump_length=1, eta=1.0):
    """Returns a solver that fills the gaps of sequences: `steps * resamplings` evaluations.

    It is given noise and levels that fall to 0, as any solver for
    `tfgen.sampling.diffusion.sample`; at level 0 the observed numbers are in x as they were given.

    Args:
        observed: float, broadcast against x; anything, NaN too, where nothing was observed.
        known: bool, broadcast against x: what was observed.
        resamplings: Integer from 1 up (or int32 scalar): how often each step is taken, U in
            the paper. Unlike there, the last step is repeated too.
        jump_length: Integer from 1 up (or int32 scalar): how many steps are taken and gone
            back at a time, the paper's jump length j.
        eta: Share of new noise in a step, as of `tfgen.sampling.solvers.ddim`; 1 is the paper's.
    """
    observed = tf.where(known, observed, 0)

    def evaluations(place):
        return place.steps * resamplings

    def position(place):
        """First step and steps of the jump, the step now taken and the returns before it."""
        block = tf.minimum(
            place.index // (resamplings * jump_length), (place.steps - 1) // jump_length
        )
        begin = block * jump_length
        length = tf.minimum(jump_length, place.steps - begin)
        within = place.index - begin * resamplings
        return begin, length, begin + within % length, within // length

    def arrive(place, x):
        _, _, step, _ = position(place)
        first = tf.cast(place.index == 0, x.dtype)
        return x + first * tf.where(known, cast(observed, x.dtype), 0.0), place.sigma(step)

    def update(place, x, sigma, x0_hat, _previous, memory):
        begin, length, step, returned = position(place)
        following = place.sigma(step + 1)
        up = new_noise(sigma, following, eta)
        down = tf.sqrt(tf.maximum(tf.square(following) - tf.square(up), 0.0))
        drawn = towards(x, sigma, x0_hat, down) + up * place.noise(x, _STEP)
        there = cast(observed, x.dtype) + following * place.noise(x, _KNOWN)

        going_back = (step == begin + length - 1) & (returned < resamplings - 1)
        rise = tf.square(place.sigma(begin)) - tf.square(following)
        rise = tf.where(going_back, tf.sqrt(tf.maximum(rise, 0.0)), 0.0)
        return tf.where(known, there, drawn) + rise * place.noise(x, _BACK), memory

    return Solver(evaluations, arrive, update)
