"""Ctrl-C, and signals that ask a process to end, between two steps."""

import signal
import threading

from tfgen.errors import Terminated
from tfgen.signals import ENDING, is_main_thread, raise_terminated


class Stop(threading.Event):
    """That somebody asked for an end, and by which signal."""

    number = None

    def error(self):
        """The exception that says so."""
        if self.number in (None, signal.SIGINT):
            return KeyboardInterrupt()
        return Terminated(self.number)


class Interrupt:
    """Within it, a first Ctrl-C, SIGTERM or SIGHUP sets the `Stop` that it gives.

    A second one is handled as it was before. What is ignored (nohup, a job in the background) stays
    ignored, and a program's own handler of SIGTERM or SIGHUP stays in place.
    """

    def __enter__(self):
        stop = Stop()

        def handle(number, frame):
            stop.number = number
            stop.set()
            signal.signal(number, self.before.pop(number))

        self.before = {}
        if is_main_thread():
            for number in (signal.SIGINT, *ENDING):
                before = signal.getsignal(number)
                ours = number == signal.SIGINT or before in (signal.SIG_DFL, raise_terminated)
                if ours and before not in (signal.SIG_IGN, None):
                    self.before[number] = signal.signal(number, handle)
        return stop

    def __exit__(self, *_):
        for number, before in self.before.items():
            signal.signal(number, before)
