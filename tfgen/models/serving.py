"""Signatures of a SavedModel with fewer inputs: what may be left out has its default."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfgen import export
from tfgen.errors import InputError
from tfgen.export import Function
from tfgen.models.conditions import NO_CLASS
from tfgen.sampling import inversion, random
from tfgen.sampling.buckets import row_bucket
from tfgen.values import whole_number

MOST_WARM = 4096  # rows of a request that servers warm up by
# What is told of sequences, a row for each.
_OF_ROWS = ("condition", "static", "known", "start_time", "source")


def write(model, filepath, format, verbose, warm, length=1):
    """`export` of a model.

    Args:
        model: The model.
        filepath: As there, as the others.
        format: As there.
        verbose: As there.
        warm: As there.
        length: Positions of what is told of a sequence position by position.
    """
    functions = model.functions(export.find_format(format).random)
    sizes = [whole_number("warm", size, 1) for size in warm]
    if max(sizes, default=0) > MOST_WARM:
        raise InputError(f"warm must be at most {MOST_WARM} rows. Received: warm={max(sizes)}")
    sizes = sorted({int(row_bucket(tf.constant(size))) for size in sizes})
    specs = next(each.specs for each in functions if each.name == "serving_default")
    requests = [_request(specs, size, length) for size in sizes]
    export.write(functions, filepath, format, verbose, requests)


def _request(specs, rows, length):
    """Inputs of so many rows: empty texts, and nothing told, as far as the model can do so."""
    sequences = 1 if "num_samples" in specs else rows  # what is told of one holds for all samples

    def tensor(name, spec):
        if name == "num_samples":
            return tf.constant(rows, spec.dtype)
        shape = [size or (length if axis else sequences) for axis, size in enumerate(spec.shape)]
        nothing = NO_CLASS if name == "condition" and len(shape) == 1 else 0
        return tf.constant(np.full(shape, "" if spec.dtype == tf.string else nothing), spec.dtype)

    return {name: tensor(name, spec) for name, spec in specs.items()}


def with_defaults(functions, defaults):
    """Returns functions, and of each that has inputs with a default one without these.

    A signature of a SavedModel has no optional inputs, so `forecast` has `forecast_default` beside
    it. That one calls the other's graph and is nothing but the inputs that are left out.

    Args:
        functions: List of `tfgen.export.Function`s, whose calls are `tf.function`s.
        defaults: Dict from the name of an input to a function of a dict of the other inputs, which
            gives a tensor; or for one function alone, from `"function.input"`.
    """
    found = []
    for function in functions:
        name, specs = function.name, function.specs
        found.append(function)
        own = {key: defaults[f"{name}.{key}"] for key in specs if f"{name}.{key}" in defaults}
        optional = {key: defaults[key] for key in specs if key in defaults} | own
        needed = {key: spec for key, spec in specs.items() if key not in optional}
        if optional:
            call = _completed(function.call, optional)
            found.append(Function(f"{name}_default", call, needed))
    return found


def without_random_operations(functions):
    """Returns functions whose graphs have no operation for random numbers, and nothing compiled.

    What they sample for a seed is what the others sample.
    """

    def plain(call):
        def run(arguments):
            # Functions that were traced before stand in graphs as they were traced, so these call
            # what is inside them.
            before = tf.config.functions_run_eagerly()
            tf.config.run_functions_eagerly(True)
            try:
                with random.arithmetic():
                    return call(arguments)
            finally:
                tf.config.run_functions_eagerly(before)

        return run

    return [each._replace(call=plain(each.call)) for each in functions]


def walking(decode):
    """The function `interpolate`: what is decoded on the way from one latent vector to another.

    Args:
        decode: The `tfgen.export.Function` that decodes latents `(batch, latent_size)`. This one
            takes two of them and `steps`, and of what is told of sequences the first row; its
            outputs have a row for each step. All have the same noise, as of
            `SequenceGenerator.interpolate`.
    """
    size = decode.specs["latents"].shape[-1]
    ends = tf.TensorSpec([2, size], tf.float32)
    specs = {**decode.specs, "latents": ends, "steps": tf.TensorSpec([], tf.int32)}

    def call(arguments):
        once = tf.function(decode.call, input_signature=[decode.specs], autograph=False)
        dtypes = tf.nest.map_structure(
            lambda each: each.dtype, once.get_concrete_function().structured_outputs
        )
        own = {name: arguments[name] for name in decode.specs}
        own |= {name: own[name][:1] for name in _OF_ROWS if name in own}
        begin, end = tf.split(arguments["latents"], 2)
        way = inversion.interpolate(begin, end, tf.linspace(0.0, 1.0, arguments["steps"]))[0]

        def one(latents):
            found = once({**own, "latents": latents[None]})
            return tf.nest.map_structure(lambda each: each[0] if each.shape.rank else each, found)

        return tf.map_fn(one, way, fn_output_signature=dtypes)

    return Function("interpolate", call, specs)


def option_specs(options, *names):
    """The inputs for a seed and for options: a dict from names to `tf.TensorSpec`.

    Args:
        options: A dataclass of them, of `tfgen.recipe`.
        *names: Of its fields that are inputs.
    """
    types = {each.name: each.type for each in dataclasses.fields(options)}
    specs = {
        float: tf.TensorSpec([], tf.float32),
        int: tf.TensorSpec([], tf.int32),
        tuple[str, ...]: tf.TensorSpec([None], tf.string),
    }
    return {"seed": tf.TensorSpec([], tf.int64), **{name: specs[types[name]] for name in names}}


def constant(value, dtype=None):
    """A default that is always the same."""
    return lambda arguments: tf.constant(value, dtype)


def no_class(arguments):
    """The default of `condition`: no class, for each series."""
    return tf.fill([_series(arguments)[0]], NO_CLASS)


def whole(frame):
    """The default of `lengths`: every series is as long as the array, which has so many positions
    of `frame` samples each."""

    def lengths(arguments):
        rows, time = _series(arguments)
        return tf.fill([rows], time * (frame if "latents" in arguments else 1))

    return lengths


def _series(arguments):
    shape = tf.shape(arguments["values" if "values" in arguments else "latents"])
    return shape[0], shape[1]


def _completed(function, optional):
    def complete(arguments):
        return function({**arguments, **{name: make(arguments) for name, make in optional.items()}})

    return complete
