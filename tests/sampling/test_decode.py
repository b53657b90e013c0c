"""The decoding loop against the same thing said slowly in Python, on a table of transitions."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tfgen.sampling import decode as decoding
from tfgen.sampling import random

VOCABULARY, BATCH, CAPACITY = 6, 4, 24
# The logits after each token: a first-order Markov chain. A state that counts the positions is
# added to it, so that a state handed on wrongly is seen as well.
TABLE = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY)).astype("float32")
DRIFT = np.random.default_rng(1).normal(size=(VOCABULARY,)).astype("float32") * 0.1
FIRST_LOGITS = np.random.default_rng(2).normal(size=(BATCH, VOCABULARY)).astype("float32")
SEEN = np.random.default_rng(3).random((BATCH, VOCABULARY)) < 0.3
FORBIDDEN = np.arange(VOCABULARY) == 5
KEY = random.root(11, random.SAMPLING)
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}


def step(ids, position):
    return tf.gather(TABLE, ids) + position[:, None] * DRIFT, position + 1


def sampling(options, stops):
    lengths = [len(stop) for stop in stops]
    padded = np.zeros((len(stops), max(lengths, default=0)), np.int32)
    for row, stop in enumerate(stops):
        padded[row, : len(stop)] = stop
    aligned = decoding.align_stops(tf.constant(padded), tf.constant(lengths, tf.int32))
    kinds = {"top_k": tf.int32}
    options = {k: tf.constant(v, kinds.get(k, tf.float32)) for k, v in options.items()}
    return decoding.Sampling(**options, stops=aligned)


def begin(sampled, rows=BATCH):
    state = tf.zeros([rows])
    return decoding.start(
        state, tf.constant(FIRST_LOGITS[:rows]), tf.constant(SEEN[:rows]), sampled.stops
    )


def _run(carry, tokens, first, count, key, sampled):
    return decoding.decode(step, carry, tokens, first, count, key, sampled, tf.constant(FORBIDDEN))


run = tf.function(_run, autograph=False)


def decode(options, stops=(), count=20, rows=BATCH, how=run):
    sampled = sampling({**OFF, **options}, stops)
    buffer = tf.zeros([rows, CAPACITY], tf.int32)
    tokens, carry = how(
        begin(sampled, rows), buffer, tf.constant(0), tf.constant(count), KEY, sampled
    )
    return tokens.numpy(), carry


def reference(options, stops=(), count=20, rows=BATCH):
    """Returns `(tokens of each row, length of the stop that ended it)`, by plain arithmetic."""
    options = {**OFF, **options}
    results = []
    for row in range(rows):
        logits, seen = FIRST_LOGITS[row].astype("float64"), set(np.flatnonzero(SEEN[row]))
        drawn, trim = [], 0
        for number in range(count):
            token = pick(logits, seen, noise(number, rows)[row], **options)
            drawn.append(token)
            seen.add(token)
            logits = TABLE[token].astype("float64") + number * DRIFT
            hits = [len(stop) for stop in stops if stop and tuple(drawn[-len(stop) :]) == stop]
            trim = max(hits, default=0)
            if trim:
                break
        results.append((drawn, trim))
    return results


@functools.cache
def noise(number, rows):
    return random.gumbel(random.fold(KEY, number), [rows, VOCABULARY]).numpy()


def pick(logits, seen, noise, temperature, top_k, top_p, min_p, repetition_penalty):
    adjusted = {}
    for token, value in enumerate(logits):
        if token in seen:
            value = value / repetition_penalty if value > 0 else value * repetition_penalty
        if not FORBIDDEN[token]:
            adjusted[token] = value
    order = sorted(adjusted, key=lambda token: -adjusted[token])
    if temperature == 0:
        return order[0]
    if top_k:
        order = order[:top_k]
    weights = {
        token: np.exp((adjusted[token] - adjusted[order[0]]) / temperature) for token in order
    }
    total = sum(weights.values())
    kept, mass = [], 0.0
    for token in order:
        if mass >= top_p - 1e-9:
            break
        kept.append(token)
        mass += weights[token] / total
    kept = [token for token in kept if weights[token] >= min_p * weights[order[0]] - 1e-9]
    return max(kept, key=lambda token: np.log(weights[token]) + noise[token])


def assert_agrees(tokens, carry, expected):
    for row, (drawn, trim) in enumerate(expected):
        assert tokens[row, : len(drawn)].tolist() == drawn, row
        assert not tokens[row, len(drawn) :].any()
        assert (int(carry.drawn[row]), int(carry.trim[row])) == (len(drawn), trim)
        assert bool(carry.finished[row]) == (trim > 0)


# The values that leave one token only come seldom.
CHOICES = {
    "temperature": [0.5, 0.7, 1.0, 1.5, 3.0, 0.0],
    "top_k": [0, 2, 3, 4, 9, 1],
    "top_p": [1.0, 0.9, 0.8, 0.6, 0.5, 1e-6],
    "min_p": [0.0, 0.05, 0.1, 0.2, 0.3, 1.0],
    "repetition_penalty": [1.0, 1.2, 1.5, 3.0, 0.5, 20.0],
}


def test_draws_what_the_reference_draws():
    generator, texts = np.random.default_rng(4), set()
    for _ in range(40):
        options = {name: generator.choice(values).item() for name, values in CHOICES.items()}
        tokens, carry = decode(options)
        assert_agrees(tokens, carry, reference(options))
        texts.add(tokens.tobytes())
    assert len(texts) > 15  # the settings do differ; half of them leave one token
    assert run.experimental_get_tracing_count() <= 1


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "min_p", "repetition_penalty"])
def test_every_argument_changes_what_is_drawn(name):
    changed = {
        "temperature": 0.2,
        "top_k": 2,
        "top_p": 0.5,
        "min_p": 0.5,
        "repetition_penalty": 3.0,
    }
    assert decode({})[0].tolist() != decode({name: changed[name]})[0].tolist()


@pytest.mark.long
def test_xla_draws_the_same():
    compiled = tf.function(_run, autograph=False, jit_compile=True)
    for options in ({}, {"top_k": 3, "top_p": 0.8, "repetition_penalty": 1.3}, {"temperature": 0}):
        tokens, carry = decode(options, how=compiled)
        assert_agrees(tokens, carry, reference(options))


def test_stop_sequences_of_any_length_end_their_row():
    free = [drawn for drawn, _ in reference({}, count=20)]
    long = tuple(free[2][1:19])  # 18 tokens, more than STOP_BUCKET
    never = (0,) * 17
    for stops in [
        [tuple(free[0][3:4])],
        [tuple(free[1][2:5]), never],
        [long, tuple(free[0][4:6]), (5,)],  # 5 is forbidden, so it never comes
        [tuple(free[0][4:6]), tuple(free[0][5:6]), tuple(free[0][2:6])],  # ends of each other
        [never],
        [()],
        [],
    ]:
        tokens, carry = decode({}, stops)
        assert_agrees(tokens, carry, reference({}, stops))
    tokens, carry = decode({}, [long])
    assert int(carry.trim[2]) == 18
    assert int(carry.drawn[2]) == 19


def test_pieces_give_what_one_loop_gives():
    stops = [tuple(reference({})[0][0][6:9])]  # begins in one piece and ends in another
    expected = reference({}, stops)
    for size in (1, 4, 8):
        sampled = sampling(OFF, stops)
        carry, pieces = begin(sampled), []
        for first in range(0, 20, size):
            count = min(size, 20 - first)
            tokens, carry = run(
                carry,
                tf.zeros([BATCH, 8], tf.int32),
                tf.constant(first),
                tf.constant(count),
                KEY,
                sampled,
            )
            assert not tokens.numpy()[:, count:].any()
            pieces.append(tokens.numpy()[:, :count])
        assert_agrees(np.concatenate(pieces, axis=1), carry, expected)


def test_a_row_does_not_depend_on_the_number_of_rows():
    whole, _ = decode({})
    for rows in (1, 3):
        tokens, _ = decode({}, rows=rows)
        np.testing.assert_array_equal(tokens, whole[:rows])


def test_the_loop_ends_when_every_row_has():
    steps = []

    def counting(ids, position):
        steps.append(1)
        return step(ids, position)

    free = [drawn for drawn, _ in reference({})]
    stops = [tuple(drawn[3:5]) for drawn in free]
    longest = max(len(drawn) for drawn, _ in reference({}, stops))
    assert longest <= 5
    sampled = sampling(OFF, stops)
    # Eagerly, a while loop is Python's, so its rounds can be counted.
    decoding.decode(
        counting,
        begin(sampled),
        tf.zeros([BATCH, CAPACITY], tf.int32),
        tf.constant(0),
        tf.constant(20),
        KEY,
        sampled,
        tf.constant(FORBIDDEN),
    )
    assert len(steps) == longest


def test_a_key_is_a_draw():
    sampled = sampling(OFF, [])
    draws = [
        run(
            begin(sampled),
            tf.zeros([BATCH, CAPACITY], tf.int32),
            tf.constant(0),
            tf.constant(20),
            random.root(seed, random.SAMPLING),
            sampled,
        )[0]
        .numpy()
        .tolist()
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_align_stops():
    aligned = decoding.align_stops(
        tf.constant([[1, 2, 3], [4, 0, 0], [0, 0, 0]]), tf.constant([3, 1, 0])
    ).numpy()
    assert aligned.shape == (4, 16)
    assert aligned[:, -3:].tolist() == [[1, 2, 3], [-1, -1, 4], [-1, -1, -1], [-1, -1, -1]]
    assert (aligned[:, :-3] == -1).all()


@pytest.mark.parametrize(
    "shape,padded",
    [((0, 0), (4, 16)), ((4, 16), (4, 16)), ((5, 16), (8, 16)), ((1, 17), (4, 32))],
)
def test_stops_are_padded_to_few_shapes(shape, padded):
    lengths = tf.fill([shape[0]], shape[1])
    aligned = decoding.align_stops(tf.ones(shape, tf.int32), lengths).numpy()
    assert aligned.shape == padded
    assert (aligned == 1).sum() == shape[0] * shape[1] and aligned.min(initial=-1) == -1
