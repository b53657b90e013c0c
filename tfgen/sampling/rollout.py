"""The loop that draws positions of numbers one after another, for any model."""

import functools
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfgen.sampling.decode import sizes
from tfgen.sampling.random import fold
from tfgen.sampling.rows import in_sizes


class Rollout(NamedTuple):
    """Where a loop begins and what it goes by.

    Attributes:
        state: The model's own state, a nest of tensors `(rows, ...)`.
        previous: float32 `(rows, features)`, the values of the position before, in the data's
            units; NaN is missing.
        first: bool `(rows,)`: whether there is no position before.
        finished: bool `(rows,)`: of which rows nothing is drawn.
        covariates: float32 `(rows, capacity, covariates)` of the positions to draw. Their number is
            what the loop is compiled for.
        whole: float32 `(rows, width)`, what the model knows of a whole sequence.
        scale: float32 `(rows, numbers)` of each series; `(rows, 0)` where there is no such thing.
        begun: int32 scalar: positions drawn before this call.
        count: int32 scalar, at most `capacity`: positions to draw now.
        key: int32 `(2,)`, from `tfgen.sampling.random`.
        temperature: float32 scalar.
        bias: float32 scalar.
    """

    state: Any
    previous: Any
    first: Any
    finished: Any
    covariates: Any
    whole: Any
    scale: Any
    begun: Any
    count: Any
    key: Any
    temperature: Any
    bias: Any

    @property
    def of_rows(self):
        """A tuple of every tensor that has rows."""
        return tuple(getattr(self, name) for name in _OF_ROWS)

    def with_rows(self, tensors):
        """The rollout with others in the place of `of_rows`."""
        return self._replace(**dict(zip(_OF_ROWS, tensors)))


_OF_ROWS = ("state", "previous", "first", "finished", "covariates", "whole", "scale")


class Drawn(NamedTuple):
    """What a loop has drawn.

    Attributes:
        values: float32 `(rows, capacity, features)`, in the data's units; NaN after the end.
        lengths: int32 `(rows,)`: positions drawn, the last one of a sequence included.
        ended: bool `(rows,)`: which rows have come to their end.
        clipped: float32 scalar: the share of the numbers that the bounds have held back.
        rollout: Where the next call goes on, its covariates those of this one.
    """

    values: Any
    lengths: Any
    ended: Any
    clipped: Any
    rollout: Any


def roll(draw, rollout):
    """Draws up to `rollout.count` positions for every row, in one loop.

    Position `begun + i` of row `r` is drawn with noise that depends on the key, on `begun + i` and
    on `r` alone: not on the number of rows, nor on how the positions are split into calls.

    Args:
        draw: Function `(rollout, state, previous, first, covariates (rows, covariates), key)` ->
            `(values (rows, features), last bool (rows,), clipped (rows,), state)`.
        rollout: A `Rollout`.

    Returns:
        A `Drawn`.
    """
    rows, capacity, _ = sizes(rollout.covariates)
    # Positions first: one that is drawn is written as a whole, wherever the loop is.
    values = tf.fill([capacity, rows, rollout.previous.shape[-1]], np.float32(np.nan))
    lengths = tf.zeros([rows], tf.int32)

    def body(index, values, state, previous, first, lengths, clipped, finished):
        covariates = tf.gather(rollout.covariates, index, axis=1)
        key = fold(rollout.key, rollout.begun + index)
        drawn, last, share, state = draw(rollout, state, previous, first, covariates, key)
        drawn = tf.where(finished[:, None], np.float32(np.nan), drawn)
        values = keras.ops.slice_update(values, [index, 0, 0], drawn[None])
        running = ~finished
        return (
            index + 1,
            values,
            state,
            drawn,
            tf.zeros_like(first),
            lengths + tf.cast(running, tf.int32),
            clipped + tf.reduce_sum(tf.where(running, share, 0.0)),
            finished | last,
        )

    def running(index, *carry):
        return (index < rollout.count) & ~tf.reduce_all(carry[-1])

    carry = (rollout.state, rollout.previous, rollout.first, lengths, 0.0, rollout.finished)
    index, values, state, previous, first, lengths, clipped, ended = tf.while_loop(
        running, body, (0, values, *carry)
    )
    return Drawn(
        values=tf.transpose(values, [1, 0, 2]),
        lengths=lengths,
        ended=ended,
        clipped=tf.math.divide_no_nan(clipped, tf.cast(tf.reduce_sum(lengths), tf.float32)),
        rollout=rollout._replace(
            state=state, previous=previous, first=first, begun=rollout.begun + index
        ),
    )


def roll_in_sizes(rollout, several, single, alone=None):
    """`roll` of any number of rows by two compiled functions of a `Rollout`, see `in_sizes`."""

    def call(function, rows, beyond):
        given = rollout.with_rows(rows)
        drawn = function(given._replace(finished=given.finished | beyond))
        return drawn._replace(rollout=(drawn.rollout.of_rows, drawn.rollout.begun))

    functions = (functools.partial(call, function) for function in (several, single))
    drawn = in_sizes(rollout.of_rows, *functions, alone)
    rows, begun = drawn.rollout
    return drawn._replace(rollout=rollout.with_rows(rows)._replace(begun=begun))
