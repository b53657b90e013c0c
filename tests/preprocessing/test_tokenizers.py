"""Tokenizers: exact round trips, the graph and NumPy alike, and files that are only data."""

import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.preprocessing import (
    TOKENIZERS,
    BytePairTokenizer,
    ByteTokenizer,
    CharacterTokenizer,
    WordTokenizer,
    build_tokenizer,
    load_tokenizer,
    save_tokenizer,
)
from tfgen.recipe import PreprocessingConfig

ROOT = Path(__file__).parents[2]
FIXED = [
    "",
    "plain",
    "a\0b\0",
    "\r\n\n\r\t\x01\x1f\x7f\x80\x85\x9f",
    "e\u0301 é \u200d\u200b\u2028\u202e",
    "👩‍👩‍👧‍👦 🏳️‍🌈 😀",
    "\ufeffmark\ufeff",
    "\ufffd \ufffe \uffff \U0001ffff \U0010ffff",
    "漢字かな한국어 עברית العربية ไทย",
    "x" * 300,
]


def random_texts(seed, count=60):
    """Texts of code points from all of Unicode, of every length of UTF-8."""
    rng = random.Random(seed)
    ranges = [(0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]
    return [
        "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(rng.randrange(12)))
        for _ in range(count)
    ]


TEXTS = FIXED + random_texts(0)
CHARACTERS = "".join(sorted(set("".join(TEXTS))))
BOTH = [
    ByteTokenizer(),
    CharacterTokenizer(CHARACTERS),
    WordTokenizer().adapt([*TEXTS, "".join(TEXTS), "aé漢😀e\u0301\0b"]),
]
BOTH.append(pytest.param(BytePairTokenizer(), marks=pytest.mark.long))


def in_graph(function, *specs):
    return tf.function(function, autograph=False, input_signature=specs)


def strings(tensor):
    return [text.decode("utf-8") for text in tensor.numpy().tolist()]


STRINGS = tf.TensorSpec([None], tf.string)
IDS = tf.TensorSpec([None, None], tf.int32)
LENGTHS = tf.TensorSpec([None], tf.int32)


# Round trips


@pytest.mark.parametrize("tokenizer", BOTH)
def test_any_text_comes_back_exactly(tokenizer):
    ids, lengths = tokenizer.tokenize(tf.constant(TEXTS))
    assert ids.dtype == lengths.dtype == tf.int32
    assert strings(tokenizer.detokenize(ids, lengths)) == TEXTS
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("tokenizer", BOTH)
def test_encode_equals_tokenize(tokenizer):
    ids, lengths = tokenizer.tokenize(tf.constant(TEXTS))
    assert ids.shape == [len(TEXTS), max(lengths.numpy())]
    for text, row, length in zip(TEXTS, ids.numpy(), lengths.numpy()):
        encoded = tokenizer.encode(text)
        np.testing.assert_array_equal(row[:length], encoded)
        assert len(encoded) == length and not row[length:].any()


@pytest.mark.parametrize("tokenizer", BOTH)
def test_all_of_it_runs_in_a_graph_with_any_batch(tokenizer):
    tokenize = in_graph(tokenizer.tokenize, STRINGS)
    detokenize = in_graph(tokenizer.detokenize, IDS, LENGTHS)
    for texts in (TEXTS, TEXTS[:1], TEXTS[3:8], []):
        ids, lengths = tokenize(tf.constant(texts, tf.string))
        eager_ids, eager_lengths = tokenizer.tokenize(tf.constant(texts, tf.string))
        np.testing.assert_array_equal(ids, eager_ids)
        np.testing.assert_array_equal(lengths, eager_lengths)
        assert strings(detokenize(ids, lengths)) == texts
    assert tokenize.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("tokenizer", [*BOTH, CharacterTokenizer()])
def test_no_texts_and_empty_texts(tokenizer):
    for texts in ([], [""], ["", ""]):
        ids, lengths = tokenizer.tokenize(tf.constant(texts, tf.string))
        assert ids.shape == [len(texts), 0]
        assert lengths.numpy().tolist() == [0] * len(texts)
        assert strings(tokenizer.detokenize(ids, lengths)) == texts
        assert strings(tokenizer.detokenize(ids)) == texts
    assert tokenizer.encode("").shape == (0,)
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize(
    ("tokenizer", "ids"), [(ByteTokenizer(), [97, 98, 99]), (CharacterTokenizer("abc"), [1, 2, 3])]
)
def test_lengths_tell_what_counts(tokenizer, ids):
    ids = tf.constant([ids, ids])
    assert strings(tokenizer.detokenize(ids, tf.constant([1, 3]))) == ["a", "abc"]
    assert strings(tokenizer.detokenize(ids, tf.constant([0, 2]))) == ["", "ab"]
    assert strings(tokenizer.detokenize(ids)) == ["abc", "abc"]
    ids, lengths = tf.cast(ids, tf.int64), tf.constant([1, 3], tf.int64)
    assert strings(tokenizer.detokenize(ids, lengths)) == ["a", "abc"]


def test_words_take_the_space_before_them_and_what_is_unknown_is_counted_as_one():
    tokenizer = WordTokenizer().adapt(["to be or\nnot  to be\t"])
    assert tokenizer.vocabulary == ["\t", "\n", " ", " be", " or", " to", "not", "to"]
    ids = tokenizer.encode("to be mad\nto")
    assert ids.tolist() == [8, 4, 0, 2, 8] and ids.dtype == np.uint8
    assert tokenizer.decode(ids) == "to be\ufffd\nto"
    # What goes on from a prompt stands behind it as it would in the text.
    prompt, rest = "to be", tokenizer.decode(tokenizer.encode("to be or\nnot")[2:])
    assert prompt + rest == "to be or\nnot"
    few = WordTokenizer(max_vocabulary=2).adapt(["b b b a a a c\n"])
    assert few.vocabulary == ["\n", " a"]  # a line break, and the most frequent word
    with pytest.raises(ValueError, match="vocabulary with 'a b'"):
        WordTokenizer(["a b"])
    with pytest.raises(ValueError, match="repeats a token. Received: vocabulary with 'a'"):
        WordTokenizer(["a", "a"])


# Called as layers


@pytest.mark.parametrize("tokenizer", BOTH)
@pytest.mark.parametrize(
    "wrap", [list, tuple, np.array, lambda texts: np.array(texts, object), tf.constant]
)
def test_a_call_takes_texts_as_people_hold_them(tokenizer, wrap):
    ids, lengths = tokenizer(wrap(["ab", "é"]))
    expected_ids, expected_lengths = tokenizer.tokenize(tf.constant(["ab", "é"]))
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_array_equal(lengths, expected_lengths)


@pytest.mark.parametrize("tokenizer", BOTH)
@pytest.mark.parametrize("text", ["ab", b"ab"])
def test_a_single_text_is_no_batch(tokenizer, text):
    with pytest.raises(ValueError, match="batch of texts. Received: texts=b?'ab'"):
        tokenizer(text)


@pytest.mark.parametrize("tokenizer", BOTH)
def test_a_lone_surrogate_is_a_replacement_character(tokenizer):
    expected = tokenizer.encode("a\ufffdb\ufffd\ufffd")
    np.testing.assert_array_equal(tokenizer.encode("a\ud800b\udc00\udfff"), expected)
    np.testing.assert_array_equal(tokenizer(["a\ud800b\udc00\udfff"])[0][0], expected)


@pytest.mark.parametrize("tokenizer", BOTH)
def test_a_tokenizer_has_no_weights_and_maps_a_dataset(tokenizer):
    assert not tokenizer.variables
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS[:4]).batch(3).map(tokenizer)
    ids, _ = next(iter(dataset))
    np.testing.assert_array_equal(ids, tokenizer.tokenize(tf.constant(TEXTS[:3]))[0])


