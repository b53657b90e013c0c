"""SequenceWindows: batches of sequences that are a function of the seed and of their number."""

import dataclasses

import numpy as np
import pytest

from tfgen.data.sequence_windows import SequenceWindows
from tfgen.data.sequences import Feature, Sequences
from tfgen.errors import InputError

NAN = np.nan


def make(*lengths, features=2, ends=False, **fields):
    """Sequences whose first feature is `100 * number + position`, and whose second is half that."""
    values = [
        (100 * number + np.arange(length, dtype=np.float32))[:, None]
        / np.float32(1 + np.arange(features))
        for number, length in enumerate(lengths)
    ]
    names = tuple(Feature(f"x{number}") for number in range(features))
    ids = [str(number) for number in range(len(lengths))]
    return Sequences("made", "series", names, values, ids, ends=ends, **fields)


def epoch(windows, number=0):
    """The batches of an epoch as one dict."""
    steps = range(number * windows.steps_per_epoch, (number + 1) * windows.steps_per_epoch)
    batches = [windows.batch(k) for k in steps]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def starts_of(windows, number=0):
    """First values of an epoch's windows, sorted."""
    return sorted(epoch(windows, number)["values"][:, 0, 0].astype(int).tolist())


def test_windows_come_with_what_stands_before_them():
    data = make(23, 9)
    batch = epoch(SequenceWindows(data, 5, 7, drop_remainder=False, history=7))
    assert batch["values"].shape == (7, 5, 2) and batch["valid"].shape == batch["last"].shape == (
        7,
        5,
    )
    np.testing.assert_array_equal(batch["history"][0], np.full([7, 2], NAN))
    np.testing.assert_array_equal(batch["history"][1, :, 0], [NAN, NAN, 0, 1, 2, 3, 4])
    np.testing.assert_array_equal(batch["history"][3, :, 0], np.arange(8, 15))
    np.testing.assert_array_equal(batch["history"][6, :, 0], [NAN, NAN, 100, 101, 102, 103, 104])
    assert batch["first"].tolist() == [True, False, False, False, False, True, False]
    # The windows are the same as those without.
    plain = epoch(SequenceWindows(data, 5, 7, drop_remainder=False))
    np.testing.assert_array_equal(batch["values"], plain["values"])
    np.testing.assert_array_equal(batch["valid"], plain["valid"])


def test_in_training_half_of_the_windows_begin_a_series():
    windows = SequenceWindows(make(2000), 5, 8, history=3)
    batch = epoch(windows)
    begins = np.isnan(batch["history"]).all(axis=(1, 2))
    np.testing.assert_array_equal(batch["first"], begins | (batch["values"][:, 0, 0] == 0))
    assert 0.4 < begins.mean() < 0.6
    before = batch["values"][~begins, 0, 0]
    np.testing.assert_array_equal(batch["history"][~begins, -1, 0], before - 1)
    again = epoch(SequenceWindows(make(2000), 5, 8, history=3))
    np.testing.assert_array_equal(batch["history"], again["history"])


def test_a_window_is_changed_as_one_with_what_stands_before_it():
    def double(batch, generator):
        return {**batch, "values": 2 * batch["values"]}

    windows = SequenceWindows(make(50), 5, 9, history=3, augment=double)
    batch = windows.batch(0)
    plain = SequenceWindows(make(50), 5, 9, history=3).batch(0)
    for name in ("history", "values"):
        np.testing.assert_array_equal(batch[name], 2 * plain[name])


def test_a_batch_is_a_function_of_the_seed_and_its_number():
    data = make(40, 3, 25, 11)
    one, two = SequenceWindows(data, 5, 3, seed=3), SequenceWindows(data, 5, 3, seed=3)
    numbers = list(range(3 * one.steps_per_epoch))
    batches = {k: one.batch(k) for k in numbers}
    for k in np.random.default_rng(0).permutation(numbers):
        again = two.batch(k)
        assert list(again) == list(batches[k])
        for name, part in again.items():
            np.testing.assert_array_equal(part, batches[k][name])


