"""What the verbs do with sequences of numbers: time series, pen strokes and sound."""

import contextlib
import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from tfgen.arguments import integer
from tfgen.cli_common import (
    check_counts,
    names_of,
    numbers_of,
    open_model,
    refuse,
    show,
    taken,
    waiting,
    with_progress,
)
from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file
from tfgen.recipe import GenerationConfig
from tfgen.zoo.usage import USUAL_SUFFIX

# Options that only a model of numbers takes.
GENERATE_OPTIONS = (
    "length", "bias", "start_time", "static", "num_steps", "solver",
)  # fmt: skip
# Those of them, and of all models, that say how is sampled.
_SAMPLING = ("temperature", "bias", "num_steps", "solver", "guidance_scale")
EVALUATE_OPTIONS = (
    "runs", "horizon", "context", "season", "num_samples", "samples", "length", "metrics",
    "max_sequences", "scale",
)  # fmt: skip
# Sequences by diffusion that are drawn before XLA would have compiled the loop.
_FEW = 32
# Sequences in the picture of `inspect`.
_DRAWN = {"series": 4, "strokes": 100, "audio": 6}
_SCALES = ("unit", "data")
# The files of a report, by the suffix of --out.
_REPORTS = {".json": "report.json", ".html": "report.html"}


# generate


