"""`open_sequences`: from files to sequences, and what kind of data a name is."""

import dataclasses

import numpy as np
import pytest

from tfgen.data import strokes
from tfgen.data.sequences import Feature
from tfgen.data.series import data_kind, open_sequences
from tfgen.data.time_series import open_tables
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

NAN = float("nan")
DAY = 86400
TABLE = """\
time,id,a,b,flag,price,site
2013-01-03,v,5,x,yes,1,9
2013-01-01,u,1,y,no,2,8
2013-01-01,v,3,,no,3,9
2013-01-02,u,2,x,yes,4,8
2013-01-02,v,,y,,5,
"""


def write(path, content):
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "t.csv", TABLE)


def opened(path, **fields):
    return open_sequences(DataConfig(name=str(path), **fields))


def refused(path, **fields):
    with pytest.raises(InputError) as error:
        opened(path, **fields)
    assert "\n" not in str(error.value)
    return str(error.value)


def same(found, expected):
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


# Roles of columns


def test_rows_become_sequences_sorted_by_time(table):
    sequences = opened(table, id="id", known="flag", static="site")
    assert sequences.kind == "series" and sequences.ids == ["u", "v"] and not sequences.ends
    assert sequences.features == (Feature("a"), Feature("b", ("x", "y")), Feature("price"))
    same(sequences.values, [[[1, 1, 2], [2, 0, 4]], [[3, NAN, 3], [NAN, 1, 5], [5, 0, 1]]])
    assert all(values.dtype == np.float32 for values in sequences.values)
    first = 15706 * DAY
    same(sequences.times, [[first, first + DAY], [first, first + DAY, first + 2 * DAY]])
    assert all(times.dtype == np.int64 for times in sequences.times)
    assert sequences.known_names == ("flag=no", "flag=yes")
    same(sequences.known, [[[1, 0], [0, 1]], [[1, 0], [NAN, NAN], [0, 1]]])
    assert sequences.static_names == ("site",)
    same(sequences.static, [[8], [9]])
    assert sequences.static.dtype == np.float32
    assert sequences.report.kept == 5 and not sequences.report.dropped


def test_the_order_of_rows_does_not_matter(table, tmp_path):
    header, *rows = TABLE.splitlines()
    other = write(tmp_path / "o.csv", "\n".join([header, *reversed(rows)]))
    one, two = (opened(path, id="id", label="site") for path in (table, other))
    same(one.values, two.values)
    same(one.times, two.times)
    assert one.features == two.features
    assert one.classes == two.classes == ("8", "9") and one.labels.tolist() == [0, 1]


def test_chosen_columns_come_in_the_order_of_the_choice(table):
    sequences = opened(table, id="id", columns=("price", "a"))
    assert [feature.name for feature in sequences.features] == ["price", "a"]
    same(sequences.values, [[[2, 1], [4, 2]], [[3, 3], [5, NAN], [1, 5]]])


def test_without_an_id_column_a_file_is_a_sequence(tmp_path):
    write(tmp_path / "one.csv", "a\n1\n2\n")
    write(tmp_path / "two.csv", "a\n3\n")
    write(tmp_path / "README.md", "# What it is")
    sequences = opened(tmp_path)
    assert sequences.ids == ["one", "two"]
    same(sequences.values, [[[1], [2]], [[3]]])
    assert sequences.times is None
    assert sequences.report.dropped == {"a file is no series": [1, str(tmp_path / "README.md")]}


def test_numbers_are_categories_if_asked(table):
    sequences = opened(table, id="id", columns="price", categories="price")
    assert sequences.features == (Feature("price", ("1", "2", "3", "4", "5")),)
    same(sequences.values, [[[1], [3]], [[2], [4], [0]]])
    assert opened(table, id="id", static="site", categories="site").static_names == (
        "site=8",
        "site=9",
    )


@pytest.mark.parametrize("name", ["Time", "TIMESTAMP", "date", "ds", "time_hour", "", "when"])
def test_a_column_of_times_is_found(tmp_path, name):
    path = write(tmp_path / "t.csv", f"{name},a\n2013-01-02,1\n2013-01-01,2\n")
    same(opened(path).values, [[[2], [1]]])
    assert not opened(path).report.dropped


