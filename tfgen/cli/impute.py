"""`tfgen impute`: what may stand in the gaps of time series."""

from pathlib import Path

from tfgen.cli.arguments import Parser, check_counts, given_fields, integer
from tfgen.cli.models import NAME_HELP, find_model, open_model, taken
from tfgen.cli.screen import show, with_progress
from tfgen.cli.series import (
    FILLING,
    FILLING_FIELDS,
    add_diffusion_options,
    add_series_options,
    series_only,
)
from tfgen.errors import InputError
from tfgen.recipe import DiffusionSampling


def parser():
    parser = Parser("impute", run, "Fills the gaps of time series with what may stand there.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    add_series_options(parser)
    parser.add_argument(
        "--num-samples", type=integer, default=10, help="complete series drawn of each (10)"
    )
    parser.add_argument(
        "--particles", type=integer, help="more come closer to the model (256); not for diffusion"
    )
    add_diffusion_options(parser)
    parser.add_argument("--out", metavar="FILE", required=True, help="the .csv or .npz to write")
    return parser


def run(arguments):
    """Fills what is missing in data: `tfgen impute`."""
    series_only("impute", arguments.name, find_model(arguments.name).data_kind)
    check_counts(arguments, "num_samples")
    given_fields(arguments, FILLING_FIELDS, DiffusionSampling)
    if arguments.particles is not None and arguments.particles < 2:
        raise InputError(f"--particles must be >= 2. Received: --particles {arguments.particles}")
    if Path(arguments.out).suffix.lower() not in (".csv", ".npz"):
        raise InputError(f"--out must end in .csv or .npz. Received: --out {arguments.out}")

    from tfgen.models.numbers.over_data import impute_series, open_series
    from tfgen.report.output import write_sequences

    model = open_model(arguments.name)
    options = taken(arguments, ("particles", *FILLING), model.options["impute"])
    options = with_progress(options, model)
    sequences = open_series(model, arguments.data, arguments.id)
    arrays, gaps = impute_series(model, sequences, arguments.num_samples, arguments.seed, **options)
    times = sequences.times
    if times is not None:
        times = [stamps for stamps in times for _ in range(arguments.num_samples)]
    keys = {
        "id": [identity for identity in sequences.ids for _ in range(arguments.num_samples)],
        "sample": [*range(1, arguments.num_samples + 1)] * len(sequences),
    }
    write_sequences(arguments.out, arrays, sequences.features, times=times, keys=keys)
    show(f"Wrote {arguments.out}: {gaps:,} missing values filled")
