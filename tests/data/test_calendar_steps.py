"""Steps of a calendar: months, quarters, years and business days."""

import numpy as np
import pandas
import pytest

from tfgen.data.calendar_steps import CalendarStep, find_calendar_step


def seconds(*texts):
    return np.array(texts, "M8[s]").astype(np.int64)


def spelled(times):
    return [str(time) for time in times.astype("M8[s]").astype("M8[D]")]


def spaced(frequency, count=60, start="1999-12-30 05:00"):
    times = pandas.date_range(start, periods=count, freq=frequency)
    return times.to_numpy().astype("M8[s]").astype(np.int64)


STEPS = {
    "MS": ("1 month on day 1", "1 month (start)"),
    "ME": ("1 month on day 31", "1 month (end)"),
    "2MS": ("2 months on day 1", "2 months (start)"),
    "QS": ("3 months on day 1", "1 quarter (start)"),
    "QS-FEB": ("3 months on day 1", "1 quarter (start)"),
    "QE": ("3 months on day 31", "1 quarter (end)"),
    "2QE": ("6 months on day 31", "half a year (end)"),
    "YS": ("12 months on day 1", "1 year (start)"),
    "YE": ("12 months on day 31", "1 year (end)"),
    "2YS": ("24 months on day 1", "2 years (start)"),
    "BME": ("1 month on day 32", "1 month (last business day)"),
    "BMS": ("1 month on day 0", "1 month (first business day)"),
    "BQE": ("3 months on day 32", "1 quarter (last business day)"),
    "B": ("1 business day", "business days"),
}


@pytest.mark.parametrize("frequency", STEPS)
def test_a_step_is_found_and_goes_on_as_pandas_does(frequency):
    times = spaced(frequency)
    step = find_calendar_step([times[:40]])
    assert (str(step), step.name) == STEPS[frequency]
    assert CalendarStep.parse(str(step)) == step
    np.testing.assert_array_equal(step.after(times[39], np.arange(1, 21)), times[40:])
    np.testing.assert_array_equal(step.between(times[:-1], times[1:]), 1)
    np.testing.assert_array_equal(step.between(times[:1], times), np.arange(60))
    # With gaps, and in several sequences of which one begins later.
    gaps = np.delete(times, [7, 8, 30])
    assert find_calendar_step([times[20:25], gaps, times[:1]]) == step


@pytest.mark.parametrize("frequency", ["D", "h", "W", "W-MON", "30D", "365D", "15min"])
def test_fixed_steps_are_none_of_a_calendar(frequency):
    assert find_calendar_step([spaced(frequency)]) is None


def test_what_is_no_calendar_step():
    assert (
        find_calendar_step([]) is None
        and find_calendar_step([seconds("2020-01-01", "2020-02-01")]) is None
    )
    # Monday to Friday of one week may be days.
    assert find_calendar_step([spaced("D", 5, "2022-01-03")]) is None
    # What happens on the first of some months has no step.
    assert (
        find_calendar_step([seconds("2020-01-01", "2020-03-01", "2020-04-01", "2020-09-01")])
        is None
    )
    # Nor do times at several hours.
    assert find_calendar_step([seconds("2020-01-01T05", "2020-02-01", "2020-03-01")]) is None


def test_a_few_holidays_and_a_saturday_are_no_hindrance():
    times = np.delete(spaced("B", 300, "2022-01-03"), [10, 99, 200])
    assert find_calendar_step([times]) == CalendarStep("business day")
    times = np.sort(np.append(times, seconds("2022-03-12")))  # a Saturday
    assert find_calendar_step([times]) == CalendarStep("business day")


def test_a_holiday_at_the_end_of_a_month_is_no_hindrance():
    times = spaced("BME", 40, "2020-01-01")
    times[16] = seconds("2021-05-28")[0]  # Memorial Day was the last Monday of May
    step = find_calendar_step([times])
    assert step == CalendarStep("month", 1, 32)
    assert spelled(step.after(times[16], np.arange(1, 3))) == ["2021-06-30", "2021-07-30"]


def test_hand_made_calendars():
    end = CalendarStep("month", 1, 31)
    assert spelled(end.after(seconds("2010-01-31"), np.arange(1, 4))) == [
        "2010-02-28", "2010-03-31", "2010-04-30",
    ]  # fmt: skip
    assert spelled(end.after(seconds("2012-01-31"), np.arange(1, 2))) == ["2012-02-29"]
    # The day is not lost in a short month.
    late = CalendarStep("month", 1, 30)
    assert spelled(late.after(seconds("2010-02-28"), np.arange(1, 3))) == [
        "2010-03-30", "2010-04-30",
    ]  # fmt: skip
    days = CalendarStep("business day")
    assert spelled(days.after(seconds("2022-01-06"), np.arange(1, 4))) == [
        "2022-01-07", "2022-01-10", "2022-01-11",
    ]  # fmt: skip
    # A time between two steps goes on with the next of them, and is itself after none.
    assert spelled(end.after(seconds("2010-01-15"), np.arange(3))) == [
        "2010-01-15", "2010-01-31", "2010-02-28",
    ]  # fmt: skip
    assert spelled(days.after(seconds("2022-01-08"), np.arange(2))) == ["2022-01-08", "2022-01-10"]
    # The time of day is kept, before 1970 as well.
    first = CalendarStep("month")
    assert first.after(seconds("1899-12-01T05:30"), 1) == seconds("1900-01-01T05:30")


def test_every_day_of_a_thousand_years():
    days = np.arange(-400_000, 400_000)
    months = days.astype("M8[D]").astype("M8[M]")
    ends = (months + 2).astype("M8[D]").astype(np.int64) - 1
    last = (months + 1).astype("M8[D]").astype(np.int64) - 1
    expected = np.where(days == last, ends, last)
    found = CalendarStep("month", 1, 31).after(days * 86_400, 1)
    np.testing.assert_array_equal(found, expected * 86_400)


@pytest.mark.parametrize("text", ["", "1 month", "0 months on day 1", "1 month on day 33", "1 day"])
def test_a_text_that_is_no_step(text):
    with pytest.raises(ValueError, match="must be like"):
        CalendarStep.parse(text)
