"""Runs on sequences of numbers: what they read, save, resume and tell TensorBoard."""

import dataclasses
import io
import wave

import numpy as np
import pytest
import tensorflow as tf
from eager import eagerly
from event_files import open_events, scalars

from tfgen import models
from tfgen.errors import InputError
from tfgen.models import make as new_model
from tfgen.models.engines.rollout import Rollout
from tfgen.networks import RecurrentNetwork
from tfgen.networks.causal import CausalNetwork
from tfgen.recipe import Recipe
from tfgen.report import kinds
from tfgen.report.series import series_figure
from tfgen.training import train
from tfgen.training.data import open_data
from tfgen.training.series_dashboard import SeriesDashboard

SETTINGS = {
    "model.units": 8,
    "model.layers": 1,
    "training.steps": 6,
    "training.batch_size": 4,
    "training.window": 16,
    "training.warmup_steps": 2,
    "training.learning_rate": 0.01,
    "training.log_every": 2,
    "training.validate_every": 3,
    "training.validation_batches": 2,
    "training.checkpoint_every": 3,
    "training.sample_every": 0,
    "training.histogram_every": 0,
}


@pytest.fixture(autouse=True)
def no_jit(monkeypatch):
    # These tests are about the loop; compiling its step by XLA takes seconds.
    monkeypatch.setattr(CausalNetwork, "jit_compile_training", False)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "power.csv"
    rng = np.random.default_rng(0)
    rows = ["time,load,price"]
    for hour in range(400):
        price = "" if hour % 50 == 7 else f"{rng.normal(40, 5):.2f}"
        load = 50 + 30 * np.sin(hour / 24 * 2 * np.pi) + rng.normal()
        rows.append(f"2024-01-{1 + hour // 24:02d}T{hour % 24:02d}:00,{load:.3f},{price}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def recipe(table):
    return Recipe("gru").override(
        {"data.name": str(table), "data.bounds": ["load=0:120"], **SETTINGS}
    )


@pytest.fixture
def quick():
    with eagerly():
        yield


def events(run, split):
    return open_events(run / "logs" / split)


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_a_diffusion_model_is_trained_and_generates(table, tmp_path):
    least = {
        "width": 8, "multipliers": [1], "blocks": 1, "groups": 2, "attention_at": [],
        "linear_attention": False,
    }  # fmt: skip
    settings = {key: value for key, value in SETTINGS.items() if not key.startswith("model.")}
    recipe = Recipe("unet1d", least).override({**settings, "data.name": str(table)})
    model = models.load(train(recipe, tmp_path / "run", progress=False))
    new = models.build(recipe, model.processor)
    assert any((a != b).any() for a, b in zip(model.get_weights(), new.get_weights()))
    drawn = model.generate(1, 8, seed=1, num_steps=2)
    assert drawn.shape == (1, 8, 2) and np.isfinite(drawn).all()


def test_a_table_is_trained_on_without_further_arguments(recipe, tmp_path):
    final = train(recipe, tmp_path / "run", progress=False)
    model = models.load(final)
    assert type(model.engine) is Rollout and type(model.network) is RecurrentNetwork
    assert model.processor.feature_names == ("load", "price")
    assert model.processor.has_missing and model.processor.needs_times
    drawn = model.generate(2, 30, seed=1)
    assert drawn.shape == (2, 30, 2) and drawn[..., 0].min() >= 0 and drawn[..., 0].max() <= 120
    assert (tmp_path / "run" / "sequence.json").is_file()
    # The scaler knows the training split alone: the first nine tenths.
    loads = np.genfromtxt(recipe.data.name, delimiter=",", skip_header=1, usecols=1)
    assert model.processor.scaler.mean[0] == pytest.approx(loads[:360].mean(), rel=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_a_small_table_is_one_batch(recipe, tmp_path):
    # 360 hours are 3 windows of 100, and the recipe asks for batches of 32.
    small = recipe.override({"training.batch_size": 32, "training.window": 100})
    assert train(small, tmp_path / "run", progress=False).is_dir()


@pytest.mark.long
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("family", ["gru", "vae"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(family, recipe, tmp_path):
    recipe = dataclasses.replace(recipe, family=family)
    # A constant rate: a schedule would know how many steps were planned.
    recipe = recipe.override(
        {
            "training.final_learning_rate": 0.01,
            "training.warmup_steps": 0,
            "training.augment": ["warp=0.2", "scale=0.1", "jitter=0.03"],
            "model.dropout": 0.2,
        }
    )
    straight = train(recipe, tmp_path / "straight", progress=False)
    train(recipe.override({"training.steps": 3}), tmp_path / "again", progress=False)
    again = train(recipe, tmp_path / "again", resume=True, progress=False)
    for mine, theirs in zip(models.load(straight).weights, models.load(again).weights):
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_augmented_can_still_be_scaled(recipe):
    """The logarithm of a load that was never below zero, and has no bounds."""
    recipe = recipe.override(
        {"data.bounds": [], "preprocessing.log1p": ["load"], "training.augment": ["jitter=1"]}
    )
    data = open_data(recipe)
    windows = data.windows["train"]
    loads = np.stack([windows.batch(k)["values"][..., 0] for k in range(windows.steps_per_epoch)])
    assert loads.min() == 0 and loads.max() > 90
    assert "load" in data.preprocessing.feature_names


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_a_carried_state_goes_along_whole_clips(tmp_path):
    path = tmp_path / "clips.npz"
    rng = np.random.default_rng(0)
    np.savez(path, **{f"d{i}": np.c_[rng.normal(size=(40, 2)), rng.integers(0, 2, 40)].astype("f4")
                      for i in range(24)})  # fmt: skip
    recipe = Recipe("lstm").override(
        {**SETTINGS, "data.name": str(path), "data.kind": "strokes", "training.carry_state": True}
    )
    model = models.load(train(recipe, tmp_path / "run", progress=False))
    assert model.processor.ends
    stateless = recipe.override({"training.carry_state": False})
    other = models.load(train(stateless, tmp_path / "other", progress=False))
    assert not np.array_equal(model.weights[0], other.weights[0])


def test_a_series_has_no_state_to_carry(recipe, tmp_path):
    with pytest.raises(InputError, match="carry_state"):
        train(recipe.override({"training.carry_state": True}), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


# TensorBoard


@pytest.mark.long
def test_tensorboard_shows_losses_and_what_is_clipped(recipe, tmp_path):
    recipe = recipe.override(
        {"training.sample_every": 3, "training.histogram_every": 3, "generation.length": 20}
    )
    train(recipe, tmp_path / "run", progress=False)
    found = events(tmp_path / "run", "train")
    tags = set(found.Tags()["tensors"])
    assert {
        "epoch_loss", "Loss/loss_in_nats_per_value", "throughput/positions_per_second",
        "samples/series", "samples/forecast", "units/samples/clip_fraction",
        "units/clip/clip_fraction", "units/gru_0",
    } <= tags  # fmt: skip
    numbers = scalars(tmp_path / "run" / "logs" / "train")
    (_, loss), (_, nats) = numbers["epoch_loss"][0], numbers["Loss/loss_in_nats_per_value"][0]
    assert nats == pytest.approx(loss / 2)
    _, _, png = tf.make_ndarray(found.Tensors("samples/forecast")[-1].tensor_proto)
    picture = tf.io.decode_png(png).numpy()
    assert picture.shape[0] > 100 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    assert [e.step for e in found.Tensors("samples/series")] == [3, 6]


def sounds_model():
    from tfgen.data import Feature, Sequences
    from tfgen.preprocessing import SequenceProcessor
    from tfgen.recipe import PreprocessingConfig

    rng = np.random.default_rng(0)
    made = Sequences(
        "made", "audio", (Feature("amplitude", low=-1.0, high=1.0),),
        [rng.uniform(-1, 1, (50, 1)).astype(np.float32) for _ in range(4)], list("abcd"),
        labels=np.array([0, 1, 0, 1], np.int32), classes=("hat", "kick"), sample_rate=8000, ends=True,
    )  # fmt: skip
    processor = SequenceProcessor.fit(made, PreprocessingConfig())
    model = new_model(
        "lstm",
        "numbers",
        units=8,
        layers=1,
        bins=16,
        processor=processor,
        seed=1,
        generation={"length": 40},
    )
    return model, made


@pytest.mark.long
def test_tensorboard_plays_sound(tmp_path):
    model, made = sounds_model()
    dashboard = SeriesDashboard(tmp_path / "logs", model, made)
    dashboard.samples(1)
    dashboard.close()
    found = events(tmp_path, "train")
    assert {"samples/sounds", "samples/sound"} <= set(found.Tags()["tensors"])
    clips = tf.make_ndarray(found.Tensors("samples/sound")[0].tensor_proto)
    with wave.open(io.BytesIO(clips[0])) as sound:
        assert sound.getframerate() == 8000
        frames = np.frombuffer(sound.readframes(10**6), np.int16) / 32767
    values, lengths, _ = model.draw(4, seed=0, condition=[0, 1, 0, 1])
    np.testing.assert_allclose(frames[: lengths[0]], values[0, : lengths[0], 0], atol=1e-3)


@pytest.mark.long
def test_drawings_are_drawn(tmp_path, monkeypatch):
    sheets = []
    monkeypatch.setattr(
        kinds, "stroke_sheet", lambda drawings, titles, title, quick: sheets.append((drawings, titles))
        or series_figure([np.zeros((3, 1))], made.features[:1])
    )  # fmt: skip
    model, made = sounds_model()
    model.processor.kind = "strokes"
    dashboard = SeriesDashboard(tmp_path / "logs", model, made)
    dashboard.samples(1)
    ((drawings, titles),) = sheets
    assert len(drawings) == 16 and titles[:3] == ["hat", "kick", "hat"]


def test_batches_are_as_long_as_their_sequences(tmp_path):
    lengths = [5, 8, 3, 40, 6, 7, 4, 12, 9, 5, 6, 7] * 4
    drawings = [np.tile([1.0, 1.0, 0.0], [size, 1]) for size in lengths]
    points = np.concatenate(drawings)
    np.savez(tmp_path / "pen.npz", points=points, offsets=np.cumsum([0, *lengths]))
    fields = {"data.name": str(tmp_path / "pen.npz"), "data.kind": "strokes"}
    fields |= {"training.window": 64, "training.batch_size": 4}

    def sizes(family, **more):
        windows = open_data(Recipe(family).override({**fields, **more})).windows["train"]
        found = {windows.batch(k)["values"].shape[1] for k in range(windows.steps_per_epoch)}
        return found

    assert sizes("lstm") == sizes("transformer") == {10, 20, 40}
    assert sizes("lstm", **{"training.carry_state": True}) == sizes("unet1d") == {64}
    # Where most are long, there is one length: that of the longest.
    assert sizes("lstm", **{"training.window": 6}) == {6}
