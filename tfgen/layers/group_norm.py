"""`GroupNorm`: normalisation over groups of channels and over the positions that are no padding."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_positive, check_whole
from tfgen.layers.products import as_tensor


def masked(tensor, mask):
    """A tensor `(batch, time, channels)` with zeros where a mask `(batch, time)` is False.

    It is not a product: what stands in the padding may be NaN.
    """
    if mask is None:
        return tensor
    return tf.where(tf.expand_dims(mask, -1), tensor, tf.constant(0, tensor.dtype))


@keras.saving.register_keras_serializable(package="tfgen")
class GroupNorm(keras.layers.Layer):
    """Group normalisation (arXiv:1803.08494) of sequences that may be padded.

    Mean and variance of each group are those of its channels at all valid positions, so how much
    padding follows a sequence changes nothing. Without a mask the layer equals
    `keras.layers.GroupNormalization` and `torch.nn.GroupNorm`.

    Args:
        groups: Number of groups; it divides the channels.
        epsilon: Added to the variance.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, channels)`.
        mask: Optional bool `(batch, time)`; where it is False, the outputs are 0.

    Returns:
        Float `(batch, time, channels)`.

    Raises:
        ValueError: For an argument out of its range, or channels that the groups do not divide.
    """

    def __init__(self, groups=8, epsilon=1e-5, **kwargs):
        check_whole(1, groups=groups)
        check_positive(epsilon=epsilon)
        super().__init__(**kwargs)
        self.groups = groups
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape):
        channels = input_shape[-1]
        check(channels % self.groups == 0, f"groups must divide {channels}", groups=self.groups)
        self.gamma = self.add_weight((channels,), "ones", autocast=False, name="gamma")
        self.beta = self.add_weight((channels,), "zeros", autocast=False, name="beta")

    def call(self, inputs, mask=None):
        # In float32 at least: a mean of thousands of numbers does not survive 8 bits.
        dtype = tf.float64 if inputs.dtype == tf.float64 else tf.float32
        x = masked(tf.cast(inputs, dtype), mask)
        size = x.shape[-1] // self.groups
        # Products gather the channels of a group and spread what they have in common: an index
        # into groups would keep XLA from making vectors of the loops over channels.
        belongs = tf.constant(np.eye(self.groups).repeat(size, axis=0), dtype)
        if mask is None:
            count = tf.cast(tf.shape(x)[1], dtype)
        else:
            count = tf.reduce_sum(tf.cast(mask, dtype), axis=1, keepdims=True)  # (batch, 1)
            count = tf.maximum(count, 1.0)

        def mean(tensor):  # (batch, time, channels) -> (batch, 1, channels), equal in each group
            sums = tf.matmul(tf.reduce_sum(tensor, axis=1), belongs)  # (batch, groups)
            means = tf.matmul(sums / (count * size), belongs, transpose_b=True)
            return tf.expand_dims(means, 1)

        centre = mean(x)
        # The mean of squares less the square of the mean would lose its digits far from 0.
        variance = mean(masked(tf.square(x - centre), mask))
        scale = tf.math.rsqrt(variance + self.epsilon) * as_tensor(self.gamma, dtype)
        outputs = (x - centre) * scale + as_tensor(self.beta, dtype)
        return tf.cast(masked(outputs, mask), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
