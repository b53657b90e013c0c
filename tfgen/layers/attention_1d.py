"""`Attention1D`: what the attention blocks of a U-Net share."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_flag, check_seed, check_whole
from tfgen.layers.group_norm import masked
from tfgen.layers.initializers import weight_seeds
from tfgen.layers.products import as_tensor, dense

EPSILON = 1e-6  # added to a mean of squares
MASKED = -1e30  # finite: a sequence of padding alone has a softmax, too


class Attention1D(keras.layers.Layer):
    """An attention block, around which the inputs pass: `inputs + join(attend(norm(inputs)))`.

    A subclass says how is attended, in `attend`, and may make weights of its own in `build`. The
    norm divides each position by its root mean square (arXiv:1910.07467).

    Its arguments are those of `SelfAttention1D`.
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

    def _make_weights(self, channels, zero_kernel):
        hidden = self.heads * self.head_width
        seeds = [keras.initializers.GlorotUniform(seed) for seed in weight_seeds(self.seed, 2)]
        self.gain = self.add_weight((channels,), "ones", autocast=False, name="gain")
        self.qkv_kernel = self.add_weight((channels, 3 * hidden), seeds[0], name="qkv_kernel")
        self.output_kernel = self.add_weight(
            (hidden, channels), "zeros" if zero_kernel else seeds[1], name="output_kernel"
        )
        self.output_bias = self.add_weight((channels,), "zeros", name="output_bias")

    def attend(self, queries, keys, values, mask):
        """What the heads gather: each argument and the result `(batch, heads, time, head_width)`.

        Args:
            queries: What is looked for.
            keys: What is there.
            values: What is gathered.
            mask: bool `(batch, time)` or None.
        """
        raise NotImplementedError

    def join(self, hidden):
        """The outputs of the heads `(batch, time, heads * head_width)` as channels."""
        return dense(hidden, self.output_kernel, self.output_bias)

    def call(self, inputs, mask=None):
        inputs = masked(inputs, mask)
        joined = dense(rms_norm(inputs, self.gain), self.qkv_kernel)
        hidden = self.attend(*split_heads(joined, self.heads, self.head_width), mask)
        return masked(inputs + self.join(merge_heads(hidden)), mask)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}


def rms_norm(inputs, gain):
    """Inputs `(..., channels)` divided by their root mean square, times a gain `(channels,)`."""
    # In float32 at least: squares overflow float16 above 256.
    dtype = tf.float64 if inputs.dtype == tf.float64 else tf.float32
    x = tf.cast(inputs, dtype)
    x *= tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + EPSILON)
    return tf.cast(x * as_tensor(gain, dtype), inputs.dtype)


def split_heads(joined, heads, head_width):
    """Queries, keys and values, each `(batch, heads, time, head_width)`, from one product.

    Args:
        joined: `(batch, time, 3 * heads * head_width)`: all queries, then all keys, all values.
        heads: Number of heads.
        head_width: Features of a head.
    """
    shape = tf.concat([tf.shape(joined)[:2], [heads, head_width]], axis=0)
    parts = tf.split(joined, 3, axis=-1)
    return [tf.transpose(tf.reshape(part, shape), [0, 2, 1, 3]) for part in parts]


def merge_heads(tensor):
    """`(batch, heads, time, head_width)` to `(batch, time, heads * head_width)`."""
    tensor = tf.transpose(tensor, [0, 2, 1, 3])
    shape = tf.concat([tf.shape(tensor)[:2], [tensor.shape[2] * tensor.shape[3]]], axis=0)
    return tf.reshape(tensor, shape)
