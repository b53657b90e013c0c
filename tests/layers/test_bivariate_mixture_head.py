"""`BivariateMixtureHead` against Graves' equations and scipy."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfgen.layers.bivariate_mixture_head import BivariateMixtureHead
from tfgen.sampling import random


def make(positions=(), components=3, seed=0):
    rng = np.random.default_rng([seed, components])
    parameters = {
        "logits": rng.normal(size=(*positions, components)),
        "means": rng.normal(size=(*positions, components, 2)),
        "scales": rng.uniform(0.3, 1.5, size=(*positions, components, 2)),
        "correlations": rng.uniform(-0.95, 0.95, size=(*positions, components)),
    }
    parameters = {name: tf.constant(value, tf.float32) for name, value in parameters.items()}
    return BivariateMixtureHead(components=components), parameters


def mixture(parameters, position=()):
    one = {name: tensor.numpy()[position].astype("float64") for name, tensor in parameters.items()}
    gaussians = []
    for mean, scale, correlation in zip(one["means"], one["scales"], one["correlations"]):
        correlations = np.array([[1, correlation], [correlation, 1]])
        gaussians.append((mean, correlations * np.outer(scale, scale)))
    return scipy.special.softmax(one["logits"]), gaussians


def graves(parameters, position, value):
    """Equations 24 and 25, written as they stand there."""
    one = {name: tensor.numpy()[position].astype("float64") for name, tensor in parameters.items()}
    total = 0.0
    for weight, mean, scale, correlation in zip(
        scipy.special.softmax(one["logits"]), one["means"], one["scales"], one["correlations"]
    ):
        first, second = (value - mean) / scale
        z = first**2 + second**2 - 2 * correlation * first * second
        rest = 1 - correlation**2
        normalizer = 2 * np.pi * scale[0] * scale[1] * np.sqrt(rest)
        total += weight * np.exp(-z / (2 * rest)) / normalizer
    return np.log(total)


def noise(head, rows, seed=0):
    key = random.root(seed, random.SAMPLING)
    uniform = random.uniform(random.fold(key, 1), [rows, head.uniforms])
    return uniform, random.normal(random.fold(key, 2), [rows, head.normals])


def repeat(parameters, rows):
    return {name: tf.repeat(tensor[None], rows, axis=0) for name, tensor in parameters.items()}


def test_log_prob_is_graves_and_scipys():
    head, parameters = make((5,))
    values = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")
    found = head.log_prob(parameters, values).numpy()
    for position, value in enumerate(values):
        assert found[position] == pytest.approx(graves(parameters, position, value), rel=1e-5)
        weights, gaussians = mixture(parameters, position)
        logs = [scipy.stats.multivariate_normal.logpdf(value, m, c) for m, c in gaussians]
        assert found[position] == pytest.approx(
            scipy.special.logsumexp(logs, b=weights), rel=1e-5, abs=1e-5
        )


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_offset_is_integrated_out(missing):
    head, parameters = make((5,))
    values = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")
    values[:, missing] = np.nan
    found = head.log_prob(parameters, values).numpy()
    there = 1 - missing
    for position, value in enumerate(values):
        weights, gaussians = mixture(parameters, position)
        logs = [
            scipy.stats.norm.logpdf(value[there], m[there], np.sqrt(c[there, there]))
            for m, c in gaussians
        ]
        expected = scipy.special.logsumexp(logs, b=weights)
        assert found[position] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_the_density_integrates_to_1():
    head, parameters = make()
    axis = np.linspace(-10, 10, 801, dtype="float32")
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    density = np.exp(head.log_prob(parameters, grid).numpy().astype("float64"))
    assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-4)


def test_samples_have_the_moments_and_the_marginals_of_the_mixture():
    rows = 40000
    head, parameters = make()
    drawn = head.sample(repeat(parameters, rows), *noise(head, rows)).numpy()
    weights, gaussians = mixture(parameters)
    mean = sum(w * m for w, (m, _) in zip(weights, gaussians))
    second = sum(w * (c + np.outer(m, m)) for w, (m, c) in zip(weights, gaussians))
    np.testing.assert_allclose(head.mean(parameters), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), second - np.outer(mean, mean), atol=0.04)
    for direction in ([1, 0], [0, 1], [0.8, -0.6]):

        def distribution(x, direction=np.array(direction)):
            parts = [
                w * scipy.stats.norm.cdf(x, m @ direction, np.sqrt(direction @ c @ direction))
                for w, (m, c) in zip(weights, gaussians)
            ]
            return np.sum(parts, axis=0)

        assert scipy.stats.kstest(drawn @ direction, distribution).pvalue > 0.01


@pytest.mark.parametrize(
    "options, variance, sharpness",
    [({"temperature": 0.25}, 0.25, 4.0), ({"bias": 0.5}, np.exp(-1), 1.5)],
)
def test_temperature_and_bias_by_hand(options, variance, sharpness):
    rows = 20000
    head, parameters = make()
    parameters["means"] = tf.constant([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0]])
    drawn = head.sample(repeat(parameters, rows), *noise(head, rows), **options).numpy()
    _, gaussians = mixture(parameters)
    weights = scipy.special.softmax(parameters["logits"].numpy() * sharpness)
    chosen = np.round(drawn[:, 0] / 100).astype(int)
    np.testing.assert_allclose(np.bincount(chosen, minlength=3) / rows, weights, atol=0.012)
    k = int(np.argmax(weights))
    covariance = np.cov(drawn[chosen == k].T)
    np.testing.assert_allclose(covariance, variance * gaussians[k][1], rtol=0.05, atol=0.005)


def test_temperature_0_is_the_mean_of_the_likeliest_component():
    head, parameters = make((30,))
    drawn = head.sample(parameters, *noise(head, 30), temperature=0.0)
    best = parameters["logits"].numpy().argmax(axis=-1)
    np.testing.assert_array_equal(drawn, parameters["means"].numpy()[np.arange(30), best])


def test_the_calls_parameters_have_these_names_and_shapes():
    found = BivariateMixtureHead()(np.ones((2, 3, 4), "float32"))
    assert {name: list(tensor.shape) for name, tensor in found.items()} == {
        "logits": [2, 3, 20], "means": [2, 3, 20, 2], "scales": [2, 3, 20, 2],
        "correlations": [2, 3, 20],
    }  # fmt: skip


def test_no_correlation_is_perfect():
    head = BivariateMixtureHead(components=2, kernel_initializer="ones")
    hidden = tf.constant([[1e4], [-1e4]])
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        parameters = head(hidden)
        log_probs = head.log_prob(parameters, [[1.0, -1.0], [0.5, 0.5]])
    np.testing.assert_allclose(parameters["correlations"], [[0.999] * 2, [-0.999] * 2])
    assert np.isfinite(log_probs).all() and np.isfinite(tape.gradient(log_probs, hidden)).all()
