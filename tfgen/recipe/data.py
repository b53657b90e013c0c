"""The sections `[data]` and `[preprocessing]`: what a model is trained on, and as what tensors."""

import dataclasses
from typing import ClassVar

from tfgen.errors import InputError
from tfgen.kinds import KINDS
from tfgen.recipe.fields import Section, field
from tfgen.uses import listed

# Rows that a forecast reads, unless told otherwise.
CONTEXT = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """What a model is trained on."""

    section: ClassVar[str] = "data"

    name: str = field(
        "shakespeare",
        "a built-in set's name, or a path; of what train(data=...) was given: 'data in memory'",
    )
    column: str | None = field(
        None, "the column of a CSV file or the key of a JSONL file to read", of="text"
    )
    source: str | None = field(
        None,
        "the column of the texts from which a model with model.encoder makes those of data.column; "
        "strokes: what says the text of a drawing, an array of an .npz ('texts'), a key of lines "
        "of JSON ('word'), an annotation of InkML ('label'), or a .csv of file and text",
        of=("text", "strokes"),
    )
    source_data: str | None = field(
        None,
        "where the sources are drawings or other sequences of numbers: a folder, whose files the "
        "column names, or a set, of which it names sequences by their id or class",
        of="text",
        needs="source",
    )
    kind: str | None = field(
        None,
        f"what the data is: {listed(KINDS)}; none infers it",
        choices=KINDS,  # and those that a person adds
    )
    columns: tuple[str, ...] = field(
        (), "columns to model; empty takes all that are left", of="series"
    )
    time: str | None = field(
        None,
        "the column of times, or several that say it together, e.g. 'Date+Time' or "
        "'year+month+day+hour'; none finds it by what columns hold and are called",
        of="series",
    )
    time_format: str | None = field(
        None,
        "how times are written: as strptime has it, e.g. '%d.%m.%Y %H:%M', or day-first, "
        "month-first or year-first; numbers: s, ms, us or ns since 1970, or excel; none finds it",
        of="series",
    )
    id: str | None = field(
        None,
        "the column that identifies a sequence, or several with commas between; "
        "none looks for it where times come again",
        of="series",
    )
    categories: tuple[str, ...] = field((), "columns of numbers that are categories", of="series")
    known: tuple[str, ...] = field(
        (), "columns that are known beforehand, given, not modelled", of="series"
    )
    static: tuple[str, ...] = field(
        (), "columns that are one number for a whole sequence", of="series"
    )
    label: str | None = field(
        None,
        "the column with the class of a sequence, or of each text of data.column; strokes, music "
        "and audio: 'folder' takes the folder's name, 'name:^([a-z]+)_' what the group finds in "
        "the file's; drawings in lines of JSON: a key",
    )
    layout: str = field(
        "auto",
        "'columns' are features; 'rows' and 'series': each row, each column is a series of "
        "its own; auto takes rows where a row begins with a name and goes on with numbers only",
        of="series",
        choices=("auto", "columns", "rows", "series"),
    )
    header: str = field(
        "auto",
        "the line with the columns' names, counted from 1; 'none' calls them x0, x1, ...; "
        "auto looks for it",
        of="series",
    )
    delimiter: str | None = field(
        None,
        "what separates the fields of a line: a character, 'tab' or 'space' (runs of "
        "spaces and tabs); none looks for it",
        of="series",
    )
    decimal: str = field(
        "auto",
        "whether 1,234 has a decimal comma (',') or a comma for thousands ('.'); auto "
        "tells by all of a table's numbers",
        of="series",
        choices=("auto", ".", ","),
    )
    sheet: str | None = field(None, "the sheet of an .xlsx file; none takes the first", of="series")
    missing: tuple[str, ...] = field(
        (), "texts or numbers that stand for a missing value, e.g. '-200', 'M'", of="series"
    )
    allow_dropped: float = field(
        0.5,
        "the share of rows that may be dropped without an error",
        of="series",
        low=0,
        high=1,
    )
    bounds: tuple[str, ...] = field(
        (),
        "what values lie between, e.g. 'humid=0:100', 'rain=0:', 'x=auto' as trained on",
        of="series",
    )
    resolution: tuple[str, ...] = field(
        (),
        "the steps in which columns were recorded, e.g. 'temp=0.1', 'wind=auto' as found in the "
        "training data: their likelihood is of the steps, and samples are multiples",
        of="series",
    )
    circular: tuple[str, ...] = field(
        (),
        "columns that begin again after a period, e.g. 'wind_dir=360': read as sine and cosine, "
        "and drawn modulo the period",
        of="series",
    )
    sample_rate: int | None = field(
        None, "samples a second; none takes that of most files", of="audio", low=1
    )
    max_length: int | None = field(
        None,
        "longer sequences are cut to so many positions",
        of=("strokes", "audio", "music"),
        low=1,
    )
    voices: int = field(
        0,
        "0 tells of a frame which pitches sound; else what each of so many voices sings, from the "
        "highest to the lowest",
        of="music",
        low=0,
        high=32,
    )
    pitches: str = field(
        "21:108", "the lowest and the highest pitch, as MIDI numbers them", of="music"
    )
    frame_step: str | None = field(
        None,
        "how long a frame is, as a part of a whole note; none is 1/16 for MIDI, and 1/4 for frames "
        "of a file, which are taken as they are",
        of="music",
    )
    simplify: float = field(0.0, "how far a line may leave the drawn one", of="strokes", low=0)
    max_numbers: int = field(
        1 << 27,
        "the most numbers that the data may become in memory, 8 bytes each (by default 1 GiB): a "
        "small file can become many",
        low=1,
    )
    validation_fraction: float = field(
        0.1, "the share of the data, at its end, that is kept for validation", above=0, below=1
    )
    split: str = field(
        "auto",
        "'time' keeps the last part of each sequence for validation, 'sequences' whole ones, "
        "'blocks' blocks spread over the time, to judge what is generated, 'blocks+time' blocks "
        "and the last part, to judge forecasts as well",
        of="numbers",
        choices=("auto", "time", "sequences", "blocks", "blocks+time"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessingConfig(Section):
    """How raw data becomes tensors."""

    section: ClassVar[str] = "preprocessing"

    tokenizer: str = field(
        "auto",
        "what one token is: character, byte, bpe (subwords of bytes), word (between spaces) or "
        "auto: word for music as events, else character",
        of="text",
        choices=("auto", "character", "byte", "bpe", "word"),
    )
    max_vocabulary: int | None = field(
        None,
        "with the tokenizers character and word: keep only so many of the most frequent ones; none "
        "keeps all",
        of="text",
        low=1,
    )
    vocabulary_size: int | None = field(
        None,
        "with the tokenizer bpe: tokens at most, the 256 bytes among them; none is 1024",
        of="text",
        low=256,
        high=1 << 20,
    )
    scaler: str = field(
        "auto",
        "standard, min_max, robust, mean or median (of each series), mu_law, whiten or none; "
        "auto is mu_law for audio, else standard",
        of="numbers",
        choices=(
            "auto",
            "standard",
            "min_max",
            "robust",
            "mean",
            "median",
            "mu_law",
            "whiten",
            "none",
        ),
    )
    log1p: tuple[str, ...] = field(
        (), "skewed columns to take the logarithm of 1 + x of", of="numbers"
    )
    calendar: bool = field(
        True, "give the model the time of day, of the week and of the year", of="series"
    )

    def __post_init__(self):
        super().__post_init__()
        for key, of in (
            ("max_vocabulary", ("character", "word", "auto")),
            ("vocabulary_size", ("bpe",)),
        ):
            value = getattr(self, key)
            if value is not None and self.tokenizer not in of:
                raise InputError(
                    f"preprocessing.{key} is for the tokenizer {listed(of[:2])}, not for "
                    f"'{self.tokenizer}'. Received: preprocessing.{key}={value}"
                )
