"""What the scripts share: their parser, mistakes in one line, tables in Markdown."""

import argparse
import functools
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout that is not installed

from tfgen.errors import InputError, unknown  # noqa: E402


class Parser(argparse.ArgumentParser):
    """A parser whose help is a script's docstring, and whose complaints are `InputError`s."""

    def __init__(self, text):
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(description=text, formatter_class=raw, allow_abbrev=False)

    def error(self, message):
        raise InputError(f"{message} (see {self.prog} --help)")


def script(body):
    """Makes a script's `main(argv=None)`, which returns the exit code, of its body."""

    @functools.wraps(body)
    def main(argv=None):
        name = Path(body.__code__.co_filename).name
        try:
            return body(argv) or 0
        except InputError as error:
            print(f"{name}: error: " + " ".join(str(error).splitlines()), file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print(f"{name}: interrupted", file=sys.stderr)
            return 130

    return main


def at_least(smallest):
    """The type of options that are integers, at least so large."""

    def integer(text):
        if not text.lstrip("+-").isdecimal() or int(text) < smallest:
            wanted = f"an integer >= {smallest}"
            raise argparse.ArgumentTypeError(f"must be {wanted}. Received: {text}")
        return int(text)

    return integer


def some_of(kind, known, default=None):
    """What `add_argument` gets for an option of several names: by default, those or all."""

    def name(text):
        if text not in known:
            raise argparse.ArgumentTypeError(unknown(kind, text, known))
        return text

    told = f"of {', '.join(known)} (all)" if default is None else f"({' '.join(default)})"
    default = [*known] if default is None else default
    return {"nargs": "+", "type": name, "default": default, "metavar": kind.upper(), "help": told}


def row(*cells):
    """Prints a row of a table."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*names):
    """Prints the head of a table."""
    row(*names)
    row(*["---"] * len(names))
