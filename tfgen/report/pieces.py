"""Pieces of music as piano rolls, as MIDI, as sound, and in figures; `tfgen.kinds` has the row."""

import numpy as np

from tfgen.data.music.frames import is_roll, notes_of, sounding
from tfgen.data.music.grid import piece_of
from tfgen.data.music.midi import write_midi
from tfgen.data.music.rolls import REST
from tfgen.data.music.synthesis import synthesise
from tfgen.report.figures import (
    COLOURS,
    FONTS,
    GREY,
    QUICK_WIDTH,
    WIDTH,
    new_figure,
    plain,
    titled,
)
from tfgen.report.sounds import write_wav

SOUND_RATE = 22050
MOST_SECONDS = 120  # that are heard in TensorBoard
MOST_PIECES = 4  # of a picture
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_SHOWN = 8


def pitch_name(pitch):
    """Returns what people call a pitch: 60 is C4."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def figure_of_pieces(samples, quick=False):
    """Draws the piano rolls of `tfgen.report.kinds.Samples`; a voice has a colour of its own."""
    arrays = samples.arrays[:MOST_PIECES]
    marks, axis, _ = FONTS[quick]
    height = (1.2 if quick else 1.8) * len(arrays) + 0.8
    figure = new_figure(QUICK_WIDTH if quick else WIDTH, height, quick)
    panels = figure.subplots(len(arrays), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    per_quarter = (samples.sample_rate or 2) / 2
    seen = []
    for number, (values, axes) in enumerate(zip(arrays, panels)):
        notes = notes_of(values, samples.features)
        seen += [notes[:, 2]] if len(notes) else []
        plain(axes, quick)
        for voice in np.unique(notes[:, 3]):
            start, duration, pitch, _ = notes[notes[:, 3] == voice].T
            axes.barh(
                pitch, duration / per_quarter, left=start / per_quarter, height=0.8,
                color=COLOURS[voice % len(COLOURS)], edgecolor="white", linewidth=0.3,
            )  # fmt: skip
        unknown = np.isnan(values).all(axis=1)
        for place in np.flatnonzero(unknown):
            axes.axvspan(place / per_quarter, (place + 1) / per_quarter, color="#eeeeee", zorder=0)
        if samples.titles:
            axes.set_title(samples.titles[number], fontsize=9, loc="left", color=GREY)
        axes.tick_params(labelsize=marks)
    if seen:
        seen = np.concatenate(seen)
        low, high = int(seen.min()), int(seen.max())
        octaves = [pitch for pitch in range(low - low % 12, high + 13, 12) if low <= pitch <= high]
        ticks = octaves if len(octaves) > 1 else [low, high]
        panels[0].set(ylim=(low - 1, high + 1), yticks=ticks)
        panels[0].set_yticklabels([pitch_name(pitch) for pitch in ticks])
    panels[-1].set_xlabel("quarter notes", fontsize=axis)
    panels[-1].set_xlim(0, max(map(len, arrays)) / per_quarter)
    return titled(figure, samples.title)


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
    return [lambda path, p=piece: write_midi(p, path) for piece in _pieces(samples)]


def pieces_as_wav(samples):
    return [
        lambda path, p=piece: write_wav(path, synthesise(p, SOUND_RATE), SOUND_RATE)
        for piece in _pieces(samples)
    ]


def sounds_of_pieces(samples):
    """Sounds `(samples, 1)` of pieces, and their rate, for `tfgen.kinds.Kind.sounds`."""
    sounds = [synthesise(piece, SOUND_RATE, MOST_SECONDS)[:, None] for piece in _pieces(samples)]
    return sounds, SOUND_RATE


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
        f"pitch classes: {', '.join(f'{_NAMES[n]} {100 * classes[n]:.2g}%' for n in order)}"
    )
    if not is_roll(features):
        for column, feature in enumerate(features):
            own = pitches[there[:, column], column]
            rests = 100 * (1 - there[:, column].mean())
            what = _range(own) if len(own) else "nothing"
            lines.append(f"{feature.name}: {what}; rests in {rests:.2g}% of frames")
    return lines


def _range(pitches):
    low, high = int(pitches.min()), int(pitches.max())
    return f"{pitch_name(low)} to {pitch_name(high)} ({low} to {high})"


def _pieces(samples):
    by_voice = not is_roll(samples.features)
    return [
        piece_of(notes_of(values, samples.features), samples.sample_rate, by_voice)
        for values in samples.arrays
    ]
