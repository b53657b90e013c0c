"""What a run trains on, whatever it is: windows of tokens, or windows of numbers."""

import dataclasses
import itertools
from typing import Any

import numpy as np

from tfgen import models
from tfgen.data import (
    CarriedWindows,
    ClassWindows,
    LineWindows,
    PairWindows,
    SequenceWindows,
    Windows,
    data_kind,
    encode,
    open_labeled,
    open_pairs,
    open_sequences,
    open_text,
)
from tfgen.data.augmentation import check_augmentation, open_augmentation
from tfgen.data.sequences import HALVES
from tfgen.errors import InputError
from tfgen.kinds import find_kind, load
from tfgen.preprocessing import (
    ByteTokenizer,
    SequenceProcessor,
    TokenizerWithSource,
    build_tokenizer,
)
from tfgen.training import fingerprint
from tfgen.training.dashboard import PairDashboard, TextDashboard
from tfgen.training.latents import held_lines
from tfgen.training.music import show_piece
from tfgen.training.series_dashboard import SeriesDashboard

_OF_HALF = {"half": " (half of what is held out: the other half is for scores)", "all": ""}
# What messages call them.
_SPLIT_NAMES = {"train": "training", "validation": "validation"}


@dataclasses.dataclass
class Data:
    """The data of a run.

    Attributes:
        preprocessing: The fitted tokenizer or processor of numbers, see `models.build`.
        windows: Dict with the windows of `"train"` and `"validation"`.
        summary: What there is, for people.
        unit: What one position is called.
        dashboard: Function `(folder, model)` that gives the run's dashboard.
        fingerprint: Of what was read, see `tfgen.training.fingerprint`.
        choose_on: `"half"` or `"all"`: what of the held-out data the validation is of.
        sequences: Of numbers, all `Sequences`.
        model: Arguments of the model that follow from the data.
        held: Of series held out in time, `(sequences, bounds)`: all of them as the processor has
            them, and of each `(start, stop)` of what is held out.
        train: Of numbers, those to train on, as the processor has them.
    """

    preprocessing: Any
    windows: dict
    summary: str
    unit: str
    dashboard: Any
    fingerprint: dict
    choose_on: str
    sequences: Any = None
    train: Any = None
    held: Any = None
    model: dict = dataclasses.field(default_factory=dict)


