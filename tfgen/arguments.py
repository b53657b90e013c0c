"""The arguments of constructors: their names, what is handed on to a part, a configuration of them.

This module imports Keras only when it is first needed.
"""

import functools
import inspect


def argument_names(cls):
    """Returns the names of a constructor's own arguments, in order.

    Those of Keras' base class, which can name further objects to build, are not among them: they
    are behind `**kwargs` (and, in some releases of Python, `*args`).
    """
    return [each.name for each in _named(inspect.signature(cls))]


def parameters_of(cls):
    """Returns `{name: inspect.Parameter}` of the constructor arguments of a class.

    What `**kwargs` hands on to the classes above counts as well, up to Keras' own.
    """
    import keras

    found = {}
    for owner in cls.__mro__:
        if owner in (keras.Model, keras.layers.Layer, object):
            break
        if "__init__" not in vars(owner):
            continue
        signature = inspect.signature(owner.__init__)
        for parameter in _named(signature):
            # What a class above has to be given, the class below gives it.
            if owner is cls or parameter.default is not parameter.empty:
                found.setdefault(parameter.name, parameter)
        if not any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values()):
            break
    found.pop("self", None)
    return found


def _named(signature):
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each for each in signature.parameters.values() if each.kind not in variable]


def hands_on_to(part, without=()):
    """Class decorator: the constructor makes a `part`, and has its optional arguments as well.

    An argument of the part then is named in the part alone. The constructor takes what is meant
    for it out of its `**kwargs` with `handed_on`.

    Args:
        part: Class of the part.
        without: Names of its arguments that are not handed on.
    """

    def decorate(cls):
        signature = inspect.signature(cls.__init__)
        *own, kwargs = signature.parameters.values()
        theirs = [
            each.replace(kind=each.KEYWORD_ONLY)
            for name, each in parameters_of(part).items()
            if name not in signature.parameters
            and name not in without
            and each.default is not each.empty
        ]
        cls.__init__.__signature__ = signature.replace(parameters=[*own, *theirs, kwargs])
        cls.__init__.handed_on_to = part
        return cls

    return decorate


def handed_on(cls, kwargs):
    """Takes what a class hands on to its part out of `kwargs`: a dict, with what was left out."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {
        each.name: kwargs.pop(each.name, each.default)
        for each in parameters
        if each.kind is each.KEYWORD_ONLY
    }


def has_arguments_of(other, without=()):
    """Decorator: a method has the arguments of another one, and gets them by keyword.

    Its own that may be given by their place take the place of the first of the other's. An argument
    then is named, with its default, by the other method alone.

    Args:
        other: The method.
        without: Names of its arguments that this one lacks.
    """

    def decorate(method):
        own = [
            each
            for each in inspect.signature(method).parameters.values()
            if each.kind is each.POSITIONAL_OR_KEYWORD
        ]
        theirs = [*inspect.signature(other).parameters.values()][len(own) :]
        signature = inspect.Signature(own + [each for each in theirs if each.name not in without])

        @functools.wraps(method)
        def called(*args, **kwargs):
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return method(**bound.arguments)

        called.__signature__ = signature
        return called

    return decorate


def constructor_config(layer, **others):
    """The arguments of an object's constructor, as `get_config` gives them.

    Args:
        layer: The object, each of whose arguments is an attribute of the same name.
        **others: The arguments that are none.
    """
    import keras

    found = {}
    for name in parameters_of(type(layer)):
        value = others[name] if name in others else getattr(layer, name)
        value = list(value) if isinstance(value, tuple) else value
        found[name] = keras.saving.serialize_keras_object(value)
    return found
