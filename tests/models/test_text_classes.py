"""Models of texts of several classes, trained from a recipe: data.label."""

import json

import numpy as np
import pandas
import pytest
import tensorflow as tf

from tfgen import zoo
from tfgen.cli import main
from tfgen.data import ClassWindows, open_labeled
from tfgen.errors import InputError
from tfgen.evaluation import evaluate
from tfgen.models import families
from tfgen.preprocessing import ByteTokenizer, CharacterTokenizer
from tfgen.recipe import Recipe
from tfgen.training import train
from tfgen.training.data import open_data

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

ROWS = [("aa", "x"), ("b\nb", "y"), ("ab", "x"), ("", "y"), ("ba", "x"), ("bbb", "y")]


def test_each_class_is_split_by_itself_and_is_named_by_texts_or_whole_numbers(tmp_path):
    path = tmp_path / "rows.csv"
    pandas.DataFrame(ROWS, columns=["text", "kind"]).to_csv(path, index=False)
    found = open_labeled(path, "kind", "text", validation_fraction=0.4)
    assert found.classes == ("x", "y") and found.report.kept == 5
    assert found.texts("train") == {"x": ["aa", "ab"], "y": ["b\nb"]}
    assert found.texts("validation") == {"x": ["ba"], "y": ["bbb"]}
    assert found.characters["train"] == 3 + 3 + 4
    x, y = found.encoded("train", ByteTokenizer(), ("x", "y"))
    assert bytes(x.tolist()) == b"\naa\nab\n" and bytes(y.tolist()) == b"\nb\nb\n"
    lines = tmp_path / "rows.jsonl"
    lines.write_text("\n".join(json.dumps({"t": f"{n}", "c": n % 2}) for n in range(4)))
    frame = pandas.DataFrame({"t": ["0", "1"], "c": [0, 1]})
    assert open_labeled(lines, "c", "t").classes == ("0", "1")
    assert open_labeled("data in memory", "c", "t", data=frame).classes == ("0", "1")
    for wrong, rule in ((("kind", None), "data.column"), (("text", "text"), "another column")):
        with pytest.raises(InputError, match=rule):
            open_labeled(path, *wrong)
    with pytest.raises(InputError, match="class of these data 'y'"):
        found.encoded("train", ByteTokenizer(), ("x", "z"))


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_every_token_is_a_target_once_an_epoch_with_its_class(drop_remainder):
    tokens = [np.arange(100, 100 + size) for size in (12, 2, 7)]
    tokens = [each + 100 * number for number, each in enumerate(tokens)]
    windows = ClassWindows(tokens, 4, 1, seed=3, drop_remainder=drop_remainder)
    # At random offsets a class may have a window more than counts for an epoch.
    for epoch in range(3):
        seen = []
        for k in range(len(windows._epoch(epoch)) if drop_remainder else windows.steps_per_epoch):
            windows.steps_per_epoch = max(windows.steps_per_epoch, len(windows._epoch(epoch)))
            given, targets, weights = windows.batch(epoch * windows.steps_per_epoch + k)
            kept = targets[weights > 0]
            np.testing.assert_array_equal(given["tokens"][weights > 0] + 1, kept)
            assert (kept // 100 - 1 == given["condition"][0]).all()
            seen += kept.tolist()
        assert sorted(seen) == [token for each in tokens for token in each[1:].tolist()]


def make(classes=("x", "y")):
    model = families.make(
        "gru", units=8, layers=1, classes=classes, tokenizer=CharacterTokenizer("\nab"), seed=1
    )
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape) * 0.6)
    return model


