"""`QuantizedHead` against NumPy: bins, densities, draws."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfgen.layers.quantized_head import QuantizedHead
from tfgen.sampling import random


def make(positions=(), features=2, bins=8, seed=0):
    logits = 2 * np.random.default_rng([seed, bins]).normal(size=(*positions, features, bins))
    return QuantizedHead(features, bins), {"logits": tf.constant(logits, tf.float32)}


def noise(head, rows, seed=0):
    key = random.root(seed, random.SAMPLING)
    uniform = random.uniform(random.fold(key, 1), [rows, head.uniforms])
    return uniform, random.normal(random.fold(key, 2), [rows, head.normals])


def test_bins_are_equal_parts_of_the_interval_and_the_outer_ones_take_the_rest():
    head = QuantizedHead(1, bins=4)
    values = tf.constant([-9.0, -1, -0.51, -0.5, -0.01, 0, 0.49, 0.5, 0.99, 1, 9])
    np.testing.assert_array_equal(head.bin_of(values), [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3])
    centres = (np.arange(256) + 0.5) / 128 - 1
    np.testing.assert_array_equal(QuantizedHead(1).bin_of(centres.astype("f")), np.arange(256))


@pytest.mark.parametrize("bins", [2, 8, 256])
def test_log_prob_is_that_of_a_histogram_with_and_without_missing_values(bins):
    head, parameters = make((3, 4), bins=bins)
    values = np.random.default_rng(1).uniform(-1, 1, size=(3, 4, 2)).astype("float32")
    edges = np.linspace(-1, 1, bins + 1)
    expected = np.zeros(values.shape)
    for index in np.ndindex(values.shape):
        weights = scipy.special.softmax(parameters["logits"].numpy()[index].astype("float64"))
        expected[index] = scipy.stats.rv_histogram((weights, edges)).logpdf(values[index])
    found = head.log_prob(parameters, values)
    np.testing.assert_allclose(found, expected.sum(axis=-1), rtol=1e-5, atol=1e-5)
    values[0, 0, 0] = values[1, 1] = np.nan
    expected[0, 0, 0] = expected[1, 1] = 0
    found = head.log_prob(parameters, values)
    np.testing.assert_allclose(found, expected.sum(axis=-1), rtol=1e-5, atol=1e-5)


def test_the_density_integrates_to_1():
    head, parameters = make(features=1)
    axis = (np.arange(4000) + 0.5) / 2000 - 1
    repeated = {"logits": tf.repeat(parameters["logits"][None], 4000, axis=0)}
    density = np.exp(head.log_prob(repeated, axis[:, None]).numpy())
    assert density.mean() * 2 == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_histogram_and_the_mean_is_theirs():
    rows = 40000
    head, parameters = make()
    repeated = {"logits": tf.repeat(parameters["logits"][None], rows, axis=0)}
    drawn = head.sample(repeated, *noise(head, rows)).numpy()
    mean = head.mean(parameters).numpy()
    for feature in range(2):
        weights = scipy.special.softmax(parameters["logits"].numpy()[feature].astype("float64"))
        expected = scipy.stats.rv_histogram((weights, np.linspace(-1, 1, 9)))
        assert scipy.stats.kstest(drawn[:, feature], expected.cdf).pvalue > 0.01
        assert mean[feature] == pytest.approx(expected.mean(), abs=1e-6)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.02
    assert drawn.min() >= -1 and drawn.max() <= 1


@pytest.mark.parametrize(
    "options, width, sharpness",
    [({}, 1, 1), ({"temperature": 0.25}, 0.5, 4), ({"temperature": 4.0}, 1, 0.25),
     ({"bias": 0.5}, np.exp(-0.5), 1.5)],
)  # fmt: skip
def test_temperature_and_bias_by_hand(options, width, sharpness):
    rows = 20000
    head, parameters = make(features=1)
    repeated = {"logits": tf.repeat(parameters["logits"][None], rows, axis=0)}
    drawn = head.sample(repeated, *noise(head, rows), **options).numpy()[:, 0]
    weights = scipy.special.softmax(parameters["logits"].numpy()[0] * sharpness)
    places = (drawn + 1) * 4
    counts = np.bincount(np.floor(places).astype(int), minlength=8)
    np.testing.assert_allclose(counts / rows, weights, atol=0.012)
    offsets = places - np.floor(places) - 0.5
    assert np.abs(offsets).max() == pytest.approx(width / 2, rel=0.02)


def test_temperature_0_is_the_centre_of_the_likeliest_bin():
    head, parameters = make((20,))
    drawn = head.sample(parameters, *noise(head, 20), temperature=0.0)
    best = parameters["logits"].numpy().argmax(axis=-1)
    np.testing.assert_allclose(drawn, (best + 0.5) / 4 - 1, atol=1e-6)


def test_the_calls_parameters_have_these_names_and_shapes():
    found = QuantizedHead(2, kernel_initializer="zeros")(np.ones((2, 3, 4), "float32"))
    assert {name: list(x.shape) for name, x in found.items()} == {"logits": [2, 3, 2, 256]}
    # Nothing learned yet: uniform on the interval of length 2.
    found = QuantizedHead(2, kernel_initializer="zeros").log_prob(found, np.zeros((2, 3, 2)))
    np.testing.assert_allclose(found, np.full((2, 3), 2 * np.log(0.5)), rtol=1e-5)
