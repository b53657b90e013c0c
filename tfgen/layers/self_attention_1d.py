"""`SelfAttention1D`: every position attends to every other, around which the inputs pass."""

import keras
import tensorflow as tf

from tfgen.layers.checks import check_flag, check_seed, check_whole
from tfgen.layers.group_norm import masked
from tfgen.layers.initializers import weight_seeds
from tfgen.layers.products import as_tensor, dense

EPSILON = 1e-6  # added to a mean of squares


@keras.saving.register_keras_serializable(package="tfgen")
class SelfAttention1D(keras.layers.Layer):
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
        seed: Whole number that the weights are drawn from, or None.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, channels)`.
        mask: Optional bool `(batch, time)`; where it is False, nobody attends and outputs are 0.

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
        self.output_kernel = self.add_weight(
            (hidden, channels), "zeros" if self.zero_init else seeds[1], name="output_kernel"
        )
        self.output_bias = self.add_weight((channels,), "zeros", name="output_bias")

    def call(self, inputs, mask=None):
        inputs = masked(inputs, mask)
        queries, keys, values = split_heads(
            dense(rms_norm(inputs, self.gain), self.qkv_kernel), self.heads, self.head_width
        )
        queries, keys, values = (
            tf.transpose(part, [0, 2, 1, 3]) for part in (queries, keys, values)
        )  # (batch, heads, time, head_width)
        scores = tf.matmul(queries * self.head_width**-0.5, keys, transpose_b=True)
        if scores.dtype != tf.float64:
            scores = tf.cast(scores, tf.float32)
        if mask is not None:
            # A large finite number: a sequence of padding alone has a softmax, too.
            scores = tf.where(mask[:, None, None], scores, tf.cast(-1e30, scores.dtype))
        weights = tf.cast(tf.nn.softmax(scores), values.dtype)  # (batch, heads, time, time)
        hidden = tf.matmul(weights, values)  # (batch, heads, time, head_width)
        outputs = dense(merge_heads(hidden), self.output_kernel, self.output_bias)
        return masked(inputs + outputs, mask)

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


def rms_norm(inputs, gain):
    """Inputs `(..., channels)` divided by their root mean square, times a gain `(channels,)`."""
    # In float32 at least: squares overflow float16 above 256.
    dtype = tf.float64 if inputs.dtype == tf.float64 else tf.float32
    x = tf.cast(inputs, dtype)
    x *= tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + EPSILON)
    return tf.cast(x * as_tensor(gain, dtype), inputs.dtype)


def split_heads(joined, heads, head_width):
    """Queries, keys and values, each `(batch, time, heads, head_width)`, from one product.

    Args:
        joined: `(batch, time, 3 * heads * head_width)`: all queries, then all keys, all values.
        heads: Number of heads.
        head_width: Features of a head.
    """
    shape = tf.concat([tf.shape(joined)[:2], [heads, head_width]], axis=0)
    return [tf.reshape(part, shape) for part in tf.split(joined, 3, axis=-1)]


def merge_heads(tensor):
    """`(batch, heads, time, head_width)` to `(batch, time, heads * head_width)`."""
    tensor = tf.transpose(tensor, [0, 2, 1, 3])
    shape = tf.concat([tf.shape(tensor)[:2], [tensor.shape[2] * tensor.shape[3]]], axis=0)
    return tf.reshape(tensor, shape)
