"""`choose`: what a recipe says where the data show it: how they were recorded, their seasons."""

import json

import numpy as np

from tfgen.data import data_kind, open_sequences
from tfgen.data.found import MOST_COUNTED, find_recording
from tfgen.data.seasons import common_seasons
from tfgen.models.families import family
from tfgen.models.numbers.heads import COUNTED
from tfgen.models.numbers.reading import AUTO
from tfgen.training.sound_choices import OTHERWISE, sound_choices

# Whoever says one of these has chosen the likelihood, or another one than those for recorded data.
_LIKELIHOOD = (
    "model.head", "model.covariance", "model.bounding", "model.local_scale", "model.frame",
    "model.beyond", "model.companding",
)  # fmt: skip
_MIXING = "whiten"
# A chain is as many small networks as there are columns: more take long to compile.
_MOST_CHAINED = 32
_MANY_ZEROS = 0.5  # share from which zeros are told by themselves
# Standard deviations by which a diffusion model spreads what lies beyond a bound.
_BEYOND = 0.5
# Of so many values at most: a network that does not know them by heart at once.
_SIZES = (
    (2_000, {"units": 32, "width": 32, "heads": 2, "layers": 2, "dropout": 0.2}),
    (20_000, {"units": 64, "width": 64, "heads": 2, "layers": 2, "dropout": 0.1}),
)
_DIFFERENT = np.log(2)  # standard deviation of the logarithms of series' means
_DRIFTING = 1.0  # standard deviation of the means of windows, in those within windows
# A model that departs from a linear autoregression is soon at its best, and then learns noise.
_STOPPING = {"training.validate_every": 50, "training.patience": 10}
# A diffusion model learns for longer, and forecasts by what it is trained to be given.
_DIFFUSION = {
    "training.validate_every": 100, "training.patience": 10, "training.ema": 0.995,
    "model.infilling": 0.5,
}  # fmt: skip
_TRAINING = {"autoregressive": _STOPPING, "diffusion": _DIFFUSION}
# An optimizer of either player of a game averages no gradients: these turn round and round.
_ADVERSARIAL = {
    "training.optimizer_options": ["beta_1=0.0"], "training.learning_rate": 1e-3,
    "training.weight_decay": 0.0, "training.ema": 0.99, "training.validate_every": 100,
}  # fmt: skip
_MOST_MAPPED = 256  # columns of which a matrix tells each by all
# Likewise of a diffusion model, whose channels are halved in each of its levels.
_UNETS = (
    (2_000, {"width": 32, "multipliers": [1, 2, 4], "blocks": 1, "dropout": 0.1}),
    (20_000, {"width": 32, "multipliers": [1, 2, 4]}),
)
_WINDOWS = 32, 512  # positions of a diffusion model's window, which is to hold seasons
_USUAL_WINDOW = 128
# Which is also chosen by: a forecast is good without latents.
_OF_THE_PAST = ("model.lags", "model.seasonal_skip", "model.linear_skip", "training.choose_by")
_MULTIPLE = 8  # of which windows of drawings are
_MOST_WRITTEN = 512  # positions of a window of drawings that say a text
_MOST_PLAYED = 128  # positions of a window that a generator makes


