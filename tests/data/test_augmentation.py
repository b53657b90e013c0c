"""Augmentation of training batches."""

import numpy as np
import pytest

from tfgen.data.augmentation import open_augmentation
from tfgen.data.carried_windows import CarriedWindows
from tfgen.data.features import Circle, Feature, Step
from tfgen.data.sequence_windows import SequenceWindows
from tfgen.data.sequences import Sequences
from tfgen.data.series_augmentation import between
from tfgen.data.strokes import FEATURES
from tfgen.data.windows import Windows
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
    with pytest.raises(InputError, match="for sound, and the data are time series"):
        open_augmentation(["gain=3"], "series")


# Text


class Letters:
    """A tokenizer of so many ids, as far as an augmentation asks."""

    def __init__(self, vocabulary_size, unknown_id):
        self.vocabulary_size, self.unknown_id = vocabulary_size, unknown_id


# Of 1 to 4, 1 is half of all.
TOKENS = np.random.default_rng(0).choice([1, 1, 1, 2, 3, 4], 5000).astype(np.uint8)


def text_windows(*texts, tokenizer=Letters(9, 0), **arguments):
    augment = open_augmentation(texts, "text", (TOKENS, tokenizer))
    return Windows(TOKENS, 25, 10, seed=3, augment=augment, **arguments)


@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("text", ["dropout=0.2", "noise=0.4"])
def test_text_keeps_its_targets(text, carry_state):
    plain = Windows(TOKENS, 25, 10, seed=3, carry_state=carry_state)
    windows = text_windows(text, carry_state=carry_state)
    changed = 0
    for k in range(2 * plain.steps_per_epoch):
        tokens, (inputs, targets) = plain.batch(k), windows.batch(k)
        assert inputs.dtype == targets.dtype == np.int32 and inputs.shape == (10, 25)
        np.testing.assert_array_equal(targets, tokens[:, 1:])
        changed += (inputs != tokens[:, :-1]).mean() / (2 * plain.steps_per_epoch)
        if text == "dropout=0.2":
            assert ((inputs == tokens[:, :-1]) | (inputs == 0)).all()
    # A token is replaced by itself as often as two tokens are alike.
    alike = np.sum((np.bincount(TOKENS) / len(TOKENS)) ** 2) if text == "noise=0.4" else 0
    assert changed == pytest.approx(float(text[-3:]) * (1 - alike), abs=0.02)


def test_dropout_without_a_token_for_it_draws_evenly_from_all():
    inputs, _ = text_windows("dropout=1", tokenizer=Letters(8, None)).batch(0)
    many = [text_windows("dropout=1", tokenizer=Letters(8, None)).batch(k)[0] for k in range(20)]
    np.testing.assert_array_equal(inputs, many[0])
    shares = np.bincount(np.ravel(many), minlength=8) / np.size(many)
    np.testing.assert_allclose(shares, 1 / 8, atol=0.02)


def test_noise_is_as_frequent_as_the_tokens():
    windows = text_windows("noise=1")
    inputs = np.concatenate([windows.batch(k)[0] for k in range(windows.steps_per_epoch)])
    shares = np.bincount(inputs.ravel()) / inputs.size
    np.testing.assert_allclose(shares, np.bincount(TOKENS) / len(TOKENS), atol=0.02)


def test_text_is_a_function_of_the_seed_and_the_number_and_goes_in_order():
    one, two = text_windows("noise=0.3", "dropout=0.3"), text_windows("noise=0.3", "dropout=0.3")
    later = [two.batch(k) for k in (7, 2)][1]
    np.testing.assert_array_equal(one.batch(2)[0], later[0])
    other = text_windows("dropout=0.3", "noise=0.3").batch(2)[0]
    # What is hidden last stays hidden.
    assert (later[0] == 0).mean() > (other == 0).mean() + 0.05


# Series and strokes

SERIES = (Feature("load"), Feature("rain", low=0.0, high=4.0), Feature("sky", levels=("b", "g")))


def series(count=50, length=60, features=SERIES, kind="series", seed=0, **arguments):
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(count):
        load = 100 + 5 * rng.standard_normal(length)
        rain = rng.uniform(0, 4, length)
        values.append(np.stack([load, rain, rng.integers(0, 2, length)], axis=1).astype("f4"))
        values[-1][10:13, 0] = np.nan
    ids = [str(number) for number in range(count)]
    return Sequences("made", kind, features, values, ids, **arguments)


