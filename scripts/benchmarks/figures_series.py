"""The figures of the models of numbers. What a figure of speed is stands in `contest.py`.

A figure of forecasts is a dict, as it stands in the JSON:

- `name`, `unit`, `notes`, `skipped`;
- `contestants`: from names to a `note`;
- `scores`: from contestants to their score by column, the `mean` of all variables first;
- `ratios`: from peers' names to tfgen / peer of the mean: `median`, and `min` and `max` of the 95%
  in the middle when days are drawn anew.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.contest import DEEPAR, OURS, PYTORCH, compare, tell
from benchmarks.forecast_task import HOUR, make_task
from benchmarks.workers import Missing, call
from tfgen import zoo
from tfgen.data import open_sequences
from tfgen.data.seasons import DAY
from tfgen.errors import InputError
from tfgen.models import RECIPE
from tfgen.recipe import Recipe

MODULES = {OURS: "benchmarks.peer_series", PYTORCH: "benchmarks.peer_pytorch_series"}
PEER_DEEPAR = "benchmarks.peer_deepar"
INSTALL_DEEPAR = "pip install gluonts[torch], in an environment of its own"
NAIVE, NAIVE_SPREAD = "naive", "naive, residuals"
INSIDE = "in 80%"
BOOTSTRAPS = 2000
LABELS = {"lstm": "LSTM", "gru": "GRU"}


def rollout(sizes, effort):
    """Positions per second of drawing sequences of numbers.

    Args:
        sizes: `SeriesSizes`.
        effort: `contest.Effort`.
    """
    name = (
        f"drawing numbers, {LABELS[sizes.cell]} {sizes.layers} x {sizes.units}, {sizes.features} "
        f"features, {sizes.components} Gaussians ({sizes.covariance}), {sizes.steps} steps, "
        f"batch {sizes.batch}"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "reference.npz")
        call(MODULES[OURS], "write_reference", sizes, path)
        jobs = {
            OURS: ("rollout", sizes),
            PYTORCH: ("rollout", sizes, path, effort.seconds / 3),
        }
        figure, _ = compare(name, "steps/s", jobs, effort, MODULES)
    figure["notes"].append("a step is one position of one sequence")
    return figure


def entry_task(entry, context, horizon):
    """The `ForecastTask` of a zoo entry or a run, on the data that its recipe names.

    Raises:
        InputError: There is no such entry, it has no weights, or it is no model of such series.
    """
    item = zoo.find(entry)
    if not getattr(item, "pretrained", False):
        raise InputError(f"'{item.name}' has no weights: choose another --entry")
    if item.data_kind != "series":
        raise InputError(f"forecast is for series; '{item.name}' is of {item.data_kind}")
    recipe = Recipe.from_file(item.folder / RECIPE)
    return make_task(
        open_sequences(recipe.data),
        recipe.data.validation_fraction,
        context,
        horizon,
        recipe.data.split,
    )


def forecast(entry, task, num_samples, epochs, seeds=1):
    """How near forecasts come to what was observed: the mean CRPS of each variable.

    Args:
        entry: Name of a zoo entry, or a run.
        task: `ForecastTask`.
        num_samples: Samples from each origin.
        epochs: Epochs of DeepAR's training.
        seeds: How often DeepAR is trained; its score is the mean.
    """
    # Not above: every process imports this module, and most do not want TensorFlow.
    from tfgen.evaluation import forecasts

    notes, skipped = {}, {}
    tell(f"forecast: {entry}")
    samples, parameters, note = call(MODULES[OURS], "forecast", entry, task, num_samples, 0)
    notes[OURS] = f"{entry}, {parameters:,} weights, {note}"
    drawn = {OURS: [samples]}
    for contestant, spread in ((NAIVE, False), (NAIVE_SPREAD, True)):
        drawn[contestant], notes[contestant] = _best_naive(task, num_samples, spread)
    try:
        trained = []
        for seed in range(seeds):
            tell(f"forecast: training {DEEPAR}, {seed + 1} of {seeds}")
            arguments = task, parameters, num_samples, epochs, seed
            trained.append(call(PEER_DEEPAR, "forecast", *arguments))
    except Missing as error:
        skipped[DEEPAR] = f"{error}: {INSTALL_DEEPAR}"
    else:
        drawn[DEEPAR] = [samples for samples, _, _ in trained]
        told = "; ".join(note for _, _, note in trained)
        notes[DEEPAR] = f"{trained[0][1]:,} weights, {told}"
    return score(task, drawn, notes, skipped)


def _best_naive(task, num_samples, spread):
    """The naive forecast of that season which serves it best, as `tfgen evaluate` chooses it.

    Args:
        task: `ForecastTask`.
        num_samples: Samples from each origin.
        spread: Whether the errors of the training data are added; else it is a point.

    Returns:
        `(samples, note)`: a list of one array, as of `score`.
    """
    from tfgen.evaluation import forecasts
    from tfgen.evaluation.rolling import common_seasons

    training, before = task.training(), task.before()
    found, day = common_seasons(training, task.step), max(DAY // task.step, 1)
    seasons = sorted({1, *(lag for lag in (day, *found) if lag <= before.shape[1])})
    _, deviations = task.moments()
    tried, scores = {}, {}
    for season in seasons:
        if spread:
            residuals = forecasts.seasonal_residuals(training, season)
            tried[season] = forecasts.seasonal_naive_samples(
                before, task.horizon, season, num_samples, residuals
            )
        else:
            tried[season] = forecasts.seasonal_naive(before, task.horizon, season)[:, None]
        errors = forecasts.crps(task.bounded(tried[season]), task.truth()) / deviations
        scores[season] = float(_means(*_sums(errors, task.days))[0])
    best = min(seasons, key=lambda season: (scores[season], season))
    told = ", ".join(f"{season}: {scores[season]:.3f}" for season in seasons)
    how = (
        "with the errors that this makes in the training data, drawn at random"
        if spread
        else "as a point: its CRPS is the absolute error"
    )
    what = "the last value" if best == 1 else f"the values of {best} positions before"
    return [tried[best]], f"{what}, {how}; the best of the seasons {told}"


def score(task, drawn, notes, skipped):
    """The figure of samples `{contestant: [(origins, samples, horizon, variables) of each run]}`.

    Raises:
        ValueError: A model drew something else than finite numbers.
    """
    from tfgen.evaluation import forecasts

    # A context that was not observed at all says nothing to a naive forecast.
    truth = np.where(np.isfinite(drawn[NAIVE][0][:, 0]), task.truth(), np.nan)
    _, deviations = task.moments()
    errors, scores = {}, {}
    for contestant, runs in drawn.items():
        runs = [task.bounded(run) for run in runs]
        if contestant not in (NAIVE, NAIVE_SPREAD) and not np.isfinite(runs).all():
            raise ValueError(f"{contestant} drew NaN or infinity")
        each = np.stack([forecasts.crps(run, truth) / deviations for run in runs])
        errors[contestant] = each.mean(axis=0)  # (origins, horizon, variables)
        overall, variables = _means(*_sums(errors[contestant], task.days))
        scores[contestant] = {
            "mean": float(overall),
            **dict(zip(task.names, variables.tolist(), strict=True)),
        }
        if contestant != NAIVE:
            covered = [forecasts.coverage(run, truth) for run in runs]
            scores[contestant][INSIDE] = float(np.nanmean(covered))
        if len(runs) > 1:
            means = [_means(*_sums(one, task.days))[0] for one in each]
            notes[contestant] += f"; means {min(means):.3f} to {max(means):.3f}"
    count = np.isfinite(truth).sum()
    hours = task.horizon * task.step / HOUR
    return {
        "name": f"forecasts of {hours:g} hours from {len(task.origins)} origins in "
        f"{len(task.ids)} series, {drawn[OURS][0].shape[1]} samples",
        "unit": "mean CRPS / std",
        "contestants": {contestant: {"note": notes[contestant]} for contestant in drawn},
        "scores": scores,
        "ratios": {
            peer: _ratio(errors[OURS], errors[peer], task.days) for peer in drawn if peer != OURS
        },
        "notes": [
            f"in standard deviations of the training data; {count:,} of {truth.size:,} values were "
            "observed, the others are left out",
            f"'{INSIDE}': the share of what was observed between the quantiles 0.1 and 0.9 of the "
            "samples; all samples are held within the data's bounds",
            "ratios: of the means, and in brackets the middle 95% when the days held out are drawn "
            "anew, all series of a day together",
        ],
        "skipped": skipped,
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


def _ratio(ours, theirs, days):
    """Spread of the ratio of the means: by bootstrap of whole days."""
    (mine, counts), (other, _) = _sums(ours, days), _sums(theirs, days)
    chosen = np.random.default_rng(0).integers(len(mine), size=[BOOTSTRAPS, len(mine)])
    again = _means(mine[chosen], counts[chosen])[0] / _means(other[chosen], counts[chosen])[0]
    low, high = np.nanquantile(again, [0.025, 0.975])
    middle = _means(mine, counts)[0] / _means(other, counts)[0]
    return {"median": float(middle), "min": float(low), "max": float(high)}
