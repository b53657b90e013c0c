"""The kinds of data, one row each: how one is called, recognised, read, modelled, shown, written.

A row names what lies on higher floors by path, `"module:function"`, as a person's own row may hold
the function itself. It is loaded when it is first needed, and nothing is imported here.
"""

import dataclasses
import importlib
import re
from collections.abc import Callable, Mapping

from tfgen.errors import InputError, unknown

# What a field of a recipe may be for besides a kind (`tfgen.uses`), and what stands for no kind.
_RESERVED = ("numbers", "autoregressive", "diffusion", "adversarial", "none", "auto")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of data. Where a function is wanted, so is its path, `"module:function"`.

    Attributes:
        name: Of `data.kind` and of the files of a model, e.g. `"strokes"`.
        words: What messages call it, e.g. `"pen strokes"`: it follows "a model of".
        open: Function `(name, paths, config)` that makes `tfgen.data.Sequences` of files, as a
            `tfgen.recipe.DataConfig` says; None of text, which is no numbers.
        read: Of what is modelled as text, a function `(path, report)` of a file to its text, a
            line, which may raise `tfgen.data.readers.Unreadable`; None of files that are text
            themselves.
        vocabulary: Of what is modelled as text, a function of `()` to a text of words that a
            tokenizer knows in any case, or None.
        suffixes: Of its files, in lower case. Those of a folder are read if a recipe names the
            kind.
        holds: Function of a `Path` to whether the file looks like data of this kind; None goes by
            the suffix.
        ends: Whether a sequence is a whole thing, as a drawing or a clip is, whose end is learned.
            One that goes on, as a series does, is forecast and imputed.
        continues: Whether whole things are gone on with, from a beginning, and imputed as well.
        pen: Whether a position is a movement of a pen and whether it is lifted then: dx, dy, pen.
        like: Other kinds whose fields of a recipe are for this one as well, and what
            `training.augment` does to them.
        scaler: What `preprocessing.scaler="auto"` stands for.
        tokenizer: What `preprocessing.tokenizer="auto"` stands for.
        head: What a recipe without a `head` stands for.
        formats: Dict from a suffix to a function of `tfgen.report.kinds.Samples`, which returns
            functions of a `Path`, each of which writes a file. There are `.csv`, `.npz` and `.png`
            without being named. The last one is what a person wants most of samples.
        figure: Function `(samples, quick=False)` that draws `Samples` as a matplotlib Figure; None
            draws features as lines over time.
        lines: Function of an array `(time, features)` to lines `(points, 2)` of x and, downward, y:
            its thumbnail; None takes each feature by position.
        sounds: Function of `Samples` to a list of arrays `(samples, 1)` to be heard, and samples a
            second; None takes the arrays as they are.
        facts: Function of `Sequences` to the lines that `tfgen inspect` tells of them; None tells
            of each feature.
        inspect: Of what is modelled as text, a function of a `DataConfig` to what `tfgen inspect`
            tells, and a picture, a matplotlib Figure; None tells of characters.
        show: Of what is modelled as text, a function `(tag, text)` by which TensorBoard shows a
            sample besides its words; None shows these alone.
        noun: What samples are called, in titles of pictures and tags of TensorBoard; None is the
            name.
        unit: What its reader counts, e.g. `"row"`.
        per: Dict from what likelihoods are told per, besides a value, e.g. `"note"`, to a function
            of an array `(time, features)` and its features: how many there are. Then the end of a
            sequence is left out of all likelihoods that are told, as those published do.
        beside: Whether `figure` draws real ones beside generated ones, in one picture; and whether
            so much may be long, and is to be cut.
        audible: Whether samples are to be heard, at a sample rate, and no table for a terminal.
        titled: Whether an id is of use as a title.
        inspected: Sequences in the picture of `tfgen inspect`.
        watched: Samples in a picture of TensorBoard's.
        compared: Sequences of a picture in a report.
    """

    name: str
    words: str
    open: Callable | str | None
    read: Callable | str | None = None
    vocabulary: Callable | str | None = None
    suffixes: tuple[str, ...] = ()
    holds: Callable | str | None = None
    ends: bool = False
    continues: bool = False
    pen: bool = False
    like: tuple[str, ...] = ()
    scaler: str = "standard"
    tokenizer: str = "character"
    head: str = "gaussian_mixture"
    formats: Mapping[str, Callable | str] = dataclasses.field(default_factory=dict)
    figure: Callable | str | None = None
    lines: Callable | str | None = None
    sounds: Callable | str | None = None
    facts: Callable | str | None = None
    inspect: Callable | str | None = None
    show: Callable | str | None = None
    noun: str | None = None
    unit: str = "sequence"
    per: Mapping[str, Callable | str] = dataclasses.field(default_factory=dict)
    beside: bool = False
    audible: bool = False
    titled: bool = True
    inspected: int = 4
    watched: int = 3
    compared: int = 4

    @property
    def modality(self):
        """What its models are of: `"text"`, or `"numbers"`."""
        return "text" if self.open is None else "numbers"

    @property
    def goes_on(self):
        """Whether its sequences go on, and so are forecast and imputed."""
        return self.modality == "numbers" and not self.ends

    @property
    def usual_suffix(self):
        """Of the file that a person wants most of samples."""
        return next(reversed(self.formats), ".csv")


def load(path):
    """Returns what a path `"module:name"` stands for; anything else is returned as it is."""
    if not isinstance(path, str):
        return path
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


# As they are listed for people. A file is asked in the reverse order whether it is of one: what a
# person adds comes first, drawings may be in archives of numbers, and what cannot be told is text.
KINDS = {
    row.name: row
    for row in (
        Kind(name="text", words="text", open=None),
        Kind(
            name="series",
            words="time series",
            open="tfgen.data.time_series:open_tables",
            suffixes=(".csv", ".tsv", ".parquet", ".npz", ".xlsx", ".xlsm"),
            holds="tfgen.data.tables:holds_table",
            noun="series",
            unit="row",
            beside=True,
        ),
        Kind(
            name="strokes",
            words="pen strokes",
            open="tfgen.data.strokes:open_strokes",
            suffixes=(".npz", ".svg", ".ndjson", ".jsonl", ".bin", ".inkml"),
            holds="tfgen.data.strokes:holds_strokes",
            ends=True,
            pen=True,
            head="bivariate_mixture",
            formats={
                ".npz": "tfgen.report.kinds:drawings_as_npz",
                ".svg": "tfgen.report.kinds:drawings_as_svg",
            },
            figure="tfgen.report.kinds:figure_of_drawings",
            lines="tfgen.report.kinds:lines_of_drawing",
            noun="drawings",
            unit="drawing",
            titled=False,
            inspected=100,
            watched=16,
            compared=49,
        ),
        Kind(
            name="audio",
            words="sound",
            open="tfgen.data.audio:open_audio",
            suffixes=(".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif"),
            ends=True,
            scaler="mu_law",
            head="quantized",
            formats={".wav": "tfgen.report.kinds:sounds_as_wav"},
            figure="tfgen.report.kinds:figure_of_sounds",
            noun="sounds",
            unit="clip",
            audible=True,
            inspected=6,
            watched=4,
        ),
        Kind(
            name="music",
            words="music as frames",
            open="tfgen.data.music.frames:open_music",
            suffixes=(
                ".json",
                ".mid",
                ".midi",
                ".kar",
                ".mxl",
                ".musicxml",
                ".xml",
                ".abc",
                ".krn",
            ),
            holds="tfgen.data.music.frames:holds_music",
            ends=True,
            continues=True,
            head="chain",
            formats={
                ".wav": "tfgen.report.pieces:pieces_as_wav",
                ".mid": "tfgen.report.pieces:pieces_as_midi",
            },
            figure="tfgen.report.pieces:figure_of_pieces",
            lines="tfgen.report.pieces:lines_of_piece",
            sounds="tfgen.report.pieces:sounds_of_pieces",
            facts="tfgen.report.pieces:facts_of_pieces",
            noun="pieces",
            unit="piece",
            audible=True,
            per={
                "frame": "tfgen.data.music.frames:count_frames",
                "note": "tfgen.data.music.frames:count_notes",
            },
        ),
        Kind(
            name="events",
            words="music as events",
            open=None,
            read="tfgen.data.music.events:read_words",
            vocabulary="tfgen.data.music.events:vocabulary",
            inspect="tfgen.report.inspect_music:inspect_events",
            show="tfgen.training.music:show_piece",
            suffixes=(".mid", ".midi", ".kar", ".musicxml", ".mxl", ".abc", ".krn"),
            like=("text",),
            tokenizer="word",
            unit="piece",
        ),
    )
}


def find_kind(name):
    """Returns the row of a kind; raises `InputError` with near matches."""
    if name not in KINDS:
        raise unknown("kind of data", name, KINDS)
    return KINDS[name]


def kinds_of_numbers():
    """Returns the names of all kinds but text."""
    return tuple(name for name, row in KINDS.items() if row.modality == "numbers")


def register_kind(kind):
    """Adds a person's own kind of sequences of numbers, or of files that are read as text; every
    command knows it then.

    A cell of a notebook that runs twice, or a module that is reloaded, adds the same kind again:
    the later one takes the place of the earlier one.

    Args:
        kind: A `Kind`.

    Returns:
        The kind.

    Raises:
        InputError: Its name is taken or is none, or it has no reader.

    Example:

        register_kind(Kind(name="dice", words="dice rolls", open=open_dice, suffixes=(".dice",)))
    """
    if not isinstance(kind, Kind):
        raise InputError(f"Only a tfgen.data.Kind can be registered. Received: {kind!r}")
    name = kind.name
    if not isinstance(name, str) or not re.fullmatch("[a-z][a-z0-9_-]*", name):
        raise InputError(
            "A kind of data has a name of lower-case letters, digits, '-' and '_'. "
            f"Received: name={name!r}"
        )
    if name in _RESERVED or (name in KINDS and not _is_same(kind, KINDS[name])):
        raise InputError(f"The name '{name}' is taken: it is not free for a kind of data")
    if kind.open is None and kind.read is None:
        raise InputError(f"The kind '{name}' needs a reader of files. Received: open=None")
    for field in ("suffixes", "formats"):
        suffixes = getattr(kind, field)
        if isinstance(suffixes, str) or not all(
            re.fullmatch(r"\.[^.\sA-Z]+", suffix) for suffix in suffixes
        ):
            raise InputError(
                f"The {field} of the kind '{name}' must be of suffixes such as '.dice', in lower "
                f"case. Received: {field}={suffixes!r}"
            )
    for other in kind.like:
        find_kind(other)
    KINDS[name] = kind
    return kind


def _is_same(one, other):
    """Whether two rows are of the same reader, which may have been defined anew."""
    return one == other or _place(one.open or one.read) == _place(other.open or other.read)


def _place(function):
    name = getattr(function, "__qualname__", None)
    return function if name is None else (function.__module__, name)
