"""`refit`: a model trained again by its own recipe, on other data."""

import dataclasses
import tempfile

from tfgen import models
from tfgen.errors import InputError
from tfgen.recipe import DataConfig, TrainingConfig
from tfgen.training.trainer import train
from tfgen.values import whole_number

# Of the training that made a model: where it began, and what nobody looks at here.
_OF_BEFORE = (
    "start_from", "vocabulary", "freeze", "lora_rank", "lora_alpha", "lora_targets", "lora_also",
    "choose_on", "profile",
)  # fmt: skip
_QUIET = {"sample_every": 0, "histogram_every": 0, "checkpoint_every": 0}


def refit(model, sequences, further=None):
    """Trains a model again as its recipe says, as `tfgen.evaluation.backtest` does with `refit`.

    The last part of the data, as much as the recipe says, chooses the best weights.

    Args:
        model: A `NumbersModel` with a recipe, of a run or an entry. It is only read.
        sequences: `tfgen.data.Sequences` to train on, read as the model's own were.
        further: Steps to go on for from the model's own weights, with its scaling; None trains from
            new weights, for as many steps as the recipe says.

    Returns:
        A new model.

    Raises:
        InputError: For a model without a recipe, or data that are too short.
    """
    recipe = model.recipe
    if recipe is None:
        raise InputError("A model is trained again by its recipe, and this one has none")
    default = TrainingConfig()
    training = {key: getattr(default, key) for key in _OF_BEFORE} | _QUIET
    if further is not None:
        whole_number("further", further, 1)
        warmup = min(recipe.training.warmup_steps, further // 10)
        training |= {"steps": further, "warmup_steps": warmup}
    split = recipe.data.split
    data = DataConfig(
        name=sequences.name,
        validation_fraction=recipe.data.validation_fraction,
        # An end is held out by the backtest.
        split="blocks" if split == "blocks+time" else split,
    )
    recipe = dataclasses.replace(
        recipe, data=data, training=dataclasses.replace(recipe.training, **training)
    )
    start = None if further is None else model
    with tempfile.TemporaryDirectory() as folder:
        final = train(recipe, f"{folder}/run", progress=False, start=start, data=sequences)
        return models.load(final)
