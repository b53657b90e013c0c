"""`SigmaEmbedding` against NumPy, and the seeds of weights."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tfgen.layers.initializers import weight_seeds
from tfgen.layers.sigma_embedding import SigmaEmbedding

C_NOISE = np.array([-2.5, 0.0, 0.7], "float32")


def make(width=6, **options):
    layer = SigmaEmbedding(width, **{"seed": 3, **options})
    layer.build()
    layer.bias_1.assign(np.linspace(-1, 1, width))
    layer.bias_2.assign(np.linspace(2, 0, width))
    return layer


def by_hand(layer, c_noise):
    half = layer.features // 2
    if layer.kind == "sinusoidal":
        frequencies = layer.scale * 10000.0 ** (-np.arange(half) / half)
    else:
        frequencies = 2 * np.pi * layer.frequencies.numpy()
    angle = c_noise.astype("float64")[..., None] * frequencies
    x = np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)
    x = x @ layer.kernel_1.numpy() + layer.bias_1.numpy()
    x = x * scipy.special.expit(x)
    return x @ layer.kernel_2.numpy() + layer.bias_2.numpy()


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": 2.0}, {"features": 10}, {"kind": "fourier"}, {"kind": "fourier", "scale": 3.0}],
    ids=str,
)
def test_equals_numpy_for_one_level_a_row_and_one_a_position(options):
    layer = make(**options)
    np.testing.assert_allclose(layer(C_NOISE), by_hand(layer, C_NOISE), atol=2e-4)
    grid = np.stack([C_NOISE, -C_NOISE])  # (batch, time)
    np.testing.assert_allclose(layer(grid), by_hand(layer, grid), atol=2e-4)


def test_random_frequencies_are_normal_of_the_scale_and_never_trained():
    layer = make(2000, kind="fourier", scale=5.0)
    frequencies = layer.frequencies.numpy()
    assert frequencies.shape == (1000,) and abs(frequencies.std() - 5) < 0.4
    assert len(layer.trainable_weights) == 4 and len(layer.non_trainable_weights) == 1
    assert not make().non_trainable_weights


def test_weights_are_those_of_the_seed():
    for kind in ("sinusoidal", "fourier"):
        one, same, other = (make(kind=kind, seed=seed) for seed in (3, 3, 4))
        for weight, b, c in zip(one.weights, same.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, b)
            if "bias" not in weight.name:  # those are set above
                assert (weight.numpy() != c).all()
        assert np.abs(one(C_NOISE) - other(C_NOISE)).max() > 0.01
    seeds = weight_seeds(7, 5)
    assert len(set(seeds)) == 5 and weight_seeds(7, 3) == seeds[:3] == weight_seeds(7 + 2**64, 3)
    assert weight_seeds(-1, 1) != weight_seeds(1, 1) and weight_seeds(None, 2) != seeds[:2]


def test_noise_levels_keep_their_digits_in_half_precision():
    layer = make(dtype="mixed_bfloat16")
    near = tf.constant([1.0, 1.001])
    assert layer(near).dtype == tf.bfloat16
    waves = layer.waves(near * layer.scale)
    assert waves.dtype == tf.float32 and np.abs(waves[0] - waves[1]).max() > 1e-3
    np.testing.assert_allclose(tf.cast(layer(C_NOISE), tf.float32), make()(C_NOISE), atol=0.05)


def test_config_round_trip():
    layer = SigmaEmbedding(8, "fourier", 2, features=4, seed=5, name="levels")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again(C_NOISE).shape == (3, 8)
    np.testing.assert_array_equal(again(C_NOISE), layer(C_NOISE))


@pytest.mark.parametrize(
    "arguments",
    [
        {"width": 0},
        {"features": 5},
        {"features": 0},
        {"kind": "cosine"},
        {"scale": 0},
        {"seed": "a"},
    ],
    ids=str,
)
def test_what_is_out_of_range_is_told(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}$"):
        SigmaEmbedding(**{"width": 4, **arguments})
