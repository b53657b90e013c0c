"""Recipes: what is read is what was written, and a mistake is told in one line."""

import dataclasses
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.timing import least_seconds
from tfgen.errors import InputError
from tfgen.names import normalise
from tfgen.recipe import (
    SECTIONS,
    DataConfig,
    GenerationConfig,
    PreprocessingConfig,
    Recipe,
    TokenSampling,
    TrainingConfig,
    fields_help,
)
from tfgen.values import parse_value

# A value other than the default for every field that is not a plain number.
OTHER = {
    "data.circular": ("wind=360",),
    "data.resolution": ("temp=0.1",),
    "training.choose_on": "all",
    "training.choose_by": "forecasts",
    "data.name": 'böok\n"quoted" \\ #1.txt',
    "data.column": "text",
    "data.source": "word",
    "data.source_data": "pendigits",
    "data.kind": "series",
    "data.columns": ("temp", "rain, mm"),
    "data.time": "when",
    "data.time_format": "%d.%m.%Y",
    "data.id": "site",
    "data.categories": ("wind",),
    "data.known": ("holiday", "price"),
    "data.static": ("height",),
    "data.label": "class",
    "data.bounds": ("rain=0:", "x=auto"),
    "data.layout": "rows",
    "data.header": "none",
    "data.delimiter": "|",
    "data.decimal": ",",
    "data.sheet": "Q1",
    "data.missing": ("-200", "M"),
    "data.sample_rate": 16000,
    "data.max_length": 4096,
    "data.split": "sequences",
    "data.pitches": "36:81",
    "data.frame_step": "1/8",
    "data.validation_fraction": 0.25,
    "preprocessing.tokenizer": "byte",
    "preprocessing.max_vocabulary": 64,
    "preprocessing.vocabulary_size": 512,
    "preprocessing.scaler": "robust",
    "preprocessing.log1p": ("rain",),
    "preprocessing.calendar": False,
    "training.beta_2": 0.1 + 0.2,  # 0.30000000000000004: all digits have to survive
    "training.ema": 1e-17,
    "generation.solver": "heun",
    "generation.windows": "rolling:commit=8",
    "training.carry_state": True,
    "training.augment": ("gain=12", "flip=0.5"),
    "training.optimizer": "muon",
    "training.optimizer_options": ("beta_1=0.8",),
    "training.schedule": "linear",
    "training.precision": "mixed_bfloat16",
    "training.start_from": "lstm-shakespeare",
    "training.refine": "contrastive_divergence",
    "training.rollout": "scheduled_sampling",
    "training.vocabulary": "keep",
    "training.freeze": ("token_embedding", "block_[01]"),
    "training.lora_targets": ("*kernel",),
    "training.lora_also": ("head",),
    "training.profile": "200:205",
    "generation.top_p": 0.9,
    "generation.min_p": 0.05,
    "generation.length": 48,
    "generation.stop": ("\n\n", "END\r\n", "\u2028é"),
}


# What else a field needs to be of use.
NEEDS = {"preprocessing.vocabulary_size": {"preprocessing.tokenizer": "bpe"}}


def other_value(field):
    if field.key in OTHER:
        return OTHER[field.key]
    return field.default + (1 if isinstance(field.default, int) else 0.125)


ALL_FIELDS = [pytest.param(field, id=field.key) for field in fields_help()]


@pytest.mark.parametrize("field", ALL_FIELDS)
def test_every_field_survives_toml_exactly(field):
    section, _, name = field.key.partition(".")
    base = Recipe("lstm").override(NEEDS.get(field.key, {}))
    config = dataclasses.replace(getattr(base, section), **{name: other_value(field)})
    recipe = dataclasses.replace(base, **{section: config})
    assert recipe != base
    assert Recipe.from_toml(recipe.to_toml()) == recipe


@pytest.mark.parametrize("field", ALL_FIELDS)
def test_every_field_is_explained_and_can_be_overridden(field):
    assert len(field.help) > 10 and "\n" not in field.help
    section, _, name = field.key.partition(".")
    needed = NEEDS.get(field.key, {})
    changed = Recipe("lstm").override({field.key: other_value(field), **needed})
    assert getattr(getattr(changed, section), name) == other_value(field)
    differing = [key for key in SECTIONS if getattr(changed, key) != getattr(Recipe("lstm"), key)]
    assert differing == [section]


