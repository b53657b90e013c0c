"""The table of the contract: one small model of each family and modality, and what it is asked."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from tfgen import models
from tfgen.data import Feature, Sequences
from tfgen.preprocessing import CharacterTokenizer, SequenceProcessor
from tfgen.recipe import (
    AdversarialSampling,
    DiffusionSampling,
    PreprocessingConfig,
    RolloutSampling,
    TokenSampling,
)

TOKENIZER = CharacterTokenizer("\n abcdefgh")
TEXTS = ["abcdabcd", "hgfe dcb", "a b c d ", "ab\ncd ef"]
START, HOUR = 1_600_000_000, 3600
TIME = 8  # positions of a series
# What the arguments of served functions are, by their names.
INPUTS = {
    "seed": 7, "num_samples": 2, "length": 5, "horizon": 2, "temperature": 0.9, "bias": 0.5,
    "num_steps": 3, "guidance_scale": 2.0, "resamplings": 2, "quantiles": [0.25, 0.75],
    "max_new_tokens": 4, "top_k": 5, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.1,
    "stop": ["h"], "strip_prompt": False, "prompts": ["ab", ""], "texts": TEXTS, "sigma": [0.5] * 2,
    "importance_samples": 3, "steps": 3, "index": 0,
}  # fmt: skip


def as_if_trained(model):
    """Moves every weight, biases and gains included: at first some parts of a network say 0."""
    rng = np.random.default_rng(5)
    for weight in model.trainable_weights:
        weight.assign_add(0.2 * rng.normal(size=weight.shape).astype(np.float32))
    return model


@functools.cache
def series(time=40, missing=9):
    """A number with bounds, one that is missing once, and a category; times and two classes."""
    rng = np.random.default_rng(0)
    features = (Feature("a", low=0.0, high=5.0), Feature("b"), Feature("c", levels=("x", "y")))
    values = [
        np.stack([5 * rng.random(time), rng.normal(size=time), np.arange(time) % 2], axis=1)
        for _ in range(4)
    ]
    values[0][missing, 1] = np.nan
    return Sequences(
        "made", "series", features, [each.astype(np.float32) for each in values], list("0123"),
        times=[START + HOUR * np.arange(time)] * 4, labels=np.array([0, 1, 0, 1], np.int32),
        classes=("p", "q"),
    )  # fmt: skip


@functools.cache
def processor():
    return SequenceProcessor.fit(series(), PreprocessingConfig())


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A family, for text or for numbers.

    Attributes:
        family: Its name.
        small: Arguments of a model that is soon computed.
        options: The dataclass of what says how is sampled.
        foreign: An option of other models, and a value.
        typo: An option written wrongly, and as it is meant.
        in_order: Whether positions come one after another, so that they can be streamed, and the
            loss is the score to the digit.
    """

    family: str
    small: dict
    options: type
    foreign: tuple
    typo: tuple
    in_order: bool = True
    scored: bool = True  # whether it has a likelihood, and forecasts by it

    def __str__(self):
        return f"{self.family}-{self.of}"

    def make(self, **changes):
        return models.make(self.family, self.of, **{**self.given, **self.small, **changes})

    @property
    def latent(self):
        """Whether it has latents of whole sequences."""
        return self.family in ("vae", "gan")

    @property
    def scores(self):
        return self.usual + (("rate", "reconstruction") if self.family == "vae" else ())

    @property
    def entry(self):
        """The row of `tfgen.models.FAMILIES`."""
        return models.family(self.family).row(self.of)


class TextRow(Row):
    of, length = "text", "max_new_tokens"
    generation = {"max_new_tokens": 5}
    given = property(lambda self: {"tokenizer": TOKENIZER, "generation": self.generation})
    usual = ("log_likelihood", "nats_per_character", "bits_per_character", "characters")
    told = {}

    def sample(self, model, seed=None, count=1, **options):
        texts = model.generate("ab", seed=seed, num_samples=count, **options)
        return [texts] if count == 1 else texts

    def raw(self, *rows):
        """What `score` and `encode` take: all, or the texts of some rows; and what is told."""
        return [TEXTS[row] for row in rows or range(len(TEXTS))], {}

    def batch(self):
        """The same as `fit` takes it: each text follows a line break."""
        return np.stack([TOKENIZER.encode("\n" + text) for text in TEXTS]).astype("int32")

    def width(self, model):
        return (LATENTS if self.latent else model.network.output_width,)

    def inputs_of(self, model, name, spec):
        if name == "latents":
            return tf.constant(np.random.default_rng(1).normal(size=[2, LATENTS]), spec.dtype)
        if name == "state":
            return tf.zeros([2, 0], spec.dtype)
        return tf.constant(INPUTS[name], spec.dtype)


