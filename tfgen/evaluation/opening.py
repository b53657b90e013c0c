"""What is evaluated on: data as a model reads them, and which of them were held out."""

from tfgen.data import Sequences, cuts, open_sequences
from tfgen.data.memory import as_read_before, is_name
from tfgen.errors import InputError
from tfgen.recipe import DataConfig


def open_for(model, data):
    """Opens data as a model takes them.

    Args:
        model: A `NumbersModel`, or what has its `processor`, and a `recipe` that may be None.
        data: As for `evaluate_sequences`.

    Returns:
        `(sequences, rules)`: the `DataConfig` says what is held out.
    """
    trained_on = model.recipe.data if getattr(model, "recipe", None) else None
    if isinstance(data, Sequences):
        sequences, rules = data, trained_on or DataConfig()
    elif not isinstance(data, DataConfig) and not is_name(data):
        rules = as_read_before(trained_on or DataConfig())
        sequences = open_sequences(rules, data)
    else:
        if isinstance(data, DataConfig):
            rules = data
        else:
            own = trained_on is not None and trained_on.name == str(data)
            source = getattr(trained_on, "source", None)  # what says the texts of drawings
            rules = trained_on if own else DataConfig(name=str(data), source=source)
        sequences = open_sequences(rules)
    return model.processor.check(sequences), rules


def chosen_on_half(model, rules):
    """Whether the model's weights are the best ones on a half of what these rules hold out."""
    recipe = getattr(model, "recipe", None)
    training = getattr(recipe, "training", None)
    own = training is not None and rules.name == recipe.data.name
    return own and training.choose_on == "half"


def surrounded_error():
    """What is said to who wants forecasts of held-out blocks."""
    return InputError(
        "what comes after the held-out blocks was trained on: train with data.split='blocks+time' "
        "or 'time' to judge forecasts. Received: data.split='blocks'"
    )


def held_out_from(sequences, rules):
    """Of each sequence the first position that was held out; its length if none was.

    Args:
        sequences: `Sequences`.
        rules: The `DataConfig` of them.

    Raises:
        InputError: If blocks were held out, after each of which something was trained on.
    """
    if rules.split == "blocks":
        raise surrounded_error()
    return cuts.held_out_from(sequences, rules.validation_fraction, rules.split)
