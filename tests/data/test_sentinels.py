"""Numbers that look as if they stood for missing values."""

import numpy as np
import pytest

from tfgen.data.sentinels import find_sentinels
from tfgen.recipe import DataConfig
from tfgen.report.inspect_sequences import inspect_sequences

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("number", "low", "high"),
    [(-200, 0.1, 12), (-200, -2, 45), (-200, 600, 2000), (-999, -40, 40), (-9999, 0, 5000),
     (9999, 900, 1100), (1e20, 0, 1), (-99.9, 0, 30), (-9999999, 0, 1)],
)  # fmt: skip
def test_a_repeated_extreme_far_from_the_rest(number, low, high):
    values = RNG.uniform(low, high, 300)
    values[[3, 50, 51, 200]] = number
    values[7] = np.nan
    for kind in (np.float32, np.float64):
        assert find_sentinels({"a": values.astype(kind)}) == {float(number): {"a": 4}}


@pytest.mark.parametrize(
    "values",
    [
        RNG.uniform(-300, 300, 300),
        np.array([-200.0, *range(300)]),  # once
        np.array([0.0] * 50 + [900, 1100]),
        np.array([-999, -999, -998, -1005, -1010, 40.0]),
        np.array([1, 1, 1, 0, 0, 0, 0.0]),
        np.array([999.0, 999, 998, 997, 990, 1005]),
        np.full(5, 3.0),
        np.full(3, np.nan),
    ],
)
def test_other_numbers_are_not_suspected(values):
    assert not find_sentinels({"a": values})


def test_inspect_says_what_to_set_and_setting_it_helps(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{5 + i % 3},{-200 if i % 4 == 0 else i},-200" for i in range(40)]
    path.write_text("\n".join(["a,b,c", *rows]))
    text = inspect_sequences(DataConfig(name=str(path)))
    assert "suspicious: -200 is in 50 cells of b, c, far from all others" in text
    assert "--set 'data.missing=[\"-200\"]'" in text
    text = inspect_sequences(DataConfig(name=str(path), missing=("-200",)))
    assert "suspicious" not in text and "b: 1 to 39" in text and "25% missing" in text
    assert "the column 'c' has no values" in text
