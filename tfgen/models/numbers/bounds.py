"""What holds numbers inside the bounds of the data."""

import numpy as np
import tensorflow as tf

from tfgen.layers.clip_by_value import ClipByValue


def bounds_of(positions):
    """The layer that holds numbers inside the data's bounds; None where there are none."""
    bounds = positions.processor.bounds
    if not np.isfinite(np.stack(bounds)).any():
        return None
    low, high = (np.tile(side, positions.frame) for side in bounds)
    # It holds samples: in training there is nothing for a metric to measure.
    layer = ClipByValue(low, high, "hard", report=False, dtype="float32", name="bounds")
    layer.build((None, None, len(low)))
    return layer


def held(bounds, numbers):
    """Numbers `(..., width)` held inside bounds, and the share `(...)` that was outside."""
    if bounds is None:
        return numbers, tf.zeros(tf.shape(numbers)[:-1])
    inside = bounds(numbers)
    return inside, tf.reduce_mean(tf.cast(inside != numbers, tf.float32), axis=-1)
