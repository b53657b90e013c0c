"""`SpectralNorm`: a constraint that keeps a kernel from stretching anything."""

import keras
import tensorflow as tf

_ITERATIONS = 8  # of the power method


@keras.saving.register_keras_serializable(package="tfgen")
class SpectralNorm(keras.constraints.Constraint):
    """Holds a kernel, as a matrix of its last axis by the others, to a largest singular value of 1.

    An optimizer calls it after each update. Unlike `keras.layers.SpectralNormalization`, which
    divides by that value (arXiv:1802.05957) and writes to the kernel in each call, it leaves alone
    what is no larger, such as zeros, and the layer stays a pure function. The value is that of 8
    steps of the power method, which is never more than the true one.
    """

    def __call__(self, w):
        matrix = tf.reshape(tf.convert_to_tensor(w), [-1, w.shape[-1]])
        # The sum of the rows is orthogonal to the first singular vector by chance alone.
        u = tf.reduce_sum(matrix, axis=0, keepdims=True)
        for _ in range(_ITERATIONS):
            v = tf.math.l2_normalize(tf.matmul(u, matrix, transpose_b=True))
            u = tf.math.l2_normalize(tf.matmul(v, matrix))
        sigma = tf.norm(tf.matmul(u, matrix, transpose_b=True))
        return tf.convert_to_tensor(w) / tf.maximum(sigma, 1.0)
