"""`read_svg`: the lines of an SVG drawing as polylines.

Read are the elements path, polyline, polygon and line with the transforms upon them, as SVG 1.1
(https://www.w3.org/TR/SVG11/, sections 7.6, 8.3 and 9) defines them. How a line looks, its fill,
width and colour, is no matter here.

A drawing from a stranger is untrusted: the file's size is bounded, and a document that declares
entities (which could expand without end, or name files of this machine) is refused. A document type
without entities, as KanjiVG's files have, does no harm: nothing it names is opened.
"""

import math
import re
from pathlib import Path
from xml.parsers import expat

import numpy as np

from tfgen.data.readers import Unreadable

MAX_FILE_BYTES = 1 << 24
# What the curves of one file may become, however large it says they are.
MAX_POINTS = 1 << 20
# Points of one curve: an arc of a quarter turn this fine is round on any screen.
MAX_CURVE_POINTS = 256
# No drawing is as wide; squares of such numbers are still finite.
MAX_NUMBER = 1e9
# Without a tolerance, how far a polyline may leave its curve: a share of the drawing's size.
FINENESS = 1e-3

LINES = {"path", "polyline", "polygon", "line"}
# Shapes whose outline is not read, and references, which are not followed.
OTHER_SHAPES = {"rect", "circle", "ellipse", "use", "image"}
# What is inside is drawn elsewhere or not at all.
HIDDEN = {"defs", "clipPath", "mask", "pattern", "symbol", "marker"}

_NUMBER = re.compile(r"[\s,]*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_FLAG = re.compile(r"[\s,]*([01])")
_COMMAND = re.compile(r"[\s,]*([A-Za-z])")
_NOTHING = re.compile(r"[\s,]*\Z")
_TRANSFORM = re.compile(r"\s*,?\s*(\w+)\s*\(([^)]*)\)")
# How many numbers a command takes; of an arc, the fourth and fifth are flags.
_ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}


