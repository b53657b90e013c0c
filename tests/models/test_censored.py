"""Models of data that was recorded between bounds: what is at a bound stands for all beyond it."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen import data, models
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")


def processor(scaler="standard", **kinds):
    """Of rain, which is never below 0, of a share between 0 and 1, and of a free number."""
    rng = np.random.default_rng(0)
    values = np.stack(
        [
            rng.normal(-0.5, 1, 200).clip(0, None),
            rng.normal(0.6, 0.5, 200).clip(0, 1),
            rng.normal(size=200),
        ],
        axis=1,
    ).astype(np.float32)
    features = (
        data.Feature("rain", low=0.0), data.Feature("share", low=0.0, high=1.0), data.Feature("x"),
    )  # fmt: skip
    made = data.Sequences("made", "series", features, [values], ["0"])
    return SequenceProcessor.fit(made, PreprocessingConfig(scaler=scaler, **kinds)), values


def model_of(scaler="standard", **arguments):
    made, values = processor(scaler)
    arguments = {"units": 8, "layers": 1, "seed": 1, "bounding": "censored", **arguments}
    return models.make("gru", processor=made, **arguments), values


HEADS = [{"head": "regression"}, {"head": "student_t"}, {"components": 3}]
every_head = pytest.mark.parametrize(
    "head", HEADS, ids=lambda head: "-".join(map(str, head.values()))
)


def parameters_of(model, values):
    """What the head says of each position of one sequence."""
    outputs = model.engine.outputs(model.engine.positions.batch(values[None]), 0)["numbers"]
    return {name: value.numpy()[0] for name, value in outputs.items()}


@pytest.mark.parametrize("scaler", ["standard", "robust", "min_max", "mean", "none"])
def test_the_score_is_of_masses_at_the_bounds_and_of_a_density_between_them(scaler):
    model, values = model_of(scaler, head="regression")
    values = values[:20]
    found = model.score(values)["log_likelihood"]
    parameters = parameters_of(model, values)
    # Means and deviations in the data's units.
    batch = model.engine.positions.batch(values[None])
    scale = batch["scale"][:, None] if "scale" in batch else None
    means = model.engine.positions.unscaled(parameters["means"][None], scale).numpy()[0]
    slope = model.processor.log_slope(values[None], scale)
    scales = parameters["scales"] / np.exp(np.broadcast_to(slope, (1, *values.shape)))[0]
    normal = stats.norm(np.float64(means), np.float64(scales))
    low, high = np.array([0, 0, -np.inf]), np.array([np.inf, 1, np.inf])
    expected = np.where(
        values <= low,
        normal.logcdf(values),
        np.where(values >= high, normal.logsf(values), normal.logpdf(values)),
    )
    assert ((values <= low) | (values >= high)).sum() > 8
    assert found == pytest.approx(expected.sum(), rel=1e-4)


@every_head
def test_what_is_generated_is_at_the_bounds_as_often_as_it_is_likely(head):
    model, _ = model_of(**head)
    drawn = model.generate(2000, length=1, seed=3)[:, 0]
    for column, bound in ((0, 0.0), (1, 0.0), (1, 1.0)):
        # The mass at the bound is what the score of a position gains with nothing else observed.
        one = np.full([1, 3], np.nan, np.float32)
        one[0, column] = bound
        mass = np.exp(model.score(one)["log_likelihood"])
        share = (drawn[:, column] == bound).mean()
        assert (
            0.02 < mass < 0.98 and stats.binomtest(int(share * 2000), 2000, mass).pvalue > 1e-3
        ), (column, bound)


@pytest.mark.exhaustive
def test_it_learns_how_often_it_rains():
    model, values = model_of(head="regression")
    plain, _ = model_of(head="regression", bounding="inward")
    dry = {}
    for each in (model, plain):
        each.compile("adam")
        each.optimizer.learning_rate = 0.03
        each.fit(values.reshape(10, 20, 3), epochs=30, batch_size=10, verbose=0)
        dry[each] = (each.generate(50, length=20, seed=1)[..., 0] == 0).mean()
    real = (values[:, 0] == 0).mean()
    assert 0.6 < real < 0.8
    assert abs(dry[model] - real) < 0.08 < abs(dry[plain] - real)


def test_gaps_are_filled_with_values_at_the_bounds_too():
    model, values = model_of(components=3)
    gaps = values[:12].copy()
    gaps[4:7, 0] = np.nan
    gaps[9, 1] = np.nan
    filled = model.impute(gaps, 5, seed=1, particles=64)
    assert (filled[:, 4:7, 0] == 0).any() and filled[..., 0].min() == 0
    np.testing.assert_array_equal(filled[:, :4], np.repeat(values[None, :4], 5, axis=0))


def test_a_relative_head_knows_the_bounds_where_they_are():
    """With a skip or a unit of its own the head tells values from others: so are the edges."""
    for own in ({"linear_skip": True}, {"local_scale": 0.1}):
        model, values = model_of(head="regression", **own)
        one = np.full([2, 3], np.nan, np.float32)
        one[0] = values[3]
        one[1, 1] = 0.4
        density = model.score(one)["log_likelihood"]
        at = [dict(zip("lh", (0.0, 1.0)))[side] for side in "lh"]
        masses = []
        for bound in at:
            one[1, 1] = bound
            masses.append(model.score(one)["log_likelihood"])
        first = np.full([1, 3], np.nan, np.float32)
        first[0] = values[3]
        alone = model.score(first)["log_likelihood"]
        grid = np.linspace(0, 1, 401, dtype=np.float32)[1:-1]
        several = np.repeat(one[None], len(grid), axis=0)
        several[:, 1, 1] = grid
        inside = np.exp(model.score(several)["log_likelihood"] - alone).mean()
        whole = np.exp(np.array(masses) - alone).sum() + inside
        assert whole == pytest.approx(1, abs=0.01), own
        assert np.isfinite(density)


@pytest.mark.parametrize(
    "scaler, own",
    [
        ("standard", {"covariance": "full"}),
        ("whiten", {}),
        ("min_max", {"head": "quantized"}),
    ],
)
def test_where_the_masses_cannot_be_told_it_is_refused(scaler, own):
    with pytest.raises(ValueError, match="Received: bounding='censored'"):
        model_of(scaler, **own)


def test_a_saved_and_a_served_model_score_the_same(tmp_path):
    model, values = model_of(components=3)
    again = models.load(model.save(tmp_path / "model") or tmp_path / "model")
    assert again.engine.emission.bounding == "censored"
    expected = model.score(values[:9])["log_likelihood"]
    assert again.score(values[:9])["log_likelihood"] == expected
    functions = {each.name: each for each in model.functions()}
    served = functions["score"].call(
        {"values": tf.constant(values[None, :9]), "lengths": tf.constant([9])}
    )
    assert served["log_likelihood"].numpy()[0] == pytest.approx(expected, rel=1e-5)