def test_the_batches_of_a_seed_never_change():
    # A run that is resumed by a later version sees the data that it would have seen.
    windows = SequenceWindows(make(40, 3, 25), 5, 2, seed=1)
    found = [windows.batch(k)["values"][:, 0, 0].tolist() for k in (0, 1, 20)]
    assert found == [[32, 12], [203, 213], [205, 100]]


def test_another_seed_gives_other_batches():
    one, two = (SequenceWindows(make(99, 98), 5, 4, seed=seed) for seed in (0, 1))
    assert (one.batch(0)["values"] != two.batch(0)["values"]).any()


def test_a_short_sequence_is_one_window_padded_on_the_right():
    times = [np.array([0, 60, 180]), np.array([7])]
    known = [np.arange(6, dtype=np.float32).reshape(3, 2), np.float32([[8, 9]])]
    data = make(
        3, 1, times=times, known=known, known_names=("p", "q"), ends=True,
        static=np.float32([[5], [6]]), static_names=("s",), labels=np.int32([1, 0]),
        classes=("u", "v"),
    )  # fmt: skip
    batch = epoch(SequenceWindows(data, 5, 2, drop_remainder=False))
    expected = [[0, 1, 2, NAN, NAN], [100, NAN, NAN, NAN, NAN]]
    np.testing.assert_array_equal(batch["values"][:, :, 0], expected)
    np.testing.assert_array_equal(batch["values"][:, :, 1], np.array(expected) / 2)
    np.testing.assert_array_equal(batch["valid"], ~np.isnan(expected))
    # The times go on by the last step; a single row by the usual step of the data, 90.
    assert batch["times"].tolist() == [[0, 60, 180, 300, 420], [7, 97, 187, 277, 367]]
    assert batch["known"][0].tolist() == [[0, 1], [2, 3], [4, 5], [4, 5], [4, 5]]
    assert batch["known"][1].tolist() == [[8, 9]] * 5
    assert batch["static"].tolist() == [[5], [6]] and batch["label"].tolist() == [1, 0]
    assert batch["last"].tolist() == [[False] * 2 + [True] + [False] * 2, [True] + [False] * 4]
    # Both windows begin with the beginning of a sequence.
    assert batch["first"].all() and np.isnan(batch["previous"]).all()
    types = {name: str(part.dtype) for name, part in batch.items()}
    assert types == {
        "values": "float32", "valid": "bool", "scale": "float32", "last": "bool",
        "times": "int64", "known": "float32", "static": "float32", "label": "int32",
        "first": "bool", "previous": "float32",
    }  # fmt: skip
    assert data.values[0][2, 0] == 2 and len(data.values[0]) == 3  # the data is as it was


def test_what_stands_before_a_window_of_a_whole_thing():
    data = dataclasses.replace(make(9), ends=True)
    batch = epoch(SequenceWindows(data, 4, 2, drop_remainder=False))
    assert batch["first"].tolist() == [True, False, False]
    before = data.values[0][[3, 7]]
    np.testing.assert_array_equal(batch["previous"][1:], before)


def test_what_the_data_has_not_is_not_in_a_batch():
    batch = SequenceWindows(make(9), 5, 1).batch(0)
    assert set(batch) == {"values", "scale", "last"}
    # A window of 10, or one in order, may be padded.
    for windows in SequenceWindows(make(9), 10, 1), SequenceWindows(make(9), 5, 1, 0, False):
        assert set(windows.batch(0)) == {"values", "valid", "scale", "last"}
    assert not batch["last"].any()  # no sequence ends


def test_the_end_of_a_sequence_is_marked_wherever_it_lies():
    data = make(10, 4, ends=True)
    for drop_remainder in (False, True):
        windows = SequenceWindows(data, 4, 1, drop_remainder=drop_remainder)
        for number in range(20):
            batch = epoch(windows, number)
            np.testing.assert_array_equal(
                batch["last"], np.isin(batch["values"][:, :, 0], [9, 103])
            )


