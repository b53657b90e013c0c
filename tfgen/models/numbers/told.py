"""`Told`: what a person gives to a model of numbers besides values, checked and as tensors."""

import numbers
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError, unknown
from tfgen.models.conditions import NO_CLASS
from tfgen.models.sources import sources_of


class Told(NamedTuple):
    """What is said of sequences besides their values, as a person gives it.

    Attributes:
        times: Of series: `(time,)` or `(batch, time)`, `numpy.datetime64` or seconds since 1970.
        known: What is known beforehand, `(time, known)` or `(batch, time, known)`.
        condition: The class: its name or number, or a list of one for each.
        static: Numbers of the whole sequence, `(static,)` or `(batch, static)`.
        start_time: Where the calendar of what is drawn from nothing begins.
        source: Of a model with an encoder: the text that a drawing says, or a list of one for each.
    """

    times: Any = None
    known: Any = None
    condition: Any = None
    static: Any = None
    start_time: Any = None
    source: Any = None

    def of_samples(self, engine, count, length):
        """The tensors of `count` sequences of so many positions that are drawn from nothing."""
        processor = engine.processor
        given = self._whole(processor, count) | self._made_of(engine, count)
        start = self._start(processor, count)
        if start is not None:
            given["start_time"] = tf.constant(start)
        return given | self._known(processor, count, length)

    def of_series(self, engine, lengths, time, horizon=0):
        """The tensors of series of these lengths, in an array of so many positions.

        Args:
            engine: That of the model.
            lengths: int32 `(batch,)`.
            time: Positions of the array.
            horizon: Positions to come, for which what is known beforehand is told, too.
        """
        count, empty, processor = len(lengths), lengths == 0, engine.processor
        given = self._whole(processor, count) | self._made_of(engine, count)
        if processor.needs_times:
            if self.times is None and not empty.all():
                raise InputError(
                    "times is needed: the model was trained with timestamps. Received: times=None"
                )
            before = self._before_start(processor, count) if empty.any() else None
            given["times"] = times_of(self.times, count, max(time, 1), lengths, before)
        elif self.times is not None:
            raise InputError("times is for models trained with timestamps; this one has none")
        if self.start_time is not None and not (processor.needs_times and empty.any()):
            raise InputError(
                "start_time is for a context of length 0 and models trained with timestamps. "
                f"Received: start_time={self.start_time!r}"
            )
        return given | self._known(processor, count, time + horizon)

    def _start(self, processor, count):
        """When sequences that are drawn from nothing begin, `(1,)` or `(count,)`; None if never."""
        if not processor.needs_times:
            if self.start_time is not None:
                raise InputError(
                    "start_time is for models trained with timestamps. "
                    f"Received: start_time={self.start_time!r}"
                )
            return None
        given = self.start_time
        start = processor.start_time if given is None else seconds("start_time", given)
        start = np.reshape(start, [-1]).astype(np.int64)
        if len(start) not in (1, count):
            raise InputError(
                f"start_time must be one time or {count}, one for each sample. "
                f"Received: {len(start)} times"
            )
        return start

    def _before_start(self, processor, count):
        """The times int64 `(count,)` of a step before a forecast from nothing."""
        start = np.broadcast_to(self._start(processor, count), [count])
        before = np.asarray(processor.times_after(start, np.int64(-1)))
        if not np.array_equal(processor.times_after(before, np.int64(1)), start):
            raise InputError(
                "start_time must be a time of the training data's steps. "
                f"Received: start_time={self.start_time!r}"
            )
        return before

    def _made_of(self, engine, count):
        engine = getattr(engine, "engines", [engine])[0]  # the members of a mixture are alike
        encoder = getattr(engine, "source_encoder", None)
        if encoder is not None:
            return sources_of(encoder, self.source).tensors(count)
        if self.source is not None:
            raise InputError(
                f"source is for models with an encoder. Received: source={self.source!r}"
            )
        return {}

    def _whole(self, processor, count):
        given, condition, static = {}, self.condition, self.static
        if processor.num_classes:
            given["condition"] = tf.constant(class_numbers(condition, count, processor.classes))
        elif condition is not None:
            raise InputError(
                f"condition is for models trained with classes. Received: condition={condition!r}"
            )
        width = processor.static_width
        if width:
            names = ", ".join(processor.static_names)
            if static is None:
                raise InputError(f"static is needed: one number each for {names}")
            array = finite_numbers("static", static, processor.static_type)
            if array.shape not in ((width,), (count, width)):
                raise InputError(
                    f"static must have {width} numbers ({names}) for all or for each of {count}. "
                    f"Received: an array of shape {array.shape}"
                )
            given["static"] = tf.constant(np.broadcast_to(array, [count, width]))
        elif static is not None:
            raise InputError("static is for models trained with static columns; this one has none")
        return given

    def _known(self, processor, count, length):
        names = processor.known_names
        if not names:
            if self.known is not None:
                raise InputError(
                    "known is for models trained with known columns; this one has none"
                )
            return {}
        rule = f"known must have {length} positions of {len(names)} numbers ({', '.join(names)})"
        if self.known is None:
            raise InputError(f"{rule}. Received: known=None")
        array = finite_numbers("known", self.known, processor.known_type)
        if array.shape not in ((length, len(names)), (count, length, len(names))):
            raise InputError(f"{rule}. Received: an array of shape {array.shape}")
        return {"known": tf.constant(np.broadcast_to(array, [count, length, len(names)]))}