def test_the_help_covers_every_field_with_its_default():
    helped = {field.key: field.default for field in fields_help()}
    defaults = {
        f"{name}.{field.name}": getattr(config(), field.name)
        for name, config in SECTIONS.items()
        for field in dataclasses.fields(config)
    }
    assert helped == defaults


@pytest.mark.parametrize("text,steps", [("3:5", [3, 4, 5]), ("7:7", [7]), ("", []), ("none", [])])
def test_the_steps_of_a_profile(text, steps):
    config = Recipe("lstm").override({"training.profile": text}).training
    assert [*config.profiled_steps()] == steps
    assert (config == TrainingConfig()) == (not steps)


def test_model_and_description_survive_toml_exactly():
    recipe = Recipe(
        "My_Family",
        {"a": 2, "b": 1 / 3, "c": True, "d": [1, 2], "odd key": "ä\\", "sub": {"e": 1}},
        description='Line "one"\nline two',
    )
    assert recipe.family == "my-family"
    again = Recipe.from_toml(recipe.to_toml())
    assert again == recipe
    # 1 == True == 1.0 in Python, and a constructor may tell them apart.
    assert [type(value) for value in again.model.values()] == [int, float, bool, list, str, dict]


def test_the_readme_of_the_module_is_a_recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    # A byte-order mark and Windows line ends, as an editor may leave them.
    path.write_bytes(
        b'\xef\xbb\xbffamily = "lstm"\r\n'
        b"[model]\r\nunits = 256\r\n[training]\r\nlearning_rate = 1\r\n"
    )
    recipe = Recipe.from_file(path)
    assert recipe == Recipe("lstm", {"units": 256}, training=TrainingConfig(learning_rate=1.0))
    assert isinstance(recipe.training.learning_rate, float)


