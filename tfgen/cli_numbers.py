"""The verbs of the command line for sequences of numbers: time series, pen strokes and sound."""

import contextlib
import math
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tfgen.arguments import Parser
from tfgen.cli_common import (
    MODELS_OF,
    NAME_HELP,
    add_dtype,
    check_counts,
    find_model,
    names_of,
    open_model,
    refuse,
)
from tfgen.errors import InputError
from tfgen.files import atomic_file
from tfgen.recipe import GenerationConfig

# What a person wants most of the samples of each kind.
USUAL_SUFFIX = {"series": ".csv", "strokes": ".svg", "audio": ".wav"}
# Options that only a model of numbers takes.
GENERATE_OPTIONS = ("length", "bias", "start_time", "static")
EVALUATE_OPTIONS = (
    "runs", "horizon", "context", "num_samples", "samples", "length", "metrics",
)  # fmt: skip
# Rows that a forecast reads, unless told otherwise.
CONTEXT = 1000
# Of them a picture has so many for each row that is forecast.
_SHOWN = 4
# Futures that are drawn at once.
_ROWS = 4096
# Sequences in the picture of `inspect`.
_DRAWN = {"series": 4, "strokes": 100, "audio": 6}
# The files of a report, by the suffix of --out.
_REPORTS = {".json": "report.json", ".html": "report.html"}


# generate


def add_generate_options(parser):
    """Adds the options that `generate` has for models of numbers."""
    group = parser.add_argument_group("models of numbers")
    fields = GenerationConfig.__dataclass_fields__
    for name, kind in {"length": int, "bias": float}.items():
        group.add_argument(f"--{name}", type=kind, help=fields[name].metadata["help"])
    group.add_argument(
        "--start-time", metavar="TIME", help="series: when it begins, e.g. 2013-07-01T12:00"
    )
    group.add_argument("--static", metavar="X,Y", help="series: a number for each static column")


def refuse_generate_options(arguments):
    """Refuses what only a model of numbers takes."""
    refuse(
        arguments, GENERATE_OPTIONS, f"is for models of numbers, and {arguments.name} writes text"
    )


def generate(arguments, kind):
    """Draws sequences and writes or prints them.

    Args:
        arguments: Those of `tfgen generate`.
        kind: What the model is of, as `zoo.find(name).data_kind` tells.
    """
    sampling = {name: getattr(arguments, name) for name in ("length", "temperature", "bias")}
    GenerationConfig(**{name: value for name, value in sampling.items() if value is not None})
    check_counts(arguments, "num_samples")
    if arguments.stream and (arguments.num_samples > 1 or arguments.out):
        raise InputError("--stream is for one sample and no --out")
    if kind == "audio" and arguments.out is None:
        raise InputError(f"Sound has to go to a file: --out sample{USUAL_SUFFIX[kind]}")
    static = None if arguments.static is None else _numbers("--static", arguments.static)
    start = None if arguments.start_time is None else _seconds(arguments.start_time)
    if arguments.out is not None:
        _check_output(arguments.out, kind)

    model = open_model(arguments.name, arguments.dtype)
    processor = model.processor
    if processor.known_names:
        raise InputError(
            f"{arguments.name} is told {', '.join(processor.known_names)} beforehand, which this "
            "command cannot: use tfgen forecast, or model.generate(known=...) in Python"
        )
    options = {
        **sampling,
        "seed": arguments.seed,
        "condition": _class(arguments.condition, processor.classes),
        "static": static,
        "start_time": start,
    }
    if processor.step is None:
        start = None  # of rows without times
    elif start is None:
        start = processor.start_time
    if arguments.stream:
        _stream(processor, model.stream(**options), start)
        return
    arrays = list(model.generate(num_samples=arguments.num_samples, **options))
    times = None
    if start is not None:
        times = [_times(processor, start, len(values)) for values in arrays]
    if arguments.out is None:
        numbers = range(1, len(arrays) + 1)
        _print_table(arrays, processor.features, times, {"sample": list(numbers)})
        return
    _write(
        arguments.out, arrays, processor.features, kind, times=times,
        sample_rate=processor.sample_rate,
    )  # fmt: skip