def open_data(recipe, preprocessing=None, data=None):
    """Returns the `Data` of a recipe.

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


def _open_text(recipe, tokenizer, data):
    config = recipe.training
    reads = recipe.data.source is not None
    row = models.row_of_kind(recipe.family, "text")
    if row.engine == "rollout" and (recipe.model.get("encoder") is not None) != reads:
        raise InputError(
            "model.encoder and data.source go together: the encoder of sources, and their column. "
            f"Received: model.encoder={recipe.model.get('encoder')!r}, "
            f"data.source={recipe.data.source!r}"
        )
    if reads and recipe.data.label is not None:
        raise InputError(
            "A text is made of its source, or goes with its class (data.label). "
            f"Received: data.source={recipe.data.source!r}, data.label={recipe.data.label!r}"
        )
    if recipe.data.label is None and recipe.model.get("classes"):
        raise InputError(
            "model.classes need the column of the classes, data.label. "
            f"Received: model.classes={recipe.model['classes']!r}"
        )
    if reads:
        return _open_pairs(recipe, tokenizer, data)
    if recipe.data.label is not None:
        return _open_labeled(recipe, row, tokenizer, data)
    source = open_text(
        recipe.data.name,
        column=recipe.data.column,
        validation_fraction=recipe.data.validation_fraction,
        data=data,
    )
    kind = data_kind(recipe.data, data)
    for name, *_ in check_augmentation(config.augment, kind):
        if config.carry_state and name in ("transpose", "tempo"):
            raise InputError(
                f"training.augment: {name} is of a window, and with training.carry_state a piece "
                f"would go on in another one. Received: training.augment={list(config.augment)}"
            )
    if tokenizer is None:
        tokenizer = _fitted(recipe, source, kind)
    tokens = {"train": encode(source, tokenizer, "train")}
    choose_on = _choose_on(config)
    if choose_on == "half":
        tokens["validation"] = encode(source, tokenizer, "choice")
        few = len(tokens["validation"]) <= 2 * config.window or not source.characters["test"]
        if config.choose_on is None and few:
            choose_on = "all"
    if choose_on == "all":
        tokens["validation"] = encode(source, tokenizer, "validation")
    augment = open_augmentation(config.augment, kind, (tokens["train"], tokenizer))
    cut, own = Windows, {"carry_state": config.carry_state}
    if row.engine == "latent":
        cut, own = LineWindows, {"line_break": tokenizer.start_id}
    windows = _cut(cut, tokens, config, augment, **own)
    summary = (
        f"{len(windows['train'].tokens):,} tokens to train on, "
        f"{len(windows['validation'].tokens):,} to validate{_OF_HALF[choose_on]}, "
        f"{tokenizer.vocabulary_size} symbols"
    )
    if find_kind(kind).read:
        summary = "\n".join([summary, source.split_rule])
        summary = "\n".join([summary, *(f"dropped: {each}" for each in source.report.reasons())])
    found = fingerprint.of_text(source)
    lines = held_lines(windows["validation"], tokenizer) if cut is LineWindows else ()

    def dashboard(folder, model):
        return TextDashboard(folder, model, lines, show_piece if kind == "events" else None)

    return Data(tokenizer, windows, summary, "tokens", dashboard, found, choose_on)


def _fitted(recipe, source, kind):
    """The tokenizer of a kind, which knows the training split, and the kind's own words."""
    vocabulary = load(find_kind(kind).vocabulary)
    chunks = itertools.chain(source.chunks("train"), [vocabulary()] if vocabulary else [])
    return build_tokenizer(recipe.preprocessing, chunks, kind)


def _cut(kind, tokens, config, augment, **own):
    """The windows of each split of tokens: those of training in random order and augmented."""
    return {
        split: kind(
            tokens[split],
            config.window,
            config.batch_size,
            seed=config.seed,
            drop_remainder=split == "train",
            augment=augment if split == "train" else None,
            split=_SPLIT_NAMES[split],
            most=config.validation_batches,
            **own,
        )
        for split in tokens
    }


def _open_labeled(recipe, row, tokenizer, data):
    """The data of texts with a class each."""
    config = recipe.training
    if "classes" not in row.arguments():
        raise InputError(
            f"data.label is for families of text that take a class, and '{recipe.family}' takes "
            f"none. Received: data.label={recipe.data.label!r}"
        )
    if config.carry_state:
        raise InputError(
            "training.carry_state is for one text, not for texts of several classes. "
            "Received: training.carry_state=true"
        )
    settings = recipe.data
    given = settings.name, settings.label, settings.column, settings.validation_fraction
    source, kind = open_labeled(*given, data=data), data_kind(recipe.data, data)
    if tokenizer is None:
        tokenizer = _fitted(recipe, source, kind)
    classes = tuple(recipe.model.get("classes", source.classes))
    choose_on = _choose_on(config)
    if choose_on == "half" and config.choose_on is None:
        choose_on = "half" if source.characters["choice"] > 2 * config.window else "all"
    held = {"half": "choice", "all": "validation"}[choose_on]
    tokens = {
        split: source.encoded(part, tokenizer, classes)
        for split, part in (("train", "train"), ("validation", held))
    }
    shown = np.concatenate(tokens["train"]), tokenizer
    augment = open_augmentation(config.augment, kind, shown)
    windows = _cut(ClassWindows, tokens, config, augment)
    summary = (
        f"{len(windows['train'].tokens):,} tokens of {len(classes)} classes to train on, "
        f"{len(windows['validation'].tokens):,} to validate: {source.split_rule}"
        f"{_OF_HALF[choose_on]}, {tokenizer.vocabulary_size} symbols"
    )
    summary = "\n".join([summary, *(f"dropped: {each}" for each in source.report.reasons())])
    found = fingerprint.of_text(source, classes)
    own = {"model": {"classes": list(classes)}}

    def dashboard(folder, model):
        return TextDashboard(folder, model, show=show_piece if kind == "events" else None)

    return Data(tokenizer, windows, summary, "tokens", dashboard, found, choose_on, **own)