def test_saving_leaves_only_the_recipe(tmp_path):
    recipe = Recipe("gru", generation=GenerationConfig(stop=["x"]))
    recipe.save(tmp_path / "run" / "recipe.toml")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["recipe.toml"]
    assert Recipe.from_file(tmp_path / "run" / "recipe.toml") == recipe


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[training]\nsteps = 3", "family is missing"),
        ("family = 3", "family must be a string. Received: family=3"),
        ('family = " "', "family must name a family"),
        ('family = "a"\n[trainin]\n', "Unknown recipe section 'trainin'. Did you mean 'training'?"),
        ('family = "a"\nsteps = 3', "Unknown recipe key 'steps'. Did you mean 'training.steps'?"),
        ('family = "a"\n[training]\nstesp = 3', "'training.stesp'. Did you mean 'training.steps'"),
        ('family = "a"\n[model]\nx = nan', "model.x must be a finite number"),
        ('family = "a"\n[generation]\nbatch_size = 3', "Did you mean 'training.batch_size'"),
        ('family = "a"\ntraining = 3', "training must be a section, [training]. Received"),
        ('family = "a"\nmodel = 3', "model must be a section"),
        ('family = "a"\n[training]\nsteps = "many"', "training.steps must be an integer"),
        ('family = "a"\n[training]\nsteps = true', "Received: training.steps=True"),
        ('family = "a"\n[training]\nsteps = 10.0', "Received: training.steps=10.0"),
        ('family = "a"\n[training]\nsteps = -1', "must be >= 1. Received: training.steps=-1"),
        ('family = "a"\n[training]\nseed = 9223372036854775808', "64-bit"),
        ('family = "a"\n[training]\ncarry_state = 1', "must be true or false"),
        ('family = "a"\n[training]\nlearning_rate = inf', "must be a finite number"),
        ('family = "a"\n[training]\nlearning_rate = 0', "must be > 0. Received"),
        ('family = "a"\n[training]\nlearning_rate = false', "must be a number. Received"),
        (f'family = "a"\n[training]\nclip_norm = {"9" * 400}', "must be a finite number"),
        (f'family = "a"\n[training]\nclip_norm = {"9" * 5000}', "not valid TOML"),
        ('family = "a"\n[training]\nprofile = "9:8"', "Received: training.profile='9:8'"),
        ('family = "a"\n[training]\nprofile = "0:8"', "counted from 1, e.g. '200:205'. Received"),
        ('family = "a"\n[training]\nprofile = "200"', "training.profile must be FIRST:LAST"),
        ('family = "a"\n[training]\nprofile = 200', "training.profile must be a string"),
        ('family = "a"\n[preprocessing]\ntokenizer = "bytes"', "Did you mean 'byte'"),
        ('family = "a"\n[preprocessing]\nscaler = "minmax"', "Did you mean 'min_max' or 'median'?"),
        ('family = "a"\n[data]\nkind = "sound"', "Unknown data.kind 'sound'"),
        ('family = "a"\n[data]\nsplit = "times"', "Did you mean 'time' or 'blocks+time'?"),
        ('family = "a"\n[data]\nbounds = {rain = 0}', "data.bounds must be a list of strings"),
        (
            'family = "a"\n[preprocessing]\ntokenizer = "byte"\nmax_vocabulary = 3',
            "max_vocabulary is for the tokenizer character",
        ),
        ('family = "a"\n[generation]\nstop = [1]', "generation.stop must be a string"),
        ('family = "a"\n[generation]\nstop = [""]', "generation.stop must hold no empty string"),
        ('family = "a"\n[generation]\nstop = 3', "must be a list of strings"),
        ('family = "a"\nfamily = "b"', "not valid TOML: Cannot overwrite a value (at"),
        ("family = ", "not valid TOML: Invalid value (at end of document)"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ('family = "a"\n[model]\nwhen = 2020-01-01', "model.when must be a number, a string"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_names_file_and_key(tmp_path, text, expected):
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        Recipe.from_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "\n" not in message


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path):
    (tmp_path / "a.toml").write_bytes(b'family = "\xff"')
    with pytest.raises(InputError, match="a.toml: not UTF-8: byte 10 is wrong"):
        Recipe.from_file(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(InputError, match="b.toml is larger than 1,048,576 bytes"):
        Recipe.from_file(tmp_path / "b.toml")
    with pytest.raises(FileNotFoundError):
        Recipe.from_file(tmp_path / "c.toml")


@pytest.mark.parametrize(
    "config, name, inside, outside",
    [
        (DataConfig, "validation_fraction", [0.001, 0.999], [0, 1, -0.1, math.nan]),
        (DataConfig, "sample_rate", [1, None], [0]),
        (DataConfig, "max_length", [1, None], [0]),
        (DataConfig, "simplify", [0, 0.5], [-0.1]),
        (PreprocessingConfig, "max_vocabulary", [1, None], [0]),
        (PreprocessingConfig, "vocabulary_size", [None], [255]),
        *[
            (TrainingConfig, name, [1], [0, -1])
            for name in ("steps", "batch_size", "window", "log_every", "validation_batches",
                         "keep_checkpoints")
        ],
        *[
            (TrainingConfig, name, [0, 1], [-1])
            for name in ("warmup_steps", "final_learning_rate", "weight_decay", "clip_norm",
                         "validate_every", "sample_every", "histogram_every", "checkpoint_every",
                         "patience", "seed")
        ],
        (TrainingConfig, "learning_rate", [1e-30], [0]),
        (TrainingConfig, "beta_2", [0, 0.999], [1]),
        (TrainingConfig, "ema", [0, 0.999], [1, -0.1]),
        (TrainingConfig, "seed", [2**63 - 1], [2**63]),
        (GenerationConfig, "max_new_tokens", [1], [0]),
        (GenerationConfig, "temperature", [0, 5.0], [-0.1]),
        (GenerationConfig, "top_k", [0, 5], [-1]),
        (GenerationConfig, "top_p", [0.1, 1], [0, 1.1]),
        (GenerationConfig, "min_p", [0, 1], [-0.1, 1.1]),
        (GenerationConfig, "repetition_penalty", [0.1, 2], [0]),
        (GenerationConfig, "length", [1, None], [0]),
        (GenerationConfig, "bias", [0, 5.0], [-0.1]),
    ],
)  # fmt: skip
def test_ranges_end_where_they_should(config, name, inside, outside):
    for value in inside:
        assert getattr(config(**{name: value}), name) == value
    for value in outside:
        expected = f"Received: {config.section}.{name}={value!r}"
        with pytest.raises(InputError, match=re.escape(expected) + "$"):
            config(**{name: value})


def test_values_of_numpy_and_paths_become_plain():
    recipe = Recipe(
        "a",
        {"units": np.int64(3), "rate": np.float32(0.5), "sizes": (np.int32(1),)},
        data=DataConfig(name=Path("x") / "y"),
        training=TrainingConfig(steps=np.int32(7)),
    )
    assert recipe.model == {"units": 3, "rate": 0.5, "sizes": [1]}
    assert recipe.data.name == str(Path("x") / "y")
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_a_recipe_does_not_share_what_can_change():
    given = {"sizes": [1]}
    recipe = Recipe("a", given)
    given["sizes"].append(2)
    recipe.to_dict()["model"]["sizes"].append(3)
    assert recipe.model == {"sizes": [1]}
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.training.steps = 3


def test_none_in_model_is_refused_with_advice():
    with pytest.raises(InputError, match="leave the key out .* Received: model.x=None"):
        Recipe("a", {"x": None})


@pytest.mark.parametrize(
    "text, value",
    [
        ("3", 3), ("-3", -3), ("1_000", 1000), ("1e-3", 1e-3), (".5", 0.5), ("-2.", -2.0),
        ("true", True), ("False", False), ("None", None), ("none", None), ('"3"', "3"),
        ('["a", "b"]', ["a", "b"]), ("a b", "a b"), ("", ""), ("007", "007"), ("gru", "gru"),
        ("1\nother = 2", "1\nother = 2"), ("2020-01-01", "2020-01-01"), ("a=b", "a=b"),
    ],
)  # fmt: skip
def test_values_of_a_command_line(text, value):
    parsed = parse_value(text)
    assert parsed == value and type(parsed) is type(value)


def test_override_reads_strings_by_the_field_they_are_for():
    recipe = Recipe("lstm", {"units": 256, "cell": "x"}).override(
        {
            "model.units": "12",
            "model.cell": "none",
            "model.tied": "True",
            "training.learning-rate": "3e-4",
            "training.carry_state": "true",
            "data.name": "2024",
            "data.column": "7",
            "generation.stop": "END",
            "data.bounds": "humid=0:100",
            "data.columns": '["a", "b"]',
            "data.kind": "none",
            "preprocessing.max_vocabulary": "none",
            "family": "gru",
        }
    )
    assert recipe.family == "gru"
    assert recipe.model == {"units": 12, "tied": True}
    assert recipe.training == TrainingConfig(learning_rate=3e-4, carry_state=True)
    expected = DataConfig(name="2024", column="7", bounds=("humid=0:100",), columns=("a", "b"))
    assert recipe.data == expected
    assert recipe.generation.stop == ("END",)
    assert recipe.override({"generation.stop": '["a", "b"]'}).generation.stop == ("a", "b")
    assert recipe.override({"data.column": "none"}).data.column is None
    assert recipe.override({"data.column": None}).data.column is None
    assert recipe.override({"data.name": "none"}).data.name == "none"
    free = recipe.override({"model.bounding": "none", "model.units": "none"})
    assert free.model == {"tied": True, "bounding": "none"}
    assert free.override({"model.bounding": None}).model == {"tied": True}


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("steps", 3, "Unknown recipe key 'steps'. Did you mean 'training.steps'?"),
        ("training.stesp", 3, "Did you mean 'training.steps'"),
        ("trainig.steps", 3, "Unknown recipe section 'trainig'. Did you mean 'training'?"),
        ("training", 3, "Unknown recipe key 'training'"),
        ("model", 3, "Unknown recipe key 'model'. Did you mean 'model.*'?"),
        ("training.steps", "many", "training.steps must be an integer"),
        ("training.steps", None, "training.steps must be an integer. Received"),
        ("training.learning_rate", "nan", "training.learning_rate must be a finite number"),
    ],
)
def test_override_refuses_what_does_not_exist_or_fit(key, value, expected):
    with pytest.raises(InputError, match=re.escape(expected)):
        Recipe("lstm").override({key: value})