def read_svg(path, tolerance=0.0):
    """Returns the lines of an SVG file.

    Args:
        path: The file.
        tolerance: How far a polyline may leave its curve, in the drawing's units; 0 takes a
            thousandth of the drawing's larger side.

    Returns:
        `(lines, notes)`: a list of float64 arrays `(points, 2)` of x and y (downwards), in the
        order of the file, each of at least one point; and a set of sentences about what was not
        drawn as it stands.

    Raises:
        Unreadable: The file is too large, no SVG, damaged, or declares entities.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Unreadable("cannot be read", f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise Unreadable("too large", f"{path} is larger than {MAX_FILE_BYTES:,} bytes")
    subpaths, notes = _Reader(path).read(data)
    return flatten(subpaths, tolerance, path), notes


class _Reader:
    """Collects the subpaths of a document."""

    def __init__(self, path):
        self.path = Path(path)
        self.subpaths, self.notes = [], set()
        self.transforms, self.hidden = [], 0

    def read(self, data):
        parser = expat.ParserCreate()
        parser.EntityDeclHandler = self.refuse
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        try:
            parser.Parse(data, True)
        except (expat.ExpatError, LookupError, ValueError) as error:
            if isinstance(error, Unreadable):
                raise
            raise Unreadable("no SVG", f"{self.path} is no SVG: {error}") from error
        return self.subpaths, self.notes

    def refuse(self, name, *_):
        raise Unreadable(
            "entities", f"{self.path} declares the entity '{name}'; entities are not read"
        )

    def start(self, tag, attributes):
        name = tag.rpartition(":")[2]
        if not self.transforms and name != "svg":
            raise Unreadable("no SVG", f"{self.path} is no SVG: its first element is <{tag}>")
        transform = self.transforms[-1] if self.transforms else np.eye(3)
        if "transform" in attributes:
            try:
                transform = transform @ parse_transform(attributes["transform"])
            except ValueError:
                self.notes.add("a transform that is not understood and was left out")
        self.transforms.append(transform)
        self.hidden += name in HIDDEN
        if self.hidden:
            return
        if name in LINES:
            subpaths, whole = _subpaths(name, attributes)
            if not whole:
                self.notes.add("a path with an error, drawn up to there")
            for subpath in subpaths:
                # Bezier curves keep their form under affine maps: their points are mapped.
                moved = [points @ transform[:2, :2].T + transform[:2, 2] for points in subpath]
                if all((np.abs(points) <= MAX_NUMBER).all() for points in moved):
                    self.subpaths.append(moved)
                else:
                    self.notes.add("a path with numbers too large, left out")
        elif name in OTHER_SHAPES:
            self.notes.add(f"<{name}> elements, which are not read")

    def end(self, tag):
        self.transforms.pop()
        self.hidden -= tag.rpartition(":")[2] in HIDDEN


def _subpaths(name, attributes):
    """Returns `(subpaths, whole)` of an element."""
    if name == "path":
        return parse_path(attributes.get("d", ""))
    if name == "line":
        text = " ".join(attributes.get(key, "0") for key in ("x1", "y1", "x2", "y2"))
    else:
        text = attributes.get("points", "")
    numbers = []
    position, match = 0, _NUMBER.match(text)
    while match:
        numbers.append(float(match[1]))
        position = match.end()
        match = _NUMBER.match(text, position)
    whole = bool(_NOTHING.match(text, position)) and len(numbers) % 2 == 0
    points = np.array(numbers[: len(numbers) // 2 * 2], np.float64).reshape(-1, 2)
    if name == "polygon" and len(points):
        points = np.concatenate([points, points[:1]])
    segments = [points[i : i + 2] for i in range(len(points) - 1)]
    return ([segments] if segments else []), whole


def parse_path(data):
    """Parses the data of a path, every command of SVG 1.1, absolute and relative.

    Args:
        data: The value of the attribute `d`.

    Returns:
        `(subpaths, whole)`. A subpath is a list of Bezier segments, arrays of control points
        `(2, 2)` (a straight line), `(3, 2)` (quadratic) or `(4, 2)` (cubic); arcs have become
        cubics. `whole` is False if there is an error in the data: then the path ends there, as the
        specification wants it drawn.
    """
    subpaths, segments = [], []
    current = start = np.zeros(2)
    command, previous, control = None, None, None
    position, whole = 0, True

    def close():
        if segments:
            subpaths.append(segments.copy())
            segments.clear()

    while not _NOTHING.match(data, position):
        match = _COMMAND.match(data, position)
        if match:
            command, position = match[1], match.end()
            if command.upper() not in _ARGUMENTS or (previous is None and command not in "Mm"):
                whole = False
                break
        elif command is None or command in "Zz":
            whole = False
            break
        elif command in "Mm":
            # Further pairs after a moveto are linetos.
            command = "l" if command == "m" else "L"
        kind, relative = command.upper(), command.islower()
        numbers, position = _numbers(data, position, kind)
        if numbers is None:
            whole = False
            break
        origin = current if relative else np.zeros(2)
        if kind == "M":
            close()
            current = start = origin + numbers
        elif kind == "Z":
            # A dot, "M1,1Z", has no segment but this one.
            if segments or previous == "M":
                segments.append(np.stack([current, start]))
            close()
            current = start
        elif kind in "LHV":
            if kind == "L":
                end = origin + numbers
            elif kind == "H":
                end = np.array([origin[0] + numbers[0], current[1]])
            else:
                end = np.array([current[0], origin[1] + numbers[0]])
            segments.append(np.stack([current, end]))
            current = end
        elif kind == "A":
            end = origin + numbers[5:]
            segments += arc(current, *numbers[:5], end)
            current = end
        else:
            points = origin + numbers.reshape(-1, 2)
            if kind in "ST":
                # The control point before, mirrored; the point itself after another command.
                smooth = previous in ("CS" if kind == "S" else "QT")
                mirrored = 2 * current - control if smooth else current
                points = np.concatenate([mirrored[None], points])
            control = points[-2]
            segments.append(np.concatenate([current[None], points]))
            current = points[-1]
        previous = kind
    close()
    return subpaths, whole


def _numbers(data, position, kind):
    """Returns `(numbers, position)` of one command's arguments; None where they are wrong."""
    numbers = []
    for index in range(_ARGUMENTS[kind]):
        # Flags may stand without a space: "a1,1 0 0110,10".
        match = (_FLAG if kind == "A" and index in (3, 4) else _NUMBER).match(data, position)
        if not match or abs(float(match[1])) > MAX_NUMBER:
            return None, position
        numbers.append(float(match[1]))
        position = match.end()
    return np.array(numbers), position


