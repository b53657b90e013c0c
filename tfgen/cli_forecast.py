"""`tfgen forecast` and `tfgen impute`: what comes after time series, and what is in their gaps."""

import sys
from pathlib import Path

from tfgen.arguments import Parser, integer, seed
from tfgen.cli_common import (
    NAME_HELP,
    add_dtype,
    check_counts,
    find_model,
    numbers_of,
    open_model,
    show,
    taken,
    with_progress,
)
from tfgen.cli_numbers import check_file, write_files
from tfgen.errors import InputError
from tfgen.files import atomic_file
from tfgen.recipe import GenerationConfig
from tfgen.uses import KINDS

# Rows that a forecast reads, unless told otherwise.
CONTEXT = 1000
# Options of a diffusion model.
_FILLING = "num_steps", "method", "resamplings"
# Of them a picture has so many for each row that is forecast.
_SHOWN = 4


def forecast_parser():
    parser = Parser("forecast", forecast, "Forecasts what comes after time series.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    _add_series_options(parser)
    parser.add_argument("--horizon", type=integer, required=True, help="rows to forecast")
    parser.add_argument(
        "--num-samples", type=integer, default=100, help="futures sampled for each series (100)"
    )
    parser.add_argument("--quantiles", default="0.1,0.5,0.9", help="default: 0.1,0.5,0.9")
    parser.add_argument(
        "--context",
        type=integer,
        help=f"rows before the forecast that are read (at most {CONTEXT})",
    )
    parser.add_argument(
        "--backtest",
        action="store_true",
        help="forecast the last --horizon rows of the data, whose values are then not read",
    )
    parser.add_argument("--temperature", type=float, help="below 1 narrows the samples")
    _add_diffusion_options(parser)
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write a .csv, .npz or .png (a picture for each series); default: CSV on stdout",
    )
    add_dtype(parser)
    return parser


def _add_series_options(parser):
    parser.add_argument(
        "--data", required=True, help="a path, or a built-in set's name; read as the model's own"
    )
    parser.add_argument("--id", help="only the series of this id")
    parser.add_argument("--seed", type=seed, help="the same seed gives the same samples")


def _add_diffusion_options(parser):
    group = parser.add_argument_group("diffusion models")
    fields = GenerationConfig.__dataclass_fields__
    for name in ("num_steps", "resamplings"):
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=integer, help=fields[name].metadata["help"])
    group.add_argument(
        "--method",
        help="how gaps are filled: by the network, if it was trained with infilling; else by "
        "repaint (default), or guidance",
    )


