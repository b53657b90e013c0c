"""`tfgen calibrate`: intervals of a model's forecasts that hold what they promise."""

import sys

from tfgen.cli.arguments import Parser, check_counts, integer, seed
from tfgen.cli.models import find_model, open_model
from tfgen.cli.screen import show
from tfgen.cli.series import series_only
from tfgen.errors import InputError
from tfgen.zoo.folders import is_path


def parser():
    parser = Parser("calibrate", run, "Calibrates a model's forecasts by held-out data.")
    parser.add_argument("name", metavar="RUN", help="the path of a run (./mine, runs/mine)")
    parser.add_argument(
        "--data", required=True, help="a path, or a built-in set's name: what it was trained on"
    )
    parser.add_argument("--horizon", type=integer, help="rows of a forecast (a day, or 24)")
    parser.add_argument(
        "--origins", type=integer, default=200, help="forecasts to learn from at most (200)"
    )
    parser.add_argument("--num-samples", type=integer, default=100, help="of a forecast (100)")
    parser.add_argument(
        "--context", type=integer, help="rows that a forecast reads (training.window)"
    )
    parser.add_argument("--share", type=float, default=0.5, help="of what was held out (0.5)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the samples (0)")
    parser.add_argument(
        "--out", metavar="FOLDER", help="save the calibrated model there instead of in RUN"
    )
    return parser


def run(arguments):
    """Calibrates a model, and tells what its intervals hold before and after."""
    item = find_model(arguments.name)
    series_only("calibrate", arguments.name, item.data_kind)
    check_counts(arguments, "horizon", "origins", "num_samples", "context")
    if arguments.seed < 0:
        raise InputError(f"--seed must be >= 0. Received: --seed {arguments.seed}")
    if arguments.out is None and not is_path(arguments.name):
        raise InputError(
            f"{arguments.name} belongs to the zoo: --out FOLDER saves a calibrated one of your own"
        )
    model = open_model(arguments.name)
    from tfgen import models
    from tfgen.evaluation import calibrate
    from tfgen.evaluation.calibrated import coverage_text
    from tfgen.models.numbers.over_data import data_of

    found = calibrate(
        model,
        data_of(model, arguments.data),
        arguments.horizon,
        arguments.origins,
        arguments.num_samples,
        arguments.context,
        arguments.share,
        arguments.seed,
        say=lambda line: show(line, file=sys.stderr),
    )
    count, horizon = found["origins"], found["horizon"]
    show(f"{found['data']}: learned from {count} forecasts of {horizon} positions")
    if found["coverage"] is None:
        show("There is too little held-out data left to test it on")
    else:
        show(f"tested on {found['coverage']['forecasts']} later ones")
        show(coverage_text(found["coverage"]))
    if arguments.out is None:
        models.save_calibration(model, item.folder)
    else:
        model.save(arguments.out)
    show(f"Wrote {arguments.out or item.folder}")
