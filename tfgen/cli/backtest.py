"""`tfgen backtest`: what several models would have forecast of the same data."""

import functools
import sys
from pathlib import Path

from tfgen.cli.arguments import Parser, check_counts, integer, seed
from tfgen.cli.models import find_model, open_model
from tfgen.cli.screen import show
from tfgen.cli.series import series_only
from tfgen.errors import InputError

NAIVE = "seasonal-naive"


def parser():
    parser = Parser("backtest", run, "Compares what models would have forecast of held-out data.")
    parser.add_argument("data", metavar="DATA", help="a path, or a built-in set's name")
    parser.add_argument(
        "--models",
        nargs="+",
        required=True,
        metavar="NAME",
        help=f"names of the zoo, paths of runs, or {NAIVE}",
    )
    parser.add_argument("--horizon", type=integer, help="rows of a forecast (a day, or 24)")
    parser.add_argument(
        "--origins", type=integer, default=50, help="forecasts of each model at most (50)"
    )
    parser.add_argument("--num-samples", type=integer, default=100, help="of a forecast (100)")
    parser.add_argument(
        "--context",
        type=integer,
        help="rows that a forecast reads (training.window and the longest lag)",
    )
    parser.add_argument(
        "--season", type=integer, help="rows of a season (a day, or the strongest there is)"
    )
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="also with calibrations, on data that these did not see",
    )
    parser.add_argument(
        "--split",
        choices=("validation", "all"),
        default="validation",
        help="what is forecast (validation); all if no model was trained on these data",
    )
    parser.add_argument(
        "--last",
        type=integer,
        metavar="N",
        help="forecast the last N rows of each series, which came after the training data",
    )
    parser.add_argument(
        "--refit",
        type=integer,
        metavar="K",
        help="train models anew, by their recipes, on what comes before every K-th origin",
    )
    parser.add_argument(
        "--refit-further",
        type=integer,
        metavar="STEPS",
        help="with --refit: go on from their weights for so many steps instead",
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of the samples (0)")
    parser.add_argument(
        "--out", metavar="FILE", help="also write the table, with each series: .csv"
    )
    parser.add_argument(
        "--picture", metavar="FILE", help="write scores by step and the last forecast: .png"
    )
    return parser


def run(arguments):
    """Prints the scores of each model, and writes the table and the picture."""
    check_counts(arguments, "horizon", "origins", "num_samples", "context", "season")
    check_counts(arguments, "refit", "refit_further", "last")
    if arguments.last is not None and arguments.split == "all":
        raise InputError(f"--last is a part: leave --split out. Received: --last {arguments.last}")
    if arguments.refit_further is not None and arguments.refit is None:
        raise InputError(
            "--refit-further goes with --refit K, the origins from a training to the next. "
            f"Received: --refit-further {arguments.refit_further}"
        )
    if arguments.refit is not None and arguments.split == "all":
        raise InputError("--refit trains on what comes before what was held out: leave --split out")
    if arguments.seed < 0:
        raise InputError(f"--seed must be >= 0. Received: --seed {arguments.seed}")
    for option, suffix in (("out", ".csv"), ("picture", ".png")):
        path = getattr(arguments, option)
        if path is not None and Path(path).suffix.lower() != suffix:
            raise InputError(f"--{option} must end in {suffix}. Received: --{option} {path}")
    for number, name in enumerate(arguments.models):
        if name in arguments.models[:number]:
            raise InputError(f"--models takes each model once. Received: --models {name} {name}")
        if name != NAIVE:
            series_only("backtest", name, find_model(name).data_kind)
    models = {name: NAIVE if name == NAIVE else open_model(name) for name in arguments.models}
    from tfgen.evaluation import backtest
    from tfgen.report.backtests import backtest_text
    from tfgen.training import refit

    refit = functools.partial(refit, further=arguments.refit_further)
    found = backtest(
        models,
        arguments.data,
        arguments.horizon,
        arguments.origins,
        arguments.num_samples,
        arguments.context,
        arguments.season,
        arguments.seed,
        calibrated=arguments.calibrated,
        split=arguments.split,
        last=arguments.last,
        refit=None if arguments.refit is None else refit,
        refit_every=arguments.refit or 1,
        out=arguments.out,
        picture=arguments.picture,
        say=lambda line: show(line, file=sys.stderr),
    )
    show(backtest_text(found))
    for path in (arguments.out, arguments.picture):
        if path is not None:
            show(f"Wrote {path}")
