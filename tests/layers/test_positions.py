"""The layers that tell positions apart, against their formulas in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.alibi_bias import AlibiBias
from tfgen.layers.position_embedding import PositionEmbedding
from tfgen.layers.rotary_embedding import RotaryEmbedding, rotate
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding

POSITIONS = np.array([[0, 1, 2, 50], [7, 7, 1000, 30000]], np.int32)


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


# Rotary


def rotated(x, positions, base):
    """Feature i and i + half as one complex number, turned by its angle."""
    half = x.shape[-1] // 2
    turn = np.exp(1j * positions[:, None, :, None] * base ** (-np.arange(half) / half))
    turned = (x[..., :half] + 1j * x[..., half:]) * turn
    return np.concatenate([turned.real, turned.imag], axis=-1)


@pytest.mark.parametrize("base", [10000.0, 50])
def test_rotary_turns_complex_numbers(base):
    x = random(2, 3, 4, 6)
    outputs = RotaryEmbedding(6, base=base)(x, POSITIONS)
    # An angle of 30000 radians has an error of 2**-10 in float32.
    expected = rotated(x.astype("float64"), POSITIONS, base)
    np.testing.assert_allclose(outputs[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(outputs[1], expected[1], atol=1e-2)
    np.testing.assert_allclose(outputs[0, :, 0], x[0, :, 0])  # position 0 is not turned


def test_rotary_products_depend_on_the_distance_alone():
    layer, query, key = RotaryEmbedding(8), random(1, 1, 1, 8), random(1, 1, 1, 8, seed=1)

    def product(first, second):
        turned = layer(query, np.array([[first]])), layer(key, np.array([[second]]))
        return float(tf.reduce_sum(turned[0] * turned[1]))

    for distance in (0, 1, 9):
        expected = product(distance, 0)
        for start in (3, 40, 500):
            assert product(start + distance, start) == pytest.approx(expected, abs=1e-4)
    assert abs(product(1, 0) - product(0, 0)) > 1e-2
    assert abs(product(0, 1) - product(1, 0)) > 1e-2  # and on its sign


# Sines and cosines


@pytest.mark.parametrize("base", [10000.0, 100])
def test_sinusoids_follow_the_formula(base):
    outputs = SinusoidalEmbedding(6, base=base)(POSITIONS[:1]).numpy()[0]
    for row, position in enumerate(POSITIONS[0].astype(float)):
        for i in range(3):
            angle = position / base ** (2 * i / 6)
            assert outputs[row, i] == pytest.approx(np.sin(angle), abs=1e-5)
            assert outputs[row, 3 + i] == pytest.approx(np.cos(angle), abs=1e-5)


# ALiBi


@pytest.mark.parametrize(
    "heads,slopes",
    [
        (1, [2**-8]),
        (8, [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]),
        # 12 heads: the eight of above, then every other one of sixteen heads.
        (12, [2.0**-i for i in range(1, 9)] + [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]),
    ],
)
def test_alibi_slopes(heads, slopes):
    np.testing.assert_allclose(AlibiBias(heads).slopes, slopes, rtol=1e-6)


def test_alibi_takes_off_the_slope_for_every_position_of_distance():
    queries, keys = np.array([[3, 9]], np.int32), np.array([[0, 3, 7]], np.int32)
    bias = AlibiBias(2)(queries, keys).numpy()
    assert bias.shape == (1, 2, 2, 3) and bias.dtype == np.float32
    np.testing.assert_allclose(bias[0, 0, 1], -np.array([9, 6, 2]) / 16)  # slopes 1/16 and 1/256
    np.testing.assert_allclose(bias[0, 1, 1], -np.array([9, 6, 2]) / 256)
    np.testing.assert_allclose(bias[0, 0, 0, :2], [-3 / 16, 0])


# A table


def test_position_embedding_is_a_table_whose_last_row_goes_on():
    layer = PositionEmbedding(5, 3)
    layer.build()
    table = random(5, 3)
    layer.set_weights([table])
    outputs = layer(np.array([[0, 4, 2], [5, 99, 1]], np.int32))
    np.testing.assert_array_equal(outputs, table[[[0, 4, 2], [4, 4, 1]]])


def test_position_embedding_is_drawn_by_its_initializer():
    layers = [PositionEmbedding(5, 3, initializer) for initializer in ("zeros", "ones")]
    for layer, value in zip(layers, (0, 1)):
        layer.build()
        np.testing.assert_array_equal(layer.embeddings, np.full((5, 3), value))


# All of them

LAYERS = {
    "rotary": RotaryEmbedding(6, base=50, name="turn", dtype="mixed_bfloat16"),
    "sinusoidal": SinusoidalEmbedding(6, base=50, name="waves", dtype="mixed_bfloat16"),
    "alibi": AlibiBias(3, name="slopes"),
    "learned": PositionEmbedding(9, 6, "zeros", name="table", dtype="mixed_bfloat16"),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_config_round_trip(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()
    assert (again.name, again.compute_dtype) == (layer.name, layer.compute_dtype)


def test_in_bfloat16_the_angles_still_are_exact():
    # 1000 is no bfloat16 number; the sine of the angle itself is rounded only.
    exact = SinusoidalEmbedding(6)(POSITIONS).numpy()
    rounded = SinusoidalEmbedding(6, dtype="bfloat16")(POSITIONS)
    assert rounded.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(rounded, tf.float32), exact, atol=4e-3)
    x = random(2, 3, 4, 6)
    turned = RotaryEmbedding(6, dtype="bfloat16")(x, POSITIONS)
    assert turned.dtype == tf.bfloat16
    expected = RotaryEmbedding(6)(x, POSITIONS)
    np.testing.assert_allclose(tf.cast(turned, tf.float32), expected, atol=0.05)


@pytest.mark.parametrize(
    "cls,arguments,received",
    [
        (RotaryEmbedding, {"width": 5}, "width=5"),
        (RotaryEmbedding, {"width": 0}, "width=0"),
        (RotaryEmbedding, {"width": 4, "base": 0}, "base=0"),
        (RotaryEmbedding, {"width": 4, "base": "10"}, "base='10'"),
        (SinusoidalEmbedding, {"width": 3}, "width=3"),
        (SinusoidalEmbedding, {"width": 4, "base": -1.0}, "base=-1.0"),
        (AlibiBias, {"heads": 0}, "heads=0"),
        (AlibiBias, {"heads": 2.0}, "heads=2.0"),
        (PositionEmbedding, {"max_length": 0, "width": 4}, "max_length=0"),
        (PositionEmbedding, {"max_length": 4, "width": True}, "width=True"),
    ],
)
def test_what_is_out_of_range_is_told_in_one_line(cls, arguments, received):
    with pytest.raises(ValueError) as caught:
        cls(**arguments)
    assert str(caught.value).endswith(f"Received: {received}")


def test_the_linear_stretching_is_a_smaller_position():
    x = random(1, 2, 3, 8)
    positions = tf.constant([[4, 40, 400]])
    stretched = RotaryEmbedding(8, base=50.0, scaling=[4])(x, positions)
    np.testing.assert_allclose(stretched, rotate(tf.constant(x), positions // 4, 50.0), atol=1e-4)
    layer = RotaryEmbedding(8, base=50.0, scaling=[4])
    assert RotaryEmbedding.from_config(layer.get_config()).scaling == (4.0,)


def test_the_stretching_of_llama_keeps_short_waves():
    # Wavelengths 2 pi, 12.6, 25.1, 50.3 for a base of 16; 100 / 10 and 100 / 2.5 are the bounds.
    base, scaling = 16.0, [8.0, 2.5, 10.0, 100.0]
    waves = 2 * np.pi * base ** (np.arange(4) / 4)
    assert waves[0] < 10 < waves[1] < waves[2] < 40 < waves[3]
    x = np.zeros([1, 1, 1, 8], np.float32)
    x[..., :4] = 1
    turned = RotaryEmbedding(8, base=base, scaling=scaling)(x, tf.constant([[1]]))[0, 0, 0].numpy()
    angles = np.arctan2(turned[4:], turned[:4])
    kept = (100 / waves - 2.5) / 7.5
    factors = [1, *(k + (1 - k) / 8 for k in kept[1:3]), 1 / 8]
    np.testing.assert_allclose(angles, 2 * np.pi / waves * factors, rtol=1e-5)


@pytest.mark.parametrize("scaling", [2.0, [], [0], [1, 2], [8, 4, 1, 99], [8, 1, 4, "x"], [True]])
def test_a_stretching_that_is_none_is_refused(scaling):
    with pytest.raises(ValueError, match="scaling must be None, .* Received: scaling="):
        RotaryEmbedding(8, scaling=scaling)
