"""Random numbers: their laws, and that the same key gives the same numbers everywhere."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.errors import InputError
from tfgen.sampling import random

KEY = random.root(2024, random.SAMPLING)
DRAWS = {
    "uniform": random.uniform,
    "normal": random.normal,
    "gumbel": random.gumbel,
    "bernoulli_mask": lambda key, shape: random.bernoulli_mask(key, shape, 0.7),
}


def compiled(function):
    return tf.function(function, jit_compile=True, autograph=False)


@pytest.fixture(scope="module")
def all_uniforms():
    """Every number that `uniform` can return."""
    return (np.arange(2**23, dtype=np.float32) + np.float32(0.5)) * np.float32(2.0**-23)


@pytest.mark.parametrize(
    "name, law", [("uniform", stats.uniform), ("normal", stats.norm), ("gumbel", stats.gumbel_r)]
)
def test_law(name, law):
    values = DRAWS[name](KEY, [200_000]).numpy()
    assert stats.kstest(values, law.cdf).pvalue > 0.01
    # Neighbours are unrelated: the correlation's standard error is 1 / sqrt(200000) = .0022.
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.01


def test_uniform_uses_the_upper_23_bits_and_never_reaches_0_or_1(all_uniforms):
    words = tf.constant([0, 511, 512, -1, -(2**31)], tf.int32)
    expected = np.array([0.5, 0.5, 1.5, 2**23 - 0.5, 2**22 + 0.5]) / 2**23
    np.testing.assert_array_equal(random.to_uniform(words).numpy(), expected.astype(np.float32))
    assert all_uniforms.min() > 0 and all_uniforms.max() < 1
    drawn = random.uniform(KEY, [1000]).numpy()
    upper = random.bits(KEY, [1000]).numpy().view(np.uint32) >> 9
    np.testing.assert_array_equal(drawn, all_uniforms[upper])


@pytest.mark.parametrize(
    "transform, oracle",
    [(random.to_normal, stats.norm.ppf), (random.to_gumbel, stats.gumbel_r.ppf)],
)
def test_every_possible_value_is_the_same_in_xla(transform, oracle, all_uniforms):
    eager = transform(tf.constant(all_uniforms)).numpy()
    np.testing.assert_array_equal(eager, compiled(transform)(tf.constant(all_uniforms)).numpy())
    sample = slice(None, None, 997)
    expected = oracle(all_uniforms[sample].astype(np.float64))
    np.testing.assert_allclose(eager[sample], expected, rtol=1e-6, atol=1e-7)


def test_normal_is_symmetric(all_uniforms):
    values = random.to_normal(tf.constant(all_uniforms)).numpy()
    np.testing.assert_array_equal(values, -values[::-1])


@pytest.mark.parametrize(
    "name", [*DRAWS][:1] + [pytest.param(name, marks=pytest.mark.long) for name in [*DRAWS][1:]]
)
def test_eager_graph_and_xla_agree_to_the_bit(name):
    def draw(seed, step):
        return DRAWS[name](random.fold(random.root(seed, random.DROPOUT), step), [33, 65])

    seed, step = tf.constant(-(2**40) - 7, tf.int64), tf.constant(11)
    eager = draw(seed, step).numpy()
    np.testing.assert_array_equal(eager, tf.function(draw, autograph=False)(seed, step).numpy())
    np.testing.assert_array_equal(eager, compiled(draw)(seed, step).numpy())
    np.testing.assert_array_equal(eager, draw(-(2**40) - 7, 11).numpy())


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("rows", [1, 3, 8])
def test_first_rows_do_not_depend_on_the_batch_size(name, rows):
    many = DRAWS[name](KEY, [64, 5, 7]).numpy()
    np.testing.assert_array_equal(DRAWS[name](KEY, [rows, 5, 7]).numpy(), many[:rows])


def test_first_rows_do_not_depend_on_the_batch_size_in_xla():
    few, many = (compiled(lambda n=n: random.bits(KEY, [n, 7]))().numpy() for n in (3, 64))
    np.testing.assert_array_equal(few, many[:3])


def test_bits_are_balanced():
    words = random.bits(KEY, [100_000]).numpy().view(np.uint32)
    ones = [(words >> np.uint32(bit) & np.uint32(1)).sum() for bit in range(32)]
    assert stats.chisquare(np.stack([ones, 100_000 - np.array(ones)]), axis=0).pvalue.min() > 1e-4


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 1.0])
def test_bernoulli_mask(keep):
    mask = random.bernoulli_mask(KEY, [100_000], keep).numpy()
    assert set(np.unique(mask)) <= {np.float32(0), np.float32(1) / np.float32(keep)}
    assert stats.binomtest(int((mask > 0).sum()), 100_000, keep).pvalue > 0.01
    np.testing.assert_array_equal(
        mask, random.bernoulli_mask(KEY, [100_000], tf.constant(keep)).numpy()
    )


SEEDS = [0, 1, -1, 7, 2**31 - 1, 2**31, -(2**31), 2**32, 2**32 + 7, 2**63 - 1, -(2**63), 2**40]


def test_every_seed_has_its_own_key():
    keys = {tuple(random.root(seed, random.SAMPLING).numpy()) for seed in SEEDS}
    assert len(keys) == len(SEEDS)
    for key in keys:
        assert np.array(key).shape == (2,)
    assert random.root(3, random.SAMPLING).dtype == tf.int32


@pytest.mark.parametrize("seed", SEEDS)
def test_integer_and_tensor_give_the_same_key(seed):
    expected = random.root(seed, random.DATA).numpy()
    forms = [np.int64(seed), tf.constant(seed, tf.int64)]
    if -(2**31) <= seed < 2**31:
        forms += [np.int32(seed), tf.constant(seed, tf.int32)]
    if seed >= 2**63 or seed < 0:
        forms += [seed % 2**64, np.uint64(seed % 2**64)]
    for form in forms:
        np.testing.assert_array_equal(random.root(form, random.DATA).numpy(), expected)


def test_integer_and_tensor_give_the_same_key_in_xla():
    root = compiled(lambda seed: random.root(seed, random.DATA))
    for seed in (-5, 2**40 + 1):
        expected = random.root(seed, random.DATA).numpy()
        np.testing.assert_array_equal(root(tf.constant(seed, tf.int64)).numpy(), expected)


def test_purposes_and_folds_give_unrelated_draws():
    purposes = [
        random.SAMPLING,
        random.DROPOUT,
        random.DATA,
        random.INITIAL,
        random.EVALUATION,
    ]
    assert len(set(purposes)) == 5
    keys = [random.root(1, purpose) for purpose in purposes]
    keys += [random.fold(KEY, data) for data in (0, 1, 2, -1)]
    keys += [random.fold(random.fold(KEY, 1), 2), random.fold(random.fold(KEY, 2), 1)]
    draws = np.stack([random.normal(key, [20_000]).numpy() for key in keys])
    correlation = np.corrcoef(draws) - np.eye(len(keys))
    assert np.abs(correlation).max() < 0.035  # five standard errors


def test_consecutive_folds_have_the_right_law():
    """A generation draws one number for each of many keys, instead of many of one key."""

    @compiled
    def draw():
        return tf.map_fn(
            lambda step: random.uniform(random.fold(KEY, step), [1])[0],
            tf.range(5000),
            fn_output_signature=tf.float32,
        )

    values = draw().numpy()
    assert stats.kstest(values, stats.uniform.cdf).pvalue > 0.01
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.06


def test_golden_values():
    """The same seed gives the same sample in every later version."""
    key = random.fold(random.root(7, random.SAMPLING), 3)
    expected = [-1055400779, 1572805344, -1006900510]
    np.testing.assert_array_equal(random.bits(key, [3]).numpy(), expected)


@pytest.mark.parametrize(
    "seed, words",
    [
        (2**64, "seed must have at most 64 bits. Received: seed=18446744073709551616"),
        (-(2**63) - 1, "seed must have at most 64 bits. Received: seed=-9223372036854775809"),
        (1.0, "seed must be an integer. Received: seed=1.0"),
        (True, "seed must be an integer. Received: seed=True"),
        (None, "seed must be an integer. Received: seed=None"),
        (tf.constant(1.0), "seed must be an integer scalar. Received: seed=float32 ()"),
        (tf.constant([1, 2]), "seed must be an integer scalar. Received: seed=int32 (2,)"),
    ],
)
def test_seeds_that_are_refused(seed, words):
    with pytest.raises(InputError) as caught:
        random.root(seed, random.SAMPLING)
    assert str(caught.value) == words


@pytest.mark.long
@pytest.mark.parametrize("shape", [(3, 5), (6,)])
@pytest.mark.parametrize("begin", [1, 2**29])
def test_rows_from_somewhere_are_those_of_the_whole(shape, begin):
    key = random.fold(random.root(1, random.SAMPLING), 3)

    def later(begin):
        with random.rows_from(begin):
            return random.bits(key, shape)

    found = [
        tf.function(later, jit_compile=jit)(tf.constant(begin)).numpy() for jit in (False, True)
    ]
    np.testing.assert_array_equal(*found)
    if begin < 100:
        whole = random.bits(key, (begin + shape[0], *shape[1:])).numpy()
        np.testing.assert_array_equal(found[0], whole[begin:])
    assert getattr(random._local, "begin", None) is None
