"""Byte-level BPE in the graph: what the package `tokenizers` gives is the oracle."""

import json
import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.preprocessing import (
    BytePairTokenizer,
    HuggingFaceTokenizer,
    load_tokenizer,
    read_gpt2,
    read_hugging_face,
    save_tokenizer,
)
from tfgen.preprocessing.byte_pair_definition import of_bytes
from tfgen.preprocessing.byte_pair_words import EXPRESSIONS, LLAMA3

tokenizers = pytest.importorskip("tokenizers", reason="pip install .[subwords]")

ROOT = Path(__file__).parents[2]
LINES = [
    "To be, or not to be: that is the question.\n\nIt's what they'll say; we're HERE'S aaaa bbbb",
    "漢字かな混じり文 한국어 עברית العربية ไทย Ελληνικά 1234567 ٣٤ ½ 😀👩‍👩‍👧 naïve    \n\n",
] * 20
# Where the expressions change their minds, and letters and numbers of the newest Unicode.
EDGES = (
    "'sStTlLvVrReEdDmM\u017f \t\n\r\x0b\x0c\x1c\x85\xa0\u2003\u2028\u3000.,!-_09٣Ⅷ½aZéßçž漢字かな한ไท"
    "\u0301\u200d👩😀\0\x01\x7f\x80\ufeff\ufffd\U0010ffff\U0002ebf0\u1c89\U00010d40<|"
)
PIECES = [
    *" ", "  ", "\n", "\n\n", " \n ", "\r\n", "\t", "'s", "'LL", "a", "ab", "aaaa", "1", "1234",
    ".", " .", "...", "é", "漢", "<|end|>", "<|", "|>", "😀", "’s", "To be",
]  # fmt: skip


def llama(expression=LLAMA3, ignore_merges=False):
    """A tokenizer like that of Llama 3; with `ignore_merges` its merges are those of its tokens."""
    cuts = tokenizers.pre_tokenizers
    made = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=ignore_merges))
    split = cuts.Split(tokenizers.Regex(expression), "isolated")
    level = cuts.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = cuts.Sequence([split, level])
    return trained(made, ignore_merges)


def gpt2():
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return trained(made)


