"""Rows of tensors: repeated for several samples of each, filled up, or some of them in turn."""

import tensorflow as tf

from tfgen.sampling.buckets import row_bucket


def in_sizes(nest, several, single=None, alone=None):
    """What a compiled function gives of rows, which are filled up to one of few numbers.

    XLA compiles for each number of rows anew, and keeps what it has compiled. So every function
    that it compiles and that takes rows is called through this, live and where it is served.

    Args:
        nest: Nest of tensors `(rows, ...)`, and perhaps of None.
        several: Function `(nest, beyond)` of as many rows as `row_bucket` says, of which those
            that `beyond`, bool `(rows,)`, tells of are copies of the last one. No row may depend on
            another.
        single: The same for one row, whose number is then known when it is traced: XLA code can go
            by it, as products with a vector do. None takes `several`.
        alone: Whether there is one row, where that is known: only one of the functions is traced.

    Returns:
        The nest of tensors that the function gives, of the rows that there are. Scalars stay as
        they are.
    """
    rows = tf.shape(next(x for x in tf.nest.flatten(nest) if x is not None))[0]

    def select(index):
        return tf.nest.map_structure(lambda x: None if x is None else tf.gather(x, index), nest)

    def call(function, index):
        found = function(select(tf.minimum(index, rows - 1)), index >= rows)
        return tf.nest.map_structure(lambda x: x[:rows] if x.shape.rank else x, found)

    def filled():
        return call(several, tf.range(row_bucket(rows)))

    def one():
        return call(single, tf.constant([0]))

    if single is None or alone is False:
        return filled()
    return one() if alone else tf.cond(rows == 1, one, filled)


def repeat_rows(nest, times):
    """Every row so many times, one copy after the other.

    Args:
        nest: Nest of tensors `(rows, ...)`.
        times: Integer or int32 scalar.

    Returns:
        Nest of tensors `(rows * times, ...)`.
    """

    def repeat(tensor):
        # `tf.repeat` tiles, which TensorFlow outside XLA does for some dtypes alone: not for the
        # bits of bfloat16 that a cache keeps.
        index = tf.repeat(tf.range(tf.shape(tensor)[0]), times)
        return tf.gather(tensor, index)

    return tf.nest.map_structure(repeat, nest)


def in_turn(arguments, rows, most):
    """Yields the arguments of a function for at most so many of its rows at once.

    Args:
        arguments: Dict of tensors or arrays: what has as many rows as there are is of each.
        rows: How many there are.
        most: How many at once.
    """
    for begin in range(0, rows, most):
        yield {
            name: value[begin : begin + most]
            if len(value.shape) and value.shape[0] == rows
            else value
            for name, value in arguments.items()
        }
