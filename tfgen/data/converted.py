"""`Converted`: files that are no text, as the texts that they are read as."""

import hashlib
import re
import tempfile

import numpy as np

from tfgen.data.readers import Unreadable
from tfgen.errors import InputError
from tfgen.kinds import load


class Converted:
    """The documents of files of a kind, as `tfgen.data.text.TextSource` takes them.

    Each file is read once; its text is kept where temporary files lie, in a file without a name.
    Files are in the order of a hash of their paths, for what stands together in a folder is alike,
    and its end is held out.

    Args:
        row: A `tfgen.kinds.Kind` with a `read`.
        paths: List of files.
        report: `tfgen.data.readers.Report`, in which files that cannot be read are counted.

    Attributes:
        unit: What one piece of a document is: what the kind calls it, or a bar of a single file.
        vocabulary: The words that a tokenizer knows in any case, as one text.

    Raises:
        InputError: A single file cannot be read, or the disk is full.
    """

    def __init__(self, row, paths, report):
        read, single = load(row.read), len(paths) == 1
        self.unit = "bar" if single else row.unit
        self.vocabulary = load(row.vocabulary)() if row.vocabulary else ""
        self._ends = [0]
        file = tempfile.TemporaryFile(prefix="tfgen-texts-")
        try:
            for path in sorted(paths, key=_hash):
                try:
                    text = read(path, report)
                except Unreadable as error:
                    if single:
                        raise
                    report.drop(error.reason, str(error))
                    continue
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

    def __call__(self, report):
        for start, stop in zip(self._ends, self._ends[1:]):
            report.kept += 1
            text = self._data[start:stop].tobytes().decode("utf-8")
            yield re.split("(?= Bar)", text) if self.unit == "bar" else [text]


def _hash(path):
    parts = "/".join(path.parts[-3:])
    return hashlib.blake2b(parts.encode("utf-8", "surrogateescape"), digest_size=8).digest()
