"""What a person has in memory, as data: arrays, frames, texts, or a `tf.data.Dataset` of such."""

import dataclasses
import os

import numpy as np

from tfgen.data import frames
from tfgen.data.array_tables import add_arrays
from tfgen.data.budget import MOST_NUMBERS, Budget
from tfgen.data.readers import newlines
from tfgen.data.sequences import Sequences
from tfgen.data.time_series import open_tables
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

# The name of such data in a recipe, and in messages.
MEMORY = "data in memory"
# What a recipe may say of `Sequences`, which are read already.
_OF_SEQUENCES = ("name", "kind", "validation_fraction", "split", "max_numbers")
_OF_FILES = ("header", "delimiter", "sheet")
_SHAPES = (
    "(sequences, time, features), (time, features), or (time,) of one feature; in a list each "
    "(time, features) or (time,)"
)
_NAMES = {"arrays": "arrays", "frames": "a frame", "texts": "texts", "sequences": "sequences"}


@dataclasses.dataclass(frozen=True)
class Held:
    """Data in memory, looked through; see `hold`.

    Attributes:
        sort: What they are: `"arrays"`, `"frames"`, `"texts"` or `"sequences"`.
        parts: List of arrays `(time, features)`, of frames or of texts; or one `Sequences`.
    """

    sort: str
    parts: object

    def kind(self, config):
        """Returns the kind of data, one of `tfgen.kinds.KINDS`.

        Raises:
            InputError: If `config` says that they are of another kind.
        """
        kind = "series"
        if self.sort == "sequences":
            kind = self.parts.kind
        elif self.sort == "texts" or config.column is not None or config.kind == "text":
            kind = "text"
        if kind == "text" and self.sort not in ("texts", "frames"):
            key = "kind" if config.column is None else "column"
            raise InputError(
                f"{_NAMES[self.sort].capitalize()} in memory are no texts: give a list of texts. "
                f"Received: data.{key}={getattr(config, key)!r}"
            )
        if config.kind not in (None, kind):
            raise InputError(
                f"{_NAMES[self.sort].capitalize()} in memory can only be {kind}: others are given "
                f"as tfgen.data.Sequences, or as files. Received: data.kind={config.kind!r}"
            )
        return kind

    def sequences(self, config):
        """Returns the `Sequences`; see `tfgen.data.open_sequences`."""
        if self.kind(config) == "text":
            raise InputError(
                f"{MEMORY} are texts, where sequences of numbers are wanted (data.column makes "
                "texts of a frame)"
            )
        if self.sort == "sequences":
            _check_default(config, _OF_SEQUENCES, "of what is read, and tfgen.data.Sequences are")
            return self.parts
        others = [field.name for field in dataclasses.fields(config) if field.name not in _OF_FILES]
        _check_default(config, others, "of files, and the data are")
        if self.sort == "arrays":
            return open_tables(MEMORY, [_ArrayTable(self.parts)], config)
        names = [str(number) for number in range(len(self.parts))]
        single = len(self.parts) == 1
        sources = [
            frames.FrameTable(
                frame, MEMORY if single else f"frame {name} of {MEMORY}", "data" if single else name
            )
            for name, frame in zip(names, self.parts, strict=True)
        ]
        return open_tables(MEMORY, sources, config)

    def documents(self, column):
        """Returns a function of a `tfgen.data.readers.Report` that yields each text in pieces."""
        if self.sort == "texts" and column is None:
            return self._texts
        if self.sort == "frames" and column is not None:
            tables = [frames.FrameTable(frame, MEMORY, None) for frame in self.parts]
            return lambda report: (
                list(row) for each in tables for row in each.rows([column], report)
            )
        if self.sort == "frames":
            names, _ = frames.named_columns(self.parts[0])
            raise InputError(
                f"A frame is a table: name the column that holds the text (data.column). "
                f"Columns: {', '.join(filter(None, names[:20]))}"
            )
        what = "texts have" if self.sort == "texts" else f"{_NAMES[self.sort]} have"
        raise InputError(f"{what.capitalize()} no columns of text. Received: column={column!r}")

    def pairs(self, columns, numbered=None):
        """Returns a function of a `Report` that yields the texts of two columns of each row.

        `numbered` is as of `tfgen.data.text_columns.read_rows`.
        """
        if self.sort != "frames":
            raise InputError(
                "Texts with a source or a class each are, in memory, the columns of a frame. "
                f"Received: {_NAMES[self.sort]}"
            )
        tables = [frames.FrameTable(frame, MEMORY, None) for frame in self.parts]
        return lambda report: (
            row for each in tables for row in each.rows(columns, report, numbered)
        )

    def texts(self):
        """Returns the list of texts."""
        if self.sort != "texts":
            raise InputError(f"Texts are wanted. Received: {_NAMES[self.sort]}")
        return self.parts

    def _texts(self, report):
        for number, text in enumerate(self.parts):
            if not text or text.isspace():
                report.drop("the text is empty", f"text {number} of {MEMORY}")
            else:
                report.kept += 1
                yield [newlines(text)]