class NumbersRow(Row):
    of, length = "numbers", "length"
    generation = {"length": 5}
    given = property(lambda self: {"processor": processor(), "generation": self.generation})
    usual = ("log_likelihood", "values", "nats_per_value", "nats_per_position")
    told = {"condition": "q"}
    filling = {"particles": 16}

    def sample(self, model, seed=None, count=1, **options):
        return model.generate(count, seed=seed, **self.told, **options)

    def raw(self, *rows, horizon=0):
        rows = list(rows or range(len(series())))
        values = [series().values[row][:TIME] for row in rows]
        labels = [int(series().labels[row]) for row in rows]
        times = [series().times[row][:TIME] for row in rows]
        return values, {"times": times, "condition": labels}

    def batch(self):
        values, told = self.raw()
        return {
            "values": np.stack(values),
            "times": np.stack(told["times"]),
            "label": np.array(told["condition"], np.int32),
        }

    def width(self, model):
        if not (self.in_order or self.latent):
            return (TIME, model.engine.emission.channels)
        return (LATENTS if self.latent else model.network.output_width,)

    def inputs_of(self, model, name, spec):
        values, told = self.raw(0, 1)
        given = {
            "values": values, "times": told["times"], "lengths": [TIME, TIME - 2],
            "condition": told["condition"], "start_time": [START],
            "latents": np.random.default_rng(1).normal(size=[2, *self.width(model)]),
            "state": np.zeros([2, *(size or 0 for size in spec.shape[1:])]),
        }  # fmt: skip
        value = given.get(name, INPUTS.get(name))
        return tf.constant(np.asarray(value), spec.dtype)


RECURRENT = {"units": 8, "layers": 1, "seed": 1}
LAGGED = {**RECURRENT, "lags": (2, 5), "seasonal_skip": 3}
LATENTS = 3
LATENT = {**RECURRENT, "latent_size": LATENTS, "encoder_units": 6}
TRANSFORMER = {"layers": 1, "heads": 2, "width": 8, "seed": 1}
UNET = {
    "width": 4, "multipliers": (1,), "blocks": 1, "groups": 2, "attention_at": (0,),
    "linear_attention": False, "heads": 1, "head_width": 4, "seed": 1,
}  # fmt: skip
GAN = {
    "latent_size": LATENTS, "width": 8, "multipliers": (1, 2), "critic_width": 8,
    "critic_multipliers": (1, 2), "seed": 1,
}  # fmt: skip
OF_TEXT = (TokenSampling, ("num_steps", 5), ("temprature", "temperature"))
OF_NUMBERS = (RolloutSampling, ("top_k", 5), ("temprature", "temperature"))


class DiffusionRow(NumbersRow):
    generation = {"length": 5, "num_steps": 2, "resamplings": 2}
    filling = {}


ROWS = (
    TextRow("lstm", RECURRENT, *OF_TEXT),
    TextRow("gru", RECURRENT, *OF_TEXT),
    TextRow("transformer", TRANSFORMER, *OF_TEXT),
    NumbersRow("lstm", RECURRENT, *OF_NUMBERS),
    NumbersRow("gru", LAGGED, *OF_NUMBERS),
    NumbersRow("transformer", TRANSFORMER, *OF_NUMBERS),
    TextRow("vae", LATENT, *OF_TEXT),
    NumbersRow("vae", LATENT, *OF_NUMBERS),
    DiffusionRow(
        "unet1d", UNET, DiffusionSampling, ("temperature", 0.5), ("num_step", "num_steps"),
        in_order=False,
    ),
    NumbersRow(
        "gan", GAN, AdversarialSampling, ("num_steps", 5), ("temprature", "temperature"),
        in_order=False, scored=False,
    ),
)  # fmt: skip


@functools.cache
def model_of(row):
    """The model of a row, which the tests share: none changes it."""
    return as_if_trained(row.make())


def of_rows(of=None, long=(), scored=None):
    """Runs a test for each row, or for those of text or of numbers, or with a likelihood or without.

    Rows whose network and emission are those of others are for the exhaustive tests.
    Those of `long` take more than ten seconds; one whose parts are those of others is long, too.
    """
    import pytest

    rows = [each for each in ROWS if of in (None, each.of) and scored in (None, each.scored)]
    marked = dict.fromkeys(("vae-text", "vae-numbers", "gan-numbers", *long), pytest.mark.long)
    combined = "gru-text", "lstm-numbers", "transformer-numbers"
    marked |= dict.fromkeys(combined, pytest.mark.exhaustive)
    marks = [marked.get(str(row), ()) for row in rows]
    cases = [pytest.param(row, marks=mark) for row, mark in zip(rows, marks)]
    return pytest.mark.parametrize("row", cases, ids=map(str, rows))
