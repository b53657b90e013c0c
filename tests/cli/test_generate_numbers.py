"""`tfgen generate` with models of time series, pen strokes and sound."""

import wave

import numpy as np
import pytest
from fakes import HOUR, START, rows_of

from tfgen.data import Feature
from tfgen.models.engines.diffusion import Diffusion
from tfgen.models.numbers.options import sampling_options
from tfgen.preprocessing import SequenceProcessor


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
    model.options, model.rows_at_once = sampling_options(Diffusion), Diffusion.rows_at_once
    model.tells_progress = True
    run(*generate, "--num-steps", "3", "--solver", "heun", "--guidance-scale", "2")
    call = model.calls[-1]
    # The bar is for a terminal, which this is not.
    call["progress"](1, 2), call["progress"](2, 2)
    assert (call["num_steps"], call["solver"], call["guidance_scale"]) == (3, "heun", 2.0)
    assert "temperature" not in call and "bias" not in call
    options = "--num-steps", "4", "--method", "repaint", "--resamplings", "3"
    assert run(*forecast, *options)[0] == 0
    call = weather.calls[-1]
    assert (call["num_steps"], call["method"], call["resamplings"]) == (4, "repaint", 3)
    assert f"--temperature {refused}num-steps, --solver" in fails(*generate, "--temperature", "2")
    assert f"--particles {refused}num-steps, --method" in fails(*impute, "--particles", "9")
    assert "Did you mean 'heun'" in fails(*generate, "--solver", "heum")
    assert "num_steps must be >= 1" in fails(*forecast, "--num-steps", "0")


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
    refused = ".wav is for audio and music, and this is strokes"
    assert refused in fails("generate", "pen-model", "--out=x.wav")
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
