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

    A note sounds from the frame that is nearest to its start to that which is nearest to its end;
    one that is too short for that sounds in the one that its middle is in, if nothing else of its
    track does. Where there are as many tracks as voices, and none sounds two pitches at once, each
    is a voice, from the highest to the lowest by their mean pitch.

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
    begins = notes[:, START] / ticks  # in frames
    ends = begins + notes[:, DURATION] / ticks
    starts, stops = (np.floor(each + 0.5).astype(np.int64) for each in (begins, ends))
    middles = np.floor((begins + ends) / 2).astype(np.int64)
    short = starts >= stops
    starts, stops = np.where(short, middles, starts), np.where(short, middles, stops)
    time = int(min(np.maximum(stops, starts + 1).max(initial=0), MOST_FRAMES))
    tracks = [np.flatnonzero(notes[:, TRACK] == track) for track in np.unique(notes[:, TRACK])]
    sung = [_by_track(notes[own, PITCH], starts[own], stops[own], time) for own in tracks]
    # A note may last until the next one has begun, by what the grid does not tell.
    alone = all((ends[own][:-1] <= begins[own][1:] + 0.5).all() for own in tracks)
    if voices and len(tracks) == voices and alone:
        order = np.argsort([-notes[own, PITCH].mean() for own in tracks], kind="stable")
        columns = [[max(frame, default=REST) for frame in sung[track]] for track in order]
        return Roll([list(frame) for frame in zip(*columns)], piece.name, by_voice=True)
    frames = [sorted(set().union(*frame)) for frame in zip(*sung)]
    return Roll(frames, piece.name)


def _by_track(pitches, starts, stops, time):
    """A list of the sets of pitches of a track in each frame."""
    frames = [set() for _ in range(time)]
    short = starts >= stops
    for group in (~short, short):
        for number in np.flatnonzero(group).tolist():
            first, pitch = int(starts[number]), int(pitches[number])
            if first < time and not (short[number] and frames[first]):
                for place in range(first, min(max(int(stops[number]), first + 1), time)):
                    frames[place].add(pitch)
    return frames


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
