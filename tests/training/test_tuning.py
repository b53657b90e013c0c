"""A search: what is tried, that stopping it changes nothing, and what is left of it."""

import dataclasses
import importlib.util
import json
import re
import signal

import keras
import numpy as np
import pandas
import pytest
from eager import eagerly
from event_files import open_events
from tensorboard.plugins.hparams import plugin_data_pb2

from tfgen import cli, models, zoo
from tfgen.errors import InputError
from tfgen.recipe import DataConfig, Recipe
from tfgen.training import train, trainer, tuning
from tfgen.training.oracles import Oracle
from tfgen.training.space import Dimension, default_space, make_space, read_space
from tfgen.training.tuning import tune

RATE = {"training.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}}
SPACE = {**RATE, "model": {"units": {"low": 8, "high": 32, "step": 8}}}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "text.txt"
    words = ["to", "be", "or", "not", "that", "is", "the", "question"]
    path.write_text(" ".join(np.random.default_rng(0).choice(words, 400)))
    return path


@pytest.fixture
def recipe(text):
    return Recipe("gru").override(
        {
            "data.name": str(text),
            "model.layers": 1,
            "training.steps": 90,
            "training.window": 16,
            "training.batch_size": 4,
            "training.warmup_steps": 9,
        }
    )


class Killed(Exception):
    """Stands for `kill -9`."""


class Stub:
    """A `train` that trains nothing: its loss is known, and it can be killed or made to fail."""

    def __init__(self):
        self.calls = []
        self.kill_at = None
        self.fails = lambda recipe: False

    def __call__(self, recipe, logdir, resume, progress, shown, data):
        self.calls.append((logdir.name, recipe, resume))
        for folder in ("checkpoints", "logs"):
            (logdir / folder).mkdir(parents=True, exist_ok=True)
        recipe.save(logdir / "recipe.toml")
        (logdir / "checkpoints" / f"step-{recipe.training.steps:09d}.npz").write_bytes(b"")
        if len(self.calls) == self.kill_at:
            raise Killed
        if self.fails(recipe):
            raise InputError("Step 3 gave a loss of nan\nand more")
        (logdir / "final").mkdir(exist_ok=True)
        (logdir / "best.json").write_text(json.dumps({"loss": loss_of(recipe), "step": 1}))
        return logdir / "final"


def loss_of(recipe):
    """Least at a learning rate of 0.01; more steps are better, but do not change the order."""
    rate = np.log10(recipe.training.learning_rate) + 2
    units = recipe.model.get("units", 512) / 1000
    return float(rate**2 + units + 1 / recipe.training.steps)


@pytest.fixture
def stub(monkeypatch):
    stub = Stub()
    monkeypatch.setattr(tuning, "train", stub)
    monkeypatch.setattr(keras.backend, "clear_session", lambda: None)  # a quarter of a second
    return stub


def results(search):
    return [(trial.changes, trial.steps, trial.parent, trial.loss) for trial in search.trials]


# The space


def test_a_space_file(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        "training.learning_rate = {low = 1e-3, high = 1, log = true}\n"
        "model.units = {low = 8, high = 32, step = 8}\nmodel.dropout = {low = 0, high = 1}\n"
        'model.tie_embeddings = {choices = [true, false]}\n"training.steps" = {low = 1, high = 3}\n'
    )
    dimensions = {each.key: each for each in read_space(path, Recipe("gru"))}
    assert dimensions["training.learning_rate"] == Dimension(
        "training.learning_rate", 0.001, 1.0, log=True
    )
    assert dimensions["model.units"] == Dimension("model.units", 8, 32, 8)
    # A number because the family's default is one, though both ends are whole.
    assert dimensions["model.dropout"].whole is False and dimensions["model.units"].whole
    assert dimensions["training.steps"].whole
    assert dimensions["model.tie_embeddings"].value(1) is False
    # What is written of a space is that space.
    tables = {key: each.to_dict() for key, each in dimensions.items()}
    assert make_space(tables, Recipe("gru")) == tuple(dimensions.values())


@pytest.mark.parametrize(
    "line,message",
    [
        ("training.learnin_rate = {low = 1, high = 2}", "Did you mean 'training.learning_rate'"),
        (
            "model.unit = {low = 1, high = 2}",
            "argument of family 'gru' 'unit'. Did you mean 'units'",
        ),
        ("trainin.steps = {low = 1, high = 2}", "Unknown recipe section 'trainin'"),
        ("data.name = {choices = ['a', 'b']}", "data.name is none of their settings"),
        ("training.seed = {low = 0, high = 9}", "training.seed is none of their settings"),
        ("model.units = 3", "model.units must be a table.*Received: model.units=3"),
        ("model.units = {low = 3}", "needs low and high, or choices: high missing"),
        (
            "model.units = {low = 3, higher = 8}",
            "setting of model.units 'higher'. Did you mean 'hi",
        ),
        ("model.units = {low = 3, high = 3}", "needs low < high. Received: low=3, high=3"),
        ("model.units = {low = 9, high = 3}", "needs low < high. Received: low=9, high=3"),
        ("model.units = {low = 9, high = 'x'}", "model.units.high must be a number"),
        ("model.units = {low = 1.5, high = 8}", "model.units must be an integer"),
        ("model.units = {low = 1, high = 8, step = 9}", "step must lie in what high is above low"),
        ("model.units = {low = 0, high = 8, log = true}", "needs low > 0 for log = true"),
        ("model.units = {low = 1, high = 8, log = 1}", "model.units.log must be true or false"),
        (
            "model.units = {low = 1, high = 8, log = true, step = 1}",
            "log = true or a step, not both",
        ),
        ("model.units = {choices = []}", "model.units.choices must be a list of values"),
        ("model.units = {choices = [8, 'x']}", "model.units must be an integer. .*'x'"),
        ("model.units = {choices = [8, 8]}", "has 8 twice"),
        ("model.units = {choices = [8], low = 1}", "choices or a range, not both"),
        ("training.optimizer = {choices = ['sgd', 3]}", "training.optimizer must be a string"),
        ("training.beta_2 = {low = 0.5, high = 1.5}", "training.beta_2 must be < 1"),
        ("model.units = {low", "not valid TOML"),
        ("", "A space needs a setting"),
    ],
)
def test_what_is_wrong_with_a_space_is_told_in_one_line(line, message, tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(line)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: .*{message}") as raised:
        read_space(path, Recipe("gru"))
    assert "\n" not in str(raised.value)


def test_the_space_where_none_is_given():
    keys = {each.key: each for each in default_space(Recipe("lstm", model={"units": 64}))}
    assert list(keys) == ["training.learning_rate", "model.units", "model.dropout"]
    assert keys["model.units"].choices == (32, 64, 128)
    assert "model.width" in {each.key for each in default_space(Recipe("unet1d"))}
    latent = Recipe("vae", data=DataConfig(name="names"))
    assert {each.key for each in default_space(latent)} == {*keys}
    for name, units in (("names", 512), ("weather", 128)):  # of text, and of numbers
        recipe = Recipe("lstm", data=DataConfig(name=name))
        widths = {each.key: each for each in default_space(recipe)}["model.units"]
        assert widths.choices == (units // 2, units, 2 * units)
    with pytest.raises(InputError, match="Unknown argument of family 'lstm' 'components'"):
        make_space({"model.components": {"choices": [1, 2]}}, Recipe("lstm"))


@pytest.mark.parametrize("method", ["random", "hyperband", "bayesian"])
def test_what_is_drawn_is_inside_the_space_and_seeded(method):
    space = make_space({**SPACE, "model.layers": {"choices": [1, 2]}}, Recipe("gru"))

    def drawn(seed):
        oracle, found = Oracle(method, space, 6, seed), []
        for number in range(6):
            found.append(oracle.ask().drawn)
            oracle.tell(float(number))
        return found

    first = drawn(0)
    for each in first:
        assert 1e-3 <= each["training.learning_rate"] <= 1e-1
        assert each["model.units"] in (8, 16, 24, 32) and each["model.layers"] in (0, 1)
    assert first == drawn(0) != drawn(1)


def test_an_end_of_a_range_is_never_passed():
    """Keras-tuner draws 33 where integers up to 32 go by their logarithm."""
    (units,) = make_space({"model.units": {"low": 8, "high": 32, "log": True}}, Recipe("gru"))
    assert [units.legal(number) for number in (7, 8, 33)] == [8, 8, 32]
    (rate,) = make_space(RATE, Recipe("gru"))
    assert [rate.legal(number) for number in (0.012345678, 0.2)] == [0.01235, 0.1]


# The search


def test_hyperband_is_three_brackets(recipe, stub, tmp_path):
    """Li et al. 2018 with 9 units and a factor of 3, in keras-tuner's sizes."""
    search = tune(recipe, tmp_path / "s", SPACE, method="hyperband")
    # 9 with a ninth of 90 steps, the best 3 with a third, the best one with all; then 5 and 2; 3.
    expected = [10] * 9 + [30] * 3 + [90] + [30] * 5 + [90] * 2 + [90] * 3
    assert [trial.steps for trial in search.trials] == expected
    order = sorted(search.trials[:9], key=lambda trial: trial.loss)
    assert [trial.parent for trial in search.trials[9:12]] == [t.number for t in order[:3]]
    assert search.trials[12].parent == 9
    assert [trial.parent is None for trial in search.trials[13:]] == [True] * 5 + [False] * 2 + [
        True
    ] * 3
    for trial in search.trials:
        if trial.parent is not None:
            assert trial.changes == search.trials[trial.parent].changes
    # A ninth of the training warms up for a ninth of the time, and is begun anew.
    warmups = [recipe.training.warmup_steps for _, recipe, _ in stub.calls]
    assert warmups == [steps // 10 for steps in expected]
    assert not any(resume for _, _, resume in stub.calls)


def test_hyperband_goes_on_where_the_rate_is_constant(recipe, stub, tmp_path):
    recipe = recipe.override({"training.schedule": "constant"})
    kept = []

    def fails(recipe):
        kept.append(len([*(tmp_path / "s").glob("*/checkpoints")]))
        return False

    stub.fails = fails
    search = tune(recipe, tmp_path / "s", RATE, method="hyperband", trials=13)
    promoted = [(name, resume) for name, _, resume in stub.calls[9:]]
    assert promoted == [(f"trial-{k:03d}", True) for k in range(9, 13)]
    assert [recipe.training.warmup_steps for _, recipe, _ in stub.calls] == [9] * 13
    assert kept[-1] == 13  # any of them might have gone on
    assert not [*search.logdir.glob("*/checkpoints")]


@pytest.mark.parametrize(
    "method", ["random", "hyperband", pytest.param("bayesian", marks=pytest.mark.long)]
)
def test_a_search_killed_and_resumed_tries_the_same(method, recipe, stub, tmp_path):
    # After three at random, Bayesian optimization has a model of the losses.
    space = RATE if method == "bayesian" else SPACE
    options = {"method": method, "trials": 5 if method == "bayesian" else 13, "seed": 3}
    whole = tune(recipe, tmp_path / "whole", space, **options)
    stub.calls.clear()
    stub.kill_at = 5
    with pytest.raises(Killed):
        tune(recipe, tmp_path / "parts", space, **options)
    stub.calls.clear()
    stub.kill_at = None
    parts = tune(None, tmp_path / "parts", resume=True)
    assert results(parts) == results(whole)
    assert stub.calls[0][0] == "trial-004" and stub.calls[0][2]  # from its checkpoint
    assert not any(resume for _, _, resume in stub.calls[1:])
    assert len(stub.calls) == options["trials"] - 4
    # Once more: nothing is left to do; or a few more trials.
    tune(None, tmp_path / "parts", resume=True)
    assert len(stub.calls) == options["trials"] - 4


def test_more_trials_of_a_search_that_has_ended(recipe, stub, tmp_path):
    longer = tune(recipe, tmp_path / "longer", SPACE, method="random", trials=6)
    tune(recipe, tmp_path / "s", SPACE, method="random", trials=3)
    stub.calls.clear()
    search = tune(None, tmp_path / "s", trials=6, resume=True)
    assert results(search) == results(longer) and len(stub.calls) == 3


@pytest.mark.parametrize(
    "method,learns", [("random", False), pytest.param("bayesian", True, marks=pytest.mark.long)]
)
def test_bayesian_optimization_goes_by_the_losses(method, learns):
    """After its three trials at random."""

    def drawn(better):
        oracle, found = Oracle(method, make_space(RATE, Recipe("gru")), 4, 0), []
        for _ in range(4):
            found.append(oracle.ask().drawn["training.learning_rate"])
            oracle.tell(abs(np.log10(found[-1] / better)))
        return found

    low, high = drawn(1e-3), drawn(1e-1)
    assert low[:3] == high[:3]
    assert (low[3] < high[3]) is learns


def test_a_small_space_ends_the_search(recipe, stub, tmp_path):
    space = {"model.units": {"choices": [8, 16, 32]}}
    search = tune(recipe, tmp_path / "s", space, trials=9)
    assert sorted(trial.changes["model.units"] for trial in search.trials) == [8, 16, 32]


def test_a_failed_trial_counts_and_the_search_goes_on(recipe, stub, tmp_path):
    stub.fails = lambda recipe: recipe.training.learning_rate > 0.02
    lines = []
    search = tune(recipe, tmp_path / "s", RATE, method="random", trials=8, say=lines.append)
    failed = [trial for trial in search.trials if trial.loss is None]
    assert 0 < len(failed) < 8 and len(search.trials) == 8
    assert all(trial.changes["training.learning_rate"] > 0.02 for trial in failed)
    assert {trial.error for trial in failed} == {"Step 3 gave a loss of nan"}
    assert f"{failed[0].name} failed: Step 3 gave a loss of nan" in lines


def test_the_model_of_the_losses_takes_a_failure_for_the_worst(recipe):
    oracle = Oracle("bayesian", make_space(RATE, recipe), 9, 0)
    for loss in (None, 2.0, 3.0, None):
        oracle.ask()
        oracle.tell(loss)
    trials = oracle._oracle.trials.values()
    assert [(trial.status, trial.score) for trial in trials] == [
        ("FAILED", None), ("COMPLETED", 2.0), ("COMPLETED", 3.0), ("COMPLETED", 3.0),
    ]  # fmt: skip


def test_too_many_failures_stop_the_search_and_are_tried_again(recipe, stub, tmp_path):
    stub.fails = lambda recipe: len(stub.calls) > 2
    with pytest.raises(
        InputError, match="^5 trials in a row failed, the last one, trial-006: Step"
    ):
        tune(recipe, tmp_path / "s", RATE, method="random", trials=9)
    assert len(json.loads((tmp_path / "s" / "search.json").read_text())["done"]) == 2
    stub.fails = lambda recipe: False
    search = tune(None, tmp_path / "s", resume=True)
    assert results(search) == results(tune(recipe, tmp_path / "t", RATE, method="random", trials=9))


def test_a_full_disk_is_no_trials_fault(recipe, stub, tmp_path):
    def fails(recipe):
        raise InputError("could not be written: No space") from OSError(28, "No space")

    stub.fails = fails
    with pytest.raises(InputError, match="No space"):
        tune(recipe, tmp_path / "s", RATE, trials=2)
    assert json.loads((tmp_path / "s" / "search.json").read_text())["done"] == []


def test_what_is_left_of_a_search(recipe, stub, tmp_path):
    recipe = recipe.override({"description": "mine", "training.sample_every": 7})
    search = tune(recipe, tmp_path / "s", SPACE, method="random", trials=4)
    best = min(search.trials, key=lambda trial: trial.loss)
    assert search.best is best
    assert [path.parent.name for path in search.logdir.glob("*/final")] == [best.name]
    assert not [*search.logdir.glob("*/checkpoints")]
    assert len([*search.logdir.glob("*/logs")]) == 4
    written = Recipe.from_file(search.logdir / "best.toml")
    assert written == recipe.override(best.changes)  # with its samples, which a trial leaves out
    assert all(recipe.training.sample_every == 0 for _, recipe, _ in stub.calls)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"method": "random"}, "cannot change method from 'hyperband'. Received: method=random"),
        ({"seed": 1}, "cannot change seed from 0. Received: seed=1"),
        ({"space": SPACE}, "cannot change its space"),
        ({"trials": 1}, "2 trials are done already. Received: trials=1"),
        (
            {"recipe": {"training.window": 8}},
            "cannot change training.window from 16. Received: .*=8",
        ),
    ],
)
def test_what_a_resumed_search_cannot_change(change, message, recipe, stub, tmp_path):
    tune(recipe, tmp_path / "s", RATE, method="hyperband", trials=2)
    changed = recipe.override(change.pop("recipe", {}))
    with pytest.raises(InputError, match=message):
        tune(changed, tmp_path / "s", resume=True, **change)