def choose(recipe, said=(), data=None):
    """Fills in how series were recorded, the likelihood that fits and what to read of the past.

    Circles, steps and bounds are found as `tfgen inspect` finds them. Columns of which one has any
    are told by a chain, a single one or very many by their own likelihoods, and small counts by a
    negative binomial distribution. A model that goes from position to position reads the values of
    the seasons that are found, and departs from a linear autoregression; it is the smaller the
    less data there is. A diffusion model learns to fill in, in windows that hold the seasons.
    A model of latents reads neither seasons nor departs from a linear autoregression, with which it
    would have no need of latents. Training stops where validation does not improve any more, which,
    where an end of the time is held out, is by forecasts. Sound is told by frames, see
    `tfgen.training.sound_choices`. Drawings, and pieces of music, are trained on in windows as long
    as the longest.

    Args:
        recipe: A `tfgen.recipe.Recipe` of a family.
        said: The keys that a person has set, which stay as they are.
        data: As of `train`.

    Returns:
        `(recipe, sentence)`; the sentence tells a person what was chosen, and is None for nothing.

    Raises:
        InputError: If the data cannot be read.
    """
    said, kind = set(said), data_kind(recipe.data, data)
    if kind not in _CHOOSE:
        return recipe, None
    row = family(recipe.family).row("numbers", recipe.model)
    arguments = row.arguments()
    known = set(recipe.model).issubset(arguments)  # else training tells what is wrong
    if not known or not {"head", "beyond"}.intersection(arguments):
        return recipe, None  # a class of somebody's own
    changes = _CHOOSE[kind](recipe, row, said, data)
    if row.engine_kind == "adversarial":
        of_optimizer = {} if "training.optimizer" in said else _ADVERSARIAL
        changes = {**of_optimizer, **changes}
    changes = {key: value for key, value in changes.items() if key not in said}
    if not changes:
        return recipe, None
    shown = ", ".join(f"{key}={json.dumps(value)}" for key, value in changes.items())
    return recipe.override(changes), f"chosen by the data (--set chooses otherwise): {shown}"


def _of_sound(recipe, row, said, data):
    """What fits clips of their sample rate, lengths and loudness."""
    if said.intersection(OTHERWISE):
        return {}
    sequences = open_sequences(recipe.data, data)
    return sound_choices(sequences, recipe, said, row.arguments(), row.engine_kind)


def _of_series(recipe, row, said, data):
    """How long is trained; and what fits a table, unless a likelihood is chosen."""
    training = _TRAINING.get(row.engine_kind, {})
    if recipe.preprocessing.scaler == _MIXING or said.intersection(_LIKELIHOOD):
        return training
    changes = training | _of_data(recipe, row, said, data)
    if row.engine == "latent":
        # A decoder that is shown so much of the past does without its latents.
        return {key: value for key, value in changes.items() if key not in _OF_THE_PAST}
    return changes


