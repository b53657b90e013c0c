"""Tokenizers of Hugging Face: what the package itself gives is the oracle."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.preprocessing import (
    ByteTokenizer,
    CharacterTokenizer,
    HuggingFaceTokenizer,
    load_tokenizer,
    save_tokenizer,
)

tokenizers = pytest.importorskip("tokenizers", reason="pip install .[hf]")

ROOT = Path(__file__).parents[2]
LINES = ["To be, or not to be:\nthat is the question.", "the the hello world, hello é😀"] * 5
TEXTS = ["To be", "", "hello  the é漢😀\n\n!", " two spaces  ", "a\0b", "x" * 50]


def byte_level(size=320, **options):
    """A tokenizer like GPT-2's."""
    result = tokenizers.Tokenizer(tokenizers.models.BPE())
    result.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, **options)
    result.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    result.train_from_iterator(LINES, trainer)
    return result


def spaced(metaspace):
    """A tokenizer like that of Llama 2: a space before the text, and bytes for the unknown."""
    result = tokenizers.Tokenizer(
        tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    decoders, normalizers = tokenizers.decoders, tokenizers.normalizers
    if metaspace:
        result.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first")
    else:
        spaces = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        result.normalizer = normalizers.Sequence(spaces)
    result.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=special[:3], show_progress=False
    )
    words = [line.split() for line in LINES]  # no token of two words
    result.train_from_iterator([word for line in words for word in line], trainer)
    # The bytes are no special tokens: those would be found in texts.
    definition = json.loads(result.to_str())
    vocabulary = definition["model"]["vocab"]
    for token in special[3:]:
        vocabulary[token] = len(vocabulary)
    return tokenizers.Tokenizer.from_str(json.dumps(definition))


MADE = {"bytes": byte_level(), "prepend": spaced(False), "metaspace": spaced(True)}


@pytest.fixture(params=MADE)
def oracle(request):
    return MADE[request.param]


def strings(tensor):
    return [text.decode("utf-8") for text in tensor.numpy().tolist()]


def test_the_tokens_are_those_of_the_package(oracle):
    tokenizer = HuggingFaceTokenizer(oracle.to_str())
    ids, lengths = tokenizer.tokenize(tf.constant(TEXTS))
    assert ids.dtype == lengths.dtype == tf.int32
    for text, row, length in zip(TEXTS, ids.numpy(), lengths.numpy()):
        expected = oracle.encode(text, add_special_tokens=False).ids
        assert tokenizer.encode(text).tolist() == expected == row[:length].tolist()
        assert not row[length:].any()
        assert tokenizer.decode(expected) == oracle.decode(expected)
    assert tokenizer.vocabulary_size == oracle.get_vocab_size()


def test_any_text_comes_back(oracle):
    tokenizer = HuggingFaceTokenizer(oracle.to_str())
    for text in TEXTS:
        if tokenizer.unknown_id is not None and text.startswith(" "):
            continue  # Metaspace puts no second space before a text
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_texts_behind_others_keep_their_space(oracle):
    tokenizer = HuggingFaceTokenizer(oracle.to_str())
    ids = tokenizer.encode("hello world")
    pieces = [tokenizer.detokenize(tf.constant([part], tf.int32)) for part in (ids[:1], ids[1:])]
    first, rest = (strings(piece)[0] for piece in pieces)
    assert (first + rest).removeprefix(" ") == "hello world"
    assert tokenizer.decoder().decode(ids[1:], final=True) == rest
    # What ends a text is looked for inside it.
    inside, lengths = tokenizer.tokenize_inside(tf.constant(["\n", "world", " world"]))
    for row, length, text in zip(inside, lengths, ["\n", "world", " world"]):
        assert strings(tokenizer.detokenize(row[None, :length])) == [text]
    assert lengths[0] == 1


