"""`adapt`: the linear part of a model of numbers, from data in closed form."""

from typing import NamedTuple

import numpy as np

from tfgen.models.numbers.lengths import usual_horizon

_POSITIONS, _SEQUENCES = 1 << 15, 256  # more of them would change little
_NUMBERS = 1 << 24  # held at once
# What a unit of difference from the first weights counts, in squared errors of one position.
_RIDGE = 1.0
_FIRM = 1e6  # the same of a sum that is held where it is
_JOINT = 32  # numbers of which each may be told by all
_FAR = 1e6  # in scaled units: a fit that explodes goes no further
_ENOUGH = 4  # positions a weight, without which those with filled values count as well
# What residuals may be taken for, in scaled units. Of data that a line tells exactly, less would make
# an error of a jump whose square, over the least scale of a head, float32 cannot hold.
_SPREADS = 0.03, 10.0
_LEAST_CHANGE = 1e-3  # of a series that is told in patches
_LEARNED = 2 / 3  # of each sequence: what the choice between two fits learns from
_SHORT = 3  # the longest lag that is no season
_ORIGINS = 20  # in the rest of each
_APART = 7  # samples at most between two patches that are read, so that they begin at any hour


class _Linear(NamedTuple):
    """Weights `(numbers, numbers)` of the position before, `(lags, numbers)` of each number's own
    lags, what comes to them, and the standard deviations `(numbers,)` of what is left."""

    matrix: np.ndarray
    shares: np.ndarray
    drift: np.ndarray
    spread: np.ndarray


def adapt(model, sequences):
    """Starts the linear skip of a model at its least squares solution, where it has one.

    What a network and its head learn is then how data depart from a linear autoregression fitted to
    it, in units of the standard deviation of its residuals. It is a ridge regression (Hoerl &
    Kennard, 1970) towards the first weights, either of all that the skip reads (of more than 32
    numbers: of each number's own past), or of each number's own past with weights that sum to 1:
    what wanders without a level has a unit root (Box & Jenkins, Time Series Analysis, ch. 4), and
    one that is estimated would draw it to the mean. Each of these comes with the seasons and
    without. That one is taken whose forecasts of the last third, learned from the rest, have the
    least absolute error. Angles are left as they are. A patch is fitted number by number to the
    whole patch before it, in each series' own size of the change from patch to patch, by weights;
    its errors are those of the next patch.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        sequences: What it is trained on, `tfgen.data.Sequences` as its processor has them.

    Returns:
        Whether it has a linear skip.
    """
    emission = getattr(getattr(model, "engine", None), "emission", None)
    reference = getattr(emission, "reference", None)
    if reference is None or reference.linear is None:
        return False
    positions = reference.reading.positions
    patch, numbers = positions.patch, positions.numbers
    if positions.frame > patch:
        return False
    lags = np.array([patch, *reference.reading.lags.all])
    places = np.arange(-patch, 0)[None]
    if len(lags) > 1:
        places = np.concatenate([places, reference.reading.lags.places])
    series = _scaled(positions, sequences, places)
    shares = np.zeros([0, numbers])
    if reference.lagged is not None:
        shares = reference.lagged.shares.numpy()
    first = _Linear(reference.linear.kernel.numpy(), shares, np.zeros(numbers), np.ones(numbers))
    turning = list(positions.circular)
    early = [values[: int(_LEARNED * len(values))] for values in series]
    joint = numbers <= _JOINT
    ways = [
        (joint and not unit_root, unit_root, most)
        for unit_root in (False, True)
        for most in ((lags.max(), _SHORT) if patch == 1 else (lags.max(),))
    ]
    read = _read(early, places)
    found = [_fit(read, lags, first, turning, *way) for way in ways]
    if patch == 1:
        horizon = usual_horizon(model.processor, [len(s) - len(e) for s, e in zip(series, early)])
        errors = [_error(series, early, lags, each, horizon, turning) for each in found]
    else:
        before, now, heavy = _read(series, places, [len(values) for values in early])
        before = _filled(before)
        before[:, 0, turning] = 0.0
        heavy = heavy[:, None]
        errors = [_mean_error(heavy * _next(before, each), heavy * now, turning) for each in found]
    found = _fit(_read(series, places), lags, first, turning, *ways[int(np.argmin(errors))])
    for engine in getattr(model.engine, "engines", [model.engine]):  # of a mixture each
        reference = engine.emission.reference
        reference.linear.kernel.assign(found.matrix)
        if reference.lagged is not None:
            reference.lagged.shares.assign(found.shares)
        reference.residual.set_weights([found.drift, found.spread])
    return True


def _apart(patch):
    return min(_APART, max(patch - 1, 1))


