"""`read_dates`: texts of dates as instants, in whichever common form they are written."""

import functools
import re
from typing import NamedTuple

import numpy as np

NO_TIME = np.iinfo(np.int64).min
SECOND, DAY = 1_000_000, 86_400_000_000  # microseconds
# What is outside is a mistake or stands for no date at all, as 9999-12-31 does.
FIRST_YEAR, LAST_YEAR = 1000, 2999
_YEARS = FIRST_YEAR, LAST_YEAR + 1
# Two digits of a year are of 1940 to 2039.
_PIVOT = 40

_MONTHS = (
    "january february march april may june july august september october november december"
).split()
_MONTH_NUMBERS = {
    name[:size]: number
    for number, name in enumerate(_MONTHS, 1)
    for size in range(3, len(name) + 1)
}
# German, French, Spanish and Italian.
_FURTHER = (
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
)
for _names in _FURTHER:
    for _number, _name in enumerate(_names.split(), 1):
        for _short in (_name, _name[:3], _name[:4]):
            # gen 2, set 2 and mag 5 are rather something else.
            if _short not in ("gen", "set", "mag"):
                _MONTH_NUMBERS.setdefault(_short, _number)
_MONTH_NUMBERS |= {"mrz": 3, "jui": 6, "juil": 7}

_HOURS = {
    "z": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 1, "bst": 1, "cet": 1, "cest": 2, "mez": 1,
    "mesz": 2, "eet": 2, "eest": 3, "msk": 3, "ist": 5.5, "sgt": 8, "hkt": 8, "awst": 8, "jst": 9,
    "kst": 9, "acst": 9.5, "acdt": 10.5, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13, "brt": -3,
    "ast": -4, "adt": -3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6,
    "pst": -8, "pdt": -7, "akst": -9, "akdt": -8, "hst": -10,
}  # fmt: skip

_NAME = r"(?P<m>[^\W\d_]{3,9})\.?"
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_YEAR = r"(?P<y>\d{4})"
_SHORT_YEAR = r"'?(?P<y>\d{4}|\d{2})"
_CLOCK = (
    r"(?P<H>\d{1,2})(?:[:.h](?P<M>\d{2})(?:[:.](?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?)?"
    r"\s*(?P<p>[ap]\.?m\.?)?"
)
_ZONE = (
    r"(?:\s*(?P<z>(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2}){0,2}|[a-z]{1,5}|[a-z]+/[a-z_/+-]+))?"
    r"(?:\s*[\[(][\w/+-]+[\])])?"
)
_TIME = rf"(?:(?:\s*[t,;_]\s*|\s+at\s+|\s+|:){_CLOCK}{_ZONE})?"
# (what it is, how it is called, pattern), of which at most one fits a text.
_FORMS = [
    (kind, name, re.compile(_WEEKDAY + pattern + (_TIME if kind in "dx" else "")))
    for kind, name, pattern in (
        ("d", "year{s}month{s}day", rf"{_YEAR}(?P<s>[-/. ])(?P<m>\d{{1,2}})(?P=s)(?P<d>\d{{1,2}})"),
        ("d", "yyyymmdd", rf"{_YEAR}(?P<m>\d\d)(?P<d>\d\d)"),
        ("c", "yyyymmdd", rf"{_YEAR}(?P<m>\d\d)(?P<d>\d\d)t(?P<h>\d\d(?:\d\d){{0,2}}){_ZONE}"),
        ("x", "", rf"(?P<m>\d{{1,2}})(?P<s>[-/. ])(?P<d>\d{{1,2}})(?P=s){_SHORT_YEAR}"),
        ("d", "day month year", rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[-/., ]*(?:of )?{_NAME}[-/., ]*"
                                + _SHORT_YEAR),
        ("d", "month day, year", rf"{_NAME}[-/., ]*(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[-/., ]+"
                                   + _YEAR),
        ("d", "year month day", rf"{_YEAR}[-/., ]*{_NAME}[-/., ]*(?P<d>\d{{1,2}})"),
        ("m", "year{s}month", rf"{_YEAR}(?P<s>[-/.: ]?m|[-/.: ])(?P<m>\d{{1,2}})"),
        ("m", "month{s}year", rf"(?P<m>\d{{1,2}})(?P<s>[-/.: ]){_YEAR}"),
        ("m", "month year", rf"{_NAME}[-/.,_ ]*{_SHORT_YEAR}"),
        ("m", "year month", rf"(?P<y>\d{{4}}|\d{{1,2}})[-/.,_ ]*{_NAME}"),
        ("q", "year and quarter", rf"{_YEAR}[-/.:_ ]*q(?P<m>[1-4])"),
        ("q", "quarter and year", rf"q(?P<m>[1-4])[-/.:_ ]*{_SHORT_YEAR}"),
        ("q", "quarter and year", rf"(?P<m>[1-4])q[-/.:_ ]*{_SHORT_YEAR}"),
        ("h", "year and half", rf"{_YEAR}[-/.:_ ]*[hs](?P<m>[12])"),
        ("w", "year and ISO week", rf"{_YEAR}[-/.:_ ]*w(?P<m>\d{{1,2}})(?:-?(?P<d>[1-7]))?"),
        # Month 1-01 to 3-12 of a table of three years: only where the name says that it is one.
        ("y", "year-month", r"(?P<y>\d{1,2})-(?P<m>\d{2})"),
    )
]  # fmt: skip
# As C's ctime writes it, and the date command with a zone.
_CTIME = re.compile(
    rf"{_WEEKDAY}([a-z]{{3}})\s+(\d{{1,2}})\s+(\d{{1,2}}:\d\d:\d\d)(\s+[a-z]{{1,5}})?\s+(\d{{4}})"
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)
_DAY_AND_CLOCK = re.compile(r"([\d/.-]{8,10})[ T](\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?)", re.ASCII)
_CLOCK_ALONE = re.compile(_CLOCK)


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
    found = [_parse(text, named) for text in texts]
    weights = np.bincount(codes[codes >= 0], minlength=len(texts))
    kinds = {}
    for part, weight in zip(found, weights.tolist()):
        if part is not None:
            kinds[_SPANS[part.kind]] = kinds.get(_SPANS[part.kind], 0) + weight
    if not kinds:
        return None
    span = max(kinds, key=kinds.get)
    found = [part if part is not None and _SPANS[part.kind] == span else None for part in found]
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
    return _of_rows(np.array([*map(_clock_alone, texts)], np.int64), codes)


