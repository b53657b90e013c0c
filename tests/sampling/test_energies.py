"""Energies: their denoisers, and what contrastive divergence does to the weights of modes."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.sampling import random
from tfgen.sampling.denoising import add_noise
from tfgen.sampling.energies import (
    energy_denoiser,
    exchange,
    quadratic_energy,
    short_chains,
)
from tfgen.sampling.langevin import mala

KEY = random.root(31, random.SAMPLING)
MEANS, STD = np.array([-2.0, 2.0]), 0.4
SHARE = 0.75  # of the data in the left mode
WRONG = 0.5  # the model's, at first


def energy_of(logit):
    """The exact energy of a mixture with `sigmoid(logit)` of it in the left mode."""

    def energy(x, sigma):
        variance = STD**2 + sigma[:, None, None, None] ** 2
        log_weights = tf.stack([tf.math.log_sigmoid(logit), tf.math.log_sigmoid(-logit)])
        terms = log_weights - (x[..., None] - MEANS) ** 2 / (2 * variance)
        return -tf.reduce_sum(tf.reduce_logsumexp(terms, axis=-1), axis=[1, 2])

    return energy


def data(rows):
    rng = np.random.default_rng(6)
    left = np.arange(rows) < SHARE * rows
    return tf.constant((MEANS[np.where(left, 0, 1)] + STD * rng.normal(size=rows))[:, None, None])


def level(sigma, rows):
    return tf.fill([rows], tf.constant(sigma, tf.float64))


def noisy(x0, sigma):
    noise = tf.cast(random.normal(random.fold(KEY, 7), x0.shape), tf.float64)
    return add_noise(x0, noise, sigma)


def test_the_denoiser_of_an_energy():
    sigma = np.array([0.3, 1.0, 4.0])
    x = tf.constant(np.random.default_rng(1).normal(size=(3, 4, 2)))
    found = energy_denoiser(energy_of(tf.constant(0.3, tf.float64)))(x, tf.constant(sigma))
    variance = STD**2 + sigma[:, None, None, None] ** 2
    share = 1 / (1 + np.exp(-0.3))
    weight = np.array([share, 1 - share]) * np.exp(
        -((x.numpy()[..., None] - MEANS) ** 2) / (2 * variance)
    )
    weight /= weight.sum(-1, keepdims=True)
    each = (x.numpy()[..., None] * STD**2 + MEANS * (variance - STD**2)) / variance
    np.testing.assert_allclose(found, (weight * each).sum(-1), rtol=1e-9)


def test_levels_by_position_and_hints_are_handed_on():
    def energy(x, sigma, hint):
        assert sigma.shape == (2, 3)
        return tf.reduce_sum(tf.square(x - hint) / (2 * (1 + sigma[..., None] ** 2)), axis=[1, 2])

    x, hint = tf.ones([2, 3, 1]), tf.fill([2, 3, 1], 0.5)
    sigma = tf.constant([[1.0, 2.0, 3.0]] * 2)
    found = energy_denoiser(energy)(x, sigma, hint)
    ratio = np.array([1, 4, 9]) / np.array([2, 5, 10])
    np.testing.assert_allclose(found[0, :, 0], 1 - ratio * 0.5, rtol=1e-6)


def test_quadratic_energy():
    x, sigma = tf.constant([[[3.0]], [[1.0]]]), tf.constant([2.0, 0.5])
    energy = quadratic_energy(lambda x, sigma, *previous: 0.5 * x + sum(previous))
    np.testing.assert_allclose(energy(x, sigma), [1.5**2 / 8, 0.5**2 / 0.5])
    np.testing.assert_allclose(energy(x, sigma, 1.0)[0], 0.5**2 / 8)
    # Of a linear D the gradient is (1 - slope) * (x - D) / sigma^2.
    np.testing.assert_allclose(energy_denoiser(energy)(x, sigma), 0.75 * x)


def gradients(sigma, negatives, rows=4000):
    """How fast each loss would move the model's weight, at a weight that is wrong."""
    logit = tf.Variable(np.log(WRONG / (1 - WRONG)))
    x0 = data(rows)
    with tf.GradientTape(persistent=True) as tape:
        energy = energy_of(logit)
        x = noisy(x0, sigma)
        x0_hat = energy_denoiser(energy)(x, level(sigma, rows))
        # Weighted as the noise is: the loss of score matching, (x0_hat - x0)^2 / sigma^2.
        denoising = tf.reduce_mean(tf.square((x0_hat - x0) / sigma))
        contrastive = tf.reduce_mean(
            energy(x, level(sigma, rows)) - energy(negatives(energy, x), level(sigma, rows))
        )
    return float(tape.gradient(denoising, logit)), float(tape.gradient(contrastive, logit))


def compiled_chains(sigma, steps):
    """Negatives by short chains from the data, or by annealed ones from noise if steps is None."""
    energy = energy_of(tf.constant(np.log(WRONG / (1 - WRONG))))

    @tf.function(autograph=False)
    def run(x):
        if steps is not None:
            return short_chains(energy, x, sigma, KEY, steps, 0.5)[0]
        start = 20.0 * tf.cast(random.normal(random.fold(KEY, 9), x.shape), tf.float64)
        return mala(energy, start, np.geomspace(20.0, sigma, 12), KEY, 10, 1.0).x

    return lambda _energy, x: run(x)


