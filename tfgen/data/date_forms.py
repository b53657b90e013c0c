"""`parse_date`: one text of a date, in whichever common form it is written."""

import functools
import re
from typing import NamedTuple

import numpy as np

NO_TIME = np.iinfo(np.int64).min
SECOND, DAY = 1_000_000, 86_400_000_000  # microseconds
# Two digits of a year are of 1940 to 2039.
PIVOT = 40

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
_DAY_AND_CLOCK = re.compile(r"([\d/.-]{8,10})[ T](\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?)", re.ASCII)
_CLOCK_ALONE = re.compile(_CLOCK)


class Part(NamedTuple):
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


SPANS = dict(d="day", c="day", x="day", m="month", y="month", q="quarter", h="half", w="week")


def parse_date(text, named):
    # Most texts are of few days and few times of day, each of which is parsed once.
    found = _DAY_AND_CLOCK.fullmatch(text)
    if found is None:
        return _parse_whole(text, named)
    part, clock = _parse_day(found[1], named), parse_clock(found[2])
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
        year += 2000 if year < PIVOT else 1900
    half = bool(found.get("p"))
    day = int(found.get("d") or 1)
    return Part(kind, name, sign, year, short, int(month), day, clock, half, zone)


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
def parse_clock(text):
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


def month_number(text):
    """Returns the number of a month from its name, in full or shortened; None if it is none."""
    return _MONTH_NUMBERS.get(text.lower().rstrip("."))