def trained(made, all_merges=False):
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|end|>", "<|end|><|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(LINES, trainer)
    if not all_merges:
        return made
    # As a file of tiktoken is converted: every way to make a token, by the token's rank.
    definition = json.loads(made.to_str())
    ids, merges = definition["model"]["vocab"], []
    for token in sorted(ids, key=ids.get):
        halves = [(token[:n], token[n:]) for n in range(1, len(token))]
        halves = [(a, b) for a, b in halves if a in ids and b in ids and "<|" not in token]
        merges += sorted(halves, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
    # One that no merge leads to: it is found whole.
    ids["Ġbe,"] = len(ids)
    definition["model"]["merges"] = [list(pair) for pair in merges]
    return tokenizers.Tokenizer.from_str(json.dumps(definition))


MADE = {
    "gpt2": gpt2(),
    "llama": llama(),
    "qwen": llama([*EXPRESSIONS][2]),
    "tiktoken": llama(ignore_merges=True),
}


def texts(count, seed=0):
    rng = random.Random(seed)
    real = "".join(LINES[:2])
    ranges = [(0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]

    def one(kind):
        length = rng.randrange(40)
        if kind == 0:
            return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(length))
        if kind == 1:
            return "".join(rng.choices(EDGES, k=length))
        if kind == 2:
            return "".join(rng.choices(PIECES, k=length))
        start = rng.randrange(len(real))
        return real[start : start + rng.randrange(120)]

    return ["", *(one(n % 4) for n in range(count - 1))]


def check(name, count):
    oracle, tokenizer = MADE[name], BytePairTokenizer(MADE[name].to_str())
    given = texts(count)
    rows, lengths = tf.function(tokenizer.tokenize, autograph=False)(tf.constant(given))
    found = [row[:length].tolist() for row, length in zip(rows.numpy(), lengths.numpy())]
    expected = [x.ids for x in oracle.encode_batch(given, add_special_tokens=False)]
    for text, ours, theirs in zip(given, found, expected):
        assert ours == theirs, ascii(text)
    back = tokenizer.detokenize(rows, lengths).numpy()
    assert [x.decode("utf-8") for x in back] == oracle.decode_batch(expected)
    return tokenizer, oracle


@pytest.mark.parametrize(
    "name", [n if n == "tiktoken" else pytest.param(n, marks=pytest.mark.long) for n in MADE]
)
def test_the_tokens_are_those_of_the_package(name):
    tokenizer, oracle = check(name, 400)
    assert tokenizer.encode("To be 😀").tolist() == oracle.encode("To be 😀").ids
    assert tokenizer.vocabulary_size == oracle.get_vocab_size()


@pytest.mark.long
@pytest.mark.parametrize("name", MADE)
def test_the_tokens_of_ten_thousand_texts_are_those_of_the_package(name):
    check(name, 10_000)


@pytest.mark.long
@pytest.mark.parametrize(
    "name, every",
    [
        ("gpt2", 16),
        *(pytest.param(each, 1, marks=pytest.mark.exhaustive) for each in ("gpt2", "llama")),
    ],
)
def test_every_character_is_cut_as_by_the_package(name, every):
    """And of what is no character, or one of nobody's own, each or one of so many."""
    oracle, tokenizer = MADE[name], BytePairTokenizer(MADE[name].to_str())
    given = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    none = [unicodedata.category(c) in ("Cn", "Co") for c in given]
    given = [c for n, c in enumerate(given) if not (none[n] and n % every)]
    given = ["".join(f"a{c}{c} {c}1{c}\n{c} " for c in given[n : n + 64]) for n in range(0, len(given), 64)]  # fmt: skip
    expected = [x.ids for x in oracle.encode_batch(given, add_special_tokens=False)]
    for start in range(0, len(given), 4096):
        rows, lengths = tokenizer.tokenize(tf.constant(given[start : start + 4096]))
        for row, length, theirs in zip(rows.numpy(), lengths.numpy(), expected[start:]):
            assert row[:length].tolist() == theirs


def test_merges_by_hand():
    """Of the tokens a, b, ab, aa, aab: the lower rank comes first, and of aaa the left pair."""
    base = json.loads(of_bytes())["model"]["vocab"]
    ids = {**base, "ab": 256, "aa": 257, "aab": 258}
    made = BytePairTokenizer(of_bytes(ids, [("a", "b"), ("a", "ab"), ("a", "a")]))
    a, b = base["a"], base["b"]
    for text, expected in [
        ("ab", [256]), ("aab", [258]), ("aaab", [a, 258]), ("aaa", [257, a]), ("aaaa", [257, 257]),
        ("aaaaab", [257, a, 258]), ("ba", [b, a]),
    ]:  # fmt: skip
        assert made.encode(text).tolist() == expected, text


def test_adapt_finds_the_merges_of_the_package(tmp_path):
    tokenizer = BytePairTokenizer(vocabulary_size=300).adapt(LINES)
    assert tokenizer.vocabulary_size == 300
    assert len(tokenizer.encode(LINES[0])) < len(LINES[0]) / 1.5
    oracle = tokenizers.Tokenizer.from_str(tokenizer.definition)
    assert tokenizer.encode(LINES[1]).tolist() == oracle.encode(LINES[1]).ids
    assert tokenizer.decode(tokenizer.encode(LINES[1])) == LINES[1]
    # There are no more than the text has; nothing is fitted to nothing.
    assert BytePairTokenizer(vocabulary_size=300).adapt(["ab ab"]).vocabulary_size == 257
    with pytest.raises(InputError, match="no text to find subwords in"):
        BytePairTokenizer().adapt([""])
    with pytest.raises(ValueError, match="from 256 up to .* Received: vocabulary_size=255"):
        BytePairTokenizer(vocabulary_size=255)
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path / "tokenizer.json").get_config() == tokenizer.get_config()


