"""Workers of one training, as processes of this machine that meet at free ports."""

import contextlib
import json
import os
import socket


def environments(workers):
    """The environment of each of so many processes, which `tfgen train` takes for workers."""
    with contextlib.ExitStack() as free:
        sockets = [free.enter_context(socket.socket()) for _ in range(workers)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    tasks = [{"type": "worker", "index": index} for index in range(workers)]
    # There are as many processes as cores, or more.
    return [
        {
            **os.environ,
            "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task}),
            "TF_NUM_INTRAOP_THREADS": "1",
        }
        for task in tasks
    ]
