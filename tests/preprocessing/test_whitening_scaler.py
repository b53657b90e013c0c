"""Principal components as a scaler."""

import numpy as np
import pytest

from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.preprocessing import (
    Chain,
    SequenceProcessor,
    WhiteningScaler,
    build_scaler,
    scaler_record,
)
from tfgen.recipe import PreprocessingConfig


def prices(count=500):
    """Columns that nearly repeat each other, and one that repeats another exactly."""
    rng = np.random.default_rng(0)
    level = 100 + 30 * rng.normal(size=count)
    close = level + 0.3 * rng.normal(size=count)
    return np.stack([level, close, close, 1e6 * rng.random(count)], axis=1).astype(np.float32)


def test_components_have_unit_variance_and_nothing_to_do_with_each_other():
    values = prices()
    scaled = WhiteningScaler().adapt(values).call(values).numpy()
    covariance = np.cov(scaled.T, bias=True)
    # The last direction is a relation that always holds: there is nothing in it.
    np.testing.assert_allclose(covariance, np.diag([1, 1, 1, 0]), atol=2e-3)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)


def test_the_way_back():
    values = prices()
    scaler = WhiteningScaler().adapt(values)
    error = np.abs(scaler.inverse(scaler.call(values)) - values) / values.std(axis=0)
    assert error.max() < 2e-6


def test_the_slopes_add_up_to_the_log_determinant():
    scaler = WhiteningScaler().adapt(prices())
    slopes = scaler.log_slope(prices()[:3]).numpy()
    _, expected = np.linalg.slogdet(np.array(scaler.matrix))
    np.testing.assert_allclose(slopes.sum(axis=1), expected, rtol=1e-5)


def test_a_density_in_the_datas_units_is_that_of_a_gaussian():
    from scipy import stats

    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(3, 3))
    values = (rng.normal(size=(4000, 3)) @ mixing + 5).astype(np.float32)
    scaler = WhiteningScaler().adapt(values)
    few = values[:20]
    nats = stats.norm.logpdf(scaler.call(few)).sum(axis=1) + scaler.log_slope(few).numpy().sum(
        axis=1
    )
    fitted = stats.multivariate_normal(values.mean(axis=0), np.cov(values.T, bias=True))
    np.testing.assert_allclose(nats, fitted.logpdf(few), atol=1e-3)


def test_a_missing_number_is_a_missing_position():
    values = prices()
    values[3, 1] = np.nan
    scaled = WhiteningScaler().adapt(values).call(values).numpy()
    assert np.isnan(scaled[3]).all() and not np.isnan(scaled[4]).any()
    values[:, 0] = np.where(np.arange(500) % 2, np.nan, values[:, 0])
    values[:, 1] = np.where(np.arange(500) % 2, values[:, 1], np.nan)
    with pytest.raises(InputError, match="no number is missing"):
        WhiteningScaler().adapt(values)


def test_a_constant_column_keeps_its_width():
    values = prices()
    values[:, 3] = 7.0
    scaler = WhiteningScaler().adapt(values)
    np.testing.assert_allclose(scaler.inverse(scaler.call(values))[:, 3], 7.0, rtol=1e-6)


def test_it_is_what_its_record_says():
    scaler = WhiteningScaler().adapt(prices())
    again = build_scaler(scaler_record(scaler))
    np.testing.assert_array_equal(again.call(prices()), scaler.call(prices()))
    assert Chain([scaler]).mixes and not Chain([]).mixes


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": [0.0]}, {"mean": [0.0], "matrix": [[1.0], [2.0]]},
        {"mean": [0.0, 0.0], "matrix": [[1.0, 2.0], [2.0, 4.0]]},
        {"mean": [0.0, 0.0], "matrix": [[1.0], [2.0]]}, {"mean": [0.0], "matrix": [["x"]]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_scaler_is_refused(wrong):
    with pytest.raises(ValueError):
        WhiteningScaler(**wrong)


def test_a_recipe_asks_for_it_and_bounds_are_then_of_samples_alone():
    features = tuple(Feature(name, low=0.0) for name in "abcd")
    made = Sequences("made", "series", features, [prices()], ["0"])
    processor = SequenceProcessor.fit(made, PreprocessingConfig(scaler="whiten", log1p=("d",)))
    assert processor.scaled_bounds() is None and processor.scaler.mixes
    assert processor.bounds[0].tolist() == [0, 0, 0, 0]
