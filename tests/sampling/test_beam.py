"""Beam search against every text there is, and against the same search said slowly in Python."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.sampling import decode as decoding
from tfgen.sampling import random
from tfgen.sampling.beam import beam_search

VOCABULARY, BATCH, CAPACITY = 5, 3, 12
# A Markov chain with a drift that counts positions, so that a state handed on wrongly is seen.
TABLE = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY)).astype("float32")
DRIFT = np.random.default_rng(1).normal(size=VOCABULARY).astype("float32") * 0.3
FIRST_LOGITS = np.random.default_rng(2).normal(size=(BATCH, VOCABULARY)).astype("float32")
FORBIDDEN = np.arange(VOCABULARY) == 4


def step(ids, state):
    # The drift depends on the sum of the tokens as well: each beam has a state of its own.
    position, total = state
    logits = tf.gather(TABLE, ids) + (position + tf.sin(total))[:, None] * DRIFT
    return logits, (position + 1, total + tf.cast(ids, tf.float32))


def logits_after(row, text):
    if not text:
        return FIRST_LOGITS[row]
    drift = len(text) - 1 + np.sin(sum(text[:-1]))
    return TABLE[text[-1]] + drift * DRIFT


def log_probabilities(row, text):
    logits = np.where(FORBIDDEN, -np.inf, logits_after(row, text)).astype(float)
    return logits - np.log(np.exp(logits).sum())


def _run(logits, tokens, count, length_penalty, stops, num_beams):
    zeros = tf.zeros(tf.shape(logits)[:1])
    return beam_search(
        step,
        (zeros, zeros),
        logits,
        tokens,
        count,
        num_beams,
        length_penalty,
        stops,
        tf.constant(FORBIDDEN),
    )


# A graph is there sooner than XLA's program, which finds the same.
graph = tf.function(_run, autograph=False)
compiled = tf.function(_run, autograph=False, jit_compile=True)


def align(stops):
    lengths = [len(stop) for stop in stops]
    padded = np.zeros((len(stops), max(lengths, default=0)), np.int32)
    for row, stop in enumerate(stops):
        padded[row, : len(stop)] = stop
    return decoding.align_stops(tf.constant(padded), tf.constant(lengths, tf.int32))


def search(num_beams, count=5, length_penalty=1.0, stops=(), rows=BATCH, how=graph):
    """What was found, as `(text, trim, score)` of each row, best first."""
    found = how(
        tf.constant(FIRST_LOGITS[:rows]),
        tf.zeros([rows, CAPACITY], tf.int32),
        tf.constant(count),
        tf.constant(length_penalty),
        align(stops),
        num_beams,
    )
    assert found.tokens.shape == (rows, num_beams, CAPACITY)
    assert all(x.shape == (rows, num_beams) for x in found[1:])
    arrays = [x.numpy() for x in found]
    results = []
    for tokens, lengths, trims, scores in zip(*arrays, strict=True):
        for text, length in zip(tokens, lengths, strict=True):
            assert not text[length:].any()
        texts = [tuple(text[:length]) for text, length in zip(tokens, lengths, strict=True)]
        results.append(list(zip(texts, trims, scores, strict=True)))
    return results


def trim_of(text, stops):
    return max((len(stop) for stop in stops if text[len(text) - len(stop) :] == stop), default=0)


def all_texts(row, count, length_penalty, stops):
    """Every text that ends with a stop sequence or has `count` tokens, best first."""
    found = []

    def go_on(text, score):
        trim = trim_of(text, stops) if text else 0
        if trim or len(text) == count:
            found.append((text, trim, score / len(text) ** length_penalty))
            return
        for token, value in enumerate(log_probabilities(row, text)):
            if value > -np.inf:
                go_on((*text, token), score + value)

    go_on((), 0.0)
    return sorted(found, key=lambda item: -item[2])


def plain_search(row, num_beams, count, length_penalty, stops):
    """The search as its documentation says it, one hypothesis at a time."""
    running, finished = [((), 0.0)], []
    for length in range(1, count + 1):
        candidates = sorted(
            (
                ((*text, token), score + value)
                for text, score in running
                for token, value in enumerate(log_probabilities(row, text))
                if value > -np.inf
            ),
            key=lambda item: -item[1],
        )
        for text, score in candidates[:num_beams]:
            if trim_of(text, stops):
                finished.append((text, trim_of(text, stops), score / length**length_penalty))
        finished = sorted(finished, key=lambda item: -item[2])[:num_beams]
        running = [item for item in candidates if not trim_of(item[0], stops)][:num_beams]
        full = len(finished) == num_beams
        if not running or (full and finished[-1][2] >= running[0][1] / length**length_penalty):
            return finished
    finished += [(text, 0, score / count**length_penalty) for text, score in running]
    return sorted(finished, key=lambda item: -item[2])[:num_beams]


def assert_same(found, expected):
    for (text, trim, score), (other, other_trim, other_score) in zip(found, expected, strict=False):
        assert (text, trim) == (other, other_trim)
        np.testing.assert_allclose(score, other_score, rtol=1e-5)
    for text, trim, score in found[len(expected) :]:  # there are no more texts
        assert (text, trim, score) == ((), 0, -np.inf)


SETTINGS = [
    {},
    {"stops": [(2,)]},
    {"stops": [(1, 2), (0,), (3, 3)], "length_penalty": 0.0},
    {"stops": [(1, 2), (2,)], "length_penalty": 2.0},
    {"stops": [(0, 1), (3,)], "length_penalty": -1.0},
    {"stops": [(0,), (1,), (2,), (3,)]},  # nothing goes on after the first token
]


def test_enough_beams_find_the_best_of_all_texts():
    for options in SETTINGS:
        results = search(4**3, count=3, **options)
        for row, found in enumerate(results):
            expected = all_texts(
                row, 3, options.get("length_penalty", 1.0), options.get("stops", ())
            )
            assert_same(found, expected[: 4**3])
            assert len(expected) <= 4**3


def test_finds_what_the_plain_search_finds():
    misses, traced = 0, None
    for options in SETTINGS:
        for count in (1, 4, 9):
            results = search(3, count=count, **options)
            traced = traced or graph.experimental_get_tracing_count()
            for row, found in enumerate(results):
                arguments = (count, options.get("length_penalty", 1.0), options.get("stops", ()))
                assert_same(found, plain_search(row, 3, *arguments))
                if count == 4:
                    misses += found[0][0] != all_texts(row, *arguments)[0][0]
    assert graph.experimental_get_tracing_count() == traced  # by the first search
    assert 0 < misses < 6  # three beams are not all texts, but they are something


def test_one_beam_is_greedy_decoding():
    options = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    for stops in ((), [(2,)], [(0, 2), (1, 3)]):
        sampled = decoding.Sampling(**options, repetition_penalty=1.0, stops=align(stops))
        zeros = tf.zeros([BATCH])
        tokens, carry = decoding.decode(
            step,
            decoding.start(
                (zeros, zeros),
                tf.constant(FIRST_LOGITS),
                tf.zeros([BATCH, VOCABULARY], tf.bool),
                sampled.stops,
            ),
            tf.zeros([BATCH, CAPACITY], tf.int32),
            tf.constant(0),
            tf.constant(10),
            random.root(0, random.SAMPLING),
            sampled,
            tf.constant(FORBIDDEN),
        )
        for length_penalty in (1.0, -1.0, 3.0):
            results = search(1, count=10, length_penalty=length_penalty, stops=stops)
            for row, [(text, trim, _)] in enumerate(results):
                assert text == tuple(tokens[row, : carry.drawn[row]].numpy())
                assert trim == carry.trim[row]


def test_length_penalty_and_beams_change_the_best_text():
    stops = [(2,)]
    for row in range(BATCH):
        lengths = [
            len(search(3, count=9, length_penalty=penalty, stops=stops)[row][0][0])
            for penalty in (-1.0, 0.0, 3.0)
        ]
        assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
    greedy, beams = (
        [found[0][2] for found in search(number, count=6, stops=stops)] for number in (1, 3)
    )
    assert np.all(np.array(beams) >= greedy) and beams != greedy


def test_a_row_does_not_depend_on_the_others():
    stops = [(2,), (0, 1)]
    whole = search(3, count=9, stops=stops)
    [alone] = search(3, count=9, stops=stops, rows=1)
    assert_same(alone, whole[0])


def test_more_beams_than_tokens():
    for row, found in enumerate(search(7, count=1)):
        expected = all_texts(row, 1, 1.0, ())
        assert len(expected) == 4
        assert_same(found, expected)


@pytest.mark.long
def test_eager_and_xla_find_the_same():
    stops = [(2,), (0, 1)]
    expected = search(3, count=6, stops=stops)
    for how in (_run, compiled):
        for found, other in zip(search(3, count=6, stops=stops, how=how), expected, strict=True):
            assert_same(found, other)
    assert [found[0][0] for found in search(3, count=0)] == [()] * BATCH


def test_the_loop_ends_when_every_row_has():
    steps = []

    def counting(ids, state):
        steps.append(1)
        return step(ids, state)

    # Eagerly, a while loop is Python's, so its rounds can be counted.
    zeros = tf.zeros([BATCH])
    found = beam_search(
        counting,
        (zeros, zeros),
        tf.constant(FIRST_LOGITS),
        tf.zeros([BATCH, CAPACITY], tf.int32),
        tf.constant(CAPACITY),
        2,
        0.0,
        align([(0,), (1,)]),
        tf.constant(FORBIDDEN),
    )
    assert int(tf.reduce_max(found.lengths)) <= len(steps) < CAPACITY


def test_long_texts_keep_the_precision_of_their_choices():
    # After 400 tokens of 3.7 nats float32 tells no log-likelihoods apart that differ by 1e-5.
    logits = np.zeros([1, 40], np.float32)
    logits[0, 7] = 1e-5
    count = 400

    @tf.function(autograph=False)
    def run():
        return beam_search(
            lambda ids, state: (tf.constant(logits), state),
            tf.zeros([1]),
            tf.constant(logits),
            tf.zeros([1, count], tf.int32),
            tf.constant(count),
            1,
            1.0,
            align(()),
            tf.zeros([40], tf.bool),
        )

    found = run()
    assert (found.tokens.numpy() == 7).all()
    np.testing.assert_allclose(found.scores, [[-np.log(40.0)]], rtol=1e-5)


@pytest.mark.long
def test_sizes_may_be_unknown_to_the_graph():
    unknown = tf.function(
        lambda logits, tokens, stops: compiled(logits, tokens, 4, 1.0, stops, 2).tokens,
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, VOCABULARY]),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
        ],
    )
    tokens = unknown(FIRST_LOGITS, np.zeros([BATCH, CAPACITY], np.int32), align([(2,)]))
    expected = search(2, count=4, stops=[(2,)])
    for row, found in enumerate(expected):
        for text, (other, _, _) in zip(tokens[row].numpy(), found, strict=True):
            assert tuple(text[: len(other)]) == other
