"""`open_augmentation`: what is done to training batches so that no two epochs are alike."""

import numpy as np

from tfgen.errors import InputError, unknown


def gain(batch, generator, decibels):
    """Makes each sequence quieter, by up to so many decibels, evenly drawn."""
    lower = generator.uniform(-decibels, 0, len(batch["values"]))
    return _times(batch, 10 ** (lower / 20))


def flip(batch, generator, share):
    """Turns this share of the sequences upside down."""
    turned = generator.random(len(batch["values"])) < share
    return _times(batch, np.where(turned, -1.0, 1.0))


# Each with what its number may be: the bounds, of which the lower one is not allowed itself.
AUGMENTATIONS = {"gain": (gain, 0, 120), "flip": (flip, 0, 1)}
# Those of sound, whose values lie about 0 and within [-1, 1] whatever is done here.
_OF_SOUND = ("gain", "flip")


def open_augmentation(texts, kind):
    """Returns a function `(batch, numpy.random.Generator) -> batch`, or None for no texts.

    Args:
        texts: What is done, in this order: `"gain=12"`, `"flip=0.5"`.
        kind: Kind of the data.

    Raises:
        InputError: For a text that is not like this, or one that is for another kind of data.
    """
    chosen = [_parse(text) for text in texts]
    for name, _ in chosen:
        if name in _OF_SOUND and kind != "audio":
            raise InputError(
                f"training.augment: '{name}' is for sound, and these data are {kind}. "
                f"Received: training.augment={list(texts)}"
            )

    def augment(batch, generator):
        for name, amount in chosen:
            batch = AUGMENTATIONS[name][0](batch, generator, amount)
        return batch

    return augment if chosen else None


def _parse(text):
    name, _, amount = text.partition("=")
    if name not in AUGMENTATIONS:
        raise unknown("augmentation of training.augment", name, AUGMENTATIONS)
    _, low, high = AUGMENTATIONS[name]
    try:
        number = float(amount)
    except ValueError:
        number = low
    if not low < number <= high:
        raise InputError(
            f"training.augment: {name} takes a number above {low} and at most {high}, as in "
            f"'{name}={high / 2:g}'. Received: training.augment={text!r}"
        )
    return name, number


def _times(batch, factors):
    """The batch with the numbers of each sequence, and what is known of them, times a factor."""
    factors = factors.astype(np.float32)
    batch = {**batch, "values": batch["values"] * factors[:, None, None]}
    batch["scale"] = batch["scale"] * np.abs(factors)[:, None]
    if "previous" in batch:
        batch["previous"] = batch["previous"] * factors[:, None]
    return batch
