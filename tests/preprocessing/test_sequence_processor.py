"""`SequenceProcessor`: columns, times, other data for a trained model, and files that are data."""

import dataclasses
import datetime
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import SequenceWindows
from tfgen.data.sequences import Feature, Sequences
from tfgen.data.series_scales import series_scale
from tfgen.errors import InputError
from tfgen.preprocessing import (
    Chain,
    MeanScaler,
    MuLawScaler,
    NoScaler,
    RobustScaler,
    SequenceProcessor,
    StandardScaler,
    load_processor,
    save_processor,
)
from tfgen.recipe import PreprocessingConfig

NAN, INF = np.nan, np.inf
HOUR, DAY, WEEK, YEAR = 3600, 86_400, 604_800, 31_556_952
START = int(datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC).timestamp())
FEATURES = (
    Feature("pressure"),
    Feature("wind", levels=("N", "E", "S")),
    Feature("rain", low=0.0),
    Feature("humid", low=0.0, high=100.0),
)


def weather(hours=(24 * 15, 24 * 12), **changes):
    """Two stations, hourly, with a category, bounds, known and static columns and classes."""
    rng = np.random.default_rng(1)
    values = [
        np.stack(
            [
                rng.normal(1013, 7, count),
                rng.integers(0, 3, count),
                rng.exponential(0.3, count),
                rng.uniform(0, 100, count),
            ],
            axis=1,
        ).astype(np.float32)
        for count in hours
    ]
    values[0][5, 0] = values[0][7, 1] = NAN
    data = {
        "name": "weather",
        "kind": "series",
        "features": FEATURES,
        "values": values,
        "ids": ["EWR", "JFK"],
        "times": [START + HOUR * np.arange(count) for count in hours],
        "known": [np.stack([np.arange(count), -np.arange(count)], 1) * 1.0 for count in hours],
        "known_names": ("day", "night"),
        "static": np.array([[1.0, 30.0], [3.0, 10.0]], np.float32),
        "static_names": ("height", "age"),
        "labels": np.array([0, 1], np.int32),
        "classes": ("inland", "coast"),
    }
    return Sequences(**{**data, **changes})


def fit(sequences=None, **config):
    return SequenceProcessor.fit(
        weather() if sequences is None else sequences, PreprocessingConfig(**config)
    )


PROCESSOR = fit(log1p=["rain"])


def test_what_fit_finds():
    processor = fit()
    assert processor.feature_names == ("pressure", "wind", "rain", "humid")
    assert processor.number_columns == (0, 2, 3) and processor.num_numbers == 3
    assert processor.category_columns == (1,) and processor.num_categories == 1
    assert processor.levels == (3,) and processor.num_features == 4
    assert processor.num_classes == 2 and processor.classes == ("inland", "coast")
    assert processor.static_width == 2 and processor.has_missing and not processor.ends
    assert processor.step == HOUR and processor.start_time == START
    assert processor.length == 24 * 12
    assert processor.calendar == (DAY, WEEK) and not processor.irregular
    assert processor.covariate_width == 2 * 2 + 2
    stacked = np.concatenate(weather().values)[:, [0, 2, 3]].astype(np.float64)
    np.testing.assert_allclose(processor.scaler.mean, np.nanmean(stacked, 0), rtol=1e-12)
    scales = [np.nanmean(np.abs(each), 0) for each in weather().values]
    np.testing.assert_allclose(processor.scale, np.median(scales, 0)[[0, 2, 3]], rtol=1e-5)
    np.testing.assert_allclose(processor.known_scaler.std[0], np.std(
        np.concatenate([np.arange(24 * 15), np.arange(24 * 12)])
    ))  # fmt: skip
    assert processor.static_scaler.mean == (2.0, 20.0)


def test_fit_twice_is_the_same():
    assert SequenceProcessor(**_arguments(fit())).get_config() | {"name": ""} == (
        fit().get_config() | {"name": ""}
    )


def _arguments(processor):
    config = processor.get_config()
    del config["name"]
    return config


@pytest.mark.parametrize(
    ("scaler", "kind", "expected"),
    [
        ("auto", "series", StandardScaler),
        ("auto", "strokes", StandardScaler),
        ("auto", "audio", MuLawScaler),
        ("mean", "audio", MeanScaler),
        ("robust", "series", RobustScaler),
        ("none", "series", NoScaler),
    ],
)
def test_the_scaler_is_what_the_recipe_says(scaler, kind, expected):
    assert type(fit(weather(kind=kind), scaler=scaler).scaler) is expected