def _of_drawings(recipe, row, said, data):
    """A window no longer than the longest of them.

    Of those that say a text one that holds them, for longer ones are left out, and an encoder,
    along which a recurrent network moves a soft window.
    """
    arguments, reads = row.arguments(), {}
    if recipe.data.source is not None and "encoder" in arguments:
        reads = {"model.encoder": "transformer"}
        if "soft_window" in arguments:
            reads = {"model.encoder": "embedding", "model.soft_window": 10, "model.residual": True}
    longest = max(map(len, open_sequences(recipe.data, data).values), default=0)
    most = _MOST_WRITTEN if reads else recipe.training.window
    window = min(-(-longest // _MULTIPLE) * _MULTIPLE, most)
    changed = window not in (0, recipe.training.window)
    return reads | ({"training.window": window} if changed else {})


# By the kind of data.
_CHOOSE = {
    "series": _of_series, "audio": _of_sound, "strokes": _of_drawings, "music": _of_drawings,
}  # fmt: skip


def _of_data(recipe, row, said, data):
    """How the columns were recorded, the likelihood that fits, and what of the past is read."""
    arguments = row.arguments()
    sequences = open_sequences(recipe.data, data)
    found = find_recording(sequences, recipe.data)
    changes = {f"data.{key}": values for key, values in found.items() if values}
    changes = {key: values for key, values in changes.items() if key not in said}
    if changes:
        sequences = open_sequences(recipe.override(changes).data, data)
    changes |= _likelihood(sequences, arguments)
    if _differ_in_size(sequences):
        changes.setdefault("preprocessing.scaler", "mean")
    seen = sum(int(np.count_nonzero(~np.isnan(values))) for values in sequences.values)
    sizes = _SIZES if "lags" in arguments else _UNETS
    sizes = next((sizes for most, sizes in sizes if seen < most), {})
    changes |= {f"model.{key}": sizes[key] for key in sizes if key in arguments}
    if "lags" in arguments:
        changes["model.lags"] = AUTO
        numbers = any(not (each.is_category or each.circle) for each in sequences.features)
        ends = sequences.held_bounds(recipe.data.validation_fraction, recipe.data.split)
        if numbers and ends is not None:
            changes["training.choose_by"] = "forecasts"
        if changes.get("model.head") not in COUNTED:
            changes["model.seasonal_skip"] = AUTO
            changes["model.linear_skip"] = len(sequences.features) <= _MOST_MAPPED
    else:
        changes["training.window"] = window = _window(sequences)
        if row.engine_kind == "adversarial":
            changes["training.window"] = min(window, _MOST_PLAYED)
        elif _drifts(sequences, window):
            changes["model.seasonal_skip"] = AUTO
    return changes


def _window(sequences):
    """Positions of a window that holds two seasons and what a forecast of one more has.

    Of a short series it is a quarter at most, if that holds the seasons, so that there are several.
    """
    numbers = [number for number, each in enumerate(sequences.features) if not each.is_category]
    found = common_seasons([values[:, numbers] for values in sequences.values])
    usual = min(_USUAL_WINDOW, max(map(len, sequences.values)) // 4)
    least, most = _WINDOWS
    return min(max(-(-max(3 * max(found, default=0), usual) // 8) * 8, least), most)


def _drifts(sequences, window):
    """Whether the level of a number moves by more from window to window than within them."""
    for number, feature in enumerate(sequences.features):
        if feature.is_category or feature.circle:
            continue
        column = [values[:, number] for values in sequences.values]
        pieces = [
            values[start : start + window]
            for values in column
            for start in range(0, max(len(values) - window, 0) + 1, window)
        ]
        pieces = [piece[~np.isnan(piece)] for piece in pieces]
        pieces = [piece for piece in pieces if len(piece)]
        if len(pieces) < 2:
            continue
        within = np.sqrt(np.mean([np.var(piece) for piece in pieces]))
        if np.std([np.mean(piece) for piece in pieces]) > _DRIFTING * within:
            return True
    return False


def _differ_in_size(sequences):
    """Whether numbers of some series are several times as large as those of others."""
    numbers = [number for number, each in enumerate(sequences.features) if not each.is_category]
    if len(sequences) < 2 or not numbers:
        return False
    values = [values[:, numbers] for values in sequences.values]
    values = [each for each in values if not np.isnan(each).all(axis=0).any()]
    if not values or min(np.nanmin(each) for each in values) < 0:
        return False
    sizes = np.log([np.maximum(np.nanmean(each, axis=0), 1e-30) for each in values])
    return bool(np.std(sizes, axis=0).max() > _DIFFERENT)


def _likelihood(sequences, arguments):
    """What of `[model]` fits columns as they were recorded."""
    columns = [feature for feature in sequences.features if not feature.is_category]
    bounded = any((each.low, each.high) != (None, None) for each in columns)
    exact = bounded or any(each.step or each.circle for each in columns)
    if not exact:
        return {}
    if "beyond" in arguments:
        return {"model.beyond": _BEYOND} if bounded else {}
    if all(feature.is_count for feature in columns):
        values = np.concatenate([
            values[:, number]
            for number, feature in enumerate(sequences.features)
            for values in sequences.values
            if not feature.is_category
        ])  # fmt: skip
        if np.nanmean(values) <= MOST_COUNTED:
            inflated = np.mean(values[~np.isnan(values)] == 0) > _MANY_ZEROS
            head = "zero_inflated_negative_binomial" if inflated else "negative_binomial"
            scaled = {"preprocessing.scaler": "mean"} if len(sequences) > 1 else {}
            return {"model.head": head, **scaled}
    if 1 < len(sequences.features) <= _MOST_CHAINED:
        return {"model.head": "chain"}
    return {"model.bounding": "censored"} if bounded else {}
