"""`PastAttention` against a loop over positions in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.past_attention import PastAttention

BATCH, TIME, WIDTH = 3, 7, 4
LENGTHS = [7, 4, 1]


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def layer_with_weights(window):
    layer = PastAttention(window, seed=1)
    layer.build((BATCH, TIME, WIDTH))
    # Weights of size 1, so that the attention is far from uniform.
    layer.set_weights([random(WIDTH, WIDTH, seed=i) for i in range(3)])
    return layer


def run(layer, x, state=None, mask=None):
    state = layer.initial_state(len(x), WIDTH) if state is None else state
    outputs, state = layer(x, state, mask=mask)
    return outputs.numpy(), state


def by_hand(layer, x):
    """One sequence `(time, width)`: every position scores itself and the window - 1 before it."""
    score, inputs, context = (weight.numpy().astype("float64") for weight in layer.weights)
    outputs = []
    for position in range(len(x)):
        past = x[max(0, position - layer.window + 1) : position + 1].astype("float64")
        scores = np.array([x[position] @ score @ key for key in past]) / np.sqrt(WIDTH)
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        outputs.append(np.tanh(x[position] @ inputs + (weights @ past) @ context))
    return np.array(outputs)


@pytest.mark.parametrize("window", [1, 2, 3, 20])
def test_equals_a_loop_over_positions(window):
    layer, x = layer_with_weights(window), random(BATCH, TIME, WIDTH)
    expected = np.stack([by_hand(layer, row) for row in x])
    np.testing.assert_allclose(run(layer, x)[0], expected, atol=1e-5)


def test_the_window_changes_what_is_seen():
    x = random(BATCH, TIME, WIDTH)
    narrow, wide = (run(layer_with_weights(window), x)[0] for window in (2, 3))
    np.testing.assert_allclose(narrow[:, :2], wide[:, :2], atol=1e-6)
    assert np.abs(narrow[:, 2:] - wide[:, 2:]).min(axis=2).max() > 1e-3
    # What lies further back than the window has no influence, what comes later neither.
    other = x.copy()
    other[:, 2] += 1
    changed = np.abs(run(layer_with_weights(3), other)[0] - wide).max(axis=(0, 2)) > 1e-6
    assert changed.tolist() == [False, False, True, True, True, False, False]


@pytest.mark.parametrize("window", [1, 3, 20])
@pytest.mark.parametrize("cuts", [(1, 2, 3, 4, 5, 6), (3,), (5, 6)])
def test_pieces_give_what_the_whole_gives(window, cuts):
    layer, x = layer_with_weights(window), random(BATCH, TIME, WIDTH)
    whole, last = run(layer, x)
    pieces, state = [], None
    for piece in np.split(x, cuts, axis=1):
        outputs, state = run(layer, piece, state)
        pieces.append(outputs)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-6)
    for mine, theirs in zip(state, last):
        np.testing.assert_array_equal(mine, theirs)


def test_a_padded_row_gives_what_it_gives_alone_and_goes_on_from_there():
    layer, x = layer_with_weights(3), random(BATCH, TIME, WIDTH)
    mask = np.arange(TIME)[None] < np.array(LENGTHS)[:, None]
    more, more_mask = random(BATCH, 4, WIDTH, seed=5), np.arange(4)[None] < [[2], [4], [0]]
    first, state = run(layer, x, mask=mask)
    second, state = run(layer, more, state, mask=more_mask)
    third, _ = run(layer, more, state)
    assert all(np.isfinite(part).all() for part in (first, second, third))
    for row, length in enumerate(LENGTHS):
        new = int(more_mask[row].sum())
        alone = by_hand(layer, np.concatenate([x[row, :length], more[row, :new], more[row]]))
        np.testing.assert_allclose(first[row, :length], alone[:length], atol=1e-5)
        np.testing.assert_allclose(second[row, :new], alone[length : length + new], atol=1e-5)
        np.testing.assert_allclose(third[row], alone[length + new :], atol=1e-5)


def test_every_weight_and_the_inputs_get_a_gradient():
    layer, x = layer_with_weights(3), tf.constant(random(BATCH, TIME, WIDTH))
    weights = [weight.value for weight in layer.weights]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs, _ = layer(x, layer.initial_state(BATCH, WIDTH))
        loss = tf.reduce_sum(outputs * random(BATCH, TIME, WIDTH, seed=3))
    for gradient in tape.gradient(loss, [x, *weights]):
        assert np.abs(gradient).max() > 1e-3


def test_the_seed_decides_the_weights():
    def weights(seed):
        layer = PastAttention(2, seed=seed)
        layer.build((None, None, WIDTH))
        return np.stack(layer.get_weights())

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.allclose(weights(1), weights(2))
    first, second, third = weights(1)
    assert not np.allclose(first, second) and not np.allclose(second, third)


def test_config_and_precision():
    layer = PastAttention(3, seed=1, dtype="mixed_bfloat16", name="attention")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (again.window, again.seed, again.name) == (3, 1, "attention")
    x = tf.cast(random(BATCH, TIME, WIDTH), tf.bfloat16)
    outputs, state = again(x, again.initial_state(BATCH, WIDTH))
    assert outputs.dtype == state[0].dtype == tf.bfloat16
    assert {weight.dtype for weight in again.weights} == {"float32"}


@pytest.mark.parametrize("window", [0, -1, 2.0, True, "3", None])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(ValueError) as caught:
        PastAttention(window)
    assert str(caught.value).endswith(f"Received: window={window!r}")
