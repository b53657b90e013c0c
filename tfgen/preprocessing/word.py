"""`WordTokenizer`: words as tokens."""

import collections
import re

import keras
import numpy as np
import tensorflow as tf

from tfgen.data.memory import each_text
from tfgen.errors import InputError
from tfgen.preprocessing.character import UNKNOWN
from tfgen.preprocessing.tokenizer import (
    PieceDecoder,
    Tokenizer,
    check_max_vocabulary,
    valid_rows,
    valid_text,
)

# What is no space of ASCII is a word, with a space before it, if there is one, as a part of it: so
# tokens joined are the text. Any other space, a line break among them, is a token of its own.
_WORD, _SPACE = r" ?[^ \t\n\v\f\r]+", r"[ \t\n\v\f\r]"
_TOKEN = re.compile(f"{_WORD}|{_SPACE}")
_END = b"\xff"  # in no valid UTF-8


@keras.saving.register_keras_serializable(package="tfgen")
class WordTokenizer(Tokenizer):
    """The words of the training data as the vocabulary, between spaces; id 0 is any other word.

    A word takes the space before it with it, so that a text is its tokens, one after the other, and
    what is generated fits to its prompt. At the beginning of a line, where there is no space before
    it, a word is another token. Punctuation belongs to the word that it touches: it is for texts
    that are written for it, as events of music are; of prose most words are rare.

    Args:
        vocabulary: List of tokens; None until `adapt` has found them.
        max_vocabulary: `adapt` keeps so many of the most frequent tokens; None keeps all.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If the vocabulary repeats a token, or has what is none.

    Example:

    >>> tokenizer = WordTokenizer(["\\n", " b", "a"])
    >>> tokenizer.encode("a b c\\n").tolist()
    [3, 2, 0, 1]
    """

    def __init__(self, vocabulary=None, max_vocabulary=None, **kwargs):
        super().__init__(**kwargs)
        check_max_vocabulary(max_vocabulary)
        if not isinstance(vocabulary, (list, tuple, type(None))):
            raise ValueError(f"vocabulary must be a list. Received: vocabulary={vocabulary!r:.80}")
        self.max_vocabulary = max_vocabulary
        for token in vocabulary or ():
            if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not _is_valid(token):
                raise ValueError(
                    "vocabulary must be words, each with a space before it or not, and spaces. "
                    f"Received: vocabulary with {token!r:.80}"
                )
        self._set(vocabulary or ())

    def _set(self, vocabulary):
        self.vocabulary = sorted(vocabulary)
        self._ids = {token: number for number, token in enumerate(self.vocabulary, start=1)}
        if len(self._ids) != len(self.vocabulary):
            [(repeated, _)] = collections.Counter(self.vocabulary).most_common(1)
            raise ValueError(
                f"vocabulary repeats a token. Received: vocabulary with {repeated!r:.80}"
            )
        # Strings are found by their hash, as TensorFlow computes it, and then compared.
        hashes = _hashes(tf.constant(self.vocabulary, tf.string)).numpy()
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._by_hash = hashes[order], (order + 1).astype(np.int32)

    @property
    def vocabulary_size(self):
        return len(self.vocabulary) + 1

    @property
    def unknown_id(self):
        return 0

    @property
    def symbols(self):
        tokens = [UNKNOWN, *self.vocabulary]
        return [token if token.isprintable() else repr(token)[1:-1] for token in tokens]

    def adapt(self, chunks):
        """Finds the words of the texts, the first in order of code points of equally frequent ones.

        A line break is always one of them: it begins a text.

        Raises:
            InputError: If there is none.
        """
        counts = collections.Counter()
        for chunk in each_text(chunks):
            counts.update(_TOKEN.findall(valid_text(chunk)))
        if not counts:
            raise InputError("There is no word to build a vocabulary from: the text is empty")
        order = sorted(counts, key=lambda token: (token != "\n", -counts[token], token))
        self._set({"\n", *order[: self.max_vocabulary]})
        return self

    def tokenize(self, texts):
        valid = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        # The word that ends a text would be followed by an empty one, and so would all of none.
        marked = tf.raw_ops.StaticRegexReplace(
            input=valid, pattern=f"({_WORD}|{_SPACE})", rewrite=rb"\1" + _END
        )
        found = tf.strings.split(marked, _END)
        found = tf.ragged.boolean_mask(found, tf.strings.length(found) > 0)
        lengths = tf.cast(found.row_lengths(), tf.int32)
        if not self.vocabulary:
            return tf.zeros([tf.shape(texts)[0], tf.reduce_max(lengths)], tf.int32), lengths
        place = tf.searchsorted(tf.constant(self._hashes), _hashes(found.values))
        ids = tf.gather(tf.constant(self._by_hash), tf.minimum(place, len(self.vocabulary) - 1))
        same = tf.gather(tf.constant(["", *self.vocabulary]), ids) == found.values
        ids = found.with_values(tf.where(same, ids, 0)).to_tensor()
        return tf.ensure_shape(ids, [None, None]), lengths

    def detokenize(self, ids, lengths=None):
        pieces = tf.gather(tf.constant([UNKNOWN, *self.vocabulary]), ids)
        return tf.strings.reduce_join(tf.where(valid_rows(ids, lengths), pieces, ""), axis=1)

    def encode(self, text):
        ids = [self._ids.get(token, 0) for token in _TOKEN.findall(valid_text(text))]
        return np.array(ids, self._encoded_dtype)

    def decoder(self):
        return PieceDecoder([UNKNOWN, *self.vocabulary])

    def get_config(self):
        return {
            "name": self.name,
            "vocabulary": list(self.vocabulary),
            "max_vocabulary": self.max_vocabulary,
        }


def _hashes(tokens):
    """int64 of strings, of which no two are expected to be the same."""
    return tf.strings.to_hash_bucket_fast(tokens, (1 << 63) - 1)


def _is_valid(token):
    return token == valid_text(token)