def forecast(arguments):
    """Forecasts the end of each series of data: `tfgen forecast`."""
    kind = find_model(arguments.name).data_kind
    _series_only("forecast", arguments.name, kind)
    check_counts(arguments, "horizon", "num_samples", "context")
    levels = numbers_of("--quantiles", arguments.quantiles)
    if not all(0 < level < 1 for level in levels) or len(set(levels)) < len(levels):
        raise InputError(
            "--quantiles takes different numbers between 0 and 1. "
            f"Received: --quantiles {arguments.quantiles}"
        )
    check_counts(arguments, "num_steps", "resamplings")
    if arguments.temperature is not None:
        GenerationConfig(temperature=arguments.temperature)
    if arguments.out is not None:
        check_file(arguments.out, kind)

    from tfgen.cli_series import forecast_series, open_series, read_context

    model = open_model(arguments.name, arguments.dtype)
    names = "temperature", *_FILLING
    options = taken(arguments, names, model.options["forecast"])
    options = with_progress(options, model)
    sequences = open_series(model, arguments.data, arguments.id)
    horizon, context = arguments.horizon, arguments.context
    if model.max_positions is not None:
        room = model.max_positions - horizon
        if room < 1 or (context or 1) > room:
            raise InputError(
                f"--context and --horizon together must be at most {model.max_positions}, the "
                f"model's max_length. Received: --context {context or CONTEXT} --horizon {horizon}"
            )
        context = min(context or CONTEXT, room)
    contexts = [
        read_context(
            sequences, number, context or CONTEXT, horizon, model.processor, arguments.backtest
        )
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
    _put_forecasts(arguments.out, contexts, found, sequences.features, levels)


def _put_forecasts(out, contexts, found, features, levels):
    """Prints forecasts, or writes them as the file's suffix says."""
    import numpy as np

    from tfgen.cli_tables import forecast_table, write_csv

    rows = [
        (context.id, context.future, each) for context, each in zip(contexts, found, strict=True)
    ]
    suffix = None if out is None else Path(out).suffix.lower()
    if suffix in (None, ".csv"):
        table = forecast_table(rows, features, levels)
        if out is None:
            write_csv(sys.stdout, table)
            return
        with atomic_file(out) as temporary, _open_csv(temporary) as file:
            write_csv(file, table)
        show(f"Wrote {out}")
        return
    if suffix == ".npz":
        content = {
            "ids": np.array([context.id for context in contexts]),
            "features": np.array([feature.name for feature in features]),
            "mean": np.stack([each.mean for each in found]),
            "levels": np.array(levels),
            # (series, levels, horizon, features) and (series, samples, horizon, features)
            "quantiles": np.stack([[each.quantiles[q] for q in levels] for each in found]),
            "samples": np.stack([each.samples for each in found]),
        }
        if all(context.future is not None for context in contexts):
            content["times"] = np.stack([context.future for context in contexts]).astype("M8[s]")
        with atomic_file(out) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **content)
        show(f"Wrote {out}")
        return
    timed = all(context.future is not None for context in contexts)
    shown = [min(len(context.values), _SHOWN * len(found[0].mean)) for context in contexts]
    write_files(
        out,
        [np.median(each.samples, axis=0) for each in found],
        features,
        "series",
        times=[context.future for context in contexts] if timed else None,
        ids=[context.id for context in contexts],
        quantiles={level: [each.quantiles[level] for each in found] for level in levels},
        history=[context.values[-n:] for context, n in zip(contexts, shown)],
        history_times=[context.times[-n:] for context, n in zip(contexts, shown)]
        if timed
        else None,
    )


def impute_parser():
    parser = Parser("impute", impute, "Fills the gaps of time series with what may stand there.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    _add_series_options(parser)
    parser.add_argument(
        "--num-samples", type=integer, default=10, help="complete series drawn of each (10)"
    )
    parser.add_argument(
        "--particles", type=integer, help="more come closer to the model (256); not for diffusion"
    )
    _add_diffusion_options(parser)
    parser.add_argument("--out", metavar="FILE", required=True, help="the .csv or .npz to write")
    return parser


def impute(arguments):
    """Fills what is missing in data: `tfgen impute`."""
    _series_only("impute", arguments.name, find_model(arguments.name).data_kind)
    check_counts(arguments, "num_samples", "num_steps", "resamplings")
    if arguments.particles is not None and arguments.particles < 2:
        raise InputError(f"--particles must be >= 2. Received: --particles {arguments.particles}")
    suffix = Path(arguments.out).suffix.lower()
    if suffix not in (".csv", ".npz"):
        raise InputError(f"--out must end in .csv or .npz. Received: --out {arguments.out}")

    from tfgen.cli_series import impute_series, open_series
    from tfgen.cli_tables import sample_table, write_arrays, write_csv

    model = open_model(arguments.name)
    options = taken(arguments, ("particles", *_FILLING), model.options["impute"])
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
    if suffix == ".csv":
        table = sample_table(arrays, sequences.features, times, keys)
        with atomic_file(arguments.out) as temporary, _open_csv(temporary) as file:
            write_csv(file, table)
    else:
        with atomic_file(arguments.out) as temporary:
            write_arrays(temporary, arrays, sequences.features, times, keys)
    show(f"Wrote {arguments.out}: {gaps:,} missing values filled")


def _series_only(verb, name, kind):
    if kind != "series":
        raise InputError(
            f"{verb} is for models of time series, and {name} is one of {KINDS[kind]}: "
            f"tfgen generate {name}"
        )


def _open_csv(path):
    # The end of a line is the table's own on every system.
    return open(path, "w", encoding="utf-8", errors="backslashreplace", newline="")
