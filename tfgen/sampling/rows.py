"""Rows of tensors: repeated for several samples of each, or some of them in turn."""

import tensorflow as tf


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
