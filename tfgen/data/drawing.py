"""Pictures of sequences: series, forecasts, strokes and sound, as matplotlib figures.

matplotlib is imported when a picture is drawn. Figures are made without pyplot, so that neither a
display nor a program's own figures are touched. The colours are those of Okabe and Ito ("Color
Universal Design", 2008), which people of every colour vision can tell apart; the maps of sound are
cividis, for the same reason.
"""

import io
import math
import warnings

import numpy as np

from tfgen.data.seasons import autocorrelation as column_autocorrelation
from tfgen.data.strokes import to_lines

BLACK, GREY, BLUE, ORANGE = "#222222", "#8a8a8a", "#0072B2", "#D55E00"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
WIDTH, DPI = 9.0, 100  # inches, pixels an inch
# A quick figure is no larger than the card that TensorBoard shows it in, so that its labels stay as
# large as they are: a point is a pixel.
QUICK_WIDTH, QUICK_DPI = 5.0, 72
QUICK_MARGINS = 0.8, 0.12, 0.55, 0.45  # inches: left, right, bottom, top
QUICK_MARKS = 4  # along an axis
FONTS = {False: (7, 8, 10), True: (9, 10, 11)}  # points, if quick: of marks, axes and titles
MOST_FEATURES, MOST_LINES, MOST_SOUNDS, MOST_DRAWINGS = 12, 4, 6, 400
# Of a cell of a sheet of drawings: its part around the drawing, and the width of a line.
MARGIN, LINE_WIDTH = 0.12, 0.016
_SILENCE = -80.0  # dB below the loudest, where a map of sound ends


