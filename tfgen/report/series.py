"""Pictures of time series and of forecasts."""

import numpy as np

from tfgen.report.figures import (
    BLACK,
    BLUE,
    COLOURS,
    FONTS,
    GREY,
    MOST_FEATURES,
    ORANGE,
    QUICK_WIDTH,
    WIDTH,
    decorate,
    label_time,
    legend,
    new_figure,
    titled,
)

MOST_LINES = 4


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
            decorate(axes, feature, units, column == 0, quick)
            for number, values in enumerate(group[:MOST_LINES]):
                x = positions_of(values, stamps[number] if stamps else None)
                _line(axes, x, values[:, row], feature, colours[number % len(colours)], 1.0)
        if name:
            panels[0, column].set_title(name, fontsize=FONTS[quick][2], color=BLACK)
        label_time(panels[-1, column], stamps is not None, quick, len(sides))
    return titled(figure, title)


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
    x = positions_of(np.zeros(context + horizon), times)
    past, future = x[:context], x[context:]
    levels = sorted(quantiles)
    pairs = [(low, high) for low, high in zip(levels, reversed(levels)) if low < high]
    for row, (axes, feature) in enumerate(zip(panels, features)):
        decorate(axes, feature, units, quick=quick)
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
    label_time(panels[-1], times is not None, quick)
    legend(figure, panels[0], quick)
    return titled(figure, title)


def positions_of(values, times):
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