def add_generate_options(parser):
    """Adds the options that `generate` has for models of numbers."""
    group = parser.add_argument_group("models of numbers")
    fields = GenerationConfig.__dataclass_fields__
    kinds = {"length": int, "bias": float, "num_steps": int, "solver": str}
    for name, kind in kinds.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=kind, help=fields[name].metadata["help"])
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
    sampling = {name: getattr(arguments, name) for name in ("length", *_SAMPLING)}
    GenerationConfig(**{name: value for name, value in sampling.items() if value is not None})
    check_counts(arguments, "num_samples")
    if arguments.stream and (arguments.num_samples > 1 or arguments.out):
        raise InputError("--stream is for one sample and no --out")
    if kind == "audio" and arguments.out is None:
        raise InputError(f"Sound has to go to a file: --out sample{USUAL_SUFFIX[kind]}")
    static = None if arguments.static is None else numbers_of("--static", arguments.static)
    start = None if arguments.start_time is None else _seconds(arguments.start_time)
    if arguments.out is not None:
        check_file(arguments.out, kind)

    model = open_model(arguments.name, arguments.dtype)
    processor = model.processor
    if processor.known_names:
        raise InputError(
            f"{arguments.name} is told {', '.join(processor.known_names)} beforehand, which this "
            f"command cannot: use tfgen forecast {shlex.quote(arguments.name)} --data FILE "
            "--horizon ROWS, or model.generate(known=...) in Python"
        )
    options = {
        "length": arguments.length,
        **taken(arguments, _SAMPLING, model.options["generate"]),
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
        if not hasattr(model, "stream"):
            raise InputError(f"--stream is not for {arguments.name}, which draws all rows at once")
        _stream(processor, model.stream(**options), start)
        return
    options = with_progress(options, model)
    once = hasattr(model, "without_xla") and arguments.num_samples <= _FEW
    if once:
        model.without_xla()
    with _unoptimised() if once else contextlib.nullcontext():
        arrays = list(model.generate(num_samples=arguments.num_samples, **options))
    times = None
    if start is not None:
        times = [_times(processor, start, len(values)) for values in arrays]
    if arguments.out is None:
        numbers = range(1, len(arrays) + 1)
        _print_table(arrays, processor.features, times, {"sample": list(numbers)})
        return
    write_files(
        arguments.out, arrays, processor.features, kind, times=times,
        sample_rate=processor.sample_rate,
    )  # fmt: skip


@contextlib.contextmanager
def _unoptimised():
    """A graph that runs once is not worth the seconds in which TensorFlow would make it faster."""
    import tensorflow as tf

    name = "disable_meta_optimizer"
    before = tf.config.optimizer.get_experimental_options().get(name, False)
    tf.config.optimizer.set_experimental_options({name: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({name: before})


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
    import numpy as np

    return processor.times_after(np.int64(start), np.arange(count))


# inspect, evaluate, export


def inspect(config, kind, out=None):
    """Tells what is in sequences of numbers, and draws it if there is an `out`."""
    from tfgen.data import inspect_sequences, open_sequences

    if out is not None:
        if Path(out).suffix.lower() != ".png":
            raise InputError(f"inspect draws a .png. Received: --out {out}")
        check_file(out, kind)
    with waiting(f"reading {config.name}"):
        told = inspect_sequences(config)
    show(told)
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
    write_files(
        out, chosen.values, chosen.features, kind, times=chosen.times, ids=ids,
        sample_rate=chosen.sample_rate, title=sequences.name,
    )  # fmt: skip


def add_evaluate_options(parser):
    """Adds the options that `evaluate` has for models of numbers."""
    group = parser.add_argument_group("models of numbers")
    group.add_argument("--runs", type=integer, help="each score is the mean of so many runs (5)")
    group.add_argument("--horizon", type=integer, help="rows of a forecast (a day, or 24)")
    group.add_argument(
        "--context", type=integer, help="rows that a forecast reads (training.window)"
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
        metavar="|".join(_SCALES),
        help="compare windows with real ones in [0, 1] (unit), or in the data's own units (data)",
    )
    group.add_argument("--metrics", metavar="A,B", help="only these, e.g. likelihood,forecast")


def refuse_evaluate_options(arguments):
    """Refuses what only a model of numbers takes."""
    refuse(
        arguments, EVALUATE_OPTIONS, f"is for models of numbers, and {arguments.name} writes text"
    )


def evaluate(arguments):
    """Prints the report on a model of numbers, and writes it as JSON or as a page."""
    others = "season", "metrics", "scale"
    counts = [name for name in EVALUATE_OPTIONS if name not in others]
    check_counts(arguments, *counts)
    if arguments.scale not in (None, *_SCALES):
        raise unknown("--scale", arguments.scale, _SCALES)
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None and out.suffix.lower() not in _REPORTS:
        raise InputError(f"--out must end in .json or .html. Received: --out {out}")
    metrics = None if arguments.metrics is None else names_of("--metrics", arguments.metrics)
    season = None if arguments.season is None else numbers_of("--season", arguments.season)
    if season is not None and not all(each >= 1 and each % 1 == 0 for each in season):
        raise InputError(f"--season must be integers from 1. Received: --season {arguments.season}")
    model = open_model(arguments.name, arguments.dtype)
    from tfgen.cli_series import data_of
    from tfgen.evaluation import evaluate_sequences

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
        _print_results(results)
        if out is not None:
            with atomic_file(out) as temporary:
                shutil.copyfile(Path(options["report"]) / _REPORTS[out.suffix.lower()], temporary)
            show(f"Wrote {out}")


def _print_results(results, heading=""):
    """Prints a report: its facts, and its scores beside those of real data and of a naive model."""
    from tfgen.zoo.description import readable

    scores = {key: value for key, value in results.items() if _is_score(value)}
    sections = {k: v for k, v in results.items() if isinstance(v, dict) and k not in scores}
    facts = {k: v for k, v in results.items() if k not in {*scores, *sections}}
    facts = {key: value for key, value in facts.items() if value not in (None, [], "")}
    if heading and (scores or facts):
        show(f"\n{heading}")
    width = max((len(key) for key in (*facts, *scores)), default=0)
    for key, value in facts.items():
        show(f"{key.replace('_', ' '):<{width}}  {readable(value)}")
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
        show(f"{key.replace('_', ' '):<{width}}  {'   '.join(cells)}")
    for key, value in sections.items():
        _print_results(value, f"{heading}, {key}".strip(", ").replace("_", " "))


def _is_score(value):
    return isinstance(value, dict) and {"mean", "spread"} <= value.keys()


def _with_spread(mean, spread):
    if mean is None:
        return "none"
    return f"{mean:.4g}" + ("" if spread is None else f" ± {spread:.2g}")


# Files


def check_file(path, kind):
    from tfgen.data.writers import check_output

    check_output(path, kind)


def write_files(path, arrays, features, kind, **options):
    from tfgen.data.writers import write_sequences

    for written in write_sequences(path, arrays, features, kind, **options):
        show(f"Wrote {written}")
