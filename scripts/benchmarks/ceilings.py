"""What the machine itself can do, measured through TensorFlow."""

from tfgen.startup import import_tensorflow

import_tensorflow()

import tensorflow as tf  # noqa: E402


def matrix_product(size):
    """Products of two float32 matrices; counts floating-point operations."""
    matrix = tf.ones([size, size])

    def run():
        tf.matmul(matrix, matrix)
        return 2 * size**3

    return run, ""


def read(mebibytes):
    """Sums of a float32 array; counts bytes."""
    array = tf.ones([mebibytes * 2**18])

    def run():
        tf.reduce_sum(array).numpy()
        return 4 * array.shape[0]

    return run, ""
