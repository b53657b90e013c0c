"""RePaint: gaps filled by a model that knows nothing of gaps (arXiv:2201.09865, algorithm 1).

At each level the observed numbers are put in place, with new noise of that level. They and the rest
do not fit together at first: the rest was drawn without them. So a level is left upward again, by
adding noise, and come back to, several times, until they do. The result is a sample of the gap
given the observed numbers in the limit of many levels and many returns; `tests/sampling` shows how
far it is from that for a Gaussian process.
"""

import tensorflow as tf

from tfgen.sampling import random
from tfgen.sampling.denoising import cast
from tfgen.sampling.solvers import new_noise, towards

_STEP, _KNOWN, _BACK = 0, 1, 2  # purposes of the draws of one evaluation


def repaint(
    denoiser,
    x,
    sigmas,
    observed,
    known,
    key,
    resamplings=10,
    jump_length=1,
    eta=1.0,
    threshold=None,
    self_condition=False,
):
    """Fills the gaps of sequences, in one loop of `steps * resamplings` evaluations.

    Args:
        denoiser: Function `(x, sigma (batch,))` -> expected clean sequence, shaped as x.
        x: float `(batch, time, channels)`, noise of level `sigmas[0]`.
        sigmas: float `(levels,)`, falling to 0; see `tfgen.sampling.diffusion.sample`.
        observed: float, broadcast against x; anything, NaN too, where nothing was observed.
        known: bool, broadcast against x: what was observed.
        key: int32 `(2,)`; evaluation i draws from `fold(key, i)`.
        resamplings: Whole number from 1 up (or int32 scalar): how often each step is taken, U in
            the paper. Unlike there, the last step is repeated too.
        jump_length: Whole number from 1 up (or int32 scalar): how many steps are taken and gone
            back at a time, the paper's jump length j.
        eta: Share of new noise in a step, as of `tfgen.sampling.solvers.ddim`; 1 is the paper's.
        threshold: As of `tfgen.sampling.diffusion.sample`.
        self_condition: As there.

    Returns:
        float tensor like x; at level 0 the observed numbers are in it as they were given.
    """
    x = tf.convert_to_tensor(x)
    shape, dtype = x.shape, x.dtype
    batch = tf.shape(x)[0]
    sigmas = cast(sigmas, dtype)
    observed = tf.where(known, cast(observed, dtype), 0.0)
    positive = tf.reduce_sum(tf.cast(sigmas > 0, tf.int32))
    steps = tf.minimum(positive, tf.shape(sigmas)[0] - 1)
    last_block = (steps - 1) // jump_length

    def noise(key, purpose):
        return tf.cast(random.normal(random.fold(key, purpose), tf.shape(x)), dtype)

    def body(index, x, previous):
        block = tf.minimum(index // (resamplings * jump_length), last_block)
        begin = block * jump_length
        length = tf.minimum(jump_length, steps - begin)
        within = index - begin * resamplings
        step, returned = begin + within % length, within // length
        here = random.fold(key, index)
        sigma, following = tf.gather(sigmas, step), tf.gather(sigmas, step + 1)

        x0_hat = denoiser(x, tf.fill([batch], sigma), *((previous,) if self_condition else ()))
        if threshold is not None:
            x0_hat = threshold(x0_hat)
        up = new_noise(sigma, following, eta)
        down = tf.sqrt(tf.maximum(tf.square(following) - tf.square(up), 0.0))
        drawn = towards(x, sigma, x0_hat, down) + up * noise(here, _STEP)
        x = tf.where(known, observed + following * noise(here, _KNOWN), drawn)

        going_back = (step == begin + length - 1) & (returned < resamplings - 1)
        rise = tf.square(tf.gather(sigmas, begin)) - tf.square(following)
        rise = tf.where(going_back, tf.sqrt(tf.maximum(rise, 0.0)), 0.0)
        x = x + rise * noise(here, _BACK)
        return index + 1, tf.ensure_shape(x, shape), tf.ensure_shape(x0_hat, shape)

    _, x, _ = tf.while_loop(
        lambda index, *_: index < steps * resamplings,
        body,
        (tf.constant(0), tf.where(known, observed + x, x), tf.zeros_like(x)),
    )
    return x
