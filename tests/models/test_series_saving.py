"""Models of numbers on disk: folders, Keras files, recipes, and the SavedModel."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import models, zoo
from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.models import make as new_model
from tfgen.models.numbers.model import NumbersModel
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig, Recipe

FILES = ["SHA256SUMS", "model.weights.h5", "recipe.toml", "sequence.json"]
pytestmark = pytest.mark.usefixtures("op_by_op")

START = 1_600_000_000


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    features = (Feature("a", low=0.0, high=5.0), Feature("b"), Feature("c", levels=("x", "y")))
    values = [
        np.stack([5 * rng.random(60), rng.normal(size=60), np.arange(60) % 2], axis=1)
        for _ in range(4)
    ]
    values[0][7, 1] = np.nan
    return Sequences(
        "made", "series", features, [v.astype(np.float32) for v in values], list("0123"),
        times=[START + 3600 * np.arange(60)] * 4, labels=np.array([0, 1, 0, 1], np.int32),
        classes=("p", "q"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(data):
    processor = SequenceProcessor.fit(data, PreprocessingConfig())
    return new_model("gru", "numbers", units=8, layers=2, components=2, processor=processor, seed=1,
        generation={"length": 6, "temperature": 0.5},
    )  # fmt: skip


def same(first, second, data):
    np.testing.assert_array_equal(
        first.generate(2, 6, seed=1, condition="q"), second.generate(2, 6, seed=1, condition="q")
    )
    given = {"times": data.times[0], "condition": 1}
    assert first.score(data.values[0], **given) == second.score(data.values[0], **given)


def test_a_folder_holds_the_whole_model(model, data, tmp_path):
    model.save(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == FILES
    again = zoo.get(tmp_path / "model")
    assert type(again) is NumbersModel
    assert again.generation.length == 6 and again.processor.features == model.processor.features
    same(model, again, data)
    model.save(tmp_path / "model")  # its own files may be replaced


@pytest.mark.long
def test_a_keras_file_holds_the_whole_model(model, data, tmp_path):
    model.save(tmp_path / "model.keras")
    same(model, keras.saving.load_model(tmp_path / "model.keras"), data)


def test_a_changed_processor_is_noticed(model, tmp_path):
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "sequence.json"
    path.write_text(path.read_text().replace('"a"', '"A"'))
    with pytest.raises(InputError, match="SHA-256"):
        zoo.get(tmp_path / "model")


@pytest.mark.long
def test_overrides_are_of_the_class_for_numbers(model, tmp_path):
    model.save(tmp_path / "model")
    assert zoo.get(tmp_path / "model", length=9).generate(condition="p").shape == (1, 9, 3)
    with pytest.raises(InputError, match="embedding"):
        zoo.get(tmp_path / "model", embedding=4)
    with pytest.raises(InputError, match="do not fit"):
        zoo.get(tmp_path / "model", units=9)


def test_of_chooses_the_class_of_a_new_model():
    assert isinstance(zoo.get("gru", of="numbers", head="student_t", units=8), NumbersModel)
    recipe = Recipe("transformer", {"head": "regression", "width": 8, "heads": 2})
    assert isinstance(models.build(recipe, of="numbers"), NumbersModel)
    with pytest.raises(InputError, match="of='numbers'"):
        zoo.get("gru", head="student_t")
    with pytest.raises(InputError, match="Did you mean 'numbers'"):
        zoo.get("gru", of="number")
    assert "embedding" in models.family("lstm").row("text").arguments()
    assert "embedding" not in models.family("lstm").row("numbers").arguments()


@pytest.mark.long
@pytest.mark.parametrize(
    "family",
    [
        "gru",
        pytest.param("lstm", marks=pytest.mark.exhaustive),
        pytest.param("transformer", marks=pytest.mark.long),
    ],
)
def test_the_recipe_of_a_model_builds_it_again(family, data):
    processor = SequenceProcessor.fit(data, PreprocessingConfig())
    own = {"width": 8, "heads": 2, "layers": 1} if family == "transformer" else {"units": 8}
    row = models.family(family).row("numbers")
    made = row.make(**own, components=3, processor=processor, seed=4)
    recipe = models.recipe_of(made)
    assert recipe.family == family and recipe.model["components"] == 3
    again = models.build(Recipe.from_toml(recipe.to_toml()), processor)
    np.testing.assert_array_equal(made.generate(seed=1), again.generate(seed=1))


# Served by TensorFlow alone, in a process of its own.

CLIENT = """
import json, sys
import numpy as np
import tensorflow as tf

