"""`read_notation` and `read_pieces`: printed music, MusicXML and ABC, as `Piece`s."""

import tempfile
from pathlib import Path

from tfgen.data.music.midi import MOST_BYTES, SUFFIXES, read_midi
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError

INSTALL = "pip install 'tfgen-sequences[notation]'"


def read_pieces(path, report=None):
    """The pieces of a file by its suffix, a list: see `read_midi` and `read_notation`."""
    if path.suffix.lower() in SUFFIXES:
        return [read_midi(path, report)]
    return read_notation(path)


def read_notation(path):
    """Reads MusicXML (`.musicxml`, `.mxl`), ABC (`.abc`) or Humdrum (`.krn`) through music21.

    Args:
        path: A `Path`.

    Returns:
        A list of `tfgen.data.music.piece.Piece`: of ABC there may be several in a file.

    Raises:
        Unreadable: The file is damaged or too large, or has no notes.
        InputError: The package music21 is missing.
    """
    try:
        from music21 import converter, stream
    except ImportError as error:
        what = "MusicXML, ABC and Humdrum need the package music21"
        raise InputError(f"{path}: {what}: {INSTALL}") from error
    try:
        size = path.stat().st_size
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise Unreadable("cannot be read", message) from error
    if size > MOST_BYTES:
        raise Unreadable("too large", f"{path} is larger than {MOST_BYTES:,} bytes")
    pieces = []
    with tempfile.TemporaryDirectory(prefix="tfgen-notation-") as folder:
        try:
            # music21 would look for a pickle of the same file where temporary files lie.
            found = converter.parse(path, forceSource=True, storePickle=False)
            scores = list(found.scores) if isinstance(found, stream.Opus) else [found]
            files = []
            for number, score in enumerate(scores, start=1):
                name = path.stem if len(scores) == 1 else f"{path.stem}-{number}"
                files.append(Path(folder, str(number), f"{name}.mid"))
                files[-1].parent.mkdir()
                score.write("midi", fp=str(files[-1]))
        except Exception as error:  # of any kind, from the whole of music21
            [line, *_] = str(error).strip().splitlines() or [type(error).__name__]
            raise Unreadable("damaged", f"{path} is damaged: {line}") from error
        for file in files:
            try:
                pieces.append(read_midi(file))
            except Unreadable as error:  # in a temporary file, which nobody knows
                message = str(error).replace(str(file), str(path))
                raise Unreadable(error.reason, message) from error
    return pieces
