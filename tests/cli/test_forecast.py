"""`tfgen forecast` and `tfgen impute`."""

import numpy as np
from fakes import HOUR, START, rows_of

from tfgen.data import Feature
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import Recipe


def test_forecast_prints_a_row_for_each_step_and_feature(run, weather, table):
    code, out, _ = run(
        "forecast", "weather-model", "--data", table, "--horizon", "2", "--num-samples", "3",
        "--quantiles", "0.1,0.5",
    )  # fmt: skip
    assert code == 0
    rows = rows_of(out)
    assert list(rows[0]) == ["id", "time", "feature", "mean", "q0.1", "q0.5"]
    # What sea ends with is 14 and clear; top ends an hour earlier, with 23 and rain.
    assert out.splitlines()[1:5] == [
        "sea,2024-01-01T05:00:00,temp,15.0,14.2,15.0",
        "sea,2024-01-01T05:00:00,sky=clear,0.33333334,,",
        "sea,2024-01-01T05:00:00,sky=cloudy,0.33333334,,",
        "sea,2024-01-01T05:00:00,sky=rain,0.33333334,,",
    ]
    top = [row for row in rows if row["id"] == "top" and row["feature"] == "temp"]
    assert [row["time"] for row in top] == ["2024-01-01T04:00:00", "2024-01-01T05:00:00"]
    assert [row["mean"] for row in top] == ["24.0", "24.0"]


def test_forecast_reads_the_end_of_the_right_series(run, fails, weather, table):
    forecast = ["forecast", "weather-model", "--data", table, "--horizon", "1"]
    assert run(*forecast, "--context", "2", "--seed", "3", "--temperature", "0.5")[0] == 0
    (call,) = weather.calls
    assert [list(values[:, 0]) for values in call["context"]] == [[13, 14], [22, 23]]
    assert [list(times - START) for times in call["times"]] == [
        [3 * HOUR, 4 * HOUR], [2 * HOUR, 3 * HOUR],
    ]  # fmt: skip
    assert (call["seed"], call["temperature"], call["condition"]) == (3, 0.5, [0, 1])
    assert run(*forecast, "--id", "top")[0] == 0
    (values,) = weather.calls[1]["context"]
    assert list(values[:, 0]) == [20, 21, 22, 23]
    assert "Unknown series 'tap'. Did you mean 'top'" in fails(*forecast, "--id", "tap")
    # Many futures go through the model in parts of one size.
    run(*forecast, "--num-samples", "4000", "--seed", "3")
    assert [len(call["context"]) for call in weather.calls[2:]] == [1, 1]
    assert [call["seed"] for call in weather.calls[2:]] == [3, 4]


def test_forecast_keeps_within_the_positions_of_a_model(run, fails, weather, table):
    weather.max_positions = 3
    forecast = ["forecast", "weather-model", "--data", table, "--horizon"]
    assert run(*forecast, "1")[0] == 0
    assert [len(values) for values in weather.calls[0]["context"]] == [2, 2]
    assert "--context and --horizon together must be at most 3" in fails(*forecast, "3")
    assert "Received: --context 3 --horizon 1" in fails(*forecast, "1", "--context", "3")


def test_forecast_writes_files(run, weather, table, tmp_path):
    forecast = ["forecast", "weather-model", "--data", table, "--horizon", "2"]
    assert run(*forecast, "--out", tmp_path / "a.csv") == (0, f"Wrote {tmp_path / 'a.csv'}\n", "")
    assert (tmp_path / "a.csv").read_text() == run(*forecast)[1]
    assert run(*forecast, "--out", tmp_path / "a.npz", "--num-samples", "3")[0] == 0
    with np.load(tmp_path / "a.npz") as archive:
        content = dict(archive)
    assert list(content["ids"]) == ["sea", "top"] and list(content["features"]) == ["temp", "sky"]
    assert content["samples"].shape == (2, 3, 2, 2)
    assert content["quantiles"].shape == (2, 3, 2, 2)
    assert content["mean"][1, :, 0].tolist() == [24, 24]
    assert content["levels"].tolist() == [0.1, 0.5, 0.9]
    assert content["times"][0, 0] == np.datetime64("2024-01-01T05")
    assert run(*forecast, "--out", tmp_path / "a.png")[1] == (
        f"Wrote {tmp_path / 'a-1.png'}\nWrote {tmp_path / 'a-2.png'}\n"
    )


