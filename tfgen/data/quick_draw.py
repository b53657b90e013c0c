"""`read_quick_draw`: the drawings of Quick, Draw!, in its formats `.ndjson` and `.bin`.

Both are described in https://github.com/googlecreativelab/quickdraw-dataset. A line of a `.ndjson`
is an object whose `drawing` is a list of lines, each `[[x, ...], [y, ...]]`, in the raw files with
a third list, of times, which is not read. A `.bin` holds the simplified drawings as bytes.
"""

import struct

import numpy as np

from tfgen.data import readers
from tfgen.data.file_labels import readable

SUFFIXES = (".ndjson", ".jsonl", ".bin")
WORD = "word"
NOT_RECOGNIZED = "a drawing that was not recognized when it was made, kept all the same"
# No screen is as wide; squares of such numbers are still finite.
_LARGEST = 1e9
_LOOKED_AT = 5  # lines
_HEAD = struct.Struct("<Q2sbIH")  # key_id, countrycode, recognized, timestamp, lines


def holds_drawings(path):
    """Whether a file begins with a drawing."""
    suffix = readers.suffix_of(path)
    if suffix not in SUFFIXES:
        return False
    try:
        if suffix == ".bin":
            return any(True for _ in _binary_rows(path, readers.Report()))
        for number, line in readers.numbered_lines(path):
            row = readers.json_object(line) if line.strip() else None
            if row is not None:
                return isinstance(row.get("drawing"), list)
            if number >= _LOOKED_AT:
                return False
    except readers.InputError:
        pass
    return False


def read_quick_draw(path, label, report, source=None):
    """Yields `(lines, id, label, text)` of every drawing of a file.

    What is no drawing is counted in the report, with its line.

    Args:
        path: The file.
        label: The key whose value is the class of a drawing.
        report: `tfgen.data.readers.Report`.
        source: The key whose value is what a drawing says.

    Yields:
        A list of float64 arrays `(points, 2)`; a text; the class and what it says, None if there is
        none.

    Raises:
        Unreadable: The file is damaged.
    """
    rows = _binary_rows if readers.suffix_of(path) == ".bin" else _json_rows
    for where, row in rows(path, report):
        lines, fault = _lines(row.get("drawing"))
        if fault:
            report.drop(fault, where)
            continue
        if row.get("recognized") is False:
            report.drop(NOT_RECOGNIZED, where)
        name = row.get(label)
        name = readable(str(name)) if isinstance(name, str | int) else None
        text = row.get(source)
        yield lines, readable(str(row.get("key_id", where))), name, text


def _lines(drawing):
    """Returns `(lines, fault)` of the value of `drawing`."""
    if not isinstance(drawing, list):
        return None, "the line has no 'drawing'"
    x, y, edges = [], [], [0]
    for part in drawing:
        listed = isinstance(part, list) and len(part) in (2, 3)
        if not listed or not all(isinstance(numbers, list) for numbers in part[:2]):
            return None, "a line of a drawing is not [[x, ...], [y, ...]]"
        if len(part[0]) != len(part[1]):
            return None, "a line of a drawing has not as many x as y"
        x += part[0]
        y += part[1]
        edges.append(len(x))
    if not x:
        return [], None
    # One array of all lines: a drawing has many short ones.
    try:
        points = np.array([x, y])
    except ValueError:  # lists among the numbers
        points = np.array([], object)
    if points.ndim != 2 or points.dtype.kind not in "iuf":
        return None, "a drawing holds what is no number"
    points = points.T.astype(np.float64)
    if not (np.abs(points) <= _LARGEST).all():
        return None, "a drawing holds a number that is too large or not finite"
    return [points[start:stop] for start, stop in zip(edges[:-1], edges[1:]) if stop > start], None


def _json_rows(path, report):
    for number, line in readers.numbered_lines(path):
        if not line.strip():
            continue
        row = readers.json_object(line)
        if row is None:
            report.drop("the line is no JSON object", f"{path}:{number}")
        else:
            yield f"{path}:{number}", row


def _binary_rows(path, report):
    number = 0
    with readers.open_binary(path) as file:
        while head := file.read(_HEAD.size):
            number += 1
            where = f"{path}: drawing {number}"
            try:
                key, country, recognized, _, count = _HEAD.unpack(head)
                if not (country.isalpha() and country.isupper() and recognized in (0, 1)):
                    report.drop("what follows is no drawing of Quick, Draw!", where)
                    return
                drawing = [_bytes_of_line(file) for _ in range(count)]
            except (struct.error, EOFError):
                report.drop("the file ends within a drawing", where)
                return
            yield where, {"key_id": key, "recognized": bool(recognized), "drawing": drawing}


def _bytes_of_line(file):
    (count,) = struct.unpack("<H", file.read(2))
    data = file.read(2 * count)
    if len(data) < 2 * count:
        raise EOFError
    return np.frombuffer(data, np.uint8).reshape(2, count).tolist()
