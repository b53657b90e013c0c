"""Lets a fault in what a run shows cost a warning, not the run."""

import contextlib
import re

# How TensorFlow begins to tell of an error, before what it is.
_PREAMBLE = re.compile(r"Graph execution error|Detected at node|File \"|\{\{|$")


class Guard:
    """Contexts that end where something in them fails, and warn of it once for each kind.

    Args:
        warn: Function that shows a person one line.
    """

    def __init__(self, warn):
        self._warn, self._warned = warn, set()

    @contextlib.contextmanager
    def __call__(self, what):
        """A context for making `what`, as a person calls it."""
        try:
            yield
        except Exception as error:
            if what not in self._warned:
                self._warned.add(what)
                self._warn(
                    f"TensorBoard goes without {what}, the training goes on: {_reason(error)}"
                )


def _reason(error):
    lines = [line.strip() for line in str(error).splitlines()]
    told = next((line for line in lines if not _PREAMBLE.match(line)), "")
    return f"{type(error).__name__}: {told}" if told else type(error).__name__
