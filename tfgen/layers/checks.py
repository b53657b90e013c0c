"""Constructor arguments that are out of range: `ValueError` with what was received."""

import contextlib
import contextvars
import numbers

# What a constructor makes objects or constants of, one for each, before any weight has a shape:
# more than models have, and few enough that a recipe from anybody costs no memory.
MOST_LAYERS, MOST_PARTS = 1000, 1 << 16

# Where arguments that do nothing are noted, see `allowing_idle`.
_idle = contextvars.ContextVar("idle", default=None)


def check(condition, rule, **received):
    """Raises `ValueError` with the rule and the one argument received, unless it holds."""
    if not condition:
        ((name, value),) = received.items()
        raise ValueError(f"{rule}. Received: {name}={value!r}")


def check_whole(low, **received):
    """Refuses what is no integer from `low` up."""
    for name, value in received.items():
        check(
            is_int(value) and value >= low,
            f"{name} must be an integer >= {low}",
            **{name: value},
        )


def whole_numbers(low, **received):
    """A tuple of integers from `low` up."""
    ((name, value),) = received.items()
    rule = f"{name} must be a list of integers >= {low}"
    check(isinstance(value, (list, tuple)), rule, **received)
    check(all(is_int(number) and number >= low for number in value), rule, **received)
    return tuple(value)


def check_most(high, **received):
    """Refuses what is larger than models have it."""
    for name, value in received.items():
        check(value <= high, f"{name} must be at most {high:,}", **{name: value})


def check_rate(**received):
    """Refuses what is no share to drop."""
    for name, value in received.items():
        check(
            is_number(value) and 0 <= value < 1,
            f"{name} must be a number in [0, 1)",
            **{name: value},
        )


def check_positive(**received):
    """Refuses what is no number above 0."""
    for name, value in received.items():
        check(is_number(value) and value > 0, f"{name} must be a number above 0", **{name: value})


def check_flag(**received):
    """Refuses what is neither True nor False; returns the last argument."""
    for name, value in received.items():
        check(isinstance(value, bool), f"{name} must be True or False", **{name: value})
    return value


def check_choice(choices, **received):
    """Refuses what is none of the choices."""
    for name, value in received.items():
        rule = f"{name} must be one of {', '.join(repr(choice) for choice in choices)}"
        check(isinstance(value, str) and value in choices, rule, **{name: value})


def check_seed(seed):
    """Refuses what is neither None nor an integer."""
    check(seed is None or is_int(seed), "seed must be None or an integer", seed=seed)


@contextlib.contextmanager
def allowing_idle():
    """Within it an argument that does nothing is put into the dict that it yields, not refused."""
    found = {}
    token = _idle.set(found)
    try:
        yield found
    finally:
        _idle.reset(token)


def check_of_use(used, what, default, **received):
    """Refuses another value than the default of an argument that does nothing."""
    ((name, value),) = received.items()
    of_use = used or value == default
    if not of_use and _idle.get() is not None:
        _idle.get()[name] = what
        return
    check(of_use, f"{name} is for {what}, and does nothing here", **received)


def check_width(width, input_shape):
    """Refuses inputs of another number of features; a shape of None is not known."""
    if input_shape is not None and input_shape[-1] not in (None, width):
        raise ValueError(
            f"The inputs must have {width} features. Received: input_shape={tuple(input_shape)}"
        )


def is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def check_kind(kind, **received):
    """Refuses what is no object of a class."""
    for name, value in received.items():
        check(isinstance(value, kind), f"{name} must be a {kind.__name__}", **{name: value})
