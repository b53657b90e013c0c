"""The families of models, and how a model is built from a recipe or read from a folder.

This module does not import TensorFlow: a family's class is loaded when it is first needed.
"""

import contextlib
import dataclasses
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfgen.errors import InputError, unknown
from tfgen.files import sha256
from tfgen.names import normalise
from tfgen.recipe import GenerationConfig, Recipe

CHECKSUMS = "SHA256SUMS"
RECIPE = "recipe.toml"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.weights.h5"

# Constructor arguments that a recipe does not hold in its [model] section.
_NOT_MODEL_KEYS = ("self", "tokenizer", "generation")


@dataclasses.dataclass(frozen=True)
class Family:
    """A class of models under a name.

    Attributes:
        path: `"module:Class"`, or the class itself.
        preset: Constructor arguments that the name fixes.
        summary: One line for people.
    """

    path: Any
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    summary: str = ""

    def load(self):
        """Returns the class, importing its module if need be."""
        if not isinstance(self.path, str):
            return self.path
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)

    def arguments(self):
        """Returns `{name: inspect.Parameter}` of the constructor arguments that may be chosen.

        What `**kwargs` hands on to the classes above counts as well, up to `keras.Model`.
        """
        cls = self.load()
        import keras  # after the class, which has imported it

        fixed = {*_NOT_MODEL_KEYS, *self.preset}
        found = {}
        for owner in cls.__mro__:
            if owner is keras.Model:
                break
            if "__init__" not in vars(owner):
                continue
            parameters = inspect.signature(owner.__init__).parameters.values()
            for parameter in parameters:
                if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                    continue
                # What a class above has to be given, the class below gives it.
                if owner is cls or parameter.default is not parameter.empty:
                    found.setdefault(parameter.name, parameter)
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
                break
        return {name: parameter for name, parameter in found.items() if name not in fixed}


FAMILIES = {
    "lstm": Family(
        "tfgen.models.recurrent:RecurrentGenerator",
        {"cell": "lstm"},
        "LSTM layers over an embedding: a text generator with a constant-size state",
    ),
    "gru": Family(
        "tfgen.models.recurrent:RecurrentGenerator",
        {"cell": "gru"},
        "GRU layers over an embedding: as the LSTM, with three quarters of its weights",
    ),
    "transformer": Family(
        "tfgen.models.transformer:TransformerDecoder",
        {},
        "blocks of causal attention: a GPT or a Llama, by its arguments",
    ),
}


def register_family(name, cls, preset=None):
    """Adds a person's own `SequenceGenerator` class to the families under `name`."""
    summary = (inspect.getdoc(cls) or "").partition("\n")[0]
    FAMILIES[normalise(name)] = Family(cls, dict(preset or {}), summary)


def family(name):
    """Returns the `Family` called `name`; raises `InputError` with near matches."""
    key = normalise(name)
    if key not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[key]


def build(recipe, tokenizer=None, dtype="float32"):
    """Returns a new model, its weights drawn at random.

    Args:
        recipe: A `Recipe`. Its `training.seed` seeds the weights unless `[model]` has a `seed`.
        tokenizer: The fitted tokenizer; by default bytes, which need no fitting.
        dtype: Keras' dtype policy, e.g. `"mixed_bfloat16"` to train in.

    Raises:
        InputError: For a `[model]` key that the family does not take, or a value it refuses.
    """
    chosen = family(recipe.family)
    allowed = chosen.arguments()
    for key in recipe.model:
        if key not in allowed:
            raise unknown(f"argument of family '{recipe.family}'", key, allowed)
    arguments = {**chosen.preset, **recipe.model}
    if "seed" in allowed:
        arguments.setdefault("seed", recipe.training.seed)
    # A person's own family need not take a dtype.
    precision = {} if dtype == "float32" else {"dtype": dtype}
    with _as_input_error(f"[model] of family '{recipe.family}'"):
        model = chosen.load()(
            tokenizer=tokenizer, generation=recipe.generation, **precision, **arguments
        )
    model.recipe = recipe
    return model


def load(folder, weights=True, overrides=None):
    """Returns the model that `SequenceGenerator.save` wrote into a folder.

    Args:
        folder: Path of the folder. Nothing in it is executed.
        weights: False gives the same model with new random weights.
        overrides: Constructor or generation arguments that replace the recipe's.

    Raises:
        InputError: For a folder that holds no model, a file that does not match its checksum, an
            unknown override, or one that changes the shape of a stored weight.
    """
    from tfgen.models.weights import load_weights
    from tfgen.preprocessing import load_tokenizer

    folder = Path(folder)
    for name in (RECIPE, TOKENIZER, CHECKSUMS) + ((WEIGHTS,) if weights else ()):
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no saved model: {name} is missing")
    _verify(folder, weights)
    recipe = _override(Recipe.from_file(folder / RECIPE), overrides or {})
    model = build(recipe, load_tokenizer(folder / TOKENIZER))
    if weights:
        load_weights(model, folder / WEIGHTS, list(overrides or {}))
    return model


def recipe_of(model):
    """Returns the recipe that builds a model like this one."""
    config = model.get_config()
    for name, candidate in FAMILIES.items():
        if candidate.load() is type(model) and candidate.preset.items() <= config.items():
            model_section = {key: config[key] for key in candidate.arguments() if key in config}
            model_section = {key: v for key, v in model_section.items() if v is not None}
            return Recipe(family=name, model=model_section, generation=model.generation)
    raise InputError(
        f"{type(model).__name__} is no registered family: "
        "call tfgen.zoo.register(name) on the class before saving its models"
    )


def _override(recipe, overrides):
    allowed = family(recipe.family).arguments()
    sampling = {field.name for field in dataclasses.fields(GenerationConfig)}
    changes = {}
    for key, value in overrides.items():
        if key not in allowed and key not in sampling:
            raise unknown("override", key, [*allowed, *sampling])
        changes[f"model.{key}" if key in allowed else f"generation.{key}"] = value
    return recipe.override(changes)


def _verify(folder, weights):
    """Compares every file that SHA256SUMS lists with its checksum."""
    sums = {}
    for line in (folder / CHECKSUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    for name in (TOKENIZER,) + ((WEIGHTS,) if weights else ()):
        if name not in sums:
            raise InputError(f"{folder / CHECKSUMS} does not list {name}")
        if sha256(folder / name) != sums[name]:
            raise InputError(f"{folder / name} does not match its SHA-256 in {CHECKSUMS}")


@contextlib.contextmanager
def _as_input_error(where):
    """What a constructor refuses is the person's mistake when it came from a recipe."""
    import tensorflow as tf

    try:
        yield
    except InputError:
        raise
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise InputError(f"{where}: there is not enough memory for weights of that size") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {str(error).splitlines()[0]}") from error
