"""Sizes that loops are compiled for."""

import numpy as np
import tensorflow as tf


def bucket(count, smallest):
    """The least `smallest * 2**n` that is at least `count`, as an int32 scalar tensor.

    A loop with room for so many draws serves every count up to it without being compiled again.
    """
    ratio = tf.maximum(tf.cast(count, tf.float64) / smallest, 1.0)
    doublings = tf.math.ceil(tf.math.log(ratio) / np.log(2.0) - 1e-9)
    return smallest * tf.cast(tf.pow(tf.constant(2.0, tf.float64), doublings) + 0.5, tf.int32)
