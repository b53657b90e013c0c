"""`open_sequences`: time series, strokes and sound, of files and of built-in sets."""

import collections
import math
import os

import numpy as np

from tfgen.data import (
    audio,
    dates,
    quick_draw,
    readers,
    strokes,
    tables,
    time_columns,
    wide,
)
from tfgen.data.archives import SPLITS, read_headers
from tfgen.data.builtin import BUILTIN, open_builtin
from tfgen.data.ids import id_names
from tfgen.data.sequences import Feature, Sequences
from tfgen.data.table_features import (
    drop,
    one_of_each,
    read_categories,
    read_covariates,
    read_features,
)
from tfgen.data.table_rows import check_dropped, sort_rows
from tfgen.data.text import open_text
from tfgen.data.text_tables import looks_like_table
from tfgen.errors import InputError, NoValues, unknown
from tfgen.files import home_path
from tfgen.names import normalise

_SUFFIXES = {"series": tables.SUFFIXES, "strokes": strokes.SUFFIXES, "audio": audio.SUFFIXES}


def data_kind(config):
    """Tells what data is, without reading all of it.

    Args:
        config: A `tfgen.recipe.DataConfig`. Its `kind` is taken if there is one, and a `column`
            means text.

    Returns:
        `"text"`, `"series"`, `"strokes"` or `"audio"`. What cannot be told is text; a folder is
        what most of its files are.

    Raises:
        InputError: If there is nothing of that name, or a built-in set is of another kind.
    """
    key, path = _find(config.name)
    if key is not None:
        kind = getattr(BUILTIN[key], "kind", "text")
        if config.kind not in (None, kind):
            raise InputError(
                f"The built-in set '{key}' is {kind}. Received: data.kind={config.kind!r}"
            )
        return kind
    if config.kind is not None:
        return config.kind
    if config.column is not None:
        return "text"
    if not path.is_dir():
        return _kind_of_file(path)
    kinds = collections.Counter(_kind_of_file(file) for file in _files(path))
    return kinds.most_common(1)[0][0] if kinds else "text"


def open_sequences(config):
    """Opens sequences of numbers to train or to score on.

    Args:
        config: A `tfgen.recipe.DataConfig`. Its `name` is that of a built-in set or a path: of a
            table (CSV, TSV, Parquet, NPZ), of drawings (SVG, NPZ), of sound, or of a folder of
            such files. What else it says: see `open_tables`, `tfgen.data.strokes.open_strokes` and
            `tfgen.data.audio.open_audio`.

    Returns:
        `Sequences`. Everything is in memory, and what is wrong with it is known by now.

    Raises:
        InputError: If there is nothing of that name, it is text, or it is not as `config` says.
    """
    kind = data_kind(config)
    key, path = _find(config.name)
    if kind == "text":
        raise InputError(
            f"{config.name} is text, where sequences of numbers are wanted (data.kind says what a "
            "file is: series, strokes or audio)"
        )
    if key is not None:
        sequences = open_builtin(key, config)
        # A table has its bounds by now, those that come with the set among them.
        return sequences if kind == "series" else set_bounds(sequences, config)
    paths, others = [path], []
    if path.is_dir():
        # An archive of numbers may be drawings if somebody says so.
        allowed = _SUFFIXES[config.kind] if config.kind else ()
        paths = [
            file
            for file in _files(path)
            if readers.suffix_of(file) in allowed or (not allowed and _kind_of_file(file) == kind)
        ]
        chosen = set(paths)
        others = [file for file in _files(path) if file not in chosen]
        if not paths:
            raise InputError(f"{path} holds no files of {kind}. Received: data.kind={config.kind}")
    if kind == "series":
        sequences = open_tables(config.name, paths, config)
    elif kind == "strokes":
        sequences = set_bounds(strokes.open_strokes(config.name, paths, config), config)
    else:
        sequences = set_bounds(audio.open_audio(config.name, paths, config), config)
    for file in others:
        sequences.report.drop(f"a file is no {kind}", str(file))
    return sequences


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
    return set_bounds(sequences, config, lambda i, position: table.where(rows[edges[i] + position]))


