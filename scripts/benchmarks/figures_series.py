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
from benchmarks.workers import Missing, Worker
from tfgen import zoo
from tfgen.data import open_sequences
from tfgen.errors import InputError
from tfgen.evaluation.forecasts import coverage, crps, seasonal_naive, seasonal_naive_samples
from tfgen.evaluation.forecasts import seasonal_residuals as residuals_of

MODULES = {OURS: "benchmarks.peer_series", PYTORCH: "benchmarks.peer_pytorch_series"}
PEER_DEEPAR = "benchmarks.peer_deepar"
INSTALL_DEEPAR = "pip install gluonts[torch], in an environment of its own"
NAIVE, NAIVE_SPREAD = "seasonal-naive", "seasonal-naive, residuals"
DAY = 24 * HOUR
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
        _call(MODULES[OURS], "write_reference", sizes, path)
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
    recipe = zoo.folders.read_recipe(item.folder)
    sequences = open_sequences(recipe.data)
    return make_task(
        sequences,
        recipe.data.validation_fraction,
        context,
        horizon,
        recipe.data.split,
        recipe.preprocessing.log1p,
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
    notes, skipped, scores, inside = {}, {}, {}, {}
    tell(f"forecast: {entry}")
    samples, parameters, notes[OURS] = _call(
        MODULES[OURS], "forecast", entry, task, num_samples, 0
    )
    notes[OURS] = f"{entry}, {parameters:,} weights, {notes[OURS]}"
    drawn = {OURS: [samples]}
    season = max(DAY // task.step, 1)
    before = task.before()
    drawn[NAIVE] = [seasonal_naive(before, task.horizon, season)[:, None]]
    drawn[NAIVE_SPREAD] = [
        seasonal_naive_samples(
            before, task.horizon, season, num_samples, residuals_of(task.training(), season)
        )
    ]
    notes[NAIVE] = "the value of 24 hours before, as a point: its CRPS is the absolute error"
    notes[NAIVE_SPREAD] = "and the errors that this makes in the training data, drawn at random"
    try:
        drawn[DEEPAR], told = [], []
        for seed in range(seeds):
            tell(f"forecast: training {DEEPAR}, {seed + 1} of {seeds}")
            samples, count, note = _call(
                PEER_DEEPAR, "forecast", task, parameters, num_samples, epochs, seed
            )
            drawn[DEEPAR].append(samples)
            told.append(note)
        notes[DEEPAR] = f"{count:,} weights; {'; '.join(told)}"
    except Missing as error:
        del drawn[DEEPAR]
        skipped[DEEPAR] = f"{error}: {INSTALL_DEEPAR}"

    truth = _common(task.truth(), drawn)
    errors = {}
    for contestant, runs in drawn.items():
        runs = [task.bounded(run) for run in runs]
        each = np.stack([crps(run, truth) / task.deviations() for run in runs])
        errors[contestant] = each.mean(axis=0)  # (origins, horizon, variables)
        if contestant != NAIVE:
            shares = [coverage(run, truth) for run in runs]
            inside[contestant] = float(np.nanmean(shares))
        if len(runs) > 1:
            means = [_means(*_sums(one, task.days))[0] for one in each]
            notes[contestant] += f"; of {len(runs)} trainings {min(means):.3f} to {max(means):.3f}"
        overall, variables = _means(*_sums(errors[contestant], task.days))
        scores[contestant] = {"mean": overall, **dict(zip(task.names, variables.tolist()))}
        if contestant in inside:
            scores[contestant][INSIDE] = inside[contestant]
    count = np.isfinite(truth).sum()
    hours = task.horizon * task.step / HOUR
    return {
        "name": f"forecasts of {hours:g} hours from {len(task.origins)} origins, {num_samples} "
        f"samples, {len(task.ids)} series",
        "unit": "mean CRPS / std",
        "contestants": {contestant: {"note": notes[contestant]} for contestant in drawn},
        "scores": scores,
        "ratios": {
            peer: _ratio(errors[OURS], errors[peer], task.days) for peer in drawn if peer != OURS
        },
        "notes": [
            f"in standard deviations of the training data; {count:,} values observed of "
            f"{truth.size:,}, the others are left out",
            f"'{INSIDE}': the share of what was observed between the quantiles 0.1 and 0.9 of the "
            "samples; all samples are held within the data's bounds",
            "ratios: of the means, and between the quantiles 2.5% and 97.5% when the days held out "
            "are drawn anew, all series of a day together",
        ],
        "skipped": skipped,
    }


def _common(truth, drawn):
    """What was observed, NaN where a contestant has no forecast to be scored."""
    told = np.isfinite(truth)
    for runs in drawn.values():
        for run in runs:
            told &= np.isfinite(run).all(axis=1)
    return np.where(told, truth, np.nan)


def _sums(errors, days):
    """Sums of errors `(origins, horizon, variables)` by day, and how many there are."""
    totals = np.zeros([days.max() + 1, errors.shape[-1]])
    counts = np.zeros_like(totals)
    np.add.at(totals, days, np.nansum(errors, axis=1))
    np.add.at(counts, days, np.isfinite(errors).sum(axis=1))
    return totals, counts


def _means(totals, counts):
    """The mean over the variables, and those of the variables."""
    total, count = totals.sum(axis=-2), counts.sum(axis=-2)
    means = total / np.where(count > 0, count, np.nan)
    means_known = np.isfinite(means)
    overall = np.where(means_known, means, 0.0).sum(-1) / means_known.sum(-1)
    return (float(overall) if overall.ndim == 0 else overall), means


def _ratio(ours, theirs, days):
    """Spread of the ratio of the means: by bootstrap of whole days."""
    (mine, counts), (other, _) = _sums(ours, days), _sums(theirs, days)
    chosen = np.random.default_rng(0).integers(len(mine), size=[BOOTSTRAPS, len(mine)])
    again = _means(mine[chosen], counts[chosen])[0] / _means(other[chosen], counts[chosen])[0]
    low, high = np.quantile(again, [0.025, 0.975])
    middle = _means(mine, counts)[0] / _means(other, counts)[0]
    return {"median": middle, "min": float(low), "max": float(high)}


def _call(module, function, *arguments):
    """Calls a function in a process of its own."""
    worker = Worker(module)
    try:
        return worker.call(function, *arguments)
    finally:
        worker.stop()
