"""Recipes: what a model is, what it is trained on and how, as frozen dataclasses and as TOML.

The dataclasses are the one source of every field's name, default, range and explanation: the
command line's help, the checks of a recipe file and the recipe saved with a run are made of them.

A recipe file has two keys at its top, `family` and `description`, and the sections `[model]`,
`[data]`, `[preprocessing]`, `[training]` and `[generation]`. Only `family` has to be there:

    family = "lstm"

    [model]
    units = 256

    [training]
    steps = 1000

The keys of `[model]` are the arguments of the family's constructor, which this module does not
know: `tfgen.models.build` checks them.
"""

import dataclasses
import re
from pathlib import Path
from typing import ClassVar, NamedTuple

import tomli_w

from tfgen import uses
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file, read_text
from tfgen.names import normalise
from tfgen.values import TYPES, check_plain, check_text, load_toml, parse_value

# A recipe is a page of text; what is larger is another file, and is not read into memory.
MAX_FILE_BYTES = 1 << 20


def _field(
    default, help, *, of=(), needs=None, low=None, high=None, above=None, below=None, choices=None
):
    """Returns a dataclass field with its explanation, its range and what it is for.

    Args:
        default: The value when the recipe does not name the field.
        help: One line for the command line's help, without what the field is for.
        of: What the field is for, of `tfgen.uses.TRAITS`: a model with none of them has no use for
            it. Empty is every model.
        needs: A field of the same section without which this one does nothing.
        low: The least allowed value.
        high: The greatest allowed value.
        above: A bound that the value must exceed.
        below: A bound that the value must stay under.
        choices: The allowed values.
    """
    bounds = {">=": low, "<=": high, ">": above, "<": below}
    bounds = {sign: bound for sign, bound in bounds.items() if bound is not None}
    of = (of,) if isinstance(of, str) else of
    help = f"{' and '.join(of)}: {help}" if of else help
    metadata = {"help": help, "of": of, "needs": needs, "bounds": bounds, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


class _Section:
    """Checks every field of a section against its type and its range when it is made."""

    section: ClassVar[str]

    def __post_init__(self):
        for field in dataclasses.fields(self):
            key = f"{self.section}.{field.name}"
            value = TYPES[field.type].check(key, getattr(self, field.name))
            if value is not None:
                _check_range(key, value, field.metadata)
            object.__setattr__(self, field.name, value)

    def unused(self, kind, engine=None, conditional=None):
        """Returns the names of fields that differ from their defaults and that a model ignores.

        Args:
            kind: The kind of the model's data, one of `tfgen.uses.KINDS`.
            engine: One of `tfgen.uses.ENGINES`; None is not known.
            conditional: Whether the model takes a class or another condition; None is not known.
        """
        model = uses.traits(kind, engine, conditional)
        return [
            field.name
            for field in dataclasses.fields(self)
            if field.metadata["of"]
            and not model.intersection(field.metadata["of"])
            and getattr(self, field.name) != field.default
        ]

    def check_used(self, kind, engine=None, conditional=None):
        """Refuses a value that such a model has no use for; see `unused` for the arguments.

        Raises:
            InputError: For a field that differs from its default and would do nothing.
        """
        fields = {field.name: field for field in dataclasses.fields(self)}
        for name in self.unused(kind, engine, conditional):
            raise InputError(
                f"{self.section}.{name} is for {uses.words(fields[name].metadata['of'])}, and "
                f"{uses.model_words(kind, engine, conditional)}. {self._received(name)}"
            )
        for name, field in fields.items():
            needed = field.metadata["needs"]
            if needed and getattr(self, name) != field.default and not getattr(self, needed):
                raise InputError(
                    f"{self.section}.{name} does nothing without {self.section}.{needed}. "
                    f"{self._received(name)}"
                )

    def _received(self, name):
        value = getattr(self, name)
        value = list(value) if isinstance(value, tuple) else value
        return f"Received: {self.section}.{name}={value!r}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(_Section):
    """What a model is trained on."""

    section: ClassVar[str] = "data"

    name: str = _field("shakespeare", "a built-in set's name, or a path")
    column: str | None = _field(
        None, "the column of a CSV file or the key of a JSONL file to read", of="text"
    )
    kind: str | None = _field(
        None,
        "what the data is: text, series, strokes or audio; none infers it",
        choices=("text", "series", "strokes", "audio"),
    )
    columns: tuple[str, ...] = _field(
        (), "columns to model; empty takes all that are left", of="series"
    )
    time: str | None = _field(
        None,
        "the column of times, or several that say it together, e.g. 'Date+Time' or "
        "'year+month+day+hour'; none finds it by what columns hold and are called",
        of="series",
    )
    time_format: str | None = _field(
        None,
        "how times are written: as strptime has it, e.g. '%d.%m.%Y %H:%M', or day-first, "
        "month-first or year-first; numbers: s, ms, us or ns since 1970, or excel; none finds it",
        of="series",
    )
    id: str | None = _field(
        None,
        "the column that identifies a sequence, or several with commas between; "
        "none looks for it where times come again",
        of="series",
    )
    categories: tuple[str, ...] = _field((), "columns of numbers that are categories", of="series")
    known: tuple[str, ...] = _field(
        (), "columns that are known beforehand, given, not modelled", of="series"
    )
    static: tuple[str, ...] = _field(
        (), "columns that are one number for a whole sequence", of="series"
    )
    label: str | None = _field(
        None,
        "the column with the class of a sequence; strokes and audio: 'folder' takes the folder's "
        "name, 'name:^([a-z]+)_' what the group finds in the file's; drawings in lines of JSON: a key",
        of="numbers",
    )
    layout: str = _field(
        "auto",
        "'columns' are features; 'rows' and 'series': each row, each column is a series of "
        "its own; auto takes rows where a row begins with a name and goes on with numbers only",
        of="series",
        choices=("auto", "columns", "rows", "series"),
    )
    header: str = _field(
        "auto",
        "the line with the columns' names, counted from 1; 'none' calls them x0, x1, ...; "
        "auto looks for it",
        of="series",
    )
    delimiter: str | None = _field(
        None,
        "what separates the fields of a line: a character, 'tab' or 'space' (runs of "
        "spaces and tabs); none looks for it",
        of="series",
    )
    decimal: str = _field(
        "auto",
        "whether 1,234 has a decimal comma (',') or a comma for thousands ('.'); auto "
        "tells by all of a table's numbers",
        of="series",
        choices=("auto", ".", ","),
    )
    sheet: str | None = _field(
        None, "the sheet of an .xlsx file; none takes the first", of="series"
    )
    missing: tuple[str, ...] = _field(
        (), "texts or numbers that stand for a missing value, e.g. '-200', 'M'", of="series"
    )
    allow_dropped: float = _field(
        0.5,
        "the share of rows that may be dropped without an error",
        of="series",
        low=0,
        high=1,
    )
    bounds: tuple[str, ...] = _field(
        (),
        "what values lie between, e.g. 'humid=0:100', 'rain=0:', 'x=auto' as trained on",
        of="series",
    )
    sample_rate: int | None = _field(
        None, "samples a second; none takes that of most files", of="audio", low=1
    )
    max_length: int | None = _field(
        None, "longer sequences are cut to so many positions", of=("strokes", "audio"), low=1
    )
    simplify: float = _field(0.0, "how far a line may leave the drawn one", of="strokes", low=0)
    max_numbers: int = _field(
        1 << 27,
        "the most numbers that the data may become in memory, 8 bytes each (by default 1 GiB): a small "
        "file can become many",
        low=1,
    )
    validation_fraction: float = _field(
        0.1, "the share of the data, at its end, that is kept for validation", above=0, below=1
    )
    split: str = _field(
        "auto",
        "'time' keeps the last part of each sequence for validation, 'sequences' whole ones",
        of="numbers",
        choices=("auto", "time", "sequences"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessingConfig(_Section):
    """How raw data becomes tensors."""

    section: ClassVar[str] = "preprocessing"

    tokenizer: str = _field(
        "character",
        "what one token is: character or byte",
        of="text",
        choices=("character", "byte"),
    )
    max_vocabulary: int | None = _field(
        None,
        "with the character tokenizer: keep only so many of the most frequent ones; none keeps all",
        of="text",
        low=1,
    )
    scaler: str = _field(
        "auto",
        "standard, min_max, robust, mean (of each series), mu_law, whiten or none; "
        "auto is mu_law for audio, else standard",
        of="numbers",
        choices=("auto", "standard", "min_max", "robust", "mean", "mu_law", "whiten", "none"),
    )
    log1p: tuple[str, ...] = _field(
        (), "skewed columns to take the logarithm of 1 + x of", of="numbers"
    )
    calendar: bool = _field(
        True, "give the model the time of day, of the week and of the year", of="series"
    )

    def __post_init__(self):
        super().__post_init__()
        if self.max_vocabulary is not None and self.tokenizer != "character":
            raise InputError(
                f"preprocessing.max_vocabulary is for the character tokenizer; "
                f"'{self.tokenizer}' has a fixed vocabulary. "
                f"Received: preprocessing.max_vocabulary={self.max_vocabulary}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(_Section):
    """How a model is trained. One step is one update of the weights on one batch."""

    section: ClassVar[str] = "training"

    steps: int = _field(2000, "updates of the weights in all", low=1)
    batch_size: int = _field(32, "windows in a batch", low=1)
    window: int = _field(128, "tokens in a training window", low=1)
    carry_state: bool = _field(
        False, "carry the state from window to window (truncated backpropagation through time)"
    )
    augment: tuple[str, ...] = _field(
        (),
        "what is done to training batches, in this order, anew at every turn. Text: dropout=0.1 "
        "hides so many of the inputs, noise=0.05 replaces so many by tokens as frequent as in the "
        "data. Series and strokes: jitter=0.03 adds noise of so many standard deviations, scale=0.1 "
        "takes a sequence times a factor about 1, warp=0.2 makes it faster here and slower there. "
        "Strokes: rotate=15 turns a drawing by up to so many degrees. Series: transpose=5:alto+bass "
        "moves the notes of these columns by up to so many semitones. Sound: gain=12 makes it "
        "quieter by up to so many decibels, flip=0.5 turns so many upside down, pitch=2 plays it "
        "faster or slower by up to so many semitones, shift=100 begins up to so many samples later",
    )
    precision: str = _field(
        "float32",
        "what the products of a step are computed in; weights and updates are float32 in any case",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    optimizer: str = _field(
        "adamw",
        "adamw; muon, which makes the update of a matrix orthogonal and leaves the rest to adamw; or "
        "any other of Keras' by its name, e.g. sgd, lion, adafactor",
    )
    optimizer_options: tuple[str, ...] = _field(
        (), "further arguments of that optimizer in Keras, e.g. 'momentum=0.9', 'nesterov=true'"
    )
    learning_rate: float = _field(2e-3, "the highest learning rate, after the warm-up", above=0)
    warmup_steps: int = _field(100, "steps over which the learning rate rises from 0", low=0)
    schedule: str = _field(
        "cosine",
        "how the learning rate goes from there to the last step",
        choices=("cosine", "linear", "constant"),
    )
    final_learning_rate: float = _field(
        0.0, "the learning rate at the last step, where the cosine or the line ends", low=0
    )
    beta_2: float = _field(
        0.99, "decay of the squared gradient's average, where the optimizer has one", low=0, below=1
    )
    weight_decay: float = _field(
        0.01, "decoupled weight decay of matrices: all but biases and gains", low=0
    )
    clip_norm: float = _field(1.0, "the gradient's greatest global norm; 0 does not clip", low=0)
    clip_value: float = _field(
        0.0, "the greatest absolute value of a gradient's number; 0 does not clip", low=0
    )
    accumulate: int = _field(
        1, "parts that a batch is taken in, one after the other: for batches beyond memory", low=1
    )
    start_from: str | None = _field(
        None, "a model whose weights are the first: an entry's name, or the path of a run"
    )
    vocabulary: str = _field(
        "auto",
        "with start_from: keep that model's symbols, or find new ones in the data, of which "
        "those that it knows keep their weights; auto: new if the data has others",
        of="text",
        needs="start_from",
        choices=("auto", "keep", "new"),
    )
    freeze: tuple[str, ...] = _field(
        (), "weights that do not change, by patterns of layers or weights, e.g. 'block_[01]'"
    )
    lora_rank: int = _field(
        0, "with start_from: train adapters of this rank for its matrices; 0 trains weights", low=0
    )
    lora_alpha: float = _field(
        0.0,
        "what adapters add is multiplied by this over the rank; 0 takes the rank",
        needs="lora_rank",
        low=0,
    )
    lora_targets: tuple[str, ...] = _field(
        (),
        "matrices that get adapters, by patterns as in freeze; empty takes all but recurrent ones",
        needs="lora_rank",
    )
    lora_also: tuple[str, ...] = _field(
        (),
        "weights that are trained as they are beside adapters, by patterns, e.g. 'head'",
        needs="lora_rank",
    )
    ema: float = _field(0.0, "decay of the average of the weights; 0 is off", low=0, below=1)
    seed: int = _field(0, "the seed of weights, batches and dropout", low=0)
    log_every: int = _field(50, "steps between two lines of the log", low=1)
    validate_every: int = _field(250, "steps between two validations; 0 is never", low=0)
    validation_batches: int = _field(20, "batches in one validation", low=1)
    sample_every: int = _field(500, "steps between two samples in TensorBoard; 0 is never", low=0)
    histogram_every: int = _field(500, "steps between two sets of histograms; 0 is never", low=0)
    checkpoint_every: int = _field(250, "steps between two checkpoints; 0: only at the end", low=0)
    keep_checkpoints: int = _field(2, "how many of the latest checkpoints are kept", low=1)
    patience: int = _field(
        0, "validations without improvement after which training stops; 0 never stops it", low=0
    )
    profile: str | None = _field(
        None, "FIRST:LAST, e.g. 200:205: the steps that TensorBoard's profile is of; none is off"
    )

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "profile", self.profile or None)
        self.profiled_steps()

    def profiled_steps(self):
        """Returns the steps of `profile`, counted from 1, as a `range`."""
        if self.profile is None:
            return range(0)
        found = re.fullmatch(r"(\d{1,18}):(\d{1,18})", self.profile, re.ASCII)
        first, last = map(int, found.groups()) if found else (0, 0)
        if not 1 <= first <= last:
            raise InputError(
                "training.profile must be FIRST:LAST, the first and the last step to profile, counted "
                f"from 1, e.g. '200:205'. Received: training.profile={self.profile!r}"
            )
        return range(first, last + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationConfig(_Section):
    """How a trained model is sampled, unless a call says otherwise."""

    section: ClassVar[str] = "generation"

    max_new_tokens: int = _field(200, "tokens to generate after the prompt", of="text", low=1)
    temperature: float = _field(
        1.0,
        "divides the logits: below 1 is more careful, 0 takes the most likely",
        of="autoregressive",
        low=0,
    )
    top_k: int = _field(0, "sample from the k most likely tokens; 0 is off", of="text", low=0)
    top_p: float = _field(
        1.0,
        "sample from the smallest set of tokens of this probability; 1 is off",
        of="text",
        above=0,
        high=1,
    )
    min_p: float = _field(
        0.0,
        "drop tokens below this share of the most likely one's probability; 0 is off",
        of="text",
        low=0,
        high=1,
    )
    repetition_penalty: float = _field(
        1.0,
        "above 1 makes tokens that were already there less likely; 1 is off",
        of="text",
        above=0,
    )
    stop: tuple[str, ...] = _field(
        (), "strings that end the text where they first appear", of="text"
    )
    length: int | None = _field(
        None, "positions to generate; none takes the data's own length", of="numbers", low=1
    )
    bias: float = _field(
        0.0,
        "above 0 samples nearer to the most likely value, e.g. neater strokes",
        of="autoregressive numbers",
        low=0,
    )
    num_steps: int = _field(50, "steps from noise to a sequence", of="diffusion", low=1, high=1000)
    solver: str = _field(
        "dpmpp_2m",
        "how a step is taken: dpmpp_2m, dpmpp_2m_sde, ddim, ddpm, euler, heun, "
        "langevin, predictor_corrector, or mala, of a model with energy = true",
        choices=(
            "dpmpp_2m", "dpmpp_2m_sde", "ddim", "ddpm", "euler", "heun", "langevin",
            "predictor_corrector", "mala",
        ),
        of="diffusion",
    )  # fmt: skip
    guidance_scale: float = _field(
        1.0,
        "above 1 exaggerates the class or the condition; 1 takes it as it is",
        of=("conditional text", "conditional diffusion"),
        low=0,
    )
    resamplings: int = _field(
        10, "how often each step is taken when gaps are filled by repaint", of="diffusion", low=1
    )

    def __post_init__(self):
        super().__post_init__()
        if "" in self.stop:
            raise InputError(
                f"generation.stop must hold no empty string. Received: generation.stop={self.stop}"
            )


SECTIONS = {
    config.section: config
    for config in (DataConfig, PreprocessingConfig, TrainingConfig, GenerationConfig)
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A family, its arguments, its data, its training and its sampling defaults.

    Args:
        family: Name of the family, e.g. `"lstm"`. Kept in lower case, with `-` for `_`.
        model: Arguments of the family's constructor, as far as they are not its defaults.
        data: A `DataConfig`.
        preprocessing: A `PreprocessingConfig`.
        training: A `TrainingConfig`.
        generation: A `GenerationConfig`.
        description: What the model is, for people.

    Raises:
        InputError: A value has the wrong type or is out of range.
    """

    family: str
    model: dict = dataclasses.field(default_factory=dict)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    preprocessing: PreprocessingConfig = dataclasses.field(default_factory=PreprocessingConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    generation: GenerationConfig = dataclasses.field(default_factory=GenerationConfig)
    description: str = ""

    def __post_init__(self):
        family = normalise(check_text("family", self.family))
        if not family:
            raise InputError("family must name a family, e.g. 'lstm'. Received: family=''")
        object.__setattr__(self, "family", family)
        object.__setattr__(self, "description", check_text("description", self.description))
        if not isinstance(self.model, dict):
            raise InputError(f"model must be a section of keys. Received: model={self.model!r}")
        object.__setattr__(self, "model", check_plain("model", self.model))
        for name, config in SECTIONS.items():
            if not isinstance(getattr(self, name), config):
                raise InputError(
                    f"{name} must be a {config.__name__}. Received: {name}={getattr(self, name)!r}"
                )

    def check_used(self, kind, engine=None, conditional=None):
        """Refuses values that such a model, or data of that kind, has no use for.

        Args:
            kind: What the data is, one of `tfgen.uses.KINDS`.
            engine: One of `tfgen.uses.ENGINES`; None is not known.
            conditional: Whether the model takes a class or another condition; None is not known.

        Raises:
            InputError: For the first field that differs from its default and would do nothing.
        """
        for name in SECTIONS:
            getattr(self, name).check_used(kind, engine, conditional)

    @classmethod
    def from_dict(cls, tables):
        """Returns the recipe of nested dictionaries, as a TOML file gives them."""
        known = ["family", "description", "model", *SECTIONS]
        for key in tables:
            if key not in known:
                owners = _owners(key)
                raise unknown("recipe key" if owners else "recipe section", key, owners or known)
        if "family" not in tables:
            raise InputError('family is missing: a recipe names its family, e.g. family = "lstm"')
        arguments = dict(tables)
        for name, config in SECTIONS.items():
            table = tables.get(name, {})
            if not isinstance(table, dict):
                raise InputError(f"{name} must be a section, [{name}]. Received: {name}={table!r}")
            for key in table:
                if key not in _names(config):
                    raise _unknown_key(name, key)
            arguments[name] = config(**table)
        return cls(**arguments)

    @classmethod
    def from_toml(cls, text, where="recipe"):
        """Returns the recipe of a TOML text; messages begin with `where`."""
        try:
            return cls.from_dict(load_toml(text))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        except ValueError as error:  # the value of a message may be a number of thousands of digits
            raise InputError(f"{where}: not a recipe: {error}") from None

    @classmethod
    def from_file(cls, path):
        """Returns the recipe of a TOML file.

        Raises:
            InputError: What is wrong, beginning with the path.
            OSError: The file cannot be read.
        """
        text = read_text(path, MAX_FILE_BYTES)
        return cls.from_toml(text.replace("\r\n", "\n"), where=str(path))

    def to_dict(self):
        """Returns nested dictionaries that TOML can hold; what is None is left out."""
        tables = {"family": self.family, "description": self.description}
        tables["model"] = check_plain("model", self.model)
        for name in SECTIONS:
            values = dataclasses.asdict(getattr(self, name))
            tables[name] = {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in values.items()
                if value is not None
            }
        return tables

    def flat(self):
        """The same as one dictionary, by `"section.key"`."""
        flat = {}
        for section, value in self.to_dict().items():
            inner = value.items() if isinstance(value, dict) else [(None, value)]
            flat |= {section if key is None else f"{section}.{key}": each for key, each in inner}
        return flat

    def to_toml(self):
        """Returns the recipe as TOML, every field written out; `from_toml` gives it back."""
        return tomli_w.dumps(self.to_dict())

    def save(self, path):
        """Writes the recipe as a TOML file, whole or not at all."""
        with atomic_file(path) as temporary:
            Path(temporary).write_bytes(self.to_toml().encode("utf-8"))

    def changes(self, before):
        """What this recipe changes of another one.

        Returns:
            A list of `(key, old, new)` with keys as `override` takes them; None is what is not set.
        """
        tables = [recipe.flat() for recipe in (before, self)]
        keys = dict.fromkeys([*tables[0], *tables[1]])
        pairs = [(key, tables[0].get(key), tables[1].get(key)) for key in keys]
        return [(key, old, new) for key, old, new in pairs if old != new]

    def override(self, changes):
        """Returns a new recipe with some values changed.

        Args:
            changes: A dictionary from `"section.key"` (or `"family"`, `"description"`) to a value.
                A string is read as on a command line (`parse_value`) unless the field holds a
                string. None, or the string `"none"`, takes a field back to None and removes a
                key of `model`, which leaves it to the family's default.

        Raises:
            InputError: A key does not exist, or a value is of the wrong type or out of range.
        """
        tables = self.to_dict()
        for key, value in changes.items():
            section, _, name = key.strip().replace("-", "_").partition(".")
            if not name and section in ("family", "description"):
                tables[section] = value
                continue
            if section == "model" and name:
                value = parse_value(value) if isinstance(value, str) else value
            elif section in SECTIONS and name:
                if name not in _names(SECTIONS[section]):
                    raise _unknown_key(section, name)
                value = _field_value(SECTIONS[section], name, value)
            else:
                if name:
                    raise unknown("recipe section", section, ["model", *SECTIONS])
                raise unknown("recipe key", key, _owners(key) or [*recipe_keys(), "model.*"])
            if value is None and (section == "model" or _optional(section, name)):
                tables[section].pop(name, None)
            else:
                tables[section][name] = value
        return type(self).from_dict(tables)


class FieldHelp(NamedTuple):
    """What a person may want to know about one field of a recipe."""

    key: str  # "training.steps"
    type: str  # "integer"
    default: object
    help: str


def fields_help():
    """Returns a list of `FieldHelp`, one for every field of every section but `[model]`."""
    return [
        FieldHelp(
            f"{name}.{field.name}", TYPES[field.type].noun, field.default, field.metadata["help"]
        )
        for name, config in SECTIONS.items()
        for field in dataclasses.fields(config)
    ]


def recipe_keys():
    """Returns the keys that `Recipe.override` takes, apart from those of `[model]`."""
    return ["family", "description", *(field.key for field in fields_help())]


def _field_value(config, name, value):
    """Returns the value that `override` was given for a field, strings parsed by its type."""
    if not isinstance(value, str):
        return value
    (field,) = (field for field in dataclasses.fields(config) if field.name == name)
    parsed = parse_value(value)
    if field.type in (str, str | None) and not isinstance(parsed, str):
        # A folder called 2024 is a string; `none` is None only where None is allowed.
        return None if parsed is None and field.type == str | None else value
    if field.type == tuple[str, ...] and not isinstance(parsed, list):
        return [parsed if isinstance(parsed, str) else value]
    return parsed


def _names(config):
    return [field.name for field in dataclasses.fields(config)]


def _optional(section, name):
    (field,) = (field for field in dataclasses.fields(SECTIONS[section]) if field.name == name)
    return field.default is None


def _unknown_key(section, key):
    """Returns the error for a key that its section lacks, knowing the section that has it."""
    own = [f"{section}.{name}" for name in _names(SECTIONS[section])]
    return unknown("recipe key", f"{section}.{key}", own + _owners(key))


def _owners(key):
    """Returns `"section.key"` for every section that has the key."""
    return [f"{name}.{key}" for name, config in SECTIONS.items() if key in _names(config)]


def _check_range(key, value, metadata):
    for sign, bound in metadata["bounds"].items():
        holds = {
            ">=": value >= bound,
            "<=": value <= bound,
            ">": value > bound,
            "<": value < bound,
        }[sign]
        if not holds:
            raise InputError(f"{key} must be {sign} {bound}. Received: {key}={value!r}")
    if metadata["choices"] is not None and value not in metadata["choices"]:
        raise unknown(key, value, metadata["choices"])