def test_a_column_called_time_that_holds_none_is_a_value(tmp_path):
    path = write(tmp_path / "t.csv", "time,a\n3,1\n1,2\n")
    sequences = opened(path)
    assert [feature.name for feature in sequences.features] == ["time", "a"]
    assert sequences.times is None
    message = refused(path, time="time")
    assert "'time' holds numbers from 1 to 3, which are no plausible times" in message
    same(opened(path, time="time", time_format="s").times, [[1, 3]])


def test_rows_are_dropped_for_reasons(tmp_path):
    path = write(
        tmp_path / "t.csv",
        "time,id,a,b,c,\n2013-01-01,u,1,,x,9\n2013-01-01,u,2,,1,9\nnoon,u,3,,2,9\n2013-01-02,,4,,3,9\n"
        "2013-01-03,u,inf,NA,4,9\n2013-01-04,v,1e39,nan,y,9\n",
    )
    sequences = opened(path, id="id")
    same(sequences.values, [[[1, NAN], [NAN, 4]], [[NAN, NAN]]])
    assert sequences.report.kept == 3
    assert sequences.report.dropped == {
        "the row has no 'id'": [1, f"{path}:5"],
        "'time' is no timestamp": [1, f"{path}:4"],
        "'time' was there before": [1, f"{path}:3"],
        "a column has no name, so it is left out": [1, f"{path}:2"],
        "a cell of 'a' is not finite, so it is missing": [2, f"'inf' at {path}:6"],
        "the column 'b' has no values": [1, f"{path}:2"],
        "a cell of 'c' is no number, so it is missing": [2, f"'x' at {path}:2"],
    }


def test_two_sequences_may_share_their_times(tmp_path):
    path = write(tmp_path / "t.csv", "time,id,a\n2013-01-01,v,1\n2013-01-01,u,2\n")
    sequences = opened(path, id="id")
    same(sequences.values, [[[2]], [[1]]])
    assert not sequences.report.dropped and sequences.times is not None


def test_times_without_an_id_hint_at_one(tmp_path):
    path = write(tmp_path / "t.csv", "time,a\n2013-01-01,1\n2013-01-01,2\n")
    assert (
        "'time' was there before (data.id tells several sequences apart)"
        in opened(path).report.dropped
    )


def test_times_finer_than_a_second_only_order_the_rows(tmp_path):
    path = write(tmp_path / "t.csv", "time,a\n1359633600500,1\n1359633600250,2\n1359633601000,3\n")
    sequences = opened(path)
    same(sequences.values, [[[2], [1], [3]]])
    assert sequences.times is None
    assert list(sequences.report.dropped) == ["times within one second, which order the rows only"]


def test_a_column_of_many_texts_is_left_out_or_refused(tmp_path):
    rows = "".join(f"{i},name {i}\n" for i in range(1001))
    path = write(tmp_path / "t.csv", "a,b\n" + rows)
    sequences = opened(path)
    assert [feature.name for feature in sequences.features] == ["a"]
    assert sequences.report.dropped == {
        "the column 'b' has 1,001 different texts in 1,001 rows": [1, f"{path}:2"]
    }
    assert "'b' has 1,001 different texts in 1,001 rows" in refused(path, columns="b")
    for fields in ({"categories": "b"}, {"known": "b"}, {"label": "b"}):
        assert "'b' has more than 1,000 different texts" in refused(path, **fields)
    assert opened(path, id="b").positions == 1001


def test_a_class_is_one_for_a_sequence(tmp_path):
    path = write(tmp_path / "t.csv", "id,a,c\nu,1,x\nv,2,\nu,3,\nw,4,y\n")
    sequences = opened(path, id="id", label="c")
    assert sequences.ids == ["u", "w"] and sequences.classes == ("x", "y")
    assert sequences.labels.tolist() == [0, 1] and sequences.labels.dtype == np.int32
    assert sequences.report.dropped == {"the sequence has no 'c'": [1, f"{path}:3"]}
    write(path, "id,a,c\nu,1,x\nv,2,x\nu,3,y\n")
    for fields in ({"label": "c"}, {"static": "c"}):
        message = refused(path, id="id", **fields)
        assert "must be the same in all rows of a sequence" in message and f"{path}:" in message
    write(path, "id,a,c\nu,1,\nv,2,\n")
    assert refused(path, id="id", label="c").startswith("There is no row in")


def test_a_static_value_may_be_missing(tmp_path):
    path = write(tmp_path / "t.csv", "id,a,s\nu,1,\nu,2,7\nv,2,\nw,3,8\n")
    same(opened(path, id="id", static="s").static, [[7], [NAN], [8]])


