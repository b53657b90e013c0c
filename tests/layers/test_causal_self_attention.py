"""`CausalSelfAttention` against a loop in NumPy, and against Keras' own attentions."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tfgen.layers.alibi_bias import AlibiBias
from tfgen.layers.causal_self_attention import CausalSelfAttention, Places
from tfgen.layers.products import dense

BATCH, TIME, HEADS, WIDTH = 2, 9, 4, 24


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


X = random(BATCH, TIME, WIDTH)


def make(heads=HEADS, width=WIDTH, **options):
    layer = CausalSelfAttention(heads, width, **options)
    layer.build()
    # Scores of size 1 or so: the softmax is far from uniform and far from certain.
    for number, weight in enumerate(layer.weights):
        scale = 0.2 if len(weight.shape) == 2 and weight.shape[0] >= WIDTH else 1.0
        weight.assign(scale * random(*weight.shape, seed=number))
    return layer


def by_hand(layer, x):
    """One sequence `(time, width)`: every position of every head by itself, in float64."""
    x = x.astype("float64")
    time, size = len(x), layer.head_width
    joined = x @ layer.qkv_kernel.numpy().astype("float64")
    if layer.bias:
        joined = joined + layer.qkv_bias.numpy()
    if layer.conv:
        kernel, plain = layer.conv_kernel.numpy(), joined
        joined = np.zeros_like(plain)
        for position in range(time):
            for back in range(min(layer.conv, position + 1)):
                joined[position] += kernel[back] * plain[position - back]
    kv_heads, group = layer.kv_heads, layer.heads // layer.kv_heads
    parts = joined.reshape(time, layer.heads + 2 * kv_heads, size)
    queries, keys, values = np.split(parts, [layer.heads, layer.heads + kv_heads], axis=1)
    if layer.qk_norm:
        for part, norm in ((queries, layer.query_norm), (keys, layer.key_norm)):
            mean_square = (part**2).mean(axis=-1, keepdims=True)
            part *= norm.scale.numpy() / np.sqrt(mean_square + layer.norm_epsilon)

    def turned(vector, position):
        if layer.positions != "rotary":
            return vector
        half = size // 2
        turn = np.exp(1j * position * layer.rotary_base ** (-np.arange(half) / half))
        both = (vector[:half] + 1j * vector[half:]) * turn
        return np.concatenate([both.real, both.imag])

    outputs = np.zeros((time, layer.heads, size))
    for head in range(layer.heads):
        slope = AlibiBias(layer.heads).slopes[head] if layer.positions == "alibi" else 0
        for position in range(time):
            first = max(0, position - layer.window + 1) if layer.window else 0
            scores = np.array([
                turned(queries[position, head], position) @ turned(keys[i, head // group], i)
                for i in range(first, position + 1)
            ]) / np.sqrt(size)  # fmt: skip
            scores -= slope * (position - np.arange(first, position + 1))
            weights = scipy.special.softmax(scores)
            outputs[position, head] = weights @ values[first : position + 1, head // group]
    outputs = outputs.reshape(time, -1) @ layer.output_kernel.numpy()
    return outputs + (layer.output_bias.numpy() if layer.bias else 0)


OPTIONS = {
    "plain": {"positions": "none"},
    "rotary": {},
    "rotary base": {"rotary_base": 20.0},
    "alibi": {"positions": "alibi"},
    "window": {"window": 3},
    "window of one": {"window": 1},
    "bias": {"bias": True},
    "kv heads": {"kv_heads": 2},
    "one kv head": {"kv_heads": 1, "positions": "alibi"},
    "head width": {"head_width": 10},
    "qk norm": {"qk_norm": True},
    "norm epsilon": {"qk_norm": True, "norm_epsilon": 1.0},
    "conv": {"conv": 3},
    "conv of one": {"conv": 1},
    "conv beyond the text": {"conv": 12, "positions": "none"},
    "everything": {
        "kv_heads": 2, "head_width": 8, "window": 4, "qk_norm": True, "bias": True, "conv": 2,
        "rotary_base": 100.0,
    },
}  # fmt: skip
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@every_option
def test_equals_a_loop_over_positions(options):
    layer = make(**options)
    outputs = layer(X)
    expected = np.stack([by_hand(layer, row) for row in X])
    np.testing.assert_allclose(outputs, expected, atol=2e-4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kv_heads", [HEADS, 2])
def test_equals_the_attentions_of_keras(kv_heads, bias):
    layer = make(positions="none", kv_heads=kv_heads, bias=bias)
    size = layer.head_width
    if kv_heads == HEADS:
        stock = keras.layers.MultiHeadAttention(HEADS, size, use_bias=bias)
    else:
        stock = keras.layers.GroupQueryAttention(size, HEADS, kv_heads, use_bias=bias)
    stock.build(X.shape, X.shape)
    cuts = np.array([HEADS, HEADS + kv_heads]) * size
    kernels = np.split(layer.qkv_kernel.numpy(), cuts, axis=1)
    weights = [kernel.reshape(WIDTH, -1, size) for kernel in kernels]
    output = layer.output_kernel.numpy().reshape(HEADS, size, WIDTH)
    if bias:
        biases = [part.reshape(-1, size) for part in np.split(layer.qkv_bias.numpy(), cuts)]
        weights = [part for pair in zip(weights, biases) for part in pair]
        weights += [output, layer.output_bias.numpy()]
    else:
        weights.append(output)
    stock.set_weights(weights)
    np.testing.assert_allclose(layer(X), stock(X, X, use_causal_mask=True), atol=1e-4)


def test_what_comes_later_or_lies_beyond_the_window_has_no_influence():
    layer = make(window=3)
    other = X.copy()
    other[:, 4] += 1
    changed = np.abs(layer(other) - layer(X)).max(axis=(0, 2)) > 1e-5
    assert changed.tolist() == [False] * 4 + [True] * 3 + [False] * 2


def test_rotary_and_alibi_see_distances_and_none_sees_no_order():
    ids = np.arange(TIME, dtype=np.int32)[None]
    for positions in ("rotary", "alibi", "none"):
        layer = make(positions=positions)
        here = layer(X, places=Places(ids, ids)).numpy()
        there = layer(X, places=Places(ids + 100, ids + 100)).numpy()
        np.testing.assert_allclose(here, there, atol=1e-3)
        order = [2, 0, 1]  # of the past of position 3
        shuffled = X.copy()
        shuffled[:, :3] = X[:, order]
        change = np.abs(layer(shuffled)[:, 3] - here[:, 3]).max()
        assert change < 1e-5 if positions == "none" else change > 1e-3


# The cache


def empty_cache(layer, slots=0):
    shape = (BATCH, layer.kv_heads, slots, layer.head_width)
    cache = [tf.zeros(shape), tf.zeros(shape)]
    if layer.conv:
        joined = (layer.heads + 2 * layer.kv_heads) * layer.head_width
        cache.append(tf.zeros((BATCH, layer.conv - 1, joined)))
    return tuple(cache)


def cut(cache, conv):
    """The last positions' features are what the next piece needs."""
    if not conv:
        return cache
    return *cache[:2], cache[2][:, cache[2].shape[1] - (conv - 1) :]


