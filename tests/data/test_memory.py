"""Data in memory: frames, arrays, texts and datasets are read as the same data from a file."""

import dataclasses

import numpy as np
import pandas
import polars
import pyarrow
import pytest

from tfgen.data import Feature, Sequences, data_kind, open_sequences, open_text
from tfgen.data.memory import MEMORY, hold
from tfgen.errors import InputError
from tfgen.preprocessing import CharacterTokenizer, SequenceProcessor
from tfgen.recipe import DataConfig, PreprocessingConfig

NAN = float("nan")
HOURS = 48


def frame():
    rng = np.random.default_rng(0)
    made = pandas.DataFrame(
        {
            "time": pandas.date_range("2024-03-30", periods=HOURS, freq="h"),
            "load": rng.normal(size=HOURS),
            "short": rng.normal(size=HOURS).astype("float32"),
            "count": pandas.array([None, *range(HOURS - 1)], "Int64"),
            "windy": rng.integers(0, 2, HOURS).astype(bool),
            "sky": pandas.Categorical(rng.choice(["clear", "rain", None], HOURS)),
            "room": rng.choice(["u", "v"], HOURS),
            "mixed": np.array([1, "2", None, 3.5] * (HOURS // 4), object),
            "store": np.arange(HOURS) % 2,
        }
    )
    made["day"] = made.time.dt.date
    return made


def as_file(path, made, **options):
    made.to_csv(path, index=False, **options)
    return str(path)


def check_same(found, expected):
    """They are the same but for what files are called."""
    names = ("kind", "features", "known_names", "static_names", "classes", "ends")
    for name in names:
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("values", "times", "known", "static", "labels"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None), name
        for a, b in zip([] if one is None else one, [] if other is None else other, strict=True):
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_array_equal(a, b)
    counts = [{k: n for k, (n, _) in each.report.dropped.items()} for each in (found, expected)]
    assert counts[0] == counts[1]
    assert found.report.kept == expected.report.kept
    assert found.report.notes == expected.report.notes


def refused(data, config=None, opened=open_sequences):
    with pytest.raises(InputError) as error:
        opened(DataConfig() if config is None else config, data)
    assert "\n" not in str(error.value)
    return str(error.value)


# Frames


def libraries(made):
    plain = made.astype({"mixed": "str", "sky": "str"}).replace({"mixed": {"None": None}})
    return {
        "pandas": made,
        "nullable": made.convert_dtypes(),
        "arrow types": made.convert_dtypes(dtype_backend="pyarrow"),
        "polars": polars.from_pandas(plain),
        "pyarrow": pyarrow.Table.from_pandas(plain, preserve_index=False),
    }


@pytest.mark.parametrize("library", ["pandas", "nullable", "arrow types", "polars", "pyarrow"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": "store", "columns": ("load", "windy", "count"), "known": ("sky",)},
        {"time": "time", "id": "room", "static": (), "label": "room", "categories": ("count",)},
        {"layout": "series", "time": "time"},
        {"columns": ("load",), "bounds": ("load=auto",), "missing": ("-200",)},
    ],
)
def test_a_frame_is_read_as_its_csv_file(tmp_path, fields, library):
    fields = {key: value for key, value in fields.items() if value != ()}
    if fields.get("label") == fields.get("id") == "room":
        fields["id"] = "store"
        made = frame().assign(room=lambda f: np.where(f.store == 0, "u", "v"))
    else:
        made = frame()
    made.loc[5, "load"] = -200.0
    made.loc[7, "load"] = np.inf
    expected = open_sequences(DataConfig(name=as_file(tmp_path / "a.csv", made), **fields))
    found = open_sequences(DataConfig(**fields), libraries(made)[library])
    check_same(found, expected)
    if fields.get("layout") != "series":
        assert found.ids == (["0", "1"] if "id" in fields else ["data"])
    assert found.name == MEMORY


def test_times_with_a_zone_are_kept_as_utc_and_rows_sorted(tmp_path):
    made = frame()[["time", "load"]]
    made["time"] = made.time.dt.tz_localize("Europe/Berlin", nonexistent="shift_forward")
    made = made.sample(frac=1, random_state=0)
    expected = open_sequences(DataConfig(name=as_file(tmp_path / "a.csv", made)))
    for given in (made, polars.from_pandas(made)):
        found = open_sequences(DataConfig(), given)
        check_same(found, expected)
    assert found.times[0][0] == np.datetime64("2024-03-29T23:00").astype("M8[s]").astype(int)
    [reason] = found.report.dropped  # the hour that does not exist comes twice now
    assert reason.startswith("'time' was there before")


@pytest.mark.parametrize("name", [None, "when"])
@pytest.mark.parametrize("period", [False, True])
def test_the_index_of_pandas_is_a_column(tmp_path, name, period):
    made = frame()[["time", "load"]].set_index("time").rename_axis(name)
    if period:
        made.index = made.index.to_period("h")
        expected = made.to_timestamp()
    else:
        expected = made
    expected.to_csv(tmp_path / "a.csv")
    found = open_sequences(DataConfig(), made)
    check_same(found, open_sequences(DataConfig(name=str(tmp_path / "a.csv"))))
    assert found.times is not None and [f.name for f in found.features] == ["load"]


def test_an_index_that_numbers_the_rows_is_none():
    made = frame()[["load", "short"]]
    for index in (None, np.arange(HOURS)[::-1] * 3):
        found = open_sequences(DataConfig(), made if index is None else made.set_index(index))
        assert [each.name for each in found.features] == ["load", "short"]
        assert found.report.notes == []
    levels = frame().set_index(["store", "time"])[["load"]]
    found = open_sequences(DataConfig(id="store"), levels)
    assert found.ids == ["0", "1"] and found.times is not None


def test_a_column_alone_and_several_frames():
    made = frame()
    for column in (pandas.Series([1.5, 2, 4]), polars.Series([1.5, 2, 4])):
        assert open_sequences(DataConfig(), column).features == (Feature("0"),)
    column = made.set_index("time")["load"]
    check_same(
        open_sequences(DataConfig(), column), open_sequences(DataConfig(), made[["time", "load"]])
    )
    parts = [made[["time", "load"]][:20], polars.from_pandas(made[["time", "load"]][20:])]
    found = open_sequences(DataConfig(), parts)
    assert found.ids == ["0", "1"] and [len(values) for values in found.values] == [20, 28]
    message = refused([made[["load"]], made[["short"]]])
    assert message.startswith("frame 1 of data in memory has no column 'load'")


def test_what_a_frame_cannot_be():
    made = frame()
    assert refused(
        made.lazy() if hasattr(made, "lazy") else polars.LazyFrame({"a": [1]})
    ).startswith("A lazy frame holds no data yet: collect it first.")
    made["lists"] = [[1, 2]] * HOURS
    assert refused(made) == (
        "The column 'lists' must hold numbers, texts, times or missing values. Received: '[1, 2]' "
        "of type list in data in memory, row 0"
    )
    # A column that nobody wants may hold anything.
    open_sequences(DataConfig(columns=("load",), time="time"), made)
    assert "Unknown column of data in memory, asked for by data.time, 'tme'" in refused(
        frame(), DataConfig(time="tme")
    )
    assert refused(frame(), DataConfig(delimiter=";")) == (
        "data.delimiter is of files, and the data are in memory. Received: data.delimiter=';'"
    )
    assert "can only be series" in refused(frame(), DataConfig(kind="audio"))
    assert refused(frame()[:0]) == "There is no row in data in memory"
    assert refused(pandas.DataFrame()) == "There is no column in data in memory: an empty frame"
    levels = pandas.DataFrame([[1, 2]], columns=pandas.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
    assert "one name each" in refused(levels)


def test_names_that_come_again_are_numbered():
    made = pandas.DataFrame(np.arange(6.0).reshape(3, 2) ** 2, columns=["a", "a"])
    found = open_sequences(DataConfig(), made)
    assert [each.name for each in found.features] == ["a", "a.1"]
    assert found.report.notes == ["names that come again are numbered: a.1"]
    numbered = open_sequences(DataConfig(), pandas.DataFrame(np.arange(6.0).reshape(3, 2) ** 2))
    assert [each.name for each in numbered.features] == ["0", "1"]


def test_too_many_rows_are_dropped():
    made = frame()[["time", "load"]]
    made.loc[:30, "time"] = pandas.NaT
    assert "31 of 48 rows would be dropped: 31 x 'time' is no timestamp" in refused(
        made, DataConfig(time="time")
    )


# Arrays


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_an_array_is_read_as_its_npz_file(tmp_path, dtype):
    values = np.random.default_rng(0).normal(size=[4, 7, 2]) * 3
    values = values.astype(dtype)
    if dtype.startswith("float"):
        values[1, 2, 0], values[2, 3, 1] = NAN, np.inf
    fields = {"categories": ["x1"]} if dtype == "int64" else {"columns": ["x1", "x0"]}
    for given in (values, values[0], list(values), [values[0], values[1][:3]]):
        arrays = {"0": given} if isinstance(given, np.ndarray) else dict(
            (str(number), part) for number, part in enumerate(given)
        )  # fmt: skip
        np.savez(tmp_path / "a.npz", **arrays)
        expected = open_sequences(DataConfig(name=str(tmp_path / "a.npz"), **fields))
        found = open_sequences(DataConfig(**fields), given)
        check_same(found, expected)
        assert found.ids == [str(number) for number in range(len(found))]


def test_arrays_of_a_single_feature_and_with_a_mask():
    single = open_sequences(DataConfig(), np.arange(5.0))
    assert [part.tolist() for part in single.values] == [[[0], [1], [2], [3], [4]]]
    several = open_sequences(DataConfig(), [np.arange(3), [7.0, None, 9.0]])
    np.testing.assert_array_equal(several.values[1][:, 0], [7, NAN, 9])
    masked = np.ma.masked_array([[1, 2, 3]], [[False, True, False]])[..., None]
    np.testing.assert_array_equal(open_sequences(DataConfig(), masked).values[0][:, 0], [1, NAN, 3])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros([2, 3, 4, 5]), "Arrays must be (sequences, time, features), (time, features), or"),
        (np.float32(3), "Received: an array of shape ()"),
        (np.zeros([0, 5, 2]), "Received: an array without a value, of shape (0, 5, 2)"),
        ([np.zeros([0, 2])], "the first of them without a value, of shape (0, 2)"),
        ([np.zeros([2, 3, 1])], "Received: at place 0 of a list an array of shape (2, 3, 1)"),
        ([1.0, 2.0], "Received: at place 0 of a list an array of shape ()"),
        ([np.zeros([3, 2]), np.zeros([3, 1])], "Received: 2 at place 0, 1 at place 1"),
        ([np.zeros([3, 2]), [[1, 2], [3]]], "Received: at place 1 a list of something else"),
        (np.zeros([3, 2], complex), "Received: at the array an array of complex128"),
        (np.array([[1, "a"]], object), "numbers, NaN where missing. Received: at the array"),
        ([], "There is nothing in the data. Received: an empty list"),
        ({"a": [1]}, "Received: a dict"),
        (7, "Received: a int"),
        (object(), "Received: a object"),
    ],
)  # fmt: skip
def test_what_arrays_cannot_be(data, message):
    assert message in refused(data)


