"""What `tfgen train FAMILY` chooses by the data."""

import dataclasses

import numpy as np
import pytest

from tfgen.cli import main
from tfgen.recipe import Recipe
from tfgen.training import choose

RNG = np.random.default_rng(0)
RAIN = np.round(RNG.normal(-0.5, 1, 300).clip(0, None), 1)


def table(**columns):
    return {name: np.asarray(values, np.float32) for name, values in columns.items()}


# What a model of little data that goes from position to position gets.
SMALL = {"units": 32, "layers": 2, "dropout": 0.2}  # of less than 2,000 values
PAST = {**SMALL, "lags": "auto", "seasonal_skip": "auto", "linear_skip": True}
FILLING = {
    "infilling": 0.5, "width": 32, "multipliers": [1, 2, 4], "blocks": 1, "dropout": 0.1,
}  # fmt: skip


def chosen(family, columns, said=(), **changes):
    import pandas

    frame = pandas.DataFrame(table(**columns))
    recipe = Recipe(family).override({f"data.{key}": value for key, value in changes.items()})
    return choose(recipe, {*said, *(f"data.{key}" for key in changes)}, frame)


def test_columns_that_were_recorded_are_told_by_a_chain():
    recipe, sentence = chosen("gru", {"rain": RAIN, "x": RNG.normal(size=300)})
    assert recipe.model == {"head": "chain", **PAST}
    assert recipe.data.resolution == ("rain=0.1",) and recipe.data.bounds == ("rain=0:",)
    assert sentence.startswith("chosen by the data (--set chooses otherwise): training.")
    assert 'data.bounds=["rain=0:"], model.head="chain", model.units=32, ' in sentence
    assert "\n" not in sentence


def test_one_column_keeps_its_head():
    recipe, _ = chosen("lstm", {"rain": RAIN})
    assert recipe.model == {"bounding": "censored", **PAST}
    many = {"rain": RAIN, **{f"x{n}": RNG.normal(size=300) for n in range(32)}}
    middle = {"units": 64, "layers": 2, "dropout": 0.1}
    assert chosen("gru", many)[0].model == {"bounding": "censored", **PAST, **middle}


def test_a_model_of_latents_is_not_shown_what_it_could_do_without_them_by():
    recipe, _ = chosen("vae", {"rain": RAIN})
    assert recipe.model == {"bounding": "censored", **SMALL}
    assert recipe.training.choose_by == "likelihood" and recipe.training.patience == 10


def test_windows_of_drawings_are_as_long_as_these(tmp_path):
    points = np.zeros([30, 3], np.float32)
    np.savez(tmp_path / "pen.npz", points=points, offsets=[0, 4, 17, 30])  # at most 13 points
    recipe = Recipe("vae").override({"data.name": str(tmp_path / "pen.npz")})
    assert choose(recipe)[0].training.window == 16
    short = recipe.override({"training.window": 8})
    assert choose(short)[0] == short
    assert choose(recipe, {"training.window"})[0].training.window == recipe.training.window
    recipe = Recipe("unet1d").override({"data.name": str(tmp_path / "pen.npz")})
    assert choose(recipe)[0].training.window == 16


def test_windows_of_drawings_that_say_a_text_hold_them_all(tmp_path):
    sizes = [5, 300, 9, 7]
    points, texts = np.ones([sum(sizes), 3]) * [1, 1, 0], np.array(["a", "bc", "d", "e"])
    offsets = np.cumsum([0, *sizes])
    np.savez(tmp_path / "pen.npz", points=points, offsets=offsets, texts=texts)
    data = {"data.name": str(tmp_path / "pen.npz"), "data.kind": "strokes"}
    recipe, said = choose(Recipe("lstm").override({**data, "data.source": "texts"}))
    assert recipe.training.window == 304 and "training.window=304" in said
    assert recipe.model["soft_window"] == 10
    assert choose(Recipe("lstm").override(data))[0].training.window == 128


@pytest.mark.parametrize(("mean", "head"), [(2, ""), (0.3, "zero_inflated_")])
def test_small_counts_are_counts(mean, head):
    recipe, _ = chosen("gru", {"sold": RNG.poisson(mean, 300)})
    assert recipe.model == {"head": f"{head}negative_binomial", "lags": "auto", **SMALL}


