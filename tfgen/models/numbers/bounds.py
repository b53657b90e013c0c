"""What holds numbers inside the bounds of the data, and what a value at a bound stands for."""

import numpy as np
import tensorflow as tf

from tfgen.layers.cells import Cells
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


def censored(positions, numbers, scaled):
    """What values stand for where those beyond a bound were recorded as the bound.

    Args:
        positions: `Positions` of a frame of 1, of data with bounds.
        numbers: float32 `(..., numbers)`, in the data's units.
        scaled: The same, as a head tells them.

    Returns:
        `Cells`, and bool `(..., numbers)`: which values are at a bound.
    """
    low, high = positions.processor.bounds
    columns = np.flatnonzero(np.isfinite(low) | np.isfinite(high))
    at_low, at_high = numbers <= low, numbers >= high
    edges, below, above = (tf.gather(each, columns, axis=-1) for each in (scaled, at_low, at_high))
    lower, upper = tf.where(below, -np.inf, edges), tf.where(above, np.inf, edges)
    return Cells(columns, lower, upper), at_low | at_high
