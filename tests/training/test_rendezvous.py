"""Workers find each other, or say who is missing."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfgen.errors import InputError
from tfgen.training import rendezvous
from tfgen.training.rendezvous import meet

PATIENCE = 60  # for a machine that is busy with other things


@pytest.fixture
def addresses():
    """Of three workers; only the first one's is listened at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [f"127.0.0.1:{port}", "127.0.0.1:1", "127.0.0.1:2"]


def test_all_go_on_when_the_last_one_comes(addresses):
    with ThreadPoolExecutor(3) as workers:
        early = [workers.submit(meet, addresses, index, PATIENCE) for index in (2, 0)]
        time.sleep(0.5)
        assert not any(each.done() for each in early)
        last = workers.submit(meet, addresses, 1, PATIENCE)
        assert [each.result(timeout=PATIENCE) for each in (*early, last)] == [None] * 3


@pytest.mark.long
def test_one_that_ends_while_it_waits_is_waited_for_again(addresses):
    with ThreadPoolExecutor(3) as workers:
        first = workers.submit(meet, addresses, 0, PATIENCE)
        time.sleep(0.3)
        with socket.create_connection(rendezvous.place_of(addresses[0])) as killed:
            killed.sendall(b"1")
            time.sleep(0.5)
        second = workers.submit(meet, addresses, 2, PATIENCE)
        time.sleep(0.5)
        assert not first.done() and not second.done()
        workers.submit(meet, addresses, 1, PATIENCE).result(timeout=PATIENCE)
        first.result(timeout=PATIENCE), second.result(timeout=PATIENCE)


@pytest.mark.parametrize("index,missing", [(0, "1 at 127.0.0.1:1, 2 at 127.0.0.1:2"), (1, "0 at ")])
def test_who_is_missing_is_said(addresses, index, missing):
    begin = time.monotonic()
    with pytest.raises(InputError, match=f"Worker {index} waited in vain for worker {missing}"):
        meet(addresses, index, patience=0.5)
    assert time.monotonic() - begin < PATIENCE


def test_a_port_in_use(addresses):
    with socket.socket() as other:
        other.bind(("", rendezvous.place_of(addresses[0])[1]))
        other.listen()
        with pytest.raises(
            InputError, match="Worker 0 cannot listen at .*: Address already in use"
        ):
            meet(addresses, 0, 1)


def test_strangers_are_no_workers(addresses):
    with ThreadPoolExecutor(2) as workers:
        first = workers.submit(meet, addresses[:2], 0, PATIENCE)
        time.sleep(0.3)
        for word in (b"GET / HTTP/1.1", b""):
            with socket.create_connection(rendezvous.place_of(addresses[0])) as stranger:
                stranger.sendall(word)
                if word:  # it is sent away, and does not wait for an answer that never comes
                    stranger.settimeout(5)
                    assert stranger.recv(1) == b""
        time.sleep(0.3)
        assert not first.done()
        workers.submit(meet, addresses[:2], 1, PATIENCE).result(timeout=PATIENCE)
        first.result(timeout=PATIENCE)


def test_an_address_of_ipv6():
    assert rendezvous.place_of("[::1]:7000") == ("::1", 7000)
    assert rendezvous.family_of("[::1]:7000") == socket.AF_INET6
