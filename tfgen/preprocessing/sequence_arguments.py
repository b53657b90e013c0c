"""The arguments of a `SequenceProcessor`, checked."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfgen.data.features import Circle, Feature, Step
from tfgen.kinds import kinds_of_numbers
from tfgen.preprocessing.scaler import as_finite

_MAX_COUNT = 2**31 - 1
# Seconds: some 300 million years to either side, so that no sum of times overflows.
_MAX_TIME = 10**16


def check(processor):
    """Raises ValueError if an argument that the processor keeps as it is is out of range."""

    def must(holds, rule, name):
        if not holds:
            value = getattr(processor, name)
            raise ValueError(f"{name} must be {rule}. Received: {name}={value!r:.200}")

    kinds = kinds_of_numbers()
    must(isinstance(processor.kind, str) and processor.kind in kinds, f"one of {kinds}", "kind")
    must(processor.features, "at least one", "features")
    for name in ("ends", "irregular", "has_missing"):
        must(isinstance(getattr(processor, name), bool), "True or False", name)
    for name in ("sample_rate", "step", "length"):
        value = getattr(processor, name)
        whole = type(value) is int and 1 <= value <= _MAX_COUNT
        must(value is None or whole, f"an integer from 1 to {_MAX_COUNT}, or None", name)
    start = processor.start_time
    whole = type(start) is int and abs(start) <= _MAX_TIME
    must(start is None or whole, "an integer of seconds, or None", "start_time")
    periods = all(type(each) is int and 1 < each <= _MAX_COUNT for each in processor.calendar)
    must(periods and len(processor.calendar) <= 16, "at most 16 integers above 1", "calendar")
    must(not processor.irregular or processor.step is not None, "False without step", "irregular")
    fits = processor.calendar_step is None or processor.step is not None
    must(fits, "None without step", "calendar_step")
    found = processor.seasons or ()
    whole = all(type(each) is int and 1 < each <= _MAX_COUNT for each in found) and len(found) <= 16
    must(whole, "None or at most 16 integers above 1", "seasons")
    rows = [row for row in processor.lengths if isinstance(row, (list, tuple)) and row]
    counts = all(type(each) is int and 1 <= each <= _MAX_COUNT for row in rows for each in row)
    fits = len(rows) == len(processor.lengths) and len({len(row) for row in rows}) <= 1
    fits = fits and len(rows) in ((processor.num_classes + 1,) if processor.ends else (0,))
    rule = "as many integers for each class and for all, if sequences end; else none"
    must(counts and (fits or not rows), rule, "lengths")
    straight = not (processor.circular and processor.scaler.mixes)
    must(straight, "one that does not mix columns, with circular ones", "scaler")
    widths = {
        "scale": processor.num_numbers,
        "origin": processor.num_numbers,
    }
    for name, width in widths.items():
        value = getattr(processor, name)
        must(value is None or len(value) == width, f"a list of {width} numbers", name)


def listed(name, values):
    """Checks that it is a list; returns it as a tuple."""
    if not isinstance(values, (list, tuple)):
        raise ValueError(f"{name} must be a list. Received: {name}={values!r:.200}")
    return tuple(values)


def names(name, values):
    """Checks a list of texts; returns it as a tuple."""
    values = listed(name, values)
    texts = all(isinstance(value, str) for value in values)
    if not texts or len(set(values)) != len(values):
        raise ValueError(f"{name} must be different texts. Received: {name}={list(values)!r:.200}")
    return values


def feature(record):
    """Returns the `Feature` of a dict of its fields, or of one, checked."""
    if isinstance(record, Feature):
        record = dataclasses.asdict(record)
    keys = [field.name for field in dataclasses.fields(Feature)]
    if isinstance(record, dict):
        record = {"step": None, "circle": None, **record}  # of files that were written without
    if not isinstance(record, dict) or set(record) != set(keys):
        raise ValueError(
            f"A feature must have {', '.join(keys)}. Received: feature={record!r:.200}"
        )
    name = record["name"]
    if not isinstance(name, str):
        raise ValueError(f"The name of a feature must be a text. Received: name={name!r}")
    levels = names(f"levels of {name}", record["levels"])
    bounds = [None if record[key] is None else as_finite(record[key]) for key in ("low", "high")]
    given = [record[key] for key in ("low", "high")]
    low, high = bounds
    wrong = any(value is not None and bound is None for value, bound in zip(given, bounds))
    if wrong or (None not in bounds and low > high):
        raise ValueError(
            f"low must be a number not above high, either may be None. Received: {name} with "
            f"low={given[0]!r}, high={given[1]!r}"
        )
    circle = _circle(name, record["circle"])
    fits = circle is None or (low is None and high is None and not levels)
    if not fits:
        raise ValueError(
            f"A circular feature must have neither bounds nor levels. Received: {name} with "
            f"circle={record['circle']!r:.200}"
        )
    return Feature(name, levels, low, high, _step(name, record["step"]), circle)


def _step(name, record):
    """The `Step` of a list of its numbers, checked; None of None."""
    if record is None:
        return None
    numbers = [as_finite(each) for each in listed(f"step of {name}", record)]
    if len(numbers) != 3 or None in numbers or numbers[0] <= 0 or numbers[2] not in range(16):
        raise ValueError(
            f"The step of a feature must be a size above 0, an offset and a number of decimals. "
            f"Received: {name} with step={record!r:.200}"
        )
    size, offset, decimals = numbers
    return Step(size, offset, int(decimals))


def _circle(name, record):
    """The `Circle` of a list of its numbers, checked; None of None."""
    if record is None:
        return None
    numbers = [as_finite(each) for each in listed(f"circle of {name}", record)]
    if len(numbers) != 2 or None in numbers or numbers[0] <= 0:
        raise ValueError(
            f"The circle of a feature must be a period above 0 and a start. "
            f"Received: {name} with circle={record!r:.200}"
        )
    return Circle(*numbers)


def without_former(config):
    """A configuration without what earlier versions stored and nothing read."""
    unset = [name for name in ("seed_values",) if config.get(name, 0) is None]
    return {name: value for name, value in config.items() if name not in unset}


def seconds(times):
    """Times as int64; of floats the seconds may be lost already."""
    times = times if tf.is_tensor(times) else np.asarray(times)
    if not tf.as_dtype(times.dtype).is_integer:
        raise ValueError(f"times must be integers. Received: times of {times.dtype}")
    return tf.cast(times, tf.int64)
