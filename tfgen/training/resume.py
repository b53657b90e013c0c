"""What a run that goes on may change."""

import dataclasses

import tensorflow as tf

from tfgen import models
from tfgen.data.budget import MOST_NUMBERS
from tfgen.data.memory import MEMORY, hold, is_name, not_given
from tfgen.errors import InputError
from tfgen.recipe import DataConfig, Recipe

# Fitted to the data once and saved with the run: a run goes on with what it began with.
KEPT = ("family", "preprocessing")
CHOSEN = "training.choose_on"
# What the optimizer's variables are, and what adapters add to.
KEPT_KEYS = {
    f"training.{key}"
    for key in (
        "start_from", "vocabulary", "freeze", "lora_rank", "lora_alpha", "lora_targets", "lora_also"
    )
}  # fmt: skip


def settle(recipe, logdir, resume, data=None):
    """The recipe to train by.

    Args:
        recipe: A `tfgen.recipe.Recipe`; None when resuming takes the run's own.
        logdir: `pathlib.Path` of the run's folder.
        resume: Whether the run in it goes on.
        data: Data in memory, or the name of other data than the recipe's; None takes those.

    Returns:
        `(recipe, changes)`: what it changes of the run in the folder, see `Recipe.changes`.

    Raises:
        InputError: If the folder is in use, or holds no run to resume, or if what was fitted to the
            data would change, or if data that was in memory is not given again.
    """
    if not resume:
        if logdir.exists() and (not logdir.is_dir() or any(logdir.iterdir())):
            raise InputError(f"{logdir} is not empty: choose another --logdir, or add --resume")
        return named(recipe, data), []
    saved = logdir / models.RECIPE
    if not saved.is_file():
        raise InputError(f"{logdir} holds no run to resume: {models.RECIPE} is missing")
    before = Recipe.from_file(saved)
    recipe = named(recipe or before, data)
    # A recipe that says nothing of data names the default.
    if before.data.name == MEMORY and data is None:
        if recipe.data.name in (MEMORY, DataConfig.name):
            raise not_given()
    if "classes" in before.model and recipe.data.label is not None:  # which the data told
        model = {"classes": before.model["classes"], **recipe.model}
        recipe = dataclasses.replace(recipe, model=model)
    if recipe.training.choose_on is None:  # a run of before there were halves chose on all
        chosen = before.training.choose_on or "all"
        training = dataclasses.replace(recipe.training, choose_on=chosen)
        recipe = dataclasses.replace(recipe, training=training)
    changes = [each for each in recipe.changes(before) if each != (CHOSEN, None, "all")]
    for key, old, new in changes:
        if key.partition(".")[0] in KEPT or key in KEPT_KEYS:
            raise InputError(
                f"A resumed run cannot change {key} from {old!r}. Received: {key}={new!r}"
            )
    return recipe, changes


def held(recipe, data):
    """What `tfgen.data.memory.hold` makes of data in memory; None of a name or of nothing.

    The recipe is None when a run goes on with its own.
    """
    if data is None or is_name(data):
        return None
    return hold(data, recipe.data.max_numbers if recipe else MOST_NUMBERS)


def named(recipe, data):
    """Returns the recipe with the name of the data that are given beside it."""
    if data is None:
        return recipe
    name = str(data) if is_name(data) else MEMORY
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, name=name))


def go_on_with(recipe, logdir):
    """How a run that was stopped is resumed, for a person."""
    if recipe.data.name == MEMORY:
        return f"tfgen.training.train(None, {str(logdir)!r}, resume=True, data=...)"
    return f"tfgen train --resume --logdir {logdir}"


def check_fits(what, arrays, tensors, changes):
    """Refuses to go on where a checkpoint's arrays are not those that the recipe makes.

    Args:
        what: What they are, for people.
        arrays: Dict of the checkpoint's arrays by name.
        tensors: Dict of variables or tensors by name.
        changes: What the recipe changed.

    Raises:
        InputError: For the first name or shape that differs.
    """
    because = "".join(f"; {key} was {old!r} and is {new!r}" for key, old, new in changes)
    because = because or "; it was written by another version, or for other data"
    for name in dict.fromkeys([*arrays, *tensors]):
        was = tuple(arrays[name].shape) if name in arrays else "absent"
        now = tuple(tf.convert_to_tensor(tensors[name]).shape) if name in tensors else "absent"
        # A state that grows with the positions seen begins with none of them.
        same = len(was) == len(now) and all(new in (old, 0) for old, new in zip(was, now))
        if not same:
            raise InputError(
                f"The run cannot go on: {what} {name} was {was} in its checkpoint and would be "
                f"{now}{because}"
            )
