"""The command line: what it hands to the library, what it prints, and how it answers mistakes."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

from tfgen import cli, zoo
from tfgen.cli.data import data_changes
from tfgen.recipe import DataConfig, PreprocessingConfig, Recipe, fields_help

ROOT = Path(__file__).parents[2]


def no_choice(recipe, said):
    return recipe, None


@pytest.fixture
def trained(monkeypatch):
    """The calls of a `tfgen.training.train` that trains nothing."""
    calls = []

    def train(recipe, logdir, resume=False, start=None, strategy="auto"):
        calls.append((recipe, logdir, resume))
        return logdir / "final"

    monkeypatch.setitem(
        sys.modules, "tfgen.training", types.SimpleNamespace(train=train, choose=no_choice)
    )
    return calls


def process(*argv, **options):
    """Runs the command line in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-m", "tfgen", *map(str, argv)],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        **options,
    )


def test_help_names_every_verb_and_every_field(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(f"\n  {verb} " in out for verb in cli.VERBS)
    assert run() == (0, out, "")
    code, out, _ = run("train", "--help")
    assert code == 0
    for field in fields_help():
        (line,) = [line for line in out.splitlines() if line.startswith(f"  {field.key} ")]
        assert field.help in line and field.type in line
    assert '; "shakespeare"]' in out and "; 0.002]" in out and "; none]" in out
    for verb in cli.VERBS:
        assert run(verb, "--help")[0] == 0


def test_list_filters(run, fails, model):
    code, out, err = run("list")
    assert code == 0
    # What can be used; layers are for those who ask.
    names = zoo.list_models(kind="entry") + zoo.list_models(kind="family")
    assert [line.split()[0] for line in out.splitlines()] == names
    assert err == f"{len(zoo.list_models(kind='layer'))} layers: tfgen list --kind layer\n"
    _, out, err = run("list", "*1d*")
    kinds = [line.split()[1] for line in out.splitlines()]
    assert kinds == sorted(kinds, key=zoo.KINDS.index) and len(set(kinds)) == 3 and not err
    assert run("list", "VER*")[1].split()[:2] == ["verse", "entry"]
    names = [line.split()[0] for line in run("list", "--kind", "layer")[1].splitlines()]
    assert names == zoo.list_models(kind="layer")
    names = [line.split()[0] for line in run("list", "--pretrained")[1].splitlines()]
    assert names == zoo.list_models(pretrained=True)
    assert "Did you mean 'lstm'" in fails("list", "lstmm")
    assert "Did you mean the layer 'clip-by-value'" in fails("list", "clip-by-valu")
    assert "No name matches 'x*'" in fails("list", "x*")
    assert "Did you mean 'layer'" in fails("list", "--kind", "layers")


def test_mistakes_in_the_arguments(fails):
    assert "Unknown command 'trian'. Did you mean 'train'" in fails("trian", "lstm")
    assert "Did you mean '--temperature'" in fails("generate", "x", "--tempratur", "3")
    # No guessing from the beginning of an option.
    assert "Did you mean '--temperature'" in fails("generate", "x", "--temp=3")
    assert "invalid float value: 'hot'" in fails("generate", "x", "--temperature", "hot")
    assert "the following arguments are required: NAME" in fails("info")
    assert "unexpected argument 'b'" in fails("info", "a", "b")
    assert "Unknown option '-x'" in fails("-x")
    assert "--zoo needs a folder" in fails("list", "--zoo")
    assert "no module named 'no_such_module'" in fails("list", "--import", "no_such_module")
    assert "no module named 'json.nothing'" in fails("list", "--import", "json.nothing")
    assert "no module named '__main__.nothing'" in fails("list", "--import", "__main__.nothing")
    assert "named without .py" in fails("list", "--import", "no_such_module.py")


def test_train_begins_with_a_family_an_entry_a_recipe_or_a_run(run, trained, model, tmp_path):
    recipe = Recipe("gru", {"units": 16})
    recipe.save(tmp_path / "my.toml")
    recipe.save(tmp_path / "run" / "recipe.toml")
    (tmp_path / "run" / "final").mkdir()
    recipe.save(tmp_path / "run" / "final" / "recipe.toml")
    for target in ("LSTM", "verse", tmp_path / "my.toml", tmp_path / "run"):
        assert run("train", target, "--logdir", tmp_path / "new")[0] == 0
    entry = Recipe.from_file(tmp_path / "entries" / "verse" / "recipe.toml")
    assert trained == [
        (start, tmp_path / "new", False) for start in (Recipe("lstm"), entry, recipe, recipe)
    ]


def test_train_takes_the_devices_that_it_is_told(run, monkeypatch, tmp_path):
    told = []

    def train(recipe, logdir, strategy, **_):
        told.append(strategy)
        return logdir / "final"

    monkeypatch.setitem(
        sys.modules, "tfgen.training", types.SimpleNamespace(train=train, choose=no_choice)
    )
    run("train", "lstm", "--logdir", tmp_path / "run")
    run("train", "lstm", "--logdir", tmp_path / "run", "--strategy", "multi-worker")
    assert told == ["auto", "multi-worker"]
    code, _, stderr = run("train", "lstm", "--strategy", "many")
    assert code == 2 and "--strategy" in stderr and "mirrored" in stderr and len(told) == 2


def test_train_changes_the_recipe_as_it_is_told(run, trained, model, tmp_path):
    out = run(
        "train", "verse", "--set", "model.units=4", "--set", "training.learning-rate=1e-3",
        "--set", "generation.stop=a=b", "--data", "none", "--seed", "7",
        "--logdir", tmp_path / "new",
    )  # fmt: skip
    assert out[0] == 0
    ((recipe, _, _),) = trained
    assert recipe.model == {"units": 4}
    assert (recipe.training.learning_rate, recipe.training.seed) == (1e-3, 7)
    assert recipe.generation.stop == ("a=b",)
    # The entry's column belongs to the entry's data.
    assert (recipe.data.name, recipe.data.column) == ("none", None)
    assert run("train", "verse", "--data", "b.csv", "--column", "none")[0] == 0
    assert trained[1][0].data.column == "none"
    assert trained[1][1] == Path("runs/verse")


def test_train_forgets_what_the_recipe_says_of_other_data(run, trained, tmp_path):
    recipe = Recipe("gru").override(
        {
            "data.kind": "series", "data.columns": ["a"], "data.bounds": ["a=0:1"],
            "data.time": "when", "data.split": "time", "preprocessing.log1p": ["a"],
            "preprocessing.scaler": "robust",
        }
    )  # fmt: skip
    recipe.save(tmp_path / "my.toml")
    new = ["--data", "b.csv", "--columns", "x, y z", "--id", "site", "--label", "none"]
    settings = ["--set", "data.time=day", "--set", "data.bounds=x=0:", "--kind", "series"]
    assert run("train", tmp_path / "my.toml", *new, *settings, "--logdir", tmp_path / "n")[0] == 0
    ((trained_on, _, _),) = trained
    assert trained_on.data == DataConfig(
        name="b.csv", kind="series", columns=("x", "y z"), id="site", label="none", time="day",
        bounds=("x=0:",), split="time",
    )  # fmt: skip
    assert trained_on.preprocessing == PreprocessingConfig(scaler="robust")
    # Of the recipe's own data it is all kept.
    assert run("train", tmp_path / "my.toml", "--logdir", tmp_path / "n")[0] == 0
    assert trained[1][0] == recipe


def test_of_other_data_only_how_it_is_trained_on_is_kept():
    texts = dict.fromkeys(
        (
            "column",
            "source",
            "source_data",
            "time",
            "time_format",
            "id",
            "label",
            "header",
            "delimiter",
            "sheet",
        ),
        "x",
    )
    lists = ("columns", "categories", "known", "static", "missing", "bounds", "resolution")
    lists = dict.fromkeys((*lists, "circular"), ("x",))
    own = {
        **texts, **lists, "kind": "series", "layout": "rows", "decimal": ",", "simplify": 2.0,
        "allow_dropped": 0.9, "max_numbers": 99,
    }  # fmt: skip
    kept = {
        "sample_rate": 100, "max_length": 9, "validation_fraction": 0.3, "split": "time",
        "voices": 4, "pitches": "30:60", "frame_step": "1/8",
    }  # fmt: skip
    names = {field.name for field in dataclasses.fields(DataConfig)}
    assert names == {"name", *own, *kept}, "does a new field belong to its own data?"
    recipe = Recipe("gru", data=DataConfig(name="a.csv", **own, **kept))
    given = dict.fromkeys(("column", "columns", "kind", "time", "id", "label"))
    changes = data_changes(argparse.Namespace(**given, set=[]), "b.csv")
    assert recipe.override(changes).data == DataConfig(name="b.csv", **kept)
    unchanged = data_changes(argparse.Namespace(**given, set=[]), None)
    assert recipe.override(unchanged) == recipe


@pytest.mark.parametrize(
    "kind, usage",
    [("text", "PROMPT"), ("series", "--out sample.csv"), ("strokes", "--out sample.svg"),
     ("audio", "--out sample.wav")],
)  # fmt: skip
def test_train_tells_how_to_use_what_it_made(run, monkeypatch, tmp_path, kind, usage):
    def train(recipe, logdir, resume=False, start=None, strategy="auto"):
        (logdir / "final").mkdir(parents=True)
        if kind != "text":
            record = {"processor": "sequence", "config": {"kind": kind}}
            (logdir / "final" / "sequence.json").write_text(json.dumps(record))
        return logdir / "final"

    monkeypatch.setitem(
        sys.modules, "tfgen.training", types.SimpleNamespace(train=train, choose=no_choice)
    )
    out = run("train", "lstm", "--logdir", tmp_path / "new")[1]
    assert out.endswith(f"To use it: tfgen generate {tmp_path / 'new'} {usage}\n")


def test_train_refuses_mistakes(fails, trained, model, tmp_path):
    assert "What to train?" in fails("train")
    assert "Did you mean 'lstm'" in fails("train", "lstmm")
    assert "'clip-by-value' is a layer" in fails("train", "clip-by-value")
    assert "nothing.toml: No such file" in fails("train", tmp_path / "nothing.toml")
    (tmp_path / "bad.toml").write_text('family = "lstm"\n[training]\nsteps = "many"\n')
    assert f"{tmp_path}/bad.toml: training.steps must be" in fails("train", tmp_path / "bad.toml")
    assert "--set takes SECTION.KEY=VALUE" in fails("train", "lstm", "--set", "training.steps")
    assert "Did you mean 'training.steps'" in fails("train", "lstm", "--set", "training.stesp=1")
    assert "Did you mean 'training.steps'" in fails("train", "lstm", "--set", "steps=1")
    assert "training.seed must be >= 0" in fails("train", "lstm", "--seed", "-1")
    assert trained == []


def test_resume_goes_on_with_the_recipe_of_the_run(run, fails, trained, tmp_path):
    recipe = Recipe("gru", {"units": 16})
    recipe.save(tmp_path / "run" / "recipe.toml")
    (tmp_path / "run" / "checkpoints").mkdir()
    resume = ["--resume", "--logdir", tmp_path / "run"]
    assert run("train", *resume)[0] == 0
    assert run("train", "gru", *resume, "--set", "training.steps=9000")[0] == 0
    longer = recipe.override({"training.steps": 9000})
    assert trained == [(recipe, tmp_path / "run", True), (longer, tmp_path / "run", True)]
    assert "this run is of family 'gru', not 'lstm'" in fails("train", "lstm", *resume)
    assert "--resume needs --logdir" in fails("train", "gru", "--resume")
    assert "there is no run to resume" in fails("train", "--resume", "--logdir", tmp_path)


@pytest.mark.long
def test_a_persons_own_names_work_like_ours(tmp_path):
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            '''
            import keras
            from tfgen.zoo import register


            @register("My_Layer")
            class MyLayer(keras.layers.Layer):
                """A layer of mine."""
            '''
        )
    )
    (tmp_path / "entries" / "My_Entry").mkdir(parents=True)
    (tmp_path / "entries" / "My_Entry" / "recipe.toml").write_text(
        'family = "lstm"\ndescription = "An entry of mine."'
    )
    done = process("--import", "mine", "list", "--zoo=entries", "MY-*", cwd=tmp_path)
    # Nothing of TensorFlow's greetings either.
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "my-entry  entry   An entry of mine.\nmy-layer  layer   A layer of mine.\n"
    )


