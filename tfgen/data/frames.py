"""Data frames as tables: the columns of pandas, polars and their kin, through narwhals.

A column is read as the same column of a CSV file is: numbers, texts that may be numbers, times, and
True and False as texts. So all that is said of a table of a file holds for one in memory.
"""

import datetime
import decimal
import numbers

import numpy as np

from tfgen.data import readers
from tfgen.data.columns import Coded
from tfgen.data.layout import clean_names
from tfgen.data.readers import newlines
from tfgen.errors import InputError, unknown

# What is no frame, told without importing narwhals.
_OTHERS = (str, bytes, list, tuple, dict, set, np.ndarray, np.generic, numbers.Number)
_TIMES = (
    datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64,
)  # fmt: skip


def is_frame(value):
    """Whether it is a data frame in memory, of pandas, polars, PyArrow or their kin.

    Raises:
        InputError: It is one that is computed only when it is asked for.
    """
    if value is None or isinstance(value, _OTHERS):
        return False
    import narwhals.stable.v2 as nw

    if nw.dependencies.is_into_dataframe(value):
        return True
    if isinstance(nw.from_native(value, pass_through=True, allow_series=True), nw.LazyFrame):
        raise InputError(
            "A lazy frame holds no data yet: collect it first. "
            f"Received: a {type(value).__module__.partition('.')[0]} {type(value).__name__}"
        )
    return False


def is_column(value):
    """Whether it is one column, a Series of pandas, polars or their kin."""
    if value is None or isinstance(value, _OTHERS):
        return False
    import narwhals.stable.v2 as nw

    return nw.dependencies.is_into_series(value)


def frame_of_column(column):
    """Returns a Series as the frame of this column, called 0 if it has no name, as in its CSV."""
    import narwhals.stable.v2 as nw

    column = nw.from_native(column, series_only=True)
    return (column if column.name else column.rename("0")).to_frame().to_native()


def holds_texts(column):
    """Whether a Series holds texts that are no categories."""
    import narwhals.stable.v2 as nw

    return nw.from_native(column, series_only=True).dtype == nw.String


class FrameTable:
    """A frame, as what `tfgen.data.tables.read_tables` reads.

    Args:
        frame: The frame.
        where: What messages call it.
        part: What its sequence is called, if there are no other ids.
    """

    def __init__(self, frame, where, part):
        self.frame, self._where, self._part = frame, where, part

    def __str__(self):
        return self._where

    def read_into(self, table):
        """Adds the frame to a `tfgen.data.tables.Table`."""
        names, columns = named_columns(self.frame, self._where)
        cleaned = clean_names(names)
        doubled = [
            name for name, old in zip(cleaned, names, strict=True) if name != " ".join(old.split())
        ]
        if doubled:
            table.note(f"names that come again are numbered: {', '.join(doubled[:5])}")
        stores = table.begin(self._where, cleaned, self._part)
        rows = len(columns[0])
        if rows:
            table.add(
                stores,
                [
                    # Nobody reads what has no store.
                    np.zeros(rows) if store is None else self._cells(name, column, table)
                    for name, column, store in zip(cleaned, columns, stores, strict=True)
                ],
            )

    def rows(self, wanted, report, numbered=None):
        """Yields the texts of columns, as `tfgen.data.text_columns.read_rows` does of a file."""
        names, columns = named_columns(self.frame, self._where)
        for name in wanted:
            if name not in names:
                raise unknown(f"column of {self._where}", name, [each for each in names if each])
        found = [columns[names.index(name)].to_list() for name in wanted]
        for row, values in enumerate(zip(*found, strict=True)):
            values = readers.named_classes(wanted, values, numbered)
            if report.accept(wanted, values, f"{self._where}, row {row}"):
                yield tuple(map(newlines, values))

    def _cells(self, name, column, table):
        """Returns a narwhals Series as a `tfgen.data.tables.Table` takes it."""
        import narwhals.stable.v2 as nw

        dtype = column.dtype
        if dtype == nw.Datetime:
            if dtype.time_zone is not None:
                # The instant in UTC, whichever zone it is shown in.
                table.zoned.add(name)
                column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            return column.to_numpy().astype("M8[us]")
        if dtype.is_integer() and not column.is_null().any():
            values = column.to_numpy()
            if values.dtype.kind in "iu":
                return values
        if dtype.is_numeric():
            return column.cast(nw.Float64).to_numpy().astype(np.float64)
        try:
            return self._coded(name, column)
        except InputError:
            if table.is_asked(name):
                raise
            return np.full(len(column), np.nan)

    def _coded(self, name, column):
        gone, levels = column.is_null().to_list(), {}
        codes = np.full(len(gone), -1, np.int32)
        for row, value in enumerate(column.to_list()):
            if not gone[row] and value is not None:
                if not isinstance(value, str):
                    value = self._spelled(name, row, value)
                codes[row] = levels.setdefault(value, len(levels))
        return Coded(list(levels), codes)

    def _spelled(self, name, row, value):
        """Returns what a CSV file says of a cell that is no text."""
        good = isinstance(value, (numbers.Real, decimal.Decimal, *_TIMES, np.bool_))
        if not good and type(value).__module__.partition(".")[0] != "pandas":  # a Period
            sort = type(value).__name__
            raise InputError(
                f"The column '{name}' must hold numbers, texts, times or missing values. "
                f"Received: {str(value)[:40]!r} of type {sort} in {self._where}, row {row}"
            )
        return str(value)


