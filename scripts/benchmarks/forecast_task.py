"""What the contestants of the section `forecast` are asked: which hours of which series.

Time runs on a grid without gaps, because naive forecasts and DeepAR count in steps. A row that the
data lacks is a row of missing values there.
"""

import dataclasses

import numpy as np

from tfgen.errors import InputError

HOUR = 3600  # seconds


@dataclasses.dataclass(frozen=True)
class ForecastTask:
    """Series, where the part held out begins in each, and the origins to forecast from.

    Attributes:
        names: Names of the variables.
        ids: Names of the series.
        step: Seconds between two positions of the grid.
        starts: Time of each series' first position, in seconds since 1970.
        values: List of float32 `(time, variables)`, one for each series, NaN where missing.
        present: List of bool `(time,)`: whether the data has a row there at all.
        edges: First position of each series that is held out.
        origins: int array `(origins, 2)`: a series, and the first position to forecast there.
        days: int array `(origins,)`: which origins of different series belong together.
        context: Positions before an origin that a contestant goes by.
        horizon: Positions to forecast.
        low: Least value of each variable, `-inf` where there is no bound.
        high: Greatest value, likewise `inf`.
    """

    names: tuple
    ids: tuple
    step: int
    starts: tuple
    values: list
    present: list
    edges: tuple
    origins: np.ndarray
    days: np.ndarray
    context: int
    horizon: int
    low: np.ndarray
    high: np.ndarray

    def training(self):
        """The part that may be learnt from: a list of `(time, variables)`."""
        return [values[:edge] for values, edge in zip(self.values, self.edges, strict=True)]

    def moments(self):
        """Mean and standard deviation of each variable in the training data; 1 of a constant."""
        known = np.concatenate(self.training()).astype(np.float64)
        deviations = np.nanstd(known, axis=0)
        return np.nanmean(known, axis=0), np.where(deviations > 0, deviations, 1.0)

    def truth(self):
        """What came: `(origins, horizon, variables)`."""
        return np.stack([self.values[s][o : o + self.horizon] for s, o in self.origins])

    def before(self):
        """What was before on the grid: `(origins, context, variables)`."""
        return np.stack([self.values[s][o - self.context : o] for s, o in self.origins])

    def rows_before(self):
        """What was before as rows of the data.

        The last row stands right before the origin: if the data has none there, it is missing.

        Returns:
            `(values, times)`: lists of `(rows, variables)` and of int64 `(rows,)`.
        """
        values, times = [], []
        for series, origin in self.origins:
            there = np.flatnonzero(self.present[series][origin - self.context : origin])
            places = np.union1d(there, [self.context - 1]) + origin - self.context
            values.append(self.values[series][places])
            times.append(self.starts[series] + self.step * places.astype(np.int64))
        return values, times

    def bounded(self, samples):
        """Samples `(..., variables)` held between the data's bounds."""
        return np.clip(samples, self.low, self.high)


def make_task(sequences, validation_fraction, context, horizon, split="auto"):
    """Rolling origins over the part held out, one after each horizon.

    Args:
        sequences: `tfgen.data.Sequences` with timestamps.
        validation_fraction: Share of each series that is held out.
        context: Positions before an origin that a contestant goes by.
        horizon: Positions to forecast, and between two origins.
        split: Rule of the split; it has to be one in time.

    Raises:
        InputError: If the series have no timestamps, hold categories, are not split in time, or
            have no room for one forecast.
    """
    if sequences.times is None:
        raise InputError(f"forecast needs timestamps, which {sequences.name} has none of")
    if any(feature.is_category for feature in sequences.features):
        raise InputError(f"forecast is for numbers: {sequences.name} has categories")
    train, held_out, _ = sequences.split(validation_fraction, split)
    if train.ids != sequences.ids or held_out.ids != sequences.ids:
        raise InputError(f"forecast needs a split in time, with a part of each: {sequences.name}")
    gaps = np.concatenate([np.diff(times) for times in sequences.times])
    step = int(np.median(gaps))
    if step <= 0 or (gaps % step).any():
        raise InputError(f"forecast needs times on a grid of {step} s: {sequences.name}")
    values, present, edges, origins, days = [], [], [], [], []
    parts = zip(sequences.values, sequences.times, held_out.times, strict=True)
    for series, (rows, times, held) in enumerate(parts):
        places = (times - times[0]) // step
        grid = np.full([places[-1] + 1, rows.shape[1]], np.nan, np.float32)
        grid[places] = rows
        values.append(grid)
        present.append(np.isin(np.arange(len(grid)), places))
        edges.append(int(held[0] - times[0]) // step)
        for day, origin in enumerate(range(edges[-1], len(grid) - horizon + 1, horizon)):
            if origin >= context:
                origins.append((series, origin))
                days.append(day)
    if not origins:
        raise InputError(
            f"{sequences.name} has no room for a context of {context} and a horizon of {horizon}"
        )
    bounds = [(feature.low, feature.high) for feature in sequences.features]
    return ForecastTask(
        names=tuple(feature.name for feature in sequences.features),
        ids=tuple(sequences.ids),
        step=step,
        starts=tuple(int(times[0]) for times in sequences.times),
        values=values,
        present=present,
        edges=tuple(edges),
        origins=np.array(origins),
        days=np.array(days),
        context=context,
        horizon=horizon,
        low=np.array([-np.inf if low is None else low for low, _ in bounds]),
        high=np.array([np.inf if high is None else high for _, high in bounds]),
    )
