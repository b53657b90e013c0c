"""`to_words` and `to_piece`: a piece of music as words, one for each event.

In the manner of REMI (Huang and Yang, arXiv:2002.00212), on a grid of 12 positions a quarter note:
of sixteenths and of triplets.

- `Bar` begins a bar, `Metre_3/4` behind it says that bars are of another length from here on.
- `Position_12` is a place in the bar, in positions from 0. What follows it is there.
- `Tempo_120` are quarters a minute; `Program_40` is the instrument, as in General MIDI from 0, and
  `Velocity_66` how loud it is played: each until there is another one.
- `Pitch_60 Duration_12` is a note, with its duration in positions. Without one it is as long as the
  note before.
- `Drum_36` is a stroke of a drum, at the velocity there is.

A piece is a line. Any words in any order are a piece: what cannot be is left out.
"""

import re

import numpy as np

from tfgen.data.music.piece import (
    DRUMS,
    DURATION,
    PITCH,
    PROGRAM,
    START,
    TRACK,
    USUAL_METRE,
    USUAL_TEMPO,
    VELOCITY,
    Piece,
)
from tfgen.data.music.scores import read_pieces

GRID = 12  # positions of a quarter note
WHOLE = 4 * GRID
LONGEST_BAR = 4 * WHOLE
# Positions: all to two whole notes, then in quarters.
DURATIONS = np.array([*range(1, 2 * WHOLE), *range(2 * WHOLE, 8 * WHOLE + 1, GRID)])
TEMPOS = np.array([*range(21, 60, 3), *range(60, 160, 5), *range(160, 321, 10)])  # some 5 % apart
VELOCITIES = np.arange(2, 128, 4)
USUAL_VELOCITY = 66
# Those that a vocabulary has in any case; others come from the pieces.
METRES = "2/2 3/2 4/2 1/4 2/4 3/4 4/4 5/4 6/4 7/4 2/8 3/8 4/8 5/8 6/8 7/8 9/8 12/8".split()
NOTE = re.compile(r"\b(?:Pitch|Drum)_")  # what a note begins with
_DENOMINATORS = 1, 2, 4, 8, 16, 32
_MOST_BARS = 1 << 15


