"""Counts: the likelihood against scipy, and samples against the likelihood."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.layers import NegativeBinomialHead
from tfgen.layers.count_draws import GAMMA_TRIES, POISSON_UNIFORMS, gamma, poisson
from tfgen.layers.negative_binomial_head import Counts


def parameters_of(mean, dispersion, zeros=None):
    named = {"means": mean, "dispersions": dispersion, "zeros": zeros}
    return {n: tf.constant([[v]], tf.float32) for n, v in named.items() if v is not None}


def expected(counts, mean, dispersion, zeros=None):
    size = 1 / dispersion
    mass = stats.nbinom.pmf(counts, size, size / (size + mean))
    share = 0.0 if zeros is None else 1 / (1 + np.exp(-zeros))
    return share * (counts == 0) + (1 - share) * mass


@pytest.mark.parametrize("zeros", [None, -1.5, 2.0])
@pytest.mark.parametrize(("mean", "dispersion"), [(0.3, 0.5), (4.0, 3.0), (900.0, 0.01)])
@pytest.mark.parametrize("unit", [1.0, 25.0])
def test_likelihoods_are_those_of_scipy(mean, dispersion, zeros, unit):
    head = NegativeBinomialHead(1, zero_inflated=zeros is not None)
    counts = np.array([0, 1, 2, 7, 100, 1000, 30000], np.float32)
    found = head.log_prob(
        parameters_of(mean, dispersion, zeros), Counts(tf.constant(counts[:, None]), unit)
    )
    with np.errstate(divide="ignore"):
        wanted = np.log(expected(counts, mean * unit, dispersion / np.sqrt(unit), zeros))
    likely = wanted > -300  # further out scipy has no numbers
    np.testing.assert_allclose(np.array(found)[likely], wanted[likely], rtol=1e-4, atol=1e-4)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("zeros", [None, 0.5])
@pytest.mark.parametrize(("mean", "dispersion", "unit"), [(0.8, 2.0, 1.0), (1.5, 0.2, 40.0)])
def test_samples_are_as_often_as_they_are_likely(mean, dispersion, zeros, unit):
    head, rng, rows = NegativeBinomialHead(1, zero_inflated=zeros is not None), 0, 20000
    rng = np.random.default_rng(1)
    uniform = rng.uniform(1e-7, 1 - 1e-7, [rows, head.uniforms]).astype(np.float32)
    normal = rng.normal(size=[rows, head.normals]).astype(np.float32)
    told = parameters_of(mean, dispersion, zeros)
    told = {name: tf.repeat(value, rows, axis=0) for name, value in told.items()}
    drawn = head.sample(told, uniform, normal, unit=unit).numpy()[:, 0]
    edges = np.unique(np.quantile(drawn, np.linspace(0, 1, 12)).astype(int))
    mass = expected(np.arange(10000), mean * unit, dispersion / np.sqrt(unit), zeros)
    upto = np.concatenate([[0], np.cumsum(mass)[edges], [1]])
    found = np.histogram(drawn, [-1, *edges + 0.5, np.inf])[0]
    assert stats.chisquare(found, np.diff(upto) * rows, sum_check=False).pvalue > 1e-3
    # Nothing is left to chance at temperature 0, and spreads shrink with the bias.
    middle = head.sample(told, uniform, normal, temperature=0.0, unit=unit).numpy()
    assert len(np.unique(middle)) == 1
    near = head.sample(told, uniform, normal, bias=2.0, unit=unit).numpy()
    assert near.std() < drawn.std()


@pytest.mark.parametrize("shape", [0.05, 0.9, 3.0, 4000.0])
def test_gamma_numbers(shape):
    rng = np.random.default_rng(2)
    uniform = rng.uniform(1e-7, 1, [20000, 1 + GAMMA_TRIES])
    normal = rng.normal(size=[20000, GAMMA_TRIES])
    drawn = gamma(tf.fill([20000], np.float64(shape)), uniform, normal)
    assert stats.kstest(drawn, stats.gamma(shape).cdf).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.2, 9.9, 10.1, 60.0, 1e6])
def test_poisson_numbers(rate):
    rng = np.random.default_rng(3)
    uniform = rng.uniform(1e-7, 1 - 1e-7, [20000, POISSON_UNIFORMS])
    drawn = poisson(tf.fill([20000], np.float64(rate)), uniform).numpy()
    assert (drawn == np.round(drawn)).all() and (drawn >= 0).all()
    edges = np.unique(stats.poisson(rate).ppf(np.linspace(0.02, 0.98, 20)))
    upto = np.concatenate([[0], stats.poisson(rate).cdf(edges), [1]])
    found = np.histogram(drawn, [-1, *edges + 0.5, np.inf])[0]
    wanted = np.diff(upto) * 20000
    assert stats.chisquare(found[wanted > 1e-9], wanted[wanted > 1e-9]).pvalue > 1e-3
    assert not poisson(tf.zeros([20000], tf.float64), uniform).numpy().any()


def test_missing_counts_say_nothing_and_slopes_are_finite():
    head = NegativeBinomialHead(2, zero_inflated=True)
    head.build((None, 3))
    hidden = tf.constant(np.random.default_rng(0).normal(size=[4, 3]), tf.float32)
    counts = tf.constant([[0, np.nan], [np.nan, np.nan], [1e7, 3], [5, 0]], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        nats = head.log_prob(head(hidden), Counts(counts, 1e-3))
    assert nats[1] == 0 and (nats.numpy()[[0, 2, 3]] < 0).all()
    slope = tape.gradient(nats, hidden).numpy()
    assert np.isfinite(slope).all() and (slope[1] == 0).all()
    mean = head.mean(head(hidden))
    assert mean.shape == (4, 2) and (mean.numpy() > 0).all()