def test_a_diffusion_model_spreads_what_lies_at_bounds():
    recipe, _ = chosen("unet1d", {"rain": RAIN, "x": RNG.normal(size=300)})
    assert recipe.model == {"beyond": 0.5, **FILLING}
    assert recipe.data.resolution == ("rain=0.1",)
    recipe, _ = chosen("unet1d", {"load": np.round(RNG.normal(0, 2, 300))})
    assert recipe.model == FILLING and recipe.data.resolution == ("load=1",)


def test_a_window_holds_three_seasons_and_is_a_quarter_of_a_short_series():
    def window(season, rows):
        columns = {"x": np.resize(RNG.normal(size=season), rows)}
        return chosen("unet1d", columns)[0].training.window

    assert window(60, 600) == 184  # 3 * 60 in whole eights
    assert window(10, 300) == 80  # a quarter in whole eights: more than three seasons
    assert window(10, 40) == 32 and window(7, 2000) == 128 and window(200, 4000) == 512


def test_a_series_that_drifts_is_told_by_its_departures_from_the_season_before():
    noise, trend = RNG.normal(size=400), np.linspace(0, 30, 400)
    assert chosen("unet1d", {"x": noise, "y": noise + trend})[0].model["seasonal_skip"] == "auto"
    assert "seasonal_skip" not in chosen("unet1d", {"x": noise})[0].model
    many = [5 * number + RNG.normal(size=[60, 1]) for number in range(4)]
    assert choose(Recipe("unet1d"), data=many)[0].model["seasonal_skip"] == "auto"


def test_diffusion_models_of_small_tables_are_small():
    assert chosen("unet1d", {"x": RNG.normal(size=20_001)})[0].model == {"infilling": 0.5}
    sizes = chosen("unet1d", {"x": RNG.normal(size=5_000)})[0].model
    assert sizes == {"width": 32, "multipliers": [1, 2, 4], "infilling": 0.5}


def test_a_game_gets_its_own_optimizers_and_windows():
    recipe, _ = chosen("gan", {"x": np.resize(RNG.normal(size=24), 600)})
    assert recipe.training.optimizer_options == ("beta_1=0.0",) and "beyond" not in recipe.model
    assert recipe.training.window == 128 and recipe.training.choose_by == "likelihood"
    recipe, _ = chosen("gan", {"x": np.resize(RNG.normal(size=60), 600)})
    assert recipe.training.window == 128  # for three seasons of 60 the game would be a long one
    recipe, _ = chosen("gan", {"rain": RAIN}, ["training.optimizer"])
    assert recipe.training.optimizer_options == () and recipe.model["beyond"] == 0.5
    assert choose(Recipe("gan").override({"data.name": "pendigits"}))[0].training.window == 8


def test_what_is_said_stays():
    columns = {"rain": RAIN, "x": RNG.normal(size=300)}
    recipe, sentence = chosen("gru", columns, said=["model.head", "training.patience"])
    assert recipe == Recipe("gru").override({"training.validate_every": 50})
    assert sentence.endswith("otherwise): training.validate_every=50")
    recipe, _ = chosen("gru", columns, resolution=["rain=0.05"])
    assert recipe.data.resolution == ("rain=0.05",) and recipe.data.bounds == ("rain=0:",)
    recipe, _ = chosen("gru", columns, bounds=[], resolution=[], circular=[])
    assert recipe.model == PAST and recipe.data.bounds == ()
    said = ["model.lags", "model.seasonal_skip", "model.linear_skip"]
    assert chosen("gru", {"x": RNG.normal(size=300)}, said)[0].model == SMALL
    wide = {f"x{n}": RNG.normal(size=30) for n in range(257)}
    assert chosen("gru", wide)[0].model["linear_skip"] is False
    assert chosen("transformer", {"x": RNG.normal(size=20_001)})[0].model == {
        key: value for key, value in PAST.items() if key not in SMALL
    }


def test_series_of_different_sizes_are_scaled_each_by_its_own():
    def scaler(*sizes):
        data = [size * (2 + RNG.normal(0, 0.1, size=[60, 1])) for size in sizes]
        return choose(Recipe("gru"), data=data)[0].preprocessing.scaler

    assert scaler(1, 100) == "mean"
    assert scaler(1, 1.5) == scaler(1) == scaler(-1, 100) == "auto"


