"""Training on a model's own windows: what is drawn, where it is moved to, and a whole run."""

import numpy as np
import pytest
import tensorflow as tf

from tests.event_files import open_events, scalars
from tests.training.combinations import UNWATCHED, settings, write_data
from tests.training.test_trainer import assert_resumes
from tfgen import models
from tfgen.errors import InputError
from tfgen.models.engines.denoiser import Denoiser
from tfgen.models.engines.diffusion_runs import Choices
from tfgen.models.engines.diffusion_windows import draw_window
from tfgen.models.numbers.seams import border_steps, spread_change
from tfgen.recipe import Recipe
from tfgen.sampling import random
from tfgen.sampling.windows import begin
from tfgen.training import self_forcing, train
from tfgen.training.data import open_data
from tfgen.training.objectives import open_objective, settle_objective
from tfgen.zoo import get

pytestmark = pytest.mark.usefixtures("op_by_op")

KEY = random.root(7, random.DROPOUT)
FORCED = {
    "model.noise_levels": "independent", "training.accumulate": 1,
    "training.rollout": "self_forcing", "training.rollout_windows": 3,
    "generation.num_steps": 2, "generation.solver": "consistency",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    recipe = recipe_of(folder).override({"training.rollout": None, "training.rollout_windows": 8})
    models.build(recipe, open_data(recipe).preprocessing).save(folder / "start")
    return folder


def recipe_of(folder, kind="series", **changes):
    given = {**UNWATCHED, **FORCED, **changes}
    return Recipe("unet1d").override(settings("unet1d", kind, folder, **given))


def opened(folder, **changes):
    recipe, _ = settle_objective(recipe_of(folder, **changes))
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing)
    objective = open_objective(model, recipe.training, 8)
    objective.beside.begin()
    return model, data.windows["train"], objective


class Denoises:
    """Stands for a model whose every position is Gaussian around `mean`, with variance 1."""

    def __init__(self, mean, real):
        self.mean = mean
        self.engine = self
        self.denoiser = self
        self.real = real.engine.denoiser
        for name in ("emission", "context", "covariates", "sigma_min", "noise_schedule"):
            setattr(self, name, getattr(self.real, name))

    def __call__(self, given):
        def denoise(x, sigma):
            variance = tf.square(sigma)[:, None, None]
            return (x + variance * self.mean) / (1 + variance)

        return denoise


def exact(model, mean):
    stand_in = Denoises(mean, model)
    stand_in.denoiser = type("D", (), {
        **{name: getattr(model.engine.denoiser, name)
           for name in ("emission", "context", "covariates", "sigma_min", "noise_schedule")},
        "denoiser": staticmethod(stand_in),
    })  # fmt: skip
    stand_in.engine = type("E", (), {"denoiser": stand_in.denoiser})
    return stand_in


def batch_of(model, windows, number=0):
    return model.unpack(tf.nest.map_structure(tf.constant, windows.batch(number)))


def test_windows_are_those_of_a_run(folder):
    model, windows, objective = opened(folder, **{"generation.num_steps": 3})
    told = {"start_time": batch_of(model, windows)["times"][:, 0]}
    state = begin(objective.plan, 8, model.engine.emission.channels)
    choices = Choices("consistency", windows=objective.plan, guided=False)
    arguments = {**told, "num_steps": tf.constant(3), "guidance_scale": tf.constant(1.0)}
    for number in range(3):
        key = random.fold(KEY, number)
        _, x = objective.drawn(state, told, key)
        rolled = random.fold(key, 31)
        _, state = draw_window(model.engine.runs, choices, arguments, state, rolled)
        np.testing.assert_allclose(x, state.x, rtol=1e-4, atol=1e-4)


