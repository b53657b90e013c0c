"""One flat list of names for entries, families and layers, and `get`, which gives each."""

import dataclasses
import difflib
import fnmatch
import re
from pathlib import Path

from tfgen.errors import InputError, unknown
from tfgen.files import home_path
from tfgen.models import read_recipe
from tfgen.names import normalise
from tfgen.recipe import GenerationConfig, Recipe
from tfgen.zoo.folders import (
    RECIPE,
    data_kind_of,
    entries_in,
    has_weights,
    is_path,
    model_folder,
    shipped_folder,
)
from tfgen.zoo.layers import LAYERS
from tfgen.zoo.signatures import check_call

KINDS = ("entry", "family", "layer")
# Keras' policies of a model, and all that `get` takes as its dtype.
POLICIES = ("mixed_bfloat16", "mixed_float16")
DTYPES = ("float32", "int8", *POLICIES)

# What a person added in this process: folders of entries by name, and layer classes by name.
# Families go to the table of tfgen.models, from which recipes are built.
added_entries = {}
added_layers = {}


@dataclasses.dataclass(frozen=True)
class Item:
    """One name of the zoo."""

    name: str
    kind: str  # one of KINDS
    folder: Path | None = None  # an entry's folder
    row: object = None  # a family's or a layer's row, with `load()` and `summary`

    @property
    def pretrained(self):
        return self.folder is not None and has_weights(self.folder)

    @property
    def data_kind(self):
        """What an entry's or a run's model is of, a name of `tfgen.kinds.KINDS`; else None."""
        return None if self.folder is None else data_kind_of(self.folder)

    @property
    def summary(self):
        """What it is, in one line; what is wrong with it, if its recipe cannot be read."""
        if self.kind != "entry":
            return self.row.summary
        try:
            return read_recipe(self.folder).description
        except (InputError, OSError) as error:
            return f"cannot be used: {error}"


def items():
    """Returns `{name: Item}` of everything that has a name, sorted by name."""
    from tfgen.models import FAMILIES

    shipped = {normalise(path.name): path for path in entries_in(shipped_folder())}
    found = {
        **{name: Item(name, "layer", row=row) for name, row in (LAYERS | added_layers).items()},
        **{name: Item(name, "family", row=row) for name, row in FAMILIES.items()},
        **{
            name: Item(name, "entry", folder=folder)
            for name, folder in (shipped | added_entries).items()
        },
    }
    return dict(sorted(found.items()))


def find(name):
    """Returns the `Item` of a name, or of a folder.

    Args:
        name: A name of the zoo; or a path, which is a `Path`, or a string that holds a separator
            or begins with `.` or `~`. What is no name of the zoo may also be the name of a folder
            here that holds a model.

    Raises:
        InputError: No such name, with near matches; or the folder holds no model.
    """
    if not isinstance(name, str | Path):
        raise InputError(f"A name must be a string or a path. Received: {name!r}")
    if is_path(name):
        folder = model_folder(name)
        return Item(str(name), "entry", folder=folder)
    known = items()
    if normalise(name) in known:
        return known[normalise(name)]
    if (Path(name) / RECIPE).is_file():
        return Item(name, "entry", folder=model_folder(name))
    raise unknown_name(name, known)


def unknown_name(name, known=None):
    """Returns the `InputError` for a name of nothing, its likely cause first.

    Args:
        name: As it was given.
        known: `items()`.
    """
    known = items() if known is None else known
    models = [each.name for each in known.values() if each.kind != "layer"]
    start = f"Unknown name '{name}'."
    for folder in (Path(name), Path("runs", name)) if name else ():
        if folder.exists():
            path = folder if is_path(str(folder)) else f"./{name}"
            return InputError(f"{start} To open the folder of that name, write '{path}'")
    layers = known.keys() - models
    for kind, names, cutoff in (("", models, 0.5), ("the layer ", layers, 0.6)):
        if near := difflib.get_close_matches(normalise(name), names, n=3, cutoff=cutoff):
            hint = " or ".join(repr(each) for each in near)
            return InputError(f"{start} Did you mean {kind}{hint}? tfgen list shows all names")
    return InputError(
        f"{start} There is no such entry, family or layer, and no folder of that name here or in "
        "runs/; --zoo PATH adds your own entries, --import MODULE your own families. "
        f"Known: {', '.join(models)}"
    )


