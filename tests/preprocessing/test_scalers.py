"""Scalers: NumPy formulas, exact round trips, slopes by autodiff, data at awkward magnitudes."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.preprocessing import (
    SCALERS,
    Chain,
    Log1pScaler,
    MeanScaler,
    MedianScaler,
    MinMaxScaler,
    MuLawScaler,
    NoScaler,
    RobustScaler,
    StandardScaler,
    build_scaler,
    scaler_record,
)

NAN, INF = np.nan, np.inf


def data(seed=0, positions=200):
    """Three columns: of a few units, of the air's pressure, skewed like rain; some are missing."""
    rng = np.random.default_rng([seed, 7])
    values = np.stack(
        [
            rng.normal(2, 3, positions),
            rng.normal(1013, 7, positions),
            np.where(rng.random(positions) < 0.6, 0, rng.exponential(0.3, positions)),
        ],
        axis=1,
    ).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = NAN
    return values  # (positions, 3)


SCALE = np.array([[2.5, 1000.0, 0.2]], np.float32)  # of one series, (1, 3)
KINDS = {
    "standard": StandardScaler,
    "min_max": MinMaxScaler,
    "robust": RobustScaler,
    "mean": MeanScaler,
    "median": MedianScaler,
    "mu_law": MuLawScaler,
    "none": NoScaler,
    "log1p": lambda: Log1pScaler([2]),
    "log1p, standard": lambda: Chain([Log1pScaler([2]), StandardScaler()]),
    "log1p, mean": lambda: Chain([Log1pScaler([2]), MeanScaler()]),
}


@pytest.fixture(params=KINDS, scope="module")
def scaler(request):
    return KINDS[request.param]().adapt(data())


def test_every_scaler_of_a_recipe_is_tested():
    # What mixes columns has a test of its own: test_whitening_scaler.py.
    assert {name for name, kind in SCALERS.items() if not kind.mixes} < set(KINDS)


def test_round_trip_and_missing_values(scaler):
    values = data(1)[None]  # (1, time, 3)
    scaled = scaler(values, scale=SCALE)
    back = scaler.inverse(scaled, SCALE).numpy()
    assert scaled.dtype == tf.float32 and scaled.shape == values.shape
    np.testing.assert_array_equal(np.isnan(scaled), np.isnan(values))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(values))
    np.testing.assert_allclose(back, values, rtol=2e-6, atol=2e-6)


def test_log_slope_is_the_derivative(scaler):
    values = tf.constant(np.where(data(2) == 0, 0.01, data(2))[None])
    with tf.GradientTape() as tape:
        tape.watch(values)
        scaled = scaler(values, scale=SCALE)
    slope = np.log(np.abs(tape.gradient(scaled, values)))
    log_slope = scaler.log_slope(values, SCALE)
    observed = ~np.isnan(values)
    np.testing.assert_allclose(log_slope.numpy()[observed], slope[observed], rtol=1e-5, atol=1e-5)
    assert np.isnan(log_slope.numpy()[~observed]).all()


def test_log_slope_by_finite_differences():
    scaler = Chain([Log1pScaler([0]), MuLawScaler()]).adapt(np.array([[0.0], [3.0]]))
    values, step = np.array([[0.1], [0.7], [2.5]]), 1e-3
    difference = scaler(values + step) - scaler(values - step)
    expected = np.log(difference.numpy() / (2 * step))
    np.testing.assert_allclose(scaler.log_slope(values), expected, atol=1e-3)


def test_a_configuration_is_all_there_is(scaler):
    config = json.loads(json.dumps(scaler.get_config(), allow_nan=False))
    again = type(scaler).from_config(config)
    record = json.loads(json.dumps(scaler_record(scaler)))
    assert again.get_config() == config
    assert "name" not in str(record)
    for copy in (again, build_scaler(record)):
        np.testing.assert_array_equal(copy(data(), scale=SCALE[0]), scaler(data(), scale=SCALE[0]))
    assert not scaler.variables


