"""For all tests."""

import gc
import os
import random
import signal
import sys

import numpy as np
import pytest

# Tests send signals to themselves and to the processes they start. What is ignored, as by nohup or
# in the background of a shell, would stay so in both.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_configure(config):
    """Before TensorFlow is imported, and for the processes that tests start.

    Small models take longer to compile than to run: it saves an eighth of the time. What people run is compiled with every
    optimisation: so are the exhaustive tests, and the record (tests/test_record.py).
    """
    if config.option.markexpr != "exhaustive":
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_collection_finish():
    """What is imported by now stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


def pytest_itemcollected(item):
    # One of the values of a long test may be for the exhaustive ones alone.
    if item.get_closest_marker("exhaustive"):
        item.own_markers[:] = [mark for mark in item.own_markers if mark.name != "long"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Every test starts from the same seed, before fixtures of any scope make what they share."""
    random.seed(0)
    np.random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


@pytest.fixture
def op_by_op():
    """Runs the functions of TensorFlow op by op, without graphs.

    To trace and compile the graph of a small network takes seconds, to run its ops milliseconds.
    """
    from eager import eagerly  # which imports TensorFlow

    with eagerly():
        yield


@pytest.fixture
def as_graphs(op_by_op):
    """Traces and compiles as always, in a module whose other tests run op by op."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(False)


@pytest.fixture
def few_positions(monkeypatch):
    """Lengths are rounded up to little: what runs op by op takes every position that it pads."""
    small = {
        "tfgen.models.text.graphs": {"PROMPT_BUCKET": 8, "TOKENS_BUCKET": 8, "SCORE_CHUNK": 16},
        "tfgen.models.text.model": {"TOKENS_BUCKET": 8},
        "tfgen.models.engines.adversarial": {"SEARCH_STEPS": 3, "CANDIDATES": 2},
        "tfgen.models.text.streaming": {"TOKENS_BUCKET": 8},
        "tfgen.models.engines.rollout": {"BUCKET": 8},
        "tfgen.models.engines.rollout_stream": {"ROOM": 8},
        "tfgen.networks.slots": {"SLOTS": 8},
        "tfgen.layers.decoding": {"BLOCK": 8},
    }
    for module, constants in small.items():
        for name, value in constants.items():
            monkeypatch.setattr(f"{module}.{name}", value)
