"""The weights that forecast best are kept, where a recipe asks for that."""

import numpy as np
import pandas as pd
import pytest

from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.evaluation import forecasts
from tfgen.models.numbers.results import Forecast
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import Recipe
from tfgen.training import choose
from tfgen.training.data import open_data
from tfgen.training.forecast_validation import ForecastValidation

RNG = np.random.default_rng(0)
FEATURES = Feature("a"), Feature("kind", levels=("x", "y")), Feature("b")


class Model:
    """Forecasts normal numbers about the last value of each column."""

    max_positions, history, recipe = None, 0, Recipe("gru").override({"training.window": 30})

    def __init__(self, sequences):
        self.processor, self.drawn = SequenceProcessor.fit(sequences), []

    def forecast(self, context, horizon, num_samples, seed):
        rng, last = np.random.default_rng(seed), np.asarray(context)[:, -1]
        shape = [len(context), num_samples, horizon, 3]
        samples = last[:, None, None] + rng.normal(size=shape)
        self.drawn.append(samples)
        return Forecast(None, {}, samples)


def sequences_of(*lengths):
    values = [
        np.stack([RNG.normal(5, 2, n), np.arange(n) % 2, RNG.normal(0, 9, n)], 1).astype(np.float32)
        for n in lengths
    ]
    values[0][-3, 0] = np.nan
    return Sequences("made", "series", FEATURES, values, [str(n) for n in range(len(values))])


def test_the_score_is_the_crps_of_numbers_by_their_spread():
    sequences = sequences_of(100, 60)
    model = Model(sequences)
    validation = ForecastValidation(model, sequences, [(80, 98), (60, 60)])
    assert (validation.horizon, validation.context) == (18, 30)
    found = validation.score()
    samples = model.drawn[0][:1][..., [0, 2]]
    truth = sequences.values[0][None, 80:98, [0, 2]]
    everything = np.concatenate(sequences.values)[:, [0, 2]]
    expected = forecasts.crps(samples, truth) / np.nanstd(everything, axis=0)
    assert np.isnan(expected).sum() == 1 and found == pytest.approx(np.nanmean(expected), rel=1e-5)
    assert validation.score() == found  # the same noise each time


def test_too_little_is_no_forecast():
    sequences = sequences_of(40, 90)
    with pytest.raises(InputError, match="too short for a forecast"):
        # The one with a long past holds out less than the horizon of the other.
        ForecastValidation(Model(sequences), sequences, [(10, 40), (80, 82)])


def test_without_a_number_the_likelihood_chooses():
    sequences = sequences_of(100)
    sequences.values[0][80:, [0, 2]] = np.nan
    with pytest.raises(InputError, match="no number of what is held out is known"):
        ForecastValidation(Model(sequences), sequences, [(80, 100)])
    frame = pd.DataFrame({"weather": np.resize(["sun", "rain", "fog"], 90)})
    assert choose(Recipe("gru"), data=frame)[0].training.choose_by == "likelihood"


def test_only_ends_that_are_held_out_are_forecast():
    frame = pd.DataFrame({"x": RNG.normal(size=200)})
    recipe = Recipe("gru").override({"training.window": 16, "training.batch_size": 2})
    sequences, bounds = open_data(recipe, data=frame).held
    assert bounds == [(180, 200)] or bounds == [(180, 190)]
    assert len(sequences.values[0]) == 200
    blocks = recipe.override({"data.split": "blocks", "data.validation_fraction": 0.4})
    assert open_data(blocks, data=frame).held is None