def test_a_class_is_called_by_its_name_or_its_number():
    model = make()
    score = [model.score("abab", condition=each)["log_likelihood"] for each in ("y", 1, 0, None)]
    assert score[0] == score[1] and len({round(float(each), 6) for each in score}) == 3
    both = model.score(["abab"] * 2, condition=["x", "y"])["log_likelihood"]
    np.testing.assert_allclose(both, [score[2], score[0]], rtol=1e-6)
    with pytest.raises(InputError, match="Unknown condition 'yy'.*Did you mean 'y'"):
        model.generate(condition="yy")
    with pytest.raises(ValueError, match="different names"):
        make(("x", "x"))
    for changes, rule in (
        ({"model.classes": ["a"]}, "need the column of the classes"),
        ({"data.label": "a", "data.source": "b", "model.encoder": "gru"}, "or goes with its class"),
        ({"data.label": "a", "training.carry_state": True}, "carry_state is for one text"),
    ):
        with pytest.raises(InputError, match=rule):
            open_data(Recipe("gru").override({"data.column": "text", **changes}))
    with pytest.raises(InputError, match="families of text that take a class, and 'vae'"):
        open_data(Recipe("vae").override({"data.column": "text", "data.label": "a"}))


@pytest.mark.long
def test_an_evaluation_is_of_texts_given_their_class_and_without(tmp_path):
    model, path = make(), tmp_path / "rows.csv"
    path.write_text("text,kind\naab,x\nb,y\nba,x\n")
    found = evaluate(model, path, column="text", label="kind")
    nats = -model.score("aab\nba\n", condition="x")["log_likelihood"]
    nats -= model.score("b\n", condition="y")["log_likelihood"]
    assert found["nats_per_character"] == pytest.approx(nats / 9, rel=1e-5)
    free = -sum(model.score(text)["log_likelihood"] for text in ("aab\nba\n", "b\n"))
    assert found["nats_per_character_without_class"] == pytest.approx(free / 9, rel=1e-5)
    assert (found["texts"], found["classes"], found["split"]) == (3, 2, "all")


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_recipe_trains_classes_that_the_command_line_and_a_served_model_take(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [(c, "".join(rng.choice(list(of), 6))) for c, of in [("up", "AB"), ("low", "ab")] * 150]
    path = tmp_path / "rows.tsv"
    path.write_text("\n".join(["kind\ttext", *("\t".join(row) for row in rows)]) + "\n")
    recipe = Recipe("gru").override({
        "data.name": str(path), "data.column": "text", "data.label": "kind", "model.units": 24,
        "model.layers": 1, "training.window": 16, "training.batch_size": 16,
        "training.steps": 120, "training.learning_rate": 0.02, "training.validate_every": 60,
        "training.sample_every": 60, "training.histogram_every": 0,
        "generation.guidance_scale": 2.0, "generation.max_new_tokens": 12,
    })  # fmt: skip
    final = train(recipe, tmp_path / "run", progress=False)
    model = zoo.get(final)
    assert model.recipe.model["classes"] == ["low", "up"] and model.max_positions is None
    for name, letters in (("low", "ab"), ("up", "AB")):
        assert {*model.generate(condition=name, seed=1)} <= {*letters, "\n"}
    found = evaluate(model, path)
    # A fair coin a letter, and the same line break; without a class the first letter is a guess.
    assert found["nats_per_character"] < found["nats_per_character_without_class"]
    assert found["nats_per_character"] < 0.75
    run = str(tmp_path / "run")
    assert main(["generate", run, "--condition", "up", "--seed", "1"]) == 0
    assert {*capsys.readouterr().out.split()[0]} <= {*"AB"}
    assert main(["generate", run, "--condition", "upper"]) == 2
    assert main(["evaluate", run, "--data", str(path)]) == 0
    assert "without class" in capsys.readouterr().out
    assert train(None, tmp_path / "run", resume=True, progress=False) == final
    model.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    given = {"prompts": tf.constant([""]), "condition": tf.constant([1])}
    assert {*served(**given)["texts"].numpy()[0].decode()} <= {*"AB\n"}
    tags = {
        value.tag
        for file in (tmp_path / "run" / "logs" / "train").glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    assert {"samples/temperature_1.0/low", "samples/temperature_0.5/up"} <= tags
