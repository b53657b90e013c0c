"""What a model of numbers is told of sequences besides their values."""

import numpy as np


def told(processor, sequences, pieces, horizon=0):
    """Returns what a model's methods take of pieces of sequences, as keyword arguments.

    Args:
        processor: The model's `SequenceProcessor`.
        sequences: `tfgen.data.Sequences`.
        pieces: List of `(row, start, stop)`: which sequences, from where to where.
        horizon: Positions after each piece of which is told what is known beforehand.

    Returns:
        A dict with those of `times`, `known`, `condition`, `static` and `source` that the model
        takes, each with an entry for every piece. What is known is filled up to the length of the
        longest.
    """
    rows = [row for row, *_ in pieces]
    times, known = sequences.times, sequences.known
    return told_by(
        processor,
        times=times and [times[row][start:stop] for row, start, stop in pieces],
        known=known and [known[row][start : stop + horizon] for row, start, stop in pieces],
        labels=None if sequences.labels is None else sequences.labels[rows],
        static=None if sequences.static is None else sequences.static[rows],
        texts=sequences.texts and [sequences.texts[row] for row in rows],
    )


def told_by(processor, *, times=None, known=None, labels=None, static=None, texts=None):
    """Returns the same of what is told of each piece; None is told of none.

    Args:
        processor: The model's `SequenceProcessor`.
        times: List of int64 `(time,)`.
        known: List of `(time, known)`.
        labels: Numbers of classes.
        static: List of `(static,)`, or an array of them.
        texts: List of texts.
    """
    found = {}
    if processor.needs_times and times is not None:
        found["times"] = times
    if processor.known_names:
        longest = max(map(len, known))
        found["known"] = np.stack([
            np.pad(each, [(0, longest - len(each)), (0, 0)], mode="edge") for each in known
        ])  # fmt: skip
    if processor.num_classes and labels is not None:
        found["condition"] = [int(label) for label in labels]
    if processor.static_width:
        found["static"] = np.stack(list(static))
    if texts is not None:
        found["source"] = list(texts)
    return found


def told_of_one(processor, sequences, row, start=0, stop=None, horizon=0):
    """Returns the same of one piece, without an axis for pieces."""
    stop = len(sequences.values[row]) - horizon if stop is None else stop
    found = told(processor, sequences, [(row, start, stop)], horizon)
    return {name: value[0] for name, value in found.items()}
