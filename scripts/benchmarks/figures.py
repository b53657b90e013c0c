"""The figures: who is measured against whom, in which unit, and what is made of it.

A figure is a dict, as it stands in the JSON:

- `name`, `unit`, `notes`;
- `contestants`: from names to the spread of what was measured, and a `note`;
- `ratios`: from peers' names to the spread of tfgen / peer, round by round;
- `shares`: from ceilings to, by contestant, the spread of the share of it that was reached;
- `differences`: from names to the spread of a difference, round by round;
- `skipped`: from names to why they are missing.
"""

import contextlib
import dataclasses
import sys

from benchmarks import shell
from benchmarks.pairing import alternate, differences, ratios, spread
from benchmarks.workers import Missing, Worker

OURS = "tfgen"
PYTORCH = "PyTorch"
KERAS = "Keras"
PRODUCT = "matrix product"
PRODUCT_PYTORCH = "matrix product, PyTorch"
READ = "reading"
READ_ONE = "reading, one thread"
INSTALL = "pip install .[benchmark]"

MODULES = {
    OURS: "benchmarks.peer_tfgen",
    PYTORCH: "benchmarks.peer_pytorch",
    KERAS: "benchmarks.peer_keras",
    PRODUCT: "benchmarks.ceilings",
    PRODUCT_PYTORCH: "benchmarks.peer_pytorch",
    READ: "benchmarks.ceilings",
    READ_ONE: "benchmarks.ceilings",
}
LABELS = {"lstm": "LSTM", "gru": "GRU"}
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


def training(sizes, effort):
    """Tokens per second of training, and the shares of the matrix peak."""
    name = (
        f"training, {LABELS[sizes.cell]} {sizes.layers} x {sizes.units}, embedding "
        f"{sizes.embedding}, windows of {sizes.window}, batch {sizes.batch}, float32, Adam"
    )
    jobs = {
        OURS: ("train", sizes),
        PYTORCH: ("train", sizes),
        KERAS: ("train", sizes, effort.seconds / 3),
        PRODUCT: ("matrix_product", effort.matrix),
        PRODUCT_PYTORCH: ("matrix_product", effort.matrix),
    }
    figure, values = _compare(name, "tokens/s", jobs, effort)
    plain, executed = sizes.training_flops(), sizes.training_flops(table=True)
    peers = [peer for peer in (OURS, PYTORCH, KERAS) if peer in values]
    figure["shares"] = {
        "of the peak, model": {
            peer: spread(ratios(values[peer], values[PRODUCT], plain)) for peer in peers
        },
        "executed": {
            peer: spread(ratios(values[peer], values[PRODUCT], executed if peer == OURS else plain))
            for peer in peers
        },
    }
    figure["notes"] += [
        "tfgen looks its first layer's input product up in a projected embedding table: the same "
        "function, for fewer products",
        f"products of the model, per token: {plain / 1e6:.2f} MFLOP (6 x "
        f"{sizes.product_weights():,} weights); tfgen executes {executed / 1e6:.2f} MFLOP",
    ]
    if PRODUCT_PYTORCH in values:
        share = spread(ratios(values[PRODUCT_PYTORCH], values[PRODUCT]))["median"]
        figure["notes"].append(
            f"PyTorch's own matrix product reaches {share:.0%} of TensorFlow's on this machine "
            "(on AMD CPUs its MKL takes a slow path); that is a part of the ratio"
        )
    return figure


def generation(sizes, effort):
    """Characters per second of generating, and the shares of bandwidth and matrix peak."""
    name = (
        f"generating, {LABELS[sizes.cell]} {sizes.layers} x {sizes.units}, embedding "
        f"{sizes.embedding}, batch {sizes.batch}, temperature 1"
    )
    jobs = {
        OURS: ("generate", sizes),
        PYTORCH: ("generate", sizes),
        **({KERAS: ("generate", sizes)} if sizes.batch == 1 else {}),
        READ: ("read", effort.array_mib),
        READ_ONE: ("read", effort.array_mib),
        PRODUCT: ("matrix_product", effort.matrix),
    }
    figure, values = _compare(name, "chars/s", jobs, effort)
    peers = [peer for peer in (OURS, PYTORCH, KERAS) if peer in values]
    read = {peer: sizes.bytes_read(peer == OURS) / sizes.batch for peer in peers}
    flops = {peer: 2 * sizes.product_weights(peer == OURS) for peer in peers}
    figure["shares"] = {
        label: {peer: spread(ratios(values[peer], values[bound], cost[peer])) for peer in peers}
        for label, bound, cost in (
            ("of the bandwidth", READ, read),
            ("of one thread's", READ_ONE, read),
            ("of the peak", PRODUCT, flops),
        )
    }
    figure["notes"] += [
        f"weights read for each position: tfgen {sizes.bytes_read(True) / 2**20:.1f} MiB, "
        f"peers {sizes.bytes_read() / 2**20:.1f} MiB; where they fit into the L3 cache, the "
        "bandwidth of the memory is no bound and the share may exceed 100%",
    ]
    return figure


