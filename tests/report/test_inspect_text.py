"""`inspect_text` shows what was kept, dropped, the vocabulary and a sample."""

import pytest

from tfgen.data import open_text
from tfgen.errors import InputError
from tfgen.report.inspect_text import inspect_text


def test_a_file(tmp_path):
    path = tmp_path / "a.txt"
    text = "aaab\tb\nc é漢😀\n" + "a" * 4 + "xy"
    path.write_text(text, encoding="utf-8")
    assert inspect_text(str(path)).splitlines() == [
        f"{path}: 19 characters, {len(text.encode())} bytes of UTF-8",
        "kept: 1 file",
        "dropped: nothing",
        "split: " + open_text(path).split_rule,
        "vocabulary: 9 characters, most frequent first: a\\nb\\t cé漢😀",
        "only in the validation split, so unknown to a model: xy",
        "sample:",
        "    aaab\\tb",
        "    c é漢😀",
        "    aaaaxy",
    ]


def test_the_fraction_moves_the_split(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abcdefghij", encoding="utf-8")
    text = inspect_text(path, validation_fraction=0.5)
    assert "the first 5 characters are for training, the last 5 (50%) for validation" in text
    assert "vocabulary: 5 characters, most frequent first: abcde\n" in text
    assert "unknown to a model: fghij\n" in text


def test_a_folder_with_files_dropped(tmp_path):
    (tmp_path / "a.txt").write_text("kept", encoding="utf-8")
    (tmp_path / "b.txt").write_text("kept too", encoding="utf-8")
    (tmp_path / "c.bin").write_bytes(b"\0")
    (tmp_path / "d.bin").write_bytes(b"\0")
    lines = inspect_text(tmp_path).splitlines()
    assert "kept: 2 files" in lines
    reason = f"{tmp_path / 'c.bin'} is a binary file: byte 0 is zero"
    assert f"dropped: 2 x binary (first: {reason})" in lines


def test_a_column(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{broken\n{"text": "two"}\n', encoding="utf-8")
    lines = inspect_text(path, column="text").splitlines()
    assert "kept: 2 rows" in lines
    assert f"dropped: 1 x the line is no JSON (first: {path}:2)" in lines
    assert lines[-2:] == ["    one", "    two"]


def test_a_terminal_is_not_given_orders(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\x1b[2Jred\x07\u202e", encoding="utf-8")
    shown = inspect_text(path)
    assert all(c.isprintable() for c in shown.replace("\n", ""))
    assert "    \\x1b[2Jred\\x07\\u202e" in shown


def test_much_is_cut(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(map(chr, range(0x4E00, 0x4E00 + 400))) + "\n" * 50, encoding="utf-8")
    shown = inspect_text(path)
    assert "and 281 more\n" in shown  # of 401
    assert max(map(len, shown.splitlines())) < 250
    assert len(shown.splitlines()) < 20


def test_a_single_character(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a", encoding="utf-8")
    assert "vocabulary: 0 characters" in inspect_text(path)


def test_what_cannot_be_opened_is_refused():
    with pytest.raises(InputError, match="Did you mean 'names'"):
        inspect_text("nams")
