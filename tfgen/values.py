"""Single values of a recipe: their types, their checks, and how a command line spells them."""

import math
import numbers
import os
import re
import tomllib
from typing import NamedTuple

from tfgen.errors import InputError

# What TOML calls an integer. Seeds live in it as well.
MAX_INTEGER = 2**63 - 1
# What the int32 of a graph holds.
MAX_INT32 = 2**31 - 1


# tomllib takes time by the square of a key's parts, and a recipe's keys have two.
MOST_PARTS_OF_A_KEY = 8
# Strings and comments, in which dots are no keys'. One that is not closed goes to the end.
_NO_KEYS = re.compile(
    r"""
    \"{3} (?: [^"\\] | \\. | "{1,2}(?!") )*+ (?: "{3,5} | \Z )
    | '{3} (?: [^'] | '{1,2}(?!') )*+ (?: '{3,5} | \Z )
    | " (?: [^"\\\n] | \\[^\n] )*+ "?
    | ' [^'\n]*+ '?
    | \# [^\n]*+
    """,
    re.VERBOSE | re.DOTALL,
)
_DEEP_KEY = re.compile(
    r'(?<![\w"-]) (?: [\w-]++ | "" ) (?: [ \t]*+ \. [ \t]*+ (?: [\w-]++ | "" ) )'
    f"{{{MOST_PARTS_OF_A_KEY}}}",
    re.VERBOSE,
)


def load_toml(text):
    """Returns the tables of a TOML text, in a time that grows with its length.

    Raises:
        InputError: It is no TOML, or its keys or values are nested too deeply.
    """
    plain = _NO_KEYS.sub('""', text)
    deep = _DEEP_KEY.search(plain)
    if deep is not None:
        raise InputError(
            f"a key has more than {MOST_PARTS_OF_A_KEY} parts, which no setting has. "
            f"Received: {deep[0][:40]}"
        )
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise InputError(f"not valid TOML: {error}") from None
    except RecursionError:
        raise InputError("not valid TOML: nested too deeply") from None


def parse_value(text):
    """Returns the value of a command line's text.

    The text is TOML (`3`, `1e-3`, `true`, `"a b"`, `["x", "y"]`); `True`, `False`, `none` and
    `.5` are understood as well. What is none of these is the text itself.
    """
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() == "none":
        return None
    if re.fullmatch(r"[+-]?(\d+\.|\.\d+)([eE][+-]?\d+)?", text):
        return float(text)
    try:
        table = load_toml(f"value = {text}")
    except InputError:
        return text
    # More than one key: the text had lines of its own. A date is no value of any field.
    kinds = str | bool | int | float | list | dict
    if set(table) == {"value"} and isinstance(table["value"], kinds):
        return table["value"]
    return text


def check_plain(key, value):
    """Returns a copy of a value of `[model]` made of what TOML can hold, exactly."""
    if isinstance(value, dict):
        return {
            check_text(key, name): check_plain(f"{key}.{name}", item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [check_plain(key, item) for item in value]
    if isinstance(value, str | os.PathLike):
        return check_text(key, value)
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return check_integer(key, value)
    if isinstance(value, numbers.Real):
        return check_number(key, value)
    advice = "; leave the key out for the family's default" if value is None else ""
    raise InputError(
        f"{key} must be a number, a string, true or false, or a list of them{advice}. "
        f"Received: {key}={value!r}"
    )


def check_integer(key, value):
    """Returns an integer of 64 bits; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InputError(f"{key} must be an integer. Received: {key}={value!r}")
    if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
        raise InputError(f"{key} must be a 64-bit integer. Received: {key}={value!r}")
    return int(value)


def whole_number(name, value, least):
    """Returns an integer of at least `least`, which an int32 holds."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{name} must be an integer >= {least}. Received: {name}={value!r}")
    if value > MAX_INT32:
        raise InputError(f"{name} must be <= {MAX_INT32}. Received: {name}={value!r}")
    return int(value)


def quantile_levels(quantiles):
    """Returns quantiles as a float32 array `(levels,)`."""
    import numpy as np

    levels = np.atleast_1d(np.asarray(quantiles, np.float32))
    if levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all():
        raise InputError(f"quantiles must lie between 0 and 1. Received: quantiles={quantiles!r}")
    return levels


def check_number(key, value):
    """Returns a finite number as a float; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"{key} must be a number. Received: {key}={value!r}")
    try:
        value = float(value)
    except OverflowError:  # an integer beyond the floats
        value = math.inf
    if not math.isfinite(value):
        raise InputError(f"{key} must be a finite number. Received: {key}={value!r}")
    return value


def check_boolean(key, value):
    """Returns True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{key} must be true or false. Received: {key}={value!r}")
    return value


def check_text(key, value):
    """Returns a string, or a path as one."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise InputError(f"{key} must be a string. Received: {key}={value!r}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, which no TOML file can hold
        raise InputError(f"{key} must be valid Unicode. Received: {key}={value!r}") from None
    return value


def check_texts(key, value):
    """Returns a tuple of strings; a single string is a tuple of one."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        raise InputError(f"{key} must be a list of strings. Received: {key}={value!r}")
    return tuple(check_text(key, item) for item in value)


class Type(NamedTuple):
    """A type of field: what help calls it, and its check."""

    noun: str
    check: object  # (key, value) -> the value in its own type, or InputError


def _or_none(check):
    return lambda key, value: None if value is None else check(key, value)


TYPES = {
    int: Type("integer", check_integer),
    float: Type("number", check_number),
    bool: Type("true or false", check_boolean),
    str: Type("string", check_text),
    int | None: Type("integer or none", _or_none(check_integer)),
    str | None: Type("string or none", _or_none(check_text)),
    tuple[str, ...]: Type("list of strings", check_texts),
}
