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

# What reads and writes positions around a causal network, by what a position is.
MODELS = {
    "text": "tfgen.models.autoregressive:TextModel",
    "numbers": "tfgen.models.series:SeriesGenerator",
}
# Constructor arguments that a recipe does not hold in its [model] section.
_NOT_MODEL_KEYS = ("self", "network", "cross_attention", "tokenizer", "processor", "generation")
# Those that only a network with cross-attention has a use for.
_CONDITIONS = ("num_classes", "condition_width", "condition_dropout")


@dataclasses.dataclass(frozen=True)
class Family:
    """Models under a name: a network for text and for numbers, or a class of models as a whole.

    Attributes:
        summary: One line for people.
        network: `"module:Class"` of a `tfgen.networks.CausalNetwork`, or the class itself; None for
            a class as a whole.
        model: The same of a `SequenceGenerator` that is no network between what reads and writes
            positions; None otherwise.
        preset: Constructor arguments that the name fixes.
        defaults: Of text and of numbers: constructor arguments whose defaults are others here.
        modalities: What it is for, of `MODELS`.
        of: Which of these this is; None takes the first one.
    """

    summary: str = ""
    network: Any = None
    model: Any = None
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    modalities: tuple[str, ...] = tuple(MODELS)
    of: str | None = None

    @property
    def modality(self):
        """Which of `MODELS` this is a row of."""
        return self.modalities[0] if self.of is None else self.of

    def row(self, of):
        """Returns the `Family` for text or for numbers; as a whole where it is for one alone."""
        return dataclasses.replace(self, of=of) if of in self.modalities else self

    def load(self):
        """Returns the class of the models, importing its module if need be."""
        return _load(self.model or MODELS[self.modality])

    def load_network(self):
        """Returns the class of the network; None where the class of models is a whole."""
        return None if self.network is None else _load(self.network)

    def arguments(self):
        """Returns `{name: inspect.Parameter}` of the constructor arguments that may be chosen."""
        network, model = self.load_network(), self.load()
        fixed = {*_NOT_MODEL_KEYS, *self.preset}
        found = parameters_of(model)
        if network is not None:
            if network.input_width is not None:
                fixed.add("embedding")  # it is as wide as the network
            own = parameters_of(network)
            if self.modality == "text" and "cross_attention" not in own:
                fixed |= {*_CONDITIONS}
            found = own | found
        changed = self.defaults.get(self.modality, {})
        return {
            name: parameter.replace(default=changed.get(name, parameter.default))
            for name, parameter in found.items()
            if name not in fixed
        }

    def make(self, **arguments):
        """Returns a new model.

        Args:
            **arguments: Of the network and of the model, `dtype` and what `arguments` leaves out.

        Raises:
            ValueError: As the constructors do.
        """
        arguments = {**self.defaults.get(self.modality, {}), **self.preset, **arguments}
        network, model = self.load_network(), self.load()
        if network is None:
            return model(**arguments)
        from tfgen.sampling import random

        if arguments.get("seed") is None:
            arguments["seed"] = random.new_seed()
        random.seed_tensor(arguments["seed"])  # refuses what is no seed
        own = parameters_of(network).keys() - {"seed"}
        for_network = {name: arguments.pop(name) for name in own & arguments.keys()}
        if "cross_attention" in own:
            for_network["cross_attention"] = bool(
                arguments.get("num_classes") or arguments.get("condition_width")
            )
        shared = {name: arguments[name] for name in ("seed", "dtype") if name in arguments}
        # A name of its own for each would be another one in another process.
        return model(network=network(**for_network, **shared, name="network"), **arguments)


FAMILIES = {
    "lstm": Family(
        "LSTM layers: a generator of text or of numbers with a constant-size state",
        network="tfgen.networks.recurrent:RecurrentNetwork",
        preset={"cell": "lstm"},
        defaults={"numbers": {"units": 128}},
    ),
    "gru": Family(
        "GRU layers: as the LSTM, with three quarters of its weights",
        network="tfgen.networks.recurrent:RecurrentNetwork",
        preset={"cell": "gru"},
        defaults={"numbers": {"units": 128}},
    ),
    "transformer": Family(
        "blocks of causal attention: a GPT or a Llama, by its arguments; for text or numbers",
        network="tfgen.networks.transformer:TransformerNetwork",
        defaults={
            "text": {"tie_embeddings": True},
            "numbers": {"layers": 4, "heads": 4, "width": 128},
        },
    ),
    "unet1d": Family(
        "a diffusion model, whose U-Net takes noise off all positions at once; for numbers",
        model="tfgen.models.diffusion:DiffusionGenerator",
        modalities=("numbers",),
    ),
}


