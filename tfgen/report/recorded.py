"""What shows in numbers of how they were recorded: steps, values that come often, bounds."""

import numpy as np

from tfgen.data.resolution import step_of

_ENOUGH = 50  # values, for shares of them to say anything
_OFTEN = 0.05  # share of a value that is told by itself
_SHOWN = 3
# At a bound lies at least this share, and so many times as much as at the value next to it.
_PILE, _TIMES = 0.03, 3


def counted(values):
    """`(found, counts)`: the different ones of numbers, NaN left out, and how often each comes."""
    return np.unique(values[np.isfinite(values)], return_counts=True)


def recorded_as(found, counts):
    """How numbers were recorded, in words; an empty text where nothing shows.

    Args:
        found, counts: As `counted` gives them, the numbers in their own type, for its digits.
    """
    total = counts.sum()
    if total < _ENOUGH:
        return ""
    parts = []
    step = step_of(found, total)
    if step is not None:
        parts.append(f"in steps of {step.size:.6g}")
    order = np.argsort(-counts, kind="stable")[:_SHOWN]
    often = [index for index in order if counts[index] >= _OFTEN * total]
    if often and len(found) > 2:
        shares = [f"{counts[i] / total:.0%} are {found[i]:.6g}" for i in often]
        parts.append(", ".join(shares))
    return "; ".join(parts)


def piles(found, counts):
    """The least and the greatest value, None where values do not pile up there.

    Where a sensor or a scale ends, values lie that stand for all beyond.
    """
    if len(found) < 3:
        return None, None
    ends = (counts[0], counts[1], found[0]), (counts[-1], counts[-2], found[-1])
    return tuple(
        float(end) if count >= max(_PILE * counts.sum(), _TIMES * other) else None
        for count, other, end in ends
    )


def suggestion(features, numbers):
    """The settings for columns whose values pile up at their ends, as a line; None for none.

    Args:
        features: `tfgen.data.Feature`s.
        numbers: Dict from the names of those that are numbers to what `counted` gives of them.
    """
    ends, settings = [], []
    for feature in features:
        if feature.name not in numbers:
            continue
        low, high = piles(*numbers[feature.name])
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
