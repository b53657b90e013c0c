"""`open_music`: pieces as frames, the steps of a grid of time, and frames as notes again.

A frame says which pitches sound, each a category of two levels, or what each voice sings, a
category of its pitches. The times of Allan and Williams' and of Boulanger-Lewandowski's chorales
(arXiv:1206.6392) are frames of the first kind, of a quarter note each.
"""

import fractions
import re
from pathlib import Path

import numpy as np

from tfgen.data.budget import Budget
from tfgen.data.features import Feature
from tfgen.data.file_labels import file_label, readable, with_labels
from tfgen.data.music.grid import roll_of
from tfgen.data.music.midi import SUFFIXES
from tfgen.data.music.rolls import HIGHEST, LOWEST, REST, SPLITS, holds_rolls, read_rolls
from tfgen.data.music.scores import SUFFIXES as SCORES
from tfgen.data.music.scores import read_pieces
from tfgen.data.music.voices import split_voices
from tfgen.data.readers import Report, Unreadable
from tfgen.data.sequences import Sequences
from tfgen.data.strokes import check_label, cut_to, nothing_found, number_labels
from tfgen.errors import InputError

OFF, ON = "off", "on"
REST_LEVEL, HELD_LEVEL = "rest", "held"
CHOIR = ("soprano", "alto", "tenor", "bass")
QUARTERS_A_SECOND = 2  # 120 a minute, as MIDI has it where nothing is said
ROLL_STEP, NOTE_STEP = "1/4", "1/16"  # of a whole note


def open_music(name, paths, config):
    """Reads pieces of music as frames.

    Args:
        name: As the data was asked for.
        paths: List of files: MIDI, MusicXML, ABC or Humdrum, or JSON as
            `tfgen.data.music.rolls.read_rolls` takes it, whose frames are taken as they are.
        config: A `tfgen.recipe.DataConfig`. `voices` is 0 for the pitches that sound, else the
            number of voices; `pitches` the lowest and the highest pitch; `frame_step` the length of
            a frame, as a part of a whole note; `max_length` bounds the frames of a piece; `label`
            is as of `tfgen.data.strokes.open_strokes`.

    Returns:
        `Sequences` of kind `"music"`, whose `sample_rate` is the frames a second at 120 quarter
        notes a minute.

    Raises:
        InputError: A single file cannot be read, or there is no piece in any of them.
    """
    return open_pieces(name, [Path(path) for path in paths], config)


def open_pieces(name, paths, config, read=None):
    """As `open_music`; `read` makes a `Piece` of a file, None goes by its suffix."""
    check_label(config)
    by_file = file_label(config.label)
    report, budget, found = Report(), Budget(config.max_numbers), []
    low, high = pitch_range(config.pitches)
    features = features_of(config.voices, low, high)
    notes = read is not None or any(is_midi(path) or is_score(path) for path in paths)
    rate = frames_a_second(config.frame_step or (NOTE_STEP if notes else ROLL_STEP))
    for path, label in with_labels(paths, by_file, report):
        try:
            if read is not None:
                rolls = [roll_of(read(path), rate, config.voices, report)]
            elif is_midi(path) or is_score(path):
                pieces = read_pieces(path, report)
                rolls = [roll_of(piece, rate, config.voices, report) for piece in pieces]
            else:
                rolls = read_rolls(path)
            for roll in rolls:
                values = _values(roll, config.voices, low, high, report)
                if values is not None:
                    budget.take(path, values.size)
                    found.append((values, roll, label))
        except Unreadable as error:
            if len(paths) == 1:
                raise
            report.drop(error.reason, str(error))
    report.kept = len(found)
    if not found:
        raise nothing_found("piece", name, report)
    classes, labels = number_labels([label for *_, label in found])
    ids = [readable(roll.id) for _, roll, _ in found]
    parts = _parts([roll for _, roll, _ in found], report)
    sequences = Sequences(
        name, "music", features, [values for values, *_ in found], ids, labels=labels,
        classes=classes, sample_rate=rate, report=report, **parts,
    )  # fmt: skip
    sequences.values = cut_to(sequences.values, config.max_length, ids, report)
    return sequences


def holds_music(path):
    """Whether a file looks like music."""
    return is_midi(path) or (is_score(path) and path.suffix != ".xml") or holds_rolls(path)


def is_midi(path):
    return path.suffix.lower() in SUFFIXES


def is_score(path):
    return path.suffix.lower() in SCORES


def features_of(voices, low, high):
    """The columns of frames: of so many voices, or of the pitches if there are none."""
    if not voices:
        return tuple(Feature(str(pitch), levels=(OFF, ON)) for pitch in range(low, high + 1))
    names = CHOIR if voices == len(CHOIR) else [f"voice {n}" for n in range(1, voices + 1)]
    levels = REST_LEVEL, *map(str, range(low, high + 1))
    return tuple(Feature(name, levels=levels) for name in names)


