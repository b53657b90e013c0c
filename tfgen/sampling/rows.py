"""Rows of tensors, repeated for several samples of each."""

import tensorflow as tf


def repeat_rows(nest, times):
    """Every row so many times, one copy after the other.

    Args:
        nest: Nest of tensors `(rows, ...)`.
        times: Integer or int32 scalar.

    Returns:
        Nest of tensors `(rows * times, ...)`.
    """

    def repeat(tensor):
        # `tf.repeat` tiles, which TensorFlow outside XLA does for some dtypes alone: not for the
        # bits of bfloat16 that a cache keeps.
        index = tf.repeat(tf.range(tf.shape(tensor)[0]), times)
        return tf.gather(tensor, index)

    return tf.nest.map_structure(repeat, nest)
