#!/usr/bin/env python
"""What holding a model inside the data's bounds does: convergence, error, drift.

    python scripts/bounding.py [--seeds 5] [--steps 400]

Trains a GRU with a regression head (a mean and a constant deviation) on the bounded columns of the
built-in weather, once for each way of bounding and each seed, and prints a table: mean and standard
deviation over the seeds of what docs/bounding.md explains. The text around the table there says
only what it shows.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from console import Parser, at_least, head, row, script

from tfgen.recipe import Recipe
from tfgen.startup import import_tensorflow

WAYS = ("none", "hard", "straight_through", "inward", "squash", "censored")
WINDOW, HORIZON, FREE_RUN, TAIL = 168, 24, 3000, 500
SETTINGS = {
    "data.name": "weather", "data.columns": ["humid", "visib", "wind_speed", "precip"],
    "data.validation_fraction": 1 / 6, "model.head": "regression", "model.units": 64,
    "model.layers": 1, "training.batch_size": 16, "training.window": WINDOW,
    "training.learning_rate": 5e-3, "training.validate_every": 0, "training.sample_every": 0,
    "training.histogram_every": 0, "training.checkpoint_every": 0,
}  # fmt: skip
MEASURES = ("early", "late", "outside", "day", "drift", "cold drift", "clipped")


@script
def main(argv):
    parser = Parser(__doc__)
    parser.add_argument("--seeds", type=at_least(1), default=5, help="runs of each way (5)")
    parser.add_argument("--steps", type=at_least(1), default=400, help="steps of a run (400)")
    arguments = parser.parse_args(argv)
    import_tensorflow()
    head("bounding", *MEASURES)
    for way in WAYS:
        found = np.array([measure(way, seed, arguments.steps) for seed in range(arguments.seeds)])
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(found.mean(axis=0), found.std(axis=0))]
        row(way, *cells)


def measure(way, seed, steps):
    """Trains a model for a tenth of the steps and one for all; returns the `MEASURES`."""
    from tfgen.data import open_sequences
    from tfgen.training import train
    from tfgen.zoo import get

    recipe = Recipe("gru").override({**SETTINGS, "model.bounding": way, "training.seed": seed})
    sequences = open_sequences(recipe.data)
    training, held_out, _ = sequences.split(recipe.data.validation_fraction)
    values = np.concatenate(training.values)
    deviation = np.nanstd(values, axis=0)
    models = []
    for count in (max(steps // 10, 1), steps):
        with tempfile.TemporaryDirectory() as folder:
            shorter = recipe.override({"training.steps": count})
            models.append(get(train(shorter, Path(folder) / "run", progress=False)))
    begun, model = models
    drift, clipped = free_run(model, 1.0, values, deviation)
    cold, _ = free_run(model, 0.0, values, deviation)
    early, _ = next_hour(begun, held_out, deviation)
    late, outside = next_hour(model, held_out, deviation)
    return early, late, outside, next_day(model, held_out, deviation), drift, cold, clipped


def next_hour(model, held_out, deviation):
    """Error of the next hour's mean, in deviations, and the share of means that were outside."""
    from tfgen.data import SequenceWindows

    windows = SequenceWindows(held_out, WINDOW, 64, drop_remainder=False)
    errors, outside, (low, high) = [], [], model.processor.bounds
    for k in range(windows.steps_per_epoch):
        batch = windows.batch(k)
        scaled = model(batch)["numbers"]["means"]
        means = model.processor.unscale_numbers(scaled).numpy()
        slack = 1e-4 * deviation  # of rounding
        beyond = (means < low - slack) | (means > high + slack)
        valid = np.broadcast_to(batch["valid"][..., None], means.shape)
        errors.append(np.abs(np.clip(means, low, high) - batch["values"]) / deviation)
        outside.append(beyond[valid])
    return float(np.nanmean(np.concatenate(errors))), float(np.mean(np.concatenate(outside)))


def next_day(model, held_out, deviation):
    """Error of the mean of 50 forecasts of 24 hours, one a week."""
    pieces = [
        (values[stop - WINDOW : stop], clock[stop - WINDOW : stop], values[stop : stop + HORIZON])
        for values, clock in zip(held_out.values, held_out.times)
        for stop in range(WINDOW, len(values) - HORIZON, 7 * HORIZON)
    ]
    contexts, times, truths = map(np.stack, zip(*pieces))
    forecast = model.forecast(contexts, HORIZON, 50, seed=0, times=times)
    return float(np.nanmean(np.abs(forecast.mean - truths) / deviation))


def free_run(model, temperature, values, deviation):
    """How far the last hours of long free runs are off, and how much of all was held back."""
    from tfgen.evaluation.fidelity import wasserstein

    drawn, _, clipped = model.draw(8, FREE_RUN, seed=0, temperature=temperature)
    distances = [
        wasserstein(drawn[:, -TAIL:, i].reshape(-1), column[~np.isnan(column)]) / deviation[i]
        for i, column in enumerate(values.T)
    ]
    return float(np.mean(distances)), clipped


if __name__ == "__main__":
    sys.exit(main())
