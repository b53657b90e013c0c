"""A process for each contestant, which measures when it is asked and sleeps otherwise.

TensorFlow and PyTorch in one process would share threads, memory pools and the OpenMP runtime; in
processes of their own each runs as its users run it.
"""

import contextlib
import importlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

# Rounds in which the ways of a contestant are tried, and how long a compilation may take.
TRIAL_ROUNDS = 2
COMPILE_SECONDS = 240
COMPILED = "torch.compile"
# With this in the environment, XLA leaves what it has compiled in a folder for the next start.
XLA_CACHE = "--tf_xla_persistent_cache_directory={} --tf_xla_persistent_cache_prefix=tfgen"
# What brings the libraries of a module, where it is not what brings those of most.
INSTALL = {
    "peer_deepar": "pip install gluonts[torch], in an environment of its own",
    "peer_diffusers": "pip install diffusers",
    "peer_lucidrains": "pip install denoising-diffusion-pytorch",
    "peer_nanogpt": "give the folder of a checkout: --nanogpt PATH",
}


class Missing(Exception):
    """A contestant cannot take part: the text says why, and what would help."""


class Worker(contextlib.AbstractContextManager):
    """A process that calls functions when asked to, with the code of this checkout or another."""

    def __init__(self, checkout=None):
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _begin, (checkout,))
        self.submit = self._pool.submit

    def ask(self, function, *arguments):
        return self.submit(function, *arguments).result()

    def __exit__(self, *_):
        self._pool.shutdown()


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)  # workers of a training that wait for each other would wait for ever


def _begin(checkout):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if checkout is None:
        return
    this = sys.modules[__name__]
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("tfgen", "benchmarks"):
            del sys.modules[name]
    sys.path[:0] = [checkout, os.path.join(checkout, "scripts")]
    # What measures is this module in either checkout.
    importlib.import_module("benchmarks").workers = sys.modules[__name__] = this


def call(function, *arguments, checkout=None):
    """Calls a function by its name in a process of its own; see `named`."""
    with Worker(checkout) as worker:
        return worker.ask(named, function, *arguments)


def named(function, *arguments):
    """Calls a function: of a module of this package, `"module.function"`, or of another one."""
    place, _, name = function.rpartition(".")
    try:
        module = importlib.import_module(place if "." in place else f"benchmarks.{place}")
    except (ImportError, RuntimeError) as error:  # of what a library needs, and cannot import
        remedy = INSTALL.get(place, "pip install .[benchmark]")
        raise Missing(f"{str(error).splitlines()[-1]}: {remedy}") from None
    return getattr(module, name)(*arguments)


def ways_of(function, *arguments):
    """The ways that a function returns, and its note."""
    made = named(function, *arguments)
    return made if isinstance(made, tuple) else (made, "")


def first_call(cache, function, *arguments):
    """Makes the work of tfgen and runs it once, in a new process.

    The clock starts when TensorFlow is imported: what is left to import, the weights and all
    compilation are in the seconds, which are returned with a note. What XLA has compiled it keeps
    in the folder `cache`, if there is one, apart for each round, whose number comes last.
    """
    *arguments, number = arguments
    from tfgen.startup import __file__ as place
    from tfgen.startup import import_tensorflow

    if cache:  # and apart for each checkout
        os.environ["TF_XLA_FLAGS"] = XLA_CACHE.format(f"{cache}/{number}{os.path.dirname(place)}")
    import_tensorflow()
    start = time.perf_counter()
    for run in ways_of(function, *arguments)[0].values():
        run()
    return time.perf_counter() - start, ""


_work = {}  # of this process


def prepare(seconds, function, *arguments):
    """Makes what `take_turn` measures, the fastest of a function's ways; returns a note."""
    ways, note = ways_of(function, *arguments)
    _work["run"], tried = fastest(ways, seconds)
    return "; ".join(filter(None, [note, tried]))


def in_turn(step, batches, amount):
    """Work that takes a step at a time, of the batches in turn; a step counts `amount`."""
    batches = itertools.cycle(batches)

    def run():
        step(next(batches))
        return amount

    return run


def take_turn(seconds):
    return turn(_work["run"], seconds)


def turn(run, seconds):
    """Repeats `run` for at least so many seconds, but once; returns the amount and the seconds."""
    done, start = 0, time.perf_counter()
    while True:
        done += run()
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return done, elapsed


def fastest(ways, seconds):
    """The fastest of some ways to do the same work, each of which is tried for so many seconds.

    `ways` are functions as `turn` takes them, by name. One whose name begins with `COMPILED` may
    fail or take too long, and then is left out. Returned is `(run, note)`.
    """
    ready, tried = {}, []
    for name, run in ways.items():
        try:
            with time_limit(COMPILE_SECONDS):
                run()
            ready[name] = run
        except TooLong:
            tried.append(f"{name} takes longer than {COMPILE_SECONDS} s")
        except Exception as error:  # whatever a compiler may complain about
            if not name.startswith(COMPILED):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            tried.append(f"{name} fails: {reason}")
    if len(ways) == 1:
        return ready.popitem()[::-1]
    best = dict.fromkeys(ready, 0.0)
    for _ in range(TRIAL_ROUNDS):
        for name, run in ready.items():
            amount, elapsed = turn(run, seconds)
            best[name] = max(best[name], amount / elapsed)
    chosen = max(best, key=best.get)
    tried += [f"{name} {shown(speed)}" for name, speed in best.items()]
    return ready[chosen], f"{chosen} (tried: {'; '.join(tried)})"


def shown(value):
    """A number as text."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


class TooLong(BaseException):
    """Not an `Exception`, so that a compiler does not take it for one of its own."""


@contextlib.contextmanager
def time_limit(seconds):
    """Raises `TooLong` within; does nothing where the system has no alarm signal."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(number, frame):
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
