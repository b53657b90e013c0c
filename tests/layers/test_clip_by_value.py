"""ClipByValue against tf.clip_by_value, numpy and values computed by hand."""

import os
import pathlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.clip_by_value import ClipByValue

INF, NAN = np.inf, np.nan
ROOT = pathlib.Path(__file__).resolve().parents[2]
GRADIENTS = ["hard", "straight_through", "inward"]
# Below, at and between the bounds 0 and 1, and above.
VALUES = np.array([-5.0, -0.25, 0.0, 0.5, 1.0, 1.25, 7.0], np.float32)


def gradient_of(layer, values, upstream):
    values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = layer(values)
    return tape.gradient(outputs, values, output_gradients=tf.cast(upstream, outputs.dtype)).numpy()


# Forward.


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("low, high", [(-0.3, 0.1), (0.1, 0.1), (-1.0, 0.0)])
def test_forward_is_tf_clip_by_value(gradient, low, high):
    values = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    result = ClipByValue(low, high, gradient)(values).numpy()
    np.testing.assert_array_equal(result, tf.clip_by_value(values, low, high))
    np.testing.assert_array_equal(result, np.clip(values, np.float32(low), np.float32(high)))


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_one_side_may_be_open(gradient):
    upper = ClipByValue(max_value=1.0, gradient=gradient)
    lower = ClipByValue(min_value=0.0, gradient=gradient)
    np.testing.assert_array_equal(upper(VALUES), np.minimum(VALUES, 1))
    np.testing.assert_array_equal(lower(VALUES), np.maximum(VALUES, 0))
    extremes = np.array([-INF, INF], np.float32)
    np.testing.assert_array_equal(upper(extremes), [-INF, 1])
    np.testing.assert_array_equal(lower(extremes), [0, INF])


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3), (2, 2, 2, 2, 3)])
def test_bounds_for_each_feature_at_any_rank(shape):
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32) * 2
    layer = ClipByValue([-1.0, 0.0, -INF], (1.0, 0.5, 0.25))
    low, high = np.array([-1, 0, -INF], np.float32), np.array([1, 0.5, 0.25], np.float32)
    np.testing.assert_array_equal(layer(values), np.clip(values, low, high))
    mixed = ClipByValue(-0.5, np.array([1.0, 0.5, 0.25]))
    np.testing.assert_array_equal(mixed(values), np.clip(values, np.float32(-0.5), high))


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_nan_stays_nan_and_infinities_are_clipped(gradient, dtype):
    # 33 values: those that a vector instruction takes and the rest.
    values = np.array([NAN] * 31 + [INF, -INF], np.float32)
    layer = ClipByValue(0.0, 1.0, gradient, dtype=dtype)
    for call in (layer, tf.function(layer, jit_compile=True, autograph=False)):
        result = tf.cast(call(tf.constant(values)), tf.float32).numpy()
        assert np.isnan(result[:31]).all()
        np.testing.assert_array_equal(result[31:], [1, 0])


def test_integers_are_cast():
    result = ClipByValue(0.5, 2.5)(np.array([0, 1, 2, 3]))
    assert result.dtype == tf.float32
    np.testing.assert_array_equal(result, [0.5, 1, 2, 2.5])


# Gradients.