def is_roll(features):
    """Whether columns are pitches that sound or not."""
    return len(features) > 0 and all(feature.levels == (OFF, ON) for feature in features)


def sounding(values, features):
    """Which pitches each column of frames sounds, int `(time, features)`, -1 where none.

    Args:
        values: Array `(time, features)` of the numbers of levels, NaN for what is not known.
        features: Those of `features_of`.
    """
    roll = is_roll(features)
    # The last place of a row is that of what is not known.
    table = np.full([len(features), 1 + max(len(feature.levels) for feature in features)], REST)
    for row, feature in enumerate(features):
        if roll:
            table[row, 1] = int(feature.name)
        else:
            pitches = [int(level) if level.isdigit() else REST for level in feature.levels]
            table[row, : len(pitches)] = pitches
    numbers = np.where(np.isnan(values), -1, values).astype(int)
    return table[np.arange(len(features)), numbers]


def notes_of(values, features):
    """The notes of frames: int rows of start and duration in frames, pitch, and voice.

    Of frames that follow each other, equal pitches of a column are one note. The voice is that of
    a column, 0 for all where columns are pitches.
    """
    pitches = sounding(values, features)
    time, columns = pitches.shape
    changes = np.ones([time + 1, columns], bool)
    changes[1:-1] = pitches[1:] != pitches[:-1]
    notes = []
    by_voice = not is_roll(features)
    for column in range(columns):
        edges = np.flatnonzero(changes[:, column])
        for start, stop in zip(edges[:-1], edges[1:]):
            pitch = pitches[start, column]
            if pitch != REST:
                notes.append((start, stop - start, pitch, column if by_voice else 0))
    return np.array(sorted(notes), np.int64).reshape(-1, 4)


def count_frames(values, features):
    return len(values)


def count_notes(values, features):
    """How many pitches the frames sound, each in every frame of its own: (frames, voices)."""
    return int(np.count_nonzero(sounding(values, features) != REST))


def pitch_range(text):
    """The lowest and highest pitch of `data.pitches`, such as `"21:108"`."""
    match = re.fullmatch(r"(\d{1,3}):(\d{1,3})", text)
    low, high = (int(match[1]), int(match[2])) if match else (1, 0)
    if not LOWEST <= low <= high <= HIGHEST:
        raise InputError(
            f"data.pitches takes the lowest and the highest of MIDI's pitches, {LOWEST} to "
            f"{HIGHEST}, e.g. '21:108' for those of a piano. Received: data.pitches={text!r}"
        )
    return low, high


def frames_a_second(text):
    """Frames a second of `data.frame_step`, such as `"1/16"`, at 120 quarter notes a minute."""
    match = re.fullmatch(r"1/(\d{1,3})", text)
    rate = fractions.Fraction(QUARTERS_A_SECOND * int(match[1]), 4) if match else None
    if not rate or rate.denominator > 1:
        raise InputError(
            "data.frame_step takes a part of a whole note, 1/2, 1/4, 1/8, 1/12, 1/16 and so on. "
            f"Received: data.frame_step={text!r}"
        )
    return int(rate)


def frame_step_of(rate):
    """The opposite of `frames_a_second`."""
    return f"1/{rate * 4 // QUARTERS_A_SECOND}"


def _values(roll, voices, low, high, report):
    """The frames of a piece, float32 `(time, features)`; None, and counted, if that cannot be."""
    frames = [[p for p in frame if p == REST or low <= p <= high] for frame in roll.frames]
    lost = sum(map(len, roll.frames)) - sum(map(len, frames))
    if lost:
        report.drop("a note outside data.pitches", roll.id, lost)
    if not any(p != REST for frame in frames for p in frame):
        report.drop("no note in it", roll.id)
        return None
    if not voices:
        values = np.zeros([len(frames), high - low + 1], np.float32)
        for place, frame in enumerate(frames):
            values[place, [pitch - low for pitch in frame if pitch != REST]] = 1
        return values
    if roll.by_voice and not lost and len(frames[0]) == voices:
        sung = np.array(frames)
    else:
        sung = split_voices([[p for p in frame if p != REST] for frame in frames], voices)
    if sung is None:
        report.drop(f"more than {voices} pitches at once (data.voices)", roll.id)
        return None
    return np.where(sung == REST, 0, sung - low + 1).astype(np.float32)


def _parts(rolls, report):
    """What files keep for validation and for scores, as arguments of `Sequences`."""
    splits = [SPLITS.get((roll.split or "").casefold()) for roll in rolls]
    counts = {name: splits.count(name) for name in (None, "valid", "test")}
    if not counts[None] or counts[None] == len(rolls):
        return {}
    shown = f"train {counts[None]:,}, valid {counts['valid']:,}, test {counts['test']:,}"
    report.notes.append(f"the file's own splits: {shown}")
    parts = {"held_out": np.array([split is not None for split in splits])}
    if counts["valid"] and counts["test"]:
        parts["test"] = np.array([split == "test" for split in splits])
    return parts
