"""What a table of text is made of: what separates its fields, where its names are."""

import collections
import csv
import dataclasses
import itertools
import re

from tfgen.data import cells

# Of several that fit alike the first is it: a comma also stands in numbers and in texts.
DELIMITERS = ("\t", ";", "|", ",")
SPACES = " "  # runs of spaces and tabs
WIDE_SPACES = "  "  # at least two spaces or a tab: names and times may hold a single one
HEAD = 200  # lines that are looked at
_WIDE = re.compile(r"[ \t]{2,}|\t")
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([ T]+\d.*)?|\d{1,2}[:.]\d{2}([:.]\d{2}.*)?( ?[aApP][mM])?"
    r"|\d{4}[- ]?[QqM]\d{1,2}|\d{1,4}[- ][A-Za-z]{3,9}[- ]?\d{0,4}|[A-Za-z]{3,9}[- .]\d{1,2}.*\d{2}"
)
_TIME_NAMES = {
    "time",
    "date",
    "datetime",
    "timestamp",
    "ds",
    "year",
    "month",
    "day",
    "period",
    "datum",
}
_NUMBER, _TIME, _TEXT, _NOTHING = "number", "time", "text", "nothing"


@dataclasses.dataclass
class Header:
    """Where a table begins.

    Attributes:
        names: Names of the columns, `""` for none.
        start: The number of the first row of data among the rows.
        notes: Sentences on what was decided.
    """

    names: list
    start: int
    notes: list = dataclasses.field(default_factory=list)


