"""Forecasts of circular columns: scores along the circle, means that are directions."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen import data
from tfgen.data.features import Circle
from tfgen.evaluation import forecasts
from tfgen.models.numbers.results import summary_of
from tfgen.preprocessing import SequenceProcessor

RNG = np.random.default_rng(0)
SAMPLES = np.stack([RNG.normal(355, 12, [6, 40, 3]) % 360, RNG.normal(5, 2, [6, 40, 3])], axis=-1)
TRUTH = np.stack([RNG.normal(355, 12, [6, 3]) % 360, RNG.normal(5, 2, [6, 3])], axis=-1)
PERIODS = [360.0, None]


@pytest.mark.parametrize("fair", [False, True])
def test_the_crps_is_that_of_distances_along_the_circle(fair):
    found = forecasts.crps(SAMPLES, TRUTH, fair, PERIODS)
    x, y = SAMPLES[..., 0], TRUTH[..., 0]

    def distance(a, b):
        return np.abs((a - b + 180) % 360 - 180)

    pairs = distance(x[:, :, None], x[:, None]).sum((1, 2)) / (40 * (39 if fair else 40))
    expected = distance(x, y[:, None]).mean(1) - pairs / 2
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-9)
    plain = forecasts.crps(SAMPLES, TRUTH, fair)
    np.testing.assert_array_equal(found[..., 1], plain[..., 1])
    assert plain[..., 0].mean() > 3 * found[..., 0].mean()


def test_intervals_and_errors_do_not_mind_where_the_circle_begins():
    shifted = [
        np.stack([(each[..., 0] + 100) % 360, each[..., 1]], axis=-1) for each in (SAMPLES, TRUTH)
    ]
    here, there = (forecasts.unwound(*each, PERIODS) for each in ((SAMPLES, TRUTH), shifted))
    for a, b in zip(here, there):
        np.testing.assert_allclose(a, b, atol=1e-9)
    np.testing.assert_array_equal(here[0][..., 1], SAMPLES[..., 1])
    covered = forecasts.coverage(*here, level=0.9)
    assert covered[0] > 0.7
    history = np.array([[350.0, 1], [10, 2], [30, 4]])
    residuals = forecasts.seasonal_residuals(history, 1, PERIODS)
    np.testing.assert_allclose(residuals, [[20, 1], [20, 2]])
    error = forecasts.mase(np.array([[0.0, 3]]), np.array([[5.0, 6]]), history, 1, PERIODS)
    np.testing.assert_allclose(error, [5 / 20, 3 / 1.5])


def test_a_forecast_tells_directions():
    features = data.Feature("wind", circle=Circle(360.0)), data.Feature("x")
    processor = SequenceProcessor(features=features)
    levels = tf.constant([0.1, 0.5, 0.9])
    told = summary_of(tf.constant(SAMPLES, tf.float32), levels, processor)
    turns = np.exp(2j * np.pi / 360 * SAMPLES[..., 0]).mean(1)
    expected = np.degrees(np.angle(turns)) % 360
    np.testing.assert_allclose(told["mean"][..., 0], expected, rtol=1e-4)
    np.testing.assert_allclose(told["mean"][..., 1], SAMPLES[..., 1].mean(1), rtol=1e-5)
    away = (SAMPLES[..., 0] - expected[:, None] + 180) % 360 - 180
    quantiles = np.moveaxis(np.quantile(away, [0.1, 0.5, 0.9], axis=1), 0, 1) + expected[:, None]
    np.testing.assert_allclose(told["quantiles"][..., 0], quantiles % 360, atol=1e-2)
    # Without circles it is what it was.
    plain = summary_of(tf.constant(SAMPLES, tf.float32), levels, SequenceProcessor.plain(2))
    np.testing.assert_array_equal(plain["quantiles"][..., 1], told["quantiles"][..., 1])
    assert np.abs(plain["mean"][..., 0] - told["mean"][..., 0]).max() > 50
