"""`write_sequences` and `write_forecasts`: what a model gave as a file that a person can open."""

import contextlib
from pathlib import Path

import numpy as np

from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file
from tfgen.kinds import find_kind, kinds_of_numbers
from tfgen.report.figures import to_png
from tfgen.report.kinds import Samples, formats_of
from tfgen.report.series import forecast_figure
from tfgen.report.tables import forecast_table, save_csv, save_npz

# Of a forecast's picture so many rows before it for each that is forecast.
SHOWN_BEFORE = 4


def check_output(path, kind="series"):
    """Checks that sequences of a kind can be written as this file, before they are made.

    Args:
        path: The file.
        kind: The kind; forecasts are written as series are, whatever they are of.

    Returns:
        The file's suffix, one of the kind's formats.

    Raises:
        InputError: They cannot.
    """
    suffix = Path(path).suffix.lower()
    fitting = formats_of(kind)
    if suffix in fitting:
        return suffix
    others = [name for name in kinds_of_numbers() if suffix in formats_of(name)]
    if not others:
        raise unknown("suffix", suffix, fitting)
    raise InputError(
        f"{suffix} is for {' and '.join(others)}, and this is {kind}: choose one of "
        f"{', '.join(fitting)}. Received: path={path}"
    )


def write_sequences(
    path,
    arrays,
    features,
    kind="series",
    *,
    times=None,
    ids=None,
    keys=None,
    sample_rate=None,
    title=None,
):
    """Writes sequences, whole or not at all.

    Args:
        path: The file; its suffix is what is written.

            - `.csv`: one long table with a column for each of `keys`, `time` if there are times,
              and one for each feature; categories by name, what is missing empty.
            - `.npz`: the columns of that table as arrays; of strokes `points` `(total, 3)` and
              `offsets` `(samples + 1,)`, as `tfgen.data.strokes` reads them.
            - `.svg`: the drawings on a sheet.
            - `.png`: a picture: the drawings on a sheet, the lines of series, the waves and
              frequencies of sound.
            - `.wav`: 16-bit PCM.
            - what else the kind has (`tfgen.kinds.Kind.formats`).

            Several samples of sound become files with numbers: `name-1.wav`, `name-2.wav`, ...
        arrays: Array `(samples, time, features)` or list of arrays `(time, features)`, in the
            data's units.
        features: The `Feature` of each column.
        kind: Name of the kind.
        times: Optional list of int64 arrays `(time,)`, seconds since 1970.
        ids: Optional list of texts that tell the samples apart in a picture.
        keys: Columns of a table that tell the samples apart, as for `sample_table`; None is
            `sample`, with the ids or else 1, 2, ...
        sample_rate: Of audio, samples a second.
        title: Optional title of a picture.

    Returns:
        List of the paths written.

    Raises:
        InputError: The suffix is unknown or does not fit the kind, or the file cannot be written.
    """
    suffix = check_output(path, kind)
    arrays = [_floats(values) for values in arrays]
    if not arrays:
        raise ValueError("arrays must hold at least one sequence. Received: arrays=[]")
    for values in arrays:
        if values.ndim != 2 or values.shape[1] != len(features):
            raise ValueError(
                f"arrays must be of shape (time, {len(features)}). Received: shape={values.shape}"
            )
    if find_kind(kind).audible and suffix != ".csv" and not sample_rate:
        raise ValueError(f"sound needs a sample_rate. Received: sample_rate={sample_rate}")
    if keys is None:
        keys = {"sample": list(range(1, len(arrays) + 1) if ids is None else ids)}
    samples = Samples(arrays, features, times, ids, keys, sample_rate, title=title)
    return write_files(path, formats_of(kind)[suffix](samples))


def write_forecasts(path, contexts, forecasts, features, levels):
    """Writes forecasts, whole or not at all.

    Args:
        path: The file; its suffix is what is written.

            - `.csv`: the table of `forecast_table`.
            - `.npz`: `ids`, `features`, `levels`, `mean` `(series, horizon, features)`,
              `quantiles` `(series, levels, horizon, features)`, `samples`
              `(series, samples, horizon, features)`, and `times` `(series, horizon)` if there are
              times.
            - `.png`: a fan behind what came before it, of several forecasts in files with numbers.
        contexts: List of `tfgen.data.contexts.Context`.
        forecasts: List of `Forecast`, of one series each.
        features: The `Feature` of each column.
        levels: The levels of the quantiles.

    Returns:
        List of the paths written.

    Raises:
        InputError: The suffix is unknown, or the file cannot be written.
    """
    suffix = check_output(path)
    timed = all(context.future is not None for context in contexts)
    if suffix == ".csv":
        table = forecast_table(contexts, forecasts, features, levels)
        return write_files(path, [lambda file: save_csv(file, table)])
    if suffix == ".npz":
        content = {
            "ids": np.array([context.id for context in contexts]),
            "features": np.array([feature.name for feature in features]),
            "mean": np.stack([each.mean for each in forecasts]),
            "levels": np.array(levels),
            "quantiles": np.stack([[each.quantiles[q] for q in levels] for each in forecasts]),
            "samples": np.stack([each.samples for each in forecasts]),
        }
        if timed:
            content["times"] = np.stack([context.future for context in contexts]).astype("M8[s]")
        return write_files(path, [lambda file: save_npz(file, content)])
    pictures = []
    for context, forecast in zip(contexts, forecasts, strict=True):
        horizon = len(forecast.mean)
        start = max(len(context.values) - SHOWN_BEFORE * horizon, 0)
        figure = forecast_figure(
            context.values[start:],
            np.median(forecast.samples, axis=0),
            {level: forecast.quantiles[level] for level in levels},
            features,
            times=np.concatenate([context.times[start:], context.future]) if timed else None,
        )
        pictures.append(to_png(figure))
    return write_files(path, [lambda file, p=picture: file.write_bytes(p) for picture in pictures])


def write_files(path, writers):
    """Writes one file, or several with numbers; all are complete before the first has its name."""
    path = Path(path)
    paths = [path]
    if len(writers) > 1:
        paths = [
            path.with_name(f"{path.stem}-{number}{path.suffix}")
            for number in range(1, len(writers) + 1)
        ]
    try:
        with contextlib.ExitStack() as stack:
            for target, write in zip(paths, writers):
                write(stack.enter_context(atomic_file(target)))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    return paths


def _floats(values):
    """float32, but for float64, whose digits are kept."""
    values = np.asarray(values)
    return values if values.dtype == np.float64 else values.astype(np.float32)
