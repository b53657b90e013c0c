"""The products and the attention of a decoding loop, where one position is read at a time.

What XLA makes of them on a CPU decides here. It computes a product of one row by a single thread,
but a sum of elementwise products, whose slices are written out, by all of them and in vectors.
"""

import functools
import operator

import numpy as np
import tensorflow as tf

# Slots of a cache that are read at once; capacities are multiples of it.
BLOCK = 64
# A row is cut into about so many slices, if they are whole vectors of a CPU; fewer for int8.
_SLICES = 12
_SMALL_SLICES = 8


def vector_product(row, weights, scale=None):
    """`row @ weights.T`, for one row.

    Args:
        row: float32 `(1, features)`.
        weights: float32 or int8 `(outputs, features)`.
        scale: float32 `(outputs,)` that int8 weights are multiplied by, or None.

    Returns:
        float32 `(1, outputs)`.
    """
    outputs, features = weights.shape
    lanes = _lanes(features, _SLICES if scale is None else _SMALL_SLICES)
    parts = [
        tf.cast(weights[:, first : first + lanes], row.dtype) * row[:, first : first + lanes]
        for first in range(0, features, lanes)
    ]
    result = tf.reshape(_sum_lanes(parts), [1, outputs])
    return result if scale is None else result * scale


def quantize(value):
    """Rounds weights to int8: symmetric, with a scale for each output.

    Args:
        value: NumPy float32 `(outputs, features)`.

    Returns:
        NumPy int8 `(outputs, features)` and float32 `(outputs,)`; their product is near the value.
    """
    largest = np.abs(value).max(axis=1)
    scale = (np.where(largest > 0, largest, 1.0) / 127.0).astype(np.float32)
    return np.round(value / scale[:, None]).astype(np.int8), scale


def _sum_last(tensor):
    """The sum over the last axis, `(..., width)` -> `(...)`."""
    lanes = _lanes(tensor.shape[-1], 2)
    parts = [tensor[..., i : i + lanes] for i in range(0, tensor.shape[-1], lanes)]
    return tf.reshape(_sum_lanes(parts), tf.shape(tensor)[:-1])


def _sum_lanes(parts):
    """The sum of tensors and of their last axis, `(rows, 1)`."""
    total = functools.reduce(operator.add, parts)
    lanes = total.shape[-1]
    # By a product: a reduction would be fused with the sum, which then is not in vectors.
    return tf.matmul(tf.reshape(total, [-1, lanes]), tf.ones([lanes, 1], total.dtype))


def _lanes(features, slices):
    """Length of the slices that a row of so many features is cut into."""
    fitting = [n for n in range(1, features + 1) if features % n == 0 and features // n <= 64]
    # Whole vectors of 16 numbers first, then a number of slices that is near the best.
    return min(fitting, key=lambda lanes: (lanes % 16 != 0, abs(features // lanes - slices)))


def cache_dtype(dtype):
    """The dtype that a cache of this dtype is kept in: bfloat16 as the bits that it has.

    XLA on a CPU turns a whole bfloat16 tensor into float32 and back where a part of it is written.
    """
    return tf.uint16 if tf.as_dtype(dtype) == tf.bfloat16 else tf.as_dtype(dtype)


def to_cache(tensor, dtype):
    """A float tensor as a cache of `cache_dtype` keeps it."""
    if dtype == tf.uint16:
        return tf.bitcast(tf.cast(tensor, tf.bfloat16), tf.uint16)
    return tf.cast(tensor, dtype)


def from_cache(tensor):
    """What a cache keeps, as float32."""
    if tensor.dtype != tf.uint16:
        return tf.cast(tensor, tf.float32)
    # The upper half of a float32 is a bfloat16.
    bits = tf.bitwise.left_shift(tf.cast(tensor, tf.uint32), tf.constant(16, tf.uint32))
    return tf.bitcast(bits, tf.float32)


def attend_cached(queries, keys, values, layer, visible, bias, used):
    """Attention of one position to a cache, block by block, up to the last slot that is used.

    The softmax runs along with the blocks (Milakov and Gimelshein, arXiv:1805.02867), so that what
    has not been written is not read.

    Args:
        queries: `(batch, heads, 1, width)`.
        keys: As a cache keeps them, `(batch, layers, kv_heads, slots, width)`, `slots` a multiple
            of `BLOCK`.
        values: Like the keys.
        layer: int32 scalar, of which layer's keys and values.
        visible: bool `(batch, slots)`.
        bias: float32 `(batch, heads, slots)` added to the scores, or None.
        used: int32 scalar: how many slots, from the first, hold anything.

    Returns:
        `(batch, heads, 1, width)`.
    """
    batch, width = queries.shape[0], queries.shape[3]
    batch = tf.shape(queries)[0] if batch is None else batch
    heads, kv_heads, slots = queries.shape[1], keys.shape[2], tf.shape(keys)[3]
    grouped = [batch, kv_heads, heads // kv_heads]
    dtype = queries.dtype
    queries = tf.cast(tf.reshape(queries, [*grouped, 1, width]), tf.float32) * width**-0.5
    limits = tf.where(visible, 0.0, -1e30)[:, None, None]  # (batch, 1, 1, slots)
    if bias is not None:
        limits += tf.reshape(bias, [*grouped, slots])
    limits = tf.broadcast_to(limits, [*grouped, slots])

    def body(block, largest, total, mean):
        first = block * BLOCK
        begin = tf.stack([0, layer, 0, first, 0])
        size = [batch, 1, kv_heads, BLOCK, width]
        some_keys, some_values = (
            tf.reshape(from_cache(tf.slice(cache, begin, size)), [*grouped[:2], 1, BLOCK, width])
            for cache in (keys, values)
        )
        scores = _sum_last(some_keys * queries)  # (batch, kv_heads, group, BLOCK)
        scores += tf.slice(limits, tf.stack([0, 0, 0, first]), [*grouped, BLOCK])
        larger = tf.maximum(largest, tf.reduce_max(scores, axis=-1))
        # A block of hidden slots does no harm: what it adds is multiplied by 0 as soon as one that
        # is seen comes.
        weights, fading = tf.exp(scores - larger[..., None]), tf.exp(largest - larger)
        added = tf.reduce_sum(weights[..., None] * some_values, axis=3)
        total = total * fading + tf.reduce_sum(weights, axis=-1)
        mean = mean * fading[..., None] + added
        carried = zip((larger, total, mean), shapes, strict=True)
        return block + 1, *(tf.ensure_shape(tensor, shape) for tensor, shape in carried)

    begun = (tf.fill(grouped, -1e30), tf.zeros(grouped), tf.zeros([*grouped, width]))
    shapes = [x.shape for x in begun]
    blocks = (used + BLOCK - 1) // BLOCK
    _, _, total, mean = tf.while_loop(
        lambda block, *_: block < blocks, body, (tf.constant(0), *begun)
    )
    outputs = tf.reshape(mean / total[..., None], [batch, heads, 1, width])
    return tf.cast(outputs, dtype)
