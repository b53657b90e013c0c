"""The options of a model of numbers: what its engine's methods take by keyword."""

import inspect

from tfgen.errors import InputError, unknown


def options_of(engine, method):
    """The names of what a method of a model takes that is its engine's own.

    Args:
        engine: A class of engines, or one.
        method: Name of the method; an engine that lacks it has none.
    """
    engine = getattr(engine, "engines", [engine])[0]  # of a mixture those of its members
    parameters = inspect.signature(getattr(engine, method, lambda: None)).parameters.values()
    return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)


def sampling_options(engine):
    """What says how is sampled, of the methods that do: a dict from these to names."""
    return {
        method: tuple(name for name in options_of(engine, method) if name != "progress")
        for method in ("generate", "forecast", "impute")
    }


def check_options(model, method, options, called=None):
    """Refuses methods that the engine of a model does not have, and options that it does not take.

    Args:
        model: A `NumbersModel`.
        method: Of the engine.
        options: Dict of what was given.
        called: The model's method, if it has another name.
    """
    if method in getattr(model.engine, "refusals", {}):
        raise InputError(f"This model has no {method}: {model.engine.refusals[method]}")
    if not hasattr(model.engine, method):
        if hasattr(model.engine, "engines"):
            raise InputError(f"{method} is for a single model, and this is a mixture of several")
        able = "diffusion models"
        if method == "stream":
            able = f"models that go from position to position and {able}"
        raise InputError(f"{method} is for {able}, and this one is none")
    allowed = options_of(model.engine, method)
    for name in options:
        if name not in allowed:
            called = called or method
            own = inspect.signature(getattr(type(model), called)).parameters
            names = [each for each in own if each not in ("self", "options")]
            raise unknown(f"argument of {called} of this model", name, [*names, *allowed])
