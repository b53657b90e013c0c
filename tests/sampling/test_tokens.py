"""Token filters and draws against hand-computed distributions, numpy and chi-square."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfgen.sampling import random, tokens

INF = np.inf
KEY = random.root(11, random.SAMPLING)
PROBABILITIES = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
LOGITS = np.log(PROBABILITIES).astype(np.float32)[None]  # (1, 5)
RNG = np.random.default_rng(0)
# Rounded to halves, so that rows hold many ties.
RANDOM_LOGITS = [
    RNG.normal(size=(40, 23)).astype(np.float32) * 3,
    np.round(RNG.normal(size=(40, 23)) * 2).astype(np.float32) / 2,
    np.where(RNG.random((40, 23)) < 0.3, -INF, RNG.normal(size=(40, 23))).astype(np.float32),
]


def kept(filtered):
    """The ids that a filter left, of the first row."""
    return np.flatnonzero(np.isfinite(np.asarray(filtered)[0])).tolist()


def draw(logits, rows=20_000, key=KEY, **arguments):
    logits = np.repeat(np.asarray(logits, np.float32), rows, axis=0)
    return tokens.sample_token(tf.constant(logits), key, **arguments).numpy()


def assert_distribution(drawn, probabilities):
    """Chi-square against the expected distribution; what has probability 0 never occurs."""
    probabilities = np.asarray(probabilities) / np.sum(probabilities)
    counts = np.bincount(drawn, minlength=len(probabilities))
    assert len(counts) == len(probabilities)
    assert counts[probabilities == 0].sum() == 0
    possible = probabilities > 0
    if possible.sum() > 1:
        expected = probabilities[possible] * counts.sum()
        assert stats.chisquare(counts[possible], expected).pvalue > 1e-3
    else:
        assert counts[possible] == len(drawn)


# Filters by hand.


def filter_top_k(logits, k):
    return tokens.filtered(logits, top_k=k)


def filter_top_p(logits, p):
    return tokens.filtered(logits, top_p=p)


@pytest.mark.parametrize("k, expected", [(0, 5), (1, 1), (2, 2), (4, 4), (5, 5), (6, 5), (999, 5)])
def test_top_k_by_hand(k, expected):
    assert kept(filter_top_k(LOGITS, k)) == list(range(expected))


@pytest.mark.parametrize(
    "p, expected",
    [(1.0, 5), (0.96, 5), (0.95, 4), (0.86, 4), (0.85, 3), (0.7, 2), (0.4, 1), (0.001, 1)],
)
def test_top_p_by_hand(p, expected):
    assert kept(filter_top_p(LOGITS, p)) == list(range(expected))


@pytest.mark.parametrize(
    "min_p, expected", [(0.0, 5), (0.125, 5), (0.13, 4), (0.25, 4), (0.3, 3), (0.75, 2), (1.0, 1)]
)
def test_min_p_by_hand(min_p, expected):
    assert kept(tokens.filter_min_p(LOGITS, min_p)) == list(range(expected))


def test_filters_leave_the_kept_logits_as_they_are():
    logits = tokens.apply_temperature(LOGITS, 1.0)  # the largest is 0
    for filtered in (
        filter_top_k(LOGITS, 2),
        filter_top_p(LOGITS, 0.7),
        tokens.filter_min_p(logits, 0.7),
    ):
        np.testing.assert_array_equal(filtered.numpy()[0], [*logits[0, :2], -INF, -INF, -INF])


def test_ties_go_to_the_lower_id():
    equal = np.zeros((1, 4), np.float32)
    assert kept(filter_top_k(equal, 3)) == [0, 1, 2]
    assert kept(filter_top_p(equal, 0.5)) == [0, 1]
    assert kept(filter_top_p(equal, 0.51)) == [0, 1, 2]
    assert kept(tokens.filter_min_p(equal, 1.0)) == [0, 1, 2, 3]
    mixed = np.array([[1.0, 2.0, 1.0, 1.0, -1.0]], np.float32)
    assert kept(filter_top_k(mixed, 2)) == [0, 1]
    assert kept(filter_top_k(mixed, 3)) == [0, 1, 2]
    # Zeros of both signs are equal, whichever the sort puts first.
    assert kept(filter_top_k(np.array([[-0.0, 0.0, -0.0]], np.float32), 2)) == [0, 1]
    assert tokens.sample_token(equal, KEY, temperature=0).numpy() == [0]


@pytest.mark.parametrize("size", [7, 12, 25, 41])
def test_top_p_is_reached_to_within_rounding(size):
    equal = np.zeros((1, size), np.float32)
    for count in range(1, size):
        assert kept(filter_top_p(equal, count / size)) == list(range(count))


@pytest.mark.parametrize("weights", [[19, 18, 13, 12, 10], [11, 10, 9, 6, 2]])
def test_min_p_is_reached_to_within_rounding(weights):
    logits = np.log(np.array([weights]) / sum(weights)).astype(np.float32)
    for last, weight in enumerate(weights):
        allowed = kept(tokens.filter_min_p(logits, weight / weights[0]))
        assert allowed == list(range(last + 1))


def test_every_row_is_filtered_by_itself():
    logits = np.log(np.array([[0.4, 0.3, 0.2, 0.1], [0.05, 0.05, 0.1, 0.8]], np.float32))
    allowed = np.isfinite(filter_top_p(logits, 0.65).numpy())
    np.testing.assert_array_equal(allowed, [[1, 1, 0, 0], [0, 0, 0, 1]])


def test_forbidden_tokens_stay_forbidden():
    logits = np.array([[-INF, 1.0, -INF, 0.0]], np.float32)
    for filtered in (
        filter_top_k(logits, 3),
        filter_top_p(logits, 0.9999),
        tokens.filter_min_p(logits, 0.01),
        tokens.apply_temperature(logits, 0.5),
        tokens.apply_temperature(logits, 100.0),
        tokens.penalise_repetition(logits, [[True] * 4], 2.0),
    ):
        assert kept(filtered) == [1, 3]
        assert not np.isnan(filtered).any()


# Filters against numpy, written another way: one row and one token at a time.


def numpy_filter(row, k, p, min_p):
    order = sorted(range(len(row)), key=lambda token: (-row[token], token))
    order = order[: k or len(row)]
    probability = special.softmax(row[order].astype(np.float64))
    chosen, mass = [], 0.0
    for token, share in zip(order, probability, strict=True):
        if p < 1 and chosen and mass >= p:
            break
        chosen.append(token)
        mass += share
    chosen = [token for token in chosen if np.exp(row[token] - row[order[0]]) >= min_p]
    filtered = np.full(len(row), -INF, np.float32)
    filtered[chosen] = row[chosen]
    return filtered


@pytest.mark.parametrize("logits", RANDOM_LOGITS, ids=["smooth", "ties", "forbidden"])
@pytest.mark.parametrize("k", [0, 1, 6, 23, 40])
@pytest.mark.parametrize("p", [1.0, 0.91, 0.37])
def test_sorted_filters_against_numpy(logits, k, p):
    expected = np.stack([numpy_filter(row, k, p, 0.0) for row in logits])
    np.testing.assert_array_equal(tokens.filter_sorted(tf.constant(logits), k, p), expected)


@pytest.mark.parametrize("logits", RANDOM_LOGITS, ids=["smooth", "ties", "forbidden"])
@pytest.mark.parametrize("min_p", [0.0, 0.07, 0.53, 1.0])
def test_min_p_against_numpy(logits, min_p):
    expected = np.stack([numpy_filter(row, 0, 1.0, min_p) for row in logits])
    np.testing.assert_array_equal(tokens.filter_min_p(logits, min_p), expected)


# Temperature and the repetition penalty.


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1, 2.5])
def test_temperature_changes_the_distribution_as_defined(temperature):
    logits = RANDOM_LOGITS[0]
    expected = special.softmax(logits.astype(np.float64) / temperature, axis=-1)
    result = special.softmax(tokens.apply_temperature(logits, temperature).numpy(), axis=-1)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1e-45, 1e-38, 1e-30])
def test_very_low_temperatures_are_greedy(temperature):
    logits = tf.constant([[1000.0, 1001.0, -1000.0, -INF]])
    scaled = tokens.apply_temperature(logits, temperature).numpy()
    np.testing.assert_array_equal(scaled[0, 1], 0.0)
    assert (scaled[0, [0, 2, 3]] < -1e20).all()
    assert set(draw(logits, rows=100, temperature=temperature)) == {1}


def test_very_high_temperature_is_uniform_over_what_is_allowed():
    assert_distribution(draw([[3.0, -INF, 0.0, -5.0]], temperature=1e38), [1, 0, 1, 1])


def test_repetition_penalty_by_hand():
    logits = np.array([[2.0, -2.0, 2.0, -2.0, 0.0]], np.float32)
    seen = np.array([[True, True, False, False, True]])
    np.testing.assert_array_equal(
        tokens.penalise_repetition(logits, seen, 4.0), [[0.5, -8.0, 2.0, -2.0, 0.0]]
    )
    np.testing.assert_array_equal(
        tokens.penalise_repetition(logits, seen, 0.5), [[4.0, -1.0, 2.0, -2.0, 0.0]]
    )
    np.testing.assert_array_equal(tokens.penalise_repetition(logits, seen, 1.0), logits)


# Draws.


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({}, PROBABILITIES),
        ({"temperature": 0.5}, PROBABILITIES**2),
        ({"temperature": 2.0}, PROBABILITIES**0.5),
        ({"temperature": 0.0}, [1, 0, 0, 0, 0]),
        ({"top_k": 1}, [1, 0, 0, 0, 0]),
        ({"top_k": 3}, [0.4, 0.3, 0.15, 0, 0]),
        ({"top_k": 50}, PROBABILITIES),
        ({"top_p": 0.8}, [0.4, 0.3, 0.15, 0, 0]),
        ({"min_p": 0.2}, [0.4, 0.3, 0.15, 0.1, 0]),
        # Temperature first: squares .16, .09, .0225, .01, .0025 of .285, cumulated .56, .88.
        ({"temperature": 0.5, "top_p": 0.8}, [0.16, 0.09, 0, 0, 0]),
        ({"temperature": 0.5, "min_p": 0.2}, [0.16, 0.09, 0, 0, 0]),
        # top_k before top_p: of .4, .3, .15 the first two have .82 of the mass.
        ({"top_k": 3, "top_p": 0.8}, [0.4, 0.3, 0, 0, 0]),
        ({"top_k": 4, "top_p": 0.99, "min_p": 0.3}, [0.4, 0.3, 0.15, 0, 0]),
    ],
)
def test_draws_have_the_distribution_computed_by_hand(arguments, expected):
    assert_distribution(draw(LOGITS, **arguments), expected)


@pytest.mark.long
def test_draws_of_consecutive_keys_have_the_distribution():
    """What a generation does: one row, a new key for each token."""
    sample = tf.function(
        lambda: tf.map_fn(
            lambda step: tokens.sample_token(LOGITS, random.fold(KEY, step))[0], tf.range(20_000)
        ),
        autograph=False,
    )
    assert_distribution(sample().numpy(), PROBABILITIES)


def test_forbidden_tokens_are_never_drawn():
    logits = [[-INF, 0.0, -INF, 1.0, -INF]]
    expected = [0, 1, 0, np.e, 0]
    assert_distribution(draw(logits), expected)
    assert_distribution(draw(logits, top_k=4), expected)
    assert_distribution(draw(logits, top_p=0.99999), expected)
    assert_distribution(draw(logits, temperature=0.0), [0, 0, 0, 1, 0])


def test_rows_do_not_depend_on_the_batch_size():
    logits = np.tile(RANDOM_LOGITS[0], (4, 1))
    arguments = {"temperature": 1.3, "top_k": 9, "top_p": 0.9}
    many = tokens.sample_token(logits, KEY, **arguments).numpy()
    for rows in (1, 7):
        few = tokens.sample_token(logits[:rows], KEY, **arguments).numpy()
        np.testing.assert_array_equal(few, many[:rows])


def test_low_precision_logits_are_drawn_in_float32():
    logits = tf.cast(np.tile(LOGITS, (50, 1)), tf.bfloat16)
    expected = tokens.sample_token(tf.cast(logits, tf.float32), KEY).numpy()
    np.testing.assert_array_equal(tokens.sample_token(logits, KEY).numpy(), expected)
    assert filter_top_k(logits, 2).dtype == tf.float32


# Eager, graph, XLA; numbers, tensors.

ARGUMENTS = [
    {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0},
    {"temperature": 0.0, "top_k": 5, "top_p": 0.5, "min_p": 0.1},
    {"temperature": 0.7, "top_k": 5, "top_p": 1.0, "min_p": 0.0},
    {"temperature": 1.7, "top_k": 0, "top_p": 0.8, "min_p": 0.0},
    {"temperature": 1.3, "top_k": 12, "top_p": 0.95, "min_p": 0.05},
    {"temperature": 0.9, "top_k": 99, "top_p": 1.0, "min_p": 1.0},
]


def tensors(arguments):
    return {name: tf.constant(value) for name, value in arguments.items()}


@pytest.mark.long
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("logits", RANDOM_LOGITS, ids=["smooth", "ties", "forbidden"])
def test_tensor_arguments_in_one_graph_equal_numbers_in_eager_code(logits, jit_compile):
    logits = tf.constant(np.tile(logits, (10, 1)))
    sample = tf.function(tokens.sample_token, jit_compile=jit_compile, autograph=False)
    for arguments in ARGUMENTS:
        expected = tokens.sample_token(logits, KEY, **arguments).numpy()
        result = sample(logits, KEY, **tensors(arguments))
        assert result.dtype == tf.int32
        np.testing.assert_array_equal(result.numpy(), expected)
    assert sample.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.long)], ids=["graph", "xla"]
)
def test_filters_agree_to_the_bit(jit_compile):
    def everything(logits, temperature, top_k, top_p, min_p):
        seen = logits > 0.5
        return (
            tokens.apply_temperature(logits, temperature),
            filter_top_k(logits, top_k),
            filter_top_p(logits, top_p),
            tokens.filter_min_p(logits, min_p),
            tokens.penalise_repetition(logits, seen, temperature),
        )

    traced = tf.function(everything, jit_compile=jit_compile, autograph=False)
    logits = tf.constant(np.concatenate(RANDOM_LOGITS))
    for arguments in ARGUMENTS[2:]:
        expected = everything(logits, **arguments)
        for one, other in zip(traced(logits, **tensors(arguments)), expected, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.long
def test_numbers_inside_xla_equal_eager_code():
    logits = tf.constant(np.concatenate(RANDOM_LOGITS))
    arguments = ARGUMENTS[4]
    sample = tf.function(
        lambda logits: tokens.sample_token(logits, KEY, **arguments),
        jit_compile=True,
        autograph=False,
    )
    np.testing.assert_array_equal(sample(logits), tokens.sample_token(logits, KEY, **arguments))


def test_unknown_vocabulary_size_in_a_graph():
    sample = tf.function(
        lambda logits, k: filter_top_k(logits, k),
        input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([], tf.int32)],
        autograph=False,
    )
    assert kept(sample(LOGITS, 2)) == [0, 1]
    assert kept(sample(LOGITS, 9)) == [0, 1, 2, 3, 4]


def test_sort_is_left_out_of_the_graph_when_numbers_switch_it_off():
    def operations(**arguments):
        traced = tf.function(
            lambda logits: tokens.sample_token(logits, KEY, **arguments), autograph=False
        ).get_concrete_function(tf.TensorSpec([4, 5]))
        return {operation.type for operation in traced.graph.get_operations()}

    assert "TopKV2" in operations(top_k=2)
    assert "TopKV2" in operations(top_p=0.9)
    assert "TopKV2" not in operations(top_k=5)
    assert not {"TopKV2", "If", "StatelessIf"} & operations()
    assert "ArgMax" in operations(temperature=0.0)
    assert "Log" not in operations(temperature=0.0)  # no noise
