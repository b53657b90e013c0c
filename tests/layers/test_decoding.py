"""The products and the attention of the decoding loop against the plain ones."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.causal_self_attention import attend
from tfgen.layers.decoding import (
    BLOCK,
    attend_cached,
    cache_dtype,
    from_cache,
    quantize,
    to_cache,
    vector_product,
)


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


@pytest.mark.parametrize("outputs,features", [(5, 7), (3, 16), (4, 96), (2, 384), (6, 1000)])
def test_a_product_of_one_row(outputs, features):
    weights, row = random(outputs, features), random(1, features)
    found = vector_product(tf.constant(row), tf.constant(weights))
    np.testing.assert_allclose(found, row @ weights.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("jit", [False, True])
def test_int8_weights_and_their_scale(jit):
    weights, row = random(5, 48) * np.arange(5)[:, None].astype("float32"), random(1, 48)
    small, scale = quantize(weights)
    assert small.dtype == np.int8 and scale.dtype == np.float32 and scale.shape == (5,)
    rounded = small * scale[:, None]
    step = np.abs(weights).max(axis=1, keepdims=True) / 127
    assert (np.abs(rounded - weights) <= step * 0.5001).all()
    np.testing.assert_allclose(np.abs(rounded).max(axis=1), step[:, 0] * 127, rtol=1e-6)
    product = tf.function(vector_product, jit_compile=jit)
    found = product(tf.constant(row), tf.constant(small), tf.constant(scale))
    np.testing.assert_allclose(found, row @ rounded.T, rtol=1e-4, atol=1e-4)


CASES = {
    # slots used, who is seen
    "all": (3 * BLOCK, lambda slots: slots >= 0),
    "one": (1, lambda slots: slots == 0),
    "a part of a block": (BLOCK + 5, lambda slots: slots < BLOCK + 5),
    "the first block is hidden": (3 * BLOCK, lambda slots: slots >= BLOCK + 9),
    "the last block is hidden": (3 * BLOCK, lambda slots: slots < 7),
    "holes": (2 * BLOCK, lambda slots: slots % 3 == 1),
}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_attention_to_a_cache_equals_the_attention(case, dtype):
    batch, heads, kv_heads, slots, width = 2, 4, 2, 3 * BLOCK, 8
    used, seen = CASES[case]
    visible = np.stack([seen(np.arange(slots)) & (np.arange(slots) < used)] * batch)
    visible[1, 0] = True  # rows see different slots
    queries = tf.constant(random(batch, heads, 1, width))
    layers = [random(batch, 3, kv_heads, slots, width, seed=i) for i in (1, 2)]
    caches = [to_cache(tf.constant(x), cache_dtype(dtype)) for x in layers]
    keys, values = (tf.cast(x[:, 1], dtype) for x in layers)
    for bias in (None, tf.constant(random(batch, heads, slots, seed=3))):
        found = attend_cached(
            queries, *caches, tf.constant(1), tf.constant(visible), bias, tf.constant(used)
        )
        expected = attend(
            queries, keys, values, tf.constant(visible)[:, None, None],
            None if bias is None else bias[:, :, None],
        )  # fmt: skip
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_cache_keeps_numbers_as_their_dtype_would(dtype, jit):
    values = tf.constant([0.0, -0.0, 1.0, 1 / 3, -2.7e-39, 3e38, -np.inf], tf.float32)

    @tf.function(jit_compile=jit)
    def kept(x):
        return from_cache(to_cache(x, cache_dtype(dtype)))

    expected = tf.cast(tf.cast(values, dtype), tf.float32)
    np.testing.assert_array_equal(kept(values), expected)


def test_what_is_not_used_is_not_read():
    keys, values = (random(1, 1, 2, 2 * BLOCK, 4, seed=i) for i in (1, 2))
    visible = tf.ones([1, 2 * BLOCK], tf.bool)
    queries = tf.constant(random(1, 2, 1, 4))
    outputs = []
    for beyond in (0.0, np.nan):
        keys[..., BLOCK:, :], values[..., BLOCK:, :] = beyond, beyond
        found = attend_cached(queries, keys, values, 0, visible, None, tf.constant(BLOCK))
        outputs.append(found.numpy())
    assert np.isfinite(outputs[1]).all()
    np.testing.assert_array_equal(*outputs)
