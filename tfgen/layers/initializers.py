"""Initialisers of weights that belong together."""

import numpy as np
import tensorflow as tf


def in_parts(initializer, sizes, axis):
    """Initialisers for several weights, which are drawn as one and then taken apart.

    An initialiser with a seed gives the same numbers each time: weights that it drew one by one
    would begin as equals.

    Args:
        initializer: Keras initialiser.
        sizes: Lengths of the weights along the axis; their other sizes are the same.
        axis: Along which they stand side by side in what is drawn.

    Returns:
        A list of functions `(shape, dtype)`, one for each weight.
    """
    drawn = []

    def part(index):
        def initialize(shape, dtype=None):
            if not drawn:
                whole = list(shape)
                whole[axis] = sum(sizes)
                drawn.extend(tf.split(initializer(whole, dtype=dtype), sizes, axis=axis))
            return drawn[index]

        return initialize

    return [part(index) for index in range(len(sizes))]


def weight_seeds(seed, count):
    """Seeds of a layer's initialisers, one for each weight, all from the layer's own.

    Args:
        seed: Integer, or None for seeds that nobody chose.
        count: How many.

    Returns:
        List of `count` integers; a longer list begins like a shorter one.
    """
    entropy = None if seed is None else seed % 2**64
    return [int(word) for word in np.random.SeedSequence(entropy).generate_state(count)]
