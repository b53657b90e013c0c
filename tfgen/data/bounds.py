"""`set_bounds`: what a recipe says that the values of a feature lie between."""

import dataclasses
import math

import numpy as np

from tfgen.data.column_settings import columns_of, refuse
from tfgen.errors import InputError


def set_bounds(sequences, config, where=None):
    """Gives features the bounds that `config.bounds` says.

    Args:
        sequences: `Sequences`.
        config: A `tfgen.recipe.DataConfig`. One of its bounds is `"name=low:high"`, where either
            may be left out, or `"name=auto"`: the least and the greatest value of the part that
            is for training.
        where: Optional function of a sequence's number and a position, to text for a person.

    Returns:
        The same sequences.

    Raises:
        InputError: If a bound is none or of no number, or a value lies outside.
    """
    features, train = list(sequences.features), None
    faults = "has bounds already", "is a category and has no bounds"
    settings = columns_of(sequences, "bounds", config.bounds, _bound, *faults)
    for bound, number, (low, high, automatic) in settings:
        received = f"Received: data.bounds={bound!r}"
        if automatic:
            train = train or sequences.split(config.validation_fraction, config.split)[0]
            found = np.concatenate([part[:, number] for part in train.values])
            found = found[~np.isnan(found)]
            if not len(found) or found.min() == found.max():
                name = features[number].name
                raise InputError(
                    f"'{name}' has fewer than two values in the part for training: give its bounds "
                    f"as '{name}=low:high'. {received}"
                )
            low, high = float(found.min()), float(found.max())
        else:
            _check_bound(sequences, number, low, high, received, where)
        features[number] = dataclasses.replace(features[number], low=low, high=high)
    sequences.features = tuple(features)
    return sequences


def _bound(value):
    """Returns `(low, high, automatic)` of what one of `data.bounds` says of a column."""
    if value == "auto":
        return None, None, True
    low, colon, high = value.partition(":")
    try:
        low, high = float(low or -math.inf), float(high or math.inf)
    except ValueError:
        low = high = math.nan
    if not (colon and low < high and (math.isfinite(low) or math.isfinite(high))):
        raise ValueError(
            "'name=low:high' with low < high, 'name=low:', 'name=:high' or 'name=auto'"
        )
    return *(bound if math.isfinite(bound) else None for bound in (low, high)), False


def _check_bound(sequences, number, low, high, received, where):
    # As the values are: 0.1 is a little more in float32.
    kind = sequences.values[0].dtype.type if len(sequences) else np.float32
    low = kind(-np.inf if low is None else low)
    high = kind(np.inf if high is None else high)

    def outside(column):
        return (column < low) | (column > high)

    refuse(sequences, number, outside, "outside its bounds", received, where)
