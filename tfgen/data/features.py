"""`Feature`: one channel of sequences of numbers, and how it was recorded."""

import dataclasses
from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """Numbers `offset + k * size`, rounded to `decimals`, for integers k.

    The size may have more decimals than the numbers: knots as miles an hour are 0, 1.15, 2.3, 3.45.
    """

    size: float
    offset: float = 0.0
    decimals: int = 0

    def nearest(self, values):
        """The numbers of this step that are nearest to values, a float64 array."""
        values = np.asarray(values, np.float64)
        steps = np.rint((values - self.offset) / self.size)
        return np.round(steps * self.size + self.offset, self.decimals)

    def goes_round(self, period):
        """Whether a whole number of steps is a period."""
        steps = period / self.size
        return round(steps) >= 1 and abs(steps - round(steps)) <= 1e-3


class Circle(NamedTuple):
    """Numbers from `start` to `start + period`, after which they begin again."""

    period: float
    start: float = 0.0

    @classmethod
    def of(cls, period, least):
        """The circle of numbers of which this is the least: about 0 if that is below it."""
        return cls(period, 0.0 if least >= 0 else -period / 2)


@dataclasses.dataclass(frozen=True)
class Feature:
    """One channel of a sequence.

    Attributes:
        name: The column's name.
        levels: Of a category, what its values 0, 1, ... stand for; empty for a number.
        low: The least value there can be, in the data's units; None where there is no such bound.
        high: The greatest, likewise.
        step: `Step` in which it was recorded; None of what is no multiple.
        circle: `Circle` of what begins again after a period; None elsewhere.
    """

    name: str
    levels: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    step: Step | None = None
    circle: Circle | None = None

    @property
    def is_category(self):
        return bool(self.levels)

    @property
    def is_count(self):
        """Whether it is a whole number from 0 without an end."""
        return self.low == 0 and self.high is None and self.step == Step(1.0)


def bounds_of(features, origin=None, dtype=np.float32):
    """The bounds of numbers, infinite where open.

    Args:
        features: List of `Feature`s.
        origin: From where values are counted, a number for each; None is 0.
        dtype: NumPy's type of the values.

    Returns:
        `(low, high)`, arrays `(features,)`.
    """
    low = [-np.inf if feature.low is None else feature.low for feature in features]
    high = [np.inf if feature.high is None else feature.high for feature in features]
    if origin is None:
        return np.array(low, dtype), np.array(high, dtype)
    exact = [np.array(side, np.float64) - origin for side in (low, high)]
    low, high = (side.astype(dtype) for side in exact)
    # Rounded inwards, so that none is passed once the origin is added again.
    low = np.where(low < exact[0], np.nextafter(low, np.asarray(np.inf, dtype)), low)
    high = np.where(high > exact[1], np.nextafter(high, np.asarray(-np.inf, dtype)), high)
    return low, high
