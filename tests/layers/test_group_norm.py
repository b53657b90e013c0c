"""`GroupNorm` against NumPy, stock Keras and PyTorch; with masks against the sequence alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.group_norm import GroupNorm, masked

BATCH, TIME, CHANNELS = 3, 10, 12
RNG = np.random.default_rng(0)
# Far from 0: a variance taken as a difference of squares would have lost its digits.
X = (RNG.normal(size=(BATCH, TIME, CHANNELS)) * 0.5 + 300).astype("float32")
LENGTHS = [10, 1, 6]
MASK = np.arange(TIME) < np.array(LENGTHS)[:, None]


def make(groups=4, **options):
    layer = GroupNorm(groups, **options)
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    layer.gamma.assign(rng.normal(size=CHANNELS) + 1)
    layer.beta.assign(rng.normal(size=CHANNELS))
    return layer


def by_hand(layer, row):
    """One sequence `(time, channels)`, in float64."""
    row, outputs = row.astype("float64"), np.zeros(row.shape)
    size = row.shape[1] // layer.groups
    for start in range(0, row.shape[1], size):
        part = row[:, start : start + size]
        normal = (part - part.mean()) / np.sqrt(part.var() + layer.epsilon)
        outputs[:, start : start + size] = normal
    return outputs * layer.gamma.numpy() + layer.beta.numpy()


@pytest.mark.parametrize("options", [{}, {"groups": 1}, {"groups": 12}, {"epsilon": 0.5}], ids=str)
def test_equals_numpy_and_keras(options):
    layer = make(**options)
    np.testing.assert_allclose(layer(X), [by_hand(layer, row) for row in X], atol=2e-3)
    near = X - 300
    stock = keras.layers.GroupNormalization(layer.groups, epsilon=layer.epsilon)
    stock.build(X.shape)
    stock.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(near), stock(near), atol=1e-5)


def test_equals_pytorch():
    torch = pytest.importorskip("torch")
    layer = make()
    stock = torch.nn.GroupNorm(4, CHANNELS, eps=layer.epsilon)
    with torch.no_grad():
        stock.weight[:] = torch.tensor(layer.gamma.numpy())
        stock.bias[:] = torch.tensor(layer.beta.numpy())
        expected = stock(torch.tensor(X - 300).transpose(1, 2)).transpose(1, 2)
    np.testing.assert_allclose(layer(X - 300), expected, atol=1e-5)


def test_a_padded_sequence_is_normalised_as_it_would_be_alone():
    layer = make()
    padded = np.where(MASK[..., None], X, np.nan).astype("float32")
    outputs = layer(padded, mask=MASK).numpy()
    for row, length in enumerate(LENGTHS):
        # A number near 300 is known to 3e-5, which the deviation of 0.5 doubles; sums add to it.
        np.testing.assert_allclose(
            outputs[row, :length], layer(X[row : row + 1, :length])[0], atol=3e-4
        )
    assert (outputs[~MASK] == 0).all()
    nothing = layer(X, mask=np.zeros_like(MASK))
    assert (nothing.numpy() == 0).all()


def test_gradients_pass_by_the_padding():
    layer = make()
    x = tf.constant(np.where(MASK[..., None], X - 300, np.nan), tf.float32)
    upstream = RNG.normal(size=X.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x, mask=MASK) * upstream)
    to_x, *to_weights = tape.gradient(loss, [x, *(weight.value for weight in layer.weights)])
    assert (to_x.numpy()[~MASK] == 0).all() and np.isfinite(to_x).all()
    # The mean of a sequence and its scale change nothing, but for the epsilon.
    assert np.abs(to_x.numpy()[0].reshape(TIME, 4, 3).sum(axis=(0, 2))).max() < 1e-4
    for gradient in to_weights:
        assert (np.abs(gradient) > 1e-4).all()


def test_half_precision_computes_in_single():
    layer = make(dtype="mixed_bfloat16")
    x = tf.cast(X - 300, tf.bfloat16)
    outputs = layer(x, mask=MASK)
    assert outputs.dtype == tf.bfloat16
    expected = make()(tf.cast(x, tf.float32), mask=MASK)
    np.testing.assert_array_equal(outputs, tf.cast(expected, tf.bfloat16))
    assert make(dtype="float64")(X.astype("float64")).dtype == tf.float64


def test_masked_puts_zeros():
    assert masked(X, None) is X
    x = tf.constant([[[1.0, np.nan], [2.0, 3.0]]])
    assert masked(x, tf.constant([[False, True]])).numpy().tolist() == [[[0, 0], [2, 3]]]


def test_config_round_trip():
    layer = GroupNorm(3, 0.25, name="norm", dtype="mixed_bfloat16")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert (again.groups, again.epsilon, again.name) == (3, 0.25, "norm")


@pytest.mark.parametrize("arguments", [{"groups": 0}, {"groups": 2.0}, {"epsilon": 0}], ids=str)
def test_what_is_out_of_range_is_told(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}$"):
        GroupNorm(**arguments)
    with pytest.raises(ValueError, match="groups must divide 12. Received: groups=5"):
        GroupNorm(5).build(X.shape)
