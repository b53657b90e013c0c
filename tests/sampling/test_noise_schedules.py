"""Noise schedules against the formulas of their papers."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.sampling.noise_schedules import SCHEDULES, noise_schedule, schedule


def abar(sigma):
    return 1 / (1 + sigma**2)


def test_linear_is_that_of_ddpm():
    betas = np.linspace(1e-4, 0.02, 1000)
    expected = np.cumprod(1 - betas)
    low, high = (np.sqrt(1 / value - 1) for value in (expected[0], expected[-1]))
    sigmas = schedule("linear", 1000, low, high)
    np.testing.assert_allclose(abar(sigmas[:-1]), expected[::-1], rtol=1e-9)
    # Between two betas: the geometric mean of abar.
    made = noise_schedule("linear", low, high)
    between = float(made.sigma(tf.constant((499.5 - 1) / 999, tf.float64)))
    np.testing.assert_allclose(abar(between), np.sqrt(expected[498] * expected[499]), rtol=1e-9)


def test_cosine():
    n = np.linspace(0.05, 0.95, 10)
    f = np.cos((n + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    low, high = np.sqrt(1 / f[0] - 1), np.sqrt(1 / f[-1] - 1)
    np.testing.assert_allclose(abar(schedule("cosine", 10, low, high)[:-1]), f[::-1], rtol=1e-10)


def test_sigmoid():
    n = np.linspace(0.05, 0.95, 10)

    def logistic(z):
        return 1 / (1 + np.exp(-z))

    start, end, tau = -2.0, 3.0, 0.9
    f = logistic(end / tau) - logistic((n * (end - start) + start) / tau)
    f /= logistic(end / tau) - logistic(start / tau)
    low, high = np.sqrt(1 / f[0] - 1), np.sqrt(1 / f[-1] - 1)
    sigmas = schedule("sigmoid", 10, low, high, start=start, end=end, tau=tau)
    np.testing.assert_allclose(abar(sigmas[:-1]), f[::-1], rtol=1e-10)


def test_karras_is_equation_5():
    i = np.arange(7)
    low, high = 0.01 ** (1 / 5), 30 ** (1 / 5)
    expected = np.append((high + i / 6 * (low - high)) ** 5, 0)
    np.testing.assert_allclose(schedule("karras", 7, 0.01, 30, rho=5), expected, rtol=1e-12)


def test_flow_and_its_shift():
    n = np.linspace(0.99, 0.01, 9)
    expected = np.append(n / (1 - n), 0)
    np.testing.assert_allclose(schedule("flow", 9, 1 / 99, 99), expected, rtol=1e-10)
    # arXiv:2403.03206: n becomes s n / (1 + (s - 1) n), here with s = 3.
    shifted = 3 * n / (1 + 2 * n)
    sigmas = schedule("flow", 9, 3 / 99, 3 * 99, shift=3)
    np.testing.assert_allclose(sigmas[:-1] / (1 + sigmas[:-1]), shifted, rtol=1e-10)


OWN = {
    "linear": {"beta_min": 2e-4, "beta_max": 0.03, "num_betas": 500},
    "cosine": {"offset": 0.1},
    "sigmoid": {"start": -2.0, "end": 2.0, "tau": 0.5},
    "karras": {"rho": 3.0},
    "flow": {"shift": 3.0},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_ends_order_dtypes_and_arguments(name):
    sigmas = schedule(name, 12, 0.004, 50)
    assert sigmas.shape == (13,) and sigmas.dtype == np.float64
    np.testing.assert_allclose(sigmas[[0, -2, -1]], [50, 0.004, 0], rtol=1e-9)
    assert (np.diff(sigmas) < 0).all()
    np.testing.assert_allclose(schedule(name, 1, 0.004, 50), [50, 0], rtol=1e-9)

    made = noise_schedule(name, 0.004, 50)
    n = np.linspace(0, 1, 57)
    double = made.sigma(tf.constant(n, tf.float64))
    assert double.dtype == tf.float64
    np.testing.assert_allclose(made.n(double.numpy()), n, atol=1e-9)
    single = tf.function(made.sigma, autograph=False)(tf.constant(n, tf.float32))
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, double, rtol=1e-4)

    for key, value in OWN[name].items():
        changed = schedule(name, 12, 0.004, 10, **{key: value})
        assert not np.allclose(changed[1:-2], schedule(name, 12, 0.004, 10)[1:-2], rtol=1e-3), key


def test_defaults_and_a_graph():
    sigmas = tf.function(lambda: tf.constant(schedule("karras", 5)), autograph=False)()
    np.testing.assert_allclose(sigmas.numpy()[[0, -2]], [80, 0.002])
    assert noise_schedule("flow", shift=2) == noise_schedule("flow", 0.002, 80, shift=2.0)
    assert len({noise_schedule("flow"), noise_schedule("flow"), noise_schedule("karras")}) == 2
    assert noise_schedule("flow").sigma(0.6).dtype == tf.float32


@pytest.mark.parametrize(
    "arguments, own, found",
    [
        (("karas", 5), {}, "Unknown noise schedule 'karas'. Did you mean 'karras'?"),
        (("karras", 0), {}, "num_steps must be at least 1. Received: num_steps=0"),
        (("karras", 2.0), {}, "num_steps must be an integer. Received: num_steps=2.0"),
        (("karras", 2, 0.0), {}, "sigma_min must be above 0. Received: sigma_min=0.0"),
        (("karras", 2, 1.0, 1.0), {}, "sigma_max must be above sigma_min, which is 1.0. Rec"),
        (("karras", 2, 1.0, np.inf), {}, "sigma_max must be a finite number. Rec"),
        (
            ("karras", 2),
            {"tau": 1.0},
            "Unknown argument of the schedule 'karras' 'tau'. Known: rho",
        ),
        (("karras", 2), {"rho": 0}, "rho must be above 0. Received: rho=0"),
        (("sigmoid", 2), {"end": -4}, "end must be above start, which is -3.0. Received: end=-4"),
        (("cosine", 2), {"offset": -0.1}, "offset must not be negative. Received: offset=-0.1"),
        (("linear", 2), {"beta_max": 1.0}, "beta_max must be below 1. Received: beta_max=1.0"),
        (("linear", 2), {"num_betas": 1.5}, "num_betas must be an integer. Rec"),
        (("linear", 2, 0.1, 200), {}, "'linear' does not reach sigma_max. Received: sigma_max=200"),
    ],
)
def test_refusals(arguments, own, found):
    with pytest.raises(InputError) as caught:
        schedule(*arguments, **own)
    assert found in str(caught.value)