@pytest.mark.long
def test_all_of_them_run_compiled():
    """One compilation for all, with static shapes."""
    scalers = {name: make().adapt(data()) for name, make in KINDS.items()}

    @tf.function(jit_compile=True, input_signature=[tf.TensorSpec([1, 200, 3], tf.float32)])
    def both(values):
        scale = tf.constant(SCALE)
        found = {}
        for name, scaler in scalers.items():
            scaled = scaler(values, scale=scale)
            slope = scaler.log_slope(values, scale)
            found[name] = scaled, scaler.inverse(scaled, scale), slope
        return found

    values = data(3)[None]
    for name, (scaled, back, slope) in both(values).items():
        expected = scalers[name](values, scale=SCALE)
        np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(back, values, rtol=2e-6, atol=2e-6, err_msg=name)
        expected = scalers[name].log_slope(values, SCALE)
        np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_saved_model_holds_them(tmp_path):
    scaler = Chain([Log1pScaler([2]), StandardScaler()]).adapt(data())
    archive = keras.export.ExportArchive()
    archive.track(scaler)
    spec = tf.TensorSpec([None, 3], tf.float32, name="values")
    archive.add_endpoint("serve", lambda values: scaler.inverse(scaler(values)), [spec])
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved")).serve(data(4))
    np.testing.assert_allclose(served, data(4), rtol=2e-6, atol=2e-6)


def test_policies_of_low_precision_do_not_touch_it():
    scaler = StandardScaler([1013.0], [7.0])
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        low = StandardScaler([1013.0], [7.0])
        values = np.array([[1013.25], [1000.5]], np.float32)
        np.testing.assert_array_equal(low(values), scaler(values))
    finally:
        keras.config.set_dtype_policy(before)


def test_standard_is_the_mean_and_the_deviation_of_the_population():
    values = np.array([[1.0, 10.0], [2.0, NAN], [6.0, 30.0]])
    scaler = StandardScaler().adapt(values)
    assert scaler.mean == (3.0, 20.0)
    np.testing.assert_allclose(scaler.std, [math.sqrt(14 / 3), 10.0], rtol=1e-12)
    np.testing.assert_allclose(scaler(values)[:, 1], [-1, NAN, 1])


def test_statistics_are_counted_in_float64():
    rng = np.random.default_rng(3)
    values = rng.normal(1013, 7, [300_000, 1]).astype(np.float32)
    exact = values.astype(np.float64)
    scaler = StandardScaler().adapt(values)
    np.testing.assert_allclose(scaler.mean, exact.mean(0), rtol=1e-13)
    np.testing.assert_allclose(scaler.std, exact.std(0), rtol=1e-13)
    np.testing.assert_allclose(
        scaler(values).numpy(), (exact - exact.mean()) / exact.std(), atol=2e-5
    )
    # Within one float32 step of a pressure, 6e-5.
    assert np.abs(scaler.inverse(scaler(values)).numpy() - values).max() < 7e-5


def test_robust_is_median_and_quartiles():
    values = np.array([[1.0], [2.0], [3.0], [4.0], [NAN], [1000.0]])
    scaler = RobustScaler().adapt(values)
    assert scaler.median == (3.0,) and scaler.iqr == (2.0,)
    np.testing.assert_allclose(scaler([[7.0]]), [[2.0]])


def test_robust_takes_the_deviation_where_the_quartiles_are_equal():
    values = np.array([[0.0]] * 9 + [[10.0]])
    scaler = RobustScaler().adapt(values)
    assert scaler.median == (0.0,)
    np.testing.assert_allclose(scaler.iqr, [3.0])


