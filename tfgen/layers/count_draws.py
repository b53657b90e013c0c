"""Gamma and Poisson numbers of uniform and normal ones, by rejection with a fixed number of tries.

As a compiled loop takes them: no random numbers are made here, and shapes are static. All tries
fail once in some 100 million draws; the last one, or the mean, is taken then.
"""

import numpy as np
import tensorflow as tf

GAMMA_TRIES, POISSON_TRIES = 6, 10
POISSON_UNIFORMS = 1 + 2 * POISSON_TRIES
# Below this rate the distribution function is inverted; up to this number there is all of it.
_FEW, _MOST_OF_FEW = 10.0, 48


def gamma(shape, uniform, normal):
    """Draws from gamma distributions of scale 1.

    Marsaglia & Tsang, "A simple method for generating gamma variables" (2000); a shape below 1 by
    their section 6.

    Args:
        shape: Float64 `(...)`, positive.
        uniform: Float `(..., 1 + GAMMA_TRIES)` in (0, 1).
        normal: Float `(..., GAMMA_TRIES)`, standard normal.

    Returns:
        float64 `(...)`.
    """
    uniform, normal = tf.cast(uniform, tf.float64), tf.cast(normal, tf.float64)
    small = shape < 1.0
    d = tf.where(small, shape + 1.0, shape)[..., None] - 1.0 / 3.0
    v = 1.0 + normal / tf.sqrt(9.0 * d)
    v = tf.maximum(v, 1e-12) ** 3  # one below 0 is refused by its logarithm
    right = tf.math.log(uniform[..., 1:]) < 0.5 * normal**2 + d * (1.0 - v + tf.math.log(v))
    drawn = d[..., 0] * _first(right, v)
    boost = tf.exp(tf.math.log(uniform[..., 0]) / tf.where(small, shape, 1.0))
    return tf.where(small, drawn * boost, drawn)


def poisson(rate, uniform):
    """Draws from Poisson distributions.

    Small rates by inversion, others by PTRS of Hörmann, "The transformed rejection method for
    generating Poisson random variables" (1993).

    Args:
        rate: Float64 `(...)`, at least 0.
        uniform: Float `(..., POISSON_UNIFORMS)` in (0, 1).

    Returns:
        float64 `(...)`, whole numbers.
    """
    uniform = tf.cast(uniform, tf.float64)
    few = rate < _FEW
    # The number of k whose distribution function is below a uniform number.
    low = tf.minimum(rate, _FEW)[..., None]
    k = np.arange(_MOST_OF_FEW, dtype=np.float64)
    log_factorials = np.cumsum(np.log(np.maximum(k, 1.0)))
    logs = k * tf.math.log(tf.maximum(low, 1e-300)) - low - log_factorials
    passed = tf.cumsum(tf.exp(logs), axis=-1) < uniform[..., :1]
    small = tf.reduce_sum(tf.cast(passed, tf.float64), axis=-1)

    mu = tf.maximum(rate, _FEW)[..., None]
    u, v = tf.split(uniform[..., 1:], 2, axis=-1)
    u -= 0.5
    us = 0.5 - tf.abs(u)
    b = 0.931 + 2.53 * tf.sqrt(mu)
    a = -0.059 + 0.02483 * b
    k = tf.floor((2.0 * a / us + b) * u + mu + 0.43)
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    height = tf.math.log(v * inverse_alpha / (a / us**2 + b))
    inside = k >= 0
    log_prob = tf.maximum(k, 0.0) * tf.math.log(mu) - mu - tf.math.lgamma(tf.maximum(k, 0.0) + 1.0)
    quick = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2.0))
    slow = inside & ~((us < 0.013) & (v > us)) & (height <= log_prob)
    large = _first(quick | slow, tf.where(inside, k, tf.floor(mu)))
    return tf.where(few, small, large)


def _first(right, values):
    """Of the last axis the first of the values that are right; the last of all if none is."""
    index = tf.argmax(tf.cast(right, tf.int32), axis=-1, output_type=tf.int32)
    none = ~tf.reduce_any(right, axis=-1)
    index = tf.where(none, values.shape[-1] - 1, index)
    chosen = tf.one_hot(index, values.shape[-1], dtype=tf.bool, on_value=True, off_value=False)
    return tf.reduce_sum(tf.where(chosen, values, 0.0), axis=-1)