def arc(start, radius_x, radius_y, angle, large, sweep, end):
    """Returns the cubic Bezier curves of an elliptical arc (SVG 1.1, F.6.5 and F.6.6).

    Args:
        start: Where it starts, `(2,)`.
        radius_x: The ellipse's radius along its own x axis.
        radius_y: Along its y axis.
        angle: The angle of its x axis, degrees.
        large: Whether the longer way round is taken.
        sweep: Whether it runs in the direction of growing angles.
        end: Where it ends, `(2,)`.
    """
    radius_x, radius_y = abs(radius_x), abs(radius_y)
    if np.array_equal(start, end):
        return []
    if not radius_x or not radius_y:
        return [np.stack([start, end])]  # as the specification says
    phi = math.radians(angle)
    turn = np.array([[math.cos(phi), -math.sin(phi)], [math.sin(phi), math.cos(phi)]])
    x, y = turn.T @ (start - end) / 2
    size = (x / radius_x) ** 2 + (y / radius_y) ** 2
    if size < 1e-12:
        return [np.stack([start, end])]  # a step on a circle so large is straight
    # Radii too small to reach are enlarged until they do.
    if size > 1:
        radius_x, radius_y = radius_x * math.sqrt(size), radius_y * math.sqrt(size)
        size = 1.0
    factor = math.sqrt(max(1 / size - 1, 0.0)) * (-1 if bool(large) == bool(sweep) else 1)
    centre = factor * np.array([radius_x * y / radius_y, -radius_y * x / radius_x])
    first = math.atan2((y - centre[1]) / radius_y, (x - centre[0]) / radius_x)
    last = math.atan2((-y - centre[1]) / radius_y, (-x - centre[0]) / radius_x)
    span = last - first
    if sweep and span < 0:
        span += 2 * math.pi
    elif not sweep and span > 0:
        span -= 2 * math.pi
    pieces = max(1, math.ceil(abs(span) / (math.pi / 2) - 1e-9))
    step = span / pieces
    # The cubic that touches a unit arc of this angle at both ends and in the middle.
    handle = 4 / 3 * math.tan(step / 4)
    middle = turn @ centre + (start + end) / 2
    curves = []
    for piece in range(pieces):
        a, b = first + piece * step, first + (piece + 1) * step
        unit = np.array(
            [
                [math.cos(a), math.sin(a)],
                [math.cos(a) - handle * math.sin(a), math.sin(a) + handle * math.cos(a)],
                [math.cos(b) + handle * math.sin(b), math.sin(b) - handle * math.cos(b)],
                [math.cos(b), math.sin(b)],
            ]
        )
        curves.append(unit * [radius_x, radius_y] @ turn.T + middle)
    curves[0][0], curves[-1][-1] = start, end
    return curves


def parse_transform(text):
    """Returns the `(3, 3)` matrix of a transform attribute (SVG 1.1, 7.6).

    Raises:
        ValueError: The text is no list of transforms.
    """
    matrix, position = np.eye(3), 0
    while not _NOTHING.match(text, position):
        match = _TRANSFORM.match(text, position)
        if not match:
            raise ValueError(text)
        position = match.end()
        kind, a = match[1], [float(word) for word in match[2].replace(",", " ").split()]
        one = np.eye(3)
        if kind == "matrix" and len(a) == 6:
            one[:2] = np.reshape(a, (3, 2)).T
        elif kind == "translate" and len(a) in (1, 2):
            one[:2, 2] = a if len(a) == 2 else [a[0], 0]
        elif kind == "scale" and len(a) in (1, 2):
            one[0, 0], one[1, 1] = a[0], a[-1]
        elif kind == "rotate" and len(a) in (1, 3):
            cosine, sine = math.cos(math.radians(a[0])), math.sin(math.radians(a[0]))
            one[:2, :2] = [[cosine, -sine], [sine, cosine]]
            about = np.array(a[1:] or [0, 0])
            one[:2, 2] = about - one[:2, :2] @ about
        elif kind == "skewX" and len(a) == 1:
            one[0, 1] = math.tan(math.radians(a[0]))
        elif kind == "skewY" and len(a) == 1:
            one[1, 0] = math.tan(math.radians(a[0]))
        else:
            raise ValueError(text)
        matrix = matrix @ one
    return matrix


def flatten(subpaths, tolerance=0.0, where="the drawing"):
    """Returns the polylines of subpaths of Bezier segments.

    A curve is parted evenly in its parameter into the least number of chords that Wang's formula
    promises to stay within the tolerance: with `n` chords the error of a curve of degree `d` is at
    most `d (d - 1) max|second difference of the control points| / (8 n^2)`.

    Args:
        subpaths: As of `parse_path`.
        tolerance: As for `read_svg`.
        where: What an error names.
    """
    if not subpaths:
        return []
    corners = np.concatenate([points for subpath in subpaths for points in subpath])
    size = float(np.ptp(corners, axis=0).max())
    tolerance = min(tolerance or math.inf, FINENESS * size) or 1.0
    lines, total = [], 0
    for subpath in subpaths:
        parts = [subpath[0][:1]]
        for points in subpath:
            parts.append(_chords(points, tolerance))
        line = np.concatenate(parts)
        # A point that repeats the one before says nothing; a lone one is a dot.
        line = line[np.r_[True, (np.diff(line, axis=0) != 0).any(axis=1)]]
        total += len(line)
        if total > MAX_POINTS:
            raise Unreadable("too large", f"{where} has more than {MAX_POINTS:,} points")
        lines.append(line)
    return lines


def _chords(points, tolerance):
    """Returns the points of one segment but its first."""
    degree = len(points) - 1
    if degree == 1:
        return points[1:]
    bend = np.linalg.norm(np.diff(points, n=2, axis=0), axis=1).max()
    count = math.ceil(math.sqrt(degree * (degree - 1) * bend / (8 * tolerance)))
    count = min(max(count, 1), MAX_CURVE_POINTS)
    along = np.arange(1, count + 1)[:, None] / count
    weights = [
        math.comb(degree, i) * along**i * (1 - along) ** (degree - i) for i in range(degree + 1)
    ]
    curve = sum(weight * point for weight, point in zip(weights, points))
    curve[-1] = points[-1]
    return curve
