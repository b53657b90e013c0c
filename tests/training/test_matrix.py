"""Families by kinds of data by options: each trains with everything on, and does all there is after.

Each case is trained for a few steps with samples, histograms, graph, projector and profile, of which
none may fail; then it generates, forecasts, imputes, is evaluated and exported, by the command line.
"""

import contextlib
import io
import json
import math

import event_files
import numpy as np
import pytest
from eager import eagerly

from tests.training.combinations import expected_tags, settings, write_data
from tfgen import cli
from tfgen.recipe import Recipe
from tfgen.training import train
from tfgen.zoo.folders import data_kind_of

BARE = {"training.ema": 0.0, "training.accumulate": 1, "training.profile": None}
CARRIED = {**BARE, "training.carry_state": True}
SITES = {
    "data.id": "site", "data.known": ["plan"], "data.static": ["height"], "data.label": "kind",
}  # fmt: skip
FRAMES = {"model.frame": 4, "model.head": "gaussian_mixture", "preprocessing.scaler": "standard"}
# Name: (family, data, changes).
CASES = {
    # Text
    "lstm byte": ("lstm", "text", {
        "preprocessing.tokenizer": "byte", "training.optimizer": "muon", "model.layers": 2,
        "model.residual": True, "model.layer_norm": True,
    }),
    "lstm tied": ("lstm", "text", {
        "model.tie_embeddings": True, "model.attention": 4, "model.recurrent_dropout": 0.2,
        "training.optimizer": "sgd", "training.schedule": "linear",
        "training.optimizer_options": ["momentum=0.9", "nesterov=true"],
    }),
    "lstm carried float16": ("lstm", "text", {
        **CARRIED, "training.precision": "mixed_float16", "training.optimizer": "lion",
    }),
    "gru augmented bfloat16": ("gru", "text", {
        "training.augment": ["dropout=0.2", "noise=0.1"], "training.precision": "mixed_bfloat16",
        "model.label_smoothing": 0.1, "training.optimizer": "adafactor",
    }),
    "gru alone in its batch": ("gru", "text", {
        **BARE, "training.batch_size": 1, "training.sample_every": 1, "training.histogram_every": 1,
        "training.warmup_steps": 50, "training.validation_batches": 1,
    }),
    "gru fine-tuned": ("gru", "text", {
        "training.start_from": "FOLDER/base/final", "training.lora_rank": 2,
        "training.lora_also": ["head*"], "training.freeze": ["token_embedding*"],
    }),
    "gpt learned": ("transformer", "text", {
        "model.positions": "learned", "model.max_length": 16, "model.bias": True,
        "training.optimizer": "muon", "training.precision": "mixed_bfloat16",
    }),
    "gpt alibi": ("transformer", "text", {
        "model.positions": "alibi", "model.norm": "rms", "model.mlp": "swiglu",
        "training.optimizer": "adam", "model.cache_dtype": "bfloat16",
    }),
    "gpt sinusoidal": ("transformer", "text", {
        "model.positions": "sinusoidal", "model.qk_norm": True, "model.mlp": "relu2",
        "training.precision": "mixed_float16", "training.optimizer": "rmsprop",
    }),
    "gpt none": ("transformer", "text", {
        "model.positions": "none", "model.conv": 3, "model.tie_embeddings": False,
        "model.dropout": 0.2, "model.attention_dropout": 0.2, "training.optimizer": "nadam",
    }),
    "gpt window carried": ("transformer", "text", {
        **CARRIED, "model.window": 8, "model.conv": 2, "model.kv_heads": 1,
        "training.precision": "mixed_bfloat16",
    }),
    "lstm own tokens": ("lstm", "text", {
        **CARRIED, "training.rollout": "scheduled_sampling", "training.rollout_passes": 2,
        "training.precision": "mixed_bfloat16", "model.label_smoothing": 0.1,
    }),
    "gpt own tokens": ("transformer", "text", {
        "training.rollout": "scheduled_sampling", "training.augment": ["dropout=0.2"],
        "training.precision": "mixed_float16", "training.rollout_warmup": 2,
    }),
    # Series: a table of two numbers with gaps, and a category
    "lstm mixture": ("lstm", "series", {
        "model.covariance": "full", "model.components": 3, "training.precision": "mixed_bfloat16",
        "data.bounds": ["rain=0:"], "training.augment": ["jitter=0.1", "scale=0.1", "warp=0.1"],
    }),
    "lstm student": ("lstm", "series", {
        "model.head": "student_t", "preprocessing.scaler": "robust", "model.linear_skip": True,
        "training.precision": "mixed_float16", "preprocessing.log1p": ["rain"],
    }),
    "gru quantized": ("gru", "series", {
        "model.head": "quantized", "model.bins": 16, "preprocessing.scaler": "min_max",
        "preprocessing.calendar": False, "training.optimizer": "muon",
    }),
    "gru regression": ("gru", "series", {
        "model.head": "regression", "preprocessing.scaler": "mean", "model.attention": 4,
        "model.layers": 2, "training.optimizer": "lamb", "model.local_scale": 0.1,
    }),
    "gru whitened": ("gru", "series", {
        "preprocessing.scaler": "whiten", "data.columns": ["level", "rain"],
        "model.bounding": "none", "training.batch_size": 1, **BARE,
    }),
    "gru bivariate": ("gru", "series", {
        "model.head": "bivariate_mixture", "preprocessing.scaler": "none",
        "data.bounds": ["level=auto", "rain=0:9"], "model.bounding": "squash",
    }),
    "gru censored": ("gru", "series", {
        "model.bounding": "censored", "data.bounds": ["rain=0:", "level=auto"],
        "model.head": "student_t", "model.linear_skip": True,
    }),
    "lstm one column": ("lstm", "plain.csv", {
        "model.bounding": "hard", "data.bounds": ["x=auto"], "training.augment": ["warp=0.2"],
    }),
    "gru moods": ("gru", "moods.csv", {"training.precision": "mixed_bfloat16"}),
    "gru own values": ("gru", "sites.csv", {
        **SITES, "training.rollout": "scheduled_sampling", "model.frame": 4, "model.lags": [8],
        "training.precision": "mixed_bfloat16", "training.choose_by": "forecasts",
    }),
    "lstm own chain": ("lstm", "series", {
        "training.rollout": "scheduled_sampling", "model.head": "chain", "data.bounds": ["rain=0:"],
        "data.resolution": ["level=0.001"], "training.rollout_passes": 2,
    }),
    "lstm sites": ("lstm", "sites.csv", {**SITES, "model.condition_dropout": 0.5}),
    "transformer series bfloat16": ("transformer", "series", {
        "training.precision": "mixed_bfloat16", "model.conv": 2, "model.bounding": "straight_through",
        "data.bounds": ["rain=0:"],
    }),
    "transformer series learned": ("transformer", "series", {
        "model.positions": "learned", "model.max_length": 32, "model.head": "student_t",
        "training.precision": "mixed_float16",
    }),
    "transformer series alibi": ("transformer", "series", {
        "model.positions": "alibi", "model.window": 8, "preprocessing.scaler": "min_max",
        "model.head": "quantized", "model.cache_dtype": "bfloat16",
    }),
    "transformer series sinusoidal": ("transformer", "sites.csv", {
        **SITES, "model.positions": "sinusoidal", "model.linear_skip": True,
        "training.optimizer": "muon", "training.precision": "mixed_bfloat16",
    }),
    "transformer moods": ("transformer", "moods.csv", {"model.positions": "none"}),
    "transformer one column": ("transformer", "plain.csv", {
        "model.head": "regression", "model.kv_heads": 1, "preprocessing.scaler": "mean",
        "training.optimizer": "adamax",
    }),
    # Latents
    "vae text annealed": ("vae", "text", {
        "model.kl_anneal_steps": 6, "model.beta": 2.0, "model.free_bits": 0.0,
        "model.prior_layers": 2, "training.precision": "mixed_bfloat16", "training.optimizer": "muon",
    }),
    "vae text fine-tuned": ("vae", "text", {
        "training.start_from": "FOLDER/latent/final", "training.lora_rank": 2,
        "training.freeze": ["recognition*"], "training.augment": ["dropout=0.2"],
    }),
    "vae text float16": ("vae", "text", {
        "model.decoder": "lstm", "model.encoder": "transformer", "model.tie_embeddings": True,
        "training.precision": "mixed_float16", "model.dropout": 0.2,
    }),
    "vae series": ("vae", "series", {
        "model.input_dropout": 0.0, "data.bounds": ["rain=0:"], "model.prior_layers": 3,
    }),
    "vae quantized": ("vae", "text", {
        "model.latent": "quantized", "model.codes": 8, "model.latent_size": 8, "training.precision": "mixed_bfloat16",
        "training.ema": 0.9,
    }),
    "vae pen quantized": ("vae", "strokes", {
        "model.latent": "quantized", "model.code_size": 2, "model.latent_size": 6,
    }),
    "vae sites": ("vae", "sites.csv", {**SITES, "preprocessing.scaler": "mean"}),
    "vae moods": ("vae", "moods.csv", {"model.encoder": "lstm", "model.encoder_layers": 2}),
    "vae pen": ("vae", "strokes", {"training.augment": ["rotate=15"]}),
    "vae sound": ("vae", "audio", {**FRAMES, "model.decoder": "lstm"}),
    # Diffusion
    "unet epsilon": ("unet1d", "series", {
        "model.objective": "epsilon", "model.weighting": "snr", "model.sigmas": "schedule",
        "model.schedule": "linear", "generation.solver": "ddim", "data.bounds": ["rain=0:"],
    }),
    "unet x0": ("unet1d", "series", {
        "model.objective": "x0", "model.weighting": "min_snr", "model.schedule": "cosine",
        "generation.solver": "ddpm", "model.self_condition": True, "data.columns": ["level", "rain"],
        "data.bounds": ["level=auto", "rain=auto"], "model.threshold": "dynamic",
        "model.multipliers": [1, 2],
    }),
    "unet v": ("unet1d", "series", {
        "model.objective": "v", "model.schedule": "sigmoid", "generation.solver": "euler",
        "model.embedding": "fourier", "preprocessing.scaler": "whiten",
        "data.columns": ["level", "rain"], "training.precision": "mixed_float16",
    }),
    "unet flow": ("unet1d", "plain.csv", {
        "model.objective": "flow", "model.schedule": "flow", "generation.solver": "heun",
        "model.attention_at": [0], "model.linear_attention": False, "model.positions": 0,
    }),
    "unet edm infilling": ("unet1d", "series", {
        "model.infilling": 0.5, "model.weighting": "edm", "generation.solver": "dpmpp_2m_sde",
        "training.precision": "mixed_bfloat16", "training.augment": ["jitter=0.1"],
    }),
    "unet energy": ("unet1d", "plain.csv", {
        "model.energy": True, "generation.solver": "mala", "model.dropout": 0.1,
    }),
    "unet energy refined": ("unet1d", "plain.csv", {
        "model.energy": True, "generation.solver": "mala", "training.accumulate": 1,
        "training.refine": "contrastive_divergence", "training.refine_levels": 2,
        "training.persistent_chains": 16, "training.start_from": "FOLDER/energy/final",
    }),
    "unet forced": ("unet1d", "plain.csv", {
        "model.noise_levels": "independent", "training.rollout": "self_forcing",
        "training.accumulate": 1, "training.rollout_windows": 3, "generation.solver": "consistency",
        "training.start_from": "FOLDER/by position/final",
    }),
    "unet moods": ("unet1d", "moods.csv", {"generation.solver": "langevin"}),
    "unet sites": ("unet1d", "sites.csv", {
        **SITES, "generation.guidance_scale": 2.0, "generation.solver": "predictor_corrector",
    }),
    "unet alone in its batch": ("unet1d", "series", {
        **BARE, "training.batch_size": 1, "training.sample_every": 1, "training.window": 20,
        "preprocessing.scaler": "mean",
    }),
    # Strokes
    "lstm pen carried": ("lstm", "strokes", {
        **CARRIED, "training.augment": ["rotate=15", "scale=0.1", "jitter=0.05", "warp=0.1"],
        "training.batch_size": 4,
    }),
    "gru pen bfloat16": ("gru", "strokes", {
        "training.precision": "mixed_bfloat16", "model.head": "gaussian_mixture",
        "model.covariance": "full", "training.optimizer": "muon",
    }),
    "transformer pen": ("transformer", "strokes", {
        "model.positions": "learned", "model.max_length": 18, "training.window": 18,
        "training.precision": "mixed_bfloat16",
    }),
    "unet pen": ("unet1d", "strokes", {
        "model.self_condition": True, "generation.guidance_scale": 3.0, "training.window": 8,
        "training.precision": "mixed_bfloat16",
    }),
    # Sound
    "lstm sound": ("lstm", "audio", {"preprocessing.scaler": "mu_law", "model.bins": 32}),
    "gru sound in frames": ("gru", "audio", {
        **FRAMES, "model.local_scale": 0.01, "training.augment": ["gain=6", "flip=0.5"],
    }),
    "gru sound carried": ("gru", "audio", {**CARRIED, "training.batch_size": 4, "model.bins": 32}),
    "transformer sound in frames": ("transformer", "audio", {
        **FRAMES, "training.precision": "mixed_bfloat16", "training.augment": ["pitch=1", "shift=8"],
        "model.positions": "learned", "model.max_length": 64,
    }),
    "transformer sound": ("transformer", "audio", {
        "model.head": "quantized", "model.bins": 32, "model.window": 16,
    }),
    "unet sound in frames": ("unet1d", "audio", {
        "model.frame": 4, "model.companding": 0.1, "training.window": 64,
        "preprocessing.scaler": "standard", "model.schedule": "karras",
    }),
    "unet sound": ("unet1d", "audio", {
        "training.window": 64, "model.objective": "v", "training.precision": "mixed_float16",
    }),
    # Music on a grid
    "gru pitches": ("gru", "music", {"training.augment": ["transpose=2"]}),
    "lstm pitches apart": ("lstm", "music", {
        "model.head": "independent", "training.precision": "mixed_bfloat16",
    }),
    "transformer voices": ("transformer", "music", {
        "data.voices": 3, "training.augment": ["transpose=3"], "training.optimizer": "muon",
    }),
    "vae voices": ("vae", "music", {"data.voices": 3}),
    "unet voices": ("unet1d", "music", {"data.voices": 3}),
}  # fmt: skip


