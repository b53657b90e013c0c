"""Ctrl-C between two steps."""

import signal
import threading


class Interrupt:
    """Within it, a first Ctrl-C sets the event that it gives; a second one interrupts as usual."""

    def __enter__(self):
        event = threading.Event()

        def handle(number, frame):
            event.set()
            signal.signal(number, self.before)

        # Python delivers signals to the main thread only.
        self.active = threading.current_thread() is threading.main_thread()
        if self.active:
            self.before = signal.signal(signal.SIGINT, handle)
        return event

    def __exit__(self, *_):
        if self.active:
            signal.signal(signal.SIGINT, self.before)