def both(sequences, *texts, window=60, size=None, k=0):
    """Batch k as it is and as it is changed."""
    size = size or len(sequences)
    augment = open_augmentation(texts, sequences.kind, sequences)
    windows = (SequenceWindows(sequences, window, size, 1, augment=a) for a in (None, augment))
    return [each.batch(k) for each in windows]


def assert_same(before, after, *but):
    assert before.keys() == after.keys()
    for name in before.keys() - {*but}:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
        assert before[name].dtype == after[name].dtype


def test_jitter_is_noise_of_so_many_standard_deviations():
    before, after = both(series(), "jitter=0.1")
    assert_same(before, after, "values")
    values, changed = before["values"], after["values"]
    assert changed.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(values), np.isnan(changed))
    np.testing.assert_array_equal(values[..., 2], changed[..., 2])
    noise = (changed - values)[..., 0] / np.nanstd(values[..., 0], axis=1, keepdims=True)
    assert np.nanstd(noise) == pytest.approx(0.1, rel=0.05)
    assert abs(np.nanmean(noise)) < 0.01
    rain = changed[..., 1]
    assert rain.min() == 0 and rain.max() == 4 and (rain != values[..., 1]).mean() > 0.95


def test_what_stands_still_is_not_jittered():
    still = series()
    for values in still.values:
        values[:, 0] = 7
    before, after = both(still, "jitter=1:load")
    np.testing.assert_array_equal(before["values"], after["values"])


def test_scale_is_one_factor_for_a_sequence():
    before, after = both(series(2000, 4), "scale=0.1", window=4)
    assert_same(before, after, "values", "scale")
    factors = after["values"][..., 0] / before["values"][..., 0]
    logarithms = np.log(factors[:, 0])
    assert logarithms.std() == pytest.approx(0.1, rel=0.05) and abs(logarithms.mean()) < 0.01
    np.testing.assert_allclose(factors, factors[:, :1] + 0 * factors, rtol=1e-5)
    rain = np.minimum(before["values"][..., 1] * factors[:, :1], 4)
    np.testing.assert_allclose(after["values"][..., 1], rain, rtol=1e-5)
    np.testing.assert_array_equal(before["values"][..., 2], after["values"][..., 2])
    ratio = after["scale"] / before["scale"]
    np.testing.assert_allclose(ratio[:, :2], factors[:, :1] + 0 * ratio[:, :2], rtol=1e-5)
    assert (ratio[:, 2] == 1).all()


def test_only_the_columns_that_are_named():
    before, after = both(series(), "scale=0.1:rain", "jitter=0.1:rain")
    changed = (before["values"] != after["values"]) & ~np.isnan(before["values"])
    assert changed.any(axis=(0, 1)).tolist() == [False, True, False]
    assert (before["scale"] != after["scale"]).any(axis=0).tolist() == [False, True, False]


def test_warp_is_a_rising_map_that_keeps_both_ends():
    """The values tell the places that they came from."""
    sequences = series(40, 60)
    for row, values in enumerate(sequences.values):
        values[:, 0] = np.arange(60)
        values[:, 1] = np.arange(60) / 15
        values[:, 2] = np.arange(60) >= 30
        sequences.values[row] = values[: 60 - row % 7]
    before, after = both(sequences, "warp=0.4")
    assert_same(before, after, "values")
    went = []
    for changed, valid in zip(after["values"], before["valid"]):
        count = valid.sum()
        places = changed[:count, 0]
        assert places[0] == 0 and places[-1] == count - 1 and np.isnan(changed[count:]).all()
        assert (np.diff(places) > 0).all()
        np.testing.assert_allclose(changed[:count, 1], places / 15, atol=1e-5)
        np.testing.assert_array_equal(changed[:count, 2], places >= 29.5)
        went.append(np.diff(places))
    went = np.concatenate(went)
    assert np.log(went).std() == pytest.approx(0.35, abs=0.1) and (went != 1).mean() > 0.99


def test_beside_a_gap_the_nearer_position_decides():
    values = np.array([[0.0, 1.0, np.nan, 3.0, 4.0]])[..., None]
    places = np.array([[0.0, 0.5, 1.4, 1.6, 2.0, 2.6, 3.25, 4.0]])
    told = between(values, places)[0, :, 0]
    np.testing.assert_array_equal(told, [0, 0.5, 1, np.nan, np.nan, 3, 3.25, 4])
    told = between(values, places, np.array([True]))[0, :, 0]
    np.testing.assert_array_equal(told, [0, 1, 1, np.nan, np.nan, 3, 3, 4])


