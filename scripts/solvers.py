#!/usr/bin/env python
"""What each solver of a diffusion model makes of so many evaluations: fidelity and time.

    python scripts/solvers.py unet1d-pendigits [--data pendigits] [--runs 5] [--samples 2000]

Prints a table: the context-FID of sequences drawn beside held-out ones, mean and standard deviation
over the runs, its ratio to that of 100 steps of DDIM, and the seconds that 256 sequences take, the
median of five. Every row has the same real sequences, encoders and seeds.
"""

import dataclasses
import statistics
import sys
import time

from console import Parser, at_least, head, row, script

from tfgen.errors import InputError
from tfgen.startup import import_tensorflow

# Solver and steps; the first row is what the others are compared with.
ROWS = (
    ("ddim", 100), ("ddim", 20), ("ddim", 10), ("ddpm", 20), ("dpmpp_2m_sde", 20),
    ("heun", 10), ("heun", 5), ("dpmpp_2m", 20), ("dpmpp_2m", 15), ("dpmpp_2m", 10),
)  # fmt: skip
TIMED, REPEATS = 256, 5


@script
def main(argv):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("name", help="an entry or a run of a diffusion model")
    add("--data", help="what to compare with; default: the model's own data")
    add("--split", help="default: that of tfgen evaluate")
    add("--runs", type=at_least(1), default=5, help="(5)")
    add("--samples", type=at_least(1), default=2000, help="sequences of a run (2000)")
    add("--length", type=at_least(1), help="positions of a sequence")
    arguments = parser.parse_args(argv)
    import_tensorflow()
    from tfgen import zoo
    from tfgen.evaluation import evaluate_sequences
    from tfgen.models.engines.diffusion import Diffusion
    from tfgen.models.numbers.over_data import data_of
    from tfgen.sampling.diffusion import evaluations, make_solver

    model = zoo.get(arguments.name)
    if not isinstance(model.engine, Diffusion):
        raise InputError(f"{arguments.name} is no diffusion model")
    data = data_of(model, arguments.data or model.recipe.data.name)
    usual, first = model.generation, None
    head("solver", "steps", "evaluations", "context-FID", "to DDIM-100", "seconds")
    for solver, steps in ROWS:
        model.generation = dataclasses.replace(usual, solver=solver, num_steps=steps)
        report = evaluate_sequences(
            model, data, split=arguments.split, runs=arguments.runs, windows=arguments.samples,
            length=arguments.length, metrics=("context_fid",),
        )  # fmt: skip
        score = report["generation"]["scores"]["context_fid"]
        first = first or score["mean"]
        fid = f"{score['mean']:.4f} ± {score['spread']:.4f}", f"{score['mean'] / first:.2f}"
        asked = int(evaluations(range(steps, -1, -1), make_solver(solver)))
        row(solver, steps, asked, *fid, f"{timed(model, report['generation']['length']):.3f}")
    print(f"\nreal beside real: {score['real']:.4f}")


def timed(model, length):
    """Median seconds of drawing, after a call that compiles."""
    given = {"condition": 0} if model.processor.num_classes else {}
    if model.processor.needs_times:
        given["start_time"] = model.processor.start_time
    found = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        model.generate(TIMED, length, seed=0, **given)
        found.append(time.perf_counter() - start)
    return statistics.median(found[1:])


if __name__ == "__main__":
    sys.exit(main())
