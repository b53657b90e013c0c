"""`refit`: a model trained again, from new weights or its own, on other data."""

import numpy as np
import pytest

from tests.training.test_averaging import DATA, gru
from tfgen import models
from tfgen.errors import InputError
from tfgen.training import refit

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")


def model():
    found = gru()
    settings = {
        "training.steps": 3, "training.learning_rate": 0.01, "training.validate_every": 0,
        "training.choose_on": "half", "training.start_from": "/gone", "training.warmup_steps": 0,
        "data.name": "gone.csv", "data.columns": ["x"],
    }  # fmt: skip
    found.recipe = found.recipe.override(settings)
    return found


def distance(one, other):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def test_anew_it_learns_other_data_from_the_first_weights():
    first, high = model(), DATA.cut([(0, 120)])
    high.values[0] = high.values[0] + 100
    before = [weight.copy() for weight in first.get_weights()]
    found = refit(first, high)
    # Its scaling is that of what it was trained on.
    assert 90 < found.generate(1, 4, seed=1).mean() < 110
    assert found.recipe.training.steps == 3 and found.recipe.model == first.recipe.model
    for one, other in zip(first.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_further_it_goes_on_from_its_own_weights():
    first = model()
    first.set_weights([weight + 0.3 for weight in first.get_weights()])
    near = refit(first, DATA.cut([(0, 120)]), further=1)
    far = refit(first, DATA.cut([(0, 120)]))
    # Adam's first step is at most the learning rate, and what decays.
    assert 0 < distance(near, first) < 0.02 < 0.2 < distance(far, first)
    assert near.recipe.training.steps == 1


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(InputError, match="further"):
        refit(model(), DATA, further=0)
    with pytest.raises(InputError, match="by its recipe, and this one has none"):
        refit(models.make("gru", units=4, processor=gru().processor), DATA)
