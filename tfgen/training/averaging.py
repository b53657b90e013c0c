"""`average`: several trained models as one, by their weights or as a mixture."""

import dataclasses

import numpy as np

from tfgen import models
from tfgen.errors import InputError
from tfgen.models.base import SequenceGenerator
from tfgen.preprocessing import SequenceProcessor
from tfgen.training.calibration import calibrate_at_end
from tfgen.training.data import open_data
from tfgen.training.devices import Devices
from tfgen.training.resume import held, named
from tfgen.training.validation import Validation


def average(members, data=None, *, names=None, say=lambda text: None):
    """Makes one model of several of the same arguments, trained from other seeds or for longer.

    With data, the mean of the weights is taken if its loss on what is held out for choosing weights
    is at most the mean of the members' losses. So it is of snapshots of one run, and of models that
    were fine-tuned from one (Wortsman et al., "Model soups", arXiv:2203.05482). Models that were
    trained from different first weights are at no place between which the loss is low. Of them, and
    without data, a mixture is made, see `tfgen.models.engines.mixture.Mixture`: one model that is
    as large and as slow to score as all of them. A mixture is of models of numbers alone.

    Args:
        members: At least two models, or more.
        data: As of `train`, what they were trained on; or its name. With it, the forecasts of a
            model of series are calibrated as at the end of a training.
        names: What messages call the members.
        say: Called with a line of what was made.

    Returns:
        A new model.

    Raises:
        InputError: For models of other data, families or arguments; or if only a mixture is left,
            and there is none.
    """
    members = list(members)
    names = names or [f"model {number}" for number in range(1, len(members) + 1)]
    if len(members) < 2:
        raise InputError(f"An average is of at least two models. Received: {len(members)}")
    recipes = [_recipe(model, name) for model, name in zip(members, names, strict=True)]
    for model, recipe, name in zip(members[1:], recipes[1:], names[1:]):
        _check_alike((members[0], recipes[0], names[0]), (model, recipe, name))
    first, recipe, found = members[0], recipes[0], "no data to measure averaged weights on"
    if data is not None:
        given, recipe = held(recipe, data), named(recipe, data)
        # What is out of bounds is refused in training data only.
        source = dataclasses.replace(recipe.data, bounds=())
        opened = open_data(dataclasses.replace(recipe, data=source), first.preprocessing, given)
        mean = models.build(recipe, first.preprocessing)
        validation = Validation(mean, opened.windows["validation"], Devices())
        weights = [model.get_weights() for model in members]
        weights.append([np.mean(each, axis=0, dtype=np.float64) for each in zip(*weights)])
        losses = []
        for each in weights:  # in one model, which is compiled once
            mean.set_weights(each)
            losses.append(validation.loss())
        *theirs, loss = losses
        found = (
            f"validation loss {loss:.4f} of their averaged weights, {np.mean(theirs):.4f} on "
            f"average of their own ({', '.join(f'{each:.4f}' for each in theirs)})"
        )
        if loss <= np.mean(theirs):
            say(f"The average of the weights of {len(members)} models: {found}")
            return _calibrated(mean, recipe, opened, say)
    if not isinstance(first.preprocessing, SequenceProcessor):
        raise InputError(f"Models of text have no mixture, and their weights no average: {found}")
    recipe = recipe.override({"model.members": len(members)})
    mixture = models.build(recipe, first.preprocessing)
    mixture.set_weights([value for model in members for value in model.get_weights()])
    say(f"A mixture of {len(members)} models: {found}")
    return mixture if data is None else _calibrated(mixture, recipe, opened, say)


def _recipe(model, name):
    if not isinstance(model, SequenceGenerator):
        raise InputError(f"An average is of models of tfgen. Received: {name}={model!r:.60}")
    recipe = model.recipe or models.recipe_of(model)
    if recipe.model.get("members", 1) != 1:
        raise InputError(f"{name} is a mixture already: average what it was made of")
    return recipe


def _check_alike(first, other):
    """Refuses a model that is not as the first: each is `(model, recipe, name)`."""
    (model, recipe, name), (theirs, their_recipe, their_name) = first, other
    both = f"{name} and {their_name}"
    if recipe.family != their_recipe.family:
        raise InputError(
            f"{both} are of two families. Received: {recipe.family}, {their_recipe.family}"
        )
    kinds = [getattr(each.preprocessing, "kind", "text") for each in (model, theirs)]
    if kinds[0] != kinds[1]:
        raise InputError(f"{both} are of two kinds of data. Received: {', '.join(kinds)}")
    mine, others = ({**each.model, "seed": None} for each in (recipe, their_recipe))
    for key in dict.fromkeys((*mine, *others)):
        if mine.get(key) != others.get(key):
            raise InputError(
                f"{both} differ in model.{key}. Received: {mine.get(key)}, {others.get(key)}"
            )
    config, their_config = (_plain(each.preprocessing) for each in (model, theirs))
    if config != their_config:
        raise InputError(
            f"{both} read data differently: train them on the same data with the same "
            "[preprocessing]"
        )


def _plain(preprocessing):
    """What a tokenizer or a processor does, without what Keras calls it."""
    config = preprocessing.get_config()
    return {key: value for key, value in config.items() if key not in ("name", "dtype")}


def _calibrated(model, recipe, opened, say):
    calibrate_at_end(model, recipe, opened.sequences, say)
    return model
