"""`tfgen average`."""

import pytest

from tests.training.test_averaging import gru
from tfgen import zoo


@pytest.mark.usefixtures("op_by_op", "few_positions")
def test_average_writes_a_model_that_opens(run, fails, tmp_path):
    runs = [tmp_path / "one", tmp_path / "two"]
    for seed, path in enumerate(runs):
        gru(seed=seed).save(path)
    out = tmp_path / "both"
    code, text, _ = run("average", *runs, "--out", out)
    assert code == 0
    assert text == f"A mixture of 2 models: no data to measure averaged weights on\nWrote {out}\n"
    assert zoo.get(out).engine.members == 2
    assert "members = 2" in (out / "recipe.toml").read_text()
    assert "is there already" in fails("average", *runs, "--out", out)
    assert "each model once" in fails("average", runs[0], runs[0], "--out", tmp_path / "x")
    assert "at least two models" in fails("average", runs[0], "--out", tmp_path / "x")
    assert "'gru' is a family" in fails("average", runs[0], "gru", "--out", tmp_path / "x")
    gru(seed=3, units=7).save(tmp_path / "wide")
    assert "differ in model.units. Received: 6, 7" in fails(
        "average", runs[0], tmp_path / "wide", "--out", tmp_path / "x"
    )
    assert not (tmp_path / "x").exists()
