#!/usr/bin/env python
"""What holding a model inside the data's bounds does: convergence, error, drift.

    python scripts/bounding.py [--seeds 5] [--steps 400]

Trains a GRU with a regression head (a mean and a constant deviation) on the bounded columns of the
built-in weather, once for each way of bounding and each seed, and prints a table: mean and standard
deviation over the seeds. The text around the table in docs/bounding.md says only what it shows.

- early, late: mean absolute error of the mean of the next hour on held-out data, in standard
  deviations of each column, after a tenth of the steps and after all of them;
- outside: the share of the held-out means that lie outside the bounds, before any is put back;
- day: the same error of the mean of 50 forecasts of 24 hours;
- drift: Wasserstein-1 distance, in standard deviations, between the values of the last 500 of 3,000
  hours of 8 free runs and the training data, at temperature 1;
- cold drift: the same for the middle of the distribution fed back, at temperature 0;
- clipped: share of the values of the free runs that the bounds have held back.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

import numpy as np

from tfgen.errors import InputError
from tfgen.recipe import DataConfig, PreprocessingConfig, Recipe, TrainingConfig
from tfgen.startup import import_tensorflow

WAYS = ("none", "hard", "straight_through", "inward", "squash")
COLUMNS = ("humid", "visib", "wind_speed", "precip")
WINDOW, HORIZON, FREE_RUN, TAIL = 168, 24, 3000, 500
MEASURES = ("early", "late", "outside", "day", "drift", "cold drift", "clipped")


def main(argv=None):
    """Runs the script; returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="runs of each way (5)")
    parser.add_argument("--steps", type=int, default=400, help="training steps of a run (400)")
    arguments = parser.parse_args(argv)
    for name in ("seeds", "steps"):
        if getattr(arguments, name) < 1:
            value = getattr(arguments, name)
            print(f"bounding.py: error: --{name} must be >= 1. Received: {value}", file=sys.stderr)
            return 2
    import_tensorflow()
    print(f"| bounding | {' | '.join(MEASURES)} |\n|---|{'---|' * len(MEASURES)}")
    for way in WAYS:
        try:
            rows = [measure(way, seed, arguments.steps) for seed in range(arguments.seeds)]
        except InputError as error:
            print(f"bounding.py: error: {error}", file=sys.stderr)
            return 2
        found = np.array([[row[name] for name in MEASURES] for row in rows])
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(found.mean(axis=0), found.std(axis=0))]
        print(f"| {way} | {' | '.join(cells)} |", flush=True)
    return 0


def measure(way, seed, steps):
    """Trains one model in two parts and returns its measures by name."""
    from tfgen.data import open_sequences
    from tfgen.training import train
    from tfgen.zoo import get

    recipe = Recipe(
        "gru",
        {"head": "regression", "bounding": way, "units": 64, "layers": 1},
        DataConfig(name="weather", columns=COLUMNS, validation_fraction=1 / 6),
        PreprocessingConfig(),
        TrainingConfig(
            steps=steps,
            batch_size=16,
            window=WINDOW,
            learning_rate=5e-3,
            validate_every=0,
            sample_every=0,
            histogram_every=0,
            checkpoint_every=0,
            seed=seed,
        ),
    )
    sequences = open_sequences(recipe.data)
    training, held_out, _ = sequences.split(recipe.data.validation_fraction)
    values = np.concatenate(training.values)
    deviation = np.nanstd(values, axis=0)
    with tempfile.TemporaryDirectory() as folder:
        early = recipe.override({"training.steps": max(steps // 10, 1)})
        begun = get(train(early, Path(folder) / "early", progress=False))
        model = get(train(recipe, Path(folder) / "late", progress=False))
    late, outside = next_hour(model, held_out, deviation)
    warm = free_run(model, 1.0)
    return {
        "early": next_hour(begun, held_out, deviation)[0],
        "late": late,
        "outside": outside,
        "day": next_day(model, held_out, deviation),
        "drift": distance(warm, values, deviation),
        "cold drift": distance(free_run(model, 0.0), values, deviation),
        "clipped": warm.clipped,
    }


def next_hour(model, held_out, deviation):
    """Error of the next hour's mean, bounded as it is drawn, and the share that was outside."""
    from tfgen.data import SequenceWindows

    windows = SequenceWindows(held_out, WINDOW, 64, drop_remainder=False)
    errors, outside = [], []
    low, high = model.processor.bounds
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
    contexts, times, truths = [], [], []
    for values, clock in zip(held_out.values, held_out.times):
        for start in range(0, len(values) - WINDOW - HORIZON, 7 * HORIZON):
            stop = start + WINDOW
            contexts.append(values[start:stop])
            times.append(clock[start:stop])
            truths.append(values[stop : stop + HORIZON])
    forecast = model.forecast(np.stack(contexts), HORIZON, 50, seed=0, times=np.stack(times))
    return float(np.nanmean(np.abs(forecast.mean - np.stack(truths)) / deviation))


class FreeRun:
    """The last hours of long free runs, and how much of all was held back."""

    def __init__(self, values, clipped):
        self.values, self.clipped = values, clipped


def free_run(model, temperature):
    values, _, clipped = model.draw(8, FREE_RUN, seed=0, temperature=temperature)
    return FreeRun(values[:, -TAIL:].reshape(-1, values.shape[-1]), clipped)


def distance(run, values, deviation):
    from tfgen.evaluation.fidelity import wasserstein

    columns = range(values.shape[1])
    return float(
        np.mean(
            [
                wasserstein(run.values[:, i], values[~np.isnan(values[:, i]), i]) / deviation[i]
                for i in columns
            ]
        )
    )


if __name__ == "__main__":
    sys.exit(main())
