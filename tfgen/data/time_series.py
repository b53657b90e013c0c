"""`open_tables`: tables as time series."""

import numpy as np

from tfgen.data import dates, strokes, tables, time_columns, wide
from tfgen.data.ids import id_names
from tfgen.data.recording import set_recording
from tfgen.data.sequences import Sequences
from tfgen.data.table_features import (
    drop,
    one_of_each,
    read_categories,
    read_covariates,
    read_features,
)
from tfgen.data.table_rows import check_dropped, sort_rows
from tfgen.errors import InputError, NoValues


def open_tables(name, paths, config):
    """Makes sequences of tables.

    Rows are sorted by time in each sequence. A row is dropped, and counted, if its time or its id
    is missing, or if its time was there before. A missing cell stays missing. A column is one of
    categories if most of its cells are no numbers. The values of `known` and `static` that are
    categories become one column of 0 and 1 for each level, called `column=level`.

    Args:
        name: As the data was asked for.
        paths: List of files that `tfgen.data.tables.read_tables` reads. Without an id column,
            each is a sequence of its own.
        config: A `tfgen.recipe.DataConfig`: `columns`, `time`, `id`, `categories`, `known`,
            `static`, `label`, `bounds`; for automatic bounds the split as well.

    Returns:
        `Sequences` of kind `"series"`. `times` is None without timestamps, and where several are
        in one second: then they only order the rows.

    Raises:
        InputError: A file cannot be read, or is not as `config` says.
    """
    roles = _roles(config)
    asked = time_columns.asked_columns(config)

    def wanted(column):
        return column not in asked

    def times_of(column):
        return time_columns.open_times(column, config, needed)

    needed = {**{name: "data.categories" for name in config.categories}, **roles}
    # Which of these there must be is known when the header has been read.
    present = {name: role for name, role in needed.items() if name not in asked or len(asked) == 1}
    table = tables.Table(wanted, times_of, present, config)
    tables.read_tables(paths, table)
    layout = wide.find_layout(table, config)
    if layout == "rows":
        table, stamps = wide.unfold_rows(table, config, _times_of_names)
        name_of_times = None if stamps is None else "the column's name"
        when = time_columns.RowTimes(name_of_times, stamps=stamps)
    else:
        when = time_columns.find_times(table, config)
        for note in when.notes:
            table.note(note)
    time, stamps, used = when.name, when.stamps, when.columns
    if layout == "series":
        table, stamps = wide.unfold_columns(table, config, used, stamps)
        used = set()
    unfolded = layout in ("rows", "series")
    others = [n for n in table.names[unfolded:] if n not in roles and n not in used]
    rows, groups, ids, taken = sort_rows(table, time, stamps, others, config)
    if unfolded:
        chosen = table.names[:1]  # of the values
    else:
        chosen = config.columns or [name for name in others if name not in taken]
    if config.label is not None:
        classes, classes_of_rows = read_categories(table, config.label, rows)
        labels = one_of_each(table, config.label, rows, groups, classes_of_rows, -1)
        drop(table, f"the sequence has no '{config.label}'", rows[labels[groups] < 0])
        rows, groups = rows[labels[groups] >= 0], groups[labels[groups] >= 0]
    if not len(rows):
        raise strokes.nothing_found("row", name, table.report)
    check_dropped(table, len(rows), config)
    features, values = read_features(table, chosen, rows, groups, config)
    if not features:
        raise strokes.nothing_found("column of values", name, table.report, NoValues)
    known_names, known = read_covariates(table, config.known, rows, config)
    static_names, static = read_covariates(table, config.static, rows, config)
    used, starts = np.unique(groups, return_index=True)
    edges = starts[1:]
    table.report.kept = len(rows)
    sequences = Sequences(
        name,
        "series",
        features,
        np.split(values, edges),
        [ids[group] for group in used],
        known=np.split(known, edges) if known_names else None,
        known_names=known_names,
        static_names=static_names,
        report=table.report,
    )
    if static_names:
        columns = [
            one_of_each(table, column, rows, groups, values, np.nan)
            for column, values in zip(static_names, static.T, strict=True)
        ]
        sequences.static = np.stack(columns, axis=1)[used]
    if config.label is not None:
        sequences.labels, sequences.classes = labels[used].astype(np.int32), classes
    if time is not None:
        seconds = stamps[rows] // 1_000_000
        same = (np.diff(seconds) == 0) & (np.diff(groups) == 0)
        if same.any():
            drop(table, "times within one second, which order the rows only", rows[1:][same])
        else:
            sequences.times = np.split(seconds, edges)
            sequences.time_form = when.label
    edges = np.array([0, *edges])

    def where(i, position):
        return table.where(rows[edges[i] + position])

    return set_recording(sequences, config, where)


def _roles(config):
    """Returns `{column: what of the recipe asks for it}`."""
    roles = {}
    asked = [("data.time", time_columns.asked_columns(config)), ("data.id", id_names(config))]
    asked.append(("data.label", [config.label]))
    asked += [(f"data.{key}", getattr(config, key)) for key in ("columns", "known", "static")]
    for key, names in asked:
        for name in names:
            if name is not None and name in roles:
                raise InputError(f"The column '{name}' is asked for by {roles[name]} and by {key}")
            if name is not None:
                roles[name] = key
    return roles


def _times_of_names(names):
    """Returns the times that names of columns are, int64 microseconds; None if they are none."""
    times = dates.Times(asked=True)
    times.add_texts([name.removeprefix("X") for name in names])  # as R has them
    found = times.read()
    return None if found is None or (found.stamps == dates.NO_TIME).any() else found.stamps