# Models that others start from: family, data, changes.
BASES = {
    "base": ("gru", "text", {}), "latent": ("vae", "text", {}),
    "energy": ("unet1d", "plain.csv", {"model.energy": True}),
    "by position": ("unet1d", "plain.csv", {"model.noise_levels": "independent"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    write_data(folder)
    return folder


def train_bases(folder, changes):
    """Those that a case starts from."""
    for name, (family, data, own) in BASES.items():
        if f"/{name}/" in str(changes) and not (folder / name).exists():
            base = settings(family, data, folder, **own, **{"training.steps": 4})
            with eagerly():
                train(Recipe(family).override(base), folder / name, progress=False)


def run(*words):
    """What a command prints; it must succeed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = cli.main([str(word) for word in words])
    assert not code, (words, code)
    return out.getvalue()


# Of each kind of data and of each network one, which the continuous integration trains.
LONG = "gru fine-tuned", "unet flow", "transformer pen", "lstm sound", "gru pitches"
# The contract of the models exports a U-Net.
EXPORTED = {*CASES} - {"unet flow"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.exhaustive)
        for name in CASES
    ],
)
@pytest.mark.filterwarnings("error:TensorBoard goes without")
def test_everything_works(name, folder, tmp_path):
    family, data, changes = CASES[name]
    train_bases(folder, changes)
    recipe = Recipe(family).override(settings(family, data, folder, **changes))
    logdir = folder / name
    train(recipe, logdir, progress=False)
    kind = data_kind_of(logdir / "final")
    check_logs(logdir, kind, forecasts=name != "unet forced")
    made = tmp_path / "made"
    made.mkdir()
    # Compiled is the training; these only for the exhaustive ones, for it takes ten times as long.
    with eagerly() if name in LONG else contextlib.nullcontext():
        use(logdir, recipe, kind, made)
    if name in EXPORTED:
        run("export", logdir, made / "served")
        assert (made / "served" / "1" / "saved_model.pb").is_file()


def use(logdir, recipe, kind, made):
    """Does all that there is after a training."""
    if kind == "text":
        assert "to" in run("generate", logdir, "to be", "--max-new-tokens", 8, "--seed", 1)
        run("generate", logdir, "--max-new-tokens", 8, "--num-samples", 3, "--top-k", 3)
        found = run(
            "evaluate", logdir, "--data", recipe.data.name, "--crops", 64, "--window", 16,
            "--out", made / "scores.json",
        )  # fmt: skip
        assert "nats" in found
    else:
        of_numbers(logdir, recipe, kind, made)
    scores = json.loads((made / "scores.json").read_text())
    assert all(math.isfinite(number) for number in leaves(scores))


def of_numbers(logdir, recipe, kind, made):
    known = recipe.data.known
    if not known:
        suffix = {"series": "csv", "strokes": "svg", "audio": "wav", "music": "mid"}[kind]
        length = [] if kind == "audio" else ["--length", 12]
        label = ["--condition", 1] if recipe.data.label or kind == "strokes" else []
        run("generate", logdir, "--num-samples", 3, *length, *label, "--out", made / f"it.{suffix}")
    if recipe.training.rollout == "self_forcing":  # which does nothing else
        run(
            "evaluate", logdir, "--data", recipe.data.name, "--runs", 1, "--num-samples", 16,
            "--length", 12, "--metrics", "marginal,correlational", "--out", made / "scores.json",
        )  # fmt: skip
        return
    if kind == "music":
        of_music(logdir, recipe, made)
    if kind == "series":
        horizon = 6
        if not known:
            file = made / "forecast.csv"
            run(
                "forecast", logdir, "--data", recipe.data.name, "--horizon", horizon,
                "--num-samples", 5, "--context", 16, "--out", file,
            )  # fmt: skip
            assert len(file.read_text().splitlines()) > horizon
    if kind == "series" and recipe.model.get("positions") != "learned":  # which has no room for it
        file = made / "filled.csv"
        more = [] if recipe.family == "unet1d" else ["--particles", 8]
        run(
            "impute", logdir, "--data", recipe.data.name, "--num-samples", 2, *more, "--out", file,
        )  # fmt: skip
        assert not any(",," in line for line in file.read_text().splitlines())
    run(
        "evaluate", logdir, "--data", recipe.data.name, "--runs", 1, "--num-samples", 4,
        "--samples", 16, "--metrics", "likelihood,forecast" if kind == "series" else "likelihood",
        *(["--horizon", 6, "--context", 16] if kind == "series" else []),
        "--out", made / "scores.json",
    )  # fmt: skip


def of_music(logdir, recipe, made):
    """Goes on with a file, and draws what is under a melody anew."""
    suffix = ".mid" if recipe.family == "lstm" else ".png"
    if recipe.family != "unet1d":
        run("generate", logdir, recipe.data.name, "--length", 5, "--out", made / f"on{suffix}")
    keep = "voice 1" if recipe.data.voices else "melody"
    more = [] if recipe.family in ("unet1d", "vae") else ["--particles", 8]
    run(
        "impute", logdir, "--data", recipe.data.name, "--id", "test 0", "--keep", keep,
        "--rows", "3:8", "--num-samples", 2, *more, "--out", made / f"under{suffix}",
    )  # fmt: skip


def check_logs(logdir, kind, forecasts):
    """All that there is to watch was written."""
    logs = logdir / "logs"
    tags = event_files.open_events(logs / "train").Tags()
    assert tags["graph"]
    for tag in expected_tags(kind, forecasts):
        assert any(each.startswith(tag) for each in tags["tensors"]), tag
    losses = [value for _, value in event_files.scalars(logs / "train")["epoch_loss"]]
    assert losses and np.all(np.isfinite(losses))
    assert json.loads((logdir / "best.json").read_text())["loss"] is not None


def leaves(found):
    if isinstance(found, dict):
        return [each for value in found.values() for each in leaves(value)]
    if isinstance(found, list):
        return [each for value in found for each in leaves(value)]
    return [found] if isinstance(found, float) else []
