"""`open_strokes`: drawings as pen movements, of NumPy archives, Quick, Draw!, InkML and SVG files.

A drawing of n points is an array `(n, 3)` of dx, dy and pen, as in sketch-rnn (Ha and Eck,
arXiv:1704.03477, there "stroke-3"): each row moves the pen to a point, and says whether it is down
or lifted after that point. The first row leads from the middle of the drawing to its first point,
which draws nothing. y grows downwards.
"""

import collections
from pathlib import Path

import numpy as np

from tfgen.data import inkml as ink
from tfgen.data import quick_draw, readers
from tfgen.data.bounds import set_bounds
from tfgen.data.budget import Budget
from tfgen.data.features import Feature
from tfgen.data.file_labels import file_label, readable, with_labels
from tfgen.data.readers import Report, Unreadable
from tfgen.data.sequences import Sequences
from tfgen.data.stroke_archives import Drawing, archive_holds_strokes, read_archive
from tfgen.data.stroke_texts import file_texts
from tfgen.data.svg import read_svg
from tfgen.errors import InputError

DOWN, UP = 0, 1
FEATURES = (Feature("dx"), Feature("dy"), Feature("pen", levels=("down", "up")))


def open_strokes(name, paths, config):
    """Reads drawings.

    Args:
        name: As the data was asked for.
        paths: List of files. An `.svg` is one drawing. A `.ndjson` or `.bin` of Quick, Draw! holds
            many, whose class is their `word`. An `.npz` holds arrays of numbers: `points`
            `(total, 3)` with `offsets` `(drawings + 1,)`, where drawing i is
            `points[offsets[i]:offsets[i + 1]]`, and if it likes `labels` `(drawings,)`, whole
            numbers, with `classes`, texts; or one array `(n, 3)` for each drawing; or, as the files
            of sketch-rnn, the splits `train`, `valid` and `test` as arrays of such arrays: then
            what is not `train` is for validation. An `.inkml`, or an `.xml` of IAM-OnDB, is one.
        config: A `tfgen.recipe.DataConfig`. `simplify` is the tolerance of Ramer, Douglas and
            Peucker's algorithm, `max_length` the number of points from which drawings are cut,
            `max_numbers` bounds what is read. `label="folder"` takes the name of the folder that a
            file lies in as the class of its drawings, `label="name:PATTERN"` a part of the file's
            name (see `tfgen.data.file_labels.file_label`), and of Quick, Draw!'s drawings another
            key than `word` can be taken. Without it drawings have the classes that their files
            tell, if there are several.
            `source` names what says their texts: the array of an
            `.npz`, the key of a line of JSON, the annotation of an `.inkml`; or a table with the
            columns `file` and `text`. Those without a text are left out, then, and all begin at
            their first point, wherever on the sheet they were: how wide a text is says no more.

    Returns:
        `Sequences` of kind `"strokes"` with the features dx, dy and pen.

    Raises:
        InputError: A single file cannot be read, or there is no drawing in any of them.
    """
    paths = [Path(path) for path in paths]
    by_file = file_label(config.label)
    if by_file is None and not all(_is_quick_draw(path) for path in paths):
        check_label(config)
    report, budget, found = Report(), Budget(config.max_numbers), []
    beside = None if config.source is None else file_texts(config.source, name)
    for path, own in with_labels(paths, by_file, report):
        try:
            for drawing in _read(path, config, budget, report):
                if not len(drawing.values):
                    report.drop("no point is drawn", drawing.id)
                    continue
                budget.take(path, drawing.values.size)
                if beside is not None:
                    drawing = drawing._replace(text=beside(path))
                if config.source is not None:
                    says = f"the drawing has no text of '{config.source}'"
                    if not isinstance(drawing.text, str) or not drawing.text.strip():
                        report.drop(says, drawing.id)
                        continue
                    drawing.values[0, :2] = 0
                found.append(drawing._replace(label=own) if by_file else drawing)
        except Unreadable as error:
            if len(paths) == 1:
                raise
            report.drop(error.reason, str(error))
    if config.label is not None and not by_file:
        for drawing in found:
            if drawing.label is None:
                report.drop(f"the drawing has no '{config.label}'", drawing.id)
        found = [drawing for drawing in found if drawing.label is not None]
    report.kept = len(found)
    if not found:
        raise nothing_found("drawing", name, report)
    classes, labels = number_labels([drawing.label for drawing in found])
    if len(classes) == 1 and config.label is None:
        # What all have in common tells nothing: all of a file of Quick, Draw! are cats.
        classes, labels = (), None
    sequences = Sequences(
        name,
        "strokes",
        FEATURES,
        [drawing.values for drawing in found],
        [drawing.id for drawing in found],
        labels=labels,
        classes=classes,
        texts=None if config.source is None else [drawing.text for drawing in found],
        held_out=_held_out(found, report),
        report=report,
    )
    return prepare(sequences, config)


