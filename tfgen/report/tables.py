"""Tables: of sequences and of forecasts, and their CSV and NPZ files."""

import csv

import numpy as np

from tfgen.data.forecast_columns import forecast_columns


def sample_table(arrays, features, times=None, keys=None):
    """Returns a long table of sequences: `{column: list of cells}`.

    Args:
        arrays: List of arrays `(time, features)`. NaN becomes an empty cell.
        features: The `Feature` of each column.
        times: Optional list of int64 arrays `(time,)`, seconds since 1970.
        keys: Dict from a column to what it says of each array, e.g. `{"sample": [1, 2]}`.
    """
    table = {}
    for name, column, feature in _columns(arrays, features, times, keys):
        if feature is not None:
            table[name] = _cells(column, feature)
        elif column.dtype.kind == "M":
            table[name] = _dates(column)
        else:
            table[name] = column.astype(str).tolist()
    return table


def sample_arrays(arrays, features, times=None, keys=None):
    """Returns the same table as arrays: numbers as numbers, times as datetime64."""
    return {
        name: np.array(_cells(column, feature)) if feature and feature.is_category else column
        for name, column, feature in _columns(arrays, features, times, keys)
    }


def _columns(arrays, features, times, keys):
    """Yields `(name, array, Feature or None)` of each column of a long table."""
    names = [feature.name for feature in features]
    lengths = [len(values) for values in arrays]
    for key, cells in (keys or {}).items():
        yield _free(key, names), np.repeat(np.array(cells), lengths), None
    if times is not None:
        stamps = np.concatenate([np.asarray(part, np.int64) for part in times])
        yield _free("time", names), stamps.astype("M8[s]"), None
    values = np.concatenate(arrays)
    for number, feature in enumerate(features):
        yield feature.name, values[:, number], feature


def forecast_table(contexts, forecasts, features, levels):
    """Returns the table of `tfgen.data.forecast_columns.forecast_columns` as texts.

    Args:
        contexts: List of `tfgen.data.contexts.Context`, which say the ids and the times.
        forecasts: List of `Forecast`, of one series each.
        features: The `Feature` of each column.
        levels: The levels of the quantiles.
    """
    columns = forecast_columns(contexts, forecasts, features, levels, _spelled)
    return {name: cells.tolist() for name, cells in columns.items()}


def _spelled(values):
    if values.dtype.kind == "f":
        return _texts(values)
    return _dates(values) if values.dtype.kind == "M" else values.astype(str).tolist()


def write_csv(file, table, header=True):
    """Writes a table to an open text file."""
    writer = csv.writer(file, lineterminator="\n")
    if header:
        writer.writerow(table)
    writer.writerows(zip(*table.values()))


def save_csv(path, table):
    """Writes a table as a CSV file, in UTF-8."""
    # The end of a line is the table's own on every system.
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        write_csv(file, table)


def save_npz(path, arrays):
    """Writes arrays as an NPZ file, whatever its name ends in."""
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def _cells(column, feature):
    if not feature.is_category:
        return _texts(column)
    levels = np.array([*feature.levels, ""])
    return levels[np.where(np.isnan(column), -1, column).astype(np.int64)].tolist()


def _texts(column):
    # The fewest digits that are the same number again, of float32 unless it is float64.
    column = np.asarray(column)
    return np.where(np.isnan(column), "", column.astype(str)).tolist()


def _dates(stamps):
    return np.datetime_as_string(stamps).tolist()


def _free(name, taken):
    while name in taken:
        name += "_"
    return name
