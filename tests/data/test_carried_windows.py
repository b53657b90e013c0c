"""Windows along whole sequences."""

import numpy as np
import pytest

from tfgen.data import CarriedWindows, Feature, Sequences
from tfgen.errors import InputError

LENGTHS = [7, 20, 13, 5, 19, 8]


def made(lengths=LENGTHS):
    """Sequences whose values tell which they are and where: 100 i + position."""
    return Sequences(
        "made", "strokes", (Feature("x"),),
        [(100 * i + np.arange(n, dtype=np.float32))[:, None] for i, n in enumerate(lengths)],
        [str(i) for i in range(len(lengths))], ends=True,
    )  # fmt: skip


def groups(windows, count):
    """The batches of each group: a list of lists."""
    found = []
    for k in range(count):
        if windows.starts_epoch(k):
            found.append([])
        found[-1].append(windows.batch(k))
    return found


def test_rows_go_on_where_they_ended():
    windows = CarriedWindows(made(), window=6, batch_size=2, seed=1)
    for group in groups(windows, windows.steps_per_epoch):
        values = np.concatenate([batch["values"][..., 0] for batch in group], axis=1)
        valid = np.concatenate([batch["valid"] for batch in group], axis=1)
        last = np.concatenate([batch["last"] for batch in group], axis=1)
        for row in range(2):
            number = int(values[row, 0]) // 100
            expected = 100 * number + np.arange(LENGTHS[number])
            np.testing.assert_array_equal(values[row, valid[row]], expected)
            assert np.flatnonzero(last[row]) == [LENGTHS[number] - 1]
        # What stands before a window is the last value of the window before it.
        assert group[0]["first"].all() and np.isnan(group[0]["previous"]).all()
        for before, after in zip(group, group[1:]):
            going = after["valid"][:, 0]
            np.testing.assert_array_equal(
                after["previous"][going, 0], before["values"][going, -1, 0]
            )
            assert not after["first"].any()


def test_an_epoch_holds_each_sequence_once_and_epochs_differ():
    windows = CarriedWindows(made(), window=6, batch_size=2, seed=1)
    companies = []
    for group in groups(windows, 3 * windows.steps_per_epoch)[:9]:
        companies.append(tuple(int(v) // 100 for v in group[0]["values"][:, 0, 0]))
    epochs = [companies[:3], companies[3:6], companies[6:9]]
    for epoch in epochs:
        assert sorted(number for pair in epoch for number in pair) == list(range(6))
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_batch_depends_on_the_seed_and_its_number_alone():
    windows = CarriedWindows(made(), window=6, batch_size=2, seed=1)
    straight = [windows.batch(k)["values"] for k in range(12)]
    again = CarriedWindows(made(), window=6, batch_size=2, seed=1)
    for k in (11, 3, 7, 0):
        np.testing.assert_array_equal(again.batch(k)["values"], straight[k])
    other = CarriedWindows(made(), window=6, batch_size=2, seed=2)
    assert any(not np.array_equal(other.batch(k)["values"], straight[k], True) for k in range(6))


def test_nearly_equal_lengths_go_together():
    lengths = [10] * 8 + [100] * 8
    windows = CarriedWindows(made(lengths), window=10, batch_size=8, seed=1)
    assert windows.steps_per_epoch == 1 + 10


def test_more_rows_than_sequences_are_refused():
    with pytest.raises(
        InputError, match="at most their number, 6. Received: training.batch_size=7"
    ):
        CarriedWindows(made(), window=6, batch_size=7)


def positions(windows):
    """All that counts in an epoch, sorted: 100 i + position of each."""
    batches = [windows.batch(k) for k in range(windows.steps_per_epoch)]
    return np.sort(np.concatenate([batch["values"][batch["valid"], 0] for batch in batches]))


def test_without_a_remainder_every_position_comes_once():
    every = np.sort(np.concatenate([values[:, 0] for values in made().values]))
    for size in (1, 2, 4, 6, 32):
        windows = CarriedWindows(made(), 6, size, drop_remainder=False)
        np.testing.assert_array_equal(positions(windows), every)
        for group in groups(windows, windows.steps_per_epoch):
            assert group[0]["first"][group[0]["valid"][:, 0]].all()
            assert all(len(batch["values"]) == min(size, 6) for batch in group)


def test_of_many_sequences_some_are_taken_that_are_spread_over_all_lengths():
    lengths = np.random.default_rng(0).permutation(np.arange(1, 101))
    windows = CarriedWindows(made(lengths), 10, 8, drop_remainder=False, most=20)
    assert 14 <= windows.steps_per_epoch <= 20
    found = positions(windows)
    chosen = lengths[np.unique(found // 100).astype(int)]
    assert len(found) == chosen.sum()  # as a whole, each
    assert chosen.min() < 10 and chosen.max() > 90
    assert abs(chosen.mean() - lengths.mean()) < 3


def test_of_a_group_of_long_sequences_parts_are_taken_everywhere():
    windows = CarriedWindows(made([99] * 8), 3, 8, drop_remainder=False, most=5)
    assert windows.steps_per_epoch == 5
    batches = [windows.batch(k) for k in range(5)]
    begins = batches[0]["values"][:, 0, 0] % 100
    assert begins[0] == 0 and begins.max() > 60 and (np.diff(np.sort(begins)) > 3).all()
    assert batches[0]["first"].sum() == 1
    for before, after in zip(batches, batches[1:]):
        np.testing.assert_array_equal(after["previous"], before["values"][:, -1])
