"""Long tables: which column tells the sequences apart, and what is left out beside it."""

import numpy as np
import pytest

from tfgen.data.series import open_sequences
from tfgen.errors import InputError
from tfgen.recipe import DataConfig

DAYS = [f"2020-01-{day:02d}" for day in range(1, 21)]


def opened(path, **fields):
    return open_sequences(DataConfig(name=str(path), **fields))


def refused(path, **fields):
    with pytest.raises(InputError) as error:
        opened(path, **fields)
    assert "\n" not in str(error.value)
    return str(error.value)


def write(tmp_path, header, rows):
    path = tmp_path / "t.csv"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def names(sequences):
    return [feature.name for feature in sequences.features]


def test_texts_whose_times_come_again_are_the_id(tmp_path):
    rows = [(day, key, i) for i, day in enumerate(DAYS) for key in ("u", "v", "w")]
    path = write(tmp_path, "time,what,y", rows)
    sequences = opened(path)
    assert sequences.ids == ["u", "v", "w"] and names(sequences) == ["y"]
    assert not sequences.report.dropped and sequences.report.notes == [
        "times come again for each 'what', which is taken for the id (data.id)"
    ]
    for values in sequences.values:
        np.testing.assert_array_equal(values[:, 0], np.arange(20))
    # What a person says holds.
    assert opened(path, id="what").report.notes == []
    assert opened(path, columns="y").ids == ["u", "v", "w"]


def test_an_integer_may_be_the_id_and_a_number_that_counts_rows_is_not(tmp_path):
    rows = [(n, day, key, 7 * n % 50) for key in (11, 12) for n, day in enumerate(DAYS, 20 * key)]
    rows = [(number, *row[1:]) for number, row in enumerate(rows, 1)]
    sequences = opened(write(tmp_path, "id,time,meter,y", rows))
    assert sequences.ids == ["11", "12"] and names(sequences) == ["y"]
    assert "the column 'id' counts the rows, so it is left out" in sequences.report.notes


def test_a_value_that_tells_rows_apart_by_chance_is_no_id(tmp_path):
    # All pairs of time and value differ, yet there are more values than series.
    rows = [(day, (i * 3 + 17 * k) % 23, f"{k}") for i, day in enumerate(DAYS) for k in range(3)]
    sequences = opened(write(tmp_path, "time,y,k", rows))
    assert sequences.ids == ["0", "1", "2"] and names(sequences) == ["y"]
    message = refused(write(tmp_path, "time,y", [row[:2] for row in rows]))
    assert message.startswith("40 of 60 rows would be dropped: 40 x 'time' was there before")
    assert message.endswith("Received: data.allow_dropped=0.5")
    kept = opened(write(tmp_path, "time,y", [row[:2] for row in rows]), allow_dropped=0.7)
    assert kept.positions == 20


def test_names_choose_among_columns_that_would_do(tmp_path):
    rows = [(day, f"town {k}", f"s{k}", k + n) for n, day in enumerate(DAYS) for k in (1, 2)]
    sequences = opened(write(tmp_path, "time,town,store,y", rows))
    assert sequences.ids == ["s1", "s2"] and names(sequences) == ["y"]
    assert any("'town' says one thing in all rows" in note for note in sequences.report.notes)
    sequences = opened(write(tmp_path, "time,town,store,y", rows), static="town")
    assert sequences.static_names == ("town=town 1", "town=town 2")


def test_a_number_that_never_changes_stands_beside_a_series(tmp_path):
    rows = [(day, f"s{k}", 40 + k, k + n) for n, day in enumerate(DAYS) for k in (1, 2)]
    path = write(tmp_path, "time,site,latitude,y", rows)
    sequences = opened(path)
    assert names(sequences) == ["y"]
    assert any("'latitude' is one number in all rows" in note for note in sequences.report.notes)
    assert names(opened(path, columns="y,latitude".split(","))) == ["y", "latitude"]
    assert opened(path, static="latitude").static[:, 0].tolist() == [41, 42]
    # A series that is all there is may be constant.
    path = write(tmp_path, "time,site,y", [row[:3] for row in rows])
    assert names(opened(path)) == ["y"]


def test_two_columns_together_may_be_the_id(tmp_path):
    rows = [(d, s, i, s * i + n) for s in (1, 2) for i in (5, 6, 7) for n, d in enumerate(DAYS)]
    path = write(tmp_path, "date,store,item,sales", rows)
    sequences = opened(path)
    assert sequences.ids == ["1/5", "1/6", "1/7", "2/5", "2/6", "2/7"]
    assert names(sequences) == ["sales"]
    assert [values[0, 0] for values in sequences.values] == [5, 6, 7, 10, 12, 14]
    assert any("'store, item'" in note for note in sequences.report.notes)
    said = opened(path, id="store, item")
    assert said.ids == sequences.ids and said.report.notes == []
    assert "asked for by data.id, 'shop'" in refused(path, id="shop,item")


def test_a_few_times_that_come_again_make_no_id(tmp_path):
    # The hour that the clock is set back.
    rows = [(f"2020-01-01 {h:02d}:00", "ab"[h % 2], h) for h in range(24)]
    rows.insert(3, ("2020-01-01 02:00", "b", 9))
    sequences = opened(write(tmp_path, "time,c,y", rows))
    assert len(sequences) == 1 and names(sequences) == ["c", "y"]
    [(reason, (count, _))] = sequences.report.dropped.items()
    assert "was there before" in reason and count == 1


