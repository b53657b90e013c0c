"""Latents of the probability-flow ODE, and the Runge-Kutta methods that find them."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.sampling import random
from tfgen.sampling.diffusion import initial, sample
from tfgen.sampling.inversion import decode, encode, interpolate
from tfgen.sampling.noise_schedules import schedule
from tfgen.sampling.ode import METHODS, integrate

KEY = random.root(9, random.SAMPLING)
SIGMAS = schedule("karras", 30, 0.01, 20.0)
MEANS, STD, WEIGHTS = np.array([-1.0, 0.8]), 0.4, np.array([0.6, 0.4])


def mixture(x, sigma):
    level = sigma[:, None, None, None] ** 2
    variance = STD**2 + level
    share = tf.nn.softmax(np.log(WEIGHTS) - (x[..., None] - MEANS) ** 2 / (2 * variance))
    return tf.reduce_sum(share * (x[..., None] * STD**2 + MEANS * level) / variance, axis=-1)


def share_below(x, sigma):
    return stats.norm.cdf((np.ravel(x)[:, None] - MEANS) / np.hypot(STD, sigma)) @ WEIGHTS


@pytest.mark.parametrize("method, order", [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_orders(method, order):
    """dy / ds = -y + s, whose solution is s - 1 + c exp(-s); and y = s**2 beside it."""
    begin = (tf.constant(3.0, tf.float64), tf.constant(9.0, tf.float64))
    run = tf.function(
        lambda sigmas: integrate(lambda y, s: (-y[0] + s, 2 * s), begin, sigmas, method),
        autograph=False, input_signature=[tf.TensorSpec([None], tf.float64)],
    )  # fmt: skip
    errors = []
    for steps in (20, 40, 80):
        found, square = run(np.linspace(3.0, 1.0, steps + 1))
        errors.append(abs(float(found) - np.exp(2)))
        if order > 1:
            np.testing.assert_allclose(square, 1.0, atol=1e-12)
    slope = np.polyfit(np.log([20, 40, 80]), np.log(errors), 1)[0]
    assert abs(-slope - order) < 0.15


@pytest.mark.parametrize("upward", [False, True])
def test_direction_and_zeros(upward):
    sigmas = np.array([4.0, 2.0, 1.0, 0.0, 0.0])
    found = integrate(lambda y, s: y * 0 + 2 * s, tf.constant(0.0), sigmas, "heun", upward)
    assert float(found) == (15.0 if upward else -15.0)


def test_the_latent_keeps_the_quantile():
    x0 = tf.constant(np.linspace(-2, 2, 21)[:, None, None])
    latent = tf.function(lambda x: encode(mixture, x, SIGMAS, "rk4"), autograph=False)(x0)
    np.testing.assert_allclose(share_below(latent, 20.0), share_below(x0, 0.01), atol=1e-3)


@pytest.mark.parametrize("method, bound", [("euler", 0.3), ("heun", 0.01), ("rk4", 0.002)])
def test_encode_and_decode_are_inverse(method, bound):
    x0 = tf.constant(np.linspace(-2, 2, 21)[:, None, None])

    @tf.function(autograph=False)
    def run(x0):
        latent = encode(mixture, x0, SIGMAS, method)
        return latent, decode(mixture, latent, SIGMAS, method)

    latent, back = run(x0)
    assert np.abs(back - x0).max() < bound
    assert np.abs(latent).max() > 20


@pytest.mark.long
def test_decoding_by_euler_is_ddim():
    latent = initial(KEY, [4, 3, 1], SIGMAS[0], tf.float64)
    found = decode(mixture, latent, SIGMAS, "euler")
    np.testing.assert_allclose(found, sample(mixture, latent, SIGMAS[:-1], "ddim"), rtol=1e-9)
    found = decode(mixture, latent, SIGMAS)
    np.testing.assert_allclose(found, sample(mixture, latent, SIGMAS[:-1], "heun"), rtol=1e-9)


def test_xla_in_float32():
    def run(x):
        return encode(lambda x, sigma: x / (1 + sigma[:, None, None] ** 2), x, SIGMAS[::4], "rk4")

    x = initial(KEY, [3, 2, 1], 1.0)
    found = tf.function(run, jit_compile=True, autograph=False)(x)
    low, high = SIGMAS[::4][SIGMAS[::4] > 0][[-1, 0]]
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, x * np.hypot(1, high) / np.hypot(1, low), rtol=0.02)


def test_interpolation_is_spherical():
    first, second = initial(KEY, [2, 50, 4, 3], 20.0, tf.float64)
    fractions = np.array([0.0, 0.25, 0.5, 1.0])
    found = interpolate(first, second, fractions).numpy()
    assert found.shape == (50, 4, 4, 3)
    np.testing.assert_allclose(found[:, 0], first)
    np.testing.assert_allclose(found[:, 3], second)
    # Angles grow evenly, and lengths stay between those of the two ends or nearly.
    for row in range(50):
        a, b, c = (found[row, i].ravel() for i in (0, 1, 3))
        whole, part = (np.arccos(v @ a / np.linalg.norm(v) / np.linalg.norm(a)) for v in (c, b))
        unit = np.sin(0.75 * whole) * a / np.sin(whole) + np.sin(0.25 * whole) * c / np.sin(whole)
        np.testing.assert_allclose(b, unit)
        same = interpolate(tf.constant(a[None]), tf.constant(2 * a[None]), [0.5])
        np.testing.assert_allclose(same[0, 0], 1.5 * a)
        assert 0 < part < whole
    middle = np.square(found[:, 2]).mean()
    assert abs(middle / 400 - 1) < 0.15  # the straight mean would have 1/2


def test_methods_are_consistent():
    for method in METHODS.values():
        assert sum(method.weights) == pytest.approx(1) and len(method.nodes) == len(method.weights)