def test_in_order_every_position_comes_once():
    data = make(10, 3, 4, 1)
    windows = SequenceWindows(data, 4, 2, drop_remainder=False)
    batch = epoch(windows)
    assert batch["values"][:, 0, 0].tolist() == [0, 4, 8, 100, 200, 300]
    seen = batch["values"][batch["valid"]]
    np.testing.assert_array_equal(seen, np.concatenate(data.values))
    assert np.isnan(batch["values"][~batch["valid"]]).all()
    windows = SequenceWindows(data, 4, 4, drop_remainder=False)
    assert [len(windows.batch(k)["values"]) for k in range(4)] == [4, 2, 4, 2]


@pytest.mark.parametrize("length", [5, 6, 9, 10, 11, 14, 15, 23])
def test_over_the_epochs_every_start_occurs(length):
    windows = SequenceWindows(make(length), 5, 1)
    seen = set()
    for number in range(200):
        batch = epoch(windows, number)
        assert "valid" not in batch and (np.diff(batch["values"][..., 0]) == 1).all()
        starts = starts_of(windows, number)
        assert (np.diff(starts) == 5).all()  # side by side
        seen.update(starts)
    assert seen == set(range(length - 4))


def test_each_sequence_is_cut_at_an_offset_of_its_own():
    windows = SequenceWindows(make(50, 50, 50), 10, 1)
    assert any(len({start % 100 for start in starts_of(windows, e)[::4]}) > 1 for e in range(5))


def test_epochs_differ_in_order_and_hold_as_many_windows():
    windows = SequenceWindows(make(5, 5, 5, 5, 5, 5, 5), 5, 2)
    assert windows.steps_per_epoch == 3
    orders = [tuple(epoch(windows, e)["values"][:, 0, 0].tolist()) for e in range(4)]
    assert len(set(orders)) == 4
    assert all(len(set(order)) == 6 for order in orders)
    assert [windows.starts_epoch(k) for k in range(7)] == [True, False, False] * 2 + [True]


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_windows_without_a_value_are_left_out(drop_remainder):
    data = make(60, 4, 4)
    data.values[0][20:40] = NAN
    data.values[0][:, 1] = NAN
    data.values[1][:] = NAN
    windows = SequenceWindows(data, 5, 1, drop_remainder=drop_remainder)
    for number in range(50):
        batch = epoch(windows, number)
        assert not np.isnan(batch["values"]).all(axis=(1, 2)).any()
    if drop_remainder:
        # 60 - 20 positions, and one window less for the offset; and the third sequence.
        assert windows.steps_per_epoch == 8
    else:
        firsts = batch["values"][:, 0, 0].tolist()
        assert firsts == [0, 5, 10, 15, 40, 45, 50, 55, 200]


def test_batches_are_full_whatever_the_gaps():
    data = make(60, 3)
    # At some offsets the first six positions take two windows, at others one.
    data.values[0][6:57] = NAN
    windows = SequenceWindows(data, 5, 3)
    for k in range(60):
        batch = windows.batch(k)["values"]
        assert len(batch) == 3 and not np.isnan(batch).all(axis=(1, 2)).any()


def test_a_long_sequence_may_hold_little_at_its_ends():
    data = make(100)
    data.values[0][:71] = NAN
    data.values[0][72:] = NAN
    windows = SequenceWindows(data, 5, 1)
    assert windows.steps_per_epoch == 1
    for number in range(30):
        assert 71 in epoch(windows, number)["values"][0, :, 0]
    data.values[0][10], data.values[0][90] = 1, 2
    windows = SequenceWindows(data, 5, 1)
    assert all((epoch(windows, e)["values"] > 0).any() for e in range(30))


