"""Scheduled sampling: what is read in place of data, what is not, and what it does to free runs."""

import numpy as np
import pytest
import tensorflow as tf

from tests.event_files import scalars
from tests.training.combinations import UNWATCHED, settings, write_data
from tests.training.test_trainer import assert_resumes
from tfgen import models
from tfgen.errors import InputError
from tfgen.recipe import Recipe
from tfgen.sampling import random
from tfgen.training import rollout_watch
from tfgen.training.data import open_data
from tfgen.training.rollout_watch import SeriesDrift, TextDrift, open_rollout_watch
from tfgen.training.scheduled_sampling import ScheduledSampling
from tfgen.zoo import get

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

KEY = random.root(5, random.DROPOUT)
OWN = {
    **UNWATCHED, "training.accumulate": 1, "training.rollout": "scheduled_sampling",
    "training.rollout_share": 1.0,
}  # fmt: skip
# A random walk with drift whose steps are known: what the head adds is as good as nothing.
WALK, DRIFT = {"model.lags": [3], "model.linear_skip": True}, 0.25


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


def recipe_of(folder, family, kind, **changes):
    return Recipe(family).override(settings(family, kind, folder, **{**OWN, **changes}))


def opened(folder, family, kind, **changes):
    recipe = recipe_of(folder, family, kind, **changes)
    data = open_data(recipe)
    model = models.build(recipe, data.preprocessing)
    return model, data.windows, ScheduledSampling(model, recipe.training)


def batch_of(model, windows, number=0):
    return model.unpack(tf.nest.map_structure(tf.constant, windows["train"].batch(number)))


def walker(folder, kind="plain.csv", **changes):
    model, windows, objective = opened(folder, "gru", kind, **{**WALK, **changes})
    residual = model.engine.emission.reference.residual
    residual.drift.assign(tf.fill(residual.drift.shape, DRIFT))
    residual.spread.assign(tf.fill(residual.spread.shape, 1e-6))
    return model, windows, objective


@pytest.mark.parametrize(
    "family, kind, changes",
    [
        ("lstm", "text", {"model.dropout": 0.2}),
        pytest.param("gru", "series", {**WALK, "model.dropout": 0.2}, marks=pytest.mark.long),
        pytest.param("transformer", "text", {}, marks=pytest.mark.long),
    ],
)
def test_without_a_share_the_loss_and_its_gradients_are_the_models(folder, family, kind, changes):
    model, windows, objective = opened(folder, family, kind, **changes)
    objective.follow(lambda: tf.constant(0))  # of a training's first step
    batch, found = batch_of(model, windows), []
    for each in (model, objective):
        with tf.GradientTape() as tape:
            loss, _ = each.batch_loss(batch, KEY, training=True)
        found.append(
            [loss, *map(tf.convert_to_tensor, tape.gradient(loss, model.trainable_weights))]
        )
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("passes", [1, pytest.param(3, marks=pytest.mark.long)])
def test_each_pass_is_one_more_position_of_a_rollout(folder, passes):
    model, windows, objective = walker(folder, **{"training.rollout_passes": passes})
    batch = batch_of(model, windows)
    mixed = objective.mixed(batch, KEY)
    np.testing.assert_array_equal(mixed["values"], batch["values"])  # to be predicted
    scale = model.processor.scale_numbers
    data, own = (
        scale(each[..., :1], None).numpy()[..., 0] for each in (batch["values"], mixed["shown"])
    )
    before = scale(batch["history"][:, -1], None).numpy()[:, 0]
    before = np.where(np.isnan(before), 0, before)  # of a window that begins a series
    assert batch["first"].numpy().any() and not batch["first"].numpy().all()
    for position in range(own.shape[1]):
        since = min(passes, position + 1)
        last = data[:, position - since] if since == passes and position >= since else before
        np.testing.assert_allclose(own[:, position], last + since * DRIFT, atol=1e-4)
    # What lags reach back to is what was shown, and before the window the data.
    past = model.engine.emission.reading.before(mixed)
    lagged = past.lagged[:, :, 0].numpy()
    np.testing.assert_array_equal(lagged[:, 3:], mixed["shown"][:, :-3])
    np.testing.assert_array_equal(lagged[:, :3], batch["history"][:, -3:])
    np.testing.assert_array_equal(past.previous[:, 1:], mixed["shown"][:, :-1])


