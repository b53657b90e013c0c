"""Best weights are chosen on one half of what is held out, and scored on the other."""

import numpy as np
import pytest

from tfgen import models
from tfgen.data import open_sequences, open_text
from tfgen.errors import InputError
from tfgen.evaluation import evaluate, evaluate_sequences
from tfgen.recipe import Recipe
from tfgen.training import train
from tfgen.training.data import open_data
from tfgen.training.resume import settle

SMALL = {
    "model.units": 4, "model.layers": 1, "training.window": 8, "training.batch_size": 4,
    "training.steps": 4, "training.validate_every": 2, "training.warmup_steps": 1,
    "training.sample_every": 0, "training.histogram_every": 0,
}  # fmt: skip


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(np.random.default_rng(0).choice(list("abcdef "), 2001)))
    return Recipe("gru").override({**SMALL, "data.name": str(path)})


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["x", *map(str, np.random.default_rng(0).normal(size=800))]))
    return Recipe("gru").override({**SMALL, "data.name": str(path)})


def held(recipe):
    """What a training validates on, and what it is of."""
    data = open_data(recipe)
    windows = data.windows["validation"]
    if hasattr(windows, "tokens"):
        return data.preprocessing.decode(windows.tokens), data
    return windows.sequences.values[0], data


def test_text_is_chosen_on_the_first_half_of_what_is_held_out(text):
    source = open_text(text.data.name)
    parts = {name: "".join(source.chunks(name)) for name in ("validation", "choice", "test")}
    assert parts["choice"] + parts["test"] == parts["validation"]
    assert [source.characters[name] for name in parts] == [201, 101, 100]
    shown, data = held(text)
    assert shown == parts["choice"] and data.choose_on == "half"
    assert (
        "101 to validate (half of what is held out: the other half is for scores)" in data.summary
    )
    for changes in (
        {"training.choose_on": "all"},
        {"training.validate_every": 0},  # the last step alone: nothing is chosen
        {"training.window": 51},  # two of them find no room in a half
    ):
        shown, data = held(text.override(changes))
        assert shown == parts["validation"] and data.choose_on == "all"
    shown, data = held(text.override({"training.window": 51, "training.choose_on": "half"}))
    assert data.choose_on == "half"


def test_numbers_are_chosen_on_the_earlier_half(table):
    rows = open_sequences(table.data).values[0]
    shown, data = held(table)
    np.testing.assert_array_equal(shown, rows[720:760])
    assert data.choose_on == "half" and "40 in 1 to validate (half of" in data.summary
    shown, data = held(table.override({"training.window": 21}))
    np.testing.assert_array_equal(shown, rows[720:])
    assert data.choose_on == "all" and "half" not in data.summary
    few = table.override({"data.validation_fraction": 0.001, "training.choose_on": "half"})
    with pytest.raises(InputError, match="too little to be halved: 1 positions.*choose_on='half'"):
        open_data(few)


def test_a_run_goes_on_as_it_began(text, tmp_path):
    """One of before there were halves chose on all, and its recipe does not say so."""
    text.save(tmp_path / "recipe.toml")
    assert "choose_on" not in (tmp_path / "recipe.toml").read_text()
    for given in (None, text, text.override({"training.choose_on": "all"})):
        recipe, changes = settle(given, tmp_path, resume=True)
        assert recipe.training.choose_on == "all" and changes == []
    half = text.override({"training.choose_on": "half"})
    assert settle(half, tmp_path, resume=True)[1] == [("training.choose_on", None, "half")]
    half.save(tmp_path / "recipe.toml")
    for given in (None, text):
        recipe, changes = settle(given, tmp_path, resume=True)
        assert recipe.training.choose_on == "half" and changes == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["text", "table"])
def test_the_score_is_of_the_other_half(kind, tmp_path, request):
    recipe = request.getfixturevalue(kind)
    model = models.load(train(recipe, tmp_path / "run", progress=False))
    assert model.recipe.training.choose_on == "half"
    name = recipe.data.name

    def score(model, split=None):
        if kind == "text":
            found = evaluate(model, name, split=split, crops=2, window=8)
            return found["split"], found["characters"], found["nats_per_character"]
        found = evaluate_sequences(model, name, split, metrics=("likelihood",))
        of = found["likelihood"]
        return found["split"], of["values"], of["nats_per_value"]["mean"]

    sizes = {"text": (100, 201), "table": (40, 80)}[kind]
    assert score(model)[:2] == ("test", sizes[0])
    assert score(model) == score(model, "test") != score(model, "validation")
    assert score(model, "validation")[:2] == ("validation", sizes[1])
    model.recipe = model.recipe.override({"training.choose_on": "all"})
    assert score(model)[0] == "validation"
