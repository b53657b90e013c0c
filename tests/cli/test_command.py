"""The command line: what it hands to the library, what it prints, and how it answers mistakes."""

import json
import os
import re
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

from tfgen import cli, zoo
from tfgen.cli import evaluate_numbers, generate_numbers
from tfgen.recipe import DataConfig, PreprocessingConfig, Recipe, fields_help
from tfgen.zoo import registry

ROOT = Path(__file__).parents[2]


class FakeModel:
    """Stands for a trained model: it writes down how it was called."""

    def __init__(self):
        self.calls = []

    def generate(self, prompts, num_samples=1, **options):
        self.calls.append((prompts, num_samples, options))
        texts = [[f"{prompt}|é{row}" for row in range(num_samples)] for prompt in prompts]
        return texts if num_samples > 1 else [row[0] for row in texts]

    def stream(self, prompt, **options):
        self.calls.append((prompt, options))
        yield from [prompt, "a", "bc"]

    def export(self, path):
        self.calls.append(path)
        path.mkdir(parents=True)


@pytest.fixture
def model(monkeypatch, tmp_path):
    """The entry `verse` of text, which `zoo.get` gives as a `FakeModel`."""
    folder = tmp_path / "entries" / "verse"
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(
        'family = "lstm"\n[model]\nunits = 8\n[data]\nname = "book.csv"\ncolumn = "text"\n'
    )
    (folder / "model.weights.h5").write_bytes(b"")
    monkeypatch.setattr(registry, "_added_entries", {"verse": folder})
    fake = FakeModel()
    monkeypatch.setattr(zoo, "get", {"verse": fake}.__getitem__)
    return fake


@pytest.fixture
def trained(monkeypatch):
    """The calls of a `tfgen.training.train` that trains nothing."""
    calls = []

    def train(recipe, logdir, resume=False, start=None, strategy="auto"):
        calls.append((recipe, logdir, resume))
        return logdir / "final"

    monkeypatch.setitem(sys.modules, "tfgen.training", types.SimpleNamespace(train=train))
    return calls


