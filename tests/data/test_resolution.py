"""Steps in which numbers were recorded."""

import numpy as np
import pytest

from tfgen.data import open_sequences
from tfgen.data.resolution import Step, find_step
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

RNG = np.random.default_rng(0)


def recorded(step, decimals, low=0, high=30, count=4000, offset=0.0):
    exact = offset + step * RNG.integers(low, high, count)
    return np.round(exact, decimals).astype(np.float32)


@pytest.mark.parametrize(
    "values, size, offset",
    [
        (recorded(0.1, 1, -100, 300), 0.1, 0),
        (recorded(1, 0, -5, 40), 1, 0),
        (recorded(5, 0), 5, 0),
        (recorded(0.25, 2), 0.25, 0),
        (recorded(2, 0, offset=1), 2, 1),
        (recorded(0.5, 2, offset=0.2), 0.5, 0.2),
        (recorded(1.0, 2, offset=1012.25), 1, 0.25),
    ],
)
def test_even_steps_are_found(values, size, offset):
    values[7] = np.nan
    found = find_step(values)
    assert found.size == pytest.approx(size) and found.offset == pytest.approx(offset)


@pytest.mark.parametrize(
    "factor, decimals", [(1.150779, 2), (1.852, 1), (1 / 0.3048, 2), (0.514444, 2)]
)
def test_steps_that_were_converted_to_another_unit_are_found(factor, decimals):
    values = recorded(factor, decimals, 0, 60)
    found = find_step(values)
    assert found.size == pytest.approx(factor, rel=2e-3) and found.offset == 0
    assert found.decimals == decimals
    # What the step makes of integers are the numbers of the data, to the last digit.
    k = np.rint(values / found.size)
    np.testing.assert_array_equal(np.round(k * found.size, decimals).astype(np.float32), values)


def test_numbers_that_are_no_multiples_have_no_step():
    assert find_step(RNG.normal(size=3000)) is None
    assert find_step(RNG.normal(size=3000).astype(np.float32)) is None
    assert find_step(np.repeat([0.1234567, 3.3, 9.87654321], 50)) is None
    assert find_step([1.0, 2.0, 3.0]) is None  # each once
    assert find_step(np.repeat([1.0, 2.0], 50)) is None  # two values may be anything
    assert find_step([]) is None and find_step([np.nan] * 9) is None


def test_some_missing_steps_change_nothing():
    values = recorded(1.150779, 2, 0, 60)
    few = values[~np.isin(np.rint(values / 1.150779), [3, 7, 8, 20, 41])]
    assert find_step(few).size == pytest.approx(1.150779, rel=2e-3)


def table(tmp_path, columns):
    """A file of columns, and the sequences that are read of it with a resolution."""
    names, rows = [*columns], zip(*columns.values())
    path = tmp_path / "table.csv"
    path.write_text("\n".join([",".join(names), *(",".join(map(str, row)) for row in rows)]))
    return lambda *resolution: open_sequences(DataConfig(name=str(path), resolution=resolution))


def test_a_resolution_is_said_or_found(tmp_path):
    wind = [f"{number:.2f}" for number in np.round(1.150779 * RNG.integers(0, 30, 300), 2)]
    read = table(tmp_path, {"wind": wind, "x": RNG.normal(size=300)})
    assert [feature.step for feature in read().features] == [None, None]
    (wind, x) = read("wind=auto").features
    assert wind.step.size == pytest.approx(1.150779, rel=2e-3) and x.step is None
    assert read("wind=0.01").features[0].step == Step(0.01, 0.0, 2)
    assert read("wind=1.150779").features[0].step.size == 1.150779


@pytest.mark.parametrize(
    "resolution, told",
    [
        ("y=auto", "Unknown feature of data.resolution 'y'"),
        ("x=auto", "'x' shows no steps: give its step as 'x=0.1', or leave it out"),
        ("sky=auto", "'sky' is a category"),
        ("n", "must be like 'name=0.1'"),
        ("n=0", "must be like 'name=0.1'"),
        ("n=much", "must be like 'name=0.1'"),
        ("n=4", "'n' has values that are no multiples of 4: 4, the first of them 1 at "),
    ],
)
def test_what_is_no_resolution_is_told_in_one_line(tmp_path, resolution, told):
    columns = {"n": [1, 2, 3, 4, 5] * 1, "x": RNG.normal(size=5), "sky": list("ababa")}
    with pytest.raises(InputError) as caught:
        table(tmp_path, columns)(resolution)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("Unknown") or f"'{resolution}'" in str(caught.value)


def test_a_resolution_is_said_once(tmp_path):
    read = table(tmp_path, {"n": [1, 2, 3] * 9})
    with pytest.raises(InputError, match="'n' has a resolution already"):
        read("n=1", "n=auto")


def test_the_weather_was_recorded_in_knots():
    config = DataConfig(name="weather", resolution=("wind_speed=auto", "pressure=0.1"))
    steps = {each.name: each.step for each in open_sequences(config).features}
    assert steps["wind_speed"].size == pytest.approx(1.15078, rel=1e-5)
    assert steps["pressure"] == Step(0.1, 0.0, 1) and steps["temp"] is None
