"""`ResidualBlock1D` against NumPy, one position and one channel at a time."""

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tfgen.layers.residual_block_1d import ResidualBlock1D

BATCH, TIME, CHANNELS, EMBEDDING = 2, 7, 4, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, TIME, CHANNELS)).astype("float32")
PER_ROW = RNG.normal(size=(BATCH, EMBEDDING)).astype("float32")
PER_POSITION = RNG.normal(size=(BATCH, TIME, EMBEDDING)).astype("float32")


def make(width=6, embedding_width=EMBEDDING, groups=2, **options):
    layer = ResidualBlock1D(width, embedding_width, groups, **{"seed": 1, **options})
    layer.build(X.shape)
    rng = np.random.default_rng(2)
    for weight in layer.weights:
        weight.assign(0.5 * rng.normal(size=weight.shape))
    return layer


def silu(x):
    return x * scipy.special.expit(x)


def group_norm(layer, x):
    shape = x.shape
    x = x.reshape(len(x), layer.groups, -1)
    x = (x - x.mean(axis=(0, 2), keepdims=True)) / np.sqrt(
        x.var(axis=(0, 2), keepdims=True) + layer.epsilon
    )
    return x.reshape(shape) * layer.gamma.numpy() + layer.beta.numpy()


def conv(layer, x):
    kernel, bias = (weight.numpy() for weight in layer.weights)
    left = (len(kernel) - 1) // 2
    outputs = np.tile(bias.astype("float64"), (len(x), 1))
    for position in range(len(x)):
        for tap in range(len(kernel)):
            if 0 <= position + tap - left < len(x):
                outputs[position] += x[position + tap - left] @ kernel[tap]
    return outputs


def by_hand(layer, x, embedding):
    """One sequence `(time, channels)`, in float64."""
    x = x.astype("float64")
    hidden = group_norm(
        layer.second_norm, conv(layer.first_conv, silu(group_norm(layer.first_norm, x)))
    )
    if embedding is not None:
        both = silu(embedding) @ layer.modulation_kernel.numpy() + layer.modulation_bias.numpy()
        scale, shift = np.split(both, 2, axis=-1)
        hidden = hidden * (1 + scale) + shift
    if layer.skip_kernel is not None:
        x = x @ layer.skip_kernel.numpy() + layer.skip_bias.numpy()
    return x + conv(layer.second_conv, silu(hidden))


@pytest.mark.parametrize(
    "options",
    [{}, {"width": CHANNELS}, {"groups": 1}, {"kernel_size": 5}, {"embedding_width": 0}],
    ids=str,
)
def test_equals_numpy(options):
    layer = make(**options)
    assert (layer.skip_kernel is None) == (layer.width == CHANNELS)
    for embedding in [PER_ROW, PER_POSITION] if layer.embedding_width else [None]:
        rows = [None] * BATCH if embedding is None else embedding
        expected = [by_hand(layer, x, row) for x, row in zip(X, rows)]
        np.testing.assert_allclose(layer(X, embedding=embedding), expected, atol=1e-4)


def test_a_padded_sequence_gives_what_it_gives_alone():
    layer = make()
    mask = np.arange(TIME) < np.array([[5], [TIME]])
    x = np.where(mask[..., None], X, np.nan).astype("float32")
    for embedding in (PER_ROW, PER_POSITION):
        outputs = layer(x, embedding=embedding, mask=mask).numpy()
        short = embedding[:1] if embedding is PER_ROW else embedding[:1, :5]
        np.testing.assert_allclose(outputs[:1, :5], layer(X[:1, :5], embedding=short), atol=1e-5)
        np.testing.assert_allclose(outputs[1], layer(X, embedding=embedding)[1], atol=1e-5)
        assert (outputs[0, 5:] == 0).all()


def test_it_begins_as_its_skip_unless_told_otherwise():
    layer = ResidualBlock1D(CHANNELS, seed=1, groups=2)
    np.testing.assert_array_equal(layer(X), X)
    other = ResidualBlock1D(CHANNELS, seed=1, groups=2, zero_init=False)
    assert np.abs(other(X) - X).max() > 0.1


def test_what_is_dropped_is_between_the_convolutions():
    layer = make(embedding_width=0, width=CHANNELS)
    seen = []

    def drop(hidden):
        seen.append(hidden)
        return tf.zeros_like(hidden)

    dropped = layer(X, drop=drop)
    np.testing.assert_allclose(dropped, X + layer.second_conv.bias.numpy(), atol=1e-6)
    (hidden,) = seen
    np.testing.assert_allclose(X + layer.second_conv(hidden), layer(X), atol=1e-6)


def test_every_weight_gets_a_gradient():
    layer = make()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(X, embedding=PER_ROW) ** 2)
    for gradient in tape.gradient(loss, layer.trainable_weights):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-3


def test_weights_are_those_of_the_seed_and_unlike_each_other():
    one, same, other = (
        ResidualBlock1D(CHANNELS, EMBEDDING, 2, zero_init=False, seed=seed) for seed in (1, 1, 2)
    )
    outputs = [layer(X, embedding=PER_ROW) for layer in (one, same, other)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.abs(outputs[0] - outputs[2]).max() > 0.01
    assert (one.first_conv.kernel.numpy() != one.second_conv.kernel.numpy()).all()


def test_config_round_trip():
    options = {"groups": 3, "kernel_size": 5, "zero_init": False, "seed": 4, "name": "block"}
    layer = ResidualBlock1D(6, 7, **options, dtype="mixed_bfloat16")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert {**options, "width": 6, "embedding_width": 7}.items() <= again.get_config().items()
    layer.build((None, None, 3))
    outputs = layer(X[..., :3], embedding=np.zeros((BATCH, 7), "float32"))
    assert outputs.dtype == tf.bfloat16


@pytest.mark.parametrize(
    "arguments",
    [{"width": 0}, {"embedding_width": -1}, {"groups": 0}, {"kernel_size": 0}, {"zero_init": 1},
     {"seed": 0.5}],
    ids=str,
)  # fmt: skip
def test_what_is_out_of_range_is_told(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}$"):
        ResidualBlock1D(**{"width": 4, **arguments})


def test_an_embedding_is_neither_missing_nor_too_many():
    with pytest.raises(ValueError, match="embedding must be given.* Received: embedding=None"):
        make()(X)
    with pytest.raises(ValueError, match="must not be given.*Received: embedding=\\(2, 5\\)"):
        make(embedding_width=0)(X, embedding=PER_ROW)
