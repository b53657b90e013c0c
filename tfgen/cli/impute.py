"""`tfgen impute`: what may stand in the gaps of time series, or under a melody."""

from pathlib import Path

from tfgen.cli.arguments import Parser, check_counts, given_fields, integer, names_of
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
    parser = Parser(
        "impute",
        run,
        "Fills the gaps of time series, and voices or bars of music, with what may stand there.",
    )
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    add_series_options(parser)
    parser.add_argument(
        "--num-samples", type=integer, default=10, help="complete series drawn of each (10)"
    )
    parser.add_argument(
        "--particles", type=integer, help="more come closer to the model (256); not for diffusion"
    )
    add_diffusion_options(parser)
    parser.add_argument(
        "--keep",
        metavar="A,B",
        help="draw all columns but these, e.g. the soprano of music, or its 'melody', the highest "
        "pitches of a piano roll",
    )
    parser.add_argument(
        "--rows", metavar="FIRST:LAST", help="draw what is in these rows, counted from 1"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        required=True,
        help="the .csv or .npz to write, or, of music, .mid, .wav or .png",
    )
    return parser


def run(arguments):
    """Fills what is missing in data: `tfgen impute`."""
    kind = find_model(arguments.name).data_kind
    series_only("impute", arguments.name, kind, whole=True)
    check_counts(arguments, "num_samples")
    given_fields(arguments, FILLING_FIELDS, DiffusionSampling)
    if arguments.particles is not None and arguments.particles < 2:
        raise InputError(f"--particles must be >= 2. Received: --particles {arguments.particles}")
    from tfgen.data.gaps import make_gaps
    from tfgen.models.numbers.over_data import impute_series, open_series
    from tfgen.report.output import check_output, write_sequences

    suffix = Path(arguments.out).suffix.lower()
    if kind == "series" and suffix not in (".csv", ".npz"):
        raise InputError(f"--out must end in .csv or .npz. Received: --out {arguments.out}")
    check_output(arguments.out, kind)
    keep = None if arguments.keep is None else names_of("--keep", arguments.keep)
    model = open_model(arguments.name)
    options = taken(arguments, ("particles", *FILLING), model.options["impute"])
    options = with_progress(options, model)
    sequences = open_series(model, arguments.data, arguments.id)
    if keep is not None or arguments.rows is not None:
        sequences = make_gaps(sequences, keep, arguments.rows)
    arrays, gaps = impute_series(model, sequences, arguments.num_samples, arguments.seed, **options)
    times = sequences.times
    if times is not None:
        times = [stamps for stamps in times for _ in range(arguments.num_samples)]
    keys = {
        "id": [identity for identity in sequences.ids for _ in range(arguments.num_samples)],
        "sample": [*range(1, arguments.num_samples + 1)] * len(sequences),
    }
    written = write_sequences(
        arguments.out, arrays, sequences.features, kind, times=times, keys=keys,
        sample_rate=sequences.sample_rate,
    )  # fmt: skip
    for path in written:
        show(f"Wrote {path}: {gaps:,} missing values filled")