@pytest.mark.long
def test_only_adapt_needs_the_package_and_says_so_in_one_line(tmp_path):
    save_tokenizer(BytePairTokenizer(MADE["tiktoken"].to_str()), tmp_path / "tokenizer.json")
    code = (
        "import sys\n"
        "sys.modules['tokenizers'] = None\n"
        "from tfgen.preprocessing import BytePairTokenizer, load_tokenizer\n"
        "tokenizer = load_tokenizer('tokenizer.json')\n"
        "print(tokenizer.encode('To be <|end|> 😀').tolist())\n"
        "try:\n"
        "    BytePairTokenizer().adapt(['a'])\n"
        "except ValueError as error:\n"
        "    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    ids, message = result.stdout.splitlines()
    assert json.loads(ids) == MADE["tiktoken"].encode("To be <|end|> 😀").ids, result.stderr
    assert message.endswith("pip install 'tfgen-sequences[subwords]'")


def changed(**parts):
    return json.dumps({**json.loads(MADE["gpt2"].to_str()), **parts})


def with_token(**token):
    [first, *_] = json.loads(MADE["gpt2"].to_str())["added_tokens"]
    return changed(added_tokens=[{**first, **token}])


def with_model(**values):
    return changed(model={**json.loads(MADE["gpt2"].to_str())["model"], **values})


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (changed(normalizer={"type": "NFC"}), "normalizer NFC"),
        (changed(pre_tokenizer=None), "pre_tokenizer is None"),
        (changed(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True}), "is ByteLevel"),
        (MADE["llama"].to_str().replace("1,3", "1,2"), r"is Split\+ByteLevel"),
        (changed(decoder={"type": "Fuse"}), "decoder is Fuse"),
        (with_token(lstrip=True), r"'<\|end\|>' has lstrip"),
        (with_model(dropout=0.5), "dropout=0.5"),
        (with_model(byte_fallback=True), "byte_fallback"),
        (with_model(vocab={"a": 0}), "lacks a byte"),
        (with_model(merges=[["a", "qq"]]), "'qq'|'aqq'"),
        (with_model(merges=[["a"]]), "a merge is no pair"),
        (with_model(vocab=[]), "no vocab and merges"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        (5, "definition=5"),
    ],
)
def test_what_would_not_be_exact_is_refused(definition, message, tmp_path):
    with pytest.raises(ValueError, match=message) as error:
        BytePairTokenizer(definition)
    assert "\n" not in str(error.value)


@pytest.mark.long
def test_a_folder_is_read_into_the_graph_where_that_is_exact(tmp_path):
    path = tmp_path / "tokenizer.json"
    size = MADE["llama"].get_vocab_size() + 3
    path.write_text(MADE["llama"].to_str(), "utf-8")
    found = read_hugging_face(path, size)
    assert type(found) is BytePairTokenizer and found.vocabulary_size == size
    path.write_text(changed(normalizer={"type": "NFC"}), "utf-8")
    assert type(read_hugging_face(path, size)) is HuggingFaceTokenizer
    MADE["gpt2"].model.save(str(tmp_path))
    files = tmp_path / "vocab.json", tmp_path / "merges.txt"
    found = read_gpt2(*files, size)
    given = texts(80)
    expected = [MADE["gpt2"].encode(text).ids for text in given if "<|" not in text]
    assert [found.encode(text).tolist() for text in given if "<|" not in text] == expected
    files[1].write_text("#version: 0.2\na qqqq\n", "utf-8")
    with pytest.raises(InputError, match="fit no GPT-2"):
        read_gpt2(*files, size)


@pytest.mark.long
def test_a_model_may_have_fewer_ids_than_its_tokenizer():
    oracle = tokenizers.Tokenizer.from_str(MADE["gpt2"].to_str())
    oracle.add_special_tokens(["<pad>"])
    own = oracle.get_vocab_size() - 1
    tokenizer = BytePairTokenizer(oracle.to_str(), vocabulary_size=own)
    assert tokenizer.token(own) is None and tokenizer.token_id("<pad>") is None
    assert tokenizer.decode(tokenizer.encode("To be")) == "To be"
    message = f"The text needs the token '<pad>', whose id {own} is beyond .* vocabulary of {own}"
    with pytest.raises(InputError, match=message):
        tokenizer.encode("a<pad>b")
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        tokenizer.tokenize(tf.constant(["To be", "a<pad>b"]))


@pytest.mark.long
def test_symbols_are_bytes_and_special_tokens():
    tokenizer = BytePairTokenizer(MADE["gpt2"].to_str())
    end = tokenizer.token_id("<|end|>")
    ids = tokenizer.encode("To é<|end|>")
    assert tokenizer.spelled(ids).tolist() == [*"To é".encode(), 256 + end]
    symbols, lengths = tokenizer.spelling.of(*tokenizer.tokenize(tf.constant(["To é<|end|>", "a"])))
    assert symbols.numpy().tolist() == [[*"To é".encode(), 256 + end], [97, 0, 0, 0, 0, 0]]
    assert lengths.numpy().tolist() == [6, 1]
    rows = tf.constant([ids, ids], tf.int32)
    count = tf.fill([2], len(ids))
    found = tokenizer.detokenize_without(rows, count, tf.constant([0, 4])).numpy()
    assert [x.decode() for x in found] == ["To é", "To"]
    decoder = tokenizer.symbol_decoder()
    found = [decoder.decode(np.array([s])) for s in tokenizer.spelled(ids)]
    assert found == ["T", "o", " ", "", "é", ""]