def test_an_archive_of_sequences_has_its_labels(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, x=np.arange(12.0).reshape(2, 3, 2), y=np.array(["q", "p"]))
    sequences = opened(path, label="y")
    same(sequences.values, [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]])
    assert sequences.labels.tolist() == [1, 0] and sequences.classes == ("p", "q")


@pytest.mark.parametrize(
    "field", ["columns", "time", "id", "categories", "known", "static", "label"]
)
def test_an_unknown_column_is_named_with_near_ones(table, field):
    message = refused(table, **{field: "pice"})
    assert f"data.{field}" in message and "'pice'. Did you mean 'price'" in message


def test_a_column_has_one_role(table):
    message = refused(table, id="id", known="a", static="a")
    assert message == "The column 'a' is asked for by data.known and by data.static"


def test_a_time_that_is_none_is_refused(table):
    message = refused(table, time="b")
    assert "No row has a timestamp that can be read" in message and message.endswith(
        "Received: data.time='b'"
    )


def test_nothing_but_missing_values_is_refused(tmp_path):
    path = write(tmp_path / "t.csv", "a,b\nNA,\n,\n")
    assert refused(path).startswith("There is no column of values in")


# Bounds


def bounds_of(path, *bounds, **fields):
    found = opened(path, bounds=bounds, **fields).features
    return {f.name: (f.low, f.high) for f in found if (f.low, f.high) != (None, None)}


def test_bounds_are_of_features(table):
    found = bounds_of(table, "a=0:5", "price = 1: ", id="id")
    assert found == {"a": (0, 5), "price": (1, None)}
    assert bounds_of(table, "price=:5.5", id="id") == {"price": (None, 5.5)}
    assert bounds_of(table, "a=-1e3:inf", id="id") == {"a": (-1000, None)}


def test_a_bound_holds_in_the_precision_of_the_values(tmp_path):
    # In float32 the first is a little less, and the second a little more.
    path = write(tmp_path / "t.csv", "a\n0.7\n1.1\n")
    assert bounds_of(path, "a=0.7:1.1") == {"a": (0.7, 1.1)}


def test_automatic_bounds_are_of_the_part_for_training(tmp_path):
    path = write(tmp_path / "t.csv", "a\n" + "".join(f"{i}\n" for i in [3, -1, "", 7, 99]))
    assert bounds_of(path, "a=auto", validation_fraction=0.2) == {"a": (-1, 7)}
    assert bounds_of(path, "a=auto", validation_fraction=0.6) == {"a": (-1, 3)}
    path = write(tmp_path / "s.csv", "id,a\n" + "".join(f"{i},{i}\n" for i in range(4)))
    fields = {"id": "id", "validation_fraction": 0.25}
    assert bounds_of(path, "a=auto", split="sequences", **fields) == {"a": (0, 2)}


def test_values_outside_their_bounds_are_refused(table):
    message = refused(table, id="id", bounds=("price=2:4",))
    assert message == (
        "'price' has values outside its bounds: 2, the first of them 5 at "
        f"{table}:6. Received: data.bounds='price=2:4'"
    )


@pytest.mark.parametrize(
    "bound", ["a", "a=", "a=1", "a=2:1", "a=1:1", "a=x:1", "a=nan:1", "a=:", "=0:1", "a=1:2:3"]
)
def test_a_bound_that_is_none_is_refused(table, bound):
    message = refused(table, id="id", bounds=(bound,))
    assert "data.bounds" in message
    assert bound == "=0:1" or message.endswith(f"Received: data.bounds={bound!r}")


def test_a_bound_needs_a_feature_of_numbers(table):
    assert "Did you mean 'price'?" in refused(table, id="id", bounds=("prices=0:9",))
    assert "'b' is a category" in refused(table, id="id", bounds=("b=0:1",))
    assert "'a' has bounds already" in refused(table, id="id", bounds=("a=0:9", "a=auto"))
    assert "Unknown feature of data.bounds 'site'" in refused(
        table, id="id", static="site", bounds=("site=0:9",)
    )


def test_a_constant_has_no_automatic_bounds(tmp_path):
    path = write(tmp_path / "t.csv", "a,b\n1,1\n1,2\n")
    assert "fewer than two values" in refused(path, bounds=("a=auto",))


# Kinds


