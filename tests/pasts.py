"""The past that a loop holds, against that of whole series."""

import numpy as np
import tensorflow as tf


def assert_the_loop_holds_it(reading, whole, series, given):
    """Steps of `reading` from a position on, against the `Past` of all positions at once.

    Args:
        reading: A `tfgen.models.numbers.reading.Reading`.
        whole: What its `before` gives of the series.
        series: Array `(rows, positions, width)`.
        given: Positions that come before the loop; 0 begins with nothing.

    Returns:
        What was held at first.
    """
    rows, count, width = series.shape
    held, previous = reading.held(rows), np.full([rows, width], np.nan, np.float32)
    if given:
        lengths = tf.constant([given] * rows)
        held = reading.held(rows, tf.constant(series[:, :given]), lengths)
        previous = series[:, given - 1]
    begun = held
    for position in range(given, count):
        first = tf.fill([rows], position == 0)
        past, held = reading.step(held, tf.constant(previous), first)
        for name in past._fields:
            expected = getattr(whole, name)[:, position]
            np.testing.assert_array_equal(getattr(past, name), expected)
        previous = series[:, position]
    return begun