def test_a_failing_import_of_a_persons_module_keeps_its_traceback(tmp_path, monkeypatch):
    (tmp_path / "their_module.py").write_text("import no_such_module_of_theirs\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_of_theirs"):
        cli.main(["list", "--import", "their_module"])


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"], ["list"], ["train", "--help"], ["trian"], ["generate", "lstmm", "--out=x"],
        ["list", "--import", "no_such_module"], ["list", "--import", "no_such.module"],
        ["list", "--import", "keras", "--import", "no_such_module"],
    ],
)  # fmt: skip
def test_what_needs_neither_tensorflow_nor_numpy_does_not_import_them(argv, tmp_path):
    code = (
        "import sys\nfrom tfgen.cli import main\n"
        f"main({argv!r})\nassert not {{'tensorflow', 'keras', 'numpy'}} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def print_to(descriptor):
    """The exit code and stderr of `tfgen list` whose stdout is a file descriptor."""
    done = subprocess.run(
        [sys.executable, "-m", "tfgen", "list"],
        stdout=descriptor, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    os.close(descriptor)
    return done.returncode, done.stderr


def test_a_pipe_whose_reader_has_gone_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    assert print_to(writer) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_told():
    full = os.open("/dev/full", os.O_WRONLY)
    assert print_to(full) == (2, "tfgen: error: No space left on device\n")
