"""Sequences of numbers as tables of text, for the command line's CSV."""

import csv
import re

import numpy as np

from tfgen.errors import InputError


def parse_time(text):
    """Returns seconds since 1970 of an ISO 8601 text, or of more digits than a year has."""
    if re.fullmatch(r"-?\d{5,18}", text):
        return int(text)
    try:
        time = np.datetime64(text.removesuffix("Z"), "s")
    except ValueError:
        time = np.datetime64("NaT")
    if np.isnat(time):
        raise InputError(
            f"--start-time takes ISO 8601, e.g. 2013-07-01T12:00. Received: --start-time {text}"
        )
    return int(time.astype(np.int64))


def sample_table(arrays, features, times=None, keys=None):
    """Returns a long table of sequences: `{column: list of cells}`.

    Args:
        arrays: List of arrays `(time, features)`. NaN becomes an empty cell.
        features: The `Feature` of each column.
        times: Optional list of int64 arrays `(time,)`, seconds since 1970.
        keys: Dict from a column to what it says of each array, e.g. `{"sample": [1, 2]}`.
    """
    names = [feature.name for feature in features]
    lengths = [len(values) for values in arrays]
    table = {
        _free(key, names): np.repeat(np.array(cells, str), lengths).tolist()
        for key, cells in keys.items()
    }
    if times is not None:
        table[_free("time", names)] = _dates(np.concatenate(times))
    values = np.concatenate(arrays)
    for number, feature in enumerate(features):
        table[feature.name] = _cells(values[:, number], feature)
    return table


def forecast_table(forecasts, features, levels):
    """Returns a long table of forecasts, a row for each position and feature.

    The columns are `id`, `time` (`step`, 1 and on, where there are no times), `feature`, `mean`
    and a `q0.1` for each level. Of a category there is a row for each of its levels,
    `name=level`, whose mean is the share of the samples that have it.

    Args:
        forecasts: List of `(id, times or None, Forecast)`.
        features: The `Feature` of each column.
        levels: The levels of the quantiles.
    """
    timed = all(times is not None for _, times, _ in forecasts)
    quantiles = [f"q{level:g}" for level in levels]
    table = {
        name: [] for name in ("id", "time" if timed else "step", "feature", "mean", *quantiles)
    }
    for identity, times, forecast in forecasts:
        horizon = len(forecast.mean)
        steps = _dates(times) if timed else [str(step) for step in range(1, horizon + 1)]
        groups = []  # (name, mean, quantiles), each a list of a cell for every step
        for number, feature in enumerate(features):
            if feature.is_category:
                drawn = forecast.samples[..., number]  # (samples, horizon)
                for level, name in enumerate(feature.levels):
                    share = _texts(np.mean(drawn == level, axis=0, dtype=np.float32))
                    groups.append((f"{feature.name}={name}", share, [[""] * horizon] * len(levels)))
            else:
                bands = [_texts(forecast.quantiles[level][:, number]) for level in levels]
                groups.append((feature.name, _texts(forecast.mean[:, number]), bands))
        for step in range(horizon):
            for name, mean, bands in groups:
                row = [identity, steps[step], name, mean[step], *(band[step] for band in bands)]
                for column, cell in zip(table.values(), row, strict=True):
                    column.append(cell)
    return table


def write_csv(file, table, header=True):
    """Writes a table to an open text file."""
    writer = csv.writer(file, lineterminator="\n")
    if header:
        writer.writerow(table)
    writer.writerows(zip(*table.values()))


def write_arrays(path, arrays, features, times=None, keys=None):
    """Writes what `sample_table` makes as an NPZ file: numbers as numbers, times as datetime64."""
    names = [feature.name for feature in features]
    lengths = [len(values) for values in arrays]
    content = {
        _free(key, names): np.repeat(np.array(cells), lengths) for key, cells in keys.items()
    }
    if times is not None:
        content[_free("time", names)] = np.concatenate(times).astype("M8[s]")
    values = np.concatenate(arrays)
    for number, feature in enumerate(features):
        column = values[:, number]
        content[feature.name] = np.array(_cells(column, feature)) if feature.is_category else column
    with open(path, "wb") as file:
        np.savez_compressed(file, **content)


def _cells(column, feature):
    if not feature.is_category:
        return _texts(column)
    levels = np.array([*feature.levels, ""])
    return levels[np.where(np.isnan(column), -1, column).astype(np.int64)].tolist()


def _texts(column):
    # The fewest digits that are the same number again, of float32 unless it is float64.
    column = np.asarray(column)
    return np.where(np.isnan(column), "", column.astype(str)).tolist()


def _dates(times):
    return np.datetime_as_string(np.asarray(times, np.int64).astype("M8[s]")).tolist()


def _free(name, taken):
    while name in taken:
        name += "_"
    return name
