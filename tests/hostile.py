"""What no input may do: raise what a person should not see, take long, or take much memory."""

import contextlib
import resource
import signal
import warnings

import pytest

from tfgen.errors import InputError

SECONDS, MEGABYTES = 10, 600  # for one input; much less is usual


class TooLong(BaseException):
    pass


@contextlib.contextmanager
def limited(what):
    """Fails if what is in it raises what a person should not see, or takes too long or too much."""

    def stop(number, frame):
        raise TooLong

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    handler = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError as error:
        assert str(error), what
        assert not any(ord(c) < 32 and c not in "\n\t" for c in str(error)), what
    except OSError as error:
        assert error.strerror, f"{what}: {error!r}"
    except TooLong:
        pytest.fail(f"{what}: takes more than {SECONDS} s")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert grown < MEGABYTES, f"{what}: {grown} MB"