@pytest.mark.parametrize("name", ["rotary", "alibi", "conv", "everything"])
def test_pieces_with_a_cache_equal_the_whole(name):
    layer = make(**OPTIONS[name])
    whole = layer(X)
    pieces, cache, start = [], empty_cache(layer), 0
    for piece in np.split(X, [1, 4, 5], axis=1):
        end = start + piece.shape[1]
        places = Places(tf.range(start, end)[None], tf.range(end)[None])
        outputs, cache = layer(piece, places=places, cache=cache)
        cache = cut(cache, layer.conv)
        pieces.append(outputs)
        start = end
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-5)
    assert cache[0].shape == (BATCH, layer.kv_heads, TIME, layer.head_width)


@pytest.mark.parametrize("name", ["rotary", "everything"])
def test_positions_may_stand_in_any_slots(name):
    """Two positions at a time, written to slots out of order, one of which nobody may see.

    The layer is the last of two, whose keys and values share a cache.
    """
    layer = make(**OPTIONS[name])
    whole = layer(X)
    slots = np.array([7, 2, 9, 0, 4, 3, 8, 6], np.int32)
    held = np.full((1, 11), -1, np.int32)
    cache = empty_cache(layer, 11)
    # What an empty slot holds is nothing.
    cache = (*(tf.stack([x - 70.0, x + 50.0], axis=1) for x in cache[:2]), *cache[2:])
    for start in range(0, 8, 2):
        targets = slots[start : start + 2]
        held[0, targets] = [start, start + 1]
        places = Places(*map(tf.constant, ([[start, start + 1]], held, targets, 1)))
        outputs, cache = layer(X[:, start : start + 2], places=places, cache=cache)
        cache = cut(cache, layer.conv)
        np.testing.assert_allclose(outputs, whole[:, start : start + 2], atol=1e-5)
    assert cache[0].shape[3] == 11
    assert (cache[0][:, 0].numpy() == -70).all() and (cache[1][:, 0].numpy() == -70).all()


