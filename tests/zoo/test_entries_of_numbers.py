"""What every entry of numbers promises. A new entry is tested the day it is added."""

import json
import re

import numpy as np
import pytest
from eager import some_by_default

from tfgen import models, zoo
from tfgen.zoo.folders import entries_in, shipped_folder

ENTRIES = [
    path.name for path in entries_in(shipped_folder()) if (path / models.PROCESSOR).is_file()
]
pytestmark = pytest.mark.usefixtures("op_by_op")

# Compiled as for people; by default one entry is, the others' networks run op by op.
COMPILED = some_by_default("name", ENTRIES, "gru-weather")
QUICK = some_by_default("name", ENTRIES, "transformer-drums", "unet1d-pendigits")
DRUMS = some_by_default("name", ENTRIES, "transformer-drums")
QUICK_DRAW = ("gru-weather", "transformer-drums", "unet1d-pendigits")
MOST = some_by_default("name", ENTRIES, *QUICK_DRAW, others=pytest.mark.long)
FILES = {
    "README.md",
    "SHA256SUMS",
    "golden.npz",
    "model.weights.h5",
    "recipe.toml",
    "results.json",
    "samples.png",
    "sequence.json",
}
CARD = ["## Use it", "## How it was trained", "## Scores", "## Limits", "Licence:"]
LENGTH = 30


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


def part(golden, prefix):
    start = f"{prefix}/"
    return {key.removeprefix(start): v for key, v in golden.items() if key.startswith(start)}


def told(golden):
    """What two samples are told, of a model that has to be told something."""
    return {"source": golden["source"].tolist()} if "source" in golden else {}


def test_there_are_entries():
    diffusion = {"unet1d-weather", "unet1d-drums", "unet1d-pendigits"}
    others = {
        "gru-weather",
        "lstm-handwriting",
        "lstm-kanji",
        "transformer-drums",
        "vae-pendigits",
    }
    assert {*others, *diffusion} <= set(ENTRIES)


def test_the_folder_is_complete_and_small(folder):
    names = {path.name for path in folder.iterdir()}
    assert names - {models.CALIBRATION} == FILES  # what is calibrated has one more
    assert folder.joinpath("golden.npz").stat().st_size < 300_000


@pytest.mark.parametrize("diffusion, most", [(False, 15e6), (True, 20e6)])
def test_together_they_are_small(diffusion, most):
    names = [name for name in ENTRIES if name.startswith("unet1d") == diffusion]
    folders = [shipped_folder() / name for name in names]
    assert 0 < sum(p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file()) < most


def test_golden_parameters(model, golden):
    found = model(part(golden, "inputs"))
    if model.engine.loss_is_likelihood:
        found = {f"{head}/{name}": x for head, each in found.items() for name, x in each.items()}
    else:
        found = {"x0_hat": found}
    expected = part(golden, "parameters")
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-3, atol=2e-3, err_msg=name)


@MOST
def test_golden_draw(model, golden):
    assert_golden_draw(model, golden)


@pytest.mark.usefixtures("as_graphs")
@pytest.mark.long
@COMPILED
def test_golden_draw_compiled(model, golden):
    assert_golden_draw(model, golden)


def assert_golden_draw(model, golden):
    drawn = golden["drawn"]
    options = {"temperature": 0} if model.engine.loss_is_likelihood else {"num_steps": 8}
    found, *_ = model.draw(2, drawn.shape[1], seed=0, **options, **told(golden))
    spread = np.nanstd(drawn, axis=(0, 1)) + 1e-3
    np.testing.assert_array_less(np.nan_to_num(np.abs(found - drawn) / spread), 0.05)


@DRUMS
def test_what_is_drawn_lies_between_the_bounds(model, golden):
    options = {"temperature": 2.0} if model.engine.loss_is_likelihood else {"num_steps": 4}
    drawn, *_ = model.draw(2, LENGTH, seed=3, **options, **told(golden))
    low, high = model.processor.bounds
    numbers = drawn[..., list(model.processor.number_columns)]
    numbers = numbers[~np.isnan(numbers).any(axis=-1)]
    assert (numbers >= low).all() and (numbers <= high).all()


@QUICK
def test_the_recipe_builds_the_model_without_its_weights(name, model):
    fresh = zoo.get(name, weights=False)
    assert [w.shape for w in fresh.weights] == [w.shape for w in model.weights]
    assert any(not np.array_equal(a, b) for a, b in zip(fresh.weights, model.weights))


def test_the_card_is_complete_and_its_scores_are_the_measured_ones(folder, name):
    card = (folder / "README.md").read_text(encoding="utf-8")
    for heading in CARD:
        assert heading in card, heading
    assert f'get("{name}")' in card and f"tfgen train {name}" in card
    results = json.loads((folder / "results.json").read_text())
    assert re.search(rf"\| *{results['nats_per_value']:.3f}\b", card)
    assert f"{results['parameters']:,}" in card
    for key, score in results.items():
        if isinstance(score, dict):
            assert f"{score['mean']:.3f}" in card, key


def test_results_are_those_of_the_stored_weights(model, folder):
    results = json.loads((folder / "results.json").read_text())
    assert model.count_params() == results["parameters"]


@pytest.mark.usefixtures("as_graphs")
@pytest.mark.long
def test_the_scores_can_be_measured_again(model, folder):
    results = json.loads((folder / "results.json").read_text())
    if not model.engine.loss_is_likelihood:
        pytest.skip("the ODE of all that was held out takes minutes; the golden values hold")
    from tfgen.evaluation import evaluate_sequences

    again = evaluate_sequences(model, model.recipe.data, metrics=("likelihood",))["likelihood"]
    assert again["nats_per_value"]["mean"] == pytest.approx(results["nats_per_value"], abs=1e-3)
