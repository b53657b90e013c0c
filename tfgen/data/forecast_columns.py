"""`forecast_columns`: forecasts as one long table, for CSV files and for frames."""

import numpy as np


def forecast_columns(contexts, forecasts, features, levels, cells=lambda values: values):
    """Returns a long table of forecasts, a row for each position and feature: `{name: array}`.

    The columns are `id`, `time` (`step`, 1 and on, where there are no times), `feature`, `mean`
    and a `q0.1` for each level. Of a category there is a row for each of its levels,
    `name=level`, whose mean is the share of the samples that have it; it has no quantiles.

    Args:
        contexts: List of `tfgen.data.contexts.Context`, which say the ids and the times.
        forecasts: List of `Forecast`, of one series each.
        features: The `Feature` of each column.
        levels: The levels of the quantiles.
        cells: Function that makes cells of an array `(horizon,)` of times (datetime64), steps
            (integers) or numbers, NaN for none. Numbers of one column may be float32 and float64.
    """
    timed = all(context.future is not None for context in contexts)
    time, bands = "time" if timed else "step", [f"q{level:g}" for level in levels]
    parts = {name: [] for name in ("id", time, "feature", "mean", *bands)}
    for context, forecast in zip(contexts, forecasts, strict=True):
        horizon = len(forecast.mean)
        steps = np.arange(1, horizon + 1)
        if timed:
            steps = np.asarray(context.future, np.int64).astype("M8[s]")
        names, columns = [], {name: [] for name in ("mean", *bands)}  # of arrays (horizon,)
        for number, feature in enumerate(features):
            if feature.is_category:
                drawn = forecast.samples[..., number]  # (samples, horizon)
                none = np.full(horizon, np.nan, np.float32)
                for level, name in enumerate(feature.levels):
                    names.append(f"{feature.name}={name}")
                    columns["mean"].append(np.mean(drawn == level, axis=0, dtype=np.float32))
                    for band in bands:
                        columns[band].append(none)
            else:
                names.append(feature.name)
                columns["mean"].append(forecast.mean[:, number])
                for band, level in zip(bands, levels, strict=True):
                    columns[band].append(forecast.quantiles[level][:, number])
        parts["id"].append(np.full(horizon * len(names), context.id, object))
        parts[time].append(np.repeat(cells(steps), len(names)))
        parts["feature"].append(np.tile(np.array(names, object), horizon))
        for name, column in columns.items():
            parts[name].append(np.stack([cells(values) for values in column], axis=1).ravel())
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}
