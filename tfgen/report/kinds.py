"""How sequences of each kind are drawn and written; `tfgen.kinds` has the rows."""

import dataclasses

import numpy as np

from tfgen.kinds import find_kind, load
from tfgen.report.drawings import stroke_sheet, svg_sheet
from tfgen.report.figures import to_png
from tfgen.report.series import series_figure
from tfgen.report.sounds import sound_figure, write_wav
from tfgen.report.tables import sample_arrays, sample_table, save_csv, save_npz


@dataclasses.dataclass
class Samples:
    """Sequences to show or to write, and what is known of them.

    Attributes:
        arrays: List of arrays `(time, features)`, in the data's units.
        features: The `Feature` of each column.
        times: List of int64 arrays `(time,)`, seconds since 1970, or None.
        titles: List of texts, one for each array, or None.
        keys: Columns of a table that tell the arrays apart.
        sample_rate: Of sound, samples a second.
        real: List of real ones to be drawn beside them, where the kind can, or None.
        real_times: Their times.
        title: Of the whole picture, or None.
    """

    arrays: list
    features: tuple
    times: list | None = None
    titles: list | None = None
    keys: dict = dataclasses.field(default_factory=dict)
    sample_rate: int | None = None
    real: list | None = None
    real_times: list | None = None
    title: str | None = None


def figure_of(kind, samples, quick=False):
    """Draws samples as those of a kind are drawn.

    Args:
        kind: Name of the kind.
        samples: `Samples`.
        quick: Whether the picture may be plain, for there are many.

    Returns:
        A matplotlib Figure.
    """
    return (load(find_kind(kind).figure) or _figure_of_features)(samples, quick=quick)


def lines_of(kind, values):
    """Returns the thumbnail of an array `(time, features)`: lines `(points, 2)` of x and, downward,
    y."""
    return (load(find_kind(kind).lines) or _lines_of_features)(values)


def formats_of(kind):
    """Returns a dict from a suffix to a function of `Samples`: what samples are written as.

    It returns functions of a path, each of which writes a file.
    """
    own = find_kind(kind).formats
    common = {".csv": _csv, ".npz": _npz, ".png": lambda samples: _png(figure_of(kind, samples))}
    return common | {suffix: load(write) for suffix, write in own.items()}


def sounds_of(kind, samples):
    """Returns `Samples` of a kind to be heard: arrays `(samples, 1)`, and samples a second."""
    sounds = load(find_kind(kind).sounds)
    return (samples.arrays, samples.sample_rate) if sounds is None else sounds(samples)


def noun_of(kind):
    """Returns what samples of a kind are called."""
    return find_kind(kind).noun or kind


def figure_of_drawings(samples, quick=False):
    return stroke_sheet(samples.arrays, samples.titles, title=samples.title, quick=quick)


def figure_of_sounds(samples, quick=False):
    return sound_figure(samples.arrays, samples.sample_rate, samples.titles, samples.title, quick)


def lines_of_drawing(values):
    places = np.cumsum(values[:, :2], axis=0)
    ends = np.flatnonzero(values[:, 2]) + 1  # the pen is lifted after them
    return [line for line in np.split(places, ends) if len(line)]


def drawings_as_npz(samples):
    offsets = np.cumsum([0, *map(len, samples.arrays)])
    content = {"points": np.concatenate(samples.arrays), "offsets": offsets}
    return [lambda path: save_npz(path, content)]


def drawings_as_svg(samples):
    text = svg_sheet(samples.arrays, samples.titles)
    return [lambda path: path.write_text(text, "utf-8", "backslashreplace")]


def sounds_as_wav(samples):
    return [lambda path, v=values: write_wav(path, v, samples.sample_rate)
            for values in samples.arrays]  # fmt: skip


def _figure_of_features(samples, quick=False):
    return series_figure(
        samples.arrays,
        samples.features,
        samples.real,
        samples.times,
        title=samples.title,
        quick=quick,
        real_times=samples.real_times,
    )


def _lines_of_features(values):
    """Each feature by position, all to the same height."""
    upright = -(values - np.nanmean(values, axis=0)) / (np.nanstd(values, axis=0) + 1e-9)
    across = np.linspace(-2, 2, len(values))
    return [np.stack([across, column], axis=-1) for column in upright.T]


def _csv(samples):
    table = sample_table(samples.arrays, samples.features, samples.times, samples.keys)
    return [lambda path: save_csv(path, table)]


def _npz(samples):
    content = sample_arrays(samples.arrays, samples.features, samples.times, samples.keys)
    if samples.sample_rate:
        content["sample_rate"] = np.array(samples.sample_rate)
    return [lambda path: save_npz(path, content)]


def _png(figure):
    picture = to_png(figure)
    return [lambda path: path.write_bytes(picture)]
