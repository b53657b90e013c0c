"""How far generated windows are from real ones: distances that need no trained network.

Windows are arrays `(windows, time, features)`, scaled by `scale_by_real`. Every score is a number
that is near zero for windows of the same process and grows with the difference; each one sees
another side of it. `discriminative_score` and `predictive_score`, which train a network for it,
stand in `tfgen.evaluation.posthoc` and can be had from here.
"""

import numpy as np

from tfgen.evaluation.posthoc import check_windows, discriminative_score, predictive_score

__all__ = [
    "autocorrelation_distance",
    "correlational_score",
    "discriminative_score",
    "marginal_distance",
    "masses",
    "mmd",
    "predictive_score",
    "scale_by_real",
]


def scale_by_real(real, *others):
    """Scales windows so that the real ones lie in [0, 1], feature by feature.

    Args:
        real: Float array `(windows, time, features)`.
        *others: More of the same form; they may leave [0, 1].

    Returns:
        A float32 array for each argument. A feature that never changes becomes 0 in the real ones.
    """
    real = np.asarray(real, np.float64)
    low, high = real.min(axis=(0, 1)), real.max(axis=(0, 1))
    width = np.where(high > low, high - low, 1.0)
    return tuple(
        ((np.asarray(x, np.float64) - low) / width).astype(np.float32) for x in (real, *others)
    )


def correlational_score(real, generated):
    """The sum over pairs of features of |difference of correlations|, divided by 10.

    Correlations are those of all positions of all windows together. After Liao et al.
    (arXiv:2006.05421), with the divisor of Diffusion-TS (arXiv:2403.01742).

    Args:
        real: Float array `(windows, time, features)`.
        generated: The same of the model.
    """
    real, generated = check_windows(real, generated)
    difference = _correlations(real) - _correlations(generated)
    return float(np.abs(difference[np.tril_indices(len(difference))]).sum() / 10)


def marginal_distance(real, generated):
    """The Wasserstein-1 distance of the values of each feature, and its mean over the features.

    Time plays no part in it: shuffled windows have the distance 0.

    Args:
        real: Float array `(windows, time, features)`.
        generated: The same of the model.
    """
    real, generated = check_windows(real, generated)
    distances = [
        wasserstein(real[:, :, number].ravel(), generated[:, :, number].ravel())
        for number in range(real.shape[-1])
    ]
    return float(np.mean(distances))


def masses(windows, points):
    """The percentage of known values that are exactly a given one: zero, say, or a bound.

    Args:
        windows: Float array `(windows, time, features)`, in the data's units; NaN is missing.
        points: List of `(feature, value)`: the number of a feature and a value of it.

    Returns:
        float64 array `(points,)`, from 0 to 100.
    """
    windows = np.asarray(windows)
    columns = [(windows[..., i][~np.isnan(windows[..., i])], value) for i, value in points]
    return np.array([100 * np.mean(column == value) for column, value in columns])


def wasserstein(first, second):
    """Wasserstein-1 distance of two samples of numbers: the area between their step functions."""
    first, second = np.sort(np.asarray(first, np.float64)), np.sort(np.asarray(second, np.float64))
    edges = np.sort(np.concatenate([first, second]))
    shares = [np.searchsorted(x, edges[:-1], side="right") / len(x) for x in (first, second)]
    return float(np.sum(np.abs(shares[0] - shares[1]) * np.diff(edges)))


def autocorrelation_distance(real, generated, lags=None):
    """Mean |difference of autocorrelations| over features and lags.

    A lag's autocorrelation is the mean product of standardised values that far apart, the mean and
    the variance being those of the feature in all windows (as in arXiv:2006.05421).

    Args:
        real: Float array `(windows, time, features)`.
        generated: The same of the model.
        lags: The greatest lag; None takes all that fit, at most 32.
    """
    real, generated = check_windows(real, generated)
    lags = min(real.shape[1] - 1, lags or 32)
    if lags < 1:
        return 0.0
    difference = autocorrelations(real, lags) - autocorrelations(generated, lags)
    return float(np.mean(np.abs(difference)))


def log_spectral_distance(real, generated):
    """Root mean square difference of mean power spectra in decibels, and its mean over features.

    The spectra are mean periodograms of windows less their means, without a taper, of all
    frequencies but 0; what differs by a factor of 10 at each of them has the distance 10.

    Args:
        real: Float array `(windows, time, features)`.
        generated: The same of the model.
    """
    levels = []
    for windows in check_windows(real, generated):
        centred = windows - windows.mean(axis=1, keepdims=True)
        power = np.square(np.abs(np.fft.rfft(centred, axis=1)[:, 1:])).mean(axis=0)
        levels.append(10 * np.log10(np.maximum(power, 1e-12)))
    return float(np.sqrt(np.square(levels[0] - levels[1]).mean(axis=0)).mean())


def mmd(real, generated, max_windows=1000, seed=0):
    """The squared maximum mean discrepancy of whole windows, unbiased.

    Gretton et al. (JMLR 13, 2012), eq. 3, with the kernel exp(-d^2 / (2 h^2)) of the Euclidean
    distance d, h being the median distance of the windows of both sides together.

    Args:
        real: Float array `(windows, time, features)`.
        generated: The same of the model.
        max_windows: As many of each are compared, because all pairs are looked at.
        seed: Integer that chooses them.

    Returns:
        A float of mean 0 for windows of the same process; single values may be negative.
    """
    real, generated = check_windows(real, generated, least=2)
    rng = np.random.default_rng(seed)
    sides = []
    for windows in (real, generated):
        if len(windows) > max_windows:
            windows = windows[rng.choice(len(windows), max_windows, replace=False)]
        sides.append(windows.reshape(len(windows), -1).astype(np.float64))
    both, edge = np.concatenate(sides), len(sides[0])
    squares = squared_distances(both, both)
    median = np.median(squares[np.triu_indices(len(both), 1)])
    kernel = np.exp(-squares / (2 * median)) if median > 0 else (squares == 0).astype(np.float64)
    np.fill_diagonal(kernel, 0.0)
    count = len(both) - edge
    return float(
        kernel[:edge, :edge].sum() / (edge * (edge - 1))
        + kernel[edge:, edge:].sum() / (count * (count - 1))
        - 2 * kernel[:edge, edge:].mean()
    )


def squared_distances(first, second):
    """Squared Euclidean distances `(rows of first, rows of second)`; float64."""
    squares = np.sum(first**2, axis=1)[:, None] + np.sum(second**2, axis=1) - 2 * first @ second.T
    return np.maximum(squares, 0.0)


def _standardise(windows):
    windows = windows.astype(np.float64)
    spread = windows.std(axis=(0, 1))
    return (windows - windows.mean(axis=(0, 1))) / np.where(spread > 0, spread, 1.0)


def _correlations(windows):
    rows = _standardise(windows).reshape(-1, windows.shape[-1])
    return rows.T @ rows / len(rows)


def autocorrelations(windows, lags):
    """`(lags, features)`, of the lags from 1 on."""
    z = _standardise(windows)
    return np.stack([np.mean(z[:, lag:] * z[:, :-lag], axis=(0, 1)) for lag in range(1, lags + 1)])
