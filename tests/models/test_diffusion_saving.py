"""Diffusion models on disk: folders, Keras files, recipes, and the SavedModel, in a fresh process."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tfgen import models, zoo
from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.models.engines.diffusion import Diffusion
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig, Recipe

FILES = ["SHA256SUMS", "model.weights.h5", "recipe.toml", "sequence.json"]
pytestmark = pytest.mark.usefixtures("op_by_op")

START, HOUR = 1_600_000_000, 3600
COUNT = 8  # positions of the series


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    features = (Feature("a", low=0.0, high=5.0), Feature("b"), Feature("c", levels=("x", "y")))
    values = [
        np.stack([5 * rng.random(60), rng.normal(size=60), np.arange(60) % 2], axis=1)
        for _ in range(4)
    ]
    return Sequences(
        "made", "series", features, [each.astype(np.float32) for each in values], list("0123"),
        times=[START + HOUR * np.arange(60)] * 4, labels=np.array([0, 1, 0, 1], np.int32),
        classes=("p", "q"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(data):
    processor = SequenceProcessor.fit(data, PreprocessingConfig(calendar=True))
    model = models.make(
        "unet1d", width=4, multipliers=(1,), blocks=1, attention_at=(1,), linear_attention=False, heads=1,
        head_width=4, groups=2, self_condition=True, sigma_max=20.0, processor=processor, seed=1,
        generation={"length": 6, "num_steps": 4, "solver": "ddim"},
    )  # fmt: skip
    rng = np.random.default_rng(3)
    for weight in model.trainable_weights:  # as if trained: at first the network says 0
        weight.assign_add(0.1 * rng.normal(size=weight.shape))
    return model


@pytest.fixture(scope="module")
def series(data):
    """Two series of different lengths, and what else is known of them."""
    values = [each[:n] for each, n in zip(data.values[1:3], (COUNT, 5))]
    return values, {"times": [START + HOUR * np.arange(len(v)) for v in values],
                    "condition": ["p", "q"]}  # fmt: skip


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    model.save(folder / "model")
    return folder


def test_a_folder_holds_the_whole_model(model, folder):
    assert sorted(path.name for path in (folder / "model").iterdir()) == FILES
    again = zoo.get(folder / "model", num_steps=3)
    assert type(again.engine) is Diffusion
    assert again.generation.num_steps == 3 and again.generation.solver == "ddim"
    network = again.engine.network
    assert network.multipliers == (1,) and network.attention_at == (1,) and network.self_condition
    for first, second in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    with pytest.raises(InputError, match="do not fit"):
        zoo.get(folder / "model", width=6)
    with pytest.raises(InputError, match="objective"):
        zoo.get(folder / "model", objective="noise")
    model.save(folder / "model")  # its own files may be replaced


def test_the_recipe_of_a_model_builds_it_again(model):
    recipe = models.recipe_of(model)
    assert recipe.family == "unet1d" and recipe.model["sigma_max"] == 20.0
    again = models.build(Recipe.from_toml(recipe.to_toml()), model.processor)
    config, other = again.get_config(), model.get_config()
    assert {**config, "name": 0} == {**other, "name": 0}
    # An empty list is one, and not the default.
    none = models.make(
        "unet1d", of="numbers", width=2, multipliers=(1,), blocks=1, attention_at=(), groups=1
    )
    recipe = Recipe.from_toml(models.recipe_of(none).to_toml())
    assert models.build(recipe).network.attention_at == ()


def test_the_preset_of_the_zoo_takes_the_family_and_its_arguments():
    made = zoo.get("unet1d", width=8, multipliers=[1], blocks=1, objective="v", seed=3)
    assert type(made.engine) is Diffusion and made.engine.denoiser.objective == "v"
    with pytest.raises(InputError, match="objective"):
        zoo.get("unet1d", objektive="v")
    with pytest.raises(InputError, match="groups"):
        zoo.get("unet1d", width=10)


# In a process that knows nothing of this one: the SavedModel by TensorFlow alone, before tfgen is
# there; then the folder and the Keras file.

CLIENT = """
import json, sys
import numpy as np
import tensorflow as tf

given = json.load(sys.stdin)
served = tf.saved_model.load("served")
for signature, inputs in given["cases"]:
    run = served.signatures[signature]
    specs = run.structured_input_signature[1]
    tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
    outputs = run(**tensors)
    print("RESULT", json.dumps({name: value.numpy().tolist() for name, value in outputs.items()}))
print("MODULES", json.dumps([name for name in sys.modules if name.split(".")[0] == "tfgen"]))

import keras

from tfgen import zoo