def new_figure(width, height, quick=False):
    """Returns an empty matplotlib Figure that needs no display.

    Args:
        width: Inches.
        height: Inches.
        quick: Whether it is laid out by fixed margins and has fewer pixels, which takes half the
            time, where a plot is made again and again, to be looked at in small.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout = None if quick else "constrained"
    dpi = QUICK_DPI if quick else DPI
    figure = Figure(figsize=(width, height), dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    if quick:
        left, right, bottom, top = QUICK_MARGINS
        figure.subplots_adjust(
            left=left / width,
            right=1 - right / width,
            bottom=bottom / height,
            top=1 - top / height,
            wspace=0.08,
            hspace=0.2,
        )
    return figure


def to_rgb(figure):
    """Returns a figure's pixels, uint8 `(height, width, 3)`, as TensorBoard takes them."""
    with warnings.catch_warnings():
        # A font without the character of a title draws a box for it; and of some stretches of time
        # there are a few marks more than asked for.
        warnings.filterwarnings("ignore", message="Glyph|AutoDateLocator was unable")
        figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def to_png(figure):
    """Returns a figure as the bytes of a PNG file."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        # Without the version of matplotlib, so that the same data gives the same file.
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def series_figure(
    samples,
    features,
    real=None,
    times=None,
    units=None,
    title=None,
    quick=False,
    real_times=None,
):
    """Draws series, one panel for each feature, generated ones beside real ones.

    Args:
        samples: List of arrays `(time, features)`; the first few are drawn. NaN is a gap.
        features: The `Feature` of each column.
        real: Optional list of real ones, drawn at the left on the same axes.
        times: Optional list of int64 arrays `(time,)` of seconds since 1970, one for each sample.
        units: Optional dict from a feature's name to its unit.
        title: Optional title.
        quick: See `new_figure`.
        real_times: As `times`, of the real ones.
    """
    features = features[:MOST_FEATURES]
    sides = [("generated" if real is not None else None, samples, times, COLOURS)]
    if real is not None:
        sides.insert(0, ("real", real, real_times, (BLACK, GREY, "#555555", "#b5b5b5")))
    figure = new_figure(QUICK_WIDTH if quick else WIDTH, 1.0 + 1.4 * len(features), quick)
    panels = figure.subplots(len(features), len(sides), sharex="col", sharey="row", squeeze=False)
    for column, (name, group, stamps, colours) in enumerate(sides):
        for row, feature in enumerate(features):
            axes = panels[row, column]
            _decorate(axes, feature, units, column == 0, quick)
            for number, values in enumerate(group[:MOST_LINES]):
                x = _positions(values, stamps[number] if stamps else None)
                _line(axes, x, values[:, row], feature, colours[number % len(colours)], 1.0)
        if name:
            panels[0, column].set_title(name, fontsize=FONTS[quick][2], color=BLACK)
        _label_time(panels[-1, column], stamps is not None, quick, len(sides))
    return _titled(figure, title)


def forecast_figure(
    history,
    median,
    quantiles,
    features,
    truth=None,
    times=None,
    units=None,
    title=None,
    quick=False,
):
    """Draws a forecast as a fan behind what was known and what came, one panel for each feature.

    Args:
        history: Array `(context, features)` that the forecast is made of.
        median: Array `(horizon, features)`.
        quantiles: Dict from a level, between 0 and 1, to an array `(horizon, features)`. Levels are
            paired from the outside in; the bands between pairs are shaded.
        features: The `Feature` of each column.
        truth: Optional array `(horizon, features)` of what came.
        times: Optional int64 array `(context + horizon,)`, seconds since 1970.
        units: As for `series_figure`.
        title: As for `series_figure`.
        quick: See `new_figure`.
    """
    features = features[:MOST_FEATURES]
    figure = new_figure(QUICK_WIDTH if quick else WIDTH, 1.0 + 1.6 * len(features), quick)
    panels = figure.subplots(len(features), 1, sharex=True, squeeze=False)[:, 0]
    context, horizon = len(history), len(median)
    x = _positions(np.zeros(context + horizon), times)
    past, future = x[:context], x[context:]
    levels = sorted(quantiles)
    pairs = [(low, high) for low, high in zip(levels, reversed(levels)) if low < high]
    for row, (axes, feature) in enumerate(zip(panels, features)):
        _decorate(axes, feature, units, quick=quick)
        for number, (low, high) in enumerate(pairs):
            axes.fill_between(
                future,
                quantiles[low][:, row],
                quantiles[high][:, row],
                color=BLUE,
                alpha=0.18 + 0.12 * number,
                linewidth=0,
                step="mid" if feature.is_category else None,
                label=f"{100 * low:g}% to {100 * high:g}%",
            )
        _line(axes, past, history[:, row], feature, BLACK, 1.2, label="history")
        if truth is not None:
            _line(axes, future, truth[:, row], feature, ORANGE, 1.2, label="truth")
        _line(axes, future, median[:, row], feature, BLUE, 1.6, label="median")
        if context and horizon:
            axes.axvline(past[-1], color=GREY, linewidth=0.8, linestyle=":")
    _label_time(panels[-1], times is not None, quick)
    _legend(figure, panels[0], quick)
    return _titled(figure, title)


def stroke_sheet(drawings, titles=None, columns=None, title=None):
    """Draws drawings in the cells of a sheet, as `lay_out` places them.

    Args:
        drawings: List of arrays `(points, 3)` of dx, dy, pen.
        titles: Optional list of texts, below the drawings.
        columns: Number of columns; None makes the sheet about square.
        title: Optional title.
    """
    drawings = drawings[:MOST_DRAWINGS]
    cells, cell, columns, rows = lay_out(drawings, columns)
    inches = min(1.2, WIDTH / columns)
    figure = new_figure(columns * inches, rows * inches + (0.4 if title else 0))
    from matplotlib.collections import LineCollection

    axes = figure.add_subplot()
    width = max(LINE_WIDTH * inches * 72, 0.5)  # points, of which an inch has 72
    axes.add_collection(
        LineCollection(
            [line for lines in cells for line in lines if len(line) > 1],
            colors=BLACK,
            linewidths=width,
            capstyle="round",
            joinstyle="round",
        )
    )
    dots = [line[0] for lines in cells for line in lines if len(line) == 1]
    if dots:
        axes.scatter(*np.array(dots).T, s=width**2, color=BLACK, linewidths=0)
    _grid(axes, cell, columns, rows)
    for number, text in enumerate(titles[: len(drawings)] if titles else ()):
        axes.text(
            (number % columns + 0.5) * cell,
            (number // columns + 0.98) * cell,
            text,
            ha="center",
            va="bottom",
            fontsize=min(8, 8 * inches),
            color=BLUE,
        )
    return _titled(figure, title)


def _grid(axes, cell, columns, rows):
    for column in range(columns + 1):
        axes.axvline(column * cell, color="#dddddd", linewidth=0.6, zorder=0)
    for row in range(rows + 1):
        axes.axhline(row * cell, color="#dddddd", linewidth=0.6, zorder=0)
    axes.set(xlim=(0, columns * cell), ylim=(rows * cell, 0), aspect="equal")
    axes.axis("off")


def lay_out(drawings, columns=None):
    """Places drawings in the cells of a grid, each in the middle of its own, all to one scale.

    A drawing of more than twice the median's size is shrunk to that, lest one that a model let run
    away make all others dots.

    Args:
        drawings: List of arrays `(points, 3)` of dx, dy, pen.
        columns: Number of columns; None makes the grid about square.

    Returns:
        `(cells, cell, columns, rows)`: for each drawing its polylines in the sheet's coordinates, y
        downwards; the side of a cell, in the drawings' units; and the size of the grid.
    """
    columns = columns or max(1, math.ceil(math.sqrt(len(drawings))))
    rows = max(1, math.ceil(len(drawings) / columns))
    found = [to_lines(drawing) for drawing in drawings]
    corners = []
    for lines in found:
        points = np.concatenate(lines) if lines else np.zeros([1, 2])
        corners.append((points.min(axis=0), points.max(axis=0)))
    sizes = np.array([(high - low).max() for low, high in corners])
    most = 2 * np.median(sizes) or sizes.max() or 1.0
    cell = (min(most, sizes.max()) or 1.0) / (1 - 2 * MARGIN)
    cells = []
    for number, (lines, (low, high)) in enumerate(zip(found, corners)):
        middle = (np.array([number % columns, number // columns]) + 0.5) * cell
        scale = min(1.0, most / sizes[number]) if sizes[number] else 1.0
        cells.append([(line - (low + high) / 2) * scale + middle for line in lines])
    return cells, cell, columns, rows


def sound_figure(sounds, sample_rate, titles=None, title=None, quick=False):
    """Draws sounds, each as its waveform and, beside it, as a map of its frequencies.

    Args:
        sounds: List of arrays `(samples, 1)` or `(samples,)` in [-1, 1]; the first few are drawn.
        sample_rate: Samples a second.
        titles: Optional list of texts.
        title: Optional title.
        quick: See `new_figure`.
    """
    marks, axis, _ = FONTS[quick]
    sounds = [np.asarray(sound, np.float32).reshape(-1) for sound in sounds[:MOST_SOUNDS]]
    figure = new_figure(QUICK_WIDTH if quick else WIDTH, 0.8 + 1.5 * len(sounds))
    panels = figure.subplots(len(sounds), 2, sharex=True, squeeze=False)
    for number, (sound, (left, right)) in enumerate(zip(sounds, panels)):
        seconds = np.arange(len(sound)) / sample_rate
        left.plot(seconds, sound, color=BLUE, linewidth=0.5)
        _plain(left, quick)
        left.set(ylim=(-1.05, 1.05), ylabel="amplitude")
        if titles:
            left.set_title(titles[number], fontsize=9, loc="left", color=BLACK)
        loudness = spectrogram(sound)
        right.imshow(
            loudness.T,
            origin="lower",
            aspect="auto",
            cmap="cividis",
            vmin=_SILENCE,
            vmax=0,
            extent=(0, len(sound) / sample_rate, 0, sample_rate / 2000),
        )
        right.set_ylabel("kHz", fontsize=axis)
        right.tick_params(labelsize=marks)
    for axes in panels[-1]:
        axes.set_xlabel("seconds", fontsize=axis)
    longest = max((len(sound) for sound in sounds), default=1) / sample_rate
    panels[0, 0].set_xlim(0, max(longest, 1 / sample_rate))
    return _titled(figure, title)


def spectrogram(sound, window=256, hop=64):
    """Returns the loudness of a sound's frequencies, float64 `(frames, window // 2 + 1)`.

    Args:
        sound: Array `(samples,)`.
        window: Samples under one Hann window.
        hop: Samples from one window to the next.

    Returns:
        dB below the loudest, not below -80. Row i is about sample `i * hop`.
    """
    padded = np.pad(np.asarray(sound, np.float64), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(sound) + 1 : hop]
    size = np.abs(np.fft.rfft(frames * np.hanning(window + 1)[:-1], axis=1))
    largest = size.max() or 1.0
    return 20 * np.log10(np.maximum(size / largest, 10 ** (_SILENCE / 20)))


def autocorrelation(values, max_lag):
    """Returns the autocorrelation of a series, float64 `(max_lag + 1, features)`.

    Each lag is the correlation, within [-1, 1], of the pairs in which neither value is missing, of
    deviations from the series' mean. Lags without a pair, and constants, are NaN.

    Args:
        values: Array `(time, features)`.
        max_lag: The greatest lag.
    """
    columns = np.asarray(values, np.float64).T
    return np.stack([column_autocorrelation([each], max_lag) for each in columns], axis=1)


def autocorrelation_figure(samples, real, features, max_lag=48, title=None):
    """Draws the mean autocorrelation of generated and of real series, one panel for each feature.

    Args:
        samples: List of generated arrays `(time, features)`.
        real: List of real ones.
        features: The `Feature` of each column.
        max_lag: The greatest lag, in positions.
        title: Optional title.
    """
    panels, figure = _panels(features)
    for group, name, colour, width in _two(real, samples):
        curves = np.stack([autocorrelation(values, max_lag) for values in group])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a lag that no series reaches
            mean = np.nanmean(curves, axis=0)
        for number, axes in enumerate(panels):
            axes.plot(mean[:, number], color=colour, linewidth=width, label=name)
    for axes, feature in zip(panels, features):
        _plain(axes)
        axes.axhline(0, color=GREY, linewidth=0.6)
        axes.set_title(feature.name, fontsize=9)
        axes.set_xlabel("lag", fontsize=8)
    panels[0].set_ylabel("autocorrelation", fontsize=8)
    _legend(figure, panels[0])
    return _titled(figure, title)


def marginal_figure(samples, real, features, units=None, bins=50, title=None):
    """Draws how often values occur in generated and in real series, one panel for each feature.

    Args:
        samples: List of generated arrays `(time, features)`.
        real: List of real ones.
        features: The `Feature` of each column.
        units: As for `series_figure`.
        bins: Bins of a histogram, which has the same for both. They span what lies between the
            0.1% and the 99.9% quantile of the real values, and a fifth more on both sides.
        title: Optional title.
    """
    panels, figure = _panels(features)
    for number, (axes, feature) in enumerate(zip(panels, features)):
        _plain(axes)
        columns = []
        for group, name, colour, width in _two(real, samples):
            column = np.concatenate([np.asarray(values)[:, number] for values in group])
            columns.append((column[~np.isnan(column)], name, colour, width))
        if feature.is_category:
            _shares(axes, feature, columns)
        else:
            edges = _edges(columns[0][0], bins)
            for column, name, colour, width in columns:
                share, _ = np.histogram(column, edges)
                density = share / max(len(column), 1) / np.diff(edges)
                axes.stairs(density, edges, color=colour, linewidth=width, label=name)
            axes.set_xlabel(_named(feature, units), fontsize=8)
    panels[0].set_ylabel("density", fontsize=8)
    _legend(figure, panels[0])
    return _titled(figure, title)


def _edges(column, bins):
    low, high = np.quantile(column, [0.001, 0.999]) if len(column) else (0.0, 1.0)
    margin = (high - low) / 5 or 0.5
    return np.linspace(low - margin, high + margin, bins + 1)


def _shares(axes, feature, columns):
    places = np.arange(len(feature.levels))
    for number, (column, name, colour, _) in enumerate(columns):
        counts = np.bincount(column.astype(np.int64), minlength=len(feature.levels))
        share = counts / max(len(column), 1)
        axes.bar(places + 0.4 * (number - 0.5), share, 0.38, color=colour, label=name)
    axes.set_xticks(places, feature.levels)
    axes.set_xlabel(feature.name, fontsize=8)


def _two(real, samples):
    return (real, "real", BLACK, 1.2), (samples, "generated", ORANGE, 1.2)


def _panels(features):
    """Returns `(axes, figure)`: a panel for each of the first features, in rows of four."""
    count = min(len(features), MOST_FEATURES)
    columns = min(4, count)
    rows = math.ceil(count / columns)
    figure = new_figure(WIDTH * max(columns, 2) / 4, 0.4 + 2.1 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for spare in axes[count:]:
        spare.axis("off")
    return axes[:count], figure


def _positions(values, times):
    if times is None:
        return np.arange(len(values))
    return np.asarray(times, np.int64).astype("M8[s]")


def _line(axes, x, values, feature, colour, width, label=None):
    style = "steps-mid" if feature.is_category else "default"
    # A value between two gaps has no line: it is a dot.
    values = np.asarray(values)
    present = ~np.isnan(values)
    alone = present & ~np.r_[False, present[:-1]] & ~np.r_[present[1:], False]
    axes.plot(x, values, color=colour, linewidth=width, drawstyle=style, label=label)
    if alone.any():
        axes.plot(x[alone], values[alone], ".", color=colour, markersize=2 * width + 1)


def _decorate(axes, feature, units, label=True, quick=False):
    _plain(axes, quick)
    if quick:  # most of the time of a small panel goes into its marks
        axes.tick_params(left=False, bottom=False)
        axes.locator_params("y", nbins=QUICK_MARKS)
    if label:
        axes.set_ylabel(_named(feature, units), fontsize=FONTS[quick][1])
    if feature.is_category:
        axes.set_yticks(range(len(feature.levels)), feature.levels)


def _named(feature, units):
    unit = (units or {}).get(feature.name)
    return f"{feature.name} ({unit})" if unit else feature.name


def _plain(axes, quick=False):
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.grid(True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=FONTS[quick][0], colors="#444444")
    axes.yaxis.label.set_size(FONTS[quick][1])


def _label_time(axes, dated, quick=False, columns=1):
    if dated:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        few = {"minticks": 2, "maxticks": QUICK_MARKS + 2 - columns}
        locator = AutoDateLocator(**few if quick else {})
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.xaxis.get_offset_text().set_size(FONTS[quick][0])
    elif quick:
        axes.locator_params("x", nbins=QUICK_MARKS)
    # At the right, below dates, stands what they have in common.
    place = "left" if dated and quick else "center"
    axes.set_xlabel("time (UTC)" if dated else "position", fontsize=FONTS[quick][1], loc=place)


def _legend(figure, axes, quick=False):
    # Above the panels, where it hides no line.
    handles, labels = axes.get_legend_handles_labels()
    place = "upper right" if figure.get_layout_engine() is None else "outside upper right"
    figure.legend(handles, labels, loc=place, ncols=len(labels), fontsize=8, frameon=False,
        handlelength=1.0 if quick else 2.0, columnspacing=0.8 if quick else 2.0,
    )  # fmt: skip


def _titled(figure, title):
    if title:
        figure.suptitle(title, fontsize=11, color=BLACK)
    return figure
