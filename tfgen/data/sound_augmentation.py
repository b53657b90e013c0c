"""What is done to batches of sound: see `tfgen.data.augmentation`.

Sound lies about 0 and within [-1, 1] whatever is done here.
"""

import numpy as np


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
