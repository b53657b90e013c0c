"""How much of what was generated stands in the training data: word for word, or nearly so."""

import numpy as np

from tfgen.errors import InputError

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


def nearest_distances(windows, others, block=256):
    """The distance of each window to the nearest of others.

    Args:
        windows: Float array `(number, time, features)`, on a scale that is the same for every
            feature.
        others: The same, another number.
        block: Windows compared at a time, which bounds the memory.

    Returns:
        float64 array `(number,)`: root mean square over time and features.
    """
    closest = nearest_numbers(windows, others, block)
    windows, others = _rows(windows), _rows(others)
    # The difference itself: the form by which they were found cancels where they are equal.
    return np.sqrt(np.mean((windows - others[closest]) ** 2, axis=1))


def nearest_numbers(windows, others, block=256):
    """Which of others is nearest to each window; see `nearest_distances`.

    Returns:
        int64 array `(number,)`.
    """
    windows, others = _rows(windows), _rows(others)
    if windows.shape[1] != others.shape[1] or not len(others):
        raise InputError(
            "Windows must have equal time and features, and there must be some to compare with. "
            f"Received: numbers={windows.shape}, {others.shape}"
        )
    sizes = np.sum(others**2, axis=1)
    found = [np.zeros(0, np.int64)]
    for first in range(0, len(windows), block):
        found.append(np.argmin(sizes - 2 * windows[first : first + block] @ others.T, axis=1))
    return np.concatenate(found)


def nearest_neighbour_ratio(samples, training, held_out):
    """How near samples come to training windows, compared with windows that are held out.

    Args:
        samples: Float array `(number, time, features)`, generated.
        training: The windows that the model was trained on, as many as there are.
        held_out: Real windows that it was not trained on, and that share no position with those it
            was. Where they differ from the training windows by more than chance, being of
            another season for instance, the ratio is too low; and so it is of samples that are
            duller than real ones, silence among sounds for instance. Read it beside the distances.

    Returns:
        A dict: `ratio`, the median distance of the samples divided by that of the held-out windows
        (1 for samples as new as real data; near 0 for copies), both medians, and `copied`, the
        share of samples nearer to a training window than 99% of the held-out ones are.
    """
    near, usual = nearest_distances(samples, training), nearest_distances(held_out, training)
    median, usual_median = float(np.median(near)), float(np.median(usual))
    return {
        "ratio": median / usual_median if usual_median > 0 else float("nan"),
        "samples": median,
        "held_out": usual_median,
        "copied": float(np.mean(near < np.quantile(usual, 0.01))),
    }


def _rows(windows):
    windows = np.asarray(windows, np.float64)
    return windows.reshape(len(windows), -1)
