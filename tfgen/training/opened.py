"""`Data`: what a run trains on, once it is open."""

import dataclasses
from typing import Any

OF_HALF = {"half": " (half of what is held out: the other half is for scores)", "all": ""}
# What messages call them.
SPLIT_NAMES = {"train": "training", "validation": "validation"}


@dataclasses.dataclass
class Data:
    """The data of a run.

    Attributes:
        preprocessing: The fitted tokenizer or processor of numbers, see `models.build`.
        windows: Dict with the windows of `"train"` and `"validation"`.
        summary: What there is, for people.
        unit: What one position is called.
        dashboard: Function `(folder, model)` that gives the run's dashboard.
        fingerprint: Of what was read, see `tfgen.training.fingerprint`.
        choose_on: `"half"` or `"all"`: what of the held-out data the validation is of.
        sequences: Of numbers, all `Sequences`.
        model: Arguments of the model that follow from the data.
        held: Of series held out in time, `(sequences, bounds)`: all of them as the processor has
            them, and of each `(start, stop)` of what is held out.
        train: Of numbers, those to train on, as the processor has them.
    """

    preprocessing: Any
    windows: dict
    summary: str
    unit: str
    dashboard: Any
    fingerprint: dict
    choose_on: str
    sequences: Any = None
    train: Any = None
    held: Any = None
    model: dict = dataclasses.field(default_factory=dict)


def count_positions(batch):
    """How many positions the rows of a batch have, padding included."""
    if isinstance(batch, dict):
        rows, time = batch["values"].shape[:2]
    elif isinstance(batch, tuple):
        rows, time = batch[1].shape
    else:
        rows, time = batch.shape[0], batch.shape[1] - 1  # the last token is a target alone
    return rows * time


def choose_on_of(config):
    """`"half"` or `"all"`, as far as the recipe tells. One validation alone chooses nothing."""
    return config.choose_on or ("half" if config.validate_every else "all")
