"""Calibrated forecasts, on processes whose quantiles are known."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen import models, zoo
from tfgen.data import Feature, Sequences
from tfgen.data.features import Step
from tfgen.errors import InputError
from tfgen.models.engines.rollout import Rollout
from tfgen.models.numbers.calibrating import calibrate_model, halves
from tfgen.models.numbers.calibration import LEVELS, Calibration
from tfgen.models.numbers.results import summary_of
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig

NUMBERS = np.array([True])


def forecasts(count, factor, seed, horizon=3, samples=200, phi=0.8):
    """Samples of AR(1) from its past, their spread wrong by a factor, and what came."""
    rng = np.random.default_rng(seed)
    now = rng.normal(size=[count, 1]) / np.sqrt(1 - phi**2)
    ahead = np.arange(1, horizon + 1)
    mean = now * phi**ahead
    spread = np.sqrt((1 - phi ** (2 * ahead)) / (1 - phi**2))
    # Each path by itself, all steps of it with one error.
    drawn = mean[:, None] + factor * spread * rng.normal(size=[count, samples, 1])
    truth = mean + spread * rng.normal(size=[count, horizon])
    return drawn[..., None], truth[..., None]


def covered(samples, truth, level):
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return ((low <= truth) & (truth <= high)).mean(axis=(0, 2))


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_intervals_hold_what_they_promise(factor):
    calibration = Calibration.fit(*forecasts(2000, factor, 1), NUMBERS)
    samples, truth = forecasts(2000, factor, 2)
    moved = calibration.moved(tf.constant(samples, tf.float32)).numpy()
    for level in (0.5, 0.8, 0.9):
        np.testing.assert_allclose(covered(moved, truth, level), level, atol=0.03)
    # The true spread comes back, at every step ahead, and one path stays one path.
    spread = np.sqrt(np.cumsum(0.8 ** (2 * np.arange(3))))
    low, high = np.quantile(moved[..., 0], [0.1, 0.9], axis=1)
    np.testing.assert_allclose((high - low).mean(axis=0), 2.563 * spread, rtol=0.08)
    order = np.argsort(samples, axis=1)
    assert np.all(np.diff(np.take_along_axis(moved, order, axis=1), axis=1) >= 0)
    if factor == 0.4:
        assert covered(samples, truth, 0.9).max() < 0.6


def test_a_quantile_has_the_rank_of_split_conformal_prediction():
    """Of equal forecasts with n = 39, the quantile 0.95 is the 38th of the 39 truths."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=[39, 1, 1])
    samples = np.broadcast_to(np.linspace(-1, 1, 101)[None, :, None, None], [39, 101, 1, 1])
    calibration = Calibration.fit(samples, truth, NUMBERS)
    moved = calibration.moved(tf.constant(samples[:1], tf.float32)).numpy()[0, :, 0, 0]
    ranks = {0.05: 2, 0.1: 4, 0.25: 10, 0.75: 30, 0.9: 36, 0.95: 38}
    for level, rank in ranks.items():
        expected = np.sort(truth.ravel())[rank - 1]
        assert np.quantile(moved, level) == pytest.approx(expected, abs=1e-5)
    assert np.quantile(moved, 0.5) == pytest.approx(np.median(truth), abs=1e-5)
    with pytest.raises(InputError, match="at least 20 forecasts.*Received: 19"):
        Calibration.fit(samples[:19], truth[:19], NUMBERS)


