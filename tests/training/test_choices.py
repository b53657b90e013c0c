"""What `tfgen train FAMILY` chooses by the data."""

import numpy as np
import pytest

from tfgen.cli import main
from tfgen.recipe import Recipe
from tfgen.training import choose

RNG = np.random.default_rng(0)
RAIN = np.round(RNG.normal(-0.5, 1, 300).clip(0, None), 1)


def table(**columns):
    return {name: np.asarray(values, np.float32) for name, values in columns.items()}


def chosen(family, columns, said=(), **changes):
    import pandas

    frame = pandas.DataFrame(table(**columns))
    recipe = Recipe(family).override({f"data.{key}": value for key, value in changes.items()})
    return choose(recipe, {*said, *(f"data.{key}" for key in changes)}, frame)


def test_columns_that_were_recorded_are_told_by_a_chain():
    recipe, sentence = chosen("gru", {"rain": RAIN, "x": RNG.normal(size=300)})
    assert recipe.model == {"head": "chain"}
    assert recipe.data.resolution == ("rain=0.1",) and recipe.data.bounds == ("rain=0:",)
    assert sentence.startswith("chosen by the data (--set chooses otherwise): data.resolution=[")
    assert sentence.endswith('model.head="chain"') and "\n" not in sentence


def test_one_column_keeps_its_head():
    recipe, _ = chosen("lstm", {"rain": RAIN})
    assert recipe.model == {"bounding": "censored"}
    many = {"rain": RAIN, **{f"x{n}": RNG.normal(size=300) for n in range(32)}}
    assert chosen("gru", many)[0].model == {"bounding": "censored"}


@pytest.mark.parametrize(("mean", "head"), [(2, ""), (0.3, "zero_inflated_")])
def test_small_counts_are_counts(mean, head):
    recipe, _ = chosen("gru", {"sold": RNG.poisson(mean, 300)})
    assert recipe.model == {"head": f"{head}negative_binomial"}


def test_a_diffusion_model_spreads_what_lies_at_bounds():
    recipe, _ = chosen("unet1d", {"rain": RAIN, "x": RNG.normal(size=300)})
    assert recipe.model == {"beyond": 0.5} and recipe.data.resolution == ("rain=0.1",)
    recipe, _ = chosen("unet1d", {"load": np.round(RNG.normal(0, 2, 300))})
    assert recipe.model == {} and recipe.data.resolution == ("load=1",)


def test_what_is_said_stays():
    columns = {"rain": RAIN, "x": RNG.normal(size=300)}
    recipe, sentence = chosen("gru", columns, said=["model.head"])
    assert recipe == Recipe("gru") and sentence is None
    recipe, _ = chosen("gru", columns, resolution=["rain=0.05"])
    assert recipe.data.resolution == ("rain=0.05",) and recipe.data.bounds == ("rain=0:",)
    recipe, _ = chosen("gru", columns, bounds=[], resolution=[], circular=[])
    assert recipe.model == {} and recipe.data.bounds == ()
    assert chosen("gru", {"x": RNG.normal(size=300)})[1] is None


@pytest.mark.long
def test_training_says_what_was_chosen_and_the_run_keeps_it(tmp_path, capsys):
    path = tmp_path / "rain.csv"
    rows = (f"{r:g},{x:.3f}" for r, x in zip(RAIN, RNG.normal(size=300)))
    path.write_text("\n".join(["rain,x", *rows]))
    fast = ["training.steps=2", "training.sample_every=0", "training.histogram_every=0"]
    fast += ["model.units=4", "training.batch_size=2", "training.window=8"]
    settings = [part for each in fast for part in ("--set", each)]
    run = tmp_path / "run"
    assert not main(["train", "gru", "--data", str(path), "--logdir", str(run), *settings])
    assert "chosen by the data" in capsys.readouterr().out
    kept = Recipe.from_file(run / "recipe.toml")
    assert kept.model["head"] == "chain" and kept.data.bounds == ("rain=0:",)
    assert not main(["generate", str(run), "--length", "30", "--out", str(tmp_path / "s.csv")])
    drawn = np.genfromtxt(tmp_path / "s.csv", delimiter=",", names=True)["rain"]
    np.testing.assert_allclose(drawn * 10, np.round(drawn * 10), atol=1e-4)
