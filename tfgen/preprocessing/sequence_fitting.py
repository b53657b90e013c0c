"""What a `SequenceProcessor` infers from training sequences."""

import numpy as np

from tfgen.data.calendar_steps import CalendarStep, find_calendar_step
from tfgen.data.seasons import common_seasons
from tfgen.data.sequences import needs_float64
from tfgen.data.series_scales import series_scale
from tfgen.errors import InputError, unknown
from tfgen.kinds import find_kind
from tfgen.preprocessing.scaler import TINY
from tfgen.preprocessing.scalers import SCALERS, Chain, Log1pScaler, NoScaler, StandardScaler

DAY, WEEK = 86_400, 604_800
YEAR = 31_556_952  # seconds: the mean year of the Gregorian calendar, 365.2425 days
CALENDAR = (DAY, WEEK, YEAR)
# Fewer positions to a period do not show it.
_LEAST_STEPS = 4
_SHARES = 64
# Scalers of series that subtract something ("auto" is one of them).
_SHIFTING = ("auto", "standard", "min_max", "robust", "whiten")


def arguments(sequences, config, seasons=False):
    """Returns the arguments of the `SequenceProcessor` of training sequences.

    Args:
        sequences: `tfgen.data.sequences.Sequences`.
        config: `tfgen.recipe.PreprocessingConfig`.
        seasons: Whether to look for seasons.

    Raises:
        InputError: As `SequenceProcessor.fit`.
    """
    if not len(sequences) or not sequences.positions:
        raise InputError("There is nothing to fit a scaler to: the training data are empty")
    numbers = [i for i, feature in enumerate(sequences.features) if not feature.is_category]
    names = [sequences.features[i].name for i in numbers]
    series = [values[:, numbers] for values in sequences.values]  # (time, numbers) each
    joined = np.concatenate(series)
    turning = {sequences.features[i].name for i in numbers if sequences.features[i].circle}
    for name in turning & set(config.log1p):
        raise InputError(f"'{name}' is circular. Received: preprocessing.log1p={config.log1p}")
    origin = _origin(joined, names, config, turning)
    if origin is not None:
        series, joined = [values - origin for values in series], joined - origin
    known_names, static_names = tuple(sequences.known_names), tuple(sequences.static_names)
    lengths = [len(values) for values in sequences.values]
    scaler = _scaler(sequences, config, names)
    scales = [series_scale(values, scaler.statistic, TINY) for values in series]
    times = _times(sequences.times, config.calendar)
    if seasons:
        step = times.get("calendar_step") and CalendarStep.parse(times["calendar_step"]).seconds
        times["seasons"] = common_seasons(series, step or times.get("step"))
    return {
        "kind": sequences.kind,
        "features": list(sequences.features),
        "scaler": scaler.adapt(joined, names),
        "known_names": known_names,
        "known_scaler": _standard(known_names, sequences.known and np.concatenate(sequences.known)),
        "static_names": static_names,
        "static_scaler": _standard(static_names, sequences.static),
        "classes": tuple(sequences.classes),
        "ends": bool(sequences.ends),
        "sample_rate": None if sequences.sample_rate is None else int(sequences.sample_rate),
        # What ends by itself may become as long as the longest there was.
        "length": max(lengths) if sequences.ends else _median(lengths),
        "lengths": _lengths(sequences) if sequences.ends else (),
        "has_missing": any(bool(np.isnan(values).any()) for values in sequences.values),
        "scale": np.median(scales, axis=0).tolist(),
        "origin": origin,
        **times,
    }


def _lengths(sequences):
    """Quantiles of the lengths, a row of them for each class and a last one for all."""
    lengths = np.array([len(values) for values in sequences.values])
    rows = [lengths[sequences.labels == number] for number in range(len(sequences.classes))]
    # The middles of as many equal shares: whoever draws one of them draws a length.
    shares = (np.arange(_SHARES) + 0.5) / _SHARES
    rows = [row if len(row) else lengths for row in [*rows, lengths]]
    return [np.quantile(row, shares, method="nearest").tolist() for row in rows]


def _origin(values, names, config, turning):
    """From where columns `(positions, numbers)` are counted; None if float32 holds them as they
    are.

    A scaler that shifts does not mind where it is; for the others 0 is a place of its own.
    """
    if values.dtype != np.float64 or config.scaler not in _SHIFTING:
        return None
    moved = [
        name not in {*config.log1p, *turning} and needs_float64(column)
        for name, column in zip(names, values.T)
    ]
    if not any(moved):
        return None
    return [float(np.nanmedian(column)) if m else 0.0 for m, column in zip(moved, values.T)]


def _scaler(sequences, config, names):
    """Returns the scaler that the configuration asks for, not yet fitted."""
    name = config.scaler
    if name == "auto":
        name = find_kind(sequences.kind).scaler
    if name not in SCALERS:
        raise unknown("preprocessing.scaler", name, ["auto", *SCALERS])
    scaler = SCALERS[name]()
    if not names:
        scaler = NoScaler()
    columns = []
    for column in config.log1p:
        if column not in names:
            raise unknown("column of numbers in preprocessing.log1p", column, names)
        columns.append(names.index(column))
    return Chain([Log1pScaler(sorted(set(columns))), scaler]) if columns else scaler


def _standard(names, values):
    return StandardScaler().adapt(values, names) if names else NoScaler()


def _times(times, calendar):
    """Returns the arguments that tell of times: all of them empty without any."""
    times = [each for each in times or () if len(each)]
    if not times:
        return {}
    first = min(int(each.min()) for each in times)
    last = max(int(each.max()) for each in times)
    steps = np.concatenate([np.diff(each) for each in times])  # int64
    step = _median(steps) if len(steps) else None
    if step is None or step < 1:
        return {"start_time": first}
    found = find_calendar_step(times)
    if found is None:
        irregular = (steps != step).any()
        shown = [each for each in CALENDAR if _LEAST_STEPS * step <= each]
    else:
        irregular = any((found.between(each[:-1], each[1:]) != 1).any() for each in times)
        # Four quarters are a year, though four of the longest are not.
        shown = [YEAR] if found.year and found.year >= _LEAST_STEPS else []
        shown = [WEEK, YEAR] if found.unit == "business day" else shown
    periods = [each for each in shown if each <= last - first]
    return {
        "start_time": first,
        "step": step,
        "calendar_step": None if found is None else str(found),
        "calendar": periods if calendar else [],
        "irregular": bool(irregular),
    }


def _median(values):
    """The median of integers; of an even count the lower of the two, which is among them."""
    return int(np.sort(np.asarray(values))[(len(values) - 1) // 2])
