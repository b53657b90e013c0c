"""Philox in operations on integers: the words of TensorFlow's generator, and no operation of it."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.sampling import philox, random

SEEDS = [(0, 0), (1, 2), (-5, 7), (2**31 - 1, -(2**31))]


@pytest.mark.parametrize("seed", SEEDS)
def test_words_are_those_of_tensorflow(seed):
    seed = tf.constant(seed, tf.int32)
    drawn = tf.random.stateless_uniform([50], seed, None, None, tf.int32, alg="philox").numpy()
    for first, count in ((0, 50), (0, 1), (3, 4), (4, 9), (7, 0)):
        words = philox.words(seed, first, count).numpy()
        np.testing.assert_array_equal(words, drawn[first : first + count])


def test_words_far_along_the_stream():
    """Beyond what 32 bits of the counter hold."""
    seed, far = tf.constant([3, 4], tf.int32), 2**35
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    counter += tf.constant([far // 4, 0], tf.uint64)
    drawn = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[8], key=key, counter=counter, alg=1, dtype=tf.int32
    )
    np.testing.assert_array_equal(philox.words(seed, far, 8), drawn)


@pytest.mark.parametrize("jit", [False, True])
def test_draws_within_arithmetic_are_the_same_without_random_operations(jit):
    def draws(key):
        with random.rows_from(tf.constant(3)):
            rows = random.bits(key, [2, 5])
        return random.normal(random.fold(key, 9), [3, 7]), random.bits(key, [4]), rows

    @tf.function(autograph=False, jit_compile=jit)
    def plain(key):
        with random.arithmetic():
            return draws(key)

    key = random.root(11, random.SAMPLING)
    for found, expected in zip(plain(key), draws(key), strict=True):
        np.testing.assert_array_equal(found, expected)
    graph = plain.get_concrete_function(tf.TensorSpec([2], tf.int32)).graph
    assert not [each.type for each in graph.get_operations() if "Random" in each.type]
