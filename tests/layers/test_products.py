"""The products that the layers share, against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.products import dense, look_up


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def test_dense_is_a_product_over_the_last_axis():
    kernel, bias = tf.Variable(random(4, 5)), tf.Variable(random(5))
    for shape in ((3, 4), (2, 3, 4), (1, 2, 3, 4)):
        x = random(*shape)
        np.testing.assert_allclose(dense(x, kernel), x @ kernel.numpy(), atol=1e-5)
        np.testing.assert_allclose(dense(x, kernel, bias), x @ kernel.numpy() + bias, atol=1e-5)


def test_dense_has_the_gradient_of_a_product():
    x, kernel, bias = (tf.constant(random(*s)) for s in ((2, 3, 4), (4, 5), (5,)))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, kernel, bias])
        both = dense(x, kernel, bias), x @ kernel + bias
        losses = [tf.reduce_sum(tf.sin(outputs)) for outputs in both]
    mine, theirs = (tape.gradient(loss, [x, kernel, bias]) for loss in losses)
    for first, second in zip(mine, theirs):
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_dense_takes_the_weights_to_the_precision_of_the_inputs_and_knows_its_shape():
    kernel = tf.constant(random(4, 5))
    outputs = dense(tf.cast(random(2, 4), tf.bfloat16), kernel)
    assert outputs.dtype == tf.bfloat16
    graph = tf.function(
        lambda x: dense(x, kernel), input_signature=[tf.TensorSpec([None, None, 4])]
    ).get_concrete_function()
    assert graph.structured_outputs.shape.as_list() == [None, None, 5]


@pytest.mark.parametrize("rows", [1024, 1025])
def test_looking_up_rows_has_the_gradient_of_a_gather_however_large_the_table(rows):
    table, ids = tf.constant(random(rows, 3)), tf.constant([[0, 5, 1023], [5, 5, rows - 1]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(table)
        found, expected = look_up(table, ids), tf.gather(table, ids)
        losses = [tf.reduce_sum(x * tf.reshape(tf.range(18.0), x.shape)) for x in (found, expected)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    mine, theirs = (tf.convert_to_tensor(tape.gradient(loss, table)) for loss in losses)
    np.testing.assert_allclose(mine, theirs, atol=1e-5)
