"""Sizes that loops are compiled for."""

import numpy as np
import tensorflow as tf

# Rows up to so many are rounded up to a power of two, more to a multiple of half of it.
_ROWS = 32


def row_bucket(rows):
    """The number of rows that so many are filled up to, an int32 scalar tensor.

    What is compiled for it serves all numbers of rows that are filled up to the same.
    """
    many = -(-rows // (_ROWS // 2)) * (_ROWS // 2)
    return tf.where(rows < 2, rows, tf.where(rows <= _ROWS, bucket(rows, 1), many))


def bucket(count, smallest):
    """The least `smallest * 2**n` that is at least `count`, as an int32 scalar tensor.

    A loop with room for so many draws serves every count up to it without being compiled again.
    """
    ratio = tf.maximum(tf.cast(count, tf.float64) / smallest, 1.0)
    doublings = tf.math.ceil(tf.math.log(ratio) / np.log(2.0) - 1e-9)
    return smallest * tf.cast(tf.pow(tf.constant(2.0, tf.float64), doublings) + 0.5, tf.int32)
