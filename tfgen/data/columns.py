"""`Column`: the cells of one column of a table, read as numbers or as categories when asked.

Whether a column is one of numbers or of categories, and how its numbers are written, is known only
when its last cell has been read. So the texts of a file are kept, joined, until then.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from tfgen.data import cells
from tfgen.data.column_scan import Scan

MAX_LEVELS = 1000
_BETWEEN = "\0"  # no text file holds it
_LOOKED_AT = 200  # texts of a piece, which tell that it holds no number
_FEW_CODES = 10


class Coded(NamedTuple):
    """Texts as numbers of `levels`, -1 where missing."""

    levels: list
    codes: np.ndarray


class Column:
    """The cells of a column.

    Args:
        missing: Texts that stand for missing beside `tfgen.data.cells.MISSING`; those that are
            numbers stand for all numbers of that value.

    Attributes:
        rows: Number of cells.
        faults: Dict from what is wrong with cells to `[how many, row of the first, its text]`;
            complete when `numbers` has been asked for.
        notes: Sentences on how the numbers are written, likewise.
        comma: Whether `1,234` is a little more than 1; None as long as the column itself has to
            tell, see `is_ambiguous`.
    """

    def __init__(self, missing=()):
        self.rows, self.faults, self.notes, self.comma = 0, {}, [], None
        self._missing, self._missing_numbers = _missing_of(tuple(missing))
        self._pieces = []
        self._scanned = self._encoded = self._numbers = self._pointed = None

    # Filling

    def add_texts(self, texts):
        """Adds texts; None is a missing cell."""
        if None in texts:
            texts = ["" if text is None else text for text in texts]
        joined = _BETWEEN.join(texts)
        if joined.count(_BETWEEN) != len(texts) - 1:
            joined = _BETWEEN.join(text.replace(_BETWEEN, " ") for text in texts)
        self._add(joined, len(texts))

    def add_numbers(self, values):
        """Adds an array of integers, floats or booleans; NaN is a missing cell."""
        self._add(values, len(values))

    def add_stamps(self, stamps):
        """Adds timestamps, int64 microseconds since 1970; among numbers they are missing."""
        self._add(stamps.view("M8[us]"), len(stamps))

    def add_codes(self, coded):
        """Adds `Coded` texts."""
        self._add(coded, len(coded.codes))

    def _add(self, piece, rows):
        self._pieces.append(piece)
        self.rows += rows

    # Reading

    def feed(self, times):
        """Adds all cells to a `tfgen.data.dates.Times`; returns it."""
        for piece in self._pieces:
            if isinstance(piece, np.ndarray) and piece.dtype.kind == "M":
                times.add_stamps(piece.view(np.int64))
            elif isinstance(piece, np.ndarray):
                times.add_numbers(piece)
            else:
                times.add_texts(_texts(piece))
        return times

    def texts(self, count):
        """Returns the first different texts that are not missing."""
        return list(itertools.islice((t for t in self._levels()[0]), count))

    def numbers(self):
        """The cells as float64 `(rows,)`: NaN where a cell is missing or no number."""
        if self._numbers is None:
            self._numbers = self._settle()
        return self._numbers

    def is_text(self):
        """Whether most cells that are not missing are no numbers."""
        scan = self._scan()
        return scan.texts > scan.found

    def is_plain(self):
        """Whether every cell is missing or a number in the way of computers."""
        scan = self._scan()
        return not scan.texts and not scan.odd

    def is_coded(self):
        """Whether it says 0, a or b: a few texts that come again beside at most three numbers."""
        scan = self._scan()
        if scan.texts < 2 or scan.found < scan.texts or self.level_count() > _FEW_CODES:
            return False
        texts = {text for _, text in scan.odd if not scan.known[text]}
        return len(texts) < scan.texts and self.level_count() - len(texts) <= 3

    def is_empty(self):
        """Whether every cell is missing."""
        scan = self._scan()
        return not scan.texts and not scan.found

    def is_written(self):
        """Whether some of its cells are texts."""
        return any(not isinstance(piece, np.ndarray) for piece in self._pieces)

    def has_commas(self):
        """Whether some cells are numbers with a comma."""
        scan = self._scan()
        return bool(scan.comma) or "," in (scan.two_ways or "")

    def decimals(self):
        """Returns how many cells are sure to have a decimal comma, and a decimal point."""
        scan = self._scan()
        return scan.comma, scan.point + self._points()[0]

    def is_ambiguous(self):
        """Whether some cells can be read in two ways, and no other cell tells in which."""
        scan = self._scan()
        two_ways = scan.two_ways is not None or self._points()[1] > 0
        return scan.texts <= scan.found and two_ways and not any(self.decimals())

    def whole_size(self):
        """The median size of the integers without any sign of thousands; None without such."""
        whole = np.concatenate([np.zeros([0]), *self._scan().numbers])
        whole = np.abs(whole[whole == np.rint(whole)])
        return float(np.median(whole)) if len(whole) else None

    def _points(self):
        """How many plain numbers have a decimal point, and how many are like 1.234."""
        if self._pointed is None:
            texts = itertools.chain(*(_texts(p) for p in self._pieces if isinstance(p, str)))
            points = [text.strip().lstrip("+-") for text in texts if "." in text]
            points = [text for text in points if cells.to_float(text) is not None]
            either = sum(map(bool, map(cells.TWO_WAYS.fullmatch, points)))
            self._pointed = len(points) - either, either
        return self._pointed

    def level_count(self):
        """The number of different texts."""
        return len(self._levels()[0])

    def codes(self):
        """The number of each cell's text, in the order in which they come first; -1 is missing."""
        return self._levels()[1]

    def categories(self, rows):
        """Returns `(levels, numbers)` of some rows: the texts that occur there, sorted, and for
        each row the number of its text, -1 where it is missing."""
        names, codes = self._levels()
        codes = codes[rows]
        used = [names[code] for code in np.unique(codes[codes >= 0])]
        numbers = cells.to_floats(used)
        # "10" comes after "9" where all are numbers.
        levels = sorted(used) if numbers is None else [used[i] for i in np.argsort(numbers)]
        place = {text: number for number, text in enumerate(levels)}
        new = np.array([*(place.get(text, -1) for text in names), -1], np.int32)
        return tuple(levels), new[codes]

    def _levels(self):
        if self._encoded is None:
            levels, pieces = {}, []
            for piece in self._pieces:
                if isinstance(piece, np.ndarray):
                    pieces.append(self._encode_numbers(piece, levels))
                else:
                    pieces.append(self._encode_texts(piece, levels))
            codes = np.concatenate([np.zeros([0], np.int32), *pieces])
            self._encoded = list(levels), codes
        return self._encoded

    def _encode_texts(self, piece, levels):
        known = {}

        def code(text):
            stripped = text.strip()
            missing = stripped.casefold() in self._missing
            known[text] = -1 if missing else levels.setdefault(stripped, len(levels))
            return known[text]

        if isinstance(piece, Coded):
            new = np.array([*(code(level) for level in piece.levels), -1], np.int32)
            return new[piece.codes]
        texts = _texts(piece)
        return np.array([known[t] if t in known else code(t) for t in texts], np.int32)

    def _encode_numbers(self, values, levels):
        values = self._blank(values)
        missing = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
        codes = np.full(len(values), -1, np.int32)
        found, where = np.unique(values[~missing], return_inverse=True)
        names = [_spell(number) for number in found.tolist()]
        each = [levels.setdefault(name, len(levels)) for name in names]
        codes[~missing] = np.array(each, np.int32)[where]
        return codes

    def _blank(self, values):
        """Returns an array with NaN for the numbers that stand for missing."""
        if values.dtype.kind == "M" or not len(self._missing_numbers):
            return values
        gone = np.isin(values, self._missing_numbers)
        return np.where(gone, np.nan, values) if gone.any() else values

    def _scan(self):
        if self._scanned is None:
            self._scanned = Scan(self._missing)
            row = 0
            pieces = [piece for piece in self._pieces if not isinstance(piece, np.ndarray)]
            if pieces and len(pieces) == len(self._pieces) and self._holds_no_number(pieces):
                self._scanned.texts = self.rows
                return self._scanned
            for piece in self._pieces:
                if isinstance(piece, np.ndarray) and piece.dtype.kind == "M":
                    numbers = np.full(len(piece), np.nan)
                    there = np.flatnonzero(~np.isnat(piece))
                    for place in there[:1]:
                        self._fault("is a timestamp", row + place, str(piece[place]), len(there))
                    self._scanned.texts += len(there)
                    self._scanned.add_numbers(numbers)
                elif isinstance(piece, np.ndarray):
                    self._scanned.add_numbers(piece.astype(np.float64))
                else:
                    self._scanned.add_texts(_texts(piece))
                row = self._scanned.rows
            self._scanned.judge()
        return self._scanned

    def _holds_no_number(self, pieces):
        """Whether no text looks like a number among the first of all pieces: nobody has to read
        a million timestamps to see that they are none."""
        seen = False
        for piece in pieces:
            for text in itertools.islice(_texts(piece), _LOOKED_AT):
                if text.strip().casefold() in self._missing:
                    continue
                if cells.to_float(text) is not None or cells.read_number(text) is not None:
                    return False
                seen = True
        return seen

    def _settle(self):
        scan = self._scan()
        numbers = np.concatenate([np.zeros([0]), *scan.numbers])
        if len(numbers) < self.rows:  # a column of texts
            for row, text in enumerate(itertools.chain(*map(_texts, self._pieces))):
                if text.strip().casefold() not in self._missing:
                    self._fault("is no number", row, text.strip())
            return np.full(self.rows, np.nan)
        comma = self.comma
        if comma is None:
            commas, points = self.decimals() if self.has_commas() else (0, 0)
            comma = commas > points
        if scan.two_ways and not any(self.decimals()):
            sign = "," if "," in scan.two_ways else "."
            use = "decimals" if comma == (sign == ",") else "thousands"
            self.notes.append(f"{scan.two_ways} is read with '{sign}' for {use} (data.decimal)")
        if comma and self._points()[1]:
            self._read_points_as_thousands(numbers)
            self.notes.append("1.234 is read with '.' for thousands (data.decimal)")
        elif self.comma is False and not scan.two_ways and self.is_ambiguous():
            self.notes.append("1.234 is read with '.' for decimals (data.decimal)")
        for row, text in scan.odd:
            number = scan.known[text]
            if number:
                numbers[row] = number.value(comma)
            else:
                self._fault("is no number", row, text.strip())
        if scan.unit:
            self.notes.append(f"'{scan.unit}' behind a number is left out")
        elif scan.flagged:
            self.notes.append(f"marks behind {scan.flagged:,} numbers are left out")
        wrong = np.abs(numbers) > cells.LARGEST
        if wrong.any():
            for row in np.flatnonzero(wrong):
                self._fault("is not finite", row, str(numbers[row]))
            numbers[wrong] = np.nan
        if len(self._missing_numbers):
            numbers[np.isin(numbers, self._missing_numbers)] = np.nan
        return numbers

    def _read_points_as_thousands(self, numbers):
        row = 0
        for piece in self._pieces:
            size = len(piece) if isinstance(piece, np.ndarray) else len(_texts(piece))
            if not isinstance(piece, np.ndarray):
                for place, text in enumerate(_texts(piece)):
                    if cells.TWO_WAYS.fullmatch(text.strip().lstrip("+-")) and "." in text:
                        numbers[row + place] = float(text.replace(".", ""))
            row += size

    def _fault(self, what, row, text, count=1):
        self.faults.setdefault(what, [0, int(row), text])[0] += count


@functools.cache
def _missing_of(missing):
    """Returns what stands for missing: texts in lower case, and the numbers among those given."""
    numbers = [number for number in map(cells.to_float, missing) if number is not None]
    texts = cells.MISSING | {text.strip().casefold() for text in missing}
    return texts, np.array(numbers, np.float64)


def _texts(piece):
    if isinstance(piece, Coded):
        levels = [*piece.levels, ""]
        return [levels[code] for code in piece.codes]
    return piece.split(_BETWEEN)


def _spell(number):
    """How a number is written as the name of a category: 3, not 3.0."""
    if not isinstance(number, int | float | bool):
        return str(number)
    return str(int(number)) if float(number).is_integer() else repr(number)
