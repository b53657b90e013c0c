"""`read_svg`: the lines of an SVG drawing as polylines.

Read are the elements path, polyline, polygon, line, rect, circle and ellipse, what `<use>` draws
again, and the transforms and inner `<svg>` upon them, as SVG 1.1 (https://www.w3.org/TR/SVG11/) and
CSS define them. What is hidden (`display`, `visibility`, an opacity of 0) is left out. How a line
looks otherwise, its fill, width and colour, is no matter here.

A drawing from a stranger is untrusted: its size is bounded, and so is what it draws by `<use>`;
entities are read if they are plain texts, as drawing programs write them, and refused where they
hold others (which could expand without end) or name files of this machine. All of it takes time in
proportion to the file, which the package svgelements does not: there a `<use>` of `<use>`s doubles
with each line.
"""

import collections
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfgen.data.elements import read_elements
from tfgen.data.readers import Unreadable
from tfgen.data.svg_paths import (
    MAX_LINES,
    MAX_NUMBER,
    MAX_POINTS,
    ellipse,
    flatten,
    parse_path,
    parse_points,
    rectangle,
)
from tfgen.data.svg_styles import (
    IDENTITY,
    PROPERTIES,
    StyleSheet,
    multiply,
    parse_declarations,
    parse_length,
    transform_of,
)

MAX_FILE_BYTES = 1 << 24
# Elements of a file, and those that are drawn, each as often as it is used.
MAX_ELEMENTS = 1 << 19
# A <use> of a <use> of a ...
MAX_USES = 16
MAX_ENTITY = 1 << 8

SHAPES = {"path", "polyline", "polygon", "line", "rect", "circle", "ellipse"}
NOT_READ = {"image", "text", "foreignObject"}
# What is inside is drawn elsewhere or not at all.
NOT_DRAWN = {"defs", "clipPath", "mask", "pattern", "symbol", "marker", "glyph", "style"}
_STYLED = {"style", *PROPERTIES}
_PLAIN = (IDENTITY, False, None)  # an element that says nothing of the sort
HIDDEN = "a hidden line (display, visibility or opacity), left out"


