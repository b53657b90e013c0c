"""`SoftWindow` against Graves' equations in NumPy, and against gradients taken automatically."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers import GRU, LSTM
from tfgen.layers.soft_window import SoftWindow
from tfgen.networks.recurrent import RecurrentNetwork

BATCH, TIME, ITEMS, UNITS, K = 2, 5, 4, 3, 2
VALID = np.array([[True] * 4, [True, True, True, False]])
MASK = np.array([[True] * 5, [True, True, True, False, False]])


def drawn(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(0, 0.5, shape).astype(np.float32)


def made(cell):
    layer = cell(UNITS, return_sequences=True, return_state=True)
    layer.build((None, None, 2))
    window = SoftWindow(UNITS, K)
    window.make_weights(layer.cell.kernel.shape[-1])
    for number, weight in enumerate([*layer.weights, window.kernel, window.feedback]):
        weight.assign(drawn(*weight.shape, seed=number))
    window.bias.assign(np.array([0.1, -0.3, 0.2, 0.4, -1.0, 0.3], np.float32))
    return layer, window


def by_hand(layer, window, projected, items):
    """One position after another through Keras' own cell, by eq. 46 to 51."""
    state = [tf.zeros([BATCH, UNITS])] * (2 if isinstance(layer, LSTM) else 1)
    shown, kappa = tf.zeros([BATCH, UNITS]), tf.zeros([BATCH, K])
    outputs, windows, shares = [], [], []
    u = tf.range(1, ITEMS + 1, dtype=tf.float32)
    step = layer.stepper()
    for n in range(TIME):
        here = tf.constant(MASK[:, n, None], tf.float32)
        _, after = step(projected[n] + shown @ window.feedback, state)
        state = [old + here * (new - old) for new, old in zip(after, state)]
        hats = state[0] @ window.kernel + window.bias
        alpha, beta, step_on = (tf.exp(part) for part in tf.split(hats, 3, axis=-1))
        kappa += here * step_on
        phi = sum(
            alpha[:, k, None] * tf.exp(-beta[:, k, None] * (kappa[:, k, None] - u) ** 2)
            for k in range(K)
        )
        phi *= tf.constant(VALID, tf.float32)
        shown += here * (tf.reduce_sum(phi[..., None] * items, axis=1) - shown)
        outputs.append(state[0])
        windows.append(shown)
        shares.append(phi)
    return tf.stack(outputs), tf.stack(windows), tf.stack(shares)


@pytest.mark.parametrize("cell", [LSTM, pytest.param(GRU, marks=pytest.mark.long)])
def test_values_and_gradients_are_those_of_the_equations(cell):
    layer, window = made(cell)
    projected = tf.Variable(drawn(TIME, BATCH, layer.cell.kernel.shape[-1]))
    items = tf.Variable(drawn(BATCH, ITEMS, UNITS))
    weights = [window.kernel, window.bias, window.feedback, layer.cell.recurrent_kernel]
    weights = [projected, items, *(each.value for each in weights)]
    weights += [layer.cell.bias.value] if cell is GRU else []
    mix = drawn(TIME, BATCH, UNITS, seed=5), drawn(TIME, BATCH, UNITS, seed=6)

    @tf.function(jit_compile=True)
    def fast():
        state = [tf.zeros([BATCH, UNITS])] * (2 if cell is LSTM else 1)
        context = {"items": items, "valid": tf.constant(VALID)}
        return window.scan(
            layer, projected, state, window.initial_state(BATCH), context,
            tf.constant(MASK.T),
        )  # fmt: skip

    found = []
    for run in (lambda: by_hand(layer, window, projected, items), lambda: fast()[:3]):
        with tf.GradientTape() as tape:
            outputs, windows, shares = run()
            loss = tf.reduce_sum(outputs * mix[0] + windows * mix[1])
        shares *= tf.constant(MASK.T[..., None], tf.float32)
        found.append((outputs, windows, shares, *tape.gradient(loss, weights)))
    for expected, value in zip(*found, strict=True):
        assert np.abs(expected).max() > 0.01
        np.testing.assert_allclose(value, expected, rtol=2e-4, atol=2e-5)


def test_a_network_is_the_same_position_by_position_and_in_pieces():
    network = RecurrentNetwork("lstm", 3, 2, soft_window=2, cross_attention=True, residual=True)
    network.make_weights(2)
    x, vectors = tf.constant(drawn(BATCH, TIME, 2)), tf.constant(drawn(BATCH, ITEMS, UNITS))
    begun = network.initial_state(BATCH, network.context(vectors, tf.constant(VALID)))
    whole, last = network.call(x, begun)
    step, state, found = network.stepper(), begun, []
    for n in range(TIME):
        hidden, state = step(x[:, n], state)
        found.append(hidden)
    np.testing.assert_allclose(tf.stack(found, axis=1), whole, rtol=1e-5, atol=1e-6)
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), state, last
    )
    _, state = network.call(x[:, :2], begun)
    np.testing.assert_allclose(network.call(x[:, 2:], state)[0], whole[:, 2:], rtol=1e-5, atol=1e-6)
    # What it writes of one item goes to the next position: another text, other positions.
    other, _ = network.call(x, network.initial_state(BATCH, network.context(-vectors, VALID)))
    assert np.abs(other - whole)[:, 0].max() > 0.01


def test_a_window_is_for_models_with_an_encoder():
    with pytest.raises(ValueError, match="soft_window"):
        RecurrentNetwork("lstm", 3, soft_window=2)
