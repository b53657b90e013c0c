"""`ByteTokenizer`: the bytes of the UTF-8 encoding as tokens."""

import codecs

import keras
import numpy as np
import tensorflow as tf

from tfgen.preprocessing.tokenizer import Tokenizer, valid_rows, valid_text


@keras.saving.register_keras_serializable(package="tfgen")
class ByteTokenizer(Tokenizer):
    """The 256 bytes as the vocabulary: any text in any language, exactly, with nothing to fit.

    Tokens that are no valid UTF-8 together, which a model may well generate, are read with U+FFFD
    in place of what is wrong.

    Example:

    >>> ByteTokenizer().encode("hé").tolist()
    [104, 195, 169]
    """

    def get_config(self):
        return {"name": self.name}

    @property
    def vocabulary_size(self):
        return 256

    @property
    def symbols(self):
        return [chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in range(256)]

    def tokenize(self, texts):
        texts = _valid_utf8(texts)
        lengths = tf.strings.length(texts)
        # decode_raw wants a positive length, also for a batch of nothing.
        longest = tf.reduce_max(tf.concat([lengths, [0]], axis=0))
        padded = tf.io.decode_raw(texts, tf.uint8, fixed_length=tf.maximum(longest, 1))
        return tf.cast(padded, tf.int32)[:, :longest], lengths

    def detokenize(self, ids, lengths=None):
        return _text_of(ids, valid_rows(ids, lengths))

    def read_symbols(self, symbols, lengths, final):
        return read_bytes(symbols, lengths, final)

    def encode(self, text):
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:
            data = valid_text(text).encode("utf-8")
        return np.frombuffer(data, np.uint8)

    def decoder(self):
        return _Decoder()


class _Decoder:
    def __init__(self):
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, ids, final=False):
        return self._utf8.decode(np.asarray(ids, np.uint8).tobytes(), final)


def read_bytes(symbols, lengths, final):
    """`Tokenizer.read_symbols` of symbols that are bytes; of those behind these nothing is read."""
    place = tf.range(tf.shape(symbols)[1])[None]
    data = valid_rows(symbols, lengths) & (symbols < 256)
    # What begins with the last first byte of a character: nothing before it goes on behind it.
    lead = tf.reduce_max(tf.where(data & (symbols >= 0xC0), place, -1), axis=1)
    first = tf.gather(symbols, tf.maximum(lead, 0), batch_dims=1)
    after = tf.reduce_sum(tf.cast(data & (place > lead[:, None]), tf.int32), axis=1)
    missing = tf.where(first >= 0xF0, 3, tf.where(first >= 0xE0, 2, 1)) > after
    lengths = tf.where((lead >= 0) & missing & ~final, lead, lengths)
    return _text_of(symbols, data & (place < lengths[:, None])), lengths


def _text_of(data, there):
    table = tf.constant([bytes([byte]) for byte in range(256)])
    pieces = tf.where(there, tf.gather(table, tf.where(there, data, 0)), "")
    return _valid_utf8(tf.strings.reduce_join(pieces, axis=1))


def _valid_utf8(texts):
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
