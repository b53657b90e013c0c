"""Models that make texts of other texts: what the source says, and that all ways to ask agree."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf

from tfgen import zoo
from tfgen.cli import main
from tfgen.errors import InputError
from tfgen.evaluation import evaluate
from tfgen.evaluation.pairs import edit_distance
from tfgen.layers.additive_attention import AdditiveAttention
from tfgen.layers.cross_attention import CrossAttention
from tfgen.models import families
from tfgen.models.text.attention import source_attention
from tfgen.networks.source_encoder import SourceEncoder
from tfgen.preprocessing import ByteTokenizer, CharacterTokenizer
from tfgen.report.attention import attention_figure
from tfgen.report.results import results_text
from tfgen.sampling.search import BeamSearch

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

VOCABULARY = "\nab"
SMALL = {
    "transformer": {"layers": 2, "heads": 2, "width": 8},
    "gru": {"units": 8, "layers": 2},
    "lstm": {"units": 6, "layers": 1},
}
SOURCES = ["xy", "a longer source, which is padded further"]


def make(family="gru", encoder="transformer", vocabulary=VOCABULARY, **arguments):
    """A model of large random weights, so that a source weighs as much as the text."""
    arguments = {"encoder_units": 8, "encoder_layers": 1, **SMALL[family], **arguments}
    tokenizer = CharacterTokenizer(vocabulary)
    model = families.make(family, encoder=encoder, tokenizer=tokenizer, seed=1, **arguments)
    rng = np.random.default_rng(3)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * 0.6)
    return model


def logits(model, text, source):
    """The logits after a line break and each token of a text, by a single call of the model."""
    ids = [model.tokenizer.start_id, *model.tokenizer.encode(text)]
    condition = ByteTokenizer().encode(source).astype(np.int32)[None]
    given = {"tokens": np.array([ids]), "condition": (condition, np.ones(condition.shape, bool))}
    return model(given).numpy()[0].astype(np.float64)


def log_likelihood(model, text, source):
    found = tf.nn.log_softmax(logits(model, text, source)[:-1]).numpy()
    return found[np.arange(len(found)), model.tokenizer.encode(text)].sum() if text else 0.0


@pytest.mark.parametrize(
    "family, encoder",
    [
        ("gru", "transformer"),
        pytest.param("transformer", "gru", marks=pytest.mark.long),
        pytest.param("lstm", "lstm", marks=pytest.mark.long),
        pytest.param("transformer", "transformer", marks=pytest.mark.long),
    ],
)
def test_score_and_greedy_text_are_those_of_the_network_given_the_source(family, encoder):
    model = make(family, encoder)
    texts = ["abba\n", "ab"]
    found = model.score(texts, source=SOURCES)["log_likelihood"]
    by_hand = [log_likelihood(model, *each) for each in zip(texts, SOURCES)]
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)
    # Another source says something else of the same text.
    assert abs(log_likelihood(model, texts[0], SOURCES[1]) - by_hand[0]) > 0.01
    made = model.generate(source=SOURCES, max_new_tokens=5, temperature=0)
    for text, source in zip(made, SOURCES):
        expected = ""
        while len(expected) < 5:
            last = logits(model, expected, source)[-1]
            last[model.tokenizer.unknown_id] = -np.inf
            token = model.tokenizer.decode([int(np.argmax(last))])
            if token == "\n":
                break
            expected += token
        assert text == expected


@pytest.mark.long
def test_a_beam_search_of_enough_beams_finds_the_likeliest_text_of_a_source():
    model = make()
    texts = ["".join(each) for n in range(3) for each in itertools.product("ab", repeat=n)]
    ended = {text: log_likelihood(model, f"{text}\n", SOURCES[0]) for text in texts}
    # Those of 3 tokens need not end, which is what the search compares as well.
    cut = ["".join(each) for each in itertools.product("ab", repeat=3)]
    ended |= {text: log_likelihood(model, text, SOURCES[0]) for text in cut}
    best = max(ended, key=ended.get)
    # The unknown token is never taken: the likelihoods of what is left are alike in all but scale.
    found = model.generate(source=SOURCES[0], max_new_tokens=3, search=BeamSearch(40, 0.0))
    assert found == best


def test_every_position_is_told_by_all_of_the_source_and_by_nothing_behind_it():
    for encoder in ("transformer", "gru"):
        layer = SourceEncoder(encoder, encoder_units=8, encoder_layers=1, seed=2)
        layer.make_weights(5)
        ids, valid = np.array([[1, 2, 3, 4, 0, 0]]), np.array([[True] * 4 + [False] * 2])
        first = layer(ids, valid)[0].numpy()
        assert first.shape == (1, 6, 5)
        beyond = np.array([[1, 2, 3, 4, 9, 9]])
        np.testing.assert_allclose(layer(beyond, valid)[0][:, :4], first[:, :4], atol=1e-6)
        for place in range(4):
            other = ids.copy()
            other[0, place] = 7
            moved = np.abs(layer(other, valid)[0].numpy() - first)[0, :4].max(axis=-1)
            assert (moved > 1e-6).all()


def test_items_by_themselves_are_followed_by_an_end():
    layer = SourceEncoder("embedding", encoder_units=8, seed=2)
    layer.make_weights(5)
    ids, valid = np.array([[1, 2], [2, 9], [3, 4]]), np.array([[1, 1], [1, 0], [0, 0]], bool)
    vectors, there = layer(ids, valid)
    np.testing.assert_array_equal(there, [[1, 1, 1], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(vectors[0, 1], vectors[1, 0])  # of the same item
    np.testing.assert_array_equal(vectors[0, 2], vectors[1, 1])  # the end
    np.testing.assert_allclose(vectors[0, 2], layer.projection(layer.end[None])[0], atol=1e-6)
    assert np.abs(vectors[0, 2] - vectors[0, 1]).max() > 1e-3


def test_additive_attention_is_the_sum_of_the_paper():
    rng = np.random.default_rng(0)
    inputs, context = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    valid = np.array([[True] * 5, [True, True, False, False, False]])
    layer = AdditiveAttention(4)
    layer.build((None, None, 4))
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    given = tf.constant(inputs, tf.float32), tf.constant(context, tf.float32), valid
    attended = []
    found = layer(*given, attended=attended.append).numpy()
    query, key, value, bias, score = (weight.numpy() for weight in (
        layer.query_kernel, layer.key_kernel, layer.value_kernel, layer.key_bias, layer.score
    ))  # fmt: skip
    for row, place in itertools.product(range(2), range(3)):
        items = context[row][valid[row]]
        energies = np.tanh(inputs[row, place] @ query + items @ key + bias) @ score
        shares = np.exp(energies) / np.exp(energies).sum()
        expected = inputs[row, place] + shares @ items @ value
        np.testing.assert_allclose(found[row, place], expected, rtol=1e-4)
        told = attended[0].numpy()[row, place]
        np.testing.assert_allclose(told[: len(shares)], shares, rtol=1e-4)
        assert not told[len(shares) :].any()


def test_cross_attention_tells_the_mean_of_its_heads_shares():
    rng = np.random.default_rng(0)
    layer, attended = CrossAttention(2, 4), []
    inputs, context = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    given = [tf.constant(each[None], tf.float32) for each in (inputs, context)]
    valid = tf.constant([[True, True, True, False, False]])
    alone = layer(*given, valid).numpy()
    # Telling changes nothing.
    np.testing.assert_array_equal(layer(*given, valid, attended=attended.append), alone)
    queries, keys = inputs @ layer.query_kernel.numpy(), context[:3] @ layer.key_kernel.numpy()
    heads = [queries[:, at] @ keys[:, at].T / np.sqrt(2) for at in (slice(0, 2), slice(2, 4))]
    expected = np.mean([np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in heads], 0)
    np.testing.assert_allclose(attended[0][0, :, :3], expected, rtol=1e-4)
    assert not attended[0][0, :, 3:].numpy().any()


@pytest.mark.parametrize("family", ["gru", pytest.param("transformer", marks=pytest.mark.long)])
def test_a_text_attends_to_its_own_source_and_not_to_what_that_is_padded_with(family):
    model = make(family, "gru")
    texts = ["ab", "abba"]
    found = source_attention(model, texts, SOURCES)
    # A row for each token and for the end, a column for each byte.
    assert [each.shape for each in found] == [(3, 2), (5, len(SOURCES[1]))]
    for shares in found:
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    (alone,) = source_attention(model, texts[:1], SOURCES[:1])
    np.testing.assert_allclose(found[0], alone, rtol=1e-4)
    if family == "gru":
        model.network.context_attention.score.assign(np.zeros([8]))
    else:
        for block in model.network.blocks:  # to keys that are all alike
            block.cross_attention.key_kernel.assign(np.zeros([8, 8]))
    (flat,) = source_attention(model, ["ab"], ["xyzw"])
    np.testing.assert_allclose(flat, np.full([3, 4], 0.25), rtol=1e-5)


def test_a_picture_of_attention_names_tokens_and_items():
    figure = attention_figure(
        [("é", ["a", "end"], ["é", ""], np.eye(2)), ("b", ["b"], None, [[1]])]
    )
    first, second = figure.axes
    assert [each.get_text() for each in first.get_yticklabels()] == ["a", "end"]
    assert [each.get_text() for each in first.get_xticklabels()] == ["é", ""]
    np.testing.assert_array_equal(first.images[0].get_array(), np.eye(2))
    assert second.get_xlabel() == "position of the source"


@pytest.mark.parametrize("family", SMALL)
def test_no_two_weights_have_one_path(family):
    # By which checkpoints keep them, and the best of a training.
    for encoder in ("transformer", "gru"):
        paths = [weight.path for weight in make(family, encoder, encoder_layers=2).weights]
        assert len(set(paths)) == len(paths)


def refused(call, *arguments, **given):
    with pytest.raises((InputError, ValueError)) as caught:
        call(*arguments, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_a_source_may_be_is_told_in_a_line():
    model, other = make(), zoo.get("gru", units=4, layers=1, seed=0)
    assert "give source=" in refused(model.generate)
    assert "give source=" in refused(model.score, "ab")
    assert "must not be empty" in refused(model.generate, source=["a", " "])
    assert "one for all or 3" in refused(model.generate, ["a"] * 3, source=["x", "y"])
    assert "source is for models made with an encoder" in refused(other.generate, source="a")
    assert "condition is for" in refused(model.generate, source="a", condition=1)
    assert "must be None where there is an encoder" in refused(make, "transformer", num_classes=2)
    assert "models with an encoder" in refused(zoo.get, "gru", encoder_layers=3)
    assert model.generate(source=[]) == []


def test_edits_are_insertions_deletions_and_replacements():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance([], ["a", "b"]) == 2 and edit_distance(["a"], ["a"]) == 0


def test_error_rates_go_by_the_nearest_of_several_texts(tmp_path):
    model = make(vocabulary="\nabc ")
    made = model.generate(source=["p", "q"], max_new_tokens=12, temperature=0)
    model.generation = model.generation.__class__(max_new_tokens=12)
    first = made[0] or "a"
    rows = [("p", first), ("p", f"{first} b c"), ("q", f"{made[1]} c".strip())]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join("\t".join(row) for row in [("s", "t"), *rows]) + "\n")
    found = evaluate(model, path, column="t", source="s")
    wrong = made[0] != first
    assert found["sequence_error_rate"] == (1 + wrong) / 2 and found["sources"] == 2
    words = len(first.split()) + len(rows[2][1].split())
    assert found["token_error_rate"] == pytest.approx((1 + wrong) / words)
    nats = -sum(log_likelihood(model, f"{text}\n", source) for source, text in rows)
    tokens = sum(len(text) + 1 for _, text in rows)
    assert found["nats_per_token"] == pytest.approx(nats / tokens, rel=1e-4)
    assert "token error rate" in results_text(found)


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize(
    "family", ["transformer", pytest.param("gru", marks=pytest.mark.exhaustive)]
)
def test_a_trained_model_reverses_words_and_is_the_same_when_stored_and_served(
    family, tmp_path, capsys
):
    rng = np.random.default_rng(0)
    words = {"".join(rng.choice(list("abcd"), rng.integers(2, 6))) for _ in range(900)}
    path = tmp_path / "pairs.jsonl"
    rows = [json.dumps({"from": word, "to": " ".join(word[::-1])}) for word in sorted(words)]
    path.write_text("\n".join(rows))
    size = {"transformer": ["layers=2", "heads=2", "width=32"], "gru": ["units=48", "layers=2"]}
    steps = {"transformer": 500, "gru": 1200}[family]
    settings = [
        "data.source=from", "data.column=to", "model.encoder=gru", "model.encoder_units=32",
        "model.encoder_layers=1", "preprocessing.tokenizer=byte", "training.window=16",
        f"training.steps={steps}", "training.batch_size=64", "training.learning_rate=0.01",
        "training.validate_every=100", "training.sample_every=250",
        *(f"model.{each}" for each in size[family]),
    ]  # fmt: skip
    run = str(tmp_path / "run")
    sets = [word for each in settings for word in ("--set", each)]
    assert main(["train", family, "--data", str(path), "--logdir", run, *sets]) == 0
    capsys.readouterr()
    assert main(["evaluate", run, "--data", str(path), "--beams", "2"]) == 0
    told = dict(
        line.rsplit("  ", 1) for line in capsys.readouterr().out.splitlines() if "  " in line
    )
    told = {key.strip(): value.strip() for key, value in told.items()}
    assert float(told["sequence error rate"].rstrip("%")) < 0.1
    assert main(["generate", run, "--source", "abcd", "--source", "dab"]) == 0
    shown = ["--- abcd ---", "d c b a", "--- dab ---", "b a d"]
    assert [line for line in capsys.readouterr().out.splitlines() if line] == shown
    tags = {
        value.tag
        for file in (tmp_path / "run" / "logs" / "train").glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    assert {"samples/greedy", "samples/attention"} <= tags
    model = zoo.get(run)
    texts = model.generate(source=["abc", "cd"], seed=3, temperature=1)
    model.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    given = {"prompts": tf.constant(["", ""]), "source": tf.constant(["abc", "cd"])}
    answer = served.signatures["serving_default"](**given)["texts"].numpy()
    assert [each.decode() for each in answer] == ["c b a", "d c"] == texts
    scores = served.signatures["score"](
        texts=tf.constant(["c b a\n", "d c\n"]), source=given["source"]
    )["log_likelihood"].numpy()
    np.testing.assert_allclose(
        scores, model.score(["c b a\n", "d c\n"], source=["abc", "cd"])["log_likelihood"], rtol=1e-5
    )
