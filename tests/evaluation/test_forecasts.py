"""Scores of forecasts against closed forms, quadrature and sums done by hand."""

import numpy as np
import pytest
from scipy import integrate, stats

from tfgen.errors import InputError
from tfgen.evaluation import forecasts


def column(*values):
    """`(time, 1)`."""
    return np.array(values, np.float64)[:, None]


def test_crps_is_that_of_the_empirical_distribution_by_quadrature():
    rng = np.random.default_rng(1)
    samples, observed = rng.normal(size=(7, 3, 2)), rng.normal(size=(3, 2))
    score = forecasts.crps(samples, observed)
    for index in np.ndindex(observed.shape):
        ranks, y = np.sort(samples[(slice(None), *index)]), observed[index]
        points = [*ranks, y]
        square = lambda x: (np.mean(ranks <= x) - (y <= x)) ** 2  # noqa: E731
        expected, _ = integrate.quad(square, -6, 6, points=points, limit=200)
        assert score[index] == pytest.approx(expected, abs=1e-6)


def test_crps_of_many_gaussian_samples_is_the_closed_form():
    rng = np.random.default_rng(2)
    y, mean, sigma = np.array([[-1.0], [0.3], [4.0]]), 0.5, 2.0
    z = (y - mean) / sigma  # Gneiting & Raftery 2007, eq. 5
    form = sigma * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    samples = rng.normal(mean, sigma, size=(20000, 3, 1))
    np.testing.assert_allclose(forecasts.crps(samples, y), form, atol=0.03)
    # With few samples only the fair score has the closed form as its mean.
    few = rng.normal(mean, sigma, size=(20000, 3, 3, 1))
    y = np.broadcast_to(y, (20000, 3, 1))
    np.testing.assert_allclose(forecasts.crps(few, y, fair=True).mean(axis=0), form, atol=0.03)
    assert np.all(forecasts.crps(few, y).mean(axis=0) - form > 0.2)


def test_crps_equals_the_sum_over_all_pairs():
    rng = np.random.default_rng(3)
    samples, y = rng.normal(size=(4, 5, 2, 1)), rng.normal(size=(4, 2, 1))
    pairs = np.abs(samples[:, :, None] - samples[:, None]).sum(axis=(1, 2))
    error = np.abs(samples - y[:, None]).mean(axis=1)
    np.testing.assert_allclose(forecasts.crps(samples, y), error - pairs / 50)
    np.testing.assert_allclose(forecasts.crps(samples, y, fair=True), error - pairs / 40)
    y[0, 0] = np.nan
    score = forecasts.crps(samples, y)
    assert np.isnan(score[0, 0]) and np.isfinite(score).sum() == 7
    with pytest.raises(InputError, match="Received: samples=1"):
        forecasts.crps(samples[:, :1], y, fair=True)
    with pytest.raises(InputError, match="Received: shapes"):
        forecasts.crps(samples, y[:, :1])


@pytest.mark.parametrize(("fair", "estimator"), [(False, "nrg"), (True, "fair")])
def test_crps_and_energy_score_are_those_of_scoringrules(fair, estimator):
    scoringrules = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(4)
    samples, y = rng.normal(size=(3, 9, 4, 2)), rng.normal(size=(3, 4, 2))
    columns = np.moveaxis(samples, 1, -1)  # (3, 4, 2, samples)
    theirs = scoringrules.crps_ensemble(y, columns, estimator=estimator)
    np.testing.assert_allclose(forecasts.crps(samples, y, fair=fair), theirs)
    rows = np.moveaxis(samples, 1, 2)  # (3, 4, samples, 2)
    theirs = scoringrules.es_ensemble(y, rows, estimator=estimator)
    ours = forecasts.energy_score(samples, y, fair=fair)
    np.testing.assert_allclose(ours, theirs)
    y[0, 1, 1], y[2, 3] = np.nan, np.nan  # that of the other feature; of nothing
    some = forecasts.energy_score(samples, y, fair=fair)
    alone = forecasts.crps(samples[..., :1], y[..., :1], fair=fair)[..., 0]
    assert some[0, 1] == pytest.approx(alone[0, 1]) and np.isnan(some[2, 3])
    assert np.sum(some == ours) == 10


