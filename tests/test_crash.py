"""tests/crash.py: killed runs end with the same bits, and a bit that differs is counted."""

import shutil

import crash
import numpy as np
import pytest
from eager import eagerly

from tfgen.recipe import Recipe
from tfgen.training import train
from tfgen.training.checkpoints import Checkpoints, write_arrays


@pytest.mark.long
def test_runs_that_were_killed_end_as_those_that_were_not(capsys):
    assert crash.main(["--families", "lstm", "--kills", "1", "--steps", "150"]) == 0
    name, kills, _, runs, differing, *_ = capsys.readouterr().out.splitlines()[-1][2:].split(" | ")
    assert (name, kills) == ("lstm", "1") and int(runs) >= 1
    count, _, numbers = differing.partition(" of ")
    assert count == "0" and int(numbers.replace(",", "")) > 10_000


@pytest.mark.long
def test_every_difference_is_counted(tmp_path):
    with eagerly():
        assert_counted(tmp_path)


def assert_counted(tmp_path):
    settings = {**crash.COMMON, **crash.FAMILIES["gru"], "training.steps": 14}
    train(Recipe("gru").override(settings), tmp_path / "one", progress=False)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    differing, numbers = crash.compare(tmp_path / "one", tmp_path / "other")
    assert differing == 0

    arrays, record = Checkpoints(tmp_path / "other" / "checkpoints").latest()
    assert numbers > sum(array.size for array in arrays.values())
    name = max(arrays, key=lambda name: arrays[name].size)
    flat = arrays[name].reshape(-1)
    flat[3] = np.nextafter(flat[3], np.inf, dtype=flat.dtype)
    record["best"]["step"] += 1
    path = tmp_path / "other" / "checkpoints" / f"step-{record['step']:09d}.npz"
    write_arrays(path, arrays, record)
    assert crash.compare(tmp_path / "one", tmp_path / "other") == (2, numbers)

    train(None, tmp_path / "other", resume=True, progress=False)  # logs one start more, no more
    assert crash.compare(tmp_path / "one", tmp_path / "other")[1] == numbers
