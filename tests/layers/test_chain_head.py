"""A chain of columns of different kinds: one exact joint distribution."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.layers import (
    CategoricalHead,
    ChainHead,
    GaussianMixtureHead,
    NegativeBinomialHead,
)
from tfgen.layers.cells import Cells
from tfgen.layers.negative_binomial_head import Counts

STEP = 0.5
# Stepped and bounded by 0 and 2, so that there are five numbers; a category; an angle in quarters.
GRID = STEP * np.arange(5, dtype=np.float32)
ANGLES = np.float32(np.pi / 2 * np.arange(4))


def heads():
    return [
        GaussianMixtureHead(1, components=2),
        CategoricalHead([3]),
        GaussianMixtureHead(1, components=2, circular=[0]),
    ]


def built(head, seed=0, size=0.3):
    """The head with random weights, and its parameters at one position."""
    rng = np.random.default_rng(seed)
    head.build((None, 4))
    for weight in head.weights:
        weight.assign(weight + size * rng.normal(size=weight.shape))
    return head, head(tf.constant(rng.normal(size=[1, 4]), tf.float32))


def repeated(parameters, count):
    return {name: tf.repeat(value, count, axis=0) for name, value in parameters.items()}


def likelihoods(head, parameters, rows, observed=None):
    """Of rows `(number, level, angle)`, NaN or -1 missing."""
    number, level, angle = np.array(rows, np.float32).T
    numbers = np.stack([number, angle], axis=1)
    lower, upper = numbers - [STEP / 2, np.pi / 4], numbers + [STEP / 2, np.pi / 4]
    lower[:, 0] = np.where(number <= 0, -np.inf, lower[:, 0])
    upper[:, 0] = np.where(number >= 2, np.inf, upper[:, 0])
    edges = (tf.constant(np.nan_to_num(edge, nan=0.0, posinf=np.inf, neginf=-np.inf), tf.float32)
             for edge in (lower, upper))  # fmt: skip
    return head.log_prob(
        repeated(parameters, len(rows)),
        tf.constant(numbers),
        observed,
        cells=Cells(np.array([0, 1]), *edges),
        categories=tf.constant(level[:, None], tf.int32),
    ).numpy()


EVERY = list(itertools.product(GRID, range(3), ANGLES))


def test_everything_that_can_be_recorded_is_all_there_is():
    head, parameters = built(ChainHead(heads(), units=6))
    chances = np.exp(np.float64(likelihoods(head, parameters, EVERY)))
    assert chances.sum() == pytest.approx(1, abs=1e-5)
    # And the columns have to do with each other: their joint is not the product of margins.
    table = chances.reshape(5, 3, 4)
    margins = [table.sum(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    product = np.einsum("i,j,k->ijk", *margins)
    assert np.abs(table - product).max() > 0.01


@pytest.mark.parametrize("there", itertools.product([True, False], repeat=3))
def test_what_is_missing_is_left_out(there):
    """Whatever is observed, its probabilities sum to 1."""
    head, parameters = built(ChainHead(heads(), units=6))
    missing = (np.nan, -1, np.nan)
    rows = {
        tuple(value if seen else gap for value, seen, gap in zip(row, there, missing))
        for row in map(tuple, np.array(EVERY, object))
    }
    rows = list({str(row): row for row in rows}.values())
    assert len(rows) == np.prod([n if seen else 1 for n, seen in zip((5, 3, 4), there)])
    chances = np.exp(np.float64(likelihoods(head, parameters, rows)))
    assert chances.sum() == pytest.approx(1, abs=1e-5)


def test_samples_are_as_often_as_they_are_likely():
    head, parameters = built(ChainHead(heads(), units=6))
    count, rng = 30000, np.random.default_rng(2)
    uniform = rng.uniform(size=[count, head.uniforms]).astype(np.float32)
    normal = rng.normal(size=[count, head.normals]).astype(np.float32)

    def record(number, column):
        if column == 0:
            return tf.clip_by_value(tf.round(number / STEP) * STEP, 0.0, 2.0)
        return tf.round(number / (np.pi / 2)) * np.float32(np.pi / 2)

    numbers, levels = head.sample(repeated(parameters, count), uniform, normal, record=record)
    first = record(numbers[:, :1], 0).numpy()[:, 0] / STEP
    angle = np.mod(np.round(numbers[:, 1].numpy() / (np.pi / 2)), 4)
    found = np.zeros([5, 3, 4])
    np.add.at(found, (first.astype(int), levels.numpy()[:, 0], angle.astype(int)), 1)
    expected = count * np.exp(np.float64(likelihoods(head, parameters, EVERY)))
    likely = expected > 5
    found = [*found.ravel()[likely], found.ravel()[~likely].sum()]
    expected = [*expected[likely], expected[~likely].sum()]
    assert stats.chisquare(found, expected, sum_check=False).pvalue > 1e-3


def test_what_is_given_is_not_drawn_and_the_rest_follows_from_it():
    head, parameters = built(ChainHead(heads(), units=6))
    count, rng = 20000, np.random.default_rng(3)
    uniform = rng.uniform(size=[count, head.uniforms]).astype(np.float32)
    normal = rng.normal(size=[count, head.normals]).astype(np.float32)
    given = np.tile(np.float32([1.0, np.nan]), [count, 1])
    _, levels = head.sample(
        repeated(parameters, count), uniform, normal, given=given,
        categories=tf.fill([count, 1], -1),
    )  # fmt: skip
    rows = [(1.0, level, np.nan) for level in range(3)]
    chances = np.exp(np.float64(likelihoods(head, parameters, rows)))
    found = np.bincount(levels.numpy()[:, 0], minlength=3)
    assert stats.chisquare(found, count * chances / chances.sum()).pvalue > 1e-3

    # A given category counts for the column after it, too.
    def angles(level):
        return head.sample(
            repeated(parameters, count), uniform, normal, given=given,
            categories=tf.fill([count, 1], level),
        )[0][:, 1].numpy()  # fmt: skip

    assert np.abs(angles(0) - angles(2)).max() > 0.1


def test_a_likelihood_that_is_not_to_count_is_read_all_the_same():
    head, parameters = built(ChainHead(heads(), units=6))
    row, rest = [(0.5, 1, ANGLES[1])], tf.constant([[False, True, True]])
    first = likelihoods(head, parameters, [(0.5, -1, np.nan)])
    some = likelihoods(head, parameters, row, rest)
    np.testing.assert_allclose(first + some, likelihoods(head, parameters, row), rtol=1e-5)


def test_counts_have_the_size_of_their_series():
    head, parameters = built(
        ChainHead([NegativeBinomialHead(1), GaussianMixtureHead(1, components=2)], units=4)
    )
    counts = np.arange(400, dtype=np.float32)
    told = repeated(parameters, 400)

    def total(unit):
        scaled = np.stack([counts / unit, np.full(400, np.nan)], axis=1).astype(np.float32)
        numbers = np.stack([counts, np.full(400, np.nan)], axis=1).astype(np.float32)
        pair = Counts(tf.constant(numbers), tf.fill([400, 2], np.float32(unit)))
        return np.exp(np.float64(head.log_prob(told, scaled, counts=pair)))

    mean = [(counts * total(unit)).sum() for unit in (1.0, 8.0)]
    assert total(1.0).sum() == pytest.approx(1, abs=1e-3)
    assert mean[1] == pytest.approx(8 * mean[0], rel=0.02)


def test_every_weight_is_learned_and_comes_back():
    head, _ = built(ChainHead(heads(), units=6, name="chain"))
    hidden = tf.constant(np.random.default_rng(4).normal(size=[16, 4]), tf.float32)
    scaled = np.random.default_rng(5).normal(size=[16, 2]).astype(np.float32)
    levels = tf.constant(np.arange(16)[:, None] % 3, tf.int32)
    with tf.GradientTape() as tape:
        nats = head.log_prob(head(hidden), scaled, categories=levels)
    for slope in tape.gradient(nats, head.trainable_weights):
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0
    again = ChainHead.from_config(keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(head)).get_config())  # fmt: skip
    again.build((None, 4))
    again.set_weights(head.get_weights())
    np.testing.assert_array_equal(again.log_prob(again(hidden), scaled, categories=levels), nats)
    assert again.units == 6 and [type(each) for each in again.heads] == [
        type(each) for each in head.heads
    ]


def test_columns_are_heads_of_one_feature():
    with pytest.raises(ValueError, match="heads of one feature"):
        ChainHead([GaussianMixtureHead(2)])
    with pytest.raises(ValueError, match="units must be an integer >= 1"):
        ChainHead([GaussianMixtureHead(1)], units=0)


@pytest.fixture(scope="module")
def voices():
    """A chain of categories of as many levels each, which is computed in one go."""
    return built(ChainHead([CategoricalHead([2]) for _ in range(4)], units=3), seed=4, size=1.0)


def test_categories_alike_are_a_distribution_and_what_the_columns_one_by_one_say(voices):
    head, parameters = voices
    every = np.array(list(itertools.product(range(2), repeat=4)), np.int32)
    rows = repeated(parameters, len(every))
    told = head.log_prob(rows, None, categories=tf.constant(every)).numpy()
    assert np.exp(told).sum() == pytest.approx(1, abs=1e-5) and np.ptp(told) > 1
    some = every.copy()
    some[::3, 1] = -1
    observed = np.arange(4) != 2
    for categories, counted in ((every, None), (some, tf.constant(observed))):
        given = rows, tf.zeros([len(every), 0]), counted
        head._levels, levels = None, head._levels
        alone = head.log_prob(*given, categories=tf.constant(categories)).numpy()
        head._levels = levels
        together = head.log_prob(*given, categories=tf.constant(categories)).numpy()
        np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_categories_alike_are_sampled_as_often_as_they_are_likely_and_given_ones_kept(voices):
    head, parameters = voices
    count = 20_000
    rows = repeated(parameters, count)
    uniform = tf.constant(np.random.default_rng(0).random([count, 4]), tf.float32)
    given = tf.constant([[-1, -1, 1, -1]] * count, tf.int32)
    for told in (None, given):
        numbers, drawn = head.sample(rows, uniform, tf.zeros([count, 0]), categories=told)
        assert numbers.shape == (count, 0)
        drawn = drawn.numpy()
        if told is not None:
            drawn = np.where(given.numpy() < 0, drawn, given.numpy())
        found, counts = np.unique(drawn, axis=0, return_counts=True)
        wanted = head.log_prob(
            repeated(parameters, len(found)), None, categories=tf.constant(found)
        ).numpy()
        if told is not None:  # columns before it do not know of it
            before = np.array([[*row[:2], -1, -1] for row in found], np.int32)
            first = head.log_prob(
                repeated(parameters, len(found)), None, categories=tf.constant(before)
            ).numpy()
            kept = np.array([[*row[:3], -1] for row in found], np.int32)
            of_given = head.log_prob(
                repeated(parameters, len(found)), None, categories=tf.constant(kept)
            ).numpy()
            wanted = wanted - of_given + first
        np.testing.assert_allclose(counts / count, np.exp(wanted), atol=0.012)