def test_what_is_observed_alone_is_not_lost():
    sequences = series(40, features=SERIES[:1])
    sequences.values = [np.full([60, 1], np.nan, np.float32) for _ in range(40)]
    for row, values in enumerate(sequences.values):
        values[row + 10] = 5
    _, after = both(sequences, "warp=1")
    assert (np.nanmax(after["values"], axis=1) == 5).all()


def test_a_gap_keeps_about_its_width():
    before, after = both(series(400), "warp=0.3")
    gaps = [np.isnan(batch["values"][..., 0]).sum() for batch in (before, after)]
    assert gaps[1] == pytest.approx(gaps[0], rel=0.1)


def drawings(count=30, length=20, **arguments):
    rng = np.random.default_rng(2)
    values = [
        np.concatenate(
            [rng.normal(0, 3, (length, 2)), np.arange(length)[:, None] % 5 == 4], axis=1
        ).astype(np.float32)
        for _ in range(count)
    ]
    ids = [str(number) for number in range(count)]
    return Sequences("made", "strokes", FEATURES, values, ids, ends=True, **arguments)


def points(batch):
    return np.cumsum(batch["values"][..., :2], axis=1)


def test_strokes_jitter_moves_each_point_alone():
    before, after = both(drawings(200), "jitter=0.1", window=20)
    assert_same(before, after, "values")
    np.testing.assert_array_equal(before["values"][..., 2], after["values"][..., 2])
    moved = (points(after) - points(before)) / before["scale"][:, :2].mean(axis=1)[:, None, None]
    # No random walk: the last point is as near to its place as the first.
    np.testing.assert_allclose(moved.std(axis=(0, 2)), 0.1, rtol=0.2)


@pytest.mark.parametrize("text", ["jitter=0.2", "scale=0.2", "warp=0.3", "rotate=90"])
def test_carried_drawings_go_on_where_they_were(text):
    sequences = drawings(8)
    sequences.features = Feature("dx", low=-2.0, high=2.0), *FEATURES[1:]
    for values in sequences.values:
        values[:, 0] = np.clip(values[:, 0], -2, 2)
    augment = open_augmentation([text], "strokes", sequences)
    plain, windows = (CarriedWindows(sequences, 7, 8, augment=each) for each in (None, augment))
    one, two = windows.batch(0), windows.batch(1)
    assert not np.allclose(one["values"], plain.batch(0)["values"])
    np.testing.assert_allclose(two["previous"], one["values"][:, -1], rtol=1e-5)
    np.testing.assert_array_equal(two["scale"], one["scale"])
    assert abs(one["values"][..., 0]).max() <= 2


def test_a_point_that_was_jittered_is_where_the_next_window_begins():
    sequences = drawings(8)
    augment = open_augmentation(["jitter=0.2"], "strokes", sequences)
    plain, windows = (CarriedWindows(sequences, 10, 8, augment=each) for each in (None, augment))
    moved = np.concatenate([points(windows.batch(k)) - points(plain.batch(k)) for k in (0, 1)], 1)
    moved[:, 10:] += moved[:, 9:10]
    # The same noise once more, about the same places.
    np.testing.assert_allclose(moved[:, :10], moved[:, 10:], atol=1e-5)


def test_strokes_warp_slides_points_along_each_stroke():
    sequences = drawings(20)
    for values in sequences.values:
        values[:, :2] = [1.0, 2.0]  # every drawing lies on a line
    before, after = both(sequences, "warp=0.4", window=23)
    assert_same(before, after, "values")
    old, new = points(before)[:, :20], points(after)[:, :20]
    np.testing.assert_array_equal(before["values"][..., 2], after["values"][..., 2])
    np.testing.assert_allclose(new[..., 1], 2 * new[..., 0], rtol=1e-5)
    for ends in (slice(0, None, 5), slice(4, None, 5)):
        np.testing.assert_allclose(new[:, ends], old[:, ends], rtol=1e-5)
    assert (np.diff(new[..., 0]) > 0).all() and (abs(new - old)[:, 2] > 0.01).mean() > 0.9


