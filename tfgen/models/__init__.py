"""The families of models, and how a model is built from a recipe or read from a folder.

This module does not import TensorFlow: a family's class is loaded when it is first needed.
"""

import contextlib
import dataclasses
import importlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfgen.errors import InputError, unknown
from tfgen.files import read_text, sha256
from tfgen.forks import check_process
from tfgen.models.hugging_face_folder import is_hugging_face
from tfgen.names import normalise
from tfgen.recipe import GenerationConfig, Recipe

CHECKSUMS = "SHA256SUMS"
RECIPE = "recipe.toml"
TOKENIZER = "tokenizer.json"
PROCESSOR = "sequence.json"
WEIGHTS = "model.weights.h5"
# Of the list of checksums, which has three lines.
_MOST_CHECKSUMS = 1 << 16

# Constructor arguments that a recipe does not hold in its [model] section.
_NOT_MODEL_KEYS = ("self", "tokenizer", "processor", "generation")


@dataclasses.dataclass(frozen=True)
class Family:
    """A class of models under a name.

    Attributes:
        path: `"module:Class"`, or the class itself.
        preset: Constructor arguments that the name fixes.
        summary: One line for people.
        numbers: The same for sequences of numbers, if the family has another class for them.
        text: Whether `path` is of text.
    """

    path: Any
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    summary: str = ""
    numbers: Any = None
    text: bool = True

    def of_numbers(self):
        """Returns the `Family` of the class for sequences of numbers."""
        if self.numbers is None:
            raise InputError("This family has no class for sequences of numbers, only for text")
        return dataclasses.replace(self, path=self.numbers, numbers=None)

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
        "LSTM layers: a generator of text or of numbers with a constant-size state",
        "tfgen.models.recurrent_series:RecurrentSeriesGenerator",
    ),
    "gru": Family(
        "tfgen.models.recurrent:RecurrentGenerator",
        {"cell": "gru"},
        "GRU layers: as the LSTM, with three quarters of its weights",
        "tfgen.models.recurrent_series:RecurrentSeriesGenerator",
    ),
    "transformer": Family(
        "tfgen.models.transformer:TransformerDecoder",
        {},
        "blocks of causal attention: a GPT or a Llama, by its arguments; for text or numbers",
        "tfgen.models.transformer_series:TransformerSeriesDecoder",
    ),
    "unet1d": Family(
        "tfgen.models.diffusion:DiffusionGenerator",
        {},
        "a diffusion model, whose U-Net takes noise off all positions at once; for numbers",
        text=False,
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


def row_of(recipe, preprocessing=None):
    """Returns the `Family` whose class a recipe asks for: that of text, or that of numbers.

    The preprocessing tells. Without one, a model with a `head` is for numbers.
    """
    chosen = family(recipe.family)
    if preprocessing is None:
        # By its name: a number is rather a slip for a transformer's `heads`.
        of_numbers = isinstance(recipe.model.get("head"), str)
        of_numbers = of_numbers and "head" not in chosen.arguments()
    else:
        of_numbers = preprocessing_file(preprocessing) == PROCESSOR
    if of_numbers and chosen.numbers is not None:
        return chosen.of_numbers()
    return chosen


def check_used(recipe, kind):
    """Refuses values of a recipe that its family, or data of that kind, has no use for.

    Args:
        recipe: A `Recipe`.
        kind: What its data is: `"text"`, `"series"`, `"strokes"` or `"audio"`.

    Raises:
        InputError: For the first value that is not its field's default and would do nothing.
    """
    recipe.check_used(kind, getattr(row_of_kind(recipe.family, kind).load(), "engine", None))


def row_of_kind(name, kind):
    """Returns the `Family` of a name, of the class for a kind of data."""
    chosen = family(name)
    return chosen.of_numbers() if kind != "text" and chosen.numbers is not None else chosen


def build(recipe, preprocessing=None, dtype="float32"):
    """Returns a new model, its weights drawn at random.

    Args:
        recipe: A `Recipe`. Its `training.seed` seeds the weights unless `[model]` has a `seed`.
        preprocessing: The fitted tokenizer, or the fitted processor of numbers; None takes bytes,
            or a single unscaled number if the recipe's model has a `head`.
        dtype: Keras' dtype policy, e.g. `"mixed_bfloat16"` to train in.

    Raises:
        InputError: For a `[model]` key that the family does not take, or a value it refuses.
    """
    check_process()
    chosen = row_of(recipe, preprocessing)
    allowed = chosen.arguments()
    for key in recipe.model:
        if key not in allowed:
            raise unknown(f"argument of family '{recipe.family}'", key, allowed)
    arguments = {**chosen.preset, **recipe.model}
    if "seed" in allowed:
        arguments.setdefault("seed", recipe.training.seed)
    if preprocessing is not None:
        numbers = preprocessing_file(preprocessing) == PROCESSOR
        if not numbers and not chosen.text:
            raise InputError(
                f"The family '{recipe.family}' is for sequences of numbers, and these data are "
                f"text. Received: data.name={recipe.data.name}"
            )
        arguments["processor" if numbers else "tokenizer"] = preprocessing
    # A person's own family need not take a dtype.
    precision = {} if dtype == "float32" else {"dtype": dtype}
    with _as_input_error(f"[model] of family '{recipe.family}'"):
        model = chosen.load()(generation=recipe.generation, **precision, **arguments)
    model.recipe = recipe
    return model


def preprocessing_file(preprocessing):
    """Returns the name of the file in which a model's folder keeps its preprocessing."""
    from tfgen.preprocessing import SequenceProcessor

    return PROCESSOR if isinstance(preprocessing, SequenceProcessor) else TOKENIZER


def save_preprocessing(preprocessing, folder):
    """Writes a tokenizer or a processor of numbers into a folder."""
    from tfgen.preprocessing import save_processor, save_tokenizer

    file = preprocessing_file(preprocessing)
    save = save_processor if file == PROCESSOR else save_tokenizer
    save(preprocessing, Path(folder) / file)


def load_preprocessing(folder):
    """Reads the tokenizer or the processor of numbers of a folder."""
    from tfgen.preprocessing import load_processor, load_tokenizer

    path = Path(folder) / PROCESSOR
    return load_processor(path) if path.is_file() else load_tokenizer(Path(folder) / TOKENIZER)


def load(folder, weights=True, overrides=None, dtype="float32"):
    """Returns the model that `SequenceGenerator.save` wrote into a folder, or a Hugging Face one.

    What the folder holds may come from anybody: nothing in it is executed, and no weight is made
    before the shapes of all are known to be those that are stored.

    Args:
        folder: Path of the folder.
        weights: False gives the same model with new random weights.
        overrides: Constructor or generation arguments that replace the recipe's.
        dtype: See `build`.

    Raises:
        InputError: For a folder that holds no model, a file that does not match its checksum, an
            unknown override, or one that changes the shape of a stored weight.
    """
    from tfgen.models.weights import check_weights, load_weights, unallocated

    folder = Path(folder)
    if is_hugging_face(folder):
        from tfgen.models import hugging_face

        if dtype != "float32":
            raise InputError(
                "A Hugging Face folder opens in float32: save the model as one of tfgen's first. "
                f"Received: dtype={dtype!r}"
            )
        return hugging_face.load(folder, weights, overrides)
    file = PROCESSOR if (folder / PROCESSOR).is_file() else TOKENIZER
    for name in (RECIPE, file, CHECKSUMS) + ((WEIGHTS,) if weights else ()):
        if not (folder / name).is_file():
            raise InputError(f"{folder} holds no saved model: {name} is missing")
    _verify(folder, file, weights)
    preprocessing = load_preprocessing(folder)
    recipe = _override(Recipe.from_file(folder / RECIPE), preprocessing, overrides or {})
    recipe = _without_unused(recipe, preprocessing, overrides or {})
    if not weights:
        return build(recipe, preprocessing, dtype)
    changed = list(overrides or {})
    if _is_ours(row_of(recipe, preprocessing).load()):
        with unallocated() as allocate:
            model = build(recipe, preprocessing, dtype)
        check_weights(model, folder / WEIGHTS, changed)
        with _as_input_error(f"[model] of family '{recipe.family}'"):
            allocate()
    else:  # a person's own class may need the values of its weights when it is made
        model = build(recipe, preprocessing, dtype)
    load_weights(model, folder / WEIGHTS, changed)
    return model


def read_recipe(folder):
    """Returns the recipe of the model in a folder, of ours or of a Hugging Face one.

    Raises:
        InputError: There is none that can be read.
    """
    folder = Path(folder)
    if is_hugging_face(folder):
        from tfgen.models import hugging_face

        return hugging_face.read_recipe(folder)
    return Recipe.from_file(folder / RECIPE)


def recipe_of(model):
    """Returns the recipe that builds a model like this one."""
    config = model.get_config()
    rows = [
        (name, each)
        for name, row in FAMILIES.items()
        for each in (row, *([row.of_numbers()] if row.numbers else []))
    ]
    for name, candidate in rows:
        if candidate.load() is type(model) and candidate.preset.items() <= config.items():
            model_section = {key: config[key] for key in candidate.arguments() if key in config}
            model_section = {key: v for key, v in model_section.items() if v is not None}
            return Recipe(family=name, model=model_section, generation=model.generation)
    raise InputError(
        f"{type(model).__name__} is no registered family: "
        "call tfgen.zoo.register(name) on the class before saving its models"
    )


def _is_ours(cls):
    return cls.__module__.partition(".")[0] == "tfgen"


def _override(recipe, preprocessing, overrides):
    allowed = row_of(recipe, preprocessing).arguments()
    sampling = {field.name for field in dataclasses.fields(GenerationConfig)}
    changes = {}
    for key, value in overrides.items():
        if key not in allowed and key not in sampling:
            raise unknown("override", key, [*allowed, *sampling])
        changes[f"model.{key}" if key in allowed else f"generation.{key}"] = value
    return recipe.override(changes)


def write_checksums(folder):
    """Writes SHA256SUMS for the recipe, the preprocessing and the weights of a folder."""
    folder = Path(folder)
    names = [name for name in (RECIPE, TOKENIZER, PROCESSOR, WEIGHTS) if (folder / name).is_file()]
    lines = [f"{sha256(folder / name)}  {name}\n" for name in names]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _without_unused(recipe, preprocessing, overrides):
    """Takes back what an earlier version stored though the model had no use for it.

    A value that is given today is left, for the model to refuse.
    """
    row, kind = row_of(recipe, preprocessing), "text"
    conditional = any(recipe.model.get(name) for name in ("num_classes", "condition_width"))
    if preprocessing_file(preprocessing) == PROCESSOR:
        kind, conditional = preprocessing.kind, bool(preprocessing.num_classes)
    config = recipe.generation
    unused = config.unused(kind, getattr(row.load(), "engine", None), conditional)
    defaults = {key: getattr(type(config)(), key) for key in unused if key not in overrides}
    return dataclasses.replace(recipe, generation=dataclasses.replace(config, **defaults))


def _verify(folder, file, weights):
    """Compares every file that SHA256SUMS lists with its checksum.

    The preprocessing and the weights have to be listed; the recipe is since it is written there.
    """
    sums = {}
    for line in read_text(folder / CHECKSUMS, _MOST_CHECKSUMS).splitlines():
        digest, _, name = line.partition(" ")
        name = name[1:]  # a second space, or the * of binary files
        if not re.fullmatch("[0-9a-fA-F]{64}", digest) or not name or Path(name).name != name:
            raise InputError(
                f"{folder / CHECKSUMS}: each line must be a SHA-256 and the name of a file beside "
                f"it, as sha256sum writes them. Received: {line!r}"
            )
        sums[name] = digest.lower()
    for name in (file, WEIGHTS) if weights else (file,):
        if name not in sums:
            raise InputError(f"{folder / CHECKSUMS} does not list {name}")
    for name, digest in sums.items():
        if name == WEIGHTS and not weights:
            continue
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is missing, which {CHECKSUMS} lists")
        if sha256(folder / name) != digest:
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
