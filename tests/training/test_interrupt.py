import os
import signal

import pytest

from tfgen.errors import Terminated
from tfgen.signals import ending_signals_raise
from tfgen.training.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_first_signal_asks_and_a_second_one_ends(number):
    expected = KeyboardInterrupt if number == signal.SIGINT else Terminated
    with ending_signals_raise(), Interrupt() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.is_set() and type(stop.error()) is expected
        with pytest.raises(expected):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def test_what_is_ignored_or_somebody_elses_is_left_alone():
    def handler(number, frame):
        pass

    before = [
        signal.signal(n, h) for n, h in ((signal.SIGTERM, handler), (signal.SIGINT, signal.SIG_IGN))
    ]
    try:
        with Interrupt() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop.is_set()
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def test_another_workers_wish_is_an_interrupt_too():
    with Interrupt() as stop:
        assert type(stop.error()) is KeyboardInterrupt
