"""Running what would be traced op by op: for a few steps of a small model that is much sooner done."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def eagerly():
    """Within it, a `tf.function` is called as the function that it is made of."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
