"""What a person gives to a model of numbers, checked: counts, times, classes, arrays."""

import numbers

import numpy as np

from tfgen.errors import InputError, unknown
from tfgen.models.series_density import NO_CLASS


def whole_number(name, value, least):
    """Returns a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{name} must be a whole number >= {least}. Received: {name}={value!r}")
    return int(value)


def finite_numbers(name, value):
    """Returns an array of finite numbers, float32."""
    try:
        array = np.asarray(value, np.float32)
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
    if array.dtype.kind in "US":
        try:
            array = array.astype("datetime64[s]")
        except ValueError:
            raise InputError(
                f"{name} must be ISO 8601, e.g. 2013-07-01T12:00. Received: {name}={value!r}"
            ) from None
    if array.dtype.kind == "M":
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
