"""Scores of forecasts that are given as samples, and the seasonal forecast to beat.

Shapes everywhere: samples `(..., samples, time, features)`, what was observed
`(..., time, features)`. An observed NaN is missing: its score is NaN and means leave it out.
"""

import numpy as np

from tfgen.errors import InputError

# The levels over which GluonTS takes the mean of its weighted quantile losses.
QUANTILES = tuple(level / 10 for level in range(1, 10))
_BLOCK = 1 << 22  # numbers of all pairs of samples at once


def crps(samples, observed, fair=False, periods=None):
    """Continuous ranked probability score of samples, by sorting.

    The energy form E|X - y| - E|X - X'| / 2 (Gneiting & Raftery 2007, eq. 21). X and X' run over
    all pairs of samples, as in `properscoring.crps_ensemble`: this is the exact score of the
    empirical distribution, and twice the pinball loss of its quantiles, averaged over all levels,
    of which GluonTS takes nine. With `fair`, a sample is not paired with itself (Ferro 2014): that
    is unbiased for the score of the distribution that the samples come from, be they few or many.

    Of a circular feature the distances are those along the circle (Grimit et al., "The continuous
    ranked probability score for circular variables", 2006).

    Args:
        samples: Float array `(..., samples, time, features)`.
        observed: Float array `(..., time, features)`; NaN is missing.
        fair: See above; needs 2 samples.
        periods: The period of each feature, None of one that is no circle; None is none.

    Returns:
        float64 array `(..., time, features)`, in the units of the data.

    Raises:
        InputError: If the shapes do not fit, or for too few samples.
    """
    samples, observed = _check(samples, observed, least=1 + fair)
    count = samples.shape[-3]
    error = np.mean(np.abs(samples - observed[..., None, :, :]), axis=-3)
    # In the sum of |x_i - x_j| over ordered pairs, the i-th smallest x has the factor
    # 2 (2 i - n - 1).
    weights = 2.0 * np.arange(1, count + 1) - count - 1
    pairs = 2 * np.einsum("...sth,s->...th", np.sort(samples, axis=-3), weights)
    for feature, period in enumerate(periods or ()):
        if period is not None:
            own = samples[..., feature]  # (..., samples, time)
            error[..., feature] = _around(own - observed[..., None, :, feature], period).mean(-2)
            pairs[..., feature] = sum(
                _around(own - own[..., one : one + 1, :], period).sum(axis=-2)
                for one in range(count)
            )
    return error - pairs / (2 * count * (count - 1 if fair else count))


def unwound(samples, observed, periods):
    """Samples and observed values of which circular features are told from the samples' direction.

    They are within half a period of it then, so that medians, quantiles and intervals of them are
    what they are of other features.

    Args:
        samples: Float array `(..., samples, time, features)`.
        observed: Float array `(..., time, features)`.
        periods: As of `crps`.
    """
    if not any(periods):
        return samples, observed
    samples, observed = np.array(samples, np.float64), np.array(observed, np.float64)
    for feature, period in enumerate(periods):
        if period is not None:
            turns = np.exp(2j * np.pi / period * samples[..., feature])
            centre = np.angle(turns.mean(axis=-2)) * period / (2 * np.pi)  # (..., time)
            samples[..., feature] = wound(samples[..., feature] - centre[..., None, :], period)
            observed[..., feature] = wound(observed[..., feature] - centre, period)
    return samples, observed


def wound(differences, period):
    """Differences along a circle, within half a period."""
    return differences - period * np.round(differences / period)


def _around(differences, period):
    return np.abs(wound(differences, period))


