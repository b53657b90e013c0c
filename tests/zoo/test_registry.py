"""Names of the zoo: entries, families and layers under one roof, and what `get` makes of them."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tfgen import models, zoo
from tfgen.errors import InputError
from tfgen.models.base import TextGenerator
from tfgen.recipe import Recipe
from tfgen.zoo import folders, registry

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_zoo(monkeypatch, tmp_path):
    """What a test adds is gone after it, and the shipped entries are those of `tmp_path`/zoo."""
    monkeypatch.setattr(registry, "added_entries", {})
    monkeypatch.setattr(registry, "added_layers", {})
    monkeypatch.setattr(registry, "shipped_folder", lambda: tmp_path / "zoo")
    before = dict(models.FAMILIES)
    yield
    models.FAMILIES.clear()
    models.FAMILIES.update(before)


class Constant(keras.layers.Layer):
    """A layer of one number.

    Args:
        value: The number that
            is returned.
    """

    def __init__(self, value, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.value, self.scale = value, scale


class Tiny(TextGenerator):
    """A family with one weight.

    Args:
        size: How many numbers the weight is.
        mode: Which kind.

    Returns:
        Nothing.
    """

    def __init__(self, size=3, mode=None, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.size, self.mode = size, mode
        self.weight = self.add_weight(shape=(size,), initializer="uniform", name="weight")
        self.built = True

    def get_config(self):
        return {**super().get_config(), "size": self.size, "mode": self.mode}


def entry(path, text='family = "lstm"\ndescription = "Verse."\n', weights=b""):
    path.mkdir(parents=True)
    (path / "recipe.toml").write_text(text)
    if weights is not None:
        (path / "model.weights.h5").write_bytes(weights)
    return path


def message(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_names_are_one_list_of_three_kinds(tmp_path):
    entry(tmp_path / "zoo" / "LSTM_Verse")
    entry(tmp_path / "zoo" / "no-weights", weights=None)
    (tmp_path / "zoo" / "not-an-entry").mkdir()
    kinds = {kind: zoo.list_models(kind=kind) for kind in zoo.KINDS}
    assert kinds["entry"] == ["lstm-verse", "no-weights"]
    assert {"lstm", "gru"} <= set(kinds["family"])
    assert {"clip-by-value", "gru-layer", "lstm-layer", "decoder-block"} <= set(kinds["layer"])
    assert kinds["layer"] == sorted(zoo.LAYERS)
    assert zoo.list_models() == sorted(name for names in kinds.values() for name in names)
    assert zoo.list_models("LSTM_*") == ["lstm-layer", "lstm-verse"]
    assert zoo.list_models("lstm") == ["lstm"]
    assert zoo.list_models("lstm-*", kind="entry") == ["lstm-verse"]
    assert zoo.list_models(pretrained=True) == ["lstm-verse"]
    assert "no-weights" in zoo.list_models(pretrained=False)
    assert "lstm-verse" not in zoo.list_models(pretrained=False)
    assert "Did you mean 'entry'" in message(zoo.list_models, kind="entrys")


def test_the_names_that_come_with_tfgen_do_not_clash(monkeypatch):
    monkeypatch.undo()
    shipped = [path.name for path in folders.entries_in(folders.shipped_folder())]
    names = [*shipped, *models.FAMILIES, *zoo.LAYERS]
    assert sorted(names) == zoo.list_models()
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["lstm", "LSTM", " Lstm "])
def test_case_does_not_matter(name):
    assert zoo.find(name).name == "lstm"


def test_an_unknown_name_has_near_matches_unless_it_is_a_model_here(tmp_path, monkeypatch):
    assert "Unknown name 'lsmt'. Did you mean 'lstm'" in message(zoo.get, "lsmt")
    monkeypatch.chdir(entry(tmp_path / "mine").parent)
    assert zoo.find("mine").folder.name == "mine"
    (tmp_path / "empty").mkdir()
    assert message(zoo.get, "empty").endswith("To open the folder of that name, write './empty'")
    entry(tmp_path / "runs" / "yours")
    assert message(zoo.get, "yours").endswith("write 'runs/yours'")
    assert "Did you mean 'runs/yours'?" in message(zoo.get, "runs/your")
    assert message(zoo.get, "runs/other").endswith("does not exist")
    assert "the layer 'clip-by-value'" in message(zoo.get, "clip-by-valu")
    nothing = message(zoo.get, "qqqq")
    assert "--zoo PATH" in nothing and "--import MODULE" in nothing
    assert "clip-by-value" not in nothing.partition("Known:")[2]
    # A name of the zoo stays one, whatever lies in the current folder.
    entry(tmp_path / "gru")
    assert zoo.find("gru").kind == "family"
    assert zoo.find("./gru").kind == "entry"
    assert "Received: 3" in message(zoo.get, 3)


@pytest.mark.parametrize(
    "text, path",
    [("a/b", True), ("./a", True), (".", True), ("~a", True), (Path("a"), True), ("a", False),
     ("a.toml", False), ("", False)],
)  # fmt: skip
def test_what_is_a_path(text, path):
    assert folders.is_path(text) is path


@pytest.mark.parametrize("name, row", list(zoo.LAYERS.items()))
def test_every_row_of_the_layers_is_a_layer(name, row):
    assert issubclass(row.load(), keras.layers.Layer)
    assert row.summary.endswith(".") and len(row.summary) < 80


def test_every_layer_that_is_exported_has_a_row_and_every_row_is_exported():
    from tfgen import layers

    rows = {row.load() for row in zoo.LAYERS.values()}
    assert rows == {getattr(layers, name) for name in layers.__all__} - {layers.PastAttention}


def test_get_gives_a_layer_with_its_arguments():
    zoo.register("My_Constant")(Constant)
    layer = zoo.get("my-constant", value=3, scale=2.0, name="mine")
    assert (type(layer), layer.value, layer.scale, layer.name) == (Constant, 3, 2.0, "mine")
    wrong = message(zoo.get, "my-constant", value=3, scal=2.0)
    assert "Unknown argument of 'my-constant' 'scal'. Did you mean 'scale'" in wrong
    assert "'my-constant' needs value. It takes: value, scale = 1.0" in message(
        zoo.get, "my-constant"
    )
    # What the layer itself hands on to keras.layers.LSTM is known, too.
    assert zoo.get("gru-layer", units=3, return_sequences=True).return_sequences is True
    assert "Did you mean 'units'" in message(zoo.get, "lstm-layer", unit=3)


def test_get_gives_a_new_model_of_a_family():
    zoo.register("tiny", preset={"mode": "a"})(Tiny)
    model = zoo.get("Tiny", size=5, temperature=0.5, seed=3)
    assert (type(model), model.size, model.mode, model.seed) == (Tiny, 5, "a", 3)
    assert model.generation.temperature == 0.5
    assert "Did you mean 'size'" in message(zoo.get, "tiny", sise=5)
    # The name fixes its preset.
    assert "Unknown argument of family 'tiny' 'mode'" in message(zoo.get, "tiny", mode="b")
    zoo.register("tiny-free")(Tiny)
    assert zoo.get("tiny-free", mode=None).mode is None
    assert "size" in message(zoo.get, "tiny-free", size=None)


def test_get_gives_the_model_of_a_folder_with_and_without_weights(tmp_path):
    zoo.register("tiny")(Tiny)
    model = zoo.get("tiny", size=5, temperature=0.5)
    model.save(tmp_path / "zoo" / "tiny_five")
    loaded = zoo.get("Tiny-Five")
    assert list(loaded.weight.numpy()) == list(model.weight.numpy())
    assert loaded.generation.temperature == 0.5
    new = zoo.get("tiny-five", weights=False, seed=9)
    assert list(new.weight.numpy()) != list(model.weight.numpy())
    assert zoo.get("tiny-five", temperature=0.25).generation.temperature == 0.25
    assert "size" in message(zoo.get, "tiny-five", size=6)
    assert zoo.get("tiny-five", weights=False, size=6).size == 6
    assert "Did you mean 'size'" in message(zoo.get, "tiny-five", sise=6)
    # By path, as a string or not.
    for path in (tmp_path / "zoo" / "tiny_five", str(tmp_path / "zoo" / "tiny_five")):
        assert zoo.get(path).size == 5
    with open(tmp_path / "zoo" / "tiny_five" / "model.weights.h5", "ab") as file:
        file.write(b"x")
    assert "SHA" in message(zoo.get, "tiny-five")
    (tmp_path / "zoo" / "tiny_five" / "model.weights.h5").unlink()
    assert "weights=False" in message(zoo.get, "tiny-five")


def test_get_opens_the_final_model_of_a_run(tmp_path):
    zoo.register("tiny")(Tiny)
    run = entry(tmp_path / "run", 'family = "tiny"\n', weights=None)
    (run / "checkpoints").mkdir()
    unfinished = message(zoo.get, run)
    assert "not finished" in unfinished
    assert f"tfgen train --resume --logdir {run}" in unfinished
    zoo.get("tiny", size=5).save(run / "final")
    assert zoo.get(run).size == 5
    assert zoo.get(run / "final").size == 5
    assert zoo.describe(run).folder == run / "final"


def test_folders_that_hold_no_model(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    assert "empty: no model: the folder has no recipe.toml" in message(zoo.get, tmp_path / "empty")
    assert "file: no model: the folder is a file" in message(zoo.get, tmp_path / "file")
    assert "no model: the folder does not exist" in message(zoo.get, tmp_path / "nothing")


def test_register_refuses_what_is_taken_or_cannot_be(tmp_path):
    entry(tmp_path / "zoo" / "verse")
    for name, kind in {"LSTM": "a family", "gru_layer": "a layer", "Verse": "an entry"}.items():
        assert f"is taken: it is {kind}" in message(zoo.register(name), Tiny)
        assert f"is taken: it is {kind}" in message(zoo.register(name), Constant)
    for name in ("", "a b", "a/b", ".a", "~a", "ä"):
        assert "A name is made of" in message(zoo.register, name)
    for cls in (int, 3, keras.Model.call):
        assert "Only a CausalNetwork, a SequenceGenerator or a keras.layers.Layer" in message(
            zoo.register("mine"), cls
        )
    assert "takes no preset" in message(zoo.register("mine", preset={"value": 3}), Constant)
    assert "mine" not in zoo.list_models()


def test_the_same_class_may_be_registered_again_and_another_may_not():
    def define():
        @zoo.register("tiny")
        class Again(Tiny):
            """A family that a notebook's cell defines."""

        @zoo.register("constant")
        class Layer(Constant):
            """A layer that a notebook's cell defines."""

        return Again, Layer

    define()
    later = define()
    assert (zoo.find("tiny").row.load(), zoo.find("constant").row.load()) == later
    assert zoo.find("tiny").summary == "A family that a notebook's cell defines."
    assert zoo.find("constant").summary == "A layer that a notebook's cell defines."
    assert "is taken: it is a family" in message(zoo.register("tiny"), Tiny)
    assert "is taken: it is a layer" in message(zoo.register("constant"), Constant)