def finite_numbers(name, value, kind=np.float32):
    """Returns an array of finite numbers of a type."""
    try:
        array = np.asarray(value, kind)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} must be an array of numbers. Received: {name}={value!r}"
        ) from None
    if not np.isfinite(array).all():
        raise InputError(f"{name} must hold finite numbers. Received: NaN or infinity")
    return array


def seconds(name, value):
    """Seconds since 1970, int64, of one time or an array of times."""
    array = np.asarray(value)
    if array.dtype.kind in "USO":  # texts, or objects of datetime and pandas
        try:
            array = array.astype("datetime64[s]")
        except (ValueError, TypeError):
            raise InputError(
                f"{name} must be ISO 8601, e.g. 2013-07-01T12:00. Received: {name}={value!r}"
            ) from None
    if array.dtype.kind == "M" and not np.isnat(array).any():
        array = array.astype("datetime64[s]").astype(np.int64)
    if array.dtype.kind not in "iu":
        raise InputError(
            f"{name} must be numpy.datetime64 or whole seconds since 1970. "
            f"Received: {name}={value!r}"
        )
    return array.astype(np.int64)


def times_of(times, count, time, lengths, before=None):
    """Times int64 `(count, time)` of what a person gave for series of these lengths.

    A series without a position has the time of `before`, int64 `(count,)`, if that is given.
    """
    if before is not None:
        given = [[]] * count if times is None else times
        given = given if count > 1 or np.ndim(given) == 2 else [given]
        rows = [seconds("times", r) if n else b[None] for r, n, b in zip(given, lengths, before)]
        rows = [row[:n] if n and len(row) == time else row for row, n in zip(rows, lengths)]
        lengths = np.maximum(lengths, 1)
    elif isinstance(times, (list, tuple)) and count > 1 and np.ndim(times[0]) == 1:
        rows = [seconds("times", row) for row in times]
    else:
        array = seconds("times", times)
        rows = list(array if array.ndim == 2 else [array] * count)
    if [len(row) for row in rows] not in ([time] * count, list(lengths)):
        raise InputError(
            f"times must have one time for each of {time} positions. "
            f"Received: {len(rows)} x {len(rows[0]) if rows else 0} times"
        )
    return np.stack([np.pad(row, [0, time - len(row)], mode="edge") for row in rows])


def class_numbers(condition, count, classes):
    """Class numbers int32 `(count,)`: names or numbers for all or for each; None is none."""
    if condition is None:
        return np.full(count, NO_CLASS, np.int32)
    single = isinstance(condition, (str, numbers.Integral))
    given = [condition] * count if single else list(condition)
    if len(given) != count:
        raise InputError(
            f"condition must be one class or {count}, one for each. Received: {len(given)} classes"
        )
    found = []
    for value in given:
        if isinstance(value, numbers.Integral) and not isinstance(value, bool):
            if not 0 <= value < len(classes):
                raise InputError(
                    f"condition must be from 0 to {len(classes) - 1}, or a class by name. "
                    f"Received: condition={value}"
                )
            found.append(int(value))
        elif value in classes:
            found.append(classes.index(value))
        else:
            raise unknown("condition", value, list(classes))
    return np.array(found, np.int32)


def for_each(name, value, count):
    """A number for all of so many series, or one for each: float32 `(count,)`."""
    array = finite_numbers(name, value)
    if array.shape not in ((), (1,), (count,)):
        raise InputError(
            f"{name} must be a number or {count}, one for each series. "
            f"Received: an array of shape {array.shape}"
        )
    return np.broadcast_to(array, [count])


class Defaults(NamedTuple):
    """What a call goes by where it says nothing.

    Attributes:
        generation: A `tfgen.recipe.GenerationConfig`.
        window: Positions that the model was trained on at once; None if that is not known.
    """

    generation: Any
    window: Any
