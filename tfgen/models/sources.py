"""`Sources`: what a person gives to a model with an encoder, checked and as tensors."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.values import check_texts


class Sources(NamedTuple):
    """Sources that a person gave, looked through.

    Attributes:
        given: Dict of arrays, a row for each source.
        count: How many there are.
        single: Whether it is one for all.
    """

    given: dict
    count: int
    single: bool

    def tensors(self, count):
        """The tensors of so many sources, one for each that is made of one."""
        if not self.single and self.count != count:
            raise InputError(
                f"source must be one for all or {count}, one for each. "
                f"Received: {self.count} sources"
            )
        repeats = count if self.single else 1
        return {name: tf.constant(np.repeat(rows, repeats, 0)) for name, rows in self.given.items()}


def sources_of(encoder, source):
    """The `Sources` of what a person gave to a model with a `SourceEncoder`; those that are so
    already are left."""
    processor = encoder.source_processor
    if source is None:
        raise InputError(
            "This model is given sources: give source= (--source). Received: source=None"
        )
    if isinstance(source, Sources):
        return source
    if processor is None:
        texts = texts_of("source", source)
        for text in texts:
            if not text or text.isspace():
                raise InputError(f"A source must not be empty. Received: source={text!r}")
        given = {"source": np.array([text.encode("utf-8") for text in texts], object)}
        return Sources(given, len(texts), isinstance(source, (str, bytes)))
    if isinstance(source, (list, tuple)) and not source:
        return Sources({}, 0, False)
    if isinstance(source, (str, bytes)):
        raise InputError(
            f"This model is given {find_kind(processor.kind).words}: arrays (time, "
            f"{processor.num_features}). Received: source={source!r}"
        )
    values, lengths, single = processor.as_values(source)
    if not lengths.all():
        raise InputError("A source must not be empty. Received: a source of length 0")
    return Sources({"source": values, "source_lengths": lengths}, len(lengths), single)


def texts_of(name, value):
    """A text or several as a list, checked: TensorFlow says less clearly what is wrong."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        value = list(value)
    return list(check_texts(name, value))
