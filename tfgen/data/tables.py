"""`read_tables`: files of tables as columns of numbers, texts and timestamps."""

import bisect
import re
from collections.abc import Mapping

import numpy as np

from tfgen.data import readers
from tfgen.data.array_tables import NUMBERS_OF_A_ROW, read_npz, read_parquet
from tfgen.data.budget import Budget
from tfgen.data.columns import Coded, Column
from tfgen.data.strokes import nothing_found
from tfgen.data.text_tables import looks_like_table, read_delimited, read_excel
from tfgen.errors import InputError, unknown
from tfgen.kinds import KINDS
from tfgen.recipe import DataConfig

_SUFFIXES = KINDS["series"].suffixes
# Tables if somebody says so, or if they look like one.
TEXT_SUFFIXES = (".txt", ".dat", ".data", ".asc", ".psv", ".tab", "")
_NO_NAME = re.compile(r"Unnamed: \d+|\.\.\.\d+")  # what pandas and readr call them
_UNNAMED = "\0"  # so many of it are the name of a column without one, beside the first


def holds_table(path):
    """Whether a file looks like a table."""
    suffix = readers.suffix_of(path)
    if suffix in TEXT_SUFFIXES:
        return looks_like_table(path)
    return suffix in _SUFFIXES or suffix == ".xls"  # which is refused in words of its own


class Table:
    """The columns of one or several files.

    Args:
        wanted: Function from a column's name to whether it is read as a `Column`.
        times_of: Function from a column's name to the `Times` that it is read as; None where it
            is no column of timestamps.
        roles: Names that must be there, as `{name: what asks for it}`.
        config: A `tfgen.recipe.DataConfig`: `header`, `delimiter`, `decimal`, `sheet`, `missing`,
            `layout`, `max_numbers`.

    Attributes:
        names: Names of the columns, in order.
        columns: Dict from name to `Column`.
        times: Mapping from name to `Times`, which are read when they are asked for.
        parts: Names of what the rows come from: files, or the sequences of an archive.
        rows: Number of rows.
        lost: How many rows of the files could not be read.
        zoned: Names of columns whose timestamps were told with their zone, and are in UTC now.
        unnamed: List of the columns with values that have no name, and so are none of `columns`.
        report: `tfgen.data.readers.Report`.
    """

    def __init__(self, wanted, times_of, roles=None, config=None):
        self.config = DataConfig() if config is None else config
        self.budget = Budget(self.config.max_numbers)
        self.names, self.columns = [], {}
        self.parts, self.rows, self.lost, self.report = [], 0, 0, readers.Report()
        self.times, self.zoned = _Times(self), set()
        self._wanted, self._times_of = wanted, times_of
        self._roles = roles or {}
        self._cells = {}
        self._starts, self._paths, self._lines = [], [], []
        self._semicolons = False

    # Filling

    def begin(self, path, names, part=None, lines=None, semicolons=False):
        """Begins a part with these columns.

        Args:
            path: The file.
            names: Its columns' names, `""` for none.
            part: What the part is called; None is the file's name.
            lines: Array of each row's line, which may grow with the rows.
            semicolons: Whether semicolons separate the fields, as where commas are decimal.

        Returns:
            For each column the `Column` that its cells go to, None where nobody wants them.
        """
        keys = _keys(names)
        self._check(path, keys)
        if not self.parts:
            self.names = [name for name in keys if not _is_unnamed(name)]
            for name in keys:
                wanted = not _is_unnamed(name) and self._wanted(name)
                if wanted or _is_unnamed(name) or self._times_of(name) is not None:
                    self._cells[name] = Column(self.config.missing)
                if wanted:
                    self.columns[name] = self._cells[name]
        self._semicolons |= semicolons
        self.parts.append(_stem(path) if part is None else part)
        self._starts.append(self.rows)
        self._paths.append(path)
        self._lines.append(lines)
        return [self._cells.get(name) for name in keys]

    def add(self, stores, columns):
        """Adds rows to the part: of each column its texts, its array of numbers or timestamps, or
        its `tfgen.data.columns.Coded`."""
        count = _length(columns[0])
        self.budget.take(self._paths[-1], count * (len(columns) + NUMBERS_OF_A_ROW))
        for store, cells in zip(stores, columns, strict=True):
            if store is None:
                continue
            if isinstance(cells, Coded):
                store.add_codes(cells)
            elif isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
                store.add_stamps(_microseconds(cells))
            elif isinstance(cells, np.ndarray):
                store.add_numbers(cells)
            else:
                store.add_texts(cells)
        self.rows += count

    def note(self, text):
        """Says once what was decided in reading."""
        if text not in self.report.notes:
            self.report.notes.append(text)

    def lose(self, reason, where):
        """Counts a row of a file that cannot be read."""
        self.lost += 1
        self.report.drop(reason, where)

    def empty(self, reason, where):
        """Counts a line that holds nothing."""
        self.report.drop(reason, where)

    def again(self, names):
        """Returns a table of other columns, for `add_part`, with the same report and budget."""
        table = Table(lambda name: True, lambda name: None, None, self.config)
        table.budget, table.report, table.lost = self.budget, self.report, self.lost
        table._unfolded = names
        return table

    def add_part(self, where, part, cells):
        """Adds a part to a table made by `again`: for each column its cells, as for `add`."""
        self.add(self.begin(where, self._unfolded, part), cells)

    def settle(self):
        """Tells the columns in which 1,234 may be 1.234 or 1234 how to read it."""
        if self.config.decimal != "auto":
            for column in self.columns.values():
                column.comma = self.config.decimal == ","
            return
        written = [c for c in self.columns.values() if c.is_written()]
        if not self._semicolons and not any(column.has_commas() for column in written):
            return
        commas, points = np.sum([c.decimals() for c in written if not c.is_text()], axis=0)
        for column in written:
            if column.is_ambiguous():
                size = column.whole_size()
                if commas != points:
                    column.comma = bool(commas > points)
                elif size is not None:
                    # 900 and 1,005 are near each other if the comma is one of thousands.
                    column.comma = (size < 100) == column.has_commas()
                else:
                    column.comma = self._semicolons and column.has_commas()

    # Asking

    @property
    def unnamed(self):
        """The columns with values that have no name."""
        columns = [column for key, column in self._cells.items() if _is_unnamed(key)]
        return [column for column in columns if not column.is_empty()]

    def is_asked(self, name):
        """Whether the configuration names a column, or names none."""
        return name in self._roles or not self.config.columns

    def is_plain(self, name):
        """Whether every cell of a column, also of one of times, is missing or a plain number."""
        return self._cells[name].is_plain()

    def where(self, row):
        """Where a row is, for a person."""
        part = bisect.bisect_right(self._starts, row) - 1
        row = int(row) - self._starts[part]
        path, lines = self._paths[part], self._lines[part]
        if lines is not None:
            return f"{path}:{lines[row]}"
        several = self._paths.count(path) > 1
        return f"{path}{f', {self.parts[part]}' if several else ''}, row {row}"

    def part_numbers(self):
        """The number of the part of each row, int64 `(rows,)`."""
        sizes = np.diff([*self._starts, self.rows])
        return np.repeat(np.arange(len(sizes)), sizes)

    def _check(self, path, names):
        known = set(names)
        for name, role in self._roles.items():
            if name not in known:
                named = [name for name in names if not _is_unnamed(name)]
                raise unknown(f"column of {path}, asked for by {role},", name, named)
        if self.parts:
            named = {name for name in names if not _is_unnamed(name)}
            other = named.symmetric_difference(self.names)
            if other:
                name = min(other)
                which = "has a" if name in named else "has no"
                raise InputError(
                    f"{path} {which} column {name!r}, unlike {self._paths[0]}: tables of one data "
                    "set need the same columns"
                )


