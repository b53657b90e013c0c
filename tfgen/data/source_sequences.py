"""`SourceSequences`: the sequences of numbers that a column of a table names."""

import collections
import dataclasses

from tfgen.data.series import open_sequences
from tfgen.errors import InputError
from tfgen.files import home_path
from tfgen.recipe import DataConfig


class SourceSequences:
    """Drawings, or other sequences of numbers, by the names that a table has for them.

    Of a folder they are the files that the table names, relative to it; of a set, those whose id or
    whose class is that.

    Args:
        name: A folder, a file of many sequences, or a built-in set.
        report: `tfgen.data.readers.Report` of the rows of the table.

    Raises:
        InputError: If there is nothing of that name.
    """

    def __init__(self, name, report):
        self.name, self._report = name, report
        # One of the `Sequences`, and by key the values of all.
        self._first, self._values, self._keys = None, {}, {}
        self._folder = home_path(name)
        if not self._folder.is_dir():
            self._folder = None
            sequences = self._opened(name)
            ids = _numbered(sequences.ids)
            if sequences.labels is not None:
                for key, label in zip(ids, sequences.labels, strict=True):
                    self._keys.setdefault(sequences.classes[label], []).append(key)
            self._keys.update((key, [key]) for key in ids)
            self._values = dict(zip(ids, sequences.values, strict=True))

    def keys(self, name):
        """The keys of the sequences of a name; of none the row counts as dropped."""
        if self._folder is not None and name not in self._keys:
            self._keys[name] = self._read(name)
        found = self._keys.get(name, [])
        self._report.kept += len(found) - 1  # a row of a class is many pairs
        if not found and self._folder is None:  # else it was told
            self._report.drop(f"no id and no class in {self.name}", repr(name))
        return found

    def sequences(self, keys):
        """The `Sequences` of keys, which are their ids: their values, and no more."""
        return dataclasses.replace(
            self._first,
            name=self.name,
            values=[self._values[key] for key in keys],
            ids=list(keys),
            times=None,
            known=None,
            known_names=(),
            static=None,
            static_names=(),
            labels=None,
            classes=(),
            texts=None,
            held_out=None,
            report=self._report,
        )

    def _read(self, name):
        """Reads a file of the folder; returns the keys of what it holds."""
        path = self._folder / name
        if not path.is_file():
            self._report.drop(f"no such file in {self.name}", repr(name))
            return []
        try:
            values = self._opened(str(path)).values
        except InputError as error:
            reason = getattr(error, "reason", "not read")
            self._report.drop(f"the file of the source: {reason}", str(error))
            return []
        keys = [name] if len(values) == 1 else [f"{name}#{n}" for n in range(len(values))]
        self._values.update(zip(keys, values, strict=True))
        return keys

    def _opened(self, name):
        sequences = open_sequences(DataConfig(name=name))
        first = self._first = self._first or sequences
        names = [[feature.name for feature in each.features] for each in (first, sequences)]
        if (first.kind, names[0]) != (sequences.kind, names[1]):
            raise InputError(
                f"All sources must be alike: {name} is {sequences.kind} of {', '.join(names[1])}, "
                f"and another is {first.kind} of {', '.join(names[0])}"
            )
        return sequences


def _numbered(ids):
    """Ids, with a number where one comes several times."""
    counts = collections.Counter(ids)
    return [each if counts[each] == 1 else f"{each}#{n}" for n, each in enumerate(ids)]
