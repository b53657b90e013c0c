"""Times of tables: how they may be written, and which columns hold them."""

import datetime
import random

import numpy as np
import pytest

from tfgen.data import open_sequences
from tfgen.data.dates import NO_TIME, Times
from tfgen.errors import InputError
from tfgen.recipe import DataConfig


def seconds(text):
    """Seconds since 1970 of an ISO 8601 text, UTC."""
    time = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
    return time.timestamp()


def instants(cells, name="date", **options):
    """What a column of texts says, as ISO 8601 texts without what is zero at their end."""
    times = Times(name, **options)
    for cell in cells:  # pieces of a single row: the order is one for all of them
        times.add_texts([cell])
    dates = times.read()
    return None if dates is None else [spelled(stamp) for stamp in dates.stamps.tolist()]


def spelled(stamp):
    if stamp == NO_TIME:
        return None
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=int(stamp))
    return time.isoformat(sep=" ").removesuffix(":00").removesuffix(" 00:00")


def written(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def opened(path, **options):
    return open_sequences(DataConfig(name=str(path), kind="series", **options))


def refused(path, **options):
    with pytest.raises(InputError) as error:
        opened(path, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def times(sequences, number=0):
    return [spelled(int(second) * 1_000_000) for second in sequences.times[number]]


# How a text is written

FORMS = {
    "2013-01-31": "2013-01-31",
    " 2013-01-31 12:00 ": "2013-01-31 12:00",
    "2013-01-31T12:00:00Z": "2013-01-31 12:00",
    "2013-01-31 12:00:00 UTC": "2013-01-31 12:00",
    "2013-01-31T12:00:00+05:30": "2013-01-31 06:30",
    "2013-01-31T12:00:00.25": "2013-01-31 12:00:00.250000",
    "2013-01-31 12:00:00,5": "2013-01-31 12:00:00.500000",
    "2013-01-31 12": "2013-01-31 12:00",
    "2013-01-31 24:00": "2013-02-01",
    "1901-01-01": "1901-01-01",
    "20130131": "2013-01-31",
    "20130131T050607Z": "2013-01-31 05:06:07",
    "201301310506": "2013-01-31 05:06",
    "1990-01": "1990-01-01",
    "1990/01": "1990-01-01",
    "1990M01": "1990-01-01",
    "01/1990": "1990-01-01",
    "1-1990": "1990-01-01",
    "199001": "1990-01-01",
    "Jan 1990": "1990-01-01",
    "january, 1990": "1990-01-01",
    "1990 Sept": "1990-09-01",
    "Jan-90": "1990-01-01",
    "Dec-05": "2005-12-01",
    "1-Jan": "2001-01-01",
    "1990/1/1 0:00": "1990-01-01",
    "1990/1/1 9:05": "1990-01-01 09:05",
    "1990.12.31": "1990-12-31",
    "31.12.1990": "1990-12-31",
    "31.12.90 23:30": "1990-12-31 23:30",
    "31/12/1990 23:30:15": "1990-12-31 23:30:15",
    "12/31/1990 12:05 AM": "1990-12-31 00:05",
    "12/31/1990 12:05 PM": "1990-12-31 12:05",
    "12-31-1990 1:05:09 pm": "1990-12-31 13:05:09",
    "5 March 2020": "2020-03-05",
    "5-Mar-20": "2020-03-05",
    "March 5th, 2020": "2020-03-05",
    "Mar 5, 2020 6 p.m.": "2020-03-05 18:00",
    "05Mar2020": "2020-03-05",
    "5. März 2020": "2020-03-05",
    "Thu, 05 Mar 2020 15:04:05 -0700": "2020-03-05 22:04:05",
    "Thu Mar  5 15:04:05 2020": "2020-03-05 15:04:05",
    "10/Oct/2000:13:55:36 +0000": "2000-10-10 13:55:36",
    "2020-03-05 15:04 EST": "2020-03-05 20:04",
    "2020-07-05 15:04 Europe/Berlin": "2020-07-05 13:04",
    "2020-07-05T15:04+02:00[Europe/Berlin]": "2020-07-05 13:04",
    "2020-03-05 15:04 UTC+2": "2020-03-05 13:04",
    "05.03.2020 14:00 - 05.03.2020 15:00": "2020-03-05 14:00",
    "1990Q1": "1990-01-01",
    "1990-Q2": "1990-04-01",
    "1990 Q3": "1990-07-01",
    "Q4 1990": "1990-10-01",
    "4Q90": "1990-10-01",
    "2010-W01": "2010-01-04",
    "2010-W53-7": "2011-01-09",
    "2020H2": "2020-07-01",
    "1990": "1990-01-01",
    "1359633600": "2013-01-31 12:00",
    "1359633600.5": "2013-01-31 12:00:00.500000",
    "1359633600250": "2013-01-31 12:00:00.250000",
    "1359633600000000": "2013-01-31 12:00",
    "1359633600000000000": "2013-01-31 12:00",
    "41305": "2013-01-31",
    "41305.5": "2013-01-31 12:00",
}


@pytest.mark.parametrize("text", FORMS)
def test_a_time_is_read_as_it_is_written(text):
    assert instants([text]) == [FORMS[text]]
    # In a column, with cells that are none.
    assert instants(["", text, "NA", text]) == [None, FORMS[text], None, FORMS[text]]


@pytest.mark.parametrize(
    "text",
    ["May", "12:00", "noon", "2020-13-01", "31.02.2020", "32/01/2020", "9999-12-31", "0001-01-01",
     "1.2.3.4", "2020-01-01 25:00", "2020-01-01 12:00 XYZ", "0", "7", "59", "0.5", "99991231",
     "1990Q5", "-1", "1e300", "gen 2"],
)  # fmt: skip
def test_what_is_no_time_is_none(text):
    assert instants([text]) in (None, [None])
    assert instants(["2020-01-31", text, "2020-01-31"])[1] is None


def test_one_order_of_day_and_month_is_taken_for_all_rows():
    cells = ["01/02/2020", "02/02/2020", "13/02/2020"]
    assert instants(cells) == ["2020-02-01", "2020-02-02", "2020-02-13"]
    cells = ["01/02/2020", "01/03/2020", "01/13/2020"]
    assert instants(cells) == ["2020-01-02", "2020-01-03", "2020-01-13"]
    # What does not fit the order of most is no time.
    cells = ["13/01/2020", "14/01/2020", "01/15/2020"]
    assert instants(cells) == ["2020-01-13", "2020-01-14", None]
    # Three times two digits: the year is where it can be.
    assert instants(["20-02-03", "20-02-28"]) == ["2020-02-03", "2020-02-28"]
    assert instants(["02-03-20", "28-03-20"]) == ["2020-03-02", "2020-03-28"]


def test_where_both_orders_fit_the_one_that_is_taken_is_said():
    def read(cells):
        times = Times("date")
        times.add_texts(cells)
        return times.read()

    dates = read(["01/02/2020", "02/02/2020"])
    assert spelled(dates.stamps[1]) == "2020-02-02" and dates.form == "month/day/year"
    assert dates.notes == (
        "dates are read as month/day/year; day/month/year would fit as well "
        "(data.time_format='day-first' reads that)",
    )
    assert read(["01.02.2020", "02.02.2020"]).form == "day.month.year"
    # Months of two years have even steps in one order alone.
    months = [f"01/{month:02}/{year}" for year in (2020, 2021) for month in range(1, 13)]
    assert read(months).form == "day/month/year"
    # And hours are of days that follow each other.
    hours = [f"0{day}/01/2022 {hour}:00" for day in (1, 2, 3) for hour in range(24)]
    assert read(hours).form == "day/month/year with time"
    assert read(["31/01/2020"]).notes == ()


def test_the_end_of_summer_time():
    # The hour that comes twice is told apart by its offset, or by its order.
    for zones in (("+02:00", "+01:00"), (" CEST", " CET"), (" Europe/Berlin", " Europe/Berlin")):
        cells = [f"2022-10-30 02:30:00{zone}" for zone in zones]
        assert instants(cells) == ["2022-10-30 00:30", "2022-10-30 01:30"]
    # Dates of a zone are the dates there, not the evenings before in UTC.
    cells = ["2022-10-01T00:00:00+02:00", "2022-11-01T00:00:00+01:00"]
    assert instants(cells) == ["2022-10-01", "2022-11-01"]


def test_numbers_are_times_only_if_the_name_says_so():
    assert instants(["1990", "1991"], name="price") is None
    assert instants(["1359633600"], name="price") is None
    assert instants(["1990", "1991"], name="Year") == ["1990-01-01", "1991-01-01"]
    assert instants(["1990", "1991"], name="anything", asked=True) == ["1990-01-01", "1991-01-01"]
    assert instants(["41305", "41306"], name="time") is None  # what was measured, rather
    assert instants(["41305", "41306.5"], name="time") == ["2013-01-31", "2013-02-01 12:00"]
    # R writes months so.
    assert instants(["1949", "1949.08333333", "1949.167"], name="time") == [
        "1949-01-01", "1949-02-01", "1949-03-01",
    ]  # fmt: skip
    for counter in (range(60), range(0, 60000, 10), np.arange(60) / 10):
        assert instants([f"{number}" for number in counter], name="time") is None
        assert instants([f"{number}" for number in counter], name="time", asked=True) is None


@pytest.mark.parametrize("scale", [1, 1e3, 1e6, 1e9])
def test_epochs_are_of_the_unit_that_their_size_tells(scale):
    times = Times("ts")
    times.add_numbers(np.array([1359633600, 1359633660]) * int(scale))
    dates = times.read()
    assert (dates.stamps / 1e6).tolist() == [1359633600, 1359633660]
    assert dates.form.endswith("seconds since 1970")


def test_times_are_what_most_cells_are():
    assert instants(["2013-01-31", "2013-02-01", "5"]) == ["2013-01-31", "2013-02-01", None]
    assert instants(["1990-01", "1990-02", "1990"]) == ["1990-01-01", "1990-02-01", None]


def test_a_column_of_other_texts_is_not_kept():
    times = Times("station")
    times.add_texts(["north", "south", None, "2013-01-31"])
    times.add_texts(["2013-01-31"])
    assert times.read() is None and not times._pieces


# Which columns


@pytest.mark.parametrize(
    ("header", "cell", "first"),
    [
        ("Month", "1990-0{}", "1990-02-01"),
        ("Quarter", "1990Q{}", "1990-04-01"),
        ("Year", "190{}", "1902-01-01"),
        ("date", "19900{}", "1990-02-01"),
        ("ds", "2020-01-0{}", "2020-01-02"),
        ("period", "Q{} 2020", "2020-04-01"),
        ("TIMESTAMP", "135963360{}", "2013-01-31 12:00:02"),
        ("utc_timestamp", "2020-01-01T0{}:00:00Z", "2020-01-01 02:00"),
        ("anything", "0{}.02.2020", "2020-02-02"),
        ("Open time", "15000000000{}0", "2017-07-14 02:40:00.020000"),
    ],
)
def test_the_rows_are_sorted_by_the_column_that_holds_times(tmp_path, header, cell, first):
    rows = "".join(f"{cell.format(number)},{number}\n" for number in (4, 2, 3))
    sequences = opened(written(tmp_path, f"{header},a\n{rows}"))
    assert [feature.name for feature in sequences.features] == ["a"]
    np.testing.assert_array_equal(sequences.values, [[[2], [3], [4]]])
    assert not any("before" in reason or "no time" in reason for reason in sequences.report.dropped)
    if sequences.times is not None:
        assert times(sequences)[0] == first


def test_the_newest_first_is_said(tmp_path):
    rows = "".join(f"02/{day:02}/2020,{day}\n" for day in range(20, 0, -1))
    sequences = opened(written(tmp_path, f"Date,Close\n{rows}"))
    assert times(sequences)[:2] == ["2020-02-01", "2020-02-02"]
    assert sequences.values[0][:2, 0].tolist() == [1, 2]
    assert sequences.report.notes == ["the newest row comes first: rows are sorted by 'Date'"]


def test_a_cell_that_is_no_date_is_a_counted_row(tmp_path):
    path = written(tmp_path, "Date,a\n31.01.2020,1\nsoon,2\n01.02.2020,3\n")
    assert opened(path).report.dropped == {"'Date' is no timestamp": [1, f"{path}:3"]}


def test_several_columns_of_times_without_a_name_are_left_to_the_person(tmp_path):
    path = written(tmp_path, "begin,end,a\n2020-01-01,2020-01-02,1\n2020-01-02,2020-01-03,2\n")
    assert opened(path).report.notes == [
        "'begin', 'end' hold times: data.time says which orders the rows"
    ]
    assert times(opened(path, time="end", columns=("a",))) == ["2020-01-02", "2020-01-03"]


@pytest.mark.parametrize(
    ("header", "rows", "label", "expected"),
    [
        ("Date,Time", ["2022-01-01,00:00:00", "2022-01-01,01:30:00"], "Date+Time", 5400),
        ("Date,Time", ["10/03/2004,18.00.00", "31/03/2004,19.00.00"], "Date+Time", 1817200 + 800),
        ("Date,Time", ["01/02/2022,18:00", "02/02/2022,18:00"], "Date+Time", 86400),
        ("dteday,hr", ["2011-01-01,0", "2011-01-01,23"], "dteday+hr", 82800),
        ("Date,Time", ["2011-01-01,18.00", "2011-01-01,18.30"], "Date+Time", 1800),
        ("Date,Time", ["20110101,900", "20110101,1330"], "Date+Time", 16200),
        ("Date,Hour", ["1/31/2011,11 PM", "1/31/2011,11:30 PM"], "Date+Hour", 1800),
        ("DATE,HOUR", ["2011-01-01,1", "2011-01-01,24"], "DATE+HOUR", 82800),
        ("year,month,day,hour", ["2010,1,1,0", "2010,2,1,5"], "year+month+day+hour", 2696400),
        ("Year,Month,Day", ["2010,1,1", "2010,1,31"], "Year+Month+Day", 2592000),
        ("Year,Month", ["2010,Jan", "2010,Feb"], "Year+Month", 2678400),
        ("Year,Quarter", ["2010,1", "2010,2"], "Year+Quarter", 7776000),
        ("YEAR,WEEK", ["2010,1", "2010,53"], "YEAR+WEEK", 52 * 604800),
        ("year,month,day,time", ["2010,1,1,05:30", "2010,1,1,6:00"], "year+month+day+time", 1800),
        ("Year,DOY", ["2010,1", "2010,365"], "Year+DOY", 31449600),
    ],
)
def test_date_and_time_in_several_columns(tmp_path, header, rows, label, expected):
    text = "\n".join([f"{header},a", *(f"{row},{i}" for i, row in enumerate(rows)), ""])
    path = written(tmp_path, text)
    found, asked = opened(path), opened(path, time=label)
    for sequences in (found, asked):
        assert [feature.name for feature in sequences.features] == ["a"]
        assert not sequences.report.dropped
        assert np.diff(sequences.times[0]).tolist() == [expected]


def test_a_clock_or_a_month_beside_whole_dates_is_no_part_of_them(tmp_path):
    path = written(tmp_path, "date,hour,a\n2020-01-01,7,1\n2020-01-02,5,2\n")
    assert [feature.name for feature in opened(path).features] == ["hour", "a"]
    path = written(tmp_path, "time_hour,year,month,hour,a\n2020-01-01 05:00,2020,1,5,2\n")
    names = [feature.name for feature in opened(path).features]
    assert names == ["year", "month", "hour", "a"]
    # What is asked to be known beforehand is not taken for a part.
    path = written(tmp_path, "date,hour,a\n2020-01-01,1,1\n2020-01-01,2,2\n")
    assert opened(path, known=("hour",)).known_names == ("hour",)


def test_years_that_come_again_for_nothing_are_numbers(tmp_path):
    rows = [f"{year},{number},{'uv'[number]}\n" for year in range(1990, 1999) for number in (0, 1)]
    cars = written(tmp_path, "year,a\n" + "".join(row[:-3] + "\n" for row in rows * 3), "cars.csv")
    assert [feature.name for feature in opened(cars).features] == ["year", "a"]
    # Here each of two has one a year.
    sequences = opened(written(tmp_path, "year,a,who\n" + "".join(rows)))
    assert sequences.ids == ["u", "v"] and times(sequences)[0] == "1990-01-01"


def test_the_hour_that_comes_twice_is_said(tmp_path):
    hours = ["2022-10-30 01:00", "2022-10-30 02:00", "2022-10-30 02:00", "2022-10-30 03:00"]
    rows = "".join(f"{hour},{number}\n" for number, hour in enumerate(hours))
    sequences = opened(written(tmp_path, f"time,a\n{rows}"))
    assert sequences.values[0][:, 0].tolist() == [0, 1, 3]
    [note] = sequences.report.notes
    assert note.startswith("an hour comes twice on 2022-10-30, as at the end of summer time")


def test_a_format_that_a_person_gives(tmp_path):
    path = written(tmp_path, "date,a\n01/02/2020,1\n02/03/2020,2\n")
    assert times(opened(path)) == ["2020-01-02", "2020-02-03"]
    for form in ("%d/%m/%Y", "day-first"):
        assert times(opened(path, time_format=form)) == ["2020-02-01", "2020-03-02"]
    path = written(tmp_path, "d,h,a\n01022020,0100,1\n01022020,0230,2\n")
    sequences = opened(path, time="d+h", time_format="%d%m%Y %H%M")
    assert times(sequences) == ["2020-02-01 01:00", "2020-02-01 02:30"]
    path = written(tmp_path, "t,a\n0,1\n60,2\n")
    assert times(opened(path, time="t", time_format="s")) == ["1970-01-01", "1970-01-01 00:01"]
    message = refused(path, time="t", time_format="%Q")
    assert "data.time_format" in message and message.endswith("data.time_format='%Q'")
    message = refused(path, time="t", time_format="%Y-%m-%d")
    assert message.startswith("No cell of 't' is a time of data.time_format='%Y-%m-%d'")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["0", "1", "2"], "holds numbers from 0 to 2, which are no plausible times"),
        (["9999", "9998", "9997"], "which are no plausible times"),
        (["12:00", "12:30", "13:00"], "holds times of day without a date"),
        (["north", "east", "south"], "No row has a timestamp that can be read"),
    ],
)
def test_what_is_asked_to_be_times_and_is_none_is_refused(tmp_path, cells, message):
    path = written(tmp_path, "".join(["t,a\n", *(f"{cell},1\n" for cell in cells)]))
    found = refused(path, time="t")
    assert message in found and found.endswith("Received: data.time='t'")


