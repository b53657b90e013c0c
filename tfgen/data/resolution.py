"""`find_step`: the steps in which a column of numbers was recorded, if there are any."""

import math
from typing import NamedTuple

import numpy as np

# More digits behind the point than people record; what has more is computed.
_MOST_DECIMALS = 6
# In steps are numbers that each come so often, on average.
_LEAST_REPEATS = 4


class Step(NamedTuple):
    """Numbers `offset + k * size`, rounded to `decimals`, for integers k.

    The size may have more decimals than the numbers: knots as miles an hour are 0, 1.15, 2.3, 3.45.
    """

    size: float
    offset: float
    decimals: int


def find_step(values):
    """The steps in which numbers were recorded.

    Args:
        values: Floats `(count,)`, NaN missing.

    Returns:
        A `Step`; None where the numbers hardly repeat, or are no multiples of anything.
    """
    values = np.asarray(values)
    values = values[np.isfinite(values)]
    found = np.unique(values)
    if len(found) < 3 or len(values) < _LEAST_REPEATS * len(found):
        return None
    decimals = max(map(_decimals, found))
    if decimals > _MOST_DECIMALS:
        return None
    units = np.rint(found.astype(np.float64) * 10.0**decimals)
    if np.abs(units).max() > 2**52:
        return None
    gaps = np.diff(units)
    common = math.gcd(*gaps.astype(np.int64).tolist())
    size, offset = float(common), units[0] % common
    uneven = _uneven(units, gaps.min()) if gaps.min() > 2 * common else None
    if uneven is not None:
        size, offset = uneven, 0.0
    scale = 10.0**-decimals
    return Step(round(size * scale, 12), round(offset * scale, 12), decimals)


def _decimals(value):
    """Digits behind the point of a float, of the shortest text that reads as the same float."""
    text = np.format_float_positional(value, unique=True, trim="-")
    return len(text.partition(".")[2])


def _uneven(units, size):
    """A step that is no integer, of integers that are its multiples but for rounding; or None.

    The step is told ever better from ever more of the numbers, so that the last ones are counted
    rightly: an error of 0.01 in a step is a whole step after 100.
    """
    count = 2
    while True:
        part = units[:count] - units[0]
        steps = np.rint(part / size)
        size, start = np.polyfit(steps, part, 1) if count > 2 else (part[1] / steps[1], 0.0)
        if size < 2 or np.abs(part - start - size * steps).max() > 1:
            return None
        if count == len(units):
            break
        count = min(2 * count, len(units))
    # Every step that is rounded to these numbers; in the middle of what they leave open.
    steps = np.rint(units / size)
    steps, units = np.abs(steps[steps != 0]), np.abs(units[steps != 0])
    low, high = ((units - 0.5) / steps).max(), ((units + 0.5) / steps).min()
    return (low + high) / 2 if low < high else None