def named_columns(frame, where="the frame"):
    """Returns `(names, columns)` of a frame: texts, `""` for none, and narwhals Series.

    An index of pandas is a column before the others, as in its CSV file, unless it has no name and
    only numbers the rows.
    """
    import narwhals.stable.v2 as nw

    if nw.dependencies.is_pandas_like_dataframe(frame):
        if frame.columns.nlevels > 1:
            raise InputError(
                "The columns of a frame must have one name each, e.g. frame.columns = ['_'.join(c) "
                f"for c in frame.columns]. Received: names with {frame.columns.nlevels} levels"
            )
        index = frame.index
        found = [index.get_level_values(level) for level in range(index.nlevels)]
        if len(found) == 1 and index.name is None and getattr(index.dtype, "kind", "O") in "iu":
            found = []
        found = [(each.name, each.to_series()) for each in found]
        found += [(name, frame.iloc[:, number]) for number, name in enumerate(frame.columns)]
        columns = [nw.from_native(column, series_only=True) for _, column in found]
        names = ["" if name is None else str(name) for name, _ in found]
    else:
        columns = list(nw.from_native(frame, eager_only=True).iter_columns())
        names = [column.name for column in columns]
    if not columns:
        raise InputError(f"There is no column in {where}: an empty frame")
    return names, columns


def column_names(frame):
    """Returns the names of a frame's columns, as a table has them."""
    return clean_names(named_columns(frame)[0])


def column_is_whole(frame, name):
    """Whether a frame has a column of this name whose type is one of integers."""
    names, columns = named_columns(frame)
    found = dict(zip(clean_names(names), columns, strict=True))
    return name in found and found[name].dtype.is_integer() and not found[name].is_null().any()


def frame_like(frame, columns):
    """Returns a frame of the same library as another one.

    Args:
        frame: The other frame. Where all of its times are in one zone, times are in that zone.
        columns: Dict from name to array; times are datetime64, without a zone in UTC, and texts
            are objects.
    """
    import narwhals.stable.v2 as nw

    _, theirs = named_columns(frame)
    zones = {column.dtype.time_zone for column in theirs if column.dtype == nw.Datetime}
    like = nw.from_native(frame, eager_only=True)
    columns = {
        # Microseconds are what both pandas and polars have as their usual unit.
        name: array.astype("M8[us]") if array.dtype.kind == "M" else array
        for name, array in columns.items()
    }
    texts = {name: array.tolist() for name, array in columns.items() if array.dtype.kind == "O"}
    made = nw.from_dict({**columns, **texts}, backend=like.implementation)
    if len(zones) == 1 and None not in zones:
        (zone,) = zones
        made = made.with_columns(
            nw.col(name).dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
            for name, dtype in made.schema.items()
            if dtype == nw.Datetime
        )
    return made.to_native()
