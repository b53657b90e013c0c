"""Who takes part in a figure, and how the contestants of one figure are measured in turns.

A figure is a dict, as it stands in the JSON:

- `name`, `unit`, `notes`;
- `contestants`: from names to the spread of what was measured, and a `note`;
- `ratios`: from peers' names to the spread of tfgen / peer, round by round;
- `variants`: from names of other ways to run tfgen to such `ratios` of theirs;
- `shares`: from ceilings to, by contestant, the spread of the share of it that was reached;
- `differences`: from names to the spread of a difference, round by round;
- `overheads`: from names to the spread of a share, and what it should stay below, its `target`;
- `skipped`: from names to why they are missing.
"""

import contextlib
import dataclasses
import sys

from benchmarks.pairing import alternate, ratios, spread
from benchmarks.workers import Missing, Worker

OURS = "tfgen"
PYTORCH = "PyTorch"
KERAS = "Keras"
NANOGPT = "nanoGPT"
TRANSFORMERS = "transformers"
DEEPAR = "DeepAR"
LUCIDRAINS = "denoising-diffusion-pytorch"
DIFFUSERS = "diffusers"
PEERS = (PYTORCH, KERAS, NANOGPT, TRANSFORMERS, LUCIDRAINS, DIFFUSERS)
PRODUCT = "matrix product"
PRODUCT_PYTORCH = "matrix product, PyTorch"
READ = "reading"
READ_ONE = "reading, one thread"
INSTALL = "pip install .[benchmark]"

MODULES = {
    OURS: "benchmarks.peer_tfgen",
    PYTORCH: "benchmarks.peer_pytorch",
    KERAS: "benchmarks.peer_keras",
    NANOGPT: "benchmarks.peer_nanogpt",
    TRANSFORMERS: "benchmarks.peer_transformers",
    PRODUCT: "benchmarks.ceilings",
    PRODUCT_PYTORCH: "benchmarks.peer_pytorch",
    READ: "benchmarks.ceilings",
    READ_ONE: "benchmarks.ceilings",
}
# A contestant whose rounds differ by more than this factor was disturbed. What waits for all of its
# threads at every step, as PyTorch does, may lose far more than the share that others take.
STEADY = 1.5
# The environment of a process in which TensorFlow keeps to one thread.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


@dataclasses.dataclass(frozen=True)
class Effort:
    """How long and how often to measure, and on how much data the machine itself.

    Attributes:
        repeats: Rounds.
        seconds: Least length of one measurement.
        matrix: Rows and columns of the matrices of the matrix peak.
        array_mib: Size of the array of the read bandwidth, in MiB.
    """

    repeats: int = 5
    seconds: float = 3.0
    matrix: int = 4096
    array_mib: int = 1024


def variant(name):
    """The name of tfgen run in another way, as a contestant."""
    return f"{OURS}, {name}"


def compare(name, unit, jobs, effort, modules=MODULES, install=None):
    """Measures jobs `{contestant: (function, *arguments)}` in turns.

    Args:
        name: Of the figure.
        unit: Of what is measured.
        jobs: See above.
        effort: An `Effort`.
        modules: From contestants to the modules that have the functions.
        install: From contestants to what installs them, where that is not `INSTALL`.

    Returns:
        `(figure, values)`; tfgen, and each variant of it, is compared with the peers that take
        part, and a variant with tfgen.
    """
    notes, skipped, workers = {}, {}, {}
    with contextlib.ExitStack() as stack:
        for contestant, job in jobs.items():
            tell(f"{name}: preparing {contestant}")
            ours = contestant.split(", ")[0] == OURS
            module = modules[OURS] if ours else modules[contestant]
            worker = Worker(module, ONE_THREAD if contestant == READ_ONE else None)
            stack.callback(worker.stop)
            try:
                notes[contestant] = worker.prepare(*job)
            except Missing as error:
                skipped[contestant] = f"{error}: {(install or {}).get(contestant, INSTALL)}"
                continue
            worker.measure(0)
            workers[contestant] = worker
        tell(f"{name}: {effort.repeats} rounds")
        measures = {
            contestant: (lambda worker=worker: worker.measure(effort.seconds))
            for contestant, worker in workers.items()
        }
        values = alternate(measures, effort.repeats)
    figure = new_figure(name, unit, values)
    figure["skipped"] = skipped
    for contestant, note in notes.items():
        figure["contestants"][contestant]["note"] = note
    for contestant, each in values.items():
        if max(each) > STEADY * min(each):
            figure["notes"].append(
                f"{contestant} varied by a factor of {max(each) / min(each):.1f} between rounds: "
                "was the machine busy?"
            )
        if contestant == OURS:
            figure["ratios"] = _ratios(values, contestant, PEERS)
        elif contestant.startswith(variant("")):
            figure["variants"][contestant] = _ratios(values, contestant, (OURS, *PEERS))
    return figure, values


def _ratios(values, contestant, others):
    return {
        other: spread(ratios(values[contestant], values[other]))
        for other in others
        if other in values
    }


def shares(values, costs, ceiling):
    """Spreads of the share of a ceiling, `{contestant: spread}`, of `{contestant: cost a unit}`."""
    return {
        contestant: spread(ratios(values[contestant], values[ceiling], cost))
        for contestant, cost in costs.items()
        if contestant in values
    }


def new_figure(name, unit, values):
    """A figure of measurements `{contestant: [value of each round]}`."""
    return {
        "name": name,
        "unit": unit,
        "contestants": {
            contestant: {**spread(each), "note": ""} for contestant, each in values.items()
        },
        "ratios": {},
        "variants": {},
        "shares": {},
        "differences": {},
        "notes": [],
        "skipped": {},
    }


def pytorch_product_note(values):
    """The lines on how fast PyTorch multiplies matrices, beside what TensorFlow reaches."""
    if PRODUCT_PYTORCH not in values:
        return []
    share = spread(ratios(values[PRODUCT_PYTORCH], values[PRODUCT]))["median"]
    return [
        f"PyTorch's own matrix product reaches {share:.0%} of TensorFlow's on this machine "
        "(on AMD CPUs its MKL takes a slow path); that is a part of the ratio"
    ]


def tell(text):
    """Shows progress."""
    print(text, file=sys.stderr, flush=True)
