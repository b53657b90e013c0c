"""What every entry of text promises. A new entry is tested the day it is added.

Those of numbers: `test_entries_of_numbers.py`.
"""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from eager import some_by_default

from tfgen import models, zoo
from tfgen.recipe import Recipe
from tfgen.zoo.folders import entries_in, shipped_folder

ENTRIES = [
    path.name for path in entries_in(shipped_folder()) if (path / models.TOKENIZER).is_file()
]
pytestmark = pytest.mark.usefixtures("op_by_op")

# What takes long is done with some entries by default; their networks run op by op in most tests.
ONE = some_by_default("name", ENTRIES, "gru-names")
FILES = {
    "README.md",
    "SHA256SUMS",
    "golden.npz",
    "model.weights.h5",
    "recipe.toml",
    "results.json",
    "tokenizer.json",
}
CARD = [
    "## What it writes",
    "## Use it",
    "## How it was trained",
    "## Scores",
    "## Limits",
    "Licence:",
]
SCORES = ("nats_per_character", "bits_per_character", "crop_nats_per_token", "copied_40_characters")
SCORES_OF_LINES = ("nats_per_character", "bits_per_character", "copied_lines")
SCORES_OF_PAIRS = ("nats_per_token", "sequence_error_rate", "token_error_rate")
PROMPTS = ["\n", "A", "KING HENRY:\nMy lord, "]


@pytest.fixture(scope="module", params=ENTRIES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return zoo.get(name)


@pytest.fixture(scope="module")
def folder(name):
    return shipped_folder() / name


@pytest.fixture(scope="module")
def golden(folder):
    with np.load(folder / "golden.npz", allow_pickle=False) as file:
        return dict(file)


def source_of(golden):
    """The source of the golden text, as an argument, of a model that reads one."""
    return {"source": str(golden["source"])} if "source" in golden else {}


def inputs(ids, golden):
    """What the model takes of tokens, with the bytes of that source."""
    if "source" not in golden:
        return tf.constant(ids)
    condition = np.frombuffer(str(golden["source"]).encode(), np.uint8).astype(np.int32)[None]
    return {"tokens": ids, "condition": (condition, np.ones(condition.shape, bool))}


def test_there_are_entries():
    assert {"lstm-shakespeare", "gru-names", "vae-names"} <= set(ENTRIES)


def test_the_folder_is_complete_and_small(folder):
    assert {path.name for path in folder.iterdir()} == FILES
    assert folder.joinpath("golden.npz").stat().st_size < 200_000


def test_entries_are_small():
    for folder in entries_in(shipped_folder()):
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        assert sum(sizes) < 12e6, folder.name


def test_golden_logits(model, golden):
    logits = model(inputs(golden["ids"], golden)).numpy()
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-4, rtol=1e-4)


@ONE
def test_golden_greedy_continuation(model, golden):
    assert_greedy_continuation(model, golden)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
@ONE
def test_golden_greedy_continuation_compiled(model, golden):
    assert_greedy_continuation(model, golden)


def assert_greedy_continuation(model, golden):
    prompt, text = str(golden["prompt"]), str(golden["text"])
    new = len(text) - len(prompt)
    assert new > 0
    assert model.generate(prompt, 64, temperature=0, stop=[], seed=0, **source_of(golden)) == text


@ONE
def test_score_agrees_with_the_golden_logits(model, golden):
    ids = golden["ids"][:1]
    text = model.tokenizer.decode(ids[0])
    whole = np.concatenate([model.tokenizer.encode("\n"), ids[0]])[None].astype(np.int32)
    logits = model(inputs(whole[:, :-1], golden))
    nats = tf.nn.sparse_softmax_cross_entropy_with_logits(whole[:, 1:], logits)
    score = model.score(text, **source_of(golden))
    if model.has_latents:  # the network was told the mean of the posterior of its inputs
        score = model.score(text, condition=model.encode(model.tokenizer.decode(ids[0, :-1])))
    np.testing.assert_allclose(score["log_likelihood"], -np.sum(nats), rtol=1e-5)
    assert score["characters"] == len(text)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
@ONE
def test_the_saved_model_equals_the_live_model_at_two_batch_sizes(model, golden, tmp_path):
    model.export(tmp_path / "served" / "1")
    served = tf.saved_model.load(str(tmp_path / "served" / "1"))
    for prompts in (PROMPTS[:1], PROMPTS):
        told = source_of(golden)
        given = {name: tf.constant([each] * len(prompts)) for name, each in told.items()}
        texts = served.signatures["generate"](
            prompts=tf.constant(prompts),
            max_new_tokens=tf.constant(30),
            temperature=tf.constant(0.9),
            top_k=tf.constant(20),
            top_p=tf.constant(0.95),
            min_p=tf.constant(0.01),
            repetition_penalty=tf.constant(1.1),
            stop=tf.constant([], tf.string),
            num_samples=tf.constant(1),
            seed=tf.constant(5, tf.int64),
            strip_prompt=tf.constant(False),
            **given,
        )["texts"][:, 0]
        live = model.generate(prompts, 30, 0.9, 20, 0.95, 0.01, 1.1, stop=[], seed=5, **told)
        assert [text.decode() for text in texts.numpy()] == live
        scores = served.signatures["score"](texts=tf.constant(prompts), **given)
        for key, value in model.score(prompts, **told).items():
            np.testing.assert_allclose(scores[key], value, rtol=1e-6)


def test_the_recipe_builds_the_model_without_its_weights(name, model):
    fresh = zoo.get(name, weights=False)
    assert [w.shape for w in fresh.weights] == [w.shape for w in model.weights]
    assert any(not np.array_equal(a, b) for a, b in zip(fresh.weights, model.weights))


def test_the_card_is_complete_and_its_scores_are_the_measured_ones(folder, name):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for part in CARD:
        assert part in card, part
    assert f'get("{name}")' in card
    assert f"tfgen train {name}" in card
    results = json.loads((folder / "results.json").read_text())
    pairs = Recipe.from_file(folder / "recipe.toml").data.source is not None
    scores = SCORES_OF_LINES if "copied_lines" in results else SCORES
    for key in SCORES_OF_PAIRS if pairs else scores:
        assert re.search(rf"\| *{results[key]:.3f}\b", card), (key, results[key])
    assert f"{results['parameters']:,}" in card


def test_results_are_those_of_the_stored_weights(model, folder):
    results = json.loads((folder / "results.json").read_text())
    assert model.count_params() == results["parameters"]


# What takes minutes: of the others the same is measured by the same functions.
LARGE = "lstm-shakespeare", "transformer-shakespeare", "transformer-phonemes"


@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=pytest.mark.exhaustive if each in LARGE else pytest.mark.long)
        for each in ENTRIES
    ],
    indirect=True,
)
def test_the_score_can_be_measured_again(model, folder):
    from tfgen.evaluation import evaluate

    results = json.loads((folder / "results.json").read_text())
    pairs = model.recipe.data.source is not None
    again = evaluate(model, model.recipe.data.name, **({} if pairs else {"crops": 64}))
    assert again["nats_per_character"] == pytest.approx(results["nats_per_character"], abs=1e-3)


def test_a_flipped_bit_is_noticed(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "model.weights.h5"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="SHA-256"):
        models.load(tmp_path / "copy")
