"""`choose`: what a recipe says of how data were recorded, where the data show it."""

import json

import numpy as np

from tfgen.data import data_kind, open_sequences
from tfgen.data.found import MOST_COUNTED, find_recording
from tfgen.models.families import family

# Whoever says one of these has chosen the likelihood, or another one than those for recorded data.
_LIKELIHOOD = (
    "model.head", "model.covariance", "model.bounding", "model.local_scale", "model.frame",
    "model.beyond", "model.companding",
)  # fmt: skip
_MIXING = "whiten"
# A chain is as many small networks as there are columns: more take long to compile.
_MOST_CHAINED = 32
_MANY_ZEROS = 0.5  # share from which zeros are told by themselves
# Standard deviations by which a diffusion model spreads what lies beyond a bound.
_BEYOND = 0.5


def choose(recipe, said=(), data=None):
    """Fills in how columns were recorded, and the likelihood that fits, as far as the data show it.

    Circles, steps and bounds are found as `tfgen inspect` finds them. Columns of which one has any
    are told by a chain, a single one or very many by their own likelihoods, and small counts by a
    negative binomial distribution.

    Args:
        recipe: A `tfgen.recipe.Recipe` of a family.
        said: The keys that a person has set, which stay as they are.
        data: As of `train`.

    Returns:
        `(recipe, sentence)`; the sentence tells a person what was chosen, and is None for nothing.

    Raises:
        InputError: If the data cannot be read.
    """
    said = set(said)
    mixing = recipe.preprocessing.scaler == _MIXING
    if mixing or said.intersection(_LIKELIHOOD) or data_kind(recipe.data, data) != "series":
        return recipe, None
    arguments = family(recipe.family).row("numbers").arguments()
    known = set(recipe.model).issubset(arguments)  # else training tells what is wrong
    if not known or not {"head", "beyond"}.intersection(arguments):
        return recipe, None  # a class of somebody's own
    sequences = open_sequences(recipe.data, data)
    found = {
        f"data.{key}": values for key, values in find_recording(sequences, recipe.data).items()
    }
    changes = {key: values for key, values in found.items() if values and key not in said}
    if changes:
        sequences = open_sequences(recipe.override(changes).data, data)
    changes |= _likelihood(sequences, arguments)
    if not changes:
        return recipe, None
    shown = ", ".join(f"{key}={json.dumps(value)}" for key, value in changes.items())
    return recipe.override(changes), f"chosen by the data (--set chooses otherwise): {shown}"


def _likelihood(sequences, arguments):
    """What of `[model]` fits columns as they were recorded."""
    columns = [feature for feature in sequences.features if not feature.is_category]
    bounded = any((each.low, each.high) != (None, None) for each in columns)
    exact = bounded or any(each.step or each.circle for each in columns)
    if not exact:
        return {}
    if "beyond" in arguments:
        return {"model.beyond": _BEYOND} if bounded else {}
    if all(feature.is_count for feature in columns):
        values = np.concatenate([
            values[:, number]
            for number, feature in enumerate(sequences.features)
            for values in sequences.values
            if not feature.is_category
        ])  # fmt: skip
        if np.nanmean(values) <= MOST_COUNTED:
            inflated = np.mean(values[~np.isnan(values)] == 0) > _MANY_ZEROS
            head = "zero_inflated_negative_binomial" if inflated else "negative_binomial"
            scaled = {"preprocessing.scaler": "mean"} if len(sequences) > 1 else {}
            return {"model.head": head, **scaled}
    if 1 < len(sequences.features) <= _MOST_CHAINED:
        return {"model.head": "chain"}
    return {"model.bounding": "censored"} if bounded else {}