def vocabulary():
    """All words but unusual metres, as one line: a tokenizer that has read it lacks none of them.

    So no piece has an unknown word, none is lost in transposing, and a model goes on with pieces
    that are unlike those that it was trained on.
    """
    numbered = {
        "Metre": METRES,
        "Position": range(LONGEST_BAR // 2),
        "Tempo": TEMPOS,
        "Program": range(DRUMS),
        "Velocity": VELOCITIES,
        "Pitch": range(128),
        "Duration": DURATIONS,
        "Drum": range(128),
    }
    words = [f"{name}_{value}" for name, values in numbered.items() for value in values]
    return " ".join(["Bar", "Bar", *words]) + "\n"


def read_words(path, report=None):
    """The words of a file, a line for each piece in it; see `read_pieces`."""
    pieces = read_pieces(path, report)
    return "".join(" ".join(to_words(piece)) + "\n" for piece in pieces)


def to_words(piece):
    """The words of a piece, on the grid.

    Velocities are rounded to one of 32, tempos to some 5 %, and durations beyond two whole notes to
    quarter notes. Of notes of one pitch that an instrument plays at once the longest is left, and
    one that sounds when the same begins again ends there. A metre begins with the next bar.

    Args:
        piece: A `tfgen.data.music.piece.Piece`.

    Returns:
        A list of words, which joined by spaces are a line.
    """
    scale = GRID / piece.ticks_per_quarter
    starts = np.floor(piece.notes[:, START] * scale + 0.5).astype(int)
    ends = (piece.notes[:, START] + piece.notes[:, DURATION]) * scale
    durations = _nearest(DURATIONS, np.maximum(np.floor(ends + 0.5) - starts, 1))
    velocities = _nearest(VELOCITIES, piece.notes[:, VELOCITY])
    notes = np.stack(
        [starts, piece.notes[:, PROGRAM], piece.notes[:, PITCH], durations, velocities], axis=1
    ).astype(int)
    notes = _untangled(notes[np.lexsort([-notes[:, 3], *notes[:, 2::-1].T])])
    heard, tempos = {}, {}
    for tick, tempo in zip(piece.tempos[:, 0], _nearest(TEMPOS, piece.tempos[:, 1]).tolist()):
        heard[round(tick * scale)] = tempo
    before = None
    for place, tempo in heard.items():
        if tempo != before:
            tempos[place] = before = tempo
    metres = [(round(tick * scale), (a, b)) for tick, a, b in piece.metres.tolist()]
    places = {}
    for start, *note in notes.tolist():
        places.setdefault(start, []).append(note)
    last = max(places, default=0)
    tempos = {place: tempo for place, tempo in tempos.items() if place <= last}
    return _worded(places, tempos, [each for each in metres if _length(each[1])])


def _worded(places, tempos, metres):
    """The words of dicts from positions to notes and to tempos, and of a list of metres."""
    words, metre, metres = [], USUAL_METRE, metres[::-1]
    program = velocity = None
    bar, end = 0, 0
    for place in sorted({*places, *tempos}):
        while place >= end:
            bar, told = end, metre
            words.append("Bar")
            while metres and metres[-1][0] <= bar:
                metre = metres.pop()[1]
            if metre != told:
                words.append(f"Metre_{metre[0]}/{metre[1]}")
            end = bar + _length(metre)
        words.append(f"Position_{place - bar}")
        if place in tempos:
            words.append(f"Tempo_{tempos[place]}")
        for own, pitch, duration, loudness in places.get(place, ()):
            if own not in (program, DRUMS):
                program = own
                words.append(f"Program_{program}")
            if loudness != velocity:
                velocity = loudness
                words.append(f"Velocity_{velocity}")
            if own == DRUMS:
                words.append(f"Drum_{pitch}")
            else:
                words += [f"Pitch_{pitch}", f"Duration_{duration}"]
    return words


def to_piece(words, name=""):
    """The piece of words, a text or a list; those after the first line of a text are of another.

    Args:
        words: Any; what is no event is left out.
        name: Of the piece.

    Returns:
        A `tfgen.data.music.piece.Piece` of 12 ticks a quarter note: what `to_words` makes of it
        are the same words, if these were what it made of a piece.
    """
    if isinstance(words, str):
        words = words.strip("\n").partition("\n")[0].split()
    metre, program, velocity, duration = USUAL_METRE, 0, USUAL_VELOCITY, GRID
    bar, position, bars = 0, 0, 0
    notes, tempos, metres = [], [], []
    for word in words:
        kind, _, value = word.partition("_")
        if kind == "Bar":
            bar += _length(metre) if bars else 0
            position, bars = 0, bars + 1
            if bars > _MOST_BARS:
                break
            continue
        if kind == "Metre":
            numbers = value.split("/")
            if len(numbers) == 2 and all(map(_is_number, numbers)):
                told = int(numbers[0]), int(numbers[1])
                if _length(told):
                    metre = told
                    metres = [each for each in metres if each[0] < bar] + [(bar, *metre)]
            continue
        if not _is_number(value):
            continue
        value = int(value)
        if kind == "Position":
            position = min(value, _length(metre) - 1)
        elif kind == "Tempo":
            here = bar + position, _nearest(TEMPOS, value)
            tempos = [each for each in tempos if each[0] != here[0]] + [here]
        elif kind == "Program":
            program = min(value, DRUMS - 1)
        elif kind == "Velocity":
            velocity = _nearest(VELOCITIES, value)
        elif kind == "Duration":
            duration = _nearest(DURATIONS, value)
            if notes and notes[-1][1] != DRUMS:
                notes[-1][3] = duration
        elif kind in ("Pitch", "Drum") and value < 128:
            own, length = (DRUMS, 1) if kind == "Drum" else (program, duration)
            notes.append([bar + position, own, value, length, velocity])
    notes = np.array(notes, int).reshape(-1, 5)
    notes = _untangled(notes[np.lexsort([-notes[:, 3], *notes[:, 2::-1].T])])
    _, tracks = np.unique(notes[:, 1], return_inverse=True)
    start, program, pitch, duration, velocity = notes.T
    columns = {START: start, DURATION: duration, PITCH: pitch, VELOCITY: velocity}
    columns |= {PROGRAM: program, TRACK: tracks}
    rows = np.stack([columns[each] for each in sorted(columns)], axis=1)
    tempos = tempos or [(0, USUAL_TEMPO)]
    if not metres or metres[0][0] > 0:
        metres = [(0, *USUAL_METRE), *metres]
    return Piece(notes=rows, ticks_per_quarter=GRID, tempos=tempos, metres=metres, name=name)


def _untangled(notes):
    """Notes, sorted, of which no two of one program and pitch sound at once; drums are strokes.

    Args:
        notes: int `(notes, 5)`: start, program, pitch, duration, velocity, the longer one first of
            those that begin together.
    """
    if not len(notes):
        return notes
    notes[notes[:, 1] == DRUMS, 3] = 1
    _, first = np.unique(notes[:, :3], axis=0, return_index=True)
    notes = notes[np.sort(first)]
    order = np.lexsort([notes[:, 0], notes[:, 2], notes[:, 1]])  # of each key, one after the other
    before, after = order[:-1], order[1:]
    same = np.all(notes[before, 1:3] == notes[after, 1:3], axis=1)
    gap = np.where(same, notes[after, 0] - notes[before, 0], notes[before, 3])
    notes[before, 3] = np.minimum(notes[before, 3], gap)
    # What was cut may be no duration of the grid's.
    notes[:, 3] = DURATIONS[np.searchsorted(DURATIONS, notes[:, 3], "right") - 1]
    return notes


def _length(metre):
    """Positions of a bar; 0 of a metre that is none here."""
    over, under = metre
    length = over * WHOLE // under if under in _DENOMINATORS else 0
    return length if over * WHOLE % max(under, 1) == 0 and length <= LONGEST_BAR else 0


def _nearest(grid, values):
    """The entry of a sorted array that is nearest to each value."""
    values = np.asarray(values, float)
    middles = (grid[1:] + grid[:-1]) / 2
    return grid[np.searchsorted(middles, values)]


def _is_number(text):
    return text.isascii() and text.isdigit() and len(text) < 6
