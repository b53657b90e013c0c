"""The figures of the recurrent models, of the machine and of the command line.

Each says who is measured against whom, in which unit, and what is made of it. What a figure is
stands in `contest.py`.
"""

from benchmarks import shell
from benchmarks.contest import (
    KERAS,
    OURS,
    PRODUCT,
    PRODUCT_PYTORCH,
    PYTORCH,
    READ,
    READ_ONE,
    compare,
    new_figure,
    pytorch_product_note,
    shares,
)
from benchmarks.pairing import alternate, differences, ratios, spread

LABELS = {"lstm": "LSTM", "gru": "GRU"}


def training(sizes, effort):
    """Tokens per second of training, and the shares of the matrix peak."""
    name = (
        f"training, {LABELS[sizes.cell]} {sizes.layers} x {sizes.units}, embedding "
        f"{sizes.embedding}, windows of {sizes.window}, batch {sizes.batch}, float32, Adam"
    )
    jobs = {
        OURS: ("train", sizes),
        PYTORCH: ("train", sizes, effort.seconds / 3),
        KERAS: ("train", sizes, effort.seconds / 3),
        PRODUCT: ("matrix_product", effort.matrix),
        PRODUCT_PYTORCH: ("matrix_product", effort.matrix),
    }
    figure, values = compare(name, "tokens/s", jobs, effort)
    plain, executed = sizes.training_flops(), sizes.training_flops(table=True)
    costs = dict.fromkeys((OURS, PYTORCH, KERAS), plain)
    figure["shares"] = {
        "of the peak, model": shares(values, costs, PRODUCT),
        "executed": shares(values, {**costs, OURS: executed}, PRODUCT),
    }
    figure["notes"] += [
        "tfgen looks its first layer's input product up in a projected embedding table: the same "
        "function, for fewer products",
        f"products of the model, per token: {plain / 1e6:.2f} MFLOP (6 x "
        f"{sizes.product_weights():,} weights); tfgen executes {executed / 1e6:.2f} MFLOP",
        *pytorch_product_note(values),
    ]
    return figure


def generation(sizes, effort):
    """Characters per second of generating, and the shares of bandwidth and matrix peak."""
    name = (
        f"generating, {LABELS[sizes.cell]} {sizes.layers} x {sizes.units}, embedding "
        f"{sizes.embedding}, batch {sizes.batch}, temperature 1"
    )
    jobs = {
        OURS: ("generate", sizes),
        PYTORCH: ("generate", sizes, effort.seconds / 3),
        KERAS: ("generate", sizes, effort.seconds / 3),
        READ: ("read", effort.array_mib),
        READ_ONE: ("read", effort.array_mib),
        PRODUCT: ("matrix_product", effort.matrix),
    }
    figure, values = compare(name, "chars/s", jobs, effort)
    peers = (OURS, PYTORCH, KERAS)
    read = {peer: sizes.bytes_read(peer == OURS) / sizes.batch for peer in peers}
    flops = {peer: 2 * sizes.product_weights(peer == OURS) for peer in peers}
    figure["shares"] = {
        "of the bandwidth": shares(values, read, READ),
        "of one thread's": shares(values, read, READ_ONE),
        "of the peak": shares(values, flops, PRODUCT),
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
    product, values = compare(name, "FLOP/s", products, effort)
    if PRODUCT_PYTORCH in values:
        product["ratios"] = {
            PRODUCT_PYTORCH: spread(ratios(values[PRODUCT], values[PRODUCT_PYTORCH]))
        }
    reads = {READ: ("read", array), READ_ONE: ("read", array)}
    bandwidth, _ = compare(f"reading {array} MiB of memory", "bytes/s", reads, effort)
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
    generating = new_figure("start, tfgen " + " ".join(command[3:]), "s", values)
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
    listing = new_figure("start, without a model", "s", alternate(runs, effort.repeats))
    for name, words in verbs.items():
        imports = shell.imports_tensorflow(words)
        listing["contestants"][name]["imports_tensorflow"] = imports
        listing["notes"].append(f"{name} {'IMPORTS' if imports else 'does not import'} tensorflow")
    return [generating, listing]
