"""`read_score`: MusicXML, ABC and Humdrum files -> `Piece`, through music21 if it is installed."""

from tfgen.data.music.midi import INSTALL
from tfgen.data.music.piece import Piece
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError

SUFFIXES = (".musicxml", ".mxl", ".xml", ".abc", ".krn")
DIVISION = 10080  # ticks of a quarter note: whole for notes of a 32nd, and for 3, 5, 7 or 9 of one
MOST_BYTES = 1 << 24
VELOCITY = 80
_MINOR = "minor"


def read_score(path):
    """Reads a score; each of its parts is a track of the piece, and tied notes are one.

    Ornaments, dynamics and repeats are not read: a repeated part is there once. What is written is
    what is played; grace notes, which have no length, are left out.

    Args:
        path: A `Path`.

    Raises:
        Unreadable: It is no score that music21 reads, or has no notes.
        InputError: The package music21 is missing.
    """
    try:
        import music21
    except ImportError as error:
        raise InputError(f"{path}: scores need the package music21: {INSTALL}") from error
    if path.stat().st_size > MOST_BYTES:
        raise Unreadable("too large", f"{path} has more than {MOST_BYTES >> 20} MiB")
    converter = music21.converter.Converter()
    try:
        converter.parseFileNoPickle(path)  # pickles of others are programs
        score = converter.stream
        parts = list(score.parts) or [score]
        notes = [row for number, part in enumerate(parts) for row in _notes(part, number)]
        first = parts[0].flatten()
        metres = [
            (_ticks(each.offset), each.numerator, each.denominator)
            for each in first.getElementsByClass("TimeSignature")
        ]
        keys = [
            (_ticks(each.offset), each.sharps, int(getattr(each, "mode", None) == _MINOR))
            for each in first.getElementsByClass("KeySignature")
            if -7 <= (each.sharps or 0) <= 7
        ]
    except InputError:
        raise
    except Exception as error:  # of music21's own there are dozens, and any of Python's besides
        raise Unreadable("no score", f"{path} is no score that can be read: {error}") from error
    if not notes:
        raise Unreadable("no note", f"{path} has no note")
    return Piece(
        notes=notes, ticks_per_quarter=DIVISION, metres=metres, keys=keys, name=path.stem
    )  # fmt: skip


def _notes(part, number):
    """Rows of a `Piece` of a part."""
    for each in part.flatten().stripTies().notes:
        duration = _ticks(each.quarterLength)
        for pitch in each.pitches if duration else ():
            if 0 <= pitch.midi <= 127:
                yield _ticks(each.offset), duration, pitch.midi, VELOCITY, 0, number


def _ticks(quarters):
    return round(float(quarters) * DIVISION)
