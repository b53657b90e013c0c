"""`read_tables`: CSV, TSV, Parquet and NPZ files as columns of numbers, texts and timestamps.

Files are read in pieces. A cell is kept as a float64 and, as long as its column has few different
texts, as the number of its text: whether a column is one of numbers or of categories is known only
when its last cell has been read.
"""

import array
import bisect
import csv
import re

import numpy as np

from tfgen.data import readers
from tfgen.data.archives import load_npz
from tfgen.data.dates import NO_TIME
from tfgen.data.strokes import nothing_found
from tfgen.errors import InputError, unknown

SUFFIXES = (".csv", ".tsv", ".parquet", ".npz")
MISSING_TEXTS = {"", "na", "n/a", "#n/a", "<na>", "nan", "null"}
MAX_LEVELS = 1000
_ROWS = 1 << 14  # read at once
_LARGEST = float(np.finfo(np.float32).max)


class Column:
    """The cells of a column: numbers, and the texts they were as far as those are few.

    Args:
        limit: The most different texts that are told apart; None for all.
        comma: Whether `1,5` is a number, as where semicolons separate.

    Attributes:
        faults: Dict from what is wrong with cells to `[how many, row of the first, its text]`.
    """

    def __init__(self, limit=MAX_LEVELS, comma=False):
        self.faults = {}
        self._limit, self.comma = limit, comma
        self._rows, self._texts, self._found = 0, 0, 0
        self._numbers, self._codes = [], []
        self._levels = {}

    def add_texts(self, cells):
        """Adds texts; None is a missing cell."""
        cells = ["" if cell is None else cell.strip() for cell in cells]
        numbers = _floats(cells)
        if numbers is None:
            numbers = np.array([self._number(row, cell) for row, cell in enumerate(cells)])
        else:
            self._found += len(cells)
        self._numbers.append(numbers)
        if self._codes is not None:
            levels = self._levels
            codes = [
                -1 if cell.casefold() in MISSING_TEXTS else levels.setdefault(cell, len(levels))
                for cell in cells
            ]
            self._add_codes(np.array(codes, np.int32))
        self._rows += len(cells)

    def add_numbers(self, values):
        """Adds an array of integers, floats or booleans; NaN is a missing cell."""
        numbers = values.astype(np.float64)
        missing = np.isnan(numbers)
        self._found += int((~missing).sum())
        for row in np.flatnonzero(~missing & ~(np.abs(numbers) <= _LARGEST)):
            self._fault("is not finite", row, str(values[row]))
            numbers[row] = np.nan
        self._numbers.append(numbers)
        if self._codes is not None:
            codes = np.full(len(values), -1, np.int32)
            found, where = np.unique(values[~missing], return_inverse=True)
            if self._limit is None or len(found) <= self._limit:
                levels = self._levels
                names = [_spell(number) for number in found.tolist()]
                each = [levels.setdefault(name, len(levels)) for name in names]
                codes[~missing] = np.array(each, np.int32)[where]
                self._add_codes(codes)
            else:
                self._codes = None
        self._rows += len(values)

    def add_stamps(self, stamps):
        """Adds timestamps, which have no place among numbers: they are missing."""
        for row in np.flatnonzero(stamps != NO_TIME)[:1]:
            self._fault("is a timestamp", row, str(stamps[row].astype("M8[us]")))
        self.add_numbers(np.full(len(stamps), np.nan))

    def numbers(self):
        """The cells as float64 `(rows,)`: NaN where a cell is missing or no number."""
        return np.concatenate([np.zeros([0]), *self._numbers])

    def is_text(self):
        """Whether most cells that are not missing are no numbers."""
        return self._texts > self._found

    def has_few_levels(self):
        return self._codes is not None

    def categories(self, rows):
        """Returns `(levels, numbers)` of some rows: the texts that occur there, sorted, and for
        each row the number of its text, -1 where it is missing."""
        codes = np.concatenate([np.zeros([0], np.int32), *self._codes])[rows]
        names = list(self._levels)
        used = [names[code] for code in np.unique(codes[codes >= 0])]
        numbers = _floats(used)
        # "10" comes after "9" where all are numbers.
        levels = sorted(used) if numbers is None else [used[i] for i in np.argsort(numbers)]
        place = {text: number for number, text in enumerate(levels)}
        new = np.array([*(place.get(text, -1) for text in names), -1], np.int32)
        return tuple(levels), new[codes]

    def _add_codes(self, codes):
        if self._limit is not None and len(self._levels) > self._limit:
            self._codes, self._levels = None, {}
        else:
            self._codes.append(codes)

    def _number(self, row, cell):
        if cell.casefold() in MISSING_TEXTS:
            return np.nan
        number = _float(cell)
        if number is None and self.comma and re.fullmatch(r"[+-]?\d*,\d+([eE][+-]?\d+)?", cell):
            number = _float(cell.replace(",", "."))
        if number is None:
            self._texts += 1
            self._fault("is no number", row, cell)
            return np.nan
        self._found += 1
        if not abs(number) <= _LARGEST:
            self._fault("is not finite", row, cell)
            return np.nan
        return number

    def _fault(self, what, row, text):
        self.faults.setdefault(what, [0, self._rows + int(row), text])[0] += 1


