"""`CausalSelfAttention`: attention to what stands before, with a cache of keys and values."""

import functools
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.alibi_bias import AlibiBias
from tfgen.layers.checks import (
    MOST_PARTS,
    check,
    check_choice,
    check_flag,
    check_most,
    check_of_use,
    check_positive,
    check_whole,
    check_width,
)
from tfgen.layers.decoding import attend_cached, from_cache, to_cache
from tfgen.layers.fused import piece
from tfgen.layers.products import dense
from tfgen.layers.rotary_embedding import check_scaling, rotate

POSITIONS = ("rotary", "alibi", "none")


class Places(NamedTuple):
    """Where the queries and the keys of an attention stand.

    Attributes:
        queries: int32 `(batch, time)` or `(1, time)`, positions of the inputs.
        keys: int32 `(batch, slots)` or `(1, slots)`, the position that each slot of the cache holds
            once the inputs have been written to it, -1 for none.
        slots: int32 `(time,)`, which slots of the cache the inputs are written to; None puts them
            behind the cache.
        layer: int32 scalar. With `slots` the keys and values of a cache are those of all layers,
            `(batch, layers, kv_heads, slots, head_width)`, and this one's are those of this number.
        used: int32 scalar, how many slots, from the first, hold anything by then; where a single
            position is read, the others are left alone. None is all of them.
    """

    queries: Any
    keys: Any
    slots: Any = None
    layer: Any = None
    used: Any = None

    def visible(self, window=0):
        """bool `(batch, time, slots)`: which keys each query may attend to."""
        queries, keys = self.queries[:, :, None], self.keys[:, None, :]
        visible = (keys >= 0) & (keys <= queries)
        return visible & (queries - keys < window) if window else visible


