"""Steps in which numbers were recorded."""

import numpy as np
import pytest

from tfgen.data.resolution import find_step

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
