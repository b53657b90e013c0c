"""`HuggingFaceTokenizer`: the tokenizer of a Hugging Face model."""

import codecs
import functools
import json
import re
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.files import read_text
from tfgen.preprocessing.tokenizer import Tokenizer, valid_rows, valid_text

# The largest there are, of a quarter of a million tokens, take half of it.
MAX_FILE_BYTES = 1 << 26
MAX_VOCABULARY = 1 << 24
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
# The parts of a definition that may put a space before a text.
_PUTTING_SPACES = ("normalizer", "pre_tokenizer")
_FALLBACK = re.compile("<0x([0-9A-F]{2})>")


@keras.saving.register_keras_serializable(package="tfgen")
class HuggingFaceTokenizer(Tokenizer):
    """What a `tokenizer.json` describes, run by the package `tokenizers`.

    Tokens are pieces of words. The text of a special token, such as `"<|endoftext|>"`, is that one
    token; read back it is nothing. A SavedModel cannot hold this tokenizer: its `tokenize` leaves
    the graph.

    Llama's older tokenizers put a space before a text. `decode` reads a whole text and takes it off
    again; `detokenize` and `decoder` read what stands behind other text, where a space is a space.

    Args:
        definition: The content of a `tokenizer.json`, a text.
        vocabulary_size: Token ids of the model, which may have more than the tokenizer, or fewer:
            then a text that needs a token beyond them is refused. None takes the tokenizer's.
        start_id: The id that stands before every text; None takes that of a line break.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        InputError: If the package `tokenizers` is not installed.
        ValueError: If the definition is none, or an id is outside the vocabulary.
    """

    in_graph = False

    def __init__(self, definition, vocabulary_size=None, start_id=None, **kwargs):
        super().__init__(**kwargs)
        self._tokenizer = _read(definition)
        self.definition = definition
        _decoder_of(self._parts["decoder"])  # refuses what is not known
        least = 1 + max(self._tokenizer.get_vocab().values(), default=-1)
        size = least if vocabulary_size is None else vocabulary_size
        if not (type(size) is int and 1 <= size <= MAX_VOCABULARY):
            raise ValueError(
                f"vocabulary_size must be an integer from 1 up to {MAX_VOCABULARY}. "
                f"Received: vocabulary_size={size!r}"
            )
        if start_id is not None and not (type(start_id) is int and 0 <= start_id < size):
            raise ValueError(
                f"start_id must be one of {size} ids, or None. Received: start_id={start_id!r}"
            )
        self._size = size
        self._lacks_tokens = least > size
        self._start_id = start_id

    @classmethod
    def from_file(cls, path, **kwargs):
        """Reads a `tokenizer.json`. The file is data: it names no code.

        Raises:
            InputError: If it is missing, too large or no such file.
        """
        path = Path(path)
        try:
            # Half, so that a file of `save_tokenizer` can hold it as a text within a text.
            return cls(read_text(path, MAX_FILE_BYTES // 2), **kwargs)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        except InputError:
            raise
        except ValueError as error:  # UnicodeDecodeError too
            raise InputError(f"{path} is no tokenizer of tfgen: {error}") from error

    @property
    def vocabulary_size(self):
        return self._size

    @property
    def unknown_id(self):
        # Bytes are never unknown, and files name the token that ends a text as the unknown one.
        byte_level, _ = _decoder_of(self._parts["decoder"])
        token = None if byte_level else self._parts["model"].get("unk_token")
        return None if token is None else self.token_id(token)

    @property
    def start_id(self):
        return super().start_id if self._start_id is None else self._start_id

    @property
    def symbols(self):
        symbols = []
        for token in range(self.vocabulary_size):
            content = self._tokenizer.id_to_token(token)
            text = self._table[token].decode("utf-8", "replace") or content or f"<{token}>"
            symbols.append(text if text.isprintable() else repr(text)[1:-1])
        return symbols

    def token_id(self, token):
        """The id of a token by its text, or None."""
        found = self._tokenizer.token_to_id(token)
        return None if found is None or found >= self._size else found

    def token(self, token_id):
        """The text of a token by its id, or None."""
        return self._tokenizer.id_to_token(token_id) if token_id < self._size else None

    # Keras wraps every item of a list or dict that is set as an attribute, but none of these.

    @functools.cached_property
    def _parts(self):
        """The definition as the package writes it: files of its older versions look otherwise."""
        return json.loads(self._tokenizer.to_str())

    @functools.cached_property
    def _table(self):
        """The bytes of each id, an array of objects."""
        byte_level, replacements = _decoder_of(self._parts["decoder"])
        special = {token["id"] for token in self._parts["added_tokens"] if token["special"]}
        table = np.full([self.vocabulary_size], b"", object)
        for content, token in self._tokenizer.get_vocab().items():
            if token in special or token >= self._size:
                continue
            if byte_level:
                table[token] = bytes_of(content)
                continue
            for pattern, replacement in replacements:
                content = content.replace(pattern, replacement)
            byte = _FALLBACK.fullmatch(content)
            table[token] = bytes.fromhex(byte[1]) if byte else content.encode("utf-8")
        if self.unknown_id is not None:
            table[self.unknown_id] = _REPLACEMENT
        return table

    @functools.cached_property
    def _inside(self):
        """The tokenizer without the space that this one puts before a text."""
        changes = {name: _without_space(self._parts[name]) for name in _PUTTING_SPACES}
        parts = {**self._parts, **changes}
        return self._tokenizer if parts == self._parts else _read(json.dumps(parts))

    def tokenize(self, texts):
        return self._tokenize(texts, lambda: self._tokenizer)

    def tokenize_inside(self, texts):
        return self._tokenize(texts, lambda: self._inside)

    def _tokenize(self, texts, tokenizer):
        def function(texts):
            texts = [text.decode("utf-8", "replace") for text in texts]
            rows = [x.ids for x in tokenizer().encode_batch(texts, add_special_tokens=False)]
            for row in rows:
                self._check(row)
            lengths = np.array([len(row) for row in rows], np.int32)
            ids = np.zeros([len(rows), max(lengths, default=0)], np.int32)
            for index, row in enumerate(rows):
                ids[index, : len(row)] = row
            return ids, lengths

        if tf.executing_eagerly():
            # So that what is refused is refused in its own words.
            ids, lengths = function(tf.convert_to_tensor(texts).numpy())
            return tf.constant(ids), tf.constant(lengths)
        ids, lengths = tf.numpy_function(function, [texts], [tf.int32, tf.int32])
        batch = tf.convert_to_tensor(texts).shape[0]
        return tf.ensure_shape(ids, [batch, None]), tf.ensure_shape(lengths, [batch])

    def detokenize(self, ids, lengths=None):
        table = tf.constant(self._table, tf.string)
        pieces = tf.where(valid_rows(ids, lengths), tf.gather(table, ids), "")
        texts = tf.strings.reduce_join(pieces, axis=1)
        return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")

    def encode(self, text):
        ids = self._tokenizer.encode(valid_text(text), add_special_tokens=False).ids
        self._check(ids)
        return np.array(ids, self._encoded_dtype)

    def _check(self, ids):
        """Refuses ids that the model does not have."""
        if self._lacks_tokens and max(ids, default=0) >= self._size:
            token = max(ids)
            raise InputError(
                f"The text needs the token {self._tokenizer.id_to_token(token)!r}, whose id "
                f"{token} is beyond the model's vocabulary of {self._size}"
            )

    def decode(self, ids):
        text = super().decode(ids)
        return text if self._inside is self._tokenizer else text.removeprefix(" ")

    def decoder(self):
        return TableDecoder(self._table)

    def get_config(self):
        return {
            "name": self.name,
            "definition": self.definition,
            "vocabulary_size": self.vocabulary_size,
            "start_id": self._start_id,
        }


class TableDecoder:
    """Gives a text piece by piece, of an array of the bytes of each id."""

    def __init__(self, table):
        self._table = table
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, ids, final=False):
        return self._utf8.decode(b"".join(self._table[np.asarray(ids, np.int64)]), final)


def _read(definition):
    """The object of the package `tokenizers` that a text defines."""
    try:
        import tokenizers
    except ImportError as error:
        raise InputError(
            "A Hugging Face tokenizer needs the package tokenizers: "
            "pip install 'tfgen-sequences[hf]'"
        ) from error
    if not isinstance(definition, str):
        raise ValueError(
            f"definition must be the text of a tokenizer.json. Received: definition={definition!r}"
        )
    try:
        tokenizer = tokenizers.Tokenizer.from_str(definition)
    except Exception as error:  # the package raises nothing narrower
        [line, *_] = str(error).splitlines() or [""]
        raise ValueError(f"The definition of the tokenizer is not valid: {line}") from error
    # A text is taken whole, and padded by tfgen.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _decoder_of(decoder):
    """How tokens become text: `(byte_level, replacements)`.

    Byte-level tokens write each byte as a printable character (GPT-2, Llama 3). In others a sign
    stands for the space, and `<0x0A>` for a byte that no token has (Llama 2).
    """
    steps = [] if decoder is None else steps_of(decoder, "decoders")
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"]:
        return True, []
    replacements = []
    for step in steps:
        if step["type"] == "Metaspace":
            replacements.append((step["replacement"], " "))
        elif step["type"] == "Replace" and "String" in step["pattern"]:
            replacements.append((step["pattern"]["String"], step["content"]))
        elif step["type"] not in ("ByteFallback", "Fuse", "Strip"):
            break
    else:
        if replacements:
            return False, replacements
    raise ValueError(
        "The decoder of the tokenizer must be ByteLevel, Metaspace or Replace with ByteFallback, "
        f"Fuse and Strip. Received: decoder={'+'.join(kinds) or None}"
    )


def steps_of(part, key):
    """A part of a tokenizer as a flat list."""
    if part["type"] != "Sequence":
        return [part]
    return [step for inner in part[key] for step in steps_of(inner, key)]


def _without_space(part):
    """A normaliser or pre-tokenizer without the space that it puts before a text, or None."""
    if part is None or part["type"] == "Prepend":
        return None
    if part["type"] == "Metaspace":
        return {**part, "prepend_scheme": "never"}
    if part["type"] == "ByteLevel":
        return {**part, "add_prefix_space": False}
    if part["type"] != "Sequence":
        return part
    key = "normalizers" if "normalizers" in part else "pretokenizers"
    return {**part, key: [x for x in map(_without_space, part[key]) if x is not None]}


@functools.cache
def byte_of_character():
    """The byte that each character of a byte-level token stands for, after GPT-2."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    shifted = {chr(256 + index): byte for index, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | shifted


def bytes_of(token):
    """The bytes of a byte-level token; a token that was added to them stands for itself."""
    table = byte_of_character()
    if all(character in table for character in token):
        return bytes(table[character] for character in token)
    return token.encode("utf-8")
