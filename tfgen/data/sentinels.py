"""`find_sentinels`: numbers that look as if they stood for missing values."""

import numpy as np

# What instruments and archives write where there is no value; of these a smaller distance to the
# other values is enough.
_USUAL = {
    -99, -99.9, -99.99, -100, -200, -300, -500, -999, -999.9, -999.99, -9999, -9999.9, -99999,
    -999999, -32768, -1e20, -1e30, 99.9, 99.99, 999, 999.9, 999.99, 9999, 9999.9, 9999.99, 99999,
    999999, 9999999, 32767, 65535, 1e20, 1e30, 1e35, 1e36,
}  # fmt: skip
_USUAL_OF = {np.float32(number): number for number in _USUAL}
_NEAR, _FAR = 0.5, 10.0  # ranges of the other values that lie between
_LEAST = 3  # cells of any other number


def find_sentinels(columns):
    """Returns `{number: {name: count}}`: numbers that come again as the extreme of a column, far
    from all other values.

    Args:
        columns: Dict from name to an array of numbers, NaN where missing.
    """
    found = {}
    for name, values in columns.items():
        values = values[~np.isnan(values)]
        if len(values) < 4:
            continue
        for extreme in {float(values.min()), float(values.max())}:
            count = int(np.count_nonzero(values == extreme))
            if count < 2:
                continue
            rest = values[values != extreme]
            apart = _is_apart(extreme, rest, count) if len(rest) else _is_usual(extreme) < 0
            if apart:
                number = _is_usual(extreme) or extreme
                found.setdefault(number, {})[name] = count
    return found


def _is_apart(extreme, rest, count):
    low, high = float(rest.min()), float(rest.max())
    spread = max(high - low, 1e-12 * max(abs(low), abs(high)))
    gap = max(low - extreme, extreme - high)
    if _is_usual(extreme):
        return gap > _NEAR * spread or (extreme < 0 <= low and gap > 0.05 * spread)
    digits = np.format_float_positional(np.float32(abs(extreme)), trim="-").replace(".", "")
    nines = set(digits) == {"9"} and abs(extreme) > 90
    large = abs(extreme) >= 1e15
    return count >= _LEAST and (nines or large) and gap > _FAR * spread


def _is_usual(extreme):
    """Returns the usual number that this is, 0 if it is none."""
    with np.errstate(over="ignore"):
        return _USUAL_OF.get(np.float32(extreme), 0)
