"""`tfgen calibrate`, and `tfgen forecast --calibrated`."""

from fakes import FakeNumbers

from tfgen import models
from tfgen.data import Feature
from tfgen.models.numbers.calibration import Calibration
from tfgen.preprocessing import SequenceProcessor


def test_calibrate_tells_coverage_and_writes_into_the_run(run, fails, fakes, tmp_path):
    processor = SequenceProcessor(features=[Feature("x")], length=3)
    fake = FakeNumbers(processor, {"columns": ["x"], "validation_fraction": 0.5})
    folder = tmp_path / "entries" / "plain-model"
    fakes["plain-model"] = fakes[str(folder)] = fake
    path = tmp_path / "plain.csv"
    path.write_text("x\n" + "".join(f"{number % 3}\n" for number in range(200)))
    command = ["calibrate", folder, "--data", path, "--horizon", "2"]
    code, out, err = run(*command, "--origins", "30", "--num-samples", "9", "--context", "5")
    assert code == 0 and err.splitlines()[-1] == "testing them"
    lines = out.splitlines()
    assert lines[0] == f"{path}: learned from 30 forecasts of 2 positions"
    assert lines[1:3] == [
        "tested on 25 later ones", "step   in 50%  calibrated   in 90%  calibrated",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[3:]] == ["1", "2", "all", "Wrote"]
    assert [len(values) for values in fake.calls[0]["context"]] == [5] * 16
    written = Calibration.load(folder / models.CALIBRATION, 1)
    assert written.facts["origins"] == 30 and written.horizon == 2
    assert models.CALIBRATION in (folder / models.CHECKSUMS).read_text()
    assert "belongs to the zoo: --out" in fails("calibrate", "plain-model", *command[2:])
    assert "Received: share=1.5" in fails(*command, "--share", "1.5")
    assert "Received: origins=10" in fails(*command, "--origins", "10")
    assert "calibrate is for models of time series" in fails("calibrate", "pen-model", *command[2:])


def test_forecast_is_calibrated_if_it_is_asked_to(run, weather, table):
    forecast = ["forecast", "weather-model", "--data", table, "--horizon", "1"]
    assert run(*forecast)[0] == run(*forecast, "--calibrated")[0] == 0
    assert [call.get("calibrated") for call in weather.calls] == [None, True]