def test_texts_with_which_times_begin_again_are_the_id(tmp_path):
    # Events at times of their own: none comes again.
    rows = [(f"2020-01-{day:02d} 0{k}:00", f"u{k}", day) for k in (1, 2, 3) for day in range(1, 15)]
    sequences = opened(write(tmp_path, "time,user,y", rows))
    assert sequences.ids == ["u1", "u2", "u3"] and names(sequences) == ["y"]
    sequences = opened(write(tmp_path, "time,user,y", rows[::-1]))
    assert sequences.ids == ["u1", "u2", "u3"]
    # In the order of time they may be a category.
    sequences = opened(write(tmp_path, "time,user,y", sorted(rows)))
    assert len(sequences) == 1 and names(sequences) == ["user", "y"]


def test_a_counter_orders_series_without_times(tmp_path):
    rows = [(f"H{k}", step, k * step) for k in (1, 2, 3) for step in range(30, 0, -1)]
    sequences = opened(write(tmp_path, "unique_id,ds,y", rows))
    assert sequences.ids == ["H1", "H2", "H3"] and names(sequences) == ["y"]
    np.testing.assert_array_equal(sequences.values[1][:, 0], 2 * np.arange(1, 31))
    assert sequences.times is None


def test_texts_that_nearly_all_differ_are_no_category(tmp_path):
    rows = [(i, f"note {i}", "ab"[i % 2]) for i in range(30)]
    path = write(tmp_path, "y,note,c", rows)
    sequences = opened(path)
    assert names(sequences) == ["y", "c"]
    assert sequences.report.dropped == {
        "the column 'note' has 30 different texts in 30 rows": [1, f"{path}:2"]
    }
    message = refused(path, columns="note")
    assert "'note' has 30 different texts in 30 rows" in message and "'note 0'" in message
    assert "'note' has 30" in refused(write(tmp_path, "note", [(row[1],) for row in rows]))
    path = write(tmp_path, "y,note,c", rows)
    assert len(opened(path, columns="note", categories="note").features[0].levels) == 30


def test_lines_that_hold_nothing_are_not_rows_dropped(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1;2\n" + ";\n" * 9 + "\n" * 9 + "3;4\n")
    sequences = opened(path)
    assert sequences.positions == 2
    assert {reason: count for reason, (count, _) in sequences.report.dropped.items()} == {
        "the row is empty": 9,
        "the line is empty": 9,
    }


def test_rows_that_cannot_be_read_count_as_dropped(tmp_path):
    path = write(tmp_path, "a,b", [(1, 2), (1, 2, 3), (1, 2, 3), (3, 4), (5,)])
    assert refused(path).startswith("3 of 5 rows would be dropped: 2 x the row has more fields")
    assert opened(path, allow_dropped=0.6).positions == 2


def test_the_period_of_a_day_is_no_id(tmp_path):
    rows = [(day, period, i) for i, day in enumerate(DAYS) for period in range(1, 49)]
    message = refused(write(tmp_path, "date,settlement_period,demand", rows))
    assert message.startswith("940 of 960 rows would be dropped")


@pytest.mark.parametrize(
    "hour, form",
    [("Uhrzeit", "{:02}:00"), ("beginning", "{:02}:00"), ("X", "{}:00:00"), ("Stunde", "{}")],
)
def test_a_time_of_day_by_any_name_is_no_id(tmp_path, hour, form):
    times = [form.format(h) for h in range(24)]
    rows = [
        f"{d:02}.02.2024;{time};{i * d % 7}" for d in (1, 2, 13) for i, time in enumerate(times)
    ]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([f"Datum;{hour};x", *rows]))
    sequences = opened(path)
    assert len(sequences) == 1 and sequences.positions == 72 and names(sequences) == ["x"]
    assert set(np.diff(sequences.times[0][:24])) == {3600}


def test_a_time_of_day_beside_what_tells_series_apart_is_none_of_the_row(tmp_path):
    days = [f"2024-02-{day:02}" for day in range(1, 21)]
    rows = [
        (day, shop, f"{8 + n}:00", i) for i, day in enumerate(days) for n, shop in enumerate("abc")
    ]
    sequences = opened(write(tmp_path, "date,shop,opens,sales", rows))
    assert sequences.ids == ["a", "b", "c"] and set(np.diff(sequences.times[0])) == {86400}
    # Of two columns of times of day the first is when a row begins; the shops are told apart still.
    rows = [
        (day, shop, f"{hour}:00", f"{hour + 1}:00", i)
        for i, day in enumerate(days) for shop in "abc" for hour in range(8, 16)
    ]  # fmt: skip
    sequences = opened(write(tmp_path, "date,shop,from,to,sales", rows))
    assert sequences.ids == ["a", "b", "c"] and sequences.positions == len(rows)
    assert set(np.diff(sequences.times[0][:8])) == {3600}


def test_a_day_that_is_there_twice_by_mistake_makes_no_times_of_day(tmp_path):
    rows = [(f"2024-02-{max(day, 2):02}", f"7:{day:02}", day) for day in range(1, 29)]
    sequences = opened(write(tmp_path, "date,sunrise,y", rows), allow_dropped=0.2)
    assert all(time % 86400 == 0 for time in sequences.times[0])
