"""`season_before`: of each position, what was a season before it."""

import tensorflow as tf

_DOUBLINGS = 12  # seasons that are looked back, and ahead: 2 to this power


def season_before(values, known, season):
    """The nearest known value a whole number of seasons before each position.

    Where none is known before, it is the nearest one after; where none is there either, the mean of
    what is known of the channel, or 0.

    Args:
        values: Float tensor `(rows, time, channels)`.
        known: bool, likewise.
        season: Positions of a season; 1 is the position before.

    Returns:
        Float tensor `(rows, time, channels)`.
    """
    rows, time, channels = tf.unstack(tf.shape(values))
    count = tf.reduce_sum(tf.cast(known, values.dtype), axis=1, keepdims=True)
    values = tf.where(known, values, 0.0)
    found = tf.math.divide_no_nan(tf.reduce_sum(values, axis=1, keepdims=True), count)
    found = tf.broadcast_to(found, [rows, time, channels])

    def folded(tensor):
        tensor = tf.pad(tensor, [[0, 0], [0, -time % season], [0, 0]])
        return tf.reshape(tensor, [rows, -1, season, channels])

    values, known = folded(values), folded(known)
    for backwards in (True, False):  # what is found last counts
        turn = (lambda tensor: tensor[:, ::-1]) if backwards else (lambda tensor: tensor)
        value, there = _nearest_before(turn(values), turn(known))
        value, there = (
            tf.reshape(turn(each), [rows, -1, channels])[:, :time] for each in (value, there)
        )
        found = tf.where(there, value, found)
    return found


def _nearest_before(values, known):
    """Of each place of axis 1, the last known value before it, and whether there is one."""
    count = tf.shape(values)[1]

    def moved(tensor, by):
        by = tf.minimum(by, count)
        return tf.concat([tf.zeros_like(tensor[:, :by]), tensor[:, : count - by]], axis=1)

    values, known = moved(values, 1), moved(known, 1)
    for doubling in range(_DOUBLINGS):
        values = tf.where(known, values, moved(values, 2**doubling))
        known |= moved(known, 2**doubling)
    return values, known