def test_names_have_one_form():
    assert normalise(" LSTM_Shakes-Peare ") == "lstm-shakes-peare"


def test_recipes_need_no_tensorflow():
    code = "import tfgen.recipe, sys; assert not {'tensorflow', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


ENDLESS = {
    "keys of a table": lambda n: "model." + ".".join("a" * n) + " = 1",
    "a header": lambda n: "[" + ".".join("a" * n) + "]",
    "a header of quoted parts": lambda n: "[[" + ' . "b c" '.join(["a"] * (n // 10)) + "]]",
    "an inline table": lambda n: "x = {a = {" + ".".join("a" * n) + " = 1}}",
    # What looks like a string is the end of one and a comment.
    "a comment": lambda n: 'x = """a"""" # """"\n' + ".".join("a" * n) + " = 1",
    "another comment": lambda n: "x = '''a'''' # ''''\n" + ".".join("a" * n) + " = 1",
    "tables": lambda n: "x = {a = " * (n // 5),
    "arrays": lambda n: "x = [" * (n // 5),
    "an array": lambda n: "x = " + "[" * 2 * n,
    "a key": lambda n: "a" * 2 * n,
    "keys with blanks": lambda n: "a " * n,
    "keys with dots": lambda n: "a." * n,
    "quotes": lambda n: '"' * 2 * n,
    "line ends in strings": lambda n: '"""\\' * (n // 2),
    "quoted quotes": lambda n: "''' '" * (n * 2 // 5),
    "one table": lambda n: "[[a]]\n" * (n * 8 // 25),
    "many tables": lambda n: "".join(f"[t{i}]\n" for i in range(n // 5)),
    "many keys": lambda n: "".join(f"k{i}.a=1\n" for i in range(n * 4 // 25)),
    "a string": lambda n: 'x = "' + "\\n" * n + '"',
    "a hexadecimal number": lambda n: "x = 0x" + "f" * 2 * n,
    "a number": lambda n: "x = 1" + "_0" * n,
    "numbers": lambda n: "x = [" + "1," * n + "]",
    "lines": lambda n: "\n" * 2 * n,
    "dots": lambda n: "# " + "." * 2 * n,
    "deep tables": lambda n: "[[a.b.c.d.e.f.g]]\n" * (n * 29 // 250),
}


@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("count", [50_000, pytest.param(500_000, marks=pytest.mark.long)])
def test_no_file_takes_longer_than_its_length(kind, count):
    text = ENDLESS[kind](count)

    def read():
        with pytest.raises(InputError):
            Recipe.from_toml(text)

    most = 1 + count / 50_000
    assert least_seconds(read, most) < most


def test_dots_in_strings_and_comments_are_no_keys():
    dots = ". " * 50 + ".a.b.c.d.e.f.g.h.i.j.k"
    for quoted in (f'"{dots}"', f"'{dots}'", f'"""\n{dots}"" {dots}"""', f'"\\"{dots}\\\\"'):
        text = f"family = 'lstm'  # {dots}\ndescription = {quoted}\n"
        assert dots in Recipe.from_toml(text).description


# The options of a call.


@pytest.mark.parametrize(
    "name, value, allowed",
    [
        ("max_new_tokens", 0, ">= 1"),
        ("max_new_tokens", 1.0, "an integer"),
        ("max_new_tokens", 2**31, "<= 2147483647"),
        ("temperature", -0.1, ">= 0"),
        ("temperature", math.inf, "a finite number"),
        ("temperature", math.nan, "a finite number"),
        ("temperature", "hot", "a number"),
        ("top_k", -1, ">= 0"),
        ("top_k", 2.5, "an integer"),
        ("top_k", True, "an integer"),
        ("top_p", 0, "> 0"),
        ("top_p", 1.5, "<= 1"),
        ("min_p", -0.5, ">= 0"),
        ("min_p", 1.01, "<= 1"),
        ("repetition_penalty", 0, "> 0"),
        ("repetition_penalty", -1.0, "> 0"),
        ("repetition_penalty", 10**40, "<= 3.4028234663852886e+38"),
        ("guidance_scale", -1.0, ">= 0"),
        ("stop", ("a", 3), "a string"),
    ],
)
def test_options_of_a_call_that_are_refused(name, value, allowed):
    with pytest.raises(InputError, match=f"^{name} must be {re.escape(allowed)}") as caught:
        TokenSampling.of(GenerationConfig(), **{name: value})
    assert f". Received: {name}=" in str(caught.value)


def test_options_of_a_call_at_their_limits_and_defaults():
    defaults = GenerationConfig(temperature=0.5, stop=("x",))
    assert TokenSampling.of(defaults, temperature=None).temperature == 0.5
    limits = {
        "max_new_tokens": np.int64(1), "temperature": np.float32(0), "top_k": 2**31 - 1, "top_p": 1,
        "min_p": 0, "repetition_penalty": 1e-3,
    }  # fmt: skip
    options = TokenSampling.of(defaults, **limits)
    assert {name: getattr(options, name) for name in limits} == limits
    assert options.stop == ("x",) and TokenSampling.of(defaults, stop=()).stop == ()
