"""`open_text`: the rule of the split, documents joined and dropped, and what cannot be opened."""

import os
import random

import pytest

from tfgen.data import open_text, readers, text
from tfgen.errors import InputError


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def read(source, split="all"):
    return "".join(source.chunks(split))


def one_line(error):
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_split_of_tiny_shakespeare(tmp_path):
    whole = "".join(random.Random(0).choices("abc é\n", k=1_115_394))
    source = open_text(write(tmp_path / "a.txt", whole))
    assert source.characters == {
        "train": 1_003_854, "validation": 111_540, "all": 1_115_394, "choice": 55_770,
        "test": 55_770,
    }  # fmt: skip
    assert read(source, "train") == whole[:1_003_854]
    assert read(source, "validation") == whole[1_003_854:]
    assert "1,003,854" in source.split_rule and "10%" in source.split_rule


@pytest.mark.parametrize("chunk_bytes", [3, 1 << 22])
@pytest.mark.parametrize("fraction", [0, 0.01, 0.1, 0.3, 1 / 3, 0.5, 0.7, 0.9, 0.999, 1e-9])
def test_splits_are_the_whole_at_any_fraction(tmp_path, monkeypatch, chunk_bytes, fraction):
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(text, "LEAST_CHUNK", 2)
    for length in (1, 2, 9, 10, 100):
        whole = "".join(random.Random(length).choices("ab\né漢😀", k=length))
        source = open_text(write(tmp_path / "a.txt", whole), validation_fraction=fraction)
        assert read(source) == whole
        train, validation = read(source, "train"), read(source, "validation")
        assert train + validation == whole
        halves = [read(source, half) for half in ("choice", "test")]
        assert "".join(halves) == validation and 0 <= len(halves[0]) - len(halves[1]) <= 1
        lengths = {"train": len(train), "validation": len(validation), "all": length}
        assert source.characters.items() > lengths.items()


@pytest.mark.parametrize(
    ("length", "fraction", "train"),
    # In floats, 1 - 0.9 is 0.09999999999999998 and 1 - 0.7 is 0.30000000000000004.
    [(10, 0.9, 1), (100, 0.9, 10), (10, 0.7, 3), (1000, 0.999, 1), (10, 0.1, 9), (19, 0.1, 17)],
)
def test_the_split_does_not_suffer_from_rounding(tmp_path, length, fraction, train):
    source = open_text(write(tmp_path / "a.txt", "x" * length), validation_fraction=fraction)
    assert source.characters["train"] == train


