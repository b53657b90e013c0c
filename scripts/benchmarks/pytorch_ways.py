"""How a peer in PyTorch finds the fastest way to do its work: that way counts."""

import contextlib
import itertools
import signal

import torch

from benchmarks.workers import rate

# Rounds in which the ways are tried, and how long a compilation may take.
TRIAL_ROUNDS = 2
COMPILE_SECONDS = 240
# A peer whose number of weights differs by more does not compare.
AGREE = 0.1
COMPILED = "torch.compile"


def fastest(ways, seconds):
    """The fastest of some ways to do the same work, each of which is tried.

    Args:
        ways: Dict from names to functions as `workers.rate` takes them. One whose name begins with
            `COMPILED` may fail or take too long, and then is left out.
        seconds: Least length of a trial.

    Returns:
        `(run, note)`: the note tells its name and what was tried.
    """
    ready, tried = {}, []
    for name, run in ways.items():
        if not name.startswith(COMPILED):
            run()
            ready[name] = run
            continue
        try:
            with time_limit(COMPILE_SECONDS):
                run()
            ready[name] = run
        except TooLong:
            tried.append(f"{name} takes longer than {COMPILE_SECONDS} s")
        except Exception as error:  # whatever a compiler may complain about
            tried.append(f"{name} fails: {_first_line(error)}")
    best = dict.fromkeys(ready, 0.0)
    for _ in range(TRIAL_ROUNDS):
        for name, run in ready.items():
            best[name] = max(best[name], rate(run, seconds))
    chosen = max(best, key=best.get)
    tried += [f"{name} {_number(speed)}" for name, speed in best.items()]
    return ready[chosen], f"{chosen} (tried: {'; '.join(tried)})"


def eager_and_compiled(make):
    """Ways to run a network: as it is with one thread and with all, and compiled.

    Args:
        make: Function `(wrap)` that returns work; its network goes through the function `wrap`.
    """
    count = torch.get_num_threads()
    eager = make(lambda network: network)
    ways = {f"eager, {shown(n)}": with_threads(eager, n) for n in sorted({1, count})}
    ways[f"{COMPILED}, {shown(count)}"] = with_threads(make(torch.compile), count)
    return ways


def with_threads(run, count):
    """The same work with so many threads."""

    def threaded():
        torch.set_num_threads(count)
        return run()

    return threaded


def with_onednn(run, enabled):
    """The same work with oneDNN or without."""

    def switched():
        torch.backends.mkldnn.enabled = enabled
        return run()

    return switched


def shown(threads):
    """A number of threads as text."""
    return f"{threads} thread{'s' if threads > 1 else ''}"


def nearest_width(make, parameters, unit=8):
    """The width, a multiple of `unit`, that makes a network of about so many parameters.

    Args:
        make: Function `(width)` that returns a network; it grows with the width.
        parameters: See above.
        unit: See above.

    Returns:
        `(width, note)`: the note tells the number, and how far off it is.
    """

    def count(width):
        with torch.device("meta"):  # shapes alone
            return sum(weight.numel() for weight in make(width).parameters())

    counts = {}
    for width in itertools.count(unit, unit):
        counts[width] = count(width)
        if counts[width] >= parameters:
            break
    width = min(counts, key=lambda width: abs(counts[width] - parameters))
    share = counts[width] / parameters - 1
    note = f"{counts[width]:,} weights ({share:+.1%})"
    if abs(share) > AGREE:
        note += ", too far off to compare"
    return width, note


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


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _number(speed):
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.2f}"
