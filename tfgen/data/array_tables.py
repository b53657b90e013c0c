"""Parquet files and NumPy archives as tables."""

import numpy as np

from tfgen.data.archives import load_npz
from tfgen.data.columns import Coded
from tfgen.data.dates import NO_TIME
from tfgen.data.layout import clean_names
from tfgen.data.readers import parquet_of
from tfgen.errors import InputError

_ROWS = 1 << 14  # read at once
# What is kept of a row beside its cells: its place, time and sequence, and its line.
NUMBERS_OF_A_ROW = 4


def read_parquet(path, table):
    with parquet_of(path) as (arrow, parquet):
        with parquet.ParquetFile(path) as file:
            schema, metadata = file.schema_arrow, file.metadata
            groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        taken = sum(group.total_byte_size for group in groups) // 8
        rows = metadata.num_rows * (len(schema.names) + NUMBERS_OF_A_ROW)
        table.budget.check(path, max(rows, taken))
        header = ["" if n.startswith("__index_level_") else n for n in schema.names]
        stores = table.begin(path, clean_names(header))
        texts = [field.name for field in schema if arrow.types.is_string(field.type)]
        times = [field for field in schema if arrow.types.is_timestamp(field.type)]
        table.zoned |= {field.name for field in times if field.type.tz is not None}
        # A text that comes again is read once.
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            for batch in file.iter_batches(batch_size=_ROWS):
                if batch.num_rows:
                    columns = zip(schema.names, batch.columns, strict=True)
                    cells = [_of_arrow(arrow, path, name, column) for name, column in columns]
                    table.add(stores, cells)


def _of_arrow(arrow, path, name, column):
    """Returns an Arrow array as an array of numbers or timestamps, or as `Coded` texts."""
    kinds, type_ = arrow.types, column.type
    if kinds.is_dictionary(type_) and _is_text(kinds, type_.value_type):
        return _coded(path, name, column)
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
    if _is_text(kinds, type_):
        return _coded(path, name, column.dictionary_encode())
    return np.full(len(column), np.nan)


def _is_text(kinds, type_):
    return kinds.is_string(type_) or kinds.is_large_string(type_) or kinds.is_string_view(type_)


def _coded(path, name, column):
    """Returns a dictionary array as `Coded`, with the texts that occur."""
    codes = column.indices.fill_null(-1).to_numpy(False).astype(np.int64)
    used, codes = np.unique(codes, return_inverse=True)
    try:
        levels = column.dictionary.take(used[used >= 0]).to_pylist()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the column {name!r} holds bytes that are no UTF-8") from error
    levels = ["" if level is None else level for level in levels]
    return Coded(levels, (codes - np.count_nonzero(used < 0)).astype(np.int32))


def read_npz(path, table):
    arrays = load_npz(path, table.budget)
    for key, values in list(arrays.items()):
        if values.dtype.kind not in "biufUM":
            raise InputError(
                f"{path}: '{key}' must hold numbers, texts or times. "
                f"Received: an array of {values.dtype}"
            )
        if not values.ndim:
            table.report.drop("a single value is no column", f"{path}: '{key}'")
            del arrays[key]
    flat = {key: values for key, values in arrays.items() if values.ndim == 1}
    deep = {key: values for key, values in arrays.items() if values.ndim > 1}
    sequences = deep
    if len(deep) == 1:
        ((key, values),) = deep.items()
        if values.ndim == 3:
            sequences = {f"{number}": part for number, part in enumerate(values)}
    widths = {part.shape[1:] for part in sequences.values()}
    if not arrays or len(widths) > 1 or any(len(width) != 1 for width in widths):
        shapes = {key: values.shape for key, values in arrays.items()}
        raise InputError(
            f"{path} must hold one array (time, features) or (sequences, time, features), arrays "
            "(time,) of one length, which are columns, or an array (time, features) for each "
            f"sequence. Received: {shapes}"
        )
    if not sequences:
        _add_part(path, table, None, flat)
        return
    single = deep is sequences and len(sequences) == 1
    add_arrays(path, sequences, flat, table, single)


def add_arrays(path, sequences, flat, table, single=False):
    """Adds arrays to a table, with the columns `x0`, `x1` and so on.

    Args:
        path: The file, or what messages call the data.
        sequences: Dict from what a sequence is called to its array `(time, features)`.
        flat: Dict from name to an array `(time,)` of a single sequence, or with a value for each
            of several.
        table: A `tfgen.data.tables.Table`.
        single: Whether the one sequence there is is called as the file is.
    """
    names = [f"x{number}" for number in range(next(iter(sequences.values())).shape[1])]
    # Beside one sequence a column of its rows, beside several a value for each of them.
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
        _add_part(path, table, None if single else part, {**columns, **others})


def _add_part(path, table, part, columns):
    """Adds columns of one length as a part of the table."""
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{path}: columns must be of one length. Received: {lengths}")
    cells = [v.tolist() if v.dtype.kind == "U" else v for v in columns.values()]
    stores = table.begin(path, list(columns), part)
    if cells and len(cells[0]):
        table.add(stores, cells)
    else:
        table.report.drop("the sequence has no position", f"{path}{f', {part}' if part else ''}")
