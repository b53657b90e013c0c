"""What moves and hides the elements of an SVG: transforms, and the few properties of CSS that
matter."""

import math
import re

PROPERTIES = ("display", "visibility", "opacity", "transform", "transform-origin")
IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
# A drawing program writes a hundred characters at most.
MAX_TRANSFORM = 1 << 12
_TRANSFORM = re.compile(r"[\s,]*+(\w++)\s*+\(([^()]*+)\)")
_NOTHING = re.compile(r"[\s,]*+\Z")
_LENGTH = re.compile(r"\s*+([-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?)\s*+([a-zA-Z]*+|%)\s*+\Z")
# Pixels of a unit, by CSS.
_UNITS = {
    "": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4,
}  # fmt: skip
_DEGREES = {"": 1.0, "deg": 1.0, "rad": 180 / math.pi, "grad": 0.9, "turn": 360.0}
_SELECTOR = re.compile(r"([A-Za-z][\w-]*|\*)?([.#][\w-]+)?")


def parse_length(text, whole=None):
    """Returns a length in pixels.

    Args:
        text: A number, and its unit if it has one.
        whole: What 100% is; None where that is not known.

    Raises:
        ValueError: It is none, or in a unit that only a font knows.
    """
    match = _LENGTH.match(text)
    if match and match[2] == "%" and whole is not None:
        return float(match[1]) * whole / 100
    if not match or match[2].lower() not in _UNITS:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2].lower()]


def multiply(first, second):
    """Returns the product of two affine maps `(a, b, c, d, e, f)`; the second is applied first."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return (
        a * g + c * h,
        b * g + d * h,
        a * i + c * j,
        b * i + d * j,
        a * k + c * m + e,
        b * k + d * m + f,
    )


def parse_transform(text):
    """Returns the affine map `(a, b, c, d, e, f)` of a transform (SVG 1.1, 7.6, and CSS in the
    plane).

    `x' = a x + c y + e`, `y' = b x + d y + f`.

    Raises:
        ValueError: The text is no list of transforms.
    """
    if len(text) > MAX_TRANSFORM:
        raise ValueError(text[:40])
    matrix, position = IDENTITY, 0
    if text.strip() == "none":
        return matrix
    while not _NOTHING.match(text, position):
        match = _TRANSFORM.match(text, position)
        if not match:
            raise ValueError(text)
        position = match.end()
        matrix = multiply(matrix, _one(match[1], match[2].replace(",", " ").split()))
    return matrix


def _one(kind, words):
    count = len(words)
    if kind == "matrix" and count == 6:
        return tuple(parse_length(word) for word in words)
    if kind in ("translate", "translateX", "translateY") and 1 <= count <= 2:
        a = [parse_length(word) for word in words]
        if kind == "translate":
            return (1.0, 0.0, 0.0, 1.0, a[0], a[1] if count == 2 else 0.0)
        if count == 1:
            return (1.0, 0.0, 0.0, 1.0, *((a[0], 0.0) if kind == "translateX" else (0.0, a[0])))
    if kind in ("scale", "scaleX", "scaleY") and 1 <= count <= 2:
        a = [parse_length(word, 1.0) for word in words]
        if kind == "scale":
            return (a[0], 0.0, 0.0, a[-1], 0.0, 0.0)
        if count == 1:
            return (
                (a[0], 0.0, 0.0, 1.0, 0.0, 0.0)
                if kind == "scaleX"
                else (1.0, 0.0, 0.0, a[0], 0.0, 0.0)
            )
    if kind in ("rotate", "rotateZ") and count in (1, 3):
        angle = _radians(words[0])
        cosine, sine = math.cos(angle), math.sin(angle)
        x, y = [parse_length(word) for word in words[1:]] or (0.0, 0.0)
        return (
            cosine, sine, -sine, cosine, x - cosine * x + sine * y, y - sine * x - cosine * y,
        )  # fmt: skip
    if kind == "skewX" and count == 1:
        return (1.0, 0.0, math.tan(_radians(words[0])), 1.0, 0.0, 0.0)
    if kind == "skewY" and count == 1:
        return (1.0, math.tan(_radians(words[0])), 0.0, 1.0, 0.0, 0.0)
    if kind == "skew" and 1 <= count <= 2:
        x, y = (math.tan(_radians(word)) for word in [*words, "0"][:2])
        return (1.0, y, x, 1.0, 0.0, 0.0)
    raise ValueError(kind)


def _radians(word):
    match = _LENGTH.match(word)
    if not match or match[2] not in _DEGREES:
        raise ValueError(word)
    return math.radians(float(match[1]) * _DEGREES[match[2]])


def transform_of(properties):
    """Returns the affine map of an element's `transform`, about its `transform-origin`.

    Raises:
        ValueError: It is not understood.
    """
    matrix = parse_transform(properties.get("transform", ""))
    origin = properties.get("transform-origin", "").split()
    if not origin or matrix == IDENTITY:
        return matrix
    x, y, *_ = [parse_length(word) for word in [*origin, "0"]]
    there, back = (1.0, 0.0, 0.0, 1.0, x, y), (1.0, 0.0, 0.0, 1.0, -x, -y)
    return multiply(multiply(there, matrix), back)


def parse_declarations(text):
    """Returns those of `PROPERTIES` that a `style` declares, a dict."""
    found = {}
    for declaration in text.split(";"):
        name, _, value = declaration.partition(":")
        name = name.strip().lower()
        if name in PROPERTIES:
            found[name] = value.partition("!")[0].strip()
    return found


class StyleSheet:
    """The rules of `<style>` elements: of a type, a class or an id; others are left out.

    Args:
        text: The text of all of them.
    """

    def __init__(self, text):
        self.rules = {}  # from (type or *, class or id or "") to declarations
        parts = text.split("/*")
        text = parts[0] + "".join(part.partition("*/")[2] for part in parts[1:])
        depth, selector = 0, ""
        # Between braces: a selector, its declarations, a selector, ...
        for piece in re.split(r"([{}])", text.replace("<!--", "").replace("-->", "")):
            if piece == "{":
                depth += 1
            elif piece == "}":
                depth = max(depth - 1, 0)
            elif depth == 0:
                # Before it may stand an @import; a block of an @media is passed over.
                selector = piece.rpartition(";")[2].strip()
            elif depth == 1 and not selector.startswith("@"):
                self._add(selector, parse_declarations(piece))

    def _add(self, selectors, declarations):
        if not declarations:
            return
        for selector in selectors.split(","):
            match = _SELECTOR.fullmatch(selector.strip())
            if match and match[0]:
                self.rules.setdefault((match[1] or "*", match[2] or ""), {}).update(declarations)

    def of(self, name, attributes):
        """Returns what the rules declare of an element: the weakest first, ids last."""
        found = {}
        if self.rules:
            marks = ["", *(f".{word}" for word in attributes.get("class", "").split())]
            for mark in [*marks, f"#{attributes.get('id', '')}"]:
                for kind in ("*", name):
                    found.update(self.rules.get((kind, mark), ()))
        return found
