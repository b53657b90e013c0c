"""What a training calibrates at its end."""

import types

import numpy as np
import pytest

from tfgen import zoo
from tfgen.data import Feature, Sequences
from tfgen.recipe import Recipe
from tfgen.training import calibration, train
from tfgen.training.calibration import LEAST_STEPS, calibrate_at_end


class Model:
    draws_in_order, calibration = True, None
    can = {"forecast"}.__contains__

    class processor:
        step, check = 3600, staticmethod(lambda sequences: sequences)


def data(rows):
    values = np.zeros([rows, 1], np.float32)
    return Sequences("x", "series", (Feature("a"),), [values], ["0"])


def test_what_is_calibrated_on_and_when(monkeypatch):
    calls = []

    def calibrate(model, sequences, edges, horizon, **settings):
        calls.append((edges, horizon, settings))
        return type("Found", (), {"facts": {"origins": 64}})

    monkeypatch.setattr(calibration, "calibrate_model", calibrate)
    said, long = [], Recipe("gru").override({"training.steps": LEAST_STEPS})

    def run(model=Model, recipe=long, sequences=None):
        calibrate_at_end(model, recipe, sequences, said.append)
        return len(calls)

    assert run() == 0
    assert run(recipe=long.override({"training.steps": 499}), sequences=data(4800)) == 0
    blocks = long.override({"data.split": "blocks"})
    assert run(recipe=blocks, sequences=data(4800)) == 0
    both = long.override({"data.split": "blocks+time"})
    assert run(recipe=both, sequences=data(9600)) == 1 and calls.pop()[0] == [9120]
    # Of ten days in half of the tenth that is held out that half is enough; else all of it serves.
    effort = {"origins": 64, "num_samples": 50}
    assert said.pop() and run(sequences=data(4700)) == 1
    assert calls.pop() == ([4230], 24, {"share": 1.0, **effort})
    assert said.pop() and run(sequences=data(4800)) == 1
    assert calls == [([4320], 24, {"share": 0.5, **effort})]
    assert said == ["Calibrated forecasts of 24 positions by 64 of held-out data"]


@pytest.mark.parametrize(
    ("infilling", "batch_size", "expected"),
    [
        # Of 5 * 500 * batch_size a tenth, divided by 20 samples of 20 steps, repaint's thrice.
        (0.5, 32, {"origins": 20, "share": 0.5, "num_samples": 20, "num_steps": 20}),
        (0.5, 31, None),  # 19 are too few
        (0.5, 1000, {"origins": 64, "share": 0.5, "num_samples": 20, "num_steps": 20}),
        (0.0, 32, None),
        (
            0.0,
            96,
            {"origins": 20, "share": 0.5, "num_samples": 20, "num_steps": 20, "resamplings": 3},
        ),
    ],
)
def test_a_diffusion_model_takes_a_tenth_of_its_training(
    monkeypatch, infilling, batch_size, expected
):
    calls, denoiser = [], types.SimpleNamespace(infilling=infilling)
    engine = types.SimpleNamespace(denoiser=denoiser)
    other = type("Other", (Model,), {"draws_in_order": False, "engine": engine})
    found = types.SimpleNamespace(facts={"origins": 1})
    monkeypatch.setattr(
        calibration, "calibrate_model", lambda *_, **settings: calls.append(settings) or found
    )
    changes = {"training.steps": 500, "training.batch_size": batch_size}
    recipe = Recipe("unet1d").override(changes)
    calibrate_at_end(other, recipe, data(4800), lambda line: None)
    assert calls == ([] if expected is None else [expected])


@pytest.mark.exhaustive
def test_a_training_calibrates_what_it_saves(tmp_path):
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(5200) / 4)[:, None] + 0.3 * rng.normal(size=[5200, 1])
    changes = {
        "training.steps": 500, "training.window": 16, "training.batch_size": 4, "model.units": 4,
        "model.layers": 1, "training.sample_every": 0, "training.histogram_every": 0,
    }  # fmt: skip
    recipe = Recipe("gru").override(changes)
    model = zoo.get(train(recipe, tmp_path, data=values.astype(np.float32), progress=False))
    assert model.calibration.horizon == 24 and model.calibration.facts["origins"] == 64
    plain, moved = (
        model.forecast(values[:40], 24, 50, seed=1, calibrated=each).samples
        for each in (False, True)
    )
    assert np.any(plain != moved)
