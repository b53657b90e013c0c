"""`make_gaps`: what of sequences is to be drawn anew, given the rest."""

import dataclasses
import re

import numpy as np

from tfgen.data.music.frames import is_roll
from tfgen.errors import InputError, unknown

MELODY = "melody"


def make_gaps(sequences, keep=None, rows=None):
    """Returns sequences without what is to be drawn: missing values in its place.

    Args:
        sequences: `Sequences`.
        keep: Names of the columns that are kept, all others are to be drawn; of a piano roll
            `["melody"]`, the highest pitch of each frame, and that none is above it. None keeps
            no column of the rows.
        rows: Text `"FIRST:LAST"`, counted from 1: only what is in these rows is to be drawn; either
            may be left out. None is all rows.

    Raises:
        InputError: For a column that there is not, or rows that are none.
    """
    names = [feature.name for feature in sequences.features]
    melody = list(keep or ()) == [MELODY] and is_roll(sequences.features)
    for name in () if melody else keep or ():
        if name not in names:
            raise unknown("column of --keep", name, names)
    kept = np.isin(names, [] if keep is None or melody else keep)
    changed = []
    for values in sequences.values:
        drawn = np.broadcast_to(~kept, values.shape)
        if melody:
            drawn = np.cumsum(values[:, ::-1] == 1, axis=1)[:, ::-1] > (values == 1)
        drawn = drawn & _within(rows, len(values))[:, None]
        changed.append(np.where(drawn, np.array(np.nan, values.dtype), values))
    return dataclasses.replace(sequences, values=changed)


def _within(rows, count):
    """bool `(count,)`: which rows a text names."""
    match = re.fullmatch(r"(\d*):(\d*)", ":" if rows is None else rows)
    first, last = (int(each or 0) for each in match.groups()) if match else (1, 0)
    last = last or count
    if not match or not max(first, 1) <= min(last, count):
        raise InputError(
            f"--rows takes FIRST:LAST, rows counted from 1, of which there are {count:,}. "
            f"Received: --rows {rows}"
        )
    places = 1 + np.arange(count)
    return (places >= first) & (places <= last)