def test_rotate_turns_a_drawing_as_a_whole():
    sequences = drawings(300)
    for values in sequences.values:
        values[:, 0] *= 5
    before, after = both(sequences, "rotate=15", window=20)
    assert_same(before, after, "values", "scale")
    old, new = (batch["values"] @ np.array([1, 1j, 0]) for batch in (before, after))
    angles = np.angle(new / old, deg=True)
    np.testing.assert_allclose(angles, angles[:, :1] + 0 * angles, atol=1e-3)
    np.testing.assert_allclose(abs(new), abs(old), rtol=1e-5)
    assert -15 < angles.min() < -14 and 14 < angles.max() < 15 and abs(angles.mean()) < 2
    real = abs(after["values"][..., :2]).mean(axis=1)
    error = [abs(batch["scale"][:, :2] / real - 1).mean() for batch in (before, after)]
    assert error[1] < 0.06 < 0.08 < error[0]


def chorales(levels=tuple(str(number) for number in range(40, 81)), lowest=0, count=3000):
    """Two voices: the one a category of `levels`, the other a number; rests in both."""
    rng = np.random.default_rng(5)
    features = (Feature("pitch", levels=levels), Feature("bass"), Feature("loudness"))
    values = [
        np.stack([rng.integers(10 + lowest, 30, 8), rng.integers(40, 60, 8), rng.random(8)], 1)
        for _ in range(count)
    ]
    values = [each.astype(np.float32) for each in values]
    for each in values:
        each[3, 0] = each[5, 1] = np.nan
    return Sequences("made", "series", features, values, [str(i) for i in range(count)])


def test_transpose_moves_all_notes_by_one_number_of_semitones():
    before, after = both(chorales(), "transpose=5:pitch+bass", window=8)
    assert_same(before, after, "values", "scale")
    moved = after["values"] - before["values"]
    assert (np.isnan(after["values"]) == np.isnan(before["values"])).all()
    assert (moved[..., 2] == 0).all()
    shifts = moved[:, 0, 0]
    for column in (0, 1):
        each = moved[..., column]
        assert ((each == shifts[:, None]) | np.isnan(each)).all()
    numbers, counts = np.unique(shifts, return_counts=True)
    assert numbers.tolist() == [*range(-5, 6)]
    np.testing.assert_allclose(counts / len(shifts), 1 / 11, atol=0.02)
    np.testing.assert_allclose(after["scale"][:, 1] - before["scale"][:, 1], shifts, atol=1e-4)
    assert (after["scale"][:, 0] == 1).all()


def test_transpose_takes_what_is_called_pitch_and_draws_from_what_is_possible():
    sequences = chorales(count=2000)
    for row, values in enumerate(sequences.values):
        values[0, 0] = 40 if row % 2 else 2  # the last level, or the third
        values[1, 0] = 20
    before, after = both(sequences, "transpose=5", window=8)
    assert_same(before, after, "values")
    shifts = (after["values"] - before["values"])[:, 0, 0]
    high = before["values"][:, 0, 0] == 40
    for rows, possible in ((high, range(-5, 1)), (~high, range(-2, 6))):
        numbers, counts = np.unique(shifts[rows], return_counts=True)
        assert numbers.tolist() == [*possible]
        np.testing.assert_allclose(counts / rows.sum(), 1 / len(possible), atol=0.04)


def test_transpose_moves_a_level_to_that_of_its_number_and_leaves_what_is_none():
    levels = ("7", "rest", "5", "4", "6")
    sequences = chorales(levels, count=400)
    for values in sequences.values:
        values[:, 0] = [2, 1, 2, 4, 1, 2, np.nan, 4]  # 5 rest 5 6 rest 5 - 6
    _, after = both(sequences, "transpose=3", window=8)
    seen = {
        " ".join("-" if np.isnan(each) else levels[int(each)] for each in row)
        for row in after["values"][..., 0]
    }
    assert seen == {
        "5 rest 5 6 rest 5 - 6", "4 rest 4 5 rest 4 - 5", "6 rest 6 7 rest 6 - 7"
    }  # fmt: skip


