"""Other data for a model that was trained already: sequences, arrays and tables."""

import dataclasses

import numpy as np

from tfgen.data.frames import is_frame, named_columns
from tfgen.data.layout import clean_names
from tfgen.data.readers import Report
from tfgen.errors import InputError, unknown


def check(processor, sequences):
    """Returns sequences as the processor's model takes them; see `SequenceProcessor.check`."""
    order = _order("column", [feature.name for feature in sequences.features],
                   processor.feature_names)  # fmt: skip
    report = Report(
        sequences.report.kept,
        {reason: list(entry) for reason, entry in sequences.report.dropped.items()},
        list(sequences.report.notes),
    )
    values = [each[:, order].astype(processor.value_type) for each in sequences.values]
    for column, feature in enumerate(processor.features):
        theirs = sequences.features[order[column]]
        _check_sort(feature, theirs, values, column)
        if feature.is_category and theirs.is_category and theirs.levels != feature.levels:
            _translate(feature, theirs, values, column, report)
    for number, each in zip(sequences.ids, values, strict=True):
        check_values(processor, each, f"sequence '{number}'")
    if processor.needs_times and sequences.times is None:
        raise InputError("The model was trained on data with times, and these data have none")
    if len({processor.sample_rate, sequences.sample_rate} - {None}) == 2:
        raise InputError(
            f"The model was trained at {processor.sample_rate} positions a second: resample the "
            f"data with data.sample_rate. Received: sample_rate={sequences.sample_rate}"
        )
    known = _order("known covariate", sequences.known_names, processor.known_names)
    static = _order("static column", sequences.static_names, processor.static_names)
    for what, parts in (
        ("Known covariates", sequences.known),
        ("Static columns", [sequences.static]),
    ):
        if any(each is not None and np.isinf(each).any() for each in parts or ()):
            raise InputError(f"{what} must be finite. Received: an infinite value")
    return dataclasses.replace(
        sequences,
        features=processor.features,
        values=values,
        known=[each[:, known].astype(processor.known_type) for each in sequences.known]
        if known
        else None,
        known_names=processor.known_names,
        static=sequences.static[:, static].astype(processor.static_type) if static else None,
        static_names=processor.static_names,
        labels=_labels(processor, sequences),
        classes=processor.classes,
        ends=sequences.ends and processor.ends,
        report=report,
    )


def _order(what, names, wanted):
    """Returns the position of each wanted name among the names, which must be the same set."""
    names = list(names)
    missing = [name for name in wanted if name not in names]
    extra = [name for name in names if name not in wanted]
    if missing or extra:
        found = {"missing": missing, "unknown": extra}
        faults = [f"{fault}: {', '.join(map(repr, of))}" for fault, of in found.items() if of]
        raise InputError(
            f"The data must have each {what} that the model was trained on, and no other: "
            f"{', '.join(wanted) or '(none)'} ({'; '.join(faults)}). "
            f"Received: {', '.join(names) or '(none)'}"
        )
    return [names.index(name) for name in wanted]


def _check_sort(feature, theirs, values, column):
    if feature.is_category == theirs.is_category:
        return
    # A column of which nothing is observed has no levels, and no numbers either.
    if all(np.isnan(each[:, column]).all() for each in values):
        return
    sorts = {True: "a category", False: "a number"}
    raise InputError(
        f"Column '{feature.name}' is {sorts[feature.is_category]} to the model and "
        f"{sorts[theirs.is_category]} in these data (data.categories names columns of categories)"
    )


def _translate(feature, theirs, values, column, report):
    """Replaces numbers of their levels by those of ours, in place; unknown levels are missing."""
    table = np.array(
        [feature.levels.index(level) if level in feature.levels else np.nan
         for level in theirs.levels],
        np.float32,
    )  # fmt: skip
    for each in values:
        observed = ~np.isnan(each[:, column])
        found = each[observed, column].astype(np.int64)
        each[observed, column] = table[found]
        strange = found[np.isnan(table[found])]
        if len(strange):
            reason = f"level of '{feature.name}' that the model does not know (taken as missing)"
            entry = report.dropped.setdefault(reason, [0, theirs.levels[strange[0]]])
            entry[0] += len(strange)


def _labels(processor, sequences):
    if not processor.classes or sequences.labels is None:
        return None
    table = {name: number for number, name in enumerate(processor.classes)}
    for number in np.unique(sequences.labels):
        if sequences.classes[number] not in table:
            raise unknown("class", sequences.classes[number], processor.classes)
    names = (sequences.classes[number] for number in sequences.labels)
    return np.array([table[name] for name in names], np.int32)


def check_values(processor, values, where):
    """Raises InputError if values `(time, features)` hold what the model cannot take."""
    for column, feature in enumerate(processor.features):
        observed = values[:, column]
        observed = observed[~np.isnan(observed)]
        with np.errstate(over="ignore"):
            finite = np.isfinite(observed.astype(np.float32)).all()
        if not finite:
            raise InputError(
                f"Values must be finite in float32, or NaN where missing. Received: {where}, "
                f"column '{feature.name}', with an infinite value"
            )
        if feature.is_category:
            wrong = (observed < 0) | (observed >= len(feature.levels)) | (observed % 1 != 0)
            if wrong.any():
                raise InputError(
                    f"Column '{feature.name}' holds numbers of levels, 0 to "
                    f"{len(feature.levels) - 1}. Received: {where}, "
                    f"{feature.name}={observed[wrong][0]:g}"
                )
    names = [processor.feature_names[column] for column in processor.number_columns]
    try:
        processor.scaler.check_values(values[:, list(processor.number_columns)], names)
    except InputError as error:
        raise InputError(f"{error} ({where})") from None


