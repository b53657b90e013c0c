"""The wrapped normal distribution: what is left of a normal number after whole turns.

Mardia & Jupp, "Directional Statistics" (2000), section 3.5.7. Angles are in radians.
"""

import math

import numpy as np
import tensorflow as tf

from tfgen.layers.masses import HALF_LOG_2_PI, log_normal_mass

TURN = 2 * math.pi
# Up to this standard deviation three turns are all that counts in float32, and from it on four
# harmonics are: the next ones are below 1e-7 of the density.
_WIDE = 1.5
_TURNS = np.float32([-TURN, 0.0, TURN])
_HARMONICS = np.arange(1, 5, dtype=np.float32)


def wrapped(angle):
    """An angle less whole turns, between -pi and pi."""
    return angle - TURN * tf.round(angle / TURN)


def wrapped_normal_log_prob(deviation, scale):
    """Log density of an angle.

    Args:
        deviation: Float tensor: the angle less the location, of any number of turns.
        scale: Positive float tensor, the standard deviation of the normal number.
    """
    deviation = wrapped(deviation)[..., None]
    narrow, wide = _both(scale)
    z = (deviation + _TURNS) / narrow[..., None]
    near = tf.reduce_logsumexp(-0.5 * tf.square(z), axis=-1) - tf.math.log(narrow) - HALF_LOG_2_PI
    waves = _heights(wide) * tf.cos(_HARMONICS * deviation)
    far = tf.math.log((1.0 + 2.0 * tf.reduce_sum(waves, axis=-1)) / TURN)
    return tf.where(scale < _WIDE, near, far)


def log_wrapped_normal_mass(lower, upper, scale):
    """Log of the mass between two angles.

    Args:
        lower: Float tensor, an angle less the location, of any number of turns.
        upper: The same, above it by at most one turn.
        scale: As of `wrapped_normal_log_prob`.
    """
    middle, half = wrapped(0.5 * (lower + upper))[..., None], 0.5 * (upper - lower)[..., None]
    narrow, wide = _both(scale)
    lower, upper = (middle + sign * half + _TURNS for sign in (-1, 1))
    narrow = narrow[..., None]
    near = tf.reduce_logsumexp(log_normal_mass(lower / narrow, upper / narrow), axis=-1)
    # sin(n b) - sin(n a) of the edges about their middle.
    waves = 2.0 * tf.cos(_HARMONICS * middle) * tf.sin(_HARMONICS * half) / _HARMONICS
    far = tf.math.log((2.0 * half[..., 0] + 2.0 * tf.reduce_sum(_heights(wide) * waves, -1)) / TURN)
    return tf.where(scale < _WIDE, near, far)


def _both(scale):
    """The scale on either side of where the formulas change, harmless on the other."""
    return tf.minimum(scale, _WIDE), tf.maximum(scale, _WIDE)


def _heights(scale):
    """The harmonics' heights `(..., harmonics)`."""
    return tf.exp(-0.5 * tf.square(_HARMONICS * scale[..., None]))
