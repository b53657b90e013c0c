"""Values so large that float32 loses what changes in them keep their digits, there and back."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import Feature, Sequences, SequenceWindows, open_sequences
from tfgen.data.augmentation import open_augmentation
from tfgen.data.sequences import needs_float64
from tfgen.models import make as new_model
from tfgen.models.numbers.results import summary_of
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import DataConfig, PreprocessingConfig
from tfgen.report.inspect_sequences import inspect_sequences

pytestmark = pytest.mark.usefixtures("op_by_op")

SHIFT = 987_654_321.25
RNG = np.random.default_rng(0)
LENGTH = 60


@pytest.mark.parametrize(
    ("column", "needed"),
    [
        (9.87654321e8 + 0.4 * np.arange(200), True),  # a meter
        (1.7e9 + 3600.0 * np.arange(500), True),  # seconds since 1970
        (1e9 + RNG.integers(0, 90, 300).cumsum(), True),  # pages printed
        (1013.25 + 7 * RNG.normal(size=300), False),
        (101_325 + 20 * RNG.normal(size=300), False),
        (3e12 * np.exp(0.01 * RNG.normal(size=300).cumsum()), False),  # a market capitalisation
        (1e-12 * RNG.random(300), False),
        (0.1 * np.arange(300), False),
        (2.0**30 + 1024.0 * np.arange(99), False),  # float32 holds each of them
        (np.append(20 + RNG.normal(size=300), 1e9 + 0.3), False),  # one that is no value
        (np.full(50, 987654321.3), False),
        (np.full(5, np.nan), False),
        (np.zeros(0), False),
    ],
)
def test_float64_is_for_columns_of_which_float32_loses_the_changes(column, needed):
    assert needs_float64(column) is needed
    assert needs_float64(np.append(column, np.nan)) is needed


def meter(tmp_path, rows=200):
    path = tmp_path / "meter.csv"
    lines = [f"{987654321 + 0.4 * row:.1f},{row % 7}" for row in range(rows)]
    path.write_text("kwh,load\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return DataConfig(name=str(path), bounds=("kwh=987654321:",))


def test_a_table_keeps_the_digits(tmp_path):
    config = meter(tmp_path)
    values = open_sequences(config).values[0]
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values[:, 0], np.round(987654321 + 0.4 * np.arange(200), 1))
    lines = inspect_sequences(config).splitlines()
    assert any("kwh: 987654321 to 987654400.6" in line for line in lines)


# Two models that differ in where their data are alone: what one gives is what the other gives,
# moved.


def data(shift, dtype):
    rng = np.random.default_rng(1)
    x = 0.4 * rng.normal(size=(LENGTH, 1)).cumsum(axis=0)
    values = np.concatenate([np.round(x * 64) / 64 + shift, rng.random((LENGTH, 1))], axis=1)
    features = (Feature("x", low=shift - 8.0, high=shift + 8.0), Feature("y"))
    return Sequences("made", "series", features, [values.astype(dtype)], ["0"])


def processors(scaler="standard"):
    config = PreprocessingConfig(scaler=scaler)
    return [
        SequenceProcessor.fit(each, config)
        for each in (data(0.0, np.float32), data(SHIFT, np.float64))
    ]


@functools.cache
def pair_of(kind):
    def make(processor):
        if kind == "recurrent":
            return new_model(
                "lstm", "numbers", units=8, layers=1, seed=1, head="gaussian_mixture", components=2,
                processor=processor,
            )  # fmt: skip
        return new_model(
            "unet1d", width=8, multipliers=(1,), blocks=1, groups=2, attention_at=(), seed=1,
            processor=processor,
            generation={"num_steps": 3, "resamplings": 1},
        )  # fmt: skip

    near, far = map(make, processors())
    far.set_weights(near.get_weights())
    return near, far


@pytest.fixture(params=["recurrent", pytest.param("diffusion", marks=pytest.mark.exhaustive)])
def pair(request):
    return pair_of(request.param)


def moved(values):
    return np.asarray(values, np.float64) + [SHIFT, 0.0]


def same(far, near):
    assert far.dtype == np.float64 and near.dtype == np.float32
    np.testing.assert_allclose(far - [SHIFT, 0.0], near, atol=2e-4)


@pytest.mark.parametrize("scaler", ["standard", "min_max", "robust", "whiten"])
def test_scaling_there_and_back_keeps_the_digits(scaler):
    near, far = processors(scaler)
    values = data(SHIFT, np.float64).values[0]
    assert near.origin is None and far.origin[1] == 0 and abs(far.origin[0] - SHIFT) < 8
    scaled = far(values)
    np.testing.assert_allclose(scaled, near(data(0.0, np.float32).values[0]), atol=1e-5)
    back = far.restored(far.join(far.unscale_numbers(scaled), None))
    assert back.dtype == tf.float64
    np.testing.assert_allclose(back, values, rtol=0, atol=1e-5)
    again = SequenceProcessor(**{k: v for k, v in far.get_config().items() if k != "name"})
    assert again.origin == far.origin
    json.dumps(far.get_config())


@pytest.mark.parametrize("scaler", ["none", "mean", "mu_law"])
def test_a_scaler_that_needs_its_zero_keeps_it(scaler):
    assert processors(scaler)[1].origin is None


@pytest.mark.exhaustive
def test_what_is_drawn_forecast_and_filled_has_the_digits(pair):
    near, far = pair
    same(far.generate(3, 7, seed=1), near.generate(3, 7, seed=1))
    series = data(0.0, np.float32).values[0][:20]
    ours, theirs = near.forecast(series, 4, 9, seed=1), far.forecast(moved(series), 4, 9, seed=1)
    same(theirs.samples, ours.samples)
    same(theirs.mean, ours.mean)
    same(theirs.quantiles[0.9], ours.quantiles[0.9])
    assert (theirs.samples[..., 0] >= SHIFT - 8).all() and (
        theirs.samples[..., 0] <= SHIFT + 8
    ).all()
    assert (theirs.samples.min(axis=0) <= theirs.mean).all()
    assert (theirs.mean <= theirs.samples.max(axis=0)).all()
    gaps = series.copy()
    gaps[5:8] = np.nan
    filled = far.impute(moved(gaps), 3, seed=1)
    same(filled, near.impute(gaps, 3, seed=1))
    observed = ~np.isnan(gaps)
    np.testing.assert_array_equal(filled[:, observed], [moved(gaps)[observed]] * 3)


def test_likelihoods_are_those_of_the_data_s_units(pair):
    near, far = pair
    series = data(0.0, np.float32).values[0][:20]
    ours, theirs = near.score(series), far.score(moved(series))
    assert theirs["log_likelihood"] == pytest.approx(ours["log_likelihood"], rel=1e-4)
    assert theirs["values"] == ours["values"] == 40


def test_what_is_trained_on_has_the_digits(pair):
    near, far = pair
    batches = []
    for model, made in ((near, data(0.0, np.float32)), (far, data(SHIFT, np.float64))):
        made = model.processor.check(made)
        augment = open_augmentation(("jitter=0.1",), "series", made)
        windows = SequenceWindows(made, 8, 4, augment=augment)
        batches.append(windows.batch(0))
        assert batches[-1]["values"].dtype == made.values[0].dtype
    same(batches[1]["values"], batches[0]["values"])
    losses = [float(model.batch_loss(model.unpack(b))[0]) for model, b in zip(pair, batches)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_stream_has_the_digits(pair):
    near, _far = pair
    if near.can("stream"):
        pieces = [np.concatenate(list(model.stream(9, seed=1))) for model in pair]
        same(pieces[1], pieces[0])


def test_latents_lead_back(pair):
    near, far = pair
    if near.can("decode"):
        series = data(0.0, np.float32).values[0][:16]
        same(far.denoise(moved(series), 0.5), near.denoise(series, 0.5))
        ours, theirs = near.encode(series, num_steps=3), far.encode(moved(series), num_steps=3)
        np.testing.assert_allclose(theirs, ours, atol=1e-3)
        same(far.decode(ours, num_steps=3), near.decode(ours, num_steps=3))


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
@pytest.mark.parametrize(
    "kind", ["recurrent", pytest.param("diffusion", marks=pytest.mark.exhaustive)]
)  # fmt: skip
def test_a_saved_model_takes_and_gives_them_too(kind, tmp_path):
    _, far = pair_of(kind)
    far.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    series = moved(data(0.0, np.float32).values[0][:12])
    given = {
        "values": series[None], "lengths": np.int32([12]), "horizon": 3, "num_samples": 5,
        "quantiles": np.float32([0.5]), "seed": np.int64(1),
    }  # fmt: skip
    signature = served.signatures["forecast"]
    defaults = {
        "temperature": 1.0, "bias": 0.0, "num_steps": 3, "guidance_scale": 1.0, "resamplings": 1
    }  # fmt: skip
    wanted = signature.structured_input_signature[1]
    given |= {name: value for name, value in defaults.items() if name in wanted}
    given = {k: tf.constant(v, wanted[k].dtype) for k, v in given.items()}
    found = signature(**given)
    options = {"seed": 1} if "num_steps" in wanted else {"seed": 1, "temperature": 1.0}
    expected = far.forecast(series, 3, 5, [0.5], **options)
    assert found["samples"].dtype == tf.float64
    np.testing.assert_allclose(found["samples"][0], expected.samples, rtol=0, atol=1e-3)


def test_the_mean_of_a_forecast_lies_among_its_samples():
    plain = SequenceProcessor.plain()
    for value in (987_654_321.0, 0.1, -3e38, 1e-30):
        samples = np.full((1, 1000, 1, 1), value, np.float32)
        assert (
            summary_of(samples, np.float32([0.5]), plain)["mean"].numpy().item()
            == samples[0, 0, 0, 0]
        )
    samples = 987_654_336 + 64.0 * np.random.default_rng(0).integers(0, 3, (2, 1000, 4, 3))
    mean = summary_of(samples.astype(np.float32), np.float32([0.5]), plain)["mean"]
    np.testing.assert_allclose(mean, samples.mean(axis=1), rtol=1e-7)
