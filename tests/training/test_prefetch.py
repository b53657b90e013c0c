"""Batches come in order, ahead of their step, and a fault comes where its batch would."""

import threading

import pytest

from tfgen.training.prefetch import Prefetch


def test_batches_come_in_order_and_ahead():
    made, reached = [], threading.Event()

    def make(k):
        made.append(k)
        if k == 6:
            reached.set()
        return k * k

    with Prefetch(make, 4, ahead=3) as batches:
        assert reached.wait(10) and made == [4, 5, 6]
        assert [next(batches) for _ in range(3)] == [16, 25, 36]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_a_fault_comes_where_its_batch_would():
    def make(k):
        if k == 2:
            raise ValueError("batch 2")
        return k

    with Prefetch(make, 0) as batches:
        assert [next(batches), next(batches)] == [0, 1]
        with pytest.raises(ValueError, match="batch 2"):
            next(batches)