def as_values(processor, rows):
    """Turns what a person has into an array; see `SequenceProcessor.as_values`."""
    parts, single = _parts(processor, rows)
    if not parts:
        raise InputError("There must be at least one sequence. Received: an empty list")
    sequences = []
    for number, part in enumerate(parts):
        where = "the values" if single else f"sequence {number}"
        sequence = _sequence(processor, part, where)
        check_values(processor, sequence, where)
        sequences.append(sequence)
    lengths = np.array([len(each) for each in sequences], np.int32)
    # Room for a position, of which a series without any has none.
    shape = [len(parts), max(lengths.max(), 1), processor.num_features]
    padded = np.full(shape, np.nan, processor.value_type)
    for row, sequence in zip(padded, sequences):
        row[: len(sequence)] = sequence
    return padded, lengths, single


def _parts(processor, rows):
    """Returns the sequences of what was given, and whether it was one sequence."""
    if is_frame(rows):
        return [rows], True
    if not isinstance(rows, (list, tuple)):
        rows = _array(rows, "the values")
        return (list(rows), False) if rows.ndim == 3 else ([rows], True)
    parts = [each if is_frame(each) else _nested(each) for each in rows]
    if any(is_frame(each) or each.ndim >= 2 for each in parts):
        return parts, False
    # A list of rows, or of numbers; of a single feature, also a list of sequences of numbers.
    sequences = processor.num_features == 1 and any(
        each.ndim == 1 and each.shape != (1,) for each in parts
    )
    if sequences:
        return parts, False
    if parts and len({each.shape for each in parts}) > 1:
        raise InputError(
            f"Every row must have {processor.num_features} values, {_columns(processor)}. "
            f"Received: rows of {', '.join(sorted({str(each.size) for each in parts}))} values"
        )
    return ([np.stack(parts)] if parts else []), True


def _nested(value):
    try:
        return _array(value, "the values")
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError("Rows must all have as many values. Received: a ragged list") from None


def _sequence(processor, part, where):
    """Returns one sequence `(time, features)`, of the type of the processor's values."""
    part = _of_frame(processor, part, where) if is_frame(part) else _array(part, where)
    if part.ndim == 1 and processor.num_features == 1:
        part = part[:, None]
    if part.ndim != 2 or part.shape[1] != processor.num_features:
        raise InputError(
            f"Values must be (time, {processor.num_features}) or (batch, time, "
            f"{processor.num_features}), with the columns {_columns(processor)}. "
            f"Received: {where} of shape {part.shape}"
        )
    with np.errstate(over="ignore"):  # what is too large is infinite then, and refused
        return part.astype(processor.value_type)


def _columns(processor):
    names = ", ".join(processor.feature_names[:10])
    return f"{names}, ..." if processor.num_features > 10 else names


def _array(values, where):
    """Returns an array of any shape as floats; text and the like are refused."""
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    values = np.asarray(values)
    if values.dtype.kind == "O":
        texts = [each for each in values.ravel() if isinstance(each, (str, bytes))]
        if texts:
            raise InputError(f"Values must be numbers. Received: {where} with {texts[0]!r}")
        try:
            # None becomes NaN.
            values = values.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"Values must be numbers. Received: {where} of objects") from None
    if values.dtype.kind not in "fiub":
        raise InputError(f"Values must be numbers. Received: {where} of {values.dtype.name}")
    return values if values.dtype == np.float32 else values.astype(np.float64)


def _of_frame(processor, frame, where):
    names, columns = named_columns(frame, where)
    found = dict(zip(clean_names(names), columns))
    missing = [name for name in processor.feature_names if name not in found]
    if missing:
        raise InputError(
            f"The table must have the columns {_columns(processor)}. Received: {where} without "
            f"{', '.join(map(repr, missing))}"
        )
    columns = [_of_column(each, found[each.name], where) for each in processor.features]
    return np.stack(columns, axis=1)


def _of_column(feature, column, where):
    """Returns a narwhals Series as floats `(time,)`."""
    where = f"{where}, column '{feature.name}'"
    filled = np.empty(len(column), object)
    filled[:] = [None if gone else v for v, gone in zip(column.to_list(), column.is_null())]
    texts = any(isinstance(value, str) for value in filled)
    if not feature.is_category or not (texts or _are_numbers(feature.levels)):
        return _array(filled, where)
    # By name; a level of digits is also found where the table has made numbers of it.
    key = str if texts else float
    table = {key(level): number for number, level in enumerate(feature.levels)}
    numbers = np.full(len(filled), np.nan, np.float32)
    for row, value in enumerate(filled):
        if value is None:
            continue
        if key(value) not in table:
            raise unknown(f"level of '{feature.name}'", value, feature.levels)
        numbers[row] = table[key(value)]
    return numbers


def _are_numbers(levels):
    try:
        return len({float(level) for level in levels}) == len(levels)
    except ValueError:
        return False
