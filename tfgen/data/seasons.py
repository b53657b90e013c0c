"""Seasons: at which lags a series is like itself again."""

import math

import numpy as np

DAY, WEEK, YEAR = 86_400, 604_800, 31_556_952  # seconds; the mean year of the calendar
MAX_LAG = 1 << 12
# Standard errors above which a correlation counts: that of the M4 competition's test of seasons
# for a period of the calendar; more for a lag that is the highest of many.
_CALENDAR_ERRORS, _FREE_ERRORS = 1.645, 3.0
_LEAST = 0.1
_STANDS_OUT = 0.05
# A multiple of a season is taken for one of its own where its correlation is so much higher.
_ABOVE_FUNDAMENTAL = 0.05
_LOOKED_AT = 10  # lags, besides those of the calendar
_POSITIONS = 1 << 16  # the last ones, more of which would tell no more of lags so short
_MOST, _MOST_COMMON = 3, 6  # seasons that are told: of a feature, and of several
_MAX_SEQUENCES, _MAX_FEATURES = 300, 32  # that are looked at
# The moving average of what is slower goes over at least so many positions: over two, it would
# make every other position alike.
_LEAST_WINDOW = 8
_TIMES = 4  # multiples of a lag that tell where it is exactly


def calendar_lags(step):
    """Positions in a day, a week and a year, as far as they are whole and at least two.

    Args:
        step: Seconds between two positions, or None.
    """
    if not step:
        return []
    lags = [round(period / step) for period in (DAY, WEEK, YEAR) if period >= 2 * step]
    # A month has 28 to 31 days, a quarter 90 to 92.
    return sorted(lag for lag in set(lags) if lag <= MAX_LAG)