@pytest.mark.parametrize("upstream", [1.0, -2.0])
def test_hard_gradient_is_that_of_tf_clip_by_value(upstream):
    values = tf.constant(VALUES)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = tf.clip_by_value(values, 0.0, 1.0)
    upstream = np.full_like(VALUES, upstream)
    expected = tape.gradient(outputs, values, output_gradients=tf.constant(upstream)).numpy()
    np.testing.assert_array_equal(expected, upstream * [0, 0, 1, 1, 1, 0, 0])
    result = gradient_of(ClipByValue(0.0, 1.0, gradient="hard"), VALUES, upstream)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    "gradient, sign, expected",
    [
        ("hard", 1, [0, 0, 1, 1, 1, 0, 0]),
        ("hard", -1, [0, 0, 1, 1, 1, 0, 0]),
        ("straight_through", 1, [1, 1, 1, 1, 1, 1, 1]),
        ("straight_through", -1, [1, 1, 1, 1, 1, 1, 1]),
        # A descent step goes against the gradient: a positive one lowers the value.
        ("inward", 1, [0, 0, 1, 1, 1, 1, 1]),
        ("inward", -1, [1, 1, 1, 1, 1, 0, 0]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_gradient_by_hand(gradient, sign, expected, dtype):
    upstream = sign * np.arange(1, 8, dtype=np.float32)
    result = gradient_of(ClipByValue(0.0, 1.0, gradient, dtype=dtype), VALUES, upstream)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, upstream * expected)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_gradient_with_bounds_for_each_feature_in_xla(gradient):
    values = np.array([[-1, 5, 0.5], [3, -5, 2.0]], np.float32)
    upstream = np.array([[1, 1, 1], [1, -1, -1]], np.float32)
    layer = ClipByValue([0, -2, -INF], [1, 2, 1], gradient)
    expected = {
        "hard": [[0, 0, 1], [0, 0, 0]],
        "straight_through": [[1, 1, 1], [1, -1, -1]],
        "inward": [[0, 1, 1], [1, -1, 0]],
    }[gradient]

    @tf.function(jit_compile=True, autograph=False)
    def jitted(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = layer(values)
        return outputs, tape.gradient(outputs, values, output_gradients=tf.constant(upstream))

    np.testing.assert_array_equal(gradient_of(layer, values, upstream), expected)
    outputs, gradients = jitted(tf.constant(values))
    np.testing.assert_array_equal(gradients, expected)
    np.testing.assert_array_equal(outputs, layer(values))


@pytest.mark.long
def test_inward_descends_to_where_hard_is_stuck_and_straight_through_runs_away():
    def descend(gradient, start, target):
        layer, value = ClipByValue(0.0, 1.0, gradient), tf.Variable([start])
        for _ in range(50):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum((layer(value) - target) ** 2)
            value.assign_sub(0.25 * tape.gradient(loss, value))
        return float(value[0])

    assert descend("hard", 3.0, 0.5) == 3.0
    assert descend("inward", 3.0, 0.5) == pytest.approx(0.5, abs=1e-3)
    assert descend("straight_through", 3.0, 0.5) == pytest.approx(0.5, abs=1e-3)
    # A target out of reach: the step that would lead further out is the one that is withheld.
    assert descend("straight_through", 1.5, 2.0) > 20
    assert descend("inward", 1.5, 2.0) == 1.5


# Precision.


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("low, high", [(-0.1, 0.1), (0.1, 0.7), (-1 / 3, 2 / 3), (1e-3, 1e3 + 1)])
def test_low_precision_stays_inside_and_next_to_the_bounds(dtype, low, high):
    outputs = ClipByValue(low, high, dtype=dtype)(np.array([-1e4, 1e4], np.float32))
    assert outputs.dtype == dtype
    number = tf.as_dtype(dtype).as_numpy_dtype
    lower, upper = outputs.numpy()
    assert low <= float(lower) and float(upper) <= high
    assert float(np.nextafter(lower, np.array(-INF, number))) < low
    assert float(np.nextafter(upper, np.array(INF, number))) > high


def test_a_tenth_in_bfloat16_by_hand():
    layer = ClipByValue(-0.1, 0.1, dtype="mixed_bfloat16")
    values = tf.constant([0.10009765625, 0.099609375, 0.0996], tf.bfloat16)  # 0.1 rounds to the 1st
    np.testing.assert_array_equal(
        tf.cast(layer(values), tf.float64), [0.099609375, 0.099609375, 0.099609375]
    )
    assert float(layer.clip_fraction(values)) == pytest.approx(1 / 3)
    np.testing.assert_array_equal(
        tf.cast(layer(-values), tf.float64), [-0.099609375, -0.099609375, -0.099609375]
    )


@pytest.mark.parametrize(
    "dtype, low, high, expected",
    [
        ("float32", 0.1, 0.1, np.float32(0.1)),
        ("float64", 0.1, 0.1, 0.1),
        ("bfloat16", 0.1, 0.1, 0.10009765625),  # nearest, as nothing lies inside
        ("bfloat16", 0.1, 0.10001, 0.10009765625),
        ("bfloat16", 1.001, 1.002, 1.0),
        ("bfloat16", 1.006, 1.007, 1.0078125),
        ("float16", 1e6, 2e6, 65504.0),
        ("float16", -2e6, -1e6, -65504.0),
    ],
)
def test_bounds_with_no_number_between_them_take_the_nearest(dtype, low, high, expected):
    outputs = ClipByValue(low, high, dtype=dtype)(np.array([-3.0, 3.0]))
    np.testing.assert_array_equal(tf.cast(outputs, tf.float64), [expected] * 2)


def test_bounds_beyond_the_dtype_stay_finite():
    outputs = ClipByValue(-1e6, 1e6, dtype="float16")(np.array([-INF, 2.0, INF]))
    np.testing.assert_array_equal(tf.cast(outputs, tf.float64), [-65504, 2, 65504])


def test_float64_keeps_float64_bounds():
    outputs = ClipByValue(-0.1, 0.1, dtype="float64")(np.array([-1.0, 1.0]))
    np.testing.assert_array_equal(outputs.numpy(), [-0.1, 0.1])


# Penalty, fraction and masks.


def test_penalty_by_hand():
    layer = ClipByValue(0.0, 1.0, penalty=2.0)
    layer(np.array([[-1.0, 0.5], [1.0, 4.0]], np.float32))  # squared distances 1, 0, 0, 9
    assert [float(loss) for loss in layer.losses] == [pytest.approx(2.0 * 10 / 4)]
    layer(np.array([[0.2, 1.0]], np.float32))
    assert [float(loss) for loss in layer.losses] == [0.0]
    without = ClipByValue(0.0, 1.0)
    without(np.array([9.0], np.float32))
    assert without.losses == []


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_penalty_has_its_own_gradient_under_every_choice(gradient):
    layer, values = ClipByValue(0.0, [1.0, 3.0], gradient, penalty=0.5), tf.constant([[-2.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        layer(values)
        loss = layer.losses[0]
    assert float(loss) == pytest.approx(0.5 * (4 + 1) / 2)
    # 0.5 * 2 * distance / 2
    np.testing.assert_allclose(tape.gradient(loss, values), [[-1.0, 0.5]])


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_penalty_is_float32_under_mixed_precision(dtype):
    layer = ClipByValue(max_value=0.1, penalty=1.0, dtype=dtype)
    layer(np.array([1024.0, 0.0], np.float32))
    assert layer.losses[0].dtype == tf.float32
    assert float(layer.losses[0]) == pytest.approx((1024 - 0.1) ** 2 / 2)  # inf in float16


def test_open_sides_and_infinities_in_the_penalty():
    layer = ClipByValue([-INF, 0.0], [1.0, INF], penalty=1.0)
    layer(np.array([[-INF, INF], [3.0, 1.0]], np.float32))
    assert float(layer.losses[0]) == 1.0  # (3 - 1)**2 / 4
    layer(np.array([[INF, 0.0]], np.float32))
    assert float(layer.losses[0]) == INF
    layer(np.array([[NAN, 0.0]], np.float32))
    assert np.isnan(float(layer.losses[0]))


def test_clip_fraction_by_hand():
    layer = ClipByValue(0.0, 1.0)
    assert float(layer.clip_fraction(VALUES)) == pytest.approx(4 / 7)  # the bounds are inside
    assert float(layer.clip_fraction(np.array([NAN, INF, 0.5, -INF]))) == 0.5
    assert float(ClipByValue(max_value=1.0).clip_fraction(VALUES)) == pytest.approx(2 / 7)
    assert layer.clip_fraction(VALUES).dtype == tf.float32


MASKED = np.array([[[-1.0, 0.5], [NAN, 9.0]], [[1.0, 3.0], [-INF, 0.0]]], np.float32)


@pytest.mark.parametrize(
    "mask, fraction, mean_square",
    [
        ([[True, False], [True, False]], 2 / 4, (1 + 4) / 4),
        ([[True, False], [False, False]], 1 / 2, 1 / 2),
        ([[False, False], [False, False]], 0.0, 0.0),
        ([[[True, True], [False, True]], [[True, True], [False, True]]], 3 / 6, (1 + 64 + 4) / 6),
    ],
)
def test_masked_positions_do_not_count(mask, fraction, mean_square):
    layer, values = ClipByValue(0.0, 1.0, penalty=3.0), tf.constant(MASKED)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = layer(values, mask=np.array(mask), training=True)
        loss = layer.losses[0]
    assert float(layer.clip_fraction(MASKED, mask=mask)) == pytest.approx(fraction)
    assert float(loss) == pytest.approx(3 * mean_square)
    if np.any(mask):
        assert float(layer.clip_tracker.result()) == pytest.approx(fraction)
    gradients = tape.gradient(loss, values).numpy()
    assert np.isfinite(gradients).all()
    wide = np.broadcast_to(np.reshape(mask, np.shape(mask) + (1,) * (3 - np.ndim(mask))), (2, 2, 2))
    assert (gradients[~wide] == 0).all()
    np.testing.assert_array_equal(outputs, np.clip(MASKED, 0, 1))  # clipped all the same


def test_mask_with_more_axes_than_the_inputs_is_refused():
    with pytest.raises(ValueError, match=r"Received: mask=\(2, 2\), inputs=\(2,\)$"):
        ClipByValue(0.0, 1.0).clip_fraction(np.zeros(2), mask=np.ones((2, 2), bool))


def test_mask_passes_through_a_model():
    inputs = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(5, 2, mask_zero=True)(inputs)
    layer = ClipByValue(max_value=[0.5, 2.0], penalty=1.0)
    outputs = keras.layers.GlobalAveragePooling1D()(layer(hidden))
    model = keras.Model(inputs, outputs)
    weights = np.array([[100.0, 100.0], *[[1.0, 1.0]] * 4], np.float32)
    model.layers[1].set_weights([weights])  # id 0 is padding: it may not count anywhere
    np.testing.assert_allclose(model(np.array([[1, 2, 0, 0]])), [[0.5, 1.0]])
    assert float(layer.losses[0]) == pytest.approx(0.25 / 2)


# In a model.


def small_model(**arguments):
    inputs = keras.Input((4, 3))
    hidden = keras.layers.Dense(3, name="dense")(inputs)
    return keras.Model(inputs, ClipByValue(name="clip", **arguments)(hidden))


@pytest.mark.parametrize(
    ("jit_compile", "dtype"),
    [(False, "float32"), pytest.param(True, "mixed_bfloat16", marks=pytest.mark.long)],
    ids=["graph", "xla"],
)
def test_fit_shows_the_fraction_and_the_penalty(jit_compile, dtype, tmp_path):
    model = small_model(min_value=[0.0, -0.1, -INF], max_value=0.3, penalty=0.5, dtype=dtype)
    layer = model.get_layer("clip")
    inputs = np.random.default_rng(0).normal(size=(48, 4, 3)).astype(np.float32)
    hidden = model.get_layer("dense")(inputs)
    expected = float(layer.clip_fraction(hidden))
    clipped = layer(hidden)
    penalty = float(layer.losses[0])
    loss = float(np.mean(tf.cast(clipped, tf.float32).numpy() ** 2)) + penalty
    assert 0.2 < expected < 0.9 and penalty > 0.01

    model.compile("sgd", "mse", jit_compile=jit_compile)
    model.optimizer.learning_rate = 0.0
    history = model.fit(
        inputs,
        np.zeros((48, 4, 3)),
        batch_size=16,
        epochs=2,
        verbose=0,
        validation_data=(inputs, np.zeros((48, 4, 3))),
        callbacks=[keras.callbacks.TensorBoard(tmp_path)],
    ).history
    # Both epochs: the metric starts anew at each. Under mixed precision XLA may leave out the
    # rounding between the dense layer and this one: a value or two of 576 change sides.
    rtol, atol = (1e-5, 1e-6) if dtype == "float32" else (1e-3, 2.5 / 576)
    np.testing.assert_allclose(history["clip_clip_fraction"], [expected] * 2, rtol=0, atol=atol)
    np.testing.assert_allclose(history["loss"], [loss] * 2, rtol=rtol)
    np.testing.assert_allclose(history["val_loss"], [loss] * 2, rtol=rtol)
    validated = history["val_clip_clip_fraction"]  # of another split it would be another one
    np.testing.assert_allclose(validated, [expected] * 2, rtol=0, atol=atol)
    evaluated = model.evaluate(inputs[:16], np.zeros((16, 4, 3)), verbose=0, return_dict=True)
    own = float(layer.clip_fraction(hidden[:16]))
    assert abs(own - expected) > 1e-3
    assert evaluated["clip_clip_fraction"] == pytest.approx(own, abs=atol * 3)
    logged = b"".join(file.read_bytes() for file in tmp_path.glob("train/events*"))
    assert b"epoch_clip_clip_fraction" in logged


def test_only_training_updates_the_tracker_and_it_is_no_weight(tmp_path):
    model = small_model(min_value=0.0)
    layer, inputs = model.get_layer("clip"), np.ones((2, 4, 3), np.float32)
    model(inputs)
    model(inputs, training=False)
    model.predict(inputs, verbose=0)
    assert np.isnan(float(layer.clip_tracker.result()))
    model(inputs, training=True)
    expected = layer.clip_fraction(model.get_layer("dense")(inputs))
    assert float(layer.clip_tracker.result()) == pytest.approx(float(expected))
    assert layer.weights == [] and layer.variables == []
    assert [weight.path for weight in model.weights] == ["dense/kernel", "dense/bias"]
    assert len(model.variables) == 2
    model.save_weights(tmp_path / "a.weights.h5")
    small_model(min_value=0.0).load_weights(tmp_path / "a.weights.h5")
    # A tracker is not in the file: a model without the layer reads it, too.
    inputs = keras.Input((4, 3))
    keras.Model(inputs, keras.layers.Dense(3)(inputs)).load_weights(tmp_path / "a.weights.h5")


@pytest.mark.long
def test_an_output_that_begins_outside_everywhere_learns_by_default():
    def trained(**options):
        dense = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=lambda s, dtype:
                                   tf.constant([5.0]))  # fmt: skip
        model = keras.Sequential([keras.Input((2,)), dense, ClipByValue(0.0, 1.0, **options)])
        model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=False)
        model.fit(np.ones((64, 2)), np.full((64, 1), 0.25), epochs=20, batch_size=8, verbose=0)
        return float(model(np.ones((1, 2)))[0, 0])

    assert trained() == pytest.approx(0.25, abs=0.01)
    assert trained(gradient="hard") == 1.0


def test_without_a_report_there_is_no_metric():
    layer = ClipByValue(0.0, 1.0, report=False)
    assert layer(tf.constant([2.0]), training=True).numpy() == 1
    assert layer.metrics == [] and layer.clip_tracker is None
    assert ClipByValue.from_config(layer.get_config()).metrics == []
    assert len(ClipByValue(0.0, 1.0).metrics) == 1


def test_tracker_weighs_batches_by_what_they_count():
    layer = ClipByValue(0.0, 1.0)
    layer(np.array([2.0, 2.0, 2.0, 0.5]), training=True)
    layer(np.array([0.5]), training=True)
    assert float(layer.clip_tracker.result()) == pytest.approx(3 / 5)


def test_config_round_trip():
    layer = ClipByValue(
        [0.0, -INF], np.array([1, 2]), gradient="inward", penalty=1, name="a", dtype="float16"
    )
    config = layer.get_config()
    assert config["min_value"] == [0.0, -INF]
    assert config["max_value"] == [1.0, 2.0]
    assert config["gradient"] == "inward"
    assert config["penalty"] == 1.0
    again = ClipByValue.from_config(config)
    assert again.get_config() == config
    assert again.compute_dtype == "float16"
    assert ClipByValue(max_value=3).get_config()["min_value"] is None
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert restored.get_config() == config


def test_symbolic_shapes_and_dtypes():
    outputs = ClipByValue(0.0, 1.0, dtype="mixed_bfloat16")(keras.Input((None, 3)))
    assert outputs.shape == (None, None, 3)
    assert outputs.dtype == "bfloat16"
    assert ClipByValue(0.0).compute_output_shape((None, 7)) == (None, 7)


FRESH = """
import sys
import numpy as np
import tensorflow as tf
folder = sys.argv[1]
data = np.load(folder + "/data.npz")
served = tf.saved_model.load(folder + "/served")
assert "tfgen" not in sys.modules
for batch in (5, 2):
    result = served.serve(tf.constant(data["inputs"][:batch])).numpy()
    np.testing.assert_allclose(result, data["outputs"][:batch], rtol=1e-6, atol=1e-6)
assert len(served.variables) == 2, served.variables
import keras
import tfgen.layers.clip_by_value
model = keras.saving.load_model(folder + "/model.keras")
np.testing.assert_allclose(model(data["inputs"]), data["outputs"], rtol=1e-6, atol=1e-6)
layer = model.get_layer("clip")
assert layer.gradient == "inward" and layer.penalty == 0.5 and layer.max_value is None
print("equal")
"""


@pytest.mark.long
def test_keras_file_and_saved_model_in_a_fresh_process(tmp_path):
    model = small_model(min_value=[0.0, -0.1, -INF], gradient="inward", penalty=0.5)
    model.compile("sgd", "mse")
    inputs = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    model.fit(inputs, np.zeros_like(inputs), verbose=0)  # a trained one: its tracker was in use
    np.savez(tmp_path / "data.npz", inputs=inputs, outputs=model(inputs))
    model.save(tmp_path / "model.keras")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serve",
        lambda inputs: model(inputs, training=False),
        input_signature=[tf.TensorSpec([None, 4, 3])],
    )
    archive.write_out(str(tmp_path / "served"), verbose=False)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FRESH), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "equal\n", run.stderr


# What is refused.


@pytest.mark.parametrize(
    "arguments, received",
    [
        ({}, "must not both be None. Received: min_value=None, max_value=None"),
        ({"min_value": 2, "max_value": 1}, "Received: min_value=2.0, max_value=1.0"),
        (
            {"min_value": [0, 2], "max_value": [1, 1]},
            "must not exceed max_value. Received: min_value=(0.0, 2.0), max_value=(1.0, 1.0)",
        ),
        ({"min_value": [0, 2], "max_value": 1}, "Received: min_value=(0.0, 2.0), max_value=1.0"),
        ({"min_value": NAN}, "min_value must not be NaN or inf. Received: min_value=nan"),
        ({"max_value": [0, NAN]}, "Received: max_value=[0, nan]"),
        ({"min_value": INF}, "Received: min_value=inf"),
        ({"max_value": -INF}, "max_value must not be NaN or -inf. Received: max_value=-inf"),
        ({"min_value": [[0.0]]}, "Received: min_value=[[0.0]]"),
        ({"min_value": [[0.0], 1.0]}, "Received: min_value=[[0.0], 1.0]"),
        ({"min_value": []}, "Received: min_value=[]"),
        ({"min_value": "0"}, "Received: min_value='0'"),
        ({"min_value": True}, "Received: min_value=True"),
        ({"min_value": 1j}, "Received: min_value=1j"),
        (
            {"min_value": [0, 0], "max_value": [1, 1, 1]},
            "same number of features. Received: min_value=(0.0, 0.0), max_value=(1.0, 1.0, 1.0)",
        ),
        (
            {"min_value": 0, "gradient": "soft"},
            "one of 'hard', 'straight_through', 'inward'. Received: gradient='soft'",
        ),
        ({"min_value": 0, "gradient": ["hard"]}, "Received: gradient=['hard']"),
        ({"min_value": 0, "penalty": -1}, "a number from 0 up. Received: penalty=-1"),
        ({"min_value": 0, "penalty": NAN}, "Received: penalty=nan"),
        ({"min_value": 0, "penalty": INF}, "Received: penalty=inf"),
        ({"min_value": 0, "penalty": "1"}, "Received: penalty='1'"),
    ],
)
def test_arguments_that_are_refused(arguments, received):
    with pytest.raises(ValueError) as caught:
        ClipByValue(**arguments)
    assert str(caught.value).endswith(received)
    assert "\n" not in str(caught.value)


def test_unknown_arguments_are_refused():
    with pytest.raises(ValueError, match="minimum"):
        ClipByValue(minimum=0.0)


def test_inputs_that_do_not_fit_the_bounds_are_refused():
    with pytest.raises(ValueError, match=r"3 features.*Received: input_shape=\(2, 4\)$"):
        ClipByValue([0, 0, 0])(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"1 features.*Received: input_shape=\(2, 4\)$"):
        ClipByValue([0])(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"Received: input_shape=\(\)$"):
        ClipByValue(0)(np.float32(1.0))
    layer = ClipByValue([0, 0, 0])
    layer(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="expected axis -1"):
        layer(np.zeros((2, 4)))