class Table:
    """The columns of one or several files.

    Args:
        wanted: Function from a column's name to whether it is read as a `Column`.
        times_of: Function from a column's name to the `Times` that it is read as; None where it
            is no column of timestamps.
        texts: Names of columns whose texts are all told apart.
        roles: Names that must be there, as `{name: what asks for it}`.

    Attributes:
        names: Names of the columns, in order.
        columns: Dict from name to `Column`.
        times: Dict from name to `Times`.
        parts: Names of what the rows come from: files, or the sequences of an archive.
        rows: Number of rows.
        unnamed: How many columns have no name, and so are none of `columns`.
        report: `tfgen.data.readers.Report`.
    """

    def __init__(self, wanted, times_of, texts=(), roles=None):
        self.names, self.columns, self.times = [], {}, {}
        self.parts, self.rows, self.report = [], 0, readers.Report()
        self._wanted, self._times_of, self._texts = wanted, times_of, texts
        self._roles = roles or {}
        self.unnamed = 0
        self._starts, self._paths, self._lines = [], [], []

    def begin(self, path, names, part, lines=None, comma=False):
        """Begins a part with these columns.

        Args:
            path: The file.
            names: Its columns' names.
            part: What the part is called.
            lines: Array of each row's line, which may grow with the rows.
            comma: See `Column`.

        Returns:
            For each column the list of the stores that its cells go to.
        """
        self._check(path, names)
        if not self.parts:
            self.names = [name for name in names if name]
            for name in names:
                times = self._times_of(name)
                if times is not None:
                    self.times[name] = times
                if name and self._wanted(name):
                    limit = None if name in self._texts else MAX_LEVELS
                    self.columns[name] = Column(limit)
        for column in self.columns.values():
            column.comma = comma
        self.parts.append(part)
        self._starts.append(self.rows)
        self._paths.append(path)
        self._lines.append(lines)
        # Of several columns without a name, the first is the one that may hold times.
        firsts = [names.index(name) == place for place, name in enumerate(names)]
        return [
            [store[name] for store in (self.columns, self.times) if first and name in store]
            for name, first in zip(names, firsts, strict=True)
        ]

    def add(self, stores, columns):
        """Adds rows to the part: of each column its texts, numbers or timestamps."""
        for column, cells in zip(stores, columns, strict=True):
            for store in column:
                if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
                    store.add_stamps(_microseconds(cells))
                elif isinstance(cells, np.ndarray):
                    store.add_numbers(cells)
                else:
                    store.add_texts(cells)
        self.rows += len(columns[0])

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
        named = [name for name in names if name]
        doubled = sorted({name for name in named if named.count(name) > 1})
        if doubled:
            raise InputError(f"{path} has two columns of the name {doubled[0]!r}: rename one")
        for name, role in self._roles.items():
            if name not in named:
                raise unknown(f"column of {path}, asked for by {role},", name, named)
        self.unnamed = max(self.unnamed, len(names) - len(named))
        if self.parts and set(named) != set(self.names):
            name = sorted(set(named) ^ set(self.names))[0]
            which = "has no" if name in self.names else "has a"
            raise InputError(
                f"{path} {which} column {name!r}, unlike {self._paths[0]}: tables of one data set "
                "need the same columns"
            )