def test_an_empty_sequence_among_others_is_counted():
    found = open_sequences(DataConfig(), [np.zeros([3, 1]) + [[1], [2], [3]], np.zeros([0, 1])])
    assert found.ids == ["0"]
    assert found.report.dropped == {"the sequence has no position": [1, "data in memory, 1"]}


def test_sequences_are_taken_as_they_are():
    drawings = [np.array([[0, 1, 0], [2, 3, 1]], np.float32)]
    features = (Feature("dx"), Feature("dy"), Feature("pen", ("down", "up")))
    made = Sequences("mine", "strokes", features, drawings, ["a"], ends=True)
    assert open_sequences(DataConfig(split="sequences"), made) is made
    assert data_kind(DataConfig(), made) == "strokes"
    assert "Received: data.simplify=1.0" in refused(made, DataConfig(simplify=1.0))
    assert "Received: data.kind='audio'" in refused(made, DataConfig(kind="audio"))


# Texts


def read(source, split="all"):
    return "".join(source.chunks(split))


TEXTS = ["To be,\r\nor not", "to be", "", " \n", "é 😀\n", "that"]


def test_texts_are_read_as_a_column_and_as_a_file(tmp_path):
    found = open_text(MEMORY, data=TEXTS)
    assert read(found) == "To be,\nor not\nto be\né 😀\nthat"
    assert found.report.kept == 4
    assert found.report.dropped == {"the text is empty": [2, "text 2 of data in memory"]}
    made = pandas.DataFrame({"line": TEXTS, "number": range(len(TEXTS))})
    made.to_csv(tmp_path / "a.csv", index=False)
    expected = open_text(str(tmp_path / "a.csv"), "line", 0.3)
    for given in (made, polars.from_pandas(made)):
        column = open_text(MEMORY, "line", 0.3, given)
        for split in ("all", "train", "validation"):
            assert read(column, split) == read(expected, split)
        assert column.report.kept == expected.report.kept
        counts = [
            {k: n for k, (n, _) in each.report.dropped.items()} for each in (column, expected)
        ]
        assert counts[0] == counts[1] == {"'line' is empty": 2}
    (tmp_path / "a.txt").write_text("a\nb\nc")
    assert read(open_text(str(tmp_path / "a.txt")), "train") == read(
        open_text(MEMORY, data=["a", "b", "c"]), "train"
    )
    for given in (np.array(["a", "b"]), pandas.Series(["a", "b"]), ("a", "b"), ["a\nb"]):
        assert read(open_text(MEMORY, data=given)) == "a\nb"


