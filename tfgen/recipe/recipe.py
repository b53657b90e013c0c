"""`Recipe`: a model, its data, its training and its sampling, as one object and as TOML."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import tomli_w

from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file, read_text
from tfgen.names import normalise
from tfgen.recipe.data import DataConfig, PreprocessingConfig
from tfgen.recipe.generation import GenerationConfig
from tfgen.recipe.training import TrainingConfig
from tfgen.values import TYPES, check_plain, check_text, load_toml, parse_value

# A recipe is a page of text; what is larger is another file, and is not read into memory.
MAX_FILE_BYTES = 1 << 20
# Arguments of families that can be the string, beside being left to their default.
NONE_IS_A_CHOICE = ("bounding", "positions", "threshold")

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
            kind: What the data is, one of `tfgen.kinds.KINDS`.
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
                key of `model`, which leaves it to the family's default; but where `"none"` is a
                choice, as of `model.bounding`, the string is that.

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
                chosen = name in NONE_IS_A_CHOICE and value == "none"
                value = parse_value(value) if isinstance(value, str) and not chosen else value
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