def test_whatever_cells_hold_they_are_times_or_none():
    characters = "0123456789-/.: TZqQwWamp+,\u00e9\u5e74\u0967\u00b2"
    draw = random.Random(0)
    for trial in range(150):
        cells = [draw.choice([*FORMS, "", "-5", "1e400", "inf", "99999999999999999999"])]
        text = list(draw.choice(list(FORMS)))
        for _ in range(draw.randint(1, 3)):
            text[draw.randrange(len(text))] = draw.choice(characters)
        cells += ["".join(text), cells[0]]
        for form in (None, "day-first", "s", "excel", "%d/%m/%Y"):
            name = draw.choice(["Time", "year", "month", "Open time", "price"])
            times = Times(name, asked=trial % 2 == 0, time_format=form)
            times.add_texts(cells)
            times.add_numbers(np.array([2020.5, np.inf, -1e300]))
            for found in (times.read(), times.clocks()):
                stamps = getattr(found, "stamps", found)
                assert stamps is None or stamps.shape == (6,)
            assert times.part_numbers().shape == (6,)


def test_a_part_that_is_no_column_is_named(tmp_path):
    path = written(tmp_path, "Date,Time,a\n2020-01-01,00:00,1\n")
    assert "Did you mean 'Time'" in refused(path, time="Date+Tim")
