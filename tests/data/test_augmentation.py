"""Augmentation of training batches."""

import numpy as np
import pytest

from tfgen.data.augmentation import open_augmentation
from tfgen.data.carried_windows import CarriedWindows
from tfgen.data.sequence_windows import SequenceWindows
from tfgen.data.sequences import Feature, Sequences
from tfgen.errors import InputError


def sounds(count=40, length=12):
    values = [np.full([length, 1], 0.5, np.float32) for _ in range(count)]
    ids = [str(number) for number in range(count)]
    feature = Feature("amplitude", low=-1.0, high=1.0)
    return Sequences("made", "audio", (feature,), values, ids, ends=True, sample_rate=100)


def test_gain_is_even_in_decibels_and_one_for_a_sequence():
    windows = SequenceWindows(
        sounds(), 12, 40, seed=1, augment=open_augmentation(["gain=12"], "audio")
    )
    batches = [windows.batch(k) for k in range(50)]
    values = np.concatenate([batch["values"][..., 0] for batch in batches])
    assert np.ptp(values, axis=1).max() == 0
    decibels = 20 * np.log10(values[:, 0] / 0.5)
    assert -12 <= decibels.min() < -11.9 and -0.1 < decibels.max() <= 0
    assert decibels.mean() == pytest.approx(-6, abs=0.3)
    for batch in batches:
        np.testing.assert_allclose(batch["scale"][:, 0], batch["values"][:, 0, 0], rtol=1e-6)


def test_flip_turns_its_share():
    windows = SequenceWindows(
        sounds(), 5, 40, seed=1, augment=open_augmentation(["flip=0.25"], "audio")
    )
    turned = 0
    for k in range(50):
        batch = windows.batch(k)
        np.testing.assert_allclose(np.abs(batch["values"]), 0.5)
        np.testing.assert_allclose(batch["scale"], 0.5)
        sign = np.sign(batch["values"][:, 0])
        np.testing.assert_allclose(batch["previous"][~batch["first"]], 0.5 * sign[~batch["first"]])
        turned += (sign < 0).mean()
    assert turned / 50 == pytest.approx(0.25, abs=0.03)


def waves(length=40, window=64, **changes):
    """A batch of two clips of sine waves, of which the second one begins before the window."""
    clip = np.sin(0.03 * np.arange(length)).astype(np.float32)
    values = np.full([2, window, 1], np.nan, np.float32)
    values[:, :length, 0] = clip
    places = np.arange(window)
    return {
        "values": values,
        "valid": np.stack([places < length] * 2),
        "last": np.stack([places == length - 1] * 2),
        "first": np.array([True, False]),
        "scale": np.ones([2, 1], np.float32),
        **changes,
    }


def test_shift_puts_silence_before():
    batch, seen = waves(), set()
    for seed in range(60):
        moved = open_augmentation(["shift=30"], "audio")(batch, np.random.default_rng(seed))
        count = moved["valid"][0].sum()
        values = moved["values"][0, :, 0]
        later = np.flatnonzero(values != 0)[0] - 1  # the sine itself begins with a 0
        seen.add(later)
        assert count == min(40 + later, 64) and moved["last"][0].nonzero()[0] == [count - 1]
        np.testing.assert_array_equal(values[later:count], batch["values"][0, : count - later, 0])
        assert np.isnan(values[count:]).all()
        for name in ("values", "valid", "last"):  # no whole clip
            np.testing.assert_array_equal(moved[name][1], batch[name][1])
    assert min(seen) == 0 and max(seen) == 30 and len(seen) > 20


def test_pitch_changes_the_frequency():
    batch, seen = waves(), []
    for seed in range(60):
        moved = open_augmentation(["pitch=12"], "audio")(batch, np.random.default_rng(seed))
        count = moved["valid"][0].sum()
        values = moved["values"][0, :, 0]
        factor = np.arcsin(values[1]) / 0.03
        seen.append(np.log2(factor) * 12)
        np.testing.assert_allclose(
            values[:count], np.sin(0.03 * factor * np.arange(count)), atol=2e-3
        )
        assert count == min(int(39 / factor + 1e-3) + 1, 64)
        assert moved["last"][0].nonzero()[0] == [count - 1] and np.isnan(values[count:]).all()
    assert -12.2 < min(seen) < -10 and 10 < max(seen) < 12.2 and abs(np.mean(seen)) < 2


def test_a_batch_stays_a_function_of_the_seed_and_its_number():
    augment = open_augmentation(["flip=0.5", "gain=6"], "audio")
    one, two = (SequenceWindows(sounds(), 12, 8, seed=3, augment=augment) for _ in range(2))
    later = [two.batch(k) for k in (7, 2)][1]
    np.testing.assert_array_equal(one.batch(2)["values"], later["values"])
    assert not np.array_equal(one.batch(2)["values"], one.batch(3)["values"])
    other = SequenceWindows(sounds(), 12, 8, seed=4, augment=augment)
    assert not np.array_equal(one.batch(2)["values"], other.batch(2)["values"])


def test_what_is_carried_on_is_changed_alike_along_a_sequence():
    augment = open_augmentation(["gain=20"], "audio")
    windows = CarriedWindows(sounds(8), 4, 8, seed=0, augment=augment)
    group = [windows.batch(k)["values"][:, 0, 0] for k in range(6)]
    np.testing.assert_array_equal(group[0], group[1])
    np.testing.assert_array_equal(group[0], group[2])
    assert not np.array_equal(group[0], group[3])


def test_none_is_none():
    assert open_augmentation((), "audio") is None


@pytest.mark.parametrize(
    "text, part",
    [
        ("gian=3", "gain"), ("gain", "gain=60"), ("gain=0", "above 0"), ("gain=much", "above 0"),
        ("flip=1.5", "at most 1"), ("flip=nan", "above 0"),
        ("pitch=25", "at most 24"), ("shift=0", "above 0"),
    ],
)  # fmt: skip
def test_mistakes(text, part):
    with pytest.raises(InputError, match=part) as caught:
        open_augmentation([text], "audio")
    assert "\n" not in str(caught.value)


def test_sound_is_not_a_series():
    with pytest.raises(InputError, match="for sound, and these data are series"):
        open_augmentation(["gain=3"], "series")
