"""Paths and shapes of SVG as Bezier curves, and Bezier curves as polylines (SVG 1.1, sections 8.3
and 9)."""

import math
import re

import numpy as np

from tfgen.data.readers import Unreadable

# What the curves of one file may become, however large it says they are.
MAX_POINTS, MAX_LINES = 1 << 20, 1 << 17
# Points of one curve: an arc of a quarter turn this fine is round on any screen.
MAX_CURVE_POINTS = 256
# No drawing is as wide; squares of such numbers are still finite.
MAX_NUMBER = 1e9
# Without a tolerance, how far a polyline may leave its curve: a share of the drawing's size.
FINENESS = 1e-3

# Possessive, so that no text is gone through twice.
_NUMBER = re.compile(r"[\s,]*+([-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?)")
# Many numbers, gone through at once.
_RUN = re.compile(rf"(?:{_NUMBER.pattern.replace('([', '(?:[', 1)}){{2,4096}}+")
_FLAG = re.compile(r"[\s,]*+([01])")
_COMMAND = re.compile(r"[\s,]*+([A-Za-z])")
_NOTHING = re.compile(r"[\s,]*+\Z")
# How many numbers a command takes; of an arc, the fourth and fifth are flags.
_ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}


def parse_points(text, closed=False):
    """Returns `(subpaths, whole)` of the points of a polyline or polygon, as `parse_path` does."""
    numbers = []
    position, match = 0, _NUMBER.match(text)
    while match and len(numbers) <= 2 * MAX_POINTS:
        numbers.append(float(match[1]))
        position = match.end()
        match = _NUMBER.match(text, position)
    whole = bool(_NOTHING.match(text, position)) and len(numbers) % 2 == 0
    points = np.array(numbers[: len(numbers) // 2 * 2], np.float64).reshape(-1, 2)
    if closed and len(points):
        points = np.concatenate([points, points[:1]])
    segments = [points[i : i + 2] for i in range(len(points) - 1)]
    return ([segments] if segments else []), whole


def rectangle(x, y, width, height, radius_x=0.0, radius_y=0.0):
    """Returns the subpaths of a rectangle, from its upper left corner clockwise (SVG 1.1, 9.2)."""
    if width <= 0 or height <= 0:
        return []
    a, b = min(radius_x, width / 2), min(radius_y, height / 2)
    right, bottom = x + width, y + height
    if a <= 0 or b <= 0:
        corners = [[x, y], [right, y], [right, bottom], [x, bottom], [x, y]]
        return [[np.array(corners[i : i + 2], np.float64) for i in range(4)]]
    stops = [
        [(x + a, y), (right - a, y)],
        [(right, y + b), (right, bottom - b)],
        [(right - a, bottom), (x + a, bottom)],
        [(x, bottom - b), (x, y + b)],
    ]
    segments = []
    for side, (start, end) in enumerate(np.array(stops, np.float64)):
        following = np.array(stops[(side + 1) % 4][0], np.float64)
        segments += [np.stack([start, end]), *arc(end, a, b, 0, 0, 1, following)]
    return [segments]


def ellipse(x, y, radius_x, radius_y):
    """Returns the subpaths of an ellipse, from its right end clockwise (SVG 1.1, 9.3 and 9.4)."""
    if radius_x <= 0 or radius_y <= 0:
        return []
    left, right = np.array([x - radius_x, y]), np.array([x + radius_x, y])
    half = arc(right, radius_x, radius_y, 0, 0, 1, left)
    return [half + arc(left, radius_x, radius_y, 0, 0, 1, right)]


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
        if len(segments) > MAX_POINTS or len(subpaths) > MAX_LINES:
            break  # more than a drawing may have, which is said when it is drawn
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
        if kind == "L":
            points, position = _pairs(data, position, current, relative)
            segments += list(np.stack([points[:-1], points[1:]], axis=1))
            if len(points) == 1:
                whole = False
                break
            current, previous = points[-1], kind
            continue
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
        elif kind in "HV":
            if kind == "H":
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


def _pairs(data, position, current, relative):
    """Returns `(points, position)`: the current point, and those that a run of linetos leads to."""
    match = _RUN.match(data, position)
    words = _NUMBER.findall(match[0]) if match else []
    steps = np.array(words[: len(words) // 2 * 2], np.float64).reshape(-1, 2)
    wrong = np.flatnonzero(~(np.abs(steps) <= MAX_NUMBER).all(axis=1))
    if len(wrong):
        steps = steps[: wrong[0]]
    elif words:
        # Of an odd number the last is left to be found wrong.
        position = (
            match.end() if len(words) % 2 == 0 else match.start() + match[0].rindex(words[-1])
        )
    points = np.concatenate([current[None], steps])
    return (np.cumsum(points, axis=0) if relative else points), position


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
        line = np.concatenate([subpath[0][:1], *(_chords(points, tolerance) for points in subpath)])
        # A point that repeats the one before says nothing; a lone one is a dot.
        changes = (line[1:] != line[:-1]).any(axis=1)
        line = np.concatenate([line[:1], line[1:][changes]])
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
