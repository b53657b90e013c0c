"""Blocks of time that are held out all over the data, with a gap around each."""

import numpy as np

from tfgen.errors import InputError

# As many blocks, if each has so many positions; else fewer.
MOST_BLOCKS, LEAST_POSITIONS = 8, 32


def split_blocks(sequences, observed, fraction, turn=None, rule="blocks"):
    """Cuts sequences into blocks that are held out and what lies between them.

    A block is the same stretch of time in every sequence: what two series have at the same hour is
    alike, and no other station's weather may give it away. Without timestamps, positions are
    counted from the beginning of each. The blocks hold equally many values and stand evenly spread.
    Between a block and what is trained on there is a gap of a quarter of a block on both sides, at
    least a position in every sequence.

    Args:
        sequences: `tfgen.data.sequences.Sequences`, at least one.
        observed: List of int64 arrays: of each sequence the positions at which there is a value.
        fraction: The share that is held out, more than 0 and less than 1.
        turn: 0 or 1 gives only every other block, from that one on, for validation; of a single
            block the earlier or the later half.
        rule: As `data.split` has it, for messages.

    Returns:
        `(train, validation, sentence)`, of which the first two have a sequence for each piece.

    Raises:
        InputError: If the sequences are whole things, or too short.
    """
    if sequences.ends:
        raise InputError(
            f"Blocks are held out of series: {sequences.kind} are set aside whole, by "
            f"data.split='sequences'. Received: data.split='{rule}'"
        )
    times = sequences.times or [np.arange(len(values)) for values in sequences.values]
    pool = np.sort(np.concatenate([time[rows] for time, rows in zip(times, observed)]))
    longest = max(map(len, observed))
    if longest < 2:
        raise _too_short(sequences, longest, rule)
    count = int(np.clip(fraction * longest // LEAST_POSITIONS, 1, MOST_BLOCKS))
    size = fraction * len(pool) / count
    first = ((np.arange(count) + 0.5) * len(pool) / count - size / 2).round().astype(int)
    last, gap = (first + size).round().astype(int), max(round(size / 4), 1)

    def at(ranks):
        return pool[np.clip(ranks, 0, len(pool) - 1)]

    starts, stops, before, after = at(first), at(last), at(first - gap), at(last + gap)
    train, held = [], []
    for number, (time, rows) in enumerate(zip(times, observed)):
        end = rows[-1] + 1 if len(rows) else 0  # rows to come belong to neither part
        low, high = (np.searchsorted(time[:end], edges) for edges in (starts, stops))
        held += [(number, *piece) for piece in _of_turn(low, high, turn)]
        until = np.minimum(np.searchsorted(time[:end], before), low - 1)
        since = np.maximum(np.searchsorted(time[:end], after), high + 1)
        train += [(number, *piece) for piece in zip([0, *since], [*until, end])]
    train, held = (_pieces(sequences, rows) for rows in (train, held))
    if not len(train) or not (len(held) or turn):
        raise _too_short(sequences, longest, rule)
    usual = int(np.median([len(values) for values in held.values] or [0]))
    blocks = "a block" if count == 1 else f"{count} blocks"
    sentence = (
        f"{100 * fraction:g}% in {blocks} of {usual:,} positions, evenly spread over the time, "
        f"are for validation; {gap * usual / size:,.0f} before and after each are left out"
    )
    return train, held, sentence


def _of_turn(low, high, turn):
    """The bounds of the blocks that it is the turn of; None is all."""
    if turn is not None and len(low) == 1:
        middle = (low + high + 1) // 2
        low, high, turn = (low, middle, None) if turn == 0 else (middle, high, None)
    return list(zip(low, high))[slice(turn, None, None if turn is None else 2)]


def _too_short(sequences, longest, rule):
    return InputError(
        f"{sequences.name} is too short for held-out blocks with gaps around them: {longest:,} "
        f"positions with a value. Use data.split='time'. Received: data.split='{rule}'"
    )


def _pieces(sequences, rows):
    """The pieces `(number, start, stop)` of sequences, each a sequence; empty ones are left out."""
    rows = [(number, start, stop) for number, start, stop in rows if start < stop]
    return sequences.select([row[0] for row in rows]).cut([row[1:] for row in rows])
