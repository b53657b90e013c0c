"""Every layer of the zoo with plain arguments in a Keras model, in a file, and as a configuration."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import zoo
from tfgen.layers import CategoricalHead, GaussianMixtureHead

TIME, WIDTH = 6, 8
SEQUENCE = ((TIME, WIDTH), "float32")
POSITIONS = ((TIME,), "int32")
# Of each layer: plain arguments, and the shapes and dtypes of what it is called with.
LAYERS = {
    "alibi-bias": ({"heads": 2}, POSITIONS, POSITIONS),
    "bivariate-mixture-head": ({"components": 3}, SEQUENCE),
    "categorical-head": ({"levels": [2, 3]}, SEQUENCE),
    "causal-self-attention": ({"heads": 2, "width": WIDTH}, SEQUENCE),
    "chain-head": (
        {"heads": [CategoricalHead([2]), GaussianMixtureHead(1, components=3)], "units": 4},
        SEQUENCE,
    ),
    "clip-by-value": ({"min_value": 0.0, "max_value": 1.0}, SEQUENCE),
    "condition-encoder": ({"width": WIDTH, "num_classes": 3}, ((), "int32")),
    "cross-attention": ({"heads": 2, "width": WIDTH}, SEQUENCE, ((4, WIDTH), "float32")),
    "decoder-block": ({"heads": 2, "width": WIDTH}, SEQUENCE),
    "downsample-1d": ({"width": 4}, SEQUENCE),
    "feed-forward": ({"width": WIDTH}, SEQUENCE),
    "gaussian-mixture-head": ({"features": 2, "components": 3}, SEQUENCE),
    "group-norm": ({"groups": 2}, SEQUENCE),
    "gru-layer": ({"units": 4}, SEQUENCE),
    "linear-attention-1d": ({"heads": 2, "head_width": 4}, SEQUENCE),
    "lstm-layer": ({"units": 4}, SEQUENCE),
    "negative-binomial-head": ({"features": 2}, SEQUENCE),
    "position-embedding": ({"max_length": TIME, "width": WIDTH}, POSITIONS),
    "quantized-head": ({"features": 2, "bins": 4}, SEQUENCE),
    "regression-head": ({"features": 2}, SEQUENCE),
    "residual-block-1d": ({"width": 4, "groups": 2}, SEQUENCE),
    "rotary-embedding": ({"width": 4}, ((2, TIME, 4), "float32")),
    "self-attention-1d": ({"heads": 2, "head_width": 4}, SEQUENCE),
    "sigma-embedding": ({"width": WIDTH}, ((), "float32")),
    "sinusoidal-embedding": ({"width": WIDTH}, POSITIONS),
    "student-t-head": ({"features": 2}, SEQUENCE),
    "unet1d-layer": (
        {"channels_out": 2, "width": 4, "multipliers": [1], "groups": 2, "heads": 1}, SEQUENCE,
        ((), "float32"),
    ),
    "upsample-1d": ({"width": 4}, SEQUENCE),
}  # fmt: skip


def test_every_layer_of_the_zoo_is_here():
    assert set(LAYERS) == set(zoo.list_models(kind="layer"))


def values(shape, dtype):
    generator = np.random.default_rng(0)
    if dtype == "int32":
        return generator.integers(0, 3, (2, *shape)).astype(dtype)
    return generator.normal(size=(2, *shape)).astype(dtype)


def flat(outputs):
    return [np.asarray(tensor) for tensor in tf.nest.flatten(outputs)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long)
        if name.startswith(("unet1d", "decoder", "residual"))
        else name
        for name in LAYERS
    ],
)
def test_a_layer_goes_into_a_model_a_file_and_a_configuration(name, tmp_path):
    arguments, *specs = LAYERS[name]
    layer = zoo.get(name, name="layer", **arguments)
    inputs = [keras.Input(shape, dtype=dtype) for shape, dtype in specs]
    model = keras.Model(inputs, layer(*inputs))
    data = [values(*spec) for spec in specs]
    expected = flat(layer(*data))
    assert all(np.isfinite(each).all() for each in expected)

    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    for argument, value in arguments.items():
        assert layer.get_config()[argument] == keras.saving.serialize_keras_object(value)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for mine, theirs in zip(flat(loaded.predict(data, verbose=0)), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)

    if len(specs) == 1:
        (shape, dtype), part = specs[0], zoo.get(name, **arguments)
        sequential = keras.Sequential([keras.Input(shape, dtype=dtype), part])
        for mine, symbolic in zip(
            flat(sequential(data[0])), tf.nest.flatten(sequential.outputs), strict=True
        ):
            assert mine.ndim == len(symbolic.shape)
            assert all(size in (None, own) for size, own in zip(symbolic.shape, mine.shape))


@pytest.mark.long
def test_a_decoder_is_built_and_trained_from_plain_layers(tmp_path):
    """A small GPT as people write one: it learns to repeat, and a file holds it."""
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(5, WIDTH),
            zoo.get("decoder-block", heads=2, width=WIDTH),
            zoo.get("causal-self-attention", heads=2, width=WIDTH),
            keras.layers.Dense(5),
        ]
    )
    ids = np.arange(0, 13)[None] % 5 + np.zeros((16, 1), int)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, jit_compile=False)
    history = model.fit(ids[:, :-1], ids[:, 1:], epochs=40, batch_size=4, verbose=0).history["loss"]
    assert history[0] > 1.2 and history[-1] < 0.2
    model.save(tmp_path / "gpt.keras")
    again = keras.saving.load_model(tmp_path / "gpt.keras")
    np.testing.assert_allclose(again(ids), model(ids), atol=1e-5)
    with pytest.raises(ValueError, match="must have 8 features"):
        zoo.get("decoder-block", heads=2, width=WIDTH)(np.zeros((1, 3, 6), "float32"))


def test_a_context_of_a_cross_attention_is_a_tensor_or_what_was_read_of_it():
    layer = zoo.get("cross-attention", heads=2, width=WIDTH)
    x, context = values(*SEQUENCE), values((4, WIDTH), "float32")
    np.testing.assert_allclose(layer(x, context), layer(x, layer.read(context)), atol=1e-6)
    block = zoo.get("decoder-block", heads=2, width=WIDTH, cross_attention=True)
    inputs = keras.Input((TIME, WIDTH)), keras.Input((4, WIDTH))
    model = keras.Model(inputs, block(inputs[0], context=inputs[1]))
    assert np.abs(model([x, context]) - model([x, context + 1])).max() > 1e-3


def test_a_cache_is_returned_where_it_is_asked_for():
    for layer in (zoo.get(name, heads=2, width=WIDTH) for name in
                  ("causal-self-attention", "decoder-block")):  # fmt: skip
        x = values(*SEQUENCE)
        plain, (outputs, cache) = layer(x), layer(x, return_cache=True)
        np.testing.assert_array_equal(plain, outputs)
        assert [part.shape for part in cache] == [(2, 2, TIME, WIDTH // 2)] * 2
