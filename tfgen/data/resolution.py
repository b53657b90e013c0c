"""The steps in which columns of numbers were recorded, said or found."""

import dataclasses
import math

import numpy as np

from tfgen.data.column_settings import columns_of, refuse
from tfgen.data.features import Step
from tfgen.errors import InputError

# More digits behind the point than people record; what has more is computed.
_MOST_DECIMALS = 6
# In steps are numbers that each come so often, on average.
_LEAST_REPEATS = 4


def set_resolution(sequences, config, where=None):
    """Gives features the steps that `config.resolution` says.

    Args:
        sequences: `tfgen.data.Sequences`.
        config: A `tfgen.recipe.DataConfig`. One of its resolutions is `"name=0.1"`, or
            `"name=auto"`: as `find_step` finds it in the part that is for training.
        where: Optional function of a sequence's number and a position, to text for a person.

    Returns:
        The same sequences.

    Raises:
        InputError: If a step is none or of no number, is not found, or values are no multiples.
    """
    features, train = list(sequences.features), None
    settings = columns_of(
        sequences, "resolution", config.resolution, _size, "has a resolution already"
    )
    for text, number, size in settings:
        received = f"Received: data.resolution={text!r}"
        if size is None:
            train = train or sequences.split(config.validation_fraction, config.split)[0]
            step = find_step(np.concatenate([part[:, number] for part in train.values]))
            if step is None:
                name = features[number].name
                raise InputError(
                    f"'{name}' shows no steps: give its step as '{name}=0.1', or leave it out. "
                    f"{received}"
                )
        else:
            column = np.unique(np.concatenate([part[:, number] for part in sequences.values]))
            digits = max(map(_decimals, column[np.isfinite(column)]), default=0)
            digits = digits if digits <= _MOST_DECIMALS else _decimals(np.float64(size))
            step = Step(float(size), 0.0, digits)
        _check_steps(sequences, number, step, received, where)
        features[number] = dataclasses.replace(features[number], step=step)
    sequences.features = tuple(features)
    return sequences


def _size(value):
    """The size of what one of `data.resolution` says of a column; None is to be found."""
    try:
        size = None if value == "auto" else float(value)
    except ValueError:
        size = math.nan
    if not (size is None or 0 < size < math.inf):
        raise ValueError("'name=0.1' with a step above 0, or 'name=auto'")
    return size


def _check_steps(sequences, number, step, received, where):
    """Refuses values that are no multiples of a step, but for their last digit."""

    def off(column):
        column = column.astype(np.float64)
        slack = 0.6 * 10.0**-step.decimals + 1e-6 * np.abs(column)
        return np.abs(step.nearest(column) - column) > np.minimum(slack, step.size / 4)

    fault = f"that are no multiples of {step.size:g}"
    refuse(sequences, number, off, fault, received, where)


def find_step(values):
    """The steps in which numbers were recorded.

    Args:
        values: Floats `(count,)`, NaN missing.

    Returns:
        A `Step`; None where the numbers hardly repeat, or are no multiples of anything.
    """
    values = np.asarray(values)
    values = values[np.isfinite(values)]
    return step_of(np.unique(values), len(values))


def step_of(found, count):
    """The same, of so many numbers, of which these are the different ones in their order."""
    if len(found) < 3 or count < _LEAST_REPEATS * len(found):
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
    if low >= high:
        return None
    middle = (low + high) / 2
    # Of all of them the one that people would write.
    rounded = (round(middle, digits) for digits in range(_MOST_DECIMALS))
    return next((each for each in rounded if low <= each <= high), middle)
