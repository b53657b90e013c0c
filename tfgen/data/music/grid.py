"""`roll_of` and `piece_of`: the notes of pieces on a grid of frames, and back."""

import numpy as np

from tfgen.data.music.piece import (
    DRUMS,
    DURATION,
    PITCH,
    PROGRAM,
    START,
    TRACK,
    USUAL_TEMPO,
    Piece,
)
from tfgen.data.music.rolls import REST, Roll

MOST_FRAMES = 1 << 20
VELOCITY = 80
PIANO, CHOIR = 0, 52  # programs of General MIDI: of pitches, and of voices


def roll_of(piece, rate, voices=0, report=None):
    """The frames of a piece, as a `Roll`.

    A note sounds from the frame that is nearest to its start to that which is nearest to its end,
    and in one at least. Where there are as many tracks as voices, and none sounds two pitches at
    once, each is a voice, from the highest to the lowest by their mean pitch.

    Args:
        piece: A `Piece`.
        rate: Frames in two quarter notes, which are a second at 120 a minute.
        voices: As of `data.voices`.
        report: Optional `tfgen.data.readers.Report`, which counts the drums that are left out.
    """
    drums = piece.notes[:, PROGRAM] == DRUMS
    if report is not None and drums.any():
        report.drop("a note of drums", piece.name, int(drums.sum()))
    notes = piece.notes[~drums]
    ticks = piece.ticks_per_quarter * 2 / rate  # of a frame
    starts = np.floor(notes[:, START] / ticks + 0.5).astype(np.int64)
    stops = np.floor((notes[:, START] + notes[:, DURATION]) / ticks + 0.5).astype(np.int64)
    stops = np.maximum(stops, starts + 1)
    time = int(min(stops.max(initial=0), MOST_FRAMES))
    tracks = np.unique(notes[:, TRACK])
    if voices and len(tracks) == voices:
        means = [notes[notes[:, TRACK] == track, PITCH].mean() for track in tracks]
        sung = np.full([time, voices], REST, np.int64)
        alone = True
        for voice, order in enumerate(np.argsort(means)[::-1]):
            own = np.flatnonzero(notes[:, TRACK] == tracks[order])
            for number in own:
                part = slice(starts[number], stops[number])
                alone &= bool((sung[part, voice] == REST).all())
                sung[part, voice] = notes[number, PITCH]
        if alone:
            return Roll(sung.tolist(), piece.name, by_voice=True)
    frames = [set() for _ in range(time)]
    for start, stop, pitch in zip(starts.tolist(), stops.tolist(), notes[:, PITCH].tolist()):
        for place in range(start, min(stop, time)):
            frames[place].add(pitch)
    return Roll([sorted(frame) for frame in frames], piece.name)


def piece_of(notes, rate, by_voice=False, name=""):
    """The `Piece` of notes on the grid, at 120 quarter notes a minute.

    Args:
        notes: Int rows of start and duration in frames, pitch and voice, as of
            `tfgen.data.music.frames.notes_of`.
        rate: As of `roll_of`.
        by_voice: Whether voices sing, each on a track of its own; else it is for a piano.
        name: Of the piece.
    """
    ticks = 2 * max(480 // rate, 1)  # of a frame
    start, duration, pitch, voice = np.asarray(notes, np.int64).reshape(-1, 4).T
    same = np.full(len(start), VELOCITY), np.full(len(start), CHOIR if by_voice else PIANO)
    rows = np.stack([start * ticks, duration * ticks, pitch, *same, voice], axis=1)
    division = ticks * rate // 2
    return Piece(notes=rows, ticks_per_quarter=division, tempos=[(0, USUAL_TEMPO)], name=name)
