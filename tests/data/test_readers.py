"""Reading files in pieces: boundaries, newlines, tables, and what is wrong with a file."""

import csv
import gzip
import json
import lzma
import random

import pytest

from tfgen.data import readers
from tfgen.data.readers import Report, read_plain
from tfgen.data.text_columns import read_column
from tfgen.errors import InputError

TRICKY = "one\r\ntwo\rthree\n\r\n\n\r\rfour é ß 漢字 😀 e\u0301 \u2028 \x0c \ufeff end\r\n"
PLAIN = "one\ntwo\nthree\n\n\n\n\nfour é ß 漢字 😀 e\u0301 \u2028 \x0c \ufeff end\n"


def write(path, content):
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def one_line(error):
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 4, 5, 7, 16, 1 << 22])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_pieces_are_the_text_wherever_they_are_cut(tmp_path, monkeypatch, chunk_bytes, mark):
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk_bytes)
    path = write(tmp_path / "a.txt", mark + TRICKY.encode())
    pieces = list(read_plain(path))
    assert "".join(pieces) == PLAIN
    assert "" not in pieces


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5])
def test_random_texts_are_read_alike_in_small_and_large_pieces(tmp_path, monkeypatch, chunk_bytes):
    rng = random.Random(chunk_bytes)
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk_bytes)
    for _ in range(200):
        text = "".join(rng.choices("a\r\né漢😀\ufeff", k=rng.randint(0, 12)))
        path = write(tmp_path / "a.txt", text)
        expected = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        assert "".join(read_plain(path)) == expected


def test_only_the_first_byte_order_mark_goes(tmp_path):
    path = write(tmp_path / "a.txt", "\ufeff\ufeffa\ufeff")
    assert "".join(read_plain(path)) == "\ufeffa\ufeff"


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_nothing_is_no_piece(tmp_path, content):
    assert not list(read_plain(write(tmp_path / "a.txt", content)))


def test_a_return_at_the_end_is_a_newline(tmp_path):
    assert "".join(read_plain(write(tmp_path / "a.txt", "a\r"))) == "a\n"


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".xz", lzma)])
def test_compressed_files(tmp_path, monkeypatch, suffix, module):
    monkeypatch.setattr(readers, "CHUNK_BYTES", 5)
    path = write(tmp_path / f"a.txt{suffix}", module.compress(TRICKY.encode()))
    assert "".join(read_plain(path)) == PLAIN


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".xz", lzma)])
@pytest.mark.parametrize("damage", ["cut", "other", "flipped"])
def test_a_damaged_compressed_file_is_refused(tmp_path, suffix, module, damage):
    data = bytearray(module.compress(bytes(random.Random(0).choices(b"abcdefgh \n", k=20_000))))
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "other":
        data = b"plain text"
    else:
        for index in range(len(data) // 2, len(data) // 2 + 8):
            data[index] ^= 0xFF
    path = write(tmp_path / f"a.txt{suffix}", bytes(data))
    with pytest.raises(InputError, match=f"a.txt{suffix} is damaged: .") as error:
        list(read_plain(path))
    one_line(error)


@pytest.mark.parametrize("chunk_bytes", [3, 1 << 22])
def test_a_zero_byte_makes_a_file_binary(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk_bytes)
    path = write(tmp_path / "a.bin", b"\x89PNG"[1:] + b"abcd\0efg")
    with pytest.raises(InputError, match="a.bin is a binary file: byte 7 is zero") as error:
        list(read_plain(path))
    one_line(error)


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 4, 5, 1 << 22])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("wrong", [b"\xe9 caf", b"\xed\xa0\x80", b"\xe6\xbc", b"\xff"])
def test_bad_encoding_names_line_and_byte(tmp_path, monkeypatch, chunk_bytes, mark, newline, wrong):
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk_bytes)
    good = mark + "é漢".encode() + newline + newline + b"abc"
    path = write(tmp_path / "a.txt", good + wrong)
    place = f"a.txt is not UTF-8: line 3, byte {len(good)}: .*iconv"
    with pytest.raises(InputError, match=place) as error:
        list(read_plain(path))
    one_line(error)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_called_so(tmp_path, encoding):
    path = write(tmp_path / "a.txt", "\ufeffabc".encode(encoding))
    with pytest.raises(InputError, match=r"UTF-16.*iconv -f UTF-16") as error:
        list(read_plain(path))
    one_line(error)


def rows(path, column="text"):
    report = Report()
    return list(read_column(path, column, report)), report


