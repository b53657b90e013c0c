"""Reading the documents of text files, in pieces, with what was dropped and why."""

import codecs
import contextlib
import csv
import dataclasses
import gzip
import json
import lzma
import sys

from tfgen.errors import InputError, unknown

CHUNK_BYTES = 1 << 22
OPENERS = {".gz": gzip.open, ".xz": lzma.open}
TABLES = {".csv", ".tsv", ".jsonl", ".ndjson"}


@dataclasses.dataclass
class Report:
    """What became of the documents (files or rows) of a data set.

    Attributes:
        kept: Number of documents read.
        dropped: Dict from the reason to `[number, first example]`.
    """

    kept: int = 0
    dropped: dict = dataclasses.field(default_factory=dict)

    def drop(self, reason, example):
        self.dropped.setdefault(reason, [0, example])[0] += 1


def read_plain(path):
    """Yields the text of a UTF-8 file in pieces: no byte order mark, newlines as `\\n`.

    Raises:
        InputError: If the file is binary, or is not UTF-8, naming line and byte.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    offset, line, after_return = 0, 1, False
    with _open(path) as file:
        while True:
            data = file.read(CHUNK_BYTES)
            if b"\0" in data:
                raise InputError(
                    f"{path} is a binary file: byte {offset + data.index(0)} is zero"
                )
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                position = offset - pending + error.start
                line += data[: max(error.start - pending, 0)].count(b"\n")
                raise InputError(
                    f"{path} is not UTF-8: line {line}, byte {position}: {error.reason}; "
                    "convert it first (iconv -f LATIN1 -t UTF-8)"
                ) from error
            offset += len(data)
            line += data.count(b"\n")
            # A "\r\n" that two pieces share must not become two newlines.
            if after_return:
                text = "\r" + text
            after_return = bool(data) and text.endswith("\r")
            if after_return:
                text = text[:-1]
            text = text.replace("\r\n", "\n").replace("\r", "\n")
            if text:
                yield text
            if not data:
                return


def read_column(path, column, report=None):
    """Yields the texts of one column of a CSV, TSV or JSON-lines file.

    Args:
        path: The file; its suffix tells which it is.
        column: Name of the column, or key of the JSON objects.
        report: Optional `Report` in which rows without a text are counted.

    Raises:
        InputError: If the file has no such column, or is not UTF-8.
    """
    report = Report() if report is None else report
    rows = _json_rows if "json" in _suffix(path) else _csv_rows
    for where, value in rows(path, column, report):
        if not isinstance(value, str):
            report.drop(f"'{column}' is missing or no text", where)
        elif not value.strip():
            report.drop(f"'{column}' is empty", where)
        else:
            report.kept += 1
            yield value.replace("\r\n", "\n").replace("\r", "\n")


def is_table(path):
    return _suffix(path) in TABLES


def _lines(path):
    """Yields `(number, line)`; a line keeps its newline."""
    rest, number = "", 0
    for chunk in read_plain(path):
        lines = (rest + chunk).split("\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            yield number, line + "\n"
    if rest:
        yield number + 1, rest


def _csv_rows(path, column, report):
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    delimiter = "\t" if _suffix(path) == ".tsv" else ","
    reader = csv.DictReader((line for _, line in _lines(path)), delimiter=delimiter)
    if column not in (reader.fieldnames or []):
        raise unknown(f"column of {path}", column, reader.fieldnames or [])
    try:
        for row in reader:
            yield f"{path}:{reader.line_num}", row[column]
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num} is no CSV: {error}") from error


def _json_rows(path, column, report):
    keys = set()
    for number, line in _lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            report.drop("the line is no JSON", where)
            continue
        if not isinstance(row, dict):
            report.drop("the line is no JSON object", where)
            continue
        keys.update(row)
        yield where, row.get(column)
    if column not in keys:
        raise unknown(f"key of {path}", column, keys)


def _suffix(path):
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in OPENERS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextlib.contextmanager
def _open(path):
    opener = OPENERS.get(path.suffix.lower(), open)
    try:
        with opener(path, "rb") as file:
            yield file
    except (gzip.BadGzipFile, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
