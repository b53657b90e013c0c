"""Which columns of a table become features, categories and covariates, and their values."""

import numpy as np

from tfgen.data.columns import MAX_LEVELS
from tfgen.data.date_texts import looks_like_time
from tfgen.data.features import Feature
from tfgen.data.sequences import needs_float64
from tfgen.errors import InputError

# Columns that count the rows are left out if they are called so.
_COUNTERS = {
    "id", "index", "idx", "row", "rows", "rowid", "rownum", "rownumber", "rownames", "rowname",
    "no", "nr", "obs", "record", "recordid", "sno", "srno", "",
}  # fmt: skip
_FEW = 10  # different texts that are few whatever the number of rows
_OFTEN = 0.5  # different texts a cell, from which a text is no category


def read_features(table, names, rows, groups, config):
    """Returns `(features, values)`: `(rows, features)` of those columns that hold some, float32
    unless that loses what changes in one of them.

    Left out, and counted or noted, are columns without values, counters of the rows, texts that
    differ in nearly every row, and texts that say the same in all rows of a sequence.

    Args:
        table: A `tfgen.data.tables.Table`.
        names: The columns to take.
        rows: int64 `(kept,)`: the rows in order.
        groups: int64 `(kept,)`: the number of each row's sequence.
        config: A `tfgen.recipe.DataConfig`.

    Raises:
        InputError: A column that was asked for can be no feature.
    """
    beside = {}
    for name in names:
        asked = name in config.columns or name in config.categories
        reason = None if asked else _is_beside(table, name, rows, groups, config)
        if reason:
            beside[name] = reason
    if len(beside) == len(names):
        beside = {}  # better than nothing
    features, columns = [], []
    for name in names:
        if name in beside:
            table.note(f"the column '{name}' {beside[name]}")
            continue
        if is_category(table, name, config) and name not in config.categories:
            reason = _no_category(table, name, rows, groups)
            if reason and name in config.columns:
                raise InputError(
                    f"The column '{name}' {reason}, which is no category to model: leave it "
                    "out (data.columns), or name it in data.categories. "
                    f"Received: {_shown(table, name)}"
                )
            if reason:
                drop(table, f"the column '{name}' {reason}", rows[:1])
                continue
        levels, values = read_cells(table, name, rows, config)
        if np.isnan(values).all():
            drop(table, f"the column '{name}' has no values", rows[:1])
            continue
        features.append(Feature(name, levels))
        columns.append(values)
    values = np.stack(columns, axis=1) if columns else np.zeros([len(rows), 0])
    return tuple(features), _as_short(values)


def _is_beside(table, name, rows, groups, config):
    """Says why a column only stands beside the series; None if it may be one."""
    static = "in all rows of a sequence, so it is left out (data.static conditions on it)"
    if is_category(table, name, config):
        alike = _is_constant(table, name, rows, groups)
        return f"says one thing {static}" if alike else None
    if _is_counter(table, name):
        return "counts the rows, so it is left out"
    alike = _is_static(table.columns[name].numbers()[rows], groups)
    return f"is one number {static}" if alike else None


def read_covariates(table, names, rows, config):
    """Returns `(names, values)`: `(rows, covariates)`, a category as 0 and 1.

    They are float32 unless that loses what changes in one of them.
    """
    new_names, columns = [], []
    for name in names:
        levels, values = read_cells(table, name, rows, config)
        if not levels:
            new_names.append(name)
            columns.append(values)
        for number, level in enumerate(levels):
            new_names.append(f"{name}={level}")
            chosen = (values == number).astype(np.float32)
            columns.append(np.where(np.isnan(values), values, chosen))
    if not columns:
        return (), None
    return tuple(new_names), _as_short(np.stack(columns, axis=1))


def _as_short(values):
    """Values `(rows, columns)` as float32, unless that loses what changes in one of them."""
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    differ = np.flatnonzero((short != values).any(axis=0) & ~np.isnan(values).all(axis=0))
    return values if any(needs_float64(values[:, column]) for column in differ) else short


