#!/usr/bin/env python
"""Compares the ways to draw what is longer than a window, see docs/windows.md.

    python scripts/compare_windows.py                          # a process whose denoiser is known
    python scripts/compare_windows.py --model unet1d-weather   # a model, beside its data
    python scripts/compare_windows.py --model runs/weather --by-window --num-steps 20 4

Of the Gaussian process, for each number of steps: the error of the covariance of six windows of 16
positions, relative to the covariance; the squared steps across the borders of windows over those
within; and the variance of the last window, which should be 1. Of a model: the same ratio of steps;
the distance of the autocorrelations of stretches around the borders from those of the data; how
much the standard deviation of a column differs between the first and the last ten windows; and the
time that a position takes. By window it tells how stretches around borders differ from the data, by
how many windows came before: their autocorrelations, their spectra, and how well a small network
tells them apart.
"""

import functools
import itertools
import sys
import time
from pathlib import Path

import numpy as np
from console import Parser, at_least, head, row, script

from tfgen.startup import import_tensorflow

LENGTH = 6.0  # of the process, in positions
STEPS = 8, 12, 20, 50
PARTS = 5  # of a long sequence, by window


def covariance(count):
    """Matérn's of smoothness 3/2: smooth, and more than the last value counts."""
    distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) / LENGTH
    return (1 + distance) * np.exp(-distance)


def exact(x, sigma, valid):
    """E[x0 | x] of the process, for the levels of the first row, which are those of all."""
    import tensorflow as tf

    size = x.shape[1]
    prior = tf.constant(covariance(size), tf.float32)
    # What is not there says nothing.
    noise = tf.where(valid, tf.square(tf.broadcast_to(sigma[0], [size])), 1e8)
    x = tf.transpose(tf.where(valid[None, :, None], x, 0.0)[..., 0])
    estimate = prior @ tf.linalg.solve(prior + tf.linalg.diag(noise), x)
    return tf.transpose(estimate)[..., None]


def rolled(plan, num_steps, windows, rows, seed=0, solver="dpmpp_2m", trained="independent"):
    """Sequences `(rows, windows * commit)` of the process, drawn by a `tfgen.recipe.Windows`."""
    import tensorflow as tf

    from tfgen.sampling import random
    from tfgen.sampling.diffusion import sample
    from tfgen.sampling.noise_schedules import noise_schedule
    from tfgen.sampling.windows import advance_window, begin, held, raised, there

    key, schedule = random.root(seed, random.SAMPLING), noise_schedule("karras", 0.002, 80.0)

    @functools.partial(tf.function, autograph=False)
    def step(state):
        def draw(x, levels, key):
            denoiser = functools.partial(exact, valid=there(plan, state))
            if trained == "shared":
                denoiser = raised(denoiser, random.normal(random.fold(key, 99), tf.shape(x)))
            else:
                denoiser = held(denoiser, 1e-3)
            return sample(denoiser, x, levels, solver, key=key)

        return advance_window(draw, plan, state, schedule, num_steps, key)

    state, found = begin(plan, rows, 1), []
    for _ in range(windows):
        new, state = step(state)
        found.append(new.numpy()[..., 0])
    return np.concatenate(found, axis=1)


def error(x):
    """Of the covariance of sequences, relative to that of the process."""
    wanted = covariance(x.shape[1])
    return np.linalg.norm(x.T @ x / len(x) - wanted) / np.linalg.norm(wanted)


def of_the_process(solver, seeds):
    """The table of the process."""
    from tfgen.models.numbers.seams import border_steps
    from tfgen.recipe.windows import STRATEGIES

    head("strategy", *(f"{steps} steps" for steps in STEPS))
    for name in STRATEGIES:
        plan = plan_of(name)
        cells = []
        for steps in STEPS:
            all_drawn = [rolled(plan, steps, 6, 3000, seed, solver) for seed in range(seeds)]
            errors, jumps, last = zip(
                *((error(x), border_steps(x, 16), x[:, -16:].var()) for x in all_drawn),
                strict=True,
            )
            cells.append(f"{np.mean(errors):.3f}, {np.mean(jumps):.2f}, {np.mean(last):.2f}")
        row(name, *cells)


def plan_of(name):
    """The windows of a strategy for the process."""
    from tfgen.recipe import Windows

    own = {"correlation": covariance(2)[0, 1]} if name == "temporal_noise" else {}
    look_ahead = 16 if name in ("backward_noise", "rolling") else 0
    return Windows(name, 0 if name == "independent" else 16, 16, look_ahead, **own)


