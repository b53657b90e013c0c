"""`read_rolls`: pieces as JSON, frame by frame, as the chorales of Bach are passed around."""

import json
import re
from typing import NamedTuple

from tfgen.data.readers import Unreadable
from tfgen.files import read_bytes

SUFFIXES = (".json",)
REST = -1
MOST_BYTES = 1 << 28
LOWEST, HIGHEST = 0, 127  # of MIDI
# Splits of a file, by what people call them; what is none of these is trained on.
SPLITS = {"valid": "valid", "validation": "valid", "val": "valid", "test": "test"}
_ROLL = re.compile(rb'\s*(\{\s*"\w+"\s*:\s*)?\[\s*\[\s*\[[\s\d.,\-\]]')
_LOOKED_AT = 4096  # bytes


class Roll(NamedTuple):
    """A piece as frames, steps of a grid.

    Attributes:
        frames: List of lists of the pitches that sound in a frame, from 0 to 127.
        id: A text.
        split: What the file calls the part that it is in; None if it has no parts.
        by_voice: Whether place i of each frame is voice i, -1 a rest; else they are sets.
    """

    frames: list
    id: str
    split: str | None = None
    by_voice: bool = False


def holds_rolls(path):
    """Whether a file looks like one for `read_rolls`."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    with path.open("rb") as file:
        return bool(_ROLL.match(file.read(_LOOKED_AT)))


def read_rolls(path):
    """Returns the pieces of a JSON file, a list of `Roll`.

    It holds a list of pieces, or an object of such lists, one for each split. A piece is a list of
    frames, and a frame a list of MIDI's pitches: those that sound, or, if all frames of the file
    have as many and some are not in ascending order or are -1, one for each voice, where -1 is a
    rest.

    Raises:
        Unreadable: It is something else.
    """
    try:
        content = json.loads(read_bytes(path, MOST_BYTES))
    except (ValueError, RecursionError, OSError) as error:
        raise Unreadable("no JSON", f"{path} is no JSON that can be read: {error}") from error
    parts = content if isinstance(content, dict) else {None: content}
    found = []
    for split, pieces in parts.items():
        where = str(path) if split is None else f"{path}, '{split}'"
        if not isinstance(pieces, list):
            raise _no_roll(where, "a list of pieces", pieces)
        for number, piece in enumerate(pieces):
            identity = f"{path.stem} {number}" if split is None else f"{split} {number}"
            found.append(Roll(_checked(piece, f"{where}, piece {number}"), identity, split))
    sizes = {len(frame) for roll in found for frame in roll.frames}
    by_voice = (
        len(sizes) == 1
        and sizes != {0}
        and any(
            frame != sorted(set(frame)) or REST in frame for roll in found for frame in roll.frames
        )
    )
    if not by_voice and any(REST in frame for roll in found for frame in roll.frames):
        problem = "frames of as many pitches each, where -1 is a rest of a voice"
        raise _no_roll(path, problem, f"frames of {min(sizes)} to {max(sizes)}")
    return [roll._replace(by_voice=by_voice) for roll in found]


def _checked(piece, where):
    """The frames of a piece."""
    if not isinstance(piece, list):
        raise _no_roll(where, "a list of frames", piece)
    for number, frame in enumerate(piece):
        if not isinstance(frame, list):
            raise _no_roll(f"{where}, frame {number}", "a list of pitches", frame)
        for pitch in frame:
            whole = isinstance(pitch, (int, float)) and pitch % 1 == 0
            if not whole or not REST <= pitch <= HIGHEST:
                what = f"pitches from {LOWEST} to {HIGHEST}, or -1"
                raise _no_roll(f"{where}, frame {number}", what, pitch)
    return [[int(pitch) for pitch in frame] for frame in piece]


def _no_roll(where, wanted, found):
    text = f"{found!r:.60}"
    return Unreadable("no piano roll", f"{where} must hold {wanted}. Received: {text}")
