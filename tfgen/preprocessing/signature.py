"""The arguments of a layer's constructor that a file may hold."""

import inspect


def argument_names(cls):
    """Returns the names of a constructor's own arguments, in order.

    Those of Keras' base class, which can name further objects to build, are not among them: they
    are behind `**kwargs` (and, in some releases of Python, `*args`).
    """
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(cls).parameters.values()
    return [each.name for each in parameters if each.kind not in variable]
