"""scripts/benchmark.py trainer: the shares are those of the times, and the loop is the Trainer's."""

import benchmark
import pytest
from benchmarks import figures_trainer, trainer
from benchmarks.figures_trainer import BARE, OFF, ON
from benchmarks.tables import table

from tfgen.models.recurrent import RecurrentGenerator

FOUND = {
    "weights": 1234,
    "seconds": {BARE: [5.0, 10.0], OFF: [5.1, 10.1], ON: [6.1, 12.0]},
    "events": [
        [("scalars", 0.02), ("scalars", 0.04), ("samples", 0.2), ("histograms", 0.25),
         ("validation", 0.3), ("checkpoints", 0.1)],
        [("scalars", 0.1), ("samples", 0.3), ("histograms", 0.3), ("validation", 0.8),
         ("checkpoints", 0.3)],
    ],
    "first": {"samples": 3.0},
    "waiting": [0.01, 0.03, 0.02],
}  # fmt: skip


def test_the_shares_by_hand():
    figure = figures_trainer.figure_of("lstm", FOUND)
    assert figure["contestants"][BARE]["values"] == [10.0, 20.0]  # ms of 500 steps
    shares = {name.strip(): each for name, each in figure["overheads"].items()}
    expected = {
        "the Trainer over the compiled step": [0.02, 0.01],
        "TensorBoard over the Trainer": [5.7 / 5.1 - 1, 10.9 / 10.1 - 1],
        "of it timed: scalars, histograms and samples": [0.51 / 5.1, 0.7 / 10.1],
        "scalars": [0.06 / 5.1, 0.1 / 10.1],
        "histograms": [0.25 / 5.1, 0.3 / 10.1],
        "samples": [0.2 / 5.1, 0.3 / 10.1],
        "apart: validation": [0.3 / 5.1, 0.8 / 10.1],
        "apart: checkpoints": [0.1 / 5.1, 0.3 / 10.1],
        "waiting for data, of the time of steps": [0.01, 0.03, 0.02],
    }
    assert shares.keys() == expected.keys()
    for name, values in expected.items():
        assert shares[name]["values"] == pytest.approx(values), name
    targets = [each["target"] for each in shares.values() if "target" in each]
    assert targets == [0.03, 0.03, 0.03, 0.02]
    lines = "\n".join(table(figure))
    assert "  the Trainer over the compiled step: 1.50% (1.00% to 2.00%), target below 3%" in lines
    assert "apart: validation: 6.90% (5.88% to 7.92%)\n" in lines
    assert "scalars 40.0, histograms 275.0, samples 250.0, validation 550.0" in lines


def test_the_families_that_are_asked_for(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        figures_trainer, "call", lambda module, *call: asked.append((module, *call)) or FOUND
    )
    assert benchmark.main("trainer --families gru unet1d --repeats 2".split()) == 0
    module = "benchmarks.trainer"
    assert asked == [(module, "measure", "gru", 2), (module, "measure", "unet1d", 2)]
    assert benchmark.main(["trainer", "--families", "grue"]) == 2
    assert "Unknown family 'grue'. Did you mean 'gru'?" in capsys.readouterr().err
    assert {*figures_trainer.FAMILIES} == {*trainer.FAMILIES}


@pytest.mark.long
def test_a_small_run(monkeypatch):
    monkeypatch.setattr(RecurrentGenerator, "jit_compile_training", False)
    monkeypatch.setattr(trainer, "PERIOD", 8)
    monkeypatch.setattr(trainer, "TURN", 4)
    settings = {
        "data.name": "names", "training.window": 8, "training.batch_size": 4, "model.units": 4,
        "model.layers": 1, "training.log_every": 2, "training.validate_every": 4,
        "training.validation_batches": 1, "training.sample_every": 8,
        "training.histogram_every": 8, "training.checkpoint_every": 4,
    }  # fmt: skip
    monkeypatch.setitem(trainer.FAMILIES, "lstm", settings)
    found = trainer.measure("lstm", 2)
    assert {name: len(each) for name, each in found["seconds"].items()} == {BARE: 2, OFF: 2, ON: 2}
    done = {"validation": 2, "samples": 1, "histograms": 2, "checkpoints": 2}
    for events in found["events"]:
        kinds = [kind for kind, _ in events]
        assert {kind: kinds.count(kind) for kind in done} == done
        assert all(seconds > 0 for _, seconds in events)
    assert {*found["first"]} == {*done, "scalars", "graph"}
    assert len(found["waiting"]) == 8 and all(0 <= share < 1 for share in found["waiting"])
    figures_trainer.figure_of("lstm", found)