@keras.saving.register_keras_serializable(package="tfgen")
class CausalSelfAttention(keras.layers.Layer):
    """Multi-head attention of a sequence to its own past (arXiv:1706.03762, section 3.2).

    One product makes queries, keys and values. Several heads may share one head of keys and values
    (grouped queries, arXiv:2305.13245), which makes the cache smaller by that factor.

    Args:
        heads: Number of heads.
        width: Features in and out.
        kv_heads: Heads of keys and values, a divisor of `heads`; None takes `heads`.
        head_width: Features of a head; None takes `width / heads`.
        positions: `"rotary"` (see `RotaryEmbedding`), `"alibi"` (see `AlibiBias`) or `"none"`.
        rotary_base: The longest wavelength of rotary positions is `2 pi` times this.
        rotary_scaling: How rotary positions are stretched for longer sequences: `[factor]`, or
            Llama 3.1's `[factor, low, high, length]`, see `RotaryEmbedding`; None is not at all.
        window: Positions that each one attends to, itself included; 0 is all before it. With a
            window a cache can be a ring: a position costs the same however long the sequence is.
        qk_norm: Normalise queries and keys by their root mean square, with a learned gain for each
            feature (arXiv:2010.04245, arXiv:2302.05442).
        bias: Whether the products have biases.
        norm_epsilon: Added to the mean square.
        conv: Width of a causal convolution over the positions, of each feature of the queries, keys
            and values by itself; 0 is none (arXiv:2109.08668, section 3.2).
        kernel_initializer: Keras initialiser of the product that makes queries, keys and values.
        output_initializer: Keras initialiser of the product that joins the heads.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, width)`.
        places: `Places`; None counts the positions from 0.
        cache: `(keys, values)`, each `(batch, kv_heads, slots, head_width)` and as
            `tfgen.layers.decoding.to_cache` keeps them, and with `conv` as a
            third the features of the last `conv - 1` positions `(batch, conv - 1, features)`; or
            None.
        drop: Function `(tensor) -> tensor` for the attention's probabilities, or None.
        product: See `FeedForward`.
        fuse: See `tfgen.layers.fused`.

        return_cache: Whether to return the cache as well; None does where one is given.

    Returns:
        Float `(batch, time, width)`; with the cache `(outputs, cache)`, whose third, if there is
        one, then has the new positions' features behind the others.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> layer = CausalSelfAttention(heads=2, width=8)
    >>> layer(tf.zeros((1, 5, 8))).shape
    TensorShape([1, 5, 8])
    """

    def __init__(
        self,
        heads,
        width,
        kv_heads=None,
        head_width=None,
        positions="rotary",
        rotary_base=10000.0,
        window=0,
        qk_norm=False,
        bias=False,
        norm_epsilon=1e-5,
        conv=0,
        rotary_scaling=None,
        kernel_initializer="glorot_uniform",
        output_initializer="glorot_uniform",
        **kwargs,
    ):
        check_whole(1, heads=heads, width=width)
        kv_heads = heads if kv_heads is None else kv_heads
        check_whole(1, kv_heads=kv_heads)
        check(heads % kv_heads == 0, f"kv_heads must divide heads == {heads}", kv_heads=kv_heads)
        if head_width is None:
            check(width % heads == 0, f"heads must divide width == {width}", heads=heads)
            head_width = width // heads
        check_whole(1, head_width=head_width)
        check_choice(POSITIONS, positions=positions)
        check(
            positions != "rotary" or head_width % 2 == 0,
            "head_width must be even for rotary positions",
            head_width=head_width,
        )
        check_positive(rotary_base=rotary_base, norm_epsilon=norm_epsilon)
        check_of_use(positions == "rotary", "positions='rotary'", 10000.0, rotary_base=rotary_base)
        check_whole(0, window=window, conv=conv)
        check_most(MOST_PARTS, heads=heads, conv=conv)
        check_flag(bias=bias)
        super().__init__(autocast=False, **kwargs)  # caches keep their own dtype
        self.heads = heads
        self.width = width
        self.kv_heads = kv_heads
        self.head_width = head_width
        self.positions = positions
        self.rotary_base = rotary_base
        self.rotary_scaling = check_scaling(rotary_scaling=rotary_scaling)
        self.window = window
        self.qk_norm = check_flag(qk_norm=qk_norm)
        self.bias = bias
        self.norm_epsilon = norm_epsilon
        self.conv = conv
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.output_initializer = keras.initializers.get(output_initializer)
        self.alibi = self.query_norm = self.key_norm = None
        if positions == "alibi":
            self.alibi = AlibiBias(heads, dtype=self.dtype_policy)
        if self.qk_norm:
            options = {"epsilon": norm_epsilon, "dtype": self.dtype_policy}
            self.query_norm = keras.layers.RMSNormalization(name="query_norm", **options)
            self.key_norm = keras.layers.RMSNormalization(name="key_norm", **options)

    def build(self, input_shape=None):
        check_width(self.width, input_shape)
        joined = (self.heads + 2 * self.kv_heads) * self.head_width
        self.qkv_kernel = self.add_weight(
            (self.width, joined), self.kernel_initializer, name="qkv_kernel"
        )
        self.output_kernel = self.add_weight(
            (self.heads * self.head_width, self.width),
            self.output_initializer,
            name="output_kernel",
        )
        self.conv_kernel = None
        if self.conv:
            # At first each position keeps its own features alone.
            self.conv_kernel = self.add_weight((self.conv, joined), _first_row, name="conv_kernel")
        self.qkv_bias = self.output_bias = None
        if self.bias:
            self.qkv_bias = self.add_weight((joined,), "zeros", name="qkv_bias")
            self.output_bias = self.add_weight((self.width,), "zeros", name="output_bias")
        for norm in (self.query_norm, self.key_norm):
            if norm is not None:
                norm.build((None, None, None, self.head_width))

    @property
    def kernels(self):
        """The matrices of its products."""
        return [self.qkv_kernel, self.output_kernel]

    def call(
        self,
        inputs,
        places=None,
        cache=None,
        drop=None,
        product=dense,
        fuse=False,
        return_cache=None,
    ):
        return_cache = cache is not None if return_cache is None else return_cache
        if places is None:
            positions = tf.range(tf.shape(inputs)[1])[None]
            places = Places(positions, positions)
        joined = product(inputs, self.qkv_kernel, self.qkv_bias)
        learned = [self.conv_kernel] if self.conv else []
        norms = [self.query_norm, self.key_norm]
        learned += [norm.scale for norm in norms if norm is not None]
        if self.conv and cache is None:
            joined = tf.pad(joined, [[0, 0], [self.conv - 1, 0], [0, 0]])
        elif self.conv:
            joined = tf.concat([tf.cast(cache[2], joined.dtype), joined], axis=1)
        split = _splitter(
            self.heads,
            self.kv_heads,
            self.head_width,
            self.rotary_base if self.positions == "rotary" else None,
            self.rotary_scaling,
            self.norm_epsilon,
            self.conv,
        )
        queries, keys, values = piece(split, fuse)(joined, places.queries, *learned)
        cached = cache is not None
        if cached:
            keys, values = (to_cache(new, old.dtype) for new, old in zip((keys, values), cache))
            if places.slots is None:
                keys, values = (tf.concat(x, axis=2) for x in zip(cache, (keys, values)))
            else:
                keys, values = (write_slots(*x, places) for x in zip(cache, (keys, values)))
        cache = (keys, values, joined) if self.conv else (keys, values)
        bias = self.alibi(places.queries, places.keys) if self.alibi is not None else None
        visible = places.visible(self.window)
        if places.used is not None and inputs.shape[1] == 1:
            bias = None if bias is None else bias[:, :, 0]
            outputs = attend_cached(
                queries, keys, values, places.layer, visible[:, 0], bias, places.used
            )
        else:
            if places.slots is not None:
                keys, values = (tf.gather(x, places.layer, axis=1) for x in (keys, values))
            if cached:
                keys, values = from_cache(keys), from_cache(values)
            outputs = attend(queries, keys, values, visible[:, None], bias, drop, fuse)
        outputs = product(join_heads(outputs), self.output_kernel, self.output_bias)
        return (outputs, cache) if return_cache else outputs

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}


