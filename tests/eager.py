"""Running what would be traced op by op: for a few steps of a small model that is much sooner done."""

import contextlib

import pytest
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


def some_by_default(fixture, values, *default, others=pytest.mark.exhaustive):
    """Parametrises a fixture: by these values by default, by the others in tests so marked."""
    marked = [each if each in default else pytest.param(each, marks=others) for each in values]
    return pytest.mark.parametrize(fixture, marked, indirect=True)
