"""How a model is built from a recipe, and read from a folder and written to one.

This module does not import TensorFlow before a model is asked for.
"""

import contextlib
import dataclasses
import re
import warnings
from pathlib import Path

from tfgen.errors import InputError, unknown
from tfgen.files import atomic_file, read_text, sha256
from tfgen.forks import check_process
from tfgen.kinds import find_kind
from tfgen.models.families import FAMILIES, family
from tfgen.models.hugging_face_folder import is_hugging_face
from tfgen.recipe import GenerationConfig, Recipe

CHECKSUMS = "SHA256SUMS"
RECIPE = "recipe.toml"
TOKENIZER = "tokenizer.json"
PROCESSOR = "sequence.json"
# The processor of sources, beside the tokenizer of the texts that are made of them.
SOURCE = "source.json"
WEIGHTS = "model.weights.h5"
CALIBRATION = "calibration.npz"
# Of the list of checksums, which has three lines.
_MOST_CHECKSUMS = 1 << 16
# What parts call those that they are made of.
PARTS = (
    "denoiser", "rollout", "space", "recognition", "evidence", "latent_prior", "network", "critic",
    "game", "places", "emission", "source_encoder", "context",
)  # fmt: skip


def row_of(recipe, preprocessing=None, of=None):
    """Returns the `Family` that a recipe asks for, for text or for numbers.

    Args:
        recipe: A `Recipe`.
        preprocessing: The tokenizer or the processor, which tells for what; None goes by `of`.
        of: `"text"` or `"numbers"`; None is the first that the family is for.
    """
    if preprocessing is not None:
        of = "numbers" if preprocessing_file(preprocessing) == PROCESSOR else "text"
    return family(recipe.family).row(of, recipe.model)


def check_used(recipe, kind):
    """Refuses values of a recipe that its family, or data of that kind, has no use for.

    Args:
        recipe: A `Recipe`.
        kind: What its data is: `"text"`, `"series"`, `"strokes"` or `"audio"`.

    Raises:
        InputError: For the first value that is not its field's default and would do nothing.
    """
    recipe.check_used(kind, row_of_kind(recipe.family, kind).engine_kind)


def row_of_kind(name, kind, arguments=None):
    """Returns the `Family` of a name, for a kind of data and a model of such arguments."""
    return family(name).row(find_kind(kind).modality, arguments)


def build(recipe, preprocessing=None, dtype="float32", of=None):
    """Returns a new model, its weights drawn at random.

    Args:
        recipe: A `Recipe`. Its `training.seed` seeds the weights unless `[model]` has a `seed`.
        preprocessing: The fitted tokenizer, or the fitted processor of numbers, or
            `tfgen.preprocessing.TokenizerWithSource`; None takes bytes, or a single unscaled
            number.
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
        if numbers:
            arguments["processor"] = preprocessing
        else:
            arguments["tokenizer"] = getattr(preprocessing, "tokenizer", preprocessing)
            if arguments["tokenizer"] is not preprocessing:
                arguments["source_processor"] = preprocessing.source
    # A person's own family need not take a dtype.
    precision = {} if dtype == "float32" else {"dtype": dtype}
    with _as_input_error(f"[model] of family '{recipe.family}'"):
        model = chosen.make(generation=recipe.generation, **precision, **arguments)
    model.recipe = recipe
    return model


def reads_seasons(recipe):
    """Whether the model of a recipe is made by the seasons of its data."""
    return "auto" in [recipe.model.get(name) for name in ("lags", "seasonal_skip")]


def history_of(recipe, processor):
    """Returns how many positions before a window are of use to the model of a recipe.

    Args:
        recipe: A `Recipe`.
        processor: Its fitted processor of numbers.

    Raises:
        InputError: For lags that are refused.
    """
    from tfgen.models.numbers.reading import Lags

    names = "lags", "seasonal_skip", "linear_skip", "frame"
    if "lags" not in family(recipe.family).row("numbers", recipe.model).arguments():
        return 0  # what looks back looks into its window
    given = {name: recipe.model[name] for name in names if name in recipe.model}
    with _as_input_error(f"[model] of family '{recipe.family}'"):
        return Lags.of(processor, **given).history


def context_of(recipe):
    """Returns how many positions before a window tell the model of a recipe what goes on in it.

    The training window, as far as the model has positions; none of a diffusion model, to which a
    window is all there is, nor of one of patches, which begin with the window.
    """
    arguments = row_of(recipe).arguments()
    window = recipe.training.window
    if "lags" not in arguments or recipe.model.get("frame", 1) > 1:
        return 0
    if recipe.model.get("positions") != "learned":
        return window
    most = recipe.model.get("max_length", arguments["max_length"].default)
    return max(0, min(window, most - window))


def preprocessing_file(preprocessing):
    """Returns the name of the file in which a model's folder keeps its preprocessing."""
    from tfgen.preprocessing import SequenceProcessor

    return PROCESSOR if isinstance(preprocessing, SequenceProcessor) else TOKENIZER


def save_preprocessing(preprocessing, folder):
    """Writes a tokenizer, with what reads its sources, or a processor of numbers into a folder."""
    from tfgen.preprocessing import TokenizerWithSource, save_processor, save_tokenizer

    if isinstance(preprocessing, TokenizerWithSource):
        save_processor(preprocessing.source, Path(folder) / SOURCE)
        preprocessing = preprocessing.tokenizer
    file = preprocessing_file(preprocessing)
    save = save_processor if file == PROCESSOR else save_tokenizer
    save(preprocessing, Path(folder) / file)


