"""`write_sequences`: sequences as a file that a person can open."""

import contextlib
import csv
import wave
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from tfgen.data import drawing
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file

# What can be written, and of which kinds of sequences.
FORMATS = {
    ".csv": ("series", "strokes", "audio"),
    ".npz": ("series", "strokes", "audio"),
    ".png": ("series", "strokes", "audio"),
    ".svg": ("strokes",),
    ".wav": ("audio",),
}
FULL_SCALE = 1 << 15  # of 16 bits


def check_output(path, kind):
    """Checks that sequences of a kind can be written as this file, before they are made.

    Returns:
        The file's suffix, one of `FORMATS`.

    Raises:
        InputError: They cannot, or a package for it is missing.
    """
    suffix = Path(path).suffix.lower()
    fitting = [name for name, kinds in FORMATS.items() if kind in kinds]
    if suffix not in FORMATS:
        raise unknown("suffix", suffix, fitting)
    if suffix not in fitting:
        raise InputError(
            f"{suffix} is for {' and '.join(FORMATS[suffix])}, and this is {kind}: choose one of "
            f"{', '.join(fitting)}. Received: path={path}"
        )
    return suffix


def write_sequences(
    path,
    arrays,
    features,
    kind="series",
    *,
    times=None,
    ids=None,
    sample_rate=None,
    quantiles=None,
    history=None,
    history_times=None,
    truth=None,
    real=None,
    units=None,
    title=None,
):
    """Writes sequences, whole or not at all.

    Args:
        path: The file; its suffix is what is written.

            - `.csv`: one long table with the columns `sample`, `time` if there are times, and one
              for each feature; categories by name, what is missing empty. With quantiles, a
              further column `name_q0.1` for each.
            - `.npz`: the columns of that table as arrays; of strokes `points` `(total, 3)` and
              `offsets` `(samples + 1,)`, as `tfgen.data.strokes` reads them.
            - `.svg`: the drawings on a sheet.
            - `.png`: a picture: the drawings on a sheet, the lines of series, the fan of a
              forecast, the waves and frequencies of sound.
            - `.wav`: 16-bit PCM.

            Several samples of sound, and the pictures of several forecasts, become files with
            numbers: `name-1.wav`, `name-2.wav`, ...
        arrays: Array `(samples, time, features)` or list of arrays `(time, features)`, in the
            data's units. With quantiles, the median.
        features: The `Feature` of each column.
        kind: `"series"`, `"strokes"` or `"audio"`.
        times: Optional list of int64 arrays `(time,)`, seconds since 1970.
        ids: Optional list of texts that tell the samples apart; 1, 2, ... without it.
        sample_rate: Of audio, samples a second.
        quantiles: Optional dict from a level to arrays like `arrays`: these are forecasts.
        history: With quantiles, list of arrays `(context, features)` before the forecasts.
        history_times: Their times.
        truth: With quantiles, list of arrays like `arrays`: what came.
        real: Of series in a picture, arrays that are drawn beside.
        units: Optional dict from a feature's name to its unit, for pictures.
        title: Optional title of a picture.

    Returns:
        List of the paths written.

    Raises:
        InputError: The suffix is unknown or does not fit the kind, or the file cannot be written.
    """
    suffix, path = check_output(path, kind), Path(path)
    arrays = [_floats(values) for values in arrays]
    if not arrays:
        raise ValueError("arrays must hold at least one sequence. Received: arrays=[]")
    for values in arrays:
        if values.ndim != 2 or values.shape[1] != len(features):
            raise ValueError(
                f"arrays must be of shape (time, {len(features)}). Received: shape={values.shape}"
            )
    if kind == "audio" and suffix in (".wav", ".png", ".npz") and not sample_rate:
        raise ValueError(f"sound needs a sample_rate. Received: sample_rate={sample_rate}")
    if suffix == ".csv":
        columns = _columns(arrays, features, times, ids, quantiles)
        return _write(path, [lambda file: _write_csv(file, columns)])
    if suffix == ".npz" and kind == "strokes":
        offsets = np.cumsum([0, *map(len, arrays)])
        content = {"points": np.concatenate(arrays), "offsets": offsets}
        return _write(path, [lambda file: _write_npz(file, content)])
    if suffix == ".npz":
        content = _columns(arrays, features, times, ids, quantiles, text=False)
        if kind == "audio":
            content["sample_rate"] = np.array(sample_rate)
        return _write(path, [lambda file: _write_npz(file, content)])
    if suffix == ".svg":
        text = svg_sheet(arrays, ids)
        return _write(path, [lambda file: file.write_text(text, "utf-8", "backslashreplace")])
    if suffix == ".wav":
        writers = [lambda file, v=values: write_wav(file, v, sample_rate) for values in arrays]
        return _write(path, writers)
    if quantiles is not None:
        figures = _fans(
            arrays, features, times, quantiles, history, history_times, truth, units, title
        )
    elif kind == "strokes":
        figures = [drawing.stroke_sheet(arrays, ids, title=title)]
    elif kind == "audio":
        figures = [drawing.sound_figure(arrays, sample_rate, ids, title)]
    else:
        figures = [drawing.series_figure(arrays, features, real, times, units, title)]
    pictures = [drawing.to_png(figure) for figure in figures]
    return _write(path, [lambda file, p=picture: file.write_bytes(p) for picture in pictures])