def test_log1p_columns_are_named():
    assert isinstance(PROCESSOR.scaler, Chain)
    assert PROCESSOR.scaler.scalers[0].columns == (1,)  # of the numbers, rain is the second
    with pytest.raises(InputError, match="Unknown column of numbers .*'rains'. Did you mean"):
        fit(log1p=["rains"])
    with pytest.raises(InputError, match="'wind'.* Known: humid, pressure, rain"):
        fit(log1p=["wind"])
    wet = weather()
    wet.values[1][3, 2] = -2
    with pytest.raises(InputError, match="Column 'rain' cannot go through log1p.*rain=-2"):
        fit(wet, log1p=["rain"])


def test_columns_that_cannot_be_scaled_are_named():
    gone = weather()
    for values in gone.values:
        values[:, 3] = NAN
    with pytest.raises(InputError, match="Column 'humid' has no value"):
        fit(gone)
    with pytest.raises(InputError, match="Column 'night' has no value"):
        fit(weather(known=[np.array([[1, NAN]])] * 2))
    with pytest.raises(InputError, match="training data are empty"):
        fit(weather().select([]))


def test_sequences_without_anything_else():
    bare = Sequences(
        "x", "strokes", (Feature("x"),), [np.ones([4, 1], np.float32)], ["0"], ends=True
    )
    processor = fit(bare)
    assert processor.ends and processor.calendar == () and processor.step is None
    assert processor.start_time is None and not processor.needs_times and not processor.has_missing
    assert processor.covariate_width == 0 and processor.covariates() is None


def test_categories_alone():
    notes = Sequences(
        "x", "series", (Feature("note", ("C", "D")),), [np.array([[0.0], [1]])], ["0"]
    )
    processor = fit(notes, scaler="min_max")
    assert processor.num_numbers == 0
    joined = processor.join(None, processor.categories([[0.0], [NAN], [1]]))
    np.testing.assert_array_equal(joined, [[0], [NAN], [1]])
    assert processor(np.zeros([5, 1], np.float32)).shape == (5, 0)


def times_at(*seconds):
    return [np.array(seconds, np.int64)]


def timed(*seconds):
    values = [np.arange(len(seconds), dtype=np.float32)[:, None]]
    return Sequences("x", "series", (Feature("x"),), values, ["0"], times=times_at(*seconds))


@pytest.mark.parametrize(
    ("step", "count", "expected"),
    [
        (HOUR, 24, ()),  # a span of 23 hours
        (HOUR, 25, (DAY,)),
        (HOUR, 169, (DAY, WEEK)),
        (6 * HOUR, 100, (DAY, WEEK)),
        (8 * HOUR, 100, (WEEK,)),  # three to a day
        (DAY, 8, (WEEK,)),
        (DAY, 366, (WEEK,)),  # 365 days are less than a year of 365.2425
        (DAY, 367, (WEEK, YEAR)),
        (30 * DAY, 40, (YEAR,)),
        (YEAR, 40, ()),
    ],
)
def test_calendars_are_those_that_the_data_can_show(step, count, expected):
    sequences = timed(*(START + step * np.arange(count)))
    assert fit(sequences).calendar == expected
    assert fit(sequences, calendar=False).calendar == ()


def test_the_year_counts_over_all_sequences():
    first, second = (np.arange(40) * DAY, np.arange(40) * DAY + YEAR)
    both = timed(*first)
    both = dataclasses.replace(both, values=both.values * 2, ids=["0", "1"], times=[first, second])
    assert fit(both).calendar == (WEEK, YEAR)
    assert fit(both).start_time == 0


def test_irregular_times():
    processor = fit(timed(START, START + 60, START + 120, START + 600))
    assert processor.step == 60 and processor.irregular
    covariates = processor.covariates(np.array([[START + 10, START + 70, START + 370]]))
    np.testing.assert_allclose(covariates[0, :, 0], np.log([2, 2, 6]), rtol=1e-6)
    before = processor.covariates(np.array([[START]]), previous=np.array([START - 180]))
    np.testing.assert_allclose(before[0, :, 0], np.log([4]), rtol=1e-6)
    backwards = processor.covariates(np.array([[START, START - 60]]))
    assert backwards[0, 1, 0] == 0
    assert not fit(timed(0, 60, 120)).irregular