@pytest.mark.parametrize("tokenizer", BOTH)
def test_a_saved_model_holds_it(tokenizer, tmp_path):
    module = tf.Module()
    module.there = in_graph(tokenizer.tokenize, STRINGS)
    module.back = in_graph(tokenizer.detokenize, IDS, LENGTHS)
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    assert strings(loaded.back(*loaded.there(tf.constant(TEXTS)))) == TEXTS


# Bytes that are no UTF-8


def wrong_bytes():
    """Every short sequence of the bytes at which the rules of UTF-8 change, and random ones."""
    edges = bytes.fromhex("00417f808f909fa0bfc0c1c2dfe0e1ecedeeefbbf0f1f4f5f8feff")
    short = [bytes(x) for n in (1, 2) for x in itertools.product(edges, repeat=n)]
    rng = random.Random(0)
    long = [bytes(rng.choices(edges, k=rng.randint(3, 9))) for _ in range(3000)]
    cut = ["😀漢é".encode()[a:b] for a in range(9) for b in range(a, 10)]
    return short + long + cut


WRONG = wrong_bytes()


def test_generated_bytes_are_read_alike_in_the_graph_and_in_python():
    tokenizer = ByteTokenizer()
    ids = tf.ragged.constant([list(data) for data in WRONG]).to_tensor()
    lengths = tf.constant([len(data) for data in WRONG])
    expected = [data.decode("utf-8", "replace") for data in WRONG]
    assert strings(tokenizer.detokenize(ids, lengths)) == expected
    assert [tokenizer.decode(list(data)) for data in WRONG] == expected