def set_bounds(sequences, config, where=None):
    """Gives features the bounds that `config.bounds` says.

    Args:
        sequences: `Sequences`.
        config: A `tfgen.recipe.DataConfig`. One of its bounds is `"name=low:high"`, where either
            may be left out, or `"name=auto"`: the least and the greatest value of the part that
            is for training.
        where: Optional function of a sequence's number and a position, to text for a person.

    Returns:
        The same sequences.

    Raises:
        InputError: If a bound is none or of no number, or a value lies outside.
    """
    names = [feature.name for feature in sequences.features]
    features, train, done = list(sequences.features), None, set()
    for bound in config.bounds:
        name, low, high, automatic = _bound(bound)
        if name not in names:
            raise unknown("feature of data.bounds", name, names)
        number = names.index(name)
        if features[number].is_category or name in done:
            fault = "has bounds already" if name in done else "is a category and has no bounds"
            raise InputError(f"'{name}' {fault}. Received: data.bounds={bound!r}")
        done.add(name)
        if automatic:
            train = train or sequences.split(config.validation_fraction, config.split)[0]
            found = np.concatenate([part[:, number] for part in train.values])
            found = found[~np.isnan(found)]
            if not len(found) or found.min() == found.max():
                raise InputError(
                    f"'{name}' has fewer than two values in the part for training: give its bounds "
                    f"as '{name}=low:high'. Received: data.bounds={bound!r}"
                )
            low, high = float(found.min()), float(found.max())
        else:
            _check_bound(sequences, number, low, high, bound, where)
        features[number] = Feature(name, low=low, high=high)
    sequences.features = tuple(features)
    return sequences


def _bound(text):
    """Returns `(name, low, high, automatic)` of one of `data.bounds`."""
    name, equals, value = text.rpartition("=")
    name, value = name.strip(), value.strip()
    low, colon, high = value.partition(":")
    if value != "auto":
        try:
            low, high = float(low or -math.inf), float(high or math.inf)
        except ValueError:
            low = high = math.nan
    fits = colon and low < high and (math.isfinite(low) or math.isfinite(high))
    if not equals or not (fits or value == "auto"):
        raise InputError(
            "data.bounds must be like 'name=low:high' with low < high, 'name=low:', 'name=:high' "
            f"or 'name=auto'. Received: data.bounds={text!r}"
        )
    if value == "auto":
        return name, None, None, True
    return name, *(bound if math.isfinite(bound) else None for bound in (low, high)), False


def _check_bound(sequences, number, low, high, bound, where):
    # As the values are: 0.1 is a little more in float32.
    kind = sequences.values[0].dtype.type if len(sequences) else np.float32
    low = kind(-np.inf if low is None else low)
    high = kind(np.inf if high is None else high)
    count, first = 0, None
    for i, values in enumerate(sequences.values):
        outside = np.flatnonzero((values[:, number] < low) | (values[:, number] > high))
        if len(outside) and first is None:
            position = int(outside[0])
            place = where(i, position) if where else f"{sequences.ids[i]}, position {position}"
            first = f"{values[position, number]:g} at {place}"
        count += len(outside)
    if count:
        raise InputError(
            f"'{sequences.features[number].name}' has values outside its bounds: {count:,}, "
            f"the first of them {first}. Received: data.bounds={bound!r}"
        )


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


def _find(name):
    """Returns `(key, None)` of a built-in set, `(None, path)` of a file or folder."""
    text = os.fspath(name)
    key = normalise(text)
    if isinstance(name, str) and key in BUILTIN:
        return key, None
    try:
        path = home_path(text)
        if text.strip() and (path.is_file() or path.is_dir()):
            return None, path
    except OSError:
        pass
    open_text(name)  # raises: it knows what to say of a name that is nothing
    raise InputError(f"{text} cannot be opened")


def _files(folder):
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(folder).parts)
    )


def _kind_of_file(path):
    suffix = readers.suffix_of(path)
    if suffix == ".svg" or (suffix == ".npz" and _holds_strokes(path)):
        return "strokes"
    if suffix in quick_draw.SUFFIXES and quick_draw.holds_drawings(path):
        return "strokes"
    if suffix in audio.SUFFIXES:
        return "audio"
    if suffix in tables.SUFFIXES or suffix == ".xls":
        return "series"
    is_table = suffix in tables.TEXT_SUFFIXES and looks_like_table(path)
    return "series" if is_table else "text"


def _holds_strokes(path):
    """Whether an archive looks like drawings: `points` with `offsets`, or as sketch-rnn's are."""
    try:
        headers = read_headers(path)
    except InputError:
        return False
    if {"points", "offsets"} <= set(headers):
        return True
    # As the files of sketch-rnn are; or a drawing for each split.
    if any(dtype.hasobject for key, (_, dtype) in headers.items() if key in SPLITS):
        return True
    return bool(headers) and all(
        key in SPLITS and len(shape) == 2 and shape[1] == 3 for key, (shape, _) in headers.items()
    )