@pytest.mark.long
def test_gaps_are_filled_and_padding_is_left_alone(folder):
    model, windows, objective = walker(folder, "series")
    batch = batch_of(model, windows)
    gaps = np.isnan(batch["values"].numpy())
    valid = np.ones(gaps.shape[:2], bool)
    valid[0, 9:] = False
    shown = objective.mixed({**batch, "valid": tf.constant(valid)}, KEY)["shown"].numpy()
    assert gaps[valid].any() and not np.isnan(shown[valid]).any()
    np.testing.assert_array_equal(shown[~valid], batch["values"].numpy()[~valid])
    column = [feature.name for feature in model.processor.features].index("sky")
    assert set(np.unique(shown[valid][:, column])) <= {0.0, 1.0, 2.0}


@pytest.mark.parametrize("liked", ["t", pytest.param("\n", marks=pytest.mark.long)])
def test_tokens_are_replaced_within_lines(folder, liked):
    model, windows, objective = opened(folder, "lstm", "text")
    tokenizer = model.tokenizer
    (token,) = tokenizer.encode(liked)
    bias = np.zeros(tokenizer.vocabulary_size, "f4")
    bias[token] = 1000
    model.engine.emission.head.bias.assign(bias)
    inputs, targets = batch_of(model, windows)
    weights = np.ones(targets.shape, "f4")
    weights[0, 7:] = 0  # padding, or what was not to be learned
    mixed = objective.mixed((inputs, targets, None, tf.constant(weights)), KEY)
    np.testing.assert_array_equal(mixed[1], targets)
    read, inputs = mixed[0].numpy(), inputs.numpy()
    breaks = inputs == tokenizer.start_id
    assert breaks.any()
    np.testing.assert_array_equal(read == tokenizer.start_id, breaks)
    np.testing.assert_array_equal(read[:, 0], inputs[:, 0])
    np.testing.assert_array_equal(read[0, 8:], inputs[0, 8:])
    own = ~breaks[:, 1:] & (weights[:, :-1] > 0)
    if liked == "t":
        assert (read[:, 1:][own] == token).all()
    else:
        assert len(np.unique(read[:, 1:][own])) > 3


def test_the_share_rises_in_a_line(folder):
    for warmup, shares in ((0, [0, 0.2, 0.8]), (6, [0, 0.4, 0.8])):
        changes = {"training.rollout_share": 0.8, "training.rollout_warmup": warmup}
        _, _, objective = opened(folder, "lstm", "text", **changes)
        for step, share in zip((0, 3, 12), shares):
            objective.follow(lambda step=step: tf.constant(step))
            np.testing.assert_allclose(objective.share, share, rtol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("family, kind", [("gru", "series"), ("lstm", "text")])
def test_parts_of_a_batch_are_sampled_as_the_whole(folder, family, kind):
    changes = {"training.rollout_share": 0.5}
    model, windows, objective = opened(folder, family, kind, **changes)
    batch = batch_of(model, windows)

    def read(batch):
        mixed = objective.mixed(batch, KEY)
        return mixed["shown"] if kind == "series" else mixed[0]

    whole, parts = read(batch), []
    for number in range(2):
        with random.part_of_rows(number, 2):
            rows = tf.nest.map_structure(lambda each: each[4 * number : 4 * number + 4], batch)
            parts.append(read(rows))
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5)
    data = batch["values"] if kind == "series" else batch[0]
    assert 0.1 < np.mean(whole != data) < 0.7


