"""Backtests of models whose forecasts are known, against scores done by hand."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.evaluation import backtest, forecasts
from tfgen.models.numbers.results import Forecast
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig, Recipe
from tfgen.report.backtests import backtest_figure, backtest_text


def sequences(lengths=(100, 120), features=("a", "b")):
    rng = np.random.default_rng(0)
    values = [10 + rng.normal(size=[n, len(features)]).astype(np.float32) for n in lengths]
    features = tuple(map(Feature, features))
    return Sequences("made", "series", features, values, [f"s{i}" for i in range(len(values))])


class Model:
    """Forecasts `centre` and as many samples as are asked for, evenly spread around it."""

    max_positions = None

    def __init__(self, data, centre=10.0, spread=1.0, name="model", window=8):
        self.processor = SequenceProcessor.fit(data, PreprocessingConfig())
        self.recipe = Recipe("lstm").override({"training.window": window})
        self.centre, self.spread, self.name, self.seen = centre, spread, name, []

    def forecast(self, context, horizon, num_samples, seed, **told):
        self.seen += list(context)
        ranks = np.linspace(-self.spread, self.spread, num_samples)[None, :, None, None]
        shape = [len(context), num_samples, horizon, context[0].shape[-1]]
        return Forecast(None, {}, self.centre + ranks + np.zeros(shape))


def rows_of(found):
    rows = [dict(zip(found.table, cells)) for cells in zip(*found.table.values())]
    return {(row["model"], row["series"], row["feature"]): row for row in rows}


def test_the_scores_are_those_of_what_was_held_out():
    data = sequences()
    model = Model(data)
    found = backtest({"m": model}, data, horizon=5, origins=100, num_samples=11, season=3)
    rows = rows_of(found)
    # A tenth is held out: 10 of 100 and 12 of 120 positions have room for two forecasts each.
    assert len(rows) == 5 and rows["m", "all", "all"]["forecasts"] == 4
    assert [len(each) for each in model.seen[:4]] == [8] * 4
    np.testing.assert_array_equal(model.seen[0], data.values[0][82:90])
    row = rows["m", "s1", "b"]
    history, truth = data.values[1][:108], data.values[1][108:118, 1]
    scale = np.abs(history[3:, 1] - history[:-3, 1]).mean()
    assert row["forecasts"] == 2
    assert row["mase"] == pytest.approx(np.abs(truth - 10).mean() / scale, rel=1e-5)
    assert row["coverage_50"] == pytest.approx(np.mean(np.abs(truth - 10) <= 0.5))
    assert row["coverage_90"] == pytest.approx(np.mean(np.abs(truth - 10) <= 0.9))
    outside = np.maximum(np.abs(truth - 10) - 0.95, 0)
    assert row["msis"] == pytest.approx(np.mean(1.9 + 40 * outside) / scale, rel=1e-5)
    samples = np.linspace(9, 11, 11)[:, None, None] + np.zeros([1, 10, 1])
    score = forecasts.crps(samples, truth[:, None]).mean() / history[:, 1].std()
    assert row["crps"] == pytest.approx(score, rel=1e-5)
    loss = forecasts.weighted_quantile_loss(samples, truth[:, None])[0]
    assert row["weighted_quantile_loss"] == pytest.approx(loss, rel=1e-5)
    naive = np.concatenate([forecasts.naive2(data.values[1][:o, 1:], 5, 3) for o in (108, 113)])
    base = forecasts.mase(naive, truth[:, None], history[:, 1:], 3)[0]
    ratio = (
        row["mase"] / base,
        (
            forecasts.smape(np.full([10, 1], 10.0), truth[:, None])
            / forecasts.smape(naive, truth[:, None])
        ).item(),
    )
    assert row["owa"] == pytest.approx(np.mean(ratio), rel=1e-5)
    # In all: the mean over series and columns.
    parts = [rows["m", series, column]["mase"] for series in ("s0", "s1") for column in "ab"]
    assert rows["m", "all", "all"]["mase"] == pytest.approx(np.mean(parts))
    assert found.steps["m"]["crps"].shape == (5,)
    crps = [rows["m", series, column]["crps"] for series in ("s0", "s1") for column in "ab"]
    assert found.steps["m"]["crps"].mean() == pytest.approx(np.mean(crps))


def test_models_are_told_apart_and_written(tmp_path):
    data = sequences(features=("a",))
    good, bad = Model(data, name="good", spread=2.0), Model(data, centre=14.0, name="bad")
    out, picture = tmp_path / "t.csv", tmp_path / "t.png"
    found = backtest(
        [good, bad, "seasonal-naive"], data, horizon=4, num_samples=50, season=2, seed=1,
        out=out, picture=picture,
    )  # fmt: skip
    rows = rows_of(found)
    scores = {name: rows[name, "all", "all"] for name in ("good", "bad", "seasonal-naive")}
    for score in ("mase", "crps", "weighted_quantile_loss", "owa", "msis"):
        best = min(scores, key=lambda name: scores[name][score])
        assert best == "good" and scores["bad"][score] > 2 * scores["good"][score]
    assert scores["bad"]["coverage_90"] < 0.1 < 0.6 < scores["seasonal-naive"]["coverage_90"]
    with open(out, newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["model"] for row in written] == found.table["model"]
    assert [float(row["owa"]) for row in written] == found.table["owa"]
    assert picture.read_bytes()[:4] == b"\x89PNG"
    text = backtest_text(found).splitlines()
    assert text[0].startswith("made: 5 forecasts of 4 positions, 50 samples each; season 2")
    assert text[2].split()[0] == "good" and text[3].split()[0] == "bad"
    assert f"{scores['bad']['mase']:.4g}" in text[3]
    panels = backtest_figure(found).axes
    assert [len(axes.lines) for axes in panels] == [3, 4, 5]
    again = backtest(["seasonal-naive"], data, horizon=4, num_samples=50, season=2, seed=1)
    assert rows_of(again)["seasonal-naive", "all", "all"] == scores["seasonal-naive"]
    other = backtest(["seasonal-naive"], data, horizon=4, num_samples=50, season=2, seed=2)
    assert other.table["crps"] != again.table["crps"]


def test_arguments_change_what_is_found():
    data = sequences(features=("a",))

    def scores(**changes):
        model = Model(data)
        settings = {"horizon": 4, "num_samples": 20, "season": 2, **changes}
        return model, rows_of(backtest({"m": model}, data, **settings))["m", "all", "all"]

    model, first = scores()
    assert first["forecasts"] == 5
    assert scores(origins=3)[1]["forecasts"] == 3
    assert scores(split="all", origins=99)[1]["forecasts"] == 23 + 28
    # What came after the training data are as many positions as are said, of each series.
    model, after = scores(last=20)
    assert after["forecasts"] == 10
    np.testing.assert_array_equal(model.seen[0], data.values[0][72:80])
    assert scores(season=3)[1]["mase"] != first["mase"]
    assert scores(num_samples=3)[1]["crps"] != first["crps"]
    assert scores(horizon=3)[1]["forecasts"] == 7
    assert len(scores(context=3)[0].seen[0]) == 3
    # In memory, arrays and frames are read as the model's own data.
    arrays = [each.copy() for each in data.values]
    model = Model(data)
    model.processor = SequenceProcessor.fit(
        Sequences("x", "series", (Feature("x0"),), arrays, ["0", "1"]), PreprocessingConfig()
    )
    found = backtest(model, arrays, horizon=4, num_samples=20, season=2)
    assert found.table["mase"][0] == first["mase"]


def test_what_cannot_be_compared_is_refused():
    data = sequences(features=("a",))
    model = Model(data)
    with pytest.raises(InputError, match=r"Received: models=\[\]"):
        backtest([], data)
    with pytest.raises(InputError, match="which tfgen.zoo.get opens.*Received: 0='gru'"):
        backtest({0: "gru"}, data)
    with pytest.raises(InputError, match="give a dict from names. Received: model"):
        backtest([model, model], data)
    with pytest.raises(InputError, match="Received: horizon=200"):
        backtest([model], data, horizon=200)
    with pytest.raises(InputError, match="Unknown split 'test'"):
        backtest([model], data, split="test")
    with pytest.raises(InputError, match="Received: last=4, split='all'"):
        backtest([model], data, split="all", last=4)
    model.calibration = SimpleNamespace(facts={"share": 1.0})
    with pytest.raises(InputError, match="give what came after as last"):
        backtest([model], data, horizon=2, calibrated=True)
    other = Model(sequences(features=("b",)), name="other")
    with pytest.raises(InputError):
        backtest([model, other], data, horizon=2)
