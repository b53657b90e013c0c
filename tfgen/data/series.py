"""`open_sequences`: sequences of numbers of each kind, of files and of built-in sets."""

import collections
import os

from tfgen.data import readers
from tfgen.data.builtin import open_builtin
from tfgen.data.catalog import BUILTIN
from tfgen.data.memory import MEMORY, hold, not_given
from tfgen.data.sequences import Sequences
from tfgen.data.text import open_text
from tfgen.errors import InputError
from tfgen.files import home_path
from tfgen.kinds import KINDS, find_kind, kinds_of_numbers, load
from tfgen.names import normalise
from tfgen.uses import listed


def data_kind(config, data=None):
    """Tells what data is, without reading all of it.

    Args:
        config: A `tfgen.recipe.DataConfig`. Its `kind` is taken if there is one, and a `column`
            means text.
        data: What `tfgen.data.memory.hold` takes, for data in memory.

    Returns:
        One of `tfgen.kinds.KINDS`. What cannot be told is text; a folder is what most of its files
        are.

    Raises:
        InputError: If there is nothing of that name, or a built-in set is of another kind.
    """
    if data is not None:
        return hold(data, config.max_numbers).kind(config)
    if config.name == MEMORY and config.kind is not None:
        return config.kind  # what they were is known without them
    key, path = _find(config.name)
    if key is not None:
        kind = BUILTIN[key].kind
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
    found = collections.Counter(_kind_of_file(file) for file in _files(path))
    return found.most_common(1)[0][0] if found else "text"


def open_sequences(config, data=None):
    """Opens sequences of numbers to train or to score on.

    Args:
        config: A `tfgen.recipe.DataConfig`. Its `name` is that of a built-in set or a path: of a
            table (CSV, TSV, Parquet, NPZ), of drawings (SVG, NPZ), of sound, or of a folder of
            such files. What else it says: see `tfgen.data.time_series.open_tables`,
            `tfgen.data.strokes.open_strokes` and `tfgen.data.audio.open_audio`.
        data: Arrays, frames or a dataset in memory, see `tfgen.data.memory.hold`, in place of what
            `config.name` names. The columns of a frame are those of a table; those of arrays are
            called `x0`, `x1` and so on.

    Returns:
        `Sequences`. Everything is in memory, and what is wrong with it is known by now.

    Raises:
        InputError: If there is nothing of that name, it is text, or it is not as `config` says.
    """
    if data is not None:
        return hold(data, config.max_numbers).sequences(config)
    kind = data_kind(config)
    key, path = _find(config.name)
    row = find_kind(kind)
    if row.modality == "text":
        raise InputError(
            f"{config.name} is text, where sequences of numbers are wanted (data.kind says what a "
            f"file is: {listed(kinds_of_numbers())})"
        )
    if key is not None:
        return open_builtin(key, config)
    paths, others = [path], []
    if path.is_dir():
        # An archive of numbers may be drawings if somebody says so.
        allowed = row.suffixes if config.kind else ()
        paths = [
            file
            for file in _files(path)
            if readers.suffix_of(file) in allowed or (not allowed and _kind_of_file(file) == kind)
        ]
        chosen = set(paths)
        others = [file for file in _files(path) if file not in chosen]
        if not paths:
            raise InputError(f"{path} holds no files of {kind}. Received: data.kind={config.kind}")
    sequences = _checked(load(row.open)(config.name, paths, config), row, config.name)
    for file in others:
        sequences.report.drop(f"a file is no {kind}", str(file))
    return sequences


def _kind_of_file(path):
    """Returns the name of the kind that a file looks like."""
    for row in reversed(KINDS.values()):
        holds = load(row.holds)
        if holds(path) if holds else readers.suffix_of(path) in row.suffixes:
            return row.name
    return "text"


def _checked(sequences, row, name):
    """What a reader returned; a person's own may have found nothing, or return something else."""
    if not isinstance(sequences, Sequences) or sequences.kind != row.name:
        raise InputError(
            f"The function that opens {row.words} must return tfgen.data.Sequences of the kind "
            f"'{row.name}'. Received: {sequences!r:.200}"
        )
    if not sequences.positions:
        dropped = "; ".join(
            f"{number} x {reason} (first: {example})"
            for reason, (number, example) in sequences.report.dropped.items()
        )
        raise InputError(
            f"There are no {row.words} in {name}" + (f": {dropped}" if dropped else "")
        )
    width = len(sequences.features)
    for identity, values in zip(sequences.ids, sequences.values, strict=True):
        if values.ndim != 2 or values.shape[1] != width:
            raise InputError(
                f"The function that opens {row.words} must return arrays (time, {width}), as many "
                f"columns as features. Received: {values.shape} of {identity}"
            )
    return sequences


def _find(name):
    """Returns `(key, None)` of a built-in set, `(None, path)` of a file or folder."""
    if name == MEMORY:
        raise not_given()
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
