"""How much of a generated text stands in the training text word for word."""

import numpy as np

_PRIME, _BASE = 2**31 - 1, 1_000_003


def copied_share(texts, training_text, length=40):
    """The share of texts' substrings that stand in the training text as they are.

    A model that writes in the manner of its training text shares short pieces with it; one that
    recites it shares long ones. Compare with the share of a held-out text: that much is common
    stock (names, stock phrases).

    Args:
        texts: List of generated texts.
        training_text: What the model was trained on.
        length: Characters in a substring.

    Returns:
        The mean over the texts of at least `length` characters, in [0, 1]; 0 if there is none.
    """
    texts = [text for text in texts if len(text) >= length]
    if not texts:
        return 0.0
    # Only places of the training text whose hash is that of some substring have to be looked at.
    wanted = np.unique(np.concatenate([_hashes(text, length) for text in texts]))
    candidates = np.flatnonzero(np.isin(_hashes(training_text, length), wanted))
    known = {training_text[start : start + length] for start in candidates}
    shares = []
    for text in texts:
        pieces = [text[start : start + length] for start in range(len(text) - length + 1)]
        shares.append(np.mean([piece in known for piece in pieces]))
    return float(np.mean(shares))


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
