"""`seasons` finds at which lags a series is like itself again, and no season where there is none."""

import numpy as np
import pytest

from tfgen.data import open_sequences
from tfgen.data.seasons import autocorrelation, calendar_lags, seasons
from tfgen.recipe import DataConfig

RNG = np.random.default_rng(0)
HOUR, DAY = 3600, 86_400


def test_autocorrelation_is_the_correlation_of_observed_pairs():
    columns = [RNG.normal(size=50), np.cumsum(RNG.normal(size=31))]
    columns[0][[3, 4, 20, 49]] = np.nan
    deviations = [column - np.nanmean(column) for column in columns]
    found = autocorrelation(columns, 40)
    for lag in range(41):
        pairs = np.concatenate(
            [np.stack([d[: len(d) - lag], d[lag:]]) for d in deviations if len(d) > lag], axis=1
        )
        first, second = pairs[:, ~np.isnan(pairs).any(axis=0)]
        expected = first @ second / np.sqrt(first @ first * (second @ second))
        np.testing.assert_allclose(found[lag], expected, atol=1e-9)
    assert found[0] == pytest.approx(1)
    assert np.isnan(autocorrelation([np.full(13, 3.3)], 2)).all()
    assert np.isnan(autocorrelation([np.full(9, np.nan)], 2)).all()
    assert np.isnan(autocorrelation([np.array([1.0, 2.0])], 3)[2:]).all()


def test_autocorrelation_of_a_few_values_lies_within_1():
    # Deviations -2, -1, 0, 3. At lag 3 the mean product over the variance would be -6 / 3.5.
    found = autocorrelation([np.array([1.0, 2.0, 3.0, 6.0])], 3)
    expected = [1, 2 / np.sqrt(5 * 10), -3 / np.sqrt(5 * 9), -1]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    found = autocorrelation([np.array([0.0, 1.0, np.nan, 1.0, 1.0, 0.0, 1.0]) + 5], 5)
    # Thirds: -2, 1, missing, 1, 1, -2, 1, of which four pairs are one apart.
    assert found[1] == pytest.approx((-2 + 1 - 2 - 2) / np.sqrt((4 + 1 + 1 + 4) * (1 + 1 + 4 + 1)))
    for _ in range(50):
        values = RNG.normal(size=RNG.integers(3, 12))
        values[RNG.random(len(values)) < 0.2] = np.nan
        found = autocorrelation([values, RNG.normal(size=5)], 11)
        assert np.nanmax(np.abs(found)) <= 1


@pytest.mark.parametrize("period", [2, 3, 7, 24, 52])
def test_the_season_is_the_period_and_no_multiple(period):
    steps = np.arange(20 * period)
    values = np.where(steps % period == 0, 5.0, 0) + RNG.normal(size=len(steps)) / 3 + steps / 9
    values[RNG.random(len(steps)) < 0.05] = np.nan
    assert seasons([values]) == [period]
    assert seasons([values[: 10 * period], values[10 * period :]]) == [period]


@pytest.mark.parametrize("step", [None, HOUR])
@pytest.mark.parametrize("weekend", [0.5, 1, 2])
def test_a_week_of_days_is_a_week_first(step, weekend):
    hours = np.arange(10 * 168)
    free = (hours // 24) % 7 >= 5
    values = np.sin(2 * np.pi * hours / 24) * (1 - 0.8 * free) - weekend * free
    values += 0.3 * RNG.normal(size=len(hours))
    week, day = seasons([values], step)
    assert week == 168 and (day == 24 if step else abs(day - 24) <= 1)
    correlations = autocorrelation([values], 168)
    assert correlations[168] > 1.2 * correlations[72]


@pytest.mark.parametrize("step", [None, HOUR])
def test_days_alone_are_days(step):
    hours = np.arange(10 * 168)
    values = np.sin(2 * np.pi * hours / 24) + 0.7 * RNG.normal(size=len(hours))
    slow = np.cumsum(RNG.normal(size=len(hours))) / 5
    assert seasons([values], step) == [24]
    assert seasons([values + slow], step) == [24]


def test_a_trend_that_multiplies_hides_no_year():
    months = np.arange(144)
    wave = 1 + 0.2 * np.sin(2 * np.pi * months / 12) + 0.05 * np.sin(2 * np.pi * months / 6)
    passengers = np.exp(4.8 + months / 100) * wave + 5 * RNG.normal(size=144)
    assert seasons([passengers]) == [12]
    assert seasons([passengers[:36]], 31 * DAY) == [12]


def test_a_smooth_year_of_days_is_found():
    days = np.arange(4 * 365)
    values = 5 * np.sin(2 * np.pi * days / 365.25) + 2 * RNG.normal(size=len(days))
    assert seasons([values], DAY) == [365]
    (lag,) = seasons([values])
    assert abs(lag - 365) < 15


def test_shipped_weather_has_days():
    weather = open_sequences(DataConfig(name="weather"))
    columns = [values[:, 0] for values in weather.values]
    assert weather.features[0].name == "temp"
    assert seasons(columns, HOUR) == seasons(columns) == [24]


def test_what_has_no_season_has_none():
    for values in (
        RNG.normal(size=2000),
        np.cumsum(RNG.normal(size=2000)),
        np.cumsum(RNG.normal(size=900)),
        np.arange(100.0),
        np.zeros(100),
        np.full(100, 0.1),
        np.full(100, np.nan),
        np.zeros(1),
        np.zeros(0),
    ):
        assert seasons([values]) == []
    assert seasons([]) == []


def test_periods_of_the_calendar_in_positions():
    assert calendar_lags(HOUR) == [24, 168]  # a year is longer than any lag that is looked at
    assert calendar_lags(DAY) == [7, 365]
    assert calendar_lags(31 * DAY) == [12]
    assert calendar_lags(92 * DAY) == [4]
    assert calendar_lags(15 * 60) == [96, 672]
    assert calendar_lags(None) == calendar_lags(400 * DAY) == []