def _scaled(positions, sequences, places):
    """Scaled numbers of sequences, `(time, numbers)` each; of many, of some evenly spread.

    Of so few that each has room for positions whose furthest lag is known.
    """
    processor = positions.processor
    most = min(_POSITIONS, _NUMBERS // (positions.numbers * (1 + len(places))))
    most *= _apart(positions.patch)
    count = min(max(most // (-3 * places.min()), 1), _SEQUENCES)
    chosen = np.unique(np.linspace(0, len(sequences) - 1, count).round().astype(int))
    each = max(most // len(chosen), 1)
    found = []
    for number in chosen:
        numbers = processor.numbers(processor.counted(sequences.values[number][None]))
        scale = processor.series_scale(numbers)[:, None] if processor.scaler.needs_scale else None
        found.append(processor.scale_numbers(numbers, scale)[0].numpy()[-each:])
    return found


def _read(series, places, begins=None):
    """What is before positions, `(positions, lags, numbers)`, the positions themselves, and weights.

    Args:
        series: Arrays `(time, columns)`.
        places: int `(lags, patch)`: where it stands, counted from the first sample of a position.
        begins: Of each series where its positions begin; None is after the first one.
    """
    before, now, weights, patch = [], [], [], places.shape[1]
    for number, values in enumerate(series):
        begin = patch if begins is None else begins[number]
        starts = np.arange(begin, len(values) - patch + 1, _apart(patch))
        place = starts[:, None, None] + places
        known = np.where(place[..., None] >= 0, values[np.maximum(place, 0)], np.nan)
        width = patch * values.shape[1]
        before.append(known.reshape([*known.shape[:2], width]))
        now.append(values[starts[:, None] + np.arange(patch)].reshape([len(starts), width]))
        weights.append(np.full(len(starts), 1.0 if patch == 1 else 1 / _change(values, patch)))
    weights = np.concatenate(weights)
    if patch > 1 and len(weights):
        weights /= np.sqrt(np.mean(np.square(weights)))
    return np.concatenate(before), np.concatenate(now), weights


def _change(values, patch):
    """The mean absolute change of a series from patch to patch; 1 where there is none."""
    sizes = np.abs(values[patch:] - values[:-patch], dtype=np.float64)
    mean = np.nansum(sizes) / max(np.count_nonzero(~np.isnan(sizes)), 1)
    return max(mean, _LEAST_CHANGE) if mean else 1.0


def _filled(before):
    """Without missing values, as `Reference.known` has it."""
    filled, count = before.copy(), before.shape[1]
    for order in (range(1, count), range(count - 2, -1, -1)):
        for number in order:
            other = filled[:, number - order.step]
            filled[:, number] = np.where(np.isnan(filled[:, number]), other, filled[:, number])
    return np.nan_to_num(filled)


def _fit(read, lags, first, turning, joint, unit_root, most):
    """A `_Linear` of what was `_read`, by ridge regression towards another one.

    It reads all numbers of the position before if it is `joint`, else each column's own past, whose
    weights sum to 1 with a `unit_root`; and of no lag beyond `most`.
    """
    (before, now, weights), patch = read, lags[0]
    known, filled = ~np.isnan(before), _filled(before)
    known[:, 0, turning], filled[:, 0, turning] = True, 0.0
    matrix, shares, drift, spread = (part.copy() for part in first)
    numbers, near = len(matrix), np.flatnonzero(lags[1:] <= most)
    for number in np.setdiff1d(np.arange(numbers), turning):
        columns = 1 if joint else numbers // patch  # of a patch all times of a column
        of = np.arange(number % columns, numbers, columns)
        parts = [filled[:, 0, of], filled[:, 1 + near, number], np.ones([len(filled), 1])]
        x, y = np.concatenate(parts, axis=1, dtype=np.float64), now[:, number]
        start = np.concatenate([first.matrix[of, number], first.shares[near, number], [0.0]])
        used = ~np.isnan(y)
        complete = used & known[:, 0, of].all(axis=1) & known[:, 1 + near, number].all(axis=1)
        if complete.sum() >= _ENOUGH * len(start):
            used = complete
        x, y, heavy = x[used], y[used], weights[used]
        if not len(y):
            continue
        penalty = _RIDGE * np.eye(len(start))
        if unit_root:
            start[np.searchsorted(of, number)] += 1 - start.sum()
            penalty[:-1, :-1] += _FIRM  # of all but the drift
        weighted, left = x * heavy[:, None], (y - x @ start) * heavy
        fitted = start + np.linalg.solve(weighted.T @ weighted + penalty, weighted.T @ left)
        matrix[:, number] = shares[:, number] = 0.0
        matrix[of, number], drift[number] = fitted[: len(of)], fitted[-1]
        shares[near, number] = fitted[len(of) : -1]
        spread[number] = np.clip(np.sqrt(np.mean((y - x @ fitted) ** 2)), *_SPREADS)
    return _Linear(matrix, shares, drift, spread)


def _error(series, early, lags, found, horizon, turning):
    """The mean absolute error of forecasts from origins in the last part of series."""
    pasts, truths, span = [], [], int(lags.max())
    most = _NUMBERS // (span * len(series) * series[0].shape[1])
    most = min(max(most, 1), _ORIGINS)
    for values, past in zip(series, early, strict=True):
        origins = np.arange(max(len(past), 1), len(values) - horizon + 1)
        if len(origins) > most:
            origins = origins[np.linspace(0, len(origins) - 1, most).astype(int)]
        padded = np.pad(values, [[span, 0], [0, 0]], constant_values=np.nan)
        pasts += [padded[origin : origin + span] for origin in origins]
        truths += [values[origin : origin + horizon] for origin in origins]
    if not pasts:
        return 0.0
    path = np.stack(pasts)
    for _ in range(horizon):
        before = _filled(path[:, path.shape[1] - lags])
        before[:, 0, turning] = 0.0
        now = np.clip(_next(before, found), -_FAR, _FAR)
        path = np.concatenate([path, now[:, None]], axis=1)
    return _mean_error(path[:, span:], np.stack(truths), turning)


def _next(before, found):
    """What a `_Linear` expects after filled values, `(positions, numbers)`."""
    lagged = (before[:, 1:] * found.shares).sum(axis=1)
    return before[:, 0] @ found.matrix + lagged + found.drift


def _mean_error(forecast, truth, turning):
    """The mean absolute error of all but the angles; 0 where nothing is known."""
    errors = np.delete(np.abs(forecast - truth), turning, axis=-1)
    known = ~np.isnan(errors)
    return float(errors[known].mean()) if known.any() else 0.0
