"""Forecasts of what was held out: which hours of which series, and the CRPS of each contestant.

Time runs on a grid without gaps, because naive forecasts and DeepAR count in steps. A row that the
data lacks is a row of missing values there.
"""

import dataclasses

import numpy as np

from benchmarks.runner import OURS, spread, tell
from benchmarks.workers import Missing, call
from tfgen import zoo
from tfgen.data import open_sequences
from tfgen.data.seasons import DAY
from tfgen.errors import InputError
from tfgen.models import RECIPE
from tfgen.recipe import Recipe

DEEPAR, NAIVE, NAIVE_SPREAD = "DeepAR", "naive", "naive, residuals"
HOUR = 3600  # seconds
INSIDE = "in 80%"
BOOTSTRAPS = 2000


@dataclasses.dataclass(frozen=True)
class Task:
    """Series on a grid of `step` seconds, and the origins to forecast from."""

    names: tuple  # of the variables
    step: int
    starts: tuple  # time of each series' first position, in seconds since 1970
    values: list  # float32 (time, variables), one for each series, NaN where missing
    present: list  # bool (time,): whether the data has a row there at all
    edges: tuple  # first position of each series that is held out
    origins: np.ndarray  # (origins, 2): a series, and the first position to forecast there
    days: np.ndarray  # (origins,): which origins of different series belong together
    context: int  # positions before an origin that a contestant goes by
    horizon: int
    bounds: tuple  # least and greatest value of each variable, infinite where there is none

    def training(self):
        """The part that may be learned from: a list of `(time, variables)`."""
        return [values[:edge] for values, edge in zip(self.values, self.edges, strict=True)]

    def moments(self):
        """Mean and standard deviation of each variable in the training data; 1 of a constant."""
        known = np.concatenate(self.training()).astype(np.float64)
        deviations = np.nanstd(known, axis=0)
        return np.nanmean(known, axis=0), np.where(deviations > 0, deviations, 1.0)

    def cut(self, begin, end):
        """What is on the grid from `begin` to `end` after each origin."""
        return np.stack([self.values[s][o + begin : o + end] for s, o in self.origins])

    def rows_before(self):
        """What was before as rows of the data: lists of `(rows, variables)` and of times `(rows,)`.

        The last row stands right before the origin: if the data has none there, it is missing.
        """
        values, times = [], []
        for series, origin in self.origins:
            there = np.flatnonzero(self.present[series][origin - self.context : origin])
            places = np.union1d(there, [self.context - 1]) + origin - self.context
            values.append(self.values[series][places])
            times.append(self.starts[series] + self.step * places.astype(np.int64))
        return values, times


def task_of(entry, context, horizon):
    """The `Task` of a zoo entry or a run, on the data that its recipe names."""
    item = zoo.find(entry)
    if not getattr(item, "pretrained", False):
        raise InputError(f"'{item.name}' has no weights: choose another --entry")
    if item.data_kind != "series":
        raise InputError(f"forecast is for series; '{item.name}' is of {item.data_kind}")
    rules = Recipe.from_file(item.folder / RECIPE).data
    sequences = open_sequences(rules)
    return make_task(sequences, rules.validation_fraction, context, horizon, rules.split)