def is_name(data):
    """Whether data is named rather than given: a path, or the name of a built-in set."""
    return isinstance(data, (str, os.PathLike))


def as_read_before(config, **changes):
    """Returns a `tfgen.recipe.DataConfig` by which data in memory are read as a model's own were.

    Args:
        config: That of the model's recipe. What is out of its bounds or steps is refused in
            training data only, and what it says of a file says nothing of what is in memory.
        **changes: Further fields that differ.
    """
    names = ("bounds", "resolution", "circular", *_OF_FILES)
    defaults = {name: getattr(DataConfig, name) for name in names}
    return dataclasses.replace(config, name=MEMORY, **defaults, **changes)


def not_given():
    """Returns the `InputError` of data that were in memory, and are not any more."""
    return InputError(
        "The model was trained on data in memory: give the same again, as data=..., or name a file "
        f"that holds them (--data). Received: data.name='{MEMORY}'"
    )


def each_text(data):
    """Yields the texts of an iterable of texts, or of what `hold` takes, to fit a tokenizer to.

    Raises:
        InputError: Something else is among them.
    """
    if isinstance(data, str):
        data = [data]
    if hasattr(data, "as_numpy_iterator") or frames.is_frame(data) or frames.is_column(data):
        data = hold(data).texts()
    for number, text in enumerate(data):
        if not isinstance(text, str):
            raise InputError(
                "A tokenizer is fitted to texts. "
                f"Received: {str(text)[:40]!r} of type {type(text).__name__} at place {number}"
            )
        yield text


def hold(data, most=MOST_NUMBERS):
    """Looks through what a person has in memory; a `tf.data.Dataset` is read once.

    Args:
        data: A NumPy array `(sequences, time, features)`, `(time, features)`, or `(time,)` of a
            single feature; a list of arrays `(time, features)` or `(time,)`; a frame of pandas,
            polars or PyArrow, a Series, or a list of frames; a list of texts, or a Series of them;
            a `tf.data.Dataset` of arrays or texts, batched or not, that has an end; or
            `tfgen.data.Sequences`.
        most: The most numbers that a dataset may become, as `data.max_numbers`.

    Returns:
        A `Held`.

    Raises:
        InputError: It is nothing of these, or empty.
    """
    if isinstance(data, Held):
        return data
    if isinstance(data, Sequences):
        return Held("sequences", data)
    if hasattr(data, "as_numpy_iterator") and hasattr(data, "cardinality"):
        data = _elements(data, Budget(most))
    elif frames.is_frame(data):
        return Held("frames", [data])
    elif frames.is_column(data):
        if not frames.holds_texts(data):
            return Held("frames", [frames.frame_of_column(data)])
        data = data.to_list()
    elif not isinstance(data, (list, tuple, str, bytes, dict)) and hasattr(data, "__array__"):
        data = _array("the array", data)
        if data.dtype.kind == "U":
            data = data.tolist()
        elif data.size and 1 <= data.ndim <= 3:
            data = data[:, None] if data.ndim == 1 else data
            return Held("arrays", list(data) if data.ndim == 3 else [data])
        else:
            raise _wrong_shape("an array", data)
    if not isinstance(data, (list, tuple)):
        raise InputError(
            "Data in memory are a NumPy array or a list of them, a frame, a list of texts, or a "
            f"tf.data.Dataset of arrays or texts. Received: a {type(data).__name__}"
        )
    if not len(data):
        raise InputError(f"There is nothing in the data. Received: an empty {type(data).__name__}")
    if any(isinstance(part, str) for part in data):
        for number, part in enumerate(data):
            if not isinstance(part, str):
                raise InputError(
                    "A list of texts holds nothing else. "
                    f"Received: {str(part)[:40]!r} of type {type(part).__name__} at place {number}"
                )
        return Held("texts", list(data))
    if any(map(frames.is_frame, data)):
        if not all(map(frames.is_frame, data)):
            raise InputError("A list of frames holds nothing else. Received: other things as well")
        return Held("frames", list(data))
    arrays = []
    for number, part in enumerate(data):
        part = _array(f"place {number}", part)
        if part.ndim not in (1, 2) or part.dtype.kind == "U":
            raise _wrong_shape(f"at place {number} of a list an array", part)
        arrays.append(part[:, None] if part.ndim == 1 else part)
        if arrays[-1].shape[1] != arrays[0].shape[1]:
            raise InputError(
                "All sequences must have as many features. Received: "
                f"{arrays[0].shape[1]} at place 0, {arrays[-1].shape[1]} at place {number}"
            )
    if not sum(array.size for array in arrays):
        raise _wrong_shape("a list of arrays, the first of them", arrays[0])
    return Held("arrays", arrays)


