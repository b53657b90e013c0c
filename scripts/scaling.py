#!/usr/bin/env python
"""Measures how much faster several workers train, each a process on a core of its own.

    python scripts/scaling.py [--entries lstm-shakespeare] [--workers 2] [--repeats 5]
        [--network 10]

Each entry's recipe is trained for a few steps by one worker, and by several on the same batches, in
turns. The exchange of gradients is also timed by itself. What more machines would reach is
estimated from the two: a step of n workers takes an n-th of a step's computation, and the exchange
of 4 bytes a weight in a ring, 2 (n - 1) / n times their size over the network's bandwidth.
"""

import contextlib
import json
import os
import socket
import statistics
import sys
import time

from benchmarks.workers import Worker
from console import Parser, at_least, head, row, script

from tfgen.errors import InputError

ENTRIES = ("lstm-shakespeare", "transformer-shakespeare", "gru-weather", "unet1d-pendigits")
STEPS = 3  # of a round, after one that compiles
EXCHANGES = 20
MACHINES = (4, 8, 16)  # estimated


@script
def main(argv):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--entries", nargs="+", default=ENTRIES, metavar="ENTRY")
    add("--workers", type=at_least(1), default=2, help="each on a core of its own (2)")
    add("--repeats", type=at_least(1), default=5, help="rounds (5)")
    add("--network", type=float, default=10.0, help="Gbit a second, of the estimate (10)")
    arguments = parser.parse_args(argv)
    cores, count = sorted(os.sched_getaffinity(0)), arguments.workers
    if count > len(cores):
        raise InputError(f"there are {len(cores)} cores. Received: --workers {count}")
    columns = ["entry", "weights", "1 worker, s/step", f"{count} workers", "speed-up"]
    head(*columns, "exchange, s", *(f"{n} machines, estimated" for n in MACHINES))
    for entry in arguments.entries:
        with contextlib.ExitStack() as stack:
            alone = start(entry, cores[:1], stack)
            several = start(entry, cores[:count], stack)
            rounds = [(alone(), several()) for _ in range(arguments.repeats)]
        row(entry, *cells(rounds, arguments.network))


def cells(rounds, network):
    """The cells of an entry's row, for a network of so many Gbit a second.

    A round is what one worker measured and what several did: seconds of a step, seconds of an
    exchange, weights.
    """
    one, many = (statistics.median(each[0] for each in found) for found in zip(*rounds))
    speedup = statistics.median(alone[0] / several[0] for alone, several in rounds)
    exchange = statistics.median(several[1] for _, several in rounds)
    weights = rounds[0][0][2]
    yield from (f"{weights:,}", f"{one:.3f}", f"{many:.3f}", f"{speedup:.2f} x", f"{exchange:.3f}")
    for count in MACHINES:
        ring = 2 * (count - 1) / count * 4 * weights / (network * 1e9 / 8)
        yield f"{one / (one / count + ring):.1f} x"


def environments(workers):
    """The environment of each of so many processes, which `tfgen train` takes for workers."""
    with contextlib.ExitStack() as free:
        sockets = [free.enter_context(socket.socket()) for _ in range(workers)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]}
    tasks = [{"type": "worker", "index": index} for index in range(workers)]
    configs = [json.dumps({"cluster": cluster, "task": task}) for task in tasks]
    # There are as many processes as cores, or more.
    return [{**os.environ, "TF_CONFIG": each, "TF_NUM_INTRAOP_THREADS": "1"} for each in configs]


def start(entry, cores, stack):
    """Starts workers that train an entry together, each on a core of its own.

    Returned is a function in which they all take part in a round: what the first one measures.
    """
    workers = [stack.enter_context(Worker()) for _ in cores]
    begun = [
        worker.submit(begin, entry, core, environment)
        for worker, core, environment in zip(workers, cores, environments(len(cores)))
    ]

    def together():
        asked = [worker.submit(measure) for worker in workers]
        found = [each.result() for each in asked]
        return found[0]

    for each in begun:
        each.result()
    together()  # compiles
    return together


def begin(entry, core, environment):
    """Makes what `measure` runs in this process."""
    os.sched_setaffinity(0, {core})
    os.environ.update(environment, TF_CPP_MIN_LOG_LEVEL="2")
    from tfgen.startup import import_tensorflow

    import_tensorflow()
    import tensorflow as tf
    from benchmarks import peer_tfgen

    from tfgen.training.devices import open_devices

    devices = open_devices("multi-worker")
    ((note, step),) = peer_tfgen.train_recipe(entry, None, devices).items()
    weights = int(note.partition(" ")[0].replace(",", ""))
    gradients = tf.zeros([weights])

    @tf.function(autograph=False)
    def exchange():
        return devices.sums(lambda number: (gradients, ()))[0]

    _made.extend([step, lambda: exchange().numpy(), weights])


_made = []  # in this process


def measure():
    """A round: seconds of a step, seconds of an exchange, weights."""
    step, exchange, weights = _made
    return mean_seconds(step, STEPS), mean_seconds(exchange, EXCHANGES), weights


def mean_seconds(run, count):
    started = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - started) / count


if __name__ == "__main__":
    sys.exit(main())
