"""`Times`: the cells of a column that may hold times, kept until all rows say how to read them."""

import functools
import re

import numpy as np

from tfgen.data.date_forms import DAY, NO_TIME, SECOND, month_number
from tfgen.data.date_texts import (
    ORDERS,
    Dates,
    days_of,
    looks_like_time,
    read_clocks,
    read_dates,
)

# Columns with one of these names are taken for the rows' times before any other, in this order. A
# column without a name is what pandas writes of an index.
TIME_NAMES = (
    "timestamp", "datetime", "utctimestamp", "timehour", "time", "date", "ds", "period", "month",
    "quarter", "week", "year", "",
)  # fmt: skip
# Columns that together say when: year and month, or date and hour.
PART_NAMES = {
    "year": ("year", "yr", "yyyy"),
    "quarter": ("quarter", "qtr", "q"),
    "month": ("month", "mon", "mnth", "mo", "mm"),
    "day": ("day", "dd", "dom", "dayofmonth", "mday"),
    "week": ("week", "wk", "weekno", "weeknumber", "weekofyear", "isoweek"),
    "doy": ("dayofyear", "doy", "yday", "julianday"),
    # Those of other languages for numbers alone: of 18:00 the cells tell.
    "hour": (
        *("hour", "hr", "hh", "hours", "hourofday", "time", "timeofday"),
        *("stunde", "heure", "hora", "ora"),
    ),
    "minute": ("minute", "min", "mi", "minutes"),
    "second": ("second", "sec", "ss", "seconds"),
}
_PART_OF = {name: part for part, names in PART_NAMES.items() for name in names}
UNITS = {"s": SECOND, "ms": 1e3, "us": 1, "ns": 1e-3}
_MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nat", "-"}
_WORDS = {"timestamp", "datetime", "date", "time", "ts", "dt", "epoch", "unix", "utc", "datum"}
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
# Numbers since 1970 must be of 1973 to 2100: what counts from 0 is no such time.
_FIRST_EPOCH, _LAST_EPOCH = 1e8, 4.1e9
_SIGNS = re.compile(r"[\W_]+")
_PARTS = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LONGEST = 64  # characters: no date has more
_SAMPLED = 64
_SHARE = 0.95  # of numbers, that must be times for the column to be one of times


