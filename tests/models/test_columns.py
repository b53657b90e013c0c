"""Models of columns of different kinds: circular ones, counts, and all of them in a chain."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen import data, models
from tfgen.data.features import Circle, Step
from tfgen.preprocessing import SequenceProcessor, load_processor, save_processor
from tfgen.recipe import PreprocessingConfig

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

WIND = data.Feature("wind", step=Step(10.0), circle=Circle(360.0))
SALES = data.Feature("sales", low=0.0, step=Step(1.0))
RAIN = data.Feature("rain", low=0.0)
KIND = data.Feature("kind", levels=("a", "b", "c"))
SMALL_UNET = {
    "width": 4, "multipliers": (1,), "blocks": 1, "groups": 2, "attention_at": (0,),
    "linear_attention": False, "heads": 1, "head_width": 4,
}  # fmt: skip


def values_of(features, count=120, seed=0):
    rng = np.random.default_rng(seed)
    made = {
        "wind": np.round(rng.uniform(0, 360, count) / 10) * 10,
        "sales": rng.negative_binomial(2, 0.3, count),
        "rain": rng.normal(0, 2, count).clip(0, None),
        "kind": rng.integers(0, 3, count),
        "x": rng.normal(size=count),
    }
    return np.stack([made[feature.name] for feature in features], axis=1).astype(np.float32)


def model_of(features, family="gru", scaler="standard", **arguments):
    made = data.Sequences("made", "series", features, [values_of(features)], ["0"])
    processor = SequenceProcessor.fit(made, PreprocessingConfig(scaler=scaler))
    small = SMALL_UNET if family == "unet1d" else {"units": 8, "layers": 1}
    return models.make(family, processor=processor, **{**small, "seed": 1, **arguments})


@pytest.mark.parametrize("scaler", ["standard", "min_max", "mean"])
def test_a_circle_has_no_ends(scaler):
    features = WIND, data.Feature("x")
    model = model_of(features, scaler=scaler, components=3)
    values = values_of(features, 6)
    values[2, 0] = 0
    turned = values.copy()
    turned[2, 0] = 360
    score, again = (model.score(each)["log_likelihood"] for each in (values, turned))
    assert score == pytest.approx(again, abs=1e-4)  # both as told, and as read by what follows
    turned[2, 0] = 180
    assert abs(score - model.score(turned)["log_likelihood"]) > 0.01
    drawn = model.generate(2000, length=1, seed=1)[:, 0, 0]
    assert set(np.unique(drawn)) <= set(range(0, 360, 10))
    # All of the circle is all there is, and is sampled as often as it is likely.
    grid = np.full([36, 1, 2], np.nan, np.float32)
    grid[:, 0, 0] = np.arange(36) * 10
    chances = np.exp(model.score(grid)["log_likelihood"]) * 10
    assert chances.sum() == pytest.approx(1, abs=1e-4)
    found = np.bincount((drawn / 10).astype(int), minlength=36)
    joined = chances.reshape(12, 3).sum(1), found.reshape(12, 3).sum(1)
    assert stats.chisquare(joined[1], joined[0] * 2000 / chances.sum()).pvalue > 1e-3


def test_with_a_linear_skip_an_angle_departs_from_the_one_before():
    features = (data.Feature("wind", circle=Circle(360.0)),)
    model = model_of(features, head="regression", linear_skip=True, min_scale=1e-3)
    model.engine.emission.number_head.scale.assign([-8.0])
    values = np.array([[350.0], [5.0]], np.float32)
    near = model.forecast(values, 1, num_samples=8, seed=1).samples[:, 0, 0]
    away = (near - 5 + 180) % 360 - 180
    assert np.abs(away - away.mean()).max() < 1 and np.abs(away.mean()) < 40


@pytest.mark.parametrize("head", ["negative_binomial", "zero_inflated_negative_binomial"])
def test_the_score_of_counts_is_that_of_scipy(head):
    model = model_of((SALES,), head=head, scaler="mean")
    values = values_of((SALES,), 12)
    batch = model.engine.positions.batch(values[None])
    told = {n: v.numpy()[0, :, 0] for n, v in model.engine.outputs(batch, 0)["numbers"].items()}
    unit = values.mean()
    mean, size = told["means"] * unit, np.sqrt(unit) / told["dispersions"]
    chances = stats.nbinom.pmf(values[:, 0], size, size / (size + mean))
    if "zeros" in told:
        share = 1 / (1 + np.exp(-told["zeros"]))
        chances = share * (values[:, 0] == 0) + (1 - share) * chances
    expected = np.log(chances).sum()
    assert model.score(values)["log_likelihood"] == pytest.approx(expected, rel=1e-4)
    # A series of ten times as many sells ten times as many.
    futures = [
        model.forecast(values * times, 1, num_samples=400, seed=1).mean.mean() for times in (1, 10)
    ]
    assert futures[1] == pytest.approx(10 * futures[0], rel=0.2)
    drawn = model.generate(50, length=3, seed=2)
    assert (drawn == np.round(drawn)).all() and drawn.min() >= 0


CHAIN = WIND, SALES, KIND, RAIN, data.Feature("x")


def test_a_chain_tells_each_column_as_it_was_recorded():
    model = model_of(CHAIN, head="chain", components=2, chain_units=4)
    drawn = model.generate(60, length=3, seed=1).reshape(-1, 5)
    wind, sales, kind, rain, x = drawn.T
    assert set(np.unique(wind)) <= set(range(0, 360, 10))
    assert (sales == np.round(sales)).all() and sales.min() >= 0
    assert set(np.unique(kind)) <= {0, 1, 2} and len(np.unique(x)) > 150
    assert (rain == 0).mean() > 0.1 and rain.min() == 0
    # What is missing adds nothing, and whatever stands there is not read.
    values = values_of(CHAIN, 5)
    values[1, [0, 2]] = np.nan
    parts = model.score(values)
    assert parts["values"] == 23 and np.isfinite(parts["log_likelihood"])


def test_gaps_of_a_chain_follow_from_what_is_given_beside_them():
    """The filler against the posterior by enumeration: a kind, given all that comes after it."""
    features = KIND, data.Feature("x")
    model = model_of(features, head="chain", components=2, chain_units=8)
    rng = np.random.default_rng(0)
    head = model.engine.emission.number_head
    for weight in head.weights:
        weight.assign(weight + 0.5 * rng.normal(size=weight.shape))
    values = values_of(features, 3)
    values[1, 0] = np.nan
    each = np.stack([np.where(np.isnan(values), level, values) for level in range(3)])
    chances = np.exp(np.float64(model.score(each)["log_likelihood"]))
    chances /= chances.sum()
    filled = model.impute(values, num_samples=400, seed=3, particles=2000)[:, 1, 0]
    found = np.bincount(filled.astype(int), minlength=3) / 400
    assert chances.max() < 0.9
    np.testing.assert_allclose(found, chances, atol=0.1)
    np.testing.assert_array_equal(filled, np.round(filled))


def test_a_diffusion_model_records_what_it_samples():
    features = WIND, RAIN, KIND
    model = model_of(features, family="unet1d", beyond=0.5)
    assert model.engine.emission.channels == 6  # sine, rain, cosine, three levels
    drawn = model.generate(40, length=4, seed=1, num_steps=2).reshape(-1, 3)
    assert set(np.unique(drawn[:, 0])) <= set(range(0, 360, 10))
    any_channels = tf.constant(np.random.default_rng(0).normal(size=[1, 99, 6]), tf.float32)
    rain = model.engine.emission.values(any_channels, None)[0][0, :, 1].numpy()
    assert rain.min() == 0 and 0.05 < (rain == 0).mean() < 0.95
    values = values_of(features, 8)
    assert np.isfinite(model.score(values, seed=1, num_steps=2)["log_likelihood"])
    # What was spread comes back as it was.
    batch = model.engine.positions.batch(values[None])
    channels, _ = model.engine.emission.call(batch, tf.constant([1, 2]))
    plain, _ = model.engine.emission.call(batch)
    assert not np.allclose(channels[..., :3], plain[..., :3])
    again, _ = model.engine.emission.values(channels, None)
    expected = values % np.array([360, 1e9, 1e9])
    np.testing.assert_allclose(again[0], expected, atol=1e-4)


def test_the_bound_of_a_diffusion_models_likelihood_counts_how_far_values_were_spread():
    """Of a model that knows nothing, by Monte Carlo: the mass that lies beyond a bound."""
    model = model_of((RAIN,), family="unet1d", beyond=0.7)
    emission, key = model.engine.emission, tf.constant([3, 4])
    zeros = tf.zeros([1, 4000, 1])
    channels, _ = emission.call({"values": zeros, "valid": tf.ones([1, 4000], tf.bool)}, key)
    nats = emission.log_slope(zeros, None, key).numpy()
    end = float(model.processor.scale_numbers(zeros)[0, 0, 0])
    # E[p(x) / q(x)] over the spread is the mass of p beyond: of a normal about 0 in scaled units.
    density = stats.norm.logpdf(channels.numpy())
    mass = np.exp(density + nats).mean()
    assert mass == pytest.approx(stats.norm.cdf(end), rel=0.1)


def test_what_does_not_fit_the_columns_is_refused():
    for features, arguments, message in (
        ((RAIN,), {"head": "negative_binomial"}, "no counts: rain .*Received: head='negative_bi"),
        ((WIND,), {"head": "student_t"}, "data.circular is for the heads"),
        ((WIND,), {"local_scale": 0.1}, "local_scale must be 0 with data.circular"),
        ((RAIN,), {"head": "chain", "bounding": "inward"}, "bounding must be 'censored' or 'none'"),
        ((SALES,), {"head": "negative_binomial", "linear_skip": True}, "linear_skip must be False"),
        ((SALES,), {"head": "negative_binomial", "components": 3}, "components"),
        ((RAIN,), {"chain_units": 8}, "chain_units"),
    ):
        with pytest.raises(ValueError, match=message):
            model_of(features, **arguments)
    with pytest.raises(ValueError, match="does not mix columns"):
        model_of((WIND, RAIN), scaler="whiten")


def test_a_processor_keeps_its_circles(tmp_path):
    processor = model_of((WIND, RAIN)).processor
    save_processor(processor, tmp_path / "sequence.json")
    again = load_processor(tmp_path / "sequence.json")
    assert again.circles == processor.circles == [Circle(360.0, 0.0), None]
    angles = float(again.scale_numbers(np.float32([[90, 0]]))[0, 0])
    assert angles == pytest.approx(np.pi / 2)
    assert float(again.unscale_numbers([[angles, 0.0]])[0, 0]) == pytest.approx(90)
    slope = float(again.log_slope(np.float32([[90, 0]]))[0, 0])
    assert slope == pytest.approx(np.log(np.pi / 180))


@pytest.mark.long
def test_a_saved_model_does_all_of_it(tmp_path):
    model = model_of(CHAIN, head="chain", components=2, chain_units=4)
    model.save(tmp_path / "model")
    again = models.load(tmp_path / "model")
    values = values_of(CHAIN, 9)
    assert again.score(values)["log_likelihood"] == model.score(values)["log_likelihood"]
    model.export(tmp_path / "served" / "1")
    served = tf.saved_model.load(str(tmp_path / "served" / "1")).signatures
    drawn = served["generate"](
        num_samples=tf.constant(3), length=tf.constant(4), seed=tf.constant(5, tf.int64),
        temperature=tf.constant(1.0), bias=tf.constant(0.0),
    )["values"]  # fmt: skip
    np.testing.assert_allclose(drawn, model.generate(3, 4, seed=5), rtol=1e-5)
