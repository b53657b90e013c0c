"""`set_bounds`: what a recipe says that the values of a feature lie between."""

import dataclasses
import math

import numpy as np

from tfgen.errors import InputError, unknown


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
    names = [feature.name for feature in sequences.features]
    features, train, done = list(sequences.features), None, set()
    for bound in config.bounds:
        name, low, high, automatic = _bound(bound)
        if name not in names:
            raise unknown("feature of data.bounds", name, names)
        number = names.index(name)
        if features[number].is_category or name in done:
            fault = "has bounds already" if name in done else "is a category and has no bounds"
            raise InputError(f"'{name}' {fault}. Received: data.bounds={bound!r}")
        done.add(name)
        if automatic:
            train = train or sequences.split(config.validation_fraction, config.split)[0]
            found = np.concatenate([part[:, number] for part in train.values])
            found = found[~np.isnan(found)]
            if not len(found) or found.min() == found.max():
                raise InputError(
                    f"'{name}' has fewer than two values in the part for training: give its bounds "
                    f"as '{name}=low:high'. Received: data.bounds={bound!r}"
                )
            low, high = float(found.min()), float(found.max())
        else:
            _check_bound(sequences, number, low, high, bound, where)
        features[number] = dataclasses.replace(features[number], low=low, high=high)
    sequences.features = tuple(features)
    return sequences


def _bound(text):
    """Returns `(name, low, high, automatic)` of one of `data.bounds`."""
    name, equals, value = text.rpartition("=")
    name, value = name.strip(), value.strip()
    low, colon, high = value.partition(":")
    if value != "auto":
        try:
            low, high = float(low or -math.inf), float(high or math.inf)
        except ValueError:
            low = high = math.nan
    fits = colon and low < high and (math.isfinite(low) or math.isfinite(high))
    if not equals or not (fits or value == "auto"):
        raise InputError(
            "data.bounds must be like 'name=low:high' with low < high, 'name=low:', 'name=:high' "
            f"or 'name=auto'. Received: data.bounds={text!r}"
        )
    if value == "auto":
        return name, None, None, True
    return name, *(bound if math.isfinite(bound) else None for bound in (low, high)), False


def _check_bound(sequences, number, low, high, bound, where):
    # As the values are: 0.1 is a little more in float32.
    kind = sequences.values[0].dtype.type if len(sequences) else np.float32
    low = kind(-np.inf if low is None else low)
    high = kind(np.inf if high is None else high)
    count, first = 0, None
    for i, values in enumerate(sequences.values):
        outside = np.flatnonzero((values[:, number] < low) | (values[:, number] > high))
        if len(outside) and first is None:
            position = int(outside[0])
            place = where(i, position) if where else f"{sequences.ids[i]}, position {position}"
            first = f"{values[position, number]:g} at {place}"
        count += len(outside)
    if count:
        raise InputError(
            f"'{sequences.features[number].name}' has values outside its bounds: {count:,}, "
            f"the first of them {first}. Received: data.bounds={bound!r}"
        )
