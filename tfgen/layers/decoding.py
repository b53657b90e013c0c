"""The products and the attention of a decoding loop, where one position is read at a time.

What XLA makes of them on a CPU decides here. It computes a product of one row by a single thread,
but a sum of elementwise products, whose slices are written out, by all of them and in vectors.
"""

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import tensorflow as tf

# Slots of a cache that are read at once; capacities are multiples of it.
BLOCK = 64
# A row is cut into about so many slices, if they are whole vectors of a CPU.
_SLICES = 24


def vector_product(row, weights, zero=None):
    """`row @ weights.T`, for one row.

    Args:
        row: float32 `(1, features)`.
        weights: float32 `(outputs, features)`, or `SmallWeights`.
        zero: int32 scalar, 0, that is known only inside the loop: it keeps XLA from widening small
            weights once, before the loop, and then reading the wide ones.

    Returns:
        float32 `(1, outputs)`.
    """
    scale = None
    unpack = [lambda words: words]
    if isinstance(weights, SmallWeights):
        weights, scale, unpack = weights.words, weights.scale, _UNPACK[weights.kind]
        zero = 0 if zero is None else zero
        pass
    outputs, columns = weights.shape
    lanes = _lanes(columns)
    total = None
    for first in range(0, columns, lanes):
        words = weights[:, first : first + lanes]
        for part, widen in enumerate(unpack):
            begin = part * columns + first
            product = widen(words) * row[:, begin : begin + lanes]
            total = product if total is None else total + product
    # By a product: a reduction would be fused with the sum, which then is not in vectors.
    result = tf.reshape(tf.matmul(total, tf.ones([total.shape[1], 1])), [1, outputs])
    return result if scale is None else result * scale


class SmallWeights(NamedTuple):
    """Weights of fewer bits, several in a word, so that widening them costs two operations.

    Attributes:
        kind: `"bfloat16"` or `"int8"`.
        words: int32 `(outputs, features / 2 or 4)`: the bits of feature `i` stand in word `i` of
            its half or quarter of the features.
        scale: float32 `(outputs,)` that int8 weights are multiplied by, or None.
    """

    kind: str
    words: Any
    scale: Any = None


def small_weights(value, kind):
    """Packs weights.

    Args:
        value: NumPy float32 `(outputs, features)`.
        kind: `"bfloat16"`, or `"int8"`: symmetric, with a scale for each output.

    Returns:
        `(small, rounded)`: `SmallWeights`, or None where the features are no multiple of 4, and the
        NumPy float32 values that they stand for.
    """
    if kind == "bfloat16":
        rounded = value.astype(ml_dtypes.bfloat16)
        bits, scale = rounded.view(np.uint16).astype(np.uint32), None
        rounded = rounded.astype(np.float32)
    else:
        largest = np.abs(value).max(axis=1)
        scale = np.where(largest > 0, largest, 1.0).astype(np.float32) / np.float32(127)
        quotient = np.round(value / scale[:, None]).astype(np.int8)
        bits = quotient.view(np.uint8).astype(np.uint32)
        rounded = quotient.astype(np.float32) * scale[:, None]
    if value.shape[1] % 4:
        return None, rounded
    parts = np.split(bits, len(_UNPACK[kind]), axis=1)
    width = 32 // len(parts)
    words = sum(part << np.uint32(width * place) for place, part in enumerate(parts))
    scale = None if scale is None else tf.constant(scale)
    return SmallWeights(kind, tf.constant(words.astype(np.uint32).view(np.int32)), scale), rounded


def _half(place):
    """float32 of a bfloat16: its bits are the upper half of the float's."""
    if place == 0:
        return lambda words: tf.bitcast(tf.bitwise.left_shift(words, 16), tf.float32)
    mask = np.int32(-65536)
    return lambda words: tf.bitcast(tf.bitwise.bitwise_and(words, mask), tf.float32)


def _quarter(place):
    """float32 of the signed byte number `place` of a word."""

    def widen(words):
        words = tf.bitwise.left_shift(words, 24 - 8 * place) if place < 3 else words
        return tf.cast(tf.bitwise.right_shift(words, 24), tf.float32)

    return widen


_UNPACK = {
    "bfloat16": [_half(place) for place in range(2)],
    "int8": [_quarter(place) for place in range(4)],
}


def _lanes(columns):
    """Length of the slices that a row of so many columns is cut into."""
    fitting = [n for n in range(1, columns + 1) if columns % n == 0 and columns // n <= 64]
    # Whole vectors of 16 numbers first, then a number of slices that is near the best.
    return min(fitting, key=lambda lanes: (lanes % 16 != 0, abs(columns // lanes - _SLICES)))


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