@pytest.mark.parametrize("chunk_bytes", [4, 1 << 22])
@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_column_of_a_table(tmp_path, monkeypatch, chunk_bytes, suffix, delimiter, newline):
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk_bytes)
    lines = ["id;text;n", '1;"two\nlines; ""quoted""";0', "2;plain é;0"]
    content = "\n".join([*lines, "", "3;;0", "4", "5;last;0"])
    content = content.replace(";", delimiter).replace("\n", newline)
    texts, report = rows(write(tmp_path / f"a{suffix}", "\ufeff" + content))
    assert texts == [f'two\nlines{delimiter} "quoted"', "plain é", "last"]
    assert report.kept == 3
    assert report.dropped == {
        "'text' is empty": [1, f"{tmp_path}/a{suffix}:6"],
        "'text' is missing or no text": [1, f"{tmp_path}/a{suffix}:7"],
    }


def test_another_column_gives_other_texts(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n1,2\n3,4\n")
    assert rows(path, "a")[0] == ["1", "3"]
    assert rows(path, "b")[0] == ["2", "4"]


def test_a_row_with_more_fields_than_the_header_is_dropped(tmp_path):
    path = write(tmp_path / "a.csv", "id,text\n1,yes, but\n2,no\n3,a,b\n")
    texts, report = rows(path)
    assert texts == ["no"]
    assert report.dropped == {"the row has more fields than the header": [2, f"{path}:2"]}


def test_an_open_quote_is_dropped_and_counted(tmp_path):
    path = write(tmp_path / "a.csv", 'id,text\n1,good\n2,"never closed\n3,x\n')
    texts, report = rows(path)
    assert texts == ["good"]
    assert report.dropped == {"a quote is left open": [1, f"{path}:3"]}


def test_an_open_quote_does_not_take_all_memory(tmp_path, monkeypatch):
    before = csv.field_size_limit(1000)
    monkeypatch.setattr(readers, "MAX_FIELD", 1000)
    try:
        path = write(tmp_path / "a.csv", 'id,text\n1,good\n2,"open\n' + "3,x\n" * 1000)
        with pytest.raises(InputError, match="a.csv:3 is no CSV: field larger.*open") as error:
            rows(path)
        one_line(error)
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize("chunk_bytes", [6, 1 << 22])
def test_keys_of_json_lines(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr(readers, "CHUNK_BYTES", chunk_bytes)
    lines = [
        json.dumps({"text": "one\r\ntwo é"}),
        json.dumps({"text": "😀", "other": 1}),
        "",
        "{broken",
        '{"text": 5}',
        '{"other": 5}',
        "[1, 2]",
        "{also broken",
        '{"text": "  "}',
        "[" * 100_000,
        '{"text": "half \\ud83d"}',
    ]
    path = write(tmp_path / "a.jsonl", "\n".join(lines))
    texts, report = rows(path)
    assert texts == ["one\ntwo é", "😀", "half \ufffd"]
    assert report.kept == 3
    assert report.dropped == {
        "the line is no JSON": [3, f"{path}:4"],
        "'text' is missing or no text": [2, f"{path}:5"],
        "the line is no JSON object": [1, f"{path}:7"],
        "'text' is empty": [1, f"{path}:9"],
    }


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "CHUNK_BYTES", 100)
    monkeypatch.setattr(readers, "MAX_LINE", 500)
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n' + "x" * 1000)
    with pytest.raises(InputError, match="a.jsonl:2 is no row of a table.* 500 ") as error:
        rows(path)
    one_line(error)


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "id,text\n1,a\n"), ("a.jsonl", '{"id": 1, "text": "a"}\n')]
)
def test_a_missing_column_names_those_near(tmp_path, name, content):
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=f"{name} 'txet'. Did you mean 'text'.* id, text") as error:
        rows(path, "txet")
    one_line(error)


def test_an_empty_table_has_no_columns(tmp_path):
    with pytest.raises(InputError, match="none"):
        rows(write(tmp_path / "a.csv", ""))


def test_a_table_that_is_badly_encoded_is_refused(tmp_path):
    path = write(tmp_path / "a.csv", b"id,text\n1,a\n2,\xe9\n")
    with pytest.raises(InputError, match="a.csv is not UTF-8: line 3, byte 14"):
        rows(path)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("a.csv", True),
        ("A.CSV", True),
        ("a.tsv.gz", True),
        ("a.jsonl.xz", True),
        ("a.ndjson", True),
        ("a.txt", False),
        ("a.gz", False),
        ("csv", False),
    ],
)
def test_the_suffix_tells_a_table(tmp_path, name, table):
    assert readers.is_table(tmp_path / name) == table


def test_a_compressed_table(tmp_path):
    path = write(tmp_path / "a.csv.gz", gzip.compress(b"id,text\n1,packed\n"))
    assert rows(path)[0] == ["packed"]
