"""Fused pieces against the same functions left alone: values and gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.decoder_block import DecoderBlock, normalization, normalized
from tfgen.layers.fused import fused, piece

BATCH, TIME, HEADS, WIDTH = 2, 5, 2, 8


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


X = tf.constant(random(BATCH, TIME, WIDTH))


def two_of(x, number, scale):
    """Two outputs, one integer input."""
    return tf.sin(x) * scale, x * tf.cast(number, x.dtype)


def gradients(function, inputs, *weights):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.nest.flatten(function(*inputs))
        loss = tf.add_n([
            tf.reduce_sum(tf.cast(y, tf.float32) * random(*y.shape, seed=9)) for y in outputs
        ])  # fmt: skip
    return outputs, tape.gradient(loss, [*inputs, *weights])


def test_values_and_gradients_are_those_of_the_function():
    number, scale = tf.constant(3), tf.Variable(random(WIDTH))
    both = [
        gradients(lambda x, f=f: f(x, number, scale), [X], scale) for f in (two_of, fused(two_of))
    ]
    for plain, compiled in zip(*map(tf.nest.flatten, both)):
        np.testing.assert_allclose(compiled, plain, atol=1e-5)
    assert np.abs(both[0][1][1]).min() > 0


def test_a_piece_is_compiled_once_and_only_if_asked_for():
    assert piece(two_of, False) is two_of
    assert piece(two_of, True) is piece(two_of, True) is fused(two_of)


def test_it_works_inside_a_graph_that_is_not_compiled():
    graph = tf.function(lambda x: gradients(lambda x: fused(two_of)(x, 3, 2.0), [x])[1][0])
    expected = gradients(lambda x: two_of(x, tf.constant(3), 2.0), [X])[1][0]
    np.testing.assert_allclose(graph(X), expected, atol=1e-5)


def whole_block(**options):
    options = {"qk_norm": True, "conv": 2, "kv_heads": 1, **options}
    block = DecoderBlock(HEADS, WIDTH, mlp_width=12, cross_attention=True, **options)
    block.build()
    for number, weight in enumerate(block.weights):
        weight.assign(0.4 * random(*weight.shape, seed=number))
    return block


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({"bias": True}, "mixed_bfloat16"),
        ({"norm": "rms", "mlp": "swiglu", "positions": "alibi", "window": 3}, "float32"),
    ],
    ids=["layer", "rms"],
)
def test_a_block_of_fused_pieces_equals_the_plain_one(options, dtype):
    block = whole_block(**options, dtype=dtype)
    x = tf.cast(X, block.compute_dtype)
    weights = [weight.value for weight in block.weights]

    def run(fuse):
        def outputs(x):
            context = block.cross_attention.read(tf.reverse(x, axis=[1]))
            return block(x, context=context, fuse=fuse)

        values, found = gradients(outputs, [x], *weights)
        return [tf.cast(tensor, tf.float32).numpy() for tensor in (*values, *found)]

    tolerance = 1e-5 if dtype == "float32" else 0.04
    for plain, compiled in zip(run(False), run(True), strict=True):
        # At least 1: some gradients are 0 but for rounding.
        size = max(1.0, np.abs(plain).max())
        np.testing.assert_allclose(compiled, plain, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_a_fused_normalisation_is_computed_in_float32(kind):
    norm = normalization(kind, 0.1, bias=True, dtype="mixed_bfloat16")
    norm.build(X.shape)
    for number, weight in enumerate(norm.weights):
        weight.assign(random(*weight.shape, seed=number))
    x = tf.cast(X * 100 + 1, tf.bfloat16)
    plain, compiled = (normalized(norm, x, fuse) for fuse in (False, True))
    assert compiled.dtype == tf.bfloat16
    exact = normalization(kind, 0.1, bias=True)
    exact.build(X.shape)
    exact.set_weights(norm.get_weights())
    expected = exact(tf.cast(x, tf.float32))
    for outputs in (plain, compiled):
        np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, rtol=0.01, atol=0.01)
