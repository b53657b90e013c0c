"""`find_times`: when each row of a table is, of the one or several columns that say so."""

from typing import NamedTuple

import numpy as np

from tfgen.data.date_forms import DAY, NO_TIME, SECOND
from tfgen.data.date_texts import ORDERS, Dates, days_of, days_of_weeks, read_dates
from tfgen.data.dates import Times, formatted, part_of, time_rank
from tfgen.data.ids import find_id
from tfgen.errors import InputError, unknown

_SIGN = "+"  # between the names of several columns in data.time
_LENGTHS = {"minute": 60 * SECOND, "second": SECOND}


class RowTimes(NamedTuple):
    """When the rows of a table are.

    Attributes:
        name: The column, or several with a plus between them; None if the rows have no times.
        columns: Frozen set of the columns that they were read from.
        stamps: int64 microseconds `(rows,)` since 1970, `NO_TIME` for none; or None.
        form: How they are written, for a person.
        notes: What was decided, as sentences.
    """

    name: str | None = None
    columns: frozenset = frozenset()
    stamps: np.ndarray | None = None
    form: str = ""
    notes: tuple = ()

    @property
    def label(self):
        """Where times were read and how they are written there, for a person."""
        name = f"'{self.name}'" if self.name else "the column without a name"
        return f"{name}, read as {self.form}" if self.form else name


def asked_columns(config):
    """Returns the names that `data.time` may mean: of a column, or of the parts of a sum."""
    if config.time is None:
        return set()
    return {config.time, *(name.strip() for name in config.time.split(_SIGN))}


def open_times(name, config, roles):
    """Returns the `Times` of a column that may say when the rows are; None if it does not.

    Args:
        name: The column.
        config: A `tfgen.recipe.DataConfig`.
        roles: Names of columns that something else is asked of.
    """
    if config.time is not None:
        found = name in asked_columns(config)
        return Times(name, asked=True, time_format=config.time_format) if found else None
    return None if name in roles else Times(name, time_format=config.time_format)


def find_times(table, config):
    """Returns the `RowTimes` of a table.

    Args:
        table: A `tfgen.data.tables.Table` that was read.
        config: A `tfgen.recipe.DataConfig`: `time` and `time_format`.

    Raises:
        InputError: If `data.time` names what cannot be read as times.
    """
    try:
        found = _find(table, config) if config.time is None else _asked(table, config)
    except ValueError as error:
        if isinstance(error, InputError) or config.time_format is None:
            raise
        raise InputError(
            "data.time_format must be a format of strptime, such as '%d.%m.%Y %H:%M', or "
            f"day-first, month-first, year-first, s, ms, us or ns (since 1970) or excel: {error}. "
            f"Received: data.time_format={config.time_format!r}"
        ) from None
    if found.stamps is None:
        return found
    steps = np.diff(found.stamps[found.stamps != NO_TIME])
    notes = [f"'{found.name}': {note}" for note in found.notes]
    if 2 * np.count_nonzero(steps < 0) > len(steps):
        notes.append(f"the newest row comes first: rows are sorted by '{found.name}'")
    twice = None if found.columns & table.zoned else _hours_twice(found)
    if twice:
        notes.append(
            f"an hour comes twice on {twice}, as at the end of summer time: of two rows the first "
            "is kept (times with their offset from UTC tell them apart)"
        )
    return found._replace(notes=tuple(notes))


def _hours_twice(found):
    """The first day of which times come again, if all such times are of nights to Sunday in spring
    or autumn; else None."""
    if "UTC" in found.form:
        return None
    stamps = found.stamps[found.stamps != NO_TIME]
    times, counts = np.unique(stamps, return_counts=True)
    again = times[counts > 1]
    if not len(again) or (counts > 2).any():
        return None
    days = again // DAY
    months = days.astype("M8[D]").astype("M8[M]").astype(np.int64) % 12 + 1
    nights = (again % DAY < 4 * 3600 * SECOND) & ((days + 3) % 7 == 6)
    if not (nights & np.isin(months, (3, 4, 10, 11))).all():
        return None
    return str(days[0].astype("M8[D]"))


