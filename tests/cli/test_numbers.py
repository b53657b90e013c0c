"""The command line with models of time series, pen strokes and sound."""

import csv
import io
import json
import re
import sys
import textwrap
import types
import wave

import numpy as np
import pytest

from tfgen import cli, models, zoo
from tfgen.data import Feature, open_sequences
from tfgen.errors import InputError
from tfgen.models.diffusion import DiffusionGenerator
from tfgen.models.series import Forecast, SeriesGenerator
from tfgen.preprocessing import SequenceProcessor, save_processor
from tfgen.recipe import Recipe
from tfgen.zoo import registry

START = 1704067200  # 2024-01-01, a Monday
HOUR = 3600


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


class FakeNumbers:
    """Stands for a trained model of numbers: it writes down how it was called."""

    max_positions = None
    ends = False
    options, rows_at_once = SeriesGenerator.options, SeriesGenerator.rows_at_once
    tells_progress = SeriesGenerator.tells_progress

    def __init__(self, processor, data=()):
        self.processor = processor
        self.recipe = Recipe("lstm").override({f"data.{key}": v for key, v in dict(data).items()})
        self.calls = []

    def generate(self, **options):
        self.calls.append(options)
        length = options["length"] or 4
        steps = np.arange(length, dtype=np.float32)[:, None] * 0.5
        values = [steps + np.zeros(self.processor.num_features)] * options["num_samples"]
        # A drawing or a clip has a length of its own.
        return [v[: length - row] if self.processor.ends else v for row, v in enumerate(values)]

    def stream(self, **options):
        (whole,) = self.generate(num_samples=1, **options)
        yield from np.array_split(whole, 2)

    def forecast(self, context, horizon, num_samples, quantiles, **options):
        """Sample s of every position is the last value and s."""
        self.calls.append({"context": context, **options})
        last = np.stack([values[-1] for values in context])[:, None, None]
        samples = last + np.arange(num_samples)[None, :, None, None] + np.zeros([1, 1, horizon, 1])
        by_level = {q: np.quantile(samples, q, axis=1) for q in quantiles}
        return Forecast(samples.mean(axis=1), by_level, samples)

    def impute(self, values, num_samples, **options):
        """Sample s has s wherever something is missing."""
        self.calls.append(options)
        filled = np.arange(num_samples, dtype=np.float32)[:, None, None]
        return np.where(np.isnan(values), filled, values)


PROCESSORS = {
    "weather-model": SequenceProcessor(
        features=[Feature("temp"), Feature("sky", ("clear", "cloudy", "rain"))],
        step=HOUR,
        start_time=START,
        calendar=[86400],
        length=4,
        classes=["coast", "1", "hill"],
        has_missing=True,
    ),
    "plain-model": SequenceProcessor(features=[Feature("x"), Feature("time")], length=3),
    "pen-model": SequenceProcessor(
        kind="strokes",
        features=[Feature("dx"), Feature("dy"), Feature("pen", ("down", "up"))],
        ends=True,
        length=4,
    ),
    "sound-model": SequenceProcessor(
        kind="audio", features=[Feature("amplitude", (), -1, 1)], ends=True, sample_rate=8000,
        length=4,
    ),
}  # fmt: skip


@pytest.fixture
def fakes(monkeypatch, tmp_path):
    """Entries of every kind, which `zoo.get` gives as `FakeNumbers`."""
    folders, found = {}, {}
    for name, processor in PROCESSORS.items():
        folder = folders[name] = tmp_path / "entries" / name
        folder.mkdir(parents=True)
        (folder / "recipe.toml").write_text('family = "lstm"\n')
        (folder / "model.weights.h5").write_bytes(b"")
        save_processor(processor, folder / "sequence.json")
        found[name] = FakeNumbers(processor)
    monkeypatch.setattr(registry, "_added_entries", folders)
    monkeypatch.setattr(zoo, "get", lambda name, **_: found[name])
    return found


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


# generate


