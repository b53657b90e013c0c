"""`tfgen generate` with models of numbers: time series, pen strokes and sound."""

import contextlib
import re
import shlex
import sys

from tfgen.cli.arguments import add_fields, check_counts, given_fields, numbers_of
from tfgen.cli.models import open_model, taken
from tfgen.cli.screen import show, with_progress
from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.recipe import DiffusionSampling, RolloutSampling

# Options that only a model of numbers takes.
_OWN = "length", "bias", "num_steps", "solver", "windows"
OPTIONS = (*_OWN, "start_time", "static")
# What says how is sampled, besides the length.
_SAMPLING = "temperature", "bias", "num_steps", "solver", "guidance_scale", "windows"
# Sequences by diffusion that are drawn before XLA would have compiled the loop.
_FEW = 32


def add_options(parser):
    """Adds the options that `generate` has for models of numbers."""
    group = parser.add_argument_group("models of numbers")
    add_fields(group, _OWN, RolloutSampling, DiffusionSampling)
    group.add_argument(
        "--start-time", metavar="TIME", help="series: when it begins, e.g. 2013-07-01T12:00"
    )
    group.add_argument("--static", metavar="X,Y", help="series: a number for each static column")


def run(arguments, kind):
    """Draws sequences and writes or prints them.

    Args:
        arguments: Those of `tfgen generate`.
        kind: What the model is of, as `zoo.find(name).data_kind` tells.
    """
    from tfgen.report.output import check_output, write_sequences

    given_fields(arguments, ("length", *_SAMPLING), RolloutSampling, DiffusionSampling)
    check_counts(arguments, "num_samples")
    if arguments.stream and (arguments.num_samples > 1 or arguments.out):
        raise InputError("--stream is for one sample and no --out")
    row = find_kind(kind)
    if row.audible and arguments.out is None:
        raise InputError(
            f"{row.words.capitalize()} has to go to a file: --out sample{row.usual_suffix}"
        )
    static = None if arguments.static is None else numbers_of("--static", arguments.static)
    start = None if arguments.start_time is None else _seconds(arguments.start_time)
    if arguments.out is not None:
        check_output(arguments.out, kind)

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
        if not model.can("stream"):
            raise InputError(f"--stream is not for {arguments.name}, which draws all rows at once")
        _stream(processor, model.stream(**options), start)
        return
    options = with_progress(options, model)
    once = hasattr(model.engine, "without_xla") and arguments.num_samples <= _FEW
    if once:
        model.engine.without_xla()
    with _unoptimised() if once else contextlib.nullcontext():
        arrays = list(model.generate(num_samples=arguments.num_samples, **options))
    times = None
    if start is not None:
        times = [_times(processor, start, len(values)) for values in arrays]
    if arguments.out is None:
        numbers = range(1, len(arrays) + 1)
        _print_table(arrays, processor.features, times, {"sample": list(numbers)})
        return
    written = write_sequences(
        arguments.out, arrays, processor.features, kind, times=times,
        sample_rate=processor.sample_rate,
    )  # fmt: skip
    for path in written:
        show(f"Wrote {path}")


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
    from tfgen.report.tables import sample_table, write_csv

    write_csv(sys.stdout, sample_table(arrays, features, times, keys), header)


def _class(text, classes):
    """The class that a person named: its name, or else its number."""
    if text is None or text in classes or not re.fullmatch(r"[+-]?\d{1,9}", text):
        return text
    return int(text)


def _seconds(text):
    """Returns seconds since 1970 of an ISO 8601 text, or of more digits than a year has."""
    import numpy as np

    if re.fullmatch(r"-?\d{5,18}", text):
        return int(text)
    try:
        time = np.datetime64(text.removesuffix("Z"), "s")
    except ValueError:
        time = np.datetime64("NaT")
    if np.isnat(time):
        raise InputError(
            f"--start-time takes ISO 8601, e.g. 2013-07-01T12:00. Received: --start-time {text}"
        )
    return int(time.astype(np.int64))


def _times(processor, start, count):
    import numpy as np

    return processor.times_after(np.int64(start), np.arange(count))
