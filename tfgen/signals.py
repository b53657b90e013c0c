"""SIGTERM and SIGHUP taken as Ctrl-C is: by an exception, so that what is half done is cleared."""

import contextlib
import signal
import threading

from tfgen.errors import Terminated

# Those that ask a process to end; Windows has no SIGHUP.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def raise_terminated(number, frame):
    """A handler that raises `Terminated`; the next signal of that kind ends the process at once."""
    signal.signal(number, signal.SIG_DFL)
    raise Terminated(number)


@contextlib.contextmanager
def ending_signals_raise():
    """Within it, SIGTERM and SIGHUP raise `Terminated` in the main thread.

    A signal that is ignored (nohup) or that somebody else handles is left alone.
    """
    taken = {}
    if is_main_thread():
        for number in ENDING:
            if signal.getsignal(number) == signal.SIG_DFL:
                taken[number] = signal.signal(number, raise_terminated)
    try:
        yield
    finally:
        for number, before in taken.items():
            signal.signal(number, before)


def is_main_thread():
    """Whether this is the thread to which Python delivers signals."""
    return threading.current_thread() is threading.main_thread()
