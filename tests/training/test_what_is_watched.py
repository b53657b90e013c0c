"""What a run shows never costs it anything; what validation measures; data that changed."""

import json

import event_files
import numpy as np
import pytest
from eager import eagerly

from tfgen import models
from tfgen.evaluation import evaluate
from tfgen.networks import RecurrentNetwork, TransformerNetwork
from tfgen.recipe import Recipe
from tfgen.training import dashboard, series_dashboard, train
from tfgen.training.checkpoints import Checkpoints, read_arrays, write_arrays

STEPS = {
    "training.steps": 6, "training.batch_size": 4, "training.window": 16, "training.warmup_steps": 1,
    "training.log_every": 3, "training.validate_every": 3, "training.sample_every": 3,
    "training.histogram_every": 3, "training.checkpoint_every": 3,
}  # fmt: skip
RNN = {"model.units": 8, "model.layers": 1}
GPT = {
    "model.layers": 1, "model.heads": 2, "model.width": 8, "model.positions": "learned",
    "model.max_length": 18,
}  # fmt: skip
TEXT = "the quick brown fox jumps over the lazy dog. " * 60


@pytest.fixture(autouse=True)
def no_jit(monkeypatch):
    for cls in (RecurrentNetwork, TransformerNetwork):
        monkeypatch.setattr(cls, "jit_compile_training", False)


@pytest.fixture
def quick():
    with eagerly():
        yield


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "data.csv"
    rows = [f"{np.sin(i / 3):.3f}" for i in range(300)]
    path.write_text("\n".join(["x", *rows]))
    return path


@pytest.mark.long
@pytest.mark.filterwarnings("error:TensorBoard goes without")
@pytest.mark.parametrize("kind", ["text", "table"])
def test_samples_are_no_longer_than_a_model_has_positions(kind, tmp_path, text, table):
    name = {"text": text, "table": table}[kind]
    recipe = Recipe("transformer").override({**STEPS, **GPT, "data.name": str(name)})
    train(recipe, tmp_path / "run", progress=False)
    tags = event_files.open_events(tmp_path / "run" / "logs" / "train").Tags()["tensors"]
    assert ("samples/temperature_1.0" if kind == "text" else "samples/forecast") in tags
    assert (tmp_path / "run" / "logs" / "train" / "projector_config.pbtxt").is_file()


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_what_fails_to_be_shown_costs_a_line_for_each_kind(text, tmp_path, monkeypatch, capsys):
    def fails(*args, **kwargs):
        raise RuntimeError(f"no {fails.what}")

    there = []

    def samples(self, step):
        # What is shown of a step comes after its checkpoint.
        there.append(Checkpoints(tmp_path / "run" / "checkpoints").latest()[1]["step"] == step)
        raise RuntimeError("no samples\nat all")

    fails.what = "more"
    monkeypatch.setattr(dashboard.TextDashboard, "samples", samples)
    for name in ("histograms", "graph", "embeddings"):
        monkeypatch.setattr(dashboard.TextDashboard, name, fails)
    recipe = Recipe("gru").override({**STEPS, **RNN, "data.name": str(text)})
    final = train(recipe, tmp_path / "run")
    assert there == [True, True] and models.load(final)
    lines = [line for line in capsys.readouterr().err.splitlines() if "goes without" in line]
    assert [line.partition("without ")[2] for line in lines] == [
        "the graph, the training goes on: RuntimeError: no more",
        "samples, the training goes on: RuntimeError: no samples",
        "histograms, the training goes on: RuntimeError: no more",
        "the projector, the training goes on: RuntimeError: no more",
    ]


@pytest.mark.long
def test_a_process_that_dies_of_a_picture_has_its_checkpoint(table, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def picture(*args):
        raise Killed

    recipe = Recipe("gru").override({**STEPS, **RNN, "data.name": str(table)})
    with monkeypatch.context() as patch:
        patch.setattr(series_dashboard, "picture", picture)
        with pytest.raises(Killed):
            train(recipe, tmp_path / "run", progress=False)
    assert Checkpoints(tmp_path / "run" / "checkpoints").latest()[1]["step"] == 3
    train(None, tmp_path / "run", resume=True, progress=False)
    assert (tmp_path / "run" / "final").is_dir()
    steps = event_files.scalars(tmp_path / "run" / "logs" / "train")["epoch_loss"]
    assert [step for step, _ in steps] == [3, 6]


@pytest.mark.exhaustive
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("carry", [False, pytest.param(True, marks=pytest.mark.long)])
def test_validation_is_of_the_whole_split_however_easy_it_begins(carry, tmp_path):
    """The held-out text begins with what is easy and ends with what cannot be predicted."""
    rng = np.random.default_rng(0)
    path = tmp_path / "text.txt"
    hard = "".join(rng.choice(list("abcdefgh "), 12000))
    path.write_text("ab" * 4000 + hard + "ab" * 3000 + hard[:3000])
    recipe = Recipe("gru").override({
        **STEPS, **RNN, "data.name": str(path), "data.validation_fraction": 9000 / 29000,
        "training.steps": 40, "training.validate_every": 40, "training.validation_batches": 20,
        "training.learning_rate": 0.03, "training.carry_state": carry, "training.sample_every": 0,
        "training.histogram_every": 0, "training.choose_on": "all",
    })  # fmt: skip
    final = train(recipe, tmp_path / "run", progress=False)
    told = json.loads((tmp_path / "run" / "best.json").read_text())["loss"]
    found = evaluate(models.load(final), str(path), split="validation", window=16, crops=512)
    measure = found["nats_per_character"] if carry else found["crop_nats_per_token"]
    assert told == pytest.approx(measure, abs=0.12)
    # A third of it is hard, about 2.1 nats a character; the first 20 batches have none of that.
    assert told > 0.55


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_a_run_says_that_its_data_changed_and_forgets_the_best(table, tmp_path, capsys):
    recipe = Recipe("gru").override({
        **STEPS, **RNN, "data.name": str(table), "training.sample_every": 0,
        "training.histogram_every": 0,
    })  # fmt: skip
    run = tmp_path / "run"
    train(recipe, run, progress=False)
    more = recipe.override({"training.steps": 9})
    # The same data under the same name: nothing is said, and the best stays.
    capsys.readouterr()
    train(more, run, resume=True)
    assert "data changed" not in capsys.readouterr().err
    # Other data, far off: what was best so far would stay the best for ever.
    table.write_text("\n".join(["x", *(f"{7 + (i * 37 % 11):.3f}" for i in range(310))]))
    train(recipe.override({"training.steps": 12}), run, resume=True)
    said = capsys.readouterr().err
    assert "The data changed since step 9: positions were 300 and are 310" in said
    assert "what was best so far does not count" in said
    assert json.loads((run / "best.json").read_text())["step"] == 12
    # A checkpoint that tells nothing of its data goes on.
    arrays, record = read_arrays(run / "checkpoints" / "step-000000012.npz")
    del record["data"]
    write_arrays(run / "checkpoints" / "step-000000012.npz", arrays, record)
    train(recipe.override({"training.steps": 15}), run, resume=True)
    assert "data changed" not in capsys.readouterr().err
