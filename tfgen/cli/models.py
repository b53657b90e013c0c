"""The models that verbs open, and the options that not every model takes."""

from tfgen import zoo
from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.startup import import_tensorflow

NAME_HELP = "a name of the zoo, or the path of a run (./mine, runs/mine)"


def add_dtype(parser):
    parser.add_argument(
        "--dtype", choices=("float32", "int8"), help="int8 rounds a transformer's weights"
    )


def find_model(name):
    """Returns the `zoo` item of an entry or a run; what has no weights is refused."""
    item = zoo.find(name)
    if item.kind != "entry":
        examples = ", ".join(zoo.list_models(pretrained=True)) or "there is none yet"
        raise InputError(
            f"'{item.name}' is a {item.kind} and has no weights: train it, or take a model that "
            f"has them ({examples})"
        )
    return item


def open_model(name, dtype=None):
    """Returns the model of an entry or a run, with its weights."""
    find_model(name)
    import_tensorflow()
    return zoo.get(name, **({} if dtype is None else {"dtype": dtype}))


def taken(arguments, names, allowed):
    """Returns the options of these names that were given, those that a model's method takes.

    Args:
        arguments: Those of the verb.
        names: Names of options, None where they were not given.
        allowed: Which of them the model takes.

    Raises:
        InputError: If another one was given.
    """
    given = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in allowed:
            options = ", ".join(f"--{one.replace('_', '-')}" for one in allowed)
            raise InputError(
                f"--{name.replace('_', '-')} is not for {arguments.name}, which takes {options}"
            )
    return given


def way_of(kind, ways, arguments):
    """Returns what a verb does with models of a kind; an option of the others is refused.

    Args:
        kind: What the model is of, as `zoo.find(name).data_kind` tells.
        ways: Dict from a modality, `"text"` or `"numbers"`, to a module that has the names of its
            own `OPTIONS`.
        arguments: Those of the verb.

    Raises:
        InputError: If an option was given that is for the other modality.
    """
    row = find_kind(kind)
    modality = row.modality
    what = "writes text" if modality == "text" else f"is one of {row.words}"
    for other, way in ways.items():
        if other != modality:
            if hasattr(way, "refuse"):
                way.refuse(arguments, kind)
            for name in way.OPTIONS:
                if getattr(arguments, name) not in (None, False):
                    raise InputError(
                        f"--{name.replace('_', '-')} is for models of {other}, and "
                        f"{arguments.name} {what}"
                    )
    return ways[modality]