def energy_score(samples, observed, fair=False):
    """Energy score of samples: the `crps` of all features of a position together.

    E|X - y| - E|X - X'| / 2 with the Euclidean norm over features (Gneiting & Raftery 2007,
    eq. 22), so that it sees whether the columns of a forecast belong together. Features should be
    of one scale. Of a position of which some features are missing it is that of the others.

    Args:
        samples: Float array `(..., samples, time, features)`.
        observed: Float array `(..., time, features)`; NaN is missing.
        fair: As for `crps`.

    Returns:
        float64 array `(..., time)`; NaN where nothing was observed.

    Raises:
        InputError: If the shapes do not fit, or for too few samples.
    """
    samples, observed = _check(samples, observed, least=1 + fair)
    count = samples.shape[-3]
    seen = ~np.isnan(observed)
    samples = np.where(seen[..., None, :, :], samples, 0.0)
    target = np.where(seen, observed, 0.0)[..., None, :, :]
    error = np.mean(np.linalg.norm(samples - target, axis=-1), axis=-2)
    rows = np.moveaxis(samples, -3, -2).reshape(-1, count, samples.shape[-1])
    pairs = []
    for block in np.array_split(rows, -(-rows.size * count // _BLOCK)):
        squares = np.sum(block**2, axis=-1)  # (rows, samples)
        squares = squares[:, :, None] + squares[:, None] - 2 * block @ block.swapaxes(1, 2)
        pairs.append(np.sqrt(np.maximum(squares, 0)).sum(axis=(1, 2)))
    pairs = np.concatenate(pairs).reshape(error.shape)
    score = error - pairs / (2 * count * (count - 1 if fair else count))
    return np.where(seen.any(axis=-1), score, np.nan)


def sample_quantiles(samples, levels=QUANTILES):
    """Quantiles of samples: the sample whose rank is nearest to `level * (samples - 1)`.

    The rule of GluonTS' `SampleForecast`.

    Args:
        samples: Float array `(..., samples, time, features)`.
        levels: Numbers in [0, 1].

    Returns:
        Float array `(levels, ..., time, features)`.
    """
    samples = np.sort(np.asarray(samples, np.float64), axis=-3)
    ranks = np.round((samples.shape[-3] - 1) * np.asarray(levels)).astype(int)
    return np.moveaxis(np.take(samples, ranks, axis=-3), -3, 0)


def weighted_quantile_loss(samples, observed, levels=QUANTILES):
    """GluonTS' mean_wQuantileLoss, of each feature.

    For a level q with forecast f: 2 sum |(y - f) ((y <= f) - q)| / sum |y|, both sums over every
    series and position observed; then the mean over the levels.

    Args:
        samples: Float array `(..., samples, time, features)`.
        observed: Float array `(..., time, features)`; NaN is missing.
        levels: Levels of the quantiles.

    Returns:
        float64 array `(features,)`; NaN where nothing but zeros was observed.
    """
    samples, observed = _check(samples, observed)
    forecast = sample_quantiles(samples, levels)
    level = np.reshape(levels, [-1] + [1] * observed.ndim)
    loss = 2 * np.abs((observed - forecast) * ((observed <= forecast) - level))
    total = _sum(loss, tuple(range(1, loss.ndim - 1)))  # (levels, features)
    size = _sum(np.abs(observed), tuple(range(observed.ndim - 1)))
    return np.mean(total, axis=0) / np.where(size > 0, size, np.nan)


def coverage(samples, observed, level=0.8):
    """The share of what was observed that lies in the central interval of the samples.

    Args:
        samples: Float array `(..., samples, time, features)`.
        observed: Float array `(..., time, features)`; NaN is missing.
        level: The share that a calibrated forecast covers; of 0.8, the interval reaches from the
            quantile 0.1 to 0.9, bounds included.

    Returns:
        float64 array `(features,)`.
    """
    samples, observed = _check(samples, observed)
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1. Received: level={level}")
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=-3)
    inside = np.where(np.isnan(observed), np.nan, (low <= observed) & (observed <= high))
    return mean_observed(inside, tuple(range(observed.ndim - 1)))


def mase(forecast, observed, history, season=1, periods=None):
    """Mean absolute scaled error of a point forecast (Hyndman & Koehler 2006).

    The error is divided by that of repeating the season before, within the history.

    Args:
        forecast: Float array `(..., time, features)`.
        observed: The same; NaN is missing.
        history: One array `(time, features)`, or a list of them: what the scale is taken from.
        season: Positions in a season.
        periods: As of `crps`, for the errors within the history.

    Returns:
        float64 array `(features,)`; NaN for a feature whose history repeats itself exactly.
    """
    observed = np.asarray(observed, np.float64)
    error = mean_observed(np.abs(np.asarray(forecast) - observed), tuple(range(observed.ndim - 1)))
    return error / _naive_error(history, season, periods)


def smape(forecast, observed):
    """Symmetric mean absolute percentage error of a point forecast, as in the M4 competition.

    200 |y - f| / (|y| + |f|) (Makridakis et al. 2020, eq. 1); 0 where both are 0.

    Args:
        forecast: Float array `(..., time, features)`.
        observed: The same; NaN is missing.

    Returns:
        float64 array `(features,)`, in percent.
    """
    observed = np.asarray(observed, np.float64)
    size = np.abs(observed) + np.abs(forecast)
    error = 200 * np.abs(np.asarray(forecast) - observed) / np.where(size > 0, size, 1.0)
    return mean_observed(error, tuple(range(observed.ndim - 1)))


def msis(samples, observed, history, season=1, level=0.95):
    """Mean scaled interval score of the central interval of samples (Gneiting & Raftery 2007).

    (U - L + 2/a (L - y)[y < L] + 2/a (y - U)[y > U]) / scale with a = 1 - level and the scale of
    `mase`: the measure of intervals of the M4 competition (Makridakis et al. 2020, eq. 5).

    Args:
        samples: Float array `(..., samples, time, features)`.
        observed: Float array `(..., time, features)`; NaN is missing.
        history: As for `mase`.
        season: As for `mase`.
        level: The share that the interval is to cover.

    Returns:
        float64 array `(features,)`; NaN for a feature whose history repeats itself exactly.
    """
    samples, observed = _check(samples, observed)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=-3)
    outside = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
    width = np.where(np.isnan(observed), np.nan, high - low)
    score = width + 2 / (1 - level) * outside
    score = mean_observed(score, tuple(range(observed.ndim - 1)))
    return score / _naive_error(history, season)


