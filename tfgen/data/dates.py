"""`Times`: the cells of a column of timestamps."""

import datetime

import numpy as np

# Where the recipe names no column of timestamps, one of these is taken if it holds such. A column
# without a name is what pandas writes of an index.
TIME_NAMES = ("timestamp", "datetime", "time_hour", "time", "date", "")
NO_TIME = np.iinfo(np.int64).min
_LARGEST = float(np.finfo(np.float32).max)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
# Epoch numbers of this size are milli-, micro- and nanoseconds: as seconds they would be beyond
# the year 5138, and what they say as the smaller unit is after 1973.
_UNITS = ((1e17, 1e-3), (1e14, 1), (1e11, 1e3), (0, 1e6))
_FIRST_EPOCH = 1e8  # seconds, in 1973: a column that counts from 0 is no time of day or year


class Times:
    """The cells of a column of timestamps: ISO 8601, or seconds or less since 1970."""

    def __init__(self):
        self._numbers, self._stamps = [], []

    def add_texts(self, cells):
        cells = ["" if cell is None else cell.strip() for cell in cells]
        numbers = _floats(cells)
        if numbers is None:
            found = [_float(cell) for cell in cells]
            numbers = np.array([np.nan if number is None else number for number in found])
        # Eight digits are a number and may be a date.
        stamps = [
            _stamp(cell) if len(cell) == 8 or number != number else NO_TIME
            for cell, number in zip(cells, numbers.tolist(), strict=True)
        ]
        self._numbers.append(numbers)
        self._stamps.append(np.array(stamps, np.int64))

    def add_numbers(self, values):
        self._numbers.append(values.astype(np.float64))
        self._stamps.append(np.full(len(values), NO_TIME))

    def add_stamps(self, stamps):
        self._numbers.append(np.full(len(stamps), np.nan))
        self._stamps.append(stamps)

    def microseconds(self, plausible=False):
        """Returns the times as int64 `(rows,)` microseconds since 1970, UTC, `NO_TIME` for none.

        Args:
            plausible: Whether numbers must look like times after 1973 to be taken for such.
        """
        numbers = np.concatenate([np.zeros([0]), *self._numbers])
        stamps = np.concatenate([np.zeros([0], np.int64), *self._stamps])
        finite = np.isfinite(numbers)
        both = finite & (stamps != NO_TIME)
        if 2 * finite.sum() <= (finite | (stamps != NO_TIME)).sum() or (both == finite).all():
            return stamps
        size = np.median(np.abs(numbers[finite]))
        if plausible and size < _FIRST_EPOCH:
            return np.full(len(numbers), NO_TIME)
        scale = next(scale for least, scale in _UNITS if size >= least)
        finite &= np.abs(numbers) * scale < 2.0**62
        stamps = np.rint(np.where(finite, numbers, 0) * scale).astype(np.int64)
        return np.where(finite, stamps, NO_TIME)


def _floats(cells):
    """Returns texts as finite numbers, float64; None if one of them is none."""
    try:
        numbers = np.array([float(cell) for cell in cells], np.float64)
    except ValueError:
        return None
    # Python reads 1_000 as a thousand.
    if not (np.abs(numbers) <= _LARGEST).all() or any("_" in cell for cell in cells):
        return None
    return numbers


def _float(cell):
    """Returns a text as a number, which may be infinite or NaN; None if it is none."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _stamp(cell):
    """Returns an ISO 8601 text as microseconds since 1970, in UTC where no zone is given."""
    try:
        time = datetime.datetime.fromisoformat(cell.removesuffix(" UTC"))
    except ValueError:
        return NO_TIME
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.UTC)
    return (time - _EPOCH) // _MICROSECOND
