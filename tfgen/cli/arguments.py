"""Reading command lines: options spelt with `-` or `_`, and mistakes told in one line."""

import argparse
import dataclasses
import json
import math

from tfgen.errors import InputError, unknown
from tfgen.names import normalise

# Of what an option counts: more is a slip, and no machine has the memory.
MOST_COUNTED = 10**9


def integer(text):
    """Reads what an option counts, of which there are at most 10^9."""
    return _bounded(text, MOST_COUNTED)


def seed(text):
    """Reads a seed, which has 64 bits."""
    return _bounded(text, 2**63 - 1)


def _bounded(text, most):
    try:
        value = int(text)
    except ValueError:  # also one of thousands of digits
        raise argparse.ArgumentTypeError(f"must be an integer. Received: {text}") from None
    if abs(value) > most:
        raise argparse.ArgumentTypeError(f"must be at most {most:,}. Received: {text}")
    return value


class Parser(argparse.ArgumentParser):
    """A parser for one verb, whose complaints are `InputError`s."""

    def __init__(self, verb, call, description, **kwargs):
        super().__init__(
            prog=f"tfgen {verb}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **kwargs,
        )
        self.set_defaults(call=call)

    def error(self, message):
        raise InputError(f"{message} (see {self.prog} --help)")


def parse(parser, argv):
    """Returns the arguments of a verb; what the verb does not take is an `InputError`."""
    # Intermixed, so that a prompt may stand behind an option.
    arguments, rest = parser.parse_known_intermixed_args(argv)
    for word in rest:
        if word.startswith("-"):
            word = word.partition("=")[0]
            known = [option for option in parser._option_string_actions if option[:2] == "--"]
            begun = [option for option in known if option.startswith(word)]
            raise unknown("option", word, begun or known)
        parser.error(f"unexpected argument '{word}'")
    return arguments


def _spell(word):
    """Returns `--max_new_tokens=3` as `--max-new-tokens=3`; other words as they are."""
    name, equals, value = word.partition("=")
    if word.startswith("--") and not any(character.isspace() for character in name):
        return normalise(name) + equals + value
    return word


def global_options(argv):
    """Takes `--import MODULE` and `--zoo PATH`, which may stand anywhere, out of the arguments.

    Returns:
        `(rest, modules, folders)`; in the rest, options are spelt with `-`.
    """
    taken = {"--import": [], "--zoo": []}
    rest = []
    words = iter(argv)
    for word in words:
        if word == "--":  # what follows are no options
            rest += [word, *words]
            break
        word = _spell(word)
        name, equals, value = word.partition("=")
        if name not in taken:
            rest.append(word)
            continue
        value = value if equals else next(words, None)
        if not value:
            raise InputError(f"{name} needs a {'module' if name == '--import' else 'folder'}")
        taken[name].append(value)
    return rest, taken["--import"], taken["--zoo"]


def add_fields(group, names, *sections):
    """Adds options for fields of sections of recipes, with their own types and explanations.

    Args:
        group: A parser or a group of one.
        names: Names of the fields.
        *sections: Classes, of which the first that has a field explains it.
    """
    fields = {}
    for section in reversed(sections):
        fields |= {field.name: field for field in dataclasses.fields(section)}
    readers = {int: integer, int | None: integer, float: float, str: str}
    for name in names:
        option, help = f"--{name.replace('_', '-')}", fields[name].metadata["help"]
        if fields[name].type == tuple[str, ...]:
            group.add_argument(option, action="append", help=f"{help}; may be repeated")
        else:
            group.add_argument(option, type=readers[fields[name].type], help=help)


def given_fields(arguments, names, *sections):
    """Returns those of the options of `add_fields` that were given.

    Raises:
        InputError: For a value out of its field's range, which is said before a model is loaded.
    """
    given = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    for section in sections:
        own = {field.name for field in dataclasses.fields(section)}
        section(**{name: value for name, value in given.items() if name in own})
    return given


def check_counts(arguments, *names):
    """Raises an `InputError` if one of these options was given and is below 1."""
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value < 1:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} must be >= 1. Received: {option} {value}")


def names_of(option, text):
    """Returns the parts of a text between commas."""
    parts = [to_unicode(part).strip() for part in text.split(",")]
    if "" in parts:
        raise InputError(f"{option} takes names with commas between. Received: {option} {text}")
    return parts


def numbers_of(option, text):
    """Returns the finite numbers of a text, with commas between."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) for value in values):
        raise InputError(f"{option} takes numbers with commas between. Received: {option} {text}")
    return values


def quoted(text):
    """Returns a text as a TOML string, so that `--data none` is data called none."""
    return json.dumps(to_unicode(text), ensure_ascii=False)


def to_unicode(text):
    """Returns an argument with bytes that are no UTF-8 as U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
