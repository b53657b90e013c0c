"""`read_midi` and `write_midi`: Standard MIDI Files <-> `Piece`.

Through symusic, the extra `music`: it is of C++ and so reads thousands of files in seconds, keeps
every time as the file's own ticks, refuses what is damaged with a message instead of guessing, and
is maintained under the MIT licence. What it passes over in silence is looked for here.
"""

import numpy as np

from tfgen.data.music.piece import DRUMS, PROGRAM, TRACK, Piece
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError
from tfgen.files import atomic_file, read_bytes

SUFFIXES = (".mid", ".midi", ".kar")
INSTALL = "pip install 'tfgen-sequences[music]'"
# What is larger than anything that is played, and would be more than is good for memory and time.
MOST_BYTES, MOST_TRACKS, MOST_QUARTERS = 1 << 25, 1000, 1 << 17
# Bytes behind a status, by its upper half from 8 on; and behind 0xF1 to 0xF3.
_LENGTHS = 2, 2, 2, 2, 1, 1, 2
_COMMON = {0xF1: 1, 0xF2: 2, 0xF3: 1}


def read_midi(path, report=None):
    """Reads a MIDI file.

    Args:
        path: A `Path`.
        report: Optional `tfgen.data.readers.Report`, in which notes that never end and tempos of 0,
            which are left out, are counted.

    Returns:
        A `Piece`. What stands on one channel of one track of the file with one program is a track.

    Raises:
        Unreadable: The file is damaged, no MIDI file, has no notes, or is beyond all bounds; its
            `reason` is the kind of fault.
        InputError: The package symusic is missing.
    """
    symusic = _symusic(path)
    try:
        data = read_bytes(path, MOST_BYTES)
    except InputError as error:
        raise Unreadable("too large", str(error)) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise Unreadable("cannot be read", message) from error
    if not data:
        raise Unreadable("empty", f"{path} is empty")
    if data[:4] != b"MThd":
        raise Unreadable("no MIDI", f"{path} is no MIDI file: it does not begin with 'MThd'")
    try:
        score = symusic.Score.from_midi(data)
    except (RuntimeError, ValueError, MemoryError) as error:
        reason = str(error).replace("MiniMidi: ", "").replace(": iostream error", "")
        raise Unreadable("damaged", f"{path} is damaged: {reason}") from error
    played = [track for track in score.tracks if len(track.notes)]
    if len(score.tracks) > MOST_TRACKS:
        what = f"it has {len(score.tracks):,} tracks, and {MOST_TRACKS:,} are read at most"
        raise Unreadable("too many tracks", f"{path} is no piece of music: {what}")
    if not played:
        raise Unreadable("no note", f"{path} has no note that begins and ends")
    division = score.ticks_per_quarter
    started, end = _survey(data)
    if not division:
        raise Unreadable("damaged", f"{path} is damaged: a quarter note has 0 ticks")
    if end > MOST_QUARTERS * division or end >= 1 << 31:
        what = f"it lasts {end // division:,} quarter notes, and {MOST_QUARTERS:,} are read at most"
        raise Unreadable("too long", f"{path} is no piece of music: {what}")
    rows = []
    for number, track in enumerate(played):
        notes = track.notes.numpy()
        program = DRUMS if track.is_drum else track.program
        columns = [notes["time"], notes["duration"], notes["pitch"], notes["velocity"]]
        columns += [np.full(len(track.notes), each) for each in (program, number)]
        rows.append(np.stack(columns, axis=1))
    rows = np.concatenate(rows)
    tempos = [(each.time, each.qpm) for each in score.tempos if each.mspq > 0]
    if report is not None:
        if started > len(rows):
            report.drop("a note that never ends", str(path), started - len(rows))
        if len(score.tempos) > len(tempos):
            report.drop("a tempo of 0", str(path), len(score.tempos) - len(tempos))
    metres = [
        (each.time, each.numerator, each.denominator)
        for each in score.time_signatures
        if each.numerator > 0 and each.denominator > 0
    ]
    keys = [
        (each.time, each.key, each.tonality)
        for each in score.key_signatures
        if -7 <= each.key <= 7 and each.tonality in (0, 1)
    ]
    return Piece(
        notes=rows, ticks_per_quarter=division, tempos=tempos, metres=metres, keys=keys,
        name=path.stem,
    )  # fmt: skip


def write_midi(piece, path):
    """Writes a `Piece` as a MIDI file, a track of the file for each of its tracks and programs.

    Two notes of one pitch that sound at once in one track are told apart in MIDI by their order
    alone: the one that begins first ends first.

    Raises:
        InputError: The package symusic is missing.
        OSError: The file cannot be written.
    """
    symusic = _symusic(path)
    score = symusic.Score(int(piece.ticks_per_quarter))
    for tick, tempo in piece.tempos:
        score.tempos.append(symusic.Tempo(int(tick), mspq=round(6e7 / tempo)))
    for row in piece.metres.tolist():
        score.time_signatures.append(symusic.TimeSignature(*row))
    for row in piece.keys.tolist():
        score.key_signatures.append(symusic.KeySignature(*row))
    names, which = np.unique(piece.notes[:, [TRACK, PROGRAM]], axis=0, return_inverse=True)
    for number, (_, program) in enumerate(names.tolist()):
        track = symusic.Track(program=program % DRUMS, is_drum=program == DRUMS)
        start, duration, pitch, velocity, *_ = piece.notes[which.reshape(-1) == number].T
        track.notes = symusic.Note.from_numpy(
            np.ascontiguousarray(start), np.ascontiguousarray(duration), pitch.astype(np.int8),
            velocity.astype(np.int8), ttype="tick",
        )  # fmt: skip
        score.tracks.append(track)
    with atomic_file(path) as temporary:
        temporary.write_bytes(score.dumps_midi())


def _survey(data):
    """How many notes begin, and the tick of the last event, of a file that symusic has read.

    symusic counts ticks in 32 bits, and leaves out what never ends without a word.
    """
    started = end = 0
    at = 8 + int.from_bytes(data[4:8])
    while at + 8 <= len(data):
        kind, stop = data[at : at + 4], at + 8 + int.from_bytes(data[at + 4 : at + 8])
        at, stop = (at + 8, min(stop, len(data))) if kind == b"MTrk" else (stop, stop)
        tick = running = 0
        while at < stop - 1:
            delta, at = _quantity(data, at)
            tick += delta
            status = data[at]
            if status >= 0x80:
                at += 1
            if status < 0xF0:  # none is the running one's own, which symusic keeps behind others
                running = status if status >= 0x80 else running
                if running >> 4 == 9 and data[at + 1]:
                    started += 1
                at += _LENGTHS[(running >> 4) - 8]
            elif status in (0xF0, 0xF7, 0xFF):  # of any length: a system's own, or on the music
                if status == 0xFF and data[at : at + 1] == b"\x2f":
                    break
                size, at = _quantity(data, at + (status == 0xFF))
                at += size
            else:
                at += _COMMON.get(status, 0)
        end = max(end, tick)
        at = stop
    return started, end


def _quantity(data, at):
    """A number of 7 bits a byte, the last of which is less than 128; and what is behind it."""
    value = 0
    while True:
        byte = data[at]
        value, at = value << 7 | byte & 0x7F, at + 1
        if byte < 0x80:
            return value, at


def _symusic(path):
    try:
        import symusic
    except ImportError as error:
        raise InputError(f"{path}: MIDI files need the package symusic: {INSTALL}") from error
    return symusic
