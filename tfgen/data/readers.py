"""Reading text files in pieces, with what was dropped and why."""

import codecs
import contextlib
import dataclasses
import gzip
import json
import lzma
import zlib

from tfgen.errors import InputError

CHUNK_BYTES = 1 << 22
# Bounds on what a file that is no table, or has an open quote, can make us hold in memory.
MAX_LINE = 1 << 26
MAX_FIELD = 1 << 24
OPENERS = {".gz": gzip.open, ".xz": lzma.open}
TABLES = {".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"}
# What a text in Windows-1252 holds: ASCII, the usual blanks, and the bytes that it gives a meaning.
_WESTERN = bytes(
    [*b"\t\n\f\r\x1a", *range(32, 127), *(set(range(128, 256)) - {0x81, 0x8D, 0x8F, 0x90, 0x9D})]
)
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


class Unreadable(InputError):
    """A file that holds no UTF-8 text; `reason` is the kind of fault, by which it is counted."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass
class Report:
    """What became of the documents (files or rows) of a data set.

    Attributes:
        kept: Number of documents read.
        dropped: Dict from the reason to `[number, first example]`.
        notes: What was decided in reading, as sentences for a person.
    """

    kept: int = 0
    dropped: dict = dataclasses.field(default_factory=dict)
    notes: list = dataclasses.field(default_factory=list)

    def drop(self, reason, example, count=1):
        self.dropped.setdefault(reason, [0, example])[0] += count

    def reasons(self):
        """For a person: how many were dropped for each reason, and the first of them."""
        return [
            f"{number:,} x {reason} (first: {example})"
            for reason, (number, example) in self.dropped.items()
        ]

    def accept(self, columns, values, where):
        """Counts a row of the texts of some columns; returns whether it has them all."""
        for column, value in zip(columns, values, strict=True):
            if not isinstance(value, str):
                self.drop(f"'{column}' is missing or no text", where)
                return False
            if not value or value.isspace():
                self.drop(f"'{column}' is empty", where)
                return False
        self.kept += 1
        return True


def named_classes(columns, values, numbered):
    """The values of a row, a whole number in the column `numbered` as a text."""
    return [
        str(value) if column == numbered and isinstance(value, int) else value
        for column, value in zip(columns, values, strict=True)
    ]


def find_encoding(path, measure=None):
    """Returns how a text file is encoded: `"utf-8"`, `"utf-16"` or `"cp1252"`.

    A file without a byte order mark that is not UTF-8, has no UTF-8 in it elsewhere, and no byte
    that Windows-1252 does not know, is of Windows-1252. Any other is for `read_plain` to refuse.

    Args:
        path: The file.
        measure: Optional function that is called with the lines and the bytes read so far, as the
            whole file is read here for the first time. What it raises ends the reading.
    """
    decoder, western = codecs.getincrementaldecoder("utf-8")(), True
    valid, foreign = True, False
    with open_binary(path) as file:
        lines, size, wide = 0, 0, False
        while data := file.read(CHUNK_BYTES):
            wide |= not size and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            lines, size = lines + data.count(b"\n"), size + len(data)
            if measure is not None:
                measure(lines, size)
            if wide:
                continue
            if valid:
                try:
                    foreign |= not decoder.decode(data).isascii()
                    continue
                except UnicodeDecodeError:
                    valid = False
            western &= not data.translate(None, _WESTERN)
            foreign |= not data.decode("utf-8", "ignore").isascii()
        if wide:
            return "utf-16"
        if valid:
            return "utf-8"
    return "cp1252" if western and not foreign else "utf-8"


def read_plain(path, encoding="utf-8"):
    """Yields the text of a UTF-8 file in pieces: no byte order mark, newlines as `\\n`.

    Args:
        path: The file.
        encoding: Another encoding, as `find_encoding` returns it.

    Raises:
        InputError: If the file is binary, or is not UTF-8, naming line and byte (counted from 0).
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    offset, line, first, returned = 0, 1, True, ""
    with open_binary(path) as file:
        while True:
            data = file.read(CHUNK_BYTES)
            if encoding != "utf-16":
                _check_binary(path, data, offset)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError as error:
                if encoding != "utf-8":
                    raise Unreadable("damaged", f"{path} is no {encoding}: {error}") from error
                good = returned + error.object[: error.start].decode("utf-8")
                raise Unreadable(
                    "not UTF-8",
                    f"{path} is not UTF-8: line {line + newlines(good).count(chr(10))}, "
                    f"byte {offset - pending + error.start}: {error.reason}; "
                    "convert it first (iconv -f LATIN1 -t UTF-8)",
                ) from error
            offset += len(data)
            if first and text:
                text, first = text.removeprefix(_BYTE_ORDER_MARK), False
            text = returned + text
            # A "\r\n" that two pieces share must not become two newlines.
            returned = "\r" if data and text.endswith("\r") else ""
            text = newlines(text.removesuffix(returned))
            line += text.count("\n")
            if text:
                yield text
            if not data:
                return


def is_table(path):
    return suffix_of(path) in TABLES


def newlines(text):
    """Returns a text whose lines end in `\\n`, however they ended."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def numbered_lines(path, encoding="utf-8"):
    """Yields `(number, line)`, counted from 1; a line keeps its newline."""
    rest, number = "", 0
    for chunk in read_plain(path, encoding):
        lines = (rest + chunk).split("\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            yield number, line + "\n"
        if len(rest) > MAX_LINE:
            raise InputError(
                f"{path}:{number + 1} is no row of a table: "
                f"it is longer than {MAX_LINE:,} characters"
            )
    if rest:
        yield number + 1, rest


def first_lines(path, size=1 << 16):
    """Returns the whole lines among the first bytes of a text file; None if it is none."""
    try:
        with open_binary(path) as file:
            data = file.read(size)
    except Unreadable:
        return None
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in data and not wide:
        return None
    text = data.decode("utf-16" if wide else "utf-8", "replace")
    lines = text.removeprefix(_BYTE_ORDER_MARK).splitlines()
    return lines[:-1] if len(data) == size else lines


def _check_binary(path, data, offset):
    if offset == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable(
            "not UTF-8",
            f"{path} is not UTF-8 but UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)",
        )
    if b"\0" in data:
        message = f"{path} is a binary file: byte {offset + data.index(0)} is zero"
        raise Unreadable("binary", message)


def suffix_of(path):
    """Returns the suffix that tells what a file is, in lower case, without one of compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in OPENERS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextlib.contextmanager
def open_binary(path):
    opener = OPENERS.get(path.suffix.lower(), open)
    try:
        with opener(path, "rb") as file:
            yield file
    except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise Unreadable("damaged", f"{path} is damaged: {error}") from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise Unreadable("cannot be read", message) from error


@contextlib.contextmanager
def parquet_of(path):
    """Yields pyarrow and its module for Parquet files; what goes wrong with `path` has one line.

    Raises:
        Unreadable: It is no Parquet file that can be read.
        InputError: pyarrow is missing, or as the block raises it.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            f"{path} cannot be read: Parquet files need pyarrow: "
            "pip install 'tfgen-sequences[data]'"
        ) from error
    try:
        yield pyarrow, parquet
    except InputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        message = f"{path} cannot be read as Parquet: {reason[:200]}"
        raise Unreadable("damaged", message) from error


def json_object(line):
    """The object of a line of JSON, a dict; None if it is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
