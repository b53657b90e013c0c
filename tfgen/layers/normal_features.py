"""Log densities of normal numbers and of wrapped normal angles, of points and of cells."""

import numpy as np
import tensorflow as tf

from tfgen.layers.checks import check, is_int
from tfgen.layers.masses import HALF_LOG_2_PI
from tfgen.layers.wrapped_normal import TURN, wrapped_normal_log_prob


def normal_log_prob(z, scale):
    """Log density of `scale * z` where `z` is standard normal."""
    return -0.5 * (tf.square(z) + 2 * HALF_LOG_2_PI) - tf.math.log(scale)


def normal_features(values, means, scales, circular=(), cells=None):
    """Log densities of independent features.

    Args:
        values: float32 `(..., features)`, none missing.
        means: The same, broadcast against them.
        scales: Likewise, positive.
        circular: Which features are angles in radians: wrapped normal.
        cells: `Cells` whose masses take the place of densities; None is none.

    Returns:
        float32 `(..., features)`.
    """
    deviations = values - means
    log_probs = normal_log_prob(deviations / scales, scales)
    if circular:
        turned = (tf.gather(each, circular, axis=-1) for each in (deviations, scales))
        log_probs = put(log_probs, circular, wrapped_normal_log_prob(*turned))
    return log_probs if cells is None else cells.normal(log_probs, means, scales, circular)


def circular_mean(means, scales, weights, circular):
    """Means `(..., features)` of mixtures; of angles the direction of their mean.

    Args:
        means: `(..., components, features)`.
        scales: The same.
        weights: `(..., components, 1)`.
        circular: Which features are angles.
    """
    mean = tf.reduce_sum(weights * means, axis=-2)
    if not circular:
        return mean
    means, scales = (tf.gather(each, circular, axis=-1) for each in (means, scales))
    weights = weights * tf.exp(-0.5 * tf.square(scales))
    across, along = (tf.reduce_sum(weights * f(means), axis=-2) for f in (tf.sin, tf.cos))
    return put(mean, circular, tf.atan2(across, along))


def angle_starts(starts, circular):
    """Where components start `(components, features)`: angles evenly around the circle."""
    count = len(starts)
    for feature in circular:
        order = np.argsort(np.argsort(starts[:, feature]))
        starts[:, feature] = TURN * ((order + 0.5) / count - 0.5)
    return starts


def check_circular(features, circular):
    """Checks which of the features are angles; returns them as a list."""
    right = isinstance(circular, (list, tuple)) and all(is_int(each) for each in circular)
    right = right and len(set(circular)) == len(circular)
    right = right and all(0 <= each < features for each in circular)
    check(right, f"circular must be different integers from 0 to {features - 1}", circular=circular)
    return list(circular)


def put(tensor, columns, values):
    """A tensor `(..., features)` with others `(..., columns)` in the place of some of them."""
    rest = [n for n in range(tensor.shape[-1]) if n not in columns]
    order = np.argsort([*rest, *columns])
    if rest:
        values = tf.concat([tf.gather(tensor, rest, axis=-1), values], axis=-1)
    return values if (order == np.arange(len(order))).all() else tf.gather(values, order, axis=-1)
