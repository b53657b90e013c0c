"""Rows are filled up to few numbers, which leaves them what they are."""

import numpy as np
import tensorflow as tf

from tfgen.sampling.buckets import row_bucket, stepped
from tfgen.sampling.rows import in_sizes

SIZES = [1, 2, 4, 8, 16, 32, 48]


def test_few_numbers_of_rows_are_compiled_for():
    traced = []

    @tf.function(autograph=False)
    def running_sums(x, known):
        traced.append(x.shape[0])
        return {"sums": tf.cumsum(x), "known": known, "total": tf.constant(3.0)}

    def several(nest, beyond):
        x, nothing, known = nest
        assert nothing is None and not beyond[0]
        # Those beyond stand at the end, and are copies of the last row.
        np.testing.assert_array_equal(x[beyond], tf.repeat(known[-1:], sum(beyond.numpy())))
        return running_sums(x, known)

    for rows in range(1, 41):
        x = tf.range(rows)
        found = in_sizes((x, None, x), several)
        np.testing.assert_array_equal(found["known"], x)
        np.testing.assert_array_equal(found["sums"], np.cumsum(x))
        assert found["total"] == 3.0
    assert traced == SIZES


def test_one_row_has_a_function_of_its_own():
    def many(x, beyond):
        return 10 * x

    def single(x, beyond):
        assert x.shape == [1] == beyond.shape
        return -x

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)], autograph=False)
    def either(x):
        return in_sizes(x, many, single)

    assert [either(tf.constant(x, tf.int32)).numpy().tolist() for x in ([3], [3, 4, 5], [])] == [
        [-3], [30, 40, 50], [],
    ]  # fmt: skip
    x = tf.constant([3])
    assert in_sizes(x, many, single, alone=True) == -3
    assert in_sizes(x, many, single, alone=False) == 30


def test_the_sizes_grow_by_a_quarter_at_most():
    sizes = sorted({int(row_bucket(tf.constant(rows))) for rows in range(4097)})
    assert sizes[: len(SIZES) + 1] == [0, *SIZES] and len(sizes) < 40
    assert all(b <= 1.25 * a for a, b in zip(sizes, sizes[1:]) if a >= 64)
    assert [int(stepped(tf.constant(n), 16)) for n in (0, 1, 16, 17, 129, 160, 161)] == [
        0, 16, 16, 32, 160, 160, 192,
    ]  # fmt: skip
