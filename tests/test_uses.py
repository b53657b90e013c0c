"""What a field of a recipe is for: one table, from which help and refusals come."""

import dataclasses
import re
from pathlib import Path

import pytest

from tfgen import uses
from tfgen.errors import InputError
from tfgen.kinds import KINDS
from tfgen.recipe import SECTIONS, GenerationConfig, Recipe, TrainingConfig, fields_help

ROOT = Path(__file__).parents[1]

# Which models use a field: by kind, and by engine where that matters. A field that is not listed
# is of use to all.
TEXT, SERIES, STROKES, AUDIO, MUSIC = "text", "series", "strokes", "audio", "music"
NUMBERS = (SERIES, STROKES, AUDIO, MUSIC)
TEXTS = (TEXT, "events")
USED = {
    "data.column": TEXTS,
    "data.source": (*TEXTS, "strokes"),
    "data.source_data": TEXTS,
    **dict.fromkeys(
        ("data.columns", "data.time", "data.time_format", "data.id", "data.categories", "data.known", "data.static",
         "data.bounds", "data.resolution", "data.circular", "data.layout", "data.header", "data.delimiter", "data.decimal",
         "data.sheet", "data.missing", "data.allow_dropped", "preprocessing.calendar",
         "training.choose_by"),
        [SERIES],
    ),
    **dict.fromkeys(
        ("data.split", "preprocessing.scaler", "preprocessing.log1p",
         "generation.length"),
        NUMBERS,
    ),
    "data.sample_rate": [AUDIO],
    "data.max_length": [STROKES, AUDIO, MUSIC],
    **dict.fromkeys(("data.voices", "data.pitches", "data.frame_step"), [MUSIC]),
    "data.simplify": [STROKES],
    "preprocessing.tokenizer": TEXTS,
    "preprocessing.max_vocabulary": TEXTS,
    "preprocessing.vocabulary_size": TEXTS,
    "training.vocabulary": TEXTS,
    **dict.fromkeys(
        ("generation.max_new_tokens", "generation.top_k", "generation.top_p", "generation.min_p",
         "generation.repetition_penalty", "generation.stop"),
        TEXTS,
    ),
}  # fmt: skip
BY_ENGINE = {
    "generation.temperature": {"autoregressive": KINDS, "adversarial": NUMBERS},
    "generation.bias": {"autoregressive": NUMBERS},
    "generation.num_steps": {"diffusion": NUMBERS},
    "generation.solver": {"diffusion": NUMBERS},
    "generation.resamplings": {"diffusion": NUMBERS},
    "generation.windows": {"diffusion": ["series"]},
    "generation.guidance_scale": {"autoregressive": TEXTS, "diffusion": NUMBERS},
    "training.refine": {"diffusion": NUMBERS},
    **dict.fromkeys(
        ("training.rollout_share", "training.rollout_warmup", "training.rollout_passes"),
        {"autoregressive": KINDS},
    ),
    **dict.fromkeys(
        ("training.rollout_windows", "training.rollout_critic_steps"), {"diffusion": ["series"]}
    ),
}
FOR_ALL = {
    "data.name", "data.kind", "data.label", "data.validation_fraction", "data.max_numbers",
    # What of the training says nothing to a kind is refused by the training itself.
    *(f"training.{field.name}" for field in dataclasses.fields(TrainingConfig)),
} - USED.keys()  # fmt: skip
MODELS = [("autoregressive", kind) for kind in KINDS]
MODELS += [(engine, kind) for engine in ("diffusion", "adversarial") for kind in NUMBERS]
OTHER = {
    "training.rollout_critic_steps": 3,
    "data.kind": "series", "data.split": "time", "data.layout": "rows", "data.decimal": ",",
    "data.allow_dropped": 0.9, "preprocessing.tokenizer": "byte",
    "preprocessing.vocabulary_size": 512,
    "preprocessing.scaler": "robust", "preprocessing.calendar": False, "training.vocabulary": "new",
    "training.choose_by": "forecasts", "training.refine": "contrastive_divergence",
    "generation.solver": "heun", "generation.top_p": 0.5, "generation.windows": "overlap",
}  # fmt: skip


