"""Evaluation against a plain computation from the model's logits."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen import models
from tfgen.data import open_text
from tfgen.errors import InputError
from tfgen.evaluation import evaluate
from tfgen.evaluation.memorisation import copied_share
from tfgen.recipe import Recipe


@pytest.fixture(scope="module")
def model():
    return models.build(Recipe(family="gru", model={"units": 8, "layers": 1}))


def write(path, length, seed=0):
    letters = np.random.default_rng(seed).choice(list("abcdefgh é\n"), length)
    path.write_text("".join(letters), encoding="utf-8")
    return str(path)


def plain_nats(model, ids):
    logits = tf.function(model)(tf.constant(ids[None, :-1].astype(np.int32)))
    return tf.nn.sparse_softmax_cross_entropy_with_logits(ids[None, 1:].astype(np.int32), logits)[0]


@pytest.mark.parametrize("length", [700, pytest.param(17_000, marks=pytest.mark.long)])
def test_the_whole_text_is_scored_once(model, tmp_path, length):
    """Both ways of reading: in one go, and in lanes with context."""
    path = write(tmp_path / "x.txt", length)
    text = open(path, encoding="utf-8").read()
    results = evaluate(model, path, crops=2)
    ids = model.tokenizer.encode("\n" + text)
    expected = float(tf.reduce_sum(tf.cast(plain_nats(model, ids), tf.float64))) / length
    assert results["split"] == "all"
    assert results["characters"] == length
    assert results["nats_per_character"] == pytest.approx(expected, rel=1e-6)
    assert results["bits_per_character"] == pytest.approx(expected / np.log(2), rel=1e-6)


@pytest.mark.long
def test_crops_begin_without_context(model, tmp_path):
    path = write(tmp_path / "x.txt", 300)
    results = evaluate(model, path, window=32, crops=70, seed=3)
    tokens = model.tokenizer.encode(open(path, encoding="utf-8").read())
    starts = np.random.default_rng(3).integers(len(tokens) - 32, size=70)
    means = [float(tf.reduce_mean(plain_nats(model, tokens[s : s + 33]))) for s in starts]
    assert results["crop_nats_per_token"] == pytest.approx(np.mean(means), rel=1e-5)
    assert results["crop_standard_error"] == pytest.approx(np.std(means) / np.sqrt(70), rel=1e-3)
    others = [
        evaluate(model, path, window=32, crops=70, seed=4),
        evaluate(model, path, window=16, crops=70, seed=3),
        evaluate(model, path, window=32, crops=60, seed=3),
    ]
    for other in others:
        assert other["crop_nats_per_token"] != results["crop_nats_per_token"]


@pytest.mark.long
def test_the_split_is_that_of_the_data(model, tmp_path):
    path = write(tmp_path / "x.txt", 3000)
    trained = models.build(model.recipe.override({"data.name": path}))
    assert evaluate(trained, path, crops=2)["split"] == "validation"
    assert evaluate(trained, path, crops=2)["characters"] == 300
    assert evaluate(trained, path, crops=2, split="train")["characters"] == 2700
    assert evaluate(model, "names", crops=2, window=8)["split"] == "validation"


@pytest.mark.long
def test_unknown_characters_are_counted(tmp_path):
    from tfgen.preprocessing import CharacterTokenizer

    path = write(tmp_path / "x.txt", 400)
    recipe = Recipe(family="gru", model={"units": 4, "layers": 1})
    model = models.build(recipe, CharacterTokenizer("abcdefgh \n"))
    missing = open(path, encoding="utf-8").read().count("é")
    assert evaluate(model, path, crops=2)["unknown_characters"] == missing > 0


def test_too_short_data_is_refused(model, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("a" * 20)
    with pytest.raises(InputError, match="too short: 20 tokens"):
        evaluate(model, str(path), window=20)
    # Unless somebody asks for more, a crop is as long as the data have room for.
    assert evaluate(model, str(path), crops=2)["crop_window"] == 19
    path.write_text("a")
    with pytest.raises(InputError, match="too short: 1 tokens"):
        evaluate(model, str(path))


def test_copied_share_counts_what_stands_in_the_training_text():
    training = open_text("names")
    training = next(training.chunks("train"))
    assert copied_share([training[1000:1100]], training, 40) == 1.0
    assert copied_share([training[1000:1050] + "#" * 50], training, 40) == pytest.approx(11 / 61)
    assert copied_share(["#" * 100], training, 40) == 0.0
    assert copied_share(["short"], training, 40) == 0.0
    assert copied_share([training[:60], "#" * 60, "short"], training, 40) == 0.5
    brute = [training[500:560], "xyz", training[80:140]]
    text = "".join(brute)
    expected = np.mean([text[i : i + 20] in training for i in range(len(text) - 19)])
    assert copied_share([text], training, 20) == pytest.approx(expected)