def _asked(table, config):
    name = config.time
    if name in table.times:
        dates = table.times[name].read()
        if dates is None or (dates.stamps == NO_TIME).all():
            raise _refused(table.times[name], config)
        return RowTimes(name, frozenset([name]), dates.stamps, dates.form, dates.notes)
    names = [part.strip() for part in name.split(_SIGN)]
    for part in names:
        if part not in table.times:
            raise unknown("column, asked for by data.time,", part, table.names)
    stores = [table.times[part] for part in names]
    dates = _joined(stores, config) or Dates(np.full(table.rows, NO_TIME), "")
    if (dates.stamps == NO_TIME).all():
        raise InputError(
            "data.time names columns that cannot be read together as times: a date and a time of "
            f"day, or year, month, day, hour. Received: data.time={name!r}"
        )
    return RowTimes(name, frozenset(names), dates.stamps, dates.form, dates.notes)


def _joined(stores, config):
    """The `Dates` of columns that say when only together; None if they do not."""
    if config.time_format not in (None, *ORDERS):
        texts = [" ".join(cells) for cells in zip(*(each.texts() for each in stores), strict=True)]
        return formatted(np.arange(len(texts)), texts, config.time_format)
    first, *others = stores
    dates = first.read()
    parts = {part_of(each.name): each for each in stores}
    if len(stores) > 1 and len(_chain(parts)) == len(stores):
        return _of_parts(_chain(parts))
    if dates is not None and len(others) == 1 and (clock := others[0].clocks()) is not None:
        return _with_clock(first.read(hourly=True), clock)
    texts = [" ".join(cells) for cells in zip(*(each.texts() for each in stores), strict=True)]
    return read_dates(np.arange(len(texts)), texts, named=True, order=config.time_format)


def _refused(times, config):
    """What is wrong with the column that a person takes for times."""
    received = f"Received: data.time={config.time!r}"
    if config.time_format is not None:
        return InputError(
            f"No cell of '{times.name}' is a time of data.time_format={config.time_format!r}. "
            + received
        )
    numbers = times.part_numbers()
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers):
        return InputError(
            f"'{times.name}' holds numbers from {numbers.min():g} to {numbers.max():g}, which are "
            "no plausible times: without data.time rows keep their order, or say what they are "
            f"(data.time_format, e.g. '%Y%m', or 's' for seconds since 1970). {received}"
        )
    if times.clocks() is not None:
        return InputError(
            f"'{times.name}' holds times of day without a date: name the column of the date as "
            f"well, data.time='DATE{_SIGN}{times.name}'. {received}"
        )
    return InputError(
        f"No row has a timestamp that can be read: a date such as 2013-01-31, 31.1.2013 12:00, "
        "Jan 2013 or 2013Q1, or seconds, milli-, micro- or nanoseconds since 1970; others by "
        f"data.time_format, e.g. '%d-%b-%y'. {received}"
    )


def _find(table, config):
    """The column, or the columns, that say when the rows are, as their names and cells tell."""
    found = {}
    for name in table.times:
        if time_rank(name) is None and config.time_format is None and table.is_plain(name):
            continue  # numbers are times only where the name says so
        dates = table.times[name].read()
        if dates is not None and dates.numbers and dates.span == "year":
            if _is_feature(table, name, dates.stamps, config):
                continue
        if dates is not None and 2 * np.count_nonzero(dates.stamps != NO_TIME) > table.rows:
            found[name] = dates
    ranks = {name: time_rank(name) for name in found}
    named = [name for name in found if ranks[name] is not None]
    names = sorted(named, key=ranks.get) if named else list(found)
    parts = _parts(table)
    if names and part_of(names[0]) == "year" and len(parts) > 1 and _again(found[names[0]].stamps):
        names = []
    if not names:
        if len(parts) < 2:
            return RowTimes()
        dates = _of_parts(parts)
        if 2 * np.count_nonzero(dates.stamps != NO_TIME) <= table.rows:
            return RowTimes()
        columns = [times.name for times in parts.values()]
        return RowTimes(_SIGN.join(columns), frozenset(columns), dates.stamps, dates.form)
    if len(names) > 1 and not named:
        quoted = ", ".join(f"'{name}'" for name in names)
        return RowTimes(notes=(f"{quoted} hold times: data.time says which orders the rows",))
    name = names[0]
    dates = found[name]
    if dates.span == "day" and not dates.timed:
        other, clock = _clock_beside(table, name, dates.stamps)
        if other is not None:
            both = _with_clock(table.times[name].read(hourly=True), clock)
            columns = frozenset([name, other])
            label = f"{name}{_SIGN}{other}"
            return RowTimes(label, columns, both.stamps, both.form, both.notes)
    return RowTimes(name, frozenset([name]), dates.stamps, dates.form, dates.notes)


