"""Likelihood of text: over a whole split, and over random crops as nanoGPT reports it."""

import numpy as np
import tensorflow as tf

from tfgen.data import BUILTIN, LineWindows, encode, open_labeled, open_pairs, open_text
from tfgen.data.memory import MEMORY, is_name
from tfgen.data.music.events import NOTE
from tfgen.errors import InputError
from tfgen.evaluation.latents import score_latents
from tfgen.evaluation.pairs import evaluate_pairs
from tfgen.models.conditions import NO_CLASS
from tfgen.models.text.arguments import check_unused
from tfgen.names import normalise
from tfgen.preprocessing import WordTokenizer
from tfgen.preprocessing.tokenizer import valid_text

# The split is read in this many places at once, each after so many tokens of context that are
# not scored, so that every token but the very first ones has at least this context.
_LANES = 32
_CONTEXT = 1024
_LANES_FROM = 16 * _CONTEXT  # a shorter text is read in one go
_CHUNK = 256
_CROP_BATCH = 64
_LINES = 256  # scored at once
_WINDOW = 256


def evaluate(
    model, data, column=None, split=None, window=None, crops=None, seed=0,
    progress=lambda done, total: None, source=None, beams=None, source_data=None, label=None,
):  # fmt: skip
    """Measures how well a text model predicts data.

    Two figures are given, because the field uses both. `nats_per_character` scores the whole
    split, each character given all of the text before it (at least the 1024 tokens before it; for
    a transformer without a window, at least half of the tokens of a crop).
    Of words there are `nats_per_word` and `unknown_words` as well, of music `nats_per_note`.
    Models of different tokens are compared by `bits_per_byte`, of the UTF-8 encoding.
    `crop_nats_per_token` is the mean over random crops that begin with no context at all, as
    nanoGPT's `estimate_loss` has it; its standard error is that of the random choice of crops.

    Args:
        model: A `TextModel`.
        data: The name of a built-in set, a path, or texts in memory, see `tfgen.data.open_text`.
        column: The column of a table.
        split: `"train"`, `"validation"`, `"test"` (the latter half of validation) or `"all"`; None
            takes the test split of what the model was trained on, if its best weights were chosen
            on the other half (`training.choose_on`), else validation, which is also that of a
            built-in set; and all of anything else.
        window: Tokens in a crop; None takes 256, or as many as the data and the model have room
            for.
        crops: Number of crops; None is 1024.
        seed: Integer that chooses the crops.
        progress: Function `(done, total)` of tokens, called after each batch.
        source: The column of the sources, of a model with an encoder, whose figures are those of
            `tfgen.evaluation.pairs`; None, and the column too, takes that of its recipe.
        beams: Of such a model, texts that a beam search follows; None is 1.
        source_data: Of sources that are numbers, what the column names, as of
            `tfgen.data.open_pairs`; None takes that of the recipe.
        label: The column of the classes, of a model that is told the class of a text by its name:
            then `nats_per_character` is of texts given their class, and beside it is that of texts
            of which nothing is told. None, and the column too, takes that of its recipe.

    Returns:
        A dict that JSON can hold.

    Raises:
        InputError: If the data is too short for one crop, or a crop too long for the model.
    """
    trained_on = model.recipe.data if model.recipe else None
    named = is_name(data)
    where, held = (data, None) if named else (MEMORY, data)
    fraction = trained_on.validation_fraction if trained_on else 0.1
    emission = getattr(model.engine, "emission", None)
    reads, classes = (getattr(emission, name, None) for name in ("reads_source", "classes"))
    if classes and trained_on:
        label, column = label or trained_on.label, column or trained_on.column
    if label is not None and not classes:
        raise InputError(
            f"label is for models that know classes by their names. Received: label={label!r}"
        )
    if reads:
        check_unused("models without an encoder", window=window, crops=crops)
        if trained_on:
            source, column = source or trained_on.source, column or trained_on.column
            source_data = source_data or trained_on.source_data
        if source is None:
            raise InputError(
                "A model with an encoder is measured on pairs: name the column of their sources. "
                "Received: source=None"
            )
        text = open_pairs(where, source, column, fraction, held, source_data)
    else:
        check_unused("models with an encoder", source=source, beams=beams, source_data=source_data)
        if label is None:
            text = open_text(where, column, fraction, data=held)
        else:
            check_unused("models without classes", window=window, crops=crops)
            text = open_labeled(where, label, column, fraction, data=held)
    if split is None:
        own = trained_on and (trained_on.name, trained_on.column) == (str(data), column)
        if own and model.recipe.training.choose_on == "half":
            split = "test"
        else:
            built_in = named and normalise(str(data)) in BUILTIN
            split = "validation" if own or built_in else "all"
    if reads:
        return evaluate_pairs(model, text, split, 1 if beams is None else beams, progress)
    if label is not None:
        return _classes(model, text, split, progress)
    if getattr(model, "latent_texts", None) is not None:
        return _lines(model, text, split, progress)
    tokens = encode(text, model.tokenizer, split)
    crops = 1024 if crops is None else crops
    if window is None:
        window = max(min(_WINDOW, len(tokens) - 1, model.max_positions or _WINDOW), 1)
    if len(tokens) <= window:
        raise InputError(
            f"The data is too short: {len(tokens)} tokens in the split '{split}' of {text.name}, "
            f"where a crop needs {window + 1}"
        )
    if model.max_positions is not None and window > model.max_positions:
        raise InputError(
            f"window must be at most the model's max_length, {model.max_positions}. "
            f"Received: window={window}"
        )
    characters = text.characters[split]
    size = sum(len(valid_text(chunk).encode("utf-8")) for chunk in text.chunks(split))
    ids = np.concatenate([[model.tokenizer.start_id], tokens])
    total = len(ids) - 1 + crops * window

    def scored(tokens):
        progress(min(tokens, total), total)

    if model.state_is_constant:
        nats = _whole(model, ids, scored)
    else:
        nats = _sliding(model, ids, window, scored)
    crop_means = _crops(
        model, tokens, window, crops, seed, lambda done: scored(len(ids) - 1 + done)
    )
    unknown_id = model.tokenizer.unknown_id
    words = isinstance(model.tokenizer, WordTokenizer)
    unknown = 0 if unknown_id is None else int(np.sum(tokens == unknown_id))
    of_words = {"words": len(tokens), "nats_per_word": nats / len(tokens)} if words else {}
    notes = sum(len(NOTE.findall(chunk)) for chunk in text.chunks(split)) if words else 0
    if notes:
        of_words |= {"notes": notes, "nats_per_note": nats / notes}
    return {
        "data": text.name,
        "split": split,
        "characters": characters,
        "unknown_words" if words else "unknown_characters": unknown,
        "bytes": size,
        "parameters": model.count_params(),
        **of_words,
        "nats_per_character": nats / characters,
        "bits_per_character": nats / characters / float(np.log(2)),
        "bits_per_byte": nats / size / float(np.log(2)),
        "crop_nats_per_token": float(np.mean(crop_means)),
        "crop_standard_error": float(np.std(crop_means) / np.sqrt(crops)),
        "crop_window": window,
        "crops": crops,
    }


