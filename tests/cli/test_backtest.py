"""`tfgen backtest`."""

import csv

from fakes import FakeNumbers

from tfgen.data import Feature
from tfgen.preprocessing import SequenceProcessor


def test_backtest_prints_a_row_for_each_model(run, fails, fakes, tmp_path):
    processor = SequenceProcessor(features=[Feature("x")], length=3)
    fakes["plain-model"] = FakeNumbers(processor, {"columns": ["x"]})
    path = tmp_path / "plain.csv"
    path.write_text("x\n" + "".join(f"{number % 3}\n" for number in range(100)))
    command = ["backtest", path, "--models", "plain-model", "seasonal-naive"]
    code, out, err = run(
        *command, "--horizon", "2", "--origins", "4", "--num-samples", "7", "--season", "3",
        "--context", "5", "--out", tmp_path / "t.csv", "--picture", tmp_path / "t.png",
    )  # fmt: skip
    assert code == 0 and "seasonal-naive: 4 forecasts" in err
    lines = out.splitlines()
    assert f"{path}: 4 forecasts of 2 positions, 7 samples each; season 3" == lines[0]
    assert [line.split()[0] for line in lines[1:4]] == ["MODEL".lower(), *command[-2:]]
    # What repeats itself exactly has no scale, and the naive forecast is right.
    assert lines[3].split()[1:4] == ["–", "0", "0"] and lines[-1] == f"Wrote {tmp_path / 't.png'}"
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["model"], rows[0]["series"]) == ("plain-model", "all")
    assert len(rows) == 4 and (tmp_path / "t.png").read_bytes()[:4] == b"\x89PNG"
    assert [len(values) for values in fakes["plain-model"].calls[0]["context"]] == [5] * 16
    assert "--out must end in .csv" in fails(*command, "--out", "t.png")
    assert "--horizon must be >= 1" in fails(*command, "--horizon", "0")
    assert "each model once" in fails("backtest", path, "--models", "plain-model", "plain-model")
    assert "is one of pen strokes" in fails("backtest", path, "--models", "pen-model")
    assert "plain-model" in fails("backtest", path, "--models", "plian-model")


def test_backtest_trains_models_again(run, fails, fakes, tmp_path, monkeypatch):
    import tfgen.training

    processor = SequenceProcessor(features=[Feature("x")], length=3)
    model = fakes["plain-model"] = FakeNumbers(processor, {"columns": ["x"]})
    path = tmp_path / "plain.csv"
    path.write_text("x\n" + "".join(f"{number % 3}\n" for number in range(100)))
    trainings = []

    def refit(model, sequences, further):
        trainings.append((len(sequences.values[0]), further))
        return model

    monkeypatch.setattr(tfgen.training, "refit", refit)
    command = ["backtest", path, "--models", "plain-model", "--horizon", "2", "--season", "3"]
    code, _, err = run(*command, "--context", "5", "--refit", "2")
    assert code == 0 and "plain-model: training 3 of 3" in err
    assert trainings == [(90, None), (94, None), (98, None)] and len(model.calls) == 3
    trainings.clear()
    assert run(*command, "--context", "5", "--refit", "9", "--refit-further", "30")[0] == 0
    assert trainings == [(90, 30)]
    assert "--refit must be >= 1" in fails(*command, "--refit", "0")
    assert "--refit-further goes with --refit" in fails(*command, "--refit-further", "9")
    assert "leave --split out" in fails(*command, "--refit", "9", "--split", "all")