def test_add_entries_adds_a_folder_of_them_or_one(tmp_path):
    entry(tmp_path / "many" / "One")
    entry(tmp_path / "many" / "two", weights=None)
    (tmp_path / "many" / "notes").mkdir()
    assert zoo.add_entries(tmp_path / "many") == ["one", "two"]
    assert zoo.add_entries(str(tmp_path / "many" / "One")) == ["one"]  # once more: no harm
    assert zoo.add_entries(entry(tmp_path / "three")) == ["three"]
    assert zoo.list_models(kind="entry") == ["one", "three", "two"]
    assert zoo.find("ONE").folder == tmp_path / "many" / "One"
    assert "is taken: it is an entry" in message(zoo.add_entries, entry(tmp_path / "b" / "one"))
    # One name that is taken: none of the folder's is added.
    entry(tmp_path / "clash" / "four")
    entry(tmp_path / "clash" / "lstm")
    assert "is taken: it is a family" in message(zoo.add_entries, tmp_path / "clash")
    assert "four" not in zoo.list_models()
    assert "no sub-folder has a recipe" in message(zoo.add_entries, tmp_path / "many" / "notes")
    assert "does not exist" in message(zoo.add_entries, tmp_path / "nothing")
    entry(tmp_path / "twins" / "a-b")
    entry(tmp_path / "twins" / "a_b")
    assert "two entries have the name 'a-b'" in message(zoo.add_entries, tmp_path / "twins")


