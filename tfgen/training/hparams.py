"""What a run's row in TensorBoard's HParams table shows."""

from tfgen.recipe import Recipe

# Always in the HParams table.
SHOWN = {"family", "data.name", "training.steps", "training.learning_rate", "training.seed"}


def hyperparameters(recipe, shown=()):
    """Returns what distinguishes a run from others, a dict of plain values by the recipe's keys.

    Args:
        recipe: A `tfgen.recipe.Recipe`.
        shown: Keys that are shown even where they are the default, as a few always are.
    """
    defaults = Recipe(recipe.family).flat()
    found = {
        key: value
        for key, value in recipe.flat().items()
        if key in SHOWN or key in shown or value != defaults.get(key)
    }
    plain = bool | int | float | str
    return {key: value if isinstance(value, plain) else str(value) for key, value in found.items()}