def test_training_on_a_table_stops_where_it_does_not_improve():
    stopping = {"training.validate_every": 50, "training.patience": 10}
    columns, by = {"x": RNG.normal(size=300)}, {"training.choose_by": "forecasts"}
    assert chosen("gru", columns)[0] == Recipe("gru", PAST).override(stopping | by)
    # No end is held out of blocks.
    recipe, _ = chosen("gru", columns, split="blocks")
    assert recipe.training.choose_by == "likelihood"
    stopping |= {"training.validate_every": 100, "training.ema": 0.995}
    recipe, _ = chosen("unet1d", columns)
    assert recipe == Recipe("unet1d", FILLING).override({**stopping, "training.window": 80})


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


def clips(rate, *lengths, loud=0.2):
    from tfgen.data import Feature, Sequences

    # Half of the samples are as loud as that below the mean, half above: their root mean square.
    values = [loud * np.resize([1, -1], n)[:, None].astype(np.float32) for n in lengths]
    ids = [str(number) for number in range(len(values))]
    return Sequences(
        "clips", "audio", (Feature("amplitude", low=-1.0, high=1.0),), values, ids,
        sample_rate=rate,
    )  # fmt: skip


def test_sound_is_told_as_the_zoos_drums_are():
    from tfgen.models import read_recipe
    from tfgen.zoo import find

    for name in ("transformer-drums", "unet1d-drums"):
        drums = read_recipe(find(name).folder)
        recipe, sentence = choose(Recipe(drums.family).override({"data.name": "drums"}))
        assert sentence.startswith("chosen by the data") and "\n" not in sentence
        asked = {"layers": 4, "blocks": 2, "condition_dropout": 0.1}  # defaults of the families
        assert {**asked, **recipe.model} == {**asked, **drums.model}
        # A tokenizer is for text.
        own = dataclasses.replace(recipe.preprocessing, tokenizer=drums.preprocessing.tokenizer)
        assert own == drums.preprocessing
        for key in (
            "window",
            "batch_size",
            "augment",
            "optimizer",
            "learning_rate",
            "ema",
            "validate_every",
        ):
            assert getattr(recipe.training, key) == getattr(drums.training, key), key


def test_frames_and_windows_fit_the_rate_and_the_clips():
    def settings(family, sequences, said=(), **model):
        recipe, _ = choose(Recipe(family, model), said, sequences)
        return recipe.model.get("frame"), recipe.training.window, recipe.generation.length

    # 8 ms of 44,100 samples a second are 353: the nearest power of two by ratio is 256.
    assert settings("lstm", clips(44_100, 1000, 999)) == (256, 1024, None)
    assert settings("gru", clips(8_000, 640, 64)) == (64, 640, None)
    assert settings("transformer", clips(48_000, 10**6)) == (512, 512 * 256, None)
    assert settings("unet1d", clips(44_100, 10**6)) == (64, 64 * 1024, 64 * 1024)
    assert settings("unet1d", clips(8_000, 1000)) == (16, 1008, None)
    assert settings("lstm", clips(16_000, 1000), {"model.frame"}, frame=50) == (50, 1000, None)
    recipe, _ = choose(Recipe("gru"), data=clips(16_000, 1000, loud=0.004))
    assert recipe.model["local_scale"] == 0.0004
    assert choose(Recipe("gru"), data=clips(16_000, 1000, loud=0.0))[0].model["local_scale"] > 0


def test_who_tells_sound_otherwise_is_left_alone():
    otherwise = {"model.head": "quantized", "preprocessing.scaler": "mu_law", "model.bins": 64}
    for key, value in otherwise.items():
        recipe = Recipe("lstm").override({key: value})
        assert choose(recipe, {key}, clips(16_000, 1000)) == (recipe, None)
    recipe = Recipe("gru").override({"training.window": 256, "model.local_scale": 0.5})
    said = {"training.window", "model.local_scale"}
    found, _ = choose(recipe, said, clips(16_000, 1000))
    assert found.training.window == 256 and found.model["local_scale"] == 0.5
    assert found.model["frame"] == 128
    recipe = Recipe("transformer").override({"model.width": 64, "training.optimizer": "adamw"})
    found, _ = choose(recipe, {"model.width", "training.optimizer"}, clips(16_000, 1000))
    assert found.model["width"] == 64 and "heads" not in found.model  # which 64 may not be of
    assert found.training.learning_rate == Recipe("gru").training.learning_rate
