"""Contrastive divergence: what its gradient is, where its chains go, and a training by it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.event_files import scalars
from tests.training.combinations import UNWATCHED, settings, write_data
from tests.training.test_trainer import assert_resumes
from tfgen import models
from tfgen.errors import InputError
from tfgen.models.engines.denoiser import Denoiser
from tfgen.recipe import Recipe
from tfgen.sampling import random
from tfgen.training import train
from tfgen.training.data import open_data
from tfgen.training.refinement import Refinement
from tfgen.zoo import get

pytestmark = pytest.mark.usefixtures("op_by_op")

KEY = random.root(5, random.DROPOUT)
# Batches of 8 rows are two ladders.
REFINED = {
    "model.energy": True, "training.accumulate": 1, "training.refine": "contrastive_divergence",
    "training.refine_levels": 4, "training.persistent_chains": 16, "training.restart_share": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


def recipe_of(folder, kind="plain.csv", **changes):
    given = {**UNWATCHED, **REFINED, **changes}
    return Recipe("unet1d").override(settings("unet1d", kind, folder, **given))


def opened(folder, kind="plain.csv", **changes):
    recipe = recipe_of(folder, kind, **changes)
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing)
    return model, data.windows, Refinement(model, recipe.training, 8)


def plainly(monkeypatch, model, energy):
    """Has a model an energy that is told nothing."""
    monkeypatch.setattr(model.engine.denoiser, "energies", lambda given, drop=None: energy)


def test_the_gradient_on_a_gaussian_is_the_difference_of_moments(folder, monkeypatch):
    model, windows, refinement = opened(folder)
    mean, precision, seen = tf.Variable(0.5), tf.Variable(0.8), []

    def energy(x, sigma):
        seen.append(x.numpy())
        linear, squares = (tf.reduce_sum(each, axis=[1, 2]) for each in (x, tf.square(x)))
        return precision * squares / 2 - mean * linear

    plainly(monkeypatch, model, energy)
    batch = model.unpack(tf.nest.map_structure(tf.constant, windows["train"].batch(0)))
    refinement.model = type("Silent", (), {"batch_total": lambda *_: (0.0, 10.0, None)})
    with tf.GradientTape() as tape:
        total, count, _ = refinement.batch_total(batch, KEY, training=True)
    slopes = tape.gradient(total, [mean, precision])
    data, chains = np.split(seen[-1], 2)  # what the weights learn of
    assert np.abs(data - chains).max() > 0.1
    weight = refinement.config.refine_weight * count
    first = (data.sum(axis=(1, 2)) - chains.sum(axis=(1, 2))).mean()
    second = ((data**2).sum(axis=(1, 2)) - (chains**2).sum(axis=(1, 2))).mean()
    np.testing.assert_allclose(slopes, [-weight * first, weight * second / 2], rtol=1e-4)


LADDERS, LEVELS = 32, 8
MODES, SPREAD = np.float32([-1.5, 1.5]), 0.2


class Mixture:
    """32 ladders of 8 levels, of an energy whose two modes have `share(logits)` of it left.

    Args:
        opened: As of `opened`.
        monkeypatch: The fixture.
        left: Share of the data in the left mode.
        logits: Of each level, a variable or constant `(8,)`.
    """

    def __init__(self, opened, monkeypatch, left, logits):
        model, windows, self.refinement = opened
        self.logits = logits
        plainly(monkeypatch, model, self.energy)
        kept = model.unpack(tf.nest.map_structure(tf.constant, windows["train"].batch(0)))
        self.batch = {name: tf.repeat(each, LADDERS, axis=0) for name, each in kept.items()}
        shape = [LADDERS * LEVELS, 2, model.engine.emission.channels]
        mode = np.where(np.arange(LADDERS) < left * LADDERS, *MODES)
        data = tf.broadcast_to(np.repeat(mode, LEVELS)[:, None, None].astype("f4"), shape)
        noise = SPREAD * np.random.default_rng(1).normal(size=shape).astype("f4")
        clean = data + noise, tf.ones(shape, tf.bool)
        model.engine.denoiser.emission.call = lambda batch, key=None: clean
        age = tf.zeros(shape[:1], tf.int32)
        self.state = {"age": age, "batch": self.batch, "x": tf.zeros(shape)}

    def energy(self, x, sigma):
        variance = SPREAD**2 + tf.square(sigma)[:, None]
        logits = tf.tile(self.logits, [x.shape[0] // LEVELS])
        weights = tf.stack([tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)], axis=-1)
        apart = tf.reduce_sum(tf.square(x[..., None] - MODES), axis=[1, 2])
        return -tf.reduce_logsumexp(weights - apart / (2 * variance), axis=-1)


OF_MIXTURES = {
    "training.persistent_chains": 8, "training.restart_share": 0.0, "training.window": 2,
    "training.refine_levels": LEVELS, "training.refine_step_size": 1.0,
}  # fmt: skip


@pytest.mark.long
def test_persistent_chains_come_to_the_known_shares_of_modes(folder, monkeypatch, as_graphs):
    """Data lie in the left mode alone; the energy has a quarter of its weight there.

    A chain that never leaves its mode would stay left.
    """
    logits = tf.fill([LEVELS], np.float32(np.log(0.25 / 0.75)))
    mixture = Mixture(opened(folder, **OF_MIXTURES), monkeypatch, 1.0, logits)

    @tf.function(autograph=False)
    def turn(state, number):
        found = mixture.refinement.contrast(mixture.batch, random.fold(KEY, number), state)
        return found.state, found.acceptance

    state, lowest, shares = mixture.state, [], []
    for number in range(240):
        state, acceptance = turn(state, tf.constant(number))
        lowest.append(state["x"].numpy()[::LEVELS])  # at the level 0.1
        shares.append((lowest[-1].mean(axis=(1, 2)) < 0).mean())
    assert shares[0] > 0.9
    assert abs(np.mean(shares[80:]) - 0.25) < 0.06
    right = np.concatenate([x[x.mean(axis=(1, 2)) > 0] for x in lowest[80:]])
    assert abs(right.mean() - 1.5) < 0.03
    assert abs(right.std() - np.hypot(SPREAD, 0.1)) < 0.02
    assert 0.3 < acceptance.numpy().mean() < 1
    assert (state["age"].numpy() == 240).all()


@pytest.mark.long
def test_it_learns_the_weights_of_modes_far_apart(folder, monkeypatch, as_graphs):
    """Of the data three quarters lie left; the energy begins with a half at each level."""
    logits = tf.Variable(tf.zeros([LEVELS]))
    mixture = Mixture(opened(folder, **OF_MIXTURES), monkeypatch, 0.75, logits)

    @tf.function(autograph=False)
    def learn(state, number):
        with tf.GradientTape() as tape:
            found = mixture.refinement.contrast(mixture.batch, random.fold(KEY, number), state)
            loss = tf.reduce_mean(found.data - found.chains)
        logits.assign_sub(0.4 * tape.gradient(loss, logits))
        return found.state

    state, shares = mixture.state, []
    for number in range(600):
        state = learn(state, tf.constant(number))
        shares.append(tf.sigmoid(logits).numpy())
    assert abs(np.mean(shares[300:], axis=0)[:4] - 0.75).max() < 0.08


def test_a_ladder_keeps_what_it_is_told_until_it_begins_anew(folder, monkeypatch):
    model, windows, refinement = opened(folder, "strokes")
    plainly(monkeypatch, model, lambda x, sigma: tf.reduce_sum(tf.square(x), axis=[1, 2]) / 2)
    first, second = (
        model.unpack(tf.nest.map_structure(tf.constant, windows["train"].batch(number)))
        for number in (0, 1)
    )
    state = refinement.initial_state(windows["train"].batch(0))
    assert state["x"].shape[0] == 16 and not state["age"].numpy().any()
    told = []
    for number, batch in enumerate((first, second)):
        state = refinement.contrast(batch, random.fold(KEY, number), state).state
        told.append(batch["values"].numpy()[[0, 0, 0, 0, 4, 4, 4, 4]])
    assert (state["age"].numpy() == 1).all()  # each half had a turn, all of them their first
    for half, values in zip(np.split(state["batch"]["values"].numpy(), 2), told):
        np.testing.assert_array_equal(half, values)
    object.__setattr__(refinement.config, "restart_share", 0.0)
    after = refinement.contrast(second, random.fold(KEY, 3), state).state
    np.testing.assert_array_equal(after["batch"]["values"][8:], told[0])
    assert after["age"].numpy().tolist() == [1] * 8 + [2] * 8
    assert np.abs(after["x"][8:] - state["x"][:8]).max() > 1e-3


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model.energy": False}, "models made with model.energy=true have"),
        ({"training.refine_levels": 3}, "refine_levels must divide the 8 rows"),
        ({"training.persistent_chains": 12}, "must be a multiple of training.batch_size"),
        ({"training.refine_sigma_min": 4.0}, "must be at most training.refine_sigma_max"),
        ({"training.accumulate": 2, "training.refine_levels": 2}, "chains are one state"),
    ],
)
def test_what_does_not_fit_is_refused(folder, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        opened(folder, **changes)
    assert "\n" not in str(caught.value) and "Received: " in str(caught.value)


def test_it_begins_from_a_model(folder, tmp_path):
    with pytest.raises(InputError, match="training.refine trains a model further"):
        train(recipe_of(folder), tmp_path / "run", progress=False)
    with pytest.raises(InputError, match="training.refine is for diffusion models"):
        recipe_of(folder).training.check_used("series", "autoregressive")


@pytest.fixture(scope="module")
def start(folder):
    recipe = recipe_of(folder)
    model = models.build(recipe, open_data(recipe).preprocessing)
    model.save(folder / "start")
    return folder / "start"


def quickly(monkeypatch):
    """Has energies and losses that are soon computed, each of the weights that learn by it."""

    def total(model):
        return tf.add_n([tf.reduce_sum(tf.square(each.value)) for each in model.trainable_weights])

    def loss(self, batch, key=None, state=None, training=False):
        return total(self.network), 1.0, state

    def energy(self, *batches):
        scale = 1 + tf.square(total(self.denoiser.network))
        return lambda x, sigma: scale * tf.reduce_sum(tf.square(x), axis=[1, 2]) / (1 + sigma)

    monkeypatch.setattr(Denoiser, "loss", loss)
    monkeypatch.setattr(Refinement, "_energy", energy)


@pytest.mark.long
def test_a_run_stopped_and_resumed_ends_with_the_same_bits(folder, start, tmp_path, monkeypatch):
    quickly(monkeypatch)
    recipe = recipe_of(folder, **{"training.start_from": str(start)})
    arrays = assert_resumes(recipe, tmp_path, monkeypatch)
    state = {name: each for name, each in arrays.items() if name.startswith("state/")}
    ages = state["state/0"]
    assert ages.shape == (16,) and ages.min() >= 1 and ages.max() == 6  # 12 steps, two halves
    told = scalars(tmp_path / "parts" / "logs" / "validation")
    gap, data, chains = (
        np.array([value for _, value in told[f"refinement/{name}"]])
        for name in ("gap", "energy_of_data", "energy_of_chains")
    )
    np.testing.assert_allclose(gap, data - chains, rtol=1e-3, atol=1e-3)
    levels = [values for name, values in told.items() if name.startswith("refinement_gap/")]
    np.testing.assert_allclose(
        np.mean([[value for _, value in each] for each in levels], axis=0),
        gap,
        rtol=1e-3,
        atol=1e-3,
    )
    # The last weights are the model's, whatever a validation said.
    last = {name: each for name, each in arrays.items() if name.startswith("model/")}
    model = get(tmp_path / "parts")
    best = [arrays[f"best/{weight.path}"] for weight in model.weights]
    for weight, kept in zip(model.weights, best):
        np.testing.assert_array_equal(weight.numpy(), kept)
    assert len(last) == len(best)


def test_a_step_learns_by_both_losses(folder, monkeypatch):
    model, windows, refinement = opened(
        folder, **{"training.persistent_chains": 0, "training.restart_share": 0.02}
    )
    plainly(monkeypatch, model, lambda x, sigma: tf.reduce_sum(tf.square(x), axis=[1, 2]) / 2)
    batch = model.unpack(tf.nest.map_structure(tf.constant, windows["train"].batch(0)))
    total, count, state = refinement.batch_total(batch, KEY, None, training=True)
    plain, same, _ = model.batch_total(batch, KEY, None, training=True)
    found = refinement.contrast(batch, KEY)
    assert state is None and float(count) == float(same)
    gap = np.mean(found.data - found.chains)
    np.testing.assert_allclose((total - plain) / count, 0.01 * gap, rtol=1e-3)
    # A row with a gap is told from one without.
    values = batch["values"].numpy()
    values[0, 0, 0] = np.nan
    holed = refinement.contrast({**batch, "values": tf.constant(values)}, KEY)
    assert holed.counts.numpy().tolist() == [0.0] + [1.0] * 7
