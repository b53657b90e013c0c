"""Contrastive search against equation 5 of its paper, said slowly in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.sampling import decode as decoding
from tfgen.sampling.contrastive import contrastive_search

VOCABULARY, WIDTH, BATCH, POSITIONS, CAPACITY = 7, 8, 3, 4, 12
GENERATOR = np.random.default_rng(0)
# A small recurrent network: hidden = tanh(embedding + hidden @ kernel), logits = hidden @ head.
EMBEDDING = GENERATOR.normal(size=(VOCABULARY, WIDTH)).astype("float32")
KERNEL = GENERATOR.normal(size=(WIDTH, WIDTH)).astype("float32") * 0.5
HEAD = GENERATOR.normal(size=(WIDTH, VOCABULARY)).astype("float32")
HISTORY = GENERATOR.normal(size=(BATCH, POSITIONS, WIDTH)).astype("float32")
LENGTHS = np.array([4, 1, 3])
FORBIDDEN = np.arange(VOCABULARY) == 6


def step(ids, state):
    hidden = tf.tanh(tf.gather(EMBEDDING, ids) + tf.matmul(state["hidden"], KERNEL))
    return hidden, {"hidden": hidden, "steps": state["steps"] + 1}


def head(hidden):
    return tf.matmul(hidden, HEAD)


def _run(hidden, history, valid, tokens, count, alpha, stops, forbidden, top_k):
    state = {"hidden": hidden, "steps": tf.zeros(tf.shape(hidden)[:1], tf.int32)}
    return contrastive_search(
        step,
        head,
        state,
        hidden,
        history,
        valid,
        tokens,
        count,
        top_k,
        alpha,
        stops,
        forbidden,
    )


# A graph is there sooner than XLA's program, which takes the same.
graph = tf.function(_run, autograph=False)
compiled = tf.function(_run, autograph=False, jit_compile=True)


def align(stops):
    lengths = [len(stop) for stop in stops]
    padded = np.zeros((len(stops), max(lengths, default=0)), np.int32)
    for row, stop in enumerate(stops):
        padded[row, : len(stop)] = stop
    return decoding.align_stops(tf.constant(padded), tf.constant(lengths, tf.int32))


def arguments(count=10, alpha=0.6, stops=(), forbidden=FORBIDDEN, rows=BATCH):
    last = HISTORY[np.arange(rows), LENGTHS[:rows] - 1]
    return (
        tf.constant(last),
        tf.constant(HISTORY[:rows]),
        tf.range(POSITIONS) < LENGTHS[:rows, None],
        tf.zeros([rows, CAPACITY], tf.int32),
        tf.constant(count),
        tf.constant(alpha),
        align(stops),
        tf.constant(forbidden),
    )


def search(top_k=3, how=graph, **options):
    """The text of each row and the length of the stop sequence that ended it."""
    tokens, drawn, trim = (x.numpy() for x in how(*arguments(**options), top_k))
    for row, number in enumerate(drawn):
        assert not tokens[row, number:].any()
    return [(row[:n].tolist(), int(t)) for row, n, t in zip(tokens, drawn, trim, strict=True)]


def reference(top_k=3, count=10, alpha=0.6, stops=(), forbidden=FORBIDDEN, rows=BATCH):
    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    results = []
    for row in range(rows):
        before = [unit(x) for x in HISTORY[row, : LENGTHS[row]].astype(float)]
        hidden, text, trim = HISTORY[row, LENGTHS[row] - 1].astype(float), [], 0
        while len(text) < count and not trim:
            logits = np.where(forbidden, -np.inf, hidden @ HEAD)
            probability = np.exp(logits) / np.exp(logits).sum()
            scores = {}
            for token in np.argsort(-logits)[:top_k]:
                if not forbidden[token]:
                    there = np.tanh(EMBEDDING[token] + hidden @ KERNEL)
                    repeats = max(unit(there) @ x for x in before)
                    score = (1 - alpha) * probability[token] - alpha * repeats
                    scores[score] = (int(token), there)
            token, hidden = scores[max(scores)]
            text.append(token)
            before.append(unit(hidden))
            trim = max((len(s) for s in stops if tuple(text[-len(s) :]) == s), default=0)
        results.append((text, trim))
    return results


def test_takes_what_the_reference_takes():
    texts = set()
    for top_k, alpha in [(3, 0.6), (3, 0.3), (3, 0.9), (5, 0.6), (5, 1.0), (2, 0.6)]:
        found = search(top_k, alpha=alpha)
        assert found == reference(top_k, alpha=alpha)
        texts.add(str(found))
    assert len(texts) == 6  # both arguments change the text


def greedy():
    return reference(top_k=1, alpha=0.0)


def test_alpha_0_and_a_single_candidate_are_greedy_decoding():
    assert search(alpha=0.0) == search(5, alpha=0.0) == greedy()
    assert search(1, alpha=0.6) == greedy()
    assert search() != greedy()


def test_the_prompt_counts_as_text_before():
    # Without its history the first row, whose prompt is the longest, goes on differently.
    given = list(arguments(alpha=0.9))
    given[2] = tf.range(POSITIONS) == LENGTHS[:, None] - 1
    tokens = graph(*given, 3).tokens.numpy()
    whole = search(alpha=0.9)
    assert tokens[0, :10].tolist() != whole[0][0]
    assert tokens[1, :10].tolist() == whole[1][0]  # its prompt has one token


def test_stop_sequences_end_their_row():
    free = [text for text, _ in search()]
    stops = [tuple(free[0][2:4]), tuple(free[2][5:6]), (0,) * 14]
    found = search(stops=stops)
    assert found == reference(stops=stops)
    assert any(trim == 2 for _, trim in found) and any(trim == 1 for _, trim in found)
    assert len({len(text) for text, _ in found}) > 1


def test_count_ends_the_text():
    free = search()
    for count in (0, 1, 7):
        assert search(count=count) == [(text[:count], 0) for text, _ in free]


def test_forbidden_tokens_are_never_taken():
    # Alone among the candidates that are left there are fewer than `top_k`.
    forbidden = np.arange(VOCABULARY) > 1
    found = search(5, forbidden=forbidden, alpha=1.0)
    assert found == reference(5, forbidden=forbidden, alpha=1.0)
    assert {token for text, _ in found for token in text} == {0, 1}
    free = search(99, forbidden=np.zeros(VOCABULARY, bool))
    assert any(6 in text for text, _ in free)
    assert free == reference(99, forbidden=np.zeros(VOCABULARY, bool))


def test_a_row_does_not_depend_on_the_others():
    stops = [tuple(search()[0][0][2:4])]
    assert search(rows=1, stops=stops) == search(stops=stops)[:1]
    assert search(rows=2, stops=stops) == search(stops=stops)[:2]


@pytest.mark.long
def test_eager_and_xla_take_the_same():
    for how in (_run, compiled):
        assert search(how=how) == search()


def test_the_loop_ends_when_every_row_has():
    stops = [(token,) for token in range(VOCABULARY)]
    steps = []

    def counting(ids, state):
        steps.append(len(ids))
        return step(ids, state)

    hidden, history, valid, tokens, count, alpha, stops, forbidden = arguments(stops=stops)
    state = {"hidden": hidden, "steps": tf.zeros([BATCH], tf.int32)}
    contrastive_search(
        counting,
        head,
        state,
        hidden,
        history,
        valid,
        tokens,
        count,
        4,
        alpha,
        stops,
        forbidden,
    )
    assert steps == [BATCH * 4]


def test_half_precision_hidden_states():
    def half_step(ids, state):
        hidden, state = step(ids, state)
        return tf.cast(hidden, tf.bfloat16), state

    def half_head(hidden):
        return tf.matmul(hidden, tf.cast(HEAD, tf.bfloat16))

    hidden, history, *rest = arguments()
    valid, tokens, count, alpha, stops, forbidden = rest
    found = contrastive_search(
        half_step,
        half_head,
        {"hidden": hidden, "steps": tf.zeros([BATCH], tf.int32)},
        tf.cast(hidden, tf.bfloat16),
        tf.cast(history, tf.bfloat16),
        valid,
        tokens,
        count,
        3,
        alpha,
        stops,
        forbidden,
    )
    first = [text[0] for text, _ in search()]
    assert found.tokens[:, 0].numpy().tolist() == first


@pytest.mark.long
def test_sizes_may_be_unknown_to_the_graph():
    def text(hidden, history, valid, tokens, stops):
        given = (tf.constant(10), tf.constant(0.6), stops, tf.constant(FORBIDDEN))
        return compiled(hidden, history, valid, tokens, *given, 3).tokens

    hidden, history, valid, tokens, _, _, stops, _ = arguments()
    unknown = tf.function(
        text,
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, WIDTH]),
            tf.TensorSpec([None, None, WIDTH]),
            tf.TensorSpec([None, None], tf.bool),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.int32),
        ],
    )
    found = unknown(hidden, history, valid, tokens, stops).numpy()
    assert found[:, :10].tolist() == [text for text, _ in search()]
