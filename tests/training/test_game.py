"""A training of two players: it resumes to the bit, on two devices as on one, and tells of both."""

import numpy as np
import pytest
import tensorflow as tf

from tests.event_files import scalars
from tests.training.combinations import UNWATCHED, settings, write_data
from tests.training.test_trainer import assert_resumes
from tfgen import models
from tfgen.errors import InputError
from tfgen.recipe import Recipe
from tfgen.training import train
from tfgen.training.data import open_data
from tfgen.training.game import GameWatch

pytestmark = pytest.mark.usefixtures("op_by_op")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


def recipe_of(folder, kind="strokes", **changes):
    given = {**UNWATCHED, "training.accumulate": 1, **changes}
    return Recipe("gan").override(settings("gan", kind, folder, **given))


@pytest.mark.long
def test_a_run_stopped_and_resumed_ends_with_the_same_bits(folder, tmp_path, monkeypatch):
    """With the states of both optimizers, of which one waits for its turn at the stop."""
    changes = {"model.critic_steps": 2, "model.spectral_norm": True, "training.window": 8}
    arrays = assert_resumes(recipe_of(folder, **changes), tmp_path, monkeypatch)
    counts = [int(each) for name, each in arrays.items()
              if name.startswith("optimizer/") and each.ndim == 0 and each.dtype.kind == "i"]  # fmt: skip
    assert sorted(counts) == [6, 12, 12]  # steps of the generator, of the critic, of both
    kernels = [each for name, each in arrays.items()
               if name.startswith("model/critic/") and name.endswith("kernel")]  # fmt: skip
    assert kernels
    for kernel in kernels:  # the power method is a little below
        assert np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2) < 1.1


def test_what_a_validation_tells_is_that_of_a_round(folder, tmp_path):
    recipe = recipe_of(folder)
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing)
    writer = tf.summary.create_file_writer(str(tmp_path))
    GameWatch(model, data.windows).write(writer, 3)
    writer.close()
    found = {name: values[0] for name, values in scalars(tmp_path).items()}
    assert set(found) == {
        "gan/critic_loss", "gan/generator_loss", "gan/gradient_penalty", "gan/critic_of_real",
        "gan/critic_of_training", "gan/critic_of_generated",
    }  # fmt: skip
    assert all(step == 3 for step, _ in found.values())
    # log(1 + e^-x) and log(1 + e^x) are x apart.
    apart = found["gan/critic_of_real"][1] - found["gan/critic_of_generated"][1]
    losses = found["gan/generator_loss"][1] - found["gan/critic_loss"][1]
    assert losses == pytest.approx(apart, abs=1e-5)


def test_a_game_is_not_chosen_by_forecasts(folder, tmp_path):
    recipe = recipe_of(folder, "series", **{"training.choose_by": "forecasts"})
    with pytest.raises(InputError, match="is for models that forecast, and a gan does not"):
        train(recipe, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "recipe.toml").exists()