@pytest.mark.parametrize("seconds", [(START,), (START, START, START)])
def test_times_that_tell_no_step(seconds):
    processor = fit(timed(*seconds))
    assert processor.step is None and not processor.needs_times
    assert processor.start_time == START


def test_covariates_are_the_phases_of_the_calendar_and_the_known():
    processor = fit(weather())
    # Far from 1970 too: float32 would round these seconds to several minutes.
    for start in (START, START + 200 * YEAR, -START):
        times = start + HOUR * np.arange(30)[None] + 7
        known = np.stack([np.arange(30), np.arange(30)], 1)[None] * 1.0
        known[0, 4, 1] = NAN
        covariates = processor.covariates(times, known).numpy()
        assert covariates.shape == (1, 30, processor.covariate_width)
        for column, period in ((0, DAY), (2, WEEK)):
            phase = 2 * np.pi * (times % period / period)
            np.testing.assert_allclose(covariates[..., column], np.sin(phase), atol=1e-6)
            np.testing.assert_allclose(covariates[..., column + 1], np.cos(phase), atol=1e-6)
        scaler = processor.known_scaler
        expected = (known - np.array(scaler.mean)) / np.array(scaler.std)
        expected[0, 4, 1] = 0  # a missing one counts as the mean
        np.testing.assert_allclose(covariates[..., 4:], expected, rtol=1e-5, atol=1e-6)


def test_covariates_that_are_needed_must_be_given():
    with pytest.raises(InputError, match="trained on data with times"):
        PROCESSOR.covariates(None, np.zeros([1, 2, 2]))
    with pytest.raises(InputError, match="known beforehand: day, night"):
        PROCESSOR.covariates(np.array([[START]]))
    with pytest.raises(ValueError, match="integers. Received: times of float"):
        PROCESSOR.covariates(np.array([[1e9]]), np.zeros([1, 1, 2]))


def test_statics_are_scaled():
    np.testing.assert_allclose(PROCESSOR.statics([[3.0, NAN], [1.0, 30.0]]), [[1, 0], [-1, 1]])


def test_numbers_and_categories_come_apart_and_together():
    values = weather().values[0][None]
    numbers, categories = PROCESSOR.numbers(values), PROCESSOR.categories(values)
    np.testing.assert_array_equal(numbers, values[..., [0, 2, 3]])
    assert categories.dtype == tf.int32 and categories[0, 7, 0] == -1
    np.testing.assert_array_equal(PROCESSOR.join(numbers, categories), values)
    strange = np.array([[0.0, 3.0, 0, 0], [0, -1.0, 0, 0], [0, INF, 0, 0]])
    np.testing.assert_array_equal(PROCESSOR.categories(strange), [[-1]] * 3)
    plain = SequenceProcessor.plain(2)
    assert plain.feature_names == ("x0", "x1")
    np.testing.assert_array_equal(plain.join(plain.numbers([[1.0, 2]]), None), [[1, 2]])
    np.testing.assert_array_equal(plain.scale_numbers([[1.0, 2]]), [[1, 2]])


def test_scaling_goes_there_and_back():
    values = weather().values[0][None]
    numbers = PROCESSOR.numbers(values)
    scaled = PROCESSOR.scale_numbers(numbers)
    np.testing.assert_array_equal(PROCESSOR(values), scaled)
    np.testing.assert_allclose(PROCESSOR.unscale_numbers(scaled), numbers, rtol=1e-5, atol=1e-5)
    slope = PROCESSOR.log_slope(numbers)
    deviations = PROCESSOR.scaler.scalers[1].std
    expected = -np.log(deviations) - np.log1p(numbers * [0.0, 1.0, 0.0])
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-5)


def test_bounds():
    low, high = PROCESSOR.bounds
    assert low.dtype == np.float32
    np.testing.assert_array_equal(low, [-INF, 0, 0])
    np.testing.assert_array_equal(high, [INF, INF, 100])
    scaled_low, scaled_high = PROCESSOR.scaled_bounds()
    np.testing.assert_allclose(
        scaled_low[1:], PROCESSOR.scale_numbers([[0.0, 0, 0]])[0, 1:], rtol=1e-6
    )
    np.testing.assert_allclose(scaled_high[2], PROCESSOR.scale_numbers([[0.0, 0, 100]])[0, 2])
    assert scaled_low[0] == -INF and (scaled_high[:2] == INF).all()
    assert fit(scaler="mean").scaled_bounds() is None

    @tf.function
    def in_graph():
        return tf.constant(PROCESSOR.scaled_bounds()[1])

    np.testing.assert_array_equal(in_graph(), scaled_high)


