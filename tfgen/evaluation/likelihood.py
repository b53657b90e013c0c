"""The likelihood of held-out sequences, beside that of a model that knows nothing of order."""

import numpy as np

from tfgen.data import SequenceWindows
from tfgen.evaluation.latents import score_latents
from tfgen.kinds import find_kind, load
from tfgen.models.numbers.options import options_of
from tfgen.preprocessing.told import told
from tfgen.report.score import Score

# Positions of one call of `score`, and of a piece for a model without a state of constant size.
_SCORED = 50_000
_PIECE = 1024
_ROWS = 32  # of windows whose latents are found at once


def score_likelihood(model, parts):
    """How likely held-out data are, each sequence read from its beginning.

    Args:
        model: A `NumbersModel`.
        parts: `tfgen.data.cuts.Parts` of the data.

    Returns:
        A dict: `values`, how many were observed; `log_likelihood`, nats of all of them, of a
        density in the data's units; and the `Score` `nats_per_value`, whose baseline is that of
        independent Gaussians, and frequencies for categories, fitted to the training data; and
        scores per what else the kind of data has.
    """
    held, per = parts.held, find_kind(parts.held.kind).per
    without = per and "ends" in options_of(model.engine, "score")
    options = {"ends": False} if without else {}
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
        values = [held.values[number][start:stop] for number, start, stop in batch]
        given = told(model.processor, held, batch)
        if len(batch) == 1:
            given = {name: value[0] for name, value in given.items()}
            result = model.score(values[0], **given, **options)
        else:
            result = model.score(values, **given, **options)
        total += float(np.sum(result["log_likelihood"], dtype=np.float64))
        count += float(np.sum(result["values"]))
    naive = _naive_nats(parts.known, held)

    others = {}
    for name, counted in per.items():
        number = sum(load(counted)(values, held.features) for values in held.values) or 1
        score = Score.of([-total / number], baseline=[naive * count / number])
        others[f"nats_per_{name}"] = score.to_dict()

    def windows():
        window = model.processor.length if held.ends else piece
        return SequenceWindows(held, window, _ROWS, drop_remainder=False)

    return {
        "values": int(count),
        "log_likelihood": total,
        "nats_per_value": Score.of([-total / max(count, 1)], baseline=[naive]).to_dict(),
        **others,
        **score_latents(model, windows),
    }


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