def _stream(processor, pieces, start):
    """Prints the pieces of one sequence as rows, each as soon as it is there."""
    done = 0
    for piece in pieces:
        times = None
        if start is not None:
            times = [_times(processor, start, done + len(piece))[done:]]
        header = not done
        _print_table([piece], processor.features, times, {"sample": [1]}, header)
        sys.stdout.flush()
        done += len(piece)


def _print_table(arrays, features, times, keys, header=True):
    from tfgen.cli_tables import sample_table, write_csv

    write_csv(sys.stdout, sample_table(arrays, features, times, keys), header)


def _class(text, classes):
    """The class that a person named: its name, or else its number."""
    if text is None or text in classes or not re.fullmatch(r"[+-]?\d{1,9}", text):
        return text
    return int(text)


def _seconds(text):
    from tfgen.cli_tables import parse_time

    return parse_time(text)


def _times(processor, start, count):
    from tfgen.cli_tables import times_from

    return times_from(start, processor.step, count)


def _numbers(option, text):
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) for value in values):
        raise InputError(f"{option} takes numbers with commas between. Received: {option} {text}")
    return values


# forecast, impute


def forecast_parser():
    parser = Parser("forecast", forecast, "Forecasts what comes after time series.")
    parser.add_argument("name", metavar="NAME", help=NAME_HELP)
    _add_series_options(parser)
    parser.add_argument("--horizon", type=int, required=True, help="rows to forecast")
    parser.add_argument(
        "--num-samples", type=int, default=100, help="futures that are drawn for each series (100)"
    )
    parser.add_argument("--quantiles", default="0.1,0.5,0.9", help="default: 0.1,0.5,0.9")
    parser.add_argument(
        "--context", type=int, help=f"rows before the forecast that are read (at most {CONTEXT})"
    )
    parser.add_argument("--temperature", type=float, help="below 1 narrows what is drawn")
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
    parser.add_argument("--seed", type=int, help="the same seed gives the same samples")


