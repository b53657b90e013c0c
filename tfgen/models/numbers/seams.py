"""What long sequences of short windows show: seams between them, and spread that drifts."""

import numpy as np


def border_steps(x, commit):
    """Squared steps of sequences across the borders of windows, over those within; 1 is no seam.

    Args:
        x: Array `(sequences, time, features)` of at least two windows.
        commit: Positions that a window adds.
    """
    squares = np.square(np.diff(x, axis=1)).mean(axis=0)
    border = np.arange(len(squares)) % commit == commit - 1
    within = np.maximum(squares[~border].mean(axis=0), 1e-12)
    return float(np.mean(squares[border].mean(axis=0) / within))


def spread_change(x, share=1 / 3):
    """How much standard deviations of columns differ between the first and the last part: a mean.

    Args:
        x: Array `(sequences, time, features)`.
        share: Of the time that either part has.
    """
    part = max(int(x.shape[1] * share), 1)
    first, last = (each.std(axis=(0, 1)) for each in (x[:, :part], x[:, -part:]))
    return float(np.mean(np.abs(last / np.maximum(first, 1e-12) - 1)))
