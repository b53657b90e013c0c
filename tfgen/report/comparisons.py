"""Pictures that compare generated sequences with real ones: correlations and distributions."""

import math
import warnings

import numpy as np

from tfgen.data.seasons import autocorrelation as column_autocorrelation
from tfgen.report.figures import (
    BLACK,
    GREY,
    MOST_FEATURES,
    ORANGE,
    WIDTH,
    legend,
    named,
    new_figure,
    plain,
    titled,
)


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
        plain(axes)
        axes.axhline(0, color=GREY, linewidth=0.6)
        axes.set_title(feature.name, fontsize=9)
        axes.set_xlabel("lag", fontsize=8)
    panels[0].set_ylabel("autocorrelation", fontsize=8)
    legend(figure, panels[0])
    return titled(figure, title)


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
        plain(axes)
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
            axes.set_xlabel(named(feature, units), fontsize=8)
    panels[0].set_ylabel("density", fontsize=8)
    legend(figure, panels[0])
    return titled(figure, title)


def windows_figure(real, generated):
    """Draws every window as a point: on the principal components of the real ones, and by t-SNE.

    As TimeGAN and Diffusion-TS show their samples, but of whole windows, not of the mean over
    their features. t-SNE (van der Maaten & Hinton, JMLR 9, 2008), of both together, is that of
    scikit-learn: without it, there is the first panel only.

    Args:
        real: Float array `(windows, time, features)`.
        generated: The same of the model.
    """
    both = np.concatenate([real, generated]).reshape(len(real) + len(generated), -1)
    panels = {"principal components": principal_components(both, len(real))}
    places = _t_sne(both)
    if places is not None:
        panels["t-SNE"] = places
    figure = new_figure(WIDTH, 4.2)
    for number, (title, places) in enumerate(panels.items()):
        axes = figure.add_subplot(1, 2, number + 1)
        plain(axes)
        groups = _two(places[: len(real)], places[len(real) :])
        for points, name, colour, _ in groups:
            axes.scatter(*points.T, s=6, color=colour, alpha=0.5, linewidths=0, label=name)
        axes.set_title(title, fontsize=9)
        if number == 0:
            legend(figure, axes)
    return figure


def principal_components(rows, fitted):
    """The first two principal components of the first `fitted` rows, of all: `(rows, 2)`.

    Args:
        rows: Float array `(rows, numbers)`.
        fitted: How many rows the components are those of.
    """
    rows = np.asarray(rows, np.float64)
    centred = rows - rows[:fitted].mean(axis=0)
    components = np.linalg.svd(centred[:fitted], full_matrices=False)[2][:2]
    places = centred @ components.T
    return np.pad(places, [(0, 0), (0, 2 - places.shape[1])])


def _t_sne(rows):
    """The rows in two dimensions; None without scikit-learn, or for too few of them."""
    try:
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ImportError:
        return None
    perplexity = min(40, (len(rows) - 1) // 3)  # 40, and 300 iterations, as TimeGAN has
    if perplexity < 2:
        return None
    # Of several threads each waits for the others at full load, for long on a busy machine.
    settings = {"perplexity": perplexity, "max_iter": 300, "init": "pca", "random_state": 0}
    with threadpool_limits(1):
        return TSNE(**settings).fit_transform(rows)


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
