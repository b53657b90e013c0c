"""How numbers were recorded: between bounds and in steps; what a value stands for, and samples."""

import numpy as np
import tensorflow as tf

from tfgen.layers.cells import Cells
from tfgen.layers.clip_by_value import ClipByValue
from tfgen.sampling import random
from tfgen.sampling.decode import sizes


class Recording:
    """What makes recorded values of any numbers, and what recorded values stand for.

    Numbers are rounded to the steps of their column, brought into the first turn of its circle, and
    held between its bounds. A recorded value stands for all that becomes it: the likelihood of `cells` and samples that are `held` belong
    together.

    Args:
        positions: `Positions`.
        bounded: Whether the data's bounds are kept.
        censored: Whether a value at a bound stands for all beyond it.
    """

    def __init__(self, positions, bounded=True, censored=False):
        self.positions = positions
        steps, origin = positions.processor.steps, positions.processor.origin
        self.stepped = np.flatnonzero([step is not None for step in steps])
        self.steps = [steps[number] for number in self.stepped]
        circles = enumerate(positions.processor.circles)
        self.circles = {number: circle for number, circle in circles if circle is not None}
        if origin is not None:  # from which numbers are counted
            self.steps = [
                step._replace(offset=(step.offset - origin[number]) % step.size)
                for number, step in zip(self.stepped, self.steps, strict=True)
            ]
        low, high = positions.processor.bounds
        self.bounds = None
        if bounded and np.isfinite([low, high]).any():
            # It holds samples: in training there is nothing for a metric to measure.
            self.bounds = ClipByValue(
                low, high, "hard", report=False, dtype="float32", name="bounds"
            )
            self.bounds.build((None, None, len(low)))
        ends = (np.isfinite(low) | np.isfinite(high)) & bool(self.bounds and censored)
        ends[self.stepped] = True
        self.columns = np.flatnonzero(positions.tiled(ends))
        self._ends = (-np.inf, np.inf)
        if censored:
            self._ends = positions.tiled(low), positions.tiled(high)

    def held(self, numbers):
        """Numbers of positions `(..., numbers)` as they are recorded, and the share `(...)` beyond
        the bounds."""
        frame = self.positions.frame
        if frame == 1:
            return self.recorded(numbers)
        shape = sizes(numbers)
        each = tf.reshape(numbers, [*shape[:-1], frame, self.positions.numbers // frame])
        inside, share = self.recorded(each)
        return tf.reshape(inside, shape), tf.reduce_mean(share, axis=-1)

    def recorded(self, numbers):
        """The same of the numbers of single samples `(..., columns)`."""
        if self.steps or self.circles:
            columns = tf.unstack(numbers, axis=-1)
            for index, step in zip(self.stepped, self.steps, strict=True):
                columns[index] = _nearest(step, columns[index])
            for index, circle in self.circles.items():
                columns[index] = _turned(circle, columns[index])
            numbers = tf.stack(columns, axis=-1)
        if self.bounds is None:
            return numbers, tf.zeros(tf.shape(numbers)[:-1])
        inside = self.bounds(numbers)
        return inside, tf.reduce_mean(tf.cast(inside != numbers, tf.float32), axis=-1)

    def spread(self, numbers, key):
        """Numbers `(..., numbers)`, those in steps evenly over their steps: what `held` undoes."""
        if not self.steps:
            return numbers
        sizes = np.zeros(self.positions.numbers, np.float32)
        sizes[self.stepped] = [step.size for step in self.steps]
        return numbers + sizes * (random.uniform(key, tf.shape(numbers)) - 0.5)

    def cells(self, numbers, told):
        """What values stand for.

        Args:
            numbers: float32 `(..., numbers)`, in the data's units, none missing.
            told: Function of numbers to what a head tells, which grows with them.

        Returns:
            `Cells`, and what is added to the log likelihood of each number for a density in the
            data's units: `(..., numbers)`, 0 at a bound, and NaN of what the head has a density of.
        """
        half, widths = np.zeros([2, self.positions.processor.num_numbers], np.float32)
        half[self.stepped] = [step.size / 2 for step in self.steps]
        widths[self.stepped] = [-np.log(step.size) for step in self.steps]
        half, widths = self.positions.tiled(half), self.positions.tiled(widths)
        low, high = self._ends
        below, above = numbers <= low, numbers >= high
        lower = tf.where(below, -np.inf, told(numbers - half))
        upper = tf.where(above, np.inf, told(numbers + half))
        points = tf.where(below | above, 0.0, np.float32(np.nan))
        added = tf.where(half > 0, widths, points)
        lower, upper = (tf.gather(each, self.columns, axis=-1) for each in (lower, upper))
        # What a scale has no number for, as a logarithm below 0, is below every one it has.
        lower = tf.where(tf.math.is_nan(lower), -np.inf, lower)
        return Cells(self.columns, lower, upper), added


def _turned(circle, values):
    """Values of any number of turns, within the first one."""
    # Rounding may give the whole period, where the next turn begins.
    values = circle.start + tf.math.floormod(values - circle.start, circle.period)
    return tf.where(values >= circle.start + circle.period, circle.start, values)


def _nearest(step, values):
    """`Step.nearest` of a tensor: in float64, for the digits of the data."""
    values = tf.cast(values, tf.float64)
    steps = tf.round((values - step.offset) / step.size)
    scale = 10.0**step.decimals
    return tf.cast(tf.round((steps * step.size + step.offset) * scale) / scale, tf.float32)
