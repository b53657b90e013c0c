"""What a person gives to a model of numbers, checked: counts, times, classes, arrays."""

import numbers
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError, unknown
from tfgen.models.conditions import NO_CLASS
from tfgen.models.serving import constant, no_class, whole
from tfgen.sampling import random

QUANTILES = (0.1, 0.5, 0.9)


class Forecast(NamedTuple):
    """What a model expects to come.

    Attributes:
        mean: float32 `(horizon, features)`, or `(batch, horizon, features)`.
        quantiles: Dict from each quantile to an array of that shape.
        samples: `(num_samples, horizon, features)`, or with a batch axis before.
    """

    mean: np.ndarray
    quantiles: dict
    samples: np.ndarray

    @classmethod
    def of(cls, result, quantiles, single):
        """The forecast of what the graph returns: tensors with a batch axis.

        Args:
            result: Dict with `mean`, `quantiles` `(batch, quantiles, ...)` and `samples`.
            quantiles: As a person gave them.
            single: Whether there is one context, without a batch axis.
        """
        arrays = {name: tensor.numpy() for name, tensor in result.items()}
        arrays["quantiles"] = np.moveaxis(arrays["quantiles"], 1, 0)
        by_level = zip(np.atleast_1d(quantiles), arrays["quantiles"])
        by_level = {float(level): values for level, values in by_level}
        if not single:
            return cls(arrays["mean"], by_level, arrays["samples"])
        by_level = {level: values[0] for level, values in by_level.items()}
        return cls(arrays["mean"][0], by_level, arrays["samples"][0])


class SeriesArguments:
    """Mixin of a model of numbers: what a person gave, checked and as tensors."""

    def _length(self, length):
        most = self.max_positions
        if length is None:  # the default is no more than there is room for
            length = self.generation.length or self.processor.length
            return length if most is None else min(length, most)
        length = whole_number("length", length, 1)
        if most is not None and length > most:
            raise InputError(
                f"This model has {most} positions (max_length), so length can be at most {most}. "
                f"Received: length={length}"
            )
        return length

    def _check_positions(self, time, horizon):
        """Refuses series, those to come included, that have no positions in the model."""
        most = self.max_positions
        if most is None or time + horizon <= most:
            return
        if not horizon:
            raise InputError(
                f"This model has {most} positions (max_length), so a series can have at most {most}"
                f": give the last ones alone. Received: length={time}"
            )
        if horizon >= most:
            raise InputError(
                f"This model has {most} positions (max_length), so horizon can be at most "
                f"{most - 1}. Received: horizon={horizon}"
            )
        raise InputError(
            f"This model has {most} positions (max_length), so with horizon={horizon} the context "
            f"can have at most {most - horizon}: give its last ones alone. "
            f"Received: length={time + horizon}"
        )

    def _serving_length(self, arguments):
        """Positions that a served model draws: as many as it is told of, or its default."""
        if "known" in arguments:
            return tf.shape(arguments["known"])[1]
        return tf.constant(self._length(None))

    def _serving_defaults(self):
        """Of `tfgen.models.serving.with_defaults`: what all models of numbers have defaults for."""
        return {
            "lengths": whole(self.frame),
            "condition": no_class,
            "generate.condition": constant([NO_CLASS]),
            "start_time": constant([self.processor.start_time or 0], tf.int64),
            "seed": lambda arguments: random.serving_seed(),
            "score.seed": constant(0, tf.int64),
            "length": self._serving_length,
            "num_samples": constant(100),
            "generate.num_samples": constant(1),
            "impute.num_samples": constant(10),
            "quantiles": constant(QUANTILES),
        }

    def _seed(self, seed):
        return random.seed_tensor(random.new_seed() if seed is None else seed)

    def _given_to_generate(self, count, length, condition, static, start_time, known, only=None):
        """The further tensors of `generate`."""
        processor = self.processor
        given = self._whole_given(count, condition, static)
        if processor.needs_times:
            start = (
                processor.start_time if start_time is None else seconds("start_time", start_time)
            )
            start = np.reshape(start, [-1])
            if len(start) not in (1, count):
                raise InputError(
                    f"start_time must be one time or {count}, one for each sample. "
                    f"Received: {len(start)} times"
                )
            given["start_time"] = tf.constant(start, tf.int64)
        elif start_time is not None:
            raise InputError(
                f"start_time is for models trained with timestamps. Received: start_time={start_time!r}"
            )
        given |= self._known_given(count, length, known)
        return given if only is None else {only: given[only]}

    def _series(self, series, times, known, condition, static):
        """The tensors of a function of series, and whether there is a single one."""
        values, lengths, single = self.processor.as_values(series)
        count, time = values.shape[:2]
        given = self._series_given(count, time, lengths, times, known, condition, static, 0)
        return {"values": values, "lengths": lengths, **given}, single

    def _forecast_arguments(
        self, context, horizon, num_samples, quantiles, times, known, condition, static
    ):  # fmt: skip
        """The tensors of a forecast but for its sampling, and whether there is one context."""
        values, lengths, single = self.processor.as_values(context)
        horizon = whole_number("horizon", horizon, 1)
        num_samples = whole_number("num_samples", num_samples, 1)
        levels = levels_of(quantiles)
        count, time = values.shape[:2]
        given = self._series_given(count, time, lengths, times, known, condition, static, horizon)
        return {
            "values": values,
            "lengths": lengths,
            "horizon": tf.constant(horizon),
            "num_samples": tf.constant(num_samples),
            "quantiles": levels,
            **given,
        }, single

    def _series_given(self, count, time, lengths, times, known, condition, static, horizon):
        """The further tensors of a function of series."""
        self._check_positions(time, horizon)
        given = self._whole_given(count, condition, static)
        if self.processor.needs_times:
            if times is None:
                raise InputError(
                    "times is needed: the model was trained with timestamps. Received: times=None"
                )
            given["times"] = times_of(times, count, time, lengths)
        elif times is not None:
            raise InputError("times is for models trained with timestamps; this one has none")
        given |= self._known_given(count, time + horizon, known)
        return given

    def _whole_given(self, count, condition, static):
        processor, given = self.processor, {}
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

    def _known_given(self, count, length, known):
        names = self.processor.known_names
        if not names:
            if known is not None:
                raise InputError(
                    "known is for models trained with known columns; this one has none"
                )
            return {}
        rule = f"known must have {length} positions of {len(names)} numbers ({', '.join(names)})"
        if known is None:
            raise InputError(f"{rule}. Received: known=None")
        array = finite_numbers("known", known, self.processor.known_type)
        if array.shape not in ((length, len(names)), (count, length, len(names))):
            raise InputError(f"{rule}. Received: an array of shape {array.shape}")
        return {"known": tf.constant(np.broadcast_to(array, [count, length, len(names)]))}


def scores_of(result, single):
    """What `score` returns of its graph's tensors: arrays, or numbers of a single series."""
    result = {name: value.numpy() for name, value in result.items()}
    return {name: value[0] for name, value in result.items()} if single else result


def levels_of(quantiles):
    """Quantiles as float32 `(levels,)`."""
    levels = np.atleast_1d(np.asarray(quantiles, np.float32))
    if levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all():
        raise InputError(f"quantiles must lie between 0 and 1. Received: quantiles={quantiles!r}")
    return levels


def whole_number(name, value, least):
    """Returns an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{name} must be an integer >= {least}. Received: {name}={value!r}")
    return int(value)


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


def times_of(times, count, time, lengths):
    """Times int64 `(count, time)` of what a person gave for series of these lengths."""
    if isinstance(times, (list, tuple)) and count > 1 and np.ndim(times[0]) == 1:
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
