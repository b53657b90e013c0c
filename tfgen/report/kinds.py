"""How each kind of sequences is shown and written: one row a kind."""

import dataclasses
from collections.abc import Callable

import numpy as np

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


@dataclasses.dataclass(frozen=True)
class Shown:
    """How sequences of one kind are shown and written.

    Attributes:
        noun: What samples of it are called, in the titles of pictures and tags of TensorBoard.
        unit: What its reader counts: `"row"`, `"drawing"`, `"clip"`.
        figure: Function `(Samples, quick=False)` that draws them as a matplotlib Figure.
        lines: Function of one array to lines `(points, 2)` of x and, downward, y: its thumbnail.
        formats: Dict from a suffix to a function of `Samples`. It returns functions of a path, each
            of which writes a file.
        usual_suffix: Of what a person wants most of samples.
        inspected: Sequences in the picture of `tfgen inspect`.
        watched: Samples in a picture of TensorBoard's.
        compared: Sequences of a picture in a report.
        printed: Whether samples are of use as a table on a terminal.
        beside: Whether real ones are drawn beside generated ones, in one picture; and whether so
            much may be long, and is to be cut.
        audible: Whether samples are to be heard.
        titled: Whether an id is of use as a title.
        needs_rate: The suffixes of which the writers need a sample rate.
    """

    noun: str
    unit: str
    figure: Callable
    lines: Callable
    formats: dict
    usual_suffix: str
    inspected: int
    watched: int
    compared: int
    printed: bool = True
    beside: bool = False
    audible: bool = False
    titled: bool = True
    needs_rate: tuple = ()


def shown(kind):
    """Returns the row of a kind; one that has none is shown as series are."""
    return KINDS.get(kind, KINDS["series"])


def _figure_of_series(samples, quick=False):
    return series_figure(
        samples.arrays,
        samples.features,
        samples.real,
        samples.times,
        title=samples.title,
        quick=quick,
        real_times=samples.real_times,
    )


def _figure_of_strokes(samples, quick=False):
    return stroke_sheet(samples.arrays, samples.titles, title=samples.title, quick=quick)


def _figure_of_sounds(samples, quick=False):
    return sound_figure(samples.arrays, samples.sample_rate, samples.titles, samples.title, quick)


def _lines_of_features(values):
    """Each feature by position, all to the same height."""
    upright = -(values - np.nanmean(values, axis=0)) / (np.nanstd(values, axis=0) + 1e-9)
    across = np.linspace(-2, 2, len(values))
    return [np.stack([across, column], axis=-1) for column in upright.T]


def _lines_of_strokes(values):
    places = np.cumsum(values[:, :2], axis=0)
    ends = np.flatnonzero(values[:, 2]) + 1  # the pen is lifted after them
    return [line for line in np.split(places, ends) if len(line)]


def _csv(samples):
    table = sample_table(samples.arrays, samples.features, samples.times, samples.keys)
    return [lambda path: save_csv(path, table)]


def _npz(samples):
    content = sample_arrays(samples.arrays, samples.features, samples.times, samples.keys)
    if samples.sample_rate:
        content["sample_rate"] = np.array(samples.sample_rate)
    return [lambda path: save_npz(path, content)]


def _npz_of_strokes(samples):
    offsets = np.cumsum([0, *map(len, samples.arrays)])
    content = {"points": np.concatenate(samples.arrays), "offsets": offsets}
    return [lambda path: save_npz(path, content)]


def _svg(samples):
    text = svg_sheet(samples.arrays, samples.titles)
    return [lambda path: path.write_text(text, "utf-8", "backslashreplace")]


def _wav(samples):
    return [lambda path, v=values: write_wav(path, v, samples.sample_rate)
            for values in samples.arrays]  # fmt: skip


def _png(figure):
    def write(samples):
        picture = to_png(figure(samples))
        return [lambda path: path.write_bytes(picture)]

    return write


KINDS = {
    "series": Shown(
        noun="series",
        unit="row",
        figure=_figure_of_series,
        lines=_lines_of_features,
        formats={".csv": _csv, ".npz": _npz, ".png": _png(_figure_of_series)},
        usual_suffix=".csv",
        inspected=4,
        watched=3,
        compared=4,
        beside=True,
    ),
    "strokes": Shown(
        noun="drawings",
        unit="drawing",
        figure=_figure_of_strokes,
        lines=_lines_of_strokes,
        formats={
            ".csv": _csv,
            ".npz": _npz_of_strokes,
            ".png": _png(_figure_of_strokes),
            ".svg": _svg,
        },
        usual_suffix=".svg",
        inspected=100,
        watched=16,
        compared=49,
        titled=False,
    ),
    "audio": Shown(
        noun="sounds",
        unit="clip",
        figure=_figure_of_sounds,
        lines=_lines_of_features,
        formats={".csv": _csv, ".npz": _npz, ".png": _png(_figure_of_sounds), ".wav": _wav},
        usual_suffix=".wav",
        inspected=6,
        watched=4,
        compared=4,
        printed=False,
        audible=True,
        needs_rate=(".npz", ".png", ".wav"),
    ),
}