def test_a_broken_entry_is_listed_with_what_is_wrong(tmp_path):
    entry(tmp_path / "zoo" / "broken", "family = 3")
    assert zoo.list_models(kind="entry") == ["broken"]
    assert "cannot be used: " in zoo.find("broken").summary
    assert "family must be a string" in zoo.find("broken").summary
    assert "family must be a string" in message(zoo.describe, "broken")


def test_describe_tells_what_is_known_of_each_kind(tmp_path):
    zoo.register("constant")(Constant)
    zoo.register("tiny", preset={"mode": "a"})(Tiny)
    layer = zoo.describe("constant")
    assert [str(argument) for argument in layer.arguments] == ["value", "scale = 1.0"]
    assert layer.arguments[0].help == "The number that is returned."
    assert "value (required)\n      The number that is returned." in str(layer)

    family = zoo.describe("tiny")
    assert (family.kind, family.summary) == ("family", "A family with one weight.")
    arguments = {argument.name: argument for argument in family.arguments}
    assert arguments["size"].default == 3
    assert arguments["size"].help == "How many numbers the weight is."
    assert "mode" not in arguments  # the name fixes it

    model = zoo.get("tiny", size=5)
    model.recipe = dataclasses.replace(model.recipe, description="Five.")
    folder = tmp_path / "zoo" / "tiny-five"
    model.save(folder)
    (folder / "README.md").write_text("# Five\n\n- **Licence:** MIT\n")
    (folder / "results.json").write_text(json.dumps({"nats_per_character": 1.23456, "n": [1, 2]}))
    found = zoo.describe("TINY_FIVE")
    assert (found.kind, found.family, found.summary) == ("entry", "tiny", "Five.")
    assert (found.parameters, found.data, found.licence) == (5, "shakespeare", "MIT")
    assert found.scores == {"nats_per_character": 1.23456, "n": [1, 2]}
    assert found.bytes == (folder / "model.weights.h5").stat().st_size
    assert {argument.name: argument.default for argument in found.arguments}["size"] == 5
    page = str(found)
    for line in ("tiny-five: Five.", "nats per character  1.235", "n                   1, 2"):
        assert line in page
    (folder / "results.json").write_text("[")
    assert "results.json: not valid JSON" in message(zoo.describe, "tiny-five")


