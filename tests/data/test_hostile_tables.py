"""Tables that are small and become large, wide or unreadable."""

import lzma

import numpy as np
import pytest

from tests.timing import least_seconds
from tfgen.data.series import open_sequences
from tfgen.errors import InputError
from tfgen.recipe import DataConfig
from tfgen.report.inspect_sequences import inspect_sequences


def refused(path, **fields):
    with pytest.raises(InputError) as error:
        open_sequences(DataConfig(name=str(path), **fields))
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def wide(path, columns):
    names = ",".join(f"c{number}" for number in range(columns))
    path.write_text(f"{names}\n{','.join('1' * columns)}\n{','.join('2' * columns)}\n")
    return path


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param("columns", marks=pytest.mark.long),
        pytest.param("auto", marks=pytest.mark.exhaustive),
    ],
)
def test_time_grows_with_the_number_of_columns_only(tmp_path, layout):
    def seconds(columns):
        config = DataConfig(name=str(wide(tmp_path / "a.csv", columns)), layout=layout)
        assert len(open_sequences(config).features) == columns
        return least_seconds(lambda: open_sequences(config))

    # Eight times as long if it is linear, 64 times if it is quadratic.
    assert seconds(8000) < 24 * seconds(1000)


def test_many_arrays_of_an_archive(tmp_path):
    np.savez(tmp_path / "a.npz", **{f"a{number}": np.arange(3) for number in range(2000)})
    assert len(open_sequences(DataConfig(name=str(tmp_path / "a.npz"))).features) == 2000


def test_inspect_shows_so_many_features(tmp_path):
    text = inspect_sequences(DataConfig(name=str(wide(tmp_path / "a.csv", 300)), layout="columns"))
    assert "c199: " in text and "c200: " not in text and text.endswith("and 100 more features")


@pytest.mark.parametrize("line", [b"1,2,3\n", b"x" * 5000 + b",2,3\n"])
def test_a_compressed_table_is_refused_when_it_becomes_too_large(tmp_path, line):
    path = tmp_path / "a.csv.xz"
    path.write_bytes(lzma.compress(b"a,b,c\n" + line * (20_000_000 // len(line)), preset=0))
    message = refused(path, max_numbers=100_000)
    assert "would become" in message and message.endswith("Received: data.max_numbers=100000")


@pytest.mark.long
def test_parquet_says_how_large_it_is(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"a": np.zeros(1_000_000, np.int64)}), path)
    assert path.stat().st_size < 20_000
    assert "would become 5,000,000 numbers" in refused(path, max_numbers=1_000_000)
    # A long text that comes again is there once.
    codes = arrow.array([0, 1, 0, 0] * 5000)
    texts = arrow.DictionaryArray.from_arrays(codes, ["x" * 100_000, "y"])
    parquet.write_table(arrow.table({"t": texts, "a": np.arange(20_000.0)}), path)
    sequences = open_sequences(DataConfig(name=str(path)))
    assert [len(level) for level in sequences.features[0].levels] == [100_000, 1]


def test_parquet_that_is_no_utf_8(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    offsets = arrow.py_buffer(np.arange(31, dtype=np.int32).tobytes())
    texts = arrow.Array.from_buffers(
        arrow.string(), 30, [None, offsets, arrow.py_buffer(b"\xff" * 30)]
    )
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"a": texts, "b": np.arange(30.0)}), path)
    assert "the column 'a' holds bytes that are no UTF-8" in refused(path)


def test_a_line_without_end_is_no_table(tmp_path, monkeypatch):
    monkeypatch.setattr("tfgen.data.readers.MAX_LINE", 100_000)
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"1" * 5_000_000)
    assert "is no row of a table" in refused(path)
