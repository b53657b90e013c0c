"""`open_augmentation`: what is done to training batches so that no two epochs are alike."""

import dataclasses
from typing import Any

from tfgen.data import series_augmentation, sound_augmentation, text_augmentation
from tfgen.data.music import augmentation as of_events
from tfgen.errors import InputError, unknown
from tfgen.uses import model_words, traits, words


@dataclasses.dataclass(frozen=True)
class _Augmentation:
    """One kind of change.

    Attributes:
        prepare: Function `(amount, columns, data)` that gives one `(batch, generator) -> batch`.
        kinds: Kinds of data that it is for.
        most: Its number is above 0 and at most this.
        whole: Whether that is an integer.
        columns: Whether it may name columns.
    """

    prepare: Any
    kinds: tuple[str, ...]
    most: float
    whole: bool = False
    columns: bool = False


def _of_sound(function, most):
    def prepare(amount, columns, data):
        return lambda batch, generator: function(batch, generator, amount)

    return _Augmentation(prepare, ("audio",), most)


def _of_text(function, most):
    def prepare(share, columns, data):
        change = function(share, *data)
        return lambda batch, generator: (change(batch[0], generator), batch[1])

    return _Augmentation(prepare, ("text",), most)


def _transpose(semitones, columns, data):
    if not isinstance(data, tuple):
        return series_augmentation.transpose(semitones, columns, data)
    if columns is not None:
        raise InputError(
            "training.augment: transpose of events moves all notes, and takes no columns. "
            f"Received: columns={columns}"
        )
    return of_events.transpose(semitones, *data)


_NUMBERS = ("series", "strokes")
AUGMENTATIONS = {
    "dropout": _of_text(text_augmentation.dropout, 1),
    "noise": _of_text(text_augmentation.noise, 1),
    "jitter": _Augmentation(series_augmentation.jitter, _NUMBERS, 1, columns=True),
    "scale": _Augmentation(series_augmentation.scale, _NUMBERS, 1, columns=True),
    "warp": _Augmentation(series_augmentation.warp, _NUMBERS, 1),
    "rotate": _Augmentation(series_augmentation.rotate, ("strokes",), 180),
    "transpose": _Augmentation(
        _transpose, ("series", "music", "events"), 24, whole=True, columns=True
    ),
    "tempo": _Augmentation(
        lambda share, columns, data: of_events.tempo(share, *data), ("events",), 1
    ),
    "gain": _of_sound(sound_augmentation.gain, 120),
    "flip": _of_sound(sound_augmentation.flip, 1),
    "pitch": _of_sound(sound_augmentation.pitch, 24),
    "shift": _of_sound(sound_augmentation.shift, 1_000_000),
}


def open_augmentation(texts, kind, data=None):
    """Returns a function `(batch, numpy.random.Generator) -> batch`, or None for no texts.

    It leaves what it is given as it is. A batch of text is `(inputs, targets)`, int32
    `(batch, window)` both, of which the targets are changed where the text itself is another
    one then, as by transposing, and not where the inputs alone are. One of numbers is that of
    `tfgen.data.SequenceWindows.batch`.

    Args:
        texts: What is done, in this order: `"dropout=0.1"`, `"jitter=0.03"`, or with columns
            `"transpose=5:soprano+bass"`.
        kind: Kind of the data.
        data: Of text, a pair `(tokens, tokenizer)`: those of the training split, and what made
            them. Of series and strokes, the `tfgen.data.Sequences` to train on, whose bounds are
            kept. Sound needs none.

    Raises:
        InputError: For a text that is not like this, one that is for another kind of data, or a
            column that there is not.
    """
    changes = [
        AUGMENTATIONS[name].prepare(amount, columns, data)
        for name, amount, columns in check_augmentation(texts, kind)
    ]

    def augment(batch, generator):
        for change in changes:
            batch = change(batch, generator)
        return batch

    return augment if changes else None


def check_augmentation(texts, kind):
    """Returns `(name, amount, columns)` of each text, the columns as they stand there, or None.

    Args:
        texts: As of `open_augmentation`.
        kind: Kind of the data.

    Raises:
        InputError: As `open_augmentation`, but for the columns, which it does not know.
    """
    chosen = [_parse(text) for text in texts]
    for name, _, _ in chosen:
        kinds = AUGMENTATIONS[name].kinds
        if not traits(kind).intersection(kinds):
            raise InputError(
                f"training.augment: '{name}' is for {words(kinds)}, and {model_words(kind)}. "
                f"Received: training.augment={list(texts)}"
            )
    return chosen


def _parse(text):
    name, _, rest = text.partition("=")
    if name not in AUGMENTATIONS:
        raise unknown("augmentation of training.augment", name, AUGMENTATIONS)
    change = AUGMENTATIONS[name]
    amount, colon, columns = rest.partition(":")
    if colon and not change.columns:
        raise InputError(
            f"training.augment: {name} takes no columns. Received: training.augment={text!r}"
        )
    try:
        number = float(amount)
    except ValueError:
        number = 0
    if not 0 < number <= change.most or (change.whole and number % 1):
        raise InputError(
            f"training.augment: {name} takes {'an integer' if change.whole else 'a number'} above "
            f"0 and at most {change.most}, as in '{name}={change.most / 2:g}'. "
            f"Received: training.augment={text!r}"
        )
    return name, number, columns if colon else None
