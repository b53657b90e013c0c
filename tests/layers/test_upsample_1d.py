"""`Upsample1D` against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.upsample_1d import Upsample1D, fine_mask

X = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")


def make():
    layer = Upsample1D(5, seed=1)
    layer.build(X.shape)
    layer.conv.bias.assign(np.arange(5))
    return layer


def test_equals_a_loop():
    layer = make()
    kernel, bias = layer.conv.kernel.numpy(), layer.conv.bias.numpy()
    around = np.pad(np.repeat(X, 2, axis=1), [[0, 0], [1, 1], [0, 0]])
    expected = [sum(around[:, n + tap] @ kernel[tap] for tap in range(3)) + bias for n in range(8)]
    np.testing.assert_allclose(layer(X), np.stack(expected, axis=1), atol=1e-5)
    assert layer(X).shape == layer.compute_output_shape(X.shape) == (2, 8, 5)


def test_padding_is_not_seen():
    layer = make()
    mask = np.array([[True, True, False, False], [True] * 4])
    outputs = layer(np.where(mask[..., None], X, np.nan).astype("float32"), mask=mask).numpy()
    np.testing.assert_allclose(outputs[0, :4], layer(X[:, :2])[0], atol=1e-6)
    np.testing.assert_allclose(outputs[1], layer(X)[1], atol=1e-6)
    assert (outputs[0, 4:] == 0).all()
    assert fine_mask(mask).numpy()[0].tolist() == [True] * 4 + [False] * 4
    assert fine_mask(None) is None
    np.testing.assert_array_equal(layer.compute_mask(X, mask), fine_mask(mask))


def test_config_round_trip_and_seed():
    layer = Upsample1D(5, seed=1, name="double", dtype="mixed_bfloat16")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert layer(X).dtype == tf.bfloat16
    one, same, other = (Upsample1D(5, seed=seed)(X).numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("arguments", [{"width": 0}, {"seed": 1.5}], ids=str)
def test_what_is_out_of_range_is_told(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}$"):
        Upsample1D(**{"width": 4, **arguments})
