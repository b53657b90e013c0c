"""Recipes: what a model is, what it is trained on and how, as frozen dataclasses and as TOML.

The dataclasses are the one source of every field's name, default, range and explanation: the
command line's help, the checks of a recipe file and the recipe saved with a run are made of them.

A recipe file has two keys at its top, `family` and `description`, and the sections `[model]`,
`[data]`, `[preprocessing]`, `[training]` and `[generation]`. Only `family` has to be there:

    family = "lstm"

    [model]
    units = 256

    [training]
    steps = 1000

The keys of `[model]` are the arguments of the family's constructor, which this module does not
know: `tfgen.models.build` checks them.
"""

from tfgen.recipe.data import CONTEXT, DataConfig, PreprocessingConfig
from tfgen.recipe.generation import (
    AdversarialSampling,
    DiffusionSampling,
    GenerationConfig,
    RolloutSampling,
    TokenSampling,
)
from tfgen.recipe.recipe import MAX_FILE_BYTES, SECTIONS, Recipe, fields_help, recipe_keys
from tfgen.recipe.training import TrainingConfig
from tfgen.recipe.windows import Windows

__all__ = [
    "CONTEXT",
    "AdversarialSampling",
    "MAX_FILE_BYTES",
    "SECTIONS",
    "DataConfig",
    "DiffusionSampling",
    "GenerationConfig",
    "PreprocessingConfig",
    "Recipe",
    "RolloutSampling",
    "TokenSampling",
    "TrainingConfig",
    "Windows",
    "fields_help",
    "recipe_keys",
]