def test_a_row_goes_on_until_it_begins_anew_told_something_else(folder):
    model, windows, objective = opened(folder)
    state = objective.initial_state(windows.batch(0))
    begun, seen = [], []
    for number in range(4):
        batch = batch_of(model, windows, number)
        _, _, state = objective.batch_total(batch, random.fold(KEY, number), state, True)
        begun.append(batch["times"][:, 0].numpy())
        seen.append((state["index"].numpy().tolist(), state["told"]["start_time"].numpy()))
    assert [index for index, _ in seen] == [[1] * 8, [2] * 8, [3] * 8, [1] * 8]
    for (_, told), number in zip(seen, (0, 0, 0, 3)):
        np.testing.assert_array_equal(told, begun[number])


@pytest.mark.parametrize("critic, wanted", [(0.0, "towards"), (2.0, "nowhere")])
def test_a_window_moves_from_where_the_critic_is_to_where_the_teacher_is(folder, critic, wanted):
    """Both are Gaussian, so their answers differ by sigma^2 / (1 + sigma^2) of their means."""
    model, _, objective = opened(folder)
    teacher, critic = exact(model, 2.0), exact(model, critic)
    objective.beside.teacher, objective.beside.critic = teacher, critic
    clean = random.normal(KEY, [8, objective.plan.size, model.engine.emission.channels])
    counted = tf.ones_like(clean)
    moved = objective._matched(clean, counted, {}, {}, KEY) - clean
    if wanted == "nowhere":
        np.testing.assert_array_equal(moved, 0)
        return
    moved = moved.numpy()
    assert (moved > 0).all()
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1, :1], moved.shape), rtol=1e-3)
    # In units of how far the teacher moves a row: |E clean - E teacher| is about the distance to 2.
    sigma = objective._levels(KEY, [8]).numpy()
    noise = random.normal(random.fold(KEY, 33), clean.shape).numpy()
    x = clean.numpy() + sigma[:, None, None] * noise
    share = (sigma**2 / (1 + sigma**2))[:, None, None]
    far = np.abs(clean - (x * (1 - share) + share * 2.0)).mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(moved, share * 2.0 / far * np.ones_like(moved), rtol=1e-3)


def test_a_regression_leads_to_what_the_teacher_makes_of_noise(folder):
    """Of a mean known exactly, all that has much noise on it goes most of the way there."""
    model, _, objective = opened(folder, **{"training.rollout": "teacher_regression"})
    assert objective.beside.critic is None and not objective.beside.trained
    objective.beside.teacher = exact(model, 5.0)
    clean = tf.zeros([8, objective.plan.size, model.engine.emission.channels])
    distances = [
        5.0 - objective._regressed(clean, {}, random.fold(KEY, number)).numpy().mean()
        for number in range(12)
    ]
    assert min(distances) < 0.5 and max(distances) > 4.5  # by the level that was drawn


