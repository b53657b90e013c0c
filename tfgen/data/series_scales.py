"""`series_scale`: the size of a series, by which scalers of each series divide it."""

import warnings

import numpy as np


def series_scale(values, statistic="mean", least=0.0):
    """The mean or median absolute value of what is observed of each column.

    Args:
        values: Array `(time, columns)`; NaN is missing.
        statistic: `"mean"`, or `"median"`, which a jump or an outlier does not move. Of a series
            most of which is 0 that would be 0: the mean is taken for it.
        least: What is below it is no scale.

    Returns:
        float64 `(columns,)`; 1 where there is none.
    """
    observed, sizes = ~np.isnan(values), np.abs(values, dtype=np.float64)
    total = np.where(observed, sizes, 0).sum(axis=0)
    scale = total / np.maximum(observed.sum(axis=0), 1)
    if statistic == "median":
        with warnings.catch_warnings():  # nothing may be observed
            warnings.simplefilter("ignore", RuntimeWarning)
            middle = np.nanmedian(sizes, axis=0) if len(sizes) else np.zeros_like(scale)
        scale = np.where(middle > least, middle, scale)
    return np.where((scale > 0) & (scale >= least), scale, 1.0)
