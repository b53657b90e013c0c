"""`set_recording`: what a recipe says of how columns were recorded."""

import dataclasses
import math

import numpy as np

from tfgen.data.bounds import set_bounds
from tfgen.data.features import Circle
from tfgen.data.resolution import set_resolution
from tfgen.errors import InputError, unknown


def set_recording(sequences, config, where=None):
    """Gives features what `config` says of how they were recorded: bounds, steps, circles.

    Args:
        sequences: `tfgen.data.Sequences`.
        config: A `tfgen.recipe.DataConfig`: `bounds`, `resolution`, `circular`.
        where: Optional function of a sequence's number and a position, to text for a person.

    Returns:
        The same sequences.

    Raises:
        InputError: If it is not so, or the three do not fit each other.
    """
    sequences = set_resolution(set_bounds(sequences, config, where), config, where)
    return _set_circular(sequences, config, where)


def _set_circular(sequences, config, where):
    """Gives features the circles that `config.circular` says, as `"name=360"`.

    They begin at 0, or, where there are values below, at minus half the period.
    """
    names = [feature.name for feature in sequences.features]
    features, done = list(sequences.features), set()
    for text in config.circular:
        received = f"Received: data.circular={text!r}"
        name, period = _circular(text)
        if name not in names:
            raise unknown("feature of data.circular", name, names)
        number = names.index(name)
        feature = features[number]
        fault = _unfit(feature, period, name in done)
        if fault:
            raise InputError(f"'{name}' {fault}. {received}")
        done.add(name)
        columns = [values[:, number] for values in sequences.values]
        below = any((column < 0).any() for column in columns)
        circle = Circle(period, -period / 2 if below else 0.0)
        _check_inside(sequences, columns, feature.name, circle, text, where)
        features[number] = dataclasses.replace(feature, circle=circle)
    sequences.features = tuple(features)
    return sequences


def _circular(text):
    """Returns `(name, period)` of one of `data.circular`."""
    name, equals, value = text.rpartition("=")
    try:
        period = float(value)
    except ValueError:
        period = math.nan
    if not equals or not 0 < period < math.inf:
        raise InputError(
            "data.circular must be like 'name=360' with a period above 0. "
            f"Received: data.circular={text!r}"
        )
    return name.strip(), period


def _unfit(feature, period, done):
    """Why a feature can have no such circle; None if it can."""
    if done or feature.is_category:
        return "is circular already" if done else "is a category"
    if (feature.low, feature.high) != (None, None):
        return "has bounds, and a circle has none"
    if feature.step is not None:
        steps = period / feature.step.size
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-3:
            return f"is in steps of {feature.step.size:g}, of which no whole number goes round"
    return None


def _check_inside(sequences, columns, name, circle, text, where):
    """Refuses values outside one turn."""
    count, first = 0, None
    for i, column in enumerate(columns):
        turn = (column - circle.start) / circle.period
        outside = np.flatnonzero((turn < 0) | (turn > 1))
        if len(outside) and first is None:
            position = int(outside[0])
            place = where(i, position) if where else f"{sequences.ids[i]}, position {position}"
            first = f"{column[position]:g} at {place}"
        count += len(outside)
    if count:
        low, high = circle.start, circle.start + circle.period
        raise InputError(
            f"'{name}' has values outside {low:g} to {high:g}: {count:,}, the first of them "
            f"{first}. Received: data.circular={text!r}"
        )