def test_a_cache_keeps_its_own_precision():
    layer = make()
    whole = layer(X)
    places = [Places(tf.range(a, b)[None], tf.range(b)[None]) for a, b in ((0, 5), (5, 9))]
    cache = tuple(tf.cast(tensor, tf.bfloat16) for tensor in empty_cache(layer))
    _, cache = layer(X[:, :5], places=places[0], cache=cache)
    outputs, cache = layer(X[:, 5:], places=places[1], cache=cache)
    assert outputs.dtype == tf.float32 and {tensor.dtype for tensor in cache} == {tf.bfloat16}
    error = np.abs(outputs - whole[:, 5:]).max()
    assert 1e-6 < error < 0.05 * np.abs(whole).max()


def test_places_say_who_is_seen():
    places = Places(tf.constant([[3], [1]]), tf.constant([[0, 3, -1, 4, 2], [0, 1, 2, -1, -1]]))
    assert places.visible().numpy().astype(int).tolist() == [[[1, 1, 0, 0, 1]], [[1, 1, 0, 0, 0]]]
    assert places.visible(2).numpy().astype(int).tolist() == [[[0, 1, 0, 0, 1]], [[1, 1, 0, 0, 0]]]


# The rest


def test_probabilities_are_dropped_and_products_may_be_others():
    layer = make()
    seen = []

    def drop(weights):
        seen.append(weights.numpy())
        return weights * 0.5

    plain = layer(X)
    halved = layer(X, drop=drop)
    np.testing.assert_allclose(halved, plain * 0.5, atol=1e-5)
    (weights,) = seen
    assert weights.shape == (BATCH, HEADS, TIME, TIME)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(weights, np.tril(weights))
    outputs = layer(X, product=lambda x, kernel, bias: dense(x, 2 * kernel.value, bias))
    assert np.abs(outputs - plain).max() > 0.1


def test_at_first_a_convolution_changes_nothing():
    plain = CausalSelfAttention(HEADS, WIDTH, kernel_initializer="glorot_normal")
    conv = CausalSelfAttention(HEADS, WIDTH, conv=3)
    plain.build()
    conv.build()
    conv.qkv_kernel.assign(plain.qkv_kernel)
    conv.output_kernel.assign(plain.output_kernel)
    np.testing.assert_allclose(conv(X), plain(X), atol=1e-6)


def test_initializers_are_those_of_the_products():
    layer = CausalSelfAttention(HEADS, WIDTH, kernel_initializer="ones", output_initializer="zeros")
    layer.build()
    assert (layer.qkv_kernel.numpy() == 1).all() and (layer.output_kernel.numpy() == 0).all()


@every_option
def test_every_weight_and_the_inputs_get_a_gradient(options):
    layer, x = make(**options), tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(layer(x) * random(BATCH, TIME, WIDTH, seed=3))
    for gradient in tape.gradient(loss, [x, *(weight.value for weight in layer.weights)]):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-4


@every_option
def test_config_round_trip(options):
    layer = CausalSelfAttention(HEADS, WIDTH, **options, name="attention", dtype="mixed_bfloat16")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config() and again.name == "attention"
    assert again(X).dtype == tf.float32  # it does not cast its inputs
    assert again(tf.cast(X, tf.bfloat16)).dtype == tf.bfloat16


@pytest.mark.parametrize(
    "arguments",
    [
        {"heads": 0}, {"heads": 5}, {"width": 0}, {"width": "24"}, {"kv_heads": 3}, {"kv_heads": 0},
        {"head_width": 0}, {"head_width": 5}, {"positions": "learned"}, {"rotary_base": 0},
        {"rotary_base": None}, {"window": -1}, {"window": 2.0}, {"qk_norm": 1}, {"bias": None},
        {"norm_epsilon": 0.0}, {"norm_epsilon": "x"}, {"conv": -1}, {"conv": True},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_out_of_range_is_told_in_one_line(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError) as caught:
        CausalSelfAttention(**{"heads": HEADS, "width": WIDTH, **arguments})
    assert str(caught.value).endswith(f"Received: {name}={value!r}")
    assert "\n" not in str(caught.value)
