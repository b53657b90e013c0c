"""`tfgen forecast`: what comes after time series."""

import sys

from tfgen.cli.arguments import (
    Parser,
    add_fields,
    check_counts,
    given_fields,
    integer,
    numbers_of,
)
from tfgen.cli.models import NAME_HELP, add_dtype, find_model, open_model, taken
from tfgen.cli.screen import show, with_progress
from tfgen.cli.series import (
    FILLING,
    FILLING_FIELDS,
    add_diffusion_options,
    add_series_options,
    series_only,
)
from tfgen.errors import InputError
from tfgen.recipe import CONTEXT, DiffusionSampling, RolloutSampling

ROLLOUT_FIELDS = "temperature", "bias"


def parser():
    parser = Parser("forecast", run, "Forecasts what comes after time series.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    add_series_options(parser)
    parser.add_argument("--horizon", type=integer, required=True, help="rows to forecast")
    parser.add_argument(
        "--num-samples", type=integer, default=100, help="futures sampled for each series (100)"
    )
    parser.add_argument("--quantiles", default="0.1,0.5,0.9", help="default: 0.1,0.5,0.9")
    parser.add_argument(
        "--context",
        type=integer,
        help=f"rows before the forecast that are read (at most {CONTEXT} and the longest lag)",
    )
    parser.add_argument(
        "--backtest",
        action="store_true",
        help="forecast the last --horizon rows of the data, whose values are then not read",
    )
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="intervals that hold what they promise (tfgen calibrate comes first)",
    )
    add_fields(parser, ROLLOUT_FIELDS, RolloutSampling)
    add_diffusion_options(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write a .csv, .npz or .png (a picture for each series); default: CSV on stdout",
    )
    add_dtype(parser)
    return parser


def run(arguments):
    """Forecasts the end of each series of data: `tfgen forecast`."""
    series_only("forecast", arguments.name, find_model(arguments.name).data_kind)
    check_counts(arguments, "horizon", "num_samples", "context")
    levels = numbers_of("--quantiles", arguments.quantiles)
    if not all(0 < level < 1 for level in levels) or len(set(levels)) < len(levels):
        raise InputError(
            "--quantiles takes different numbers between 0 and 1. "
            f"Received: --quantiles {arguments.quantiles}"
        )
    sampling = *ROLLOUT_FIELDS, *FILLING_FIELDS
    given_fields(arguments, sampling, RolloutSampling, DiffusionSampling)
    from tfgen.report.output import check_output, write_forecasts

    if arguments.out is not None:
        check_output(arguments.out)

    from tfgen.data.contexts import read_context
    from tfgen.models.numbers.over_data import forecast_series, open_series
    from tfgen.report.tables import forecast_table, write_csv

    model = open_model(arguments.name, arguments.dtype)
    names = *ROLLOUT_FIELDS, *FILLING
    options = taken(arguments, names, model.options["forecast"])
    options = with_progress(options, model)
    if arguments.calibrated:
        options["calibrated"] = True
    sequences = open_series(model, arguments.data, arguments.id)
    horizon = arguments.horizon
    context = arguments.context or CONTEXT + model.history
    if model.max_positions is not None:
        room = model.max_positions - horizon
        if room < 1 or (arguments.context or 1) > room:
            raise InputError(
                f"--context and --horizon together must be at most {model.max_positions}, the "
                f"model's max_length. Received: --context {context} --horizon {horizon}"
            )
        context = min(context, room)
    contexts = [
        read_context(sequences, number, context, horizon, model.processor, arguments.backtest)
        for number in range(len(sequences))
    ]
    found = forecast_series(
        model,
        contexts,
        horizon,
        num_samples=arguments.num_samples,
        quantiles=levels,
        seed=arguments.seed,
        rows=model.rows_at_once,
        **options,
    )
    if arguments.out is None:
        write_csv(sys.stdout, forecast_table(contexts, found, sequences.features, levels))
        return
    for written in write_forecasts(arguments.out, contexts, found, sequences.features, levels):
        show(f"Wrote {written}")