def forecast(arguments):
    """Forecasts the end of each series of data: `tfgen forecast`."""
    kind = find_model(arguments.name).data_kind
    _series_only("forecast", arguments.name, kind)
    check_counts(arguments, "horizon", "num_samples", "context")
    levels = _numbers("--quantiles", arguments.quantiles)
    if not all(0 < level < 1 for level in levels) or len(set(levels)) < len(levels):
        raise InputError(
            "--quantiles takes different numbers between 0 and 1. "
            f"Received: --quantiles {arguments.quantiles}"
        )
    if arguments.temperature is not None:
        GenerationConfig(temperature=arguments.temperature)
    if arguments.out is not None:
        _check_output(arguments.out, kind)

    from tfgen.cli_series import forecast_series, open_series, read_context

    model = open_model(arguments.name, arguments.dtype)
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
        read_context(sequences, number, context or CONTEXT, horizon, model.processor.step)
        for number in range(len(sequences))
    ]
    found = forecast_series(
        model,
        contexts,
        horizon,
        num_samples=arguments.num_samples,
        quantiles=levels,
        seed=arguments.seed,
        temperature=arguments.temperature,
        rows=_ROWS,
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
        with atomic_file(out) as temporary, _open(temporary) as file:
            write_csv(file, table)
        print(f"Wrote {out}")
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
        print(f"Wrote {out}")
        return
    timed = all(context.future is not None for context in contexts)
    shown = [min(len(context.values), _SHOWN * len(found[0].mean)) for context in contexts]
    _write(
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
        "--num-samples", type=int, default=10, help="complete series drawn of each (10)"
    )
    parser.add_argument(
        "--particles", type=int, default=256, help="more come closer to the model (256)"
    )
    parser.add_argument("--out", metavar="FILE", required=True, help="the .csv or .npz to write")
    return parser


def impute(arguments):
    """Fills what is missing in data: `tfgen impute`."""
    _series_only("impute", arguments.name, find_model(arguments.name).data_kind)
    check_counts(arguments, "num_samples")
    if arguments.particles < 2:
        raise InputError(f"--particles must be >= 2. Received: --particles {arguments.particles}")
    suffix = Path(arguments.out).suffix.lower()
    if suffix not in (".csv", ".npz"):
        raise InputError(f"--out must end in .csv or .npz. Received: --out {arguments.out}")

    from tfgen.cli_series import impute_series, open_series
    from tfgen.cli_tables import sample_table, write_arrays, write_csv

    model = open_model(arguments.name)
    sequences = open_series(model, arguments.data, arguments.id)
    arrays, gaps = impute_series(
        model, sequences, arguments.num_samples, arguments.seed, arguments.particles
    )
    times = sequences.times
    if times is not None:
        times = [stamps for stamps in times for _ in range(arguments.num_samples)]
    keys = {
        "id": [identity for identity in sequences.ids for _ in range(arguments.num_samples)],
        "sample": [*range(1, arguments.num_samples + 1)] * len(sequences),
    }
    if suffix == ".csv":
        table = sample_table(arrays, sequences.features, times, keys)
        with atomic_file(arguments.out) as temporary, _open(temporary) as file:
            write_csv(file, table)
    else:
        with atomic_file(arguments.out) as temporary:
            write_arrays(temporary, arrays, sequences.features, times, keys)
    print(f"Wrote {arguments.out}: {gaps:,} missing values filled")


def _series_only(verb, name, kind):
    if kind != "series":
        raise InputError(
            f"{verb} is for models of time series, and {name} is one of {MODELS_OF[kind]}: "
            f"tfgen generate {name}"
        )


# inspect, evaluate, export


def inspect(config, kind, out=None):
    """Tells what is in sequences of numbers, and draws it if there is an `out`."""
    from tfgen.data import inspect_sequences, open_sequences

    if out is not None:
        if Path(out).suffix.lower() != ".png":
            raise InputError(f"inspect draws a .png. Received: --out {out}")
        _check_output(out, kind)
    print(inspect_sequences(config))
    if out is None:
        return
    import numpy as np

    sequences = open_sequences(config)
    # Evenly spread, so that each class has its turn.
    count = min(len(sequences), _DRAWN[kind])
    chosen = sequences.select(np.arange(count) * len(sequences) // count)
    ids = None if kind == "strokes" else chosen.ids
    if chosen.labels is not None:
        ids = [chosen.classes[label] for label in chosen.labels]
    _write(
        out, chosen.values, chosen.features, kind, times=chosen.times, ids=ids,
        sample_rate=chosen.sample_rate, title=sequences.name,
    )  # fmt: skip


def add_evaluate_options(parser):
    """Adds the options that `evaluate` has for models of numbers."""
    group = parser.add_argument_group("models of numbers")
    group.add_argument("--runs", type=int, help="each score is the mean of so many runs (5)")
    group.add_argument("--horizon", type=int, help="rows of a forecast (a day, or 24)")
    group.add_argument("--context", type=int, help="rows that a forecast reads (training.window)")
    group.add_argument("--num-samples", type=int, help="futures of a forecast (100)")
    group.add_argument("--samples", type=int, help="sequences generated in a run (1000)")
    group.add_argument("--length", type=int, help="positions of each (24; of drawings the median)")
    group.add_argument("--metrics", metavar="A,B", help="only these, e.g. likelihood,forecast")


def refuse_evaluate_options(arguments):
    """Refuses what only a model of numbers takes."""
    refuse(
        arguments, EVALUATE_OPTIONS, f"is for models of numbers, and {arguments.name} writes text"
    )


def evaluate(arguments):
    """Prints the report on a model of numbers, and writes it as JSON or as a page."""
    check_counts(arguments, "runs", "horizon", "context", "num_samples", "samples", "length")
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None and out.suffix.lower() not in _REPORTS:
        raise InputError(f"--out must end in .json or .html. Received: --out {out}")
    metrics = None if arguments.metrics is None else names_of("--metrics", arguments.metrics)
    model = open_model(arguments.name, arguments.dtype)
    from tfgen.cli_series import data_of
    from tfgen.evaluation import evaluate_sequences

    options = {
        "split": arguments.split,
        "runs": arguments.runs,
        "horizon": arguments.horizon,
        "context": arguments.context,
        "num_samples": arguments.num_samples,
        "windows": arguments.samples,
        "length": arguments.length,
        "metrics": metrics,
        "seed": arguments.seed,
    }
    options = {name: value for name, value in options.items() if value is not None}
    with contextlib.ExitStack() as stack:
        if out is not None:
            options["report"] = stack.enter_context(tempfile.TemporaryDirectory())
        results = evaluate_sequences(
            model,
            data_of(model, arguments.data),
            say=lambda line: print(line, file=sys.stderr),
            **options,
        )
        _print_results(results)
        if out is not None:
            with atomic_file(out) as temporary:
                shutil.copyfile(Path(options["report"]) / _REPORTS[out.suffix.lower()], temporary)
            print(f"Wrote {out}")


def _print_results(results, heading=""):
    """Prints a report: its facts, and its scores beside those of real data and of a naive model."""
    from tfgen.zoo.description import readable

    scores = {key: value for key, value in results.items() if _is_score(value)}
    sections = {k: v for k, v in results.items() if isinstance(v, dict) and k not in scores}
    facts = {k: v for k, v in results.items() if k not in {*scores, *sections}}
    facts = {key: value for key, value in facts.items() if value not in (None, [], "")}
    if heading and (scores or facts):
        print(f"\n{heading}")
    width = max((len(key) for key in (*facts, *scores)), default=0)
    for key, value in facts.items():
        print(f"{key.replace('_', ' '):<{width}}  {readable(value)}")
    for key, value in scores.items():
        cells = [
            f"{name}{_with_spread(value.get(of), value.get(spread))}"
            for name, of, spread in (
                ("", "mean", "spread"),
                ("real ", "real", "real_spread"),
                ("naive ", "baseline", "baseline_spread"),
            )
            if of == "mean" or value.get(of) is not None
        ]
        print(f"{key.replace('_', ' '):<{width}}  {'   '.join(cells)}")
    for key, value in sections.items():
        _print_results(value, f"{heading}, {key}".strip(", ").replace("_", " "))


def _is_score(value):
    return isinstance(value, dict) and {"mean", "spread"} <= value.keys()


def _with_spread(mean, spread):
    if mean is None:
        return "none"
    return f"{mean:.4g}" + ("" if spread is None else f" ± {spread:.2g}")


def call(model):
    """Returns Python that calls the SavedModel of a model of numbers in `{folder}`."""
    processor = model.processor
    given = ["num_samples=tf.constant(2)"]
    if processor.num_classes:
        given.append("condition=tf.constant([0])")
    if processor.static_width:
        given.append(f"static=tf.constant({[[0.0] * processor.static_width]})")
    if processor.known_names:
        length = model.generation.length or processor.length
        given.append(f"known=tf.zeros([1, {length}, {len(processor.known_names)}])")
    if processor.needs_times:
        given.append(f"start_time=tf.constant([{processor.start_time}], tf.int64)")
    return _CALL.replace("ARGUMENTS", ",\n    ".join(given))


_CALL = """\
import tensorflow as tf

served = tf.saved_model.load({folder!r})
outputs = served.signatures["serving_default"](
    ARGUMENTS,
)
print(outputs["values"].numpy(), outputs["lengths"].numpy())"""


# Files


def _open(path):
    # The end of a line is the table's own on every system.
    return open(path, "w", encoding="utf-8", newline="")


def _check_output(path, kind):
    from tfgen.data.writers import check_output

    check_output(path, kind)


def _write(path, arrays, features, kind, **options):
    from tfgen.data.writers import write_sequences

    for written in write_sequences(path, arrays, features, kind, **options):
        print(f"Wrote {written}")
