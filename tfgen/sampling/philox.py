"""Philox, the counter-based generator of TensorFlow, written in operations on integers.

Where a graph is to run without TensorFlow, there is no operation that makes its random numbers.
These functions make the same words as `tf.random` does with `alg="philox"`, so a model that was
converted samples what the live one samples for a seed.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Philox4x32-10.
"""

import tensorflow as tf

_ROUNDS = 10
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_LOWER = 0xFFFFFFFF
# What TensorFlow scrambles a seed with.
_SCRAMBLE = 0x3EC8F720, 0x02461E29


def words(seed, first, count):
    """Returns words of the stream of a seed, as `tf.random.stateless_uniform` has them.

    Args:
        seed: int32 tensor `(2,)`.
        first: Words of the stream that are left out; an integer or an integer scalar tensor.
        count: How many are wanted; likewise.

    Returns:
        int32 tensor `(count,)`.
    """
    # A 64-bit number of each half of the seed, as the cast of an int32 makes it.
    halves = tf.bitcast(tf.cast(seed, tf.int64), tf.uint64)
    mixed = _rounds(_split(halves[0]) + _split(halves[1]), [_word(each) for each in _SCRAMBLE])
    first, count = tf.cast(first, tf.int64), tf.cast(count, tf.int64)
    # Each number of the counter makes four words. It begins at 0 in its lower half.
    index = tf.bitcast(tf.range(first // 4, (first + count + 3) // 4), tf.uint64)
    made = _rounds([*_split(index), mixed[2], mixed[3]], mixed[:2])
    whole = tf.reshape(tf.stack([each + tf.zeros_like(index) for each in made], 1), [-1])
    skipped = tf.cast(first % 4, tf.int32)
    taken = tf.slice(whole, [skipped], [tf.cast(count, tf.int32)])
    return tf.bitcast(tf.cast(taken, tf.uint32), tf.int32)


def _rounds(counter, key):
    """Four words of a counter of four and a key of two, each of 32 bits in a uint64."""
    first, second, third, fourth = counter
    low, high = key
    for _ in range(_ROUNDS):
        one, two = first * _word(_MULTIPLIERS[0]), third * _word(_MULTIPLIERS[1])
        first, second = _xor(_upper(two), second, low), _lower(two)
        third, fourth = _xor(_upper(one), fourth, high), _lower(one)
        low, high = _lower(low + _word(_WEYL[0])), _lower(high + _word(_WEYL[1]))
    return first, second, third, fourth


def _word(value):
    return tf.constant(value, tf.uint64)


def _lower(value):
    return tf.bitwise.bitwise_and(value, _word(_LOWER))


def _upper(value):
    return tf.bitwise.right_shift(value, _word(32))


def _split(value):
    return [_lower(value), _upper(value)]


def _xor(*values):
    first, second, third = values
    return tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(first, second), third)