class Times:
    """The cells of a column that may hold times.

    Args:
        name: The column's name, which has to say so where its cells are numbers.
        asked: Whether a person says that it holds times.
        time_format: Optional format of `strptime`, one of `ORDERS`, a unit of `UNITS` since 1970,
            or `"excel"`.
    """

    def __init__(self, name="", asked=False, time_format=None):
        self.name, self.asked, self.time_format = name, asked, time_format
        self._pieces, self._rows = [], 0
        self._kept = True if asked or time_rank(name) is not None or part_of(name) else None

    def add_texts(self, cells):
        """Adds texts; None is a missing cell."""
        self._rows += len(cells)
        if self._kept is None:
            cells = [cell or "" for cell in cells]
            observed = [cell for cell in cells if cell.strip().lower() not in _MISSING]
            sample = observed[:: -(-len(observed) // _SAMPLED)] if observed else []
            if sample:
                alike = 0 if self._counts(sample) else sum(map(looks_like_time, sample))
                self._kept = 2 * alike > len(sample)
        if self._kept is False:
            self._pieces = []
            return
        cells = [(cell or "")[:_LONGEST].strip() for cell in cells]
        try:
            cells = np.array(cells, "S")
        except UnicodeEncodeError:
            cells = np.array([cell.encode() for cell in cells], "S")
        self._pieces.append(cells)

    def _counts(self, sample):
        """Whether most texts are numbers, such as 12.30, which `read` takes for no times here."""
        numbers = sum(not np.isnan(_float(cell)) for cell in sample)
        return self.time_format in (None, *ORDERS) and 2 * numbers > len(sample)

    def add_numbers(self, values):
        """Adds an array of numbers; NaN is a missing cell."""
        self._rows += len(values)
        if self._kept is None and not np.isnan(values.astype(np.float64)).all():
            self._kept = False
        if self._kept is False:
            self._pieces = []
            return
        values = values.astype(np.float64)
        self._pieces.append(np.where(np.isfinite(values), values, np.nan))

    def add_stamps(self, stamps):
        """Adds times: int64 microseconds since 1970, `NO_TIME` for none."""
        self._rows += len(stamps)
        self._kept = True
        self._pieces.append(stamps.astype("M8[us]"))

    def read(self, hourly=False):
        """Returns the `Dates` of the rows; None if they are no times, or not plausible ones.

        Args:
            hourly: As of `read_dates`.
        """
        if not self._pieces or not self._kept:
            return None
        stamps, numbers, codes, texts = self._cells()
        if (stamps != NO_TIME).any():
            return Dates(stamps, "timestamps", timed=bool((stamps % DAY).any()))
        if self.time_format not in (None, *ORDERS):
            return self._formatted(numbers)
        named = time_rank(self.name) is not None or self.asked
        found = np.isfinite(numbers)
        if 2 * np.count_nonzero(found) > np.count_nonzero(found | (codes >= 0)):
            dates = _of_numbers(numbers, found, self.name, self.asked) if named else None
            return None if dates is None else dates._replace(numbers=True)
        return read_dates(codes, texts, named, hourly, self.time_format)

    def clocks(self, numbers=True):
        """Returns the times of day int64 `(rows,)` in microseconds; None if most are none.

        Args:
            numbers: Whether 18 and 1830 are times of day as well, in a column called so.
        """
        if not self._pieces or not self._kept:
            return None
        stamps, floats, codes, texts = self._cells(as_texts=True)
        if (stamps != NO_TIME).any():
            return None
        observed = np.count_nonzero(codes >= 0) + np.count_nonzero(np.isfinite(floats))
        clocks = read_clocks(codes, texts)
        if 2 * np.count_nonzero(clocks != NO_TIME) > observed:
            return clocks
        if not numbers or (part_of(self.name) != "hour" and not self.asked):
            return None
        _, floats, _, _ = self._cells()
        found = np.isfinite(floats)
        values = np.where(found, floats, 0)
        whole = found & (values % 1 == 0) & (values >= 0)
        if _most(whole & (values <= 24), found):
            clocks = values * 3600
            good = whole & (values <= 24)
        elif _most(whole & (values <= 2400) & (values % 100 < 60), found):
            clocks = (values // 100) * 3600 + (values % 100) * 60
            good = whole & (values <= 2400) & (values % 100 < 60)
        elif _most(found & (values >= 0) & (values < 1), found):
            clocks, good = np.rint(values * 86400), found & (values >= 0) & (values < 1)
        else:
            return None
        return np.where(good, clocks * SECOND, NO_TIME).astype(np.int64)

    def part_numbers(self):
        """Returns the cells as numbers, NaN for none: years, hours, and months also by name."""
        if not self._pieces or not self._kept:
            return np.full(self._rows, np.nan)
        _, numbers, codes, texts = self._cells()
        if part_of(self.name) == "month":
            months = [month_number(text) or np.nan for text in texts]
            numbers = np.where(codes >= 0, np.array([*months, np.nan])[codes], numbers)
        return numbers

    def texts(self):
        """Returns the cells as a list of texts."""
        _, _, codes, texts = self._cells(as_texts=True)
        return [[*texts, ""][code] for code in codes]

    def _cells(self, as_texts=False):
        """Returns `(stamps, numbers, codes, texts)` of all rows: of each row a time, a number, or
        the number of its text, -1 for none."""
        stamps, numbers, codes, table = [], [], [], {}
        for piece in self._pieces:
            missing = np.full(len(piece), np.nan)
            stamps.append(np.full(len(piece), NO_TIME))
            numbers.append(missing)
            codes.append(np.full(len(piece), -1))
            if piece.dtype.kind == "M":
                stamps[-1] = piece.astype(np.int64)
            elif piece.dtype.kind == "f" and not as_texts:
                numbers[-1] = piece
            elif piece.dtype.kind == "f":
                cells = ["" if np.isnan(v) else _spell(v) for v in piece.tolist()]
                codes[-1] = np.array([table.setdefault(c, len(table)) if c else -1 for c in cells])
            elif as_texts or (plain := _floats(piece)) is None:
                cells = [cell.decode() for cell in piece.tolist()]
                codes[-1] = np.array(
                    [
                        -1 if cell.lower() in _MISSING else table.setdefault(cell, len(table))
                        for cell in cells
                    ]
                )
            else:
                numbers[-1] = plain
        numbers, codes = np.concatenate(numbers), np.concatenate(codes).astype(np.int64)
        texts = list(table)
        if not as_texts and texts:
            values = np.array([*map(_float, texts), np.nan])
            numbers = np.where(codes >= 0, values[codes], numbers)
            codes = np.where(np.isnan(values[codes]), codes, -1)
        return np.concatenate(stamps), numbers, codes, texts

    def _formatted(self, numbers):
        """The `Dates` of the format that a person gave."""
        form = self.time_format
        if form in UNITS or form == "excel":
            scale, origin = (UNITS[form], 0) if form in UNITS else (DAY, _EXCEL)
            return Dates(_scaled(numbers, scale, origin), f"'{form}'", timed=True)
        _, _, codes, texts = self._cells(as_texts=True)
        return formatted(codes, texts, form)


def formatted(codes, texts, form):
    """Returns the `Dates` of texts in a format of `strptime`; see `read_dates`."""
    import pandas

    found = pandas.to_datetime(pandas.Series([*texts, ""]), format=form, errors="coerce", utc=True)
    stamps = found.dt.tz_localize(None).to_numpy().astype("M8[us]").astype(np.int64)
    stamps = np.where((stamps >= _LEAST) & (stamps < _GREATEST), stamps, NO_TIME)[codes]
    return Dates(stamps, f"'{form}'", timed=bool((stamps % DAY).any()))


@functools.lru_cache(maxsize=1 << 12)
def time_rank(name):
    """Returns how well a name says that a column holds times, 0 for best; None if it does not."""
    plain = _SIGNS.sub("", name.casefold())
    if plain in TIME_NAMES and (plain or not name.strip()):
        return TIME_NAMES.index(plain)
    words = {word.lower() for word in _PARTS.findall(name)}
    return len(TIME_NAMES) if _WORDS & words else None


@functools.lru_cache(maxsize=1 << 12)
def part_of(name):
    """Returns which of `PART_NAMES` a column's name says that it is; None if none."""
    return _PART_OF.get(_SIGNS.sub("", name.casefold()))


_EXCEL = -25569 * DAY  # 1899-12-30
_LEAST, _GREATEST = (np.datetime64(f"{y}", "us").astype(np.int64) for y in (1000, 3000))


def _of_numbers(values, found, name, asked):
    """The `Dates` of numbers, of the first meaning that (nearly) all of them have plausibly."""
    found = found & (np.abs(values) < 1e20)
    values = np.where(found, values, 0.0)
    whole = found & (values % 1 == 0)
    rank = time_rank(name)
    plain = TIME_NAMES[rank] if rank is not None and rank < len(TIME_NAMES) else None
    # Names that may as well be of a count or of a measured time.
    loose = plain in ("time", "timestamp", "") and not asked
    integers = np.where(whole & (np.abs(values) < 1e15), values, 0)
    for digits, form in ((0, ""), (2, "hh"), (4, "hhmm"), (6, "hhmmss")):
        day, clock = integers // 10**digits, integers % 10**digits * 10 ** (6 - digits)
        days = _of_digits(day)
        seconds = clock // 10000 * 3600 + clock // 100 % 100 * 60 + clock % 100
        good = whole & (days != NO_TIME)
        good &= (clock // 10000 < 24) & (clock // 100 % 100 < 60) & (clock % 100 < 60)
        if _most(good, found):
            stamps = np.where(good, days * DAY + (seconds * SECOND).astype(np.int64), NO_TIME)
            return Dates(stamps, f"yyyymmdd{form}", timed=bool((stamps % DAY).any()))
    for unit, scale in UNITS.items():
        seconds = values * scale / SECOND
        good = found & (seconds >= _FIRST_EPOCH) & (seconds <= _LAST_EPOCH)
        if _most(good, found):
            stamps = _scaled(np.where(good, values, np.nan), scale, 0)
            return Dates(stamps, f"{_UNIT_NAMES[unit]} since 1970", timed=True)
    if plain == "" and not asked:
        return None
    low, high = (1000, 2999) if asked or plain == "year" else (1500, 2200)
    good = whole & (integers // 100 >= 1500) & (integers // 100 <= 2200)
    months = days_of(integers // 100, integers % 100, 1)
    good &= months != NO_TIME
    if _most(good, found):
        return Dates(np.where(good, months * DAY, NO_TIME), "yyyymm", "month")
    good = found & (values >= low) & (values < high + 1)
    if _most(good & whole, found):
        days = days_of(np.where(good & whole, values, 0), 1, 1)
        return Dates(np.where(days == NO_TIME, NO_TIME, days * DAY), "year", "year")
    month = values % 1 * 12
    good &= np.abs(month - np.rint(month)) < 0.1
    if _most(good, found) and (asked or plain in ("time", "date", "year")):
        months = np.rint(values * 12).astype(np.int64)
        days = days_of(np.where(good, months // 12, 0), months % 12 + 1, 1)
        stamps = np.where(days == NO_TIME, NO_TIME, days * DAY)
        return Dates(stamps, "years with a fraction of twelfths", "month")
    good = found & (values >= 18264) & (values < 73051)  # 1950 to 2099
    fractions = bool((values[good] % 1).any())
    if _most(good, found) and (not loose or (fractions and plain == "time")):
        stamps = _scaled(np.where(good, values, np.nan), 86400 * SECOND, _EXCEL)
        return Dates(stamps, "days of a spreadsheet", timed=fractions)
    return None


def _of_digits(numbers):
    """Days since 1970 of numbers yyyymmdd, of 1500 to 2200."""
    days = days_of(numbers // 10000, numbers // 100 % 100, numbers % 100)
    return np.where((numbers >= 15000101) & (numbers <= 22001231), days, NO_TIME)


def _most(good, found):
    return bool(found.any()) and np.count_nonzero(good) >= _SHARE * np.count_nonzero(found)


def _scaled(numbers, scale, origin):
    """Numbers as int64 microseconds; parts of a spreadsheet's day to the second."""
    with np.errstate(invalid="ignore", over="ignore"):
        exact = np.rint(numbers * scale)
        exact = np.rint(exact / SECOND) * SECOND if origin else exact
        good = (np.abs(exact) < 2.0**62) & (exact + origin >= _LEAST) & (exact + origin < _GREATEST)
    return np.where(good, np.where(good, exact, 0).astype(np.int64) + origin, NO_TIME)


def _spell(number):
    return f"{number:.0f}" if number % 1 == 0 else f"{number}"


def _floats(cells):
    """Returns an array of texts as numbers, all finite; None if one of them is none."""
    try:
        numbers = cells.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() and b"_" not in b"".join(cells) else None


def _float(text):
    try:
        number = float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan
    return number if np.isfinite(number) else np.nan