def test_min_max_maps_the_ends_exactly_there_and_back():
    rng = np.random.default_rng(5)
    ends = rng.normal(size=[2, 2000]) * 10.0 ** rng.integers(-20, 20, 2000)
    low, high = np.sort(ends.astype(np.float32), axis=0)
    scaler = MinMaxScaler().adapt(np.stack([low, high]))
    compiled = tf.function(scaler.call, jit_compile=True)
    for call in (scaler.call, compiled):
        scaled = call(np.stack([low, high])).numpy()
        assert (scaled[0] == -1).all() and (scaled[1] == 1).all()
    back = scaler.inverse(np.stack([-np.ones(2000), np.ones(2000)])).numpy()
    np.testing.assert_array_equal(back, [low, high])
    inside = rng.uniform(-1, 1, [50, 2000])
    back = scaler.inverse(inside).numpy()
    assert (back >= low).all() and (back <= high).all()


def test_a_limited_scaler_brings_its_data_between_minus_one_and_one(scaler):
    scaled = scaler(data()[None], scale=SCALE)
    assert scaler.limited == bool(np.nanmax(np.abs(scaled)) <= 1)


def test_min_max_goes_on_outside():
    scaler = MinMaxScaler([0.0], [10.0])
    np.testing.assert_allclose(scaler([[2.5], [-10.0], [20.0]]), [[-0.5], [-3.0], [3.0]])
    np.testing.assert_allclose(scaler.inverse([[-3.0], [3.0]]), [[-10.0], [20.0]])
    np.testing.assert_allclose(scaler.log_slope([[4.0]]), [[math.log(0.2)]], rtol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 1013.1, -3e9, 1e-42])
@pytest.mark.parametrize("make", [StandardScaler, MinMaxScaler, RobustScaler])
def test_a_constant_column_is_shifted_to_zero_and_divided_by_one(make, constant):
    values = np.full([1000, 1], constant, np.float32)
    scaler = make().adapt(values)
    assert not scaler(values[:3]).numpy().any()
    np.testing.assert_allclose(scaler(values[:1] + 1), values[:1] + 1 - values[:1])
    # But for numbers that are too small for normal ones: those count as 0.
    np.testing.assert_allclose(scaler.inverse([[0.0]]), values[:1], rtol=0, atol=1e-40)
    assert scaler.log_slope([[5.0]]).numpy() == 0
    assert make().adapt(values).get_config().keys() == scaler.get_config().keys()


def test_a_silent_clip_has_peak_one():
    assert MuLawScaler().adapt(np.zeros([4, 1])).peak == (1.0,)


def test_mean_divides_each_series_by_its_scale():
    values = np.array([[[2.0, 30.0], [4.0, NAN]], [[200.0, 0.5], [0.0, 1.0]]], np.float32)
    scale = np.array([[2.0, 10.0], [100.0, 0.5]], np.float32)
    expected = [[[1, 3], [2, NAN]], [[2, 1], [0, 2]]]
    np.testing.assert_allclose(MeanScaler()(values, scale=scale), expected)
    np.testing.assert_allclose(MeanScaler().inverse(expected, scale), values)
    # The same without an axis of time, and with one more of samples.
    np.testing.assert_allclose(MeanScaler()(values[:, 0], scale=scale), np.array(expected)[:, 0])
    many = np.repeat(values[:, None], 3, axis=1)  # (batch, samples, time, columns)
    np.testing.assert_allclose(MeanScaler()(many, scale=scale)[:, 2], expected)
    slope = MeanScaler().log_slope(values, scale).numpy()
    np.testing.assert_allclose(slope[1, 1], -np.log(scale[1]), rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, NAN, INF, 1e-42])
def test_a_series_without_a_scale_is_divided_by_one(scale):
    values = np.array([[[3.0]]], np.float32)
    assert MeanScaler()(values, scale=[[scale]]).numpy() == 3
    assert MeanScaler().inverse(values, [[scale]]).numpy() == 3
    assert MeanScaler().log_slope(values, [[scale]]).numpy() == 0


def test_mean_needs_a_scale():
    with pytest.raises(ValueError, match="needs the scale of each series. Received: scale=None"):
        MeanScaler().call([[1.0]])
    with pytest.raises(ValueError, match="after log1p only"):
        Chain([StandardScaler(), MeanScaler()])


