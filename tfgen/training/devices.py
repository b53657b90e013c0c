"""The devices that share a training: each takes its part of every batch.

With `tf.distribute`, data-parallel and synchronous: each device has all weights, computes the sums
of loss and gradients over its rows of the batch, these are added up over the devices, and each then
takes the same step. The noise of a row is the one it has in the whole batch, so how many devices
there are changes nothing but rounding.
"""

import contextlib
import json
import os
import zlib

import tensorflow as tf

from tfgen.errors import InputError, unknown
from tfgen.training.rendezvous import meet

STRATEGIES = ("auto", "one", "mirrored", "multi-worker")
# Where tf.distribute finds the addresses of all workers and the number of this one.
ADDRESSES = "TF_CONFIG"
# What the collectives of several processes take, see CollectiveGatherV2.
_GATHERED = (tf.float32, tf.float16, tf.float64, tf.int32, tf.int64)
_EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:7000", "10.0.0.2:7000"]}, '
    '"task": {"type": "worker", "index": 0}}'
)


def open_devices(strategy="auto", wait=lambda text: None):
    """Returns the `Devices` that train.

    Args:
        strategy: `"one"` device; `"mirrored"`, all GPUs of this machine (its logical CPUs, if it
            has none), in one process; `"multi-worker"`, one process on each machine or GPU, which
            find each other by the environment variable `TF_CONFIG`; or `"auto"`, several workers if
            `TF_CONFIG` names them, else all GPUs if there are several, else one.
        wait: Function that tells a person what is waited for.

    Raises:
        InputError: For another strategy, a `TF_CONFIG` that is not like this, or a worker that did
            not come within `tfgen.training.rendezvous.PATIENCE`.
    """
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)
    if strategy == "auto":
        if ADDRESSES in os.environ and len(_workers()[0]) > 1:
            strategy = "multi-worker"
        else:
            strategy = "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one"
    if strategy == "one":
        return Devices()
    if strategy == "mirrored":
        kinds = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
        names = [device.name for device in next(filter(None, kinds))]
        return Devices(tf.distribute.MirroredStrategy(names), mirrored=True)
    return _join_workers(wait)


def _join_workers(wait):
    addresses, index = _workers()
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        raise InputError(
            f"A worker has one device, and this one sees {len(gpus)} GPUs: start a worker for "
            "each, with CUDA_VISIBLE_DEVICES=0 and so on"
        )
    wait(f"Worker {index} of {len(addresses)}, at {addresses[index]}: waiting for the others.")
    meet(addresses, index)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise InputError(
            "Several workers must find each other before TensorFlow computes anything: call train "
            f"first in a new process ({error})"
        ) from error
    except tf.errors.OpError as error:
        raise InputError(
            f"The workers {', '.join(addresses)} did not find each other: {_reason(error)}"
        ) from error
    return Devices(strategy, index=index)


def _workers():
    """`(addresses, index)` by the environment: of all workers, and which is this one."""
    text = os.environ.get(ADDRESSES)
    if text is None:
        raise InputError(
            f"Several workers need the environment variable {ADDRESSES}, e.g. {_EXAMPLE}"
        )
    try:
        found = json.loads(text)
        cluster, task = found["cluster"], found["task"]
        # The workers' numbers go on from that of a chief, of which there is at most one.
        places = [
            (kind, i) for kind in ("chief", "worker") for i in range(len(cluster.get(kind, [])))
        ]
        addresses = [cluster[kind][i] for kind, i in places]
        index = places.index((task["type"], int(task["index"])))
        if cluster.keys() - {"chief", "worker"}:
            raise ValueError
        for address in addresses:
            int(address.rpartition(":")[2])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"{ADDRESSES} must tell the address of each worker and which of them this is, e.g. "
            f"{_EXAMPLE}. Received: {ADDRESSES}={text!r}"
        ) from None
    return addresses, index


