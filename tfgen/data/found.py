"""`find_recording`: how columns look as if they were recorded, as settings of `[data]`."""

import math

import numpy as np

from tfgen.data.features import Circle
from tfgen.data.resolution import step_of

_ENOUGH = 50  # values, for shares of them to say anything
# At a bound lies at least this share, and so many times as much as at the value next to it.
_PILE, _TIMES = 0.03, 3
# Whole numbers from 0 are counts up to this mean; larger ones are told by a density as well.
MOST_COUNTED = 20
# What people measure round a circle: degrees, hours, minutes, months, weekdays, radians.
_PERIODS = 360.0, 24.0, 60.0, 12.0, 7.0, 2 * math.pi
# Of the period: that far from its ends the values reach at least; from a value to the next, what
# leads across the end, and what is half way round.
_REACH, _ACROSS, _HALF = 0.05, 0.8, (0.4, 0.6)


def counted(values):
    """`(found, counts)`: the different ones of numbers, NaN left out, and how often each comes."""
    return np.unique(values[np.isfinite(values)], return_counts=True)


def piles(found, counts):
    """The least and the greatest value, None where values do not pile up there.

    Where a sensor or a scale ends, values lie that stand for all beyond.
    """
    if len(found) < 3:
        return None, None
    ends = (counts[0], counts[1], found[0]), (counts[-1], counts[-2], found[-1])
    return tuple(
        end if count >= max(_PILE * counts.sum(), _TIMES * other) else None
        for count, other, end in ends
    )


def find_period(columns):
    """The period of a column that goes round a circle: from its end on to its beginning.

    Args:
        columns: List of arrays `(time,)`, NaN where missing.

    Returns:
        One of a few usual periods; None where nothing shows.
    """
    values = np.concatenate(columns)
    values = values[np.isfinite(values)]
    if len(values) < _ENOUGH:
        return None
    low, high = values.min(), values.max()
    for period in _PERIODS:
        start = Circle.of(period, low).start
        slack = _REACH * period
        ends = start <= low <= start + slack, start + period - slack <= high <= start + period
        if not all(ends):
            continue
        turns = np.abs(np.concatenate([np.diff(column) for column in columns])) / period
        turns = turns[np.isfinite(turns)]
        across = (turns > _ACROSS).sum()
        half = ((turns > _HALF[0]) & (turns < _HALF[1])).sum()
        if across >= 5 and across > 2 * half:
            return period
    return None


def find_recording(sequences, config, numbers=None):
    """What the recipe may say of columns of which nothing is said yet.

    Args:
        sequences: `tfgen.data.Sequences`.
        config: The `tfgen.recipe.DataConfig` that they were opened by.
        numbers: Dict from the names of columns of numbers to what `counted` gives of them; None
            counts.

    Returns:
        A dict of lists: `"circular"`, `"resolution"` and `"bounds"` of a `DataConfig`.
    """
    settings = {"circular": [], "resolution": [], "bounds": []}
    said = {text.rpartition("=")[0].strip() for text in config.bounds}
    for number, feature in enumerate(sequences.features):
        if feature.is_category:
            continue
        name, columns = feature.name, [values[:, number] for values in sequences.values]
        if numbers is None or name not in numbers:
            found, counts = counted(np.concatenate(columns))
        else:
            found, counts = numbers[name]
        total = counts.sum()
        if total < _ENOUGH or len(found) < 3:
            continue
        unbounded = (feature.low, feature.high) == (None, None)
        step = feature.step or step_of(found, total)
        period = None
        if feature.circle is None and name not in said:
            period = find_period(columns)
            # Bounds that a built-in set has of its own give way to a circle.
            period = period if unbounded or feature.high == period else None
        if period is not None and step is not None and not step.goes_round(period):
            step = None
        if period is not None:
            settings["circular"].append(f"{name}={period:.9g}")
        if feature.step is None and step is not None:
            settings["resolution"].append(f"{name}={_exact(step, found)}")
        if unbounded and period is None and feature.circle is None:
            low, high = piles(found, counts)
            mean = np.dot(found.astype(np.float64), counts) / total
            if step == (1.0, 0.0, 0) and found[0] >= 0 and mean <= MOST_COUNTED:
                low = 0
            if (low, high) != (None, None):
                sides = ("" if end is None else _spelled(end) for end in (low, high))
                settings["bounds"].append(f"{name}={':'.join(sides)}")
    return settings


def _exact(step, found):
    """A step as `data.resolution` takes it: a size, if its multiples are the numbers, or auto."""
    size = f"{step.size:.9g}"
    same = step._replace(size=float(size)).nearest(found).astype(found.dtype) == found
    return size if step.offset == 0 and same.all() else "auto"


def _spelled(value):
    return np.format_float_positional(value, unique=True, trim="-")