def load_preprocessing(folder):
    """Reads what `save_preprocessing` wrote into a folder."""
    from tfgen.preprocessing import TokenizerWithSource, load_processor, load_tokenizer

    path, source = Path(folder) / PROCESSOR, Path(folder) / SOURCE
    if path.is_file():
        return load_processor(path)
    tokenizer = load_tokenizer(Path(folder) / TOKENIZER)
    return TokenizerWithSource(tokenizer, load_processor(source)) if source.is_file() else tokenizer


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
    given = folder, recipe, preprocessing, dtype, overrides or {}
    if not weights:
        return _build(*given)
    changed = list(overrides or {})
    if _is_ours(row_of(recipe, preprocessing)):
        with unallocated() as allocate:
            model = _build(*given)
        check_weights(model, folder / WEIGHTS, changed)
        with _as_input_error(f"[model] of family '{recipe.family}'"):
            allocate()
    else:  # a person's own class may need the values of its weights when it is made
        model = _build(*given)
    load_weights(model, folder / WEIGHTS, changed)
    if (folder / CALIBRATION).is_file() and not overrides:  # it is of the model as it was saved
        from tfgen.models.numbers.calibration import Calibration

        model.calibration = Calibration.load(folder / CALIBRATION, preprocessing.num_features)
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
    engine = getattr(model, "engine", None)
    network = getattr(engine, "network", None)
    for name, chosen in FAMILIES.items():
        for row in _rows(chosen):
            config = {**config_of(model), "decoder": row.decoder}
            same = row.load() is type(model) and row.load_network() in (None, type(network))
            same = same and (row.network is None or type(engine) in row.load_engines())
            if same and row.preset.items() <= config.items():
                section = {key: config[key] for key in row.arguments() if key in config}
                section = {key: value for key, value in section.items() if value is not None}
                return Recipe(family=name, model=section, generation=model.generation)
    what = type(model if network is None else network).__name__
    raise InputError(
        f"{what} is no registered family: "
        "call tfgen.zoo.register(name) on the class before saving its models"
    )


def _rows(chosen):
    """The rows of a family, of each modality, and with each network that may be chosen."""
    decoders = FAMILIES if chosen.decoder is not None else [None]
    for name in decoders:
        if name is None or (FAMILIES[name].network and FAMILIES[name].engine == "rollout"):
            for of in chosen.modalities:
                yield chosen.row(of, {} if name is None else {"decoder": name})


def config_of(model):
    """Returns the arguments of a model and of all its parts, those of the outer ones first."""
    config, parts = model.get_config(), [getattr(model, "engine", None)]
    for part in parts:
        if part is not None:
            own = part.get_config()
            parts += [getattr(part, name, None) for name in PARTS if name in own]
            parts += getattr(part, "engines", [])[:1]  # members have the same arguments
            config = {**own, **config}
    return config


def _is_ours(row):
    return all(cls.__module__.partition(".")[0] == "tfgen" for cls in row.load_parts())


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
    """Writes SHA256SUMS for the recipe, the preprocessing, the weights, the calibration."""
    folder = Path(folder)
    names = RECIPE, TOKENIZER, PROCESSOR, SOURCE, WEIGHTS, CALIBRATION
    names = [name for name in names if (folder / name).is_file()]
    lines = [f"{sha256(folder / name)}  {name}\n" for name in names]
    with atomic_file(folder / CHECKSUMS) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def save_calibration(model, folder):
    """Writes the calibration of a model into the folder that holds the model."""
    path = Path(folder) / CALIBRATION
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    write_checksums(folder)  # at no moment a file differs from what is listed
    model.calibration.save(path)
    write_checksums(folder)


def _without_unused(recipe, preprocessing, overrides):
    """Takes back what an earlier version stored though the model had no use for it.

    A value that is given today is left, for the model to refuse.
    """
    row, kind = row_of(recipe, preprocessing), "text"
    names = "num_classes", "classes", "condition_width"
    conditional = any(recipe.model.get(name) for name in names)
    if preprocessing_file(preprocessing) == PROCESSOR:
        kind, conditional = preprocessing.kind, bool(preprocessing.num_classes)
    config = recipe.generation
    unused = config.unused(kind, row.engine_kind, conditional)
    defaults = {key: getattr(type(config)(), key) for key in unused if key not in overrides}
    return dataclasses.replace(recipe, generation=dataclasses.replace(config, **defaults))


def _build(folder, recipe, preprocessing, dtype, overrides):
    """Builds a model without what an earlier version let stand in [model] though it does nothing.

    What is given today is left, for the model to refuse.
    """
    from tfgen.layers.checks import allowing_idle

    with allowing_idle() as idle:
        model = build(recipe, preprocessing, dtype)
    idle = {name: idle[name] for name in idle if name in recipe.model}
    if not idle:
        return model
    for name in idle.keys() - overrides.keys():
        warnings.warn(
            f"{folder / RECIPE}: model.{name} is for {idle[name]}, and does nothing here: left out",
            stacklevel=3,
        )
    kept = {name: recipe.model[name] for name in recipe.model if name not in idle}
    kept |= {name: recipe.model[name] for name in idle.keys() & overrides.keys()}
    return build(dataclasses.replace(recipe, model=kept), preprocessing, dtype)


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
    needed = [
        file,
        *([WEIGHTS] if weights else []),
        *([SOURCE] if (folder / SOURCE).is_file() else []),
    ]
    for name in needed:
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
