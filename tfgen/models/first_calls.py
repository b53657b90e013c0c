"""Saying that a call is compiling, so that a person knows that the next one will be faster."""

import contextlib
import sys
import threading

SECONDS = 2.0  # a call that takes no longer says nothing


class FirstCalls:
    """The calls of a model's compiled functions that have been made, by what they compile for.

    The first call of each kind compiles. If it has not returned after `SECONDS`, that is said on
    stderr, once for the call.
    """

    def __init__(self):
        self._done = set()

    @contextlib.contextmanager
    def __call__(self, *key):
        """Surrounds a call; yields a function that tells that the compiling is over.

        Args:
            *key: What the call is compiled for: the function's name and its sizes.
        """
        if key in self._done:
            yield lambda: None
            return
        timer = threading.Timer(SECONDS, _say)
        timer.daemon = True
        timer.start()
        try:
            yield timer.cancel
        finally:
            timer.cancel()
        self._done.add(key)


def _say():
    print("tfgen: compiling, the first call only", file=sys.stderr, flush=True)