def read_tables(paths, table):
    """Reads files into a `Table`.

    Args:
        paths: List of paths, each with one of `SUFFIXES`; a CSV or TSV may be `.gz` or `.xz`.
        table: A fresh `Table`.

    Raises:
        InputError: If a file cannot be read, or is no such table.
    """
    for path in paths:
        reader = _READERS.get(readers.suffix_of(path))
        if reader is None:
            allowed = ", ".join(SUFFIXES)
            raise InputError(f"{path} is no table of numbers: its suffix must be one of {allowed}")
        reader(path, table)
    if not table.rows:
        raise nothing_found("row", ", ".join(map(str, paths[:3])), table.report)


def _read_csv(path, table):
    csv.field_size_limit(max(csv.field_size_limit(), readers.MAX_FIELD))
    ended = False
    lines = (line for _, line in readers.numbered_lines(path))
    first = next(lines, "")
    if not first.strip():
        raise InputError(f"{path} is empty: a table begins with the names of its columns")
    delimiter = "\t" if readers.suffix_of(path) == ".tsv" else _delimiter(first)

    def source():
        nonlocal ended
        yield first
        yield from lines
        ended = True

    reader, start = csv.reader(source(), delimiter=delimiter), 1
    numbers, waiting = array.array("q"), []
    try:
        header = [name.strip() for name in next(reader)]
        if all(_float(name) is not None for name in header):
            raise InputError(
                f"{path} has no header: its first line holds numbers, where the names of its "
                f"columns belong. Received: {first.strip()[:80]}"
            )
        stores = table.begin(path, header, _stem(path), numbers, comma=delimiter == ";")
        start = reader.line_num + 1
        for row in reader:
            number, start = start, reader.line_num + 1
            if ended:
                # The reader wanted more lines for this row than there are.
                table.report.drop("a quote is left open", f"{path}:{number}")
            elif not row:
                table.report.drop("the line is empty", f"{path}:{number}")
            elif len(row) != len(header):
                much = "more" if len(row) > len(header) else "fewer"
                table.report.drop(f"the row has {much} fields than the header", f"{path}:{number}")
            else:
                numbers.append(number)
                waiting.append(row)
                if len(waiting) == _ROWS:
                    table.add(stores, list(zip(*waiting, strict=True)))
                    waiting = []
    except csv.Error as error:
        raise InputError(f"{path}:{start} is no CSV: {error}; is a quote left open?") from error
    if waiting:
        table.add(stores, list(zip(*waiting, strict=True)))


def _delimiter(header):
    """What separates the fields of a CSV file: of comma, semicolon and tab the most frequent."""
    bare = re.sub('"[^"]*"', "", header)
    return max(",;\t", key=bare.count)  # the comma where all are as many


def _read_parquet(path, table):
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            f"{path} cannot be read: Parquet files need pyarrow: pip install 'tfgen-sequences[data]'"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            header = ["" if n.startswith("__index_level_") else n for n in file.schema_arrow.names]
            stores = table.begin(path, header, _stem(path))
            for batch in file.iter_batches(batch_size=_ROWS):
                if batch.num_rows:
                    table.add(stores, [_of_arrow(arrow, column) for column in batch.columns])
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as Parquet: {reason}") from error