def test_generate_prints_a_table(run, fakes):
    assert run("generate", "weather-model", "--num-samples", "2", "--length", "3")[1] == (
        "sample,time,temp,sky\n"
        "1,2024-01-01T00:00:00,0.0,clear\n"
        "1,2024-01-01T01:00:00,0.5,clear\n"
        "1,2024-01-01T02:00:00,1.0,cloudy\n"
        "2,2024-01-01T00:00:00,0.0,clear\n"
        "2,2024-01-01T01:00:00,0.5,clear\n"
        "2,2024-01-01T02:00:00,1.0,cloudy\n"
    )
    # Without times; drawings have lengths of their own.
    assert run("generate", "plain-model", "--length", "1")[1] == "sample,x,time\n1,0.0,0.0\n"
    lines = run("generate", "pen-model", "--num-samples", "2")[1].splitlines()
    assert lines[0] == "sample,dx,dy,pen"
    assert [line[0] for line in lines[1:]] == ["1"] * 4 + ["2"] * 3


def test_generate_hands_over_only_what_was_given(run, fakes):
    run("generate", "weather-model")
    run(
        "generate", "weather-model", "--seed", "3", "--temperature", "0.5", "--bias", "2",
        "--length", "7", "--num-samples", "2", "--condition", "hill", "--static", "1,-2.5",
        "--start-time", "2024-01-02T01:00Z",
    )  # fmt: skip
    nothing = dict.fromkeys(["length", "seed", "condition", "static", "start_time"])
    assert fakes["weather-model"].calls == [
        {"num_samples": 1, **nothing},
        {
            "num_samples": 2, "length": 7, "temperature": 0.5, "bias": 2.0, "seed": 3,
            "condition": "hill", "static": [1.0, -2.5], "start_time": START + 25 * HOUR,
        },
    ]  # fmt: skip


def test_a_diffusion_model_is_sampled_by_options_of_its_own(run, fails, fakes, weather, table):
    model, generate = fakes["weather-model"], ["generate", "weather-model"]
    forecast = ["forecast", "weather-model", "--data", table, "--horizon", "2"]
    impute = ["impute", "weather-model", "--data", table, "--out", "x.csv"]
    refused = "is not for weather-model, which takes --"
    assert f"--num-steps {refused}temperature, --bias" in fails(*generate, "--num-steps", "3")
    assert f"--guidance-scale {refused}" in fails(*generate, "--guidance-scale", "3")
    assert f"--method {refused}temperature" in fails(*forecast, "--method", "repaint")
    assert f"--num-steps {refused}particles" in fails(*impute, "--num-steps", "3")
    model.options, model.rows_at_once = DiffusionGenerator.options, DiffusionGenerator.rows_at_once
    model.tells_progress = True
    run(*generate, "--num-steps", "3", "--solver", "heun", "--guidance-scale", "2")
    call = model.calls[-1]
    # The bar is for a terminal, which this is not.
    call["progress"](1, 2), call["progress"](2, 2)
    assert (call["num_steps"], call["solver"], call["guidance_scale"]) == (3, "heun", 2.0)
    assert "temperature" not in call and "bias" not in call
    options = "--num-steps", "4", "--method", "guidance", "--resamplings", "3"
    assert run(*forecast, *options)[0] == 0
    call = weather.calls[-1]
    assert (call["num_steps"], call["method"], call["resamplings"]) == (4, "guidance", 3)
    assert f"--temperature {refused}num-steps, --solver" in fails(*generate, "--temperature", "2")
    assert f"--particles {refused}num-steps, --method" in fails(*impute, "--particles", "9")
    assert "Did you mean 'heun'" in fails(*generate, "--solver", "heum")
    assert "--num-steps must be >= 1" in fails(*forecast, "--num-steps", "0")


@pytest.mark.parametrize("text, expected", [("2", 2), ("1", "1"), ("hill", "hill"), ("x", "x")])
def test_a_class_is_its_name_before_it_is_a_number(run, fakes, text, expected):
    run("generate", "weather-model", "--condition", text)
    assert fakes["weather-model"].calls[0]["condition"] == expected


@pytest.mark.parametrize(
    "time", ["2024-03-01T12:00", "2024-03-01 12:00:00", "1709294400"]
)  # fmt: skip
def test_rows_begin_at_the_start_time(run, fakes, time):
    out = run("generate", "weather-model", "--length", "2", "--start-time", time)[1]
    assert [row["time"] for row in rows_of(out)] == ["2024-03-01T12:00:00", "2024-03-01T13:00:00"]