def list_models(pattern="*", kind=None, pretrained=None):
    """Returns the names of the zoo that match, sorted.

    Args:
        pattern: A glob pattern, e.g. `"lstm-*"`.
        kind: Only `"entry"`, `"family"` or `"layer"`.
        pretrained: True for what comes with weights, False for what does not, None for both.

    Returns:
        A list of names; empty if none matches.
    """
    if kind is not None and kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    return [
        item.name
        for item in items().values()
        if fnmatch.fnmatchcase(item.name, normalise(pattern))
        and kind in (None, item.kind)
        and pretrained in (None, item.pretrained)
    ]


def get(name_or_folder, weights=True, dtype=None, of=None, **overrides):
    """Returns a model or a layer by name, or the model of a folder.

    Args:
        name_or_folder: The name of an entry, a family or a layer; or the path of an entry or a
            training run.
        weights: Whether an entry or a run comes with its weights, or new ones. A family and a
            layer are always new.
        dtype: How a model keeps the weights that it generates with: `"int8"` makes a transformer
            write a single text faster, at a small loss that `score` tells; None and `"float32"`
            keep them whole. `"mixed_bfloat16"` and `"mixed_float16"` are Keras' policies: products
            are computed in 16 bits, weights kept in 32. For a layer, its dtype.
        of: Of a family: what its model is of, `"text"` or `"numbers"`; None is the first that the
            family is for.
        **overrides: Arguments of the model or layer that differ from the recipe's or from the
            constructor's defaults; for a model also the defaults of its sampling, e.g.
            `temperature`.

    Returns:
        A `tfgen.models.base.SequenceGenerator`, or a `keras.layers.Layer`.

    Raises:
        InputError: An unknown name or argument, with near matches; an override that does not fit
            the weights; a folder that holds no model, or files that are not what they were.

    Example:

        model = get("lstm-shakespeare", temperature=0.8)
        print(model.generate(["ROMEO:"], seed=7)[0])
    """
    item = find(name_or_folder)
    if of is not None and (item.kind != "family" or of not in item.row.modalities):
        allowed = item.row.modalities if item.kind == "family" else ("None",)
        raise unknown(f"of for the {item.kind} '{item.name}',", of, allowed)
    if item.kind == "layer":
        cls = item.row.load()
        overrides |= {} if dtype is None else {"dtype": dtype}
        check_call(item.name, cls, overrides)
        return cls(**overrides)

    from tfgen import models

    if dtype not in (None, *DTYPES):
        raise unknown("dtype", dtype, DTYPES)
    policy = dtype if dtype in POLICIES else "float32"
    if item.kind == "family":
        model = models.build(_family_recipe(item, of, overrides), dtype=policy, of=of)
    elif weights and not item.pretrained:
        raise InputError(f"'{name_or_folder}' has no weights; weights=False gives it new ones")
    else:
        model = models.load(item.folder, weights=weights, overrides=overrides, dtype=policy)
    if dtype == "int8":
        model.quantize_weights(dtype)
    return model