def parameters_of(cls):
    """Returns `{name: inspect.Parameter}` of the constructor arguments of a class.

    What `**kwargs` hands on to the classes above counts as well, up to Keras' own.
    """
    import keras  # after the class, which has imported it

    found = {}
    for owner in cls.__mro__:
        if owner in (keras.Model, keras.layers.Layer):
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
    found.pop("self", None)
    return found


def _load(path):
    if not isinstance(path, str):
        return path
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def register_family(name, cls, preset=None):
    """Adds a person's own network, or class of models, to the families under `name`.

    Args:
        name: The name.
        cls: A `tfgen.networks.CausalNetwork`, or a `SequenceGenerator`.
        preset: Constructor arguments that the name fixes.
    """
    from tfgen.networks import CausalNetwork

    summary = (inspect.getdoc(cls) or "").partition("\n")[0]
    what = "network" if issubclass(cls, CausalNetwork) else "model"
    FAMILIES[normalise(name)] = Family(summary, preset=dict(preset or {}), **{what: cls})


def make(family_name, /, of=None, **arguments):
    """Returns a new model of a family.

    Args:
        family_name: Of the family.
        of: `"text"` or `"numbers"`; None goes by what is given: a `processor` is of numbers.
        **arguments: As of `Family.make`.

    Raises:
        ValueError: As the constructors do.
        InputError: For an unknown family.
    """
    of = of or ("numbers" if arguments.get("processor") is not None else "text")
    return family(family_name).row(of).make(**arguments)


def family(name):
    """Returns the `Family` called `name`; raises `InputError` with near matches."""
    key = normalise(name)
    if key not in FAMILIES:
        raise unknown("family", name, FAMILIES)
    return FAMILIES[key]


def row_of(recipe, preprocessing=None, of=None):
    """Returns the `Family` that a recipe asks for, for text or for numbers.

    Args:
        recipe: A `Recipe`.
        preprocessing: The tokenizer or the processor, which tells for what; None goes by `of`.
        of: `"text"` or `"numbers"`; None is the first that the family is for.
    """
    if preprocessing is not None:
        of = "numbers" if preprocessing_file(preprocessing) == PROCESSOR else "text"
    return family(recipe.family).row(of)


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
    """Returns the `Family` of a name, for a kind of data."""
    return family(name).row("text" if kind == "text" else "numbers")


def build(recipe, preprocessing=None, dtype="float32", of=None):
    """Returns a new model, its weights drawn at random.

    Args:
        recipe: A `Recipe`. Its `training.seed` seeds the weights unless `[model]` has a `seed`.
        preprocessing: The fitted tokenizer, or the fitted processor of numbers; None takes bytes,
            or a single unscaled number.
        dtype: Keras' dtype policy, e.g. `"mixed_bfloat16"` to train in.
        of: Without a preprocessing, `"text"` or `"numbers"`; None is the first that the family is
            for.

    Raises:
        InputError: For a `[model]` key that the family does not take, or a value it refuses.
    """
    check_process()
    chosen = row_of(recipe, preprocessing, of)
    allowed = chosen.arguments()
    for key in recipe.model:
        if key not in allowed:
            raise unknown(f"argument of family '{recipe.family}'", key, allowed)
    arguments = dict(recipe.model)
    if "seed" in allowed:
        arguments.setdefault("seed", recipe.training.seed)
    if preprocessing is not None:
        numbers = preprocessing_file(preprocessing) == PROCESSOR
        if not numbers and "text" not in chosen.modalities:
            raise InputError(
                f"The family '{recipe.family}' is for sequences of numbers, and these data are "
                f"text. Received: data.name={recipe.data.name}"
            )
        arguments["processor" if numbers else "tokenizer"] = preprocessing
    # A person's own family need not take a dtype.
    precision = {} if dtype == "float32" else {"dtype": dtype}
    with _as_input_error(f"[model] of family '{recipe.family}'"):
        model = chosen.make(generation=recipe.generation, **precision, **arguments)
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
    if _is_ours(row_of(recipe, preprocessing)):
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
    network = getattr(model, "network", None)
    config = {**({} if network is None else network.get_config()), **model.get_config()}
    for name, chosen in FAMILIES.items():
        for row in map(chosen.row, chosen.modalities):
            same = row.load() is type(model) and row.load_network() in (None, type(network))
            if same and row.preset.items() <= config.items():
                section = {key: config[key] for key in row.arguments() if key in config}
                section = {key: value for key, value in section.items() if value is not None}
                return Recipe(family=name, model=section, generation=model.generation)
    what = type(model if network is None else network).__name__
    raise InputError(
        f"{what} is no registered family: "
        "call tfgen.zoo.register(name) on the class before saving its models"
    )


def _is_ours(row):
    classes = filter(None, (row.load(), row.load_network()))
    return all(cls.__module__.partition(".")[0] == "tfgen" for cls in classes)


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
