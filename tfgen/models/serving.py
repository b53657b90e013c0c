"""Signatures of a SavedModel with fewer inputs: what may be left out has its default."""

import tensorflow as tf

from tfgen.models.conditions import NO_CLASS


def with_defaults(endpoints, defaults):
    """Returns endpoints, and of each that has inputs with a default one without these.

    A signature of a SavedModel has no optional inputs, so `forecast` has `forecast_default` beside
    it. That one calls the other's graph and is nothing but the inputs that are left out.

    Args:
        endpoints: As of `tfgen.export.write_saved_model`, the functions being `tf.function`s of a
            dict.
        defaults: Dict from the name of an input to a function of a dict of the other inputs, which
            gives a tensor; or for one endpoint alone, from `"endpoint.input"`.
    """
    found = {}
    for name, (function, specs) in endpoints.items():
        found[name] = _of_keywords(function), specs
        own = {key: defaults[f"{name}.{key}"] for key in specs if f"{name}.{key}" in defaults}
        optional = {key: defaults[key] for key in specs if key in defaults} | own
        needed = {key: spec for key, spec in specs.items() if key not in optional}
        if optional:
            found[f"{name}_default"] = _of_keywords(_completed(function, optional)), needed
    return found


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


def _of_keywords(function):
    return lambda **arguments: function(arguments)


def _completed(function, optional):
    def complete(arguments):
        return function({**arguments, **{name: make(arguments) for name, make in optional.items()}})

    return complete
