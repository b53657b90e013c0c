"""Preconditioning, targets, weights and levels of training, against the papers' own forms."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.errors import InputError
from tfgen.sampling import denoising as d
from tfgen.sampling import random
from tfgen.sampling.noise_schedules import noise_schedule

RNG = np.random.default_rng(5)
X0, NOISE = RNG.normal(size=(2, 3, 4, 2))  # (batch 3, time 4, channels 2) each
SIGMA = np.exp(RNG.normal(size=(3,)))
KEY = random.root(3, random.SAMPLING)


def column(sigma):
    return sigma[:, None, None]


@pytest.mark.parametrize("objective", d.OBJECTIVES)
@pytest.mark.parametrize("sigma_data", [1.0, 0.3])
@pytest.mark.parametrize("shape", [(), (3,), (3, 4)])
def test_a_network_that_says_the_target_gives_x0(objective, sigma_data, shape):
    sigma = np.exp(RNG.normal(size=shape))
    seen = []

    def network(inputs, c_noise):
        seen.append((inputs, c_noise))
        return d.target(X0, NOISE, sigma, objective, sigma_data)

    x0, noise = tf.constant(X0), tf.constant(NOISE)
    x = d.add_noise(x0, noise, sigma)
    np.testing.assert_allclose(
        x,
        X0 + sigma.reshape(*shape, *[1] * (3 - len(shape))) * NOISE
        if shape
        else X0 + sigma * NOISE,
    )
    x0_hat = d.denoise(network, x, sigma, objective, sigma_data)
    assert x0_hat.dtype == tf.float64
    np.testing.assert_allclose(x0_hat, X0, atol=1e-12)
    np.testing.assert_allclose(seen[0][1], np.log(sigma) / 4)


@pytest.mark.parametrize("sigma_data", [1.0, 0.3])
@pytest.mark.parametrize("objective", d.OBJECTIVES)
def test_inputs_and_targets_have_unit_spread(objective, sigma_data):
    # Flow's are of spread 1 at the ends of its line only: there the line has a waist.
    row = d.preconditioning(objective, tf.constant(SIGMA), sigma_data)
    inputs = row.c_in * np.hypot(SIGMA, sigma_data)
    targets = np.hypot(row.of_x0 * sigma_data, row.of_noise)
    if objective == "flow":
        n = SIGMA / (SIGMA + sigma_data)
        np.testing.assert_allclose(inputs, np.hypot(n, 1 - n))
        np.testing.assert_allclose(targets, np.sqrt(2))
    else:
        np.testing.assert_allclose(inputs, 1)
        np.testing.assert_allclose(targets, 1)


def test_the_objectives_are_those_of_the_papers():
    """Each paper's own state z and own way back to x0, at sigma_data = 1."""
    abar = 1 / (1 + column(SIGMA) ** 2)
    alpha, spread = np.sqrt(abar), np.sqrt(1 - abar)
    x = X0 + column(SIGMA) * NOISE
    output = RNG.normal(size=X0.shape)
    z = alpha * x
    n = column(SIGMA) / (1 + column(SIGMA))
    expected = {
        "epsilon": ((z - spread * output) / alpha, z, NOISE),
        "x0": (output, z, X0),
        "v": (alpha * z - spread * output, z, alpha * NOISE - spread * X0),
        "flow": ((1 - n) * x - n * output, (1 - n) * X0 + n * NOISE, NOISE - X0),
    }
    for objective, (x0_hat, state, target) in expected.items():
        inputs = []
        found = d.denoise(lambda z, _: inputs.append(z) or output, tf.constant(x), SIGMA, objective)
        np.testing.assert_allclose(found, x0_hat, err_msg=objective)
        np.testing.assert_allclose(inputs[0], state, err_msg=objective)
        np.testing.assert_allclose(
            d.target(X0, NOISE, SIGMA, objective), target, atol=1e-12, err_msg=objective
        )


def test_edm_is_table_1():
    data = 0.5
    row = d.preconditioning("edm", tf.constant(SIGMA), data)
    total = SIGMA**2 + data**2
    np.testing.assert_allclose(row.c_skip, data**2 / total)
    np.testing.assert_allclose(row.c_out, SIGMA * data / np.sqrt(total))
    np.testing.assert_allclose(row.c_in, 1 / np.sqrt(total))
    weight = d.loss_weight("edm", tf.constant(SIGMA), "x0", data)
    np.testing.assert_allclose(weight, total / (SIGMA * data) ** 2)