def _wrong_shape(what, array):
    if array.dtype.kind == "U":
        return InputError(f"Texts are given as a list of str. Received: {what} of texts")
    empty = "" if array.size else "without a value, "
    return InputError(f"Arrays must be {_SHAPES}. Received: {what} {empty}of shape {array.shape}")


def _array(where, data):
    """Returns an array of numbers, NaN where missing, or of texts."""
    if isinstance(data, np.ma.MaskedArray):
        data = np.ma.filled(data.astype(np.float64), np.nan)
    try:
        array = np.asarray(data)
        if array.dtype.kind == "O":
            texts = [each for each in array.ravel() if isinstance(each, str)]
            # None becomes NaN.
            array = array.astype(str if len(texts) == array.size else np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"Arrays must hold numbers, NaN where missing. Received: at {where} a "
            f"{type(data).__name__} of something else"
        ) from None
    if array.dtype.kind not in "biufU":
        raise InputError(
            "Arrays must hold numbers, NaN where missing. "
            f"Received: at {where} an array of {array.dtype}"
        )
    return array


class _ArrayTable:
    """Arrays `(time, features)`, as what `tfgen.data.tables.read_tables` reads."""

    def __init__(self, arrays):
        self._arrays = arrays

    def __str__(self):
        return MEMORY

    def read_into(self, table):
        arrays = {str(number): array for number, array in enumerate(self._arrays)}
        add_arrays(MEMORY, arrays, {}, table)


def _elements(dataset, budget):
    """Returns the sequences or texts of a `tf.data.Dataset` as a list."""
    if int(dataset.cardinality()) == -1:
        raise InputError(
            "The dataset has no end: leave out repeat(), or take(n). Received: an infinite "
            "tf.data.Dataset"
        )
    found = []
    for number, element in enumerate(dataset.as_numpy_iterator()):
        if isinstance(element, bytes):
            element = np.array(element, object)
        if not isinstance(element, (np.ndarray, np.generic)):
            raise InputError(
                "A dataset must give one array or text at a time. "
                f"Received: a {type(element).__name__} at place {number}"
            )
        budget.take("the dataset", max(element.size, 1))
        if element.dtype.kind == "O":
            try:
                found += [each.decode("utf-8") for each in element.ravel()]
            except UnicodeDecodeError as error:
                raise InputError(
                    f"The texts of a dataset must be UTF-8. Received: at place {number} {error}"
                ) from None
        else:
            found += list(element) if element.ndim == 3 else [element]
    return found


def _check_default(config, allowed, what):
    """Refuses fields that differ from their default and would do nothing."""
    for field in dataclasses.fields(DataConfig):
        value = getattr(config, field.name)
        if field.name not in allowed and value != field.default:
            raise InputError(
                f"data.{field.name} is {what} in memory. Received: data.{field.name}={value!r}"
            )