def test_what_texts_cannot_be():
    def opened(config, data):
        return open_text(MEMORY, config.column, data=data)

    assert refused([], opened=opened).startswith("There is nothing in the data.")
    assert refused(["a", 3], opened=opened) == (
        "A list of texts holds nothing else. Received: '3' of type int at place 1"
    )
    assert refused(["", " "], opened=opened) == (
        "There is no text in data in memory: 2 x the text is empty (first: text 0 of data in "
        "memory)"
    )
    assert refused(frame(), opened=opened).startswith(
        "A frame is a table: name the column that holds the text (data.column). Columns: time, load"
    )
    assert "Unknown column of data in memory 'lin'" in refused(
        pandas.DataFrame({"line": ["a"]}), DataConfig(column="lin"), opened
    )
    assert "have no columns of text" in refused(["a"], DataConfig(column="line"), opened)
    assert "are texts, where sequences of numbers are wanted" in refused(["a"])
    assert "give a list of texts" in refused(np.zeros([3, 1]), DataConfig(kind="text"))
    assert "can only be text" in refused(["a"], DataConfig(kind="series"))


def test_the_kind_of_data_in_memory():
    kinds = {
        "text": [["a"], np.array(["a"]), pandas.Series(["a"])],
        "series": [
            np.zeros([3, 1]),
            frame(),
            polars.from_pandas(frame()[["load"]]),
            frame()["load"],
        ],
    }
    for kind, given in kinds.items():
        assert [data_kind(DataConfig(), data) for data in given] == [kind] * len(given)
    assert data_kind(DataConfig(column="room"), frame()) == "text"


