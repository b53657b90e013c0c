"""`Downsample1D` against NumPy and PyTorch, and the masks and pairs of a halving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.downsample_1d import Downsample1D, coarse_mask, pairs

X = np.random.default_rng(0).normal(size=(2, 9, 3)).astype("float32")


def make():
    layer = Downsample1D(5, seed=1)
    layer.build(X.shape)
    layer.conv.bias.assign(np.arange(5))
    return layer


@pytest.mark.parametrize("time", [1, 2, 5, 8, 9])
def test_equals_a_loop(time):
    layer, x = make(), X[:, :time]
    kernel, bias = layer.conv.kernel.numpy(), layer.conv.bias.numpy()
    half = (time + 1) // 2
    around = np.pad(x, [[0, 0], [1, 2], [0, 0]])  # 2 n - 1 of the inputs is 2 n here
    expected = np.stack(
        [sum(around[:, 2 * n + tap] @ kernel[tap] for tap in range(4)) + bias for n in range(half)],
        axis=1,
    )
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape


def test_equals_pytorch():
    torch = pytest.importorskip("torch")
    layer = make()
    with torch.no_grad():
        expected = torch.nn.functional.conv1d(
            torch.tensor(X[:, :8]).transpose(1, 2),
            torch.tensor(layer.conv.kernel.numpy().transpose(2, 1, 0).copy()),
            torch.tensor(layer.conv.bias.numpy()),
            stride=2,
            padding=1,
        ).transpose(1, 2)
    np.testing.assert_allclose(layer(X[:, :8]), expected, atol=1e-5)


def test_padding_is_not_seen_and_a_pair_is_valid_if_any_of_it_is():
    layer = make()
    mask = np.arange(9) < np.array([[5], [8]])
    outputs = layer(np.where(mask[..., None], X, np.nan).astype("float32"), mask=mask).numpy()
    np.testing.assert_allclose(outputs[0, :3], layer(X[:, :5])[0], atol=1e-6)
    np.testing.assert_allclose(outputs[1, :4], layer(X[:, :8])[1], atol=1e-6)
    assert (outputs[0, 3:] == 0).all() and (outputs[1, 4:] == 0).all()
    assert coarse_mask(mask).numpy().astype(int).tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
    assert coarse_mask(None) is None
    np.testing.assert_array_equal(layer.compute_mask(X, mask), coarse_mask(mask))


def test_pairs_with_a_static_and_with_a_dynamic_time():
    expected = [[[[1, 2], [3, 4]], [[5, 6], [0, 0]]]]
    x = tf.constant([[[1, 2], [3, 4], [5, 6]]])
    assert pairs(x).numpy().tolist() == expected
    dynamic = tf.function(pairs, input_signature=[tf.TensorSpec((None, None, 2), tf.int32)])
    assert dynamic(x).numpy().tolist() == expected
    assert dynamic(x[:, :2]).numpy().tolist() == [[[[1, 2], [3, 4]]]]


def test_config_round_trip_and_seed():
    layer = Downsample1D(5, seed=1, name="half", dtype="mixed_bfloat16")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert layer(X).dtype == tf.bfloat16
    kernels = [Downsample1D(5, seed=seed) for seed in (1, 1, 2)]
    for kernel in kernels:
        kernel.build(X.shape)
    one, same, other = (layer.conv.kernel.numpy() for layer in kernels)
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()


@pytest.mark.parametrize("arguments", [{"width": 0}, {"seed": 1.5}], ids=str)
def test_what_is_out_of_range_is_told(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}$"):
        Downsample1D(**{"width": 4, **arguments})
