"""`LinearAttention1D` against NumPy; what it shares with the full one: test_self_attention_1d.py."""

import numpy as np
import scipy.special

from tfgen.layers.linear_attention_1d import LinearAttention1D

TIME, CHANNELS, HEADS, SIZE = 7, 6, 3, 4
X = np.random.default_rng(0).normal(size=(2, TIME, CHANNELS)).astype("float32")


def normalised(x, gain):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * gain.numpy()


def by_hand(layer, x):
    """One sequence `(time, channels)`, in float64, as weights of every position for every other."""
    x = x.astype("float64")
    joined = normalised(x, layer.gain) @ layer.qkv_kernel.numpy()
    queries, keys, values = joined.reshape(TIME, 3, HEADS, SIZE).transpose(1, 2, 0, 3)
    queries = scipy.special.softmax(queries, axis=-1) / np.sqrt(SIZE)
    keys = scipy.special.softmax(keys, axis=1)
    weights = np.einsum("hif,hjf->hij", queries, keys)
    np.testing.assert_allclose(weights.sum(axis=-1), 1 / np.sqrt(SIZE))
    hidden = (weights @ values).transpose(1, 0, 2).reshape(TIME, -1)
    outputs = hidden @ layer.output_kernel.numpy() + layer.output_bias.numpy()
    return x + normalised(outputs, layer.output_gain)


def test_equals_the_quadratic_form():
    layer = LinearAttention1D(HEADS, SIZE, seed=1)
    layer.build(X.shape)
    rng = np.random.default_rng(2)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    np.testing.assert_allclose(layer(X), [by_hand(layer, row) for row in X], atol=1e-4)
