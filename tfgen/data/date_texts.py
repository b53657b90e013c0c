"""`read_dates`: texts of dates as instants, in whichever common form they are written."""

import re
from typing import NamedTuple

import numpy as np

from tfgen.data.date_forms import DAY, NO_TIME, PIVOT, SECOND, SPANS, parse_clock, parse_date

# What is outside is a mistake or stands for no date at all, as 9999-12-31 does.
FIRST_YEAR, LAST_YEAR = 1000, 2999
_YEARS = FIRST_YEAR, LAST_YEAR + 1
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)

ORDERS = {
    "day-first": ("day", "month", "year"),
    "month-first": ("month", "day", "year"),
    "year-first": ("year", "month", "day"),
}


class Dates(NamedTuple):
    """The times of a column.

    Attributes:
        stamps: int64 microseconds since 1970, UTC where there is an offset; `NO_TIME` for none.
        form: How they are written, for a person.
        span: `"day"`, `"week"`, `"month"`, `"quarter"`, `"half"` or `"year"`: what a cell names.
        timed: Whether a time of day is said, other than midnight.
        notes: What was decided, as sentences.
        numbers: Whether they were numbers, which may be something else.
    """

    stamps: np.ndarray
    form: str
    span: str = "day"
    timed: bool = False
    notes: tuple = ()
    numbers: bool = False


def read_dates(codes, texts, named=False, hourly=False, order=None):
    """Reads a column of texts, all in one form and order of day and month.

    Args:
        codes: int array `(rows,)`: the number of each row's text, -1 for none.
        texts: List of different texts.
        named: Whether the column's name says that it is one of dates, so that `1-01` is one.
        hourly: Whether there are several rows a day, whose days then follow each other.
        order: One of `ORDERS`, where a person says it; None finds it.

    Returns:
        `Dates`; None if no text is a date.
    """
    if not texts:
        return None
    if (stamps := _iso(texts)) is not None:
        timed = any(len(text) > 10 for text in texts)
        form = "year-month-day" + " with time" * timed
        return Dates(_of_rows(stamps, codes), form, timed=bool((stamps % DAY).any()))
    found = [parse_date(text, named) for text in texts]
    weights = np.bincount(codes[codes >= 0], minlength=len(texts))
    kinds = {}
    for part, weight in zip(found, weights.tolist()):
        if part is not None:
            kinds[SPANS[part.kind]] = kinds.get(SPANS[part.kind], 0) + weight
    if not kinds:
        return None
    span = max(kinds, key=kinds.get)
    found = [part if part is not None and SPANS[part.kind] == span else None for part in found]
    there = np.array([part is not None for part in found])
    parts = [part for part in found if part is not None]
    days, form, notes = _days(parts, weights[there], hourly, order)
    clocks = np.array([part.clock or 0 for part in parts], np.int64)
    walls = np.full(len(texts), NO_TIME)
    walls[there] = np.where(days == NO_TIME, NO_TIME, days * DAY + clocks)
    stamps, zone, more = _instants(codes, walls, found)
    clocked = any(part.clock is not None for part in parts)
    if clocked:
        form += " with time" + (" AM/PM" if any(part.half for part in parts) else "")
    if not (stamps != NO_TIME).any():
        return None
    return Dates(stamps, form + zone, span, bool((clocks % DAY).any()), (*notes, *more))


def read_clocks(codes, texts):
    """Reads times of day, such as `18:00`, `18.00.00` and `6 PM`.

    Args:
        codes: int array `(rows,)`: the number of each row's text, -1 for none.
        texts: List of different texts.

    Returns:
        int64 `(rows,)`: microseconds since midnight, `NO_TIME` for none.
    """
    return _of_rows(np.array([*map(parse_clock, texts)], np.int64), codes)


def _of_rows(stamps, codes):
    return np.append(stamps, NO_TIME)[codes]


def looks_like_time(text):
    """Whether a text is a date or a time of day, whatever the name of its column."""
    part = parse_date(text, False)
    if part is None:
        return parse_clock(text) != NO_TIME
    # 1.2.10 is rather a version.
    return not (part.kind == "x" and part.short and part.sign == ".")


def days_of(year, month, day):
    """Days since 1970 of arrays of years, months and days; `NO_TIME` where there is no such day."""
    year, month, day = (np.asarray(part, np.int64) for part in (year, month, day))
    good = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("M8[M]")
    days = months.astype("M8[D]") + np.where(good, day - 1, 0)
    good &= (day >= 1) & (days.astype("M8[M]") == months)
    return np.where(good, days.astype(np.int64), NO_TIME)


def _iso(texts):
    """Returns texts as int64 microseconds at once; None if one is not of the plainest form."""
    if not all(map(_ISO.fullmatch, texts)):
        return None
    try:
        stamps = np.array(texts, "M8[us]").astype(np.int64)
    except ValueError:
        return None
    low, high = (np.datetime64(f"{year}", "us").astype(np.int64) for year in _YEARS)
    return stamps if ((stamps >= low) & (stamps < high)).all() else None


