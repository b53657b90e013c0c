"""Saving a model as a folder, and what `load` and `build` make of recipes, overrides and files."""

import json
import resource
import subprocess

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen import models, zoo
from tfgen.errors import InputError
from tfgen.files import sha256
from tfgen.models import make as new_model
from tfgen.models import weights as weights_module
from tfgen.models.base import TextGenerator
from tfgen.models.engines.token_rollout import TokenRollout
from tfgen.models.text.emission import TokenEmission
from tfgen.models.text.model import TextModel
from tfgen.networks import RecurrentNetwork
from tfgen.preprocessing import CharacterTokenizer
from tfgen.recipe import GenerationConfig, Recipe, TrainingConfig

IDS = np.array([[1, 2, 3, 4], [4, 4, 0, 1]], np.int32)
FILES = ["SHA256SUMS", "model.weights.h5", "recipe.toml", "tokenizer.json"]


def text_model(network):
    return TextModel(TokenRollout(network, TokenEmission()))


def make(**options):
    options = {"units": 8, "layers": 2, "layer_norm": True, "attention": 2, "seed": 1, **options}
    options.setdefault("tokenizer", CharacterTokenizer("\n abcé"))
    return new_model("lstm", **options)


@pytest.fixture(scope="module")
def model():
    return make(generation={"temperature": 0.5, "stop": ["\n\n"], "max_new_tokens": 20})


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def message(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same_weights(first, second):
    assert [w.path for w in first.weights] == [w.path for w in second.weights]
    for mine, theirs in zip(first.weights, second.weights):
        np.testing.assert_array_equal(mine, theirs)


# The round trip


def test_the_checksums_are_those_of_sha256sum(folder):
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_float16_halves_the_file_and_rounds_the_weights(tmp_path):
    model = make(units=64)
    model.save(tmp_path / "full")
    model.save(tmp_path / "half", float16=True)
    sizes = [(tmp_path / n / "model.weights.h5").stat().st_size for n in ("full", "half")]
    assert sizes[1] < 0.65 * sizes[0]
    again = models.load(tmp_path / "half")
    for mine, theirs in zip(again.weights, model.weights):
        assert mine.dtype == "float32"
        np.testing.assert_array_equal(mine, theirs.numpy().astype("float16").astype("float32"))


def test_float16_refuses_what_it_cannot_hold(tmp_path):
    model = make()
    model.engine.emission.head.bias.assign(model.engine.emission.head.bias + 1e5)
    assert "65504" in message(model.save, tmp_path / "half", float16=True)
    assert names(tmp_path) == []
    model.save(tmp_path / "full")


@pytest.mark.long
def test_a_fitted_model_is_saved_without_its_optimizer(model, tmp_path):
    fitted = make()
    fitted.compile(jit_compile=False)
    fitted.fit(np.tile(IDS, (2, 1)), verbose=0)
    fitted.save(tmp_path / "model")
    with h5py.File(tmp_path / "model" / "model.weights.h5") as file:
        assert "optimizer" not in file
    assert_same_weights(models.load(tmp_path / "model"), fitted)


def test_a_changed_default_of_sampling_is_saved(folder, tmp_path):
    model = models.load(folder)
    model.generation = GenerationConfig(temperature=0.25)
    model.save(tmp_path / "again")
    assert models.load(tmp_path / "again").generation == GenerationConfig(temperature=0.25)


def test_the_recipe_a_model_was_built_from_is_kept(tmp_path):
    recipe = Recipe(
        "gru",
        {"units": 4, "layers": 1},
        training=TrainingConfig(steps=7, seed=3),
        description="Hm.",
    )
    model = models.build(recipe)
    model.save(tmp_path / "model")
    assert models.load(tmp_path / "model").recipe == recipe
    assert model.seed == 3  # the training's, as the model has none of its own
    assert models.build(recipe.override({"model.seed": 5})).seed == 5


# Saving when something goes wrong


def test_saving_again_replaces_the_model(folder):
    other = make(cell="gru", layers=1)
    other.save(folder)
    assert names(folder) == FILES and names(folder.parent) == ["model"]
    assert models.load(folder).network.cell == "gru"


@pytest.mark.parametrize("failing", ["base.save_weights", "files.sha256"])
def test_nothing_half_written_is_left(model, folder, monkeypatch, failing):
    def fail(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(f"tfgen.models.{failing}", fail)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in (folder, folder.parent / "new"):
        with pytest.raises(OSError, match="No space"):
            make(cell="gru").save(path)
    assert names(folder.parent) == ["model"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    monkeypatch.undo()
    assert_same_weights(models.load(folder), model)


def test_a_folder_of_other_things_is_not_replaced(model, folder, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    (folder / "README.md").write_text("x")
    for path, other in ((tmp_path / "thesis", "chapter.tex"), (folder, "README.md")):
        assert f"'{other}'" in message(model.save, path)
        assert (path / other).read_text() == "x"
    (tmp_path / "file").write_text("x")
    assert "is a file" in message(model.save, tmp_path / "file")


def test_a_class_without_a_name_cannot_be_saved(tmp_path):
    class Nameless(RecurrentNetwork):
        pass

    model = text_model(Nameless(units=4, layers=1))
    assert "Nameless is no registered family" in message(model.save, tmp_path / "model")
    assert names(tmp_path) == []


# Loading what does not fit


def test_a_flipped_bit_in_any_file_is_noticed(folder):
    for name in ("model.weights.h5", "tokenizer.json"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert f"{name} does not match its SHA-256" in message(models.load, folder)
        (folder / name).write_bytes(data)
    models.load(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert f"{name} is missing" in message(models.load, folder)
    if name == "model.weights.h5":
        models.load(folder, weights=False)


def test_checksums_that_list_too_little_or_nonsense(folder):
    sums = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text("\n".join(sums.splitlines()[:2]))
    assert "does not list model.weights.h5" in message(models.load, folder)
    (folder / "SHA256SUMS").write_bytes(b"\xff\xfe\x00" * 100)
    assert "SHA256SUMS: not UTF-8" in message(models.load, folder)


def replace_weights(folder, source):
    (folder / "model.weights.h5").write_bytes(source)
    sums = [f"{sha256(folder / n)}  {n}\n" for n in ("tokenizer.json", "model.weights.h5")]
    (folder / "SHA256SUMS").write_text("".join(sums))


@pytest.mark.parametrize("layers", [1, 3])
def test_the_weights_of_a_deeper_or_shallower_model_are_refused(folder, tmp_path, layers):
    make(layers=layers).save(tmp_path / "other")
    replace_weights(folder, (tmp_path / "other" / "model.weights.h5").read_bytes())
    assert "do not fit the model" in message(models.load, folder)


def test_a_file_that_is_no_weights_file_is_refused(folder):
    data = (folder / "model.weights.h5").read_bytes()
    for content in (b"", b"not HDF5", data[: len(data) // 2]):
        replace_weights(folder, content)
        assert "is no weights file" in message(models.load, folder)


def test_the_right_shapes_under_other_names_are_refused(model, folder, tmp_path):
    path = tmp_path / "renamed.h5"
    path.write_bytes((folder / "model.weights.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        norms = "layers/recurrent_network/norms"
        file.move(f"{norms}/layer_normalization", f"{norms}/other")
    assert "do not fit the model" in message(weights_module.load_weights, model, path)


def test_without_weights_the_model_is_new(model, folder):
    fresh = models.load(folder, weights=False, overrides={"seed": 5})
    assert [w.shape for w in fresh.weights] == [w.shape for w in model.weights]
    assert not np.allclose(fresh.weights[0], model.weights[0])
    bigger = models.load(folder, weights=False, overrides={"units": 12})
    assert bigger.network.units == 12 and bigger.tokenizer.vocabulary == model.tokenizer.vocabulary


def test_overrides(model, folder):
    changed = models.load(folder, overrides={"temperature": 0.1, "dropout": 0.5, "stop": ["a"]})
    assert changed.generation.temperature == 0.1 and changed.generation.stop == ("a",)
    assert changed.generation.max_new_tokens == 20 and changed.network.dropout == 0.5
    assert_same_weights(changed, model)

    told = message(models.load, folder, overrides={"units": 9})
    assert "overridden: units" in told and "weights=False" in told
    assert "(9, 36)" in told and "(8, 32)" in told
    told = message(models.load, folder, overrides={"unit": 9})
    assert "Unknown override 'unit'. Did you mean 'units'" in told
    assert "Did you mean 'temperature'" in message(models.load, folder, overrides={"temprature": 1})
    assert "Received: units=0" in message(models.load, folder, overrides={"units": 0})
    told = message(models.load, folder, overrides={"temperature": -1})
    assert told.endswith("Received: generation.temperature=-1")


# Recipes that were not written by a friend


@pytest.mark.parametrize(
    "recipe,part",
    [
        ('family = "os:system"', "Unknown family 'os:system'"),
        ('family = "lstm"\n[model]\nunit = 3', "Did you mean 'units'"),
        ('family = "lstm"\n[model]\ncell = "gru"', "Unknown argument of family 'lstm' 'cell'"),
        ('family = "lstm"\n[model]\ntokenizer = "x"', "Unknown argument"),
        ('family = "lstm"\n[model]\nself = 1', "Unknown argument"),
        ('family = "lstm"\n[model]\nkwargs = 1', "Unknown argument"),
        ('family = "lstm"\n[model]\nunits = "many"', "Received: units='many'"),
        ('family = "lstm"\n[model]\nunits = [1, 2]', "Received: units=[1, 2]"),
        ('family = "lstm"\n[model]\nlayer_norm = "false"', "Received: layer_norm='false'"),
        ('family = "lstm"\n[model]\ndropout = {a = 1}', "Received: dropout={'a': 1}"),
        ("family = 3", "family"),
        ("[model]\nunits = 3", "family is missing"),
        ("\x00", "not valid TOML"),
        ("a = " + "[" * 10000, "recipe.toml"),
    ],
)
def test_a_hostile_recipe_is_told_in_one_line(folder, recipe, part):
    (folder / "recipe.toml").write_text(recipe)
    models.write_checksums(folder)
    assert part in message(models.load, folder)


@pytest.mark.parametrize(
    "tokenizer",
    [
        {"tokenizer": "os.system", "config": {}},
        {"tokenizer": "character", "config": {"vocabulary": ["ab"]}},
        {"tokenizer": "character", "config": {"vocabulary": 3}},
        {"tokenizer": "character", "config": {"command": "rm"}},
        [],
    ],
    ids=str,
)
def test_a_hostile_tokenizer_is_told_in_one_line(folder, tokenizer):
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    replace_weights(folder, (folder / "model.weights.h5").read_bytes())
    assert "tokenizer.json" in message(models.load, folder)


def test_what_a_recipe_of_before_holds_idly_is_left_out(tmp_path):
    model = new_model(
        "transformer", layers=1, heads=1, width=4, tokenizer=CharacterTokenizer("ab"), seed=1
    )
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "recipe.toml"
    recipe = path.read_text().replace("max_length = 1024", "max_length = 64")
    assert "max_length = 64" in recipe  # of rotary positions, which have no end
    path.write_text(recipe)
    models.write_checksums(tmp_path / "model")
    with pytest.warns(UserWarning, match="model.max_length is for positions='learned', and does"):
        again = models.load(tmp_path / "model")
    assert_same_weights(again, model)
    assert "max_length" not in again.recipe.model
    with pytest.raises(InputError, match="does nothing here. Received: max_length=32"):
        models.load(tmp_path / "model", overrides={"max_length": 32})


# A person's own family


@pytest.fixture
def families():
    before = dict(models.FAMILIES)
    yield
    models.FAMILIES.clear()
    models.FAMILIES.update(before)


def test_a_subclass_hands_its_arguments_up(families, tmp_path):
    @zoo.register("my-lstm", preset={"cell": "lstm"})
    class MyLSTM(RecurrentNetwork):
        """An LSTM with one argument more.

        Args:
            extra: One more.
        """

        def __init__(self, extra=1, **kwargs):
            super().__init__(**kwargs)
            self.extra = extra

        def get_config(self):
            return {**super().get_config(), "extra": self.extra}

    arguments = models.family("my_lstm").arguments()
    assert next(iter(arguments)) == "extra"
    assert {"units", "layers", "dropout", "seed"} < set(arguments)
    assert not {"self", "kwargs", "tokenizer", "generation", "cell", "name", "dtype"} & set(
        arguments
    )
    assert arguments["units"].default == 512

    recipe = Recipe("my-lstm", {"extra": 3, "layers": 1, "units": 4, "seed": 7})
    model = models.build(recipe)
    assert type(model.network) is MyLSTM
    network = model.network
    assert (network.extra, network.num_layers, network.units, model.seed) == (3, 1, 4, 7)
    assert "Did you mean 'layers'" in message(models.build, recipe.override({"model.layer": 1}))
    same = zoo.get("my-lstm", extra=3, layers=1, units=4, seed=7)
    assert_same_weights(same, model)
    text_model(MyLSTM(extra=5, units=4, layers=1)).save(tmp_path / "model")
    assert zoo.get(tmp_path / "model").network.extra == 5
    described = {argument.name: argument for argument in zoo.describe("my-lstm").arguments}
    assert described["extra"].help == "One more." and described["units"].help.startswith("Units")


def test_weights_of_a_class_without_a_network_are_read_as_they_are_stored(families, tmp_path):
    @zoo.register("own-gru")
    class OwnGRU(TextGenerator):
        """Its file has `layers/gru`, as those of our GRUs had."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.rnn = keras.layers.GRU(4, name="rnn")
            self.rnn.build((None, None, 3))
            self.built = True

    model = OwnGRU(seed=1)
    model.save(tmp_path / "model")
    with h5py.File(tmp_path / "model" / "model.weights.h5") as file:
        assert "layers/gru" in file
    assert_same_weights(zoo.get(tmp_path / "model"), model)


def test_a_constructor_without_kwargs_hands_nothing_up(families):
    class Closed(TextModel):
        def __init__(self, extra=1, tokenizer=None, generation=None):
            network = RecurrentNetwork(units=4, layers=1)
            engine = TokenRollout(network, TokenEmission(tokenizer))
            super().__init__(engine, generation=generation)

    models.register_family("closed", Closed)
    assert list(models.family("closed").arguments()) == ["extra"]
    models.build(Recipe("closed", {"extra": 2}))
    assert "Unknown argument" in message(models.build, Recipe("closed", {"units": 8}))


@pytest.mark.parametrize(
    "error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")]
)
def test_weights_beyond_the_memory_are_an_input_error(families, error):
    # The real thing takes TensorFlow ten seconds to give up.
    class Huge(RecurrentNetwork):
        def __init__(self, **kwargs):
            raise error

    models.register_family("huge", Huge)
    assert "not enough memory" in message(models.build, Recipe("huge", {"units": 10**9}))


def test_what_a_constructor_refuses_is_an_input_error():
    told = message(models.build, Recipe("lstm", {"dropout": 2}))
    assert told == (
        "[model] of family 'lstm': dropout must be a number in [0, 1). Received: dropout=2"
    )


# Folders from anybody


def change_recipe(folder, old, new):
    """Changes the recipe of a folder from before SHA256SUMS listed it."""
    text = (folder / "recipe.toml").read_text()
    assert old in text
    (folder / "recipe.toml").write_text(text.replace(old, new))
    sums = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    (folder / "SHA256SUMS").write_text("".join(line for line in sums if "recipe" not in line))


def test_a_folder_from_before_its_recipe_had_a_checksum_opens(model, folder):
    change_recipe(folder, "units = 8", "units = 8 ")
    assert_same_weights(models.load(folder), model)


def test_every_file_that_is_listed_is_compared(folder):
    sums = (folder / "SHA256SUMS").read_text()
    assert sorted(line.split()[1] for line in sums.splitlines()) == [
        "model.weights.h5", "recipe.toml", "tokenizer.json",
    ]  # fmt: skip
    (folder / "notes.txt").write_text("x")  # of which the list says nothing
    models.load(folder)
    (folder / "SHA256SUMS").write_text(f"{sums}{'0' * 64}  notes.txt\n")
    assert "notes.txt does not match" in message(models.load, folder)
    (folder / "SHA256SUMS").write_text(f"{sums}{'0' * 64}  gone.txt\n")
    assert "gone.txt is missing" in message(models.load, folder)
    for line in (f"{'0' * 64}  ../notes.txt", f"{'0' * 64}  /etc/passwd", "0  a", "0" * 64):
        (folder / "SHA256SUMS").write_text(f"{sums}{line}\n")
        assert "each line must be a SHA-256" in message(models.load, folder)
    # As `sha256sum -b` writes it.
    (folder / "SHA256SUMS").write_text(sums.replace("  ", " *"))
    models.load(folder)


@pytest.mark.parametrize(
    "old,new,said",
    [
        ("units = 8", "units = 100000", "do not fit the model"),
        ("units = 8", "units = 1000000000000", "do not fit the model"),
        ("layers = 2", f"layers = {2**63 - 1}", "layers must be at most 1,000"),
        ("layers = 2", "layers = 100", "do not fit the model"),
        ("units = 8", "units = 8\nembedding = 10000000000", "do not fit the model"),
    ],
)
def test_nothing_is_allocated_for_weights_that_are_not_stored(folder, old, new, said):
    change_recipe(folder, old, new)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert said in message(models.load, folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_weights_that_claim_more_than_is_stored_are_refused(folder):
    with h5py.File(folder / "model.weights.h5", "a") as file:
        name = "layers/token_emission/head/vars/0"
        del file[name]
        file.create_dataset(name, (100_000, 100_000), "f4", chunks=(1000, 1000))
    models.write_checksums(folder)
    assert "of shape (100000, 100000) is stored in 0 bytes" in message(models.load, folder)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_told(model, tmp_path, value):
    before = model.weights[1].numpy()
    broken = before.copy()
    broken[0, 0] = value
    try:
        model.weights[1].assign(broken)
        model.save(tmp_path / "model")
    finally:
        model.weights[1].assign(before)
    assert f"1 of the {before.size:,} numbers" in message(models.load, tmp_path / "model")


@pytest.mark.long
def test_damaged_weights_are_told_in_one_line(folder):
    whole = (folder / "model.weights.h5").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        content = bytearray(whole)
        place = rng.integers(len(content))
        content[place] ^= 1 << rng.integers(8)
        (folder / "model.weights.h5").write_bytes(content)
        models.write_checksums(folder)
        try:
            models.load(folder)
        except InputError as error:
            assert "\n" not in str(error)
