"""Where `tfgen train` begins: the recipe of a new run, or of one that goes on."""

import json
from pathlib import Path

from tfgen.errors import InputError
from tfgen.files import home_path
from tfgen.models import read_recipe
from tfgen.recipe import Recipe, TrainingConfig
from tfgen.zoo.folders import RECIPE
from tfgen.zoo.registry import find

# How a model came about, of which one that starts from it takes nothing.
_OF_ITS_START = (
    "start_from", "vocabulary", "freeze", "lora_rank", "lora_alpha", "lora_targets", "lora_also"
)  # fmt: skip


def starting_recipe(target):
    """Returns the recipe that a training begins with.

    Args:
        target: A name of the zoo, the path of an entry or of a run, or the path of a recipe,
            which ends in `.toml`.

    Raises:
        InputError: Nothing of that name; or a layer, which is no model.
    """
    if str(target).lower().endswith(".toml"):
        return Recipe.from_file(home_path(target))
    item = find(target)
    if item.kind == "layer":
        raise InputError(f"'{item.name}' is a layer; only an entry or a family can be trained")
    if item.kind == "family":
        return Recipe(family=item.name)
    return read_recipe(item.folder)


def new_run(target, logdir=None, changes=None, start=None):
    """Returns the recipe and the folder of a new run.

    Args:
        target: See `starting_recipe`; None takes the recipe of `start`.
        logdir: The run's folder; None is `runs/` and the name of the target.
        changes: What differs from the target's recipe, see `Recipe.override`.
        start: The entry or the run whose weights are the first, see `start_folder`; None leaves it
            to the recipe, which may name one.

    Raises:
        InputError: Something is wrong with one of them.
    """
    changes = dict(changes or {})
    if start is not None:
        changes["training.start_from"] = json.dumps(str(start), ensure_ascii=False)
        if target is None:
            target, default = start, TrainingConfig()
            changes = {f"training.{key}": getattr(default, key) for key in _OF_ITS_START} | changes
    if target is None:
        raise InputError("What to train? Name an entry, a family or a recipe.toml (tfgen list)")
    recipe = starting_recipe(target).override(changes)
    if logdir is None:
        return recipe, Path("runs", home_path(target).resolve().stem)
    return recipe, home_path(logdir)


def resumed_run(logdir, target=None, changes=None):
    """Returns the recipe and the folder of a run that goes on.

    Args:
        logdir: The run's folder. Its own recipe is the start, whatever the target's says now.
        target: If given, must be of the run's family.
        changes: What differs from the run's recipe; `tfgen.training.train` knows what may.

    Raises:
        InputError: The folder is no run, or one of another family.
    """
    if logdir is None:
        raise InputError("--resume needs --logdir, the folder of the run")
    logdir = home_path(logdir)
    if not (logdir / RECIPE).is_file():
        raise InputError(f"{logdir}: there is no run to resume: no {RECIPE}")
    saved = Recipe.from_file(logdir / RECIPE)
    if target is not None and (family := starting_recipe(target).family) != saved.family:
        raise InputError(f"{logdir}: this run is of family '{saved.family}', not '{family}'")
    return saved.override(changes or {}), logdir


def start_folder(recipe, logdir):
    """Returns the folder of the model that a training starts from.

    Args:
        recipe: The run's recipe, whose `training.start_from` is a name of the zoo or a path.
        logdir: The run's folder.

    Returns:
        A path; None if the weights are new, or the run has a checkpoint to go on from.

    Raises:
        InputError: There is no such model, or it has no weights.
    """
    name = recipe.training.start_from
    if name is None or any(Path(logdir, "checkpoints").glob("step-*.npz")):
        return None
    item = find(name)
    if not item.pretrained:
        raise InputError(f"'{name}' has no weights to start from: name an entry or a run")
    return item.folder
