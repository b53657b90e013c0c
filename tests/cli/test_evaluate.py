"""`tfgen evaluate`."""

import json
import sys
import types

from tfgen.cli import evaluate_numbers


def test_forecast_impute_and_evaluate_tell_text_from_numbers(fails, model):
    for verb in (["forecast", "verse", "--horizon", "2"], ["impute", "verse", "--out", "x.csv"]):
        also = " and of music" if verb[0] == "impute" else ""
        refused = f"{verb[0]} is for models of time series{also}, and verse is one of text"
        assert refused in fails(*verb, "--data", "x.csv")
    for option in evaluate_numbers.OPTIONS:
        option = f"--{option.replace('_', '-')}"
        refused = f"{option} is for models of numbers, and verse writes text"
        assert refused in fails("evaluate", "verse", "--data", "x.txt", option, "2")
    assert "verse writes text, and the built-in set 'weather' is series" in fails(
        "evaluate", "verse", "--data", "weather"
    )
    assert model.calls == []


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
    for scale, told in (("data", {"unscaled": True}), ("unit", {})):
        assert run(*evaluate, "--scale", scale)[0] == 0
        assert calls.pop()[2] == {"name": "weather-model"} | told
    assert "Known: data, unit" in fails(*evaluate, "--scale", "half")
    assert "--out must end in .json or .html" in fails(*evaluate, "--out", "r.txt")
    assert "--runs must be >= 1" in fails(*evaluate, "--runs", "0")
    assert "--seed must be >= 0" in fails(*evaluate, "--seed", "-1")
    for option in ("column", "window", "crops"):
        refused = f"--{option} is for models of text, and weather-model is one of time series"
        assert refused in fails(*evaluate, f"--{option}", "1")
    assert len(calls) == 3
