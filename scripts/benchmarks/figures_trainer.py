"""The figure of the Trainer's own cost. What a figure is stands in `contest.py`."""

import statistics

from benchmarks.contest import new_figure, tell
from benchmarks.pairing import ratios, spread
from benchmarks.workers import call

FAMILIES = ("lstm", "transformer", "gru", "unet1d")
MODULE = "benchmarks.trainer"
BARE, OFF, ON = "compiled step", "Trainer, logging off", "Trainer, defaults"
# Steps of a round: after so many all has been done that is done now and then by default.
PERIOD = 500
TENSORBOARD = ("scalars", "histograms", "samples")
APART = ("validation", "checkpoints")
TARGET, TARGET_WAITING = 0.03, 0.02


def overhead(family, effort):
    """What the Trainer adds to a compiled step, and TensorBoard to the Trainer.

    Args:
        family: One of `FAMILIES`.
        effort: `contest.Effort`.
    """
    tell(f"the Trainer of {family}: {effort.repeats} rounds of {PERIOD} steps, three ways")
    return figure_of(family, call(MODULE, "measure", family, effort.repeats))


def figure_of(family, found):
    """The figure of what `benchmarks.trainer.measure` found."""
    seconds = found["seconds"]
    values = {name: [1000 * each / PERIOD for each in rounds] for name, rounds in seconds.items()}
    name = f"the Trainer, {family} of {found['weights']:,} weights, {PERIOD} steps a round"
    figure = new_figure(name, "ms/step", values)

    # Seconds of each round, by kind.
    kinds = {
        kind: [sum(s for other, s in events if other == kind) for events in found["events"]]
        for kind in (*TENSORBOARD, *APART)
    }
    off = seconds[OFF]
    without = [
        on - sum(kinds[kind][number] for kind in APART) for number, on in enumerate(seconds[ON])
    ]
    told = [sum(kinds[kind][number] for kind in TENSORBOARD) for number in range(len(off))]
    shares = {
        "the Trainer over the compiled step": (_over(off, seconds[BARE]), TARGET),
        "TensorBoard over the Trainer": (_over(without, off), TARGET),
        "  of it timed: scalars, histograms and samples": (ratios(told, off), TARGET),
        **{f"    {kind}": (ratios(kinds[kind], off), None) for kind in TENSORBOARD},
        **{f"apart: {kind}": (ratios(kinds[kind], off), None) for kind in APART},
        "waiting for data, of the time of steps": (found["waiting"], TARGET_WAITING),
    }
    figure["overheads"] = {
        name: spread(each) | ({"target": target} if target else {})
        for name, (each, target) in shares.items()
    }
    once = []
    for kind in (*TENSORBOARD, *APART):
        each = [s for events in found["events"] for other, s in events if other == kind]
        if each:
            once.append(f"{kind} {1000 * statistics.median(each):.1f}")
    figure["notes"] = [
        "a round of each: the step alone, on batches in memory; the Trainer with all that is done "
        "now and then switched off; the Trainer as it is by default, with ten lines of scalars, a "
        "set of histograms, a set of samples, two validations and two checkpoints",
        "TensorBoard over the Trainer: the defaults' round without the time of validation and "
        "checkpoints; scalars is all that a line of the log takes, copies of the weights for the "
        "ratios of updates included, and the flush at a checkpoint",
        f"ms at a time, the median: {', '.join(once)}",
        "the first time, which traces and compiles, s: "
        + ", ".join(f"{kind} {each:.1f}" for kind, each in found["first"].items()),
    ]
    return figure


def _over(ours, theirs):
    return [ratio - 1 for ratio in ratios(ours, theirs)]
