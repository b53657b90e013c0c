"""`open_text`: a built-in set, a file, a folder or a column, as one stream of text."""

import contextlib
import difflib
import fractions
import os

import numpy as np

from tfgen.data import readers, text_columns
from tfgen.data.catalog import BUILTIN
from tfgen.data.converted import Converted, files_in, find_converted
from tfgen.data.memory import MEMORY, hold, not_given
from tfgen.data.text_rows import check_fraction
from tfgen.errors import InputError, unknown
from tfgen.files import home_path
from tfgen.kinds import find_kind
from tfgen.names import normalise

# What a person names. The halves of validation are "choice", which chooses the best weights of a
# training, and "test", which scores are of.
SPLITS = ("train", "validation", "test", "all")
SEPARATOR = "\n"
# Characters of a chunk: enough that what a call costs does not count, little enough for memory.
LEAST_CHUNK, MOST_CHUNK = 1 << 20, 1 << 22


def open_text(name, column=None, validation_fraction=0.1, data=None):
    """Opens text to train or to score on.

    Args:
        name: A built-in set's name or a path: of a UTF-8 text file (also `.gz` and `.xz`), of a
            folder, whose files are joined in the order of their names, or of a `.csv`, `.tsv`,
            `.jsonl` or `.parquet` file of which one column is read. A built-in name wins over a
            file of that name; write `./names` for the file. Files of a folder that are no text are
            left out and counted in the report; hidden ones are not looked at. Of files of a kind
            that is read as text, as MIDI files are, and of folders that hold such files for the
            most part, the text is what they are read as.
        column: The column or key that holds the text.
        validation_fraction: Share of the characters, at the end, that is for validation; at least
            0 and less than 1.
        data: Texts in memory, see `tfgen.data.memory.hold`, or a frame of which a column is read,
            in place of what `name` names. Each text is a document, as a file of a folder is.

    Returns:
        A `TextSource`. Everything has been read through once: what is wrong is known by now.

    Raises:
        InputError: If there is nothing by that name, or nothing to read in it.
    """
    check_fraction(validation_fraction)
    if data is not None:
        return TextSource(MEMORY, hold(data).documents(column), validation_fraction)
    if name == MEMORY:
        raise not_given()
    text = os.fspath(name)
    key = normalise(text)
    texts = [known for known, row in BUILTIN.items() if find_kind(row.kind).modality == "text"]
    if isinstance(name, str) and key in BUILTIN:
        if key not in texts:
            raise InputError(
                f"'{key}' is no text: it holds {BUILTIN[key].kind}, for models of numbers. "
                f"Built-in texts: {', '.join(texts)}"
            )
        row = BUILTIN[key]
        if row.column is not None:
            documents = _of_column(row.path, row.column if column is None else column)
            return TextSource(key, documents, validation_fraction)
        if column is not None:
            raise InputError(f"'{key}' is built in and has no columns. Received: column={column!r}")
        return TextSource(key, _of_files([row.path]), validation_fraction)
    if not text.strip():
        raise InputError(f"Give a path or one of: {', '.join(texts)}. Received: name={text!r}")
    try:
        path = home_path(text)
        if path.is_dir():
            return _open_folder(text, path, column, validation_fraction)
        if path.is_file():
            return _open_file(text, path, column, validation_fraction)
    except OSError as error:
        # A name too long, a folder closed to us.
        raise InputError(f"{text} cannot be opened: {error}") from error
    if path.exists():
        raise InputError(f"{text} is neither a file nor a folder")
    if os.sep in text or text.startswith((".", "~")) or path.suffix:
        raise InputError(f"There is no file or folder {text}.{_near(path)}")
    raise unknown("data set, and no file of that name,", text, BUILTIN)


def _open_file(name, path, column, validation_fraction):
    if readers.is_table(path) and column is None:
        names, texts = text_columns.text_columns(path)
        likely = f"; {' or '.join(map(repr, texts[:3]))} looks like it" if texts else ""
        raise InputError(
            f"{path} is a table: name the column that holds the text (--column){likely}. "
            f"Columns: {', '.join(names[:20]) or 'none'}"
        )
    if column is not None and not readers.is_table(path):
        allowed = ", ".join(sorted(readers.TABLES))
        raise InputError(f"{path} has no columns: a column needs one of {allowed}")
    report = readers.Report()
    row, files = find_converted([path], report)
    if row is not None:
        return _open_converted(name, row, files, validation_fraction, report)
    documents = _of_files([path]) if column is None else _of_column(path, column)
    return TextSource(name, documents, validation_fraction)


def _open_folder(name, path, column, validation_fraction):
    if column is not None:
        raise InputError(f"{path} is a folder and has no columns. Received: column={column!r}")
    files = files_in(path)
    if not files:
        raise InputError(f"{path} holds no files")
    report = readers.Report()
    row, files = find_converted(files, report)
    if row is not None:
        return _open_converted(name, row, files, validation_fraction, report)
    texts = [file for file in files if _readable(file, report)]
    return TextSource(name, _of_files(texts), validation_fraction, report)


