"""What of a model of numbers is served: its functions, and those with fewer inputs."""

import tensorflow as tf

from tfgen.export import Function
from tfgen.models.conditions import NO_CLASS
from tfgen.models.numbers.calibration import calibrated_function
from tfgen.models.numbers.lengths import length_of
from tfgen.models.numbers.results import QUANTILES
from tfgen.models.serving import (
    constant,
    no_class,
    whole,
    with_defaults,
    without_random_operations,
)
from tfgen.sampling.random import serving_seed


def served(model, random):
    """The `tfgen.export.Function`s of a `NumbersModel`, as its `functions` tells."""
    engine, processor = model.engine, model.processor
    functions = engine.functions(model.defaults)
    if model.calibration is not None:
        forecast = next(each for each in functions if each.name == "forecast")
        functions.append(calibrated_function(model, forecast))
    sampling = engine.serving_defaults(model.defaults)

    def length(arguments):
        """Positions to draw: as many as the model is told of, or its default."""
        if "known" in arguments:
            return tf.shape(arguments["known"])[1]
        return tf.constant(length_of(model, None))

    defaults = {
        "lengths": whole(engine.positions.frame),
        "condition": no_class,
        "generate.condition": constant([NO_CLASS]),
        "stream.condition": constant([NO_CLASS]),
        "start_time": constant([processor.start_time or 0], tf.int64),
        **({"seed": lambda arguments: serving_seed()} if random else {}),
        "score.seed": constant(0, tf.int64),
        "length": length,
        "num_samples": constant(100),
        "generate.num_samples": constant(1),
        "impute.num_samples": constant(10),
        "quantiles": constant(QUANTILES),
        **sampling,
    }
    generate = next(each for each in functions if each.name == "generate")
    # A condition and the time of the beginning are to be given.
    own = defaults.keys() & {"seed", "length", *sampling}
    own = [name for name in generate.specs if name in own]
    needed = {name: spec for name, spec in generate.specs.items() if name not in own}

    def serve(arguments):
        return generate.call({**{name: defaults[name](arguments) for name in own}, **arguments})

    found = [Function("serving_default", serve, needed), *with_defaults(functions, defaults)]
    return found if random else without_random_operations(found)
