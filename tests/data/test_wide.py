"""Wide tables: a series in each row or each column."""

import numpy as np
import pytest

from tfgen.data.series import open_sequences
from tfgen.errors import InputError
from tfgen.recipe import DataConfig


def opened(path, **fields):
    return open_sequences(DataConfig(name=str(path), **fields))


def write(tmp_path, *rows):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


def series(sequences):
    return {
        identity: values[:, 0].tolist()
        for identity, values in zip(sequences.ids, sequences.values, strict=True)
    }


@pytest.fixture
def m4(tmp_path):
    header = [f'"V{number}"' for number in range(1, 14)]
    rows = [[f'"H{k}"', *(k * 10 + n for n in range(12))] for k in (1, 2, 3)]
    rows[1][8:] = [""] * 5
    rows[2][4] = "NA"
    return write(tmp_path, header, *rows)


def test_rows_that_begin_with_a_name_are_series(m4):
    sequences = opened(m4)
    assert [feature.name for feature in sequences.features] == ["value"]
    found = series(sequences)
    assert found["H1"] == list(range(10, 22))
    assert found["H2"] == list(range(20, 27))  # what is missing at the end is not there
    assert np.isnan(found["H3"][3]) and len(found["H3"]) == 12
    assert sequences.times is None and sequences.report.kept == 31
    assert sequences.report.notes == [
        "each row is a series of 'V2' to 'V13', named by 'V1' (data.layout='rows')"
    ]


def test_columns_are_features_if_a_person_says_so(m4):
    assert len(opened(m4, layout="columns").features) == 13


def test_rows_without_a_name_are_series_if_a_person_says_so(tmp_path):
    path = write(tmp_path, ["a", "b", "c"], [1, 2, 3], [4, 5, ""])
    assert len(opened(path).features) == 3
    sequences = opened(path, layout="rows")
    assert series(sequences) == {"1": [1, 2, 3], "2": [4, 5]}


def test_rows_may_have_lengths_of_their_own(tmp_path):
    path = write(tmp_path, ["id", "a", "b", "c"], ["u", 1, 2], ["v", 4, 5, 6])
    assert series(opened(path, layout="rows")) == {"u": [1, 2], "v": [4, 5, 6]}


def test_what_stands_beside_a_series_may_be_its_class(tmp_path):
    days = [f"d_{number}" for number in range(1, 13)]
    rows = [[f"I{k}", "xy"[k % 2], 5 * k, *range(k, k + 12)] for k in range(4)]
    path = write(tmp_path, ["id", "kind", "size", *days], *rows)
    sequences = opened(path, label="kind", static="size")
    assert sequences.ids == ["I0", "I1", "I2", "I3"]
    assert sequences.labels.tolist() == [0, 1, 0, 1] and sequences.classes == ("x", "y")
    assert sequences.static[:, 0].tolist() == [0, 5, 10, 15]
    beside = "columns beside the series are left out: 'kind', 'size' (data.static, data.label)"
    assert beside in opened(path).report.notes


def test_several_texts_may_name_a_row_together(tmp_path):
    header = ["state", "country", *(f"1/{day}/20" for day in range(1, 13))]
    rows = [["", "Chad", *range(12)], ["u", "China", *range(12)], ["v", "China", *range(12)]]
    assert opened(write(tmp_path, header, *rows)).ids == ["Chad", "u/China", "v/China"]


def test_an_id_may_be_a_number_beside_names_that_count(tmp_path):
    rows = [[k, *range(k, k + 12)] for k in (7, 3)]
    sequences = opened(write(tmp_path, ["meter_id", *range(1, 13)], *rows))
    assert len(sequences.features) == 13  # not called an id
    sequences = opened(write(tmp_path, ["series_id", *range(1, 13)], *rows))
    assert series(sequences) == {"7": list(range(7, 19)), "3": list(range(3, 15))}
    named = ["id", *(f"x{number}" for number in range(12))]
    assert len(opened(write(tmp_path, named, *rows)).features) == 13


def test_sensors_whose_names_count_are_features(tmp_path):
    header = ["time", *(f"s{number}" for number in range(20))]
    rows = [[f"2020-01-0{day}", *range(day, day + 20)] for day in range(1, 8)]
    assert len(opened(write(tmp_path, header, *rows)).features) == 20
    # Nor is a text that comes again a name.
    header[0], rows = "mode", [["ab"[day % 2], *row[1:]] for day, row in enumerate(rows)]
    assert len(opened(write(tmp_path, header, *rows)).features) == 21


def test_each_column_is_a_series_if_a_person_says_so(tmp_path):
    rows = [[f"2020-01-0{d}", 10 * d, "" if d < 3 else d, "ab"[d % 2]] for d in range(1, 6)]
    path = write(tmp_path, ["Date", "AAPL", "NEW", "note"], *rows)
    sequences = opened(path, layout="series")
    assert series(sequences) == {"AAPL": [10, 20, 30, 40, 50], "NEW": [3, 4, 5]}
    assert [len(times) for times in sequences.times] == [5, 3]
    assert sequences.times[1][0] == sequences.times[0][2]
    assert series(opened(path, layout="series", columns="NEW")) == {"NEW": [3, 4, 5]}
    with pytest.raises(InputError, match=r"'note' can be no id.*data.layout='series'"):
        opened(path, layout="series", static="note")
