"""Pieces of music as piano rolls, and as files: MIDI, sound and pictures."""

from pathlib import Path

import numpy as np

from tfgen.data.music.midi import write_midi
from tfgen.data.music.piece import DRUMS, DURATION, PITCH, PROGRAM, START
from tfgen.data.music.synthesis import synthesise
from tfgen.errors import unknown
from tfgen.report.figures import (
    COLOURS,
    FONTS,
    GREY,
    QUICK_WIDTH,
    WIDTH,
    new_figure,
    plain,
    titled,
    to_png,
)
from tfgen.report.output import write_files
from tfgen.report.sounds import write_wav

SOUND_RATE = 22050
MOST_HEARD = 120  # seconds, in TensorBoard
MOST_PIECES = 4  # of a picture
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def pitch_name(pitch):
    """Returns what people call a pitch: 60 is C4."""
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def class_name(pitch):
    """As `pitch_name`, without the octave."""
    return NAMES[pitch % 12]


def roll_figure(pieces, titles=None, title=None, quick=False):
    """Draws the piano rolls of a list of `tfgen.data.music.piece.Piece`; see `draw_rolls`.

    An instrument has a colour of its own, drums are grey.
    """
    together = np.concatenate([piece.notes for piece in pieces])
    programs = np.unique(together[together[:, PROGRAM] != DRUMS, PROGRAM])
    rolls = []
    for piece in pieces:
        times = piece.notes[:, [START, DURATION]] / piece.ticks_per_quarter
        drums = piece.notes[:, PROGRAM] == DRUMS
        groups = np.where(drums, -1, np.searchsorted(programs, piece.notes[:, PROGRAM]))
        rolls.append(np.column_stack([times, piece.notes[:, PITCH], groups]))
    ends = [piece.end / piece.ticks_per_quarter for piece in pieces]
    return draw_rolls(rolls, ends, titles, title, quick)


def draw_rolls(rolls, ends, titles=None, title=None, quick=False, shaded=None):
    """Draws piano rolls: time to the right, pitch upward.

    Args:
        rolls: List of arrays `(notes, 4)`: start and duration in quarter notes, pitch, and which
            colour, -1 of grey; the first few are drawn.
        ends: Where each piece ends, in quarter notes.
        titles: Optional list of texts.
        title: Optional title of the whole picture.
        quick: See `new_figure`.
        shaded: Optional list of arrays `(stretches, 2)`: from where to where nothing is known.
    """
    from matplotlib.collections import PolyCollection

    rolls = rolls[:MOST_PIECES]
    marks, axis, _ = FONTS[quick]
    height = (1.2 if quick else 1.8) * len(rolls) + 0.8
    figure = new_figure(QUICK_WIDTH if quick else WIDTH, height, quick)
    panels = figure.subplots(len(rolls), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for number, (notes, axes) in enumerate(zip(rolls, panels)):
        plain(axes, quick)
        for group in np.unique(notes[:, 3]).astype(int).tolist():
            start, duration, pitch, _ = notes[notes[:, 3] == group].T
            corners = np.array([[0, -0.4], [0, 0.4], [1, 0.4], [1, -0.4]])
            bars = (
                np.stack([start, pitch], axis=1)[:, None]
                + corners
                * np.stack([np.maximum(duration, 0.1), np.ones(len(start))], axis=1)[:, None]
            )  # (notes, 4, 2)
            colour = GREY if group < 0 else COLOURS[group % len(COLOURS)]
            axes.add_collection(
                PolyCollection(bars, facecolors=colour, edgecolors="white", linewidths=0.3)
            )
        for start, stop in [] if shaded is None else shaded[number]:
            axes.axvspan(start, stop, color="#eeeeee", zorder=0)
        if titles:
            axes.set_title(titles[number], fontsize=9, loc="left", color=GREY)
        axes.tick_params(labelsize=marks)
    pitches = np.concatenate([notes[:, 2] for notes in rolls])
    if len(pitches):
        low, high = int(pitches.min()), int(pitches.max())
        octaves = [pitch for pitch in range(low - low % 12, high + 13, 12) if low <= pitch <= high]
        ticks = octaves if len(octaves) > 1 else [low, high]
        panels[0].set(ylim=(low - 1, high + 1), yticks=ticks)
        panels[0].set_yticklabels([pitch_name(pitch) for pitch in ticks])
    panels[-1].set_xlabel("quarter notes", fontsize=axis)
    panels[-1].set_xlim(0, max(*ends[: len(rolls)], 1))
    return titled(figure, title)


def pitch_span(low, high):
    """Returns what people call a range of pitches."""
    return f"{pitch_name(low)} to {pitch_name(high)} ({low} to {high})"


def heard(pieces):
    """Sounds `(samples, 1)` of pieces, the beginning of long ones, and their sample rate."""
    sounds = [synthesise(piece, SOUND_RATE, MOST_HEARD)[:, None] for piece in pieces]
    return sounds, SOUND_RATE


def as_midi(pieces):
    """Functions of a path, each of which writes a piece; so does `as_wav`."""
    return [lambda path, piece=piece: write_midi(piece, path) for piece in pieces]


def as_wav(pieces):
    return [
        lambda path, piece=piece: write_wav(path, synthesise(piece, SOUND_RATE), SOUND_RATE)
        for piece in pieces
    ]


def _as_png(pieces):
    names = [piece.name for piece in pieces] if len(pieces) > 1 else None
    picture = to_png(roll_figure(pieces, names))
    return [lambda path: path.write_bytes(picture)]


# What pieces are written as, by suffix.
PIECE_FORMATS = {".mid": as_midi, ".midi": as_midi, ".wav": as_wav, ".png": _as_png}


def write_pieces(path, pieces):
    """Writes pieces, whole or not at all: `.mid`, `.wav`, or `.png`.

    Args:
        path: The file; of several pieces files with numbers, `name-1.mid` and so on, but one
            `.png`.
        pieces: List of `tfgen.data.music.piece.Piece`.

    Returns:
        List of the paths written.

    Raises:
        InputError: The suffix is another one, the file cannot be written, or a package is missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in PIECE_FORMATS:
        raise unknown("suffix", suffix, PIECE_FORMATS)
    return write_files(path, PIECE_FORMATS[suffix](pieces))
