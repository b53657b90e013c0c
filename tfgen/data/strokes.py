"""`open_strokes`: drawings as pen movements, of NumPy archives and of SVG files.

A drawing of n points is an array `(n, 3)` of dx, dy and pen, as in sketch-rnn (Ha and Eck,
arXiv:1704.03477, there "stroke-3"): each row moves the pen to a point, and says whether it is down
or lifted after that point. The first row leads from the middle of the drawing to its first point,
which draws nothing. y grows downwards.
"""

from pathlib import Path

import numpy as np

from tfgen.data.archives import load_npz
from tfgen.data.readers import Report, Unreadable
from tfgen.data.sequences import Feature, Sequences
from tfgen.data.svg import read_svg
from tfgen.errors import InputError

DOWN, UP = 0, 1
FEATURES = (Feature("dx"), Feature("dy"), Feature("pen", levels=("down", "up")))
SUFFIXES = (".npz", ".svg")
_NPZ_KEYS = {"points", "offsets", "labels", "classes"}


def open_strokes(name, paths, config):
    """Reads drawings.

    Args:
        name: As the data was asked for.
        paths: List of `.npz` and `.svg` files. An SVG file is one drawing. An archive holds arrays
            of numbers: `points` `(total, 3)` with `offsets` `(drawings + 1,)`, where drawing i is
            `points[offsets[i]:offsets[i + 1]]`, and if it likes `labels` `(drawings,)`, whole
            numbers, with `classes`, texts; or one array `(n, 3)` for each drawing.
        config: A `tfgen.recipe.DataConfig`. `simplify` is the tolerance of Ramer, Douglas and
            Peucker's algorithm, `max_length` the number of points from which drawings are cut,
            and `label="folder"` takes the name of the folder that a file lies in as its class.

    Returns:
        `Sequences` of kind `"strokes"` with the features dx, dy and pen.

    Raises:
        InputError: A single file cannot be read, or there is no drawing in any of them.
    """
    check_label(config)
    paths = [Path(path) for path in paths]
    report, drawings, ids, labels = Report(), [], [], []
    for path in paths:
        try:
            found = (
                _read_npz(path)
                if path.suffix.lower() == ".npz"
                else _read_svg(path, config, report)
            )
        except Unreadable as error:
            if len(paths) == 1:
                raise
            report.drop(error.reason, str(error))
            continue
        for drawing, identity, label in found:
            if not len(drawing):
                report.drop("no point is drawn", identity)
                continue
            drawings.append(drawing)
            ids.append(identity)
            labels.append(path.parent.name if config.label == "folder" else label)
    report.kept = len(drawings)
    if not drawings:
        raise nothing_found("drawing", name, report)
    classes, labels = number_labels(labels)
    sequences = Sequences(
        name, "strokes", FEATURES, drawings, ids, labels=labels, classes=classes, ends=True,
        report=report,
    )  # fmt: skip
    return prepare(sequences, config)


def prepare(sequences, config):
    """Returns drawings simplified and cut, as `config.simplify` and `config.max_length` say."""
    drawings = sequences.values
    if config.simplify:
        drawings = [simplify_drawing(drawing, config.simplify) for drawing in drawings]
    drawings = cut_to(drawings, config.max_length, sequences.ids, sequences.report)
    for drawing in drawings:
        # A drawing is over where the pen is lifted for good.
        drawing[-1, 2] = UP
    sequences.values = drawings
    return sequences


def cut_to(values, max_length, ids, report):
    """Returns copies of the sequences, none longer than `max_length`; counts those it has cut."""
    for value, identity in zip(values, ids, strict=True):
        if max_length is not None and len(value) > max_length:
            report.drop(f"the part after position {max_length:,} (max_length)", identity)
    return [value[:max_length].copy() for value in values]


def check_label(config):
    """Raises the error of a label that files of strokes or sound cannot have."""
    if config.label not in (None, "folder"):
        raise InputError(
            "data.label of strokes and audio must be 'folder' (the name of the folder a file lies "
            f"in) or left out. Received: data.label={config.label}"
        )


def number_labels(labels):
    """Returns `(classes, numbers)` of class names; `((), None)` unless every sequence has one."""
    if any(label is None for label in labels):
        return (), None
    classes = tuple(sorted(set(labels)))
    number = {label: i for i, label in enumerate(classes)}
    return classes, np.array([number[label] for label in labels], np.int32)


def nothing_found(what, name, report):
    """Returns the `InputError` of data without a sequence, with the reasons of the report."""
    dropped = "; ".join(
        f"{number} x {reason} (first: {example})"
        for reason, (number, example) in report.dropped.items()
    )
    return InputError(f"There is no {what} in {name}" + (f": {dropped}" if dropped else ""))


# Lines and movements


def to_deltas(lines):
    """Returns the drawing `(points, 3)` of polylines, as float32.

    The pen starts in the middle of the drawing (of its bounding box), so that a drawing is the same
    wherever on the sheet it is.

    Args:
        lines: List of arrays `(points, 2)` of x and y.
    """
    lines = [np.asarray(line, np.float64) for line in lines if len(line)]
    if not lines:
        return np.zeros([0, 3], np.float32)
    points = np.concatenate(lines)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    pen = np.full(len(points), DOWN)
    pen[np.cumsum([len(line) for line in lines]) - 1] = UP
    deltas = np.diff(points, axis=0, prepend=middle[None])
    return np.concatenate([deltas, pen[:, None]], axis=1).astype(np.float32)


