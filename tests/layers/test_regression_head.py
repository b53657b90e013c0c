"""`RegressionHead` against scipy's normal distribution and least squares."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfgen.layers.regression_head import RegressionHead
from tfgen.sampling import random


def make(features=3, width=4):
    head = RegressionHead(features, kernel_initializer=keras.initializers.RandomNormal(1.0, seed=0))
    head.build((None, width))
    head.scale.assign(np.linspace(-2, 2, features))
    return head


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def test_log_prob_is_scipys_with_and_without_missing_values():
    head = make()
    parameters = head(numbers(5, 6, 4))
    sigma = 1e-3 + np.logaddexp(0, np.linspace(-2, 2, 3))
    np.testing.assert_allclose(parameters["scales"], np.broadcast_to(sigma, (5, 6, 3)), rtol=1e-5)
    values = numbers(5, 6, 3)
    expected = scipy.stats.norm.logpdf(values, parameters["means"], sigma)
    found = head.log_prob(parameters, values)
    np.testing.assert_allclose(found, expected.sum(axis=-1), rtol=1e-5, atol=1e-5)
    missing = np.random.default_rng(2).random(values.shape) < 0.4
    values[missing] = np.nan
    found = head.log_prob(parameters, values)
    expected = np.where(missing, 0, expected).sum(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_density_integrates_to_1():
    head = make(1)
    parameters = head(numbers(1, 4))
    axis = np.linspace(-30, 30, 3001, dtype="float32")
    density = np.exp(head.log_prob(parameters, axis[:, None]).numpy())
    assert density.sum() * (axis[1] - axis[0]) == pytest.approx(1, abs=1e-4)


def test_the_noise_does_not_depend_on_the_input_and_the_mean_does():
    head = make()
    first, second = head(numbers(2, 4)), head(numbers(2, 4, seed=1))
    np.testing.assert_array_equal(first["scales"], second["scales"])
    assert (first["means"] != second["means"]).numpy().all()


def test_training_finds_least_squares_and_the_size_of_the_residuals():
    hidden = numbers(500, 4)
    weights = numbers(4, 2, seed=3)
    values = hidden @ weights + [0.5, -1] + numbers(500, 2, seed=5) * [0.1, 2.0]
    head = RegressionHead(2)
    head.build((None, 4))
    optimizer = keras.optimizers.Adam(0.05)
    optimizer.build(head.trainable_variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(head.log_prob(head(hidden), values))
        gradients = tape.gradient(loss, [weight.value for weight in head.trainable_variables])
        optimizer.apply(gradients, head.trainable_variables)

    for _ in range(400):
        step()
    design = np.concatenate([hidden, np.ones((500, 1))], axis=1)
    best, *_ = np.linalg.lstsq(design, values)
    np.testing.assert_allclose(head.dense.kernel, best[:4], atol=0.03)
    np.testing.assert_allclose(head.dense.bias, best[4], atol=0.03)
    sigma = (values - design @ best).std(axis=0)
    np.testing.assert_allclose(head(hidden)["scales"][0], sigma, rtol=0.03)


@pytest.mark.parametrize(
    "options, factor",
    [({}, 1), ({"temperature": 0.25}, 0.5), ({"bias": 0.7}, np.exp(-0.7)), ({"temperature": 0}, 0)],
)
def test_samples_are_the_mean_and_noise(options, factor):
    head = make()
    assert (head.uniforms, head.normals) == (0, 3)
    parameters = head(numbers(50, 4))
    normal = random.normal(random.root(0, random.SAMPLING), [50, 3])
    found = head.sample(parameters, tf.zeros((50, 0)), normal, **options)
    expected = parameters["means"] + factor * parameters["scales"] * normal
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(head.mean(parameters), parameters["means"])
