"""How columns look as if they were recorded, as settings."""

import numpy as np
import pytest

from tfgen.data import Feature, Sequences
from tfgen.data.found import find_period, find_recording
from tfgen.data.recording import set_recording
from tfgen.recipe import DataConfig

RNG = np.random.default_rng(0)
COUNT = 3000
WALK = np.cumsum(RNG.normal(0, 25, COUNT)) % 360
COLUMNS = {
    "dir": np.round(WALK / 10) * 10,
    "rain": np.round(RNG.normal(-0.5, 1, COUNT).clip(0, None), 1),
    "share": RNG.normal(0.9, 1, COUNT).clip(0, 1),
    "knots": np.round(np.round(RNG.normal(20, 6, COUNT)) * 1.150779, 2),
    "sold": RNG.poisson(3, COUNT),
    "many": RNG.poisson(400, COUNT),
    "odd": 0.25 + 0.5 * RNG.integers(0, 30, COUNT),
    "x": RNG.normal(size=COUNT),
}


def made(*names, **features):
    values = np.stack([COLUMNS[name] for name in names], axis=1).astype(np.float32)
    features = tuple(features.get(name, Feature(name)) for name in names)
    return Sequences("made", "series", features, [values], ["0"])


def test_settings_are_found_and_hold():
    sequences = made(*COLUMNS)
    found = find_recording(sequences, DataConfig())
    knots = found["resolution"].pop(2)
    assert knots.startswith("knots=1.150") or knots == "knots=auto"
    assert found == {
        "circular": ["dir=360"],
        "resolution": ["dir=10", "rain=0.1", "sold=1", "many=1", "odd=auto"],
        "bounds": ["rain=0:", "share=0:1", "sold=0:"],
    }
    found["resolution"].append(knots)
    told = set_recording(sequences, DataConfig(**{k: tuple(v) for k, v in found.items()}))
    assert [each.name for each in told.features if each.is_count] == ["sold"]
    # What is said is not found again.
    assert not any(find_recording(told, DataConfig()).values())


def test_what_shows_nothing_says_nothing():
    assert not any(find_recording(made("x"), DataConfig()).values())
    few = made("rain")
    few.values = [few.values[0][:40]]
    assert not any(find_recording(few, DataConfig()).values())
    bounded = made("rain", rain=Feature("rain", high=9.0))
    assert find_recording(bounded, DataConfig())["bounds"] == []


@pytest.mark.parametrize(
    ("column", "period"),
    [
        (WALK, 360.0),
        (WALK - 180, 360.0),
        (np.arange(500) % 24, 24.0),
        (RNG.uniform(0, 360, 2000), None),  # half turns are as often as whole ones
        (np.linspace(0, 360, 500), None),
        (WALK / 2, None),
    ],
)
def test_circles_are_told_by_how_values_cross_their_ends(column, period):
    assert find_period([column.astype(np.float32)]) == period