def _days(parts, weights, hourly, asked):
    """Returns `(days since 1970, form, notes)` of the parts of different texts."""
    year = np.array([part.year for part in parts])
    first = np.array([part.month for part in parts])
    second = np.array([part.day for part in parts])
    kind = np.array([part.kind for part in parts])
    notes = []
    most = np.argmax(weights)
    usual = parts[most]
    form = usual.name.replace("{s}", usual.sign)
    month, day = first, second
    if usual.kind in "qh":
        size = 3 if usual.kind == "q" else 6
        month = np.where((kind == "q") | (kind == "h"), (first - 1) * size + 1, first)
    elif usual.kind == "w":
        return days_of_weeks(year, first, second), form, notes
    elif (kind == "x").any():
        chosen = kind == "x"
        order, note = ORDERS.get(asked), None
        if order is None:
            order, note = _order(parts, chosen, year, first, second, weights, hourly)
        sign = parts[np.flatnonzero(chosen)[np.argmax(weights[chosen])]].sign
        if note:
            notes.append(note)
        new = _ORDERS[order](year, first, second)
        year, month, day = (np.where(chosen, a, b) for a, b in zip(new, (year, first, second)))
        form = sign.join(order) if kind[most] == "x" else form
    if any(part.short for part in parts):
        notes.append(f"years of two digits are taken as {1900 + PIVOT} to {1999 + PIVOT}")
    return days_of(year, month, day), form, notes


_ORDERS = {
    ("day", "month", "year"): lambda year, first, second: (year, second, first),
    ("month", "day", "year"): lambda year, first, second: (year, first, second),
    # Two digits each, the first of them the year.
    ("year", "month", "day"): lambda year, first, second: (
        first + np.where(first < PIVOT, 2000, 1900), second, year % 100,
    ),
}  # fmt: skip


def _order(parts, chosen, year, first, second, weights, hourly):
    """Returns `(order, note)`: of day, month and year, the one that fits most of all rows."""
    short = np.array([part.short for part in parts])
    hourly = hourly or len({part.clock for part in parts}) > 1
    fits, steps, spans, usually = {}, {}, {}, {}
    for order, change in _ORDERS.items():
        days = days_of(*change(year, first, second))
        good = chosen & (days != NO_TIME) & (short if order[0] == "year" else True)
        fits[order] = int(weights[good].sum())
        gaps = np.diff(np.unique(days[good]))
        spans[order] = int(gaps.sum())
        usually[order] = np.median(gaps) if len(gaps) else 0
        steps[order] = gaps.std() / gaps.mean() if len(gaps) > 1 else 0.0
    most = max(fits.values())
    best = [order for order in _ORDERS if fits[order] == most]
    if len(best) == 1 or not most:
        return best[0], None
    # Of steps that are alike and steps that are not, the former; else as the sign has it.
    sign = parts[np.flatnonzero(chosen)[0]].sign
    near = best
    if best[-1][0] == "year":  # which of them is the year shows in how far it is
        least = min(spans[order] for order in best)
        near = [order for order in best if spans[order] <= 2 * least]
    usual = near[-1] if sign == "/" and near[-1][0] == "month" else near[0]
    daily = [order for order in near if usually[order] == 1]
    if hourly and daily:
        usual = usual if usual in daily else daily[0]
    even = [order for order in near if steps[order] < 0.25]
    if even and usual not in even and steps[usual] > 0.5:
        usual = even[0]
    others = [sign.join(order) for order in best if order != usual]
    other = next(name for name, order in ORDERS.items() if order in best and order != usual)
    return usual, (
        f"dates are read as {sign.join(usual)}; {' and '.join(others)} would fit as well "
        f"(data.time_format='{other}' reads that)"
    )


def days_of_weeks(year, week, day):
    """Days since 1970 of years, ISO weeks and days of the week, of which 1 is Monday."""
    january = days_of(year, np.ones_like(year), np.full_like(year, 4))
    good = (january != NO_TIME) & (week >= 1) & (week <= 53)
    monday = january - (january + 3) % 7  # 1970-01-01 was a Thursday
    return np.where(good, monday + 7 * (week - 1) + day - 1, NO_TIME)


def _instants(codes, walls, parts):
    """Returns `(stamps, form, notes)` of each row: local times less their offsets from UTC."""
    zones = {part.zone for part in parts if part is not None}
    if zones == {None}:
        return _of_rows(walls, codes), "", ()
    midnight = (walls[walls != NO_TIME] % DAY == 0).all()
    if midnight and zones != {0}:
        return _of_rows(walls, codes), ", UTC offsets left out", ()
    offsets = [part.zone if part is not None and type(part.zone) is int else 0 for part in parts]
    there = walls != NO_TIME
    stamps = np.where(there, walls - np.array(offsets, np.int64) * SECOND * there, NO_TIME)
    stamps = _of_rows(stamps, codes)
    for zone in sorted(zone for zone in zones if isinstance(zone, str)):
        among = np.array([part is not None and part.zone == zone for part in parts])
        rows = np.flatnonzero(np.append(among & there, False)[codes])
        stamps[rows] = _localised(stamps[rows], zone)
    notes = ("times without an offset are taken as UTC",) if None in zones else ()
    return stamps, ", as UTC" if zones != {0, None} else "", notes


def _localised(stamps, zone):
    """Local times of a zone as UTC: of an hour that comes twice, the first is summer's."""
    import pandas

    order = np.unique(stamps, return_index=True)[1]
    first = np.zeros(len(stamps), bool)
    first[order] = True
    local = pandas.DatetimeIndex(stamps.astype("M8[us]")).tz_localize(
        zone, ambiguous=first, nonexistent="shift_forward"
    )
    return local.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[us]").astype(np.int64)
