"""Filling gaps, for every kind of columns: what is filled, and how likely each filling is."""

import numpy as np
import pytest

from tfgen.data import Feature, Sequences
from tfgen.models import make as new_model
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig
from tfgen.zoo import get

pytestmark = pytest.mark.usefixtures("op_by_op")

NUMBER, OTHER = Feature("x"), Feature("y")
BOUNDED = Feature("x", low=0.0, high=10.0)
CATEGORY, SECOND = Feature("c", levels=("p", "q", "r")), Feature("d", levels=("s", "t"))
LENGTH, PARTICLES = 6, 4000

KINDS = {
    "one number": {"features": [NUMBER]},
    "two numbers": {"features": [NUMBER, OTHER]},
    "bounds": {"features": [BOUNDED, OTHER]},
    "one number and categories": {"features": [NUMBER, CATEGORY, SECOND]},
    "two numbers and a category": {"features": [CATEGORY, NUMBER, OTHER], "covariance": "full"},
    "whitened numbers and a category": {"features": [NUMBER, OTHER, CATEGORY], "scaler": "whiten"},
    "bounds and a category": {"features": [CATEGORY, BOUNDED]},
    "categories": {"features": [CATEGORY, SECOND]},
    "known covariates": {"features": [NUMBER, CATEGORY], "known": True},
    "missing values": {"features": [NUMBER, CATEGORY, OTHER], "missing": True},
    "lags": {"features": [NUMBER, CATEGORY], "lags": [3], "seasonal_skip": 2},
}
DEFAULT = ("bounds and a category",)


def data(features, known, missing):
    rng = np.random.default_rng(0)
    columns = [
        rng.integers(0, len(each.levels), 40) if each.is_category else 10 * rng.random(40)
        for each in features
    ]
    values = np.stack(columns, axis=1).astype(np.float32)
    if missing:
        values[rng.random(values.shape) < 0.1] = np.nan
    extra = {}
    if known:
        extra = {"known": [rng.normal(size=(40, 1)).astype(np.float32)], "known_names": ("k",)}
    return Sequences("made", "series", tuple(features), [values], ["0"], **extra)


@pytest.fixture(
    scope="module",
    params=[
        each if name in DEFAULT else pytest.param(each, marks=pytest.mark.exhaustive)
        for name, each in KINDS.items()
    ],
    ids=KINDS,
)
def case(request):
    """A model whose next position depends strongly on the last ones, and data of its kind."""
    options = dict(request.param)
    features, scaler = options.pop("features"), options.pop("scaler", "standard")
    made = data(features, options.pop("known", False), options.pop("missing", False))
    processor = SequenceProcessor.fit(made, PreprocessingConfig(scaler=scaler))
    if any(not each.is_category for each in features):
        options |= {"head": "gaussian_mixture", "components": 2}
    model = new_model(
        "lstm", "numbers", cell="gru", units=8, layers=1, seed=1, processor=processor, **options
    )
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    return model, made


def known_of(made):
    return {"known": made.known[0][:LENGTH]} if made.known else {}


def whole(made):
    """A part of the data in which nothing is missing."""
    values = made.values[0]
    observed = ~np.isnan(values).any(axis=1)
    return values[observed][:LENGTH].copy()


def test_what_was_observed_stays_and_what_is_filled_is_possible(case):
    model, made = case
    rng = np.random.default_rng(2)
    series = whole(made)
    series[rng.random(series.shape) < 0.4] = np.nan
    series[2] = np.nan
    filled = model.impute(series, PARTICLES, seed=3, particles=PARTICLES, **known_of(made))
    assert filled.shape == (PARTICLES, *series.shape) and np.isfinite(filled).all()
    observed = ~np.isnan(series)
    np.testing.assert_array_equal(
        filled[:, observed], np.broadcast_to(series[observed], (PARTICLES, observed.sum()))
    )
    for column, feature in enumerate(made.features):
        values = filled[..., column]
        if feature.is_category:
            assert np.isin(values, np.arange(len(feature.levels))).all()
        elif feature.low is not None:
            assert (values >= feature.low).all() and (values <= feature.high).all()
        if np.isnan(series[2, column]) and not feature.is_category:
            assert len(np.unique(values[:, 2])) > 1
    again = model.impute(series, PARTICLES, seed=3, particles=PARTICLES, **known_of(made))
    np.testing.assert_array_equal(filled, again)


@pytest.mark.long
def test_a_category_is_filled_as_often_as_enumeration_says(case):
    model, made = case
    if not model.processor.num_categories:
        pytest.skip("it has none")
    column = model.processor.category_columns[0]
    series, gap = whole(made), (2, column)
    levels = range(len(made.features[column].levels))
    # What is likely of each completed series, by the model's own likelihood of the whole.
    nats = []
    for level in levels:
        series[gap] = level
        nats.append(float(model.score(series, **known_of(made))["log_likelihood"]))
    shares = np.exp(nats - np.logaddexp.reduce(nats))
    # The past alone says something else, so that a filter without weights would be seen.
    past = []
    for level in levels:
        begun = series[:3].copy()
        begun[2] = np.nan
        begun[gap] = level
        of_past = {name: value[:3] for name, value in known_of(made).items()}
        past.append(float(model.score(begun, **of_past)["log_likelihood"]))
    assert np.abs(shares - np.exp(past - np.logaddexp.reduce(past))).max() > 0.04
    series[gap] = np.nan
    filled = model.impute(series, PARTICLES, seed=1, particles=PARTICLES, **known_of(made))
    found = np.bincount(filled[:, 2, column].astype(int), minlength=len(shares)) / PARTICLES
    np.testing.assert_allclose(found, shares, atol=0.03)


@pytest.mark.long
def test_a_shipped_model_of_drawings_fills_gaps():
    model = get("lstm-kanji")
    drawing = np.array(model.generate(length=16, seed=1)[0])
    gaps = drawing.copy()
    gaps[5:8] = np.nan
    gaps[10, 2] = np.nan
    filled = model.impute(gaps, num_samples=2, particles=16, seed=1)
    observed = ~np.isnan(gaps)
    assert np.isfinite(filled).all() and np.isin(filled[..., 2], [0, 1]).all()
    np.testing.assert_array_equal(filled[:, observed], np.stack([drawing[observed]] * 2))