def test_it_runs_in_a_graph_with_any_batch(oracle):
    tokenizer = HuggingFaceTokenizer(oracle.to_str())

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def there(texts):
        ids, lengths = tokenizer.tokenize(texts)
        assert ids.shape.rank == 2 and lengths.shape.rank == 1
        return ids, lengths, tokenizer.detokenize(ids, lengths)

    for texts in (TEXTS, TEXTS[:1], [""], []):
        ids, lengths, back = there(tf.constant(texts, tf.string))
        assert ids.shape == [len(texts), max(lengths.numpy(), default=0)]
        for text, row, length in zip(texts, ids.numpy(), lengths.numpy()):
            np.testing.assert_array_equal(row[:length], tokenizer.encode(text))
        if tokenizer.unknown_id is None:
            assert strings(back) == texts
    ids, _ = tokenizer(["hello", "the"])
    np.testing.assert_array_equal(ids, tokenizer.tokenize(tf.constant(["hello", "the"]))[0])
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS[:3]).batch(2).map(tokenizer)
    np.testing.assert_array_equal(
        next(iter(dataset))[0], tokenizer.tokenize(tf.constant(TEXTS[:2]))[0]
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_decoder_gives_whole_characters_as_they_come(oracle, size):
    tokenizer = HuggingFaceTokenizer(oracle.to_str())
    text = "hello é漢😀e\u0301\0 the"
    decoder, ids, pieces = tokenizer.decoder(), tokenizer.encode(text), []
    for start in range(0, len(ids), size):
        pieces.append(decoder.decode(ids[start : start + size]))
        assert "\ufffd" not in pieces[-1]
    assert "".join(pieces).removeprefix(" ") == text
    assert decoder.decode([], final=True) == ""
    # Half a character at the end, in the graph and outside it.
    cut = tokenizer.encode("ü🙂")[:-1]  # no token has more than a byte of them
    assert tokenizer.decode(cut).endswith("ü\ufffd")
    whole = strings(tokenizer.detokenize(tf.constant([cut], tf.int32)))[0]
    assert whole.removeprefix(" ") == tokenizer.decode(cut)


def test_lengths_tell_what_counts():
    tokenizer = HuggingFaceTokenizer(MADE["bytes"].to_str())
    ids = tf.constant([tokenizer.encode("abc"), tokenizer.encode("abc")], tf.int64)
    assert strings(tokenizer.detokenize(ids, tf.constant([0, 2]))) == ["", "ab"]
    assert strings(tokenizer.detokenize(ids)) == ["abc", "abc"]


def test_special_tokens_are_one_id_and_nothing_to_read():
    tokenizer = HuggingFaceTokenizer(MADE["bytes"].to_str())
    ids = tokenizer.encode("a<|endoftext|>b")
    assert len(ids) == 3 and ids[1] == tokenizer.token_id("<|endoftext|>") == 0
    assert tokenizer.token(0) == "<|endoftext|>" and tokenizer.token_id("no such") is None
    assert tokenizer.decode(ids) == "ab"
    oracle = tokenizers.Tokenizer.from_str(MADE["bytes"].to_str())
    oracle.add_tokens(["two words"])
    tokenizer = HuggingFaceTokenizer(oracle.to_str())
    ids = tokenizer.encode("of two words!")
    assert oracle.token_to_id("two words") in ids
    assert tokenizer.decode(ids) == oracle.decode(ids.tolist()) == "of two words!"


def test_what_has_no_token_is_unknown():
    definition = json.loads(MADE["prepend"].to_str())
    definition["model"]["byte_fallback"] = False
    tokenizer = HuggingFaceTokenizer(json.dumps(definition))
    assert tokenizer.unknown_id == 0
    assert 0 in tokenizer.encode("漢") and tokenizer.decode(tokenizer.encode("漢")) == "\ufffd"
    assert HuggingFaceTokenizer(MADE["bytes"].to_str()).unknown_id is None


def test_a_model_may_have_more_ids_than_its_tokenizer():
    own = MADE["bytes"].get_vocab_size()
    tokenizer = HuggingFaceTokenizer(MADE["bytes"].to_str(), vocabulary_size=own + 7)
    assert tokenizer.vocabulary_size == len(tokenizer.symbols) == own + 7
    ids = [*tokenizer.encode("hello"), own + 6]
    assert tokenizer.decode(ids) == "hello"
    assert strings(tokenizer.detokenize(tf.constant([ids]))) == ["hello"]
    with pytest.raises(ValueError, match="from 1 up to .* Received: vocabulary_size=0"):
        HuggingFaceTokenizer(MADE["bytes"].to_str(), vocabulary_size=0)


def test_a_model_may_have_fewer_ids_than_its_tokenizer():
    definition = json.loads(MADE["bytes"].to_str())
    own = MADE["bytes"].get_vocab_size()
    # As a padding token that was added and never trained.
    pad = {**definition["added_tokens"][0], "id": own, "content": "<pad>"}
    definition["added_tokens"].append(pad)
    tokenizer = HuggingFaceTokenizer(json.dumps(definition), vocabulary_size=own)
    assert tokenizer.vocabulary_size == len(tokenizer.symbols) == own
    assert tokenizer.token(own) is None and tokenizer.token_id("<pad>") is None
    assert tokenizer.decode(tokenizer.encode("hello")) == "hello"
    message = f"The text needs the token '<pad>', whose id {own} is beyond the model's vocabulary"
    for refused in (tokenizer.encode, lambda text: tokenizer.tokenize(["hello", text])):
        with pytest.raises(InputError, match=message) as error:
            refused("a<pad>b")
        assert "\n" not in str(error.value)
    again = HuggingFaceTokenizer(json.dumps(definition))
    assert again.vocabulary_size == own + 1 and own in again.encode("a<pad>b")


def test_the_start_of_a_text():
    definition = MADE["bytes"].to_str()
    assert HuggingFaceTokenizer(definition, start_id=0).start_id == 0
    newline = MADE["bytes"].encode("\n").ids
    assert [HuggingFaceTokenizer(definition).start_id] == newline
    assert ByteTokenizer().start_id == 10
    assert CharacterTokenizer("a\nb").start_id == 1
    assert CharacterTokenizer("ab").start_id == 0
    for wrong in (-1, 10**6, True, "0"):
        with pytest.raises(ValueError, match="Received: start_id="):
            HuggingFaceTokenizer(definition, start_id=wrong)


def test_symbols_can_be_printed(oracle):
    symbols = HuggingFaceTokenizer(oracle.to_str()).symbols
    assert len(symbols) == oracle.get_vocab_size()
    assert all(symbol and symbol.isprintable() for symbol in symbols)
    assert {"hello", "\\n"} <= {symbol.strip() for symbol in symbols}


def test_a_truncating_tokenizer_reads_the_whole_text():
    oracle = tokenizers.Tokenizer.from_str(MADE["bytes"].to_str())
    oracle.enable_truncation(2)
    oracle.enable_padding(length=9)
    tokenizer = HuggingFaceTokenizer(oracle.to_str())
    ids = MADE["bytes"].encode("hello world").ids
    assert tokenizer.encode("hello world").tolist() == ids and len(ids) > 1
    assert tokenizer.encode("").tolist() == []


def test_a_lone_surrogate_is_a_replacement_character(oracle):
    tokenizer = HuggingFaceTokenizer(oracle.to_str())
    np.testing.assert_array_equal(tokenizer.encode("a\ud800"), tokenizer.encode("a\ufffd"))
    expected = tokenizer.encode("a\ufffd")
    np.testing.assert_array_equal(tokenizer.tokenize(tf.constant([b"a\xff"]))[0][0], expected)


def test_only_it_cannot_stay_in_a_graph(tmp_path):
    assert ByteTokenizer.in_graph and CharacterTokenizer.in_graph
    assert not HuggingFaceTokenizer.in_graph


# Configuration and files


def test_a_configuration_is_all_there_is(oracle, tmp_path):
    size = oracle.get_vocab_size() + 3
    tokenizer = HuggingFaceTokenizer(oracle.to_str(), vocabulary_size=size, start_id=2, name="n")
    config = json.loads(json.dumps(tokenizer.get_config()))
    saved = keras.saving.serialize_keras_object(tokenizer)
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    for again in (
        HuggingFaceTokenizer.from_config(config),
        keras.saving.deserialize_keras_object(saved),
        load_tokenizer(tmp_path / "tokenizer.json"),
    ):
        assert type(again) is HuggingFaceTokenizer
        assert again.get_config() == config
        assert (again.vocabulary_size, again.start_id) == (size, 2)
        assert again.encode(TEXTS[2]).tolist() == tokenizer.encode(TEXTS[2]).tolist()


def test_a_file_of_the_package_is_read(tmp_path):
    path = tmp_path / "tokenizer.json"
    MADE["bytes"].save(str(path))
    tokenizer = HuggingFaceTokenizer.from_file(path, start_id=0)
    assert tokenizer.start_id == 0
    assert tokenizer.encode("hello").tolist() == MADE["bytes"].encode("hello").ids
    with pytest.raises(InputError, match="nowhere.json cannot be read: No such file"):
        HuggingFaceTokenizer.from_file(tmp_path / "nowhere.json")
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="tokenizer.json is larger than 33,554,432 bytes"):
        HuggingFaceTokenizer.from_file(path)