def _of_arrow(arrow, column):
    """Returns an Arrow array as an array of numbers or timestamps, or as a list of texts."""
    kinds, type_ = arrow.types, column.type
    if kinds.is_dictionary(type_):
        column, type_ = column.dictionary_decode(), type_.value_type
    if kinds.is_timestamp(type_) or kinds.is_date(type_):
        if kinds.is_date32(type_):
            column = column.cast(arrow.date64())
        # The instant in UTC, whichever zone it is shown in.
        column = column.cast(arrow.timestamp("us"), safe=False)
        return column.cast(arrow.int64()).fill_null(NO_TIME).to_numpy(False).view("M8[us]")
    if kinds.is_boolean(type_):
        column = column.cast(arrow.int8())
    if kinds.is_integer(column.type) and not column.null_count:
        return column.to_numpy(False)
    if kinds.is_integer(column.type) or kinds.is_floating(type_) or kinds.is_decimal(type_):
        return column.cast(arrow.float64(), safe=False).to_numpy(False)
    if kinds.is_string(type_) or kinds.is_large_string(type_):
        return column.to_pylist()
    return np.full(len(column), np.nan)


def _read_npz(path, table):
    arrays = load_npz(path)
    for key, values in list(arrays.items()):
        if values.dtype.kind not in "biufUM":
            raise InputError(
                f"{path}: '{key}' must hold numbers, texts or times. "
                f"Received: an array of {values.dtype}"
            )
        if not values.ndim:
            table.report.drop("a single value is no column", f"{path}: '{key}'")
            del arrays[key]
    shapes = {key: values.shape for key, values in arrays.items()}
    flat = {key: values for key, values in arrays.items() if values.ndim == 1}
    deep = {key: values for key, values in arrays.items() if values.ndim > 1}
    sequences = deep
    if len(deep) == 1:
        ((key, values),) = deep.items()
        if values.ndim == 3:
            sequences = {f"{number}": part for number, part in enumerate(values)}
    widths = {part.shape[1:] for part in sequences.values()}
    if not arrays or len(widths) > 1 or any(len(width) != 1 for width in widths):
        raise InputError(
            f"{path} must hold one array (time, features) or (sequences, time, features), arrays "
            "(time,) of one length, which are columns, or an array (time, features) for each "
            f"sequence. Received: {shapes}"
        )
    if not sequences:
        _add_part(path, table, _stem(path), flat)
        return
    names = [f"x{number}" for number in range(*next(iter(widths)))]
    # Beside one sequence a column of its rows, beside several a value for each of them.
    single = deep is sequences and len(sequences) == 1
    length = len(next(iter(sequences.values()))) if single else len(sequences)
    for key in [key for key, values in flat.items() if len(values) != length]:
        table.report.drop(f"an array of 1 axis is not of length {length:,}", f"{path}: '{key}'")
        del flat[key]
    for number, (part, values) in enumerate(sequences.items()):
        rows = slice(None) if single else np.full(len(values), number)
        columns = dict(zip(names, values.T, strict=True))
        doubled = sorted(set(columns) & set(flat))
        if doubled:
            raise InputError(f"{path}: '{doubled[0]}' is also the name of a feature: rename it")
        others = {key: beside[rows] for key, beside in flat.items()}
        _add_part(path, table, _stem(path) if single else part, {**columns, **others})


def _add_part(path, table, part, columns):
    """Adds columns of one length as a part of the table."""
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{path}: columns must be of one length. Received: {lengths}")
    cells = [v.tolist() if v.dtype.kind == "U" else v for v in columns.values()]
    stores = table.begin(path, list(columns), part)
    if cells and len(cells[0]):
        table.add(stores, cells)


_READERS = {".csv": _read_csv, ".tsv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz}


def _stem(path):
    return path.name.split(".")[0] or path.name


def _floats(cells):
    """Returns texts as finite numbers, float64; None if one of them is none."""
    try:
        numbers = np.array([float(cell) for cell in cells], np.float64)
    except ValueError:
        return None
    # Python reads 1_000 as a thousand.
    if not (np.abs(numbers) <= _LARGEST).all() or any("_" in cell for cell in cells):
        return None
    return numbers


def _float(cell):
    """Returns a text as a number, which may be infinite or NaN; None if it is none."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _microseconds(stamps):
    """Returns datetime64 of any unit as int64 microseconds; NaT is `NO_TIME` in both."""
    return stamps.astype("M8[us]").astype(np.int64)


def _spell(number):
    """How a number is written as the name of a category: 3, not 3.0."""
    return str(int(number)) if float(number).is_integer() else repr(number)
