"""`read_inkml`: the strokes of InkML, as of MathWriting and IAMonDo, and of the XML of IAM-OnDB.

InkML is a recommendation of the W3C (https://www.w3.org/TR/InkML): a `<trace>` is a stroke, points
with commas between, each the numbers of its channels, X and Y first unless a `<channel>` says
otherwise. A `<Stroke>` of IAM-OnDB holds `<Point x="..." y="..."/>`.
"""

import re

import numpy as np

from tfgen.data import readers
from tfgen.data.elements import read_elements
from tfgen.data.readers import Unreadable

SUFFIXES = (".inkml", ".xml")
MAX_FILE_BYTES = 1 << 26
_ROOTS = ("ink", "WhiteboardCaptureSession")
_LOOKED_AT = 1 << 12  # bytes
_LARGEST = 1e9
_NUMBER = re.compile(r"[!'\"]?-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[!'\"]?#[0-9a-fA-F]+|[*?TF]")
_PREFIXES = {"!": 0, "'": 1, '"': 2}  # a value, a difference, a difference of differences


def holds_ink(path):
    """Whether a file looks like InkML, or like a file of IAM-OnDB."""
    if readers.suffix_of(path) not in SUFFIXES:
        return False
    try:
        with readers.open_binary(path) as file:
            begin = file.read(_LOOKED_AT)
    except readers.InputError:
        return False
    return any(re.search(rb"<(\w+:)?" + name.encode() + rb"[\s>]", begin) for name in _ROOTS)


def read_inkml(path):
    """Returns `(lines, annotations)` of a file.

    Args:
        path: The file.

    Returns:
        A list of float64 arrays `(points, 2)` of x and y, and a dict of the annotations of the
        whole, from their type to their text; of several the first.

    Raises:
        Unreadable: The file is damaged, too large, or no ink.
    """
    with readers.open_binary(path) as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise Unreadable("too large", f"{path} is larger than {MAX_FILE_BYTES:,} bytes")
    ink = _Ink(path)
    read_elements(data, path, "ink", entity=ink.entity, start=ink.start, end=ink.end, text=ink.text)
    return ink.lines, ink.annotations


class _Ink:
    """What a parser has found."""

    def __init__(self, path):
        self.path, self.lines, self.annotations = path, [], {}
        self._open, self._texts, self._type, self._channels = [], [], None, []

    def entity(self, name, *_):
        raise Unreadable("entities", f"{self.path} declares the entity {name[:40]!r}: not read")

    def start(self, tag, attributes):
        name = tag.rpartition(":")[2]
        if not self._open and name not in _ROOTS:
            raise Unreadable("no ink", f"{self.path} is no ink: it begins with <{tag[:40]}>")
        self._open.append(name)
        self._texts = []
        if name == "annotation":
            self._type = attributes.get("type")
        elif name == "channel":
            self._channels.append(attributes.get("name", ""))
        elif name == "Stroke":
            self.lines.append([])
        elif name == "Point" and "Stroke" in self._open:
            self.lines[-1].append([attributes.get("x"), attributes.get("y")])

    def text(self, data):
        self._texts.append(data)

    def end(self, tag):
        name, text = self._open.pop(), "".join(self._texts)
        if name == "annotation" and self._type and self._open == ["ink"]:
            self.annotations.setdefault(self._type, text.strip())
        elif name == "trace":
            self.lines.append(self._trace(text))
        elif name == "Stroke":
            self.lines[-1] = self._points(self.lines[-1])
        self._texts = []

    def _trace(self, text):
        """The points of a trace, whose numbers may tell differences from those before."""
        x, y = 0, 1
        if "X" in self._channels and "Y" in self._channels:
            x, y = self._channels.index("X"), self._channels.index("Y")
        rows, orders, before, change = [], {}, {}, {}
        for point in text.split(","):
            found, row = _NUMBER.findall(point), []
            if not found:
                continue
            if len(found) <= max(x, y):
                raise Unreadable("damaged", f"{self.path}: a point has no x and y: {point[:40]!r}")
            for channel in (x, y):
                token = found[channel]
                if token[0] in _PREFIXES:
                    orders[channel], token = _PREFIXES[token[0]], token[1:]
                order = orders.get(channel, 0)
                value = float(int(token[1:], 16)) if token[:1] == "#" else self._number(token)
                if order == 2:
                    value += change.get(channel, 0.0)
                if order:
                    change[channel] = value
                    value += before.get(channel, 0.0)
                before[channel] = value
                row.append(value)
            rows.append(row)
        return self._points(rows)

    def _number(self, text):
        try:
            return float(text)
        except (TypeError, ValueError):
            raise Unreadable(
                "damaged", f"{self.path}: a point holds what is no number: {text!r:.40}"
            ) from None

    def _points(self, rows):
        rows = [[self._number(value) for value in row] for row in rows]
        points = np.array(rows, np.float64).reshape(-1, 2)
        if not (np.abs(points) <= _LARGEST).all():
            raise Unreadable("damaged", f"{self.path} holds a number that is too large")
        return points