def register(name, preset=None):
    """Returns a decorator that gives a person's own family or layer a name in the zoo.

    Args:
        name: The name. It must be free: neither an entry's, nor a family's, nor a layer's.
        preset: For a family, the arguments that this name stands for, e.g. `{"cell": "gru"}`.

    Raises:
        InputError: The name is taken or is no name; or the class is neither a
            `tfgen.networks.CausalNetwork`, nor a `tfgen.models.base.SequenceGenerator`, nor another
            `keras.layers.Layer`.

    Example:

        @register("my-family")
        class MyNetwork(CausalNetwork):
            ...
    """
    normalised = _checked_name(name)

    def decorate(cls):
        import keras

        from tfgen import models
        from tfgen.models.base import SequenceGenerator
        from tfgen.networks import CausalNetwork

        _require_free(normalised, cls)
        if isinstance(cls, type) and issubclass(cls, SequenceGenerator | CausalNetwork):
            models.register_family(normalised, cls, preset=preset)
        elif isinstance(cls, type) and issubclass(cls, keras.layers.Layer):
            if preset:
                raise InputError(f"A layer takes no preset. Received: preset={preset!r}")
            added_layers[normalised] = _AddedLayer(cls)
        else:
            raise InputError(
                "Only a CausalNetwork, a SequenceGenerator or a keras.layers.Layer can be "
                f"registered. Received: {cls!r}"
            )
        return cls

    return decorate


def add_entries(path):
    """Adds a person's own entries, so that their names work like those that come with tfgen.

    Args:
        path: A folder whose sub-folders are entries, or the folder of one entry. A sub-folder is
            an entry if it has a recipe.toml.

    Returns:
        The names that were added.

    Raises:
        InputError: The folder has no entries, or one of their names is taken.
    """
    path = home_path(path)
    if not path.is_dir():
        problem = "is a file, not a folder" if path.exists() else "does not exist"
        raise InputError(f"{path}: no entries: the folder {problem}")
    folders = [path] if (path / RECIPE).is_file() else entries_in(path)
    if not folders:
        raise InputError(f"{path}: no entries: no sub-folder has a {RECIPE}")
    added = {}
    for folder in folders:
        name = normalise(folder.resolve().name)
        if name in added:
            raise InputError(f"{path}: two entries have the name '{name}'")
        _require_free(_checked_name(name), folder.resolve())
        added[name] = folder.resolve()
    added_entries.update(added)
    return sorted(added)


@dataclasses.dataclass(frozen=True)
class _AddedLayer:
    """The row of a registered layer: what `LayerRow` is for one of ours."""

    cls: type

    @property
    def summary(self):
        return (self.cls.__doc__ or "").strip().partition("\n")[0]

    def load(self):
        return self.cls


def _checked_name(name):
    """Returns a name in its normal form, or raises if it could not be one."""
    normalised = normalise(name)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", normalised):
        raise InputError(
            f"A name is made of letters, digits, '-', '_' and '.'. Received: name={name!r}"
        )
    return normalised


def _require_free(name, new):
    """Raises if a name is taken by something else than `new`, a class or an entry's folder.

    A cell of a notebook that runs twice, or a module that is reloaded, registers the same thing
    again: the later definition then takes the place of the earlier one.
    """
    taken = items().get(name)
    if taken is None:
        return
    same = taken.folder == new
    if isinstance(new, type) and taken.row is not None:
        row = taken.row
        old = (row.load_network() if taken.kind == "family" else None) or row.load()
        same = (old.__module__, old.__qualname__) == (new.__module__, new.__qualname__)
    if not same:
        article = "an" if taken.kind == "entry" else "a"
        raise InputError(f"The name '{name}' is taken: it is {article} {taken.kind} of the zoo")


def _family_recipe(item, of, overrides):
    """Returns the recipe of a new model: a family with its arguments and sampling defaults."""
    row = item.row.row(of, overrides)
    arguments = row.arguments()
    sampling = GenerationConfig.__dataclass_fields__
    generation = {
        key: value for key, value in overrides.items() if key in sampling and key not in arguments
    }
    model = {
        key: value
        for key, value in overrides.items()
        if key not in generation
        # A recipe cannot hold None; an argument whose default is None has it without being named.
        and not (value is None and key in arguments and arguments[key].default is None)
    }
    if row.modality == "text" and "numbers" in row.modalities:
        for key in model.keys() - arguments.keys():
            if key in row.row("numbers", overrides).arguments():
                raise InputError(
                    f"'{key}' is for models of numbers: get('{item.name}', of='numbers', ...) "
                    f"gives one. Received: {key}={model[key]!r}"
                )
    return Recipe(item.name, model, generation=GenerationConfig(**generation))