@pytest.mark.parametrize("tokenizer", BOTH)
def test_wrong_bytes_in_a_served_text_become_replacement_characters(tokenizer):
    expected = [data.decode("utf-8", "replace") for data in WRONG]
    ids, lengths = in_graph(tokenizer.tokenize, STRINGS)(tf.constant(WRONG))
    for text, row, length in zip(expected, ids.numpy(), lengths.numpy()):
        np.testing.assert_array_equal(row[:length], tokenizer.encode(text))


@pytest.mark.parametrize("tokenizer", BOTH)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_decoder_gives_whole_characters_as_they_come(tokenizer, size):
    text = "aé漢😀e\u0301\0b"
    decoder, ids, pieces = tokenizer.decoder(), tokenizer.encode(text), []
    for start in range(0, len(ids), size):
        pieces.append(decoder.decode(ids[start : start + size]))
        assert text.startswith("".join(pieces))  # never half a character
    assert "".join(pieces) == text
    assert decoder.decode([], final=True) == ""


def test_a_decoder_waits_for_the_last_byte():
    decoder = ByteTokenizer().decoder()
    given = [decoder.decode([byte]) for byte in "é😀".encode()]
    assert given == ["", "é", "", "", "", "😀"]
    assert decoder.decode([0xF0, 0x9F]) == ""
    assert decoder.decode([], final=True) == "\ufffd"
    assert decoder.decode([97]) == "a"


def test_a_decoder_in_pieces_gives_what_it_gives_at_once():
    tokenizer = ByteTokenizer()
    for data in WRONG[::7]:
        decoder = tokenizer.decoder()
        pieces = [decoder.decode([byte]) for byte in data] + [decoder.decode([], final=True)]
        assert "".join(pieces) == tokenizer.decode(list(data))


