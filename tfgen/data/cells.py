"""What the cells of a column say: numbers as people write them, texts that stand for missing.

A number may have a sign of thousands, a decimal comma, a currency, a percent sign, a factor such as
`1.2M`, a minus behind it or brackets around it. Only `1,234` and `1.234` can be read in two ways:
there the other cells of the column decide, then the other columns.
"""

import re

import numpy as np

MISSING = frozenset(
    "|na|n/a|#n/a|<na>|nan|null|none|nil|-|--|---|?|??|.|..|...|:|missing|n.a.|n.a|not available|"
    "#div/0!|#value!|#ref!|#num!|#name?|#null!|#n/a n/a|nat|-nan|1.#qnan|1.#ind|-1.#ind".split("|")
)
LARGEST = float(np.finfo(np.float32).max)
_LONGEST = 60  # characters that a number may have
_SIGNS = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{FULLWIDTH HYPHEN-MINUS}": "-",
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{THIN SPACE}": " ",
        "\N{FIGURE SPACE}": " ",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    }
)
_MONEY = (
    r"(?:[A-Z]{0,3}[$€£¥₹₩₽₺₴₫₪฿]|USD|EUR|GBP|JPY|CHF|CNY|RMB|INR|RUB|BRL|CAD|AUD|NZD|SEK|NOK|DKK|"
    r"PLN|CZK|HUF|TRY|KRW|ZAR|MXN|SGD|HKD|Rs\.?|kr\.?|zł|Fr\.)"
)
_WORDS = r"(?i:thousand|tsd\.?|million|mln|mio\.?|mn|billion|bln|bn|mrd\.?|trillion|tn)"
_NUMBER = re.compile(
    rf"""(?P<open>\()?\s*(?P<sign>[+-])?\s*{_MONEY}?\s*(?P<inner>[+-])?
    (?P<digits>\d[\d.,' ]*|[.,]\d+)(?P<exponent>[eE][+-]?\d+|[dD][+-]\d+)?\s*
    (?P<scale>(?:[kKMBT]|{_WORDS})(?![^\W\d]))?\s*{_MONEY}?(?P<percent>%)?(?P<unit>\[\w+\]|[^\d\s.,()%+-][^\d,()]*?)?
    \s*(?P<after>-)?\s*(?P<close>\))?""",
    re.VERBOSE,
)
_SCALES = {
    **dict.fromkeys(("k", "thousand", "tsd"), 1e3),
    **dict.fromkeys(("m", "million", "mln", "mio", "mn"), 1e6),
    **dict.fromkeys(("b", "billion", "bln", "bn", "mrd", "milliard"), 1e9),
    **dict.fromkeys(("t", "trillion", "tn"), 1e12),
}
MILLION = _SCALES["m"]
_SPACED = re.compile(r"\d{1,3}(?:[ ']\d{3})+(?:[.,]\d*)?")
_COMMAS = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}")
_POINTS = re.compile(r"\d{1,3}(?:\.\d{3})+")
TWO_WAYS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
# As statistical offices mark what is estimated or explained below.
FLAG = re.compile(r" ?[a-z]{1,2}|[*†‡#]+| ?\[\w+\]")

# How the digits of a number are to be read.
PLAIN, POINT, COMMA, EITHER = "plain", "point", "comma", "either"


class Number:
    """A cell that is a number in the way of people.

    Attributes:
        digits: The digits with their signs of thousands and decimals.
        kind: `PLAIN` without such signs, `POINT` or `COMMA` if only such a decimal sign makes sense
            of them, `EITHER` for `1,234` and `1.234`.
        factor: What their value is multiplied by.
        unit: What stands behind the number, `""` for nothing; it begins with the space if there
            is one between them.
    """

    __slots__ = ("digits", "exponent", "factor", "kind", "unit")

    def __init__(self, digits, kind, exponent, factor, unit):
        self.digits, self.kind, self.exponent = digits, kind, exponent
        self.factor, self.unit = factor, unit

    def value(self, comma):
        """Returns the number as a float; `comma` is whether `1,234` is a little more than 1."""
        digits = self.digits
        comma = comma if self.kind == EITHER else self.kind == COMMA
        digits = digits.replace(".", "").replace(",", ".") if comma else digits.replace(",", "")
        return float(digits + self.exponent) * self.factor


def read_number(cell):
    """Returns the `Number` that a text is, None if it is none."""
    if len(cell) > _LONGEST:
        return None
    match = _NUMBER.fullmatch(cell.strip().translate(_SIGNS))
    if match is None or (match["open"] is None) != (match["close"] is None):
        return None
    signs = [s for s in (match["sign"], match["inner"], match["after"]) if s]
    if len(signs) > 1 or (signs and match["open"]):
        return None
    digits = match["digits"].rstrip(" ")
    kind = PLAIN
    if " " in digits or "'" in digits:
        if not _SPACED.fullmatch(digits):
            return None
        digits = digits.replace(" ", "").replace("'", "")
        kind = COMMA if "," in digits else POINT
    else:
        kind = _kind_of(digits)
    if kind is None:
        return None
    factor = _SCALES.get((match["scale"] or "").rstrip(".").lower(), 1)
    if signs == ["-"] or match["open"]:
        factor = -factor
    unit = "%" if match["percent"] else (match["unit"] or "").strip()
    if match["unit"] and match.string[: match.start("unit")].endswith(" "):
        unit = f" {unit}"
    exponent = (match["exponent"] or "").replace("D", "e").replace("d", "e")
    return Number(digits, kind, exponent, factor, unit)


def _kind_of(digits):
    commas, points = digits.count(","), digits.count(".")
    if not commas and not points:
        return PLAIN
    if commas and points:
        comma = digits.rindex(",") > digits.rindex(".")
        whole, _, _ = digits.rpartition("," if comma else ".")
        grouped = (_POINTS if comma else _COMMAS).fullmatch(whole)
        return (COMMA if comma else POINT) if grouped else None
    if commas + points == 1:
        if TWO_WAYS.fullmatch(digits):
            return EITHER
        return COMMA if commas else POINT
    if commas:
        return POINT if _COMMAS.fullmatch(digits) else None
    return COMMA if _POINTS.fullmatch(digits) else None


def to_float(text):
    """Returns a text as a number, which may be infinite or NaN; None if it is none."""
    try:
        # Python reads 1_000 as a thousand.
        return None if "_" in text else float(text)
    except ValueError:
        return None


def to_floats(texts):
    """Returns texts as finite numbers, float64; None if one of them is none."""
    try:
        numbers = np.array(list(map(float, texts)), np.float64)
    except ValueError:
        return None
    if not (np.abs(numbers) <= LARGEST).all() or "_" in "".join(texts):
        return None
    return numbers
