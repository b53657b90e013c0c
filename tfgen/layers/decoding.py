"""The products and the attention of a decoding loop, where one position is read at a time.

What XLA makes of them on a CPU decides here. It computes a product of one row by a single thread,
but a sum of elementwise products, whose slices are written out, by all of them and in vectors.
"""

import numpy as np
import tensorflow as tf

# Slots of a cache that are read at once; capacities are multiples of it.
BLOCK = 64
# A row is cut into about so many slices, if they are whole vectors of a CPU; fewer for int8.
_SLICES = 24
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
    total = None
    for first in range(0, features, lanes):
        part = tf.cast(weights[:, first : first + lanes], row.dtype) * row[:, first : first + lanes]
        total = part if total is None else total + part
    # By a product: a reduction would be fused with the sum, which then is not in vectors.
    result = tf.reshape(tf.matmul(total, tf.ones([lanes, 1], row.dtype)), [1, outputs])
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


def _lanes(features, slices):
    """Length of the slices that a row of so many features is cut into."""
    fitting = [n for n in range(1, features + 1) if features % n == 0 and features // n <= 64]
    # Whole vectors of 16 numbers first, then a number of slices that is near the best.
    return min(fitting, key=lambda lanes: (lanes % 16 != 0, abs(features // lanes - slices)))


def attend_cached(queries, keys, values, visible, bias, used):
    """Attention of one position to a cache, block by block, up to the last slot that is used.

    The softmax runs along with the blocks (Milakov and Gimelshein, arXiv:1805.02867), so that what
    has not been written is not read.

    Args:
        queries: `(batch, heads, 1, width)`.
        keys: `(batch, kv_heads, slots, width)`, `slots` a multiple of `BLOCK`.
        values: Like the keys.
        visible: bool `(batch, slots)`.
        bias: float32 `(batch, heads, slots)` added to the scores, or None.
        used: int32 scalar: how many slots, from the first, hold anything.

    Returns:
        `(batch, heads, 1, width)`.
    """
    batch, width = queries.shape[0], queries.shape[3]
    batch = tf.shape(queries)[0] if batch is None else batch
    heads, kv_heads = queries.shape[1], keys.shape[1]
    grouped = [batch, kv_heads, heads // kv_heads]
    dtype = queries.dtype
    queries = tf.cast(tf.reshape(queries, [*grouped, 1, width]), tf.float32) * width**-0.5
    limits = tf.where(visible, 0.0, -1e30)[:, None, None]  # (batch, 1, 1, slots)
    if bias is not None:
        limits += tf.reshape(bias, [*grouped, tf.shape(keys)[2]])
    limits = tf.broadcast_to(limits, [*grouped, tf.shape(keys)[2]])

    def body(block, largest, total, mean):
        first = block * BLOCK
        begin = tf.stack([0, 0, first, 0])
        size = [batch, kv_heads, BLOCK, width]
        some_keys, some_values = (
            tf.cast(tf.slice(cache, begin, size), tf.float32)[:, :, None]
            for cache in (keys, values)
        )
        scores = tf.reduce_sum(some_keys * queries, axis=-1)  # (batch, kv_heads, group, BLOCK)
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