@pytest.mark.parametrize(
    "family, kind, changes, message",
    [
        ("vae", "text", {}, "without latents"),
        pytest.param("unet1d", "plain.csv", {}, "go from position", marks=pytest.mark.long),
        pytest.param(
            "gru", "plain.csv", {"model.members": 2}, "of one network", marks=pytest.mark.long
        ),
        ("gru", "plain.csv", {"training.patience": 3}, "does not see what training.rollout"),
    ],
)
def test_what_does_not_fit_is_refused(folder, family, kind, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        opened(folder, family, kind, **changes)
    assert "\n" not in str(caught.value) and "Received: training." in str(caught.value)


@pytest.mark.long
def test_patience_goes_by_forecasts(folder):
    opened(
        folder, "gru", "plain.csv", **{"training.patience": 3, "training.choose_by": "forecasts"}
    )


def test_the_drift_of_series_is_none_of_what_continues_as_data(folder, monkeypatch):
    model, windows, _ = opened(folder, "gru", "plain.csv")
    watch = SeriesDrift(model, windows["validation"])
    assert open_rollout_watch(model, windows["validation"]) is not None

    def made(values):
        monkeypatch.setattr(rollout_watch, "forecast_cuts", lambda *_: np.repeat(values, 4, axis=1))
        return watch.measures()

    truth = watch._cuts.values[:, None, watch.context :]
    same = made(truth)
    for name, value in {"crps": 0.0, "spread": 1.0, "steps": 1.0}.items():
        np.testing.assert_allclose(same[name], value, atol=1e-6)
    further = made(3 * truth)
    np.testing.assert_allclose(further["spread"], 3.0, rtol=1e-5)
    np.testing.assert_allclose(further["steps"], 3.0, rtol=1e-5)
    first = truth[:, 0, : -(-watch.horizon // 4)]
    off = 2 * np.abs(first).mean() / np.nanstd(truth)  # the error of a sure forecast
    np.testing.assert_allclose(further["crps"][0], off, rtol=1e-5)


@pytest.mark.long
def test_the_drift_of_text_is_none_of_a_model_that_knows_nothing(folder):
    model, windows, _ = opened(folder, "lstm", "text")
    for weight in (model.engine.emission.head.kernel, model.engine.emission.head.bias):
        weight.assign(tf.zeros(weight.shape))
    found = TextDrift(model, windows["validation"]).measures()
    np.testing.assert_allclose(found["nats"], np.log(model.tokenizer.vocabulary_size), rtol=1e-5)
    np.testing.assert_allclose(found["drift"], 0, atol=1e-5)


@pytest.mark.parametrize(
    "family, kind, changes",
    [
        pytest.param(
            "gru",
            "series",
            {**WALK, "training.accumulate": 2, "training.rollout_passes": 2},
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            "lstm",
            "text",
            {"training.carry_state": True, "training.ema": 0.0},
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_run_stopped_and_resumed_ends_with_the_same_bits(
    folder, tmp_path, monkeypatch, as_graphs, family, kind, changes
):
    recipe = recipe_of(folder, family, kind, **changes)
    arrays = assert_resumes(recipe, tmp_path, monkeypatch)
    told = scalars(tmp_path / "parts" / "logs" / "validation")
    name = "crps" if family == "gru" else "nats"
    drift = [told[f"rollout/{name}/quarter_{number}"] for number in (1, 4)]
    assert all(np.isfinite(value) for each in drift for _, value in each)
    # The last weights are the model's, whatever a validation said.
    for weight in get(tmp_path / "parts").weights if not recipe.training.ema else ():
        np.testing.assert_array_equal(weight.numpy(), arrays[f"model/{weight.path}"])


@pytest.mark.long
def test_a_model_too_simple_forecasts_further_ahead(folder, tmp_path, as_graphs):
    """A process swings, x[n] = 1.6 x[n-1] - 0.8 x[n-2] + noise, and the model reads x[n-1] alone.

    The likeliest x[n] is then 8/9 of that, the autocorrelation at lag 1, and a free run dies away
    as its powers, where the autocorrelation has changed its sign after 4 positions: it holds on to
    a state too long. What has read samples of its own lets go of it sooner.
    """
    rng = np.random.default_rng(0)
    values = np.zeros(4000)
    for n in range(2, len(values)):
        values[n] = 1.6 * values[n - 1] - 0.8 * values[n - 2] + rng.normal()
    (tmp_path / "swings.csv").write_text("\n".join(["x", *map("{:.4f}".format, values)]))
    changes = {
        "data.name": str(tmp_path / "swings.csv"), "model.head": "regression",
        "model.linear_skip": True, "training.batch_size": 32, "training.rollout_share": 0.5,
        "training.rollout_warmup": 1, "training.rollout_passes": 2,
    }  # fmt: skip
    model, windows, objective = opened(folder, "gru", "series", **changes)
    head, reference = model.engine.emission.number_head, model.engine.emission.reference
    for weight in head.trainable_weights:
        if weight is not head.scale:
            weight.assign(tf.zeros(weight.shape))  # of the network nothing is heard
    learned = [reference.linear.kernel, head.scale]
    found = {}
    for name, learner in {"data": model, "own samples": objective}.items():
        reference.linear.kernel.assign([[0.5]])
        objective.follow(lambda: tf.constant(1))

        @tf.function(autograph=False, jit_compile=True)
        def step(batch, key, learner=learner):
            with tf.GradientTape() as tape:
                loss, _ = learner.batch_loss(model.unpack(batch), key, training=True)
            for weight, slope in zip(learned, tape.gradient(loss, [w.value for w in learned])):
                weight.assign_sub(0.05 * slope)

        for k in range(400):
            step(tf.nest.map_structure(tf.constant, windows["train"].batch(k)), random.fold(KEY, k))
        share = float(reference.linear.kernel.numpy().item())
        autocorrelation = [1.0, 8 / 9]
        for _ in range(11):
            autocorrelation.append(1.6 * autocorrelation[-1] - 0.8 * autocorrelation[-2])
        missed = [(share**n - autocorrelation[n]) ** 2 for n in range(2, 12)]
        found[name] = share, float(np.mean(missed))
    assert abs(found["data"][0] - 8 / 9) < 0.02
    assert found["own samples"][1] < 0.7 * found["data"][1]
