"""Wide tables: a series in each row, or in each column, made long."""

import re

import numpy as np

from tfgen.data.columns import Coded
from tfgen.data.dates import NO_TIME
from tfgen.data.ids import NAMES, rank
from tfgen.data.table_features import drop, looks_like_times
from tfgen.errors import InputError

VALUE = "value"
_LEAST = 10  # columns of values that a row must have to be taken for a series
_RUN = re.compile(r"(\D*?)0*(\d{1,9})(?:\D.*)?")
_DATE = re.compile(r"[Xx]?\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?")


def find_layout(table, config):
    """Returns `"rows"` if `config.layout` or the table says that each row is a series, else
    `config.layout`, where `"auto"` is `"columns"`.

    A row is a series where it begins with at least one text, of which one differs in every row,
    and goes on with at least ten numbers, in columns whose names count on (`V2`, `V3`, ... or days)
    and that make most of the table.
    """
    if config.layout != "auto":
        return config.layout
    asked = config.columns or config.time or config.known
    if asked or table.rows < 2 or len(table.names) < _LEAST + 1:
        return "columns"
    run = _run(table)
    others = _others(table, run)
    named = config.id in others or _identity(table, others, run)
    if len(run) >= _LEAST and len(run) > len(others) and named:
        return "rows"
    return "columns"


def unfold_rows(table, config, times_of_names):
    """Returns `(table, stamps)`: each row of a table as a part of its own, of a column `value`.

    Args:
        table: A `tfgen.data.tables.Table`.
        config: A `tfgen.recipe.DataConfig`. The columns of `id`, `label` and `static` keep their
            names; without an id it is the first column whose texts all differ, else the line.
        times_of_names: Function from names to int64 microseconds since 1970, None if they are no
            times.
    """
    roles = {config.id, config.label, *config.static}
    run = _run(table)
    if config.layout == "rows":
        # Whoever says so need not number the columns.
        run = [n for n in table.names if n not in roles and not table.columns[n].is_text()]
        run = [n for n in run if n in set(config.columns)] if config.columns else run
    if not run:
        raise InputError(
            "A series in each row needs columns of numbers. Received: data.layout='rows'"
        )
    others = _others(table, run)
    identity = [config.id] if config.id else _identity(table, others, run)
    values = np.stack([table.columns[name].numbers() for name in run], axis=1)
    stamps = times_of_names(run)
    kept = [name for name in others if name in roles and name not in identity]
    left = [name for name in others if name not in kept and name not in identity]
    known = ~np.isnan(values)
    first = known.argmax(axis=1)
    last = values.shape[1] - known[:, ::-1].argmax(axis=1)
    there = known.any(axis=1)
    drop(table, "the row has no values", np.flatnonzero(~there))
    ids = [f"{row + 1}" for row in range(table.rows)]
    if identity:
        ids = [
            "/".join(filter(None, texts)) for texts in zip(*(_texts(table, n) for n in identity))
        ]
    columns = {name: _texts(table, name) for name in kept}
    value = _free(VALUE, [*kept, *roles])
    long = table.again([value, *([config.id] if config.id else []), *kept])
    new_stamps = []
    for row in np.flatnonzero(there):
        part = values[row, first[row] : last[row]]
        cells = [part]
        if config.id:
            cells.append(Coded([ids[row]], np.zeros(len(part), np.int32)))
        for name in kept:
            missing = columns[name][row] == ""
            cells.append(Coded([columns[name][row]], np.full(len(part), -missing, np.int32)))
        long.add_part(table.where(row), ids[row], cells)
        if stamps is not None:
            new_stamps.append(stamps[first[row] : last[row]])
    shown = f"of {run[0]!r} to {run[-1]!r}" if len(run) > 1 else f"of {run[0]!r}"
    of = f", named by '{', '.join(identity)}'" if identity else ""
    long.note(f"each row is a series {shown}{of} (data.layout='rows')")
    if left:
        shown = ", ".join(f"'{name}'" for name in left[:5])
        long.note(f"columns beside the series are left out: {shown} (data.static, data.label)")
    return long, np.concatenate(new_stamps) if new_stamps else None


def unfold_columns(table, config, used, stamps):
    """Returns `(table, stamps)`: each column of numbers as a part of its own, of a column `value`.

    Args:
        table: A `tfgen.data.tables.Table`.
        config: A `tfgen.recipe.DataConfig`.
        used: Columns that the times are read from.
        stamps: int64 `(rows,)` microseconds since 1970, or None.
    """
    roles = [config.id, config.label, *config.static, *config.known, *config.categories]
    taken = next((name for name in roles if name), None)
    if taken is not None:
        raise InputError(
            f"With a series in each column, '{taken}' can be no id, label, category or covariate. "
            "Received: data.layout='series'"
        )
    names = config.columns or [n for n in table.names if n not in used]
    chosen = [name for name in names if not table.columns[name].is_text()]
    taken = set(chosen)
    left = [name for name in names if name not in taken]
    long, new_stamps = table.again([VALUE]), []
    for name in chosen:
        values = table.columns[name].numbers()
        rows = np.flatnonzero(~np.isnan(values))
        if not len(rows):
            drop(long, f"the column '{name}' has no values", np.array([0]))
            continue
        rows = np.arange(rows[0], rows[-1] + 1)
        if stamps is not None:
            rows = rows[stamps[rows] != NO_TIME]
            new_stamps.append(stamps[rows])
        long.add_part(f"column '{name}'", name, [values[rows]])
    long.note("each column is a series (data.layout='series')")
    if left:
        shown = ", ".join(f"'{name}'" for name in left[:5])
        long.note(f"columns of texts are left out: {shown}")
    return long, np.concatenate(new_stamps) if new_stamps else None


def _others(table, run):
    taken = set(run)
    return [name for name in table.names if name not in taken]


def _run(table):
    """The longest run of columns of numbers whose names count on, or are all times."""
    best, run, before = [], [], None
    for name in table.names:
        if table.columns[name].is_text():
            run, before = [], None
            continue
        match = None if _DATE.match(name) else _RUN.fullmatch(name)
        key = (match[1], int(match[2])) if match else bool(_DATE.match(name))
        counts = match and isinstance(before, tuple) and key == (before[0], before[1] + 1)
        if counts or (key is True and before is True):
            run.append(name)
        else:
            run = [name]
        before = key
        best = max(best, run, key=len)
    return best


def _identity(table, names, run):
    """The first column whose texts differ in every row, else all of those with texts if they do
    so together, else numbers that are called an id beside columns called 1, 2, ... or by days;
    empty if there are none."""
    texts = [name for name in names if table.columns[name].is_text()]
    texts = [name for name in texts if not looks_like_times(table.columns[name])]
    for name in texts:
        if table.columns[name].level_count() == table.rows:
            return [name]
    if len(texts) > 1:
        codes = np.stack([table.columns[name].codes() for name in texts], axis=1)
        if len(np.unique(codes, axis=0)) == table.rows:
            return texts
    if run and (run[0].isdecimal() or _DATE.match(run[0])):
        for name in names:
            if rank(name) < len(NAMES) and table.columns[name].level_count() == table.rows:
                return [name]
    return []


def _texts(table, name):
    codes = table.columns[name].codes()
    names = [*table.columns[name].texts(None), ""]
    return [names[code] for code in codes]


def _free(name, taken):
    while name in taken:
        name += "_"
    return name
