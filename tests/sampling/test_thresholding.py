"""Thresholding, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.layers.clip_by_value import ClipByValue
from tfgen.sampling.thresholding import dynamic, static

X0_HAT = 2 * np.random.default_rng(1).normal(size=(3, 7, 2))


def test_static_works_in_the_units_of_the_data():
    clip = ClipByValue([0.0, 10.0], [1.0, 30.0], dtype="float64")
    scale, shift = np.array([0.5, 5.0]), np.array([0.4, 20.0])
    found = static(clip, scale, shift)(tf.constant(X0_HAT))
    in_units = np.clip(X0_HAT * scale + shift, [0, 10], [1, 30])
    np.testing.assert_allclose(found, (in_units - shift) / scale, atol=1e-12)
    plain = static(lambda x: tf.clip_by_value(x, -1.0, 1.0))(tf.constant(X0_HAT))
    np.testing.assert_array_equal(plain, np.clip(X0_HAT, -1, 1))


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.93, 1.0])
def test_dynamic_is_that_of_imagen(quantile):
    reach = np.maximum(np.quantile(np.abs(X0_HAT.reshape(3, -1)), quantile, axis=1), 1)
    reach = reach[:, None, None]
    expected = np.clip(X0_HAT, -reach, reach) / reach
    found = dynamic(quantile=quantile)(tf.constant(X0_HAT))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.abs(found).max() <= 1


def test_a_row_inside_the_bounds_stays():
    x0_hat = tf.constant([[[0.2], [-0.9]], [[0.2], [-3.0]]])
    found = dynamic(quantile=1.0)(x0_hat)
    np.testing.assert_array_equal(found[0], x0_hat[0])
    np.testing.assert_allclose(found[1], x0_hat[1] / 3, rtol=1e-6)


def test_bounds_and_padding():
    low, high = np.array([0.0, -2.0]), np.array([1.0, 6.0])
    valid = np.arange(7)[None, :, None] < np.array([7, 4, 2])[:, None, None]
    middle, half = (low + high) / 2, (high - low) / 2
    expected = np.empty_like(X0_HAT)
    for row in range(3):
        scaled = (X0_HAT[row] - middle) / half
        reach = max(np.quantile(np.abs(scaled[valid[row, :, 0]]), 0.8), 1)
        expected[row] = np.clip(scaled, -reach, reach) / reach * half + middle
    threshold = dynamic(low, high, 0.8, tf.constant(valid))

    @tf.function(autograph=False, jit_compile=True)
    def compiled(x):
        return threshold(x)

    np.testing.assert_allclose(threshold(tf.constant(X0_HAT)), expected, rtol=1e-10)
    np.testing.assert_allclose(compiled(tf.constant(X0_HAT)), expected, rtol=1e-10)
    nothing = dynamic(valid=False)(tf.constant(X0_HAT))
    np.testing.assert_array_equal(nothing, np.clip(X0_HAT, -1, 1))


@pytest.mark.parametrize("quantile", [1.5, -0.1, "0.9", True])
def test_refusal(quantile):
    with pytest.raises(InputError, match=r"quantile must be a number in \[0, 1\]. Received: quan"):
        dynamic(quantile=quantile)
