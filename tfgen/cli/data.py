"""The options that tell how data is read, and what becomes of them."""

import contextlib
import dataclasses

from tfgen.cli.arguments import names_of, quoted
from tfgen.errors import InputError, NoValues
from tfgen.kinds import KINDS
from tfgen.recipe import DataConfig, Recipe
from tfgen.uses import listed

# What a recipe says of any data: how a model is trained on them.
_OF_ANY_DATA = (
    "sample_rate", "max_length", "voices", "pitches", "frame_step", "validation_fraction", "split",
)  # fmt: skip
# What it says of its own data, and of no other: --data takes it back to the defaults.
_OF_ITS_DATA = {
    **{
        f"data.{field.name}": field.default
        for field in dataclasses.fields(DataConfig)
        if field.name not in ("name", *_OF_ANY_DATA)
    },
    "preprocessing.log1p": (),
}


def add_data_settings(parser):
    """Adds the options that tell how data is read."""
    parser.add_argument("--kind", help=f"{listed(KINDS)}; inferred (data.kind)")
    parser.add_argument(
        "--column", help="text: the column of a CSV file, the key of a JSONL file (data.column)"
    )
    parser.add_argument(
        "--columns", metavar="A,B", help="series: the columns to model; all (data.columns)"
    )
    parser.add_argument(
        "--time", help="series: the column of times, or Date+Time; inferred (data.time)"
    )
    parser.add_argument("--id", help="series: the column that identifies a sequence (data.id)")
    parser.add_argument(
        "--label", help="the column of the class; strokes, audio: folder, or name:PATTERN"
    )
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        help="changes a field of the recipe; may be repeated",
    )


def data_changes(arguments, name):
    """Returns what `Recipe.override` takes, of the options of `add_data_settings`.

    Args:
        arguments: The parsed arguments.
        name: The data, if it is not the recipe's own.
    """
    if arguments.column is not None and arguments.columns is not None:
        raise InputError("--column is of a text, --columns are of a series: give one of the two")
    changes = {} if name is None else {**_OF_ITS_DATA}
    changes |= settings_of(arguments)
    given = {"name": name, **{key: getattr(arguments, key) for key in _SETTINGS}}
    changes |= {f"data.{key}": quoted(text) for key, text in given.items() if text is not None}
    if arguments.columns is not None:
        changes["data.columns"] = names_of("--columns", arguments.columns)
    return changes


def settings_of(arguments):
    """A dict from the keys that were set with --set to their texts."""
    settings = {}
    for setting in arguments.set:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set takes SECTION.KEY=VALUE. Received: --set {setting}")
        settings[key.strip().replace("-", "_")] = value
    return settings


_SETTINGS = ("kind", "column", "time", "id", "label")


def data_config(arguments, name):
    """Returns the `DataConfig` of data and the options of `add_data_settings`."""
    for setting in arguments.set:
        if not setting.strip().startswith("data."):
            raise InputError(f"--set takes data.KEY=VALUE here. Received: --set {setting}")
    return Recipe("lstm").override(data_changes(arguments, name)).data


@contextlib.contextmanager
def text_hint():
    """A table in which nothing but text was found may be one of texts to a person."""
    try:
        yield
    except NoValues as error:
        raise InputError(f"{error} (--column NAME reads a column as text)") from None
