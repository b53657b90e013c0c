"""Where a text ends, counted by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.preprocessing.tokenizer import Spelling
from tfgen.sampling.stops import extend

# The tokens a, b, ab, bab, of the symbols 0 and 1.
SPELLING = Spelling(
    np.array([0, 1, 0, 1, 1, 0, 1], np.int32), np.array([0, 1, 2, 4, 7], np.int32), 3
)
AB, BA = [-1, 0, 1], [-1, 1, 0]


@pytest.mark.parametrize(
    ("recent", "token", "stops", "trim", "after"),
    [
        ([-2, -2, -2], 0, [AB], 0, [-2, -2, 0]),
        ([-2, -2, 0], 1, [AB], 2, [-2, 0, 1]),  # over two tokens
        ([-2, -2, 0], 3, [AB], 4, [1, 0, 1]),  # its first symbol ends the text: a, bab
        ([-2, -2, -2], 3, [AB], 2, [1, 0, 1]),  # within the token, at its end: b, ab
        ([-2, -2, -2], 3, [BA], 3, [1, 0, 1]),  # within the token, at its beginning: ba, b
        ([-2, -2, -2], 3, [AB, BA], 3, [1, 0, 1]),  # what begins first
        ([-2, -2, 1], 2, [BA], 3, [1, 0, 1]),  # half of it was there: b, ab
        ([-2, -2, 1], 2, [[-1, -1, -1]], 0, [1, 0, 1]),
    ],
)
def test_a_stop_sequence_is_found_inside_tokens(recent, token, stops, trim, after):
    run = tf.function(lambda *x: extend(*x, SPELLING), jit_compile=True, autograph=False)
    for rows in ([recent], [[recent, recent]]):  # also of the beams of a row
        tokens = tf.fill(np.shape(rows)[:-1], token)
        found, cut = run(tf.constant(rows), tokens, tf.constant(stops))
        assert (cut.numpy() == trim).all() and (found.numpy() == after).all()
