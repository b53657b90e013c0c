"""`open_text`: a built-in set, a file, a folder or a column, as one stream of text."""

import os
from pathlib import Path

from tfgen.data import readers
from tfgen.data.builtin import BUILTIN
from tfgen.errors import InputError, unknown
from tfgen.names import normalise

SPLITS = ("train", "validation", "all")
SEPARATOR = "\n"


def open_text(name, column=None, validation_fraction=0.1):
    """Opens text to train or to score on.

    Args:
        name: A built-in set's name or a path: of a UTF-8 text file (also `.gz` and `.xz`), of a
            folder, whose files are joined in the order of their names, or of a `.csv`, `.tsv` or
            `.jsonl` file of which one column is read. A built-in name wins over a file of that
            name; write `./names` for the file.
        column: The column or key that holds the text.
        validation_fraction: Share of the characters, at the end, that is for validation.

    Returns:
        A `TextSource`. Everything has been read through once: what is wrong is known by now.

    Raises:
        InputError: If there is nothing by that name, or nothing to read in it.
    """
    text = os.fspath(name)
    key = normalise(text)
    if isinstance(name, str) and key in BUILTIN:
        if column is not None:
            raise InputError(f"The built-in set '{key}' has no columns. Received: column={column!r}")
        return TextSource(key, [BUILTIN[key].path], None, validation_fraction)
    path = Path(text).expanduser()
    if path.is_dir():
        if column is not None:
            raise InputError(f"{path} is a folder and has no columns. Received: column={column!r}")
        files = sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
        )
        if not files:
            raise InputError(f"{path} holds no files")
        return TextSource(text, files, None, validation_fraction, skip=True)
    if path.is_file():
        if readers.is_table(path) and column is None:
            raise InputError(f"{path} is a table: name the column that holds the text (--column)")
        if column is not None and not readers.is_table(path):
            allowed = ", ".join(sorted(readers.TABLES))
            raise InputError(f"{path} has no columns: a column needs one of {allowed}")
        return TextSource(text, [path], column, validation_fraction)
    if os.sep in text or text.startswith((".", "~")) or path.suffix:
        raise InputError(f"There is no file or folder {text}")
    raise unknown("data set, and no file of that name,", text, BUILTIN)


class TextSource:
    """A text that is read in pieces as often as it is needed. See `open_text`.

    Attributes:
        name: As it was asked for.
        report: `tfgen.data.readers.Report` of the documents kept and dropped.
        characters: Dict with the number of characters in `"train"`, `"validation"` and `"all"`.
        split_rule: The rule of the split, as a sentence.
    """

    def __init__(self, name, paths, column, validation_fraction, skip=False):
        self.name = name
        self.report = readers.Report()
        self._paths, self._column = paths, column
        if skip:
            self._paths = [path for path in paths if self._readable(path)]
        total = sum(len(chunk) for chunk in self._pieces(self.report))
        if not total:
            dropped = "; ".join(
                f"{number} x {reason} (first: {example})"
                for reason, (number, example) in self.report.dropped.items()
            )
            raise InputError(f"There is no text in {name}" + (f": {dropped}" if dropped else ""))
        train = int(total * (1 - validation_fraction))
        self.characters = {"train": train, "validation": total - train, "all": total}
        self.split_rule = (
            f"the first {train:,} characters are for training, the last {total - train:,} "
            f"({validation_fraction:.0%}) for validation"
        )

    def chunks(self, split="train"):
        """Yields the text of a split in pieces of a few million characters at most."""
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        train = self.characters["train"]
        start = train if split == "validation" else 0
        stop = train if split == "train" else self.characters["all"]
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
        first = True
        for document in self._documents(report):
            for index, piece in enumerate(document):
                if index == 0 and not first and not ended.endswith(SEPARATOR):
                    yield SEPARATOR
                first, ended = False, piece
                yield piece

    def _documents(self, report):
        if self._column is not None:
            for text in readers.read_column(self._paths[0], self._column, report):
                yield [text]
            return
        for path in self._paths:
            report.kept += 1
            yield readers.read_plain(path)

    def _readable(self, path):
        try:
            empty = not any(readers.read_plain(path))
        except InputError as error:
            self.report.drop("not readable as text", str(error))
            return False
        if empty:
            self.report.drop("empty", str(path))
        return not empty
