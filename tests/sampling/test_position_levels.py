"""Levels of training by position: what they must hold for a run that goes on to be familiar."""

import numpy as np

from tfgen.sampling import random
from tfgen.sampling.noise_schedules import noise_schedule
from tfgen.sampling.position_levels import independent_levels, rolling_levels

KEY = random.root(3, random.SAMPLING)
ROWS, TIME = 4000, 16


def clean(levels):
    """Positions at the beginning that are clean; behind them none is."""
    count = (levels == 0).sum(axis=1)
    assert ((np.arange(TIME) < count[:, None]) == (levels == 0)).all()
    return count


def test_independent_levels_are_shared_by_one_position_to_all():
    levels = independent_levels(KEY, lambda key, shape: 1 + random.uniform(key, shape), ROWS, TIME)
    levels = levels.numpy()
    count = clean(levels)
    np.testing.assert_allclose((count == 0).mean(), 0.5 + 0.5 / TIME, atol=0.03)
    # Half of the others have half of the positions or more.
    np.testing.assert_allclose((count[count > 0] >= TIME // 2).mean(), 8 / 15, atol=0.04)
    whole = levels[count == 0]
    changes = (np.diff(whole, axis=1) != 0).mean(axis=1)
    # The mean of time**-u over u uniform in (0, 1.5) is (1 - time**-1.5) / (1.5 ln time).
    expected = (1 - TIME**-1.5) / (1.5 * np.log(TIME))
    np.testing.assert_allclose(changes.mean(), expected, atol=0.02)
    assert (changes == 0).mean() > 0.2
    assert (changes > 0.9).mean() > 0.02
    np.testing.assert_allclose(whole.mean(), 1.5, atol=0.02)


def test_rolling_levels_rise_from_a_clean_beginning_to_noise():
    schedule = noise_schedule("karras", 0.002, 80.0)
    levels = rolling_levels(KEY, schedule, ROWS, TIME).numpy()
    count = clean(levels)
    assert 0.4 < (count == 0).mean() < 0.62
    assert (np.diff(levels, axis=1) >= -1e-4).all()
    np.testing.assert_allclose(levels.max(), 80.0, rtol=1e-4)
    # Places rise in a straight line until they stay: a single kink.
    places = schedule.n(np.maximum(levels[count == 0], 0.002))
    steps = np.diff(places, axis=1)
    rising = steps > 1e-3
    assert (np.diff(rising.astype(int), axis=1) <= 0).all()
    inner = rising[:, 1:] & rising[:, :-1]
    full = inner[:, 1:] & inner[:, :-1]  # neither the first nor the last of a ramp
    np.testing.assert_allclose(steps[:, 1:-1][full], steps[:, :-2][full], atol=2e-3)