@pytest.mark.parametrize("rollout", ["self_forcing", "teacher_regression"])
def test_what_learns_of_what(folder, rollout):
    model, windows, objective = opened(folder, **{"training.rollout": rollout})
    state = objective.initial_state(windows.batch(0))
    weights = [*model.trainable_variables, *objective.beside.trained]
    with tf.GradientTape() as tape:
        total, count, _ = objective.batch_total(batch_of(model, windows), KEY, state, True)
    slopes = tape.gradient(total, [each.value for each in weights])
    norms = [0.0 if each is None else float(tf.norm(each)) for each in slopes]
    ours = len(model.trainable_variables)
    # The critic is still the teacher, so that nothing moves but the critic itself.
    if rollout == "self_forcing":
        assert max(norms[:ours]) == 0 < max(norms[ours:])
    else:
        assert max(norms[:ours]) > 0
    plan = objective.plan
    assert float(count) == 8 * (plan.commit + plan.look_ahead) * model.engine.emission.channels


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model.noise_levels": "shared"}, "trained with model.noise_levels=independent"),
        ({"generation.windows": "rolling"}, "windows that are drawn to their end"),
        ({"generation.windows": "whole"}, "windows that are drawn to their end"),
        ({"generation.solver": "heun"}, "one evaluation a step"),
        ({"training.accumulate": 2}, "windows that are rolled out are one state"),
        ({"model.energy": True}, "no energies"),
    ],
)
def test_what_does_not_fit_is_refused(folder, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        opened(folder, **changes)
    assert "\n" not in str(caught.value) and "Received: " in str(caught.value)


def test_it_begins_from_a_model_that_denoises(folder, tmp_path):
    with pytest.raises(InputError, match="training.rollout trains a model further"):
        train(recipe_of(folder), tmp_path / "run", progress=False)
    model, _, _ = opened(folder)
    model.save(tmp_path / "student")
    recipe = recipe_of(folder, **{"training.start_from": str(tmp_path / "student")})
    with pytest.raises(InputError, match="needs a teacher that denoises"):
        train(recipe, tmp_path / "run", progress=False)
    alone = recipe_of(folder, **{"training.rollout": None, "training.rollout_windows": 8})
    with pytest.raises(InputError, match="trained by training.rollout"):
        train(alone.override({"model.distilled": True}), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_model_that_draws_in_few_steps_does_nothing_else(folder):
    model, _, _ = opened(folder)
    assert np.stack(model.generate(num_samples=2, length=40, seed=1)).shape == (2, 40, 3)
    series = np.zeros((20, 3), np.float32)
    for call, given in (("forecast", [8]), ("score", []), ("encode", []), ("impute", [])):
        with pytest.raises(InputError, match=f"This model has no {call}: .* few steps"):
            getattr(model, call)(series, *given)
    names = [each.name for each in model.engine.functions(model.defaults)]
    assert names == ["generate", "stream"]
    assert not model.can("forecast")


def quick_network(self, given, drop=None, record=None):
    """What is soon computed, of all weights."""

    def network(inputs, c_noise, estimate=None):
        weights = self.network.trainable_weights
        total = tf.add_n([tf.reduce_sum(tf.square(each.value)) for each in weights])
        return inputs * tf.sin(total)

    return network


@pytest.mark.long
@pytest.mark.parametrize("rollout", ["self_forcing", "teacher_regression"])
def test_a_run_stopped_and_resumed_ends_with_the_same_bits(folder, tmp_path, monkeypatch, rollout):
    monkeypatch.setattr(self_forcing, "_WATCHED", 3)
    monkeypatch.setattr(Denoiser, "_network", quick_network)
    given = {
        "training.start_from": str(folder / "start"), "training.rollout": rollout,
        "training.patience": 3, "training.rollout_critic_steps": 2,
    }  # fmt: skip
    arrays = assert_resumes(recipe_of(folder, **given), tmp_path, monkeypatch)
    names = {name.split("/")[1] for name in arrays if name.startswith("model/")}
    assert {"teacher", "critic"} & names == (
        {"teacher", "critic"} if rollout == "self_forcing" else {"teacher"}
    )
    start = get(folder / "start")
    frozen = {name: each for name, each in arrays.items() if name.startswith("model/teacher/")}
    for weight in start.weights:  # not moved by a bit
        np.testing.assert_array_equal(frozen.pop(f"model/teacher/{weight.path}"), weight)
    assert not frozen
    told = scalars(tmp_path / "parts" / "logs" / "validation")
    assert {"rollout/change_of_spread", "rollout/steps_at_borders"} <= told.keys()
    events = open_events(tmp_path / "parts" / "logs" / "validation")
    assert "rollout/windows" in events.Tags()["tensors"]
    student = get(tmp_path / "whole")
    assert student.recipe.model["distilled"] and student.recipe.training.patience == 0
    moved = [np.abs(a.numpy() - b.numpy()).max() for a, b in zip(student.weights, start.weights)]
    assert max(moved) > 1e-4


def test_seams_and_drift_by_hand():
    x = np.zeros((1, 8, 1))
    x[0, :, 0] = [0, 1, 0, 1, 5, 4, 5, 4]  # steps of 1 within, of 4 across
    assert border_steps(x, 4) == 16
    x[0, :, 0] = [0, 1, 0, 1, 0, 3, 0, 3]
    assert spread_change(x, 0.5) == pytest.approx(2)