def test_a_median_scale_is_not_moved_by_a_jump():
    numbers = np.array([
        [[1, NAN], [-2, NAN], [3, NAN], [900, NAN], [NAN, NAN]],
        [[0, 4], [0, 0], [0, -6], [8, NAN], [NAN, NAN]],
    ], np.float32)  # fmt: skip
    features = (Feature("a"), Feature("b"))
    made = Sequences("made", "series", features, [*numbers[:, :, :1].repeat(2, 2)], ["0", "1"])
    processor = SequenceProcessor.fit(made, PreprocessingConfig(scaler="median"))
    # Half way between 2 and 3; nothing; the mean of 0, 0, 0 and 8; between 0, 4 and 6.
    expected = [[2.5, 1], [2, 4]]
    np.testing.assert_array_equal(processor.series_scale(numbers), expected)
    np.testing.assert_array_equal([series_scale(each, "median") for each in numbers], expected)
    np.testing.assert_array_equal(processor.series_scale(numbers[:, :0]), np.ones([2, 2]))
    assert processor.scale == (2.25, 2.25)  # the median of the two series' own
    scale = processor.series_scale(numbers)
    np.testing.assert_allclose(
        processor.scale_numbers(numbers, scale)[0, :4, 0] * 2.5, [1, -2, 3, 900]
    )
    windows = SequenceWindows(made, 5, 2, statistic=processor.scaler.statistic)
    assert sorted(windows.batch(0)["scale"][:, 0]) == [2, 2.5]


def test_series_scale_is_the_mean_absolute_value_of_what_is_observed():
    numbers = np.array([[[1.0, 0], [-3, NAN], [NAN, 0]], [[NAN, -5], [NAN, 5], [NAN, NAN]]])
    processor = SequenceProcessor.plain(2)
    np.testing.assert_allclose(processor.series_scale(numbers), [[2, 1], [1, 5]])


def test_a_scaler_of_each_series_takes_the_typical_scale_without_one():
    processor = fit(scaler="mean")
    ones = np.ones([2, 5, 3], np.float32)
    np.testing.assert_allclose(
        processor.scale_numbers(ones)[1, 2], 1 / np.array(processor.scale), rtol=1e-6
    )
    scale = np.array([[1.0, 2, 4], [0, 8, 16]])
    scaled = processor.scale_numbers(ones, scale)
    np.testing.assert_allclose(scaled[:, 3], [[1, 0.5, 0.25], [1, 0.125, 0.0625]])
    np.testing.assert_allclose(processor.unscale_numbers(scaled, scale), ones)
    np.testing.assert_allclose(
        processor.log_slope(ones, scale)[1, 0], -np.log([1, 8, 16]), rtol=1e-6
    )


@pytest.mark.long
def test_it_is_all_constants_compiled_and_in_a_saved_model(tmp_path):
    """One compilation, in the live function, and another where it is served."""
    processor = fit(log1p=["rain"])

    @tf.function(
        jit_compile=True,
        input_signature=[
            tf.TensorSpec([1, 30, 4], tf.float32),
            tf.TensorSpec([1, 30], tf.int64),
            tf.TensorSpec([1, 30, 2], tf.float32),
        ],
    )
    def all_of_it(values, times, known):
        numbers = processor.numbers(values)
        scaled = processor.scale_numbers(numbers)
        back = processor.join(processor.unscale_numbers(scaled), processor.categories(values))
        return {
            "scaled": scaled,
            "back": back,
            "slope": processor.log_slope(numbers),
            "covariates": processor.covariates(times, known),
            "statics": processor.statics(tf.ones([1, 2])),
            "scale": processor.series_scale(numbers),
        }

    values = weather().values[0][None, :30]
    times = START + 300 * YEAR + HOUR * np.arange(30)[None]
    known = np.ones([1, 30, 2], np.float32)
    live = all_of_it(values, times, known)
    np.testing.assert_allclose(live["scaled"], processor(values), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(live["back"], values, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        live["covariates"], processor.covariates(times, known), rtol=1e-5, atol=1e-6
    )
    assert not processor.variables

    archive = keras.export.ExportArchive()
    archive.track(processor)
    names = ["values", "times", "known"]
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in zip(names, all_of_it.input_signature, strict=True)
    ]
    archive.add_endpoint("serve", lambda *inputs: all_of_it(*inputs), specs)
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved")).serve(values, times, known)
    for name, tensor in live.items():
        np.testing.assert_array_equal(served[name], tensor, err_msg=name)


