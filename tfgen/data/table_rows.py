"""`sort_rows`: which rows of a table are kept, to which sequence they belong, in which order."""

import numpy as np

from tfgen.data import dates
from tfgen.data.ids import combine, find_counted_id, find_id, id_names
from tfgen.data.table_features import counts_rows, drop
from tfgen.errors import InputError


def sort_rows(table, time, stamps, candidates, config):
    """Finds the sequences of a table and sorts its rows.

    Args:
        table: A `tfgen.data.tables.Table`.
        time: What the times are called, None if there are none.
        stamps: int64 `(rows,)` microseconds since 1970, None if there are none.
        candidates: Columns among which the id may be, if `config.id` names none.
        config: A `tfgen.recipe.DataConfig`.

    Returns:
        `(rows, groups, ids, taken)`: the rows that are kept, in the order of their sequences and
        of time; for each the number of its sequence; what the sequences are called; and the
        columns that were found to tell this, which are no features.
    """
    rows = np.arange(table.rows)
    ids, groups = table.parts, table.part_numbers()
    names, order, taken = id_names(config), stamps, ()
    if not names and time is not None:
        names = find_id(table, stamps, candidates)
        if names:
            shown = ", ".join(names)
            table.note(f"times come again for each '{shown}', which is taken for the id (data.id)")
    elif not names and len(table.parts) == 1:
        found = find_counted_id(table, candidates)
        if found is not None:
            names, order = found[:1], table.columns[found[1]].numbers()
            taken = found[1:]
            table.note(
                f"'{found[1]}' counts the rows of each '{found[0]}', which is taken for the id "
                "(data.id)"
            )
    if names:
        ids, groups = _groups_of(table, names)
        drop(table, f"the row has no '{', '.join(names)}'", rows[groups < 0])
        rows = rows[groups >= 0]
    if time is not None:
        known = stamps[rows] != dates.NO_TIME
        drop(table, f"'{time}' is no timestamp", rows[~known])
        rows = rows[known]
        rows = rows[np.lexsort((stamps[rows], groups[rows]))]
        again = (np.diff(stamps[rows]) == 0) & (np.diff(groups[rows]) == 0)
        hint = "" if names else " (data.id tells several sequences apart)"
        drop(table, f"'{time}' was there before{hint}", rows[1:][again])
        rows = np.concatenate([rows[:1], rows[1:][~again]])
    elif order is not None:
        rows = rows[np.lexsort((order[rows], groups[rows]))]
    else:
        rows = rows[np.argsort(groups[rows], kind="stable")]
    unnamed = [column for column in table.unnamed if time != "" or column is not table.unnamed[0]]
    for column in unnamed:
        if counts_rows(column):
            table.note("a column without a name counts the rows, so it is left out")
        else:
            table.report.drop("a column has no name, so it is left out", table.where(0))
    return rows, groups[rows], ids, {*names, *taken}


def _groups_of(table, names):
    """Returns `(ids, groups)` of the rows: what the sequences are called, and each row's number."""
    rows = np.arange(table.rows)
    found = [table.columns[name].categories(rows) for name in names]
    if len(found) == 1:
        return found[0]
    groups = combine([codes for _, codes in found])
    ids = [""] * (groups.max(initial=-1) + 1)
    _, first = np.unique(groups, return_index=True)
    for row in first[groups[first] >= 0]:
        ids[groups[row]] = "/".join(levels[codes[row]] for levels, codes in found)
    return ids, groups


def check_dropped(table, kept, config):
    """Raises the error of a table of which more rows are dropped than `config` allows."""
    total = table.rows + table.lost
    if not total or (total - kept) / total <= config.allow_dropped:
        return
    reasons = "; ".join(table.report.reasons())
    raise InputError(
        f"{total - kept:,} of {total:,} rows would be dropped: {reasons}. Say what the columns are "
        "(data.time, data.id, data.header, data.delimiter), or allow it. "
        f"Received: data.allow_dropped={config.allow_dropped:g}"
    )
