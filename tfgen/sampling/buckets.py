"""Sizes that loops are compiled for."""

import numpy as np
import tensorflow as tf

# Rows up to so many are rounded up to a power of two, more to a multiple of half of it or more.
_ROWS = 32


def row_bucket(rows):
    """The number of rows that so many are filled up to, an int32 scalar tensor.

    1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128, 160, ...: see `stepped`. What is compiled for it
    serves all numbers of rows that are filled up to the same.
    """
    few = tf.where(rows < 2, rows, bucket(rows, 1))
    return tf.where(rows <= _ROWS, few, stepped(rows, _ROWS // 2))


def stepped(count, smallest):
    """The least multiple of `smallest * 2**n` that is at least `count`, as an int32 scalar tensor.

    The sizes grow by at most a quarter, those above `8 * smallest` by at least an eighth.
    """
    eighth = tf.cast(tf.maximum(count, 1), tf.float64) / 4.0
    step = tf.pow(tf.constant(2.0, tf.float64), tf.math.floor(tf.math.log(eighth) / np.log(2.0)))
    step = tf.maximum(tf.cast(step + 0.5, tf.int32), smallest)
    return (count + step - 1) // step * step


def bucket(count, smallest):
    """The least `smallest * 2**n` that is at least `count`, as an int32 scalar tensor.

    A loop with room for so many draws serves every count up to it without being compiled again.
    """
    ratio = tf.maximum(tf.cast(count, tf.float64) / smallest, 1.0)
    doublings = tf.math.ceil(tf.math.log(ratio) / np.log(2.0) - 1e-9)
    return smallest * tf.cast(tf.pow(tf.constant(2.0, tf.float64), doublings) + 0.5, tf.int32)