def peaks(effort):
    """What the machine can do."""
    matrix, array = effort.matrix, effort.array_mib
    products = {
        PRODUCT: ("matrix_product", matrix),
        PRODUCT_PYTORCH: ("matrix_product", matrix),
    }
    name = f"float32 matrix product, {matrix} x {matrix}"
    product, values = _compare(name, "FLOP/s", products, effort)
    if PRODUCT_PYTORCH in values:
        product["ratios"] = {
            PRODUCT_PYTORCH: spread(ratios(values[PRODUCT], values[PRODUCT_PYTORCH]))
        }
    reads = {READ: ("read", array), READ_ONE: ("read", array)}
    bandwidth, _ = _compare(f"reading {array} MiB of memory", "bytes/s", reads, effort)
    return [product, bandwidth]


def start(entry, effort):
    """Seconds until the command line answers."""
    command = shell.generate_command(entry)
    waits = {
        "first text": lambda: shell.first_output(command, after=len(shell.PROMPT.encode())),
        "import tensorflow": lambda: shell.first_output(shell.IMPORT),
    }
    for wait in waits.values():  # files come into the cache
        wait()
    values = alternate(waits, effort.repeats)
    generating = _figure("start, tfgen " + " ".join(command[3:]), "s", values)
    generating["differences"] = {
        "first text beyond import tensorflow": spread(
            differences(values["first text"], values["import tensorflow"])
        )
    }
    generating["notes"] = [
        "from the start of the process to the first text after the prompt, and to the end of the "
        "import; tfgen runs as python -m tfgen"
    ]

    verbs = {"tfgen --help": ["--help"], "tfgen list": ["list"]}
    commands = {name: [*shell.TFGEN, *words] for name, words in verbs.items()}
    commands["python -c pass"] = shell.PYTHON
    runs = {
        name: (lambda command=command: shell.whole_run(command))
        for name, command in commands.items()
    }
    for run in runs.values():
        run()
    listing = _figure("start, without a model", "s", alternate(runs, effort.repeats))
    for name, words in verbs.items():
        imports = shell.imports_tensorflow(words)
        listing["contestants"][name]["imports_tensorflow"] = imports
        listing["notes"].append(f"{name} {'IMPORTS' if imports else 'does not import'} tensorflow")
    return [generating, listing]


def _compare(name, unit, jobs, effort):
    """Measures jobs `{contestant: (function, *arguments)}` in turns.

    Returns:
        `(figure, values)`; tfgen, if it takes part, is compared with the peers.
    """
    notes, skipped, workers = {}, {}, {}
    with contextlib.ExitStack() as stack:
        for contestant, job in jobs.items():
            _tell(f"{name}: preparing {contestant}")
            worker = Worker(MODULES[contestant], ONE_THREAD if contestant == READ_ONE else None)
            stack.callback(worker.stop)
            try:
                notes[contestant] = worker.prepare(*job)
            except Missing as error:
                skipped[contestant] = f"{error}: {INSTALL}"
                continue
            worker.measure(0)
            workers[contestant] = worker
        _tell(f"{name}: {effort.repeats} rounds")
        measures = {
            contestant: (lambda worker=worker: worker.measure(effort.seconds))
            for contestant, worker in workers.items()
        }
        values = alternate(measures, effort.repeats)
    figure = _figure(name, unit, values)
    figure["skipped"] = skipped
    for contestant, note in notes.items():
        figure["contestants"][contestant]["note"] = note
    if OURS in values:
        figure["ratios"] = {
            peer: spread(ratios(values[OURS], values[peer]))
            for peer in (PYTORCH, KERAS)
            if peer in values
        }
    return figure, values


def _figure(name, unit, values):
    return {
        "name": name,
        "unit": unit,
        "contestants": {
            contestant: {**spread(each), "note": ""} for contestant, each in values.items()
        },
        "ratios": {},
        "shares": {},
        "differences": {},
        "notes": [],
        "skipped": {},
    }


def _tell(text):
    print(text, file=sys.stderr, flush=True)
