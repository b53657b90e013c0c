"""Every random number of tfgen: stateless, and the same in eager, graph and XLA code.

TensorFlow's own stateless floats differ between XLA and everything else; its Philox bits do not.
So bits are drawn here and turned into floats by arithmetic that has no room to differ:

- `uniform` keeps the upper 23 bits `n` of a word and returns `(n + 0.5) / 2**23`, exact in float32.
- `normal` and `gumbel` put that number through the inverse of the distribution function in
  float64 and round the result to float32. The two compilers' float64 functions differ in the last
  of 53 bits, of which 24 remain: all 2**23 possible values agree, and a test checks each of them.

A key is an int32 tensor `(2,)`. `root` makes one of a seed and a purpose, `fold` makes another of a
key and a number (a step, a call, a layer), and a key always gives the same draw. Draws are
prefix-stable: the first rows of a `(batch, ...)` draw do not depend on the batch size.

    key = fold(root(seed, DROPOUT), step)
    mask = bernoulli_mask(key, [batch, units], keep=0.9)
"""

import contextlib
import numbers
import random as python_random
import threading

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.sampling import philox

# What a stream of random numbers is for. Streams of one seed with different purposes are
# unrelated. A value never changes, or the same seed would no longer give the same sample.
SAMPLING = 1
DROPOUT = 2
DATA = 3
INITIAL = 4
EVALUATION = 5

_PHILOX = 1  # to a raw operation
_SCRAMBLE = np.array([0x02461E293EC8F720], np.uint64)  # TensorFlow's
# Each thread's own, because the replicas of a mirrored strategy are traced in threads.
_local = threading.local()


def root(seed, purpose):
    """Returns the key of a seed for one purpose.

    Args:
        seed: Python (or NumPy) integer of at most 64 bits, signed or unsigned, or an int32 or int64
            scalar tensor. An integer and a tensor of the same value give the same key.
        purpose: One of `SAMPLING`, `DROPOUT`, `DATA`, `INITIAL`, `EVALUATION`.

    Returns:
        int32 tensor `(2,)`.

    Raises:
        InputError: If `seed` is no integer or has more than 64 bits.
    """
    return fold(tf.bitcast(seed_tensor(seed), tf.int32), purpose)


def fold(key, data):
    """Returns a new key of a key and an integer.

    Keys folded from one key with different `data` are different.

    Args:
        key: int32 tensor `(2,)`.
        data: Python integer or integer scalar tensor; its lower 32 bits count.
    """
    data = tf.cast(data, tf.int32)
    drawn = philox.words(key, 0, 1)[0] if _arithmetic() else _bits(key, [])
    return tf.stack([drawn, data])


def bits(key, shape):
    """Returns an int32 tensor of `shape` whose 32 bits are all random."""
    part = current_part()
    begin = getattr(_local, "begin", None)
    if begin is not None:
        return _bits_from(begin, key, shape)
    if part is None:
        return _bits(key, shape)
    index, count = part
    rows, *rest = tf.unstack(tf.convert_to_tensor(shape, tf.int32))
    drawn = _bits(key, [rows * count, *rest])
    return tf.slice(drawn, [index * rows, *[0] * len(rest)], [rows, *rest])


def _bits(key, shape):
    """As `tf.random.stateless_uniform` with `alg="philox"`, which takes 30 operations."""
    shape = tf.convert_to_tensor(shape, tf.int32)
    if _arithmetic():
        return tf.reshape(philox.words(key, 0, tf.reduce_prod(shape)), shape)
    return _words(shape, *_scrambled(key))


def _scrambled(key):
    """The key and the counter with which Philox starts, as tensors `(1,)` and `(2,)`."""
    mixed = _words([2], _SCRAMBLE, tf.cast(key, tf.uint64), tf.uint64)
    return mixed[:1], tf.concat([tf.zeros([1], tf.uint64), mixed[1:]], 0)


def _words(shape, key, counter, dtype=tf.int32):
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=dtype
    )


