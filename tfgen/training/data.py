"""What a run trains on, whatever it is: windows of tokens, or windows of numbers."""

import dataclasses

import numpy as np

from tfgen import models
from tfgen.data import (
    CarriedWindows,
    SequenceWindows,
    data_kind,
    open_sequences,
)
from tfgen.data.augmentation import check_augmentation, open_augmentation
from tfgen.data.sequences import HALVES
from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.preprocessing import (
    SequenceProcessor,
)
from tfgen.training import fingerprint
from tfgen.training.opened import OF_HALF, SPLIT_NAMES, Data, choose_on_of
from tfgen.training.series_dashboard import SeriesDashboard
from tfgen.training.text_data import open_text_data

_PARTS = 4, 2, 1  # of the longest: how long batches of short sequences are
_WORTH = 0.75  # share of the positions that is left, for which as many steps are compiled


def open_data(recipe, preprocessing=None, data=None):
    """Returns the `tfgen.training.opened.Data` of a recipe.

    Args:
        recipe: A `tfgen.recipe.Recipe`.
        preprocessing: What the run was begun with; None fits it to the training split.
        data: What is in memory in place of what the recipe names, see `tfgen.data.memory.hold`.

    Raises:
        InputError: If there is nothing to read, or it is too short.
    """
    kind = data_kind(recipe.data, data)
    models.check_used(recipe, kind)
    check_augmentation(recipe.training.augment, kind)
    return _OPEN[find_kind(kind).modality](recipe, preprocessing, data)


def _open_numbers(recipe, processor, data):
    config = recipe.training
    sequences = open_sequences(recipe.data, data)
    if (recipe.model.get("encoder") is not None) != (sequences.texts is not None):
        raise InputError(
            "model.encoder and data.source go together: the encoder of texts, and what says those "
            f"of drawings. Received: model.encoder={recipe.model.get('encoder')!r}, "
            f"data.source={recipe.data.source!r}"
        )
    if sequences.texts is not None:
        sequences = _whole(sequences, config)
    if config.carry_state and not sequences.ends:
        raise InputError(
            "training.carry_state is for text, and for whole drawings or clips: windows of a "
            "series begin anew. Received: training.carry_state=true"
        )
    fraction, rule = recipe.data.validation_fraction, recipe.data.split
    train, validation, how = sequences.split(fraction, rule)
    choose_on, half = choose_on_of(config), None
    if choose_on == "half":
        halves = [sequences.split(fraction, rule, each)[1] for each in HALVES]
        least = min(half.positions for half in halves)
        if least >= (1 if config.choose_on else 2 * config.window):
            half = HALVES[0]
            validation = halves[0]
        elif config.choose_on:
            raise InputError(
                f"{sequences.name} holds out too little to be halved: {validation.positions:,} "
                f"positions in {len(validation):,} sequences. Received: training.choose_on='half'"
            )
        else:
            choose_on = "all"
    if processor is None:
        # What goes on is forecast, a season at once.
        seasons = models.reads_seasons(recipe) or find_kind(sequences.kind).goes_on
        processor = SequenceProcessor.fit(train, recipe.preprocessing, seasons=seasons)
    history = models.history_of(recipe, processor)
    parts = {"train": processor.check(train), "validation": processor.check(validation)}
    limited = _limited(parts["train"], recipe.preprocessing.log1p)
    augment = open_augmentation(config.augment, processor.kind, limited)
    held, lead, ends = parts["validation"], {}, None
    bounds = sequences.held_bounds(fraction, rule, half)
    if bounds is not None and not sequences.ends:
        ends = processor.check(sequences), bounds
        held, lead = _after_context(*ends, models.context_of(recipe), history)
    given = {"history": history, "statistic": processor.scaler.statistic}
    patch = recipe.model.get("frame", 1) if processor.kind == "series" else 1
    lead |= _sizes(held, recipe)
    windows = {
        "train": _windows(
            parts["train"], "train", config, given | _sizes(parts["train"], recipe), patch,
            augment=augment,
        ),
        "validation": _windows(held, "validation", config, given | lead, drop_remainder=False),
    }  # fmt: skip
    summary = (
        f"{train.positions:,} positions of {processor.num_features} features in {len(train):,} "
        f"sequences to train on, {validation.positions:,} in {len(validation):,} to validate"
        f"{OF_HALF[choose_on]}: {how}"
    )
    report = sequences.report
    dropped = (f"dropped: {reason}" for reason in report.reasons())
    if models.reads_seasons(recipe):
        found = ", ".join(map(str, processor.seasons or ())) or "none"
        summary += f"\nseasons found, in positions: {found}"
    summary = "\n".join([summary, *dropped, *(f"note: {note}" for note in report.notes)])

    def dashboard(folder, model):
        return SeriesDashboard(folder, model, parts["validation"])

    found = fingerprint.of_sequences(sequences)
    return Data(
        processor,
        windows,
        summary,
        "positions",
        dashboard,
        found,
        choose_on,
        sequences,
        parts["train"],
        ends,
    )


