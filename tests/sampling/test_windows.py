"""Window after window: levels by hand, and strategies on a process whose denoiser is known."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from compare_windows import covariance, error, exact, rolled

from tfgen.errors import InputError
from tfgen.models.numbers.seams import border_steps
from tfgen.recipe import Windows
from tfgen.sampling import random
from tfgen.sampling.diffusion import sample
from tfgen.sampling.noise_schedules import noise_schedule
from tfgen.sampling.windows import (
    WindowState,
    advance_window,
    begin,
    held,
    raised,
    there,
    window_levels,
)


class Straight:
    """Levels 10 n."""

    def sigma(self, n):
        return 10.0 * n

    def n(self, sigma):
        return sigma / 10.0


def levels(strategy, num_steps, first=False, **sizes):
    plan = Windows(strategy, **sizes)
    found = window_levels(plan, Straight(), num_steps, tf.constant(first))
    return np.round(found.numpy()[..., 0], 4).tolist()


def test_levels_by_hand():
    assert levels("independent", 3, context=0, commit=2) == [[10, 10], [5, 5], [0, 0], [0, 0]]
    assert levels("overlap", 2, context=2, commit=1, look_ahead=1) == [
        [0, 0, 10, 10], [0, 0, 0, 0], [0, 0, 0, 0],
    ]  # fmt: skip
    kept = levels("overlap", 1, context=1, commit=1, context_sigma=0.5)
    assert kept == [[0.5, 10], [0.5, 0]]
    sizes = {"context": 1, "commit": 2, "look_ahead": 1, "sigma_init": 4.0}
    assert levels("backward_noise", 3, **sizes) == [
        [0, 4, 10, 10], [0, 2, 5, 5], [0, 0, 0, 0], [0, 0, 0, 0],
    ]  # fmt: skip
    assert levels("backward_noise", 3, first=True, **sizes)[0] == [0, 10, 10, 10]
    assert levels("temporal_noise", 2, context=1, commit=2, sigma_init=4.0) == [
        [0, 4, 4], [0, 0, 0], [0, 0, 0],
    ]  # fmt: skip
    sizes = {"context": 1, "commit": 1, "look_ahead": 2}
    assert levels("rolling", 2, **sizes) == [[0, 5, 10, 10], [0, 2.5, 7.5, 10], [0, 0, 5, 10]]
    assert levels("rolling", 2, first=True, **sizes) == [
        [0, 10, 10, 10], [0, 5, 7.5, 10], [0, 0, 5, 10],
    ]  # fmt: skip
    assert levels("diffusion_forcing", 3, context=1, commit=2) == [
        [0, 10, 10], [0, 5, 10], [0, 0, 5], [0, 0, 0],
    ]  # fmt: skip


def test_what_a_window_leaves_is_where_the_next_begins():
    """Between windows of rolling noise no level changes; elsewhere what must rises, no more."""
    for plan in (
        Windows("rolling", 2, 2, 4), Windows("backward_noise", 2, 3, 2, sigma_init=3.0),
        Windows("diffusion_forcing", 3, 2), Windows("overlap", 2, 2, context_sigma=0.1),
    ):  # fmt: skip
        own = functools.partial(window_levels, plan, noise_schedule("karras", 0.01, 20.0), 4)
        end, start = own(tf.constant(False))[-1], own(tf.constant(False))[0]
        end = np.pad(end[plan.commit :, 0], [0, plan.commit])
        assert (start.numpy()[:, 0] >= end - 1e-4).all()
        if plan.strategy == "rolling":
            np.testing.assert_allclose(start[:-2, 0], end[:-2], atol=1e-3)


def test_levels_of_less_steps_than_rows_are_padded():
    found = window_levels(Windows("overlap", 1, 1), Straight(), 2, tf.constant(True), rows=5)
    assert found[..., 0].numpy().tolist() == [[0, 10], [0, 0], [0, 0], [-1, -1], [-1, -1]]


def test_a_clean_position_is_held_and_the_others_are_told_one_level():
    seen = {}

    def denoiser(x, sigma):
        seen.update(x=x.numpy(), sigma=sigma.numpy())
        return tf.zeros_like(x)

    x, noise = tf.constant([[[1.0], [2.0], [3.0]]]), tf.constant([[[1.0], [-1.0], [9.0]]])
    sigma = tf.constant([[0.0, 3.0, 5.0]])
    estimate = held(denoiser, 0.01)(x, sigma)
    np.testing.assert_allclose(seen["sigma"], [[0.01, 3, 5]])
    assert estimate[0, :, 0].numpy().tolist() == [1, 0, 0]
    estimate = raised(denoiser, noise)(x, sigma)
    np.testing.assert_allclose(seen["sigma"], [5.0])
    np.testing.assert_allclose(seen["x"][0, :, 0], [1 + 5, 2 - 4, 3])
    assert estimate[0, :, 0].numpy().tolist() == [1, 0, 0]


# A Gaussian process, whose denoiser is known: see scripts/compare_windows.py

PLANS = {
    "overlap": Windows("overlap", 12, 8),
    "backward_noise": Windows("backward_noise", 12, 8, 8),
    "rolling": Windows("rolling", 12, 8, 8),
    "diffusion_forcing": Windows("diffusion_forcing", 12, 8),
}


@pytest.mark.parametrize("name", PLANS)
def test_with_many_steps_the_sequence_is_a_sample_of_the_process(name):
    x = rolled(PLANS[name], 40, 4, 3000)
    assert error(x) < 0.08
    assert 0.9 < border_steps(x, 8) < 1.1
    np.testing.assert_allclose(x.var(axis=0), 1.0, atol=0.12)


def test_independent_windows_have_seams_and_forget():
    x = rolled(Windows("independent", 0, 8), 40, 4, 3000)
    assert border_steps(x, 8) > 20
    assert error(x) > 0.3


@pytest.mark.long
def test_a_denoiser_of_one_level_goes_on_by_replacing_the_context():
    """Near the process, not on it: the context does not know of what is drawn after it."""
    x = rolled(PLANS["overlap"], 40, 4, 400, trained="shared")
    apart = rolled(Windows("independent", 0, 8), 40, 4, 400)
    assert border_steps(x, 8) < 0.3 * border_steps(apart, 8)
    assert error(x) < 0.8 * error(apart)


@pytest.mark.long
@pytest.mark.parametrize("num_steps, share", [(12, 0.8), (50, 1.2)])
def test_with_few_steps_backward_noise_is_nearer_to_the_process(num_steps, share):
    """Than windows from noise with the same context; with many steps there is nothing to gain."""
    plans = Windows("overlap", 16, 16), Windows("backward_noise", 16, 16, 16)
    found = [[rolled(plan, num_steps, 6, 3000, seed) for seed in range(3)] for plan in plans]
    errors = [np.mean([error(x) for x in each]) for each in found]
    assert errors[1] < share * errors[0]
    if num_steps == 50:
        assert max(errors) < 0.08
    assert np.mean([border_steps(x, 16) for x in found[1]]) < 1.05


def test_temporal_noise_begins_with_the_position_before():
    plan = Windows("temporal_noise", 2, 2, sigma_init=0.25, correlation=0.5)
    state = begin(plan, 500, 1)._replace(index=tf.constant(1), x=tf.fill([500, 4, 1], 8.0))
    seen = []

    def draw(x, levels, key):
        seen.append(x.numpy())
        return x

    schedule = noise_schedule("karras", 0.002, 80.0)
    advance_window(draw, plan, state, schedule, 5, random.root(1, random.SAMPLING))
    assert (seen[0][:, :2] == 8).all()
    np.testing.assert_allclose(seen[0][:, 2:].mean(axis=0), 4.0, atol=0.05)
    np.testing.assert_allclose(seen[0][:, 2:].std(axis=0), 0.25, atol=0.03)


def test_how_many_windows_are_drawn_changes_nothing_before():
    few, many = (rolled(PLANS["rolling"], 6, count, 3) for count in (2, 3))
    np.testing.assert_array_equal(few, many[:, :16])


def test_a_context_that_is_given_is_gone_on_from():
    """The first positions after it have the mean that they have given it."""
    plan = Windows("overlap", 4, 2)
    context = tf.tile(tf.constant([[[0.0], [0.5], [1.0], [1.5]]]), [3000, 1, 1])
    # Two windows were before it, of whose positions these were the last.
    state = WindowState(tf.constant(2), tf.pad(context, [[0, 0], [plan.commit, 0], [0, 0]]))
    assert there(plan, state).numpy().all()

    def draw(x, levels, key):
        denoiser = held(functools.partial(exact, valid=tf.ones([6], tf.bool)), 1e-3)
        return sample(denoiser, x, levels, key=key)

    schedule = noise_schedule("karras", 0.002, 80.0)
    new, _ = advance_window(draw, plan, state, schedule, 40, random.root(1, random.SAMPLING))
    prior = covariance(6)
    expected = prior[4:, :4] @ np.linalg.solve(prior[:4, :4], [0, 0.5, 1, 1.5])
    np.testing.assert_allclose(new.numpy()[..., 0].mean(axis=0), expected, atol=0.03)


@pytest.mark.parametrize(
    "text, message",
    [
        ("rollin", "Did you mean 'rolling'"),
        ("overlap:look=3", "look_ahead"),
        ("overlap:commit=2.5", "commit must be an integer"),
        ("overlap:sigma_init=2", "Unknown number of windows='overlap' 'sigma_init'"),
        ("overlap:commit=0", "commit must be at least 1"),
        ("overlap:context=-1", "context must be at least 0"),
        ("independent:context=3", "context=0"),
        ("rolling:look_ahead=0", "needs a look_ahead"),
        ("temporal_noise:context=0", "needs a context"),
        ("temporal_noise:correlation=2", "correlation must be a number from -1 to 1"),
        ("backward_noise:correlation=1", "Unknown number of windows='backward_noise'"),
        ("backward_noise:sigma_init=0", "sigma_init must be a number above 0"),
        ("overlap:context_sigma=nan", "context_sigma must be a number from 0 up"),
    ],
)
def test_what_windows_are_not(text, message):
    with pytest.raises(InputError, match=message):
        Windows.parse(text, 32)


def test_sizes_that_are_not_said_fill_the_training_window():
    assert Windows.parse("overlap", 21) == Windows("overlap", 10, 11, 0)
    assert Windows.parse("rolling", 21) == Windows("rolling", 10, 6, 5)
    assert Windows.parse("independent", 21) == Windows("independent", 0, 21)
    assert Windows.parse("backward_noise:context=2, commit=3", 20).size == 2 + 3 + 5
    assert Windows.parse("overlap:commit=3") == Windows("overlap", 0, 3)
    with pytest.raises(InputError, match="its sizes"):
        Windows.parse("overlap")
