#!/usr/bin/env python
"""Measures how much faster several workers train, each a process on a core of its own.

    python scripts/scaling.py [--entries lstm-shakespeare] [--workers 2] [--repeats 5]
        [--network 10]

Each entry's recipe is trained for a few steps by one worker, and by several on the same batch; they
take turns, A B A B ... The exchange of gradients is also timed by itself. What more machines would
reach is estimated from the two: a step of n workers takes an n-th of a step's computation, and the
exchange of 4 bytes a weight in a ring, 2 (n - 1) / n times their size over the network's bandwidth.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout that is not installed

from loopback import environments  # noqa: E402

ENTRIES = ("lstm-shakespeare", "transformer-shakespeare", "gru-weather", "unet1d-pendigits")
STEPS = 3  # of a round, after one that compiles
EXCHANGES = 20
# Estimated: so many machines, and Gbit a second between two of them.
MACHINES = (4, 8, 16)
NETWORK = 10.0


def main(argv=None):
    """Runs the script; returns its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--entries", nargs="+", default=ENTRIES, metavar="ENTRY")
    add("--workers", type=int, default=2, help="each on a core of its own (2)")
    add("--repeats", type=int, default=5, help="rounds (5)")
    add("--network", type=float, default=NETWORK, help="Gbit a second, of the estimate (10)")
    add("--worker", metavar="ENTRY", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.worker:
        work(arguments.worker)
        return 0
    cores = sorted(os.sched_getaffinity(0))
    if arguments.workers > len(cores):
        parser.error(f"there are {len(cores)} cores. Received: --workers {arguments.workers}")
    count = arguments.workers
    estimates = [f"{n} machines, estimated" for n in MACHINES]
    head = ["entry", "weights", "1 worker, s/step", f"{count} workers", "speed-up", "exchange, s"]
    print("| " + " | ".join([*head, *estimates]) + " |")
    print("|" + " --- |" * (len(head) + len(estimates)), flush=True)
    for entry in arguments.entries:
        with contextlib.ExitStack() as stack:
            alone = stack.enter_context(Group(entry, cores[:1]))
            several = stack.enter_context(Group(entry, cores[:count]))
            rounds = [(alone.measure(), several.measure()) for _ in range(arguments.repeats)]
        print("| " + " | ".join([entry, *row(rounds, arguments.network)]) + " |", flush=True)
    return 0


def row(rounds, network):
    """The cells of an entry's row, for a network of so many Gbit a second."""
    ones, manys = zip(*rounds)
    one, many = (statistics.median(each["step"] for each in found) for found in (ones, manys))
    speedup = statistics.median(a["step"] / b["step"] for a, b in rounds)
    exchange = statistics.median(each["exchange"] for each in manys)
    weights = ones[0]["weights"]
    cells = [f"{weights:,}", f"{one:.3f}", f"{many:.3f}", f"{speedup:.2f} x", f"{exchange:.3f}"]
    for count in MACHINES:
        ring = 2 * (count - 1) / count * 4 * weights / (network * 1e9 / 8)
        cells.append(f"{one / (one / count + ring):.1f} x")
    return cells


class Group:
    """Workers that train an entry together when they are asked to.

    Args:
        entry: Name of an entry.
        cores: The core of each.
    """

    def __init__(self, entry, cores):
        self.processes = [
            subprocess.Popen(
                [sys.executable, __file__, "--worker", entry],
                env={
                    **environment,
                    "TF_CPP_MIN_LOG_LEVEL": "2",
                    "PYTHONPATH": str(ROOT),
                    "TFGEN_CORE": str(core),
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for core, environment in zip(cores, environments(len(cores)))
        ]
        self.measure()  # compiles

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def measure(self):
        """What the first worker measures in a round of which all take part."""
        for process in self.processes:
            process.stdin.write("\n")
            process.stdin.flush()
        found = [json.loads(process.stdout.readline()) for process in self.processes]
        return found[0]


def work(entry):
    """A worker: measures a round for each line that it is sent."""
    os.sched_setaffinity(0, {int(os.environ["TFGEN_CORE"])})
    from tfgen.startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from tfgen import models
    from tfgen.training.data import open_data
    from tfgen.training.devices import open_devices
    from tfgen.training.optimizers import make_optimizer
    from tfgen.training.step import Step
    from tfgen.zoo.runs import starting_recipe

    devices = open_devices("multi-worker")
    recipe = starting_recipe(entry)
    config = recipe.training
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing, config.precision)
    optimizer = make_optimizer(config)
    optimizer.build(model.trainable_variables)
    windows = data.windows["train"]
    step = Step(model, optimizer, config, windows.batch_size, devices=devices)
    batch = tf.nest.map_structure(tf.constant, windows.batch(0))
    state = model.initial_state(windows.batch_size) if config.carry_state else None
    gradients = tf.zeros([model.count_params()])

    @tf.function(autograph=False)
    def exchange():
        return devices.sums(lambda number: (gradients, ()))[0]

    for _ in sys.stdin:
        started = time.perf_counter()
        for _ in range(STEPS):
            loss, _, _ = step(batch, state)
        loss.numpy()
        stepped = time.perf_counter()
        for _ in range(EXCHANGES):
            total = exchange()
        total.numpy()
        ended = time.perf_counter()
        found = {
            "step": (stepped - started) / STEPS,
            "exchange": (ended - stepped) / EXCHANGES,
            "weights": model.count_params(),
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.exit(main())
