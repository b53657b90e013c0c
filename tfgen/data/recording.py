"""`set_recording`: what a recipe says of how columns were recorded."""

import dataclasses
import math

import numpy as np

from tfgen.data.bounds import set_bounds
from tfgen.data.column_settings import columns_of, refuse
from tfgen.data.features import Circle
from tfgen.data.resolution import set_resolution
from tfgen.errors import InputError


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
    features = list(sequences.features)
    settings = columns_of(sequences, "circular", config.circular, _period, "is circular already")
    for text, number, period in settings:
        received = f"Received: data.circular={text!r}"
        feature = features[number]
        fault = _unfit(feature, period)
        if fault:
            raise InputError(f"'{feature.name}' {fault}. {received}")
        columns = (values[:, number] for values in sequences.values)
        least = min((np.fmin.reduce(column, initial=0.0) for column in columns), default=0.0)
        circle = Circle.of(period, least)
        low, high = circle.start, circle.start + period

        def outside(column):
            turn = (column - circle.start) / circle.period
            return (turn < 0) | (turn > 1)

        refuse(sequences, number, outside, f"outside {low:g} to {high:g}", received, where)
        features[number] = dataclasses.replace(feature, circle=circle)
    sequences.features = tuple(features)
    return sequences


def _period(value):
    """The period of what one of `data.circular` says of a column."""
    try:
        period = float(value)
    except ValueError:
        period = math.nan
    if not 0 < period < math.inf:
        raise ValueError("'name=360' with a period above 0")
    return period


def _unfit(feature, period):
    """Why a feature can have no such circle; None if it can."""
    if (feature.low, feature.high) != (None, None):
        return "has bounds, and a circle has none"
    if feature.step is not None and not feature.step.goes_round(period):
        return f"is in steps of {feature.step.size:g}, of which no whole number goes round"
    return None
