"""The space of a search: which settings of a recipe are tried, and over what range."""

import dataclasses

from tfgen import models
from tfgen.data import data_kind
from tfgen.errors import InputError, unknown
from tfgen.files import read_text
from tfgen.recipe import MAX_FILE_BYTES, Recipe, recipe_keys
from tfgen.values import check_boolean, check_number, load_toml

SETTINGS = ("low", "high", "step", "log", "choices")
# What does not change the model, or changes what it is measured on.
NOT_TUNED = {
    f"training.{name}"
    for name in (
        "seed", "log_every", "validation_batches", "choose_on", "choose_by", "sample_every",
        "histogram_every", "checkpoint_every", "keep_checkpoints",
    )
}  # fmt: skip
# Digits of a number that is drawn: enough for a learning rate, and people can read them.
DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One setting and its values.

    Attributes:
        key: `"section.key"` of a recipe.
        low: The least value; an integer if only integers are meant.
        high: The greatest value.
        step: Distance of two values; None is any number, or every integer.
        log: Whether as many values are drawn from 1 to 10 as from 10 to 100.
        choices: The values, if they are listed; then the rest means nothing.
    """

    key: str
    low: float | int | None = None
    high: float | int | None = None
    step: float | int | None = None
    log: bool = False
    choices: tuple = ()

    @property
    def whole(self):
        """Whether only integers are meant."""
        return isinstance(self.low, int)

    def legal(self, drawn):
        """Returns a number that was drawn, short enough to read, and inside the range."""
        if self.choices:
            return drawn
        if not self.whole:
            drawn = float(f"{drawn:.{DIGITS}g}")
        return min(max(drawn, self.low), self.high)

    def value(self, drawn):
        """Returns the recipe's value: of choices, the position is what is drawn."""
        return self.choices[drawn] if self.choices else drawn

    def to_dict(self):
        """Returns the table of a space file."""
        if self.choices:
            return {"choices": list(self.choices)}
        table = {"low": self.low, "high": self.high}
        if self.step is not None:
            table["step"] = self.step
        return table | ({"log": True} if self.log else {})


def read_space(path, recipe):
    """Reads a space file.

    It is TOML: a table for every setting, `{low, high}` with `log = true` or a `step`, or
    `{choices}`.

        training.learning_rate = {low = 5e-4, high = 2e-2, log = true}
        model.units = {low = 64, high = 256, step = 64}
        model.layers = {choices = [1, 2]}

    Args:
        path: The file.
        recipe: The `Recipe` whose settings they are.

    Returns:
        A tuple of `Dimension`s.

    Raises:
        InputError: What is wrong, beginning with the path.
        OSError: The file cannot be read.
    """
    text = read_text(path, MAX_FILE_BYTES)
    try:
        return make_space(load_toml(text), recipe)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def make_space(tables, recipe):
    """Returns the `Dimension`s of a dictionary, nested as TOML has it or with keys that have dots.

    Args:
        tables: From a key to `{"low", "high", "step", "log"}` or `{"choices"}`.
        recipe: The `Recipe` whose settings they are.

    Raises:
        InputError: A setting does not exist, or its values are none that it can have.
    """
    flat = {}
    for section, table in tables.items():
        if "." in section or not isinstance(table, dict):
            flat[section] = table
            continue
        flat |= {f"{section}.{name}": each for name, each in table.items()}
    if not flat:
        raise InputError("A space needs a setting, e.g. training.learning_rate")
    return tuple(_dimension(key.strip(), table, recipe) for key, table in flat.items())


