"""Speculative sampling: the law of its texts is the target's, whatever the draft."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.sampling import decode as decoding
from tfgen.sampling import random
from tfgen.sampling.speculative import speculative_decode
from tfgen.sampling.tokens import filtered, sample_token

VOCABULARY, CAPACITY, DRAFT_TOKENS = 4, 12, 2
# Markov chains whose logits drift with the position, so that a state taken back or handed on
# wrongly is seen. Token 3 is forbidden.
TARGET = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY)).astype("float32") * 1.5
DRAFT = TARGET + np.random.default_rng(1).normal(size=TARGET.shape).astype("float32")
DRIFT = np.random.default_rng(2).normal(size=VOCABULARY).astype("float32") * 0.3
FIRST_LOGITS = np.random.default_rng(3).normal(size=(1, VOCABULARY)).astype("float32")
SEEN = np.array([[False, True, False, False]])
FORBIDDEN = np.arange(VOCABULARY) == 3
OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}
KEY = random.root(5, random.SAMPLING)


def draft_step(table, wrong_every=1000):
    """A chain's step. Its hidden states are the logits, its state a nest that counts positions.

    At every so many positions it finds likely what the chain does not.
    """

    def step(ids, state):
        position = state["position"]
        hidden = tf.gather(table, ids) + tf.cast(position, tf.float32)[:, None] * DRIFT
        wrong = position % wrong_every == wrong_every - 1
        hidden = tf.where(wrong[:, None], -hidden, hidden)
        return hidden, {"position": position + 1, "last": tf.one_hot(ids, VOCABULARY)}

    return step


def verify(ids, position):
    positions = position[:, None] + tf.range(tf.shape(ids)[1], dtype=tf.float32)
    return tf.gather(TARGET, ids) + positions[..., None] * DRIFT, position


def rewind(position, kept):
    return position + tf.cast(kept, tf.float32)


def _run(draft_table, count, key, sampled, wrong_every=1000):
    carry = decoding.start(
        tf.zeros([1]), tf.constant(FIRST_LOGITS), tf.constant(SEEN), sampled.stops
    )
    return speculative_decode(
        (verify, rewind, lambda hidden: hidden),
        (draft_step(draft_table, wrong_every), lambda hidden: hidden),
        carry,
        {"position": tf.zeros([1], tf.int32), "last": tf.zeros([1, VOCABULARY])},
        tf.zeros([1, CAPACITY], tf.int32),
        count,
        key,
        sampled,
        tf.constant(FORBIDDEN),
        DRAFT_TOKENS,
    )


run = tf.function(_run, autograph=False, jit_compile=True)


@tf.function(autograph=False, jit_compile=True)
def run_many(draft_table, count, keys, sampled):
    """The first `count` tokens and the statistics of one text for each key."""

    def one(key):
        result = _run(draft_table, count, key, sampled)
        return result.tokens[0], result.accepted, result.proposed

    return tf.map_fn(one, keys, fn_output_signature=(tf.int32, tf.int32, tf.int32))


def sampling(stops=(), **options):
    lengths = [len(stop) for stop in stops]
    padded = np.zeros((len(stops), max(lengths, default=0)), np.int32)
    for row, stop in enumerate(stops):
        padded[row, : len(stop)] = stop
    aligned = decoding.align_stops(tf.constant(padded), tf.constant(lengths, tf.int32))
    kinds = {"top_k": tf.int32}
    options = {
        name: tf.constant(value, kinds.get(name, tf.float32))
        for name, value in {**OFF, **options}.items()
    }
    return decoding.Sampling(**options, stops=aligned)


def speculate(stops=(), count=CAPACITY, draft=DRAFT, key=KEY, how=run, wrong_every=1000, **options):
    sampled = sampling(stops, **options)
    result = how(tf.constant(draft), tf.constant(count), key, sampled, tf.constant(wrong_every))
    return tf.nest.map_structure(lambda x: x.numpy(), result)


def law(logits, seen, temperature, top_k, top_p, min_p, repetition_penalty):
    """The probabilities of the next token, by plain arithmetic."""
    logits = np.array(logits, np.float64)
    for token in seen:
        logits[token] *= repetition_penalty if logits[token] < 0 else 1 / repetition_penalty
    logits[FORBIDDEN] = -np.inf
    order = np.argsort(-logits, kind="stable")
    order = order[: top_k or None]
    weights = np.exp((logits[order] - logits[order[0]]) / temperature)
    before = np.cumsum(weights) / weights.sum() - weights / weights.sum()
    kept = (before < top_p) & (weights >= min_p)
    result = np.zeros(VOCABULARY)
    result[order[kept]] = weights[kept] / weights[kept].sum()
    return result


def joint_law(count, table=TARGET, **options):
    """The probability of every text of `count` tokens, `(vocabulary,) * count`."""
    options = {**OFF, **options}
    result = np.zeros((VOCABULARY,) * count)
    for text in itertools.product(range(VOCABULARY), repeat=count):
        probability, logits, seen = 1.0, FIRST_LOGITS[0], set(np.flatnonzero(SEEN[0]))
        for number, token in enumerate(text):
            probability *= law(logits, seen, **options)[token]
            if not probability:
                break
            logits = table[token] + number * DRIFT
            seen = seen | {token}
        result[text] = probability
    return result


def chi_square(texts, expected):
    """The p-value of drawing these texts `(number, count)` from the joint law."""
    count = texts.shape[1]
    index = np.ravel_multi_index(texts.T, (VOCABULARY,) * count)
    observed = np.bincount(index, minlength=VOCABULARY**count).astype(float)
    expected = expected.ravel() * len(texts)
    if observed[expected == 0].any():
        return 0.0
    order = np.argsort(-expected)  # cells too small to count join the last that is not
    large = max(int((expected >= 10).sum()), 1)
    observed, expected = (
        np.append(x[order[: large - 1]], x[order[large - 1 :]].sum()) for x in (observed, expected)
    )
    return stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.6, "top_k": 2},
        {"temperature": 1.5, "top_p": 0.8},
        {"min_p": 0.3},
        {"repetition_penalty": 2.5},
        {"temperature": 1.3, "top_p": 0.9, "repetition_penalty": 0.6},
    ],
)
@pytest.mark.long
@pytest.mark.parametrize("number", [5000, pytest.param(40000, marks=pytest.mark.exhaustive)])
def test_the_law_is_the_targets(options, number):
    # Four tokens are the first one, two guesses and what follows them, and, where a guess is not
    # accepted, the beginning of one or two more rounds.
    keys = random.bits(KEY, [number, 2])  # as good as folded ones, and sooner made
    texts, accepted, proposed = run_many(
        tf.constant(DRAFT), tf.constant(4), keys, sampling(**options)
    )
    texts = texts.numpy()[:, :4]
    assert chi_square(texts, joint_law(4, **options)) > 1e-3
    assert chi_square(texts, joint_law(4, table=DRAFT, **options)) < 1e-12
    assert 0.3 < accepted.numpy().sum() / proposed.numpy().sum() < 0.95


@tf.function(autograph=False)
def decode(count, sampled):
    return decoding.decode(
        lambda ids, position: (tf.gather(TARGET, ids) + position[:, None] * DRIFT, position + 1),
        decoding.start(tf.zeros([1]), tf.constant(FIRST_LOGITS), tf.constant(SEEN), sampled.stops),
        tf.zeros([1, CAPACITY], tf.int32),
        tf.constant(0),
        count,
        KEY,
        sampled,
        tf.constant(FORBIDDEN),
    )


def greedy(stops=(), count=CAPACITY, **options):
    """The text of `decode` for the target, its tokens drawn and its trim."""
    sampled = sampling(stops, **{**options, "temperature": 0.0})
    tokens, carry = decode(tf.constant(count), sampled)
    return tokens.numpy().tolist(), carry.drawn.numpy().tolist(), carry.trim.numpy().tolist()


@pytest.mark.long
def test_temperature_0_is_greedy_decoding():
    texts = set()
    for options in (
        {},
        {"repetition_penalty": 2.0},
        {"repetition_penalty": 0.5, "top_k": 3},
        {"count": 7},
        {"stops": [(0,)]},
        {"stops": [(1, 2), (2,)], "repetition_penalty": 3.0},
        {"repetition_penalty": 30.0, "count": 11},
    ):
        expected = greedy(**options)
        for draft in (TARGET, DRAFT, -TARGET):
            result = speculate(draft=draft, **{"temperature": 0.0, **options})
            assert [x.tolist() for x in (result.tokens, result.drawn, result.trim)] == [*expected]
        texts.add(str(expected))
    assert len(texts) > 4


@pytest.mark.long
def test_a_draft_like_the_target_is_always_right():
    for seed in range(5):
        result = speculate(draft=TARGET, key=random.root(seed, random.SAMPLING), count=11)
        # The first token, then as many as fit: three a round.
        assert (result.rounds, result.proposed, result.accepted) == (4, 8, 8)
        result = speculate(
            draft=TARGET, key=random.root(seed, random.SAMPLING), repetition_penalty=3.0, top_k=2
        )
        assert result.proposed == result.accepted == 8


@pytest.mark.parametrize("wrong_every", [2, 3, 4, 5])
def test_the_draft_goes_on_where_the_target_corrected_it(wrong_every):
    result = speculate(draft=TARGET, temperature=0.0, wrong_every=wrong_every)
    assert result.tokens.tolist() == greedy()[0]
    drawn, rounds, accepted = 1, 0, 0
    while drawn < CAPACITY:
        # Guess number `drawn + i` is made at the position before.
        wrong = [(drawn + i) % wrong_every == 0 for i in range(DRAFT_TOKENS)]
        right = (wrong + [True]).index(True)
        drawn, rounds, accepted = drawn + right + 1, rounds + 1, accepted + right
    assert (result.rounds, result.accepted) == (rounds, accepted)


def test_a_draft_that_is_always_wrong_costs_rounds_only():
    result = speculate(draft=-1000.0 * TARGET[:, ::-1], temperature=0.0)
    assert result.tokens.tolist() == greedy()[0]
    right = speculate(draft=TARGET, temperature=0.0)
    assert result.rounds > right.rounds and result.accepted < right.accepted
    assert result.proposed == DRAFT_TOKENS * result.rounds


def free_text(key):
    return speculate(key=key).tokens[0].tolist()


def test_stop_sequences_end_the_text_wherever_they_fall():
    ends = set()
    for seed in range(8):
        key = random.root(seed, random.SAMPLING)
        free = free_text(key)
        for size in (1, 2, 4):
            for first in (0, 3):
                stops = [tuple(free[first : first + size]), (0,) * 14, (3,)]
                result = speculate(stops, key=key)
                text = "".join(map(str, free))
                end = text.index("".join(map(str, stops[0]))) + size
                ends.add(end)
                assert result.tokens[0].tolist() == free[:end] + [0] * (CAPACITY - end)
                assert (int(result.drawn[0]), int(result.trim[0])) == (end, size)
    assert len(ends) >= 6
    result = speculate([(0,), (1,), (2,), (1, 2)], key=key)
    assert (result.drawn, result.trim, result.rounds) == (1, 1, 0)


def test_count_ends_the_text():
    free = free_text(KEY)
    for count in (0, 1, 2, 3, 4, 9):
        result = speculate(count=count)
        assert result.tokens[0].tolist() == free[:count] + [0] * (CAPACITY - count)
        assert (result.drawn, result.trim) == (count, 0)
    assert speculate(count=1).rounds == 0


def test_keys_and_filters_change_the_text():
    assert free_text(KEY) == free_text(KEY)
    assert len({tuple(free_text(random.root(seed, random.SAMPLING))) for seed in range(9)}) > 5
    for options in (
        {"temperature": 0.3},
        {"top_k": 1},
        {"top_p": 0.2},
        {"min_p": 0.9},
        {"repetition_penalty": 4.0},
    ):
        assert speculate(**options).tokens[0].tolist() != free_text(KEY)


@pytest.mark.long
def test_eager_and_graph_draw_the_same():
    passes = []
    for options in ({"count": 8}, {"count": 8, "temperature": 0.7, "top_p": 0.9}):
        expected = speculate(**options)
        graph = tf.function(_run, autograph=False)
        for how in (_run, graph):
            result = speculate(how=how, **options)
            for value, other in zip(result, expected, strict=True):
                np.testing.assert_array_equal(value, other)
        passes.append(int(expected.rounds))
    assert min(passes) > 1


@pytest.mark.long
def test_sizes_may_be_unknown_to_the_graph():
    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([None, VOCABULARY]), tf.TensorSpec([None, None], tf.int32)],
    )
    def text(logits, stops):
        batch, capacity = tf.shape(logits)[0], tf.size(stops)
        sampled = sampling()._replace(stops=stops)
        state = tf.zeros([batch])
        return compiled(
            decoding.start(state, logits, tf.repeat(tf.constant(SEEN), batch, axis=0), stops),
            {"position": tf.zeros([batch], tf.int32), "last": tf.zeros([batch, VOCABULARY])},
            tf.zeros([batch, capacity], tf.int32),
            sampled,
        ).tokens

    @tf.function(autograph=False, jit_compile=True)
    def compiled(carry, draft_state, tokens, sampled):
        return speculative_decode(
            (verify, rewind, lambda hidden: hidden),
            (draft_step(DRAFT), lambda hidden: hidden),
            carry,
            draft_state,
            tokens,
            tf.constant(8),
            KEY,
            sampled,
            tf.constant(FORBIDDEN),
            DRAFT_TOKENS,
        )

    tokens = text(tf.constant(FIRST_LOGITS), sampling().stops)
    assert tokens.numpy()[0, :8].tolist() == free_text(KEY)[:8]


def test_the_filtered_law_is_what_sample_token_draws():
    logits = tf.constant(np.random.default_rng(6).normal(size=(400, 9)), tf.float32)
    options = {"temperature": 0.8, "top_k": 7, "top_p": 0.9, "min_p": 0.05}
    noise = random.gumbel(KEY, [400, 9])
    np.testing.assert_array_equal(
        tf.argmax(filtered(logits, **options) + noise, axis=1),
        sample_token(logits, KEY, **options),
    )
    for temperature in (0.0, tf.constant(0.0)):
        alone = tf.nn.softmax(filtered(tf.constant([[1.0, 3.0, 3.0]]), temperature))
        np.testing.assert_array_equal(alone, [[0.0, 1.0, 0.0]])
