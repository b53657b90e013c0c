"""The loops that draw numbers and fill gaps, with models that are formulas."""

import numpy as np
import tensorflow as tf

from tfgen.sampling import random
from tfgen.sampling.buckets import bucket
from tfgen.sampling.particles import Observed, fill
from tfgen.sampling.rollout import Rollout, roll


def rollout(rows, capacity, count, features=1, seed=0, covariates=None):
    if covariates is None:
        covariates = tf.zeros([rows, capacity, 0])
    return Rollout(
        state=tf.zeros([rows], tf.int32),
        previous=tf.fill([rows, features], np.float32(np.nan)),
        first=tf.ones([rows], tf.bool),
        finished=tf.zeros([rows], tf.bool),
        covariates=covariates,
        whole=tf.zeros([rows, 0]),
        scale=tf.zeros([rows, 0]),
        begun=tf.constant(0),
        count=tf.constant(count),
        key=random.root(seed, random.SAMPLING),
        temperature=tf.constant(1.0),
        bias=tf.constant(0.0),
    )


def counting(rollout, state, previous, first, covariates, key):
    """Each position is the one before and 1; the first is 10; rows end after 3 + row."""
    value = tf.where(first[:, None], 10.0, previous + 1.0)
    rows = tf.range(tf.shape(state)[0])
    last = state + 1 == 3 + rows
    clipped = tf.cast(state, tf.float32)
    return value, last, clipped, state + 1


def test_each_position_follows_from_the_one_before():
    drawn = roll(counting, rollout(rows=3, capacity=8, count=4))
    assert drawn.lengths.numpy().tolist() == [3, 4, 4]
    assert drawn.ended.numpy().tolist() == [True, True, False]
    nan = np.nan
    expected = [[10, 11, 12, nan], [10, 11, 12, 13], [10, 11, 12, 13]]
    np.testing.assert_array_equal(drawn.values[:, :4, 0], expected)
    assert np.isnan(drawn.values[:, 4:]).all()
    # 0 + 1 + 2 for the first row, 0 + 1 + 2 + 3 for the others, over 11 positions.
    assert float(drawn.clipped) == np.float32(15 / 11)


def test_the_loop_ends_when_all_rows_have():
    drawn = roll(counting, rollout(rows=2, capacity=8, count=8))
    assert int(drawn.rollout.begun) == 4


def noisy(rollout, state, previous, first, covariates, key):
    rows = tf.shape(state)[0]
    value = covariates + random.normal(key, [rows, 1])
    return value, tf.zeros([rows], tf.bool), tf.zeros([rows]), state


def test_parts_are_the_whole_and_rows_do_not_know_each_other():
    covariates = tf.reshape(tf.range(12.0), [1, 12, 1])
    many = tf.repeat(covariates, 3, axis=0)
    whole = roll(noisy, rollout(3, 12, 12, covariates=many)).values.numpy()
    first = roll(noisy, rollout(3, 12, 5, covariates=many))
    rest = first.rollout._replace(covariates=many[:, 5:], count=tf.constant(7))
    parts = np.concatenate([first.values[:, :5], roll(noisy, rest).values], axis=1)
    np.testing.assert_array_equal(parts, whole)
    alone = roll(noisy, rollout(1, 12, 12, covariates=covariates)).values
    np.testing.assert_array_equal(alone, whole[:1])
    assert not np.array_equal(whole[0], whole[1])


def test_a_bucket_is_the_next_power_of_two_times_the_smallest():
    sizes = {1: 32, 32: 32, 33: 64, 64: 64, 65: 128, 1000: 1024, 1025: 2048, 16384: 16384}
    assert {count: int(bucket(tf.constant(count), 32)) for count in sizes} == sizes


# A coin that stays as it is with 0.9, seen through an error: P(seen = coin) = 0.8.


def coin(rollout, state, previous, first, covariates, key, given):
    """Features: the coin, never given; what is seen of it, given or not."""
    rows = tf.shape(state)[0]
    chance = random.uniform(key, [rows, 2])
    before = previous[:, 0]
    stays = tf.where(first, 0.5, 0.9)
    side = tf.where(
        chance[:, 0] < stays, tf.where(first, 1.0, before), tf.where(first, 0.0, 1 - before)
    )
    seen = tf.where(chance[:, 1] < 0.8, side, 1 - side)
    weight = tf.where(given[1] == side, np.log(0.8), np.log(0.2))
    missing = tf.math.is_nan(given[1])
    seen = tf.where(missing, seen, given[1])
    weight = tf.where(missing, 0.0, tf.cast(weight, tf.float32))
    return tf.stack([side, seen], axis=1), weight, state


def test_lines_of_descent_follow_the_smoothing_law_of_a_hidden_chain():
    seen = [1, 1, np.nan, 0, np.nan, 0, 0]
    values = tf.constant([[np.nan, s] for s in seen], tf.float32)
    start = rollout(rows=4000, capacity=7, count=7, features=2, seed=3)
    found = fill(Observed(coin, values), start, tf.constant(3000)).numpy()
    # Forward and backward by hand.
    likelihood = np.array([[1, 1] if np.isnan(s) else ([0.8, 0.2] if s == 0 else [0.2, 0.8])
                           for s in seen])  # fmt: skip
    move = np.array([[0.9, 0.1], [0.1, 0.9]])
    forward = [np.array([0.5, 0.5]) * likelihood[0]]
    for row in likelihood[1:]:
        forward.append((forward[-1] @ move) * row)
    backward = [np.ones(2)]
    for row in likelihood[:0:-1]:
        backward.append(move @ (row * backward[-1]))
    law = np.array(forward) * np.array(backward[::-1])
    law = (law / law.sum(axis=1, keepdims=True))[:, 1]
    np.testing.assert_allclose(found[:, :, 0].mean(axis=0), law, atol=0.06)
    given = ~np.isnan(seen)
    np.testing.assert_array_equal(
        found[:, given, 1], np.tile(np.array(seen)[given], (3000, 1)).astype(np.float32)
    )