def test_the_energy_score_sees_what_belongs_together(monkeypatch):
    rng = np.random.default_rng(5)
    first = rng.normal(size=(100, 50, 1))
    together = np.concatenate([first, first], axis=-1)
    apart = np.concatenate([first, rng.permuted(first, axis=0)], axis=-1)
    y = np.repeat(rng.normal(size=(50, 1)), 2, axis=1)
    np.testing.assert_allclose(forecasts.crps(together, y), forecasts.crps(apart, y))
    score = forecasts.energy_score(together, y)
    assert score.mean() < forecasts.energy_score(apart, y).mean()
    monkeypatch.setattr(forecasts, "_BLOCK", 1000)  # of so many parts the same
    np.testing.assert_allclose(forecasts.energy_score(together, y), score)
    with pytest.raises(InputError, match="Received: samples=1"):
        forecasts.energy_score(together[:1], y, fair=True)


def test_weighted_quantile_loss_by_hand():
    samples = np.arange(11.0)[:, None, None]  # the quantile of level q is 10 q
    observed = column(4.0)
    # Above y, (1 - q) (f - y); below it, q (y - f).
    losses = [2 * (q * (4 - 10 * q) if 10 * q < 4 else (1 - q) * (10 * q - 4))
              for q in forecasts.QUANTILES]  # fmt: skip
    result = forecasts.weighted_quantile_loss(samples, observed)
    np.testing.assert_allclose(result, [np.mean(losses) / 4])
    # The median alone: the absolute error over the sum of what was observed.
    samples = np.stack([column(1, 2, 5), column(2, 2, 5), column(9, 2, 5)])
    observed = column(4, -2, np.nan)
    result = forecasts.weighted_quantile_loss(samples, observed, levels=[0.5])
    np.testing.assert_allclose(result, [(2 + 4) / 6])
    assert np.isnan(forecasts.weighted_quantile_loss(samples, column(0, 0, np.nan)))


def test_sample_quantiles_take_the_nearest_rank():
    samples = np.array([5.0, 1.0, 3.0, 2.0])[:, None, None]
    result = forecasts.sample_quantiles(samples, [0, 0.3, 0.5, 1])
    np.testing.assert_array_equal(result.ravel(), [1, 2, 3, 5])  # round(1.5) is 2


def test_crps_is_the_mean_pinball_loss_over_all_levels():
    rng = np.random.default_rng(4)
    samples, y = rng.normal(size=(500, 1, 1)), column(0.7)
    levels = (np.arange(500) + 0.5) / 500
    loss = forecasts.weighted_quantile_loss(samples, y, levels)[0] * 0.7
    assert loss == pytest.approx(forecasts.crps(samples, y)[0, 0], rel=0.01)


def test_coverage():
    samples = np.linspace(0, 10, 101)[:, None, None] * np.ones([2])
    observed = np.array([[1.0, 5], [0.9, 5], [9.0, 50], [9.1, np.nan]])
    samples = np.repeat(samples, 4, axis=1)
    np.testing.assert_allclose(forecasts.coverage(samples, observed, 0.8), [0.5, 2 / 3])
    np.testing.assert_allclose(forecasts.coverage(samples, observed, 0.9), [1, 2 / 3])
    with pytest.raises(InputError, match="level=1"):
        forecasts.coverage(samples, observed, 1)


def test_seasonal_naive_repeats_the_last_season():
    context = column(9, 9, 1, 2, 3)
    np.testing.assert_array_equal(
        forecasts.seasonal_naive(context, 7, 3)[:, 0], [1, 2, 3, 1, 2, 3, 1]
    )
    np.testing.assert_array_equal(forecasts.seasonal_naive(context, 2, 1)[:, 0], [3, 3])
    # A hole is filled from the season before; what has no season before by the last value.
    context = column(9, 8, np.nan, np.nan, 3)
    np.testing.assert_array_equal(forecasts.seasonal_naive(context, 3, 3)[:, 0], [3, 9, 3])
    np.testing.assert_array_equal(forecasts.seasonal_naive(column(1, 2), 4, 3)[:, 0], [2, 1, 2, 2])
    batch = np.stack([context, context + 1])
    assert forecasts.seasonal_naive(batch, 3, 3)[1, 1, 0] == 10
    with pytest.raises(InputError, match="season=0"):
        forecasts.seasonal_naive(context, 3, 0)