@pytest.fixture
def run(capsys):
    """A function that runs a command line in this process: (code, stdout, stderr)."""

    def call(*argv):
        code = cli.main([str(word) for word in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def fails(run):
    """A function that runs a command line which must be refused in one line: that line."""

    def call(*argv):
        code, out, err = run(*argv)
        assert (code, out) == (2, "")
        assert re.fullmatch(r"tfgen: error: [^\n]+\n", err), err
        return err

    return call


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
    assert "named without .py" in fails("list", "--import", "no_such_module.py")


def test_generate_hands_over_only_what_was_given(run, model):
    assert run("generate", "verse") == (0, "|é0\n", "")
    assert run("generate", "verse", "--seed", "3", "A", "--top_k=4", "--strip_prompt")[0] == 0
    everything = [
        "--max-new-tokens", "7", "--temperature", "0.5", "--top-k", "4", "--top-p", "0.9",
        "--min-p", "0.1", "--repetition-penalty", "1.5", "--stop", "x", "--stop", "y\n",
    ]  # fmt: skip
    assert run("generate", "verse", "A", *everything)[0] == 0
    options = {"seed": None, "strip_prompt": False}
    assert model.calls == [
        ([""], 1, options),
        (["A"], 1, {"seed": 3, "strip_prompt": True, "top_k": 4}),
        (
            ["A"],
            1,
            {
                "max_new_tokens": 7,
                "temperature": 0.5,
                "top_k": 4,
                "top_p": 0.9,
                "min_p": 0.1,
                "repetition_penalty": 1.5,
                "stop": ["x", "y\n"],
                **options,
            },
        ),
    ]


def test_generate_takes_classes_of_text_by_number(run, fails, model):
    assert run("generate", "verse", "--condition", "1", "--guidance-scale", "2")[0] == 0
    assert model.calls[0][2]["condition"] == 1 and model.calls[0][2]["guidance_scale"] == 2
    assert "--condition takes the number of a class. Received: --condition cat" in fails(
        "generate", "verse", "--condition", "cat"
    )


@pytest.mark.parametrize("option", generate_numbers.OPTIONS)
def test_text_takes_no_options_of_numbers(fails, model, option):
    option = f"--{option.replace('_', '-')}"
    refused = f"{option} is for models of numbers, and verse writes text"
    assert refused in fails("generate", "verse", option, "2")
    assert model.calls == []


def test_forecast_impute_and_evaluate_tell_text_from_numbers(fails, model):
    for verb in (["forecast", "verse", "--horizon", "2"], ["impute", "verse", "--out", "x.csv"]):
        refused = f"{verb[0]} is for models of time series, and verse is one of text"
        assert refused in fails(*verb, "--data", "x.csv")
    for option in evaluate_numbers.OPTIONS:
        option = f"--{option.replace('_', '-')}"
        refused = f"{option} is for models of numbers, and verse writes text"
        assert refused in fails("evaluate", "verse", "--data", "x.txt", option, "2")
    assert "verse writes text, and the built-in set 'weather' is series" in fails(
        "evaluate", "verse", "--data", "weather"
    )
    assert model.calls == []


def test_generate_tells_several_texts_apart(run, model):
    _, out, _ = run("generate", "verse", "A", "B", "--num-samples", "2")
    assert out == (
        "--- prompt 1, sample 1 ---\nA|é0\n--- prompt 1, sample 2 ---\nA|é1\n"
        "--- prompt 2, sample 1 ---\nB|é0\n--- prompt 2, sample 2 ---\nB|é1\n"
    )
    _, out, _ = run("generate", "verse", "A", "B")
    assert out == "--- prompt 1 ---\nA|é0\n--- prompt 2 ---\nB|é0\n"
    # Behind -- even a word like an option is a prompt, spelt as it was.
    assert run("generate", "verse", "--", "--top_k")[1] == "--top_k|é0\n"
    # Bytes that are no UTF-8 come as surrogates.
    assert run("generate", "verse", "a\udcff")[1] == "a\ufffd|é0\n"


def test_generate_writes_files(run, model, tmp_path):
    assert run("generate", "verse", "A", "--out", tmp_path / "a.txt")[0] == 0
    assert (tmp_path / "a.txt").read_text("utf-8") == "A|é0\n"
    arguments = ["A", "B", "--num_samples=2", "--out", tmp_path / "a.jsonl"]
    assert run("generate", "verse", *arguments)[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert lines == [
        {"prompt": prompt, "sample": number, "text": f"{prompt}|é{number - 1}"}
        for prompt in "AB"
        for number in (1, 2)
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.txt", "entries"]


def test_generate_streams(run, fails, model):
    assert run("generate", "verse", "A", "--stream", "--seed", "3") == (0, "Aabc\n", "")
    assert model.calls == [("A", {"seed": 3, "strip_prompt": False})]
    for extra in (["B"], ["--num-samples", "2"], ["--out", "x"]):
        assert "--stream is for one prompt" in fails("generate", "verse", "A", "--stream", *extra)


def test_generate_refuses_before_it_loads(fails, model, tmp_path):
    assert "temperature must be >= 0. Received" in fails("generate", "verse", "--temperature", "-1")
    assert "top_p must be <= 1" in fails("generate", "verse", "--top-p", "2")
    assert "--num-samples must be >= 1" in fails("generate", "verse", "--num-samples", "0")
    assert "must hold no empty string" in fails("generate", "verse", "--stop", "")
    assert "'lstm' is a family and has no weights" in fails("generate", "lstm")
    assert "Did you mean 'verse'" in fails("generate", "verze")
    assert "no model: the folder does not exist" in fails("generate", "./nowhere")
    assert model.calls == []


def test_faults_of_files_are_one_line(fails, model, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in fails("generate", "verse", "--out", tmp_path / "file" / "x")

    def full(*_, **__):
        raise OSError(28, "No space left on device", "out.txt")

    monkeypatch.setattr(model, "generate", full)
    assert "out.txt: No space left on device" in fails("generate", "verse")

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "generate", stop)
    assert cli.main(["generate", "verse"]) == 130

    def fault(*_, **__):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(model, "generate", fault)
    with pytest.raises(RuntimeError):  # keeps its traceback
        cli.main(["generate", "verse"])


def test_evaluate_prints_and_writes(run, fails, model, monkeypatch, tmp_path):
    calls = []

    def evaluate(model, data, column=None):
        calls.append((model, data, column))
        return {"nats_per_character": 1.23456, "characters": 12345}

    monkeypatch.setitem(sys.modules, "tfgen.evaluation", types.SimpleNamespace(evaluate=evaluate))
    out = tmp_path / "results.json"
    code, text, _ = run("evaluate", "verse", "--data", "x.csv", "--column", "c", "--out", out)
    assert code == 0
    assert text == "nats per character  1.235\ncharacters          12,345\n"
    assert json.loads(out.read_text()) == {"nats_per_character": 1.23456, "characters": 12345}
    assert run("evaluate", "verse", "--data", "x.txt")[0] == 0
    assert calls == [(model, "x.csv", "c"), (model, "x.txt", None)]
    assert "required: --data" in fails("evaluate", "verse")


def test_inspect_prints_what_the_library_says(run, fails, monkeypatch):
    configs = []

    def inspect_data(config):
        configs.append(config)
        return f"what is in {config.name}"

    monkeypatch.setattr("tfgen.report.inspection.inspect_data", inspect_data)
    monkeypatch.setattr("tfgen.data.data_kind", lambda config: "text")
    assert run("inspect", "a.csv", "--column", "c") == (0, "what is in a.csv\n", "")
    fraction = ["--set", "data.validation-fraction=0.5"]
    assert run("inspect", "none", "--kind", "text", *fraction) == (0, "what is in none\n", "")
    assert configs == [
        DataConfig(name="a.csv", column="c"),
        DataConfig(name="none", kind="text", validation_fraction=0.5),
    ]
    assert "--out draws sequences of numbers, and a.txt is text" in fails(
        "inspect", "a.txt", "--out", "x.png"
    )
    assert "Did you mean 'data.bounds'" in fails("inspect", "a.txt", "--set", "data.bound=x=0:")
    assert "--set takes data.KEY=VALUE here" in fails("inspect", "a", "--set", "model.units=3")
    assert "Did you mean 'series'" in fails("inspect", "a.txt", "--kind", "serie")
    assert "give one of the two" in fails("inspect", "a.csv", "--column", "c", "--columns", "a,b")
    assert "--columns takes names with commas" in fails("inspect", "a.csv", "--columns", "a,,b")
    assert len(configs) == 2


def test_export_writes_a_numbered_folder_and_never_over_one(run, fails, model, tmp_path):
    code, out, _ = run("export", "verse", tmp_path / "served")
    assert code == 0 and model.calls == [tmp_path / "served" / "1"]
    # What it prints is Python.
    compile(textwrap.dedent(out.partition("\n\n")[2]), "printed", "exec")
    assert str(tmp_path / "served" / "1") in out
    (tmp_path / "served" / "1" / "x").write_text("")
    assert "there is something already" in fails("export", "verse", tmp_path / "served")
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "1").write_text("")
    assert "there is something already" in fails("export", "verse", tmp_path / "file")


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

    monkeypatch.setitem(sys.modules, "tfgen.training", types.SimpleNamespace(train=train))
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

    monkeypatch.setitem(sys.modules, "tfgen.training", types.SimpleNamespace(train=train))
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
    "argv", [["--help"], ["list"], ["train", "--help"], ["trian"], ["generate", "lstmm", "--out=x"]]
)
def test_what_needs_no_tensorflow_does_not_import_it(argv, tmp_path):
    code = (
        "import sys\nfrom tfgen.cli import main\n"
        f"main({argv!r})\nassert not {{'tensorflow', 'keras'}} & set(sys.modules)"
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


def test_the_scripts_call_the_same_body(tmp_path):
    script = ROOT / "scripts" / "train.py"
    done = subprocess.run(
        [sys.executable, script, "lstmm"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "Did you mean 'lstm'" in done.stderr and "Traceback" not in done.stderr
