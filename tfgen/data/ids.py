"""`find_id`: the columns that tell the sequences of a long table from one another."""

import itertools

import numpy as np

# Only where several columns would do.
NAMES = (
    "uniqueid", "seriesid", "itemid", "tsid", "id", "ticker", "symbol", "series", "item", "store",
    "shop", "product", "sku", "station", "sensor", "site", "location", "region", "country",
    "entity", "name", "key", "code",
)  # fmt: skip
# A part of the day that a date goes on with, which tells no series from another.
_PARTS_OF_TIME = (
    "hour",
    "minute",
    "second",
    "period",
    "interval",
    "slot",
    "time",
    "quarter",
    "week",
)
_AGAIN = 0.1  # share of rows whose time has to be there before
_REST = 0.05  # of those, what may be so within the sequences
_CANDIDATES = 8


def id_names(config):
    """Returns the columns that `config.id` names: one, or several with commas between."""
    return [name.strip() for name in (config.id or "").split(",") if name.strip()]


def find_id(table, stamps, names):
    """Finds the columns by which times that come again are those of several sequences.

    No part of a time is taken. A single column is looked for first, one of texts before one of
    integers, then two and three of them together. Where few times come again, it is a column of
    texts whose rows stand together, if times begin again with each of them.

    Args:
        table: A `tfgen.data.tables.Table`.
        stamps: int64 `(rows,)`, the rows' times, or other numbers that order them.
        names: The columns to choose among.

    Returns:
        List of names; empty where times do not come again, or nothing tells why.
    """
    parts = table.part_numbers()
    base = _again(parts, stamps)
    if base < max(_AGAIN * len(stamps), 1):
        return _find_blocks(table, stamps, names) if len(table.parts) == 1 else []
    candidates = {}
    most = _most_at_once(parts, stamps)
    for name in names:
        column = table.columns[name]
        if any(part in name.casefold() for part in _PARTS_OF_TIME):
            continue
        text = column.is_text()
        if not text and not _are_integers(column.numbers(), 2 * most):
            continue
        codes = column.codes()
        count = column.level_count()
        if 2 <= count <= len(stamps) / 2 and (codes < 0).sum() <= _REST * len(codes):
            candidates[name] = (not text, rank(name), count), codes
    for size in (1, 2, 3):
        chosen = []
        best = sorted(candidates, key=lambda name: candidates[name][0])
        for several in itertools.combinations(best[: 99 if size == 1 else _CANDIDATES], size):
            codes = combine([candidates[name][1] for name in several])
            count = len(np.unique(codes[codes >= 0]))
            if count <= len(stamps) / 2 and _again(codes, stamps) <= _REST * base:
                order = [candidates[name][0] for name in several]
                key = order[0][:2] if size == 1 else ()
                chosen.append((key, count, several))
        if chosen:
            return sorted(min(chosen, key=lambda item: item[:2])[2], key=names.index)
    return []


def _find_blocks(table, stamps, names):
    """Finds a column of texts whose rows stand together, and with each text times begin again."""
    steps = np.diff(stamps)
    if (steps >= 0).all() or (steps <= 0).all():
        return []
    for name in sorted(names, key=rank):
        column = table.columns[name]
        if not column.is_text() or not 2 <= column.level_count() <= len(stamps) / 3:
            continue
        inside = np.diff(column.codes()) == 0
        back = steps[~inside]
        ordered = (steps[inside] >= 0).all() and (back < 0).sum() > len(back) / 2
        newest_first = (steps[inside] <= 0).all() and (back > 0).sum() > len(back) / 2
        if len(back) == column.level_count() - 1 and (ordered or newest_first):
            return [name]
    return []


def find_counted_id(table, names):
    """Finds a column of texts whose rows another column counts: series without timestamps.

    Returns:
        `(id, counter)`, two names; None where there is no such pair.
    """
    texts = [name for name in names if table.columns[name].is_text()]
    for name in sorted(texts, key=rank):
        codes, levels = table.columns[name].codes(), table.columns[name].level_count()
        if not 2 <= levels <= table.rows / 3 or (codes < 0).any():
            continue
        for counter in names:
            if counter in texts:
                continue
            values = table.columns[counter].numbers()
            if not _are_integers(values, table.rows):
                continue
            order = np.lexsort((values, codes))
            inside = np.diff(codes[order]) == 0
            if (np.diff(values[order])[inside] == 1).all() and inside.sum() > table.rows / 2:
                return name, counter
    return None


def combine(codes):
    """Returns one code for each combination of codes; -1 where one of them is missing."""
    if len(codes) == 1:
        return codes[0]
    stacked = np.stack(codes, axis=1)
    _, found = np.unique(stacked, axis=0, return_inverse=True)
    return np.where((stacked < 0).any(axis=1), -1, found.reshape(-1))


def rank(name):
    """The place of a name among those that ids have."""
    name = "".join(filter(str.isalnum, name.casefold()))
    return NAMES.index(name) if name in NAMES else len(NAMES)


def _again(groups, stamps):
    """How many rows have the group and the time of another row."""
    order = np.lexsort((stamps, groups))
    same = (np.diff(stamps[order]) == 0) & (np.diff(groups[order]) == 0)
    return int(np.count_nonzero(same))


def _most_at_once(parts, stamps):
    """The greatest number of rows of one time."""
    order = np.lexsort((stamps, parts))
    new = (np.diff(stamps[order]) != 0) | (np.diff(parts[order]) != 0)
    edges = np.flatnonzero(np.concatenate([[True], new, [True]]))
    return int(np.diff(edges).max(initial=1))


def _are_integers(values, most):
    """Whether numbers are integers, of which at most so many differ."""
    values = values[~np.isnan(values)]
    if not len(values) or not (values == np.rint(values)).all():
        return False
    return len(np.unique(values)) <= most