def test_the_kind_of_a_file(tmp_path):
    kinds = {
        "a.csv": "series", "a.tsv.gz": "series", "a.parquet": "series", "a.jsonl": "text",
        "a.txt": "text", "a.svg": "strokes", "a.wav": "audio", "A.FLAC": "audio",
    }  # fmt: skip
    for name, kind in kinds.items():
        path = write(tmp_path / name, "")
        assert data_kind(DataConfig(name=str(path))) == kind
    config = DataConfig(name=str(tmp_path / "a.csv"), column="text")
    assert data_kind(config) == "text"
    assert data_kind(dataclasses.replace(config, kind="series")) == "series"


def test_the_kind_of_an_archive(tmp_path):
    path = tmp_path / "a.npz"

    def kind(**arrays):
        np.savez(path, **arrays)
        return data_kind(DataConfig(name=str(path)))

    assert kind(x=np.ones([4, 3])) == "series"
    assert kind(points=np.ones([4, 3]), offsets=[0, 4]) == "strokes"
    assert kind(train=np.ones([4, 3]), valid=np.ones([2, 3])) == "strokes"
    assert kind(train=np.array([[1], [2, 3]], object)) == "strokes"
    assert kind(train=np.ones([4, 2]), valid=np.ones([2, 2])) == "series"
    path.write_bytes(b"no archive")
    assert data_kind(DataConfig(name=str(path))) == "series"


def test_a_folder_is_what_most_of_its_files_are(tmp_path):
    for name in ("a.svg", "b.svg", "c.csv", ".d.csv", ".e.csv"):
        write(tmp_path / name, "")
    assert data_kind(DataConfig(name=str(tmp_path))) == "strokes"
    (tmp_path / "none").mkdir()
    assert data_kind(DataConfig(name=str(tmp_path / "none"))) == "text"


def test_a_built_in_set_knows_its_kind():
    assert data_kind(DataConfig(name="shakespeare")) == "text"
    assert data_kind(DataConfig(name="Weather")) == "series"
    assert data_kind(DataConfig(name="kanji")) == "strokes"
    with pytest.raises(InputError, match=r"'weather' is series\. Received: data\.kind='audio'"):
        data_kind(DataConfig(name="weather", kind="audio"))


def test_text_is_no_sequence_of_numbers(tmp_path):
    assert "shakespeare is text" in refused("shakespeare")
    assert "is text, where sequences" in refused(write(tmp_path / "a.txt", "abc"))
    assert "There is no row in" in refused(tmp_path / "a.txt", kind="series")


def test_a_missing_file_has_near_names(tmp_path):
    path = write(tmp_path / "wether.csv", "a\n1\n")
    message = refused(tmp_path / "weather.csv")
    assert message == f"There is no file or folder {path.parent}/weather.csv. Did you mean {path}?"
    assert "Unknown data set" in refused("weathr") and "'weather'" in refused("weathr")


# Other kinds


def test_drawings_are_handed_on(tmp_path):
    drawing = np.array([[0, 0, 0], [1, 2, 0], [3, 1, 1]], np.float32)
    path = tmp_path / "a.npz"
    np.savez(path, u=drawing, v=drawing)
    assert opened(path).kind == "series"
    sequences = opened(path, kind="strokes", bounds=("dx=0:",))
    assert sequences.kind == "strokes" and sequences.features[2] == strokes.FEATURES[2]
    assert sequences.features[0] == Feature("dx", low=0.0)
    same(sequences.values, [drawing, drawing])
    message = refused(path, kind="strokes", bounds=("dy=0:1",))
    assert "'dy' has values outside its bounds: 2, the first of them 2 at u, position 1" in message
    # A folder of archives is drawings if somebody says so.
    assert len(opened(tmp_path, kind="strokes")) == 2
    assert "holds no files of audio" in refused(tmp_path, kind="audio")


def test_the_weather_is_there():
    sequences = open_sequences(DataConfig(name="weather", columns=("temp", "humid")))
    assert sequences.ids == ["EWR", "JFK", "LGA"] and len(sequences.features) == 2
    assert sequences.positions == 26115 and sequences.times[0][0] == 15706 * DAY + 6 * 3600


def test_open_tables_is_what_open_sequences_does_with_a_table(table):
    config = DataConfig(name=str(table), id="id")
    one, two = open_tables("t", [table], config), open_sequences(config)
    same(one.values, two.values)
    assert one.name == "t" and two.name == str(table)