def _of_rows(stamps, codes):
    return np.append(stamps, NO_TIME)[codes]


def looks_like_time(text):
    """Whether a text is a date or a time of day, whatever the name of its column."""
    part = _parse(text, False)
    if part is None:
        return _clock_alone(text) != NO_TIME
    # 1.2.10 is rather a version.
    return not (part.kind == "x" and part.short and part.sign == ".")


def month_number(text):
    """Returns the number of a month from its name, in full or shortened; None if it is none."""
    return _MONTH_NUMBERS.get(text.lower().rstrip("."))


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


class _Part(NamedTuple):
    kind: str
    name: str
    sign: str
    year: int
    short: bool
    month: int
    day: int
    clock: int | None
    half: bool
    zone: object  # seconds, the name of a zone, or None


_SPANS = dict(d="day", c="day", x="day", m="month", y="month", q="quarter", h="half", w="week")


def _parse(text, named):
    # Most texts are of few days and few times of day, each of which is parsed once.
    found = _DAY_AND_CLOCK.fullmatch(text)
    if found is None:
        return _parse_whole(text, named)
    part, clock = _parse_day(found[1], named), _clock_alone(found[2])
    return None if part is None or clock == NO_TIME else part._replace(clock=clock)


def _parse_whole(text, named):
    text = " ".join(text.strip("\"' ").lower().split())
    text = re.sub("[年月](?=.)", "-", text).rstrip("年月日").replace("日", "")
    begin, dash, _ = text.partition(" - ")
    if dash:  # from one time to another
        text = begin
    if (clock := _CTIME.fullmatch(text)) is not None:
        month, day, time, zone, year = clock.groups()
        text = f"{day} {month} {year} {time}{zone or ''}"
    for kind, name, form in _FORMS:
        found = form.fullmatch(text)
        if found is None or (kind == "y" and not named):
            continue
        part = _part(kind, name, found.groupdict())
        if part is not None:
            return part
    return None


def _part(kind, name, found):
    month, sign = found.get("m", "1"), found.get("s") or ""
    if not month.isdigit():
        month = month_number(month)
    if month is None or (kind == "y" and not 1 <= int(month) <= 12):
        return None
    clock, zone = None, None
    if found.get("h"):
        clock = _clock(found["h"][:2], found["h"][2:4], found["h"][4:], "", None)
    elif found.get("H"):
        clock = _clock(found["H"], found["M"], found["S"], found["f"], found["p"])
    if clock is None and (found.get("h") or found.get("H")):
        return None
    if found.get("z"):
        zone = _zone(found["z"])
        if zone is None:
            return None
    year, short = int(found["y"]), len(found["y"]) <= 2
    if short:
        year += 2000 if year < _PIVOT else 1900
    half = bool(found.get("p"))
    day = int(found.get("d") or 1)
    return _Part(kind, name, sign, year, short, int(month), day, clock, half, zone)


def _clock(hour, minute, second, fraction, half):
    """Microseconds since midnight, None if there is no such time."""
    hour, minute, second = int(hour), int(minute or 0), int(second or 0)
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * half.startswith("p")
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and minute + second > 0):
        return None
    return ((hour * 60 + minute) * 60 + second) * SECOND + int((fraction or "").ljust(6, "0")[:6])


_parse_day = functools.lru_cache(maxsize=1 << 16)(_parse_whole)


@functools.lru_cache(maxsize=1 << 17)
def _clock_alone(text):
    found = _CLOCK_ALONE.fullmatch(text.strip("\"' ").lower())
    if found is None or not (found["M"] or found["p"]):
        return NO_TIME
    clock = _clock(*found.group("H", "M", "S", "f", "p"))
    return NO_TIME if clock is None else clock


@functools.cache
def _zone_names():
    import zoneinfo  # which looks through folders

    return {name.lower(): name for name in zoneinfo.available_timezones()}


def _zone(text):
    if "/" in text:
        return _zone_names().get(text)
    if text in _HOURS:
        return round(_HOURS[text] * 3600)
    found = re.fullmatch(r"(?:utc|gmt)?([+-])(\d{1,2}):?(\d\d)?:?(\d\d)?", text)
    if found is None:
        return None
    sign, hour, minute, second = found.groups()
    seconds = int(hour) * 3600 + int(minute or 0) * 60 + int(second or 0)
    return (-seconds if sign == "-" else seconds) if seconds < 86400 else None


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
        notes.append(f"years of two digits are taken as {1900 + _PIVOT} to {1999 + _PIVOT}")
    return days_of(year, month, day), form, notes


_ORDERS = {
    ("day", "month", "year"): lambda year, first, second: (year, second, first),
    ("month", "day", "year"): lambda year, first, second: (year, first, second),
    # Two digits each, the first of them the year.
    ("year", "month", "day"): lambda year, first, second: (
        first + np.where(first < _PIVOT, 2000, 1900), second, year % 100,
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
