"""`tfgen generate` with models of numbers: time series, pen strokes and sound."""

import contextlib
import re
import shlex
import sys

from tfgen.cli.arguments import add_fields, check_counts, given_fields, numbers_of, to_unicode
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
_GOES_ON = 64  # positions after a prompt


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
    from tfgen.report.output import check_output

    given_fields(arguments, ("length", *_SAMPLING), RolloutSampling, DiffusionSampling)
    check_counts(arguments, "num_samples")
    sources = None if arguments.source is None else [*map(to_unicode, arguments.source)]
    count = arguments.num_samples * len(sources or [None])
    if arguments.stream and (count > 1 or arguments.out):
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
    if arguments.prompts:
        arrays = _continued(model, arguments, sources)
        _write(arguments, kind, processor, arrays)
        return
    options = {
        "length": arguments.length,
        **taken(arguments, _SAMPLING, model.options["generate"]),
        "seed": arguments.seed,
        "condition": _class(arguments.condition, processor.classes),
        "static": static,
        "start_time": start,
    }
    if sources:
        options["source"] = [each for each in sources for _ in range(arguments.num_samples)]
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
    once = hasattr(model.engine, "without_xla") and count <= _FEW
    if once:
        model.engine.without_xla()
    with _unoptimised() if once else contextlib.nullcontext():
        arrays = list(model.generate(num_samples=count, **options))
    times = None
    if start is not None:
        times = [_times(processor, start, len(values)) for values in arrays]
    if arguments.out is None:
        numbers = range(1, len(arrays) + 1)
        _print_table(arrays, processor.features, times, {"sample": list(numbers)})
        return
    _write(arguments, kind, processor, arrays, times, options.get("source"))


def _write(arguments, kind, processor, arrays, times=None, ids=None):
    from tfgen.report.output import write_sequences

    written = write_sequences(
        arguments.out, arrays, processor.features, kind, times=times, ids=ids,
        sample_rate=processor.sample_rate,
    )  # fmt: skip
    for path in written:
        show(f"Wrote {path}")


def _continued(model, arguments, sources=None):
    """The first sequence of a file, with what may come after it: a list of arrays."""
    import numpy as np

    from tfgen.models.numbers.over_data import open_series
    from tfgen.preprocessing.told import told_of_one

    if len(arguments.prompts) > 1:
        raise InputError(f"One file is gone on with. Received: {len(arguments.prompts)} of them")
    for name in ("stream", "static", "start_time"):
        if getattr(arguments, name):
            raise InputError(f"--{name.replace('_', '-')} is not for what goes on with a file")
    if sources and len(sources) > 1:
        raise InputError(f"One text is gone on with. Received: {len(sources)} of --source")
    sequences = open_series(model, arguments.prompts[0], source=None).select([0])
    values, given = sequences.values[0], told_of_one(model.processor, sequences, 0)
    if arguments.condition is not None:
        given["condition"] = _class(arguments.condition, model.processor.classes)
    options = taken(arguments, _SAMPLING, model.options["forecast"])
    goes_on = _GOES_ON
    if sources:  # of what the file says, and what comes after it
        given["source"], goes_on = sources[0], model.processor.length
        values[0, :2] = 0
    horizon = arguments.length or model.generation.length or goes_on
    found = model.forecast(
        values, horizon, arguments.num_samples, seed=arguments.seed, **given, **options
    )
    arrays = []
    for sample in found.samples:
        there = np.flatnonzero(~np.isnan(sample).all(axis=1))  # it may end by itself
        stop = int(there[-1]) + 1 if len(there) else 0
        arrays.append(np.concatenate([values, sample[:stop]]))
    return arrays


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
