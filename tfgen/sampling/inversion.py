"""Latents: every sequence has one noise that the probability-flow ODE takes to it.

    dx / dsigma = (x - D(x, sigma)) / sigma

arXiv:2206.00364, equation 1. Run upward it encodes, run downward it decodes; with `method="euler"`
it is the inversion of DDIM (arXiv:2010.02502, section 5.4).
"""

import tensorflow as tf

from tfgen.sampling.denoising import cast
from tfgen.sampling.ode import integrate


def encode(denoiser, x0, sigmas, method="heun"):
    """Returns the latent of a sequence: x at level `sigmas[0]`.

    The sequence is taken to be at the lowest level above 0, so choose that level below what counts.

    Args:
        denoiser: Function `(x, sigma (batch,))` -> expected clean sequence.
        x0: float `(batch, time, channels)`.
        sigmas: float `(levels,)`, falling, as for sampling; zeros do not count.
        method: `"euler"`, `"heun"` or `"rk4"`, of order 1, 2 and 4, of 1, 2 and 4 evaluations a
            step.

    Returns:
        float tensor like `x0`, of standard deviation about `sigmas[0]`.
    """
    return integrate(_slope(denoiser, x0), x0, sigmas, method, upward=True)


def decode(denoiser, latent, sigmas, method="heun"):
    """Returns the sequence of a latent; the inverse of `encode` up to the error of the steps.

    Args:
        denoiser: As of `encode`.
        latent: float `(batch, time, channels)`, at level `sigmas[0]`.
        sigmas: As of `encode`.
        method: As of `encode`.
    """
    return integrate(_slope(denoiser, latent), latent, sigmas, method)


def interpolate(first, second, fractions):
    """Returns latents on the great circle between two, row by row.

    The mean of two latents is shorter than any latent is; spherical interpolation (Shoemake 1985,
    "Animating rotation with quaternion curves") keeps the length. Between rows in nearly the same
    or nearly opposite directions it goes straight.

    Args:
        first: float `(batch, time, channels)`.
        second: float `(batch, time, channels)`.
        fractions: float `(steps,)`; 0 is the first, 1 the second.

    Returns:
        float `(batch, steps, time, channels)`.
    """
    dtype = first.dtype
    axes = list(range(1, len(first.shape)))
    fractions = cast(fractions, dtype)[(None, slice(None), *[None] * len(axes))]

    def dot(a, b):
        return tf.reduce_sum(a * b, axis=axes, keepdims=True)

    cosine = dot(first, second) / tf.sqrt(dot(first, first) * dot(second, second))
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))[:, None]
    sine = tf.sin(angle)
    straight = sine < 1e-4
    safe = tf.where(straight, 1.0, sine)
    of_first = tf.where(straight, 1.0 - fractions, tf.sin((1.0 - fractions) * angle) / safe)
    of_second = tf.where(straight, fractions, tf.sin(fractions * angle) / safe)
    return of_first * first[:, None] + of_second * second[:, None]


def _slope(denoiser, x):
    batch = tf.shape(x)[0]

    def slope(x, sigma):
        return (x - denoiser(x, tf.fill([batch], sigma))) / sigma

    return slope