def find_delimiter(lines):
    """Returns what separates the fields of a table: a tab, `;`, `|`, `,` or `SPACES`.

    It is the one that cuts most of the lines into the same number of fields, at least 2, and that
    cuts the first line that is so cut no later than the others do.

    Args:
        lines: The first lines of a file, texts; the first ones may be a title.

    Returns:
        The delimiter; `","` where there is none, as in a table of one column.
    """
    lines = [line for line in lines[:HEAD] if line.strip()]
    best, best_share, best_width = ",", 0.0, 1
    for delimiter in (*DELIMITERS, WIDE_SPACES, SPACES):
        widths = [len(fields) for fields in split_fields(lines, delimiter)]
        if not widths:
            continue
        width, count = collections.Counter(widths).most_common(1)[0]
        # A title does not count against the delimiter; what is below it does.
        first = widths.index(width)
        share = count / (len(widths) - min(first, len(widths) // 2))
        if delimiter in (SPACES, WIDE_SPACES):
            if best not in ("\t", WIDE_SPACES) and best_share:
                continue
            if share <= 0.5 or not _fits(widths, width):
                continue
        # Runs of spaces may have a tab among them.
        finer = delimiter == WIDE_SPACES and share == best_share and width > best_width
        if width > 1 and (share > best_share or finer):
            best, best_share, best_width = delimiter, share, width
    return best


def _fits(widths, width):
    """Whether the lines above those of the usual width may be names, not a text with blanks."""
    above = widths[: widths.index(width)]
    return not above or above[-1] == width - 1 >= 2 or len(above) > 1


def split_fields(lines, delimiter):
    """Returns the fields of lines, a list for each row; a quoted field may run over lines."""
    if delimiter == WIDE_SPACES:
        return [_WIDE.split(line.strip()) for line in lines]
    if delimiter == SPACES:
        lines = [" ".join(line.split()) for line in lines]
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return [line.split(delimiter) for line in lines]


def is_table(lines):
    """Whether lines are, beyond doubt, the rows of a table: of at least two fields each, and most
    of the columns of numbers or times."""
    lines = [line for line in lines[:HEAD] if line.strip() and not line.startswith("#")]
    delimiter = find_delimiter(lines)
    rows = split_fields(lines, delimiter)
    width, count = collections.Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
    spaces = delimiter in (SPACES, WIDE_SPACES)
    least = 10 if spaces else 3
    if width < 2 or count < max(least, 0.9 * len(rows)):
        return False
    rows = [row for row in rows[1:] if len(row) == width]
    columns = [[_kind(row[column]) for row in rows] for column in range(width)]
    good = sum(_TEXT not in column and any(k != _NOTHING for k in column) for column in columns)
    return good == width if spaces else good >= 2 and good > width / 2


def find_header(rows, header="auto"):
    """Finds the names of the columns, or that there are none.

    Args:
        rows: The first rows of a table: list of `(line, fields)`.
        header: `"auto"`, `"none"`, or the number of the header's line.

    Returns:
        A `Header`.
    """
    filled = [number for number, (_, fields) in enumerate(rows) if any(map(str.strip, fields))]
    widths = collections.Counter(_width(rows[number][1]) for number in filled)
    # The usual number of fields; of those that are as frequent the greatest.
    width = max(widths, key=lambda width: (widths[width], width), default=0)
    if header == "none":
        return _without_names(rows, filled[0] if filled else 0, width)
    if header != "auto":
        place = next((n for n, (line, _) in enumerate(rows) if str(line) == header), None)
        if place is None:
            return None
        return _named(rows, place, width)
    candidates = [number for number in filled if _may_be_names(rows[number][1], width)]
    if not candidates:
        return _named(rows, filled[0] if filled else 0, width)
    kinds = _kinds([rows[number][1] for number in filled[1:]], width)
    first = next((n for n in candidates if _is_data(rows[n][1], kinds)), None)
    if first == candidates[0] and not _is_sequence(rows[first][1], rows, first, filled):
        return _without_names(rows, first, width, [rows[first][1][0].strip()[:40]])
    above = list(
        itertools.takewhile(
            lambda number: number != first,
            (n for n in candidates if n == first or not _holds_data(rows[n][1], kinds)),
        )
    )
    place = candidates[0]
    if first != place and above:
        # A remark has fewer fields; of several as wide ones, that which names a time.
        most = max(_filled(rows[number][1]) for number in above)
        above = [number for number in above if _filled(rows[number][1]) == most]
        timed = (number for number in above if _names_time(rows[number][1]))
        place = next(timed, above[0])
    return _named(rows, place, width)


def clean_names(names):
    """Returns names without blanks at their ends, each once: the second `a` is `a.1`."""
    found, used = [], set()
    for name in names:
        name = " ".join(name.split())
        new, number = name, 0
        while name and new in used:
            number += 1
            new = f"{name}.{number}"
        used.add(new)
        found.append(new)
    return found


def _named(rows, place, width):
    names, notes = [], []
    if rows:
        names = [name.strip() for name in rows[place][1]]
    below = [fields for _, fields in rows[place + 1 :]]
    widths = collections.Counter(map(_width, filter(any, below)))
    usual = max(widths, key=lambda width: (widths[width], width), default=len(names))
    while len(names) > max(usual, 1) and not names[-1]:
        names.pop()
    if len(names) + 1 == usual and sum(widths[n] for n in widths if n >= usual) > len(below) / 2:
        # As R writes row names.
        names = ["", *names]
    if place and rows:
        notes.append(f"the names of the columns are in line {rows[place][0]}")
    cleaned = clean_names(names)
    doubled = [
        name for name, old in zip(cleaned, names, strict=True) if name != " ".join(old.split())
    ]
    if doubled:
        notes.append(f"names that come again are numbered: {', '.join(doubled[:5])}")
    return Header(cleaned, place + 1, notes)


def _without_names(rows, start, width, received=None):
    names = [f"x{number}" for number in range(width)]
    shown = f" begins with {received[0]!r}," if received else ""
    notes = [
        f"there is no header: line {rows[start][0] if rows else 1}{shown} is read as data, and the "
        "columns are called x0, x1, ... (data.header)"
    ]
    return Header(names, start, notes)


def _width(fields):
    """The number of fields without the empty ones at the end."""
    count = len(fields)
    while count and not fields[count - 1].strip():
        count -= 1
    return count


def _may_be_names(fields, width):
    """Whether a row is as wide as the table, and more than a title or a remark."""
    filled = [bool(field.strip()) for field in fields]
    if width <= 1:
        return True
    if sum(filled) == 1 and filled[0] and width > 1:
        return False
    if len(fields) == width <= 3:
        return True
    return sum(filled) >= min(width - 1, max(3, (width - 1) / 2))


def _kinds(rows, width):
    """What most cells of each column are."""
    kinds = []
    for column in range(width):
        found = [_kind(fields[column]) for fields in rows if column < len(fields)]
        counts = collections.Counter(kind for kind in found if kind != _NOTHING)
        kinds.append(counts.most_common(1)[0][0] if counts else _NOTHING)
    return kinds


def _kind(cell):
    cell = cell.strip()
    if cell.casefold() in cells.MISSING:
        return _NOTHING
    if cells.to_float(cell) is not None:
        return _NUMBER
    if _DATE.fullmatch(cell):
        return _TIME
    number = cells.read_number(cell)
    return _NUMBER if number is not None and number.unit in ("", "%") else _TEXT


def _is_data(fields, kinds):
    """Whether a row holds numbers or times where the column does, and no text there."""
    same = 0
    for cell, kind in zip(fields, kinds, strict=False):
        if kind in (_NUMBER, _TIME):
            own = _kind(cell)
            if own == _TEXT:
                return False
            same += own in (_NUMBER, _TIME)
    return same > 0


def _holds_data(fields, kinds):
    """Whether a row holds a number or a time where the column does."""
    return any(
        kind in (_NUMBER, _TIME) and _kind(cell) in (_NUMBER, _TIME)
        for cell, kind in zip(fields, kinds, strict=False)
    )


def _is_sequence(fields, rows, place, filled):
    """Whether numbers or dates count on from field to field as names do: 0, 1, 2 or 1960, 1961."""
    found = [field.strip() for field in fields if _kind(field) in (_NUMBER, _TIME)]
    numbers = [cells.to_float(cell) for cell in found]
    if None in numbers:
        # Dates in order, as names of a wide table.
        times = [cell for cell in found if _kind(cell) == _TIME]
        return len(times) > 2 and len(set(times)) == len(times) > len(found) / 2
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    if len(numbers) > 2 and steps == {1} and 1500 <= numbers[0] <= 2200:
        return True  # years
    if len(numbers) > 1:
        below = next((rows[number][1] for number in filled if number > place), [])
        other = [cells.to_float(cell) for cell in below]
        other = [number for number in other if number is not None]
        again = {b - a for a, b in itertools.pairwise(other)}
        return steps in ({1}, {-1}) and (again != steps or other == numbers)
    # One column called 0, as pandas writes a series without a name.
    below = [rows[number][1] for number in filled if number > place]
    return numbers == [0] and any("." in fields[-1] for fields in below if fields)


def _filled(fields):
    return sum(bool(field.strip()) for field in fields)


def _names_time(fields):
    return any(field.strip().casefold() in _TIME_NAMES for field in fields)