def test_the_scale_is_of_the_whole_sequence():
    data = make(8, 2, 3, features=3)
    values = np.array([[1, -3, NAN, NAN, 5, 1, 0, 0]]).T * [1, 0, 1]
    data.values[0] = values.astype(np.float32)
    data.values[1] = np.float32([[2, NAN, 1], [2, NAN, 0]])
    data.features = (Feature("a"), Feature("b"), Feature("c", ("u", "v")))
    batch = epoch(SequenceWindows(data, 4, 1, drop_remainder=False))
    np.testing.assert_allclose(batch["scale"][:2], [[10 / 6, 1, 1]] * 2)
    np.testing.assert_allclose(batch["scale"][2], [2, 1, 1])
    np.testing.assert_allclose(batch["scale"][3], [201, 201 / 2, 1])


def test_the_number_of_positions():
    windows = SequenceWindows(make(23, 3), 5, 2)
    assert windows.positions == 26 and windows.window == 5 and windows.batch_size == 2


def test_too_little_data_is_refused():
    data = make(23, 3)
    SequenceWindows(data, 5, 4)
    message = "26 positions in 2 sequences make 4 windows of 5 .* where a batch takes 5"
    with pytest.raises(InputError, match=message) as error:
        SequenceWindows(data, 5, 5)
    assert "\n" not in str(error.value)
    SequenceWindows(data, 5, 99, drop_remainder=False)
    for empty in (make(), make(3)):
        for values in empty.values:
            values[:] = NAN
        with pytest.raises(InputError, match="make 0 windows"):
            SequenceWindows(empty, 5, 1, drop_remainder=False)


@pytest.mark.parametrize(("name", "value"), [("window", 0), ("batch_size", 0), ("seed", -1)])
def test_an_argument_out_of_range_is_refused(name, value):
    with pytest.raises(InputError, match=f"Received: {name}={value}$"):
        SequenceWindows(make(9), **{"window": 7, "batch_size": 1, name: value})


def test_of_many_windows_some_are_taken_that_are_spread_evenly():
    data = make(40, 40, 20)
    every = starts_of(SequenceWindows(data, 5, 2, drop_remainder=False))
    assert len(every) == 20
    some = SequenceWindows(data, 5, 2, drop_remainder=False, most=2)
    assert some.steps_per_epoch == 2
    assert starts_of(some) == [every[i] for i in (2, 7, 12, 17)] == [10, 35, 120, 205]
    assert starts_of(SequenceWindows(data, 5, 2, drop_remainder=False, most=10)) == every


def test_windows_of_about_the_same_length_come_together_in_batches_as_short_as_may_be():
    lengths = [3, 4, 5, 8, 2, 7, 40, 1, 16, 12, 6, 3]
    data = make(*lengths, ends=True)
    windows = SequenceWindows(data, 16, 2, sizes=(4, 8, 16))
    plain = SequenceWindows(data, 16, 2)
    assert windows.steps_per_epoch == plain.steps_per_epoch
    for number in range(3):
        steps = range(number * windows.steps_per_epoch, (number + 1) * windows.steps_per_epoch)
        batches = [windows.batch(k) for k in steps]
        rows = {name: [] for name in ("values", "valid", "last", "first")}
        for batch in batches:
            size = batch["valid"].shape[1]
            longest = batch["valid"].sum(axis=1).max()
            assert size == next(each for each in (4, 8, 16) if each >= longest)
            for name, found in rows.items():
                found += list(batch[name])
        # The same windows as without, of which padding alone is cut off.
        whole = epoch(plain, number)
        place = {values[0, 0]: row for row, values in enumerate(whole["values"])}
        taken = [place[values[0, 0]] for values in rows["values"]]
        assert sorted(taken) == sorted(place.values())
        for name in ("values", "valid", "last"):
            for found, row in zip(rows[name], taken):
                np.testing.assert_array_equal(found, whole[name][row][: len(found)])
                if name == "valid":
                    assert found.sum() == whole[name][row].sum()
        # Five, four and three windows of the lengths: two batches have one of either.
        assert sorted(batch["last"].shape[1] for batch in batches) == [4, 4, 8, 8, 16, 16]
    orders = [[windows.batch(6 * n + k)["valid"].shape[1] for k in range(6)] for n in (0, 1)]
    assert orders[0] != orders[1] and orders[0] != sorted(orders[0])
