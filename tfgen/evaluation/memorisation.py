"""How much of a generated text stands in the training text word for word."""

import numpy as np

_PRIME, _BASE = 2**31 - 1, 1_000_003


def copied_share(text, training_text, length=40):
    """The share of a text's substrings that stand in the training text as they are.

    A model that writes in the manner of its training text shares short pieces with it; one that
    recites it shares long ones. Compare with the share of a held-out text: that much is common
    stock (names, stock phrases).

    Args:
        text: The generated text.
        training_text: What the model was trained on.
        length: Characters in a substring.

    Returns:
        A number in [0, 1]; 0 for a text shorter than `length`.
    """
    pieces = {text[start : start + length] for start in range(len(text) - length + 1)}
    if not pieces:
        return 0.0
    # Only positions whose hash is that of some piece have to be looked at.
    wanted = np.unique([int(_hashes(piece, length)[0]) for piece in pieces])
    hashes = _hashes(training_text, length)
    candidates = np.flatnonzero(np.isin(hashes, wanted))
    found = {training_text[start : start + length] for start in candidates} & pieces
    starts = range(len(text) - length + 1)
    return sum(text[start : start + length] in found for start in starts) / len(starts)


def _hashes(text, length):
    """A hash of every substring of that length, by Horner's rule over all of them at once."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    count = len(points) - length + 1
    if count <= 0:
        return np.zeros([0], np.int64)
    result = np.zeros(count, np.int64)
    for offset in range(length):
        result = (result * _BASE + points[offset : offset + count]) % _PRIME
    return result