# Other data.


def test_check_leaves_the_same_data_as_they_are():
    checked = PROCESSOR.check(weather())
    for ours, theirs in zip(checked.values, weather().values, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(checked.labels, [0, 1])
    assert checked.features == FEATURES and not checked.report.dropped


def test_check_puts_columns_levels_and_classes_in_our_order():
    order = [3, 1, 0, 2]
    theirs = weather(
        features=tuple(
            dataclasses.replace(FEATURES[i], levels=("S", "N", "W") if i == 1 else ())
            for i in order
        ),
        values=[values[:, order] for values in weather().values],
        known=[known[:, ::-1] for known in weather().known],
        known_names=("night", "day"),
        static=weather().static[:, ::-1],
        static_names=("age", "height"),
        labels=np.array([1, 0], np.int32),
        classes=("coast", "inland"),
        ends=True,
    )
    checked = PROCESSOR.check(theirs)
    assert [feature.name for feature in checked.features] == list(PROCESSOR.feature_names)
    np.testing.assert_array_equal(
        checked.values[0][:, [0, 2, 3]], weather().values[0][:, [0, 2, 3]]
    )
    # Theirs 0, 1, 2 are S, N, W; ours N, E, S.
    translated = {0: 2, 1: 0, 2: NAN}
    for ours, given in zip(checked.values, weather().values, strict=True):
        expected = [translated.get(level, NAN) for level in given[:, 1]]
        np.testing.assert_array_equal(ours[:, 1], expected)
    [(reason, [count, example])] = checked.report.dropped.items()
    assert count == sum((values[:, 1] == 2).sum() for values in weather().values)
    assert "'wind'" in reason and example == "W"
    assert not theirs.report.dropped
    np.testing.assert_array_equal(checked.known[0], weather().known[0])
    np.testing.assert_array_equal(checked.static, weather().static)
    np.testing.assert_array_equal(checked.labels, [0, 1])
    assert checked.ends is False


def test_check_takes_a_category_of_which_nothing_is_observed():
    values = [values.copy() for values in weather().values]
    for each in values:
        each[:, 1] = NAN
    features = (FEATURES[0], Feature("wind"), *FEATURES[2:])
    assert PROCESSOR.check(weather(values=values, features=features)).features == FEATURES


def _changed(column, value):
    values = [values.copy() for values in weather().values]
    values[1][2, column] = value
    return values


RENAMED = (Feature("press"), *FEATURES[1:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": RENAMED}, "missing: 'pressure'; unknown: 'press'.*Received: press, wind"),
        (
            {"features": FEATURES[:3], "values": [v[:, :3] for v in weather().values]},
            "pressure, wind, rain, humid .missing: 'humid'.",
        ),
        ({"features": (FEATURES[0], Feature("wind"), *FEATURES[2:])}, "'wind' is a category to"),
        ({"features": (Feature("pressure", ("a",)), *FEATURES[1:])}, "'pressure' is a number to"),
        ({"values": _changed(0, INF)}, "sequence 'JFK', column 'pressure', with an infinite"),
        ({"values": _changed(2, -1)}, "Column 'rain' cannot go through log1p.*'JFK'"),
        ({"times": None}, "trained on data with times, and these data have none"),
        ({"known_names": ("day", "noon")}, "each known covariate .*missing: 'night'"),
        ({"static_names": ("height", "age2")}, "each static column .*missing: 'age'"),
        ({"classes": ("inland", "island")}, "Unknown class 'island'"),
        ({"known": [np.full([9, 2], INF)] * 2}, "Known covariates must be finite"),
        ({"static": np.full([2, 2], INF)}, "Static columns must be finite"),
    ],
)
def test_check_refuses_other_columns(changes, message):
    with pytest.raises(InputError, match=message) as error:
        PROCESSOR.check(weather(**changes))
    assert "\n" not in str(error.value)


def test_check_of_the_sample_rate():
    sound = Sequences("x", "audio", (Feature("x"),), [np.ones([4, 1])], ["0"], sample_rate=16_000)
    processor = fit(sound)
    assert processor.check(sound).sample_rate == processor.sample_rate == 16_000
    with pytest.raises(InputError, match="16000 positions a second.*Received: sample_rate=8000"):
        processor.check(dataclasses.replace(sound, sample_rate=8000))


def test_check_drops_the_labels_that_a_model_without_classes_has_no_use_for():
    processor = fit(weather(labels=None, classes=()))
    assert processor.check(weather()).labels is None
    assert PROCESSOR.check(weather(labels=None, classes=())).labels is None


# What a person gives.

ROWS = [[1000.0, 0, 0.5, 30], [1010, 2, 0, 40], [1020, NAN, NAN, 50]]


@pytest.mark.parametrize(
    ("rows", "single"),
    [
        (ROWS, True),
        (np.array(ROWS), True),
        (tf.constant(ROWS), True),
        ([[1000.0, 0, 0.5, 30], (1010, 2, 0, 40), [1020, None, None, 50]], True),
        (np.ma.masked_invalid(ROWS), True),
        ([ROWS], False),
        (np.array([ROWS]), False),
        ([np.array(ROWS)], False),
    ],
)
def test_as_values_of_one_sequence(rows, single):
    values, lengths, found = PROCESSOR.as_values(rows)
    assert values.dtype == np.float32 and lengths.dtype == np.int32
    assert found is single and lengths.tolist() == [3]
    np.testing.assert_array_equal(values, np.array([ROWS], np.float32))


def test_as_values_pads_what_is_shorter():
    values, lengths, single = PROCESSOR.as_values([ROWS[:1], np.array(ROWS), np.zeros([0, 4])])
    assert values.shape == (3, 3, 4) and lengths.tolist() == [1, 3, 0] and not single
    assert np.isnan(values[0, 1:]).all() and np.isnan(values[2]).all()
    np.testing.assert_array_equal(values[1], np.array(ROWS, np.float32))


@pytest.mark.parametrize(
    ("rows", "shape", "lengths", "single"),
    [
        ([1, 2, 3], (1, 3, 1), [3], True),
        (np.arange(3), (1, 3, 1), [3], True),
        ([[1], [2], [3]], (1, 3, 1), [3], True),
        ([[1, 2, 3], [4]], (2, 3, 1), [3, 1], False),
        ([np.arange(2), np.arange(2)], (2, 2, 1), [2, 2], False),
        ([np.ones([2, 1]), np.ones([3, 1])], (2, 3, 1), [2, 3], False),
    ],
)
def test_as_values_of_a_single_feature(rows, shape, lengths, single):
    values, found, one = SequenceProcessor.plain().as_values(rows)
    assert values.shape == shape and found.tolist() == lengths and one is single


def test_as_values_of_tables():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "time": pandas.to_datetime(["2013-01-01", "2013-01-02", "2013-01-03"]),
            "humid": [30, 40, 50],
            "rain": pandas.array([0.5, 0, None], "Float64"),
            "wind": ["N", "S", None],
            "pressure": np.array([1000, 1010, 1020], np.int64),
        }
    )
    for wind in (frame.wind, frame.wind.astype("category"), pandas.Series([0, 2, NAN])):
        values, lengths, single = PROCESSOR.as_values(frame.assign(wind=wind))
        assert single and lengths.tolist() == [3]
        np.testing.assert_array_equal(values, np.array([ROWS], np.float32))
    values, lengths, single = PROCESSOR.as_values([frame, frame[:1]])
    assert not single and lengths.tolist() == [3, 1]
    # A level of digits, which pandas reads as numbers.
    rooms = SequenceProcessor(features=[Feature("room", ("10", "20"))])
    values, _, _ = rooms.as_values(pandas.DataFrame({"room": [20, 10, 20]}))
    assert values[0, :, 0].tolist() == [1, 0, 1]
    for changes, message in (
        ({"wind": ["N", "NW", "S"]}, "Unknown level of 'wind' 'NW'"),
        ({"humid": ["a", "b", "c"]}, "column 'humid' with 'a'"),
        ({"humid": frame.time}, "Values must be numbers.*column 'humid' of objects"),
        ({"humid": [1, INF, 2]}, "column 'humid', with an infinite value"),
    ):
        with pytest.raises(InputError, match=message):
            PROCESSOR.as_values(frame.assign(**changes))
    with pytest.raises(InputError, match="the values without 'wind', 'rain'"):
        PROCESSOR.as_values(frame.drop(columns=["rain", "wind"]))
    with pytest.raises(InputError, match="Unknown level of 'room' '30'"):
        rooms.as_values(pandas.DataFrame({"room": [30]}))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones([5, 3]), r"\(time, 4\) or .*pressure, wind, rain, humid. Received: .*\(5, 3\)"),
        (np.ones([2, 5, 3]), r"Received: sequence 0 of shape \(5, 3\)"),
        ([ROWS, [[1, 2]]], r"sequence 1 of shape \(1, 2\)"),
        ([[1, 2, 3, 4], [1, 2]], "Every row must have 4 values.*rows of 2, 4 values"),
        ([ROWS, [[1, 2], [1]]], "as many values. Received: a ragged list"),
        (np.ones([1, 1, 5, 4]), r"shape \(1, 1, 5, 4\)"),
        (np.ones(4), r"shape \(4,\)"),
        (3.0, r"shape \(\)"),
        ([], "at least one sequence"),
        (np.zeros([0, 5, 4]), "at least one sequence"),
        ([["1", "2", "3", "4"]], "numbers. Received: the values of str"),
        ([[1, "N", 3, 4]], "Values must be numbers"),
        (np.array([[1, "N", 3, 4]], object), "Received: the values with 'N'"),
        ("abc", "numbers"),
        (np.ones([2, 4], complex), "of complex128"),
        (np.zeros([2, 4], "datetime64[s]"), "of datetime64"),
        ({"a": 1}, "of objects"),
        (None, "numbers|shape"),
        ([[1, 0, 1, INF]], "the values, column 'humid', with an infinite value"),
        ([[1, 0, 1, 1e300]], "column 'humid', with an infinite value"),
        ([[1, 3, 1, 1]], "'wind' holds numbers of levels, 0 to 2. Received: the values, wind=3"),
        ([[1, 0.5, 1, 1]], "wind=0.5"),
        ([ROWS, [[1, -1, 1, 1]]], "sequence 1, wind=-1"),
        ([[1, 0, -1, 1]], "Column 'rain' cannot go through log1p"),
    ],
)
def test_as_values_refuses(rows, message):
    with pytest.raises(InputError, match=message) as error:
        PROCESSOR.as_values(rows)
    assert "\n" not in str(error.value)