def read_svg(path, tolerance=0.0):
    """Returns the lines of an SVG file.

    Args:
        path: The file.
        tolerance: How far a polyline may leave its curve, in the drawing's units; 0 takes a
            thousandth of the drawing's larger side.

    Returns:
        `(lines, notes)`: a list of float64 arrays `(points, 2)` of x and y (downwards), in the
        order of the file, each of at least one point; and a dict from sentences about what was not
        drawn as it stands to how often that was.

    Raises:
        Unreadable: The file is too large, no SVG, damaged, or declares entities that are no plain
            texts.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise Unreadable("cannot be read", f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise Unreadable("too large", f"{path} is larger than {MAX_FILE_BYTES:,} bytes")
    document = _Document(Path(path), data)
    drawer = _Drawer(document)
    return flatten(drawer.draw(), tolerance, path), dict(drawer.notes)


class _Element:
    """An element, with what was found out of its attributes."""

    __slots__ = ("attributes", "children", "name", "own", "subpaths")

    def __init__(self, name, attributes):
        self.name, self.attributes = name, attributes
        self.children, self.own, self.subpaths = (), None, None


class _Document:
    """The elements of a file: `root`, those with an id, and the rules of its style sheets."""

    def __init__(self, path, data):
        self.path, self.root, self.ids = path, None, {}
        self._open, self._count, self._styles = [], 0, []
        self._references = data.count(b"&")
        read_elements(
            data, path, "SVG",
            entity=self._entity, start=self._start, end=self._end, text=self._text,
        )  # fmt: skip
        self.sheet = StyleSheet("".join(self._styles))

    def _entity(self, name, is_parameter, value, *_):
        plain = value is not None and not is_parameter and not set(value) & set("&<%")
        if not plain or len(value) > MAX_ENTITY or self._references * len(value) > MAX_FILE_BYTES:
            raise Unreadable(
                "entities",
                f"{self.path} declares the entity {name[:40]!r}, which is no short plain text; "
                "such are not read: save the drawing as plain SVG",
            )

    def _start(self, tag, attributes):
        name = tag.rpartition(":")[2]
        if self.root is None and name != "svg":
            raise Unreadable("no SVG", f"{self.path} is no SVG: its first element is <{tag[:40]}>")
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise _too_many(self.path)
        element = _Element(name, attributes)
        if self._open:
            above = self._open[-1]
            above.children = above.children or []
            above.children.append(element)
        else:
            self.root = element
        self._open.append(element)
        if "id" in attributes:
            self.ids.setdefault(attributes["id"], element)

    def _end(self, tag):
        self._open.pop()

    def _text(self, data):
        if self._open and self._open[-1].name == "style":
            self._styles.append(data)


class _State(NamedTuple):
    """What an element inherits.

    Attributes:
        matrix: The affine map to the drawing's coordinates.
        hidden: Whether nothing in it can be seen.
        visible: The property `visibility`, which an inner element may change again.
        size: `(width, height)` of the innermost `<svg>`, of which percentages are; each may be
            None.
        uses: How many `<use>` it is in.
    """

    matrix: tuple
    hidden: bool
    visible: bool
    size: tuple
    uses: tuple


class _Drawer:
    """Collects the subpaths of a document."""

    def __init__(self, document):
        self.document, self.notes = document, collections.Counter()
        self.subpaths, self._drawn, self._points = [], 0, 0

    def draw(self):
        root = self.document.root
        # By hand, as elements may lie in each other deeper than Python's calls can.
        waiting = [(root, _State(IDENTITY, False, True, _root_size(root), ()), None)]
        while waiting:
            element, state, use = waiting.pop()
            self._drawn += 1
            if self._drawn > MAX_ELEMENTS:
                raise _too_many(self.document.path)
            waiting += reversed(self._element(element, state, use))
        return self.subpaths

    def _element(self, element, state, use):
        """Draws an element; returns what is to be drawn inside it.

        Args:
            element: An `_Element`.
            state: The `_State` outside it.
            use: The `<use>` that draws it, None in its own place.
        """
        name = element.name
        if name in NOT_DRAWN and not (use and name == "symbol"):
            return []
        if element.own is None:
            element.own = self._own(element)
        if element.own != _PLAIN:
            matrix, hides, visible = element.own
            state = state._replace(
                matrix=multiply(state.matrix, matrix),
                hidden=state.hidden or hides,
                visible=state.visible if visible is None else visible,
            )
        if name in SHAPES:
            self._shape(element, state)
            return []
        if name in NOT_READ:
            if state.visible and not state.hidden:
                self.notes[f"a <{name}>, which is not read"] += 1
            return []
        if name == "use":
            return self._use(element, state)
        children = element.children
        if name == "switch":
            children = [child for child in children if _is_for_us(child)][:1]
        elif name in ("svg", "symbol") and element is not self.document.root:
            state = self._viewport(element, state, use)
        return [(child, state, None) for child in children] if state else []

    def _own(self, element):
        """Returns `(matrix, hides, visible)` of what an element says itself."""
        attributes = element.attributes
        if not self.document.sheet.rules and _STYLED.isdisjoint(attributes):
            return _PLAIN
        found = {key: attributes[key] for key in PROPERTIES if key in attributes}
        found.update(self.document.sheet.of(element.name, attributes))
        found.update(parse_declarations(attributes.get("style", "")))
        try:
            matrix = transform_of(found)
        except ValueError:
            self.notes["a transform that is not understood and was left out"] += 1
            matrix = IDENTITY
        try:
            hides = float(found.get("opacity", "1").rstrip("%")) <= 0
        except ValueError:
            hides = False
        hides = hides or found.get("display") == "none"
        visible = {"hidden": False, "collapse": False, "visible": True}
        return matrix, hides, visible.get(found.get("visibility"))

    def _shape(self, element, state):
        subpaths = element.subpaths
        if subpaths is None:
            subpaths, whole = self._subpaths(element, state)
            if not whole:
                self.notes["a path with an error, drawn up to there"] += 1
            if element.name in ("path", "polyline", "polygon"):
                element.subpaths = subpaths
        if not state.visible or state.hidden:
            self.notes[HIDDEN] += 1
            return
        if not subpaths:
            return
        # Bezier curves keep their form under affine maps: their points are mapped.
        points = np.concatenate([points for segments in subpaths for points in segments])
        self._points += len(points)
        if self._points > 4 * MAX_POINTS or len(self.subpaths) + len(subpaths) > MAX_LINES:
            raise Unreadable(
                "too large",
                f"{self.document.path} has more than {MAX_POINTS:,} points or {MAX_LINES:,} lines",
            )
        if state.matrix != IDENTITY:
            a, b, c, d, e, f = state.matrix
            with np.errstate(invalid="ignore", over="ignore"):
                points = points @ np.array([[a, b], [c, d]]) + np.array([e, f])
        if not (np.abs(points) <= MAX_NUMBER).all():
            self.notes["a path with numbers too large, left out"] += 1
            return
        end = 0
        for segments in subpaths:
            moved = []
            for segment in segments:
                end += len(segment)
                moved.append(points[end - len(segment) : end])
            self.subpaths.append(moved)

    def _subpaths(self, element, state):
        """Returns `(subpaths, whole)` of a shape, as `parse_path` does."""
        name, attributes = element.name, element.attributes
        if name == "path":
            return parse_path(attributes.get("d", ""))
        if name in ("polyline", "polygon"):
            return parse_points(attributes.get("points", ""), closed=name == "polygon")
        width, height = state.size

        def length(key, whole, default=0.0):
            return self._length(element, key, whole, default)

        if name == "line":
            ends = [[length(f"x{n}", width), length(f"y{n}", height)] for n in (1, 2)]
            return [[np.array(ends, np.float64)]], True
        if name == "rect":
            radii = length("rx", width, None), length("ry", height, None)
            radii = [r if r is not None else radii[1 - i] or 0.0 for i, r in enumerate(radii)]
            corner = length("x", width), length("y", height)
            return rectangle(
                *corner, length("width", width), length("height", height), *radii
            ), True
        centre = length("cx", width), length("cy", height)
        if name == "circle":
            both = None
            if width is not None and height is not None:
                both = ((width**2 + height**2) / 2) ** 0.5
            return ellipse(*centre, length("r", both), length("r", both)), True
        return ellipse(*centre, length("rx", width), length("ry", height)), True

    def _length(self, element, key, whole, default):
        """The length that an attribute says, bounded; the default where it says none."""
        text = element.attributes.get(key, "auto")
        if text == "auto":
            return default
        try:
            found = parse_length(text, whole)
        except ValueError:
            self.notes["a length that is not understood and was left out"] += 1
            return default
        return min(max(found, -MAX_NUMBER), MAX_NUMBER)

    def _use(self, element, state):
        references = [v for k, v in element.attributes.items() if k.rpartition(":")[2] == "href"]
        reference = references[0].strip() if references else "#"
        target = self.document.ids.get(reference[1:]) if reference.startswith("#") else None
        fault = None
        if target is None:
            fault = "a <use> of what is not in the file, left out"
        elif any(target is other for other in state.uses) or len(state.uses) >= MAX_USES:
            fault = "a <use> within itself, left out"
        if fault:
            self.notes[fault] += 1
            return []
        width, height = state.size
        x, y = self._length(element, "x", width, 0.0), self._length(element, "y", height, 0.0)
        state = state._replace(
            matrix=multiply(state.matrix, (1.0, 0.0, 0.0, 1.0, x, y)),
            uses=(*state.uses, target),
        )
        return [(target, state, element)]

    def _viewport(self, element, state, use):
        """Returns the state inside an inner `<svg>` or a `<symbol>`; None if it has no size."""
        width, height = state.size
        x = y = 0.0
        if element.name == "svg":
            x, y = self._length(element, "x", width, 0.0), self._length(element, "y", height, 0.0)
        size = []
        for key, whole in (("width", width), ("height", height)):
            one = self._length(element, key, whole, whole) if element.name == "svg" else whole
            size.append(self._length(use, key, whole, one) if use else one)
        if any(one is not None and one <= 0 for one in size):
            return None
        matrix, box = (1.0, 0.0, 0.0, 1.0, x, y), _view_box(element)
        if box:
            fit = _fit(box, size, element.attributes.get("preserveAspectRatio", ""))
            matrix, size = multiply(matrix, fit), box[2:]
        return state._replace(matrix=multiply(state.matrix, matrix), size=tuple(size))


def _root_size(root):
    """Returns the `(width, height)` of a whole drawing, each None where it is not said."""
    box = _view_box(root)
    if box:
        return box[2:]
    size = []
    for key in ("width", "height"):
        try:
            size.append(parse_length(root.attributes.get(key, "")))
        except ValueError:  # as the 100% of a page
            size.append(None)
    return tuple(size)


def _view_box(element):
    """Returns `(x, y, width, height)` of a `viewBox`, None if there is none that can be used."""
    try:
        box = [float(word) for word in element.attributes["viewBox"].replace(",", " ").split()]
    except (KeyError, ValueError):
        return None
    fits = len(box) == 4 and all(abs(n) <= MAX_NUMBER for n in box) and min(box[2:]) > 0
    return tuple(box) if fits else None


def _fit(box, size, text):
    """Returns the affine map of a `viewBox` to a size, by `preserveAspectRatio` (SVG 1.1, 7.8)."""
    x, y, *inner = box
    scales = [1.0 if out is None else out / one for out, one in zip(size, inner)]
    words = [word for word in text.split() if word != "defer"] or ["xMidYMid"]
    if words[0] != "none":
        scales = [max(scales) if "slice" in words[1:] else min(scales)] * 2
    shifts = []
    for axis, (out, one, scale) in enumerate(zip(size, inner, scales)):
        spare = 0.0 if out is None else out - one * scale
        place = words[0][1 + 4 * axis : 4 + 4 * axis]
        shifts.append(spare * {"Min": 0.0, "Max": 1.0}.get(place, 0.5))
    a, d = scales
    return (a, 0.0, 0.0, d, shifts[0] - x * a, shifts[1] - y * d)


def _is_for_us(element):
    """Whether a part of a `<switch>` is for a program without extensions that reads English."""
    languages = element.attributes.get("systemLanguage")
    return not element.attributes.get("requiredExtensions") and (
        languages is None or any(word.strip()[:2] == "en" for word in languages.split(","))
    )


def _too_many(path):
    return Unreadable("too large", f"{path} draws more than {MAX_ELEMENTS:,} elements")
