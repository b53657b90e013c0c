"""Models of strokes that say a text: what the text changes, and that all ways to ask agree."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen import models
from tfgen.cli import main
from tfgen.data import SequenceWindows, open_sequences
from tfgen.errors import InputError
from tfgen.evaluation import evaluate_sequences
from tfgen.models import families
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import DataConfig, Recipe
from tfgen.training import train
from tfgen.training.choices import choose
from tfgen.training.data import open_data

TEXTS = ["a", "to be", "or not"]
SMALL = {
    "lstm": {"units": 8, "layers": 2, "encoder": "embedding", "soft_window": 3},
    "gru": {"units": 8, "layers": 1, "encoder": "gru", "encoder_layers": 1},
    "transformer": {"width": 8, "heads": 2, "layers": 1, "encoder": "transformer"},
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """A file of drawings with texts."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("lines") / "lines.npz"
    points = np.c_[rng.normal(size=(60, 2)), np.arange(60) % 3 == 2].astype(np.float32)
    np.savez(path, points=points, offsets=np.arange(13) * 5, texts=np.array(TEXTS * 4))
    return path


quickly = pytest.mark.usefixtures("op_by_op", "few_positions")


def opened(lines):
    return open_sequences(DataConfig(name=str(lines), kind="strokes", source="texts"))