def _classes(model, source, split, progress):
    """The figures of texts of classes, each class read as one text after the other."""
    tokens = source.encoded(split, model.tokenizer, model.engine.emission.classes)
    total = max(sum(len(each) - 1 for each in tokens), 1)
    window = max(min(_WINDOW, model.max_positions or _WINDOW), 1)
    nats, done = {True: 0.0, False: 0.0}, 0
    for label, ids in enumerate(tokens):
        for told in nats:
            if len(ids) > 1:
                given = label if told else NO_CLASS
                if model.state_is_constant:
                    nats[told] += _whole(model, ids, lambda done: None, given)
                else:
                    nats[told] += _sliding(model, ids, window, lambda done: None, given)
        done += len(ids) - 1
        progress(done, total)
    characters = source.characters[split]
    if not characters:
        raise InputError(f"There are no texts in the split '{split}' of {source.name}")
    size = sum(len(valid_text(chunk).encode("utf-8")) for chunk in source.chunks(split))
    return {
        "data": source.name,
        "split": split,
        "texts": sum(map(len, source.texts(split).values())),
        "classes": len(tokens),
        "characters": characters,
        "bytes": size,
        "parameters": model.count_params(),
        "nats_per_character": nats[True] / characters,
        "bits_per_character": nats[True] / characters / float(np.log(2)),
        "bits_per_byte": nats[True] / size / float(np.log(2)),
        "nats_per_character_without_class": nats[False] / characters,
    }


def _state(model, rows, label):
    """The state before a text of which nothing is told, or its class."""
    if label is None:
        return model.initial_state(rows)
    return model.engine.initial_state(rows, tf.fill([rows], label))