def changed(field):
    """A section in which one field is not at its default."""
    section, _, name = field.key.partition(".")
    default = field.default
    other = ("x",) if isinstance(default, tuple) else "x" if field.type.startswith("string") else 2
    other = 0.5 if isinstance(default, float) and default < 1 else other
    needed = {"tokenizer": "bpe"} if name == "vocabulary_size" else {}
    return dataclasses.replace(SECTIONS[section](**needed), **{name: OTHER.get(field.key, other)})


FIELDS = [
    field
    for field in fields_help()
    if not field.key.startswith("training.") or field.key in {**USED, **BY_ENGINE}
]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.key)
@pytest.mark.parametrize("engine, kind", MODELS)
def test_a_value_is_of_use_to_a_model_or_is_refused(field, engine, kind):
    assert field.key in USED or field.key in BY_ENGINE or field.key in FOR_ALL, (
        f"{field.key} is new: say here which models use it, and in its field (of=...)"
    )
    used = kind in USED.get(field.key, KINDS)
    if field.key in BY_ENGINE:
        used = kind in BY_ENGINE[field.key].get(engine, ())
    section = changed(field)
    name = field.key.partition(".")[2]
    assert (name in section.unused(kind, engine)) == (not used)
    type(section)().check_used(kind, engine)  # a default is of no harm, as in every saved recipe
    if not used:
        with pytest.raises(InputError) as caught:
            section.check_used(kind, engine)
        message = str(caught.value)
        # The tokenizer that it is a size for comes first.
        key = field.key.replace("vocabulary_size", "tokenizer")
        assert message.startswith(f"{key} is for ") and f"Received: {key}=" in message
        assert KINDS[kind].words in message and "\n" not in message
        assert ("a diffusion model" in message) == (engine == "diffusion")


def test_what_a_field_is_for_leads_its_help_and_is_not_written_by_hand():
    for config in SECTIONS.values():
        for field in dataclasses.fields(config):
            of = field.metadata["of"]
            assert set(of) <= {*KINDS, *uses.TRAITS}, field.name
            written = field.metadata["help"].removeprefix(f"{' and '.join(of)}: " if of else "")
            assert not re.match(
                r"(text|series|strokes|audio|numbers|diffusion)\b[^.]{0,20}:", written
            )
            assert field.metadata["help"].startswith(" and ".join(of))


def test_guidance_is_for_models_with_conditions():
    config = GenerationConfig(guidance_scale=2.0)
    for kind, engine in (("text", "autoregressive"), ("series", "diffusion")):
        config.check_used(kind, engine)  # not known
        config.check_used(kind, engine, conditional=True)
        with pytest.raises(InputError, match="takes no condition. Received: generation.guidance_s"):
            config.check_used(kind, engine, conditional=False)


def test_what_needs_another_field_is_refused_without_it():
    with pytest.raises(
        InputError, match="training.lora_alpha does nothing without training.lora_r"
    ):
        TrainingConfig(lora_alpha=2.0).check_used("text")
    TrainingConfig(lora_alpha=2.0, lora_rank=2, start_from="x").check_used("text")
    with pytest.raises(InputError, match="training.vocabulary does nothing without training.start"):
        TrainingConfig(vocabulary="new").check_used("text")


def test_of_a_family_whose_engine_is_not_known_the_kind_alone_counts():
    GenerationConfig(num_steps=9, temperature=0.5).check_used("series")
    with pytest.raises(
        InputError, match="generation.top_k is for text, and the data are time series"
    ):
        GenerationConfig(top_k=9).check_used("series")


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("zoo/*/recipe.toml")), ids=lambda p: p.parent.name
)
def test_shipped_recipes_hold_nothing_that_is_ignored(path):
    recipe = Recipe.from_file(path)
    kind = "text" if (path.parent / "tokenizer.json").is_file() else None
    for each in [kind] if kind else NUMBERS:
        engine = "diffusion" if recipe.family == "unet1d" else "autoregressive"
        recipe.generation.check_used(each, engine)


def test_names_are_listed_as_in_a_sentence():
    assert uses.listed(KINDS) == "text, series, strokes, audio, music or events"
    assert uses.listed(["text"]) == "text"
