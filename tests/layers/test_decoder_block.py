"""`DecoderBlock`: what is added to what, after which normalisation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.layers.causal_self_attention import Places
from tfgen.layers.decoder_block import DecoderBlock, normalization
from tfgen.layers.products import dense

BATCH, TIME, HEADS, WIDTH = 2, 5, 2, 8


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


X, CONTEXT = random(BATCH, TIME, WIDTH), random(BATCH, 3, WIDTH, seed=1)


def make(cross=False, **options):
    block = DecoderBlock(HEADS, WIDTH, mlp_width=12, cross_attention=cross, **options)
    block.build()
    for number, weight in enumerate(block.weights):
        weight.assign(0.4 * random(*weight.shape, seed=number))
    return block


def normal(norm, kind, x, epsilon):
    """A normalisation in NumPy, on the weights of a layer."""
    x = x.astype("float64")
    if kind == "rms":
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * norm.scale.numpy()
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * norm.gamma.numpy()
    return x + (0 if norm.beta is None else norm.beta.numpy())


NORMS = {
    "layer": {},
    "rms": {"norm": "rms"},
    "bias": {"bias": True},
    "epsilon": {"norm_epsilon": 0.5},
    "rms epsilon": {"norm": "rms", "norm_epsilon": 0.5},
}


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("options", NORMS.values(), ids=NORMS)
def test_each_part_reads_a_normalised_sum_and_is_added_to_it(options, cross):
    block = make(cross, **options)
    kind, epsilon = options.get("norm", "layer"), options.get("norm_epsilon", 1e-5)

    def read(norm, x):
        return tf.constant(normal(norm, kind, x, epsilon).astype("float32"))

    context = block.cross_attention.read(CONTEXT) if cross else None
    outputs = block(X, context=context)
    x = X + block.attention(read(block.attention_norm, X)).numpy()
    if cross:
        x += block.cross_attention(read(block.cross_norm, x), context=context).numpy()
    x += block.mlp(read(block.mlp_norm, x)).numpy()
    np.testing.assert_allclose(outputs, x, atol=1e-4)
    assert (block.cross_norm is not None) == cross
    biased = [norm.beta is not None for norm in (block.attention_norm, block.mlp_norm)
              if kind == "layer"]  # fmt: skip
    assert all(has == block.bias for has in biased)


def test_the_context_and_who_of_it_is_there_change_the_outputs():
    block = make(cross=True)
    context = block.cross_attention.read(CONTEXT)
    valid = np.array([[True, False, True]] * BATCH)
    results = [
        block(X, context=context),
        block(X, context=block.cross_attention.read(CONTEXT + 1)),
        block(X, context=context, valid=valid),
    ]
    assert np.abs(results[0] - results[1]).max() > 1e-3
    assert np.abs(results[0] - results[2]).max() > 1e-3


def test_places_and_the_cache_are_those_of_the_attention():
    block = make()
    whole = block(X)
    cache = tuple(tf.zeros((BATCH, HEADS, 0, WIDTH // HEADS)) for _ in range(2))
    pieces = []
    for first, last in ((0, 2), (2, TIME)):
        places = Places(tf.range(first, last)[None], tf.range(last)[None])
        outputs, cache = block(X[:, first:last], places=places, cache=cache)
        pieces.append(outputs)
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-5)
    assert cache[0].shape[2] == TIME


def test_what_is_dropped_where():
    block = make(cross=True)
    context = block.cross_attention.read(CONTEXT)
    plain = block(X, context=context)
    shapes = {}

    def drop_all_but(kept):
        def drop(tensor, name):
            shapes[name] = tuple(tensor.shape)
            return tensor * (name in kept)

        return block(X, context=context, drop=drop).numpy()

    np.testing.assert_array_equal(drop_all_but([]), X)
    everything = ["probabilities", "attention", "context", "mlp"]
    np.testing.assert_allclose(drop_all_but(everything), plain, atol=1e-6)
    assert shapes == {
        "probabilities": (BATCH, HEADS, TIME, TIME),
        **dict.fromkeys(["attention", "context", "mlp"], (BATCH, TIME, WIDTH)),
    }
    # Without a bias, an attention whose probabilities are dropped adds nothing.
    np.testing.assert_allclose(
        drop_all_but(["context", "mlp"]), drop_all_but(["attention", "context", "mlp"]), atol=1e-6
    )


def test_the_product_of_all_parts_may_be_another():
    block, kernels = make(cross=True), []

    def product(inputs, kernel, bias):
        kernels.append(kernel.path.split("/")[-2:])
        return dense(inputs, kernel, bias)

    block(X, context=block.cross_attention.read(CONTEXT), product=product)
    assert kernels == [
        ["attention", "qkv_kernel"], ["attention", "output_kernel"],
        ["cross_attention", "query_kernel"], ["cross_attention", "output_kernel"],
        ["mlp", "input_kernel"], ["mlp", "output_kernel"],
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_normalizations_are_those_of_keras_with_the_usual_shares(kind):
    norm = normalization(kind, 1e-5, name="norm")
    norm.build(X.shape)
    outputs = norm(X).numpy()
    np.testing.assert_allclose((outputs**2).mean(axis=-1), 1, atol=1e-3)
    mean = np.abs(outputs.mean(axis=-1)).max()
    assert mean < 1e-5 if kind == "layer" else mean > 1e-2
    assert norm.name == "norm" and len(norm.weights) == 1


@pytest.mark.parametrize("cross", [False, True])
def test_config_round_trip(cross):
    block = make(cross, norm="rms", norm_epsilon=0.1, name="block_3", dtype="mixed_bfloat16",
                 kv_heads=1, conv=2, window=3)  # fmt: skip
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    assert again.get_config() == block.get_config() and again.name == "block_3"
    again.set_weights(block.get_weights())
    x, context = tf.cast(X, tf.bfloat16), tf.cast(CONTEXT, tf.bfloat16)
    mine, theirs = (
        b(x, context=b.cross_attention.read(context) if cross else None) for b in (again, block)
    )
    assert mine.dtype == tf.bfloat16
    np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "arguments",
    [{"norm": "batch"}, {"norm": None}, {"norm_epsilon": 0}, {"norm_epsilon": "small"},
     {"bias": 1}, {"cross_attention": 1}, {"width": 0}, {"mlp": "tanh"}],
    ids=str,
)  # fmt: skip
def test_what_is_out_of_range_is_told_in_one_line(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError) as caught:
        DecoderBlock(**{"heads": HEADS, "width": WIDTH, **arguments})
    assert str(caught.value).endswith(f"Received: {name}={value!r}")
