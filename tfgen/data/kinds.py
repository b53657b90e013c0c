"""The kinds of data, one row each: how a file of one is recognised and read, and usual choices."""

import dataclasses
from collections.abc import Callable

from tfgen.data import audio, quick_draw, readers, strokes, tables, time_series
from tfgen.data.archives import SPLITS, read_headers
from tfgen.data.text_tables import looks_like_table
from tfgen.errors import InputError


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of data. What people call it is in `tfgen.uses.KINDS`.

    Attributes:
        holds: Function of a path to whether the file looks like data of this kind.
        open: Function `(name, paths, config)` that makes `tfgen.data.Sequences` of files, as a
            `tfgen.recipe.DataConfig` says; None of text, which is no numbers.
        suffixes: Those of files that are read of a folder if the recipe names the kind.
        scaler: What `preprocessing.scaler="auto"` stands for.
    """

    holds: Callable
    open: Callable | None = None
    suffixes: tuple[str, ...] = ()
    scaler: str = "standard"


def kind_of_file(path):
    """Returns the name of the first kind that a file looks like."""
    return next(name for name, kind in KINDS.items() if kind.holds(path))


def _holds_strokes(path):
    suffix = readers.suffix_of(path)
    if suffix in quick_draw.SUFFIXES:
        return quick_draw.holds_drawings(path)
    return suffix == ".svg" or (suffix == ".npz" and _archive_holds_strokes(path))


def _archive_holds_strokes(path):
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


def _holds_sound(path):
    return readers.suffix_of(path) in audio.SUFFIXES


def _holds_table(path):
    suffix = readers.suffix_of(path)
    if suffix in tables.TEXT_SUFFIXES:
        return looks_like_table(path)
    return suffix in tables.SUFFIXES or suffix == ".xls"  # which is refused in words of its own


# In the order in which a file is asked whether it is of one: drawings may be in archives of
# numbers, and what cannot be told is text.
KINDS = {
    "strokes": Kind(_holds_strokes, strokes.open_strokes, strokes.SUFFIXES),
    "audio": Kind(_holds_sound, audio.open_audio, audio.SUFFIXES, scaler="mu_law"),
    "series": Kind(_holds_table, time_series.open_tables, tables.SUFFIXES),
    "text": Kind(lambda path: True),
}
