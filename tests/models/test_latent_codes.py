"""Quantized latents: what is chosen, what is learned by it, how likely codes are, and models of them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.contract.rows import LATENT, TEXTS, TOKENIZER, as_if_trained
from tfgen import models
from tfgen.networks.latent_codes import Codes, LatentCodes
from tfgen.zoo import get

QUANTIZED = {**LATENT, "latent": "quantized", "latent_size": 4, "codes": 5, "code_size": 2}


def made(codes=3, groups=2, size=2):
    """One whose codes depend on each other."""
    layer, rng = LatentCodes(groups * size, codes, size, seed=1), np.random.default_rng(0)
    layer.build()
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    return layer


def every(layer):
    """All the codes there can be, as `Codes`."""
    chosen = np.array(list(itertools.product(range(layer.codes), repeat=layer.groups)), np.int32)
    return Codes(tf.zeros([len(chosen), layer.latent_size]), tf.constant(chosen), 0.0)


def test_each_group_becomes_its_nearest_entry_and_its_gradient_passes():
    layer = LatentCodes(4, codes=3, code_size=2)
    layer.build()
    layer.codebook.assign(
        [[2.0, 0.0], [0.0, 0.5], [-1.0, 0.0]]
    )  # of other lengths: directions count
    latents = tf.constant([[3.0, 1.0, 0.1, 9.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latents)
        found = layer(latents)
        moved = tf.reduce_sum(found.mean * [[1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_array_equal(found.chosen, [[0, 1]])
    np.testing.assert_allclose(found.mean, [[1, 0, 0, 1]], atol=1e-6)
    # What draws them together: once for the codebook, and a quarter of that for the encoder.
    off = [np.array([3, 1]) / np.sqrt(10) - [1, 0], np.array([0.1, 9]) / np.hypot(0.1, 9) - [0, 1]]
    np.testing.assert_allclose(found.price, [1.25 * np.sum(np.square(off))], rtol=1e-5)
    # Straight through: of a vector of length 10^0.5, whose direction alone counts.
    unit = np.array([3, 1]) / np.sqrt(10)
    exact = (np.array([1, 2]) - unit * (unit @ [1, 2])) / np.sqrt(10)
    np.testing.assert_allclose(tape.gradient(moved, latents)[0, :2], exact, atol=1e-5)
    assert np.abs(tape.gradient(moved, layer.codebook) or 0).max() == 0


def test_the_codes_of_sequences_have_one_distribution_and_draws_are_of_it():
    layer = made()
    likely = np.exp(-np.sum(layer.divergence(every(layer), None), axis=1))
    assert likely.sum() == pytest.approx(1, abs=1e-5) and likely.std() > 0.02
    drawn = layer.draw(7, 8000)
    found = layer(drawn)
    np.testing.assert_allclose(found.mean, drawn, atol=1e-6)  # they are entries
    counts = np.bincount(np.asarray(found.chosen) @ [3, 1], minlength=9) / 8000
    assert np.sum(np.square(counts - likely) / likely) * 8000 < 26  # chi-square of 8, 0.1%
    np.testing.assert_allclose(
        layer.log_prob(drawn), np.log(likely)[np.asarray(found.chosen) @ [3, 1]], rtol=1e-4
    )
    np.testing.assert_array_equal(layer.draw(7, 3), drawn[:3])


def test_the_distribution_learns_and_leaves_encoder_and_codebook_alone():
    layer, latents = made(), tf.constant(np.random.default_rng(2).normal(size=[6, 4]), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        nats = tf.reduce_sum(layer.divergence(layer(latents), None))
    *gradients, of_latents = tape.gradient(nats, [*layer.trainable_weights, latents])
    assert of_latents is None
    for weight, gradient in zip(layer.trainable_weights, gradients):
        assert (gradient is None) == (weight is layer.codebook), weight.path


def test_what_codes_tell_of_sequences():
    layer = made()
    chosen = tf.constant([[0, 1], [0, 2], [0, 1], [0, 2]])
    told = Codes(tf.zeros([4, 4]), chosen, tf.zeros(4)).told(layer)
    assert told["active_units"] == 1  # the first is always the same
    assert told["mutual_information"] == pytest.approx(np.log(2))
    assert told["rate"] == pytest.approx(float(np.sum(told["rate_by_dimension"])))


def test_what_quantizes_nothing_is_refused():
    for wrong, message in (
        ({"codes": 1}, "codes=1"),
        ({"code_size": 3}, "code_size must divide latent_size, 16"),
    ):
        with pytest.raises(ValueError, match=message):
            LatentCodes(**wrong)
    for idle in ({"free_bits": 0.5}, {"beta": 2.0}, {"prior_layers": 2}):
        with pytest.raises(ValueError, match=f"{next(iter(idle))} is for latent='gaussian'"):
            models.make("vae", "text", tokenizer=TOKENIZER, **QUANTIZED, **idle)
    with pytest.raises(ValueError, match="codes is for latent='quantized'"):
        models.make("vae", "text", tokenizer=TOKENIZER, **LATENT, codes=8)


@pytest.mark.long
def test_a_model_of_codes_draws_scores_and_is_saved(tmp_path):
    model = as_if_trained(models.make("vae", "text", tokenizer=TOKENIZER, **QUANTIZED))
    found = model.score(TEXTS)
    np.testing.assert_allclose(
        found["log_likelihood"], -(found["rate"] + found["reconstruction"]), rtol=1e-5
    )
    with pytest.raises(ValueError, match="importance_samples must be 1"):
        model.score(TEXTS, importance_samples=2)
    latents = model.encode(TEXTS).reshape(len(TEXTS), 2, 2)
    np.testing.assert_allclose(np.linalg.norm(latents, axis=-1), 1, rtol=1e-5)
    model.save(tmp_path / "model")
    again = get(tmp_path / "model")
    assert again.generate("a", max_new_tokens=4, seed=3) == model.generate(
        "a", max_new_tokens=4, seed=3
    )
    served = {each.name: each for each in model.functions()}["decode"]
    assert served.specs["latents"].shape[1] == 4


@pytest.mark.long
def test_a_short_training_uses_its_codes():
    """Eight kinds of lines, of which codes tell most; what is generated is of one kind each."""
    rng = np.random.default_rng(0)
    lines = ["\n" + letter * 7 for letter in rng.choice(list("abcdefgh"), 64)]
    own = {**QUANTIZED, "latent_size": 8, "codes": 8, "units": 16, "input_dropout": 0.5}
    model = models.make("vae", "text", tokenizer=TOKENIZER, **{**own, "seed": 1})
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(np.stack([TOKENIZER.encode(line) for line in lines]), epochs=60, verbose=0)
    latents = model.encode([each * 7 for each in "abcdefgh"])
    assert len(np.unique(latents.round(3), axis=0)) >= 4
    scores = model.score([each * 7 for each in "abcdefgh"])
    assert scores["reconstruction"].mean() < 7 and scores["rate"].mean() < 8 * np.log(8)
    texts = model.generate([""] * 20, max_new_tokens=7, seed=1)
    assert np.mean([len(set(text)) == 1 for text in texts]) > 0.5
