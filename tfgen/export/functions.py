"""Functions with their signatures, and the formats that they can be written in."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tfgen.errors import InputError, unknown
from tfgen.export.saved_model import write_saved_model


class Function(NamedTuple):
    """A function that is served.

    Attributes:
        name: Of its signature.
        call: A pure function of a dict of tensors, one for each of `specs`, to another dict.
        specs: Dict from the names of its inputs to their `tf.TensorSpec`.
    """

    name: str
    call: Callable
    specs: dict[str, Any]


class Format(NamedTuple):
    """A format of files.

    Attributes:
        write: Function `(functions, path, verbose)` that writes a list of `Function`s.
        random: Whether it has TensorFlow's operations for random numbers. A model gives others
            functions that do without: what they sample follows from an input, `seed`.
        warms: Whether `write` takes `warm` as well, requests that are sent before all others.
    """

    write: Callable
    random: bool = True
    warms: bool = False


# By name.
FORMATS = {"tf_saved_model": Format(write_saved_model, warms=True)}


def register_format(name, writer, random=True):
    """Adds a format in which models are exported.

    Args:
        name: What `model.export(path, format=name)` calls it.
        writer: Function `(functions, path, verbose)` that writes a list of `Function`s to a path
            that does not exist or is an empty folder, as a whole or not at all.
        random: Whether the format has TensorFlow's operations for random numbers. Without, the
            functions take a `seed` and make the same numbers of it by operations on integers.

    Raises:
        InputError: If another format has the name.
    """
    format = Format(writer, random)
    if FORMATS.get(name, format) != format:
        raise InputError(f"There is an export format '{name}' already")
    FORMATS[name] = format


def find_format(name):
    """Returns the `Format` of a name; raises `InputError` for what `export` does not write."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return FORMATS[name]


def write(functions, path, format="tf_saved_model", verbose=False, warm=()):
    """Writes functions in a format.

    Args:
        functions: List of `Function`s, one of which is called `serving_default`.
        path: What to write; servers of TensorFlow expect a folder `<model>/<number>`.
        format: One of `FORMATS`; `"tf_saved_model"`, as Keras calls it, is for TensorFlow,
            TensorFlow Serving and its C API.
        verbose: Whether to print each signature.
        warm: List of dicts of tensors, inputs of `serving_default` that servers begin with.

    Raises:
        InputError: For another format, or a folder that holds something.
    """
    found = find_format(format)
    if warm and not found.warms:
        raise InputError(f"The format '{format}' holds no requests to warm up by")
    found.write(functions, path, verbose, **({"warm": warm} if warm else {}))