def test_data_in_memory_must_be_given_again():
    for opened in (open_sequences, data_kind, lambda config: open_text(config.name)):
        with pytest.raises(InputError, match="was trained on data in memory: give the same again"):
            opened(DataConfig(name=MEMORY))


# Datasets


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def test_datasets_of_arrays(tf):
    values = np.random.default_rng(0).normal(size=[5, 6, 2]).astype("float32")
    expected = open_sequences(DataConfig(), values)
    dataset = tf.data.Dataset.from_tensor_slices(values)
    for given in (dataset, dataset.batch(2), dataset.filter(lambda x: True)):
        check_same(open_sequences(DataConfig(), given), expected)
    # A shuffled one is read once.
    held = hold(tf.data.Dataset.from_tensor_slices(values).shuffle(5))
    first, second = (held.sequences(DataConfig()).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert hold(held) is held


def test_datasets_of_texts(tf):
    for given in (dataset := tf.data.Dataset.from_tensor_slices(["é", "b", "c"]), dataset.batch(2)):
        assert read(open_text(MEMORY, data=given)) == "é\nb\nc"
        assert CharacterTokenizer().adapt(given).vocabulary == "bcé"


def test_what_datasets_cannot_be(tf):
    dataset = tf.data.Dataset.range(3)
    assert refused(dataset.repeat()).startswith("The dataset has no end: leave out repeat()")
    # One that does not know its own size is read until there is too much.
    endless = dataset.map(lambda x: tf.zeros([9, 9])).repeat().filter(lambda x: True)
    assert "a larger data.max_numbers allows it" in refused(endless, DataConfig(max_numbers=999))
    assert "an array of shape ()" in refused(dataset)
    pairs = tf.data.Dataset.from_tensor_slices((np.zeros([3, 2, 1]), np.zeros([3])))
    assert refused(pairs) == (
        "A dataset must give one array or text at a time. Received: a tuple at place 0"
    )
    assert "must be UTF-8" in refused(tf.data.Dataset.from_tensors(tf.constant(b"\xff")))
    assert refused(dataset.take(0)).startswith("There is nothing in the data.")


# Preprocessing


def test_a_processor_is_fitted_to_what_is_in_memory(tmp_path):
    made = frame()[["time", "load", "windy", "store"]]
    config = DataConfig(name=as_file(tmp_path / "a.csv", made), id="store")
    expected = SequenceProcessor.fit(open_sequences(config), PreprocessingConfig())
    found = SequenceProcessor.fit(made, data=dataclasses.replace(config, name=MEMORY))
    assert found.get_config() | {"name": ""} == expected.get_config() | {"name": ""}
    values = np.random.default_rng(0).normal(size=[4, 9, 2])
    found = SequenceProcessor.fit(values, PreprocessingConfig(scaler="min_max"))
    assert found.feature_names == ("x0", "x1")
    np.testing.assert_allclose(
        found.scaler.get_config()["minimum"], values.min(axis=(0, 1)), rtol=1e-6
    )


def test_a_tokenizer_is_fitted_to_what_is_in_memory():
    for given in (["ab", "c"], "abc", pandas.Series(["ab", "c"]), iter(["ab", "c"])):
        assert CharacterTokenizer().adapt(given).vocabulary == "abc"
    with pytest.raises(InputError, match="Received: '3' of type int at place 1"):
        CharacterTokenizer().adapt(["a", 3])
    with pytest.raises(InputError, match="Texts are wanted. Received: a frame"):
        CharacterTokenizer().adapt(frame())


def test_frames_of_polars_are_values_as_those_of_pandas():
    made = frame()[["load", "windy", "room"]]
    processor = SequenceProcessor.fit(made)
    expected, _, single = processor.as_values(made)
    assert single and not np.isnan(expected).any()
    np.testing.assert_array_equal(processor.as_values(polars.from_pandas(made))[0], expected)
