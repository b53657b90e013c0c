"""`LinearAttention1D`: attention whose cost grows with the length, not with its square."""

import keras
import tensorflow as tf

from tfgen.layers.attention_1d import MASKED, Attention1D, rms_norm


@keras.saving.register_keras_serializable(package="tfgen")
class LinearAttention1D(Attention1D):
    """`inputs + norm(join(attend(norm(inputs))))` with efficient attention (arXiv:1812.01243).

    Each feature of the keys has a softmax over the positions, by which it gathers a summary of all
    values; the queries, with a softmax over their features, mix the summaries. Norms divide each
    position by its root mean square (arXiv:1910.07467). This is the block of lucidrains'
    `denoising_diffusion_pytorch`.

    Args:
        heads: Number of heads.
        head_width: Features of a head.
        zero_init: Whether the gain of the last norm begins with zeros, so that the block begins by
            handing its inputs on.
        seed: Integer that the weights are sampled from, or None.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, channels)`.
        mask: Optional bool `(batch, time)`; where it is False, values are not gathered and outputs
            are 0.

    Returns:
        Float `(batch, time, channels)`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def build(self, input_shape):
        channels = input_shape[-1]
        self._make_weights(channels, zero_kernel=False)
        self.output_gain = self.add_weight(
            (channels,),
            "zeros" if self.zero_init else "ones",
            autocast=False,
            name="output_gain",
        )

    def attend(self, queries, keys, values, mask):
        dtype = tf.float64 if keys.dtype == tf.float64 else tf.float32
        queries = tf.nn.softmax(tf.cast(queries, dtype)) * self.head_width**-0.5
        keys = tf.cast(keys, dtype)
        if mask is not None:
            keys = tf.where(mask[:, None, :, None], keys, tf.cast(MASKED, dtype))
        keys = tf.cast(tf.nn.softmax(keys, axis=2), values.dtype)  # over positions
        summaries = tf.matmul(keys, values, transpose_a=True)  # (..., head_width, head_width)
        return tf.matmul(tf.cast(queries, values.dtype), summaries)

    def join(self, hidden):
        return rms_norm(super().join(hidden), self.output_gain)
