"""The arguments of a constructor: their names, defaults and explanations, and checks of a call."""

import dataclasses
import inspect
import re

from tfgen.errors import InputError, unknown

_NO_DEFAULT = inspect.Parameter.empty


@dataclasses.dataclass(frozen=True)
class Argument:
    """One argument of a constructor."""

    name: str
    default: object  # inspect.Parameter.empty where the argument has to be given
    help: str

    @property
    def required(self):
        return self.default is _NO_DEFAULT

    def __str__(self):
        default = "" if self.required else f" = {self.default!r}"
        return f"{self.name}{default}"


def arguments_of(cls, inherited=False):
    """Returns `{name: Argument}` for what the constructor of a class takes.

    Args:
        cls: The class. Its docstring's `Args:` section explains the arguments.
        inherited: Also the arguments that `**kwargs` hands on to the classes above, e.g. `name`
            and `dtype` of a Keras layer.
    """
    arguments = {}
    for owner in cls.__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = list(inspect.signature(owner.__init__).parameters.values())[1:]  # not self
        # A subclass may explain what it inherits, and a part what is handed on to it.
        parts = [part.__doc__ for part in reversed(_parts(owner))]
        documented = (*parts, owner.__init__.__doc__, owner.__doc__, cls.__doc__)
        explained = {name: text for doc in documented for name, text in _explained(doc).items()}
        above = bool(arguments)
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            if above and parameter.default is _NO_DEFAULT:
                continue  # the subclass gives it, as LSTM gives RNN its cell
            arguments.setdefault(
                parameter.name,
                Argument(parameter.name, parameter.default, explained.get(parameter.name, "")),
            )
        hands_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        if not (inherited and hands_on):
            break
    return arguments


def _parts(cls):
    """The class of the part that a constructor makes of its arguments, of its part, and so on."""
    part = getattr(cls.__init__, "handed_on_to", None)
    return [] if part is None else [part, *_parts(part)]


def check_call(name, cls, given):
    """Raises an `InputError` unless `cls(**given)` has every argument it needs and no other.

    Args:
        name: The name that a person used for the class.
        cls: The class.
        given: The arguments of the call, a dictionary.
    """
    allowed = arguments_of(cls, inherited=True)
    for key in given:
        if key not in allowed:
            raise unknown(f"argument of '{name}'", key, allowed)
    missing = [key for key, argument in allowed.items() if argument.required and key not in given]
    if missing:
        takes = ", ".join(str(argument) for argument in arguments_of(cls).values())
        raise InputError(f"'{name}' needs {' and '.join(missing)}. It takes: {takes}")


def _explained(docstring):
    """Returns `{name: help}` of the `Args:` section of a docstring."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    if "Args:" not in lines:
        return {}
    explained, name, indent = {}, None, None
    for line in lines[lines.index("Args:") + 1 :]:
        if line.strip() and not line.startswith(" "):
            break  # the next section
        depth = len(line) - len(line.lstrip())
        entry = re.match(r"\s+(\*{0,2}\w+)(?:\s*\([^)]*\))?:\s*(.*)", line)
        if entry and (indent is None or depth == indent):
            name, indent = entry[1], depth
            explained[name] = entry[2]
        elif name and line.strip():
            explained[name] += f" {line.strip()}"
    return {key: text.strip() for key, text in explained.items()}
