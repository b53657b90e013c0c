"""`SelfAttention1D`: every position attends to every other, around which the inputs pass."""

import keras
import tensorflow as tf

from tfgen.layers.attention_1d import MASKED, Attention1D


@keras.saving.register_keras_serializable(package="tfgen")
class SelfAttention1D(Attention1D):
    """The attention block of a U-Net: `inputs + join(attend(norm(inputs)))`.

    Multi-head attention (arXiv:1706.03762, section 3.2) to the valid positions, before and behind,
    without a notion of their order: the convolutions around it have that. The norm divides each
    position by its root mean square (arXiv:1910.07467). Time and memory grow with the square of the
    length; see `LinearAttention1D`.

    Args:
        heads: Number of heads.
        head_width: Features of a head.
        zero_init: Whether the product that joins the heads begins with zeros, so that the block
            begins by handing its inputs on.
        seed: Integer that the weights are sampled from, or None.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, channels)`.
        mask: Optional bool `(batch, time)`; where it is False, nobody attends and outputs are 0.

    Returns:
        Float `(batch, time, channels)`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def build(self, input_shape):
        self._make_weights(input_shape[-1], zero_kernel=self.zero_init)

    def attend(self, queries, keys, values, mask):
        scores = tf.matmul(queries * self.head_width**-0.5, keys, transpose_b=True)
        if scores.dtype != tf.float64:
            scores = tf.cast(scores, tf.float32)
        if mask is not None:
            scores = tf.where(mask[:, None, None], scores, tf.cast(MASKED, scores.dtype))
        weights = tf.cast(tf.nn.softmax(scores), values.dtype)  # (batch, heads, time, time)
        return tf.matmul(weights, values)
