"""Mixtures: scores done by hand, samples that are the members' own, in turns, live and served."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp

from tests.models.contract.rows import ROWS, as_if_trained, series
from tfgen import models, zoo
from tfgen.errors import InputError
from tfgen.models.numbers.least_squares import adapt
from tfgen.training import average

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

LSTM, UNET = (
    next(row for row in ROWS if str(row) == f"{name}-numbers") for name in ("lstm", "unet1d")
)


def members_of(row, count=3):
    return [as_if_trained(row.make(seed=seed)) for seed in range(1, count + 1)]


def told():
    return {"condition": "q", "length": 6}


def test_a_score_is_the_log_of_the_mean_likelihood():
    members, (data, told) = members_of(LSTM), LSTM.raw()
    mixture = average(members)
    each = [model.score(data, **told)["log_likelihood"] for model in members]
    found = mixture.score(data, **told)
    np.testing.assert_allclose(found["log_likelihood"], logsumexp(each, axis=0) - np.log(3))
    np.testing.assert_allclose(found["nats_per_position"], -found["log_likelihood"] / 8)
    assert np.ptp(each, axis=0).min() > 0.01
    # Of one that finds a series very unlikely, the others are what is left.
    spoiled = [*members[:2], as_if_trained(as_if_trained(as_if_trained(LSTM.make(seed=9))))]
    worst = spoiled[2].score(data, **told)["log_likelihood"]
    total = average(spoiled).score(data, **told)["log_likelihood"]
    assert (total >= np.logaddexp(each[0], each[1]) - np.log(3) - 1e-9).all()
    assert (total <= np.max([*each[:2], worst], axis=0)).all()


@pytest.mark.parametrize("row", [LSTM, pytest.param(UNET, marks=pytest.mark.long)], ids=str)
def test_the_same_members_are_the_member(row):
    model, (data, told) = members_of(row, 1)[0], row.raw(0, 1)
    twice = average([model, model])
    one, two = model.score(data, **told), twice.score(data, **told)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-9)
    if row is LSTM:  # what is drawn without chance is the same
        one, two = (each.generate(2, 6, condition="q", temperature=0) for each in (model, twice))
        np.testing.assert_allclose(one, two, rtol=1e-5)
    batch = row.batch()
    one, two = (each.batch_loss(each.unpack(batch))[0] for each in (model, twice))
    np.testing.assert_allclose(one, two, rtol=1e-6)


@pytest.mark.long
def test_samples_are_of_the_members_in_turns():
    """Members that say where they are from: the first column is held at 0 or at 5."""
    members = members_of(LSTM, 2)
    for model, value in zip(members, (-1e3, 1e3)):
        for weight in model.engine.emission.number_head.weights:
            if len(weight.shape) == 1:  # every bias: of logits, where it does nothing, and of means
                weight.assign(tf.fill(weight.shape, value * (weight.shape[0] > 1)))
    mixture = average(members)
    firsts = set()
    for seed in (0, 3):
        # Without chance, since the deviations are as large as the means.
        options = {"seed": seed, "condition": "q", "temperature": 0}
        drawn = mixture.generate(3, 2, **options)[..., 0]
        origin = (drawn[:, 0] > 2.5).astype(int)
        assert (drawn > 2.5).all(axis=1).tolist() == (origin == 1).tolist()
        assert (np.diff(origin) != 0).all()  # in turns
        firsts.add(origin[0])
        # A sample is the same in a batch of another size.
        np.testing.assert_allclose(mixture.generate(1, 2, **options)[..., 0], drawn[:1])
    assert firsts == {0, 1}  # a single sample is of any
    data, told = LSTM.raw(0, 1)
    samples = mixture.forecast(data, 2, 10, seed=1, temperature=0, **told).samples
    assert samples.shape == (2, 10, 2, 3)
    assert ((samples[..., 0] > 2.5).all(axis=2).sum(axis=1) == 5).all()
    gaps = data[0].copy()
    gaps[3:5] = np.nan
    told = {"times": told["times"][0], "condition": told["condition"][0]}
    filled = mixture.impute(gaps, 4, seed=1, particles=8, **told)
    assert 1 <= (filled[:, 3, 0] > 2.5).sum() <= 3  # two are of the second, wherever it is
    np.testing.assert_array_equal(filled[:, 0], np.repeat(gaps[:1], 4, axis=0))


def test_each_sample_has_its_own_condition_and_is_the_members_row():
    mixture = average(members_of(LSTM, 2))
    mixed, *alone = (
        mixture.generate(3, 2, seed=3, condition=label) for label in (["p", "q", "q"], "p", "q")
    )
    np.testing.assert_allclose(mixed[0], alone[0][0], rtol=1e-5)
    np.testing.assert_allclose(mixed[1:], alone[1][1:], rtol=1e-5)
    assert all(np.any(alone[0][row] != alone[1][row]) for row in range(3))


@pytest.mark.long
@pytest.mark.parametrize("row", [LSTM, pytest.param(UNET, marks=pytest.mark.exhaustive)], ids=str)
def test_it_is_saved_and_served_as_any_model(row, tmp_path):
    mixture = average(members_of(row, 2))
    mixture.save(tmp_path / "mixture")
    again = zoo.get(tmp_path / "mixture")
    assert again.engine.members == 2 and again.recipe.model["members"] == 2
    for one, other in zip(mixture.weights, again.weights, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one, other)
    assert len({weight.path for weight in mixture.weights}) == len(mixture.weights)
    drawn = row.sample(mixture, seed=4, count=3)
    np.testing.assert_array_equal(drawn, row.sample(again, seed=4, count=3))
    served = {each.name: each for each in mixture.functions()}
    data, told = row.raw(0, 1)
    given = {
        "num_samples": 3, "length": 5, "seed": 4, "condition": [1], "temperature": 1, "bias": 0,
        "start_time": [mixture.processor.start_time], "num_steps": 2, "guidance_scale": 1,
    }  # fmt: skip
    series = {
        "values": np.stack(data), "lengths": [8, 8], "times": np.stack(told["times"]),
        "condition": told["condition"], "seed": 0, "num_steps": 5,
    }  # fmt: skip

    def called(name, given):
        specs = served[name].specs
        return served[name].call({k: tf.constant(given[k], specs[k].dtype) for k in specs})

    assert called("generate_default", given)["values"].shape == (1, 5, 3)
    found = called("generate", given)["values"]
    np.testing.assert_allclose(found, drawn, rtol=1e-4, atol=1e-5)
    own = {} if row is LSTM else {"num_steps": 5}
    live = mixture.score(data, **told, **own)["log_likelihood"]
    np.testing.assert_allclose(called("score", series)["log_likelihood"], live, rtol=1e-5)
    assert "decode" not in served
    with pytest.raises(InputError, match="stream is for a single model"):
        mixture.stream(condition="q")


def test_the_recipe_of_a_new_mixture_and_its_parts():
    model = LSTM.make(members=2)
    recipe = models.recipe_of(model)
    assert recipe.model["members"] == 2 and recipe.model["units"] == 8
    weights = model.get_weights()
    first, second = weights[: len(weights) // 2], weights[len(weights) // 2 :]
    alone = LSTM.make().get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(first, alone, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    (data,), told = LSTM.raw(0)
    members = members_of(LSTM, 2)
    embedded = average(members).encode(data, **told)
    parts = [each.encode(data, **told) for each in members]
    np.testing.assert_allclose(embedded, np.concatenate(parts), rtol=1e-5)


def test_every_member_starts_at_least_squares():
    model = LSTM.make(members=2, linear_skip=True)
    assert adapt(model, series())
    kernels = [each.emission.reference.linear.kernel.numpy() for each in model.engine.engines]
    np.testing.assert_array_equal(*kernels)
    alone = LSTM.make(linear_skip=True)
    adapt(alone, series())
    np.testing.assert_array_equal(alone.engine.emission.reference.linear.kernel, kernels[1])
