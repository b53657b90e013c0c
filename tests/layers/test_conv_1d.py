"""`Conv1D` against `keras.layers.Conv1D`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.conv_1d import Conv1D, convolve

RNG = np.random.default_rng(0)


def pair(size, dtype="float64"):
    """tfgen's layer and Keras' with the same weights."""
    ours = Conv1D(3, size, dtype=dtype)
    theirs = keras.layers.Conv1D(3, size, padding="same", dtype=dtype)
    for layer in (ours, theirs):
        layer.build((None, None, 2))
    ours.bias.assign(RNG.normal(size=3))
    theirs.set_weights(ours.get_weights())
    return ours, theirs


def everything(layer, x, weight):
    """Outputs, gradients, and gradients of a function of the gradients."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            outputs = layer(x)
            loss = tf.reduce_sum(weight * tf.sin(outputs))
        first = inner.gradient(loss, [x, layer.kernel.value, layer.bias.value])
        second = sum(tf.reduce_sum(tf.sin(part)) for part in first)
    return [outputs, *first, *outer.gradient(second, [x, layer.kernel.value])]


@pytest.mark.parametrize(
    ("size", "time", "compiled"),
    [(1, 5, False), (3, 8, False), (4, 6, False), (7, 5, False), (4, 6, True)],
)
def test_outputs_and_two_gradients(size, time, compiled):
    x, weight = (
        tf.constant(RNG.normal(size=[4, time, 2])),
        tf.constant(RNG.normal(size=[4, time, 3])),
    )
    ours, theirs = pair(size)
    function = tf.function(everything, jit_compile=True) if compiled else everything
    for got, expected in zip(function(ours, x, weight), everything(theirs, x, weight), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


def test_an_unknown_length():
    ours, theirs = pair(3)

    @tf.function(input_signature=[tf.TensorSpec([None, None, 2], tf.float64)])
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(ours(x)))
        return tape.gradient(loss, x)

    for time in (1, 4):
        x = RNG.normal(size=[2, time, 2])
        np.testing.assert_allclose(
            gradient(x), everything(theirs, tf.constant(x), 1.0)[1], rtol=1e-10, atol=1e-10
        )


def test_by_hand():
    outputs = convolve(
        tf.constant([[[1.0], [2.0], [3.0]]]), tf.constant([[[1.0]], [[10.0]], [[100.0]]])
    )
    np.testing.assert_array_equal(outputs[0, :, 0], [210, 321, 32])


def test_the_compute_dtype():
    assert pair(3, "mixed_bfloat16")[0](np.ones([1, 4, 2], np.float32)).dtype == tf.bfloat16


def test_config():
    layer = Conv1D(3, 4, keras.initializers.GlorotUniform(5), name="one", dtype="float64")
    again = Conv1D.from_config(layer.get_config())
    for each in (layer, again):
        each.build((None, None, 2))
    assert (again.name, again.dtype) == ("one", "float64")
    np.testing.assert_array_equal(again.kernel, layer.kernel)
    assert again.kernel.shape == (4, 2, 3)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="filters"):
        Conv1D(0, 3)
    with pytest.raises(ValueError, match="kernel_size"):
        Conv1D(3, 0)
