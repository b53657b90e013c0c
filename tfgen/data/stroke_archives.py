"""`read_archive`: the drawings of a NumPy archive."""

from typing import NamedTuple

import numpy as np

from tfgen.data.archives import SPLITS, load_npz, load_objects, read_headers
from tfgen.errors import InputError

_KEYS = {"points", "offsets", "labels", "classes", "texts"}
_PEN = (0, 1)  # down, or lifted after the point


class Drawing(NamedTuple):
    """A drawing of a file.

    Attributes:
        values: Array `(points, 3)` of dx, dy, pen.
        id: A text.
        label: Its class, None if the file names none.
        split: `"train"`, `"valid"` or `"test"`, None if the file does not part its drawings.
        text: What it says, None if the file does not tell or is not asked.
    """

    values: np.ndarray
    id: str
    label: str | None = None
    split: str | None = None
    text: str | None = None


def archive_holds_strokes(path):
    """Whether an archive looks like drawings: `points` with `offsets`, or as sketch-rnn's are."""
    try:
        headers = read_headers(path)
    except InputError:
        return False
    if {"points", "offsets"} <= set(headers):
        return True
    # As the files of sketch-rnn are; or a drawing for each split.
    if any(dtype.hasobject for key, (_, dtype) in headers.items() if key in SPLITS):
        return True
    return bool(headers) and all(
        key in SPLITS and len(shape) == 2 and shape[1] == 3 for key, (shape, _) in headers.items()
    )


def read_archive(path, budget, report, source=None):
    """Returns a list of `Drawing`.

    Args:
        path: A `.npz`: `points` with `offsets` (see `tfgen.data.strokes.open_strokes`), one array
            for each drawing, or arrays of arrays as objects, one for each split, as the files of
            sketch-rnn (Ha and Eck, arXiv:1704.03477) are.
        budget: `tfgen.data.budget.Budget`.
        report: `tfgen.data.readers.Report`.
        source: Beside `points`: the array with the text of each drawing; None reads none.

    Raises:
        InputError: It is damaged, too large, or holds something else.
    """
    headers = read_headers(path)
    if any(dtype.hasobject for _, dtype in headers.values()):
        return _read_objects(path, headers, budget, report)
    arrays = load_npz(path, budget)
    if "points" not in arrays:
        for key, array in arrays.items():
            _check(path, f"'{key}'", array)
        return [Drawing(np.asarray(array, np.float32), key) for key, array in arrays.items()]
    if "offsets" not in arrays:
        raise InputError(f"{path} has 'points' but no 'offsets' (drawings + 1 integers)")
    extra = sorted(set(arrays) - _KEYS - {source})
    if extra:
        allowed = ", ".join(sorted(_KEYS))
        raise InputError(f"{path} has the array '{extra[0]}' beside 'points'. Known: {allowed}")
    points, offsets = arrays["points"], arrays["offsets"]
    _check(path, "'points'", points)
    if (
        offsets.ndim != 1
        or offsets.dtype.kind not in "iu"
        or len(offsets) < 2
        or offsets[0] != 0
        or offsets[-1] != len(points)
        or (np.diff(offsets.astype(np.int64)) < 0).any()
    ):
        raise InputError(
            f"{path}: 'offsets' must be integers that rise from 0 to the {len(points):,} rows "
            f"of 'points'. Received: {_short(offsets)}"
        )
    labels = _labels(path, arrays, len(offsets) - 1)
    texts = _texts(path, arrays, len(offsets) - 1, source)
    points = np.asarray(points, np.float32)
    return [
        Drawing(points[start:stop], f"{path.stem}-{number}", label, text=text)
        for number, (start, stop, label, text) in enumerate(
            zip(offsets[:-1], offsets[1:], labels, texts)
        )
    ]


def _texts(path, arrays, count, source):
    """The text of each drawing, None where the archive has none."""
    if source not in arrays:
        return [None] * count
    texts = arrays[source]
    if texts.shape != (count,) or texts.dtype.kind != "U":
        raise InputError(
            f"{path}: '{source}' must be a text for each of the {count:,} drawings. "
            f"Received: {_short(texts)}"
        )
    return [str(text) for text in texts]


def _labels(path, arrays, count):
    """Returns the class name of each drawing, None where the archive names none."""
    if "labels" not in arrays:
        return [None] * count
    labels = arrays["labels"]
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or (count and labels.min() < 0):
        raise InputError(
            f"{path}: 'labels' must be an integer for each of the {count:,} drawings. "
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


def _read_objects(path, headers, budget, report):
    found = load_objects(path, budget)
    for key in sorted(headers.keys() - found.keys()):
        report.drop("an array beside the drawings, which is not read", f"{path}: '{key}'")
    drawings = []
    for key in sorted(found, key=lambda key: (SPLITS.index(key) if key in SPLITS else -1, key)):
        for number, array in enumerate(found[key]):
            where = f"{key}-{number}"
            try:
                _check(path, where, array)
            except InputError as error:
                report.drop("a drawing is none", str(error))
                continue
            split = key if key in SPLITS else None
            drawings.append(Drawing(np.asarray(array, np.float32), where, split=split))
    return drawings


def _check(path, what, array):
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "iuf":
        raise InputError(
            f"{path}: {what} must be numbers of shape (points, 3): dx, dy, pen. "
            f"Received: {_short(array)}"
        )
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {what} holds a number that is not finite")
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise InputError(f"{path}: {what} holds a number that float32 cannot")
    if not np.isin(array[:, 2], _PEN).all():
        raise InputError(
            f"{path}: the third column of {what} must be 0 (pen down) or 1 (lifted after the "
            f"point). Received: {np.setdiff1d(array[:, 2], _PEN)[0]}"
        )


def _short(array):
    return f"{array.dtype} of shape {array.shape}"