def make(family, sequences):
    arguments = {"encoder_units": 6, "components": 3, **SMALL[family]}
    processor = SequenceProcessor.fit(sequences)
    model = families.make(family, processor=processor, seed=1, **arguments)
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(0, 0.7, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


@quickly
@pytest.mark.parametrize(
    "family",
    ["lstm", *(pytest.param(name, marks=pytest.mark.long) for name in SMALL if name != "lstm")],
)
def test_a_text_is_read_alike_in_training_in_scores_and_in_samples(family, lines):
    sequences = opened(lines)
    model = make(family, sequences)
    windows = SequenceWindows(sequences, 5, 12, drop_remainder=False)
    total, count, *_ = model.batch_total(model.unpack(windows.batch(0)))
    scores = model.score(sequences.values, source=sequences.texts)["log_likelihood"]
    assert count == 60
    np.testing.assert_allclose(-np.sum(scores), total, rtol=1e-4)
    # Another text is another distribution, from the second position on if not from the first.
    other = model.score(sequences.values, source=sequences.texts[::-1])["log_likelihood"]
    assert np.abs(other - scores).max() > 0.1
    # A sample depends neither on the others nor on how long their texts are.
    drawn = model.generate(3, 6, seed=4, source=["a", "or not", "a text that is much longer"])
    alone = model.generate(1, 6, seed=4, source="a")
    np.testing.assert_allclose(drawn[0], alone[0], rtol=1e-3, atol=1e-4)
    pieces = np.concatenate(list(model.stream(6, seed=4, source="a")))
    np.testing.assert_allclose(pieces, alone[0], rtol=1e-3, atol=1e-4)
    # What is read of a prompt is what was scored: a future is that of both.
    future = model.forecast(sequences.values[0], 2, 1, seed=1, source="to be").samples[0]
    unlike = model.forecast(sequences.values[0], 2, 1, seed=1, source="or").samples[0]
    assert np.nan_to_num(future - unlike).any()


@quickly
def test_a_source_is_needed_and_refused_where_there_is_none(lines):
    sequences = opened(lines)
    model = make("lstm", sequences)
    with pytest.raises(InputError, match="give source="):
        model.generate(1)
    with pytest.raises(InputError, match="one for all or 2, one for each. Received: 3"):
        model.generate(2, source=["a", "b", "c"])
    plain = families.make("gru", processor=model.processor, units=4)
    with pytest.raises(InputError, match="with an encoder. Received: source='a'"):
        plain.generate(1, source="a")


def test_an_encoder_and_the_texts_of_the_data_go_together(lines):
    recipe = Recipe("lstm").override({"data.name": str(lines), "data.kind": "strokes"})
    for changes in ({"data.source": "texts"}, {"model.encoder": "embedding"}):
        with pytest.raises(InputError, match="go together"):
            open_data(recipe.override(changes))
    both = recipe.override(
        {"data.source": "texts", "model.encoder": "embedding", "training.window": 4}
    )
    with pytest.raises(InputError, match="longer than a window"):
        open_data(both)


def test_what_reads_a_text_is_chosen_where_nothing_is_said(lines):
    changes = {"data.name": str(lines), "data.kind": "strokes", "data.source": "texts"}
    found = {name: choose(Recipe(name).override(changes))[0] for name in ("lstm", "transformer")}
    assert found["lstm"].model == {"encoder": "embedding", "soft_window": 10, "residual": True}
    assert found["transformer"].model == {"encoder": "transformer"}
    own = Recipe("gru").override({**changes, "model.encoder": "gru", "model.soft_window": 0})
    assert choose(own, ["model.encoder", "model.soft_window"])[0].model["soft_window"] == 0


@pytest.mark.long
@quickly
def test_the_saved_model_takes_the_text(lines, tmp_path):
    model = make("lstm", opened(lines))
    model.export(str(tmp_path / "1"))
    served = tf.saved_model.load(str(tmp_path / "1")).signatures
    assert not [name for name in served if name.startswith("stream")]
    given = {"num_samples": tf.constant(2), "length": tf.constant(6), "bias": tf.constant(0.5)}
    given |= {"seed": tf.constant(3, tf.int64), "temperature": tf.constant(1.0)}
    found = served["generate"](source=tf.constant(["a", "or not"]), **given)
    one = served["generate"](source=tf.constant(["a"]), **given)
    np.testing.assert_allclose(one["values"][0], found["values"][0], rtol=1e-3, atol=1e-4)
    own = model.draw(2, 6, seed=3, source=["a", "or not"], bias=0.5)
    np.testing.assert_allclose(found["values"], own[0], rtol=1e-3, atol=1e-4)
    assert np.array_equal(found["lengths"], own[1])


@pytest.mark.long
def test_a_training_learns_what_a_text_says(tmp_path):
    """Strokes to the right say "r", to the left "l": of as many letters as there are."""
    rng, points, offsets, texts = np.random.default_rng(1), [], [0], []
    for _ in range(300):
        text = "".join(rng.choice(["l", "r"], rng.integers(1, 5)))
        moves = np.repeat([[1.0 if letter == "r" else -1.0] for letter in text], 3, axis=0)
        points.append(np.c_[moves, rng.normal(0, 0.2, [len(moves), 1])])
        points[-1] = np.c_[points[-1], np.arange(len(moves)) % 3 == 2]
        offsets.append(offsets[-1] + len(moves))
        texts.append(text)
    np.savez(tmp_path / "lines.npz", points=np.concatenate(points), offsets=offsets, texts=texts)
    recipe = Recipe("lstm").override({
        "data.name": str(tmp_path / "lines.npz"), "data.kind": "strokes", "data.source": "texts",
        "model.encoder": "embedding", "model.encoder_units": 4, "model.soft_window": 4,
        "model.units": 32, "model.layers": 1, "model.components": 2, "training.window": 12,
        "training.batch_size": 32, "training.steps": 500, "training.learning_rate": 0.02,
        "training.validate_every": 0, "training.sample_every": 500, "training.histogram_every": 0,
    })  # fmt: skip
    model = models.load(train(recipe, tmp_path / "run"))
    # The last letter tells how the last strokes go, and no other text is as likely.
    drawing = np.concatenate([[[0, 0, 0]], points[0][1:]])
    other = texts[0][:-1] + ("r" if texts[0][-1] == "l" else "l")
    right, wrong = (model.score(drawing, source=t)["log_likelihood"] for t in (texts[0], other))
    assert right > wrong + 2
    drawn = model.generate(2, 20, seed=1, source=["lrl", "rrr"], temperature=0.1)
    for drawing, text in zip(drawn, ["lrl", "rrr"], strict=True):
        assert np.array_equal(np.sign(drawing[1:9:3, 0]), [1 if c == "r" else -1 for c in text])
    report = evaluate_sequences(model, str(tmp_path / "lines.npz"), metrics=("likelihood",))
    assert report["likelihood"]["log_likelihood"] > 0
    # A prompt is gone on with, of a text that begins with its own.
    np.savez(tmp_path / "prompt.npz", points=drawn[0][:3], offsets=[0, 3])
    out = tmp_path / "out.npz"
    common = ["generate", str(tmp_path / "run"), "--seed", "1", "--temperature", "0.1"]
    for words in (["--source", "lrl"], [str(tmp_path / "prompt.npz"), "--source", "lrl"]):
        assert main([*common, *words, "--out", str(out)]) == 0
        with np.load(out) as found:
            assert np.array_equal(np.sign(found["points"][1:9:3, 0]), [-1, 1, -1])