def _naive_error(history, season, periods=None):
    """The mean absolute error of repeating the season before; NaN where it is 0."""
    error = mean_observed(np.abs(seasonal_residuals(history, season, periods)), 0)
    return np.where(error > 0, error, np.nan)


def naive2(history, horizon, season):
    """The forecast Naive2 of the M4 competition, which its OWA is relative to.

    The last value, of series that are seasonal by a test of their autocorrelation at 90%: of the
    series without its seasonal indices, which are put on again. The indices are those of the
    classical multiplicative decomposition (R's `decompose`); of a series that has a value that is
    not above 0, which the competition had none of, those of the additive one.

    Args:
        history: Float array `(time, features)`; a missing value is taken as the one before it.
        horizon: Positions to forecast.
        season: Positions in a season.

    Returns:
        float64 array `(horizon, features)`; NaN where nothing was observed.
    """
    season = _check_season(season)
    columns = np.asarray(history, np.float64).T
    return np.stack([_naive2(column, horizon, season) for column in columns], axis=-1)


def _naive2(series, horizon, season):
    seen = np.flatnonzero(~np.isnan(series))
    if not len(seen):
        return np.full(horizon, np.nan)
    # Each missing value is the last one that was observed.
    filled = np.where(np.isnan(series), 0, np.arange(len(series)))
    series = series[np.maximum.accumulate(filled)][seen[0] :]
    if season == 1 or not _is_seasonal(series, season):
        return np.full(horizon, series[-1])
    times = bool(np.all(series > 0))
    # The centred moving average over a season; of an even one, its ends count half.
    weights = np.ones(season)
    if season % 2 == 0:
        weights = np.r_[0.5, np.ones(season - 1), 0.5]
    half = season // 2
    trend = np.convolve(series, weights / season, "valid")
    inner = series[half : half + len(trend)]
    departure = inner / trend if times else inner - trend
    phases = (np.arange(len(trend)) + half) % season
    index = np.array([np.mean(departure[phases == phase]) for phase in range(season)])
    index = index / np.mean(index) if times else index - np.mean(index)
    last, ahead = len(series) - 1, index[(len(series) + np.arange(horizon)) % season]
    if times:
        return series[-1] / index[last % season] * ahead
    return series[-1] - index[last % season] + ahead


def _is_seasonal(series, season):
    """M4's test: whether the autocorrelation of a season is beyond its 90% limit."""
    if len(series) < 3 * season:
        return False
    centred = series - np.mean(series)
    size = 1 << (2 * len(series) - 1).bit_length()
    found = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2, size)[: season + 1]
    if not found[0] > 0:
        return False
    found = found / found[0]
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(found[1:season] ** 2)) / len(series))
    return bool(abs(found[season]) > limit)


