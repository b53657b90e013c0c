"""`tfgen evaluate` with models of text: how likely they find one."""

import json
import sys
from pathlib import Path

from tfgen.cli.arguments import check_counts, integer
from tfgen.cli.models import open_model
from tfgen.cli.screen import progress_bar, show
from tfgen.errors import InputError
from tfgen.files import atomic_file
from tfgen.kinds import find_kind
from tfgen.names import normalise

# Options that only a model of text takes.
OPTIONS = ("column", "window", "crops", "source", "source_data", "beams", "label")


def add_options(parser):
    """Adds the options that `evaluate` has for models of text."""
    group = parser.add_argument_group("models of text")
    group.add_argument("--column", help="the column of a CSV file, or the key of a JSONL file")
    group.add_argument("--window", type=integer, help="tokens in a random crop (256)")
    group.add_argument("--crops", type=integer, help="number of random crops (1024)")
    group.add_argument("--source", help="the column of the sources, of a model with an encoder")
    group.add_argument("--source-data", help="of sources that are numbers: a folder, or a set")
    group.add_argument("--label", help="the column of the classes, of a model that is told them")
    group.add_argument("--beams", type=integer, help="of such a model: beam search (1)")


def run(arguments):
    """Prints how likely a model finds a text, and writes it as JSON."""
    check_counts(arguments, "window", "crops", "beams")
    _check_built_in(arguments)
    model = open_model(arguments.name, arguments.dtype)
    from tfgen.evaluation import evaluate
    from tfgen.report.results import results_text

    options = {name: getattr(arguments, name) for name in (*OPTIONS, "split", "seed")}
    options = {name: value for name, value in options.items() if value is not None}
    if sys.stderr.isatty():
        options["progress"] = progress_bar("token")
    results = evaluate(model, arguments.data, **options)
    show(results_text(results))
    if arguments.out:
        with atomic_file(arguments.out) as temporary:
            Path(temporary).write_text(json.dumps(results, indent=2) + "\n", "utf-8")


def _check_built_in(arguments):
    from tfgen.data import BUILTIN

    row = BUILTIN.get(normalise(arguments.data))
    if row is not None and find_kind(row.kind).modality != "text":
        raise InputError(
            f"{arguments.name} writes text, and the built-in set '{arguments.data}' is {row.kind}"
        )