def changed(**parts):
    return json.dumps({**json.loads(MADE["bytes"].to_str()), **parts})


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("", "not valid"),
        ("{}", "not valid"),
        ("[1]", "not valid"),
        (7, "definition=7"),
        (changed(decoder=None), "Received: decoder=None"),
        (changed(decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}), "=WordPiece"),
        (changed(decoder={"type": "Fuse"}), "=Fuse"),
        (
            json.dumps({"model": {"type": "WordLevel", "vocab": {"a": 4 * 10**9}, "unk_token": "a"},
                        "decoder": {"type": "ByteLevel"}, "version": "1.0"}),
            "not valid|vocabulary_size=4000000001",
        ),
    ],
)  # fmt: skip
def test_a_definition_of_something_else_is_refused(definition, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        HuggingFaceTokenizer(definition)
    config = {"name": "n", "definition": definition, "vocabulary_size": None, "start_id": None}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"tokenizer": "hugging-face", "config": config}), "utf-8")
    with pytest.raises(InputError, match="tokenizer.json is no tokenizer file") as error:
        load_tokenizer(path)
    assert "\n" not in str(error.value)
    path.write_text(json.dumps({"tokenizer": "hugging-face", "config": {}}), "utf-8")
    with pytest.raises(InputError, match="'config' must be definition, name, start_id, vocab"):
        load_tokenizer(path)


@pytest.mark.long
def test_the_package_is_imported_when_it_is_needed_and_missed_in_one_line(tmp_path):
    (tmp_path / "definition").write_text(MADE["bytes"].to_str(), "utf-8")
    code = (
        "import sys, tfgen.zoo\n"
        "from tfgen.preprocessing import HuggingFaceTokenizer\n"
        "assert 'tokenizers' not in sys.modules\n"
        "sys.modules['tokenizers'] = None\n"
        "try:\n"
        "    HuggingFaceTokenizer.from_file('definition')\n"
        "except ValueError as error:\n"
        "    print(type(error).__name__, error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith("InputError A Hugging Face tokenizer"), result.stderr
    assert result.stdout.strip().endswith("pip install 'tfgen-sequences[hf]'")
