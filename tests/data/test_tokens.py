"""`encode`: the tokens of a text, in little memory."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from tfgen.data import Windows, encode, open_text, text
from tfgen.errors import InputError

ROOT = Path(__file__).parents[2]


class CodePoints:
    """A tokenizer without TensorFlow."""

    def encode(self, text):
        return np.frombuffer(text.encode("utf-32-le"), np.uint32)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "LEAST_CHUNK", 4)
    monkeypatch.setattr(text, "MOST_CHUNK", 8)
    path = tmp_path / "a.txt"
    path.write_text("first é漢😀\n" * 10, encoding="utf-8")
    return open_text(path)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("split", ["train", "validation", "all"])
def test_tokens_are_those_of_the_split(source, temporary, split):
    tokens = encode(source, CodePoints(), split)
    assert tokens.dtype == np.uint32 and tokens.ndim == 1
    whole = "first é漢😀\n" * 10
    expected = {"train": whole[:90], "validation": whole[90:], "all": whole}[split]
    assert "".join(map(chr, tokens)) == expected


def test_the_default_is_the_training_split(source):
    assert len(encode(source, CodePoints())) == source.characters["train"]


def test_tokens_feed_windows(source):
    windows = Windows(encode(source, CodePoints(), "all"), 4, 2, drop_remainder=False)
    assert "".join(map(chr, windows.batch(0)[0])) == "first"


def test_no_characters_are_no_tokens(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a", encoding="utf-8")
    source = open_text(path)  # one character for validation, none for training
    assert encode(source, CodePoints(), "train").shape == (0,)
    assert encode(source, CodePoints(), "validation").tolist() == [97]


def test_the_file_has_no_name_and_the_array_cannot_be_written(source, temporary):
    tokens = encode(source, CodePoints(), "all")
    assert isinstance(tokens, np.memmap)
    assert not list(temporary.iterdir())
    assert "".join(map(chr, tokens[:5])) == "first"
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError("bad")])
def test_nothing_is_left_when_encoding_fails(source, temporary, error):
    class Failing:
        def encode(self, text):
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        encode(source, Failing(), "all")
    assert not list(temporary.iterdir())


def test_a_full_disk_is_told_in_a_line(source, temporary):
    class Full:
        def encode(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    message = f"The disk is full after 0 tokens of .*{temporary}: set TMPDIR"
    with pytest.raises(InputError, match=message) as error:
        encode(source, Full(), "all")
    assert "\n" not in str(error.value)


def test_data_imports_no_tensorflow():
    code = (
        "import sys\n"
        "from tfgen.data import encode, open_text, Windows\n"
        "from tfgen.report.inspect_text import inspect_text\n"
        "import numpy as np\n"
        "inspect_text('names')\n"
        "Windows(np.arange(99), 4, 2).batch(3)\n"
        "print(*(name for name in ('tensorflow', 'keras') if name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert result.stdout.strip() == ""


MEASURE = """
import resource, sys
import numpy as np
from tfgen.data import Windows, encode, open_text
from tfgen.preprocessing import CharacterTokenizer

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB

CharacterTokenizer("ab").tokenize(["ab"])
before = peak()
path, column = sys.argv[1], sys.argv[2] or None
source = open_text(path, column)
tokenizer = CharacterTokenizer().adapt(source.chunks("train"))
tokens = encode(source, tokenizer, "train")
encoded = peak()
windows = Windows(tokens, 128, 32)
for k in range(20):
    windows.batch(k)
print(len(tokens), tokens.dtype, tokenizer.vocabulary_size, encoded - before)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "megabytes"),
    [
        ("a.txt", 60),
        pytest.param("a.txt", 300, marks=pytest.mark.long),
        pytest.param("a.csv", 20, marks=pytest.mark.long),
    ],
)
def test_a_large_file_takes_little_memory(tmp_path, name, megabytes):
    rows = b"A line of plain text as there are more\n" * 25_000  # 1.025 MB
    with open(tmp_path / name, "wb") as file:
        file.write(b"text\n" if name == "a.csv" else b"")
        for _ in range(megabytes):
            file.write(rows)
    try:
        result = subprocess.run(
            [sys.executable, "-c", MEASURE, tmp_path / name, "text" if name == "a.csv" else ""],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        )
    finally:
        (tmp_path / name).unlink()
    assert result.returncode == 0, result.stderr
    count, dtype, vocabulary_size, grown = result.stdout.split()
    # The last row of a table ends without a line break.
    assert int(count) == (megabytes * len(rows) - (name == "a.csv")) * 9 // 10
    assert dtype == "uint8" and int(vocabulary_size) > 15
    # Chunks of a few million characters at up to 16 bytes each, and not the file.
    assert float(grown) < 150