before = set(sys.modules)
cases = json.load(sys.stdin)
served = tf.saved_model.load(sys.argv[1])
for signature, inputs in cases:
    run = served.signatures[signature]
    specs = {k: v for k, v in run.structured_input_signature[1].items()}
    tensors = {k: tf.constant(v, specs[k].dtype) for k, v in inputs.items()}
    outputs = run(**tensors)
    print("RESULT", json.dumps({k: v.numpy().tolist() for k, v in outputs.items()}))
print("MODULES", json.dumps([n for n in sys.modules if n.split(".")[0] == "tfgen"]))
"""


@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize(
    "make", [pytest.param("recurrent", marks=pytest.mark.long), pytest.param("transformer", marks=pytest.mark.exhaustive)]
)  # fmt: skip
def test_the_saved_model_gives_what_the_live_one_gives(make, model, data, tmp_path):
    if make == "transformer":
        model = new_model(
            "transformer", "numbers", layers=2, heads=2, width=8, components=2, processor=model.processor, seed=1,
            generation={"length": 6},
        )  # fmt: skip
    model.export(tmp_path / "served")
    values = [each[:20].tolist() for each in data.values[1:3]]
    times = [data.times[0][:20].tolist()] * 2
    sampling = {"seed": 3, "temperature": 1.0, "bias": 0.0}
    series = {"values": values, "lengths": [20, 15], "times": times, "condition": [0, 1]}
    cases = [
        ["generate", {"num_samples": 2, "length": 6, "condition": [1], "start_time": [START],
                      **sampling}],
        ["forecast", {**series, "horizon": 4, "num_samples": 3, "quantiles": [0.25, 0.75],
                      **sampling}],
        ["score", series],
        ["encode", series],
        ["serving_default", {"num_samples": 2, "condition": [-1], "start_time": [START]}],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, tmp_path / "served"],
        input=json.dumps(cases), capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    results = [json.loads(text) for word, text in lines if word == "RESULT"]
    assert [json.loads(text) for word, text in lines if word == "MODULES"] == [[]]
    generate, forecast, score, encode, default = results

    live = model.generate(2, 6, seed=3, temperature=1.0, condition="q", start_time=START)
    np.testing.assert_allclose(generate["values"], live, rtol=1e-5)
    context = [np.array(v)[:n] for v, n in zip(values, (20, 15))]
    given = {"times": [t[:n] for t, n in zip(times, (20, 15))], "condition": [0, 1]}
    live = model.forecast(context, 4, 3, (0.25, 0.75), seed=3, temperature=1.0, **given)
    np.testing.assert_allclose(forecast["samples"], live.samples, rtol=1e-4)
    np.testing.assert_allclose(forecast["mean"], live.mean, rtol=1e-4)
    np.testing.assert_allclose(
        np.array(forecast["quantiles"])[:, 0], live.quantiles[0.25], rtol=1e-4
    )
    scored = model.score(context, **given)
    for name, value in scored.items():
        np.testing.assert_allclose(score[name], value, rtol=1e-5)
    np.testing.assert_allclose(
        encode["last"], model.encode(context, pooling="last", **given), rtol=1e-4
    )
    # A new seed for every call, the model's own length, and the bounds hold here too.
    drawn = np.array(default["values"])
    assert drawn.shape == (2, 6, 3) and not np.allclose(drawn[0], drawn[1])
    for numbers in (drawn, np.array(forecast["samples"])):
        assert (numbers[..., 0] >= 0).all() and (numbers[..., 0] <= 5).all()


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_model_of_drawings_serves_lengths(tmp_path):
    made = Sequences(
        "made", "strokes", (Feature("dx"), Feature("dy"), Feature("pen", levels=("down", "up"))),
        [np.random.default_rng(0).normal(size=(12, 3)).round().clip(0, 1).astype(np.float32)] * 30,
        [str(i) for i in range(30)], ends=True,
    )  # fmt: skip
    processor = SequenceProcessor.fit(made, PreprocessingConfig())
    model = new_model("lstm", "numbers", units=8, layers=1, processor=processor, seed=1)
    model.export(tmp_path / "served")
    run = tf.saved_model.load(tmp_path / "served").signatures["generate"]
    served = run(
        num_samples=tf.constant(3), length=tf.constant(20), seed=tf.constant(5, tf.int64),
        temperature=tf.constant(1.0), bias=tf.constant(0.0),
    )  # fmt: skip
    live = model.generate(3, 20, seed=5)
    assert served["lengths"].numpy().tolist() == [len(one) for one in live]
    for row, one in zip(served["values"].numpy(), live):
        np.testing.assert_allclose(row[: len(one)], one, rtol=1e-5)
        assert np.isnan(row[len(one) :]).all()
