"""Noise levels of training that differ from position to position.

A denoiser that has seen only sequences of one level knows what a whole window of noise becomes. To
go on beyond a window it must know positions that are there already, beside others that are half or
wholly noise: what a network is asked in a run it must have been asked in training. Here are two
ways to ask it; `tfgen.sampling.windows` has the runs.
"""

import tensorflow as tf

from tfgen.sampling import random

NOISE_LEVELS = ("shared", "independent", "rolling")
# Purposes of the draws of one step.
_CHANGES, _LEVELS, _CLEAN, _LENGTH, _RAMP, _BEGUN, _WHOLE = range(7)
# Of the positions of a row, new levels begin at a share of time**-u, u uniform from 0 to this.
_FEWEST = 1.5
_SHORTEST = 0.25  # share of the positions that are not clean over which levels rise


def independent_levels(key, draw, rows, time):
    """Levels that change at random positions: float32 `(rows, time)`, 0 where a row is clean.

    Diffusion Forcing (arXiv:2407.01392, algorithm 1) has a level of its own at every position. The
    neighbours of a position in a smooth series then tell nearly all of it, and long stretches of
    noise, which runs begin with, never come. So how many positions share a level is drawn as well,
    from one to all of them.

    Args:
        key: int32 `(2,)`.
        draw: Function `(key, shape)` -> levels, float32 of this shape.
        rows: int32 scalar.
        time: int32 scalar.
    """
    exponent = _FEWEST * random.uniform(random.fold(key, _CHANGES), [rows, 1])
    share = tf.pow(tf.cast(time, tf.float32), -exponent)
    changes = random.uniform(random.fold(key, _BEGUN), [rows, time]) < share
    number = tf.minimum(tf.cumsum(tf.cast(changes, tf.int32), axis=1), time - 1)
    levels = tf.gather(draw(random.fold(key, _LEVELS), [rows, time]), number, axis=1, batch_dims=1)
    return tf.where(tf.range(time)[None] < _clean(key, rows, time), 0.0, levels)


def rolling_levels(key, noise_schedule, rows, time):
    """Levels that rise with the position, float32 `(rows, time)`: arXiv:2402.09470, section 3.

    Behind clean positions the place in the schedule rises in a straight line, over a number of
    positions and from a place that are drawn, and stays at its end. Half of the rows are on the way
    there from noise alone, as at the beginning of a sequence.

    Args:
        key: int32 `(2,)`.
        noise_schedule: A `tfgen.sampling.noise_schedules.NoiseSchedule`.
        rows: int32 scalar.
        time: int32 scalar.
    """
    clean = _clean(key, rows, time)
    shares = [random.uniform(random.fold(key, each), [rows, 1]) for each in (_RAMP, _BEGUN, _WHOLE)]
    rest = tf.cast(time - clean, tf.float32)
    ramp = tf.maximum(rest * (_SHORTEST + (1 - _SHORTEST) * shares[0]), 1.0)
    place = tf.cast(tf.range(time)[None] - clean, tf.float32) + shares[1]
    rising = tf.clip_by_value(place / ramp, 0.0, 1.0)
    begun = tf.maximum(2.0 * shares[2] - 1.0, 0.0)
    levels = noise_schedule.sigma(rising + begun * (1.0 - rising))
    return tf.where(place < 0, 0.0, levels)


def _clean(key, rows, time):
    """How many positions are clean at the beginning: of half of the rows none, else up to all but
    one, int32 `(rows, 1)`."""
    some = random.uniform(random.fold(key, _CLEAN), [rows, 1]) < 0.5
    share = random.uniform(random.fold(key, _LENGTH), [rows, 1])
    return tf.where(some, tf.cast(share * tf.cast(time, tf.float32), tf.int32), 0)
