"""Models of columns that were recorded in steps: their likelihood is of the steps."""

import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen import data, models
from tfgen.data.resolution import Step
from tfgen.models.numbers.positions import Positions
from tfgen.models.numbers.recording import Recording
from tfgen.preprocessing import SequenceProcessor, load_processor, save_processor
from tfgen.recipe import PreprocessingConfig

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

KNOT = 1.150779
FEATURES = (
    data.Feature("wind", low=0.0, step=Step(KNOT, 0.0, 2)),
    data.Feature("temp", step=Step(0.5, 0.2, 1)),
    data.Feature("x"),
)


def values_of(count=200, origin=0.0):
    rng = np.random.default_rng(0)
    wind = Step(KNOT, 0.0, 2).nearest(rng.normal(3, 4, count).clip(0, None))
    temp = Step(0.5, 0.2, 1).nearest(rng.normal(0, 2, count))
    values = np.stack([wind, temp + origin, rng.normal(size=count)], axis=1)
    return values if origin else values.astype(np.float32)


def processor_of(scaler="standard", features=FEATURES, values=None):
    values = values_of() if values is None else values
    made = data.Sequences("made", "series", features, [values], ["0"])
    return SequenceProcessor.fit(made, PreprocessingConfig(scaler=scaler))


def model_of(scaler="standard", family="gru", **arguments):
    small = {"units": 8, "layers": 1} if family == "gru" else {}
    arguments = {**small, "seed": 1, **arguments}
    return models.make(family, processor=processor_of(scaler), **arguments)


@pytest.mark.parametrize("scaler", ["standard", "min_max", "mean", "none"])
def test_the_score_is_of_the_steps_by_their_size(scaler):
    model, values = model_of(scaler, head="regression"), values_of()[:20]
    positions = model.engine.positions
    batch = positions.batch(values[None])
    parameters = model.engine.outputs(batch, 0)["numbers"]
    scale = batch["scale"][:, None] if "scale" in batch else None
    means = positions.unscaled(parameters["means"], scale).numpy()[0]
    slope = model.processor.log_slope(values[None], scale)
    slope = np.broadcast_to(np.exp(slope), (1, *values.shape))[0]
    normal = stats.norm(np.float64(means), np.float64(parameters["scales"].numpy()[0] / slope))
    half = np.array([KNOT, 0.5, 0]) / 2
    lower = np.where(values <= [0, -np.inf, -np.inf], -np.inf, values - half)
    steps = np.log(normal.cdf(values + half) - normal.cdf(lower)) - np.log([KNOT, 0.5, 1])
    expected = np.where([True, True, False], steps, normal.logpdf(values))
    assert model.score(values)["log_likelihood"] == pytest.approx(expected.sum(), rel=1e-4)


def test_samples_are_numbers_of_the_data_as_often_as_they_are_likely():
    model = model_of(components=3)
    drawn = model.generate(3000, length=1, seed=3)[:, 0]
    grid = np.round(np.arange(60) * KNOT, 2).astype(np.float32)
    assert np.isin(drawn[:, 0], grid).all() and drawn[:, 0].min() == 0
    temps = np.round(0.2 + 0.5 * np.arange(-60, 60), 1).astype(np.float32)
    assert np.isin(drawn[:, 1], temps).all()
    assert len(np.unique(drawn[:, 2])) > 2900
    # Of the first column alone: the others are missing.
    values = np.full([8, 1, 3], np.nan, np.float32)
    values[:, 0, 0] = grid[:8]
    likely = np.exp(model.score(values)["log_likelihood"]) * KNOT
    found = [(drawn[:, 0] == number).sum() for number in grid[:8]]
    rest = 3000 - sum(found)
    expected = 3000 * np.array([*likely, 1 - likely.sum()], np.float64)
    assert stats.chisquare([*found, rest], expected, sum_check=False).pvalue > 1e-3


def test_values_far_from_zero_keep_their_digits():
    origin = 1e7
    features = FEATURES[0], data.Feature("temp", step=Step(0.5, 0.2, 1)), FEATURES[2]
    values = values_of(origin=origin)
    processor = processor_of(features=features, values=values)
    assert processor.origin is not None
    model = models.make("gru", processor=processor, units=8, layers=1, seed=1)
    drawn = model.generate(200, length=1, seed=3)[:, 0, 1]
    steps = (drawn - origin - 0.2) / 0.5
    assert np.abs(steps - np.rint(steps)).max() < 1e-3 and len(np.unique(np.rint(steps))) > 3


def test_what_a_recorded_value_was_is_recorded_as_it_again():
    recording, values = Recording(Positions(processor_of())), values_of()
    spread = recording.spread(tf.constant(values), tf.constant([1, 2]))
    apart = spread.numpy() - values
    assert 0.4 * KNOT < apart[:, 0].max() <= 0.5 * KNOT * 1.01 and apart[:, 0].min() < -0.4 * KNOT
    assert 0.2 < apart[:, 1].max() <= 0.26 and not apart[:, 2].any()
    again, _ = recording.held(spread)
    np.testing.assert_array_equal(again[:, :2], values[:, :2])


def test_a_diffusion_model_learns_from_values_spread_over_their_steps():
    small = {
        "width": 4, "multipliers": (1,), "blocks": 1, "groups": 2, "attention_at": (0,),
        "linear_attention": False, "heads": 1, "head_width": 4,
    }  # fmt: skip
    model = model_of(family="unet1d", **small)
    drawn = model.generate(20, length=4, seed=1, num_steps=2)
    assert np.isin(drawn[..., 0], np.round(np.arange(200) * KNOT, 2).astype(np.float32)).all()
    batch = model.engine.positions.batch(values_of(8)[None])
    plain, _ = model.engine.emission.call(batch)
    first, again, other = (
        model.engine.emission.call(batch, tf.constant(key))[0] for key in ([1, 2], [1, 2], [3, 4])
    )
    assert np.all(plain[..., :2] != first[..., :2]) and np.all(plain[..., 2] == first[..., 2])
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_bounds_are_kept_by_what_the_likelihood_is_of():
    assert model_of().engine.emission.recording.bounds is not None
    assert model_of(bounding="none").engine.emission.recording.bounds is None
    with pytest.raises(ValueError, match="Received: bounding='inward'"):
        model_of(bounding="inward")
    for scaler, own in (
        ("standard", {"covariance": "full"}), ("whiten", {}), ("min_max", {"head": "quantized"})
    ):  # fmt: skip
        with pytest.raises(ValueError, match="data.resolution is for the heads"):
            model_of(scaler, **own)


def test_a_processor_keeps_its_steps_and_reads_files_without(tmp_path):
    processor = processor_of()
    path = tmp_path / "sequence.json"
    save_processor(processor, path)
    again = load_processor(path)
    assert again.features == processor.features and again.steps == processor.steps
    path = tmp_path / "sequence.json"
    record = json.loads(path.read_text())
    for feature in record["config"]["features"]:
        del feature["step"]
    path.write_text(json.dumps(record))
    assert load_processor(path).steps == [None] * 3
    record["config"]["features"][0]["step"] = [0.0, 0, 1]
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="step of a feature"):
        load_processor(path)


def test_a_saved_model_scores_and_samples_the_same(tmp_path):
    model, values = model_of(components=3), values_of()[:9]
    model.save(tmp_path / "model")
    again = models.load(tmp_path / "model")
    assert again.score(values)["log_likelihood"] == model.score(values)["log_likelihood"]
    np.testing.assert_array_equal(again.generate(3, 4, seed=1), model.generate(3, 4, seed=1))
