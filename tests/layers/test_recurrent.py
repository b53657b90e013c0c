"""The recurrent layers against stock Keras on the same weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.gru import GRU
from tfgen.layers.lstm import LSTM
from tfgen.layers.recurrent_kernels import gru_sequence, lstm_sequence

PAIRS = [(LSTM, keras.layers.LSTM), (GRU, keras.layers.GRU)]
BATCH, TIME, FEATURES, UNITS = 3, 7, 5, 4


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def masks():
    right = np.arange(TIME)[None] < np.array([7, 4, 1])[:, None]
    holes = right.copy()
    holes[0, [0, 1, 3]] = False  # a masked beginning and a gap
    return {"none": None, "right": right, "holes": holes}


def twins(ours, stock, **kwargs):
    kwargs = {"return_sequences": True, "return_state": True, **kwargs}
    layers = ours(UNITS, **kwargs), stock(UNITS, use_cudnn=False, **kwargs)
    for layer in layers:
        layer.build((BATCH, TIME, FEATURES))
    weights = [random(*w.shape, seed=i) for i, w in enumerate(layers[0].get_weights())]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def outputs_and_gradients(layer, x, state, mask, jit=False):
    """Every output, and the gradients of a random functional of them."""

    def run(x, state, mask):
        with tf.GradientTape() as tape:
            tape.watch([x, *state])
            outputs = layer(x, initial_state=list(state), mask=mask, training=True)
            loss = tf.add_n(
                [tf.reduce_sum(y * random(*y.shape, seed=9)) for y in tf.nest.flatten(outputs)]
            )
        weights = [w.value for w in layer.trainable_weights]
        return tf.nest.flatten(outputs), tape.gradient(loss, [x, *state, *weights])

    run = tf.function(run, jit_compile=True) if jit else run
    state = tuple(tf.constant(s) for s in state)
    return run(tf.constant(x), state, None if mask is None else tf.constant(mask))


def assert_same(ours, stock):
    for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(stock), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize(
    "mask", ["right", *(pytest.param(each, marks=pytest.mark.long) for each in ("none", "holes"))]
)
@pytest.mark.parametrize("ours,stock", PAIRS)
def test_equals_keras_forward_and_gradient(ours, stock, mask):
    ours, stock = twins(ours, stock)
    x, state = random(BATCH, TIME, FEATURES), [random(BATCH, UNITS, seed=i) for i in range(2)]
    state = state[: len(stock.cell.state_size)] if ours.name.startswith("lstm") else state[:1]
    case = x, state, masks()[mask]
    expected = outputs_and_gradients(stock, *case)
    assert_same(outputs_and_gradients(ours, *case), expected)
    if mask == "holes":
        assert_same(outputs_and_gradients(ours, *case, jit=True), expected)


@pytest.mark.parametrize(
    "arguments",
    [
        {"go_backwards": True},
        {"use_bias": False},
        {"zero_output_for_mask": True},
        {"return_sequences": False},
        # These three run in Keras' own loop and must still be equal.
        {"activation": "relu"},
        {"unroll": True},
        {"recurrent_activation": "hard_sigmoid"},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
@pytest.mark.parametrize("ours,stock", PAIRS)
def test_keras_arguments_mean_the_same(ours, stock, arguments):
    ours, stock = twins(ours, stock, **arguments)
    x, mask = random(BATCH, TIME, FEATURES), masks()["holes"]
    assert_same(ours(x, mask=mask), stock(x, mask=mask))


def test_gru_without_reset_after_runs_as_in_keras():
    ours, stock = twins(GRU, keras.layers.GRU, reset_after=False)
    x = random(BATCH, TIME, FEATURES)
    assert_same(ours(x), stock(x))


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("masked", [False, True])
def test_kernel_gradient_with_recurrent_mask_equals_autodiff(kind, masked):
    """Stock Keras has no recurrent mask to compare with: a plain unrolled cell is the oracle."""
    gates = {"lstm": 4, "gru": 3}[kind]
    projected = tf.constant(random(TIME, BATCH, gates * UNITS))
    states = [tf.constant(random(BATCH, UNITS, seed=i)) for i in range(gates - 2)]
    kernel = tf.constant(random(UNITS, gates * UNITS))
    bias = [] if kind == "lstm" else [tf.constant(random(gates * UNITS))]
    drop = tf.constant([[0.0, 2.0, 2.0, 0.0], [2.0, 0.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    mask = tf.constant(masks()["holes"].T) if masked else None

    def plain(projected, *rest):
        *state, kernel = rest[: len(states) + 1]
        outputs = []
        for position in range(TIME):
            h = state[0]
            inner = tf.matmul(h * drop, kernel)
            x = projected[position]
            if kind == "lstm":
                i, f, g, o = tf.split(x + inner, 4, axis=-1)
                c = tf.sigmoid(f) * state[1] + tf.sigmoid(i) * tf.tanh(g)
                new = [tf.sigmoid(o) * tf.tanh(c), c]
            else:
                inner += rest[-1]
                xz, xr, xh = tf.split(x, 3, axis=-1)
                hz, hr, hh = tf.split(inner, 3, axis=-1)
                z = tf.sigmoid(xz + hz)
                new = [z * h + (1 - z) * tf.tanh(xh + tf.sigmoid(xr + hr) * hh)]
            if masked:
                new = [tf.where(mask[position][:, None], a, b) for a, b in zip(new, state)]
            state = new
            outputs.append(state[0])
        return [tf.stack(outputs), *state[1:]]

    def fast(*arguments):
        function = lstm_sequence if kind == "lstm" else gru_sequence
        return tf.nest.flatten(function(*arguments, mask=mask, recurrent_mask=drop))

    def run(function):
        arguments = [projected, *states, kernel, *bias]
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            outputs = function(*arguments)
            loss = tf.add_n([tf.reduce_sum(y * random(*y.shape, seed=5)) for y in outputs])
        return outputs, tape.gradient(loss, arguments)

    assert_same(run(fast), run(plain))


@pytest.mark.parametrize("ours,stock", PAIRS)
def test_stateful_carries_the_state_between_calls(ours, stock):
    x = random(BATCH, TIME, FEATURES)
    whole, _ = twins(ours, stock)
    halves = ours(UNITS, return_sequences=True, stateful=True)
    halves.build((BATCH, None, FEATURES))
    halves.set_weights(whole.get_weights())
    pieces = [halves(x[:, :3]), halves(x[:, 3:])]
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole(x)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ours,stock", PAIRS)
def test_input_dropout_drops_the_same_features_at_every_position(ours, stock):
    layer = ours(UNITS, return_sequences=True, dropout=0.5, seed=1)
    x = random(BATCH, TIME, FEATURES)
    layer(x)
    assert not np.allclose(layer(x, training=True), layer(x, training=False))
    mask = np.array(layer.cell.get_dropout_mask(tf.ones((BATCH, FEATURES))))
    assert set(np.unique(mask)) <= {0.0, 2.0}


@pytest.mark.parametrize("ours,stock", PAIRS)
def test_round_trip_through_config_and_functional_model(ours, stock, tmp_path):
    inputs = keras.Input((TIME, FEATURES))
    model = keras.Model(inputs, ours(UNITS, go_backwards=True)(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is ours
    x = random(BATCH, TIME, FEATURES)
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("ours,stock", PAIRS)
def test_a_gpu_trains_fused_and_exports_portable(ours, stock, monkeypatch):
    """What is chosen where a GPU is visible (no GPU is needed to see the choice)."""
    layer, _ = twins(ours, stock)
    x = random(BATCH, TIME, FEATURES)
    chosen = []
    monkeypatch.setattr(
        stock, "inner_loop", lambda self, *a, **k: chosen.append("fused") or (x[:, -1], x, [])
    )
    monkeypatch.setattr("tfgen.layers.recurrent.has_gpu", lambda: True)
    layer.inner_loop(x, layer.get_initial_state(BATCH), None, training=True)
    assert chosen == ["fused"]
    layer.inner_loop(x, layer.get_initial_state(BATCH), None, training=False)
    assert chosen == ["fused"]


def test_mixed_precision_computes_in_bfloat16():
    layer = LSTM(UNITS, return_sequences=True, dtype="mixed_bfloat16")
    y = layer(random(BATCH, TIME, FEATURES))
    assert y.dtype == tf.bfloat16
    assert {w.dtype for w in layer.weights} == {"float32"}
