#!/usr/bin/env python
"""Kills training runs at random moments, resumes them, and counts the bits that differ.

    python tests/crash.py [--families lstm transformer] [--kills 20] [--workers 2] [--seed 0]

For each family: one run that is left alone; then others that are killed by SIGKILL, each after a
random time, and resumed until they end. Small models, a checkpoint every few steps, so that many
kills fall into the writing of one. Of several workers one is killed, and the others have a minute
to end by themselves. What is compared at the end, to the last bit: every array of the
last checkpoint (weights, averages, optimizer, best weights, carried state), its record, and what
TensorBoard shows of loss, gradients and validation. The exit code is 1 if anything differs.
"""

import logging
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "scripts"))

from console import Parser, at_least, head, row, script, some_of  # noqa: E402
from event_files import scalars  # noqa: E402
from scaling import environments  # noqa: E402

from tfgen.files import TEMPORARY  # noqa: E402
from tfgen.training.checkpoints import Checkpoints  # noqa: E402

TRAIN = [sys.executable, "-m", "tfgen", "train"]

# Neither the log nor validation is in step with the checkpoints.
COMMON = {
    "training.steps": 300, "training.batch_size": 4, "training.checkpoint_every": 7,
    "training.log_every": 10, "training.validate_every": 15, "training.validation_batches": 2,
    "training.sample_every": 0, "training.histogram_every": 0, "training.ema": 0.9,
}  # fmt: skip
FAMILIES = {
    "lstm": {
        "data.name": "names", "training.window": 16, "training.carry_state": True,
        "model.units": 16, "model.layers": 1, "model.dropout": 0.1,
    },
    "gru": {
        "data.name": "weather", "training.window": 24, "model.units": 16, "model.layers": 1,
        "model.dropout": 0.1,
    },
    "transformer": {
        "data.name": "names", "training.window": 16, "training.optimizer": "muon",
        "model.layers": 1, "model.heads": 2, "model.width": 16, "model.dropout": 0.1,
    },
    "unet1d": {
        "data.name": "pendigits", "training.window": 8, "model.width": 8, "model.multipliers": [1],
        "model.blocks": 1, "model.groups": 2, "model.dropout": 0.1,
    },
}  # fmt: skip
# The share of kills that fall into the start of a process.
EARLY = 0.2
# What the clock decides.
TIMED = ("throughput/",)


@script
def main(argv):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--families", **some_of("family", FAMILIES))
    add("--kills", type=at_least(1), default=20, help="of each family (20)")
    add("--workers", type=at_least(1), default=1, help="processes that train together (1)")
    add("--seed", type=int, default=0, help="chooses the moments (0)")
    add("--steps", type=at_least(1), default=COMMON["training.steps"], help="of each run (300)")
    given = parser.parse_args(argv)
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # which tells of each restart
    moments = random.Random(given.seed)
    different = 0
    head("family", "kills", "in a write", "runs", "differing numbers", "start, s", "resume, s")
    with tempfile.TemporaryDirectory(prefix="tfgen-crash-") as folder:
        for family in given.families:
            torn, compared, starts, resumes = crash(
                family, given.kills, moments, Path(folder), given.steps, given.workers
            )
            differing, numbers = map(sum, zip(*compared))
            different += differing
            found = f"{differing} of {numbers:,}"
            times = [f"{statistics.median(each):.1f}" if each else "" for each in (starts, resumes)]
            row(family, given.kills, torn, len(compared), found, *times)
    return 1 if different else 0


def crash(family, kills, moments, folder, steps, workers=1):
    """Kills runs of a family so many times.

    Returns:
        `(torn, compared, starts, resumes)`: how many kills fell into the writing of a checkpoint;
        what `compare` says of each run at its end; seconds that new runs took to their first
        checkpoint, and resumed ones to the next.
    """
    torn, compared, starts, resumes = 0, [], [], []
    whole, run = folder / f"{family}-whole", folder / f"{family}-killed"
    start, end = _live(whole, _command(whole, family, steps), workers)
    starts.append(start)
    killed = 0
    while killed < kills:
        shutil.rmtree(run, ignore_errors=True)
        command, times = _command(run, family, steps), starts
        while killed < kills:
            # A few while it starts, most while it trains, several of them in a run.
            early = moments.random() < EARLY
            moment = moments.uniform(0, start if early else (end - start) / 4)
            victim = moments.randrange(workers)
            first, done = _live(run, command, workers, moment, early, victim)
            if first is not None:
                times.append(first)
            if done is not None:
                break
            killed += 1
            torn += any((run / "checkpoints").glob(f"{TEMPORARY}*"))
            if (run / "recipe.toml").is_file():
                command, times = [*TRAIN, "--resume", "--logdir", str(run)], resumes
        else:
            _live(run, command, workers)
        compared.append(compare(whole, run))
    return torn, compared, starts, resumes


