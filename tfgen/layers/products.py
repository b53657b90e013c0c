"""Products that the layers share, in the formulation that compiles and differentiates fast."""

import tensorflow as tf

# Up to so many rows, a table is looked up by a product with one-hot rows.
ONE_HOT_ROWS = 1024


def as_tensor(variable, dtype):
    """The value of a Keras variable: `tf.custom_gradient` refuses the variable itself."""
    return tf.cast(tf.convert_to_tensor(variable), dtype)


def dense(inputs, kernel, bias=None):
    """`inputs @ kernel + bias` over the last axis, as one product of matrices.

    `tf.matmul` of three dimensions with two takes the second for a batch of equal matrices, and its
    gradient then is as many matrices as there are positions, added up afterwards.
    """
    kernel = as_tensor(kernel, inputs.dtype)
    flat = tf.TensorShape(inputs.shape).rank == 2
    rows = tf.matmul(inputs if flat else tf.reshape(inputs, [-1, kernel.shape[0]]), kernel)
    if bias is not None:
        rows += as_tensor(bias, inputs.dtype)
    if flat:
        return rows
    outputs = tf.reshape(rows, tf.concat([tf.shape(inputs)[:-1], [kernel.shape[1]]], axis=0))
    return tf.ensure_shape(outputs, [*inputs.shape[:-1], kernel.shape[1]])


def look_up(table, ids):
    """`table[ids]` whose gradient is a matrix product where that is the faster way.

    XLA adds the gradient of a gather row by row; for a small vocabulary the product with one-hot
    rows costs a few per cent of a layer's own products.
    """
    if table.shape[0] > ONE_HOT_ROWS:
        return tf.gather(table, ids)
    rows = tf.one_hot(tf.reshape(ids, [-1]), table.shape[0], dtype=table.dtype)
    outputs = tf.matmul(rows, table)
    return tf.reshape(outputs, tf.concat([tf.shape(ids), [table.shape[1]]], axis=0))
