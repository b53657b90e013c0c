"""`CalendarStep`: steps of time that are no fixed number of seconds: months, and business days."""

import re
from typing import NamedTuple

import numpy as np

_DAY, _WEEK, _YEAR = 86_400, 604_800, 31_556_952  # seconds
_MONTHS = {3: "1 quarter", 6: "half a year", 12: "1 year"}
# Of months, what the day may be beside 1 to 31, which is the last day of each.
_FIRST_BUSINESS, _LAST_BUSINESS = 0, 32
_DAYS = {
    1: "start",
    31: "end",
    _FIRST_BUSINESS: "first business day",
    _LAST_BUSINESS: "last business day",
}
_ON_DAY = 0.9  # of dates on such a business day: of holidays nothing is known
_SHARE = 0.5  # of the steps that must be of the usual length
_WEEKDAYS = 0.99  # of business days that must be none of a weekend


class CalendarStep(NamedTuple):
    """A step of so many months, or of so many business days, from Monday to Friday.

    Times keep their time of day. What is computed of arrays and of integer tensors is the same:
    int64 alone, by sums, products and floor divisions.

    Attributes:
        unit: `"month"` or `"business day"`.
        count: How many of them.
        day: Of months, the day that times are on: 31 is the last of each month, 0 its first
            business day and 32 its last.
    """

    unit: str
    count: int = 1
    day: int = 1

    @classmethod
    def parse(cls, text):
        """Returns the step of a text as `str` gives it.

        Raises:
            ValueError: If it is none.
        """
        found = re.fullmatch(r"(\d{1,4}) months? on day (\d{1,2})", text)
        if found and int(found[1]) >= 1 and _FIRST_BUSINESS <= int(found[2]) <= _LAST_BUSINESS:
            return cls("month", int(found[1]), int(found[2]))
        found = re.fullmatch(r"(\d{1,4}) business days?", text)
        if found and int(found[1]) >= 1:
            return cls("business day", int(found[1]))
        raise ValueError(f"A step must be like '1 month on day 1'. Received: step={text!r:.80}")

    def __str__(self):
        text = f"{self.count} {self.unit}{'s' * (self.count > 1)}"
        return text + f" on day {self.day}" if self.unit == "month" else text

    @property
    def name(self):
        """The step as a person calls it."""
        if self.unit == "business day":
            return f"{self.count} business days" if self.count > 1 else "business days"
        name = _MONTHS.get(self.count) or f"{self.count} month{'s' * (self.count > 1)}"
        if self.count > 12 and self.count % 12 == 0:
            name = f"{self.count // 12} years"
        return f"{name} ({_DAYS.get(self.day, f'day {self.day}')})"

    @property
    def year(self):
        """Steps to a year, where they are a whole number; else None."""
        fits = self.unit == "month" and 12 % self.count == 0
        return 12 // self.count if fits else None

    @property
    def seconds(self):
        """The mean length of a step."""
        return _WEEK / 5 * self.count if self.unit == "business day" else _YEAR / 12 * self.count

    def after(self, times, steps):
        """Returns the times so many steps later.

        A time between two steps counts as the one before it: a month later than in the middle of
        January is the beginning of February, of steps that are at the beginning of months.

        Args:
            times: int64 array or tensor, seconds since 1970.
            steps: The like, also below 0; 0 is the time itself.

        Returns:
            The like, int64.
        """
        days, clock = times // _DAY, times % _DAY
        number, _ = self._steps(days)
        later = self._days(number + steps * self.count)
        some = _minimum(abs(steps), 1)  # 0 stays as it is, also between two steps
        return (later * some + (days * (1 - some))) * _DAY + clock

    def between(self, first, second):
        """Returns how many steps lie between times, with the part of a step that days are.

        Args:
            first: int64 array or tensor, seconds since 1970.
            second: The like.

        Returns:
            The like, float64.
        """
        (begin, before), (end, after) = (self._steps(times // _DAY) for times in (first, second))
        # In parts of the longest month, or of the days from Friday on.
        longest = 31 if self.unit == "month" else 3
        return ((end - begin) * longest + after - before) / (longest * self.count)

    def _steps(self, days):
        """The number of the month or business day at or before days, and the days since then."""
        if self.unit == "business day":
            monday = days + 3  # 1970-01-01 was a Thursday
            number = monday // 7 * 5 + _minimum(monday % 7, 4)
        else:
            year, month, _ = _civil(days)
            number = year * 12 + month - 1
            # A month whose day is still to come has not begun, but for a holiday at its end.
            early = 4 if self.day == _LAST_BUSINESS else 0
            number = number + (days - self._days(number) + early) // 64
        return number, days - self._days(number)

    def _days(self, number):
        """Days since 1970 of a month or business day by its number."""
        if self.unit == "business day":
            return number // 5 * 7 + number % 5 - 3
        first, last = _first(number), _first(number + 1) - 1
        if self.day == _FIRST_BUSINESS:
            # 1 of Saturdays, 2 of Sundays, from which Monday is 2 days and 1 away.
            over = _excess((first + 3) % 7, 4)
            return first + 3 * _minimum(over, 1) - over
        if self.day == _LAST_BUSINESS:
            return last - _excess((last + 3) % 7, 4)
        return _minimum(last, first + self.day - 1)


def find_calendar_step(times):
    """Returns the `CalendarStep` of sequences' times; None where none explains them.

    A few gaps, and a few other days among business days, are no hindrance.

    Args:
        times: List of int64 arrays `(time,)`, seconds since 1970.
    """
    times = [each for each in times if len(each) > 1]
    if not times or sum(len(each) - 1 for each in times) < 2:
        return None
    joined = np.concatenate(times)
    days, clock = np.divmod(joined, _DAY)
    if (clock != clock[0]).any():
        return None
    return _months(times, days) or _business_days(times, days)


def _months(times, days):
    months = days.astype("M8[D]").astype("M8[M]")
    day = int((days.astype("M8[D]") - months.astype("M8[D]")).astype(np.int64).max()) + 1
    numbers = months.astype(np.int64) + 1970 * 12
    step = None
    for usual in (31, day, _LAST_BUSINESS, _FIRST_BUSINESS):
        step = CalendarStep("month", 1, usual)
        share = np.mean(step._days(numbers) == days)
        if share == 1 or (share >= _ON_DAY and usual in (_LAST_BUSINESS, _FIRST_BUSINESS)):
            break
    else:
        return None
    edges = np.cumsum([len(each) for each in times])[:-1]
    gaps = np.concatenate([np.diff(each) for each in np.split(numbers, edges)])
    if (gaps < 1).any():
        return None
    count = int(np.median(gaps))
    # All that happens on one day of a month has months between; a step has one number of them.
    if np.mean(gaps == count) < _SHARE or (gaps % count).any():
        return None
    return step._replace(count=count)


def _business_days(times, days):
    weekend = (days + 3) % 7 >= 5
    if weekend.mean() > 1 - _WEEKDAYS:
        return None
    step = CalendarStep("business day")
    gaps = np.concatenate([step.between(each[:-1], each[1:]) for each in times])
    passed = np.concatenate([np.diff(each // _DAY) for each in times])
    # Of five days in a row nobody knows what comes on Saturday.
    if not ((passed == 3) & (gaps == 1)).any() or np.mean(gaps == 1) < 0.8:
        return None
    return step


def _minimum(numbers, most):
    """The lesser of integers, of which `most` is a Python number or the like of `numbers`."""
    over = numbers - most
    # -1 where it is below, 0 elsewhere: no array is so large.
    return most - over * (over // (1 << 40))


def _excess(numbers, most):
    """How much integers are more than `most`, 0 where they are not."""
    return numbers - _minimum(numbers, most)


def _first(month):
    """Days since 1970 of the first of months, counted from the year 0."""
    # After Howard Hinnant's days_from_civil: years begin in March, so that leap days end them.
    month = month - 2
    year, month = month // 12, month % 12
    era = year // 400
    year = year - era * 400
    day = (153 * month + 2) // 5
    return era * 146_097 + year * 365 + year // 4 - year // 100 + day - 719_468


def _civil(days):
    """`(year, month, day)` of days since 1970."""
    days = days + 719_468
    era = days // 146_097
    rest = days - era * 146_097
    year = (rest - rest // 1460 + rest // 36_524 - rest // 146_096) // 365
    rest = rest - (365 * year + year // 4 - year // 100)
    month = (5 * rest + 2) // 153
    day = rest - (153 * month + 2) // 5 + 1
    month = year * 12 + month + 2 + era * 4800  # from January of the year 0
    return month // 12, month % 12 + 1, day
