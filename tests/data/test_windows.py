"""Windows: batches that are a function of the seed and of their number."""

import numpy as np
import pytest

from tfgen.data import Windows
from tfgen.errors import InputError

TOKENS = np.arange(1000)  # a token is its position
BATCH_0 = [[22, 23, 24, 25, 26, 27], [42, 43, 44, 45, 46, 47]]
BATCH_23 = [[33, 34, 35, 36, 37, 38], [63, 64, 65, 66, 67, 68]]
CARRIED_13 = [[22, 23, 24, 25, 26, 27], [67, 68, 69, 70, 71, 72]]


def test_a_batch_is_a_function_of_the_seed_and_its_number():
    one, two = Windows(TOKENS, 7, 4, seed=3), Windows(TOKENS, 7, 4, seed=3)
    numbers = list(range(3 * one.steps_per_epoch))
    batches = {k: one.batch(k) for k in numbers}
    for k in np.random.default_rng(0).permutation(numbers):
        np.testing.assert_array_equal(two.batch(k), batches[k])


def test_the_batches_of_a_seed_never_change():
    # A run that is resumed by a later version sees the data that it would have seen.
    windows = Windows(np.arange(100), 5, 2, seed=1)
    assert windows.batch(0).tolist() == BATCH_0
    assert windows.batch(23).tolist() == BATCH_23
    assert Windows(np.arange(100), 5, 2, seed=1, carry_state=True).batch(13).tolist() == CARRIED_13


def test_another_seed_gives_other_batches():
    assert (Windows(TOKENS, 7, 4, seed=0).batch(0) != Windows(TOKENS, 7, 4, seed=1).batch(0)).any()


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize(("window", "batch_size"), [(1, 1), (7, 4), (10, 9)])
def test_the_windows_of_an_epoch_do_not_overlap(carry_state, window, batch_size):
    windows = Windows(TOKENS, window, batch_size, carry_state=carry_state)
    offsets = set()
    for epoch in range(8):
        steps = range(epoch * windows.steps_per_epoch, (epoch + 1) * windows.steps_per_epoch)
        batches = np.stack([windows.batch(k) for k in steps])
        assert batches.dtype == np.int32
        assert batches.shape == (windows.steps_per_epoch, batch_size, window + 1)
        # The text goes on within a window; targets are the inputs shifted by one.
        assert (np.diff(batches) == 1).all()
        targets = batches[..., 1:].ravel()
        assert len(set(targets)) == len(targets)
        # All but a batch and a window of the data is seen.
        assert len(targets) > len(TOKENS) - (batch_size + 2) * window
        offsets.add(int(batches.min()) % window)
    assert len(offsets) > 1 or window == 1


def test_epochs_differ_in_order():
    windows = Windows(TOKENS, 7, 4)
    first, second = windows.batch(0), windows.batch(windows.steps_per_epoch)
    assert (first != second).any()
    starts = np.concatenate([windows.batch(k)[:, 0] for k in range(windows.steps_per_epoch)])
    assert not (np.diff(starts) > 0).all()


def test_carried_lanes_are_contiguous():
    windows = Windows(TOKENS, 7, 4, carry_state=True)
    steps = windows.steps_per_epoch
    for k in range(3 * steps):
        assert windows.starts_epoch(k) == (k in (0, steps, 2 * steps))
        if not windows.starts_epoch(k):
            np.testing.assert_array_equal(windows.batch(k)[:, 0], windows.batch(k - 1)[:, -1])