def test_weights():
    sigma = tf.constant(SIGMA)
    snr = 1 / SIGMA**2
    np.testing.assert_allclose(d.loss_weight("snr", sigma, "v"), snr)
    np.testing.assert_allclose(d.loss_weight("uniform", sigma, "epsilon"), snr)
    np.testing.assert_allclose(d.loss_weight("uniform", sigma, "x0"), 1)
    np.testing.assert_allclose(d.loss_weight("uniform", sigma, "v"), snr + 1)
    np.testing.assert_allclose(d.loss_weight("uniform", sigma, "flow", 1.0), (1 / SIGMA + 1) ** 2)
    np.testing.assert_allclose(d.loss_weight("min_snr", sigma, "v"), np.minimum(snr, 5))
    np.testing.assert_allclose(d.loss_weight("min_snr", sigma, "v", gamma=1), np.minimum(snr, 1))
    np.testing.assert_allclose(
        d.loss_weight("min_snr", sigma, "v", 0.3), np.minimum(0.09 * snr, 5) / 0.09
    )


@pytest.mark.parametrize("weighting", d.WEIGHTINGS)
@pytest.mark.parametrize("objective", d.OBJECTIVES)
def test_the_error_is_that_of_the_denoiser(objective, weighting):
    output = tf.constant(RNG.normal(size=X0.shape))
    x = d.add_noise(tf.constant(X0), NOISE, SIGMA)
    x0_hat = d.denoise(lambda *_: output, x, SIGMA, objective, 0.4)
    weight = d.loss_weight(weighting, tf.constant(SIGMA), objective, 0.4, gamma=2.0)
    found = d.squared_error(output, tf.constant(X0), NOISE, SIGMA, objective, weighting, 0.4, 2.0)
    np.testing.assert_allclose(found, column(weight.numpy()) * (x0_hat - X0) ** 2, rtol=1e-9)


def test_small_levels_lose_no_digits():
    sigma = np.full(3, 1e-4, np.float32)
    noise = tf.constant(NOISE, tf.float32)
    found = d.squared_error(
        1.01 * noise, tf.constant(X0, tf.float32), noise, sigma, "epsilon", "edm"
    )
    np.testing.assert_allclose(found, (0.01 * NOISE) ** 2, rtol=1e-3, atol=1e-11)


def test_levels_of_training():
    shape = [20_000]
    log = np.log(d.lognormal_sigma(KEY, shape))
    assert stats.kstest(log, stats.norm(-1.2, 1.2).cdf).pvalue > 0.01
    log = np.log(d.lognormal_sigma(KEY, shape, mean=0.3, std=0.5))
    assert stats.kstest(log, stats.norm(0.3, 0.5).cdf).pvalue > 0.01

    schedule = noise_schedule("cosine", 0.01, 50)
    sigma = d.scheduled_sigma(KEY, [2000, 10], schedule)
    assert sigma.dtype == tf.float32 and sigma.shape == (2000, 10)
    assert stats.kstest(schedule.n(sigma.numpy().ravel()), stats.uniform.cdf).pvalue > 0.01


def test_dynamic_shapes_in_a_graph():
    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([None, None, 2]), tf.TensorSpec([None, None])],
    )
    def run(x, sigma):
        return d.denoise(lambda inputs, _: inputs, x, sigma, "v")

    sigma = np.float32([[0.5, 2.0]])
    x = np.ones([1, 2, 2], np.float32)
    total = 1 + sigma**2
    expected = (1 / total - sigma / np.sqrt(total) / np.sqrt(total))[..., None] * x
    np.testing.assert_allclose(run(x, sigma), expected, rtol=1e-6)


def test_refusals():
    with pytest.raises(InputError, match="Unknown objective 'eps'. Did you mean 'epsilon'?"):
        d.preconditioning("eps", 1.0)
    with pytest.raises(InputError, match="Unknown loss weighting 'min-snr2'."):
        d.loss_weight("min-snr2", 1.0, "v")
