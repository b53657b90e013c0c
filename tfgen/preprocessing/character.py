"""`CharacterTokenizer`: Unicode characters as tokens."""

import collections

import keras
import numpy as np
import tensorflow as tf

from tfgen.data.memory import each_text
from tfgen.errors import InputError
from tfgen.preprocessing.tokenizer import (
    PieceDecoder,
    Tokenizer,
    check_max_vocabulary,
    valid_rows,
    valid_text,
)

UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@keras.saving.register_keras_serializable(package="tfgen")
class CharacterTokenizer(Tokenizer):
    """The characters (code points) of a text as the vocabulary.

    Id 0 is every character outside the vocabulary. It is read back as U+FFFD and never generated.
    Ids from 1 on are the characters in the order of their code points.

    Args:
        vocabulary: The characters, as one text or a list; None until `adapt` has found them.
        max_vocabulary: `adapt` keeps so many of the most frequent characters; None keeps all.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If the vocabulary repeats a character or holds anything else.

    Example:

    >>> tokenizer = CharacterTokenizer("abc")
    >>> tokenizer.encode("cab!").tolist()
    [3, 1, 2, 0]
    """

    def __init__(self, vocabulary=None, max_vocabulary=None, **kwargs):
        super().__init__(**kwargs)
        check_max_vocabulary(max_vocabulary)
        if not isinstance(vocabulary, (str, list, tuple, type(None))):
            raise ValueError(
                f"vocabulary must be a text or a list. Received: vocabulary={vocabulary!r}"
            )
        self.max_vocabulary = max_vocabulary
        characters = list(vocabulary or "")
        for character in characters:
            if not isinstance(character, str) or len(character) != 1:
                raise ValueError(
                    f"vocabulary must be single characters. Received: vocabulary with {character!r}"
                )
            if "\ud800" <= character <= "\udfff":
                raise ValueError(
                    "vocabulary must be characters that UTF-8 has. "
                    f"Received: vocabulary with {character!r}"
                )
        if len(set(characters)) != len(characters):
            [(repeated, _)] = collections.Counter(characters).most_common(1)
            raise ValueError(
                f"vocabulary repeats a character. Received: vocabulary with {repeated!r}"
            )
        self._set("".join(sorted(characters)))

    def _set(self, vocabulary):
        self.vocabulary = vocabulary
        self._code_points = np.array([ord(character) for character in vocabulary], np.int32)

    @property
    def vocabulary_size(self):
        return len(self.vocabulary) + 1

    @property
    def unknown_id(self):
        return 0

    @property
    def symbols(self):
        return [UNKNOWN, *(c if c.isprintable() else repr(c)[1:-1] for c in self.vocabulary)]

    def adapt(self, chunks):
        """Finds the characters of the texts, the lower code point first among equally frequent.

        Raises:
            InputError: If there is none.
        """
        counts = np.zeros([0x110000], np.int64)
        for chunk in each_text(chunks):
            found = np.bincount(_code_points(chunk))  # (largest + 1,)
            counts[: len(found)] += found
        found = np.flatnonzero(counts)
        if not len(found):
            raise InputError("There is no character to build a vocabulary from: the text is empty")
        if self.max_vocabulary is not None:
            order = np.argsort(-counts[found], kind="stable")
            found = np.sort(found[order[: self.max_vocabulary]])
        self._set("".join(map(chr, found)))
        return self

    def tokenize(self, texts):
        code_points = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        lengths = tf.cast(code_points.row_lengths(), tf.int32)
        padded = code_points.to_tensor(-1)  # (batch, time)
        padded = tf.ensure_shape(padded, [None, None])
        if not self.vocabulary:
            return tf.zeros_like(padded), lengths
        table = tf.constant(self._code_points)
        flat = tf.reshape(padded, [-1])
        index = tf.minimum(tf.searchsorted(table, flat), len(self.vocabulary) - 1)
        ids = tf.where(tf.gather(table, index) == flat, index + 1, 0)
        return tf.reshape(ids, tf.shape(padded)), lengths

    def detokenize(self, ids, lengths=None):
        table = tf.constant([ord(UNKNOWN), *self._code_points], tf.int32)
        code_points = tf.gather(table, ids)
        rows = tf.ragged.boolean_mask(code_points, valid_rows(ids, lengths))
        return tf.strings.unicode_encode(rows, "UTF-8")

    def encode(self, text):
        code_points = _code_points(text)
        if not self.vocabulary:
            return np.zeros(len(code_points), self._encoded_dtype)
        table = np.zeros(self._code_points[-1] + 2, self._encoded_dtype)
        table[self._code_points] = np.arange(1, self.vocabulary_size)
        # The last entry of the table is unknown, and stands for everything beyond.
        return table[np.minimum(code_points, len(table) - 1)]

    def decoder(self):
        return PieceDecoder(UNKNOWN + self.vocabulary)

    def get_config(self):
        return {
            "name": self.name,
            "vocabulary": self.vocabulary,
            "max_vocabulary": self.max_vocabulary,
        }


def _code_points(text):
    try:
        data = text.encode("utf-32-le")
    except UnicodeEncodeError:
        data = valid_text(text).encode("utf-32-le")
    return np.frombuffer(data, np.uint32)
