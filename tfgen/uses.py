"""Which models have a use for a field of a recipe: what a field is for, and what a model is.

A field is for everything, or for models with one of a few traits, e.g. `"text"` or `"diffusion"`:
the names of kinds of data, and `TRAITS`. They stand in the field's metadata (`tfgen.recipe`); help
and checks are made of them.
"""

from tfgen.kinds import KINDS, find_kind

ENGINES = ("autoregressive", "diffusion", "adversarial")
# What a field may be for besides a kind of data, in words.
TRAITS = {
    "numbers": "sequences of numbers",
    "autoregressive": "models that go from position to position",
    "autoregressive numbers": "models of numbers that go from position to position",
    "diffusion": "diffusion models",
    "diffusion series": "diffusion models of series",
    "adversarial": "adversarial models",
    "conditional text": "models of text that are conditioned on classes or vectors",
    "conditional diffusion": "diffusion models of data with classes",
}


def traits(kind, engine=None, conditional=None):
    """Returns the traits that a model has, or may have where something is not known.

    Args:
        kind: One of `tfgen.kinds.KINDS`.
        engine: One of `ENGINES`; None is not known, as of a person's own family.
        conditional: Whether it takes a class or another condition; None is not known.
    """
    row = find_kind(kind)
    numbers = row.modality == "numbers"
    found = {kind, *row.like, *(["numbers"] if numbers else [])}
    for each in ENGINES if engine is None else [engine]:
        found.add(each)
        if numbers:
            found |= {f"{each} numbers", f"{each} {kind}"}
        if each == "diffusion" and conditional is not False:
            found.add("conditional diffusion")
    if not numbers and conditional is not False:
        found.add("conditional text")
    return found


def listed(names):
    """Returns names as a sentence has them, e.g. `"text, series, strokes or audio"`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def words(names):
    """Returns a field's traits as a person reads them."""
    return " and ".join(KINDS[name].words if name in KINDS else TRAITS[name] for name in names)


def model_words(kind, engine=None, conditional=None):
    """Returns what a model is, e.g. `"this is a diffusion model of sound"`, or what its data
    are."""
    what = find_kind(kind).words
    if engine is None:
        return f"the data are {what}"
    less = "" if conditional is not False else " that takes no condition"
    model = {"diffusion": "a diffusion model", "adversarial": "an adversarial model"}
    return f"this is {model.get(engine, 'a model')} of {what}{less}"