def test_numbers_stay_among_those_of_midi_and_inside_bounds():
    sequences = chorales(count=400)
    for values in sequences.values:
        values[:4, 1] = 126
    _, after = both(sequences, "transpose=5:bass", window=8)
    assert np.unique(after["values"][:, 0, 1]).tolist() == [*range(121, 128)]
    features = sequences.features
    sequences.features = features[0], Feature("bass", low=39.0, high=126.0), features[2]
    before, after = both(sequences, "transpose=5:bass", window=8)
    assert np.unique((after["values"] - before["values"])[:, 7, 1]).tolist() == [*range(-5, 1)]


def test_one_after_the_other():
    sequences = drawings()
    one = open_augmentation(["jitter=0.2"], "strokes", sequences)
    two = open_augmentation(["rotate=90"], "strokes", sequences)
    chain = open_augmentation(["jitter=0.2", "rotate=90"], "strokes", sequences)
    batch = SequenceWindows(sequences, 20, 30).batch(0) | {"valid": np.ones([30, 20], bool)}
    generator = np.random.default_rng(4)
    expected = two(one(batch, generator), generator)
    got = chain(batch, np.random.default_rng(4))
    np.testing.assert_array_equal(got["values"], expected["values"])
    assert not np.allclose(got["values"], one(batch, np.random.default_rng(4))["values"])


@pytest.mark.parametrize(
    "kind, text, part",
    [
        ("text", "jitter=0.1", "'jitter' is for time series and pen strokes, and the data are text"),
        ("text", "gain=3", "'gain' is for sound, and the data are text"),
        ("series", "dropout=0.1", "'dropout' is for text, and the data are time series"),
        ("series", "rotate=5", "'rotate' is for pen strokes, and the data are time series"),
        ("strokes", "transpose=5", "'transpose' is for time series and music as frames and music as events, and the data are pen"),
        ("audio", "noise=0.1", "'noise' is for text, and the data are sound"),
        ("text", "dropout=1.5", "dropout takes a number above 0 and at most 1, as in 'dropout=0.5'"),
        ("text", "noise", "noise takes a number above 0"),
        ("text", "noise=0.1:a", "noise takes no columns"),
        ("series", "warp=0", "above 0"),
        ("series", "transpose=2.5:load", "transpose takes an integer above 0 and at most 24"),
        ("series", "transpose=5", "called pitch or note, or those .*'transpose=5:load'"),
        ("series", "transpose=5:sky", "integers, and 'sky' has none. Received: sky='b'"),
        ("series", "transpose=5:load", "from 0 to 127.* Received: load=-3"),
        ("series", "jitter=0.1:laod", "Unknown column of training.augment 'laod'. Did you mean 'l"),
        ("series", "scale=0.1:load+sky", "'sky' is a category. Received: columns=load.sky"),
    ],
)  # fmt: skip
def test_more_mistakes(kind, text, part):
    sequences = series(2)
    sequences.values[0][0, 0] = -3
    data = {"text": (TOKENS, Letters(9, 0)), "series": sequences, "strokes": drawings(2)}
    with pytest.raises(InputError, match=part) as caught:
        open_augmentation([text], kind, data.get(kind))
    assert "\n" not in str(caught.value)


def test_a_column_may_have_a_plus_in_its_name():
    sequences = series(2, features=(Feature("a+b"), *SERIES[1:]))
    before, after = both(sequences, "scale=0.1:a+b")
    assert not np.array_equal(before["scale"][:, 0], after["scale"][:, 0])


@pytest.mark.parametrize("text", ["jitter=0.3", "scale=0.3", "warp=0.5"])
def test_what_is_augmented_could_have_been_recorded(text):
    features = (
        Feature("wind", step=Step(10.0), circle=Circle(360.0)),
        Feature("sold", low=0.0, step=Step(1.0)),
    )
    rng = np.random.default_rng(0)
    values = np.stack([np.arange(0, 400, 10) % 360, rng.poisson(4, 40)], axis=1).astype(np.float32)
    made = Sequences("made", "series", features, [values], ["0"])
    batch = SequenceWindows(made, 40, 1, seed=0, drop_remainder=False).batch(0)
    augment = open_augmentation([text], "series", made)
    changed = augment(batch, np.random.default_rng(1))["values"][0]
    wind, sold = changed.T
    assert not np.array_equal(changed, batch["values"][0])
    assert (
        set(wind) <= set(range(0, 360, 10)) and (sold == np.round(sold)).all() and sold.min() >= 0
    )
    if text == "scale=0.3":
        np.testing.assert_array_equal(wind, batch["values"][0][:, 0])