@pytest.mark.parametrize(("window", "batch_size"), [(1, 1), (7, 4), (9, 37), (999, 1), (999, 5)])
def test_without_dropping_every_target_comes_once(window, batch_size):
    windows = Windows(TOKENS, window, batch_size, drop_remainder=False)
    batches = [windows.batch(k) for k in range(windows.steps_per_epoch)]
    targets = np.concatenate([batch[:, 1:].ravel() for batch in batches])
    rest = (len(TOKENS) - 1) % window
    np.testing.assert_array_equal(targets, TOKENS[1 : len(TOKENS) - rest])
    assert all(len(batch) == batch_size for batch in batches[:-1])
    np.testing.assert_array_equal(windows.batch(windows.steps_per_epoch), batches[0])


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize(("drop_remainder", "needed"), [(True, 10 * 3 + 10), (False, 10 + 1)])
def test_exactly_enough_tokens_are_enough(carry_state, drop_remainder, needed):
    for seed in range(20):  # any offset fits
        arguments = 10, 3, seed, carry_state, drop_remainder
        windows = Windows(np.arange(needed), *arguments)
        assert windows.steps_per_epoch == 1
        assert [windows.batch(k).shape[1] for k in range(5)] == [11] * 5
    message = f"too short: {needed - 1} tokens, .* need {needed}\\."
    with pytest.raises(InputError, match=message) as error:
        Windows(np.arange(needed - 1), *arguments)
    assert "\n" not in str(error.value)


def test_no_tokens_are_too_few():
    with pytest.raises(InputError, match="too short: 0 tokens"):
        Windows(np.zeros([0], np.uint8), 10, 3)


@pytest.mark.parametrize(("name", "value"), [("window", 0), ("batch_size", 0), ("seed", -1)])
def test_an_argument_out_of_range_is_refused(name, value):
    with pytest.raises(InputError, match=f"Received: {name}={value}$"):
        Windows(TOKENS, **{"window": 7, "batch_size": 4, name: value})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mapped_tokens_give_the_batches_of_an_array(tmp_path, dtype):
    tokens = np.random.default_rng(0).integers(200, size=1000).astype(dtype)
    tokens.tofile(tmp_path / "tokens")
    mapped = np.memmap(tmp_path / "tokens", dtype, mode="r")
    for k in range(5):
        batch = Windows(mapped, 7, 4).batch(k)
        assert type(batch) is np.ndarray and batch.dtype == np.int32
        np.testing.assert_array_equal(batch, Windows(tokens, 7, 4).batch(k))


def test_of_many_windows_some_are_taken_that_are_spread_evenly():
    every = Windows(TOKENS, 9, 4, drop_remainder=False)
    some = Windows(TOKENS, 9, 4, drop_remainder=False, most=3)
    assert every.steps_per_epoch == 28 and some.steps_per_epoch == 3
    starts = np.concatenate([some.batch(k)[:, 0] for k in range(3)])
    # 111 windows of 9 tokens; the middle of each twelfth of them.
    assert starts.tolist() == [9 * int((i + 0.5) * 111 / 12) for i in range(12)]
    # Fewer than the most are all of them.
    least = Windows(TOKENS, 9, 4, drop_remainder=False, most=50)
    for k in range(28):
        np.testing.assert_array_equal(least.batch(k), every.batch(k))


def test_stretches_of_a_validation_are_spread_over_the_text_and_go_on():
    windows = Windows(TOKENS, 9, 4, carry_state=True, drop_remainder=False, most=5)
    assert windows.carries_state and windows.steps_per_epoch == 4
    assert [windows.starts_epoch(k) for k in range(5)] == [True, False, True, False, True]
    begins = 9 * (np.arange(8) * 111 // 8)
    for group in range(2):
        batches = [windows.batch(2 * group + k)[:, :-1] for k in range(2)]
        lanes = np.concatenate(batches, axis=1)
        np.testing.assert_array_equal(lanes, begins[group::2, None] + np.arange(18))
    # Without a limit they reach the next lane, but for a rest.
    windows = Windows(TOKENS, 9, 4, carry_state=True, drop_remainder=False)
    assert windows.steps_per_epoch == 27
    # A text of fewer windows than lanes has one for each.
    windows = Windows(TOKENS[:40], 9, 32, carry_state=True, drop_remainder=False)
    assert windows.batch_size == 4 and windows.steps_per_epoch == 1
    assert not Windows(TOKENS, 9, 4, carry_state=True).carries_state
