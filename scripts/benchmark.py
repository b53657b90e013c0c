#!/usr/bin/env python
"""Measures tfgen beside its peers, in turns on one machine.

    python scripts/benchmark.py                      # everything; about half an hour on 2 cores
    python scripts/benchmark.py train --cell lstm
    python scripts/benchmark.py start --entry runs/mine --out start.json

train     tokens/s of training: tfgen, PyTorch, Keras, and the share of the matrix peak
generate  characters/s of generating, for one text and for many, and the share of the bandwidth
start     seconds until `tfgen generate` shows text, and until `tfgen list` answers
peak      float32 matrix product and read bandwidth of the machine

Every contestant has a process of its own. They take turns, A B C A B C ..., and the ratio of two is
the median of the ratios of the rounds. The peers come with `pip install .[benchmark]`; one that is
not installed is left out. How well a model predicts is measured by `tfgen evaluate`.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout that is not installed

from benchmarks import figures  # noqa: E402
from benchmarks.machine import machine, machine_lines  # noqa: E402
from benchmarks.sizes import GATES, Sizes  # noqa: E402
from benchmarks.tables import table  # noqa: E402
from tfgen import zoo  # noqa: E402
from tfgen.errors import InputError, unknown  # noqa: E402
from tfgen.files import atomic_file  # noqa: E402

SECTIONS = ("train", "generate", "start", "peak")
ENTRY = "lstm-shakespeare"
ENOUGH_REPEATS = 5


def main(argv=None):
    """Runs the script; returns its exit code."""
    try:
        arguments = _parse(argv)
        _measure(arguments)
    except InputError as error:
        print("benchmark.py: error: " + " ".join(str(error).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmark.py: interrupted", file=sys.stderr)
        return 130
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(f"{message} (see benchmark.py --help)")


def _parse(argv):
    parser = _Parser(
        prog="benchmark.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("sections", metavar="SECTION", nargs="*", help=f"of {', '.join(SECTIONS)}; default: all")
    add("--cell", nargs="+", default=list(GATES), help="lstm, gru or both (default)")
    add("--units", type=_at_least(1), default=512, help="units of a layer (default: 512)")
    add("--layers", type=_at_least(1), default=2, help="layers (default: 2)")
    add(
        "--embedding",
        type=_at_least(1),
        nargs="+",
        help="widths of the embedding, each trained; the first one generates (default: units, "
        "as PyTorch's language model example has it, and 128)",
    )
    add("--window", type=_at_least(1), default=128, help="tokens of a window (default: 128)")
    add("--batch", type=_at_least(2), default=32, help="windows, or texts (default: 32)")
    add("--tokens", type=_at_least(1), default=512, help="tokens of a generation (default: 512)")
    add("--entry", help=f"what `start` generates with: a name or a run (default: {ENTRY})")
    add("--repeats", type=_at_least(1), default=ENOUGH_REPEATS, help="rounds (default: 5)")
    add("--seconds", type=float, default=3.0, help="least length of a measurement (default: 3)")
    add("--matrix", type=_at_least(1), default=4096, help="size of the matrix product (4096)")
    add("--array-mib", type=_at_least(1), default=1024, help="size of the array read (1024)")
    add("--out", metavar="FILE", help="also write the figures as JSON")
    arguments = parser.parse_args(argv)

    arguments.sections = arguments.sections or list(SECTIONS)
    for section in arguments.sections:
        if section not in SECTIONS:
            raise unknown("section", section, SECTIONS)
    for cell in arguments.cell:
        if cell not in GATES:
            raise unknown("cell", cell, GATES)
    if not 0 <= arguments.seconds < float("inf"):
        raise InputError(f"--seconds must be >= 0. Received: --seconds {arguments.seconds}")
    if arguments.embedding is None:
        arguments.embedding = list(dict.fromkeys([arguments.units, 128]))
    if arguments.out and Path(arguments.out).is_dir():
        raise InputError(f"--out: {arguments.out} is a folder")
    arguments.entry = arguments.entry or ENTRY
    if "start" in arguments.sections:
        item = zoo.find(arguments.entry)
        if not getattr(item, "pretrained", False):
            raise InputError(f"'{item.name}' has no weights: choose another --entry")
    return arguments


def _at_least(smallest):
    def whole_number(text):
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or number < smallest:
            raise argparse.ArgumentTypeError(
                f"must be a whole number >= {smallest}. Received: {text}"
            )
        return number

    return whole_number


def _measure(arguments):
    results = {"machine": machine(), "settings": vars(arguments), "figures": []}
    print("\n".join(machine_lines(results["machine"])), flush=True)
    if arguments.repeats < ENOUGH_REPEATS:
        print(f"{arguments.repeats} rounds are a trial: figures need {ENOUGH_REPEATS} or more.")
    for figure in _figures(arguments):
        results["figures"].append(figure)
        print("\n" + "\n".join(table(figure)), flush=True)
        if arguments.out:  # after every figure, so that an interruption costs one
            with atomic_file(arguments.out) as temporary:
                temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def _figures(arguments):
    """Yields each figure when it has been measured."""
    names = ("repeats", "seconds", "matrix", "array_mib")
    effort = figures.Effort(**{name: getattr(arguments, name) for name in names})
    names = ("units", "layers", "window", "tokens")
    common = {name: getattr(arguments, name) for name in names}
    if "peak" in arguments.sections:
        yield from figures.peaks(effort)
    if "start" in arguments.sections:
        yield from figures.start(arguments.entry, effort)
    for cell in arguments.cell:
        if "train" in arguments.sections:
            for embedding in arguments.embedding:
                sizes = Sizes(cell, embedding=embedding, batch=arguments.batch, **common)
                yield figures.training(sizes, effort)
        if "generate" in arguments.sections:
            for batch in (1, arguments.batch):
                sizes = Sizes(cell, embedding=arguments.embedding[0], batch=batch, **common)
                yield figures.generation(sizes, effort)


if __name__ == "__main__":
    sys.exit(main())
