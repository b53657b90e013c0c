"""The wrapped normal distribution against sums over turns in float64."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfgen.layers import GaussianMixtureHead, RegressionHead
from tfgen.layers.cells import Cells
from tfgen.layers.wrapped_normal import (
    log_wrapped_normal_mass,
    wrapped,
    wrapped_normal_log_prob,
)

TURNS = 2 * np.pi * np.arange(-30, 31)
SCALES = np.array([1e-3, 0.05, 0.7, 1.4, 1.49, 1.51, 2.0, 5.0, 40.0])


def test_densities_are_sums_over_turns():
    angle = np.linspace(-9, 9, 61)[:, None]
    logs = stats.norm.logpdf(angle[..., None] + TURNS, scale=SCALES[:, None])
    expected = special.logsumexp(logs, axis=-1)
    found = wrapped_normal_log_prob(tf.constant(angle, tf.float32), tf.constant(SCALES, tf.float32))
    expected = np.where(SCALES > 10, -np.log(2 * np.pi), expected)  # 30 turns are not enough there
    np.testing.assert_allclose(found, expected, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("width", [0.01, 0.3, 2.0, 2 * np.pi])
def test_masses_are_sums_over_turns(width):
    lower = np.linspace(-9, 9, 31)[:, None]
    scales = SCALES[1:-1]
    edges = lower[..., None] + TURNS, lower[..., None] + width + TURNS
    mass = np.diff([stats.norm.cdf(edge, scale=scales[:, None]) for edge in edges], axis=0)[0]
    mass = mass.sum(-1)
    found = np.exp(
        log_wrapped_normal_mass(
            *(tf.constant(edge, tf.float32) for edge in (lower, lower + width, scales))
        )
    )
    np.testing.assert_allclose(found, mass, rtol=2e-3, atol=2e-6)


def test_slopes_are_finite_and_join_where_the_formulas_change():
    scales = tf.constant(SCALES, tf.float32)
    angle = tf.constant(np.linspace(-4, 4, 9)[:, None], tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([angle, scales])
        density = wrapped_normal_log_prob(angle, scales)
        mass = log_wrapped_normal_mass(angle - 0.1, angle + 0.1, scales)
    for value in (density, mass):
        assert all(np.isfinite(slope).all() for slope in tape.gradient(value, [angle, scales]))
        np.testing.assert_allclose(value[:, 4], value[:, 5], atol=0.05)


@pytest.mark.parametrize("cls", [GaussianMixtureHead, RegressionHead])
def test_angles_are_sampled_as_often_as_they_are_likely(cls):
    head, rng, count = cls(2, circular=[1]), np.random.default_rng(0), 20000
    head.build((None, 4))
    for weight in head.weights:
        weight.assign(weight + 0.5 * rng.normal(size=weight.shape))
    one = head(tf.constant(rng.normal(size=[1, 4]), tf.float32))
    parameters = {name: tf.repeat(value, count, axis=0) for name, value in one.items()}
    uniform = rng.uniform(size=[count, head.uniforms]).astype(np.float32)
    normal = rng.normal(size=[count, head.normals]).astype(np.float32)
    drawn = wrapped(head.sample(parameters, uniform, normal))[:, 1].numpy()
    edges = np.linspace(-np.pi, np.pi, 13)
    found, _ = np.histogram(drawn, edges)
    grid = (edges[1:] + edges[:-1]) / 2
    values = np.stack([np.full(12, np.nan), grid], axis=1).astype(np.float32)
    cells = Cells(
        np.array([1]), *(tf.constant(e[:, None], tf.float32) for e in (edges[:-1], edges[1:]))
    )
    some = {name: value[:12] for name, value in parameters.items()}
    expected = np.exp(np.float64(head.log_prob(some, values, cells=cells)))
    assert expected.sum() == pytest.approx(1, abs=1e-5)
    assert stats.chisquare(found, expected * count / expected.sum()).pvalue > 1e-3
    # A whole turn changes nothing, and the mean is a direction.
    turned = head.log_prob(some, values + np.float32(2 * np.pi))
    np.testing.assert_allclose(turned, head.log_prob(some, values), atol=1e-4)
    direction = np.angle(np.exp(1j * drawn).mean())
    assert abs(wrapped(head.mean(one)[0, 1] - direction)) < 0.05


def test_which_features_are_angles_is_checked():
    with pytest.raises(ValueError, match=r"from 0 to 1. Received: circular=\[2\]"):
        GaussianMixtureHead(2, circular=[2])
    with pytest.raises(ValueError, match="'diagonal' with circular"):
        GaussianMixtureHead(2, covariance="full", circular=[0])
