"""How numbers were recorded, as `tfgen inspect` tells it."""

import numpy as np
import pytest

from tfgen.cli import main
from tfgen.data.found import counted, piles
from tfgen.report.recorded import recorded_as

RNG = np.random.default_rng(0)
RAIN = np.round(RNG.normal(-0.5, 1, 4000).clip(0, None), 1).astype(np.float32)


def test_steps_and_frequent_values_are_told():
    dry = (RAIN == 0).mean()
    assert recorded_as(*counted(RAIN)) == f"in steps of 0.1; {dry:.0%} are 0"
    assert recorded_as(*counted(RNG.normal(size=500).astype(np.float32))) == ""
    assert (
        recorded_as(*counted(np.repeat([1.0, 2.0, 3.0], [5, 80, 15])))
        == "in steps of 1; 80% are 2, 15% are 3, 5% are 1"
    )


def test_values_pile_up_where_a_scale_ends():
    assert piles(*counted(RAIN)) == (0.0, None)
    assert piles(*counted(RNG.normal(0.9, 1, 2000).clip(0, 1))) == (0.0, 1.0)
    assert piles(*counted(RNG.normal(size=2000))) == (None, None)
    assert piles(*counted(RNG.integers(0, 5, 2000))) == (
        None,
        None,
    )  # each as often as its neighbour
    assert piles(*counted(np.zeros(9))) == (None, None)


def test_inspect_shows_it(tmp_path, capsys):
    rows = [f"{hour},{value:g}" for hour, value in enumerate(RAIN[:400])]
    (tmp_path / "rain.csv").write_text("\n".join(["n,rain", *rows]))
    assert not main(["inspect", str(tmp_path / "rain.csv"), "--set", 'data.columns=["rain"]'])
    told = capsys.readouterr().out
    assert "recorded: in steps of 0.1" in told
    assert "values pile up at 0 of 'rain'" in told and '"rain=0:"' in told


@pytest.mark.parametrize("bounds", ["rain=0:", "rain=:9"])
def test_what_is_said_already_is_not_told_again(bounds, tmp_path, capsys):
    rows = [f"{hour},{value:g}" for hour, value in enumerate(RAIN[:400])]
    (tmp_path / "rain.csv").write_text("\n".join(["n,rain", *rows]))
    main(["inspect", str(tmp_path / "rain.csv"), "--set", f'data.bounds=["{bounds}"]'])
    told = capsys.readouterr().out
    assert "--set 'data.resolution" in told and "--set 'data.bounds" not in told
