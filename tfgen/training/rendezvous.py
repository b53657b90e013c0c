"""Where workers wait for each other, before TensorFlow connects them.

TensorFlow waits as well, but much longer, tells nobody who is missing, and does not end by SIGTERM
meanwhile.
"""

import contextlib
import socket
import time

from tfgen.errors import InputError

# So long a worker waits for one that is not there.
PATIENCE = 600  # seconds
_POLL, _ANSWER = 0.2, 5.0  # seconds: between looks, and for what comes over the network
_GO = b"!"


def meet(addresses, index, patience=PATIENCE):
    """Returns once all workers have called it.

    The first worker listens at its address, and the others tell it that they are there. One that
    ends while it waits is waited for again.

    Args:
        addresses: Of all workers, `host:port`.
        index: The number of this one.
        patience: Seconds that it waits.

    Raises:
        InputError: If a worker did not come in time, or the first one's port is in use.
    """
    end = time.monotonic() + patience
    missing = _gather(addresses, end) if index == 0 else _report(addresses[0], index, end)
    if missing:
        names = ", ".join(f"{number} at {addresses[number]}" for number in missing)
        raise InputError(
            f"Worker {index} waited in vain for worker {names}: start all workers within "
            f"{patience / 60:g} minutes, each with the same addresses and a number of its own"
        )


def _gather(addresses, end):
    """Waits for the others; returns the numbers of those that are missing at the end."""
    with contextlib.ExitStack() as open_sockets:
        listening = open_sockets.enter_context(socket.socket(family_of(addresses[0])))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("", place_of(addresses[0])[1]))
        except OSError as error:
            raise InputError(
                f"Worker 0 cannot listen at {addresses[0]}: {error.strerror}"
            ) from error
        listening.listen()
        listening.settimeout(_POLL)
        there = {}
        while True:
            there = {number: each for number, each in there.items() if _is_open(each)}
            missing = [number for number in range(1, len(addresses)) if number not in there]
            if not missing:
                for each in there.values():
                    each.sendall(_GO)
                return []
            if time.monotonic() > end:
                return missing
            with contextlib.suppress(TimeoutError):
                connection = open_sockets.enter_context(listening.accept()[0])
                number = _number(connection)
                if number is None:
                    connection.close()  # a worker that waits at it would not try again
                else:
                    there[number] = connection


def _report(address, index, end):
    """Waits for the first worker's word; returns `[0]` if it does not come."""
    while time.monotonic() < end:
        try:
            with socket.create_connection(place_of(address), _ANSWER) as connection:
                connection.sendall(str(index).encode())
                connection.settimeout(_POLL)
                while time.monotonic() < end:
                    with contextlib.suppress(TimeoutError):
                        if connection.recv(1) == _GO:
                            return []
                        break  # it has ended, and may be started again
        except OSError:
            pass
        time.sleep(_POLL)
    return [0]


def _number(connection):
    """Which worker it is, or None if it does not say."""
    try:
        connection.settimeout(_ANSWER)
        return int(connection.recv(16))
    except (OSError, ValueError):
        return None


def _is_open(connection):
    """Whether the other side still waits."""
    try:
        connection.setblocking(False)
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def place_of(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def family_of(address):
    return socket.AF_INET6 if address.startswith("[") else socket.AF_INET
