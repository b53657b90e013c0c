"""`average`: when weights are averaged, when a mixture is made, and what is refused."""

import keras
import numpy as np
import pytest

from tfgen import models
from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.models.engines.mixture import Mixture
from tfgen.preprocessing import CharacterTokenizer, SequenceProcessor
from tfgen.recipe import PreprocessingConfig, Recipe
from tfgen.training import average

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

WAVE = np.sin(np.arange(200, dtype=np.float32) / 3)[:, None]
DATA = Sequences("wave", "series", (Feature("x"),), [WAVE], ["0"])
PROCESSOR = SequenceProcessor.fit(DATA, PreprocessingConfig())


def gru(processor=PROCESSOR, seed=1, **arguments):
    recipe = Recipe("gru", {"units": 6, "layers": 1, "components": 1, **arguments}).override(
        {"training.window": 10, "training.batch_size": 4, "training.seed": seed}
    )
    return models.build(recipe, processor)


@pytest.fixture(scope="module")
def trained():
    from eager import eagerly

    with eagerly():
        model = gru()
        model.compile(keras.optimizers.Adam(0.02))
        windows = np.lib.stride_tricks.sliding_window_view(WAVE[:160, 0], 10)[::3, :, None]
        model.fit(windows, epochs=12, batch_size=16, verbose=0)
    return model


def moved(model, amount):
    rng, other = np.random.default_rng(0), gru()
    weights = [w + amount * rng.normal(size=w.shape) for w in model.get_weights()]
    other.set_weights(weights)
    return other


def reordered(model):
    """The same model with its hidden units in the reverse order: of a GRU, in each gate."""
    other = gru()
    weights = [weight.numpy() for weight in model.weights]
    paths = [weight.path for weight in model.weights]
    units = 6
    for number, (path, weight) in enumerate(zip(paths, weights)):
        if weight.ndim and weight.shape[-1] == 3 * units:
            weight = weight.reshape(*weight.shape[:-1], 3, units)[..., ::-1]
            weights[number] = weight.reshape(*weight.shape[:-2], 3 * units)
        if weight.ndim and weights[number].shape[0] == units and "kernel" in path:
            weights[number] = weights[number][::-1]
    other.set_weights(weights)
    return other


@pytest.mark.long
def test_weights_around_a_minimum_are_averaged(trained):
    said = []
    found = average([moved(trained, 0.03), moved(trained, -0.03)], DATA, say=said.append)
    assert not isinstance(found.engine, Mixture) and found.recipe.model == trained.recipe.model
    for one, other in zip(found.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert said[0].startswith("The average of the weights of 2 models: validation loss ")


@pytest.mark.long
def test_of_the_same_model_in_another_order_weights_have_no_average(trained):
    said, other = [], reordered(trained)
    scores = [model.score(WAVE[:40]) for model in (trained, other)]
    assert scores[0]["log_likelihood"] == pytest.approx(scores[1]["log_likelihood"], rel=1e-4)
    found = average([trained, other], DATA, say=said.append)
    assert isinstance(found.engine, Mixture) and found.recipe.model["members"] == 2
    assert found.score(WAVE[:40])["log_likelihood"] == pytest.approx(
        scores[0]["log_likelihood"], rel=1e-4
    )
    assert said[0].startswith("A mixture of 2 models: validation loss ")
    # Without data nothing tells.
    near = average([trained, moved(trained, 0.0)], say=said.append)
    assert isinstance(near.engine, Mixture) and "no data to measure" in said[-1]


def test_what_is_not_alike_is_refused():
    model = gru()

    def refused(*members, **options):
        with pytest.raises(InputError) as caught:
            average(members, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "at least two models" in refused(model)
    assert "of models of tfgen" in refused(model, "gru-weather")
    lstm = models.build(Recipe("lstm"), PROCESSOR)
    assert "two families. Received: gru, lstm" in refused(model, lstm)
    names = {"names": ["a", "b"]}
    assert "a and b differ in model.units. Received: 6, 7" in refused(model, gru(units=7), **names)
    scaled = SequenceProcessor.fit(DATA, PreprocessingConfig(scaler="robust"))
    assert "read data differently" in refused(model, gru(scaled))
    mixture = average([model, gru(seed=2)])
    assert "model 1 is a mixture already" in refused(mixture, mixture)


def test_texts_have_no_mixture():
    tokenizer = CharacterTokenizer("ab")
    recipe = Recipe("gru", {"units": 4, "layers": 1})
    one, other = (
        models.build(recipe.override({"training.seed": seed}), tokenizer) for seed in (1, 2)
    )
    with pytest.raises(InputError, match="Models of text have no mixture"):
        average([one, other])
    with pytest.raises(InputError, match="two kinds of data. Received: text, series"):
        average([one, gru()])