# Files.


@pytest.mark.parametrize(
    "scaler", ["standard", "min_max", "robust", "mean", "median", "mu_law", "none"]
)
def test_a_file_gives_the_same_processor(scaler, tmp_path):
    processor = fit(scaler=scaler, log1p=["rain"])
    save_processor(processor, tmp_path / "sequence.json")
    loaded = load_processor(tmp_path / "sequence.json")
    assert loaded.get_config() | {"name": ""} == processor.get_config() | {"name": ""}
    values = weather().values[0][None]
    np.testing.assert_array_equal(loaded(values), processor(values))
    save_processor(loaded, tmp_path / "again.json")
    first, second = ((tmp_path / name).read_bytes() for name in ("sequence.json", "again.json"))
    assert first == second


def test_keras_can_clone_it():
    clone = SequenceProcessor.from_config(PROCESSOR.get_config())
    assert clone.get_config() == PROCESSOR.get_config()


def _edited(*path, value):
    """The record of a file with one value replaced, or taken out if the value is `...`."""
    record = json.loads(json.dumps({"processor": "sequence", "config": _arguments(PROCESSOR)}))
    place = record
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return record


NESTED = {"scaler": "none", "config": {}}
for _ in range(20):
    NESTED = {"scaler": "chain", "config": {"scalers": [NESTED]}}