def test_forecast_counts_steps_where_there_are_no_times(run, fakes, tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("x,time\n1,0\n2,1\n")
    fakes["plain-model"].recipe = Recipe("lstm").override({"data.columns": ["x", "time"]})
    out = run("forecast", "plain-model", "--data", path, "--horizon", "2", "--num-samples", "1")[1]
    assert [row["step"] for row in rows_of(out)] == ["1", "1", "2", "2"]


def test_forecast_is_told_what_is_known_of_the_future(run, fails, fakes, tmp_path):
    fake = fakes["plain-model"]
    fake.processor = SequenceProcessor(
        features=[Feature("x")], known_names=["price"], static_names=["size"]
    )
    fake.recipe = Recipe("lstm").override({"data.known": ["price"], "data.static": ["size"]})
    path = tmp_path / "prices.csv"
    path.write_text("x,price,size\n1,10,7\n2,20,7\n,30,7\n,40,7\n")
    forecast = ["forecast", "plain-model", "--data", path, "--horizon"]
    assert run(*forecast, "2")[0] == 0
    (call,) = fake.calls
    assert call["known"][..., 0].tolist() == [[10, 20, 30, 40]]
    assert call["static"].tolist() == [[7]]
    refused = fails(*forecast, "3")
    assert "has 2 rows after its last value: to tell price of the time to come" in refused
    assert "(backtest forecasts" in refused
    # The last rows with values as rows to come.
    path.write_text("x,price,size\n1,10,7\n2,20,7\n3,30,7\n4,40,7\n")
    out = run(*forecast, "3", "--backtest", "--num-samples", "1")[1]
    assert fake.calls[-1]["context"][0].tolist() == [[1]]
    assert fake.calls[-1]["known"][..., 0].tolist() == [[10, 20, 30, 40]]
    assert [row["step"] for row in rows_of(out)] == ["1", "2", "3"]
    assert "has 4 rows: with backtest, horizon must be less" in fails(*forecast, "4", "--backtest")


def test_forecast_refuses_mistakes(fails, fakes, weather, table, tmp_path):
    forecast = ["forecast", "weather-model", "--data", table, "--horizon"]
    for levels in ("0.5,1", "0.1,0.1", "half", "0.5,"):
        assert "--quantiles takes" in fails(*forecast, "2", "--quantiles", levels)
    for option in ("--horizon", "--num-samples", "--context"):
        assert f"{option} must be >= 1. Received: {option} 0" in fails(*forecast, "2", option, "0")
    assert ".svg is for strokes" in fails(*forecast, "2", "--out", tmp_path / "x.svg")
    assert "temperature must be >= 0" in fails(*forecast, "2", "--temperature", "-1")
    assert "required: --horizon" in fails(*forecast[:-1])
    assert "is one of pen strokes: tfgen generate pen-model" in fails(
        "forecast", "pen-model", *forecast[2:], "2"
    )
    other = tmp_path / "other.csv"
    other.write_text("place,region,temp\na,hill,3\n")
    assert "missing: 'sky'" in fails("forecast", "weather-model", "--data", other, "--horizon", "2")
    empty = tmp_path / "empty.csv"
    text = table.read_text().splitlines()
    empty.write_text("\n".join([*text[:6], "2024-01-01T00:00,bay,hill,,"]) + "\n")
    assert "The series 'bay'" in fails(*forecast[:3], empty, "--horizon", "2")
    assert weather.calls == []


def test_impute_writes_complete_series(run, fails, weather, table, tmp_path):
    impute = ["impute", "weather-model", "--data", table]
    out = tmp_path / "full.csv"
    arguments = ["--num-samples", "2", "--seed", "5", "--particles", "8", "--out"]
    assert run(*impute, *arguments, out) == (0, f"Wrote {out}: 3 missing values filled\n", "")
    rows = rows_of(out.read_text())
    assert list(rows[0]) == ["id", "sample", "time", "temp", "sky"]
    assert len(rows) == 20 and all(all(row.values()) for row in rows)
    filled = [row["temp"] for row in rows if (row["id"], row["time"][11:13]) == ("sea", "01")]
    assert filled == ["0.0", "1.0"]
    first, second = weather.calls
    assert (first["seed"], first["particles"], first["condition"]) == (5, 8, 0)
    assert (second["seed"], second["condition"]) == (6, 1)
    assert list(first["times"] - START) == [hour * HOUR for hour in range(5)]
    archive = tmp_path / "full.npz"
    assert run(*impute, "--id", "top", "--num-samples", "2", "--out", archive)[0] == 0
    with np.load(archive) as content:
        assert content["temp"].tolist() == [20, 21, 22, 23, 0, 20, 21, 22, 23, 1]
        assert content["time"][0] == np.datetime64("2024-01-01")
        assert list(content["sample"]) == [1] * 5 + [2] * 5
    assert "--out must end in .csv or .npz" in fails(*impute, "--out", "x.png")
    assert "required: --out" in fails(*impute)
    assert "--particles must be >= 2" in fails(*impute, "--out", "x.csv", "--particles", "1")
    assert "--num-samples must be >= 1" in fails(*impute, "--out", "x.csv", "--num-samples", "0")
    assert len(weather.calls) == 3