@pytest.mark.parametrize(
    "name",
    ["lstm", "gru", "transformer", *(name for name in zoo.LAYERS if not name.endswith("-layer"))],
)
def test_what_comes_with_tfgen_explains_its_arguments(name):
    arguments = zoo.describe(name).arguments
    assert arguments
    assert [argument.name for argument in arguments if not argument.help] == []


def test_a_family_is_built_from_the_recipe_that_describes_it():
    zoo.register("tiny")(Tiny)
    model = zoo.get("tiny", size=4)
    assert model.recipe == Recipe("tiny", {"size": 4})
    assert models.build(model.recipe).size == 4


@pytest.mark.parametrize(
    "card, licence",
    [("Licence: MIT", "MIT"), ("| license | CC0 |", "CC0"), ("* **License**: BSD", "BSD"),
     ("The licence is free", None), ("", None)],
)  # fmt: skip
def test_the_licence_is_read_from_the_card(tmp_path, card, licence):
    from tfgen.zoo.description import describe_entry

    (entry(tmp_path / "a", weights=None) / "README.md").write_text(f"# A\n{card}\n")
    assert describe_entry("a", tmp_path / "a").licence == licence


def test_names_and_descriptions_of_entries_need_no_tensorflow():
    code = (
        "import sys, tfgen.zoo as zoo\n"
        "for name in zoo.list_models(): zoo.find(name).summary\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_shipped_folder_is_that_of_the_checkout():
    assert re.search(r"zoo([/\\]entries)?$", str(folders.shipped_folder()))


def test_a_family_s_page_tells_the_defaults_of_numbers_where_they_differ():
    page = str(zoo.describe("lstm"))
    assert "\n  units = 512 (of numbers: 128)\n" in page and "\n  layers = 2\n" in page
    page = str(zoo.describe("transformer"))
    assert "\n  layers = 6 (of numbers: 4)\n" in page
