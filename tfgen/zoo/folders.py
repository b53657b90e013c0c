"""Folders that hold a model: entries of the zoo, runs of `tfgen train`, Hugging Face models."""

import difflib
import os
import shlex
from pathlib import Path

from tfgen.errors import InputError
from tfgen.files import home_path, read_json, restore_folder
from tfgen.kinds import kinds_of_numbers
from tfgen.models import PROCESSOR, RECIPE, TOKENIZER, WEIGHTS
from tfgen.models.hugging_face_folder import is_hugging_face

RESULTS = "results.json"
CARD = "README.md"
# What is read of the processor of a model, whose classes may be many.
MOST_OF_PROCESSOR = 1 << 24


def is_path(name):
    """Whether a name stands for a folder: a `Path`, a separator in it, or a leading `.` or `~`."""
    if isinstance(name, os.PathLike):
        return True
    separators = [separator for separator in (os.sep, os.altsep) if separator]
    return name.startswith((".", "~")) or any(separator in name for separator in separators)


def as_argument(path):
    """Returns a path as a person has to type it where a name could stand as well."""
    path = str(path)
    return path if is_path(path) else os.path.join(".", path)


def shipped_folder():
    """Returns the folder of the entries that come with tfgen.

    An installed tfgen has it beside this file, as `entries`; a checkout has it at its top, as
    `zoo`.
    """
    here = Path(__file__).resolve().parent
    beside = here / "entries"
    return beside if beside.is_dir() else here.parents[1] / "zoo"


def entries_in(folder):
    """Returns the entries of a folder, the sub-folders with a recipe, sorted by name."""
    try:
        found = sorted(Path(folder).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in found if (path / RECIPE).is_file()]


def model_folder(path):
    """Returns the folder that holds the model of a path a person gave.

    Args:
        path: An entry's folder, a run's folder, the `final` folder of a run, or the folder of a
            Hugging Face model.

    Raises:
        InputError: The path holds no model, or a run that has not finished.
    """
    path = home_path(path)
    restore_folder(path)
    if not path.is_dir():
        if path.exists():
            raise InputError(f"{path}: no model: the folder is a file, not a folder")
        raise InputError(f"{path}: no model: the folder does not exist.{_beside(path)}".rstrip("."))
    if (path / "final" / RECIPE).is_file():
        return path / "final"
    if is_hugging_face(path):
        return path
    if not (path / RECIPE).is_file():
        raise InputError(f"{path}: no model: the folder has no {RECIPE}")
    if is_run(path):
        raise InputError(
            f"{path}: this training run is not finished. "
            f"Continue it: tfgen train --resume --logdir {shlex.quote(str(path))}"
        )
    return path


def _beside(path):
    """What a folder that does not exist may have been meant to be, as the end of a message."""
    try:
        there = [each.name for each in path.parent.iterdir() if each.is_dir()]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, there, n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(str(path.parent / each)) for each in near)}?" * bool(
        near
    )


def is_run(path):
    """Whether a folder is that of a training run, finished or not."""
    path = Path(path)
    parts = ("checkpoints", "logs", "final")
    return (path / RECIPE).is_file() and any((path / part).is_dir() for part in parts)


def data_kind_of(folder):
    """Tells what the model of a folder is of, without building anything.

    Returns:
        One of `tfgen.kinds.KINDS`.

    Raises:
        InputError: The file that tells it is not as it should be, or of a kind unknown here.
    """
    path = Path(folder) / PROCESSOR
    if not path.is_file():
        return "events" if _knows_events(Path(folder) / TOKENIZER) else "text"
    try:
        kind = read_json(path, MOST_OF_PROCESSOR)["config"]["kind"]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (KeyError, TypeError):
        kind = None
    known = kinds_of_numbers()
    if not isinstance(kind, str) or kind not in known:
        raise InputError(
            f"{path} tells no kind of numbers that is known here: {', '.join(known)} (--import "
            f"MODULE adds your own). Received: kind={kind!r:.40}"
        )
    return kind


def _knows_events(path):
    """Whether a tokenizer is one of words, and those of music are among them."""
    try:
        with open(path, "rb") as file:
            if b'"word"' not in file.read(64):
                return False
        vocabulary = read_json(path, MOST_OF_PROCESSOR)["config"]["vocabulary"]
    except (OSError, InputError, KeyError, TypeError):  # told by what opens it
        return False
    return isinstance(vocabulary, list) and " Pitch_60" in vocabulary


def has_weights(folder):
    """Whether the folder of a model holds its weights."""
    # What those of a Hugging Face folder are called, opening it tells.
    return (Path(folder) / WEIGHTS).is_file() or is_hugging_face(Path(folder))
