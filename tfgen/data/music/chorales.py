"""`open_chorales`: the four-part chorales of Bach's that the installed music21 carries.

Its encodings (MusicXML, by Margaret Greentree and others) have no open licence, so they are not
shipped but read where they lie. Through music21 itself that takes a minute and more; chorales have
no need of the most of it, and what is read here of their MusicXML takes seconds.
"""

import dataclasses
import importlib.util
import zipfile
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

from tfgen.data.music.frames import CHOIR, open_pieces
from tfgen.data.music.midi import INSTALL
from tfgen.data.music.piece import Piece
from tfgen.data.music.scores import DIVISION, MOST_BYTES
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError

STEP = "1/8"  # of a whole note: passing notes are eighths
# Those that are another one once more, in another key or with an instrument on top: a piece that
# was trained on must not be held out as well.
_REPEATED = {
    "bwv18.5-w", "bwv20.11", "bwv62.6", "bwv227.11", "bwv244.17", "bwv279", "bwv398",
}  # fmt: skip
_VELOCITY = 80
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def open_chorales(config):
    """Opens the chorales as frames of four voices, of eighth notes unless `config` says otherwise.

    Args:
        config: A `tfgen.recipe.DataConfig`, as of `tfgen.data.music.frames.open_music`.

    Returns:
        `tfgen.data.Sequences` of kind `"music"`.

    Raises:
        InputError: The package music21 is missing, or other voices are asked for.
    """
    if config.voices not in (0, len(CHOIR)):
        raise InputError(
            f"The built-in set 'chorales' has 4 voices. Received: data.voices={config.voices}"
        )
    config = dataclasses.replace(config, voices=len(CHOIR), frame_step=config.frame_step or STEP)
    return open_pieces("chorales", find_chorales(), config, read_chorale)


def find_chorales():
    """Returns the paths of music21's chorales, each once, sorted."""
    spec = importlib.util.find_spec("music21")
    folder = spec and Path(spec.origin).parent / "corpus" / "bach"
    found = sorted(folder.glob("bwv*.mxl")) if folder else []
    paths = [path for path in found if path.stem not in _REPEATED]
    if not paths:
        raise InputError(
            "The built-in set 'chorales' is that of the package music21, which is not installed: "
            f"{INSTALL}"
        )
    return paths


def read_chorale(path):
    """Reads compressed MusicXML of one voice a part: notes, ties and rests, as `Piece`.

    Raises:
        Unreadable: It is no such file, or has no note.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(("xml", "XML"))]
            [name, *_] = [name for name in names if not name.startswith("META-INF/")]
            if archive.getinfo(name).file_size > MOST_BYTES:
                raise Unreadable("too large", f"{path} has more than {MOST_BYTES >> 20} MiB")
            score = ElementTree.fromstring(archive.read(name))
        parts = score.findall("part")
        notes = [row for number, part in enumerate(parts) for row in _notes(part, number)]
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        zipfile.BadZipFile,
        ElementTree.ParseError,
    ) as error:
        raise Unreadable("no score", f"{path} is no score that can be read: {error}") from error
    if not notes:
        raise Unreadable("no note", f"{path} has no note")
    return Piece(notes=notes, ticks_per_quarter=DIVISION, name=path.stem)


def _notes(part, number):
    """Rows of a `Piece` of a part, whose bars follow each other as long as they are filled."""
    rows, held, start = [], {}, Fraction(0)  # held: the row of a pitch that a tie goes on from
    ticks = None
    for measure in part.findall("measure"):
        now = before = longest = start
        for element in measure:
            if element.tag == "attributes" and element.find("divisions") is not None:
                ticks = Fraction(DIVISION) / Fraction(element.findtext("divisions"))
            if element.tag not in ("note", "backup", "forward"):
                continue
            length = Fraction(element.findtext("duration", "0")) * (ticks or 0)
            if element.tag == "backup":
                now -= length
                continue
            if element.find("chord") is not None:
                now = before
            pitch = element.find("pitch")
            if pitch is not None and length:
                key = _pitch(pitch)
                ties = {tie.get("type") for tie in element.findall("tie")}
                row = held.pop(key, None) if "stop" in ties else None
                if row is None:
                    row = [round(now), 0, key, _VELOCITY, 0, number]
                    rows.append(row)
                row[1] += round(length)
                if "start" in ties:
                    held[key] = row
            before, now = now, now + length
            longest = max(longest, now)
        start = longest
    return rows


def _pitch(element):
    steps = _STEPS[element.findtext("step")] + round(float(element.findtext("alter", "0")))
    return steps + 12 * (int(element.findtext("octave")) + 1)
