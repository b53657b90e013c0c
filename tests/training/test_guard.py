"""What a run shows may fail; the run goes on."""

import pytest

from tfgen.training.guard import Guard


def test_a_fault_costs_one_line_for_each_kind():
    lines = []
    guard = Guard(lines.append)
    for _ in range(3):
        with guard("samples"):
            raise ValueError("no room\nfor them")
        with guard("histograms"):
            raise RuntimeError(
                'Graph execution error:\n\nDetected at node Tile\n  File "a.py", line 1\nTileOp: no'
            )
    with guard("the graph"):
        pass
    assert lines == [
        "TensorBoard goes without samples, the training goes on: ValueError: no room",
        "TensorBoard goes without histograms, the training goes on: RuntimeError: TileOp: no",
    ]


def test_an_interrupt_is_no_fault():
    lines = []
    with pytest.raises(KeyboardInterrupt), Guard(lines.append)("samples"):
        raise KeyboardInterrupt
    assert not lines