def test_seasonal_samples_have_the_variance_of_a_seasonal_walk():
    rng = np.random.default_rng(5)
    context = np.cumsum(rng.normal(size=(400, 2)) * [1, 3], axis=0)
    samples = forecasts.seasonal_naive_samples(context, 4, 2, 4000, seed=1)
    assert samples.shape == (4000, 4, 2)
    residuals = forecasts.seasonal_residuals(context, 2)
    np.testing.assert_array_equal(residuals[0], context[2] - context[0])
    ratio = samples.var(axis=0) / residuals.var(axis=0)
    np.testing.assert_allclose(ratio, [[1, 1], [1, 1], [2, 2], [2, 2]], rtol=0.15)
    again = forecasts.seasonal_naive_samples(context, 4, 2, 4000, seed=1)
    np.testing.assert_array_equal(samples, again)
    assert np.any(samples != forecasts.seasonal_naive_samples(context, 4, 2, 4000, seed=2))
    exact = forecasts.seasonal_naive_samples(context, 4, 2, 3, residuals=np.full([5, 2], np.nan))
    np.testing.assert_array_equal(exact[0], forecasts.seasonal_naive(context, 4, 2))


def test_mase_is_one_for_the_error_of_the_history():
    history = column(0, 2, 0, 2)  # off by 2 at season 1, by 0 at season 2
    forecast, observed = column(1, 1), column(3, -1)
    assert forecasts.mase(forecast, observed, history)[0] == 1
    assert np.isnan(forecasts.mase(forecast, observed, history, season=2)[0])
    two = forecasts.mase(forecast, observed, [history, column(0, 6, 0)])
    np.testing.assert_allclose(two, [2 / ((3 * 2 + 2 * 6) / 5)])


def test_smape_is_that_of_the_m4_competition():
    forecast, observed = column(1, -2, 0, 5), column(3, 2, 0, np.nan)
    # 200 * 2 / 4, 200 * 4 / 4, 0.
    np.testing.assert_allclose(forecasts.smape(forecast, observed), [(100 + 200 + 0) / 3])


def test_msis_by_hand():
    samples = np.linspace(0, 1, 101)[:, None, None] + np.zeros([3, 1])
    observed, history = column(0.5, 2.0, -1.0), column(0, 2, 0, 2)  # a scale of 2
    # From 0.25 to 0.75: 0.5 wide, then 2 / 0.5 times what is outside.
    score = (0.5 + (0.5 + 4 * 1.25) + (0.5 + 4 * 1.25)) / 3 / 2
    np.testing.assert_allclose(forecasts.msis(samples, observed, history, 1, 0.5), [score])
    observed[1] = np.nan
    score = (0.5 + (0.5 + 4 * 1.25)) / 2 / 2
    np.testing.assert_allclose(forecasts.msis(samples, observed, history, 1, 0.5), [score])
    assert np.isnan(forecasts.msis(samples, observed, history, 2)[0])


def test_naive2_takes_seasons_off_and_puts_them_on_again():
    # Without noise the indices are found exactly, of a season that times a level, or that adds.
    index = np.array([0.5, 1.0, 1.5, 1.0])
    level = np.where(np.arange(41) < 40, 10.0, 12.0)  # the last one is a jump
    series = level * np.tile(index, 11)[:41]
    np.testing.assert_allclose(
        forecasts.naive2(series[:, None], 6, 4)[:, 0], 12 * np.tile(index, 2)[1:7], rtol=0.02
    )
    added = np.tile([-3.0, 1, 0, 2], 10)
    np.testing.assert_allclose(
        forecasts.naive2(np.stack([added, added + 9], axis=1), 5, 4),
        np.stack([np.tile([-3.0, 1, 0, 2], 2)[:5], np.tile([-3.0, 1, 0, 2], 2)[:5] + 9], axis=1),
        atol=0.2,
    )
    # Of no season by the test, and of a short series, the last value; a missing one is that before.
    noise = np.random.default_rng(3).normal(size=[60, 1])
    np.testing.assert_array_equal(forecasts.naive2(noise, 3, 4), np.full([3, 1], noise[-1]))
    np.testing.assert_array_equal(forecasts.naive2(series[:11, None], 2, 4)[:, 0], [15, 15])
    np.testing.assert_array_equal(forecasts.naive2(column(np.nan, 3, np.nan), 2, 1)[:, 0], [3, 3])
    assert np.isnan(forecasts.naive2(column(np.nan, np.nan), 2, 1)).all()
