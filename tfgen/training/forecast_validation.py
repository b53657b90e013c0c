"""How well a model in training forecasts what was held out."""

import numpy as np

from tfgen.data.cuts import cut_origins
from tfgen.errors import InputError
from tfgen.models.numbers.lengths import context_for, positions_before, usual_horizon
from tfgen.models.numbers.over_data import forecast_cuts

_ORIGINS, _SAMPLES = 32, 40
_SEED = 6  # a purpose of random numbers


class ForecastValidation:
    """Measures a model of series by forecasts from origins that roll over held-out data.

    The likelihood of each position given those before it can go on improving while forecasts, which
    go on from what the model itself has drawn, get worse.

    Args:
        model: A `NumbersModel` of series.
        sequences: `Sequences`, whole ones, as it takes them.
        bounds: Of each `(start, stop)` of what was held out.

    Raises:
        InputError: If too little was held out for a forecast.
    """

    def __init__(self, model, sequences, bounds):
        self.model = model
        features = enumerate(sequences.features)
        self.columns = [n for n, each in features if not (each.is_category or each.circle)]
        self.horizon = usual_horizon(model.processor, [stop - start for start, stop in bounds])
        starts, stops = map(list, zip(*bounds))
        before = positions_before(starts, stops, self.horizon)
        self.context = context_for(model, None, self.horizon, before)
        self.cuts = cut_origins(sequences, starts, self.context, self.horizon, _ORIGINS, stops)
        self.truth = self.cuts.values[:, self.context :, self.columns]
        if np.isnan(self.truth).all():
            raise InputError("no number of what is held out is known")
        values = np.concatenate([values[:, self.columns] for values in sequences.values])
        spread = np.nanstd(values.astype(np.float64), axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)

    def score(self):
        """The continuous ranked probability score (Gneiting & Raftery, 2007, eq. 21).

        In standard deviations of each column, the mean over steps ahead and columns of numbers.
        """
        samples = forecast_cuts(
            self.model, self.cuts, self.context, self.context, self.horizon, _SAMPLES, [_SEED]
        )[..., self.columns]
        return float(np.nanmean(crps(samples, self.truth) / self.scale))


def crps(samples, truth):
    """Continuous ranked probability scores `(pieces, horizon, columns)`.

    Args:
        samples: Array `(pieces, samples, horizon, columns)`.
        truth: Array `(pieces, horizon, columns)`; NaN is missing.
    """
    count = samples.shape[1]
    samples = np.sort(samples.astype(np.float64), axis=1)
    ranks = 2 * np.arange(1, count + 1) - count - 1
    apart = np.einsum("psht,s->pht", samples, ranks) / count**2
    return np.abs(samples - truth[:, None]).mean(axis=1) - apart
