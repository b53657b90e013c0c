"""What distributions of one number have between two edges, or beyond one: logs of their masses.

In float32 and of functions that XLA computes in vectors, with gradients that stay finite far out.
"""

import math

import numpy as np
import tensorflow as tf

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
# Below this many standard deviations the series of Abramowitz and Stegun, 26.2.12, is as exact as
# float32; above it erfc is.
_FAR = -8.0
# A cell this narrow, in standard deviations, is one of the density's values times its width: the
# difference of two distribution functions would leave it few digits.
_NARROW = 0.03


@tf.custom_gradient
def log_normal_cdf(z):
    """Log of the standard normal's distribution function, at any z."""
    near = tf.maximum(z, _FAR)
    log_near = tf.math.log(0.5 * tf.math.erfc(near * -math.sqrt(0.5)))
    far = tf.minimum(z, _FAR)
    r = 1.0 / tf.square(far)
    series = 1.0 - r * (1.0 - 3.0 * r * (1.0 - 5.0 * r * (1.0 - 7.0 * r)))
    log_far = -0.5 * tf.square(far) - HALF_LOG_2_PI - tf.math.log(-far) + tf.math.log(series)
    value = tf.where(z < _FAR, log_far, log_near)

    def gradient(upstream):
        return upstream * tf.exp(-0.5 * tf.square(z) - HALF_LOG_2_PI - value)

    return value, gradient


def log_normal_mass(lower, upper):
    """Log of the standard normal's mass between two edges.

    Args:
        lower: Float tensor; `-inf` is open.
        upper: The same, above `lower`; `inf` is open.

    Returns:
        Float tensor, of which neither the values nor the gradients of finite edges are infinite or
        NaN.
    """
    # On the side where both distribution functions are small, and differ.
    mirrored = lower > -upper  # an open lower edge is not
    a, b = tf.where(mirrored, -upper, lower), tf.where(mirrored, -lower, upper)
    opened, closed = tf.math.is_inf(a), tf.math.is_inf(b)
    b = tf.where(closed, 0.0, b)
    a = tf.where(opened, b - 1.0, a)
    width = b - a
    narrow = ~opened & ~closed & (width < _NARROW)
    log_b = tf.where(closed, 0.0, log_normal_cdf(b))
    # exp(log_a - log_b) is what is cut off; 1 would be everything, and has no gradient.
    log_share = log_normal_cdf(a) - log_b
    share = tf.where(opened | narrow, -1.0, tf.minimum(log_share, -1e-6))
    wide = log_b + tf.where(opened, 0.0, tf.math.log1p(-tf.exp(share)))
    # The density's exponent over a cell is nearly a straight line.
    middle, half = 0.5 * (a + b), tf.where(narrow, 0.5 * width, 0.5)
    slope = tf.where(narrow, middle, 0.0) * half
    thin = -0.5 * tf.square(middle) - HALF_LOG_2_PI + tf.math.log(2.0 * half) + _log_sinhc(slope)
    thin -= tf.square(half) / 6.0
    return tf.where(narrow, thin, wide)


def _log_sinhc(x):
    """`log(sinh(x) / x)`."""
    x = tf.abs(x)
    small = x < 0.1
    near, far = tf.where(small, x, 0.0), tf.where(small, 1.0, x)
    series = tf.square(near) * (1.0 / 6.0 - tf.square(near) / 180.0)
    return tf.where(
        small, series, far - tf.math.log(2.0 * far) + tf.math.log1p(-tf.exp(-2.0 * far))
    )


# Gauss and Legendre's nodes and weights on (0, 1), for the distribution function of Student's t:
# the incomplete beta function of TensorFlow has no gradient by the degrees of freedom.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_NODES, _WEIGHTS = np.float32((_NODES + 1) / 2), np.float32(_WEIGHTS / 2)


def student_t_log_density(z, df, log_constant):
    """Log density of the standard Student-t; the constant is its value at 0."""
    return log_constant - 0.5 * (df + 1.0) * tf.math.log1p(tf.square(z) / df)


def log_student_t_tail(z, df, log_constant):
    """Log of the standard Student-t's mass above each z.

    Args:
        z: Float tensor.
        df: Degrees of freedom, at least 2, of a shape that broadcasts against it.
        log_constant: The log density at 0, likewise.
    """
    far = tf.abs(z)
    # How far above it the mass lies: a share of z where the tail is a power, of 1 at the middle.
    length = (df + tf.square(far)) / ((df + 1.0) * (far + 1.0))
    x = length[..., None] * (_NODES / (1 - _NODES))
    growth = (2.0 * far[..., None] * x + tf.square(x)) / (df + tf.square(far))[..., None]
    heights = -0.5 * (df + 1.0)[..., None] * tf.math.log1p(growth)
    total = tf.reduce_logsumexp(heights + np.log(_WEIGHTS / (1 - _NODES) ** 2), axis=-1)
    tail = student_t_log_density(far, df, log_constant) + tf.math.log(length) + total
    # Half and more: what lies on the other side is taken from 1.
    other = tf.math.log1p(-tf.exp(tf.where(z < 0, tail, -1.0)))
    return tf.where(z < 0, other, tail)


def log_student_t_mass(lower, upper, df, log_constant):
    """Log of the standard Student-t's mass between two edges.

    Args:
        lower: Float tensor; `-inf` is open.
        upper: The same, above `lower`; `inf` is open.
        df: As of `log_student_t_tail`.
        log_constant: Likewise.

    Returns:
        Float tensor, of which neither the values nor the gradients of finite edges are infinite or
        NaN.
    """
    mirrored = -lower > upper
    a, b = tf.where(mirrored, -upper, lower), tf.where(mirrored, -lower, upper)
    # Now the upper edge is the one that lies further out.
    opened, closed = tf.math.is_inf(b), tf.math.is_inf(a)
    a = tf.where(closed, 0.0, a)
    b = tf.where(opened, tf.maximum(a, 0.0) + 1.0, b)
    narrow = ~opened & ~closed & (b - a < 0.5 * (1.0 + tf.maximum(a, 0.0)))
    # Within a cell in which the density is smooth, by its own quadrature.
    width = tf.where(narrow, b - a, 1.0)
    points = tf.where(narrow, a, 0.0)[..., None] + width[..., None] * _NODES
    heights = student_t_log_density(points, df[..., None], log_constant[..., None])
    thin = tf.math.log(width) + tf.reduce_logsumexp(heights + np.log(_WEIGHTS), axis=-1)
    above_a = log_student_t_tail(a, df, log_constant)
    above_b = log_student_t_tail(b, df, log_constant)
    above_a = tf.where(closed, 0.0, above_a)
    share = tf.where(opened | narrow, -1.0, tf.minimum(above_b - above_a, -1e-6))
    wide = above_a + tf.where(opened, 0.0, tf.math.log1p(-tf.exp(share)))
    return tf.where(narrow, thin, wide)