def test_a_few_forecasts_calibrate_all_steps_alike():
    """Of 13 forecasts of 3 steps with equal samples, the quantile 0.95 is the 38th of 39 truths."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=[13, 3, 1])
    samples = np.broadcast_to(np.linspace(-1, 1, 101)[None, :, None, None], [13, 101, 3, 1])
    calibration = Calibration.fit(samples, truth, NUMBERS, pooled=True)
    moved = calibration.moved(tf.constant(samples[:1], tf.float32)).numpy()[0, :, :, 0]
    np.testing.assert_array_equal(moved, moved[:, :1] + np.zeros([1, 3]))
    # So it serves for more steps, too.
    longer = np.broadcast_to(samples[:1, :, :1], [1, 101, 5, 1])
    assert calibration.horizon == 3 and calibration.longest > 5
    longer = calibration.moved(tf.constant(longer, tf.float32)).numpy()[0, :, :, 0]
    np.testing.assert_array_equal(longer, moved[:, :1] + np.zeros([1, 5]))
    for level, rank in {0.05: 2, 0.25: 10, 0.75: 30, 0.95: 38}.items():
        expected = np.sort(truth.ravel())[rank - 1]
        assert np.quantile(moved[:, 0], level) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match="at least 20 forecasts.*Received: 6"):
        Calibration.fit(samples[:6], truth[:6], NUMBERS, pooled=True)


def test_intervals_are_those_of_mapie():
    regression = pytest.importorskip("mapie.regression")
    from sklearn.base import BaseEstimator, RegressorMixin

    class Quantile(RegressorMixin, BaseEstimator):
        """Predicts a quantile that it is given as the input."""

        def __init__(self, column=0):
            self.column = column

        def fit(self, x, y):
            self.fitted_ = True
            return self

        def predict(self, x):
            return np.asarray(x)[:, self.column]

    samples, truth = forecasts(300, 0.5, 3, horizon=1)
    low, middle, high = np.quantile(samples[..., 0, 0], [0.05, 0.5, 0.95], axis=1)
    x, y = np.stack([low, high, middle], axis=1), truth[:, 0, 0]
    models = [Quantile(column).fit(x, y) for column in range(3)]
    mapie = regression.ConformalizedQuantileRegressor(models, confidence_level=0.9, prefit=True)
    mapie.conformalize(x, y)
    _, intervals = mapie.predict_interval(x, symmetric_correction=False)
    # Theirs are moved by as much everywhere: here every spread is the same, to sampling.
    samples = np.sort(samples, axis=1)
    calibration = Calibration.fit(samples, truth, NUMBERS)
    moved = calibration.moved(tf.constant(samples, tf.float32)).numpy()[..., 0, 0]
    ours = np.quantile(moved, [0.05, 0.95], axis=1)
    width = np.mean(intervals[:, 1, 0] - intervals[:, 0, 0])
    assert np.mean(ours[1] - ours[0]) == pytest.approx(width, rel=0.05)
    inside = lambda low, high: np.mean((low <= y) & (y <= high))  # noqa: E731
    theirs = inside(intervals[:, 0, 0], intervals[:, 1, 0])
    assert inside(*ours) == pytest.approx(theirs, abs=0.02)


def test_series_of_other_sizes_are_moved_by_their_scale():
    samples, truth = forecasts(400, 0.5, 1)
    size = np.where(np.arange(400) % 2, 1.0, 1000.0)[:, None]
    scaled = samples * size[:, None, None], truth * size[:, None]
    plain, sized = (
        Calibration.fit(samples, truth, NUMBERS), Calibration.fit(*scaled, NUMBERS, size)
    )  # fmt: skip
    np.testing.assert_allclose(plain.offsets, sized.offsets, rtol=1e-4, atol=1e-5)
    moved = sized.moved(tf.constant(scaled[0], tf.float32), tf.constant(size, tf.float32)).numpy()
    again = plain.moved(tf.constant(samples, tf.float32)).numpy()
    np.testing.assert_allclose(moved / size[:, None, None], again, rtol=1e-3, atol=1e-3)


def test_what_is_missing_is_left_out_and_categories_stay():
    samples, truth = forecasts(200, 0.5, 1)
    holes = truth.copy()
    holes[:100, 1] = np.nan
    whole, part = Calibration.fit(samples, truth, NUMBERS), Calibration.fit(samples, holes, NUMBERS)
    np.testing.assert_array_equal(whole.offsets[:, 0], part.offsets[:, 0])
    tail = Calibration.fit(samples[100:], truth[100:], NUMBERS)
    np.testing.assert_allclose(
        part.offsets[:, 1] * part.typical[1], tail.offsets[:, 1] * tail.typical[1], rtol=0.2
    )
    holes[:, 2] = np.nan
    assert not Calibration.fit(samples, holes, NUMBERS).offsets[:, 2].any()
    both = np.concatenate([samples, samples > 0], axis=-1), np.concatenate([truth] * 2, axis=-1)
    calibration = Calibration.fit(*both, np.array([True, False]))
    moved = calibration.moved(tf.constant(both[0], tf.float32)).numpy()
    np.testing.assert_array_equal(moved[..., 1], both[0][..., 1])
    np.testing.assert_allclose(calibration.offsets[..., 0], whole.offsets[..., 0])


def test_held_out_series_are_divided():
    def data(*lengths):
        values = [np.zeros([length, 1], np.float32) for length in lengths]
        return Sequences("x", "series", (Feature("a"),), values, list("abcd"[: len(lengths)]))

    assert halves(data(10, 20), [6, 16]) == ([6, 16], [8, 18], [8, 18])
    assert halves(data(10, 20), [6, 16], 0.25).stops == [7, 17]
    # Whole ones: every second of those held out.
    found = halves(data(9, 9, 9, 9), [0, 9, 0, 9])
    assert (found.stops, found.rest) == ([0, 0, 9, 0], [0, 9, 9, 9])
    assert halves(data(10), [0]).stops == [5]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    values = np.clip(np.cumsum(rng.normal(size=[300, 2]), axis=0) * 0.2, [0, -9], [2, 9])
    step = Step(0.25, 0.0, 2)
    features = Feature("a", low=0.0, high=2.0), Feature("b", step=step), Feature("c", ("x", "y"))
    values[:, 1] = np.round(4 * values[:, 1]) / 4
    values = np.concatenate([values, rng.integers(2, size=[300, 1])], axis=1).astype(np.float32)
    return Sequences("made", "series", features, [values], ["0"])


def made(data):
    processor = SequenceProcessor.fit(data, PreprocessingConfig())
    return models.make("gru", "numbers", processor=processor, units=4, layers=1, seed=1)


@pytest.fixture
def model(data, monkeypatch):
    """A model whose engine draws what it is given, without a loop that has to be compiled."""
    samples, truth = (np.concatenate([each] * 3, axis=-1) for each in forecasts(40, 0.4, 1))

    def forecast(self, arguments, defaults, seed, *, temperature=None, bias=None):
        horizon, number = int(arguments["horizon"]), int(arguments["num_samples"])
        drawn = np.random.default_rng(seed).normal(1, 1, size=[1, number, horizon, 3])
        drawn[..., 0] = drawn[..., 0].clip(0, 2)
        drawn[..., 1] = np.round(drawn[..., 1] * 4) / 4
        drawn[..., 2] = drawn[..., 2] > 0
        return summary_of(tf.constant(drawn, tf.float32), arguments["quantiles"], self.processor)

    monkeypatch.setattr(Rollout, "forecast", forecast)
    model = made(data)
    numbers = np.array([True, True, False])
    model.calibration = Calibration.fit(samples, truth, numbers, facts={"origins": 40})
    return model


def test_a_model_keeps_its_calibration(model, data, tmp_path):
    context, options = data.values[0][:20], {"num_samples": 9, "seed": 3}
    plain = model.forecast(context, 3, **options)
    moved = model.forecast(context, 3, calibrated=True, **options)
    assert np.any(plain.samples != moved.samples)
    for column in (0, 1):
        ranks = np.argsort(plain.samples[..., column], axis=0, kind="stable")
        ordered = np.take_along_axis(moved.samples[..., column], ranks, axis=0)
        assert np.all(np.diff(ordered, axis=0) >= 0)
    np.testing.assert_array_equal(plain.samples[..., 2], moved.samples[..., 2])
    np.testing.assert_array_equal(moved.samples[..., 1] % 0.25, 0)
    assert moved.samples[..., 0].min() >= 0 and moved.samples[..., 0].max() <= 2
    np.testing.assert_allclose(moved.mean, moved.samples.mean(axis=0), rtol=1e-5, atol=1e-6)
    median = np.quantile(moved.samples, 0.5, axis=0)
    np.testing.assert_allclose(moved.quantiles[0.5], median, rtol=1e-5)
    model.save(tmp_path / "run")
    opened = zoo.get(tmp_path / "run")
    assert opened.calibration.facts == model.calibration.facts
    assert opened.calibration.facts["origins"] == 40
    again = opened.forecast(context, 3, calibrated=True, **options)
    np.testing.assert_array_equal(again.samples, moved.samples)
    # What changes its forecasts changes what they are calibrated by.
    other = zoo.get(tmp_path / "run", temperature=0.5)
    with pytest.raises(InputError, match="has no calibration.*Received: calibrated=True"):
        other.forecast(context, 3, calibrated=True)
    with pytest.raises(InputError, match=r"keeps no calibration.*x\.keras"):
        model.save(tmp_path / "x.keras")
    (tmp_path / "run" / models.CALIBRATION).write_bytes(b"broken")
    with pytest.raises(InputError, match="calibration.npz does not match"):
        zoo.get(tmp_path / "run")
    models.write_checksums(tmp_path / "run")
    with pytest.raises(InputError, match="calibration.npz is no calibration: .*Archive|archive"):
        zoo.get(tmp_path / "run")


@pytest.mark.long
def test_a_served_forecast_is_calibrated_too(data):
    model = made(data)
    calibration = calibrate_model(model, data, [150], 3, context=8, origins=40, num_samples=20)
    assert calibration is model.calibration and calibration.facts["origins"] == 40
    functions = {each.name: each for each in model.functions()}
    values = tf.constant(data.values[0][None, :20])
    arguments = {
        "values": values, "lengths": tf.constant([20]), "horizon": tf.constant(2),
        "num_samples": tf.constant(5), "quantiles": tf.constant([0.5]),
        "seed": tf.constant(7, tf.int64), "temperature": tf.constant(1.0), "bias": tf.constant(0.0),
    }  # fmt: skip
    served = functions["forecast_calibrated"].call(arguments)
    live = model.forecast(data.values[0][:20], 2, 5, [0.5], seed=7, calibrated=True)
    np.testing.assert_array_equal(served["samples"][0], live.samples)
    with pytest.raises(tf.errors.InvalidArgumentError, match="of 3 steps ahead"):
        functions["forecast_calibrated"].call({**arguments, "horizon": tf.constant(4)})
    assert "forecast_calibrated_default" in functions


def test_what_cannot_be_calibrated_is_refused(model, data):
    context = data.values[0][:20]
    with pytest.raises(InputError, match="of 3 steps ahead.*Received: horizon=4"):
        model.forecast(context, 4, calibrated=True)
    with pytest.raises(InputError, match="leave temperature out. Received: temperature=0.5"):
        model.forecast(context, 3, temperature=0.5, calibrated=True)
    with pytest.raises(InputError, match="too little held-out data.*Received: horizon=90"):
        calibrate_model(model, data, [150], 90)
    with pytest.raises(InputError, match="has no calibration.*tfgen calibrate RUN"):
        made(data).forecast(context, 3, calibrated=True)


def test_files_that_are_no_calibration(tmp_path):
    calibration = Calibration.fit(*forecasts(40, 1, 1), NUMBERS, facts={"data": "x"})
    path = tmp_path / "c.npz"
    calibration.save(path)
    again = Calibration.load(path, 1)
    np.testing.assert_array_equal(again.offsets, calibration.offsets)
    np.testing.assert_array_equal(again.typical, calibration.typical)
    assert again.facts == {"data": "x"} and again.offsets.shape == (len(LEVELS), 3, 1)
    with pytest.raises(InputError, match="of a model of 2 columns"):
        Calibration.load(path, 2)
    arrays = dict(np.load(path))
    for change in (
        {"offsets": arrays["offsets"][1:]}, {"typical": -arrays["typical"]}, {"facts": "[]"},
        {"offsets": arrays["offsets"] * np.float32(np.nan)}, {"facts": "{"},
        {"typical": arrays["typical"].astype(np.float64)},
    ):  # fmt: skip
        np.savez(path, **{**arrays, **change})
        with pytest.raises(InputError, match="is no calibration"):
            Calibration.load(path, 1)