def test_symbols_are_read_in_pieces_as_they_are_at_once():
    tokenizer, whole = ByteTokenizer(), "aé漢😀b".encode()

    def read(rows, final):
        symbols = tf.ragged.constant([[*row, 97] for row in rows], tf.int32).to_tensor()
        counts = tf.constant([len(row) for row in rows])  # what does not count is not read
        found, counts = tokenizer.read_symbols(symbols, counts, tf.fill([len(rows)], final))
        return strings(found), counts.numpy()

    for cut in (1, 2, 3, 5):
        begun, counts = read([data[:cut] for data in WRONG], False)
        assert all(min(len(data), cut) - count < 4 for data, count in zip(WRONG, counts))
        rest, _ = read([data[count:] for data, count in zip(WRONG, counts)], True)
        expected = [data.decode("utf-8", "replace") for data in WRONG]
        assert [one + other for one, other in zip(begun, rest)] == expected
    texts, counts = read([whole[:size] for size in range(len(whole) + 1)], False)
    assert texts == ["", "a", "a", *["aé"] * 3, *["aé漢"] * 4, "aé漢😀", "aé漢😀b"]


# Characters


def test_ids_of_characters():
    tokenizer = CharacterTokenizer("cab")
    assert tokenizer.vocabulary == "abc" and tokenizer.vocabulary_size == 4
    assert tokenizer.unknown_id == 0
    ids, lengths = tokenizer.tokenize(tf.constant(["cab", "b"]))
    assert ids.numpy().tolist() == [[3, 1, 2], [2, 0, 0]]
    assert lengths.numpy().tolist() == [3, 1]
    assert CharacterTokenizer(["c", "a", "b"]).vocabulary == "abc"


@pytest.mark.parametrize("unseen", ["!", "A", "d", "\0", "é", "漢", "😀", "\U0010ffff"])
def test_an_unseen_character_is_id_0_and_comes_back_as_the_replacement_character(unseen):
    tokenizer = CharacterTokenizer("abc")
    text = f"a{unseen}c"
    ids, lengths = tokenizer.tokenize(tf.constant([text]))
    assert ids.numpy().tolist() == [tokenizer.encode(text).tolist()] == [[1, 0, 3]]
    assert strings(tokenizer.detokenize(ids, lengths)) == [tokenizer.decode(ids[0])] == ["a\ufffdc"]


def test_a_replacement_character_of_the_vocabulary_has_its_own_id():
    tokenizer = CharacterTokenizer("a\ufffd")
    assert tokenizer.encode("a\ufffd!").tolist() == [1, 2, 0]
    assert tokenizer.tokenize(tf.constant([b"a\xff!"]))[0].numpy().tolist() == [[1, 2, 0]]


def test_adapt_finds_the_characters():
    tokenizer = CharacterTokenizer().adapt(["ba", "", "c😀\n"])
    assert tokenizer.vocabulary == "\nabc😀"
    assert tokenizer.encode("😀").tolist() == [5]
    assert CharacterTokenizer("xyz").adapt(["ab"]).vocabulary == "ab"
    with pytest.raises(InputError, match="text is empty"):
        CharacterTokenizer().adapt([""])


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, "d"), (2, "ad"), (3, "abd"), (4, "abcd"), (9, "abcde"), (None, "abcde")],
)
def test_the_most_frequent_are_kept_and_of_equals_the_lower(most, expected):
    # d: 3, a b c: 2, e: 1; over pieces, and in no order
    tokenizer = CharacterTokenizer(max_vocabulary=most).adapt(["dcb", "abdce", "da"])
    assert tokenizer.vocabulary == expected
    assert tokenizer.max_vocabulary == most


def test_every_character_there_is():
    everything = "".join(chr(n) for n in range(0x110000) if not 0xD800 <= n < 0xE000)
    tokenizer = CharacterTokenizer().adapt([everything])
    assert tokenizer.vocabulary == everything
    assert tokenizer.encode(everything).dtype == np.uint32
    ids, lengths = tokenizer.tokenize(tf.constant([everything]))
    np.testing.assert_array_equal(ids[0], np.arange(1, len(everything) + 1))
    assert strings(tokenizer.detokenize(ids, lengths)) == [everything]


