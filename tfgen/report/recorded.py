"""What shows in numbers of how they were recorded: steps, values that come often, bounds."""

import json

import numpy as np

from tfgen.data.found import find_recording, piles
from tfgen.data.resolution import step_of

_ENOUGH = 50  # values, for shares of them to say anything
_OFTEN = 0.05  # share of a value that is told by itself
_SHOWN = 3


def recorded_as(found, counts):
    """How numbers were recorded, in words; an empty text where nothing shows.

    Args:
        found, counts: As `tfgen.data.found.counted` gives them, the numbers in their own type, for
            its digits.
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


def suggestion(sequences, config, numbers):
    """What the recipe may say of how columns were recorded, as lines; none where nothing shows.

    Args:
        sequences: `tfgen.data.Sequences`.
        config: The `tfgen.recipe.DataConfig` that they were opened by.
        numbers: Dict from the names of columns of numbers to what `counted` gives of them.
    """
    ends, lines = [], []
    for name, found in numbers.items():
        sides = [f"{end:g}" for end in piles(*found) if end is not None]
        if sides:
            ends.append(f"{' and '.join(sides)} of '{name}'")
    if ends:
        lines.append(f"values pile up at {', '.join(ends)}: they may stand for all beyond")
    settings = {
        key: each for key, each in find_recording(sequences, config, numbers).items() if each
    }
    if settings:
        told = (f"--set 'data.{key}={json.dumps(each)}'" for key, each in settings.items())
        lines.append(f"to have columns as they were recorded, pass {' '.join(told)}")
    return lines
