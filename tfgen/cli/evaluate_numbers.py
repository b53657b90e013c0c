"""`tfgen evaluate` with models of numbers: a report of scores."""

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from tfgen.cli.arguments import check_counts, integer, names_of, numbers_of
from tfgen.cli.models import open_model
from tfgen.cli.screen import show
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file

# Options that only a model of numbers takes.
OPTIONS = (
    "runs", "horizon", "context", "season", "num_samples", "samples", "length", "metrics",
    "max_sequences", "scale",
)  # fmt: skip
SCALES = ("unit", "data")


def add_options(parser):
    """Adds the options that `evaluate` has for models of numbers."""
    group = parser.add_argument_group("models of numbers")
    group.add_argument("--runs", type=integer, help="each score is the mean of so many runs (5)")
    group.add_argument("--horizon", type=integer, help="rows of a forecast (a day, or 24)")
    group.add_argument(
        "--context",
        type=integer,
        help="rows that a forecast reads (training.window and the longest lag)",
    )
    group.add_argument(
        "--season",
        metavar="N,N",
        help="rows of a season, for the naive forecast (the best there is)",
    )
    group.add_argument("--num-samples", type=integer, help="futures of a forecast (100)")
    group.add_argument("--samples", type=integer, help="sequences generated in a run (1000)")
    group.add_argument(
        "--length", type=integer, help="positions of each (24; of drawings the median)"
    )
    group.add_argument(
        "--max-sequences", type=integer, help="predict no more of the split's, evenly spread"
    )
    group.add_argument(
        "--scale",
        metavar="|".join(SCALES),
        help="compare windows with real ones in [0, 1] (unit), or in the data's own units (data)",
    )
    group.add_argument("--metrics", metavar="A,B", help="only these, e.g. likelihood,forecast")


def run(arguments):
    """Prints the report on a model of numbers, and writes it as JSON or as a page."""
    from tfgen.report.evaluation_page import JSON_NAME, PAGE_NAME

    reports = {".json": JSON_NAME, ".html": PAGE_NAME}
    others = "season", "metrics", "scale"
    counts = [name for name in OPTIONS if name not in others]
    check_counts(arguments, *counts)
    if arguments.scale not in (None, *SCALES):
        raise unknown("--scale", arguments.scale, SCALES)
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None and out.suffix.lower() not in reports:
        raise InputError(f"--out must end in .json or .html. Received: --out {out}")
    metrics = None if arguments.metrics is None else names_of("--metrics", arguments.metrics)
    season = None if arguments.season is None else numbers_of("--season", arguments.season)
    if season is not None and not all(each >= 1 and each % 1 == 0 for each in season):
        raise InputError(f"--season must be integers from 1. Received: --season {arguments.season}")
    model = open_model(arguments.name, arguments.dtype)
    from tfgen.evaluation import evaluate_sequences
    from tfgen.models.numbers.over_data import data_of
    from tfgen.report.results import results_text

    options = {
        "split": arguments.split,
        "runs": arguments.runs,
        "horizon": arguments.horizon,
        "context": arguments.context,
        "season": None if season is None else [int(each) for each in season],
        "num_samples": arguments.num_samples,
        "windows": arguments.samples,
        "length": arguments.length,
        "max_sequences": arguments.max_sequences,
        "metrics": metrics,
        "unscaled": True if arguments.scale == "data" else None,
        "seed": arguments.seed,
    }
    options = {name: value for name, value in options.items() if value is not None}
    with contextlib.ExitStack() as stack:
        if out is not None:
            options["report"] = stack.enter_context(tempfile.TemporaryDirectory())
        results = evaluate_sequences(
            model,
            data_of(model, arguments.data),
            name=arguments.name,
            say=lambda line: show(line, file=sys.stderr),
            **options,
        )
        show(results_text(results))
        if out is not None:
            with atomic_file(out) as temporary:
                shutil.copyfile(Path(options["report"]) / reports[out.suffix.lower()], temporary)
            show(f"Wrote {out}")
