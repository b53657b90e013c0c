"""What a person got wrong, said in one line."""

import difflib
import re

# More of a message, of a word in it or of a list of names is no help to anybody.
MOST_MESSAGE, MOST_WORD, MOST_NAMES = 6000, 300, 200

# Control characters, with those of terminals; marks that turn the direction of writing; halves of
# characters, as names of files have that are no UTF-8. Tabs and newlines are harmless.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONG_WORD = re.compile(rf"\S{{{MOST_WORD + 1},}}")


class InputError(ValueError):
    """A mistake in what a person gave: a name, a path, a value.

    Its message is one line that says what was found, where, and what is allowed. The command line
    prints that line alone and exits with code 2; every other exception is a fault of tfgen and
    keeps its traceback.

    What a message quotes of files and arguments may be anything: see `printable`.
    """

    def __init__(self, message=""):
        super().__init__(printable(str(message), MOST_MESSAGE))


class NoValues(InputError):
    """A table has no column of numbers or categories: its texts may be what is wanted."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM or SIGHUP, which is taken as Ctrl-C is.

    Args:
        number: Of the signal.
    """

    def __init__(self, number):
        super().__init__(f"ended by signal {number}")
        self.number = number


def printable(text, most=None):
    r"""Returns a text that a terminal shows as it is, and that is not too long to read.

    Control characters, which can clear a screen or retype a line, become escapes such as `\x1b`;
    words of more than 300 characters lose their middle, and so does the text if it is longer than
    `most`.
    """
    text = _UNPRINTABLE.sub(_escape, text)
    text = _LONG_WORD.sub(lambda found: _shortened(found[0], MOST_WORD), text)
    return text if most is None else _shortened(text, most)


def unknown(kind, name, options):
    """Returns the `InputError` for a name that is not among `options`.

    Args:
        kind: What the name stands for, e.g. `"family"` or `"recipe key"`.
        name: The name as it was given.
        options: The names that are allowed.
    """
    name = str(name)
    options = sorted(str(option) for option in options)
    folded = {option.lower().replace("_", "-"): option for option in options}
    near = []
    if len(name) <= MOST_WORD:  # or looking for what is near would take long
        near = difflib.get_close_matches(
            name.lower().replace("_", "-"), list(folded)[:10_000], n=3, cutoff=0.5
        )
    hint = f" Did you mean {' or '.join(repr(folded[match]) for match in near)}?" if near else ""
    allowed = ", ".join(options[:MOST_NAMES]) if options else "(none)"
    if len(options) > MOST_NAMES:
        allowed += f" and {len(options) - MOST_NAMES:,} more"
    return InputError(f"Unknown {kind} '{name}'.{hint} Known: {allowed}")


def _escape(found):
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _shortened(text, most):
    if len(text) <= most:
        return text
    kept = most - 40
    start = kept * 2 // 3
    left_out = len(text) - kept
    return f"{text[:start]}[{left_out:,} characters left out]{text[start - kept :]}"
