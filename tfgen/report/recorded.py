"""What shows in numbers of how they were recorded: steps, values that come often, bounds."""

import numpy as np

from tfgen.data.resolution import find_step

_ENOUGH = 50  # values, for shares of them to say anything
_OFTEN = 0.05  # share of a value that is told by itself
_SHOWN = 3
# At a bound lies at least this share, and so many times as much as at the value next to it.
_PILE, _TIMES = 0.03, 3


def recorded_as(values):
    """How numbers were recorded, in words; an empty text where nothing shows.

    Args:
        values: Floats `(count,)`, without missing ones.
    """
    if len(values) < _ENOUGH:
        return ""
    parts = []
    step = find_step(values)
    if step is not None:
        parts.append(f"in steps of {step.size:.6g}")
    found, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    often = [index for index in order if counts[index] >= _OFTEN * len(values)]
    if often and len(found) > 2:
        shares = [f"{counts[i] / len(values):.0%} are {found[i]:.6g}" for i in often]
        parts.append(", ".join(shares))
    return "; ".join(parts)


def piles(values):
    """The least and the greatest value, None where values do not pile up there.

    Where a sensor or a scale ends, values lie that stand for all beyond.
    """
    found, counts = np.unique(values, return_counts=True)
    if len(found) < 3:
        return None, None
    ends = (counts[0], counts[1], found[0]), (counts[-1], counts[-2], found[-1])
    return tuple(
        float(end) if count >= max(_PILE * len(values), _TIMES * other) else None
        for count, other, end in ends
    )


def suggestion(features, numbers):
    """The settings for columns whose values pile up at their ends, as a line; None for none.

    Args:
        features: `tfgen.data.Feature`s.
        numbers: Dict from the names of those that are numbers to their values, NaN missing.
    """
    ends, settings = [], []
    for feature in features:
        if feature.name not in numbers:
            continue
        values = numbers[feature.name]
        low, high = piles(values[~np.isnan(values)])
        if (low, high) == (None, None):
            continue
        ends.append(" and ".join(f"{end:g}" for end in (low, high) if end is not None))
        ends[-1] += f" of '{feature.name}'"
        if feature.low is None and feature.high is None:
            sides = ("" if end is None else f"{end:.6g}" for end in (low, high))
            settings.append(f"{feature.name}={':'.join(sides)}")
    if not ends:
        return None
    quoted = ", ".join(f'"{each}"' for each in settings)
    bounds = f"--set 'data.bounds=[{quoted}]' " if settings else ""
    return (
        f"values pile up at {', '.join(ends)}: if they stand for all beyond, pass "
        f"{bounds}--set model.bounding=censored"
    )