@pytest.mark.long
def test_what_the_losses_say_of_the_weights_of_modes():
    """The model gives both modes the same weight; 75% of the data are left.

    The gradient of the exact negative log-likelihood by the logit, and what was measured:

    | sigma | exact | from the model | 60 steps from data | 10 steps from data | denoising |
    |---|---|---|---|---|---|
    | .2 | -.250 | -.247 | 0 | 0 | 0 |
    | .5 | -.250 | -.243 | -.013 | -.003 | -.002 |
    | 1 | -.226 | -.224 | -.183 | -.064 | -.066 |

    (The last column is of a loss with a unit of its own.) So denoising is blind where the modes lie
    apart, contrastive divergence with chains from data nearly as much, and with negatives that come
    from the model's own annealed chains it is not.
    """
    denoising, short = gradients(0.2, compiled_chains(0.2, 10))
    assert abs(denoising) < 1e-4 and abs(short) < 1e-3
    _, own = gradients(0.2, compiled_chains(0.2, None))
    assert abs(own + 0.25) < 0.02
    denoising, short = gradients(1.0, compiled_chains(1.0, 10))
    _, longer = gradients(1.0, compiled_chains(1.0, 60))
    assert -0.1 < denoising < -0.04 and -0.1 < short < -0.04
    assert -0.21 < longer < -0.15


@pytest.mark.long
def test_refinement_mends_the_weights():
    """A few steps of descent, the negatives from the model's own sampler: .5 becomes .75."""
    rows, sigma = 1000, 0.2
    logit = tf.Variable(np.log(WRONG / (1 - WRONG)))
    x = noisy(data(rows), sigma)
    sigmas = tf.constant(np.geomspace(20.0, sigma, 10))

    @tf.function(autograph=False)
    def descend(key):
        energy = energy_of(logit)
        start = 20.0 * tf.cast(random.normal(key, x.shape), tf.float64)
        negatives = mala(energy, start, sigmas, key, 5, 1.0).x
        negatives, acceptance = short_chains(energy, negatives, sigma, random.fold(key, 3), 3)
        with tf.GradientTape() as tape:
            energies = (energy_of(logit)(each, level(sigma, rows)) for each in (x, negatives))
            loss = tf.reduce_mean(tf.subtract(*energies))
        logit.assign_sub(2.0 * tape.gradient(loss, logit))
        return acceptance

    for step in range(15):
        acceptance = descend(random.fold(KEY, step))
    assert abs(float(tf.sigmoid(logit)) - SHARE) < 0.05
    assert acceptance.shape == (rows,) and 0.5 < float(tf.reduce_mean(acceptance)) <= 1


@pytest.mark.long
def test_short_chains_arguments():
    energy = energy_of(tf.constant(0.0, tf.float64))
    x = tf.constant(np.random.default_rng(2).normal(size=(5, 3, 1)))
    none, acceptance = short_chains(energy, x, 0.5, KEY, steps=0)
    np.testing.assert_array_equal(none, x)
    assert acceptance.numpy().tolist() == [0] * 5
    plain = short_chains(energy, x, 0.5, KEY, 2)[0]
    for changed in (
        short_chains(energy, x, 0.9, KEY, 2),
        short_chains(energy, x, 0.5, random.fold(KEY, 1), 2),
        short_chains(energy, x, 0.5, KEY, 3),
        short_chains(energy, x, 0.5, KEY, 2, step_size=0.1),
    ):
        assert np.abs(changed[0] - plain).max() > 1e-3
    valid = np.array([True, True, False])[None, :, None]
    kept = short_chains(energy, x, 0.5, KEY, 2, valid=valid)[0]
    np.testing.assert_array_equal(kept[:, 2], x[:, 2])
    assert np.abs(kept[:, :2] - x[:, :2]).max() > 0.01


def test_neighbours_exchange_as_metropolis_says():
    """Of two levels, by hand: what is scaled to its new place, how often, and what stays."""
    ladders = 3000
    sigma = tf.tile(tf.constant([1.0, 2.0], tf.float64), [ladders])
    place = tf.tile(tf.constant([[[0.3], [5.0]], [[2.0], [7.0]]], tf.float64), [ladders, 1, 1])
    valid = np.array([True, False])[None, :, None]

    def energy(x, sigma):  # of a precision of 1 at level 1 and of a half at level 2
        return tf.reduce_sum(tf.square(x[:, :1]), axis=[1, 2]) / (2 * sigma)

    x, changed, paired = exchange(energy, place, sigma, 2, KEY, 0.0, valid)
    # 2 becomes 1 at level 1, and 0.3 becomes 0.6 at level 2: from 0.09/2 + 4/4 to 1/2 + 0.36/4.
    assert 0.045 + 1.0 > 0.5 + 0.09 and (changed == paired).numpy().all()
    assert abs(np.mean(paired) - 0.5) < 0.04  # half of the time the first has its turn alone
    taken = changed.numpy().reshape(-1, 2)
    assert (taken[:, 0] == taken[:, 1]).all()
    both = x.numpy().reshape(-1, 2, 2)
    np.testing.assert_allclose(
        both[taken[:, 0]], np.tile([[[1, 5], [0.6, 7]]], [taken[:, 0].sum(), 1, 1])
    )
    np.testing.assert_array_equal(
        both[~taken[:, 0]], np.tile([[[0.3, 5], [2, 7]]], [(~taken[:, 0]).sum(), 1, 1])
    )
    # Back again it goes up by as much, and is taken in exp(-0.455) of all cases.
    back = tf.tile(tf.constant([[[1.0], [5.0]], [[0.6], [7.0]]], tf.float64), [ladders, 1, 1])
    _, changed, paired = exchange(energy, back, sigma, 2, KEY, 0.0, valid)
    share = np.sum(changed) / np.sum(paired)
    assert abs(share - np.exp(-0.455)) < 0.03