@pytest.mark.parametrize(
    "options,message",
    [
        ({"method": "grid"}, "Unknown method 'grid'"),
        ({"trials": 0}, "trials must be >= 1. Received: trials=0"),
        ({"seed": -1}, "seed must be >= 0. Received: seed=-1"),
        ({"resume": True}, "holds no search to resume: search.json is missing"),
        (
            {"method": "hyperband", "space": {"training.steps": {"low": 1, "high": 9}}},
            "Hyperband tries less than training.steps itself",
        ),
    ],
)
def test_wrong_arguments_leave_nothing(options, message, recipe, stub, tmp_path):
    with pytest.raises(InputError, match=message):
        tune(recipe, tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_data_that_are_not_there_are_told_before_the_first_trial(recipe, stub, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        tune(recipe.override({"data.name": "./nowhere.txt"}), tmp_path / "s", RATE)
    assert not stub.calls


# With models


@pytest.mark.parametrize(
    "family",
    [
        pytest.param("gru", marks=pytest.mark.long),
        pytest.param("vae", marks=pytest.mark.exhaustive),
    ],
)
def test_trials_are_runs(family, recipe, tmp_path, monkeypatch):
    """Two tiny models, the second one stopped at its fifth step and resumed."""
    recipe = dataclasses.replace(recipe, family=family)
    with eagerly():
        assert_trials_are_runs(recipe, tmp_path, monkeypatch)


def assert_trials_are_runs(recipe, tmp_path, monkeypatch):
    recipe = recipe.override({"training.steps": 6, "training.checkpoint_every": 2})
    space = {
        "model.units": {"choices": [8, 12]},
        "training.weight_decay": {"choices": [Recipe("gru").training.weight_decay]},
    }
    steps = []

    def one_step(self, batch, original=trainer.Run.one_step):
        steps.append(self.state.step)
        if len(steps) == 11:
            signal.raise_signal(signal.SIGINT)
        return original(self, batch)

    lines = []
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Run, "one_step", one_step)
        with pytest.raises(KeyboardInterrupt):
            tune(recipe, tmp_path / "s", space, method="random", trials=2, say=lines.append)
        assert "tfgen tune --resume --logdir" in lines[-1]
        search = tune(None, tmp_path / "s", resume=True)
    assert steps == [*range(6), *range(6)]  # no step twice

    # The trial that was stopped is the run that its recipe gives, and the best model opens.
    stopped = recipe.override({**search.trials[1].changes, **tuning.QUIET})
    train(stopped, tmp_path / "again", progress=False)
    found = json.loads((tmp_path / "again" / "best.json").read_text())
    assert found["loss"] == search.trials[1].loss
    assert zoo.find(str(search.logdir / search.best.name)).kind == "entry"
    models.load(search.logdir / search.best.name / "final")

    # What is searched is in every row of the HParams table, also where it is the default.
    for trial in search.trials:
        events = open_events(search.logdir / trial.name / "logs" / "validation")
        content = events.SummaryMetadata("_hparams_/session_start_info")
        data = plugin_data_pb2.HParamsPluginData.FromString(content.plugin_data.content)
        shown = data.session_start_info.hparams
        assert shown["model.units"].number_value == trial.changes["model.units"]
        assert shown["training.weight_decay"].number_value == 0.01
        assert "training.beta_2" not in shown


# The command


@pytest.fixture
def fails(capsys):
    """A function that runs a command line which must be refused in one line: that line."""

    def call(*argv):
        assert cli.main([str(word) for word in argv]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and re.fullmatch(r"tfgen: error: [^\n]+\n", captured.err)
        return captured.err

    return call


def test_the_command(stub, text, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text("model.units = {choices = [8, 16]}")
    command = ["tune", "gru", "--data", str(text), "--set", "training.window=16", "--seed", "1"]
    command += ["--set", "training.batch_size=4"]
    command += ["--space", "space.toml", "--trials", "2", "--method", "random"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["validation", "trial", "steps", "model.units"]
    assert [row[3] for row in rows[1:3]] == ["8", "16"]  # the better one first
    assert re.search(r"^2 trials, 0 of them failed; \d+\.\d minutes$", out, re.MULTILINE)
    assert "tfgen train runs/tune-gru/best.toml" in out
    assert re.search(r"tfgen generate runs/tune-gru/trial-00\d PROMPT", out)
    # The same command again, and without what it was begun with.
    assert cli.main([*command, "--resume", "--logdir", "runs/tune-gru"]) == 0
    assert cli.main(["tune", "--resume", "--logdir", "runs/tune-gru"]) == 0
    assert capsys.readouterr().out.count("2 trials, 0 of them failed") == 2
    assert len(stub.calls) == 2


def test_mistakes_at_the_command_line(fails, tmp_path, monkeypatch):
    assert "What to tune?" in fails("tune")
    assert "--resume needs --logdir" in fails("tune", "--resume")
    assert "invalid choice: 'grid'" in fails("tune", "gru", "--method", "grid")
    assert "Did you mean '--trials'" in fails("tune", "gru", "--trails", 3)
    assert "holds no search" in fails("tune", "--resume", "--logdir", tmp_path)
    found = fails("tune", "--resume", "--logdir", tmp_path, "--set", "model.units=3")
    assert "leave out what changes its recipe. Received: model.units" in found
    assert "nowhere.toml: No such file" in fails(
        "tune", "gru", "--space", tmp_path / "nowhere.toml"
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert 'pip install "tfgen-sequences[tune]"' in fails("tune", "gru")


@pytest.mark.long
def test_a_search_on_data_in_memory_is_that_on_its_file(tmp_path, capsys):
    """Its trials have the losses of the file's, and it goes on with the data given again."""
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"x": rng.normal(size=200), "y": rng.normal(size=200)})
    frame.to_csv(tmp_path / "table.csv", index=False)
    small = {
        "model.units": 4, "model.layers": 1, "training.window": 8, "training.steps": 3,
        "training.batch_size": 2, "training.validation_batches": 1, "training.sample_every": 0,
        "training.histogram_every": 0,
    }  # fmt: skip
    recipe, found = Recipe("gru").override(small), {}
    with eagerly():
        for name, data in (("memory", frame), ("file", tmp_path / "table.csv")):
            found[name] = tune(recipe, tmp_path / name, RATE, "random", 2, data=data)
    losses = {name: [trial.loss for trial in search.trials] for name, search in found.items()}
    assert losses["memory"] == losses["file"] and losses["file"][0] != losses["file"][1]
    with pytest.raises(InputError, match="trained on data in memory: give the same again"):
        tune(None, tmp_path / "memory", resume=True, trials=3)
    with eagerly():
        again = tune(None, tmp_path / "memory", resume=True, trials=3, data=frame)
    assert [trial.loss for trial in again.trials[:2]] == losses["memory"]
    for name, other in (("memory", tmp_path / "table.csv"), ("file", frame)):
        with pytest.raises(InputError, match="A resumed search cannot change data.name"):
            tune(None, tmp_path / name, resume=True, trials=3, data=other)