def _whole(sequences, config):
    """Drawings with a text that a window holds: the rest of a text has no beginning to follow."""
    if config.carry_state:
        raise InputError(
            "training.carry_state is not for drawings with a text (data.source). "
            "Received: training.carry_state=true"
        )
    kept = [
        number for number, values in enumerate(sequences.values) if len(values) <= config.window
    ]
    if not kept:
        raise InputError(
            f"Every drawing of {sequences.name} is longer than a window: use a larger one. "
            f"Received: training.window={config.window}"
        )
    if len(kept) < len(sequences):
        reason = f"a drawing is longer than training.window, {config.window}"
        first = next(n for n, values in enumerate(sequences.values) if len(values) > config.window)
        sequences.report.drop(reason, sequences.ids[first], len(sequences) - len(kept))
    return sequences.select(kept)


_OPEN = {"text": open_text_data, "numbers": _open_numbers}


def _limited(sequences, log1p):
    """The sequences, with a lower bound for columns of log1p: 0, or the least there is below it."""
    features = list(sequences.features)
    for column, feature in enumerate(features):
        if feature.name in log1p and feature.low is None:
            least = min(float(np.nanmin(v[:, column], initial=0)) for v in sequences.values)
            features[column] = dataclasses.replace(feature, low=least)
    return dataclasses.replace(sequences, features=tuple(features))


def _after_context(sequences, bounds, context, history):
    """Held-out ends with what comes before them, which is read and does not count.

    A forecast is told by its past as well: a model that knows the training data by heart, and
    nothing of what goes on, looks good where a validation begins anew.

    Args:
        sequences: `Sequences`, whole ones.
        bounds: Of each `(start, stop)` of what was held out.
        context: Positions that are read before a window, at most.
        history: Positions that lags reach back from there.

    Returns:
        `(sequences, arguments)`, the latter of `SequenceWindows`.
    """
    context = min([context, *(start for start, stop in bounds if start < stop)])
    spans = [
        (max(start - context - history, 0), stop) if start < stop else (stop, stop)
        for start, stop in bounds
    ]
    skip = [bound[0] - span[0] for bound, span in zip(bounds, spans) if span[0] < span[1]]
    return sequences.cut(spans), {"context": context, "skip": skip}


def _sizes(sequences, recipe):
    """How long batches are of sequences that are shorter than a window, as an argument."""
    window = recipe.training.window
    family = models.family(recipe.family)
    any_length = family.network is not None and family.engine == "rollout"
    if not any_length or recipe.training.carry_state or recipe.model.get("frame", 1) > 1:
        return {}
    lengths = [min(len(values), window) for values in sequences.values]
    longest = max(lengths, default=window)
    sizes = np.array([-(-longest // part) for part in _PARTS])
    if np.mean(sizes[np.searchsorted(sizes, lengths)]) >= _WORTH * longest:
        sizes = sizes[-1:]
    return {"sizes": sizes.tolist()}


def _windows(sequences, split, config, given, patch=1, drop_remainder=True, augment=None):
    name = SPLIT_NAMES[split]
    if config.carry_state:
        kind, count = CarriedWindows, config.batch_size
    else:
        # A small table does not fill a batch of the usual size: all of its windows are one, then.
        windows = SequenceWindows(sequences, config.window, 1, config.seed, split=name)
        kind, count = SequenceWindows, min(config.batch_size, windows.steps_per_epoch)
        given = {**given, "patch": patch}
    return kind(
        sequences,
        config.window,
        count,
        config.seed,
        drop_remainder,
        augment,
        name,
        most=config.validation_batches,
        **given,
    )
