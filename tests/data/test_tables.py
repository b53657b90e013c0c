"""Tables: what is a number, a category and a time, and what is wrong with a file."""

import csv
import datetime
import gzip
import lzma
import random
import sys

import numpy as np
import pytest

from tfgen.data import text_tables
from tfgen.data.dates import NO_TIME, Times
from tfgen.data.tables import Table, read_tables
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

NAN = float("nan")


def write(path, content):
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def read(*paths, is_time=lambda name: name == "time", **arguments):
    def times_of(name):
        return Times(name, True) if is_time(name) else None

    table = Table(lambda name: True, times_of, **arguments)
    read_tables(paths, table)
    return table


def numbers(table):
    return {name: column.numbers().tolist() for name, column in table.columns.items()}


def refused(*paths, **arguments):
    with pytest.raises(InputError) as error:
        read(*paths, **arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def seconds(*arguments, zone=datetime.UTC):
    return datetime.datetime(*arguments, tzinfo=zone).timestamp()


# CSV and TSV


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_file(tmp_path, suffix, ends, mark):
    text = mark + ends.join(['"a", b ', "1,x", '2,"x, ""y"""', ""])
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    table = read(write(tmp_path / f"one.two.csv{suffix}", pack(text.encode())))
    assert table.names == ["a", "b"] and table.rows == 2 and table.parts == ["one"]
    assert table.columns["a"].numbers().tolist() == [1, 2]
    assert table.columns["b"].categories(np.arange(2))[0] == ("x", 'x, "y"')
    assert not table.report.dropped


def test_a_tsv_file_with_commas(tmp_path):
    table = read(write(tmp_path / "a.TSV", "a\tb,c\n1\t2\n"))
    assert numbers(table) == {"a": [1], "b,c": [2]}


def test_semicolons_separate_where_they_separate_the_header(tmp_path):
    table = read(write(tmp_path / "a.csv", "a;b, in m;c\n1,5;2.5;-3,25e1\n1;,5;x\n"))
    found = numbers(table)
    assert found["a"] == [1.5, 1] and found["b, in m"] == [2.5, 0.5] and found["c"][0] == -32.5
    table = read(write(tmp_path / "b.csv", 'a,"x;y;z;w"\n"1,5",2\n3,4\n'))
    assert numbers(table) == {"a": [1.5, 3], "x;y;z;w": [2, 4]}


def test_rows_of_another_length_are_dropped_and_counted(tmp_path):
    path = write(tmp_path / "a.csv", 'a,b\n1,2\n3\n4,5,6\n\n"7",8\n9,"10\n11,12\n')
    table = read(path)
    assert numbers(table) == {"a": [1, 7], "b": [2, 8]}
    assert table.report.dropped == {
        "the row has fewer fields than the header": [1, f"{path}:3"],
        "the row has more fields than the header": [1, f"{path}:4"],
        "the line is empty": [1, f"{path}:5"],
        "a quote is left open": [1, f"{path}:7"],
    }
    assert table.where(1) == f"{path}:6"


def test_a_row_of_several_lines_is_where_it_begins(tmp_path):
    path = write(tmp_path / "a.csv", 'a,b\n"1\n",2\n3,4\n')
    assert [read(path).where(row) for row in (0, 1)] == [f"{path}:2", f"{path}:4"]


def test_random_tables_are_read_as_csv_reads_them(tmp_path, monkeypatch):
    monkeypatch.setattr(text_tables, "ROWS", 3)
    rng = random.Random(0)
    for trial in range(30):
        cells = ["", "1", "2.5", "x", 'a"b', "c,d", "e\nf", "nan", "-7"]
        rows = [rng.choices(cells, k=3) for _ in range(rng.randint(1, 10))]
        path = tmp_path / f"{trial}.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["a", "b", "c"], *rows])
        table = read(path)
        rows = [row for row in rows if any(row)]
        for place, column in enumerate(table.columns.values()):
            levels, codes = column.categories(np.arange(len(rows)))
            found = ["" if code < 0 else levels[code] for code in codes]
            assert found == [row[place] if row[place] != "nan" else "" for row in rows]


@pytest.mark.parametrize(
    ("name", "text", "names", "first"),
    [
        ("a.csv", "sep=;\na;b\n1,5;2\n", ["a", "b"], [1.5, 2]),
        ("a.csv", "# x\n# y\na,b\n1,2\n# z\n3,4\n", ["a", "b"], [1, 2]),
        ("a.csv", "# x\n# a b\n1 2\n3 4\n", ["a", "b"], [1, 2]),
        ("a.csv", "%a,b\n1,2\n3,4\n", ["a", "b"], [1, 2]),
        ("a.csv", "a|b\n1|2\n3|4\n", ["a", "b"], [1, 2]),
        ("a.csv", "a,b\n1,2,\n3,4,\n", ["a", "b"], [1, 2]),
        ("a.csv", "A report, 2020\n\na;b\n1,5;2\n3,5;4\n", ["a", "b"], [1.5, 2]),
        ("a.csv", '"a", "b"\n"1", "2.5"\n"3", "4"\n', ["a", "b"], [1, 2.5]),
        ("a.csv", "b,a,b\n1,2,3\n", ["b", "a", "b.1"], [1, 2, 3]),
        ("a.csv", "1.5,2\n3,4\n", ["x0", "x1"], [1.5, 2]),
        ("a.dat", "  a    b\n  1.5  2\n 10    4\n", ["a", "b"], [1.5, 2]),
        ("a.txt", '"a" "b"\n"1" 5 6\n"2" 7 8\n', ["a", "b"], [5, 6]),
        ("a.data", "5.1,3.5,?\n4.9,3.0,1\n", ["x0", "x1", "x2"], [5.1, 3.5, NAN]),
        ("a.tsv", "a\tb\n1,5\t2\n", ["a", "b"], [1.5, 2]),
    ],
)
def test_layouts_as_other_programs_write_them(tmp_path, name, text, names, first):
    table = read(write(tmp_path / name, text))
    assert table.names == names and not table.report.dropped
    np.testing.assert_array_equal([c.numbers()[0] for c in table.columns.values()], first)


def test_the_layout_may_be_said(tmp_path):
    path = write(tmp_path / "a.csv", "p q\na^b\n1,234^2\n")
    config = DataConfig(delimiter="^", header="2", decimal=",")
    assert numbers(read(path, config=config)) == {"a": [1.234], "b": [2]}
    config = DataConfig(delimiter="^", header="2", decimal=".")
    assert numbers(read(path, config=config))["a"] == [1234]
    config = DataConfig(delimiter="^", header="none")
    assert read(path, config=config).names == ["x0", "x1"]
    assert "must be one character" in refused(path, config=DataConfig(delimiter="^^"))
    message = refused(path, config=DataConfig(header="9"))
    assert "'auto', 'none' or the number of a line" in message


def test_other_columns_say_what_a_comma_is(tmp_path):
    table = read(write(tmp_path / "a.csv", 'a,b\n"1,234","2,5"\n'))
    assert numbers(table) == {"a": [1.234], "b": [2.5]}
    table = read(write(tmp_path / "a.csv", 'a,b\n"1,234",2.5\n'))
    assert numbers(table) == {"a": [1234], "b": [2.5]}
    assert numbers(read(write(tmp_path / "a.csv", "a;b\n1,234;2\n")))["a"] == [1.234]
    table = read(write(tmp_path / "a.csv", "a;b\n900;1\n1.005;2\n"))
    assert numbers(table)["a"] == [900, 1005]
    table = read(write(tmp_path / "a.csv", "a;b\n1.234;1\n2.345;2\n"))
    assert numbers(table)["a"] == [1.234, 2.345]
    assert table.columns["a"].notes == ["1.234 is read with '.' for decimals (data.decimal)"]
    table = read(write(tmp_path / "a.csv", "a;b\n1.234;2,5\n"))
    assert numbers(table) == {"a": [1234], "b": [2.5]}


@pytest.mark.parametrize("content", ["", "\ufeff", "\n\n", "# a remark\n"])
def test_an_empty_file(tmp_path, content):
    assert "is empty: a table begins with" in refused(write(tmp_path / "a.csv", content))


def test_a_header_only(tmp_path):
    path = write(tmp_path / "a.csv", "a,b\n")
    assert refused(path) == f"There is no row in {path}"
    path = write(tmp_path / "a.csv", "a,b\n1\n")
    assert refused(path).endswith(
        f": 1 x the row has fewer fields than the header (first: {path}:2)"
    )


def test_a_column_without_a_name(tmp_path):
    table = read(
        write(tmp_path / "a.csv", ",a,\n2013-01-31,1,7\n"), is_time=lambda name: name == ""
    )
    assert len(table.unnamed) == 2 and table.names == ["a"] and list(table.columns) == ["a"]
    assert table.times[""].read().stamps.tolist() == [seconds(2013, 1, 31) * 1e6]


def test_not_utf_8(tmp_path):
    table = read(write(tmp_path / "a.csv", "größe,b\n1,é\n".encode("cp1252")))
    assert table.names == ["größe", "b"] and table.columns["b"].texts(1) == ["é"]
    assert table.report.notes == ["a.csv is not UTF-8; it is read as Windows-1252"]
    for encoding in ("utf-16", "utf-16-be"):
        text = "a,b\n1,é\n" if encoding == "utf-16" else "\ufeffa,b\n1,é\n"
        table = read(write(tmp_path / "a.csv", text.encode(encoding)))
        assert table.names == ["a", "b"] and table.columns["b"].texts(1) == ["é"]
    # What is UTF-8 elsewhere, or no text, is damaged.
    message = refused(write(tmp_path / "a.csv", "a,b\n1,é\n2,".encode() + b"\xe9,\n"))
    assert "is not UTF-8: line 3" in message
    assert "is not UTF-8: line 2" in refused(write(tmp_path / "a.csv", b"a,b\n1,\x81\n"))
    assert "binary" in refused(write(tmp_path / "a.csv", b"a,b\n1,\0\n"))
    assert "is no utf-16" in refused(write(tmp_path / "a.csv", b"\xff\xfea\0,\0\n\0\xd8"))
    assert "damaged" in refused(
        write(tmp_path / "a.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99)[:-9])
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv.zip", "a.json"])
def test_a_wrong_suffix(tmp_path, name):
    message = refused(write(tmp_path / name, "a,b\n1,2\n"))
    assert "its suffix must be one of .csv, .tsv, .parquet, .npz, .xlsx" in message


def test_an_unknown_column_has_near_matches(tmp_path):
    path = write(tmp_path / "a.csv", "temp,humid\n1,2\n")
    message = refused(path, roles={"tmp": "data.columns"})
    assert f"column of {path}, asked for by data.columns, 'tmp'. Did you mean 'temp'?" in message


def test_only_what_is_wanted_is_kept(tmp_path):
    path = write(tmp_path / "a.csv", "a,b,time\n1,2,3\n")
    table = Table(lambda name: name == "b", lambda name: Times() if name == "time" else None)
    read_tables([path], table)
    assert list(table.columns) == ["b"] and list(table.times) == ["time"]
    assert table.names == ["a", "b", "time"]


def test_several_files_are_parts_of_one_table(tmp_path):
    one = write(tmp_path / "one.csv", "a,b\n1,2\n3,4\n")
    two = write(tmp_path / "two.tsv", "b\ta\n6\t5\n")
    table = read(one, two)
    assert numbers(table) == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert table.parts == ["one", "two"] and table.part_numbers().tolist() == [0, 0, 1]
    assert [table.where(row) for row in range(3)] == [f"{one}:2", f"{one}:3", f"{two}:2"]
    three = write(tmp_path / "three.csv", "a,c\n1,2\n")
    message = refused(one, three)
    assert f"{three} has no column 'b', unlike {one}" in message


# Parquet


def parquet(path, frame):
    frame.to_parquet(path)
    return path


def test_a_parquet_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(
        {
            "whole": [1, 2, 3],
            "gaps": pandas.array([1, None, 3], "Int64"),
            "number": [1.5, None, float("inf")],
            "flag": [True, False, True],
            "text": ["b", None, "a"],
            "kind": pandas.Categorical(["u", "v", "u"]),
            "time": pandas.to_datetime(["2013-01-31 12:00", None, "2013-02-01 00:00"]),
            "zoned": pandas.to_datetime(["2013-01-31 12:00"] * 3).tz_localize("Asia/Tokyo"),
            "list": [[1], [2], [3]],
        }
    )
    frame["day"] = [datetime.date(2013, 1, 31)] * 3
    path = parquet(tmp_path / "a.parquet", frame)
    table = read(path, is_time=lambda name: name in ("time", "zoned", "day"))
    found = {name: column.numbers() for name, column in table.columns.items()}
    np.testing.assert_array_equal(found["whole"], [1, 2, 3])
    np.testing.assert_array_equal(found["gaps"], [1, NAN, 3])
    np.testing.assert_array_equal(found["number"], [1.5, NAN, NAN])
    np.testing.assert_array_equal(found["flag"], [1, 0, 1])
    np.testing.assert_array_equal(found["list"], [NAN] * 3)
    assert table.columns["number"].faults == {"is not finite": [1, 2, "inf"]}
    assert table.columns["text"].categories(np.arange(3))[0] == ("a", "b")
    assert table.columns["kind"].categories(np.arange(3))[1].tolist() == [0, 1, 0]
    times = {name: column.read().stamps.tolist() for name, column in table.times.items()}
    noon = seconds(2013, 1, 31, 12) * 1e6
    assert times["time"] == [noon, NO_TIME, seconds(2013, 2, 1) * 1e6]
    assert times["zoned"] == [noon - 9 * 3600e6] * 3
    assert times["day"] == [seconds(2013, 1, 31) * 1e6] * 3
    assert table.where(2) == f"{path}, row 2"


def test_the_index_of_a_frame_has_no_name(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1.0]}, index=pandas.to_datetime(["2013-01-31"]))
    path = parquet(tmp_path / "a.parquet", frame)
    table = read(path, is_time=lambda name: name == "")
    assert table.times[""].read().stamps.tolist() == [seconds(2013, 1, 31) * 1e6]


def test_a_broken_parquet_file(tmp_path):
    pytest.importorskip("pyarrow")
    assert "cannot be read as Parquet" in refused(write(tmp_path / "a.parquet", b"PAR1 nothing"))


def test_parquet_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    message = refused(write(tmp_path / "a.parquet", b""))
    assert message.endswith("Parquet files need pyarrow: pip install 'tfgen-sequences[data]'")


# NPZ


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_an_archive_of_one_sequence(tmp_path):
    path = npz(tmp_path / "a.npz", x=[[1.0, 2], [3, np.nan]], time=[1e9, 2e9], odd=[1, 2, 3], one=5)
    table = read(path)
    np.testing.assert_array_equal(numbers(table)["x0"], [1, 3])
    np.testing.assert_array_equal(numbers(table)["x1"], [2, NAN])
    assert table.times["time"].read().stamps.tolist() == [1e15, 2e15]
    assert table.parts == ["a"] and "odd" not in table.columns
    assert table.report.dropped == {
        "an array of 1 axis is not of length 2": [1, f"{path}: 'odd'"],
        "a single value is no column": [1, f"{path}: 'one'"],
    }


def test_an_archive_of_many_sequences(tmp_path):
    values = np.arange(12).reshape(2, 3, 2)
    path = npz(tmp_path / "a.npz", x=values, label=np.array(["u", "v"]))
    table = read(path)
    assert numbers(table)["x1"] == [1, 3, 5, 7, 9, 11]
    assert table.parts == ["0", "1"] and table.part_numbers().tolist() == [0, 0, 0, 1, 1, 1]
    assert table.columns["label"].categories(np.arange(6))[1].tolist() == [0, 0, 0, 1, 1, 1]
    assert table.where(4) == f"{path}, 1, row 1"


def test_an_archive_of_sequences_of_their_own_lengths(tmp_path):
    path = npz(tmp_path / "a.npz", u=np.ones([2, 1]), v=np.zeros([3, 1]), c=[7, 8])
    table = read(path)
    assert numbers(table) == {"x0": [1, 1, 0, 0, 0], "c": [7, 7, 8, 8, 8]}
    assert table.parts == ["u", "v"]


def test_an_archive_of_columns(tmp_path):
    days = np.array(["2013-01-31", "NaT"], "M8[D]")
    path = npz(tmp_path / "a.npz", a=np.float16([1, 2]), b=np.array(["x", ""]), time=days)
    table = read(path)
    assert table.columns["a"].numbers().tolist() == [1, 2]
    assert table.columns["b"].categories(np.arange(2))[1].tolist() == [0, -1]
    assert table.times["time"].read().stamps.tolist() == [seconds(2013, 1, 31) * 1e6, NO_TIME]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": [1, 2], "b": [1]}, "must be of one length. Received: {'a': 2, 'b': 1}"),
        ({"a": np.ones([1, 1, 1, 1])}, r"Received: {'a': \(1, 1, 1, 1\)}"),
        ({"a": np.ones([1, 2]), "b": np.ones([1, 3])}, "must hold one array"),
        ({"a": np.ones([1, 1, 2]), "b": np.ones([1, 2])}, "must hold one array"),
        ({"a": [1j]}, "an array of complex128"),
        ({"a": np.array([{}], object)}, "Python objects, which only pickle reads"),
        ({"a": np.ones([2, 1]), "x0": [1, 2]}, "'x0' is also the name of a feature"),
        ({"a": np.ones([0, 2])}, "There is no row"),
        ({}, "must hold one array"),
    ],
)
def test_archives_that_are_no_table(tmp_path, arrays, message):
    with pytest.raises(InputError, match=message):
        read(npz(tmp_path / "a.npz", **arrays))


def test_a_broken_archive(tmp_path):
    assert "is no NumPy archive" in refused(write(tmp_path / "a.npz", b"PK\x03\x04 nothing"))
