"""`Piece`: a piece of music as notes."""

import dataclasses

import numpy as np

DRUMS = 128  # the program of drums, behind the 128 of General MIDI
START, DURATION, PITCH, VELOCITY, PROGRAM, TRACK = range(6)
USUAL_TEMPO, USUAL_METRE = 120.0, (4, 4)  # of MIDI, where a file says nothing


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Piece:
    """A piece of music; times are in ticks, whole numbers from 0 on.

    Attributes:
        notes: int32 `(notes, 6)`, sorted by start, then pitch, program and track. The columns are
            start and duration in ticks, pitch from 0 to 127 (60 is middle C), velocity from 1 to
            127, program from 0 to 127 as in General MIDI or 128 of drums, and the track's number.
        ticks_per_quarter: Ticks of a quarter note.
        tempos: float64 `(tempos, 2)`: from which tick on, and quarters a minute.
        metres: int32 `(metres, 3)`: from which tick on, numerator and denominator.
        keys: int32 `(keys, 3)`: from which tick on, sharps from -7 (seven flats) to 7, and 1 of
            minor or 0 of major.
        name: What messages and files call it.
    """

    notes: np.ndarray
    ticks_per_quarter: int = 480
    tempos: np.ndarray = ()
    metres: np.ndarray = ()
    keys: np.ndarray = ()
    name: str = ""

    def __post_init__(self):
        for field, width, dtype, order in (
            ("notes", 6, np.int32, (DURATION, TRACK, PROGRAM, PITCH, START)),
            ("tempos", 2, np.float64, (0,)),
            ("metres", 3, np.int32, (0,)),
            ("keys", 3, np.int32, (0,)),
        ):
            rows = np.asarray(getattr(self, field), dtype).reshape(-1, width)
            rows = rows[np.lexsort([rows[:, column] for column in order])]  # a stable sort
            object.__setattr__(self, field, rows)

    @property
    def end(self):
        """The tick at which the last note ends."""
        return int((self.notes[:, START] + self.notes[:, DURATION]).max(initial=0))

    def seconds(self, ticks):
        """Times in seconds, float64, of ticks, an array: by the tempos, 120 where there is none."""
        known = len(self.tempos) and self.tempos[0, 0] <= 0
        first = np.zeros([0, 2]) if known else [[0.0, USUAL_TEMPO]]
        changes = np.concatenate([first, self.tempos])
        lengths = 60 / (changes[:, 1] * self.ticks_per_quarter)  # of a tick, in seconds
        starts = np.concatenate([[0.0], np.cumsum(np.diff(changes[:, 0]) * lengths[:-1])])
        ticks = np.asarray(ticks, np.float64)
        which = np.maximum(np.searchsorted(changes[:, 0], ticks, "right") - 1, 0)
        return starts[which] + (ticks - changes[which, 0]) * lengths[which]
