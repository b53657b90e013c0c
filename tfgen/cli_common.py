"""What several verbs of the command line share: opening models, settings of data, refusals."""

import contextlib
import json
import math
import threading

from tfgen import zoo
from tfgen.errors import InputError, printable
from tfgen.recipe import DataConfig, Recipe
from tfgen.startup import import_tensorflow

NAME_HELP = "a name of the zoo, or the path of a run (./mine, runs/mine)"
# What a recipe says of its own data, and of no other: --data takes it back to the defaults.
_OF_ITS_DATA = {
    **{f"data.{key}": getattr(DataConfig(), key) for key in (
        "kind", "column", "columns", "time", "id", "categories", "known", "static", "label",
        "bounds", "simplify",
    )},
    "preprocessing.log1p": (),
}  # fmt: skip


def show(text, **options):
    """Prints what may hold names from data or files: see `tfgen.errors.printable`."""
    print(printable(str(text)), **options)


def add_dtype(parser):
    parser.add_argument(
        "--dtype", choices=("float32", "int8"), help="int8 rounds a transformer's weights"
    )


def find_model(name):
    """Returns the `zoo` item of an entry or a run; what has no weights is refused."""
    item = zoo.find(name)
    if item.kind != "entry":
        examples = ", ".join(zoo.list_models(pretrained=True)) or "there is none yet"
        raise InputError(
            f"'{item.name}' is a {item.kind} and has no weights: train it, or take a model that "
            f"has them ({examples})"
        )
    return item


def open_model(name, dtype=None):
    """Returns the model of an entry or a run, with its weights."""
    find_model(name)
    import_tensorflow()
    return zoo.get(name, **({} if dtype is None else {"dtype": dtype}))


def taken(arguments, names, allowed):
    """Returns the options of these names that were given, those that a model's method takes.

    Args:
        arguments: Those of the verb.
        names: Names of options, None where they were not given.
        allowed: Which of them the model takes.

    Raises:
        InputError: If another one was given.
    """
    given = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in allowed:
            options = ", ".join(f"--{one.replace('_', '-')}" for one in allowed)
            raise InputError(
                f"--{name.replace('_', '-')} is not for {arguments.name}, which takes {options}"
            )
    return given


def with_progress(options, model):
    """The options of a run, and the drawing of a bar if the model tells its progress.

    The bar is for a person at a terminal: elsewhere nothing is drawn.
    """
    return {**options, "progress": progress_bar("evaluation")} if model.tells_progress else options


def progress_bar(unit):
    """Returns a function `(done, total)` that draws a bar on a terminal until all is done."""
    from tqdm import tqdm

    bar = None

    def progress(done, total):
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, unit=unit, leave=False, disable=None)
        bar.update(done - bar.n)
        if done == total:
            bar.close()
            bar = None

    return progress


@contextlib.contextmanager
def waiting(what):
    """Shows on a terminal how long something has taken of which nobody knows how long it takes."""
    from tqdm import tqdm

    bar = tqdm(desc=what, bar_format="{desc}: {elapsed}", leave=False, disable=None, delay=1)
    over = threading.Event()

    def show():
        while not over.wait(0.5):
            bar.update(0)
            bar.refresh()

    if not bar.disable:
        threading.Thread(target=show, daemon=True).start()
    try:
        yield
    finally:
        over.set()
        bar.close()


def refuse(arguments, names, reason):
    """Raises an `InputError` if one of the options of these names was given."""
    for name in names:
        if getattr(arguments, name) not in (None, False):
            raise InputError(f"--{name.replace('_', '-')} {reason}")


def check_counts(arguments, *names):
    """Raises an `InputError` if one of these options was given and is below 1."""
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value < 1:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} must be >= 1. Received: {option} {value}")


# Settings of data


def add_data_settings(parser):
    """Adds the options that tell how data is read."""
    parser.add_argument("--kind", help="text, series, strokes or audio; inferred (data.kind)")
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
    for setting in arguments.set:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set takes SECTION.KEY=VALUE. Received: --set {setting}")
        changes[key.strip().replace("-", "_")] = value
    given = {"name": name, **{key: getattr(arguments, key) for key in _SETTINGS}}
    changes |= {f"data.{key}": quoted(text) for key, text in given.items() if text is not None}
    if arguments.columns is not None:
        changes["data.columns"] = names_of("--columns", arguments.columns)
    return changes


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
    except InputError as error:
        if not str(error).startswith("There is no column of values"):
            raise
        raise InputError(f"{error} (--column NAME reads a column as text)") from None


def names_of(option, text):
    """Returns the parts of a text between commas."""
    parts = [to_unicode(part).strip() for part in text.split(",")]
    if "" in parts:
        raise InputError(f"{option} takes names with commas between. Received: {option} {text}")
    return parts


def numbers_of(option, text):
    """Returns the finite numbers of a text, with commas between."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) for value in values):
        raise InputError(f"{option} takes numbers with commas between. Received: {option} {text}")
    return values


def quoted(text):
    """Returns a text as a TOML string, so that `--data none` is data called none."""
    return json.dumps(to_unicode(text), ensure_ascii=False)


def to_unicode(text):
    """Returns an argument with bytes that are no UTF-8 as U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