def make_task(sequences, validation_fraction, context, horizon, split="auto"):
    """Rolling origins over the part held out, one after each horizon.

    An InputError says what the series lack: timestamps, a split in time, room for a forecast.
    """
    name, times = sequences.name, sequences.times
    ends = sequences.split_edges(validation_fraction, split)
    inside = ends is not None and all(0 < k < len(x) for k, x in zip(ends, sequences.values))
    gaps = np.concatenate([np.diff(each) for each in times]) if times else np.zeros(1)
    step = int(np.median(gaps))
    for wrong, needed in (
        (times is None, "timestamps"),
        (any(feature.is_category for feature in sequences.features), "numbers, not categories"),
        (not inside, "a split in time, with a part of each"),
        (step <= 0 or (gaps % step).any(), f"times on a grid of {step} s"),
    ):
        if wrong:
            raise InputError(f"forecast needs {needed}: {name}")
    values, present, edges, origins, days = [], [], [], [], []
    parts = zip(sequences.values, sequences.times, ends, strict=True)
    for series, (rows, times, end) in enumerate(parts):
        places = (times - times[0]) // step
        grid = np.full([places[-1] + 1, rows.shape[1]], np.nan, np.float32)
        grid[places] = rows
        values.append(grid)
        present.append(np.isin(np.arange(len(grid)), places))
        edges.append(int(times[end] - times[0]) // step)
        for day, origin in enumerate(range(edges[-1], len(grid) - horizon + 1, horizon)):
            if origin >= context:
                origins.append((series, origin))
                days.append(day)
    if not origins:
        raise InputError(f"{name} has no room for {context} positions and {horizon} to forecast")
    features = sequences.features
    bounds = np.array([[each.low, each.high] for each in features], float).T
    low, high = np.where(np.isnan(bounds), [[-np.inf], [np.inf]], bounds)
    return Task(
        tuple(feature.name for feature in features), step,
        tuple(int(times[0]) for times in sequences.times), values, present, tuple(edges),
        np.array(origins), np.array(days), context, horizon, (low, high),
    )  # fmt: skip


def measure(entry, task, num_samples, epochs, seeds):
    """How near forecasts come to what was observed: the result of `score`.

    DeepAR is trained for so many `epochs`, so often as `seeds` says.
    """
    tell(f"forecast: {entry}")
    samples, parameters = call("peer_tfgen.forecast", entry, task, num_samples, 0)
    notes = {OURS: f"{parameters:,} weights, {entry}, {task.context} positions of context"}
    drawn, skipped = {OURS: [samples], NAIVE: [], NAIVE_SPREAD: [], DEEPAR: []}, {}
    for contestant in (NAIVE, NAIVE_SPREAD):
        samples, notes[contestant] = best_naive(task, num_samples, contestant == NAIVE_SPREAD)
        drawn[contestant].append(samples)
    try:
        for seed in range(seeds):
            tell(f"forecast: training {DEEPAR}, {seed + 1} of {seeds}")
            job = ("peer_deepar.forecast", task, parameters, num_samples, epochs, seed)
            samples, notes[DEEPAR] = call(*job)
            drawn[DEEPAR].append(samples)
    except Missing as error:
        del drawn[DEEPAR]
        skipped[DEEPAR] = str(error)
    return score(task, drawn, notes) | {"skipped": skipped}


def best_naive(task, num_samples, with_errors):
    """Samples of the naive forecast whose season serves it best, as `tfgen evaluate` chooses it.

    With errors, those of the training data are added; else it is a point. Returned with a note.
    """
    from tfgen.data.seasons import common_seasons
    from tfgen.evaluation import forecasts

    known, before, horizon = task.training(), task.cut(-task.context, 0), task.horizon
    found, day = common_seasons(known, task.step), max(DAY // task.step, 1)
    _, deviations = task.moments()
    tried = {}
    for season in sorted({1, *(lag for lag in (day, *found) if lag <= task.context)}):
        samples = forecasts.seasonal_naive(before, horizon, season)[:, None]
        if with_errors:
            errors = forecasts.seasonal_residuals(known, season)
            samples = forecasts.seasonal_naive_samples(before, horizon, season, num_samples, errors)
        errors = forecasts.crps(np.clip(samples, *task.bounds), task.cut(0, horizon)) / deviations
        tried[season] = float(_means(*_sums(errors, task.days))[0]), samples
    best = min(tried, key=lambda season: (tried[season][0], season))
    shown = ", ".join(f"{season}: {crps:.3f}" for season, (crps, _) in tried.items())
    what = "the last value" if best == 1 else f"the values of {best} positions before"
    point = "as a point: its CRPS is the absolute error"
    how = "with errors that this makes in the training data, at random" if with_errors else point
    return tried[best][1], f"{what}, {how}; the best of the seasons {shown}"


def score(task, drawn, notes):
    """The result of samples `{contestant: [(origins, samples, horizon, variables) of each run]}`.

    Like a result of `runner`, but `scores` are, by contestant, its score by column, the `mean` of
    all variables first; and ratios are of the means, from the 2.5% to the 97.5% quantile when days
    are drawn anew.
    """
    from tfgen.evaluation import forecasts

    # A context that was not observed at all says nothing to a naive forecast.
    truth = task.cut(0, task.horizon)
    truth = np.where(np.isfinite(drawn[NAIVE][0][:, 0]), truth, np.nan)
    _, deviations = task.moments()
    errors, scores, contestants = {}, {}, {}
    for contestant, runs in drawn.items():
        runs = [np.clip(run, *task.bounds) for run in runs]
        if contestant not in (NAIVE, NAIVE_SPREAD) and not np.isfinite(runs).all():
            raise ValueError(f"{contestant} sampled NaN or infinity")
        each = np.stack([forecasts.crps(run, truth) / deviations for run in runs])
        errors[contestant] = each.mean(axis=0)  # (origins, horizon, variables)
        overall, variables = _means(*_sums(errors[contestant], task.days))
        scores[contestant] = {"mean": float(overall)} | dict(zip(task.names, variables.tolist()))
        if contestant != NAIVE:
            covered = [forecasts.coverage(run, truth) for run in runs]
            scores[contestant][INSIDE] = float(np.nanmean(covered))
        means = [float(_means(*_sums(one, task.days))[0]) for one in each]
        contestants[contestant] = spread(means) | {"note": notes[contestant]}
    mine = errors.pop(OURS)
    return {
        "name": f"forecasts of {task.horizon * task.step / HOUR:g} hours from {len(task.origins)} "
        f"origins in {len(task.values)} series, {drawn[OURS][0].shape[1]} samples",
        "unit": "mean CRPS / std",
        "contestants": contestants,
        "scores": scores,
        "ratios": {OURS: {name: day_ratio(mine, each, task.days) for name, each in errors.items()}},
        "notes": [
            f"in standard deviations of the training data; {np.isfinite(truth).sum():,} of "
            f"{truth.size:,} values were observed, the others are left out",
            f"'{INSIDE}': the share of what was observed between the quantiles 0.1 and 0.9 of the "
            "samples; all samples are held within the data's bounds",
            "ratios: of the means, and in brackets the middle 95% when the days held out are drawn "
            "anew, all series of a day together",
        ],
    }


def _sums(errors, days):
    """Sums of errors `(origins, horizon, variables)` and their numbers, `(days, variables)`."""
    found, days = np.unique(days, return_inverse=True)
    totals = np.zeros([len(found), errors.shape[-1]])
    counts = np.zeros_like(totals)
    np.add.at(totals, days, np.nansum(errors, axis=1))
    np.add.at(counts, days, np.isfinite(errors).sum(axis=1))
    return totals, counts


def _means(totals, counts):
    """The mean over the variables, and those of the variables, of what `_sums` gives."""
    total, count = totals.sum(axis=-2), counts.sum(axis=-2)
    means = total / np.where(count > 0, count, np.nan)
    return np.nanmean(means, axis=-1), means


def day_ratio(ours, theirs, days):
    """Spread of the ratio of the means: by bootstrap of whole days."""
    (mine, counts), (other, _) = _sums(ours, days), _sums(theirs, days)
    chosen = np.random.default_rng(0).integers(len(mine), size=[BOOTSTRAPS, len(mine)])
    again = _means(mine[chosen], counts[chosen])[0] / _means(other[chosen], counts[chosen])[0]
    low, high = np.nanquantile(again, [0.025, 0.975])
    middle = _means(mine, counts)[0] / _means(other, counts)[0]
    return {"median": float(middle), "min": float(low), "max": float(high)}