@pytest.mark.parametrize(
    ("size", "dtype"), [(1, np.uint8), (255, np.uint8), (256, np.uint16), (65_536, np.uint32)]
)
def test_tokens_take_the_smallest_type(size, dtype):
    vocabulary = "".join(chr(0x10000 + n) for n in range(size))
    tokens = CharacterTokenizer(vocabulary).encode(vocabulary + "?")
    assert tokens.dtype == dtype
    assert tokens.tolist() == [*range(1, size + 1), 0]


def test_bytes_are_their_own_ids():
    tokenizer = ByteTokenizer().adapt(["nothing to learn"])
    assert (tokenizer.vocabulary_size, tokenizer.unknown_id) == (256, None)
    assert tokenizer.encode("hé").tolist() == [104, 195, 169]
    assert tokenizer.encode("hé").dtype == np.uint8


@pytest.mark.parametrize("tokenizer", BOTH)
def test_symbols_can_be_printed(tokenizer):
    assert len(tokenizer.symbols) == tokenizer.vocabulary_size
    assert all(symbol and symbol.isprintable() for symbol in tokenizer.symbols)
    assert len(set(tokenizer.symbols)) >= tokenizer.vocabulary_size - 1  # U+FFFD may be there twice


def test_symbols():
    assert CharacterTokenizer("a\n ").symbols == ["\ufffd", "\\n", " ", "a"]
    assert ByteTokenizer().symbols[96:98] == ["`", "a"]
    assert ByteTokenizer().symbols[10] == "\\x0a"


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"vocabulary": "aba"}, "'a'"),
        ({"vocabulary": ["ab"]}, "'ab'"),
        ({"vocabulary": [1]}, "with 1"),
        ({"vocabulary": 5}, "vocabulary=5"),
        ({"vocabulary": {"a": 1}}, "vocabulary="),
        ({"vocabulary": "\ud800"}, r"'\\ud800'"),
        ({"max_vocabulary": 0}, "max_vocabulary=0"),
        ({"max_vocabulary": 1.5}, "max_vocabulary=1.5"),
        ({"max_vocabulary": True}, "max_vocabulary=True"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, received):
    with pytest.raises(ValueError, match=f"Received: .*{received}"):
        CharacterTokenizer(**arguments)


# Configuration and files


@pytest.mark.parametrize("tokenizer", [*BOTH, CharacterTokenizer("ab", max_vocabulary=7, name="n")])
def test_a_configuration_is_all_there_is(tokenizer):
    config = json.loads(json.dumps(tokenizer.get_config()))
    again = type(tokenizer).from_config(config)
    assert again.get_config() == tokenizer.get_config()
    assert again.encode(CHARACTERS).tolist() == tokenizer.encode(CHARACTERS).tolist()
    saved = keras.saving.serialize_keras_object(tokenizer)
    keras_again = keras.saving.deserialize_keras_object(saved)
    assert keras_again.get_config() == tokenizer.get_config()