DEEP = "[" * 100_000 + "]" * 100_000
STD = ("config", "scaler", "config", "scalers", 1, "config", "std")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not (valid JSON|UTF-8)"),
        (b"\xff\xfe", "not (valid JSON|UTF-8)"),
        (DEEP, "not (valid JSON|UTF-8)"),
        ([], "its keys must be"),
        ({"processor": "sequence"}, "its keys must be"),
        (_edited("processor", value="pickle"), "Received: processor='pickle'"),
        (_edited("processor", value=[]), r"Received: processor='\[\]'"),
        (_edited("config", value=[]), "the keys of 'config' must be"),
        (_edited("config", "kind", value=...), "the keys of 'config' must be"),
        (_edited("config", "dtype", value="float16"), "the keys of 'config' must be"),
        (_edited("config", "kind", value="video"), "kind must be one of"),
        (_edited("config", "kind", value=[]), "kind must be one of"),
        (_edited("config", "features", value=[]), "does not fit|at least one"),
        (_edited("config", "features", value=[3]), "A feature must have name, levels, low, high"),
        (_edited("config", "features", 0, "extra", value=1), "A feature must have"),
        (_edited("config", "features", 0, "name", value="rain"), "must be different texts"),
        (_edited("config", "features", 1, "levels", value=["N", "N"]), "different texts"),
        (_edited("config", "features", 2, "low", value="0"), "Received: rain with low='0'"),
        (_edited("config", "features", 3, "high", value=-1), "Received: humid with low=0.0, high"),
        (_edited("config", "scaler", "scaler", value="Lambda"), "Unknown scaler 'Lambda'"),
        (_edited("config", "scaler", "scaler", value=["none"]), "Unknown scaler"),
        (_edited("config", "scaler", "config", value={"a": 1}), "keys of the scaler 'chain'"),
        (_edited("config", "scaler", value=NESTED), "at most 8 deep"),
        (_edited("config", "scaler", value="standard"), "The keys of a scaler"),
        (_edited(*STD, value=[1.0, 2.0]), "must be as many"),
        (_edited(*STD, 0, value=0), "above 0. Received: std with 0"),
        (_edited("config", "static_scaler", value={"scaler": "mean", "config": {}}), "no scale"),
        (_edited("config", "known_names", value=["day"]), "known_scaler does not fit"),
        (_edited("config", "scale", value=[1.0]), "scale must be a list of 3 numbers"),
        (_edited("config", "scale", 0, value="x"), "Received: scale with 'x'"),
        (_edited("config", "seed_values", value=[1.0]), "the keys of 'config' must be"),
        (_edited("config", "step", value=1.5), "step must be an integer"),
        (_edited("config", "step", value=True), "step must be an integer"),
        (_edited("config", "length", value=10**12), "length must be an integer from 1 to"),
        (_edited("config", "start_time", value=10**30), "start_time must be an integer"),
        (_edited("config", "calendar", value=[0]), "calendar must be"),
        (_edited("config", "calendar", value=list(range(2, 40))), "at most 16"),
        (_edited("config", "irregular", value="yes"), "irregular must be True or False"),
        (_edited("config", "ends", value=None), "ends must be True or False"),
        (_edited("config", "classes", value="abc"), "classes must be a list"),
        (json.dumps(_edited("config", "scale", value=[NAN] * 3)), "Received: scale with nan"),
        (json.dumps(_edited("config", "step", value=7e77)).replace("7e+77", "1e999"), "step=inf"),
        (_edited("config", "scale", 0, value=7e77), "Received: scale with 7e"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused(tmp_path, content, message):
    path = tmp_path / "sequence.json"
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as error:
        load_processor(path)
    assert "sequence.json" in str(error.value) and "\n" not in str(error.value)


def test_a_huge_or_missing_file_is_refused(tmp_path):
    path = tmp_path / "sequence.json"
    with pytest.raises(InputError, match="sequence.json cannot be read: No such file"):
        load_processor(path)
    with open(path, "wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(InputError, match="larger than 16,777,216 bytes"):
        load_processor(path)


def test_irregular_needs_a_step():
    with pytest.raises(ValueError, match="irregular must be False without step"):
        SequenceProcessor(features=[Feature("x")], irregular=True)
    assert SequenceProcessor(features=[Feature("x")], irregular=True, step=5).covariate_width == 1
    assert math.isfinite(SequenceProcessor.plain().scale[0])


def test_a_file_of_an_earlier_version_is_read(tmp_path):
    record = _edited("config", "seed_values", value=None)  # which nothing read
    (tmp_path / "sequence.json").write_text(json.dumps(record))
    loaded = load_processor(tmp_path / "sequence.json")
    assert loaded.get_config() | {"name": ""} == PROCESSOR.get_config() | {"name": ""}
    again = SequenceProcessor.from_config({**PROCESSOR.get_config(), "seed_values": None})
    assert again.get_config() == PROCESSOR.get_config()
    with pytest.raises(ValueError, match="seed_values"):
        SequenceProcessor.from_config({**PROCESSOR.get_config(), "seed_values": [1.0]})
