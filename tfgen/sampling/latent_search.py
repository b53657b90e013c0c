"""The latents that a generator makes a sequence of, as near as a search comes to them."""

import math

import tensorflow as tf

_RATE = 0.1  # of Adam (arXiv:1412.6980) at first; it falls to 0 as half a cosine
_DECAYS, _EPSILON = (0.9, 0.99), 1e-8


def search(cost, candidates, rows, num_steps):
    """Returns the latents of least cost that gradient descent finds, `(rows, width)`.

    Each row begins from the candidate that costs least, and goes on by Adam. No row depends on
    another. It finds a local minimum: an encoder by optimisation (arXiv:1609.03552, section 3.1).

    Args:
        cost: Function of latents `(rows, width)` to `(rows,)`, which is differentiated.
        candidates: float32 `(count, width)`, the same for all rows.
        rows: int32 scalar.
        num_steps: int32 scalar, at least 1.
    """
    width = tf.shape(candidates)[1]

    def try_one(number, best, least):
        latents = tf.broadcast_to(candidates[number], [rows, width])
        costs = cost(latents)
        better = costs < least
        best = tf.where(better[:, None], latents, best)
        return number + 1, best, tf.minimum(costs, least)

    count = tf.shape(candidates)[0]
    zeros = tf.zeros([rows, width])
    begun = tf.constant(0), zeros, tf.fill([rows], tf.constant(math.inf))
    _, latents, _ = tf.while_loop(
        lambda number, *_: number < count, try_one, begun, parallel_iterations=1
    )

    def descend(number, latents, mean, square):
        with tf.GradientTape() as tape:
            tape.watch(latents)
            total = tf.reduce_sum(cost(latents))
        slope, step = tape.gradient(total, latents), tf.cast(number, tf.float32)
        of_mean, of_square = _DECAYS
        mean = of_mean * mean + (1 - of_mean) * slope
        square = of_square * square + (1 - of_square) * tf.square(slope)
        unbiased = mean / (1 - of_mean ** (step + 1))
        spread = tf.sqrt(square / (1 - of_square ** (step + 1)))
        share = step / tf.cast(num_steps, tf.float32)
        rate = _RATE * (1 + tf.cos(math.pi * share)) / 2
        return number + 1, latents - rate * unbiased / (spread + _EPSILON), mean, square

    begun = tf.constant(0), latents, zeros, zeros
    return tf.while_loop(
        lambda number, *_: number < num_steps, descend, begun, parallel_iterations=1
    )[1]