@pytest.mark.long
@pytest.mark.parametrize("tokenizer", BOTH)
def test_a_file_gives_the_same_tokenizer_in_another_process(tokenizer, tmp_path):
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    (tmp_path / "text").write_bytes("".join(TEXTS).encode())
    code = (
        "import sys, numpy as np\n"
        "from tfgen.preprocessing import load_tokenizer\n"
        "tokenizer = load_tokenizer('tokenizer.json')\n"
        "text = open('text', encoding='utf-8', newline='').read()\n"
        "np.save('ids.npy', tokenizer.encode(text))\n"
        "print(type(tokenizer).__name__, tokenizer.decode(np.load('ids.npy')) == text)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.stdout.split() == [type(tokenizer).__name__, "True"], result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "ids.npy"), tokenizer.encode("".join(TEXTS)))
    assert load_tokenizer(tmp_path / "tokenizer.json").get_config() == tokenizer.get_config()


GOOD = {"name": "c", "vocabulary": "ab", "max_vocabulary": None}
HOSTILE = {"class_name": "Lambda", "module": "os", "config": {}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not (valid JSON|UTF-8)"),
        ("{", "not (valid JSON|UTF-8)"),
        (b"\xff", "not (valid JSON|UTF-8)"),
        ("[" * 100_000, "not (valid JSON|UTF-8)"),
        ([], "keys must be 'tokenizer' and 'config'"),
        ({}, "keys must be"),
        ({"tokenizer": "character"}, "keys must be"),
        ({"config": GOOD}, "keys must be"),
        ({"tokenizer": "character", "config": GOOD, "module": "os"}, "keys must be"),
        ({"tokenizer": "charater", "config": GOOD}, "'charater'. Did you mean 'character'"),
        ({"tokenizer": "os.system", "config": GOOD}, "'os.system'. Known: bpe, byte, character"),
        ({"tokenizer": ["byte"], "config": GOOD}, "Known: bpe, byte, character"),
        ({"tokenizer": None, "config": GOOD}, "Known: bpe, byte, character"),
        ({"tokenizer": "character", "config": []}, "max_vocabulary, name, vocabulary"),
        ({"tokenizer": "character", "config": {}}, "max_vocabulary, name, vocabulary"),
        ({"tokenizer": "character", "config": {"vocabulary": "ab"}}, "max_vocabulary, name"),
        ({"tokenizer": "byte", "config": GOOD}, "'config' must be name"),
        (
            {"tokenizer": "character", "config": {**GOOD, "activity_regularizer": HOSTILE}},
            "max_vocabulary, name, vocabulary",
        ),
        ({"tokenizer": "character", "config": {**GOOD, "vocabulary": 5}}, "Received: vocabulary=5"),
        ({"tokenizer": "character", "config": {**GOOD, "vocabulary": "aa"}}, "repeats a character"),
        ({"tokenizer": "character", "config": {**GOOD, "vocabulary": ["ab"]}}, "single characters"),
        ({"tokenizer": "character", "config": {**GOOD, "vocabulary": "\ud800"}}, "UTF-8"),
        ({"tokenizer": "character", "config": {**GOOD, "max_vocabulary": "x"}}, "max_vocabulary"),
        ({"tokenizer": "character", "config": {**GOOD, "name": 5}}, "name"),
        ({"tokenizer": "character", "config": {**GOOD, "name": "a/b"}}, "name"),
    ],
)
def test_a_hostile_file_is_refused(tmp_path, content, message):
    path = tmp_path / "tokenizer.json"
    if isinstance(content, (dict, list)):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as error:
        load_tokenizer(path)
    assert "tokenizer.json" in str(error.value) and "\n" not in str(error.value)


def test_a_huge_or_missing_file_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(InputError, match="tokenizer.json cannot be read: No such file"):
        load_tokenizer(path)
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="is larger than 67,108,864 bytes"):
        load_tokenizer(path)


def test_build_follows_the_recipe():
    tokenizer = build_tokenizer(PreprocessingConfig(tokenizer="byte"), ["ab"])
    assert type(tokenizer) is ByteTokenizer
    tokenizer = build_tokenizer(PreprocessingConfig(tokenizer="character"), ["aab"])
    assert type(tokenizer) is CharacterTokenizer and tokenizer.vocabulary == "ab"
    tokenizer = build_tokenizer(PreprocessingConfig(max_vocabulary=1), ["aab"])
    assert tokenizer.vocabulary == "a"
    tokenizer = build_tokenizer(PreprocessingConfig(tokenizer="bpe", vocabulary_size=257), ["abab"])
    assert type(tokenizer) is BytePairTokenizer and tokenizer.vocabulary_size == 257
    assert build_tokenizer(PreprocessingConfig(), ["Bar"], "events").vocabulary == ["\n", "Bar"]
    assert sorted(TOKENIZERS) == ["bpe", "byte", "character", "word"]
