"""`Conv1D`: a convolution over positions whose gradients are products of matrices."""

import keras
import tensorflow as tf

from tfgen.layers.checks import check_whole
from tfgen.layers.products import as_tensor


@keras.saving.register_keras_serializable(package="tfgen")
class Conv1D(keras.layers.Conv1D):
    """`keras.layers.Conv1D` at every position, padded with zeros to as many, but trained faster.

    XLA takes the gradient of a kernel for a convolution over the batch, and turns all activations
    round for it; here it is one product.

    Args:
        filters: Channels of the outputs.
        kernel_size: Positions that are seen.
        kernel_initializer: See `keras.layers.Conv1D`.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, channels)`.

    Returns:
        Float `(batch, time, filters)`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, filters, kernel_size, kernel_initializer="glorot_uniform", **kwargs):
        check_whole(1, filters=filters, kernel_size=kernel_size)
        given = {"padding": "same", "kernel_initializer": kernel_initializer}
        super().__init__(filters, kernel_size, **given, **kwargs)
        # The padding is masked by who uses it; else Keras warns that the mask is lost.
        self.supports_masking = True

    def call(self, inputs):
        outputs = convolve(inputs, as_tensor(self.kernel, inputs.dtype))
        return outputs + as_tensor(self.bias, inputs.dtype)

    def get_config(self):
        names = "name trainable dtype filters kernel_initializer"
        config = super().get_config()
        return {
            **{name: config[name] for name in names.split()},
            "kernel_size": self.kernel_size[0],
        }


def convolve(inputs, kernel):
    """`outputs[n] = sum over i of inputs[n + i - (size - 1) // 2] @ kernel[i]`.

    Args:
        inputs: Float `(batch, time, channels)`, zeros before and after it.
        kernel: Float `(size, channels, filters)`.

    Returns:
        Float `(batch, time, filters)`. It may be differentiated any number of times.
    """
    size, channels, filters = kernel.shape

    @tf.custom_gradient
    def function(inputs, kernel):
        def gradient(outward):
            # What of the outputs each input went into: output n - i + before, by tap i.
            before, time = (size - 1) // 2, tf.shape(outward)[1]
            padded = tf.pad(outward, [[0, 0], [size - 1 - before, before], [0, 0]])
            taps = [padded[:, size - 1 - i :][:, :time] for i in range(size)]
            taps = tf.reshape(tf.concat(taps, axis=-1), [-1, size * filters])
            by_channel = tf.reshape(tf.transpose(kernel, [1, 0, 2]), [channels, -1])
            inward = tf.matmul(taps, by_channel, transpose_b=True)
            of_kernel = tf.matmul(tf.reshape(inputs, [-1, channels]), taps, transpose_a=True)
            of_kernel = tf.reshape(of_kernel, [channels, size, filters])
            return tf.reshape(inward, tf.shape(inputs)), tf.transpose(of_kernel, [1, 0, 2])

        return tf.nn.conv1d(inputs, kernel, 1, "SAME"), gradient

    return function(inputs, kernel)