def _clock_beside(table, name, days):
    """The column that tells the times of the days of another, and these; two None if there is none.

    One that is called so; or where most days come again and no other column tells why, the first
    that holds nothing but times of day.
    """
    clocks, there = {}, days != NO_TIME
    for other in (each for each in table.times if each != name and part_of(each) == "hour"):
        # Hours as numbers may be a feature of a day: the hour of the peak.
        clock = table.times[other].clocks(numbers=_again(days))
        if clock is not None:
            return other, clock
    if 2 * len(np.unique(days[there])) > np.count_nonzero(there):
        return None, None
    for other in (each for each in table.times if each != name):
        clock = table.times[other].clocks(numbers=False)
        if clock is not None and (clock[there] != NO_TIME).all():
            clocks[other] = clock
    others = [each for each in table.columns if each != name and each not in clocks]
    if clocks and not find_id(table, days, others):
        return next(iter(clocks.items()))
    return None, None


def _again(stamps):
    """Whether a time comes again."""
    known = stamps[stamps != NO_TIME]
    return len(np.unique(known)) < len(known)


def _is_feature(table, name, stamps, config):
    """Whether numbers that may be years come again for nothing that the table says."""
    if config.id is not None or (part_of(name) == "year" and len(_parts(table)) > 1):
        return False
    parts = table.part_numbers()
    different = len(np.unique(np.stack([parts, stamps]), axis=1)[0])
    if different > len(stamps) / 2:
        return False
    return not find_id(table, stamps, [each for each in table.columns if each != name])


def _with_clock(dates, clock):
    """The `Dates` of days and of times of day in another column."""
    there = (dates.stamps != NO_TIME) & (clock != NO_TIME)
    # A date may be written with a midnight of its own.
    days = dates.stamps - dates.stamps % DAY
    stamps = np.where(there, days + np.where(there, clock, 0), NO_TIME)
    form = f"{dates.form.removesuffix(' with time')} and a time of day"
    return Dates(stamps, form, timed=True, notes=dates.notes)


def _parts(table):
    """Returns the columns that say when together, as `{part: Times}` from the year on; empty if
    they do not."""
    found = {}
    for name in table.times:
        if part_of(name) is not None:
            found.setdefault(part_of(name), table.times[name])
    return _chain(found)


def _chain(parts):
    """Returns those of `{part: Times}` that say when together, from the year on."""
    # What follows a part that is missing says nothing.
    wanted = ["year"]
    if "month" in parts:
        wanted += ["month", "day"] if "day" in parts else ["month"]
    else:
        wanted += [part for part in ("doy", "quarter", "week") if part in parts][:1]
    if wanted[-1] in ("day", "doy") and "hour" in parts:
        wanted.append("hour")
        wanted += ["minute", "second"] if {"minute", "second"} <= set(parts) else []
        wanted += ["minute"] if "minute" in parts and wanted[-1] == "hour" else []
    return {part: parts[part] for part in wanted} if "year" in parts else {}


def _of_parts(parts):
    """The `Dates` of columns of year, month, day and so on."""
    clock = parts["hour"].clocks() if "hour" in parts else None
    numbers = {part: times.part_numbers() for part, times in parts.items() if part != "hour"}
    good = np.all([(np.abs(each) < 1e9) & (each % 1 == 0) for each in numbers.values()], axis=0)
    numbers = {part: np.where(good, each, 0).astype(np.int64) for part, each in numbers.items()}
    one = np.ones(len(good), np.int64)
    month = numbers["quarter"] * 3 - 2 if "quarter" in numbers else numbers.get("month", one)
    days = days_of(numbers["year"], month, numbers.get("day", one))
    if "week" in numbers:
        days = days_of_weeks(numbers["year"], numbers["week"], one)
    good &= days != NO_TIME
    days = np.where(good, days, 0)
    if "doy" in numbers:
        good &= (numbers["doy"] >= 1) & (numbers["doy"] <= 366)
        days += numbers["doy"] - 1
    stamps = days * DAY
    if "hour" in parts:
        clock = np.full(len(good), NO_TIME) if clock is None else clock
        good &= clock != NO_TIME
        stamps += np.where(good, clock, 0)
    for part, length in _LENGTHS.items():
        if part in numbers:
            good &= (numbers[part] >= 0) & (numbers[part] <= 59)
            stamps += numbers[part] * length
    last = next(p for p in ("hour", "day", "doy", "month", "quarter", "week") if p in parts)
    span = {"doy": "day", "hour": "day"}.get(last, last)
    form = ", ".join({"doy": "day of the year"}.get(part, part) for part in parts)
    return Dates(np.where(good, stamps, NO_TIME), form, span, timed="hour" in parts)