def seasonal_naive(context, horizon, season):
    """The forecast that repeats the last season.

    Args:
        context: Float array `(..., time, features)`. For a missing value, the one a season before
            it is taken, and so on; where there is none, the last value observed.
        horizon: Positions to forecast.
        season: Positions in a season. A context shorter than that repeats its last value.

    Returns:
        Float array `(..., horizon, features)`; NaN only where the context has no value at all.
    """
    season = _check_season(season)
    context = np.asarray(context, np.float64)
    length = context.shape[-2]
    last = np.full(context.shape[:-2] + context.shape[-1:], np.nan)
    for position in range(length):
        here = context[..., position, :]
        last = np.where(np.isnan(here), last, here)
    cycle = []
    for phase in range(season):
        value = np.full_like(last, np.nan)
        for position in range((length + phase) % season, length, season):
            here = context[..., position, :]
            value = np.where(np.isnan(here), value, here)
        cycle.append(np.where(np.isnan(value), last, value))
    return np.stack([cycle[position % season] for position in range(horizon)], axis=-2)


def seasonal_residuals(history, season, periods=None):
    """The errors of repeating the season before, within a history.

    Args:
        history: One array `(time, features)`, or a list of them.
        season: Positions in a season.
        periods: As of `crps`.

    Returns:
        float64 array `(number, features)`, NaN where either value is missing.
    """
    season = _check_season(season)
    parts = history if isinstance(history, (list, tuple)) else [history]
    parts = [np.asarray(part, np.float64) for part in parts]
    residuals = np.concatenate([part[season:] - part[:-season] for part in parts])
    for feature, period in enumerate(periods or ()):
        if period is not None:
            residuals[:, feature] = wound(residuals[:, feature], period)
    return residuals


def seasonal_naive_samples(context, horizon, season, num_samples, residuals=None, seed=0):
    """Samples of the seasonal random walk that the seasonal-naive forecast is the centre of.

    Each season adds an error to the one before, drawn from the residuals, each feature by itself
    (bootstrapped residuals: Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd
    ed., sec. 5.5). So the spread grows with the root of the number of seasons ahead.

    Args:
        context: Float array `(..., time, features)`.
        horizon: Positions to forecast.
        season: Positions in a season.
        num_samples: Samples of each series.
        residuals: Float array `(number, features)`, those of the training data, say; None takes
            the context's own. NaN are left out; a feature without any has the error 0.
        seed: Integer.

    Returns:
        Float array `(..., num_samples, horizon, features)`.
    """
    context = np.asarray(context, np.float64)
    centre = seasonal_naive(context, horizon, season)
    if residuals is None:
        residuals = seasonal_residuals(list(context.reshape(-1, *context.shape[-2:])), season)
    rng = np.random.default_rng(seed)
    shape = (*centre.shape[:-2], num_samples, horizon)
    errors = np.zeros([*shape, centre.shape[-1]])
    for number in range(centre.shape[-1]):
        known = residuals[:, number][~np.isnan(residuals[:, number])]
        if len(known):
            errors[..., number] = known[rng.integers(len(known), size=shape)]
    # Season k ahead has the sum of k + 1 errors.
    for position in range(season, horizon):
        errors[..., position, :] += errors[..., position - season, :]
    return centre[..., None, :, :] + errors


def _check(samples, observed, least=0):
    samples, observed = np.asarray(samples, np.float64), np.asarray(observed, np.float64)
    if samples.ndim < 3 or samples.shape[:-3] + samples.shape[-2:] != observed.shape:
        raise InputError(
            "samples must be (..., samples, time, features) and observed (..., time, features). "
            f"Received: shapes={samples.shape}, {observed.shape}"
        )
    count = samples.shape[-3]
    if count < least:
        raise InputError(f"The score needs {least} samples. Received: samples={count}")
    return samples, observed


def _check_season(season):
    if season < 1:
        raise InputError(f"season must be at least 1. Received: season={season}")
    return int(season)


def _sum(values, axis):
    return np.sum(np.where(np.isnan(values), 0.0, values), axis=axis)


def mean_observed(values, axis):
    """Mean over what is no NaN; NaN where there is nothing."""
    count = np.sum(~np.isnan(values), axis=axis)
    return _sum(values, axis) / np.where(count > 0, count, np.nan)
