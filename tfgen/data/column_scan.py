"""`Scan`: the numbers of a column, and what else its cells are."""

import numpy as np

from tfgen.data import cells

_MOST_OF = 0.9  # of the odd cells, that must have a unit for it to be the column's


class Scan:
    """What the cells of a column are, before it is known how `1,234` is to be read.

    Attributes:
        numbers: List of float64 arrays; NaN where a cell is missing or odd.
        odd: List of `(row, text)`: cells that are neither plain numbers nor missing.
        known: Dict from odd text to `tfgen.data.cells.Number`, False if it is none.
        found, texts: How many cells are numbers, and how many neither numbers nor missing.
        comma, point: How many odd ones are sure to have a decimal comma or point.
        two_ways: An odd one that can be read in two ways.
        unit: What stands behind the numbers.
        flagged: How many have a mark behind them.
    """

    def __init__(self, missing):
        self.numbers, self.odd, self.known, self.rows = [], [], {}, 0
        self.found = self.texts = self.comma = self.point = 0
        self.two_ways, self.unit, self.flagged = None, "", 0
        self._missing = missing

    def add_numbers(self, numbers):
        self.numbers.append(numbers)
        self.found += len(numbers) - int(np.count_nonzero(np.isnan(numbers)))
        self.rows += len(numbers)

    def add_texts(self, texts):
        numbers = cells.to_floats(texts)
        if numbers is None:
            numbers = np.array([self._read(row, text) for row, text in enumerate(texts)], float)
        self.add_numbers(numbers)

    def _read(self, row, text):
        known = self.known.get(text)
        if known is None:
            number = cells.to_float(text)
            if number is not None and not np.isnan(number):
                return number
            missing = text.strip().casefold() in self._missing
            known = self.known[text] = missing or cells.read_number(text) or False
        if known is not True:
            self.odd.append((self.rows + row, text))
        return np.nan

    def judge(self):
        """Counts what the odd cells are."""
        if not self.odd:
            return
        units = {}
        scaled = any(
            abs(number.factor) > 1
            for number in self.known.values()
            if isinstance(number, cells.Number)
        )
        for _, text in self.odd:
            number = self.known[text]
            if scaled and number and number.unit == "m":  # beside 850k
                number.factor, number.unit = number.factor * cells.MILLION, ""
            if self.known[text]:
                unit = self.known[text].unit
                units[unit] = units.get(unit, 0) + 1
        # 5 kg, 7 kg have a unit, 5 b and 7 are 5 with a flag and 7; 5a, 5b are texts.
        named = {unit: count for unit, count in units.items() if unit not in ("", "%")}
        most = max(named, key=named.get, default="")
        if named and named[most] < _MOST_OF * len(self.odd):
            most = ""
        flags = set(filter(cells.FLAG.fullmatch, named))
        if sum(named[flag] for flag in flags) > self.found + units.get("", 0):
            flags = set()
        allowed = {"", "%", most, *flags}
        self.unit = most.strip() or ("%" if "%" in units else "")
        self.flagged = 0 if most else sum(named[flag] for flag in flags)
        for text, number in self.known.items():
            if number and number is not True and number.unit not in allowed:
                self.known[text] = False
        for _, text in self.odd:
            number = self.known[text]
            self.texts += not number
            if number:
                self.found += 1
                self.comma += number.kind == cells.COMMA
                self.point += number.kind == cells.POINT
                if number.kind == cells.EITHER and self.two_ways is None:
                    self.two_ways = text.strip()
