"""Every field of a recipe changes something: what is read, what is learned, what is written."""

import dataclasses
import json
import wave
from typing import Any

import numpy as np
import openpyxl
import pytest
import tensorflow as tf

from tests.models.contract.rows import ROWS, model_of
from tfgen import models
from tfgen.data import data_kind, open_pairs, open_sequences, open_text
from tfgen.errors import InputError
from tfgen.recipe import GenerationConfig, Recipe, fields_help
from tfgen.sampling import random
from tfgen.training import run as run_module
from tfgen.training.adapters import Adapters
from tfgen.training.data import open_data
from tfgen.training.finetuning import open_start
from tfgen.training.objectives import open_objective
from tfgen.training.optimizers import make_optimizer
from tfgen.training.refinement import Refinement
from tfgen.training.step import Step

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

LEAST = {
    "model.units": 4, "model.layers": 1, "training.batch_size": 4, "training.window": 8,
    "training.steps": 4, "training.warmup_steps": 1, "training.log_every": 2,
    "training.validate_every": 2, "training.validation_batches": 2, "training.sample_every": 0,
    "training.histogram_every": 0, "training.checkpoint_every": 2, "training.learning_rate": 0.05,
    "data.name": "text.txt",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Change:
    value: Any
    look: str
    base: dict


def change(value, look, **base):
    return Change(value, look, {key.replace("__", "."): each for key, each in base.items()})


def read(value, name="table.csv", **base):
    """A field of the data: what is read of a file."""
    return change(value, "read", **{"data__name": name, **base})


def sampled(value, family="gru-text", look="sample", **base):
    return change(value, look, family=family, **base)


def refined(value, **base):
    return change(value, "refined", training__refine="contrastive_divergence", **base)


def rolled(value, **base):
    return change(value, "rolled", training__rollout="scheduled_sampling", **base)


SITES = {"data__id": "site"}
CHAINS = {"training__persistent_chains": 4}
LORA = {"training__lora_rank": 2}
CHANGES = {
    "data.name": read("dates.csv"),
    "data.column": read("b", "lines.jsonl", data__column="a"),
    "data.source": read("b", "lines.jsonl", data__column="a"),
    "data.source_data": read(
        "pen.npz", "captions.csv", data__column="text", data__source="pen", data__source_data="other.npz"
    ),
    "data.kind": read("strokes", "pen.npz"),
    "data.columns": read(["load"]),
    "data.time": read("other"),
    "data.time_format": read("month-first", "dates.csv", data__time_format="day-first"),
    "data.id": read("kind", **SITES),
    "data.categories": read(["code"]),
    "data.known": read(["plan"]),
    "data.static": read(["height"], **SITES),
    "data.label": read("kind", **SITES),
    "data.layout": read("columns", "wide.csv", data__layout="rows"),
    "data.header": read("none", "dates.csv"),
    "data.delimiter": read("tab", "comma.csv"),
    "data.decimal": read(".", "comma.csv", data__decimal=","),
    "data.sheet": read("second", "book.xlsx"),
    "data.missing": read(["-200"]),
    "data.allow_dropped": read(0.0),
    "data.bounds": read(["load=0:100"]),
    "data.resolution": read(["load=0.5"]),
    "data.circular": read(["load=1000"]),
    "data.sample_rate": read(4000, "sounds"),
    "data.max_length": read(5, "pen.npz", data__kind="strokes"),
    "data.simplify": read(50.0, "pen.npz", data__kind="strokes"),
    "data.voices": read(2, "chords.json"),
    "data.pitches": read("60:66", "chords.json"),
    "data.frame_step": read("1/8", "chords.json"),
    "data.max_numbers": read(10),
    "data.validation_fraction": read(0.4, **SITES),
    "data.split": read("sequences", **SITES),
    "preprocessing.tokenizer": change("byte", "tensors"),
    "preprocessing.max_vocabulary": change(3, "tensors"),
    "preprocessing.vocabulary_size": change(260, "tensors", preprocessing__tokenizer="bpe"),
    "preprocessing.scaler": change("robust", "tensors", data__name="long.csv"),
    "preprocessing.log1p": change(["load"], "tensors", data__name="long.csv"),
    "preprocessing.calendar": change(False, "tensors", data__name="long.csv"),
    "training.steps": change(3, "run"),
    "training.batch_size": change(2, "batches"),
    "training.window": change(6, "batches"),
    "training.carry_state": change(True, "run"),
    "training.augment": change(["noise=0.5"], "batches"),
    "training.precision": change("mixed_bfloat16", "update"),
    "training.optimizer": change("sgd", "update"),
    "training.optimizer_options": change(["momentum=0.9"], "update", training__optimizer="sgd"),
    "training.learning_rate": change(0.02, "update"),
    "training.warmup_steps": change(2, "update"),
    "training.schedule": change("linear", "update"),
    "training.final_learning_rate": change(0.01, "update"),
    "training.beta_2": change(0.5, "update"),
    "training.weight_decay": change(0.5, "update"),
    "training.clip_norm": change(0.01, "update"),
    "training.clip_value": change(1e-4, "update", training__clip_norm=0.0),
    "training.accumulate": change(2, "update"),
    "training.start_from": change("start", "start"),
    "training.vocabulary": change(
        "new", "start", training__start_from="start", training__vocabulary="keep",
        data__name="other.txt",
    ),
    "training.freeze": change(["head*"], "update"),
    "training.lora_rank": change(2, "update"),
    "training.lora_alpha": change(8.0, "update", **LORA),
    "training.lora_targets": change(["head/kernel"], "update", **LORA),
    "training.lora_also": change(["head/bias"], "update", **LORA),
    "training.refine": change("contrastive_divergence", "refined"),
    "training.refine_weight": refined(0.5),
    "training.refine_sigma_min": refined(0.5),
    "training.refine_sigma_max": refined(2.0),
    "training.refine_levels": refined(4),
    "training.refine_steps": refined(3),
    "training.refine_step_size": refined(0.1),
    "training.persistent_chains": refined(4),
    "training.restart_share": refined(1.0, **CHAINS),
    "training.rollout": change("scheduled_sampling", "rolled"),
    "training.rollout_share": rolled(1.0),
    "training.rollout_warmup": rolled(2),
    "training.rollout_passes": rolled(2, training__rollout_share=1.0, training__rollout_warmup=1),
    "training.rollout_windows": change(2, "forced", training__rollout="self_forcing"),
    "training.rollout_critic_steps": change(3, "forced", training__rollout="self_forcing"),
    "training.ema": change(0.9, "run"),
    "training.seed": change(1, "batches"),
    "training.log_every": change(1, "run"),
    "training.validate_every": change(4, "run"),
    "training.validation_batches": change(1, "run"),
    "training.choose_on": change("all", "run"),
    "training.choose_by": change("forecasts", "run", data__name="long.csv"),
    "training.sample_every": change(2, "run"),
    "training.histogram_every": change(2, "run"),
    "training.checkpoint_every": change(1, "run"),
    "training.keep_checkpoints": change(1, "run"),
    "training.patience": change(
        1, "run", training__validate_every=1, training__learning_rate=3.0,
        training__warmup_steps=0, training__steps=5,
    ),
    "training.profile": change("1:2", "run"),
    "generation.max_new_tokens": sampled(3),
    "generation.temperature": sampled(0.0),
    "generation.top_k": sampled(1),
    "generation.top_p": sampled(0.05),
    "generation.min_p": sampled(0.99),
    "generation.repetition_penalty": sampled(1e6),
    "generation.stop": sampled([*"abcdefgh"]),
    "generation.guidance_scale": sampled(3.0, "unet1d-numbers"),
    "generation.length": sampled(3, "gru-numbers"),
    "generation.bias": sampled(2.0, "gru-numbers"),
    "generation.num_steps": sampled(3, "unet1d-numbers"),
    "generation.solver": sampled("euler", "unet1d-numbers", generation__num_steps=4),
    "generation.resamplings": sampled(1, "unet1d-numbers", "filled"),
    "generation.windows": sampled("independent:commit=2", "unet1d-numbers"),
}  # fmt: skip


def test_every_field_has_a_row():
    assert CHANGES.keys() == {field.key for field in fields_help()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of each kind, in which every field of the data finds something to change."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "text.txt").write_text("to be or not to be\n" * 60)
    (folder / "other.txt").write_text("zig and zag and zoo\n" * 60)
    lines = [json.dumps({"a": f"first {n}", "b": f"second {n}"}) for n in range(30)]
    (folder / "lines.jsonl").write_text("\n".join(lines))
    rows = ["site,time,other,load,plan,height,kind,code"]
    for site in "abcdefghijklmnopqrstuvwxyz":
        rows += [
            f"{site},2024-01-01T{hour:02d}:00,2023-05-{hour + 1:02d},{hour + 0.5},{hour % 3},"
            f"{ord(site)},{'xy'[ord(site) % 2]},{hour % 2}"
            for hour in range(8)
        ]
    rows[3] = rows[3].replace(",2.5,", ",-200,")
    rows[9] = rows[9].replace("2024-01-01T00:00", "never")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    hours = [
        f"2024-01-{1 + n // 24:02d}T{n % 24:02d}:00,{np.sin(n) + n % 7:.3f}" for n in range(200)
    ]
    (folder / "long.csv").write_text("\n".join(["time,load", *hours]) + "\n")
    dates = [f"{day:02d}/02/2024,{day}" for day in range(1, 12)]
    (folder / "dates.csv").write_text("\n".join(["date,x", *dates]) + "\n")
    wide = ["name," + ",".join(f"2024-01-{day:02d}" for day in range(1, 10))]
    wide += [
        f"{name}," + ",".join(str(n * k) for n in range(1, 10)) for k, name in enumerate("abc")
    ]
    (folder / "wide.csv").write_text("\n".join(wide) + "\n")
    (folder / "comma.csv").write_text("x;y\n" + "".join(f"{n},{n}00;{n}\n" for n in range(1, 30)))
    book = openpyxl.Workbook()
    for number, sheet in enumerate((book.active, book.create_sheet("second"))):
        for row in [["x"], *([n + number] for n in range(20))]:
            sheet.append(row)
    book.save(folder / "book.xlsx")
    rng = np.random.default_rng(0)
    drawings = {f"d{n}": np.c_[rng.normal(0, 3, [12, 2]), np.arange(12) % 4 == 3] for n in range(9)}
    for name, size in (("pen", 1), ("other", 2)):
        scaled = {key: (each * [size, 1, 1]).astype("f4") for key, each in drawings.items()}
        np.savez(folder / f"{name}.npz", **scaled)
    (folder / "captions.csv").write_text("pen,text\n" + "".join(f"d{n},t{n}\n" for n in range(9)))
    chords = [[[60 + (n + k) % 5, 65 + n % 3] for n in range(12)] for k in range(9)]
    (folder / "chords.json").write_text(json.dumps(chords))
    (folder / "sounds").mkdir()
    for number in range(3):
        with wave.open(str(folder / "sounds" / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((rng.normal(size=800) * 9000).astype("<i2").tobytes())
    recipe = recipe_of(folder, {})
    models.build(recipe, open_data(recipe).preprocessing).save(folder / "start")
    return folder


def recipe_of(folder, changes):
    changes = {**LEAST, **changes}
    for key in ("data.name", "data.source_data", "training.start_from"):
        if changes.get(key) is not None:
            changes[key] = str(folder / changes[key])
    return Recipe("gru").override(changes)


BEFORE = {}  # what is looked at without a change


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(
            key,
            marks=pytest.mark.long
            if row.look in ("run", "filled", "refined", "rolled", "forced")
            else (),
        )
        for key, row in CHANGES.items()
    ],
)
def test_it_changes_something(key, folder, tmp_path, monkeypatch):
    row = CHANGES[key]
    look = LOOKS[row.look]
    given = {"folder": folder, "made": tmp_path, "monkeypatch": monkeypatch}
    usual = row.look, repr(row.base)
    if usual not in BEFORE:
        BEFORE[usual] = look(row.base, **given)
    assert look({**row.base, key: row.value}, **given) != BEFORE[usual]


# What is looked at: a text that tells all of it


def look_at_read(changes, folder, **_):
    """What is read, how it is split, and what is dropped; or why nothing is."""
    recipe = recipe_of(folder, changes)
    config = recipe.data
    try:
        if config.source is not None:
            given = config.name, config.source, config.column, config.validation_fraction
            pairs = open_pairs(*given, source_data=config.source_data)
            held = told(pairs.sequences("all")) if pairs.numbers else None
            return [held, *(pairs.references(split) for split in ("train", "validation"))]
        if data_kind(config) == "text":
            source = open_text(config.name, config.column, config.validation_fraction)
            return [list(source.chunks(split)) for split in ("train", "validation")]
        sequences = open_sequences(config)
        parts = sequences.split(config.validation_fraction, config.split)
    except InputError as error:
        return str(error)
    return [told(sequences), [part.ids for part in parts[:2]], [told(part) for part in parts[:2]]]


def told(sequences):
    names = [field.name for field in dataclasses.fields(sequences)]
    with np.printoptions(threshold=100_000):
        return {name: repr(getattr(sequences, name)) for name in names if name != "report"} | {
            "dropped": repr(sequences.report.dropped)
        }


def look_at_tensors(changes, folder, **_):
    """What the preprocessing makes of the first batch."""
    data = open_data(recipe_of(folder, changes))
    batch, made = data.windows["train"].batch(0), data.preprocessing
    if not isinstance(batch, dict):
        return np.asarray(batch).tolist()
    scaled = made.scale_numbers(made.numbers(batch["values"]))
    times = batch["times"] if made.needs_times else None
    return [np.asarray(scaled).tolist(), np.asarray(made.covariates(times)).tolist()]


def look_at_batches(changes, folder, **_):
    windows = open_data(recipe_of(folder, changes)).windows["train"]
    return [np.asarray(windows.batch(k)).tolist() for k in range(3)]


def look_at_update(changes, folder, **_):
    """The weights after three steps, and how often the loss was computed."""
    recipe = recipe_of(folder, changes)
    data, config = open_data(recipe), recipe.training
    model = models.build(recipe, data.preprocessing, config.precision)
    adapters, optimizer, counted = Adapters(model, config), make_optimizer(config), []
    optimizer.build(adapters.variables)
    step = Step(model, optimizer, config, 4, adapters)
    total = model.batch_total
    model.batch_total = lambda *given, **more: counted.append(1) or total(*given, **more)
    for k in range(3):
        step(tf.constant(data.windows["train"].batch(k)))
    return [len(counted), *(weight.numpy().tolist() for weight in model.weights)]


def lost_of_three(model, objective, windows, state=None):
    """What an objective loses of three batches, one after another if it carries a state."""
    lost = []
    for k in range(3):
        objective.follow(lambda k=k: tf.constant(k))
        batch = model.unpack(tf.nest.map_structure(tf.constant, windows.batch(k)))
        key = random.root(k, random.DROPOUT)
        total, _, after = objective.batch_total(batch, key, state, training=True)
        state = None if state is None else after
        lost.append(float(total))
    return lost


def look_at_refined(changes, folder, **_):
    """What is lost of three batches, beside which an energy is refined or not."""
    small = {
        "model.energy": True, "model.width": 8, "model.groups": 2, "model.multipliers": [1],
        "model.blocks": 1, "model.attention_at": [], "training.batch_size": 4,
        "training.window": 8, "data.name": str(folder / "long.csv"),
    }  # fmt: skip
    if "training.refine" in changes:
        small["training.refine_levels"] = 2
    recipe = Recipe("unet1d").override({**small, **changes})
    data = open_data(recipe)
    model, windows = models.build(recipe, data.preprocessing), data.windows["train"]
    model.engine.denoiser.energies = lambda given, drop=None: (
        lambda x, sigma: tf.reduce_sum(tf.square(x - 1) / (1 + sigma[:, None, None]), axis=[1, 2])
    )
    objective, state = model, None
    if recipe.training.refine:
        objective = Refinement(model, recipe.training, 4)
        state = objective.initial_state(windows.batch(0))
    return lost_of_three(model, objective, windows, state)


def look_at_rolled(changes, folder, **_):
    """What is lost of three batches, of which the first step reads the data."""
    recipe = recipe_of(folder, changes)
    data = open_data(recipe)
    model, windows = models.build(recipe, data.preprocessing), data.windows["train"]
    objective = open_objective(model, recipe.training, 4) or model
    return lost_of_three(model, objective, windows)


def look_at_forced(changes, folder, **_):
    """What is lost of three windows in a row, and how often the model learns of it."""
    small = {
        "model.width": 8, "model.groups": 2, "model.multipliers": [1], "model.blocks": 1,
        "model.attention_at": [], "model.noise_levels": "independent", "training.batch_size": 4,
        "training.window": 8, "data.name": str(folder / "long.csv"), "generation.num_steps": 1,
    }  # fmt: skip
    recipe = Recipe("unet1d").override({**small, **changes})
    data = open_data(recipe)
    model, windows = models.build(recipe, data.preprocessing), data.windows["train"]
    objective = open_objective(model, recipe.training, 4)
    state = objective.initial_state(windows.batch(0))
    lost = lost_of_three(model, objective, windows, state)
    return [objective.beside.critic_steps, *lost]


def look_at_start(changes, folder, **_):
    recipe = recipe_of(folder, changes)
    start = open_start(recipe, None)
    return start and start.open_data(recipe)[1].preprocessing.vocabulary


class Listener:
    """A dashboard that writes down when it is told what."""

    def __init__(self, heard):
        self._heard = heard

    def __getattr__(self, name):
        return lambda *given, **_: self._heard.append((name, *map(str, given[:1])))


def look_at_run(changes, folder, made, monkeypatch):
    """When what was told, what a folder holds at the end, and the weights."""
    recipe, heard = recipe_of(folder, changes), []
    data, logdir = open_data(recipe), made / f"run{len(list(made.iterdir()))}"
    logdir.mkdir()
    data.dashboard = lambda *_: Listener(heard)
    none = run_module.Profile(range(0), logdir)
    monkeypatch.setattr(run_module, "Profile", lambda steps, _: heard.append(list(steps)) or none)
    model = models.build(recipe, data.preprocessing)
    run = run_module.Run(model, recipe, data, logdir, progress=False)
    run.train()
    files = sorted(str(path.relative_to(logdir)) for path in logdir.rglob("*"))
    best = json.loads((logdir / "best.json").read_text())
    return [str(heard), files, best, *(weight.numpy().tolist() for weight in model.weights)]


def look_at_sample(changes, **_):
    return _generated(changes, lambda row, model, said: row.sample(model, 3, **said))


def look_at_filled(changes, **_):
    def fill(row, model, said):
        (values,), told = row.raw(0)
        return model.impute(
            np.where(np.arange(8)[:, None] == 4, np.nan, values), 1, 3, **told, **said
        )

    return _generated(changes, fill)


def _generated(changes, call):
    changes = dict(changes)
    family = changes.pop("family")
    (row,) = (each for each in ROWS if str(each) == family)
    model, own = model_of(row), model_of(row).generation
    options = {key.partition(".")[2]: each for key, each in changes.items()}
    model.generation = GenerationConfig(**{**row.generation, **options})
    try:
        found = [np.asarray(each).tolist() for each in call(row, model, {})]
    finally:
        model.generation = own
    # What a call says goes before the model's own.
    assert [np.asarray(each).tolist() for each in call(row, model, options)] == found
    return found


LOOKS = {name.removeprefix("look_at_"): each for name, each in globals().items()
         if name.startswith("look_at_")}  # fmt: skip