def _bits_from(begin, key, shape):
    """The rows of `shape` that come after `begin` rows of the draw of a key."""
    shape = tf.convert_to_tensor(shape, tf.int32)
    count = tf.reduce_prod(shape)
    skipped = tf.cast(begin, tf.int64) * tf.cast(tf.reduce_prod(shape[1:]), tf.int64)
    if _arithmetic():
        return tf.reshape(philox.words(key, skipped, count), shape)
    # Philox makes four words of each number of its counter.
    # This makes `_scrambled(key)`, but in XLA not of a negative key: what was recorded has that.
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=key)
    counter += tf.stack([tf.cast(skipped // 4, tf.uint64), tf.constant(0, tf.uint64)])
    words = _words([count + 3], key, counter)
    # Not a slice, whose beginning XLA compiles for anew.
    place = tf.range(count) + tf.cast(skipped % 4, tf.int32)
    return tf.reshape(tf.gather(words, place), shape)


@contextlib.contextmanager
def arithmetic():
    """Within it, the same bits are made by operations on integers alone.

    A graph that is traced so has no operations for random numbers, which other formats than
    TensorFlow's have not, or not the same.
    """
    outer, _local.arithmetic = _arithmetic(), True
    try:
        yield
    finally:
        _local.arithmetic = outer


def _arithmetic():
    return getattr(_local, "arithmetic", False)


@contextlib.contextmanager
def rows_from(begin):
    """Within it, draws of `(rows, ...)` are those that a larger batch has from row `begin` on.

    Args:
        begin: int32 scalar tensor.
    """
    _local.begin = begin
    try:
        yield
    finally:
        _local.begin = None


@contextlib.contextmanager
def part_of_rows(index, count):
    """Within it, draws of `(rows, ...)` are those of one part of a batch of `count * rows` rows.

    A batch that is taken in parts, one after the other or by several workers, so has the noise that
    it has as a whole. All of the parts are drawn and all but one dropped: noise is cheap.

    Args:
        index: Which part, from 0 on; an integer or an int32 scalar tensor.
        count: How many there are, all of as many rows; a Python integer.
    """
    outer = current_part()
    _local.part = (index, count) if count > 1 else outer
    try:
        yield
    finally:
        _local.part = outer


def current_part():
    """Returns `(index, count)` of the `part_of_rows` that draws are within, or None."""
    return getattr(_local, "part", None)


def uniform(key, shape):
    """Returns float32 numbers of `shape`, uniform in the open interval (0, 1).

    They lie on a grid of step 2**-23 that is symmetric about 0.5 and excludes 0 and 1.
    """
    return to_uniform(bits(key, shape))


def normal(key, shape):
    """Returns float32 standard normal numbers of `shape`; the largest is 5.29."""
    return to_normal(uniform(key, shape))


def gumbel(key, shape):
    """Returns float32 standard Gumbel numbers of `shape`, between -2.81 and 16.64.

    `argmax(logits + gumbel)` is a draw from `softmax(logits)`.
    """
    return to_gumbel(uniform(key, shape))


def bernoulli_mask(key, shape, keep):
    """Returns a dropout mask: `1 / keep` with probability `keep`, else 0.

    Args:
        key: int32 tensor `(2,)`.
        shape: Shape of the mask.
        keep: Probability in (0, 1], a Python number or a scalar tensor.

    Returns:
        float32 tensor of `shape`, of mean 1.
    """
    keep = tf.cast(keep, tf.float32)
    return tf.where(uniform(key, shape) < keep, 1.0 / keep, 0.0)


def new_seed():
    """Returns a seed that nobody chose: a Python integer of 63 random bits.

    As a Keras layer's, it comes from Python's generator: `keras.utils.set_random_seed` governs it,
    and each call gives another one.
    """
    return python_random.getrandbits(63)


def serving_seed():
    """Returns a new seed, an int64 scalar tensor, each time that a served graph is run.

    A graph holds no other source of one: this draw is the only one that is not stateless. It is the
    raw operation, because `tf.random.uniform` would store a seed that was set for the exporting
    program, and every server would then give the same samples.
    """
    return tf.raw_ops.RandomUniformInt(
        shape=tf.constant([], tf.int32),
        minval=tf.constant(0, tf.int64),
        maxval=tf.constant(tf.int64.max),
        seed=0,
        seed2=0,
    )


def seed_tensor(seed):
    """Returns a seed as an int64 scalar tensor; unsigned values wrap.

    Raises:
        InputError: If `seed` is no integer or has more than 64 bits.
    """
    if tf.is_tensor(seed):
        if not seed.dtype.is_integer or seed.shape.rank not in (0, None):
            raise InputError(
                f"seed must be an integer scalar. Received: seed={seed.dtype.name} {seed.shape}"
            )
        return tf.cast(seed, tf.int64)
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise InputError(f"seed must be an integer. Received: seed={seed!r}")
    if not -(2**63) <= seed < 2**64:
        raise InputError(f"seed must have at most 64 bits. Received: seed={seed!r}")
    seed = int(seed) % 2**64
    return tf.constant(seed - 2**64 if seed >= 2**63 else seed, tf.int64)


def to_uniform(words):
    upper = tf.bitwise.right_shift(tf.bitcast(words, tf.uint32), tf.constant(9, tf.uint32))
    return (tf.cast(upper, tf.float32) + 0.5) * 2.0**-23


def to_normal(uniforms):
    return tf.cast(tf.math.ndtri(tf.cast(uniforms, tf.float64)), tf.float32)


def to_gumbel(uniforms):
    return tf.cast(-tf.math.log(-tf.math.log(tf.cast(uniforms, tf.float64))), tf.float32)


def call_seed(seed):
    """The seed of one call as an int64 scalar tensor: the one that is given, or a new one."""
    return seed_tensor(new_seed() if seed is None else seed)
