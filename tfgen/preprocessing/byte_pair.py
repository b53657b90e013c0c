"""`BytePairTokenizer`: byte-level BPE, the subwords of GPT-2 and Llama 3, inside the graph."""

import codecs
import functools

import keras
import numpy as np
import tensorflow as tf

from tfgen.data.memory import each_text
from tfgen.errors import InputError
from tfgen.preprocessing.byte import read_bytes
from tfgen.preprocessing.byte_pair_definition import (
    expression,
    of_bytes,
    read_definition,
    refusal,
)
from tfgen.preprocessing.byte_pair_merges import Merges
from tfgen.preprocessing.byte_pair_words import ADDED, words
from tfgen.preprocessing.hugging_face import (
    MAX_VOCABULARY,
    TableDecoder,
    byte_of_character,
    bytes_of,
)
from tfgen.preprocessing.tokenizer import Spelling, Tokenizer, valid_rows, valid_text

DEFAULT_VOCABULARY = 1024


@keras.saving.register_keras_serializable(package="tfgen")
class BytePairTokenizer(Tokenizer):
    """Pieces of words as tokens: bytes, and what pairs of tokens were merged to.

    This is byte-level BPE (Sennrich et al., arXiv:1508.07909; over bytes: GPT-2). Any text has
    tokens, and they give it back exactly. They are those of the package `tokenizers`, found in
    TensorFlow's graph; only `adapt` needs the package itself.

    Args:
        definition: What the package calls a `tokenizer.json`, a text; None are the 256 bytes until
            `adapt` has found more.
        vocabulary_size: With a definition, token ids of the model, which may have more than the
            tokenizer, or fewer: then a text that needs a token beyond them is refused; None takes
            the tokenizer's. Without one, how many tokens `adapt` finds at most; None is 1024.
        start_id: The id that stands before every text; None takes that of a line break.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If the definition is of something else, see `refusal`, or an argument out of
            its range.

    Example:

    >>> BytePairTokenizer().encode("hé").tolist()
    [71, 127, 102]
    """

    def __init__(self, definition=None, vocabulary_size=None, start_id=None, **kwargs):
        super().__init__(**kwargs)
        self._adapts = definition is None
        self._wanted = vocabulary_size
        self._set(of_bytes() if definition is None else definition, start_id)

    def _set(self, definition, start_id):
        parts = read_definition(definition)
        found = refusal(parts)
        if found:
            raise ValueError(f"The definition must be of byte-level BPE: {found}")
        self.definition = definition
        self._added = {token["content"]: token for token in parts["added_tokens"]}
        ids = {**parts["model"]["vocab"], **{t: a["id"] for t, a in self._added.items()}}
        for token, number in ids.items():
            if type(number) is not int or not 0 <= number < MAX_VOCABULARY:
                raise ValueError(f"The id of {token!r} must be from 0 up to {MAX_VOCABULARY - 1}")
        self._ids = ids
        self._least = 1 + max(ids.values())
        low, size = (256, self._least) if self._adapts else (1, self._wanted or self._least)
        wanted = size if self._wanted is None else self._wanted
        if not (type(wanted) is int and low <= wanted <= MAX_VOCABULARY):
            raise ValueError(
                f"vocabulary_size must be an integer from {low} up to {MAX_VOCABULARY}. "
                f"Received: vocabulary_size={self._wanted!r}"
            )
        self._size = size
        if start_id is not None and not (type(start_id) is int and 0 <= start_id < size):
            raise ValueError(
                f"start_id must be one of {size} ids, or None. Received: start_id={start_id!r}"
            )
        self._start_id = start_id
        vocabulary = parts["model"]["vocab"]
        pairs = parts["model"]["merges"]
        try:
            pairs = [(vocabulary[a], vocabulary[b], vocabulary[a + b]) for a, b in pairs]
        except KeyError as error:
            raise ValueError(f"A merge needs {error}, which is no token") from error
        pairs = np.array(pairs, np.int64).reshape(-1, 3)
        self._merges = Merges(pairs[:, :2], pairs[:, 2], self._least)
        of_byte = {byte: vocabulary[c] for c, byte in byte_of_character().items()}
        self._of_byte = np.array([of_byte[byte] for byte in range(256)], np.int32)
        # What is a token as it stands, by its bytes.
        whole = {ADDED + t.encode("utf-8"): a["id"] for t, a in self._added.items()}
        if parts["model"].get("ignore_merges"):
            whole |= {bytes_of(t): number for t, number in vocabulary.items()}
        with tf.init_scope():  # also while a graph is being made
            hashes = _hash(tf.constant([*whole], tf.string)).numpy()
        order = np.argsort(hashes)
        self._hashes = np.append(hashes[order], np.iinfo(np.int64).max)
        self._whole = np.array([*whole, b""], object)[np.append(order, len(order))]
        self._whole_ids = np.array([*whole.values(), 0], np.int32)[np.append(order, len(order))]
        self._expression = expression(parts)
        for name in ("_token_of", "_table", "spelling", "_newline", "_encode_graph"):
            self.__dict__.pop(name, None)

    @property
    def vocabulary_size(self):
        return self._size

    @property
    def start_id(self):
        return self._newline if self._start_id is None else self._start_id

    @property
    def symbols(self):
        symbols = []
        for token in range(self.vocabulary_size):
            text = self._table[token].decode("utf-8", "backslashreplace")
            text = text or self._token_of.get(token) or f"<{token}>"
            symbols.append(text if text.isprintable() else repr(text)[1:-1])
        return symbols

    @property
    def texts(self):
        """What each id is read as: a text, or bytes that are none; of special tokens their name."""
        found = []
        for number, data in enumerate(self._table):
            try:
                found.append(data.decode("utf-8") or ("special", self._token_of.get(number)))
            except UnicodeDecodeError:
                found.append(data)
        return found

    def token_id(self, token):
        """The id of a token by its text in the definition, or None."""
        found = self._ids.get(token)
        return None if found is None or found >= self._size else found

    def token(self, token_id):
        """The text of a token in the definition by its id, or None."""
        return self._token_of.get(token_id) if token_id < self._size else None

    # Keras wraps every item of a list or dict that is set as an attribute, but none of these.

    @functools.cached_property
    def _newline(self):
        return int(self.encode("\n")[0])

    @functools.cached_property
    def _token_of(self):
        return {number: token for token, number in self._ids.items()}

    @functools.cached_property
    def _table(self):
        """The bytes of each id, an array of objects; of special tokens none."""
        table = np.full([self._size], b"", object)
        for content, number in self._ids.items():
            token = self._added.get(content)
            if number < self._size and not (token and token["special"]):
                table[number] = content.encode("utf-8") if token else bytes_of(content)
        return table

    @functools.cached_property
    def spelling(self):
        # A special token, of which nothing is read, is a symbol behind the bytes.
        rows = [list(data) or [256 + number] for number, data in enumerate(self._table)]
        return Spelling(
            np.array([symbol for row in rows for symbol in row], np.int32),
            np.cumsum([0, *map(len, rows)]).astype(np.int32),
            max(map(len, rows)),
        )

    def adapt(self, chunks):
        """Finds the merges of the texts.

        Raises:
            InputError: If the package `tokenizers` is not installed, or there is no text.
        """
        try:
            import tokenizers
        except ImportError as error:
            raise InputError(
                "Subwords (preprocessing.tokenizer=bpe) are found by the package tokenizers: "
                "pip install 'tfgen-sequences[subwords]'"
            ) from error
        made = tokenizers.Tokenizer.from_str(of_bytes())
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=DEFAULT_VOCABULARY if self._wanted is None else self._wanted,
            min_frequency=2,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        some = False

        def texts():
            nonlocal some
            for chunk in each_text(chunks):
                some = some or bool(chunk)
                yield valid_text(chunk)

        made.train_from_iterator(texts(), trainer)
        if not some:
            raise InputError("There is no text to find subwords in: the text is empty")
        self._adapts, self._wanted = False, None
        self._set(made.to_str(), self._start_id)
        return self

    def tokenize(self, texts):
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        values, lengths = self._tokens(texts)
        if self._least > self._size:
            beyond = [self._beyond(number) for number in range(self._size, self._least)]
            most = tf.reduce_max(tf.concat([values, [0]], axis=0)) - self._size
            message = tf.gather(tf.constant(beyond), tf.maximum(most, 0))
            # Else what reads the tokens may fail first, in words of its own.
            with tf.control_dependencies([tf.debugging.Assert(most < 0, [message])]):
                values = tf.identity(values)
        ids = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False).to_tensor()
        return tf.ensure_shape(ids, [None, None]), lengths

    def _tokens(self, texts):
        """The tokens of valid texts, one text after the other, and how many each one has."""
        # RE2 takes the first of what it may, the package the longest.
        added = sorted(self._added, key=len, reverse=True)
        found, rows = words(texts, self._expression, added)
        # A text repeats its words: each is merged once.
        found, index = tf.unique(found)
        values, lengths = self._merged(found)
        tokens = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
        values, counts = tf.gather(tokens, index).values, tf.gather(lengths, index)
        return values, tf.math.unsorted_segment_sum(counts, rows, tf.size(texts))

    def _merged(self, found):
        """The tokens of words, one word after the other, and how many each one has."""
        lengths = tf.strings.length(found)
        starts = tf.cumsum(lengths, exclusive=True)[:, None]
        # What word each byte is of. Not tf.repeat, which makes rows as long as the longest word.
        number = tf.scatter_nd(starts, tf.ones_like(lengths), [tf.reduce_sum(lengths)])
        number = tf.cumsum(number) - 1
        data = tf.io.decode_raw(tf.strings.reduce_join(found), tf.uint8)
        ids = tf.gather(tf.constant(self._of_byte), tf.cast(data, tf.int32))
        if len(self._whole) == 1:
            result = self._merges(ids, number)
        else:
            hashes = _hash(found)
            entry = tf.searchsorted(tf.constant(self._hashes), hashes)
            known = tf.gather(tf.constant(self._whole, tf.string), entry) == found
            whole = tf.gather(tf.constant(self._whole_ids), entry)
            rest = tf.where(~tf.gather(known, number))
            merged = self._merges(tf.gather_nd(ids, rest), tf.gather_nd(number, rest))
            result = tf.scatter_nd(rest, merged + 1, tf.shape(ids, tf.int64)) - 1
            place = tf.boolean_mask(starts, known)
            result = tf.tensor_scatter_nd_update(result, place, tf.boolean_mask(whole, known))
        counts = tf.cast(result >= 0, tf.int32)
        counts = tf.math.unsorted_segment_sum(counts, number, tf.size(found))
        return tf.boolean_mask(result, result >= 0), counts

    def _beyond(self, number):
        return (
            f"The text needs the token {self._token_of.get(number)!r}, whose id {number} is beyond "
            f"the model's vocabulary of {self._size}"
        )

    def detokenize(self, ids, lengths=None):
        pieces = tf.gather(tf.constant(self._table, tf.string), ids)
        return _joined(tf.where(valid_rows(ids, lengths), pieces, ""))

    def detokenize_without(self, ids, lengths, cut):
        spelling = self.spelling
        pieces = tf.gather(tf.constant(self._table, tf.string), ids)
        sizes = tf.gather(tf.constant(np.diff(spelling.starts)), ids)
        sizes = tf.where(valid_rows(ids, lengths), sizes, 0)
        left = (tf.reduce_sum(sizes, axis=1) - cut)[:, None] - tf.cumsum(sizes, 1, exclusive=True)
        # No longer than the bytes: a special token has a size, but nothing to read.
        kept = tf.clip_by_value(left, 0, tf.minimum(sizes, tf.strings.length(pieces)))
        return _joined(tf.strings.substr(pieces, tf.zeros_like(kept), kept))

    def read_symbols(self, symbols, lengths, final):
        return read_bytes(symbols, lengths, final)

    @functools.cached_property
    def _encode_graph(self):
        specs = [tf.TensorSpec([None], tf.string)]
        return tf.function(self._tokens, input_signature=specs, autograph=False)

    def encode(self, text):
        with tf.init_scope():  # now, also while a graph is being made
            values, _ = self._encode_graph(tf.constant([valid_text(text)], tf.string))
        most = max(values.numpy(), default=0) if self._least > self._size else 0
        if most >= self._size:
            raise InputError(self._beyond(int(most)))
        return values.numpy().astype(self._encoded_dtype)

    def decoder(self):
        return TableDecoder(self._table)

    def symbol_decoder(self):
        return _SymbolDecoder()

    def spelled(self, ids):
        symbols, starts, _ = self.spelling
        parts = [symbols[starts[n] : starts[n + 1]] for n in np.asarray(ids).tolist()]
        return np.concatenate([np.zeros([0], np.int32), *parts])

    def get_config(self):
        return {
            "name": self.name,
            "definition": None if self._adapts else self.definition,
            "vocabulary_size": self._wanted if self._adapts else self._size,
            "start_id": self._start_id,
        }


class _SymbolDecoder:
    def __init__(self):
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, symbols, final=False):
        # Those behind the bytes are special tokens, of which nothing is read.
        return self._utf8.decode(symbols[symbols < 256].astype(np.uint8).tobytes(), final)


def _joined(pieces):
    texts = tf.strings.reduce_join(pieces, axis=1)
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")


def _hash(texts):
    return tf.strings.to_hash_bucket_fast(texts, 1 << 62)
