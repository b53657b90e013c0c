"""Where `tfgen train` begins: the recipe of a new run, or of one that goes on."""

from pathlib import Path

from tfgen.errors import InputError
from tfgen.recipe import Recipe
from tfgen.zoo.folders import RECIPE
from tfgen.zoo.registry import find


def starting_recipe(target):
    """Returns the recipe that a training begins with.

    Args:
        target: A name of the zoo, the path of an entry or of a run, or the path of a recipe,
            which ends in `.toml`.

    Raises:
        InputError: Nothing of that name; or a layer, which is no model.
    """
    if str(target).lower().endswith(".toml"):
        return Recipe.from_file(Path(target).expanduser())
    item = find(target)
    if item.kind == "layer":
        raise InputError(f"'{item.name}' is a layer; only an entry or a family can be trained")
    if item.kind == "family":
        return Recipe(family=item.name)
    return Recipe.from_file(item.folder / RECIPE)


def new_run(target, logdir=None, changes=None):
    """Returns the recipe and the folder of a new run.

    Args:
        target: See `starting_recipe`.
        logdir: The run's folder; None is `runs/` and the name of the target.
        changes: What differs from the target's recipe, see `Recipe.override`.

    Raises:
        InputError: Something is wrong with one of them.
    """
    if target is None:
        raise InputError("What to train? Name an entry, a family or a recipe.toml (tfgen list)")
    recipe = starting_recipe(target).override(changes or {})
    if logdir is None:
        return recipe, Path("runs", Path(target).expanduser().resolve().stem)
    return recipe, Path(logdir).expanduser()


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
    logdir = Path(logdir).expanduser()
    if not (logdir / RECIPE).is_file():
        raise InputError(f"{logdir}: there is no run to resume: no {RECIPE}")
    saved = Recipe.from_file(logdir / RECIPE)
    if target is not None and (family := starting_recipe(target).family) != saved.family:
        raise InputError(f"{logdir}: this run is of family '{saved.family}', not '{family}'")
    return saved.override(changes or {}), logdir
