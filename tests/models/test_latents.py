"""What a model of latents learns and what can be done with its latents; posteriors, lines, prices."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.contract.rows import LATENT, ROWS, TEXTS, TOKENIZER, as_if_trained, model_of
from tfgen import models
from tfgen.data import LineWindows
from tfgen.errors import InputError
from tfgen.models.engines.evidence import Evidence
from tfgen.networks.sequence_encoder import SequenceEncoder


def test_what_is_free_and_what_a_nat_costs():
    nats = tf.constant([[2.0, 0.0]])
    assert float(Evidence(free_bits=0.0).cost(nats, True)[0]) == 2.0
    assert float(Evidence(beta=3.0, free_bits=0.5).cost(nats, True)[0]) == 3 * (2 + 0.5)
    assert float(Evidence(beta=3.0, free_bits=0.5).cost(nats)[0]) == 2.0  # the bound itself
    evidence, step = Evidence(free_bits=0.0, kl_anneal_steps=4), tf.Variable(1)
    evidence.follow(lambda: step.value())
    costs = []
    for number in (0, 1, 4, 9):
        step.assign(number)
        costs.append(float(evidence.cost(nats, True)[0]))
    assert costs == [0.0, 0.5, 2.0, 2.0]


@pytest.mark.parametrize("kind", ["gru", pytest.param("transformer", marks=pytest.mark.long)])
def test_an_encoder_reads_what_counts_and_all_of_it(kind):
    encoder = SequenceEncoder(latent_size=3, encoder=kind, encoder_units=4)
    x = np.random.default_rng(0).normal(size=[1, 5, 2]).astype(np.float32)
    mask = np.arange(5)[None] < 3
    found = encoder(x, mask)
    np.testing.assert_allclose(found.mean, encoder(x[:, :3], mask[:, :3]).mean, atol=1e-6)
    for place in range(5):
        other = x.copy()
        other[0, place] += 1
        moved = np.abs(encoder(other, mask).mean - found.mean).max() > 1e-5
        assert moved == (place < 3)
    nothing = encoder(x, np.zeros([1, 5], bool))
    assert not nothing.mean.numpy().any() and not nothing.log_variance.numpy().any()


def test_lines_are_dealt_out_whole_with_their_ends():
    tokens = np.array([5, 6, 0, 0, 7, 0, 1, 2, 3, 4])  # 0 is a line break
    lines = LineWindows(tokens, 3, 8, line_break=0, drop_remainder=False)
    inputs, targets, weights = lines.batch(0)
    assert inputs.tolist() == [[0, 5, 6], [0, 7, 0], [0, 1, 2], [0, 4, 0]]
    assert targets.tolist() == [[5, 6, 0], [7, 0, 0], [1, 2, 3], [4, 0, 0]]
    # A piece that is cut has no end.
    assert weights.tolist() == [[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 0]]
    shuffled = LineWindows(tokens, 3, 2, line_break=0, seed=1)
    assert shuffled.steps_per_epoch == 2 and not np.array_equal(
        np.sort([shuffled.batch(k)[0][:, 1] for k in (0, 1)], axis=None), [1, 4, 5]
    )
    with pytest.raises(InputError, match="lines, where 9 are needed"):
        LineWindows(tokens, 3, 9, line_break=0)


@functools.cache
def texts():
    given = {"tokenizer": TOKENIZER, "generation": {"max_new_tokens": 5}}
    return as_if_trained(models.make("vae", "text", **given, **LATENT))


def test_a_line_is_the_same_whatever_line_breaks_are_around_it():
    model = texts()
    np.testing.assert_allclose(model.encode("\nabc\n"), model.encode("abc"), atol=1e-6)


@pytest.mark.long
def test_latents_of_texts_are_walked_between_moved_along_and_compared():
    model = texts()
    walk = model.interpolate("abcd", "hgfe", steps=3, seed=1, temperature=0.0)
    ends = [model.reconstruct(each, seed=1, temperature=0.0) for each in ("abcd", "hgfe")]
    assert [walk[0], walk[2]] == ends and len(walk) == 3
    straight = model.decode((model.encode("abcd") + model.encode("hgfe")) / 2, temperature=0.0)
    assert model.interpolate("abcd", "hgfe", 3, "linear", temperature=0.0)[1] == straight
    way = model.direction(["abcd", "ab"], ["hgfe"])
    mean = model.encode(["abcd", "ab"]).mean(0) - model.encode("hgfe")
    np.testing.assert_allclose(way, mean, atol=1e-6)
    assert model.shift("hgfe", way, 0.0, seed=2) == model.reconstruct("hgfe", seed=2)
    nearest, distances = model.neighbours("abcd", TEXTS + ["abcd"], count=2)
    assert nearest[0, 0] == len(TEXTS) and distances[0, 0] < 1e-3 < distances[0, 1]
    for call, name in (
        (lambda: model.interpolate("a", "b", 1), "steps=1"),
        (lambda: model.interpolate("a", "b", method="round"), "Unknown method"),
        (lambda: model.shift("a", np.ones(2)), "direction must have the shape"),
        (lambda: model.decode(np.ones(2)), "latent vector of 3"),
        (lambda: model.score("a", importance_samples=0), "importance_samples=0"),
    ):
        with pytest.raises(InputError, match=name):
            call()


@pytest.mark.long
def test_a_model_without_latents_says_so():
    model = models.make("gru", "text", tokenizer=TOKENIZER, units=4, layers=1)
    for call in (
        lambda: model.reconstruct("a"),
        lambda: model.interpolate("a", "b"),
        lambda: model.direction(["a"], ["b"]),
        lambda: model.shift("a", np.ones(3)),
        lambda: model.neighbours("a", ["b"]),
        lambda: model.decode(np.ones(3)),
    ):
        with pytest.raises(InputError, match="is for models with latents"):
            call()
    with pytest.raises(InputError, match="importance_samples is for models with latents"):
        model.score("a", importance_samples=2)


@pytest.mark.long
@pytest.mark.parametrize("decoder", ["lstm", "transformer"])
def test_any_network_decodes(decoder):
    small = (
        {"units": 8, "layers": 1} if decoder == "lstm" else {"layers": 1, "heads": 2, "width": 8}
    )
    given = {"tokenizer": TOKENIZER, "latent_size": 3, "encoder_units": 6}
    model = as_if_trained(models.make("vae", "text", decoder=decoder, **small, **given))
    assert models.recipe_of(model).model["decoder"] == decoder
    whole = model.score(TEXTS, condition=model.encode(TEXTS))["log_likelihood"]
    parts = model.generate("ab", max_new_tokens=4, seed=3)
    assert (
        np.isfinite(whole).all() and "".join(model.stream("ab", max_new_tokens=4, seed=3)) == parts
    )
    with pytest.raises(InputError, match="decoder must be one of 'lstm', 'gru', 'transformer'"):
        models.make("vae", "text", decoder="unet1d", **given)


@pytest.mark.long
def test_a_short_training_uses_its_latents():
    """Two kinds of lines, which one number tells apart: the first letter alone is left to chance."""
    rng = np.random.default_rng(0)
    lines = ["\n" + letter * 7 for letter in rng.choice(list("abcdefgh"), 64)]
    model = models.make(
        "vae", "text", tokenizer=TOKENIZER, seed=1, units=16, layers=1, latent_size=2
    )
    model.compile(keras.optimizers.Adam(0.02))
    model.fit(np.stack([TOKENIZER.encode(line) for line in lines]), epochs=40, verbose=0)
    scores = model.score([each * 7 for each in "abcdefgh"])
    assert scores["rate"].mean() > 0.5 and model.encode(["aaaaaaa", "hhhhhhh"]).std(0).max() > 0.1


@pytest.mark.long
@pytest.mark.parametrize("name", ["vae-text", "vae-numbers"])
def test_a_served_walk_is_that_of_the_model(name):
    row = next(each for each in ROWS if str(each) == name)
    model = model_of(row)
    served = {each.name: each for each in model.functions()}["interpolate"]
    data, told = row.raw(0, 1)
    ends = model.encode(data, **told)
    given = {key: row.inputs_of(model, key, spec) for key, spec in served.specs.items()}
    if "condition" in given:
        given["condition"] = given["condition"][:1]
    found = served.call({**given, "latents": tf.constant(ends), "steps": tf.constant(4)})
    assert all(len(each) == 4 for each in found.values())
    # Along the great circle, a third of the way.
    away = [np.linalg.norm(each) for each in ends]
    angle = np.arccos(np.dot(*ends) / np.prod(away))
    third = (np.sin(2 / 3 * angle) * ends[0] + np.sin(1 / 3 * angle) * ends[1]) / np.sin(angle)
    for step, latents in ((0, ends[0]), (1, third), (3, ends[1])):
        decode = {each.name: each for each in model.functions()}["decode"]
        own = {key: given[key] for key in decode.specs}
        alone = decode.call({**own, "latents": tf.constant(latents[None], tf.float32)})
        for key, value in alone.items():
            value = value[0] if value.shape.rank else value
            if value.dtype == tf.string:
                assert value == found[key][step]
            else:
                np.testing.assert_allclose(found[key][step], value, rtol=1e-3, atol=1e-4)