def test_a_scale_goes_through_log1p_with_the_values():
    chain = Chain([Log1pScaler([1]), MeanScaler()])
    scaled = chain([[6.0, 6.0]], scale=[[2.0, 2.0]]).numpy()
    np.testing.assert_allclose(scaled, [[3.0, math.log(7) / math.log(3)]], rtol=1e-6)
    assert chain.needs_scale and not Chain([StandardScaler()]).needs_scale


def test_mu_law_is_the_closed_form():
    values = np.linspace(-0.5, 0.5, 101)[:, None]
    scaler = MuLawScaler().adapt(values)
    shares = values / 0.5
    expected = np.sign(shares) * np.log(1 + 255 * np.abs(shares)) / np.log(256)
    np.testing.assert_allclose(scaler(values), expected, atol=1e-6)
    assert scaler([[0.5]]).numpy() == 1 and scaler([[-0.5]]).numpy() == -1
    back = np.sign(expected) * (256 ** np.abs(expected) - 1) / 255 * 0.5
    np.testing.assert_allclose(scaler.inverse(expected), back, atol=1e-7)
    # 0.02 of the peak: 0.3256 with mu = 255, less with a smaller one.
    assert scaler([[0.01]]).numpy() == pytest.approx(math.log(6.1) / math.log(256), abs=1e-6)
    weaker = MuLawScaler(mu=15, peak=[0.5])
    assert weaker([[0.01]]).numpy() == pytest.approx(math.log(1.3) / math.log(16), abs=1e-6)
    assert weaker.inverse(weaker([[0.01]])).numpy() == pytest.approx(0.01, rel=1e-6)


