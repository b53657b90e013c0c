"""What a run of a model of text trains on: windows of tokens."""

import itertools

import numpy as np

from tfgen import models
from tfgen.data import (
    ClassWindows,
    LineWindows,
    PairWindows,
    Windows,
    data_kind,
    encode,
    open_labeled,
    open_pairs,
    open_text,
)
from tfgen.data.augmentation import check_augmentation, open_augmentation
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
from tfgen.training.opened import OF_HALF, SPLIT_NAMES, Data, choose_on_of


def open_text_data(recipe, tokenizer, data):
    """The `Data` of a recipe of text; see `tfgen.training.data.open_data`."""
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
    choose_on = choose_on_of(config)
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
        f"{len(windows['validation'].tokens):,} to validate{OF_HALF[choose_on]}, "
        f"{tokenizer.vocabulary_size} symbols"
    )
    if find_kind(kind).read:
        summary = "\n".join([summary, source.split_rule])
        summary = "\n".join([summary, *(f"dropped: {each}" for each in source.report.reasons())])
    found = fingerprint.of_text(source)
    lines = held_lines(windows["validation"], tokenizer) if cut is LineWindows else ()

    def dashboard(folder, model):
        return TextDashboard(folder, model, lines, load(find_kind(kind).show))

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
            split=SPLIT_NAMES[split],
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
    choose_on = choose_on_of(config)
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
        f"{OF_HALF[choose_on]}, {tokenizer.vocabulary_size} symbols"
    )
    summary = "\n".join([summary, *(f"dropped: {each}" for each in source.report.reasons())])
    found = fingerprint.of_text(source, classes)
    own = {"model": {"classes": list(classes)}}

    def dashboard(folder, model):
        return TextDashboard(folder, model, show=load(find_kind(kind).show))

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
    choose_on = choose_on_of(config)
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
            split=SPLIT_NAMES[split],
            most=config.validation_batches,
        )
    dropped = pairs.report.reasons()
    long = sum(each.dropped for each in windows.values())
    if long:
        dropped.append(f"{long:,} x longer than training.window, {config.window}")
    summary = (
        f"{pairs.report.kept:,} pairs: {pairs.split_rule}{OF_HALF[choose_on]}, "
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
