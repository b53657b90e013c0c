"""`read_scores`: MusicXML, ABC and Humdrum files -> `Piece`s, through music21."""

from tfgen.data.music.midi import INSTALL, read_midi
from tfgen.data.music.midi import SUFFIXES as MIDI
from tfgen.data.music.piece import DRUMS, Piece
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError

SUFFIXES = (".musicxml", ".mxl", ".xml", ".abc", ".krn")
DIVISION = 10080  # ticks of a quarter note: whole for notes of a 32nd, and for 3, 5, 7 or 9 of one
MOST_BYTES = 1 << 24
_MINOR = "minor"


def read_pieces(path, report=None):
    """The pieces of a file by its suffix, a list: see `read_midi` and `read_scores`."""
    if path.suffix.lower() in MIDI:
        return [read_midi(path, report)]
    return read_scores(path)


def read_scores(path):
    """Reads scores; each part of one is a track of the piece, and tied notes are one.

    Ornaments and repeats are not read: a repeated part is there once. What is written is what is
    played; grace notes, which have no length, are left out.

    Args:
        path: A `Path`.

    Returns:
        A list of `tfgen.data.music.piece.Piece`: of ABC there may be several in a file.

    Raises:
        Unreadable: It is no score that music21 reads, or has no notes.
        InputError: The package music21 is missing.
    """
    try:
        import music21
    except ImportError as error:
        raise InputError(f"{path}: scores need the package music21: {INSTALL}") from error
    try:
        size = path.stat().st_size
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise Unreadable("cannot be read", message) from error
    if size > MOST_BYTES:
        raise Unreadable("too large", f"{path} has more than {MOST_BYTES >> 20} MiB")
    converter = music21.converter.Converter()
    try:
        converter.parseFileNoPickle(path)  # pickles of others are programs
        found = converter.stream
        scores = list(found.scores) if isinstance(found, music21.stream.Opus) else [found]
        names = [path.stem] if len(scores) == 1 else [
            f"{path.stem}-{number}" for number in range(1, len(scores) + 1)
        ]  # fmt: skip
        pieces = [_piece(score, name) for score, name in zip(scores, names)]
    except Exception as error:  # of music21's own there are dozens, and any of Python's besides
        [line, *_] = str(error).strip().splitlines() or [type(error).__name__]
        message = f"{path} is no score that can be read: {line}"
        raise Unreadable("no score", message) from error
    pieces = [piece for piece in pieces if len(piece.notes)]
    if not pieces:
        raise Unreadable("no note", f"{path} has no note")
    return pieces


def _piece(score, name):
    """The `Piece` of a score of music21's."""
    parts = list(score.parts) or [score]
    flat = [part.flatten() for part in parts]
    metres = [
        (_ticks(each.offset), each.numerator, each.denominator)
        for each in flat[0].getElementsByClass("TimeSignature")
    ]
    keys = [
        (_ticks(each.offset), each.sharps, int(getattr(each, "mode", None) == _MINOR))
        for each in flat[0].getElementsByClass("KeySignature")
        if -7 <= (each.sharps or 0) <= 7
    ]
    tempos = {
        _ticks(mark.offset): tempo
        for each in flat
        for mark in each.getElementsByClass("MetronomeMark")
        if (tempo := mark.getQuarterBPM())
    }
    return Piece(
        notes=[
            row
            for number, (part, own) in enumerate(zip(parts, flat))
            for row in _notes(own, part.getInstrument(returnDefault=False), number)
        ],
        ticks_per_quarter=DIVISION, tempos=list(tempos.items()), metres=metres, keys=keys,
        name=name,
    )  # fmt: skip


def _notes(flat, instrument, number):
    """Rows of a `Piece` of a flat part, whose ties it takes away, and of its instrument or None."""
    from music21.volume import realizeVolume

    realizeVolume(flat)
    program = (instrument and instrument.midiProgram) or 0
    flat.stripTies(inPlace=True)
    for each in flat.notes:
        duration = _ticks(each.quarterLength)
        loudness = each.volume.cachedRealized
        velocity = 90 if loudness is None else min(max(round(127 * loudness), 1), 127)
        sounds = [(pitch.midi, program) for pitch in each.pitches]
        if not sounds:  # a stroke, on whatever the player has
            struck = getattr(each, "storedInstrument", None) or instrument
            drum = getattr(struck, "percMapPitch", None)
            sounds = [] if drum is None else [(drum, DRUMS)]
        for pitch, played in sounds if duration else ():
            if 0 <= pitch <= 127:
                yield _ticks(each.offset), duration, pitch, velocity, played, number


def _ticks(quarters):
    return round(float(quarters) * DIVISION)