def test_log1p_takes_its_columns_alone():
    scaler = Log1pScaler([1])
    np.testing.assert_allclose(scaler([[3.0, 3.0]]), [[3.0, math.log(4)]], rtol=1e-6)
    np.testing.assert_allclose(scaler.log_slope([[3.0, 3.0]]), [[0, -math.log(4)]], rtol=1e-6)
    # Small amounts keep all their digits, where log(1 + x) in float32 loses them.
    np.testing.assert_allclose(scaler([[0.0, 1e-6]])[0, 1], 1e-6, rtol=1e-5)
    # The column that is left alone may hold what log1p cannot take, and no gradient becomes NaN.
    values = tf.constant([[-1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        scaled = scaler(values)
    np.testing.assert_allclose(tape.gradient(scaled, values), [[1, 1 / 3]], rtol=1e-6)


@pytest.mark.parametrize("least", [-1.0, -7.5])
def test_log1p_refuses_what_it_cannot_take_and_names_the_column(least):
    values = np.array([[least, 1.0], [1.0, least]])
    message = f"Column 'rain' .* above -1. Received: rain={least:g}"
    with pytest.raises(InputError, match=message):
        Log1pScaler([1]).adapt(values, ["dew", "rain"])
    with pytest.raises(InputError, match=message):
        Chain([Log1pScaler([1])]).check_values(values, ["dew", "rain"])
    Log1pScaler([1]).adapt(np.array([[-5.0, -0.999]]), ["dew", "rain"])


def test_inverses_stay_finite():
    for scaler in (Log1pScaler([0]), MuLawScaler(peak=[1.0])):
        assert np.isfinite(scaler.inverse([[1e4]]).numpy()).all()


def test_a_chain_fits_each_to_what_the_one_before_gives():
    values = data()
    chain = Chain([Log1pScaler([2]), StandardScaler()]).adapt(values)
    logs = np.log1p(values[:, 2].astype(np.float64))
    np.testing.assert_allclose(chain.scalers[1].mean[2], np.nanmean(logs), rtol=1e-6)
    scaled = chain(values).numpy()
    np.testing.assert_allclose(np.nanmean(scaled, 0), 0, atol=1e-4)
    np.testing.assert_allclose(np.nanstd(scaled, 0), 1, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_a_column_of_nothing_is_refused_by_name(name):
    values = data()
    values[:, 1] = NAN
    with pytest.raises(InputError, match="Column 'pressure' has no value in the training data"):
        KINDS[name]().adapt(values, ["a", "pressure", "rain"])
    with pytest.raises(InputError, match="Column '0' has no value"):
        KINDS[name]().adapt(np.zeros([0, 3]))
    values[:, 1] = INF
    with pytest.raises(InputError, match="Column 'pressure' holds an infinite value"):
        KINDS[name]().adapt(values, ["a", "pressure", "rain"])


@pytest.mark.parametrize("name", ["standard", "min_max", "robust", "none"])
def test_no_columns_at_all(name):
    scaler = KINDS[name]().adapt(np.zeros([5, 0]))
    scaler.check_width(0)
    assert scaler(np.zeros([2, 0])).shape == (2, 0)


def test_bounds_are_scaled_where_there_are_any():
    low, high = np.array([-INF, 0], np.float32), np.array([INF, 100], np.float32)
    scaled = StandardScaler([1.0, 50.0], [2.0, 25.0]).scaled_bounds(low, high)
    np.testing.assert_allclose(scaled, [[-INF, -2], [INF, 2]])
    scaled = MinMaxScaler([0.0, 0.0], [1.0, 50.0]).scaled_bounds(low, high)
    np.testing.assert_allclose(scaled, [[-INF, -1], [INF, 3]])
    chain = Chain([Log1pScaler([0, 1]), StandardScaler([0.0, 0.0], [2.0, 2.0])])
    scaled = chain.scaled_bounds(low, high)
    np.testing.assert_allclose(scaled, [[-INF, 0], [INF, math.log(101) / 2]], rtol=1e-6)
    with pytest.raises(ValueError, match="differ from series to series"):
        MeanScaler().scaled_bounds(low, high)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StandardScaler([1.0], [0.0]), "above 0. Received: std with 0.0"),
        (lambda: StandardScaler([1.0], [1.0, 2.0]), "must be as many"),
        (lambda: StandardScaler([1.0]), "must be as many"),
        (lambda: StandardScaler([NAN], [1.0]), "Received: mean with nan"),
        (lambda: StandardScaler(["1"], [1.0]), "Received: mean with '1'"),
        (lambda: StandardScaler("1", [1.0]), "Received: mean='1'"),
        (lambda: StandardScaler([10**400], [1.0]), "finite"),
        (lambda: StandardScaler([True], [1.0]), "Received: mean with True"),
        (lambda: MinMaxScaler([2.0], [1.0]), "minimum must not be above maximum"),
        (lambda: MinMaxScaler([-3e38], [3e38]), "too far apart"),
        (lambda: RobustScaler([1.0], [-1.0]), "Received: iqr with -1.0"),
        (lambda: MuLawScaler(mu=0), "Received: mu=0"),
        (lambda: MuLawScaler(peak=[0.0]), "Received: peak with 0.0"),
        (lambda: Log1pScaler([0, 0]), r"Received: columns=\[0, 0\]"),
        (lambda: Log1pScaler([-1]), r"Received: columns=\[-1\]"),
        (lambda: Log1pScaler([2]).check_width(2), "columns must be less than 2"),
        (lambda: StandardScaler([1.0], [1.0]).check_width(2), "each of 2 columns"),
        (lambda: MuLawScaler(peak=[1.0]).check_width(2), "each of 2 columns"),
        (lambda: Chain("standard"), "scalers must be a list"),
        (lambda: Chain([NoScaler()] * 9), "at most 8"),
        (lambda: Chain([3]), "keys of a scaler"),
        (lambda: StandardScaler().call([[1.0]]), "call adapt first"),
        (lambda: MuLawScaler().call([[1.0]]), "call adapt first"),
        (lambda: StandardScaler().adapt([1.0, 2.0]), r"Received: shape=\(2,\)"),
        (lambda: build_scaler({"scaler": "Standard", "config": {}}), "Did you mean 'standard'"),
        (lambda: build_scaler({"scaler": "none", "config": {"name": "x"}}), "keys of the scaler"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
