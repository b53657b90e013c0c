"""Bounds of a likelihood, held to a linear Gaussian model, whose own is known."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.networks.latent_prior import LatentPrior
from tfgen.sampling.posterior import Posterior, importance_bound

RNG = np.random.default_rng(0)
MAP, NOISE = RNG.normal(size=[3, 2]), 0.7
PRIOR = LatentPrior(latent_size=2)
SEEN = RNG.normal(size=[5, 3])


def exact():
    """log p(x) of x = MAP z + noise: a Gaussian of covariance MAP MAP' + NOISE^2 I."""
    covariance = MAP @ MAP.T + NOISE**2 * np.eye(3)
    squares = np.einsum("ni,ij,nj->n", SEEN, np.linalg.inv(covariance), SEEN)
    return -0.5 * (squares + np.linalg.slogdet(2 * np.pi * covariance)[1])


def log_prob(latents):
    off = tf.constant(SEEN) - tf.cast(latents, tf.float64) @ MAP.T
    nats = tf.reduce_sum(tf.square(off), axis=1) / NOISE**2 + 3 * np.log(2 * np.pi * NOISE**2)
    return -0.5 * nats


def true_posterior():
    precision = np.eye(2) + MAP.T @ MAP / NOISE**2
    return SEEN @ MAP @ np.linalg.inv(precision) / NOISE**2, np.linalg.inv(precision)


def bound(samples, off=0.0, seed=0):
    """Of a diagonal Gaussian whose mean is off the true posterior's."""
    mean, covariance = true_posterior()
    variance = np.broadcast_to(np.diag(covariance), mean.shape)
    posterior = Posterior(
        *(tf.constant(each, tf.float32) for each in (mean + off, np.log(variance)))
    )
    return importance_bound(posterior, PRIOR, log_prob, tf.constant(samples), seed), posterior


@pytest.mark.long
def test_the_evidence_lower_bound_is_its_own_formula_and_lies_below():
    mean, covariance = true_posterior()
    mean, spread = mean + 0.3, np.broadcast_to(np.diag(covariance), mean.shape)
    # E log p(x | z) of a Gaussian z is that of the mean, less the trace of what it spreads.
    trace = np.sum(np.square(MAP) * spread[0]) / NOISE**2
    elbo = log_prob(mean).numpy() - 0.5 * trace
    elbo -= 0.5 * np.sum(mean**2 + spread - 1 - np.log(spread), axis=1)
    one = [bound(1, 0.3, seed)[0] for seed in range(300)]
    found = np.mean([each.log_likelihood for each in one], axis=0)
    np.testing.assert_allclose(found, elbo, atol=0.15)
    assert (elbo < exact()).all()
    for each in one[:3]:
        np.testing.assert_allclose(each.log_likelihood, -(each.rate + each.reconstruction))


@pytest.mark.long
def test_more_samples_come_nearer_to_the_likelihood():
    few, many = (bound(samples, 0.3)[0].log_likelihood.numpy() for samples in (10, 3000))
    np.testing.assert_allclose(many, exact(), atol=0.05)
    assert np.abs(many - exact()).max() < np.abs(few - exact()).max()


def test_the_density_of_a_posterior_is_that_of_its_formula():
    _, posterior = bound(1)
    latents = tf.constant(RNG.normal(size=[5, 2]), tf.float32)
    mean, variance = posterior.mean, tf.exp(posterior.log_variance)
    own = -0.5 * np.sum(np.square(latents - mean) / variance + np.log(2 * np.pi * variance), axis=1)
    np.testing.assert_allclose(posterior.log_prob(latents), own, rtol=1e-4)


def test_what_latents_tell_of_sequences():
    """Posteriors far apart tell them all; those that are alike, though not the prior, none."""
    apart = Posterior(30.0 * tf.eye(8), tf.zeros([8, 8])).told(LatentPrior(1))
    assert apart["mutual_information"] == pytest.approx(np.log(8), abs=1e-4)
    assert apart["active_units"] == 8
    alike = Posterior(tf.ones([100, 3]), tf.fill([100, 3], -2.0)).told(LatentPrior(1))
    assert alike["mutual_information"] == pytest.approx(0.0, abs=0.15)
    assert alike["rate"] == pytest.approx(1.5 * (1 + np.exp(-2) - 1 + 2), rel=1e-5)
    assert alike["active_units"] == 0
    # A Gaussian signal of variance 3 beside noise of variance 1: half the logarithm of 4 nats.
    means = np.sqrt(3) * np.random.default_rng(1).normal(size=[4000, 1])
    found = Posterior(tf.constant(means, tf.float32), tf.zeros([4000, 1])).told(LatentPrior(1))
    assert found["mutual_information"] == pytest.approx(0.5 * np.log(4), abs=0.05)