def _command(run, family, steps):
    settings = {**COMMON, **FAMILIES[family], "training.steps": steps}
    parts = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return [*TRAIN, family, "--logdir", str(run), *parts]


def _live(run, command, workers, moment=None, early=True, victim=0):
    """Starts a run's processes and kills one of them, unless it has ended.

    Args:
        run: The run's folder.
        command: List of words.
        workers: How many processes.
        moment: Seconds until one is killed; None leaves it alone.
        early: Whether they are counted from its start, and not from its first checkpoint.
        victim: Which one is killed.

    Returns:
        `(first, end)`: seconds to the first checkpoint and to the end; None for what it missed.
    """
    before, first, started = _newest(run), None, time.monotonic()
    with tempfile.TemporaryFile("w+") as told:
        processes = [
            subprocess.Popen(command, cwd=ROOT, env=environment, stderr=told, stdout=told)
            for environment in (environments(workers) if workers > 1 else [None])
        ]
        while any(process.poll() is None for process in processes):
            now = time.monotonic() - started
            if first is None and _newest(run) != before:
                first = now
            since = 0.0 if early else first
            if moment is not None and since is not None and now > since + moment:
                processes[victim].kill()
                _await(processes, early)
                return first, None
            time.sleep(0.002)
        if any(process.returncode for process in processes):
            told.seek(0)
            raise RuntimeError(f"{' '.join(command)}:\n{told.read()}")
    return first, time.monotonic() - started


def _await(processes, early):
    """Waits until the workers that are left have ended by themselves.

    One that is killed before they have found each other is waited for, as one that is not started
    yet would be; then they are killed, too.
    """
    for process in processes:
        try:
            process.wait(timeout=20 if early else 60)
        except subprocess.TimeoutExpired:
            if not early:
                raise
            process.kill()
            process.wait()


def _newest(run):
    return max((path.name for path in (run / "checkpoints").glob("step-*.npz")), default=None)


def compare(one, other):
    """Numbers that differ between two runs, and all that were compared."""
    pairs = []
    (arrays, record), (others, other_record) = (
        Checkpoints(run / "checkpoints").latest() for run in (one, other)
    )
    assert arrays.keys() == others.keys(), (arrays.keys(), others.keys())
    pairs += [(arrays[name], others[name]) for name in arrays]
    flat = [[run["step"], run["worse"], *run["best"].values()] for run in (record, other_record)]
    pairs.append(tuple(map(np.array, flat)))
    events, other_events = (_events(run / "logs") for run in (one, other))
    assert events.keys() == other_events.keys(), (events.keys(), other_events.keys())
    pairs += [(events[tag], other_events[tag]) for tag in events]
    differing = sum(_differing(*pair) for pair in pairs)
    return differing, sum(pair[0].size for pair in pairs)


def _differing(one, other):
    """How many numbers are not the same bits; all, if there are not as many."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return max(one.size, other.size)
    # A view of bits: a number that is not a number is equal to itself here.
    bits = [np.ascontiguousarray(each).reshape(-1).view(np.uint8) for each in (one, other)]
    rows = [each.reshape(one.size, one.itemsize) for each in bits]
    return int(np.any(rows[0] != rows[1], axis=1).sum())


def _events(logs):
    """`{(folder, tag): steps and values}` as TensorBoard shows them, but for what is timed."""
    return {
        (folder.name, tag): np.array(rows)
        for folder in sorted(path for path in logs.iterdir() if path.is_dir())
        for tag, rows in scalars(folder).items()
        if not tag.startswith(TIMED)
    }


if __name__ == "__main__":
    sys.exit(main())
