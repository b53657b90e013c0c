"""The likelihood of held-out sequences, beside that of a model that knows nothing of order."""

import numpy as np

from tfgen.evaluation.cuts import given
from tfgen.report.score import Score

# Positions of one call of `score`, and of a piece for a model without a state of constant size.
_SCORED = 50_000
_PIECE = 1024


def score_likelihood(model, parts):
    """How likely held-out data are, each sequence read from its beginning.

    Args:
        model: A `NumbersModel`.
        parts: `tfgen.evaluation.cuts.Parts` of the data.

    Returns:
        A dict: `values`, how many were observed; `log_likelihood`, nats of all of them, of a
        density in the data's units; and the `Score` `nats_per_value`, whose baseline is that of
        independent Gaussians, and frequencies for categories, fitted to the training data.
    """
    held = parts.held
    piece = model.max_positions or (None if model.state_is_constant else _PIECE)
    rows = []
    for number, values in enumerate(held.values):
        step = piece or len(values) or 1
        rows += [(number, first, first + step) for first in range(0, len(values), step)]
    # Of like length together, so that little is padded.
    rows.sort(key=lambda row: len(held.values[row[0]][row[1] : row[2]]))
    total = count = 0.0
    while rows:
        longest = len(held.values[rows[-1][0]][rows[-1][1] : rows[-1][2]])
        batch = [rows.pop() for _ in range(min(len(rows), max(1, _SCORED // longest)))]

        def cut(arrays, batch=batch):
            return [arrays[number][start:stop] for number, start, stop in batch]

        told = given(model, [number for number, *_ in batch], held)
        if model.processor.needs_times:
            told["times"] = cut(held.times)
        if model.processor.known_names:
            told["known"] = _padded(cut(held.known))
        if len(batch) == 1:
            told = {name: value[0] for name, value in told.items()}
            result = model.score(cut(held.values)[0], **told)
        else:
            result = model.score(cut(held.values), **told)
        total += float(np.sum(result["log_likelihood"], dtype=np.float64))
        count += float(np.sum(result["values"]))
    naive = _naive_nats(parts.known, held)
    return {
        "values": int(count),
        "log_likelihood": total,
        "nats_per_value": Score.of([-total / max(count, 1)], baseline=[naive]).to_dict(),
    }


def _padded(arrays):
    longest = max(map(len, arrays))
    return np.stack([np.pad(a, [(0, longest - len(a)), (0, 0)], mode="edge") for a in arrays])


def _naive_nats(known, held):
    """Nats per value of independent Gaussians, and of frequencies (each level once more)."""
    total = count = 0.0
    past, future = np.concatenate(known.values), np.concatenate(held.values)
    for number, feature in enumerate(held.features):
        seen, new = (
            x[:, number][~np.isnan(x[:, number])].astype(np.float64) for x in (past, future)
        )
        count += len(new)
        if feature.is_category:
            shares = np.bincount(seen.astype(int), minlength=len(feature.levels)) + 1.0
            total -= np.sum(np.log(shares / shares.sum())[new.astype(int)])
        elif len(seen):
            mean, spread = seen.mean(), seen.std() or 1.0
            total += np.sum(((new - mean) / spread) ** 2 / 2 + np.log(spread * np.sqrt(2 * np.pi)))
    return total / max(count, 1)