def holds_strokes(path):
    """Whether a file looks like drawings."""
    if _is_quick_draw(path):
        return quick_draw.holds_drawings(path)
    suffix = readers.suffix_of(path)
    return (
        suffix == ".svg"
        or ink.holds_ink(path)
        or (suffix == ".npz" and archive_holds_strokes(path))
    )


def _is_quick_draw(path):
    return readers.suffix_of(path) in quick_draw.SUFFIXES


def _read(path, config, budget, report):
    """Yields the drawings of a file, each a `Drawing`."""
    if readers.suffix_of(path) == ".npz":
        yield from read_archive(path, budget, report, config.source)
    elif _is_quick_draw(path):
        label = config.label or quick_draw.WORD
        for lines, identity, word, text in quick_draw.read_quick_draw(
            path, label, report, config.source
        ):
            yield Drawing(to_deltas(lines), identity, word, text=text)
    elif readers.suffix_of(path) in ink.SUFFIXES:
        lines, own = ink.read_inkml(path)
        split = own.get("splitTagOriginal")  # of MathWriting
        yield Drawing(
            to_deltas(lines), readable(path.stem), split=split, text=own.get(config.source)
        )
    else:
        lines, notes = read_svg(path, config.simplify / 4)
        for note, count in sorted(notes.items()):
            report.drop(note, str(path), count)
        yield Drawing(to_deltas(lines), readable(path.stem))


def _held_out(found, report):
    """Returns which drawings their files set aside, bool `(drawings,)`; None if they part none."""
    held_out = np.array([drawing.split not in (None, "train") for drawing in found])
    if not held_out.any() or held_out.all():
        return None
    counts = collections.Counter(drawing.split or "no split" for drawing in found)
    parts = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    report.notes.append(f"the file's own splits: {parts}")
    return held_out


def prepare(sequences, config):
    """Returns drawings simplified, cut and bounded, as the configuration says."""
    drawings = sequences.values
    if config.simplify:
        drawings = [simplify_drawing(drawing, config.simplify) for drawing in drawings]
    drawings = cut_to(drawings, config.max_length, sequences.ids, sequences.report)
    for drawing in drawings:
        # A drawing is over where the pen is lifted for good.
        drawing[-1, 2] = UP
    sequences.values = drawings
    return set_bounds(sequences, config)


def cut_to(values, max_length, ids, report):
    """Returns copies of the sequences, none longer than `max_length`; counts those it has cut."""
    for value, identity in zip(values, ids, strict=True):
        if max_length is not None and len(value) > max_length:
            report.drop(f"the part after position {max_length:,} (max_length)", identity)
    return [value[:max_length].copy() for value in values]


def check_label(config):
    """Raises the error of a label that files of strokes or sound cannot have."""
    if config.label is not None and file_label(config.label) is None:
        raise InputError(
            "data.label of strokes, music and audio must be 'folder' (the name of the folder a "
            "file lies in), 'name:PATTERN' (the first group of a regular expression in the file's "
            "name, e.g. 'name:^([a-z]+)_') or left out. "
            f"Received: data.label={config.label}"
        )


def number_labels(labels):
    """Returns `(classes, numbers)` of class names; `((), None)` unless every sequence has one."""
    if any(label is None for label in labels):
        return (), None
    classes = tuple(sorted(set(labels)))
    number = {label: i for i, label in enumerate(classes)}
    return classes, np.array([number[label] for label in labels], np.int32)


def nothing_found(what, name, report, error=InputError):
    """Returns the `InputError` of data without a sequence, with the reasons of the report."""
    dropped = "; ".join(
        f"{number} x {reason} (first: {example})"
        for reason, (number, example) in report.dropped.items()
    )
    return error(f"There is no {what} in {name}" + (f": {dropped}" if dropped else ""))


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
