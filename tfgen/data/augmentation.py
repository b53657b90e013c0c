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


def pitch(batch, generator, semitones):
    """Plays each sequence faster or slower, by up to so many semitones either way.

    Between samples it is interpolated linearly. What then leaves the window is cut off.
    """
    factors = 2 ** (generator.uniform(-semitones, semitones, len(batch["values"])) / 12)
    return _resampled(batch, lambda row, places: places * factors[row], 1 / factors)


def shift(batch, generator, samples):
    """Lets each sequence begin later, after up to so many samples of silence."""
    later = generator.integers(0, int(samples), len(batch["values"]), endpoint=True)
    return _resampled(batch, lambda row, places: places - later[row], 1, later)


# Each with what its number may be: the bounds, of which the lower one is not allowed itself. All are
# of sound, whose values lie about 0 and within [-1, 1] whatever is done here.
AUGMENTATIONS = {
    "gain": (gain, 0, 120),
    "flip": (flip, 0, 1),
    "pitch": (pitch, 0, 24),
    "shift": (shift, 0, 1e6),
}


def open_augmentation(texts, kind):
    """Returns a function `(batch, numpy.random.Generator) -> batch`, or None for no texts.

    Args:
        texts: What is done, in this order: `"gain=12"`, `"flip=0.5"`, `"pitch=2"`, `"shift=100"`.
        kind: Kind of the data.

    Raises:
        InputError: For a text that is not like this, or one that is for another kind of data.
    """
    chosen = [_parse(text) for text in texts]
    for name, _ in chosen:
        if kind != "audio":
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


def _resampled(batch, places_of, stretch, later=0):
    """The batch with whole sequences told at other places; parts of sequences stay as they are.

    Args:
        batch: See `tfgen.data.SequenceWindows.batch`.
        places_of: Function `(row, places)`: where in the sequence the samples of a row come from;
            before its beginning is silence.
        stretch: Number or `(batch,)`: how many times as long the sequences become.
        later: Number or `(batch,)`: samples that are added at their beginning.
    """
    rows, window, _ = batch["values"].shape
    lengths = batch["valid"].sum(axis=1)
    whole = batch.get("first", np.zeros(rows, bool)) & batch["last"].any(axis=1)
    after = np.clip(np.floor((lengths - 1) * stretch).astype(int) + 1 + later, 1, window)
    after = np.where(whole, after, lengths)
    places = np.arange(window)
    values = batch["values"].copy()
    for row in np.flatnonzero(whole):
        known = batch["values"][row, : lengths[row], 0]
        told = np.interp(places_of(row, places), places[: lengths[row]], known, left=0.0)
        values[row, :, 0] = np.where(places < after[row], told, np.nan)
    ends = places == after[:, None] - 1
    return {
        **batch,
        "values": values,
        "valid": np.where(whole[:, None], places < after[:, None], batch["valid"]),
        "last": np.where(whole[:, None], ends, batch["last"]),
    }