class Devices:
    """The devices that share a training.

    Args:
        strategy: A `tf.distribute.Strategy`; None is one device.
        mirrored: Whether this process has all devices, and a copy of each variable on each.
        index: The number of this process among the workers.

    Attributes:
        count: How many devices take part.
        several: Whether the strategy is used, be it of one device.
        processes: How many processes take part.
        index: As given.
        chief: Whether this process writes what there is to write.
        mirrored: As given.
    """

    def __init__(self, strategy=None, mirrored=False, index=0):
        self.strategy, self.mirrored, self.index = strategy, mirrored, index
        self.several = strategy is not None
        self.count = strategy.num_replicas_in_sync if self.several else 1
        self.processes = 1 if mirrored else self.count
        self.chief = index == 0

    def __str__(self):
        kind = "devices" if self.mirrored else "workers"
        return "one device" if not self.several else f"{self.count} {kind}"

    def scope(self):
        """Within it, variables are made on each device of a mirrored process.

        A worker's variables are its own and need no scope: they begin equal, by their seeds, and
        take the same updates.
        """
        return self.strategy.scope() if self.mirrored else contextlib.nullcontext()

    def sums(self, function, *arguments):
        """Adds up over the devices what each computes of its part; for use in a graph.

        Args:
            function: Function `(number, *arguments) -> (tensor, nest)` of the device's number.
            *arguments: Nests of tensors, the same for all.

        Returns:
            `(total, joined)`: the sum of the tensors; and each tensor of the nest with the rows of
            all devices, one after the other.
        """

        def of_one(*arguments):
            context = tf.distribute.get_replica_context()
            tensor, nest = function(context.replica_id_in_sync_group, *arguments)
            return tensor, tf.nest.map_structure(lambda rows: gathered(rows, context), nest)

        tensor, nest = self.strategy.run(of_one, arguments)
        joined = tf.nest.map_structure(
            lambda rows: self.strategy.experimental_local_results(rows)[0], nest
        )
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, tensor, axis=None), joined

    def add(self, values):
        """The sum over the processes of an array of numbers, float64, which all must ask for."""
        values = tf.constant(values, tf.float64)
        if self.processes > 1:
            values = self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)
        return values.numpy()

    def any(self, flag):
        """Whether a flag is true in any of the processes, which all must ask."""
        return bool(self.add(float(flag)) > 0)

    def check_same(self, **parts):
        """Raises `InputError` if a part, bytes, is another one in one of the processes."""
        for name, content in parts.items():
            sums = [0.0] * self.processes
            sums[self.index if self.processes > 1 else 0] = float(zlib.crc32(content))
            if len(set(self.add(sums))) > 1:
                raise InputError(
                    f"The workers do not have the same {name}: start all of them with the same "
                    "command, versions and files"
                )

    @contextlib.contextmanager
    def watched(self, remedy):
        """Within it, the loss of another worker is an `InputError`, which ends with a remedy."""
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError,
                tf.errors.DeadlineExceededError, tf.errors.CancelledError) as error:  # fmt: skip
            if self.processes == 1:
                raise
            raise InputError(
                f"Worker {self.index} lost another of the {self.processes} workers, or its "
                f"connection to it: {_reason(error)}. {remedy}"
            ) from error


def gathered(rows, context):
    if rows is None:
        return None
    if rows.dtype in _GATHERED:
        return context.all_gather(rows, 0)
    # bfloat16 and the bits of it that a cache keeps, and bool: by what holds all of their values.
    wider = tf.float32 if rows.dtype.is_floating else tf.int32
    return tf.cast(context.all_gather(tf.cast(rows, wider), 0), rows.dtype)


def _reason(error):
    """The first line of TensorFlow's message that tells something."""
    lines = [line.strip() for line in (error.message or str(error)).splitlines()]
    telling = [line for line in lines if "aborted by" in line or "Error" in line]
    return (telling or [line for line in lines if line] or [type(error).__name__])[0].rstrip(".")
