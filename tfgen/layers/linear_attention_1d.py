"""`LinearAttention1D`: attention whose cost grows with the length, not with its square."""

import keras
import tensorflow as tf

from tfgen.layers.checks import check_flag, check_seed, check_whole
from tfgen.layers.group_norm import masked
from tfgen.layers.initializers import weight_seeds
from tfgen.layers.products import dense
from tfgen.layers.self_attention_1d import merge_heads, rms_norm, split_heads


@keras.saving.register_keras_serializable(package="tfgen")
class LinearAttention1D(keras.layers.Layer):
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
        seed: Whole number that the weights are drawn from, or None.
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

    def __init__(self, heads=4, head_width=32, zero_init=True, seed=None, **kwargs):
        check_whole(1, heads=heads, head_width=head_width)
        check_flag(zero_init=zero_init)
        check_seed(seed)
        super().__init__(**kwargs)
        self.heads = heads
        self.head_width = head_width
        self.zero_init = zero_init
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        channels, hidden = input_shape[-1], self.heads * self.head_width
        seeds = [keras.initializers.GlorotUniform(seed) for seed in weight_seeds(self.seed, 2)]
        self.gain = self.add_weight((channels,), "ones", autocast=False, name="gain")
        self.qkv_kernel = self.add_weight((channels, 3 * hidden), seeds[0], name="qkv_kernel")
        self.output_kernel = self.add_weight((hidden, channels), seeds[1], name="output_kernel")
        self.output_bias = self.add_weight((channels,), "zeros", name="output_bias")
        self.output_gain = self.add_weight(
            (channels,),
            "zeros" if self.zero_init else "ones",
            autocast=False,
            name="output_gain",
        )

    def call(self, inputs, mask=None):
        inputs = masked(inputs, mask)
        queries, keys, values = split_heads(
            dense(rms_norm(inputs, self.gain), self.qkv_kernel), self.heads, self.head_width
        )
        dtype = tf.float64 if keys.dtype == tf.float64 else tf.float32
        queries = tf.nn.softmax(tf.cast(queries, dtype)) * self.head_width**-0.5
        queries = tf.transpose(tf.cast(queries, values.dtype), [0, 2, 1, 3])
        keys = tf.transpose(tf.cast(keys, dtype), [0, 2, 3, 1])  # positions last
        if mask is not None:
            # A large finite number: a sequence of padding alone has a softmax, too.
            keys = tf.where(mask[:, None, None], keys, tf.cast(-1e30, dtype))
        keys = tf.cast(tf.nn.softmax(keys), values.dtype)
        values = tf.transpose(values, [0, 2, 1, 3])
        summaries = tf.matmul(keys, values)  # (batch, heads, head_width, head_width)
        hidden = tf.matmul(queries, summaries)  # (batch, heads, time, head_width)
        outputs = dense(merge_heads(hidden), self.output_kernel, self.output_bias)
        return masked(inputs + rms_norm(outputs, self.output_gain), mask)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.heads,
            "head_width": self.head_width,
            "zero_init": self.zero_init,
            "seed": self.seed,
        }
