"""How the voices of pieces move, and how much of pieces stands in the training data in any key."""

import numpy as np

from tfgen.data.music.frames import is_roll, sounding
from tfgen.data.music.rolls import REST
from tfgen.errors import InputError

PIECE = 32  # frames: four bars of 4/4 in eighths
# What choirs are written for, as textbooks of harmony have it: soprano, alto, tenor and bass.
RANGES = ((60, 81), (53, 74), (48, 69), (40, 62))


def has_voices(sequences):
    """Whether `Sequences` are music of four voices."""
    voices = len(sequences.features) == len(RANGES) and not is_roll(sequences.features)
    return sequences.kind == "music" and voices


def voice_leading(values, features, ranges=RANGES):
    """What teachers of harmony look for in pieces of four voices.

    Args:
        values: List of arrays `(time, voices)` of the kind `music`, the highest voice first.
        features: Their features.
        ranges: Of each voice its lowest and its highest pitch.

    Returns:
        A dict: `parallel_fifths` and `parallel_octaves`, pairs of voices that are a fifth or an
        octave apart (or so and octaves more; unisons are octaves) before and after both of them
        moved in the same direction, in 100 changes of chord; `crossings`, the percentage of frames
        that are not silent in which a voice is above a higher one; `out_of_range`, that of sung
        pitches; NaN where there is nothing to count.

    Raises:
        InputError: The columns are pitches, or not as many voices as ranges.
    """
    if is_roll(features) or len(features) != len(ranges):
        raise InputError(
            f"Voice leading is that of {len(ranges)} voices. Received: features={len(features)}"
        )
    low, high = np.array(ranges).T
    changes = fifths = octaves = frames = crossed = sung = out = 0
    upper, lower = np.triu_indices(len(features), 1)
    for each in values:
        pitches = sounding(each, features)  # (time, voices)
        there = pitches != REST
        frames, sung = frames + there.any(axis=1).sum(), sung + there.sum()
        out += (there & ((pitches < low) | (pitches > high))).sum()
        apart = pitches[:, upper] - pitches[:, lower]  # (time, pairs)
        both = there[:, upper] & there[:, lower]
        crossed += (both & (apart < 0)).any(axis=1).sum()
        steps = np.sign(np.diff(pitches, axis=0))
        changes += (steps != 0).any(axis=1).sum()
        together = (steps[:, upper] == steps[:, lower]) & (steps[:, upper] != 0)
        together &= both[1:] & both[:-1]
        classes = np.abs(apart) % 12
        fifths += (together & (classes[1:] == 7) & (classes[:-1] == 7)).sum()
        octaves += (together & (classes[1:] == 0) & (classes[:-1] == 0)).sum()
    return {
        "parallel_fifths": _percent(fifths, changes),
        "parallel_octaves": _percent(octaves, changes),
        "crossings": _percent(crossed, frames),
        "out_of_range": _percent(out, sung),
    }


def copied_pieces(values, training, features, length=PIECE):
    """The share of pieces' stretches that stand in the training data, in any key.

    Compare with that of held-out pieces: so much is common stock.

    Args:
        values: List of arrays `(time, voices)`.
        training: The same of what was trained on.
        features: Their features.
        length: Frames of a stretch, which may begin at any frame.

    Returns:
        A share of all stretches, in [0, 1]; NaN if no piece is as long.
    """
    known = {key for each in training for key in _stretches(each, features, length)}
    found = [key in known for each in values for key in _stretches(each, features, length)]
    return float(np.mean(found)) if found else float("nan")


def _stretches(values, features, length):
    """The bytes of each stretch with its lowest pitch at 0, which all keys have in common."""
    pitches = sounding(values, features)
    for start in range(len(pitches) - length + 1):
        stretch = pitches[start : start + length]
        there = stretch != REST
        if there.any():
            lowest = stretch[there].min()
            yield np.where(there, stretch - lowest, REST).astype(np.int8).tobytes()


def _percent(count, total):
    return 100 * float(count) / float(total) if total else float("nan")
