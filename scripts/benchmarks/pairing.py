"""Measuring in turns, and comparing what was measured side by side.

A machine's speed drifts: by its clock, its heat, its other users. Contestants therefore take turns,
A B C A B C ..., and a ratio is formed of the two measurements of one round before the median is
taken, so that drift slower than a round cancels.
"""

import statistics


def alternate(contestants, repeats):
    """Measures contestants in turns.

    Args:
        contestants: Dict from names to functions that measure once and return a number.
        repeats: Number of rounds.

    Returns:
        Dict from names to lists of `repeats` numbers.
    """
    values = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, measure in contestants.items():
            values[name].append(measure())
    return values


def ratios(ours, theirs, scale=1.0):
    """`scale * ours / theirs`, round by round."""
    return [scale * mine / other for mine, other in zip(ours, theirs, strict=True)]


def differences(ours, theirs):
    """`ours - theirs`, round by round."""
    return [mine - other for mine, other in zip(ours, theirs, strict=True)]


def spread(values):
    """A dict of the `values`, their `median`, `min` and `max`."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "values": list(values),
    }
