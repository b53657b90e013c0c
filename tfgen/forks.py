"""Processes that were forked from one that had used TensorFlow.

The threads that compute for TensorFlow do not survive a fork: in the child a call waits for them
without an end. A child that starts another program, or computes nothing, has no trouble.
"""

import functools
import os
import sys

_FORKED = False


def own_process(method):
    """Returns a method that raises in such a process, in place of waiting for ever."""

    @functools.wraps(method)
    def checked(*arguments, **named):
        check_process()
        return method(*arguments, **named)

    return checked


def check_process():
    """Raises `RuntimeError` in a process that was forked from one that had used TensorFlow."""
    if _FORKED:
        raise RuntimeError(
            "This process was forked from one that had used TensorFlow, which computes nothing "
            "after a fork. Start it as a new one, with multiprocessing.get_context('spawn') or "
            "gunicorn without --preload, and open the model in it; or fork before the first model "
            "is opened"
        )


def _after_fork():
    global _FORKED
    # In the modules that are there: nothing is imported in a child that may only exit.
    context = sys.modules.get("tensorflow.python.eager.context")
    current = getattr(context, "_context", None)
    if getattr(current, "_context_handle", None) is not None:
        _FORKED = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
