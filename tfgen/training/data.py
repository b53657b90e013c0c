"""What a run trains on, whatever it is: windows of tokens, or windows of numbers."""

import dataclasses
from typing import Any

from tfgen.data import (
    CarriedWindows,
    SequenceWindows,
    Windows,
    data_kind,
    encode,
    open_sequences,
    open_text,
)
from tfgen.data.augmentation import open_augmentation
from tfgen.errors import InputError
from tfgen.preprocessing import SequenceProcessor, build_tokenizer
from tfgen.training.dashboard import TextDashboard
from tfgen.training.series_dashboard import SeriesDashboard


@dataclasses.dataclass
class Data:
    """The data of a run.

    Attributes:
        preprocessing: The fitted tokenizer or processor of numbers.
        windows: Dict with the windows of `"train"` and `"validation"`.
        summary: What there is, for people.
        unit: What one position is called.
        dashboard: Function `(folder, model)` that gives the run's dashboard.
    """

    preprocessing: Any
    windows: dict
    summary: str
    unit: str
    dashboard: Any


def open_data(recipe, preprocessing=None):
    """Returns the `Data` of a recipe.

    Args:
        recipe: A `tfgen.recipe.Recipe`.
        preprocessing: What the run was begun with; None fits it to the training split.

    Raises:
        InputError: If there is nothing to read, or it is too short.
    """
    if data_kind(recipe.data) == "text":
        return _open_text(recipe, preprocessing)
    return _open_numbers(recipe, preprocessing)


def _open_text(recipe, tokenizer):
    config = recipe.training
    if config.augment:
        raise InputError(
            "training.augment is for sound, and these data are text. "
            f"Received: training.augment={list(config.augment)}"
        )
    source = open_text(
        recipe.data.name,
        column=recipe.data.column,
        validation_fraction=recipe.data.validation_fraction,
    )
    if tokenizer is None:
        tokenizer = build_tokenizer(recipe.preprocessing, source.chunks("train"))
    windows = {
        split: Windows(
            encode(source, tokenizer, split),
            config.window,
            config.batch_size,
            seed=config.seed,
            carry_state=config.carry_state and split == "train",
            drop_remainder=split == "train",
        )
        for split in ("train", "validation")
    }
    summary = (
        f"{len(windows['train'].tokens):,} tokens to train on, "
        f"{len(windows['validation'].tokens):,} to validate, {tokenizer.vocabulary_size} symbols"
    )
    return Data(tokenizer, windows, summary, "tokens", TextDashboard)


def _open_numbers(recipe, processor):
    config = recipe.training
    sequences = open_sequences(recipe.data)
    if config.carry_state and not sequences.ends:
        raise InputError(
            "training.carry_state is for text, and for whole drawings or clips: windows of a series "
            "begin anew. Received: training.carry_state=true"
        )
    train, validation, _ = sequences.split(recipe.data.validation_fraction, recipe.data.split)
    if processor is None:
        processor = SequenceProcessor.fit(train, recipe.preprocessing)
    parts = {"train": processor.check(train), "validation": processor.check(validation)}
    windows = {
        "train": _windows(
            parts["train"], config, augment=open_augmentation(config.augment, processor.kind)
        ),
        "validation": _windows(parts["validation"], config, drop_remainder=False),
    }
    summary = (
        f"{train.positions:,} positions of {processor.num_features} features in {len(train):,} "
        f"sequences to train on, {validation.positions:,} in {len(validation):,} to validate"
    )

    def dashboard(folder, model):
        return SeriesDashboard(folder, model, parts["validation"])

    return Data(processor, windows, summary, "positions", dashboard)


def _windows(sequences, config, drop_remainder=True, augment=None):
    if config.carry_state:
        count = config.batch_size if drop_remainder else min(config.batch_size, len(sequences))
        return CarriedWindows(sequences, config.window, count, config.seed, augment)
    # A small table does not fill a batch of the usual size: all of its windows are one, then.
    count = SequenceWindows(sequences, config.window, 1, config.seed).steps_per_epoch
    return SequenceWindows(
        sequences,
        config.window,
        min(config.batch_size, count),
        config.seed,
        drop_remainder,
        augment,
    )
