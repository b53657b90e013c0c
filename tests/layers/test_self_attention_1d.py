"""`SelfAttention1D` against Keras' attention; both blocks of attention against the padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.linear_attention_1d import LinearAttention1D
from tfgen.layers.self_attention_1d import SelfAttention1D

BATCH, TIME, CHANNELS, HEADS, SIZE = 2, 7, 6, 3, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, TIME, CHANNELS)).astype("float32")
MASK = np.arange(TIME) < np.array([[4], [TIME]])

both = pytest.mark.parametrize("kind", [SelfAttention1D, LinearAttention1D])


def make(kind=SelfAttention1D, **options):
    layer = kind(HEADS, SIZE, **{"seed": 1, **options})
    layer.build(X.shape)
    rng = np.random.default_rng(2)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def normalised(x, gain):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * gain.numpy()


def test_equals_the_attention_of_keras():
    layer = make()
    stock = keras.layers.MultiHeadAttention(HEADS, SIZE)
    stock.build(X.shape, X.shape)
    weights = []
    for kernel in np.split(layer.qkv_kernel.numpy(), 3, axis=1):
        weights += [kernel.reshape(CHANNELS, HEADS, SIZE), np.zeros((HEADS, SIZE))]
    output = layer.output_kernel.numpy().reshape(HEADS, SIZE, CHANNELS)
    stock.set_weights([*weights, output, layer.output_bias.numpy()])
    x = normalised(X, layer.gain).astype("float32")
    np.testing.assert_allclose(layer(X), X + stock(x, x), atol=1e-4)
    outputs = layer(X, mask=MASK).numpy()
    expected = X + stock(x, x, attention_mask=MASK[:, None])
    np.testing.assert_allclose(outputs[MASK], expected.numpy()[MASK], atol=1e-4)


@both
def test_a_padded_sequence_gives_what_it_gives_alone(kind):
    layer = make(kind)
    outputs = layer(np.where(MASK[..., None], X, np.nan).astype("float32"), mask=MASK).numpy()
    np.testing.assert_allclose(outputs[0, :4], layer(X[:, :4])[0], atol=1e-5)
    np.testing.assert_allclose(outputs[1], layer(X)[1], atol=1e-5)
    assert (outputs[0, 4:] == 0).all()
    nothing = layer(X, mask=np.zeros_like(MASK))
    assert (nothing.numpy() == 0).all()


@both
def test_positions_have_no_order(kind):
    layer, order = make(kind), [3, 0, 6, 1, 5, 2, 4]
    np.testing.assert_allclose(layer(X[:, order]), layer(X).numpy()[:, order], atol=1e-4)


@both
def test_it_begins_by_handing_its_inputs_on_unless_told_otherwise(kind):
    np.testing.assert_array_equal(kind(HEADS, SIZE, seed=1)(X), X)
    one, same, other = (kind(HEADS, SIZE, False, seed)(X).numpy() for seed in (1, 1, 2))
    assert np.abs(one - X).max() > 0.1
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


@both
def test_every_weight_gets_a_gradient(kind):
    layer = make(kind)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(X, mask=MASK) ** 3)
    for gradient in tape.gradient(loss, layer.trainable_weights):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-3


@both
def test_config_round_trip(kind):
    layer = kind(2, 5, zero_init=False, seed=3, name="attention", dtype="mixed_bfloat16")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again(X, mask=MASK).dtype == tf.bfloat16


@both
def test_double_precision(kind):
    single, double = make(kind), make(kind, dtype="float64")
    double.set_weights(single.get_weights())
    exact = double(X.astype("float64"), mask=MASK)
    assert exact.dtype == tf.float64
    np.testing.assert_allclose(single(X, mask=MASK), exact, atol=1e-4)


@both
@pytest.mark.parametrize(
    "arguments", [{"heads": 0}, {"head_width": 0.5}, {"zero_init": None}, {"seed": "a"}], ids=str
)
def test_what_is_out_of_range_is_told(kind, arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}$"):
        kind(**arguments)
