"""`Converted`: files that are no text, as the texts that they are read as."""

import collections
import hashlib
import re
import tempfile

import numpy as np

from tfgen.data.file_labels import with_labels
from tfgen.data.readers import Unreadable, suffix_of
from tfgen.errors import InputError
from tfgen.kinds import KINDS, load


def files_in(folder):
    """The files below a folder that are not hidden, in the order of their names."""
    return sorted(
        file
        for file in folder.rglob("*")
        if not file.is_dir() and not any(p.startswith(".") for p in file.relative_to(folder).parts)
    )


def find_converted(files, report):
    """Tells what files are read as, by what most of them are.

    Args:
        files: List of paths.
        report: `tfgen.data.readers.Report`, in which others are counted.

    Returns:
        `(row, files)`: the `tfgen.kinds.Kind` and its files, or None and all where most are text.
    """
    kinds = [_kind_read_of(file) for file in files]
    [(kind, _)] = collections.Counter(kinds).most_common(1) or [(None, 0)]
    if kind is None:
        return None, files
    for file, other in zip(files, kinds):
        if other != kind:
            report.drop(f"a file is no {KINDS[kind].words}", str(file))
    return KINDS[kind], [file for file, own in zip(files, kinds) if own == kind]


def _kind_read_of(path):
    """The name of the kind of a file that is read as text and is none itself, or None."""
    suffix = suffix_of(path)
    rows = (row for row in KINDS.values() if row.read is not None and suffix in row.suffixes)
    return next((row.name for row in rows), None)


class Converted:
    """The documents of files of a kind, as `tfgen.data.text.TextSource` takes them.

    Each file is read once; its text is kept where temporary files lie, in a file without a name.
    Files are in the order of a hash of their paths, for what stands together in a folder is alike,
    and its end is held out.

    Args:
        row: A `tfgen.kinds.Kind` with a `read`.
        paths: List of files.
        report: `tfgen.data.readers.Report`, in which files that cannot be read are counted.
        label: Function of a path to the class of the file, or to None, see
            `tfgen.data.file_labels.file_label`; None is of files without classes.

    Attributes:
        labels: The classes of the documents, if there are.
        unit: What one piece of a document is: what the kind calls it, or a bar of a single file.

    Raises:
        InputError: A single file cannot be read, or the disk is full.
    """

    def __init__(self, row, paths, report, label=None):
        read, single = load(row.read), len(paths) == 1
        self.unit = "bar" if single else row.unit
        self._ends, self.labels = [0], []
        file = tempfile.TemporaryFile(prefix="tfgen-texts-")
        try:
            for path, own in with_labels(sorted(paths, key=_hash), label, report):
                try:
                    text = read(path, report)
                except Unreadable as error:
                    if single:
                        raise
                    report.drop(error.reason, str(error))
                    continue
                self.labels.append(own)
                self._ends.append(self._ends[-1] + file.write(text.encode("utf-8")))
            file.flush()
        except OSError as error:
            raise InputError(
                f"{tempfile.gettempdir()}, where temporary files lie, cannot be written (TMPDIR "
                f"chooses another folder): {error.strerror or error}"
            ) from error
        size = self._ends[-1]
        # The mapping outlives the file object.
        self._data = (
            np.memmap(file, np.uint8, "r", shape=(size,)) if size else np.zeros(0, np.uint8)
        )

    def texts(self):
        """Yields the text of each file."""
        for start, stop in zip(self._ends, self._ends[1:]):
            yield self._data[start:stop].tobytes().decode("utf-8")

    def __call__(self, report):
        for text in self.texts():
            report.kept += 1
            yield re.split("(?= Bar)", text) if self.unit == "bar" else [text]


def _hash(path):
    parts = "/".join(path.parts[-3:])
    return hashlib.blake2b(parts.encode("utf-8", "surrogateescape"), digest_size=8).digest()