class _Times(Mapping):
    """The columns that may hold timestamps, by name; one is read when it is first asked for."""

    def __init__(self, table):
        self._table, self._empty, self._read = table, {}, {}

    def __getitem__(self, name):
        if name not in self._read:
            times = self._times_of(name)
            if times is None or name not in self._table._cells:
                raise KeyError(name)
            self._read[name] = self._table._cells[name].feed(times)
        return self._read[name]

    def __iter__(self):
        return (name for name in self._table._cells if self._times_of(name) is not None)

    def _times_of(self, name):
        if name not in self._empty:
            self._empty[name] = self._table._times_of(name)
        return self._empty[name]

    def __len__(self):
        return sum(1 for _ in self)


def read_tables(paths, table):
    """Reads files into a `Table`.

    Args:
        paths: List of paths, each with a suffix of a table, or of lines of text whatever its
            suffix; such a file may be `.gz` or `.xz`. What is in memory has a method
            `read_into(table)`.
        table: A fresh `Table`.

    Raises:
        InputError: If a file cannot be read, or is no such table.
    """
    for path in paths:
        if hasattr(path, "read_into"):
            path.read_into(table)
            continue
        suffix = readers.suffix_of(path)
        if suffix == ".xls":
            raise InputError(f"{path} is of the old Excel format: save it as .xlsx or CSV")
        reader = _READERS.get(suffix)
        if reader is None:
            allowed = ", ".join((*_SUFFIXES, *filter(None, TEXT_SUFFIXES)))
            raise InputError(f"{path} is no table of numbers: its suffix must be one of {allowed}")
        reader(path, table)
    if not table.rows:
        raise nothing_found("row", ", ".join(map(str, paths[:3])), table.report)
    table.settle()


_READERS = {
    **dict.fromkeys((".csv", ".tsv", *TEXT_SUFFIXES), read_delimited),
    ".parquet": read_parquet,
    ".npz": read_npz,
    ".xlsx": read_excel,
    ".xlsm": read_excel,
}


def _keys(names):
    """Returns the names, those of columns without a name as one text each: `""` for the first."""
    keys, blanks = [], 0
    for name in names:
        blank = not name or _NO_NAME.fullmatch(name)
        keys.append(_UNNAMED * blanks if blank else name)
        blanks += bool(blank)
    return keys


def _is_unnamed(name):
    return not name.strip(_UNNAMED)


def _length(cells):
    return len(cells.codes if isinstance(cells, Coded) else cells)


def _stem(path):
    return path.name.split(".")[0] or path.name


def _microseconds(stamps):
    """Returns datetime64 of any unit as int64 microseconds; NaT is `NO_TIME` in both."""
    return stamps.astype("M8[us]").astype(np.int64)