def _open_converted(name, row, paths, validation_fraction, report):
    documents = Converted(row, paths, report)
    return TextSource(name, documents, validation_fraction, report, documents.unit)


def _of_files(paths):
    """The documents of files; see `TextSource`."""

    def documents(report):
        for path in paths:
            report.kept += 1
            yield readers.read_plain(path)

    return documents


def _of_column(path, column):
    """The documents of a column of a table."""
    return lambda report: ([text] for text in text_columns.read_column(path, column, report))


def _readable(path, report):
    """Whether a file is text to its end; if not, it goes into the report."""
    if not path.is_file():
        # A link to nothing; or a pipe, which would be waited on for ever.
        report.drop("no file", str(path))
        return False
    try:
        characters = sum(len(piece) for piece in readers.read_plain(path))
    except readers.Unreadable as error:
        report.drop(error.reason, str(error))
        return False
    if not characters:
        report.drop("empty", str(path))
    return bool(characters)


def _near(path):
    folder, names = path.parent, []
    with contextlib.suppress(OSError):
        names = os.listdir(folder)
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(str(folder / name) for name in near)}?" if near else ""


class TextSource:
    """A text that is read in pieces as often as it is needed. See `open_text`.

    Args:
        name: As it was asked for.
        documents: Function of a `tfgen.data.readers.Report`, in which it counts, that yields the
            documents, each an iterable of its pieces.
        validation_fraction: As of `open_text`.
        report: A report that tells of documents left out before.
        unit: What a piece of a document is called, if none is to be on both sides of the split.

    Attributes:
        name: As it was asked for.
        report: `tfgen.data.readers.Report` of the documents kept and dropped.
        characters: Dict with the number of characters in `"train"`, `"validation"`, `"all"`, and in
            the halves of validation, `"choice"` and `"test"`.
        split_rule: The rule of the split, as a sentence.
    """

    def __init__(self, name, documents, validation_fraction, report=None, unit=None):
        self.name = name
        self.report = readers.Report() if report is None else report
        self._documents = documents
        ends = np.cumsum([len(piece) for piece in self._pieces(self.report)], dtype=np.int64)
        total = int(ends[-1]) if len(ends) else 0
        if not total:
            dropped = "; ".join(
                f"{number} x {reason} (first: {example})"
                for reason, (number, example) in self.report.dropped.items()
            )
            raise InputError(f"There is no text in {name}" + (f": {dropped}" if dropped else ""))
        # As a person reads the decimals: 10 * (1 - 0.9) is 0.9999999999999998 in floats.
        train = int(total * (1 - fractions.Fraction(str(validation_fraction))))
        middle = train + (total - train + 1) // 2
        if unit is not None:
            train = _nearest(ends[:-1], train)
            middle = _nearest(ends[ends > train], train + (total - train + 1) // 2)
        self._bounds = {
            "train": (0, train), "validation": (train, total), "all": (0, total),
            "choice": (train, middle), "test": (middle, total),
        }  # fmt: skip
        self.characters = {split: stop - start for split, (start, stop) in self._bounds.items()}
        self.split_rule = (
            f"the first {train:,} characters are for training, the last {total - train:,} "
            f"({100 * validation_fraction:g}%) for validation"
        )
        if unit is not None:
            count = np.count_nonzero(ends <= train)
            self.split_rule = (
                f"{count:,} {unit}s are for training, {len(ends) - count:,} "
                f"({1 - train / total:.0%} of the text) for validation"
            )

    def chunks(self, split="train"):
        """Yields the text of a split in pieces of a few million characters at most."""
        if split not in self._bounds:
            raise unknown("split", split, SPLITS)
        return _joined(self._between(*self._bounds[split]))

    def _between(self, start, stop):
        position = 0
        for piece in self._pieces(readers.Report()):
            selected = piece[max(start - position, 0) : max(stop - position, 0)]
            position += len(piece)
            if selected:
                yield selected
            if position >= stop:
                return

    def _pieces(self, report):
        """Every document, and a line break between two of them."""
        ended = SEPARATOR
        for document in self._documents(report):
            for index, piece in enumerate(document):
                if index == 0 and not ended.endswith(SEPARATOR):
                    yield SEPARATOR
                ended = piece
                yield piece


def _nearest(ends, place):
    """The place of the nearest end, or the same where there is none."""
    return int(ends[np.argmin(np.abs(ends - place))]) if len(ends) else place


def _joined(pieces):
    """The same text in pieces of a good size: a row of a table may be a word or a book."""
    waiting, size = [], 0
    for piece in pieces:
        for start in range(0, len(piece), MOST_CHUNK):
            waiting.append(piece[start : start + MOST_CHUNK])
            size += len(waiting[-1])
            if size >= LEAST_CHUNK:
                yield "".join(waiting)
                waiting, size = [], 0
    if waiting:
        yield "".join(waiting)
