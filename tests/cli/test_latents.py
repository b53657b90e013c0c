"""`tfgen encode`, `interpolate` and `shift`, with a small model of lines."""

import csv

import numpy as np
import pytest

from tests.models.contract.rows import LATENT, TOKENIZER, as_if_trained
from tfgen import models


@pytest.fixture
def folder(tmp_path):
    model = as_if_trained(models.make("vae", tokenizer=TOKENIZER, **LATENT))
    model.save(tmp_path / "model")
    return tmp_path / "model", model


@pytest.mark.long
def test_what_is_written_is_what_the_model_says(folder, run, tmp_path):
    path, model = folder
    code, _, _ = run("encode", path, "abc", "had", "--out", tmp_path / "z.csv")
    rows = list(csv.reader((tmp_path / "z.csv").open()))
    assert code == 0 and rows[0] == ["x", "z0", "z1", "z2"] and rows[2][0] == "had"
    latents = model.encode(["abc", "had"])
    np.testing.assert_allclose(np.float32([row[1:] for row in rows[1:]]), latents, atol=1e-6)
    assert run("encode", path, "abc", "had", "--out", tmp_path / "z.npz")[0] == 0
    with np.load(tmp_path / "z.npz") as arrays:
        assert arrays["x"].tolist() == ["abc", "had"]
        np.testing.assert_allclose(arrays["latents_1"], latents[1], atol=1e-6)
    code, out, _ = run("interpolate", path, "abc", "had", "--steps", 3, "--seed", 4)
    assert (code, out) == (0, "\n".join(model.interpolate("abc", "had", 3, seed=4)) + "\n")
    way = model.direction(["ab", "b"], ["cd"])
    sides = ("--positive", "ab", "b", "--negative", "cd", "--amount", "2.5", "--seed", "4")
    code, out, _ = run("shift", path, "abc", *sides)
    assert (code, out) == (0, model.shift("abc", way, 2.5, seed=4) + "\n")


def test_mistakes_have_one_line(folder, fails, tmp_path):
    path, _ = folder
    out = ("--out", tmp_path / "z.csv")
    assert "must end in .csv or .npz" in fails("encode", path, "a", "--out", tmp_path / "z.png")
    assert "--data is for models of numbers" in fails("encode", path, "a", "--data", "x", *out)
    assert "--steps" in fails("interpolate", path, "a", "b", "--steps", 0)
    assert "must end in .txt or .jsonl" in fails("interpolate", path, "a", "b", *out)
    assert not (tmp_path / "z.csv").exists()
