"""Calibration by held-out data, and its test on what it did not see."""

import numpy as np
import pytest

from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.evaluation import backtest, calibrate
from tfgen.evaluation.calibrated import coverage_by_step, coverage_text
from tfgen.models.numbers.results import Forecast
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig, Recipe

PHI = 0.8


class Overconfident:
    """Knows the AR(1) that data are from, but for its spread, which is a fraction of the true one."""

    max_positions, calibration, name = None, None, "ar"

    def __init__(self, data, factor, fraction=0.5):
        self.processor = SequenceProcessor.fit(data, PreprocessingConfig())
        self.recipe = Recipe("lstm").override(
            {"training.window": 4, "data.validation_fraction": fraction}
        )
        self.factor, self.last = factor, []

    def forecast(self, context, horizon, num_samples, seed, calibrated=False):
        self.last += [float(values[-1, 0]) for values in context]
        rng, ahead = np.random.default_rng(seed), np.arange(1, horizon + 1)
        mean = np.stack([values[-1, 0] * PHI**ahead for values in context])
        spread = self.factor * np.sqrt((1 - PHI ** (2 * ahead)) / (1 - PHI**2))
        noise = rng.normal(size=[len(mean), num_samples, horizon])
        samples = (mean[:, None] + spread * noise)[..., None].astype(np.float32)
        if calibrated:
            samples = self.calibration.moved(samples).numpy()
        return Forecast(None, {}, samples)


def process(length=3000, seed=0, series=1):
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(series):
        noise, x = rng.normal(size=length), np.zeros([length, 1], np.float32)
        for place in range(1, length):
            x[place] = PHI * x[place - 1] + noise[place]
        values.append(x)
    ids = [str(number) for number in range(series)]
    return Sequences("ar", "series", (Feature("a"),), values, ids)


def test_an_overconfident_model_keeps_its_promise_on_later_data():
    data = process(seed=1)
    model = Overconfident(data, 0.5)
    said = []
    found = calibrate(model, data, 3, origins=300, num_samples=60, say=said.append)
    # Half is held out, half of that calibrates.
    seen = {float(value) for value in data.values[0][1500:2250, 0]}
    assert len(said) == 2 and set(model.last[:300]) <= seen | {float(data.values[0][1499, 0])}
    assert (found["origins"], found["horizon"], found["context"]) == (300, 3, 4)
    coverage = found["coverage"]
    assert coverage["forecasts"] == 100
    assert np.mean(coverage["coverage_90"]) < 0.65
    assert np.mean(coverage["coverage_90_calibrated"]) == pytest.approx(0.9, abs=0.05)
    assert np.mean(coverage["coverage_50_calibrated"]) == pytest.approx(0.5, abs=0.07)
    assert not set(model.last[-100:]) & seen
    lines = coverage_text(coverage).splitlines()
    assert len(lines) == 5 and lines[0].split() == [
        "step", "in", "50%", "calibrated", "in", "90%", "calibrated",
    ]  # fmt: skip
    assert (
        lines[-1].split()[0] == "all" and lines[1].split()[1] == f"{coverage['coverage_50'][0]:.3f}"
    )
    again = coverage_by_step(model, data, [1500], 2, 60)
    assert len(again["coverage_50"]) == 2


def test_a_backtest_shows_models_with_their_calibration():
    data = process(800)
    model = Overconfident(data, 0.5)
    with pytest.raises(InputError, match="None of the models has a calibration"):
        backtest([model], data, 4, calibrated=True)
    calibrate(model, data, 4, origins=100, num_samples=50)
    found = backtest([model, "seasonal-naive"], data, 4, 100, 50, season=1, calibrated=True)
    whole = {
        name: dict(zip(found.table, cells))
        for name, *_ in [[each] for each in ("ar", "ar, calibrated", "seasonal-naive")]
        for cells in zip(*found.table.values())
        if cells[:2] == (name, "all")
    }
    # Of 400 positions held out, the last 200 are left.
    assert [row["forecasts"] for row in whole.values()] == [50] * 3
    assert whole["ar"]["coverage_90"] < 0.7
    assert whole["ar, calibrated"]["coverage_90"] == pytest.approx(0.9, abs=0.06)
    assert whole["ar, calibrated"]["msis"] < whole["ar"]["msis"]


def test_arguments_of_a_calibration():
    data = process(400)

    def facts(**changes):
        return calibrate(Overconfident(data, 0.5), data, **{"horizon": 2, **changes})

    first = facts()
    assert first["origins"] == 99 and first["coverage"]["forecasts"] == 50
    assert facts(origins=30)["origins"] == 30
    assert facts(horizon=None)["horizon"] == 24
    assert facts(context=9)["context"] == 9
    assert facts(num_samples=7)["samples"] == 7
    assert facts(share=0.25)["origins"] == 49
    assert facts(seed=1)["coverage"] != first["coverage"] == facts()["coverage"]
    with pytest.raises(InputError, match="Received: share=1"):
        facts(share=1)
    with pytest.raises(InputError, match="Received: origins=0"):
        facts(origins=0)
    with pytest.raises(InputError, match="at least 20 forecasts.*Received: 5 forecasts"):
        facts(share=0.03)
    with pytest.raises(InputError, match="too little held-out data"):
        calibrate(Overconfident(data, 0.5), data, 101)


def test_whole_series_that_were_held_out_are_divided():
    data = process(60, series=24)
    model = Overconfident(data, 0.5, 0.25)
    found = calibrate(model, data, 2, origins=90, num_samples=20)
    assert found["origins"] == 90 and found["coverage"]["forecasts"] == 3 * 28
