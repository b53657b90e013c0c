"""What a recipe says of the update: the optimizer, its learning rate, clipping, parts of a batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly
from event_files import scalars

from tfgen import models
from tfgen.errors import InputError
from tfgen.recipe import Recipe, TrainingConfig
from tfgen.sampling import random
from tfgen.training import train
from tfgen.training.data import open_data
from tfgen.training.optimizers import WarmUp, make_optimizer, make_schedule, optimizers
from tfgen.training.step import Step


def config(**settings):
    return TrainingConfig(**{"warmup_steps": 0, "weight_decay": 0.0, "clip_norm": 0.0, **settings})


def updated(gradient, weight=(3.0, -4.0), steps=1, **settings):
    """The weight after so many steps of one gradient."""
    variable = keras.Variable(np.array(weight, np.float32), name="kernel")
    optimizer = make_optimizer(config(**settings))
    optimizer.build([variable])
    for _ in range(steps):
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    return np.asarray(variable)


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("adamw", "lion") else pytest.param(name, marks=pytest.mark.exhaustive)
        for name in sorted(optimizers())
    ],
)
def test_any_optimizer_of_keras_makes_a_quadratic_smaller(name):
    variable = keras.Variable(np.full([3, 2], 2.0, np.float32), name="kernel")
    optimizer = make_optimizer(
        config(optimizer=name, schedule="constant", learning_rate=0.1, steps=50)
    )
    assert type(optimizer).__name__.lower() == name
    optimizer.build([variable])
    for _ in range(50):
        optimizer.apply([tf.convert_to_tensor(variable)], [variable])
    # Adadelta hardly moves at the beginning, whatever its learning rate.
    assert np.all(np.asarray(variable) < (2.0 if name == "adadelta" else 1.7))


def test_the_optimizer_s_own_arguments():
    plain = updated([1.0, 2.0], optimizer="sgd", schedule="constant", learning_rate=0.1, steps=2)
    np.testing.assert_allclose(plain, [3 - 0.2, -4 - 0.4], rtol=1e-6)
    options = {"optimizer": "SGD", "schedule": "constant", "learning_rate": 0.1, "steps": 2}
    fast = updated([1.0, 2.0], optimizer_options=["momentum=0.5"], **options)
    np.testing.assert_allclose(fast, [3 - 0.1 - 0.15, -4 - 0.2 - 0.3], rtol=1e-6)


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"optimizer": "adamv"}, "Unknown training.optimizer 'adamv'. Did you mean 'adam"),
        ({"optimizer_options": ["momentum"]}, "are like 'momentum=0.9'. Received: training"),
        ({"optimizer_options": ["momentum=0.9"]}, "Unknown training.optimizer_options 'momentum'"),
        ({"optimizer_options": ["clipvalue=1"]}, "a field of its own, training.clip_value"),
        ({"optimizer_options": ["beta_1=x"]}, "are numbers, true or false. Received: training"),
        (
            {"optimizer": "sgd", "optimizer_options": ["momentum=2"]},
            "keras.optimizers.SGD refuses its options: .*momentum",
        ),
        ({"clip_norm": 1.0, "clip_value": 0.5}, "by norm or by value, not both"),
        ({"optimizer": "sgd", "beta_2": 0.9}, "average squared gradients, and sgd does not"),
        ({"schedule": "constant", "final_learning_rate": 0.001}, "and the schedule is constant"),
    ],
)
def test_what_keras_does_not_have_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        make_optimizer(config(**settings))


def test_gradients_are_clipped_by_norm_or_by_value():
    settings = {"optimizer": "sgd", "schedule": "constant", "learning_rate": 1.0}
    gradient = np.array([3.0, -4.0])
    moved = np.array([3.0, -4.0]) - updated(gradient, **settings)
    np.testing.assert_allclose(moved, gradient, rtol=1e-6)
    moved = np.array([3.0, -4.0]) - updated(gradient, clip_norm=0.5, **settings)
    np.testing.assert_allclose(moved, gradient / 10, rtol=1e-5)
    moved = np.array([3.0, -4.0]) - updated(gradient, clip_value=3.5, **settings)
    np.testing.assert_allclose(moved, [3.0, -3.5], rtol=1e-6)


@pytest.mark.parametrize("warmup", [0, 4])
def test_the_learning_rate_follows_its_schedule(warmup):
    def rates(schedule):
        given = config(
            schedule=schedule, steps=12, warmup_steps=warmup, learning_rate=0.01,
            final_learning_rate=0.002,
        )  # fmt: skip
        return [float(make_schedule(given)(step)) for step in range(13)]

    share = (np.arange(13) - warmup).clip(0) / (12 - warmup)
    expected = {
        "constant": np.full(13, 0.01),
        "linear": 0.01 - 0.008 * share,
        "cosine": 0.002 + 0.008 * (1 + np.cos(np.pi * share)) / 2,
    }
    for name, after in expected.items():
        rising = 0.01 * np.arange(13) / max(warmup, 1)
        whole = np.where(np.arange(13) < warmup, rising, after)
        np.testing.assert_allclose(rates(name), whole, rtol=1e-5)


def test_a_schedule_goes_through_its_config():
    schedule = make_schedule(config(steps=9, warmup_steps=3, final_learning_rate=1e-4))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert isinstance(again, WarmUp)
    assert [float(again(step)) for step in range(9)] == [float(schedule(k)) for k in range(9)]


# Each with noise of its own: dropout, hidden values, noise levels, hidden conditions.
FAMILIES = {
    "lstm": ("lstm", {"model.units": 8, "model.layers": 1, "model.recurrent_dropout": 0.2}),
    "gru of numbers": (
        "gru", {"model.units": 8, "model.layers": 1, "data.name": "kanji", "training.window": 24},
    ),
    "transformer": (
        "transformer",
        {"model.layers": 1, "model.heads": 2, "model.width": 8, "model.attention_dropout": 0.2},
    ),
    "unet1d": (
        "unet1d",
        {
            "data.name": "pendigits", "training.window": 8, "model.width": 8, "model.groups": 2,
            "model.multipliers": [1], "model.blocks": 1, "model.linear_attention": False,
            "model.heads": 1, "model.head_width": 8, "model.condition_dropout": 0.3,
            "model.infilling": 0.5, "model.self_condition": True,
        },
    ),
}  # fmt: skip


@pytest.fixture
def quick():
    with eagerly():
        yield


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "name",
    [
        "lstm", "gru of numbers", pytest.param("transformer", marks=pytest.mark.long),
        pytest.param("unet1d", marks=pytest.mark.exhaustive),
    ],
)  # fmt: skip
def test_a_batch_in_parts_is_the_batch_as_a_whole(name):
    """Also its noise; the parts count by how much is in them."""
    family, settings = FAMILIES[name]
    common = {
        "data.name": "names", "training.window": 12, "training.batch_size": 6,
        "model.dropout": 0.2, "training.optimizer": "sgd", "training.learning_rate": 0.1,
        "training.warmup_steps": 0, "training.weight_decay": 0.0,
    }  # fmt: skip
    recipe = Recipe(family).override({**common, **settings})
    data = open_data(recipe)
    weights = {}
    for parts in (1, 3):
        model = models.build(recipe, data.preprocessing)
        optimizer = make_optimizer(recipe.training)
        optimizer.build(model.trainable_variables)
        changed = recipe.override({"training.accumulate": parts}).training
        step = Step(model, optimizer, changed, 6)
        first = {weight.path: weight.numpy() for weight in model.trainable_variables}
        batches = [data.windows["train"].batch(number) for number in range(2)]
        batches = tf.nest.map_structure(tf.constant, batches)
        loss = [float(step(batch)[0]) for batch in batches]
        after = {weight.path: weight.numpy() for weight in model.trainable_variables}
        weights[parts] = loss, after
    np.testing.assert_allclose(weights[3][0], weights[1][0], rtol=1e-5)
    moved = max(np.abs(weights[1][1][path] - first[path]).max() for path in first)
    assert moved > 1e-3
    for path in first:
        np.testing.assert_allclose(weights[3][1][path], weights[1][1][path], atol=1e-6)


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_the_norm_of_a_table_that_is_told_row_by_row():
    family, settings = FAMILIES["unet1d"]  # whose classes are rows of a table
    recipe = Recipe(family).override({**settings, "training.batch_size": 24})
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:  # as if trained: at first nothing depends on the class
        weight.assign_add(0.1 * rng.normal(size=weight.shape))
    optimizer = make_optimizer(recipe.training)
    optimizer.build(model.trainable_variables)
    step = Step(model, optimizer, recipe.training, 24)
    batch = tf.nest.map_structure(tf.constant, data.windows["train"].batch(0))
    _, gradients = step.gradients(batch, None, 0)
    _, norms, _ = step(batch)
    for norm, group in zip(norms.numpy(), step.grouped(gradients), strict=True):
        expected = np.sqrt(sum(np.sum(np.square(each.numpy())) for each in group))
        assert norm == pytest.approx(expected, rel=1e-4)


def test_rows_of_a_part_have_the_noise_of_the_whole():
    key = random.root(0, random.DROPOUT)
    whole = random.normal(key, [6, 2, 3])
    for index in range(3):
        with random.part_of_rows(tf.constant(index), 3):
            part = random.normal(key, [2, 2, 3])
        np.testing.assert_array_equal(part, whole[2 * index : 2 * index + 2])
    np.testing.assert_array_equal(random.normal(key, [6, 2, 3]), whole)


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"training.accumulate": 4}, r"divide the 6 rows .* training\.accumulate=4$"),
        ({"training.accumulate": 2, "training.carry_state": True}, "keeps one state"),
    ],
)
def test_parts_that_cannot_be_are_refused(settings, message, tmp_path):
    common = {"data.name": "names", "training.batch_size": 6, "model.units": 8}
    recipe = Recipe("lstm").override({**common, **settings})
    with pytest.raises(InputError, match=message):
        train(recipe, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("quick")
def test_float16_scales_the_loss_and_leaves_out_what_it_cannot_hold():
    settings = {"data.name": "names", "training.window": 12, "training.batch_size": 4}
    common = {"model.units": 8, "model.layers": 1, "training.warmup_steps": 0, **settings}
    recipe = Recipe("lstm").override(common)
    data = open_data(recipe)
    batch = tf.constant(data.windows["train"].batch(0))
    found = {}
    for precision in ("float32", "mixed_float16"):
        model = models.build(recipe, data.preprocessing, precision)
        changed = recipe.override({"training.precision": precision}).training
        optimizer = make_optimizer(changed)
        optimizer.build(model.trainable_variables)
        step = Step(model, optimizer, changed, 4)
        _, gradients = step.gradients(batch, None, 0)
        first = [weight.numpy() for weight in model.trainable_variables]
        loss, norms, _ = step(batch)
        found[precision] = [np.asarray(gradient) for gradient in gradients]
        np.testing.assert_allclose(norms[0], np.linalg.norm(gradients[0]), rtol=1e-2)
    # Neither gradients nor norms are told as scaled.
    for half, whole in zip(found["mixed_float16"], found["float32"]):
        np.testing.assert_allclose(half, whole, atol=2e-3 * np.abs(whole).max() + 1e-5)
    moved = [weight.numpy() for weight in model.trainable_variables]
    assert any(np.abs(one - other).max() > 1e-4 for one, other in zip(moved, first))
    assert float(step.loss_scale) == 2**15

    step.loss_scale.assign(2.0**40)
    loss, norms, _ = step(batch)
    assert np.isfinite(loss) and not np.isfinite(norms).all()
    assert float(step.loss_scale) == 2**39 and int(optimizer.iterations) == 1
    for weight, before in zip(model.trainable_variables, moved, strict=True):
        np.testing.assert_array_equal(weight.numpy(), before)


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_float16_goes_on_where_a_step_is_left_out(tmp_path, monkeypatch):
    """And ends, as ever, where it is not the scale's fault."""
    settings = {
        "data.name": "names", "training.window": 12, "training.batch_size": 4, "model.units": 8,
        "model.layers": 1, "training.precision": "mixed_float16", "training.steps": 8,
        "training.log_every": 4, "training.sample_every": 0, "training.histogram_every": 0,
        "training.validate_every": 0, "training.validation_batches": 1,
    }  # fmt: skip
    recipe = Recipe("lstm").override(settings)
    scaled = keras.optimizers.LossScaleOptimizer
    first = {"scale": 2.0**40}
    monkeypatch.setattr(
        keras.optimizers,
        "LossScaleOptimizer",
        type("Scaled", (scaled,), {"__init__": lambda self, inner: scaled.__init__(
            self, inner, initial_scale=first["scale"])}),
    )  # fmt: skip
    train(recipe, tmp_path / "run", progress=False)
    told = {
        tag: [value for _, value in rows]
        for tag, rows in scalars(tmp_path / "run/logs/train").items()
    }
    assert told["gradients/loss_scale"] == [2.0**36, 2.0**32]
    assert told["gradients/skipped_fraction"] == [1.0, 1.0]
    assert np.isfinite(told["epoch_loss"]).all()

    first["scale"] = 0.5
    exploding = {"training.learning_rate": 1e30, "training.optimizer": "sgd"}
    exploding |= {"training.clip_norm": 0.0, "training.warmup_steps": 0}
    with pytest.raises(InputError, match="The first that was not finite"):
        train(recipe.override(exploding), tmp_path / "lost", progress=False)