def to_lines(drawing):
    """Returns the polylines of a drawing, float64 arrays `(points, 2)`; the inverse of `to_deltas`.

    The origin is where the pen starts. A line may be a single point: a dot.
    """
    drawing = np.asarray(drawing, np.float64)
    points = np.cumsum(drawing[:, :2], axis=0)
    ends = np.flatnonzero(drawing[:, 2] >= 0.5) + 1
    return [line for line in np.split(points, ends) if len(line)]


def simplify_drawing(drawing, tolerance):
    """Returns a drawing with each of its lines simplified."""
    drawing = np.asarray(drawing, np.float64)
    points = np.cumsum(drawing[:, :2], axis=0)
    ends = np.flatnonzero(drawing[:, 2] >= 0.5) + 1
    kept = [
        piece[_kept(points[piece], tolerance)]
        for piece in np.split(np.arange(len(points)), ends)
        if len(piece)
    ]
    kept = np.concatenate(kept)
    # From the start of the pen, so that the first row stays what it was.
    deltas = np.diff(points[kept], axis=0, prepend=np.zeros([1, 2]))
    return np.concatenate([deltas, drawing[kept, 2:]], axis=1).astype(np.float32)


def simplify(line, tolerance):
    """Returns the points of a polyline that Ramer, Douglas and Peucker's algorithm keeps.

    Douglas and Peucker, "Algorithms for the reduction of the number of points required to represent
    a digitized line or its caricature", 1973: of the points between two kept ones the farthest from
    their chord is kept if it is farther than the tolerance, and the two parts are treated alike.

    Args:
        line: Array `(points, 2)`.
        tolerance: In the line's units.
    """
    line = np.asarray(line)
    return line[_kept(line, tolerance)]


def _kept(line, tolerance):
    """Returns the numbers of the points that are kept, in order."""
    keep = np.zeros(len(line), bool)
    keep[[0, -1]] = True
    waiting = [(0, len(line) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        chord = line[last] - line[first]
        off = line[first + 1 : last] - line[first]
        length = float(chord @ chord)
        # To the chord itself, not to the endless line through it: a line may turn back.
        along = np.clip(off @ chord / length, 0, 1) if length else np.zeros(len(off))
        distance = np.linalg.norm(off - along[:, None] * chord, axis=1)
        far = int(np.argmax(distance))
        if distance[far] > tolerance:
            middle = first + 1 + far
            keep[middle] = True
            waiting += [(first, middle), (middle, last)]
    return np.flatnonzero(keep)


# Files


def _read_svg(path, config, report):
    lines, notes = read_svg(path, config.simplify / 4)
    for note in sorted(notes):
        report.drop(note, str(path))
    return [(to_deltas(lines), path.stem, None)]


def _read_npz(path):
    """Returns a list of `(drawing, id, label)` of an archive."""
    arrays = load_npz(path)
    if "points" not in arrays:
        for key, array in arrays.items():
            _check_drawings(path, key, array)
        return [(np.asarray(array, np.float32), key, None) for key, array in arrays.items()]
    if "offsets" not in arrays:
        raise InputError(f"{path} has 'points' but no 'offsets' (drawings + 1 whole numbers)")
    extra = sorted(set(arrays) - _NPZ_KEYS)
    if extra:
        allowed = ", ".join(sorted(_NPZ_KEYS))
        raise InputError(f"{path} has the array '{extra[0]}' beside 'points'. Known: {allowed}")
    points, offsets = arrays["points"], arrays["offsets"]
    _check_drawings(path, "points", points)
    if (
        offsets.ndim != 1
        or offsets.dtype.kind not in "iu"
        or len(offsets) < 2
        or offsets[0] != 0
        or offsets[-1] != len(points)
        or (np.diff(offsets.astype(np.int64)) < 0).any()
    ):
        raise InputError(
            f"{path}: 'offsets' must be whole numbers that rise from 0 to the {len(points):,} rows "
            f"of 'points'. Received: {_short(offsets)}"
        )
    labels = _labels(path, arrays, len(offsets) - 1)
    points = np.asarray(points, np.float32)
    return [
        (points[start:stop], f"{path.stem}-{number}", label)
        for number, (start, stop, label) in enumerate(zip(offsets[:-1], offsets[1:], labels))
    ]


def _labels(path, arrays, count):
    """Returns the class name of each drawing, None where the archive names none."""
    if "labels" not in arrays:
        return [None] * count
    labels = arrays["labels"]
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or (count and labels.min() < 0):
        raise InputError(
            f"{path}: 'labels' must be a whole number for each of the {count:,} drawings. "
            f"Received: {_short(labels)}"
        )
    names = arrays.get("classes")
    if names is None:
        # As many digits as the largest has, so that texts sort as the numbers do.
        width = len(str(labels.max()))
        return [f"{label:0{width}d}" for label in labels]
    if names.ndim != 1 or names.dtype.kind != "U" or labels.max() >= len(names):
        raise InputError(
            f"{path}: 'classes' must be a text for each of the {labels.max() + 1} labels. "
            f"Received: {_short(names)}"
        )
    return [str(names[label]) for label in labels]


def _check_drawings(path, key, array):
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "iuf":
        raise InputError(
            f"{path}: '{key}' must be numbers of shape (points, 3): dx, dy, pen. "
            f"Received: {_short(array)}"
        )
    if not np.isfinite(array).all():
        raise InputError(f"{path}: '{key}' holds a number that is not finite")
    if not np.isin(array[:, 2], (DOWN, UP)).all():
        raise InputError(
            f"{path}: the third column of '{key}' must be 0 (pen down) or 1 (lifted after the "
            f"point). Received: {np.setdiff1d(array[:, 2], (DOWN, UP))[0]}"
        )


def _short(array):
    return f"{array.dtype} of shape {array.shape}"