def draw_picture(path, num_steps=12):
    """Draws a sequence of each strategy, with the borders of its windows."""
    from tfgen.recipe.windows import STRATEGIES
    from tfgen.report.figures import new_figure, plain, to_png

    figure = new_figure(9, 1.2 * len(STRATEGIES))
    for number, name in enumerate(STRATEGIES, 1):
        axes = figure.add_subplot(len(STRATEGIES), 1, number)
        for border in range(16, 96, 16):
            axes.axvline(border - 0.5, color="0.85", linewidth=1)
        axes.plot(rolled(plan_of(name), num_steps, 6, 2, seed=4).T, linewidth=1.2)
        axes.set_title(name, loc="left", fontsize=9)
        axes.set_ylim(-3.5, 3.5)
        plain(axes)
    Path(path).write_bytes(to_png(figure))


def of_a_model(name, strategies, all_steps, count, by_window):
    """The table of a model."""
    from tfgen.evaluation.fidelity import autocorrelation_distance, log_spectral_distance
    from tfgen.models.numbers.seams import border_steps, spread_change
    from tfgen.recipe import Windows
    from tfgen.zoo import get

    model = get(name)
    window = model.defaults.window
    real = _real(model, window)
    spread = np.nanstd(real, axis=(0, 1))
    if by_window:
        head("windows", "steps", "before", "autocorrelation", "spectrum, dB", "discriminative")
    else:
        head("windows", "steps", "steps at borders", "autocorrelation", "change of spread",
             "ms a position")  # fmt: skip
    for strategy, num_steps in itertools.product(strategies, all_steps):
        plan = Windows.parse(strategy, window)
        options = {"num_samples": 16, "windows": plan, "num_steps": num_steps, "seed": 1}
        if model.processor.needs_times:  # all seasons in every window
            days = np.arange(16) * 365 // 16
            options["start_time"] = model.processor.start_time + days * 86_400
        model.generate(**options, length=2 * plan.commit)  # compiles
        begun, length = time.perf_counter(), count * plan.commit
        x = np.stack(model.generate(**options, length=length)) / spread
        cost = 1e3 * (time.perf_counter() - begun) / (length * len(x))
        # Of the stretches around borders those whose middle has so many windows before it.
        around = {
            at // plan.commit: x[:, at - window // 2 :][:, :window]
            for at in range(plan.commit, length, plan.commit)
            if window // 2 <= at <= length - window // 2
        }
        if not by_window:
            every = np.concatenate(list(around.values()))
            row(
                strategy, num_steps, f"{border_steps(x, plan.commit):.2f}",
                f"{autocorrelation_distance(real / spread, every):.3f}",
                f"{100 * spread_change(x, 10 / count):.0f}%", f"{cost:.2f}",
            )  # fmt: skip
            continue
        for part in np.array_split(list(around), PARTS):
            found = np.concatenate([around[number] for number in part])
            row(
                strategy, num_steps, f"{part[0]} to {part[-1]}",
                f"{autocorrelation_distance(real / spread, found):.3f}",
                f"{log_spectral_distance(real / spread, found):.2f}",
                told_apart(real / spread, found),
            )  # fmt: skip


def told_apart(real, generated):
    """The discriminative score of windows, three times: mean and half of the range."""
    from tfgen.evaluation.fidelity import scale_by_real
    from tfgen.evaluation.posthoc import discriminative_score

    scaled = scale_by_real(real, generated)
    scores = [discriminative_score(*scaled, seed=seed, iterations=500) for seed in range(3)]
    return f"{np.mean(scores):.3f} +- {(max(scores) - min(scores)) / 2:.3f}"


def _real(model, window):
    """Windows of a model's data, of which gaps are filled."""
    from tfgen.data.cuts import cut_windows, filled
    from tfgen.evaluation.opening import open_for

    sequences, _ = open_for(model, model.recipe.data)
    found = cut_windows(sequences, window, 500, np.random.default_rng(0), 0.5).values
    return filled(found, sequences.features)


@script
def main(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("--model", help="a name or a run folder; without it, the process")
    parser.add_argument("--strategies", nargs="+", default=["independent", "overlap"])
    parser.add_argument("--solver", default="dpmpp_2m", help="of the process (dpmpp_2m)")
    parser.add_argument("--seeds", type=at_least(1), default=3, help="of the process (3)")
    parser.add_argument("--picture", help="PNG file to draw sequences of the process to")
    parser.add_argument(
        "--num-steps", type=at_least(1), nargs="+", default=[20], help="of the model"
    )
    parser.add_argument("--by-window", action="store_true", help="by how many windows came before")
    parser.add_argument("--windows", type=at_least(20), default=50, help="of the model (50)")
    arguments = parser.parse_args(argv)
    import_tensorflow()
    if arguments.picture:
        draw_picture(arguments.picture)
    elif arguments.model is None:
        of_the_process(arguments.solver, arguments.seeds)
    else:
        of_a_model(
            arguments.model, arguments.strategies, arguments.num_steps, arguments.windows,
            arguments.by_window,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