for model in (zoo.get("./model"), keras.saving.load_model("model.keras")):
    series = [np.array(each, np.float32) for each in given["series"]]
    times = [np.array(each) for each in given["times"]]
    result = model.denoise(series, 0.5, times=times, condition=["p", "q"])
    loss, _ = model.batch_loss(model.unpack({
        "values": series[0][None], "times": times[0][None], "label": np.array([1])
    }))
    print("RESULT", json.dumps([result.tolist(), float(loss), model.generation.num_steps]))
"""


@pytest.mark.usefixtures("as_graphs")
@pytest.mark.long
def test_a_fresh_process_gives_what_this_one_gives(model, data, folder, series):
    model.save(folder / "model.keras")
    model.export(folder / "served")
    values, given = series
    padded = np.full([2, COUNT, 3], np.nan, np.float32)
    times = np.zeros([2, COUNT], int)
    for row, (each, time) in enumerate(zip(values, given["times"])):
        padded[row, : len(each)], times[row, : len(each)] = each, time
    # A gap in as many numbers as a forecast is of: one compiled loop fills both.
    gaps = data.values[1][: COUNT + 2].copy()
    gaps[3:5] = np.nan
    own = {"times": START + HOUR * np.arange(COUNT + 2), "condition": "p"}
    one = {"lengths": [COUNT + 2], "times": [own["times"].tolist()], "condition": [0]}
    sampling = {"seed": 3, "num_steps": 3, "guidance_scale": 1.0}
    filling = {**sampling, "resamplings": 4}
    rows = {"lengths": [len(each) for each in values], "times": times.tolist(),
            "condition": [0, 1]}  # fmt: skip
    both = {"values": padded.tolist(), **rows}
    latents = np.random.default_rng(1).normal(size=[2, COUNT, 4]).astype(np.float32)
    start = {"start_time": [START]}
    cases = [
        ["generate", {"num_samples": 2, "length": 6, "condition": [1], **start, **sampling,
                      "guidance_scale": 2.0}],
        ["forecast", {**both, "horizon": 2, "num_samples": 3, "quantiles": [0.25, 0.75],
                      **filling}],
        ["impute", {"values": [gaps.tolist()], **one, "num_samples": 6, **filling}],
        ["score", {**both, "seed": 3, "num_steps": 4}],
        ["encode", {**both, "num_steps": 4}],
        ["decode", {"latents": latents.tolist(), **rows, "num_steps": 4}],
        ["denoise", {**both, "sigma": [0.5, 0.5]}],
        ["serving_default", {"num_samples": 2, "condition": [-1], **start}],
    ]  # fmt: skip
    message = {
        "cases": cases,
        "series": [each.tolist() for each in values],
        "times": [each.tolist() for each in given["times"]],
    }
    done = subprocess.run(
        [sys.executable, "-c", CLIENT], input=json.dumps(message), capture_output=True, text=True,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert [json.loads(text) for word, text in lines if word == "MODULES"] == [[]]
    results = [json.loads(text) for word, text in lines if word == "RESULT"]
    generate, forecast, impute, score, encode, decode, denoise, default, *loaded = results

    def same(first, second, tolerance=1e-4):
        np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance)

    live = model.generate(2, 6, seed=3, num_steps=3, condition="q", guidance_scale=2.0)
    same(generate["values"], live)
    assert generate["lengths"] == [6, 6]
    expected = model.forecast(values, 2, 3, (0.25, 0.75), 3, num_steps=3, resamplings=4, **given)
    same(forecast["samples"], expected.samples)
    same(forecast["mean"], expected.mean)
    same(np.array(forecast["quantiles"])[:, 0], expected.quantiles[0.25])
    same(impute["samples"][0], model.impute(gaps, 6, 3, num_steps=3, resamplings=4, **own))
    for name, value in model.score(values, num_steps=4, seed=3, **given).items():
        same(score[name], value)
    same(encode["latents"], model.encode(values, num_steps=4, **given))
    back = model.decode(latents, rows["lengths"], num_steps=4, **given)
    same(decode["values"], back)
    clean = model.denoise(values, 0.5, **given)
    same(denoise["values"], clean)
    # A new seed for every call, the model's own length, and the bounds hold here too.
    drawn = np.array(default["values"])
    assert drawn.shape == (2, 6, 3) and not np.allclose(drawn[0], drawn[1])
    for numbers in (drawn, np.array(forecast["samples"])):
        assert (numbers[..., 0] >= 0).all() and (numbers[..., 0] <= 5).all()

    batch = {"values": values[0][None], "times": given["times"][0][None], "label": np.array([1])}
    loss, _ = model.batch_loss(model.unpack(batch))
    assert len(loaded) == 2
    for denoised, found, num_steps in loaded:
        same(denoised, clean)
        assert found == pytest.approx(float(loss), rel=1e-5) and num_steps == 4