def _lines(model, source, split, progress):
    """The figures of a model of lines, by their lower bounds, line breaks included."""
    text = "".join(source.chunks(split))
    lines = [line + "\n" for line in text.split("\n") if line]
    if not lines:
        raise InputError(f"There are no lines in the split '{split}' of {source.name}")
    total, rates, most = 0.0, 0.0, model.max_positions
    if most is not None:
        lines = [line[: most - 1] for line in lines]
    for first in range(0, len(lines), _LINES):
        batch = lines[first : first + _LINES]
        found = model.score(batch)
        total += float(np.sum(found["log_likelihood"]))
        rates += float(np.sum(found["rate"]))
        progress(min(first + _LINES, len(lines)), len(lines))
    characters = sum(map(len, lines))
    window = most or max(map(len, lines))

    def windows():
        tokens, start = encode(source, model.tokenizer, split), model.tokenizer.start_id
        return LineWindows(tokens, window, _LINES, start, drop_remainder=False)

    return {
        "data": source.name,
        "split": split,
        "lines": len(lines),
        "characters": characters,
        "parameters": model.count_params(),
        "nats_per_character": -total / characters,
        "bits_per_character": -total / characters / float(np.log(2)),
        "nats_per_line": -total / len(lines),
        "rate": rates / len(lines),
        "reconstruction": (-total - rates) / len(lines),
        **score_latents(model, windows),
    }


def _whole(model, ids, scored, label=None):
    """Total nats of `ids[1:]`, each given all before it, and the class if there is one."""
    targets = len(ids) - 1
    lanes = _LANES if targets >= _LANES_FROM else 1
    stride = -(-(targets - _CONTEXT) // lanes) if lanes > 1 else targets
    # Lane i reads the targets from i * stride on. The first scores all it reads, the others what
    # comes after their context: together every target once.
    length = stride + (_CONTEXT if lanes > 1 else 0)
    starts = np.arange(lanes) * stride
    chunks = -(-length // _CHUNK)
    padded = np.zeros(starts[-1] + chunks * _CHUNK + 1, np.int32)
    padded[: len(ids)] = ids
    total, state = 0.0, _state(model, lanes, label)
    for chunk in range(chunks):
        first = chunk * _CHUNK
        rows = padded[starts[:, None] + first + np.arange(_CHUNK + 1)]
        nats, state = model.engine.token_nats(tf.constant(rows), tf.fill([lanes], _CHUNK), state)
        position = first + np.arange(_CHUNK)
        counted = (position < length) & (starts[:, None] + position < targets)
        counted[1:] &= position >= _CONTEXT
        total += float(np.sum(nats.numpy().astype(np.float64)[counted]))
        scored(targets * (chunk + 1) // chunks)
    return total


def _sliding(model, ids, window, scored, label=None):
    """The same for a model that is not to read further back than a window of tokens.

    The window moves on by half of its tokens at a time, and the latter half is scored.
    """
    targets = len(ids) - 1
    stride = -(-window // 2)
    context = window - stride
    starts = np.arange(max(1, -(-(targets - context) // stride))) * stride
    padded = np.zeros(starts[-1] + window + 1, np.int32)
    padded[: len(ids)] = ids
    total = 0.0
    for first in range(0, len(starts), _CROP_BATCH):
        batch = starts[first : first + _CROP_BATCH]
        nats = _nats(model, padded, batch, window, label).astype(np.float64)
        position = np.arange(window)
        counted = batch[:, None] + position < targets
        counted &= (position >= context) | (batch == 0)[:, None]
        total += float(np.sum(nats[counted]))
        scored(targets * (first + len(batch)) // len(starts))
    return total


def _nats(model, ids, starts, window, label=None):
    """The nats of the tokens in windows that begin with no context, `(len(starts), window)`."""
    # A last batch that is not full is filled up, so that nothing is compiled twice.
    rows = np.resize(starts, _CROP_BATCH)
    rows = ids[rows[:, None] + np.arange(window + 1)].astype(np.int32)
    state = _state(model, _CROP_BATCH, label)
    nats, _ = model.engine.token_nats(tf.constant(rows), tf.fill([_CROP_BATCH], window), state)
    return nats.numpy()[: len(starts)]


def _crops(model, tokens, window, crops, seed, scored):
    """Mean nats per token of each random crop."""
    starts = np.random.default_rng(seed).integers(len(tokens) - window, size=crops)
    means = []
    for first in range(0, crops, _CROP_BATCH):
        batch = starts[first : first + _CROP_BATCH]
        means.append(_nats(model, tokens, batch, window).mean(axis=1))
        scored((first + len(batch)) * window)
    return np.concatenate(means).astype(np.float64)