def test_generate_streams_rows(run, fails, fakes):
    whole = run("generate", "weather-model", "--length", "5", "--seed", "1")[1]
    assert run("generate", "weather-model", "--length", "5", "--seed", "1", "--stream")[1] == whole
    for extra in (["--num-samples", "2"], ["--out", "x.csv"]):
        assert "--stream is for one sample and no --out" in fails(
            "generate", "weather-model", "--stream", *extra
        )


def test_generate_writes_files(run, fakes, tmp_path):
    out = tmp_path / "out"
    arguments = ["generate", "weather-model", "--num-samples", "2", "--out"]
    assert run(*arguments, out / "a.csv") == (0, f"Wrote {out / 'a.csv'}\n", "")
    assert (out / "a.csv").read_text() == run(*arguments[:-1])[1]
    assert run(*arguments, out / "a.png")[0] == 0
    assert (out / "a.png").read_bytes().startswith(b"\x89PNG")
    assert run("generate", "pen-model", "--out", out / "a.svg")[0] == 0
    assert "<path" in (out / "a.svg").read_text()
    assert run("generate", "pen-model", "--num-samples", "2", "--out", out / "a.npz")[0] == 0
    with np.load(out / "a.npz") as archive:
        assert list(archive["offsets"]) == [0, 4, 7]
    code, text, _ = run("generate", "sound-model", "--num-samples", "2", "--out", out / "a.wav")
    assert (code, text) == (0, f"Wrote {out / 'a-1.wav'}\nWrote {out / 'a-2.wav'}\n")
    with wave.open(str(out / "a-2.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 3)


def test_generate_refuses_before_it_loads(fails, fakes, tmp_path):
    for option in ("--top-k=3", "--stop=x", "--strip-prompt", "--beams=2", "--draft=verse"):
        refused = f"{option.partition('=')[0]} is for models of text, and pen-model is one of pen"
        assert refused in fails("generate", "pen-model", option)
    assert "A model of sound takes no prompt. Received: 'hello'" in fails(
        "generate", "sound-model", "hello"
    )
    assert "Sound has to go to a file: --out sample.wav" in fails("generate", "sound-model")
    assert "Sound has to go to a file" in fails("generate", "sound-model", "--stream")
    assert ".wav is for audio, and this is strokes" in fails("generate", "pen-model", "--out=x.wav")
    assert "Unknown suffix '.txt'" in fails("generate", "plain-model", "--out=x.txt")
    assert "length must be >= 1" in fails("generate", "plain-model", "--length", "0")
    assert "bias must be >= 0" in fails("generate", "pen-model", "--bias", "-1")
    assert "temperature must be >= 0" in fails("generate", "pen-model", "--temperature", "-1")
    assert "--num-samples must be >= 1" in fails("generate", "pen-model", "--num-samples", "0")
    assert "--static takes numbers" in fails("generate", "plain-model", "--static", "1,nan")
    for time in ("noon", "NaT", "2024-13-01"):
        assert "--start-time takes ISO 8601" in fails(
            "generate", "plain-model", "--start-time", time
        )
    assert all(model.calls == [] for model in fakes.values())
    assert [path.name for path in tmp_path.iterdir()] == ["entries"]


def test_generate_cannot_tell_what_is_known_beforehand(fails, fakes):
    fakes["plain-model"].processor = SequenceProcessor(
        features=[Feature("x")], known_names=["price", "holiday"]
    )
    told = "plain-model is told price, holiday beforehand, which this command cannot"
    assert told in fails("generate", "plain-model")


# forecast and impute


@pytest.fixture
def table(tmp_path):
    """Two places with five hours each; the last of `hill` has no value any more."""
    path = tmp_path / "weather.csv"
    lines = ["time,place,region,temp,sky"]
    for place, region, first in (("sea", "coast", 10), ("top", "hill", 20)):
        for hour in range(5):
            temp, sky = first + hour, ("clear", "rain")[hour % 2]
            if (place, hour) == ("sea", 1):
                temp = ""
            if (place, hour) == ("top", 4):
                temp, sky = "", ""
            lines.append(f"2024-01-01T{hour:02}:00,{place},{region},{temp},{sky}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def weather(fakes):
    """The fake whose own data are like `table`."""
    fake = FakeNumbers(PROCESSORS["weather-model"], {"id": "place", "label": "region"})
    fake.processor = SequenceProcessor(
        **{**fake.processor.get_config(), "classes": ["coast", "hill"], "name": None}
    )
    fakes["weather-model"] = fake
    return fake


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
    assert "--backtest" in refused
    # The last rows with values as rows to come.
    path.write_text("x,price,size\n1,10,7\n2,20,7\n3,30,7\n4,40,7\n")
    out = run(*forecast, "3", "--backtest", "--num-samples", "1")[1]
    assert fake.calls[-1]["context"][0].tolist() == [[1]]
    assert fake.calls[-1]["known"][..., 0].tolist() == [[10, 20, 30, 40]]
    assert [row["step"] for row in rows_of(out)] == ["1", "2", "3"]
    assert "has 4 rows: with --backtest, --horizon must be less" in fails(
        *forecast, "4", "--backtest"
    )


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


# evaluate, inspect


def test_evaluate_prints_and_writes_the_report(run, fails, weather, monkeypatch, table, tmp_path):
    calls = []

    def evaluate_sequences(model, data, say, report=None, **options):
        calls.append((model, data, options))
        say("a long part")
        if report is not None:
            for suffix in ("json", "html"):
                with open(f"{report}/report.{suffix}", "w") as file:
                    file.write(f"the {suffix}")
        score = {"mean": 1.5, "spread": 0.25, "real": None, "baseline": 2.0, "runs": []}
        return {
            "data": data.name,
            "likelihood": {"values": 12345, "nats_per_value": score},
            "forecast": {"scores": {"crps": {**score, "real": 0.1, "real_spread": 0.01}}},
            "notes": [],
        }

    fake = types.SimpleNamespace(evaluate_sequences=evaluate_sequences)
    monkeypatch.setitem(sys.modules, "tfgen.evaluation", fake)
    evaluate = ["evaluate", "weather-model", "--data", table]
    code, out, err = run(*evaluate)
    assert (code, err) == (0, "a long part\n")
    assert out.splitlines() == [
        f"data  {table}", "",
        "likelihood",
        "values          12,345",
        "nats per value  1.5 ± 0.25   naive 2", "",
        "forecast, scores",
        "crps  1.5 ± 0.25   real 0.1 ± 0.01   naive 2",
    ]  # fmt: skip
    options = "--split all --runs 2 --horizon 3 --context 5 --num-samples 7 --samples 9 --length 4"
    more = [*options.split(), "--seed", "8", "--metrics", "likelihood,forecast"]
    assert run(*evaluate, *more, "--out", tmp_path / "r.html")[0] == 0
    assert (tmp_path / "r.html").read_text() == "the html"
    assert run(*evaluate, "--out", tmp_path / "r.json")[0] == 0
    assert (tmp_path / "r.json").read_text() == "the json"
    assert calls[0][0] is weather and calls[0][2] == {"name": "weather-model"}
    # Read as the model's own data are.
    assert (calls[0][1].name, calls[0][1].id, calls[0][1].label) == (str(table), "place", "region")
    assert calls[1][2] == {
        "split": "all", "runs": 2, "horizon": 3, "context": 5, "num_samples": 7, "windows": 9,
        "length": 4, "seed": 8, "metrics": ["likelihood", "forecast"], "name": "weather-model",
    }  # fmt: skip
    assert "--out must end in .json or .html" in fails(*evaluate, "--out", "r.txt")
    assert "--runs must be >= 1" in fails(*evaluate, "--runs", "0")
    assert "--seed must be >= 0" in fails(*evaluate, "--seed", "-1")
    for option in ("column", "window", "crops"):
        refused = f"--{option} is for models of text, and weather-model is one of time series"
        assert refused in fails(*evaluate, f"--{option}", "1")
    assert len(calls) == 3


def test_inspect_reads_and_draws_numbers(run, fails, table, tmp_path):
    code, out, _ = run("inspect", table, "--id", "place", "--label", "region")
    assert code == 0
    assert "2 sequences, 10 positions, 2 features" in out and "classes: 2: coast 1, hill 1" in out
    picture = tmp_path / "a.png"
    arguments = ["--id", "place", "--columns", "temp", "--time", "time", "--out", picture]
    code, out, _ = run("inspect", table, *arguments, "--set", "data.bounds=temp=0:50")
    assert code == 0 and out.endswith(f"\nWrote {picture}\n")
    assert "1 feature" in out and "bounds 0:50" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "10,992 sequences" in run("inspect", "pendigits", "--out", tmp_path / "b.png")[1]
    assert (tmp_path / "b.png").is_file()
    assert "inspect draws a .png" in fails("inspect", table, "--out", tmp_path / "a.svg")
    assert "Did you mean 'temp'" in fails("inspect", table, "--columns", "tmp")
    # As text it is its lines or one of its columns.
    assert "vocabulary" in run("inspect", table, "--column", "sky")[1]


def test_a_table_of_text_alone_tells_how_to_read_it(fails, tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("text\n" + "".join(f"a text of number {i}\n" for i in range(1200)))
    for command in (
        ["inspect", path],
        ["train", "lstm", "--data", path, "--logdir", tmp_path / "x"],
    ):
        assert "There is no column of values" in (error := fails(*command))
        assert "(--column NAME reads a column as text)" in error
    assert not (tmp_path / "x").exists()


# What the zoo tells of models of numbers


def test_a_family_tells_the_arguments_of_both_its_classes():
    page = str(zoo.describe("lstm"))
    common, _, rest = page.partition("\nArguments for text:\n")
    of_text, _, of_numbers = rest.partition("\nArguments for sequences of numbers:\n")
    assert "\n  units = " in common and "\n  head" not in common
    assert "tie_embeddings = False" in of_text and "units = " not in of_text
    for name in ("head = None", "components = 10", "bounding = 'inward'"):
        assert f"\n  {name}\n" in "\n" + of_numbers
    assert all(argument.help for argument in zoo.describe("lstm").number_arguments)


def test_an_entry_tells_the_arguments_of_its_own_class(fakes, tmp_path):
    (tmp_path / "entries" / "weather-model" / "model.weights.h5").unlink()
    names = {argument.name for argument in zoo.describe("weather-model").arguments}
    assert "head" in names and "tie_embeddings" not in names
    assert zoo.find("weather-model").data_kind == "series"
    assert zoo.find("sound-model").data_kind == "audio"
    assert zoo.find("lstm").data_kind is None


def test_get_with_a_head_is_a_model_of_numbers():
    model = zoo.get("lstm", head="student_t", units=4, layers=1, temperature=0.5)
    assert (model.head, model.units, model.generation.temperature) == ("student_t", 4, 0.5)
    assert model.processor.num_features == 1
    with pytest.raises(InputError, match="Did you mean 'components'"):
        zoo.get("lstm", head="gaussian_mixture", component=3)
    with pytest.raises(InputError, match="'components' is for models of numbers: give 'lstm' a he"):
        zoo.get("lstm", components=3)


# From a table to a SavedModel, with nothing faked


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A table of two hundred hours with gaps, and the run of a model that was trained on it."""
    folder = tmp_path_factory.mktemp("numbers")
    rng = np.random.default_rng(1)
    lines = ["time,temp,rain"]
    for hour in range(200):
        time = np.datetime64("2024-01-01T00") + hour
        temp = "" if hour % 50 == 7 else f"{10 + 5 * np.sin(hour / 24 * 2 * np.pi):.2f}"
        lines.append(f"{time}:00,{temp},{max(0, rng.normal()):.2f}")
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    code = cli.main(
        ["train", "lstm", "--data", str(folder / "data.csv"), "--logdir", str(folder / "run")]
        + ["--set=model.units=8", "--set=model.layers=1", "--set=training.window=16"]
        + ["--set=training.batch_size=4", "--set=training.steps=2", "--set=training.sample_every=0"]
        + ["--set=training.histogram_every=0", "--set=data.bounds=rain=0:"]
    )
    assert code == 0
    # Opened once, so that what is compiled is compiled once.
    return folder / "data.csv", folder / "run", zoo.get(folder / "run")


@pytest.fixture
def opened(trained, monkeypatch):
    data, folder, model = trained
    monkeypatch.setattr(zoo, "get", lambda name, **_: model)
    return data, folder, model


def test_a_table_of_numbers_trains_a_model_of_numbers(trained):
    _, folder, model = trained
    assert isinstance(model, models.family("lstm").of_numbers().load())
    assert model.processor.feature_names == ("temp", "rain")
    assert zoo.find(folder).data_kind == "series"


def test_a_mistake_in_the_model_names_the_arguments_for_numbers(fails, trained, tmp_path):
    wrong = ["train", "lstm", "--data", trained[0], "--logdir", tmp_path / "x"]
    few = ["--set", "training.window=16", "--set", "training.batch_size=4"]
    error = fails(*wrong, *few, "--set", "model.component=3")
    assert "Did you mean 'components'" in error and "bounding" in error
    assert "tie_embeddings" not in error
    assert not (tmp_path / "x").exists()


def test_what_is_printed_is_what_the_model_draws(run, opened):
    _, folder, model = opened
    arguments = ["generate", folder, "--length", "6", "--num-samples", "2", "--seed", "4"]
    rows = rows_of(run(*arguments)[1])
    drawn = np.array([[row["temp"], row["rain"]] for row in rows], np.float32)
    expected = np.concatenate(model.generate(num_samples=2, length=6, seed=4))
    assert np.array_equal(drawn, expected)
    streamed = rows_of(run("generate", folder, "--length", "6", "--seed", "4", "--stream")[1])
    single = model.generate(length=6, seed=4)[0]
    np.testing.assert_allclose([float(row["temp"]) for row in streamed], single[:, 0], rtol=1e-4)


def test_what_is_forecast_is_what_the_model_forecasts(run, opened):
    data, folder, model = opened
    arguments = ["--horizon", "3", "--num-samples", "5", "--context", "20", "--seed", "2"]
    rows = rows_of(run("forecast", folder, "--data", data, *arguments)[1])
    sequences = open_sequences(model.recipe.data)
    expected = model.forecast(
        [sequences.values[0][-20:]], 3, num_samples=5, seed=2, times=[sequences.times[0][-20:]]
    )
    for number, feature in enumerate(("temp", "rain")):
        mine = [row for row in rows if row["feature"] == feature]
        assert [float(row["mean"]) for row in mine] == pytest.approx(expected.mean[0, :, number])
        high = expected.quantiles[0.9][0, :, number]
        assert [float(row["q0.9"]) for row in mine] == pytest.approx(high)
        assert mine[0]["time"] == "2024-01-09T08:00:00"
    assert min(float(row["q0.1"]) for row in rows if row["feature"] == "rain") >= 0


def test_what_is_missing_is_filled_and_the_rest_is_left(run, opened, tmp_path):
    data, folder, _ = opened
    arguments = ["--num-samples", "1", "--seed", "1", "--particles", "4", "--out"]
    assert run("impute", folder, "--data", data, *arguments, tmp_path / "full.csv")[0] == 0
    before, after = rows_of(data.read_text()), rows_of((tmp_path / "full.csv").read_text())
    gaps = [number for number, row in enumerate(before) if not row["temp"]]
    assert len(gaps) == 4 and all(after[number]["temp"] for number in gaps)
    for number, row in enumerate(before):
        if number not in gaps:
            assert float(after[number]["temp"]) == pytest.approx(float(row["temp"]))


def test_a_real_report(run, opened, tmp_path):
    data, folder, _ = opened
    out = tmp_path / "report.json"
    assert run("evaluate", folder, "--data", data, "--metrics", "likelihood", "--out", out)[0] == 0
    assert json.loads(out.read_text())["likelihood"]["values"] == 40


def test_the_python_that_export_prints_calls_the_model(run, opened, tmp_path):
    code, out, _ = run("export", opened[1], tmp_path / "served")
    assert code == 0
    names = {}
    exec(textwrap.dedent(out.partition("\n\n")[2]), names)
    assert names["outputs"]["values"].shape == (2, opened[2].processor.length, 2)