@pytest.mark.parametrize("fraction", [1, 1.5, -0.1, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(InputError, match=r"Received: validation_fraction=(1|1.5|-0.1|nan)$"):
        open_text("names", validation_fraction=fraction)


def test_a_text_can_be_read_again(tmp_path):
    source = open_text(write(tmp_path / "a.txt", "abcdefghij"))
    chunks = source.chunks("all")
    assert [read(source), read(source, "train"), "".join(chunks), read(source)] == [
        "abcdefghij", "abcdefghi", "abcdefghij", "abcdefghij",
    ]  # fmt: skip


def test_an_unknown_split_names_those_near():
    with pytest.raises(InputError, match="split 'valid'. Did you mean 'validation'"):
        open_text("names").chunks("valid")


@pytest.mark.parametrize("name", ["names", "Names", " NAMES "])
def test_built_in_names(name):
    source = open_text(name)
    assert source.name == "names"
    assert source.characters["all"] == 194_185


def test_a_built_in_name_wins_over_a_file_but_not_over_a_path(tmp_path, monkeypatch):
    write(tmp_path / "names", "mine")
    monkeypatch.chdir(tmp_path)
    assert open_text("names").characters["all"] == 194_185
    assert read(open_text("./names")) == "mine"
    assert read(open_text(tmp_path / "names")) == "mine"


# Folders


def test_a_folder_is_joined_in_order_and_hidden_files_are_skipped(tmp_path):
    write(tmp_path / "b.txt", "second")
    write(tmp_path / "a.txt", "first\r\n")
    write(tmp_path / "c" / "d.md", "\ufeffthird")
    write(tmp_path / "e", "fourth")
    write(tmp_path / ".hidden", "no")
    write(tmp_path / ".git" / "config", "no")
    write(tmp_path / "c" / ".also", "no")
    source = open_text(tmp_path)
    assert read(source) == "first\nsecond\nthird\nfourth"
    assert source.report.kept == 4 and not source.report.dropped


@pytest.mark.parametrize("chunk_bytes", [4, 1 << 22])
def test_files_that_are_no_text_are_dropped_and_counted(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk_bytes)
    write(tmp_path / "a.txt", "first")
    write(tmp_path / "b.bin", b"long enough \0")
    write(tmp_path / "c.txt", b"a line\nlong enough \xe9 too")
    write(tmp_path / "d.txt", b"\xe9")
    write(tmp_path / "e.txt", "")
    write(tmp_path / "f.txt", "\ufeff")
    write(tmp_path / "g.txt.gz", b"no gz")
    os.symlink(tmp_path / "nowhere", tmp_path / "h.txt")
    os.mkfifo(tmp_path / "i.txt")
    write(tmp_path / "j.txt", "last")
    source = open_text(tmp_path)
    assert read(source) == "first\nlast"
    assert source.report.kept == 2
    counts = {reason: number for reason, (number, _) in source.report.dropped.items()}
    assert counts == {"binary": 1, "not UTF-8": 2, "empty": 2, "damaged": 1, "no file": 2}
    assert "c.txt is not UTF-8: line 2, byte 19" in source.report.dropped["not UTF-8"][1]
    assert source.report.dropped["empty"][1].endswith("e.txt")


def test_a_folder_without_text_tells_why(tmp_path):
    with pytest.raises(InputError, match="holds no files"):
        open_text(tmp_path)
    write(tmp_path / "a.bin", b"\0")
    write(tmp_path / "b.bin", b"\0")
    with pytest.raises(InputError, match=r"no text in .*: 2 x binary \(first: .*a.bin") as error:
        open_text(tmp_path)
    one_line(error)


# Columns


def test_rows_are_joined_by_line_breaks(tmp_path):
    path = write(tmp_path / "a.csv", 'id,text\n1,one\n2,"two\n"\n3,\n4,three\n')
    source = open_text(path, column="text")
    assert read(source) == "one\ntwo\nthree"
    assert (source.report.kept, list(source.report.dropped)) == (3, ["'text' is empty"])


@pytest.mark.parametrize("least", [1, 4, 100])
def test_chunks_are_neither_small_nor_large(tmp_path, monkeypatch, least):
    monkeypatch.setattr(text, "LEAST_CHUNK", least)
    monkeypatch.setattr(text, "MOST_CHUNK", 2 * least)
    rows = ["a", "bc", "d" * 1000, "e"] * 20
    path = write(tmp_path / "a.csv", "text\n" + "\n".join(rows))
    chunks = list(open_text(path, column="text").chunks("all"))
    assert "".join(chunks) == "\n".join(rows)
    assert all(least <= len(chunk) < 3 * least for chunk in chunks[:-1])
    assert 0 < len(chunks[-1]) < 3 * least


def test_a_table_without_a_text_tells_why(tmp_path):
    path = write(tmp_path / "a.jsonl", "{broken\n")
    with pytest.raises(InputError, match=r"no text in .*1 x the line is no JSON \(first: .*:1\)"):
        open_text(path, column="text")


# What cannot be opened


@pytest.mark.parametrize(
    ("name", "content", "column", "message"),
    [
        ("a.txt", "", None, "There is no text in .*a.txt"),
        ("a.txt", b"\xef\xbb\xbf", None, "There is no text in .*a.txt"),
        ("a.txt", b"ab\0", None, "a.txt is a binary file: byte 2 is zero"),
        ("a.txt", b"ab\n\xe9t\xe9", None, "a.txt is not UTF-8: line 2, byte 3"),
        ("a.csv", "text\na\n", None, "a.csv is a table: name the column"),
        ("a.txt", "text\na\n", "text", "a.txt has no columns: .*csv"),
        ("a.csv", "text\na\n", "txt", "column of .*a.csv 'txt'. Did you mean 'text'"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, name, content, column, message):
    with pytest.raises(InputError, match=message) as error:
        open_text(write(tmp_path / name, content), column=column)
    one_line(error)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shakespear", "Unknown data set.* 'shakespear'. Did you mean 'shakespeare'.* names"),
        ("./nothing", "There is no file or folder ./nothing"),
        ("novel.tx", "There is no file or folder novel.tx. Did you mean novel.txt"),
        ("", "Give a path or one of: shakespeare, names"),
        (" ", "Give a path"),
        ("x" * 5000, "cannot be opened: .*too long"),
        ("~nobody-of-that-name/a.txt", "There is no file or folder ~nobody-of-that-name/a.txt"),
        ("/dev/null", "/dev/null is neither a file nor a folder"),
    ],
)
def test_a_name_of_nothing_is_refused(tmp_path, monkeypatch, name, message):
    write(tmp_path / "novel.txt", "text")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        open_text(name)
    one_line(error)


@pytest.mark.parametrize("name", ["names", "."])
def test_only_a_table_has_columns(name):
    with pytest.raises(InputError, match="Received: column='text'"):
        open_text(name, column="text")


def test_a_set_of_numbers_is_no_text():
    with pytest.raises(InputError, match="'weather' is no text: it holds series"):
        open_text("weather")
