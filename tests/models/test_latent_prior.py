"""The learned prior of latents: its density by other ways to it, and what it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.contract.rows import LATENT, TOKENIZER, as_if_trained
from tfgen import models
from tfgen.networks.latent_prior import LatentPrior
from tfgen.sampling.posterior import Posterior, importance_bound
from tfgen.zoo import get


def moved(size=3, layers=3):
    """A flow away from its start."""
    flow, rng = LatentPrior(size, layers, seed=1), np.random.default_rng(0)
    flow.build()
    for weight in flow.weights:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return flow


def normal(rows, size, seed=1):
    return tf.constant(np.random.default_rng(seed).normal(size=[rows, size]), tf.float32)


def test_without_couplings_it_is_the_standard_normal_distribution():
    plain, flow = LatentPrior(2), LatentPrior(2, 4)
    latents = tf.constant([[0.5, -1.0], [2.0, 0.0]])
    exact = -0.5 * np.array([1.25, 4.0]) - np.log(2 * np.pi)
    for each in (plain, flow):  # at first a flow is that, too
        np.testing.assert_allclose(each(latents), exact, rtol=1e-6)
        np.testing.assert_array_equal(each.moved(latents), latents)
    assert not plain.weights and flow.weights


def test_a_density_is_that_of_the_noise_over_the_change_of_volume():
    flow, noise = moved(), normal(4, 3)
    with tf.GradientTape() as tape:
        tape.watch(noise)
        latents = flow.moved(noise)
    volume = np.linalg.slogdet(tape.batch_jacobian(latents, noise).numpy())[1]
    of_noise = -0.5 * np.sum(np.square(noise), 1) - 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(flow.log_prob(latents), of_noise - volume, rtol=1e-4)
    assert (np.abs(latents - noise).max(0) > 0.05).all()  # each latent is moved


def test_a_density_sums_to_one():
    flow, grid = moved(2), np.linspace(-12, 12, 400)
    places = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2).astype(np.float32)
    total = np.sum(np.exp(flow.log_prob(places).numpy().astype(float))) * (grid[1] - grid[0]) ** 2
    assert total == pytest.approx(1, abs=1e-3)


def test_its_divergence_is_the_mean_of_the_ratio_of_densities():
    flow = LatentPrior(2, 2)  # as it begins, so that the divergence is known
    posterior = Posterior(tf.constant([[1.0, -0.5]]), tf.constant([[-1.0, 0.3]]))
    many = Posterior(*(tf.repeat(each, 20_000, 0) for each in posterior))
    found = flow.divergence(many, many.sample(normal(20_000, 2)))
    exact = float(tf.reduce_sum(posterior.divergence()))
    assert float(tf.reduce_mean(tf.reduce_sum(found, 1))) == pytest.approx(exact, abs=0.03)

    def seen_whatever_the_latents(latents):
        return tf.zeros(tf.shape(latents)[:1], tf.float64)

    posterior, flow = Posterior(tf.zeros([1, 2]), tf.fill([1, 2], 2.0)), moved(2)
    compiled = tf.function(importance_bound, autograph=False)
    bound = compiled(posterior, flow, seen_whatever_the_latents, tf.constant(3000), 0)
    assert float(bound.log_likelihood[0]) == pytest.approx(0, abs=0.15)  # the logarithm of 1
    assert float(bound.rate[0]) > 0


def test_what_makes_no_prior_is_refused():
    for wrong in ({"prior_layers": -1}, {"prior_layers": 2, "latent_size": 1}):
        with pytest.raises(ValueError, match="Received: prior_layers"):
            LatentPrior(**wrong)


@pytest.mark.long
def test_a_saved_model_has_its_prior(tmp_path):
    model = models.make("vae", "text", tokenizer=TOKENIZER, prior_layers=2, **LATENT)
    as_if_trained(model).save(tmp_path / "model")
    texts = get(tmp_path / "model").generate([""] * 4, max_new_tokens=5, seed=3)
    assert texts == model.generate([""] * 4, max_new_tokens=5, seed=3)
    prior = model.engine.space.latent_prior
    for _, moves in prior.couplings:
        moves.bias.assign_add(tf.fill(moves.bias.shape, 3.0))
    assert texts != model.generate([""] * 4, max_new_tokens=5, seed=3)


@pytest.mark.long
def test_it_learns_two_heaps():
    """Of which the best normal distribution has 2.68 nats, and their own entropy is 1.12."""
    flow, rng, optimizer = LatentPrior(2, 6), np.random.default_rng(3), keras.optimizers.Adam(5e-3)
    flow.build()

    def heaps(rows):
        side = rng.choice([-2.0, 2.0], [rows, 1])
        return tf.constant(side + 0.3 * rng.normal(size=[rows, 2]), tf.float32)

    @tf.function
    def step(latents):
        with tf.GradientTape() as tape:
            nats = -tf.reduce_mean(flow.log_prob(latents))
        optimizer.apply(tape.gradient(nats, flow.trainable_weights), flow.trainable_weights)

    optimizer.build(flow.trainable_weights)
    for _ in range(500):
        step(heaps(256))
    entropy = np.log(2) + np.log(2 * np.pi * np.e) + 2 * np.log(0.3)
    assert entropy - 0.05 < -float(tf.reduce_mean(flow.log_prob(heaps(4096)))) < entropy + 0.8
    drawn = flow.moved(normal(1000, 2)).numpy()
    assert np.mean(np.abs(np.abs(drawn) - 2).max(1) < 1) > 0.7
    assert 0.35 < np.mean(drawn[:, 0] > 0) < 0.65
