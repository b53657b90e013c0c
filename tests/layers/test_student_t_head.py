"""`StudentTHead` against scipy's Student-t distribution."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfgen.layers.student_t_head import StudentTHead
from tfgen.sampling import random


def make(positions=(), features=3, seed=0):
    rng = np.random.default_rng([seed, features])
    parameters = {
        "locations": rng.normal(size=(*positions, features)),
        "scales": rng.uniform(0.3, 1.5, size=(*positions, features)),
        "df": rng.uniform(2.1, 12, size=(*positions, features)),
    }
    parameters = {name: tf.constant(value, tf.float32) for name, value in parameters.items()}
    return StudentTHead(features), parameters


def of_scipy(parameters):
    location, scale, df = (
        parameters[name].numpy().astype("float64") for name in ("locations", "scales", "df")
    )
    return scipy.stats.t(df, location, scale)


def noise(head, rows, seed=0):
    key = random.root(seed, random.SAMPLING)
    uniform = random.uniform(random.fold(key, 1), [rows, head.uniforms])
    return uniform, random.normal(random.fold(key, 2), [rows, head.normals])


def repeat(parameters, rows):
    return {name: tf.repeat(tensor[None], rows, axis=0) for name, tensor in parameters.items()}


def test_log_prob_is_scipys_with_and_without_missing_values():
    head, parameters = make((4, 5))
    values = 3 * np.random.default_rng(1).normal(size=(4, 5, 3)).astype("float32")
    values[0, 0] = [1e3, -1e3, 0]
    expected = of_scipy(parameters).logpdf(values)
    found = head.log_prob(parameters, values)
    np.testing.assert_allclose(found, expected.sum(axis=-1), rtol=1e-5, atol=1e-5)
    missing = np.random.default_rng(2).random(values.shape) < 0.4
    values[missing] = np.nan
    found = head.log_prob(parameters, values)
    expected = np.where(missing, 0, expected).sum(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, 30.0, 1e5])
def test_any_degrees_of_freedom(value):
    df = np.array([2.0, 2.5, 4, 10, 33, 1e2, 1e3, 1e4, 1e6, 1e8], "float32")
    head = StudentTHead(1)
    ones = tf.ones((10, 1))
    degrees = tf.constant(df[:, None])
    with tf.GradientTape() as tape:
        tape.watch(degrees)
        parameters = {"locations": 0 * ones, "scales": ones, "df": degrees}
        found = head.log_prob(parameters, value * ones)
    expected = scipy.stats.t.logpdf(value, df.astype("float64"))
    # Where the value is far out, a few hundred nats are a small difference of large numbers.
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)
    slope = tape.gradient(found, degrees).numpy()[:6, 0]
    step = 1e-4 * df[:6].astype("float64")
    sides = [scipy.stats.t.logpdf(value, df[:6] + sign * step) for sign in (1, -1)]
    np.testing.assert_allclose(slope, (sides[0] - sides[1]) / (2 * step), rtol=2e-3, atol=2e-6)


def test_the_density_integrates_to_1():
    head, parameters = make(features=1)
    axis = np.sinh(np.linspace(-12, 12, 20001))  # far out where the tails are
    density = np.exp(head.log_prob(parameters, axis[:, None].astype("float32")).numpy())
    assert np.trapezoid(density.astype("float64"), axis) == pytest.approx(1, abs=1e-4)


def test_samples_are_t_distributed():
    rows = 40000
    head, parameters = make()
    parameters["df"] = tf.constant([2.1, 5.0, 1e5])
    drawn = head.sample(repeat(parameters, rows), *noise(head, rows)).numpy()
    expected = of_scipy(parameters)
    for feature in range(3):

        def distribution(x, feature=feature):
            return expected.dist.cdf(x, *(a[feature] for a in expected.args))

        assert scipy.stats.kstest(drawn[:, feature], distribution).pvalue > 0.01
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn[:, 1:].std(0), expected.std()[1:], rtol=0.03)
    np.testing.assert_array_equal(head.mean(parameters), parameters["locations"])
    correlation = scipy.stats.spearmanr(drawn).statistic
    np.testing.assert_allclose(correlation, np.eye(3), atol=0.02)


@pytest.mark.parametrize(
    "options, factor",
    [({"temperature": 0.25}, 0.5), ({"bias": 0.7}, np.exp(-0.7)), ({"temperature": 0}, 0)],
)
def test_temperature_and_bias_scale_what_is_added_to_the_location(options, factor):
    head, parameters = make((50,))
    plain = head.sample(parameters, *noise(head, 50))
    found = head.sample(parameters, *noise(head, 50), **options)
    expected = parameters["locations"] + factor * (plain - parameters["locations"])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_extreme_noise_stays_finite():
    head, parameters = make((4,))
    ends = np.array([2**-24, 1 - 2**-24], "float32")
    for u in ends:
        for v in ends:
            uniform = np.repeat([[u] * 3 + [v] * 3], 4, axis=0)
            assert np.isfinite(head.sample(parameters, uniform, np.zeros((4, 0)))).all()


def test_the_calls_parameters_have_these_names_shapes_and_starts():
    head = StudentTHead(2)
    found = head(np.zeros((2, 3, 4), "float32"))
    assert {name: list(tensor.shape) for name, tensor in found.items()} == {
        "locations": [2, 3, 2], "scales": [2, 3, 2], "df": [2, 3, 2],
    }  # fmt: skip
    np.testing.assert_allclose(found["df"], 6, rtol=1e-5)
    low = StudentTHead(1, kernel_initializer="ones")(np.full((1, 1), -1e4))
    assert float(low["df"][0, 0]) == 2
