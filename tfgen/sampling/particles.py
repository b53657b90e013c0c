"""Filling gaps with a model that only knows the past: a particle filter.

Many lines of descent are drawn forward through the series. Where something was observed, a line
keeps the observed value, and its weight grows by how likely the model found it; lines that have
become unlikely are dropped in favour of copies of likely ones. What the surviving lines had drawn
in a gap is a sample of the gap given what came before and after it, the better the more lines there
are (Gordon, Salmond & Smith 1993; Doucet & Johansen, "A tutorial on particle filtering and
smoothing", 2009, sections 3.5 and 4.1).
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfgen.sampling.decode import sizes
from tfgen.sampling.random import fold, uniform

# Copies are made when the weights are worth less than this share of the lines.
LEAST_EFFECTIVE = 0.5
# Folded into a position's key, where a draw of its own begins.
_RESAMPLING = 101
_FINAL = -1


class Observed(NamedTuple):
    """A series with gaps, and how a model goes along it.

    Attributes:
        draw: Function `(rollout, state, previous, first, covariates, key, given (features,))` ->
            `(values (rows, features), log_weight (rows,), state)`: values that agree with what is
            given, and the log-probability of that, given what was drawn of the rest.
        values: float32 `(capacity, features)`; NaN is a gap.
    """

    draw: Any
    values: Any


def fill(observed, rollout, num_samples, slots=None):
    """Draws complete series.

    Args:
        observed: An `Observed`.
        rollout: A `tfgen.sampling.rollout.Rollout` with a row for each line of descent.
        num_samples: int32 scalar, series to draw.
        slots: Series to return, of which those beyond `num_samples` mean nothing: a number that the
            loop is compiled for. None is no more than are drawn.

    Returns:
        float32 `(slots, capacity, features)`.
    """
    rows, capacity, _ = sizes(rollout.covariates)
    values = tf.fill([capacity, rows, rollout.previous.shape[-1]], np.float32(np.nan))
    # Which line of the position before each line descends from.
    parents = tf.zeros([capacity, rows], tf.int32)

    def body(index, values, parents, state, previous, first, weights):
        covariates = tf.gather(rollout.covariates, index, axis=1)
        key = fold(rollout.key, index)
        drawn, gained, state = observed.draw(
            rollout, state, previous, first, covariates, key, tf.gather(observed.values, index)
        )
        weights += gained
        chosen, weights = _resampled(weights, fold(key, _RESAMPLING))
        drawn = tf.gather(drawn, chosen)
        state = tf.nest.map_structure(lambda x: tf.gather(x, chosen), state)
        values = keras.ops.slice_update(values, [index, 0, 0], drawn[None])
        parents = keras.ops.slice_update(parents, [index, 0], chosen[None])
        return index + 1, values, parents, state, drawn, tf.zeros_like(first), weights

    carry = (rollout.state, rollout.previous, rollout.first, tf.zeros([rows]))
    _, values, parents, _, _, _, weights = tf.while_loop(
        lambda index, *_: index < rollout.count, body, (0, values, parents, *carry)
    )
    slots = num_samples if slots is None else slots
    lines = _systematic(weights, fold(rollout.key, _FINAL), num_samples, slots)
    paths = tf.fill([capacity, slots, values.shape[-1]], np.float32(np.nan))

    def back(index, lines, paths):
        found = tf.gather(tf.gather(values, index), lines)
        paths = keras.ops.slice_update(paths, [index, 0, 0], found[None])
        return index - 1, tf.gather(tf.gather(parents, index), lines), paths

    _, _, paths = tf.while_loop(
        lambda index, *_: index >= 0, back, (rollout.count - 1, lines, paths)
    )
    return tf.transpose(paths, [1, 0, 2])


def _resampled(weights, key):
    """Which lines go on, and their log-weights: all as they are while enough of them count."""
    share = tf.nn.softmax(weights)
    (rows,) = sizes(weights)
    effective = 1.0 / tf.reduce_sum(tf.square(share))
    few = effective < LEAST_EFFECTIVE * tf.cast(rows, tf.float32)
    chosen = tf.where(few, _systematic(weights, key, rows, rows), tf.range(rows))
    return chosen, tf.where(few, tf.zeros_like(weights), weights - tf.reduce_max(weights))


def _systematic(weights, key, count, slots):
    """int32 `(slots,)`: `count` lines drawn by their log-weights, with one random number for all.

    Each is taken as often as its share of `count` tells, rounded up or down (Carpenter et al.
    1999).
    """
    edges = tf.cumsum(tf.nn.softmax(weights))
    places = (tf.cast(tf.range(slots), tf.float32) + uniform(key, [1])) / tf.cast(count, tf.float32)
    found = tf.reduce_sum(tf.cast(edges[None] <= places[:, None] * edges[-1], tf.int32), axis=1)
    return tf.minimum(found, tf.shape(weights)[0] - 1)