def attend(queries, keys, values, visible=None, bias=None, drop=None, fuse=False):
    """Scaled dot-product attention.

    Args:
        queries: `(batch, heads, time, width)`.
        keys: `(batch, kv_heads, slots, width)`, `kv_heads` a divisor of `heads`.
        values: Like the keys.
        visible: bool, of a shape that broadcasts to `(batch, heads, time, slots)`, or None.
        bias: Added to the scores; broadcasts likewise.
        drop: Function applied to the probabilities, or None.
        fuse: See `tfgen.layers.fused`.

    Returns:
        `(batch, heads, time, width)`.
    """
    batch, _, time, _ = tf.unstack(tf.shape(queries))
    heads, width = queries.shape[1], queries.shape[3]
    kv_heads, slots = keys.shape[1], tf.shape(keys)[2]
    # The queries that share a head of keys stand below each other: still four dimensions.
    grouped = tf.reshape(queries, [batch, kv_heads, heads // kv_heads * time, width])
    keys, values = tf.cast(keys, queries.dtype), tf.cast(values, queries.dtype)
    scores = tf.matmul(grouped * width**-0.5, keys, transpose_b=True)
    scores = tf.reshape(scores, [batch, heads, time, slots])
    limits = [tensor for tensor in (visible, bias) if tensor is not None]
    weights = piece(_probabilities, fuse)(scores, *limits)
    if drop is not None:
        weights = drop(weights)
    weights = tf.reshape(weights, [batch, kv_heads, heads // kv_heads * time, slots])
    outputs = tf.matmul(weights, values)
    return tf.reshape(outputs, [batch, heads, time, width])


def _probabilities(scores, *limits):
    """The softmax, in float32, of scores with limits: bool, who may be seen, or float, added."""
    x = tf.cast(scores, tf.float32)
    for limit in reversed(limits):
        # Padding may see nothing: a large finite number keeps its softmax defined.
        x = tf.where(limit, x, -1e30) if limit.dtype.is_bool else x + limit
    return tf.cast(tf.nn.softmax(x, axis=-1), scores.dtype)


@functools.cache
def _splitter(heads, kv_heads, head_width, rotary_base, rotary_scaling, norm_epsilon, conv):
    """A function from `(batch, time, joined)` to queries, keys and values, head by head."""

    def split(joined, positions, *learned):
        kernel, gains = (learned[0], learned[1:]) if conv else (None, learned)
        if conv:
            time = tf.shape(joined)[1] - (conv - 1)
            kernel = tf.cast(kernel, joined.dtype)
            joined = tf.add_n(
                [joined[:, conv - 1 - i : conv - 1 - i + time] * kernel[i] for i in range(conv)]
            )
        parts = split_heads(joined, head_width)
        queries, keys, values = tf.split(parts, [heads, kv_heads, kv_heads], axis=1)
        if gains:
            queries, keys = (
                _unit(x, gain, norm_epsilon) for x, gain in zip((queries, keys), gains)
            )
        if rotary_base is not None:
            queries = rotate(queries, positions, rotary_base, rotary_scaling)
            keys = rotate(keys, positions, rotary_base, rotary_scaling)
        return queries, keys, values

    return split


def _first_row(shape, dtype=None):
    return tf.concat([tf.ones([1, shape[1]], dtype), tf.zeros([shape[0] - 1, shape[1]], dtype)], 0)


def _unit(inputs, gain, epsilon):
    """`keras.layers.RMSNormalization`, as a function."""
    x = tf.cast(inputs, tf.float32)
    mean_square = tf.reduce_mean(tf.square(x), axis=-1, keepdims=True)
    return tf.cast(x * tf.math.rsqrt(mean_square + epsilon) * tf.cast(gain, x.dtype), inputs.dtype)


def split_heads(inputs, head_width):
    """`(batch, time, heads * head_width)` -> `(batch, heads, time, head_width)`."""
    batch, time = tf.shape(inputs)[0], tf.shape(inputs)[1]
    heads = inputs.shape[2] // head_width
    return tf.transpose(tf.reshape(inputs, [batch, time, heads, head_width]), [0, 2, 1, 3])


def join_heads(inputs):
    """`(batch, heads, time, head_width)` -> `(batch, time, heads * head_width)`."""
    batch, time = tf.shape(inputs)[0], tf.shape(inputs)[2]
    outputs = tf.transpose(inputs, [0, 2, 1, 3])
    return tf.reshape(outputs, [batch, time, inputs.shape[1] * inputs.shape[3]])


def write_slots(cache, new, places):
    """`new` `(batch, heads, time, width)` in `places.slots` of the layer's part of a cache."""
    for index in range(new.shape[2]):
        start = [0, places.layer, 0, tf.gather(places.slots, index), 0]
        cache = keras.ops.slice_update(cache, start, new[:, None, :, index : index + 1])
    return cache