def default_space(recipe):
    """Returns the space of a recipe for which none is given.

    The learning rate, the width and the dropout, as far as the family has them.
    """
    tables = {"training.learning_rate": {"low": 5e-4, "high": 1e-2, "log": True}}
    arguments = _arguments(recipe)
    for name in ("units", "width"):
        width = recipe.model.get(name, arguments.get(name))
        if isinstance(width, int):
            tables[f"model.{name}"] = {"choices": [width // 2, width, 2 * width]}
    if "dropout" in arguments:
        tables["model.dropout"] = {"low": 0.0, "high": 0.4, "step": 0.1}
    return make_space(tables, recipe)


def _dimension(key, table, recipe):
    """Checks one table of a space; what a recipe would refuse is refused here."""
    default = _default(key, recipe)
    if not isinstance(table, dict):
        raise InputError(
            f"{key} must be a table, e.g. {{low = 1, high = 8}} or {{choices = [1, 2]}}. "
            f"Received: {key}={table!r}"
        )
    for setting in table:
        if setting not in SETTINGS:
            raise unknown(f"setting of {key}", setting, SETTINGS)
    if "choices" in table:
        if len(table) > 1:
            raise InputError(f"{key} has choices or a range, not both. Received: {key}={table!r}")
        return Dimension(key, choices=_choices(key, table["choices"], default, recipe))
    if missing := [end for end in ("low", "high") if end not in table]:
        raise InputError(
            f"{key} needs low and high, or choices: {' and '.join(missing)} missing. "
            f"Received: {key}={table!r}"
        )
    numbers = {name: table[name] for name in ("low", "high", "step") if name in table}
    for name, value in numbers.items():
        check_number(f"{key}.{name}", value)
    low, high, step = numbers["low"], numbers["high"], numbers.get("step")
    log = check_boolean(f"{key}.log", table.get("log", False))
    if not low < high:
        raise InputError(f"{key} needs low < high. Received: low={low!r}, high={high!r}")
    if log and low <= 0:
        raise InputError(f"{key} needs low > 0 for log = true. Received: low={low!r}")
    if log and step is not None:
        raise InputError(f"{key} has log = true or a step, not both. Received: step={step!r}")
    if step is not None and not 0 < step <= high - low:
        raise InputError(f"{key}: step must lie in what high is above low. Received: step={step!r}")
    for value in (low, high):
        _check_value(key, value, default, recipe)
    # A setting that is no integer is none because its ends were written as such.
    whole = isinstance(low, int) and isinstance(high, int) and not isinstance(default, float)
    if whole and isinstance(step, float):
        raise InputError(f"{key}.step must be an integer. Received: step={step!r}")
    if not whole:
        low, high, step = float(low), float(high), None if step is None else float(step)
    return Dimension(key, low, high, step, log)


def _choices(key, choices, default, recipe):
    if not isinstance(choices, list) or not choices:
        raise InputError(f"{key}.choices must be a list of values. Received: choices={choices!r}")
    for number, choice in enumerate(choices):
        _check_value(key, choice, default, recipe)
        if choice in choices[:number]:
            raise InputError(f"{key}.choices has {choice!r} twice. Received: choices={choices!r}")
    return tuple(choices)


def _default(key, recipe):
    """Returns the default of a setting, None if it has none; a wrong key is refused."""
    section, _, name = key.partition(".")
    if section == "model" and name:
        arguments = _arguments(recipe)
        if name not in arguments:
            raise unknown(f"argument of family '{recipe.family}'", name, arguments)
        return arguments[name]
    if key not in recipe_keys():
        recipe.override({key: 0})  # tells what is wrong with it
    if section != "training" or key in NOT_TUNED:
        raise InputError(
            f"A search compares models by their validation loss, and {key} is none of their "
            "settings: take keys of model and training"
        )
    return Recipe(recipe.family).flat().get(key)


def _check_value(key, value, default, recipe):
    """Makes the recipe with it; the family's arguments have no types but those of their
    defaults."""
    recipe.override({key: value})
    if value == "none" or not key.startswith("model."):
        return
    numbers = isinstance(default, int | float) and not isinstance(default, bool)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    wrong = {
        "true or false": isinstance(default, bool) and not isinstance(value, bool),
        "an integer": numbers and isinstance(default, int) and not isinstance(value, int),
        "a number": numbers and not is_number,
        "a string": isinstance(default, str) and not isinstance(value, str),
    }
    for noun, failed in wrong.items():
        if failed:
            raise InputError(f"{key} must be {noun}. Received: {key}={value!r}")


def _arguments(recipe):
    """Returns the arguments of a recipe's family, for its kind of data, and their defaults."""
    row = models.row_of_kind(recipe.family, data_kind(recipe.data), recipe.model)
    return {
        name: None if parameter.default is parameter.empty else parameter.default
        for name, parameter in row.arguments().items()
    }
