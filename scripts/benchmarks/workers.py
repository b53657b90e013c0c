"""A process for each contestant, which measures when it is asked and sleeps otherwise.

TensorFlow and PyTorch in one process share its threads, its memory pools and its OpenMP runtime; in
processes of their own each runs as its users run it.
"""

import gc
import importlib
import multiprocessing
import os
import signal
import time
import traceback


class Missing(Exception):
    """A contestant's library cannot be imported."""


class Worker:
    """A process that holds prepared work.

    Args:
        module: The module whose functions make the work. For `prepare` such a function returns
            `(run, note)`: `run()` does a piece of work and returns how much that was; the note is a
            text for people, or "".
        environment: Environment variables of the process.
    """

    def __init__(self, module, environment=None):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, module, environment or {}), daemon=True
        )
        self._process.start()
        theirs.close()
        self._module = module

    def prepare(self, function, *arguments):
        """Makes the work that `measure` measures, in place of earlier work; returns its note.

        Raises:
            Missing: The module cannot be imported.
        """
        return self._ask("prepare", function, *arguments)

    def measure(self, seconds):
        """Works for at least so many seconds; returns how much was done per second."""
        return self._ask("measure", seconds)

    def call(self, function, *arguments):
        """Calls a function of the module once; returns what it returned.

        Raises:
            Missing: The module cannot be imported.
        """
        return self._ask("call", function, *arguments)

    def stop(self):
        self._connection.close()  # the process reads the end of the pipe and ends
        self._process.join()

    def _ask(self, *message):
        try:
            self._connection.send(message)
            kind, answer = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            raise RuntimeError(
                f"The process of {self._module} ended with exit code {self._process.exitcode}"
            ) from None
        if kind == "missing":
            raise Missing(answer)
        if kind == "failed":
            raise RuntimeError(f"In the process of {self._module}:\n{answer}")
        return answer


def call(module, function, *arguments):
    """Calls a function in a process of its own."""
    worker = Worker(module)
    try:
        return worker.call(function, *arguments)
    finally:
        worker.stop()


def _serve(connection, module, environment):
    """The process: answers questions until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    os.environ.update(environment)
    run = None
    while True:
        try:
            question, *arguments = connection.recv()
        except EOFError:
            return
        try:
            if question == "prepare":
                run = None  # frees the memory of earlier work first
                gc.collect()
                function, *arguments = arguments
                run, answer = getattr(importlib.import_module(module), function)(*arguments)
                run()
            elif question == "call":
                function, *arguments = arguments
                answer = getattr(importlib.import_module(module), function)(*arguments)
            else:
                answer = rate(run, *arguments)
        except ImportError as error:
            connection.send(("missing", str(error)))
        except Exception:
            connection.send(("failed", traceback.format_exc()))
        else:
            connection.send(("done", answer))


def rate(run, seconds):
    """Repeats `run` for at least so many seconds, but once; returns the amount per second."""
    done, start = 0, time.perf_counter()
    while True:
        done += run()
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return done / elapsed