def read_cells(table, name, rows, config):
    """Returns `(levels, values)` of a column, float64 with NaN where a cell is missing."""
    if is_category(table, name, config):
        levels, codes = read_categories(table, name, rows)
        return levels, np.where(codes < 0, np.nan, codes)
    column = table.columns[name]
    values = column.numbers()[rows]
    for what, (count, row, text) in column.faults.items():
        reason = f"a cell of '{name}' {what}, so it is missing"
        table.report.dropped[reason] = [count, f"{text[:40]!r} at {table.where(row)}"]
    for note in column.notes:
        table.note(f"'{name}': {note}")
    return (), values


def is_category(table, name, config):
    column = table.columns[name]
    return name in config.categories or column.is_text() or column.is_coded()


def read_categories(table, name, rows):
    """Returns `(levels, numbers)` of some rows, see `tfgen.data.columns.Column.categories`."""
    if table.columns[name].level_count() > MAX_LEVELS:
        raise InputError(
            f"The column '{name}' has more than {MAX_LEVELS:,} different texts, which is "
            "too many for categories: leave it out by naming the others (data.columns)"
        )
    return table.columns[name].categories(rows)


def one_of_each(table, name, rows, groups, values, missing):
    """Returns of each group of rows the one value that it has, or `missing`."""
    found = np.full(groups.max(initial=-1) + 1, missing, values.dtype)
    present = np.flatnonzero(~np.isnan(values) if np.isnan(missing) else values != missing)
    # The last of a group wins; any other that differs is one too many.
    found[groups[present]] = values[present]
    other = present[values[present] != found[groups[present]]]
    if len(other):
        raise InputError(
            f"'{name}' must be the same in all rows of a sequence, and is not: another value is at "
            f"{table.where(rows[other[0]])}"
        )
    return found


def drop(table, reason, rows):
    """Counts rows in the report, with the first of them."""
    if len(rows):
        table.report.dropped[reason] = [len(rows), table.where(rows.min())]


def _no_category(table, name, rows, groups):
    """Says why a column of texts is no category; None if it may be one."""
    column = table.columns[name]
    codes = column.codes()[rows]
    there = codes >= 0
    pairs, different = _distinct(groups[there], codes[there])
    if groups.max(initial=0) and pairs <= len(np.unique(groups)):
        return None  # one text for each sequence
    if different >= _FEW and pairs > _OFTEN * there.sum():
        like = " that look like times (data.time)" if looks_like_times(column) else ""
        return f"has {different:,} different texts in {there.sum():,} rows{like}"
    if different > MAX_LEVELS:
        return f"has more than {MAX_LEVELS:,} different texts"
    return None


def _distinct(groups, codes):
    """Returns how many pairs of group and code there are, and how many codes."""
    count = codes.max(initial=-1) + 1
    used = np.bincount(codes, minlength=1).astype(bool)
    if not groups.any():
        return int(used.sum()), int(used.sum())
    pairs = np.unique(groups.astype(np.int64) * count + codes)
    return len(pairs), int(used.sum())


def looks_like_times(column):
    """Whether most of the different texts of a column can be read as times."""
    texts = column.texts(200)
    return 2 * sum(map(looks_like_time, texts)) > len(texts)


def _is_constant(table, name, rows, groups):
    """Whether there are several sequences, and all rows of each have the same text."""
    if not groups.any():
        return False
    codes = table.columns[name].codes()[rows]
    there = codes >= 0
    return _distinct(groups[there], codes[there])[0] <= len(np.unique(groups[there]))


def _is_static(values, groups):
    """Whether the numbers of several long sequences differ between them and never within."""
    if not groups.any():
        return False
    inside = np.diff(groups) == 0
    starts = np.flatnonzero(np.concatenate([[True], ~inside]))
    if len(starts) < 2 or len(values) < 3 * len(starts) or np.isnan(values).any():
        return False
    return not np.diff(values)[inside].any() and len(np.unique(values[starts])) > 1


def counts_rows(column):
    """Whether the numbers of a column are those of the rows, as an index is."""
    if column.is_text():
        return False
    values = column.numbers()
    if len(values) < 3 or np.isnan(values).any() or len(np.unique(values)) < len(values):
        return False
    return bool(np.mean(np.diff(values) == 1) > 0.9)


def _is_counter(table, name):
    """Whether a column of numbers only counts the rows, as its name says."""
    plain = "".join(filter(str.isalnum, name.casefold()))
    return plain in _COUNTERS and counts_rows(table.columns[name])


def _shown(table, name):
    return ", ".join(repr(text[:30]) for text in table.columns[name].texts(3))
