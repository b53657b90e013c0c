"""`Tokenizer`: what every tokenizer does, in the graph and on whole files."""

import re
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf


class Spelling(NamedTuple):
    """The symbols that tokens are made of: bytes, and behind them special tokens.

    Attributes:
        symbols: int32 `(symbols,)`, those of one token after the other.
        starts: int32 `(tokens + 1,)`, where those of each token begin, and where they all end.
        longest: The most symbols of a token.
    """

    symbols: np.ndarray
    starts: np.ndarray
    longest: int

    def of(self, ids, lengths):
        """The symbols of tokens, padded as `Tokenizer.tokenize` does: `(symbols, lengths)`."""
        starts = tf.constant(self.starts)
        first = tf.gather(starts, ids)
        counts = tf.where(valid_rows(ids, lengths), tf.gather(starts, ids + 1) - first, 0)
        place = tf.range(self.longest)  # (batch, time, longest)
        each = tf.gather(
            tf.constant(self.symbols), tf.minimum(first[..., None] + place, len(self.symbols) - 1)
        )
        rows = tf.ragged.boolean_mask(each, place < counts[..., None]).merge_dims(1, 2)
        return rows.to_tensor(), tf.reduce_sum(counts, axis=1)


class Tokenizer(keras.layers.Layer):
    """Turns texts into tokens and back.

    `tokenize` and `detokenize` are TensorFlow operations on constants, so they run inside a graph
    and a SavedModel holds them without any table or variable. `encode` and `decode` do the same in
    NumPy, for whole files.

    A text that is not valid UTF-8 is read with U+FFFD in place of what is wrong; so is a lone
    surrogate in a Python str. Called as a layer, a tokenizer takes a batch of texts, a list of str
    too, and tokenizes it.

    Attributes:
        in_graph: Whether a SavedModel can hold it.
    """

    in_graph = True

    def __init__(self, **kwargs):
        super().__init__(dtype="int32", trainable=False, **kwargs)
        self.built = True

    @property
    def vocabulary_size(self):
        """Number of token ids."""
        raise NotImplementedError

    @property
    def unknown_id(self):
        """The id of everything outside the vocabulary, never generated; None if there is none."""
        return None

    @property
    def start_id(self):
        """The id that stands before every text: that of a line break, unless it has one for it."""
        return int(self.encode("\n")[0])

    @property
    def spelling(self):
        """The `Spelling` of the tokens, by which stop texts are found; None if each is a symbol."""
        return None

    @property
    def symbols(self):
        """What each id stands for, as a list of printable texts."""
        raise NotImplementedError

    def adapt(self, chunks):
        """Fits the vocabulary to texts; returns the tokenizer.

        Args:
            chunks: An iterable of texts, as a list, or a `tf.data.Dataset` or a Series of them.
        """
        return self

    def tokenize(self, texts):
        """Tokens of texts.

        Args:
            texts: string tensor `(batch,)`.

        Returns:
            `(ids, lengths)`: int32 `(batch, time)`, right-padded with 0, `time` being that of the
            longest text, and int32 `(batch,)`.
        """
        raise NotImplementedError

    def tokenize_inside(self, texts):
        """As `tokenize`, of texts that stand behind others: nothing marks the start of a text."""
        return self.tokenize(texts)

    def detokenize(self, ids, lengths=None):
        """Texts of tokens.

        Args:
            ids: integer tensor `(batch, time)`.
            lengths: integer tensor `(batch,)`: how many tokens of each row count; None takes all.

        Returns:
            string tensor `(batch,)`, always valid UTF-8.
        """
        raise NotImplementedError

    def detokenize_without(self, ids, lengths, cut):
        """As `detokenize`, without the last `cut` symbols of each row, int32 `(batch,)`."""
        return self.detokenize(ids, lengths - cut)

    def read_symbols(self, symbols, lengths, final):
        """Texts of symbols, without the beginning of a character that is not complete.

        Args:
            symbols: int32 `(batch, count)`: see `spelling`.
            lengths: int32 `(batch,)`: how many of each row count.
            final: bool `(batch,)`: whether no more come, so that all is read.

        Returns:
            `(texts, lengths)`: strings `(batch,)`, and how many symbols of each row were read.
        """
        return self.detokenize(symbols, lengths), lengths

    def spelled(self, ids):
        """The symbols of tokens, an array: see `spelling`."""
        return np.asarray(ids)

    def encode(self, text):
        """Tokens of one text as a NumPy array of the smallest unsigned type that holds them."""
        raise NotImplementedError

    def decode(self, ids):
        """The text of a sequence of tokens."""
        return self.decoder().decode(ids, final=True)

    def decoder(self):
        """Returns an object whose `decode(ids, final=False)` gives a text piece by piece.

        A character comes with the last of its tokens; `final` flushes what is left incomplete.
        """
        raise NotImplementedError

    def symbol_decoder(self):
        """As `decoder`, of symbols."""
        return self.decoder()

    def __call__(self, texts, **kwargs):
        # Keras refuses a list of str before `call` sees it.
        if isinstance(texts, (str, bytes)):
            raise ValueError(f"A tokenizer takes a batch of texts. Received: texts={texts!r}")
        if isinstance(texts, (list, tuple, np.ndarray)):
            texts = [valid_text(text) if isinstance(text, str) else text for text in texts]
            texts = tf.constant(texts, tf.string)
        return super().__call__(texts, **kwargs)

    def call(self, texts):
        return self.tokenize(texts)

    @property
    def _encoded_dtype(self):
        return np.min_scalar_type(self.vocabulary_size - 1)


class PieceDecoder:
    """Joins what each token is, a text of its own.

    Args:
        pieces: The text of each token, or characters as one text.
    """

    def __init__(self, pieces):
        self._pieces = pieces

    def decode(self, ids, final=False):
        return "".join(self._pieces[token] for token in np.asarray(ids).tolist())


def check_max_vocabulary(value):
    """Refuses what is no number of tokens to keep; None keeps all."""
    if value is not None and not (type(value) is int and value >= 1):
        raise ValueError(
            "max_vocabulary must be an integer from 1 on, or None. "
            f"Received: max_vocabulary={value!r}"
        )


def valid_text(text):
    """The text with U+FFFD for lone surrogates: a Python str may hold them, UTF-8 may not."""
    return text if text.isascii() else re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)


def valid_rows(ids, lengths):
    """Bool `(batch, time)`: which tokens count."""
    if lengths is None:
        return tf.ones_like(ids, tf.bool)
    return tf.range(tf.shape(ids)[1])[None] < tf.cast(lengths, tf.int32)[:, None]
