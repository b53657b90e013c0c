"""`CrossAttention` against NumPy and against Keras' own attentions."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tfgen.layers.cross_attention import CrossAttention
from tfgen.layers.products import dense

BATCH, TIME, ITEMS, HEADS, WIDTH = 2, 3, 5, 4, 24


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


X, CONTEXT = random(BATCH, TIME, WIDTH), random(BATCH, ITEMS, WIDTH, seed=1)


def make(**options):
    layer = CrossAttention(HEADS, WIDTH, **options)
    layer.build()
    layer.set_weights([0.2 * random(*w.shape, seed=i) for i, w in enumerate(layer.weights)])
    return layer


def by_hand(layer, x, context):
    """One sequence `(time, width)` and one context `(items, width)`."""

    def product(name, inputs):
        bias = getattr(layer, f"{name}_bias")
        outputs = inputs @ getattr(layer, f"{name}_kernel").numpy()
        return outputs + (0 if bias is None else bias.numpy())

    size = WIDTH // HEADS
    queries = product("query", x).reshape(len(x), HEADS, size)
    keys, values = (
        product(name, context).reshape(len(context), layer.kv_heads, size)
        for name in ("key", "value")
    )
    outputs = np.zeros_like(queries)
    for head in range(HEADS):
        shared = head // (HEADS // layer.kv_heads)
        scores = queries[:, head] @ keys[:, shared].T / np.sqrt(size)
        outputs[:, head] = scipy.special.softmax(scores, axis=1) @ values[:, shared]
    return product("output", outputs.reshape(len(x), WIDTH))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kv_heads", [None, 2, 1])
def test_equals_numpy(kv_heads, bias):
    layer = make(kv_heads=kv_heads, bias=bias)
    outputs = layer(X, context=layer.read(CONTEXT))
    expected = [by_hand(layer, x, context) for x, context in zip(X, CONTEXT)]
    np.testing.assert_allclose(outputs, expected, atol=1e-4)
    assert layer.read(CONTEXT)[0].shape == (BATCH, kv_heads or HEADS, ITEMS, WIDTH // HEADS)


def test_equals_the_attention_of_keras():
    layer = make(bias=True)
    size = WIDTH // HEADS
    stock = keras.layers.MultiHeadAttention(HEADS, size)
    stock.build(X.shape, CONTEXT.shape)
    weights = []
    for name in ("query", "key", "value"):
        weights.append(getattr(layer, f"{name}_kernel").numpy().reshape(WIDTH, HEADS, size))
        weights.append(getattr(layer, f"{name}_bias").numpy().reshape(HEADS, size))
    weights.append(layer.output_kernel.numpy().reshape(HEADS, size, WIDTH))
    stock.set_weights([*weights, layer.output_bias.numpy()])
    valid = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 1]], bool)
    mine = layer(X, context=layer.read(CONTEXT), valid=valid)
    theirs = stock(X, CONTEXT, attention_mask=np.repeat(valid[:, None], TIME, axis=1))
    np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_items_that_are_not_there_have_no_influence():
    layer = make()
    valid = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    outputs = layer(X, context=layer.read(CONTEXT), valid=valid)
    alone = layer(X[:1], context=layer.read(CONTEXT[:1, :2]))
    np.testing.assert_allclose(outputs[:1], alone, atol=1e-6)
    everything = layer(X, context=layer.read(CONTEXT))
    np.testing.assert_allclose(outputs[1], everything[1], atol=1e-6)
    assert np.abs(outputs[0] - everything[0]).max() > 1e-3


def test_the_product_may_be_another_and_initializers_are_those_of_the_products():
    layer = make()
    context = layer.read(CONTEXT)
    plain = layer(X, context=context)
    other = layer(X, context=context, product=lambda x, kernel, bias: -dense(x, kernel, bias))
    assert np.abs(other - plain).max() > 1e-2
    layer = CrossAttention(HEADS, WIDTH, kernel_initializer="ones", output_initializer="zeros")
    layer.build()
    kernels = [w.numpy() for w in (layer.query_kernel, layer.key_kernel, layer.value_kernel)]
    assert all((kernel == 1).all() for kernel in kernels)
    assert (layer.output_kernel.numpy() == 0).all()


def test_every_weight_gets_a_gradient():
    layer = make(bias=True, kv_heads=2)
    with tf.GradientTape() as tape:
        outputs = layer(X, context=layer.read(CONTEXT))
        loss = tf.reduce_sum(outputs * random(BATCH, TIME, WIDTH, seed=3))
    gradients = tape.gradient(loss, [weight.value for weight in layer.weights])
    for weight, gradient in zip(layer.weights, gradients, strict=True):
        # A key's bias adds the same to every score of a query.
        assert np.abs(gradient).max() > 1e-4 or weight is layer.key_bias, weight.path


def test_config_round_trip():
    layer = make(kv_heads=2, bias=True, name="cross", dtype="mixed_bfloat16")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config() and again.name == "cross"
    x, context = tf.cast(X, tf.bfloat16), tf.cast(CONTEXT, tf.bfloat16)
    assert again(x, context=again.read(context)).dtype == tf.bfloat16


@pytest.mark.parametrize(
    "arguments",
    [{"heads": 0}, {"heads": 5}, {"width": 0.5}, {"kv_heads": 3}, {"kv_heads": 0}, {"bias": 0}],
    ids=str,
)
def test_what_is_out_of_range_is_told_in_one_line(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError) as caught:
        CrossAttention(**{"heads": HEADS, "width": WIDTH, **arguments})
    assert str(caught.value).endswith(f"Received: {name}={value!r}")
