"""What a model is told of pieces of sequences besides their values."""

import numpy as np

from tfgen.data import Feature, Sequences
from tfgen.preprocessing import SequenceProcessor
from tfgen.preprocessing.told import told, told_of_one
from tfgen.recipe import PreprocessingConfig

SIZES = 50, 80  # hours, of which days are a period


def sequences(**given):
    values = [np.arange(n, dtype=np.float32)[:, None] for n in SIZES]
    return Sequences("made", "series", (Feature("x"),), values, ["a", "b"], **given)


def test_pieces_of_everything():
    data = sequences(
        times=[np.arange(n) * 3600 for n in SIZES], labels=np.array([1, 0], np.int32),
        classes=("p", "q"), static=np.array([[2.0], [3.0]], np.float32), static_names=("s",),
        known=[10.0 + np.arange(n, dtype=np.float32)[:, None] for n in SIZES], known_names=("k",),
    )  # fmt: skip
    processor = SequenceProcessor.fit(data, PreprocessingConfig(calendar=True))
    found = told(processor, data, [(1, 2, 4), (0, 1, 2)], horizon=1)
    assert [times.tolist() for times in found["times"]] == [[7200, 10800], [3600]]
    # What is known reaches into the time to come; the shorter piece is filled up.
    np.testing.assert_array_equal(found["known"][..., 0], [[12, 13, 14], [11, 12, 12]])
    assert found["condition"] == [0, 1]
    np.testing.assert_array_equal(found["static"], [[3.0], [2.0]])
    one = told_of_one(processor, data, 0, horizon=2)
    assert one["times"].tolist() == [3600 * hour for hour in range(48)] and one["condition"] == 1
    np.testing.assert_array_equal(one["known"][:, 0], 10 + np.arange(50))
    assert one["static"].tolist() == [2.0]


def test_a_model_is_told_what_it_takes_alone():
    processor = SequenceProcessor.fit(sequences(), PreprocessingConfig(calendar=False))
    data = sequences(times=[np.arange(n) * 3600 for n in SIZES])
    assert told(processor, data, [(0, 0, 50)]) == {} == told_of_one(processor, data, 1)