def _open_pairs(recipe, preprocessing, data):
    config = recipe.training
    if models.row_of_kind(recipe.family, "text").engine != "rollout":
        raise InputError(
            f"data.source is for families of text with model.encoder, and '{recipe.family}' makes "
            f"a text of its latents. Received: data.source={recipe.data.source!r}"
        )
    if config.carry_state or config.augment:
        name = "carry_state" if config.carry_state else "augment"
        value = getattr(config, name)
        raise InputError(
            f"training.{name} is for texts, not for pairs. Received: training.{name}={value!r}"
        )
    pairs = open_pairs(
        recipe.data.name,
        recipe.data.source,
        recipe.data.column,
        recipe.data.validation_fraction,
        data,
        recipe.data.source_data,
    )
    tokenizer = getattr(preprocessing, "tokenizer", preprocessing)
    processor = None if tokenizer is preprocessing else preprocessing.source
    if tokenizer is None:
        tokenizer = build_tokenizer(recipe.preprocessing, pairs.chunks("train"))
    if pairs.numbers and processor is None:
        processor = SequenceProcessor.fit(pairs.sequences("train"))
    choose_on = _choose_on(config)
    if choose_on == "half" and not pairs.references("choice"):
        choose_on = "all"
    sources = pairs.sources("all", processor)
    read = sources.get if pairs.numbers else ByteTokenizer().encode
    held = {"half": "choice", "all": "validation"}[choose_on]
    windows = {}
    for split, part in (("train", "train"), ("validation", held)):
        windows[split] = PairWindows(
            pairs.encoded(part, read, tokenizer),
            config.window,
            config.batch_size,
            tokenizer.start_id,
            seed=config.seed,
            drop_remainder=split == "train",
            split=_SPLIT_NAMES[split],
            most=config.validation_batches,
        )
    dropped = pairs.report.reasons()
    long = sum(each.dropped for each in windows.values())
    if long:
        dropped.append(f"{long:,} x longer than training.window, {config.window}")
    summary = (
        f"{pairs.report.kept:,} pairs: {pairs.split_rule}{_OF_HALF[choose_on]}, "
        f"{tokenizer.vocabulary_size} symbols"
    )
    summary = "\n".join([summary, *(f"dropped: {each}" for each in dropped)])

    def dashboard(folder, model):
        return PairDashboard(folder, model, pairs.references(held), sources)

    found = fingerprint.of_text(pairs, pairs.references("all"))
    if pairs.numbers:
        found["sources"] = fingerprint.of_sequences(pairs.sequences("all"))["contents"]
        tokenizer = TokenizerWithSource(tokenizer, processor)
    return Data(tokenizer, windows, summary, "tokens", dashboard, found, choose_on)


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
    choose_on, half = _choose_on(config), None
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
    windows = {
        "train": _windows(parts["train"], "train", config, given, patch, augment=augment),
        "validation": _windows(held, "validation", config, {**given, **lead}, drop_remainder=False),
    }
    summary = (
        f"{train.positions:,} positions of {processor.num_features} features in {len(train):,} "
        f"sequences to train on, {validation.positions:,} in {len(validation):,} to validate"
        f"{_OF_HALF[choose_on]}: {how}"
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


def _choose_on(config):
    """`"half"` or `"all"`, as far as the recipe tells. One validation alone chooses nothing."""
    return config.choose_on or ("half" if config.validate_every else "all")


_OPEN = {"text": _open_text, "numbers": _open_numbers}


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


def _windows(sequences, split, config, given, patch=1, drop_remainder=True, augment=None):
    name = _SPLIT_NAMES[split]
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
