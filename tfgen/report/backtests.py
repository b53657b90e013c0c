"""The table and the picture of a backtest of several models."""

import numpy as np

from tfgen.files import atomic_file
from tfgen.report.figures import (
    BLACK,
    COLOURS,
    GREY,
    WIDTH,
    decorate,
    label_time,
    legend,
    new_figure,
    plain,
    to_png,
)
from tfgen.report.series import positions_of

SCORES = ("mase", "crps", "weighted_quantile_loss", "owa", "msis", "coverage_50", "coverage_90")
_SHORT = {"weighted_quantile_loss": "wQL", "coverage_50": "in 50%", "coverage_90": "in 90%"}
# Of more series than this, the text has the scores in all alone.
MOST_SERIES = 12
# Panels of the last forecast, and positions before it in units of the horizon.
_PANELS, _BEFORE = 3, 2


def backtest_text(found):
    """Returns a `tfgen.evaluation.Backtest` as text: in all, and by series if there are few.

    Args:
        found: The `Backtest`.
    """
    table, facts = found.table, found.facts
    rows = [dict(zip(table, cells)) for cells in zip(*table.values())]
    whole = [row for row in rows if row["series"] == row["feature"] == "all"]
    parts = [row for row in rows if row not in whole]
    lines = [
        f"{facts['data']}: {whole[0]['forecasts']} forecasts of {facts['horizon']} positions, "
        f"{facts['samples']} samples each; season {facts['season']}"
    ]
    lines += _lines(whole, ["model"])
    count = len(parts) // max(len(whole), 1)
    if 1 < count <= MOST_SERIES:
        parts.sort(key=lambda row: (row["series"], row["feature"]))  # models side by side
        lines += ["", *_lines(parts, ["series", "feature", "model"])]
    return "\n".join(lines)


def _lines(rows, keys):
    cells = [[*keys, *(_SHORT.get(name, name.upper()) for name in SCORES)]]
    for row in rows:
        cells.append([str(row[key]) for key in keys] + [_number(row[name]) for name in SCORES])
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place < len(keys) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths))
        )
        for line in cells
    ]


def _number(value):
    return "–" if np.isnan(value) else f"{value:.4g}"


def backtest_figure(found):
    """Draws a `tfgen.evaluation.Backtest`: scores by step ahead, and the last forecast.

    Args:
        found: The `Backtest`.
    """
    last = found.last
    features = last["features"][:_PANELS]
    figure = new_figure(WIDTH, 3.0 + 1.8 * len(features))
    panels = figure.subplot_mosaic(
        [["crps", "coverage_90"], *([f"last {number}"] * 2 for number in range(len(features)))]
    )
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(found.steps)}
    for score, label in (("crps", "CRPS"), ("coverage_90", "share in the 90% interval")):
        axes = panels[score]
        plain(axes)
        for name, values in found.steps.items():
            ahead = np.arange(1, len(values[score]) + 1)
            # One step alone has no line.
            style = "o-" if len(ahead) == 1 else "-"
            axes.plot(ahead, values[score], style, color=colours[name], linewidth=1.4, label=name)
        axes.set_xlabel("steps ahead", fontsize=8)
        axes.set_ylabel(label, fontsize=8)
    panels["coverage_90"].axhline(0.9, color=GREY, linewidth=0.8, linestyle=":")
    panels["coverage_90"].set_ylim(0, 1.02)
    horizon = len(last["truth"])
    before = min(len(last["history"]), _BEFORE * horizon)
    history = last["history"][len(last["history"]) - before :]
    times = None if last["times"] is None else last["times"][-before - horizon :]
    x = positions_of(np.zeros(before + horizon), times)
    for number, feature in enumerate(features):
        axes = panels[f"last {number}"]
        decorate(axes, feature, None)
        observed = np.concatenate([history, last["truth"]])[:, number]
        axes.plot(x, observed, color=BLACK, linewidth=1.2)
        axes.axvline(x[max(before - 1, 0)], color=GREY, linewidth=0.8, linestyle=":")
        for name, samples in last["samples"].items():
            low, middle, high = np.quantile(samples[..., number], [0.05, 0.5, 0.95], axis=0)
            axes.fill_between(x[before:], low, high, color=colours[name], alpha=0.15, linewidth=0)
            axes.plot(x[before:], middle, color=colours[name], linewidth=1.4)
        label_time(axes, times is not None)
    panels["last 0"].set_title("the last forecast, medians and 90% intervals", fontsize=9)
    legend(figure, panels["crps"])
    return figure


def save_backtest_picture(found, path):
    """Writes `backtest_figure` as a PNG file.

    Args:
        found: The `Backtest`.
        path: Of the file.
    """
    with atomic_file(path) as temporary:
        temporary.write_bytes(to_png(backtest_figure(found)))
