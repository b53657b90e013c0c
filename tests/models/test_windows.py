"""Series of a diffusion model that are longer than its window: `generate(windows=)`, `stream`."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.data import Feature, Sequences
from tfgen.errors import InputError
from tfgen.models import make
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig, Recipe, Windows

LEAST = {
    "width": 4, "multipliers": (1,), "blocks": 1, "groups": 2, "attention_at": (),
    "linear_attention": False,
}  # fmt: skip
HOUR, START = 3600, 1_600_000_000
PLANS = {
    "overlap": Windows("overlap", 4, 3), "independent": Windows("independent", 0, 5),
    "backward_noise": Windows("backward_noise", 4, 3, 2), "rolling": Windows("rolling", 4, 3, 2),
    "temporal_noise": Windows("temporal_noise", 4, 3),
    "diffusion_forcing": Windows("diffusion_forcing", 4, 3, context_sigma=0.1),
}  # fmt: skip


def processor(kind="series", **extra):
    rng = np.random.default_rng(0)
    values = [rng.normal(50, 9, [48, 1]).astype(np.float32) for _ in range(3)]
    data = Sequences("made", kind, (Feature("x"),), values, list("012"), **extra)
    return SequenceProcessor.fit(data, PreprocessingConfig(calendar=True))


def everything():
    """Series with times, what is known beforehand and classes."""
    rng = np.random.default_rng(1)
    known = [rng.normal(size=(48, 1)).astype(np.float32) for _ in range(3)]
    return processor(
        times=[START + HOUR * np.arange(48)] * 3, known=known, known_names=("w",),
        labels=np.array([0, 1, 0], np.int32), classes=("p", "q"),
    )  # fmt: skip


def model(given=None, window=None, generation=None, **arguments):
    """A model whose network says something: that of a new one gives zeros."""
    made = make("unet1d", processor=given or processor(), seed=1, **{**LEAST, **arguments})
    if window is not None:
        recipe = Recipe("unet1d").override({"training.window": window, **(generation or {})})
        made.recipe, made.generation = recipe, recipe.generation
    rng = np.random.default_rng(2)
    for each in made.network.weights:
        each.assign(each + 0.3 * rng.normal(size=each.shape).astype(np.float32))
    return made


@pytest.mark.parametrize(
    "levels, strategy",
    [
        ("independent", "backward_noise"),
        pytest.param("rolling", "rolling", marks=pytest.mark.long),
        pytest.param("independent", "diffusion_forcing", marks=pytest.mark.long),
    ],
)
def test_a_stream_is_what_is_generated_piece_by_piece(levels, strategy):
    made = model(everything(), noise_levels=levels)
    known = np.random.default_rng(3).normal(size=(1, 14, 1)).astype(np.float32)
    given = {"start_time": START, "condition": "q", "seed": 5, "num_steps": 3}
    given |= {"windows": PLANS[strategy], "guidance_scale": 2.0}
    whole = made.generate(length=14, known=known, **given)[0]
    pieces = list(made.stream(length=14, known=known[0], **given))
    assert [len(each) for each in pieces] == [3, 3, 3, 3, 2]
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=1e-4, atol=1e-3)
    # More of it changes nothing, where no window looks beyond it; and neither do other rows.
    longer = np.concatenate([known, known[:, :3]], axis=1)
    more = made.generate(num_samples=2, length=17, known=np.repeat(longer, 2, 0), **given)
    np.testing.assert_allclose(more[0][:12], whole[:12], rtol=1e-4, atol=1e-3)
    # What is known of a position counts from the window on that sees it.
    late = known.copy()
    late[:, 11:] += 5
    changed = made.generate(length=14, known=late, **given)[0]
    seen = (11 - PLANS[strategy].look_ahead) // 3 * 3
    np.testing.assert_allclose(changed[: seen - 3], whole[: seen - 3], rtol=1e-4, atol=1e-3)
    assert np.abs(changed[11:] - whole[11:]).max() > 0.01
    for other in ({"start_time": START + 6 * HOUR}, {"condition": "p"}, {"guidance_scale": 1.0}):
        assert (
            np.abs(made.generate(length=14, known=known, **{**given, **other})[0] - whole).max()
            > 0.01
        )


@pytest.mark.long
def test_what_is_served_streams_at_constant_cost(tmp_path):
    made = model(window=16, noise_levels="independent")
    made.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served")).signatures["stream"]
    spec = served.structured_input_signature[1]
    assert spec["state"].shape.as_list() == [None, 16, 1]
    run = {"state": tf.zeros([2, 16, 1]), "index": tf.constant(0)}
    options = {"seed": tf.constant(7, tf.int64), "num_steps": tf.constant(3)}
    options["guidance_scale"] = tf.constant(1.0)
    pieces = []
    for _ in range(30):
        found = served(**run, **options)
        pieces.append(found["values"].numpy())
        run = {name: found[name] for name in run}
    assert run["index"] == 30
    expected = made.generate(
        num_samples=2, length=30 * 4, seed=7, num_steps=3, windows="backward_noise"
    )
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), expected, rtol=1e-3, atol=1e-2)


@pytest.mark.long
def test_a_model_that_was_trained_to_fill_in_is_told_the_context(monkeypatch):
    """Its windows are as those of `impute`: the context is given, without noise."""
    made = model(infilling=0.5, seasonal_skip=2)
    denoiser, seen = made.engine.denoiser, []
    told = denoiser.told
    monkeypatch.setattr(denoiser, "told", lambda x, known: (seen.append(known), told(x, known))[1])
    found = made.generate(length=9, seed=1, num_steps=3, windows=PLANS["overlap"])
    assert seen and np.isfinite(found).all()
    assert seen[0].shape[1] == 7


@pytest.mark.parametrize("levels", ["shared", "independent", "rolling"])
def test_auto_takes_what_the_model_was_trained_for(levels, monkeypatch):
    made = model(window=8, noise_levels=levels)
    chosen = []
    monkeypatch.setattr(
        made.engine.graphs, "get", lambda name, choices=None, *_: chosen.append(choices.windows)
    )
    for length in (8, 9):
        with pytest.raises(TypeError):
            made.generate(length=length)
    short, long = chosen
    assert (short is None) == (levels != "rolling")
    expected = {"shared": None, "independent": "backward_noise", "rolling": "rolling"}[levels]
    assert (long and long.strategy) == expected
    with pytest.raises(TypeError):
        next(made.stream())
    assert chosen[-1].strategy == (expected or "overlap")


@pytest.mark.long
def test_what_a_recipe_says_is_what_is_drawn():
    made = model(
        window=8, generation={"generation.windows": "overlap:commit=2", "generation.num_steps": 3}
    )
    given = {"length": 12, "seed": 3}
    np.testing.assert_array_equal(
        made.generate(**given), made.generate(windows=Windows("overlap", 4, 2), **given)
    )
    assert np.abs(made.generate(**given) - made.generate(windows="whole", **given)).max() > 0.01


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ({}, {"windows": "rolling"}, "it can do overlap, temporal_noise or independent"),
        ({"noise_levels": "rolling"}, {"windows": "overlap"}, "it can do rolling"),
        ({"noise_levels": "rolling"}, {"windows": "whole"}, "not the whole at once"),
        ({}, {"windows": "overlap:commit=9"}, "13 positions, and the model was trained on 8"),
        ({}, {"windows": "overlap:context_sigma=1"}, "context_sigma is for models"),
        ({}, {"windows": "overlap", "solver": "langevin"}, "solver of windows"),
        ({}, {"windows": 3}, "a name or a tfgen.recipe.Windows"),
        ({"noise_levels": "independent"}, {"windows": "backward_noise:sigma_init=99"}, "sigma_max"),
    ],
)
def test_windows_that_a_model_was_not_trained_for(arguments, options, message):
    made = model(window=8, **arguments)
    with pytest.raises(InputError, match=message):
        made.generate(length=20, **options)


@pytest.mark.long
def test_a_horizon_beyond_the_window_is_forecast_piece_by_piece():
    """As who forecasts half a window, appends it and forecasts again; of every sample by itself."""
    made = model(everything(), window=8, infilling=0.5, generation={"generation.num_steps": 3})
    rng = np.random.default_rng(4)
    series, known = rng.normal(50, 9, [10, 1]).astype(np.float32), rng.normal(size=(19, 1))
    known = known.astype(np.float32)
    times = START + HOUR * np.arange(10)
    whole = made.forecast(
        series, 9, num_samples=2, seed=3, times=times, known=known, condition="q"
    ).samples
    seen = series
    for piece, seed in enumerate((3, 3 + 4 * 2**32, 3 + 8 * 2**32)):
        end = min(10 + 4 * piece + 4, 19)
        count = end - len(seen)
        own = {"times": START + HOUR * np.arange(len(seen)), "condition": "q"}
        padded = np.pad(known, [[0, 4], [0, 0]], mode="edge")[: len(seen) + 4]
        found = made.forecast(seen, 4, num_samples=2, seed=seed, known=padded, **own).samples
        expected = found[0, :count]
        np.testing.assert_allclose(whole[0, 4 * piece :][:count], expected, rtol=1e-4, atol=1e-2)
        seen = np.concatenate([seen, expected])
    assert np.abs(whole[0] - whole[1]).max() > 0.1
