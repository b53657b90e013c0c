"""`read_rows`: the texts of one column of a table, or of several."""

import contextlib
import csv
import itertools
import json
import re

from tfgen.data import readers
from tfgen.data.readers import Report, newlines, suffix_of
from tfgen.errors import InputError, unknown

DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 100  # rows
_PARQUET_ROWS = 1 << 10  # read at once


def read_rows(path, columns, report=None, numbered=None):
    """Yields a tuple of the texts of some columns of each row of a CSV, TSV, JSON-lines or Parquet.

    Args:
        path: The file; its suffix tells which it is.
        columns: Names of the columns, or keys of the JSON objects.
        report: Optional `Report` in which the rows are counted, those that lack a text by reason.
        numbered: One of the columns, of classes, which whole numbers may stand for.

    Raises:
        InputError: If the file has no such column, is not UTF-8 or damaged.
    """
    report = Report() if report is None else report
    for number, values in _rows_of(path)(path, columns, report):
        values = readers.named_classes(columns, values, numbered)
        if report.accept(columns, values, f"{path}:{number}"):
            yield tuple(map(newlines, values))


def read_column(path, column, report=None):
    """Yields the texts of one column; see `read_rows`."""
    for (text,) in read_rows(path, [column], report):
        yield text


def text_columns(path):
    """Returns `(names, texts)`: the columns of a table, and those that hold texts, longest first.

    A text is longer than a word; the first rows are looked at.
    """
    rows = []
    with contextlib.suppress(csv.Error):  # what was read before it is enough
        rows.extend(itertools.islice(_records(path), _LOOKED_AT))
    names = list(dict.fromkeys(name for row in rows for name in row))
    lengths = {}
    for name in names:
        cells = [row[name] for row in rows if isinstance(row.get(name), str)]
        if cells and sum(" " in cell.strip() for cell in cells) > len(rows) / 2:
            lengths[name] = sum(map(len, cells)) / len(cells)
    return names, sorted(lengths, key=lengths.get, reverse=True)


def _records(path):
    """Yields rows as dicts."""
    if suffix_of(path) == ".parquet":
        yield from _parquet(path)
    elif "json" in suffix_of(path):
        for _, line in readers.numbered_lines(path):
            row = readers.json_object(line)
            if row is not None:
                yield row
    else:
        delimiter, header = _header(path)
        lines = (line for _, line in readers.numbered_lines(path))
        for row in itertools.islice(csv.reader(lines, delimiter=delimiter), 1, None):
            yield dict(itertools.zip_longest(header, row[: len(header)]))


def _rows_of(path):
    """Returns what yields `(row, values)` of columns of a file."""
    if suffix_of(path) == ".parquet":
        return _parquet_rows
    return _json_rows if "json" in suffix_of(path) else _csv_rows


def _header(path, columns=()):
    """Returns `(delimiter, names)` of a table of text.

    It is the delimiter that its suffix tells, unless another makes the columns some of the names;
    if none does, or none is sought, that which makes the most names.
    """
    own = "\t" if suffix_of(path) == ".tsv" else ","
    found = {}
    for delimiter in (own, *DELIMITERS):
        lines = (line for _, line in readers.numbered_lines(path))
        found[delimiter] = [
            name.strip() for name in next(csv.reader(lines, delimiter=delimiter), [])
        ]
        if columns and {*columns} <= {*found[delimiter]}:
            return delimiter, found[delimiter]
    return max(found.items(), key=lambda item: len(item[1]))


def _csv_rows(path, columns, report):
    csv.field_size_limit(max(csv.field_size_limit(), readers.MAX_FIELD))
    ended = False

    def lines():
        nonlocal ended
        for _, line in readers.numbered_lines(path):
            yield line
        ended = True

    start = 1
    try:
        delimiter, header = _header(path, columns)
        reader = csv.reader(lines(), delimiter=delimiter)
        next(reader, None)
        for column in columns:
            if column not in header:
                raise unknown(f"column of {path}", column, header)
        places = [header.index(column) for column in columns]
        start = reader.line_num + 1
        for row in reader:
            number, start = start, reader.line_num + 1
            if ended:
                # The reader wanted more lines for this row than there are.
                report.drop("a quote is left open", f"{path}:{number}")
            elif len(row) > len(header):
                # Most likely a delimiter in a text without quotes: the text would be cut there.
                report.drop("the row has more fields than the header", f"{path}:{number}")
            elif row:
                yield number, [row[place] if place < len(row) else None for place in places]
    except csv.Error as error:
        raise InputError(f"{path}:{start} is no CSV: {error}; is a quote left open?") from error


def _json_rows(path, columns, report):
    keys = set()
    for number, line in readers.numbered_lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            report.drop("the line is no JSON", f"{path}:{number}")
            continue
        if not isinstance(row, dict):
            report.drop("the line is no JSON object", f"{path}:{number}")
            continue
        if not {*columns} <= keys:
            keys.update(row)
        yield number, [_valid(row.get(column)) for column in columns]
    for column in columns:
        if keys and column not in keys:
            raise unknown(f"key of {path}", column, keys)


def _valid(value):
    if isinstance(value, str) and not value.isascii():
        # "\ud83d" alone is valid JSON and no valid Unicode.
        return re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", value)
    return value


def _parquet_rows(path, columns, report):
    for number, row in enumerate(_parquet(path, columns), 1):
        yield number, [row[column] for column in columns]


def _parquet(path, columns=None):
    """Yields the rows of a Parquet file as dicts, with some columns if these are asked for."""
    with readers.parquet_of(path) as (_, parquet), parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        for column in columns or ():
            if column not in names:
                raise unknown(f"column of {path}", column, names)
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=columns):
            yield from batch.to_pylist()
