"""Pieces of music as piano rolls, as MIDI, as sound, and in figures; `tfgen.kinds` has the row."""

import numpy as np

from tfgen.data.music.frames import is_roll, notes_of, sounding
from tfgen.data.music.grid import piece_of
from tfgen.data.music.rolls import REST
from tfgen.report.music import (
    MOST_PIECES,
    NAMES,
    as_midi,
    as_wav,
    draw_rolls,
    heard,
    pitch_name,
    pitch_span,
)

_SHOWN = 8


def figure_of_pieces(samples, quick=False):
    """Draws the piano rolls of `tfgen.report.kinds.Samples`; a voice has a colour of its own."""
    arrays, per_quarter = samples.arrays[:MOST_PIECES], (samples.sample_rate or 2) / 2
    rolls, unknown = [], []
    for values in arrays:
        notes = notes_of(values, samples.features).astype(float)
        notes[:, :2] /= per_quarter
        rolls.append(notes)
        gaps = np.flatnonzero(np.isnan(values).all(axis=1))
        unknown.append(np.stack([gaps, gaps + 1], axis=1) / per_quarter)
    ends = [len(values) / per_quarter for values in arrays]
    return draw_rolls(rolls, ends, samples.titles, samples.title, quick, unknown)


def lines_of_piece(values):
    """A thumbnail: what is not at its first level, as a line over the positions that it lasts."""
    lines = []
    for column in range(values.shape[1]):
        edges = np.flatnonzero(np.diff(values[:, column], prepend=np.nan, append=np.nan) != 0)
        for start, stop in zip(edges[:-1], edges[1:]):
            level = values[start, column]
            if level > 0:  # of a roll the row is the pitch, of a voice the level is
                height = -column if values.shape[1] > 12 else -level
                lines.append(np.array([[start, height], [stop, height]], float) / 16)
    return lines


def pieces_as_midi(samples):
    return as_midi(_pieces(samples))


def pieces_as_wav(samples):
    return as_wav(_pieces(samples))


def sounds_of_pieces(samples):
    """Sounds `(samples, 1)` of pieces, and their rate, for `tfgen.kinds.Kind.sounds`."""
    return heard(_pieces(samples))


def facts_of_pieces(sequences):
    """What `tfgen inspect` tells of pieces: their range, voices, and how many sound at once."""
    features, together = sequences.features, np.concatenate(sequences.values)
    pitches = sounding(together, features)
    there = pitches != REST
    some = pitches[there]
    counts = np.bincount(there.sum(axis=1))
    shares = [f"{n}: {100 * c / len(pitches):.3g}%" for n, c in enumerate(counts) if c][:_SHOWN]
    lines = [
        f"frames: {sequences.sample_rate / 2:g} in a quarter note",
        f"pitches: {_range(some)}, mean {pitch_name(round(float(some.mean())))}",
        f"pitches at once: mean {there.sum(axis=1).mean():.3g}, {', '.join(shares)} of frames",
    ]
    classes = np.bincount(some % 12, minlength=12) / len(some)
    order = np.argsort(-classes)[:_SHOWN]
    lines.append(
        f"pitch classes: {', '.join(f'{NAMES[n]} {100 * classes[n]:.2g}%' for n in order)}"
    )
    if not is_roll(features):
        for column, feature in enumerate(features):
            own = pitches[there[:, column], column]
            rests = 100 * (1 - there[:, column].mean())
            what = _range(own) if len(own) else "nothing"
            lines.append(f"{feature.name}: {what}; rests in {rests:.2g}% of frames")
    return lines


def _range(pitches):
    return pitch_span(int(pitches.min()), int(pitches.max()))


def _pieces(samples):
    by_voice = not is_roll(samples.features)
    return [
        piece_of(notes_of(values, samples.features), samples.sample_rate, by_voice)
        for values in samples.arrays
    ]