def seasons(columns, step=None):
    """Returns the lags at which a feature is like itself again, the strongest first, at most 3.

    A lag is looked at if it is a maximum of the autocorrelation, or a period of the calendar. What
    is slower than it, a moving average over the lag, is taken away (classical decomposition:
    Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., sec. 3.4), for a trend
    or a slow swing is no season. The autocorrelation of the rest at the lag must be at least 0.1
    and a number of its standard errors, as in the test of the M4 competition (Makridakis et al.
    2020), and must come back at twice the lag where the data are long enough. Of lags that are
    multiples of each other the shortest counts, for what comes back every day comes back every
    other day, unless a longer one correlates more.

    Args:
        columns: List of arrays `(time,)` with NaN where missing.
        step: Seconds between two positions, or None.

    Returns:
        List of integers, empty if there is none.
    """
    columns = [values for values in columns if len(values) >= 4]
    most = max(_POSITIONS // max(len(columns), 1), 4 * MAX_LAG)
    columns = [_without_trend(np.asarray(values[-most:], np.float64)) for values in columns]
    longest = max(map(len, columns), default=0)
    max_lag = min(longest // 2, MAX_LAG)
    if max_lag < 2 or not _products(columns, 0)[2] > 0:
        return []
    calendar = [lag for lag in calendar_lags(step) if lag <= max_lag]
    found = {}  # correlations by lag, of what is left for each season
    for lag in [*calendar, *_peaks(columns, max_lag)]:
        free = lag not in calendar
        known = [other for other in found if other in calendar]
        lag, correlations, error = _seasonal(columns, lag, free)
        if free and any(abs(lag - other) <= other // 8 for other in known):
            continue
        least = max(_LEAST, (_FREE_ERRORS if free else _CALENDAR_ERRORS) * error)
        # Of two cycles alone, chance finds one in anything that wanders.
        lasts = not free
        if 2 * lag < len(correlations):
            lasts = correlations[2 * lag] >= correlations[lag] / 2
        # What is smooth is like itself nearby too: a season stands out from half of it.
        stands_out = correlations[lag] >= correlations[lag // 2] + _STANDS_OUT
        if correlations[lag] >= least and lasts and stands_out:
            found[lag] = correlations
    strength = {lag: correlations[lag] for lag, correlations in found.items()}
    plain = np.nan_to_num(autocorrelation(columns, min(2 * max_lag, longest - 1)))
    for lag in sorted(found):
        for other in sorted(found):
            if other not in strength or not _is_multiple(lag, other):
                continue
            margin = _ABOVE_FUNDAMENTAL + 1 / np.sqrt(_pairs(columns, lag))
            alike = _height(plain, lag, other) <= _height(plain, other, other) + margin
            # Three days are no season of their own where days are.
            if alike or (other in calendar and lag not in calendar):
                del strength[lag]
                break
            strength[other] = min(strength[other], np.nextafter(strength[lag], 0))
    chosen = []
    for lag in sorted(strength, key=lambda lag: (-strength[lag], lag)):
        if not any(abs(lag - other) <= other // 8 for other in chosen):
            chosen.append(lag)
    return chosen[:_MOST]


def common_seasons(parts, step=None):
    """The seasons of several features: those of most of them, and there the strongest, first.

    Args:
        parts: List of arrays `(time, features)`, NaN where missing.
        step: Seconds between two positions, or None.

    Returns:
        List of at most 6 integers.
    """
    parts = parts[:: -(-len(parts) // _MAX_SEQUENCES) or 1]
    found = {}
    for number in range(min(parts[0].shape[1], _MAX_FEATURES) if parts else 0):
        for place, lag in enumerate(seasons([values[:, number] for values in parts], step)):
            found[lag] = found.get(lag, 0) + 1 / (1 + place)
    return sorted(found, key=lambda lag: (-found[lag], lag))[:_MOST_COMMON]


def autocorrelation(columns, max_lag):
    """Returns the correlation of a feature with itself, of observed pairs, for each lag.

    The sum of products of the pairs is divided by the norms of either side of them, so that it lies
    within [-1, 1] however few they are, and is 1 for what repeats itself exactly.

    Args:
        columns: List of arrays `(time,)` with NaN where missing; each is centred on its own mean.
        max_lag: The greatest lag.

    Returns:
        float64 `(max_lag + 1,)`; NaN where there is no pair, or nothing varies.
    """
    products, pairs, squares = _products(columns, max_lag)
    norms = np.sqrt(_pair_squares(columns, max_lag).prod(axis=0))
    # Rounding errors of the transforms are of the size of all squares.
    there = (pairs > 0) & (norms > 1e-12 * squares) & (squares > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(there, np.clip(products / norms, -1, 1), np.nan)


def _peaks(columns, max_lag):
    """Lags at which the correlations of values, or of their differences, are a maximum.

    In the differences a spike stands out, in the values a smooth swing.
    """
    chosen = set()
    for parts in (columns, [np.diff(values) for values in columns]):
        products, _, squares = _products(parts, max_lag + 1)
        if not squares > 0:
            continue
        # Divided by all pairs, so that a long lag, of which there are few, counts for less.
        correlations = products / squares
        peaks = []
        for lag in range(2, max_lag + 1):
            near = correlations[max(lag - max(lag // 8, 1), 1) : lag + max(lag // 8, 1) + 1]
            if correlations[lag] >= near.max() and correlations[lag] > 0:
                peaks.append(lag)
        by_height = sorted(peaks, key=lambda lag: -correlations[lag])
        chosen.update(by_height[:_LOOKED_AT])
        # Of a season and its multiples the shortest need not be the highest.
        high = [lag for lag in peaks if correlations[lag] >= correlations[by_height[0]] / 2]
        chosen.update(high[:_LOOKED_AT])
    return chosen


def _seasonal(columns, lag, free):
    """What the autocorrelation says of a lag, once what is slower is gone.

    Returns:
        `(lag, correlations, error)`: the lag, if it is `free` the best of its neighbours; the
        correlations at it, before it and, where there are pairs enough, at its double; and the
        standard error of that at the lag, by Bartlett's formula over the lags up to which values
        go together.
    """
    window = lag * -(-_LEAST_WINDOW // lag)
    rest = [_without_slow(values, window) for values in columns if len(values) >= 2 * lag]
    longest = max(map(len, rest), default=0)
    most = max(min((longest - 1) * 3 // 4, _TIMES * (lag + lag // 8)), lag)
    correlations = np.nan_to_num(autocorrelation(rest, most))
    if free:
        # A lag that is off by one is off by four at four times the lag.
        near = range(max(lag - lag // 8, 2), min(lag + lag // 8, most) + 1)
        times = max(min(most // near[-1], _TIMES), 1)
        lag = max(
            near, key=lambda each: (correlations[each : times * each + 1 : each].mean(), -each)
        )
    before = correlations[1:lag]
    negative = np.flatnonzero(before <= 0)
    before = before[: negative[0]] if len(negative) else before
    return lag, correlations, np.sqrt((1 + 2 * np.sum(before**2)) / _pairs(rest, lag))


def _pairs(columns, lag):
    return max(sum(np.count_nonzero(~np.isnan(values[lag:])) for values in columns), 1)


def _height(correlations, lag, season):
    """How far the correlation at a lag stands out from those half a season to either side.

    What changes slowly adds as much to all three.
    """
    half = season / 2
    sides = [lag - math.ceil(half), lag - math.floor(half), lag + math.floor(half)]
    sides = [*sides, min(lag + math.ceil(half), len(correlations) - 1)]
    return correlations[lag] - np.mean(correlations[sides])


def _without_trend(values):
    """Values less the straight line through them."""
    observed = np.flatnonzero(~np.isnan(values))
    if len(observed) < 2:
        return values
    place = np.arange(len(values)) - observed.mean()
    seen = values[observed]
    slope = np.sum(place[observed] * (seen - seen.mean())) / np.sum(place[observed] ** 2)
    rest = values - seen.mean() - slope * place
    # Rounding errors of a straight line are no values.
    tiny = np.nanmax(np.abs(rest)) <= 1e-12 * np.abs(seen).max()
    return np.where(~np.isnan(values), 0.0, np.nan) if tiny else rest


def _without_slow(values, lag):
    """Values less their moving average over a lag."""
    observed = ~np.isnan(values)
    # Of an even lag the two ends count half, so that each phase counts as much as the others.
    weights = np.ones(lag + 1 - lag % 2)
    weights[[0, -1]] = 1.0 if lag % 2 else 0.5
    total = _smooth(np.where(observed, values, 0.0), weights)
    count = _smooth(observed.astype(np.float64), weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return values - np.where(count > 0.25, total / count, np.nan)


def _smooth(values, weights):
    """Weighted sums around each position: of equal weights but for the ends, by running sums."""
    half, length = len(weights) // 2, len(values)
    padded = np.concatenate([np.zeros(half + 1), values, np.zeros(half)])
    sums = np.cumsum(padded)
    whole = sums[2 * half + 1 :] - sums[: -(2 * half + 1)]
    ends = padded[1 : length + 1] + padded[2 * half + 1 :]
    return whole - (1 - weights[0]) * ends


def _is_multiple(lag, other):
    """Whether a lag is a multiple of a shorter one, as near as whole positions tell."""
    times = round(lag / other)
    return times >= 2 and abs(lag - times * other) <= max(times // 2, other // 12)


def _products(columns, max_lag):
    """Sums of products of deviations, numbers of observed pairs `(max_lag + 1,)`, and the sum of
    the squared deviations."""
    products, pairs = np.zeros(max_lag + 1), np.zeros(max_lag + 1)
    for values in columns:
        observed = ~np.isnan(values)
        if not observed.any():
            continue
        values = _centred(values)
        lags = min(max_lag, len(values) - 1) + 1
        products[:lags] += _correlate(values, lags)
        pairs[:lags] += np.rint(_correlate(observed.astype(np.float64), lags))
    # Rounding errors of a constant are no deviations.
    largest = max((float(np.nanmax(np.abs(v), initial=0)) for v in columns), default=0)
    tiny = 1e-26 * pairs[0] * largest**2
    return products, pairs, products[0] if products[0] > tiny else 0.0


def _pair_squares(columns, max_lag):
    """Sums of the squared deviations of the first and of the second values of observed pairs,
    `(2, max_lag + 1)`."""
    sums = np.zeros([2, max_lag + 1])
    for values in columns:
        observed = ~np.isnan(values)
        lags = min(max_lag, len(values) - 1) + 1
        if not observed.any():
            continue
        squares = _centred(values) ** 2
        if observed.all():
            up_to = np.append(0.0, np.cumsum(squares))
            sums[0, :lags] += up_to[::-1][:lags]
            sums[1, :lags] += up_to[-1] - up_to[:lags]
        else:
            there = observed.astype(np.float64)
            sums[0, :lags] += _correlate(squares, lags, there)
            sums[1, :lags] += _correlate(there, lags, squares)
    return np.maximum(sums, 0)


def _centred(values):
    """Deviations from the mean as float64, 0 where missing."""
    observed = ~np.isnan(values)
    values = np.where(observed, values, 0).astype(np.float64)
    return np.where(observed, values - values.sum() / observed.sum(), 0)


def _correlate(values, lags, others=None):
    """Sums of the products of values with those, of the same or others, that are 0, 1, ... later,
    by a Fourier transform."""
    size = 1 << (len(values) + lags - 1).bit_length()
    found = np.fft.rfft(values, size)
    found = np.conj(found) * (found if others is None else np.fft.rfft(others, size))
    return np.fft.irfft(found, size)[:lags]
