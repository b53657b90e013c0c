"""`FeedForward` against NumPy."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tfgen.layers.feed_forward import KINDS, FeedForward
from tfgen.layers.products import dense

WIDTH, HIDDEN = 4, 6


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def make(**options):
    layer = FeedForward(WIDTH, HIDDEN, **options)
    layer.build()
    layer.set_weights([random(*w.shape, seed=i) for i, w in enumerate(layer.weights)])
    return layer


def by_hand(layer, x):
    hidden = x @ layer.input_kernel.numpy()
    hidden = hidden + (layer.input_bias.numpy() if layer.bias else 0)
    if layer.kind == "gelu":
        hidden = 0.5 * hidden * (1 + np.tanh((2 / np.pi) ** 0.5 * (hidden + 0.044715 * hidden**3)))
    elif layer.kind == "relu2":
        hidden = np.maximum(hidden, 0) ** 2
    else:
        gate, up = hidden[..., :HIDDEN], hidden[..., HIDDEN:]
        hidden = gate * scipy.special.expit(gate) * up
    outputs = hidden @ layer.output_kernel.numpy()
    return outputs + (layer.output_bias.numpy() if layer.bias else 0)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_numpy(kind, bias):
    layer, x = make(kind=kind, bias=bias), random(2, 3, WIDTH)
    np.testing.assert_allclose(layer(x), by_hand(layer, x), rtol=1e-4, atol=1e-5)
    assert len(layer.weights) == (4 if bias else 2)
    assert layer.input_kernel.shape[1] == HIDDEN * (2 if kind == "swiglu" else 1)


def test_gelu_is_that_of_keras():
    x = random(2, 3, WIDTH)
    layer = make()
    inner = keras.layers.Dense(HIDDEN, use_bias=False)
    inner.build(x.shape)
    inner.set_weights([layer.input_kernel.numpy()])
    hidden = keras.activations.gelu(inner(x), approximate=True)
    np.testing.assert_allclose(layer(x), hidden @ layer.output_kernel.value, atol=1e-5)


def test_the_product_may_be_another():
    layer, x, kernels = make(bias=True), random(2, 3, WIDTH), []

    def product(inputs, kernel, bias):
        kernels.append(kernel)
        return 2 * dense(inputs, kernel, bias)

    doubled = layer(x, product=product).numpy()
    assert kernels == [layer.input_kernel, layer.output_kernel]
    assert np.abs(doubled - layer(x)).max() > 0.1


def test_initializers_are_those_of_the_products():
    layer = FeedForward(WIDTH, HIDDEN, kernel_initializer="ones", output_initializer="zeros")
    layer.build()
    assert (layer.input_kernel.numpy() == 1).all() and (layer.output_kernel.numpy() == 0).all()


def test_config_and_precision():
    layer = make(kind="swiglu", bias=True, dtype="mixed_bfloat16", name="mlp")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config() and again.name == "mlp"
    again.set_weights(layer.get_weights())
    outputs = again(random(2, 3, WIDTH))
    assert outputs.dtype == tf.bfloat16
    expected = by_hand(layer, random(2, 3, WIDTH))
    error = np.abs(tf.cast(outputs, tf.float32) - expected).max()
    assert error < 0.03 * np.abs(expected).max()


@pytest.mark.parametrize(
    "arguments",
    [{"width": 0}, {"hidden_width": 2.5}, {"kind": "gelu2"}, {"kind": None}, {"bias": 1}],
    ids=str,
)
def test_what_is_out_of_range_is_told_in_one_line(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError) as caught:
        FeedForward(**{"width": 4, "hidden_width": 6, **arguments})
    assert str(caught.value).endswith(f"Received: {name}={value!r}")