def _write(path, writers):
    """Writes one file, or several with numbers; all are complete before the first has its name."""
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


def _columns(arrays, features, times, ids, quantiles, text=True):
    """Returns a long table as a dict of arrays, as texts or as they are."""
    lengths = [len(values) for values in arrays]
    names = [feature.name for feature in features]
    identity = np.array(ids if ids is not None else np.arange(1, len(arrays) + 1))
    columns = {_free("sample", names): np.repeat(identity, lengths)}
    if times is not None:
        stamps = np.concatenate([np.asarray(part, np.int64) for part in times]).astype("M8[s]")
        columns[_free("time", names)] = np.datetime_as_string(stamps) if text else stamps
    groups = [("", np.concatenate(arrays))]
    for level in sorted(quantiles or ()):
        values = [_floats(part) for part in quantiles[level]]
        groups.append((f"_q{level:g}", np.concatenate(values)))
    for number, feature in enumerate(features):
        for ending, values in groups:
            column = values[:, number]
            if feature.is_category:
                levels = np.array([*feature.levels, ""])
                column = levels[np.where(np.isnan(column), -1, column).astype(np.int64)]
            elif text:
                # The fewest digits that are the same number again.
                column = np.where(np.isnan(column), "", column.astype(str))
            columns[feature.name + ending] = column
    return columns


def _floats(values):
    """float32, but for float64, whose digits are kept."""
    values = np.asarray(values)
    return values if values.dtype == np.float64 else values.astype(np.float32)


def _free(name, taken):
    while name in taken:
        name += "_"
    return name


def _write_csv(path, columns):
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*(column.tolist() for column in columns.values())))


def _write_npz(path, arrays):
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def write_wav(path, sound, sample_rate):
    """Writes a sound as a WAV file of 16-bit PCM with one channel.

    Args:
        path: The file.
        sound: Array `(samples, 1)` or `(samples,)` in [-1, 1]; what is beyond is clipped.
        sample_rate: Samples a second.
    """
    sound = np.asarray(sound, np.float64).reshape(-1)
    if not np.isfinite(sound).all():
        raise ValueError("sound must be finite")
    whole = np.clip(np.round(sound * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(sample_rate))
        file.writeframes(whole.astype("<i2").tobytes())


def svg_sheet(drawings, titles=None, columns=None):
    """Returns a sheet of drawings as the text of an SVG file, one path for each drawing.

    Args:
        drawings: List of arrays `(points, 3)` of dx, dy, pen.
        titles: Optional list of texts, shown when the mouse is over a drawing.
        columns: Number of columns; None makes the sheet about square.
    """
    cells, cell, columns, rows = drawing.lay_out(drawings, columns)
    width, height = columns * cell, rows * cell
    scale = 96 / cell  # a cell is an inch
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.7g} {height:.7g}" '
        f'width="{width * scale:.0f}" height="{height * scale:.0f}" style="background:#fff">',
        f'<g fill="none" stroke="{drawing.BLACK}" stroke-width="{drawing.LINE_WIDTH * cell:.3g}" '
        'stroke-linecap="round" stroke-linejoin="round">',
    ]
    for number, polylines in enumerate(cells):
        data = "".join(_path_data(line) for line in polylines)
        name = f"<title>{escape(str(titles[number]))}</title>" if titles else ""
        lines.append(f'<path d="{data}">{name}</path>')
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _path_data(line):
    words = [f"{x:.7g},{y:.7g}" for x, y in line]
    # A dot is a line to where it is.
    return f"M{words[0]}L{' '.join(words[1:] or words)}"


def _fans(arrays, features, times, quantiles, history, history_times, truth, units, title):
    figures = []
    for number, median in enumerate(arrays):
        past = np.zeros([0, len(features)]) if history is None else history[number]
        stamps = None
        if times is not None and (history is None or history_times is not None):
            parts = [times[number]] if history is None else [history_times[number], times[number]]
            stamps = np.concatenate(parts)
        figures.append(
            drawing.forecast_figure(
                np.asarray(past),
                median,
                {level: np.asarray(values[number]) for level, values in quantiles.items()},
                features,
                None if truth is None else np.asarray(truth[number]),
                stamps,
                units,
                title,
            )
        )
    return figures
