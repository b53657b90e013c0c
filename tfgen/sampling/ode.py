"""Runge-Kutta methods over the noise levels, with one call of the slope in the loop."""

from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.errors import unknown
from tfgen.sampling.denoising import cast


class Method(NamedTuple):
    """A Runge-Kutta method each stage of which needs the stage before alone.

    Attributes:
        nodes: Where in the step each stage takes the slope; also how far the stage before leads.
        weights: Of each stage's slope in the step.
    """

    nodes: Any
    weights: Any


METHODS = {
    # Of order 1: DDIM without noise.
    "euler": Method((0.0,), (1.0,)),
    # Of order 2: EDM, arXiv:2206.00364, algorithm 1.
    "heun": Method((0.0, 1.0), (1 / 2, 1 / 2)),
    # Of order 4: the classical one.
    "rk4": Method((0.0, 1 / 2, 1 / 2, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}


def integrate(slope, state, sigmas, method="heun", upward=False):
    """Solves an ordinary differential equation in sigma, in one loop.

    Args:
        slope: Function `(state, sigma scalar)` -> derivative of the state by sigma, as the state.
        state: Nest of float tensors of one dtype, at the level where it begins.
        sigmas: float `(levels,)`, falling. Zeros do not count: the equation has its pole there.
        method: One of `METHODS`; it takes as many slopes a step as it has stages.
        upward: Whether to go from the last level above 0 to the first.

    Returns:
        The state at the other end.

    Raises:
        InputError: For an unknown method.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    dtype = tf.nest.flatten(state)[0].dtype
    sigmas = cast(sigmas, dtype)
    nodes, weights = (tf.constant(each, dtype) for each in METHODS[method])
    stages = len(METHODS[method].nodes)
    steps = tf.reduce_sum(tf.cast(sigmas > 0, tf.int32)) - 1

    def level(step):
        return tf.gather(sigmas, steps - step if upward else step)

    def body(index, start, now, total):
        step, stage = index // stages, index % stages
        sigma = level(step)
        length = level(step + 1) - sigma
        last = stage == stages - 1
        # The next stage, or the first one of the next step.
        node = tf.gather(nodes, tf.where(last, 0, stage + 1))
        found = slope(now, sigma + tf.gather(nodes, stage) * length)
        weight = tf.gather(weights, stage)

        def like(new, old):
            return tf.nest.map_structure(lambda x, y: tf.ensure_shape(x, y.shape), new, old)

        total = tf.nest.map_structure(lambda t, k: t + weight * k, total, found)
        end = tf.nest.map_structure(lambda x, t: x + length * t, start, total)
        ahead = tf.nest.map_structure(lambda x, k: x + node * length * k, start, found)
        now_next = tf.nest.map_structure(lambda e, a: tf.where(last, e, a), end, ahead)
        start_next = tf.nest.map_structure(lambda e, x: tf.where(last, e, x), end, start)
        total = tf.nest.map_structure(lambda t: tf.where(last, tf.zeros_like(t), t), total)
        return index + 1, like(start_next, start), like(now_next, now), like(total, start)

    none = tf.nest.map_structure(tf.zeros_like, state)
    _, state, _, _ = tf.while_loop(
        lambda index, *_: index < steps * stages, body, (tf.constant(0), state, state, none)
    )
    return state
