"""Columns of text: every delimiter, Parquet, and which column it may be."""

import json

import numpy as np
import pytest

from tfgen.data.readers import Report
from tfgen.data.text import open_text
from tfgen.data.text_columns import read_column
from tfgen.errors import InputError

ROWS = [("1", "yes, but; no"), ("2", "two\nlines | and a\ttab"), ("3", 'some "quotes"')]


def table(path, delimiter, columns=("id", "text")):
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in ROWS]
    lines = [delimiter.join(columns), *(delimiter.join(row) for row in quoted)]
    path.write_text("\n".join(lines), "utf-8")
    return path


def texts(path, column="text"):
    report = Report()
    found = list(read_column(path, column, report))
    assert not report.dropped and report.kept == len(found)
    return found


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, suffix, delimiter):
    path = table(tmp_path / f"a{suffix}", delimiter)
    assert texts(path) == [text for _, text in ROWS]
    with pytest.raises(InputError, match="'txt'. Did you mean 'text'.* Known: id, text$"):
        texts(path, "txt")


def test_a_delimiter_in_the_texts_is_none(tmp_path):
    path = tmp_path / "a.csv"
    # Each row has one semicolon, and the table is one of commas.
    path.write_text("id,text\n" + "".join(f"{i},a;b {i}\n" for i in range(9)))
    assert texts(path) == [f"a;b {i}" for i in range(9)]
    path.write_text("text\na;b\nc;d\n")
    assert texts(path) == ["a;b", "c;d"]


def test_a_column_of_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    rows = {"text": ["one\r\ntwo", None, "  ", "é"], "n": [1, 2, 3, 4]}
    parquet.write_table(arrow.table(rows), path)
    report = Report()
    assert list(read_column(path, "text", report)) == ["one\ntwo", "é"]
    assert report.dropped == {
        "'text' is missing or no text": [1, f"{path}:2"],
        "'text' is empty": [1, f"{path}:3"],
    }
    assert open_text(path, "text").characters["all"] == len("one\ntwo\né")
    with pytest.raises(InputError, match="'txt'. Did you mean 'text'"):
        texts(path, "txt")
    whole = path.read_bytes()
    path.write_bytes(whole.replace("é".encode(), b"\xff\xff"))
    with pytest.raises(InputError, match="cannot be read as Parquet: 'utf-8' codec can't decode"):
        texts(path)
    path.write_bytes(whole[:-30])
    with pytest.raises(InputError, match="cannot be read as Parquet") as error:
        texts(path)
    assert "\n" not in str(error.value)


def test_which_column_it_may_be_is_said(tmp_path):
    path = table(tmp_path / "a.csv", ";", ("id", "review"))
    with pytest.raises(InputError, match=r"\(--column\); 'review' looks like it. Columns: id, rev"):
        open_text(path)
    path = tmp_path / "a.jsonl"
    rows = [{"n": 1, "a": "some words", "word": "w", "b": "some more words"}] * 3
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="'b' or 'a' looks like it. Columns: n, a, word, b"):
        open_text(path)
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match=r"\(--column\). Columns: x, y$"):
        open_text(tmp_path / "b.csv")
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(InputError, match="Columns: none"):
        open_text(tmp_path / "b.csv")
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(arrow.table({"n": np.arange(3), "a": ["b c"] * 3}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="'a' looks like it. Columns: n, a"):
        open_text(tmp_path / "a.parquet")
