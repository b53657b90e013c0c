"""Forecasts and fills of all the series of data, as `tfgen forecast` and `tfgen impute` make them."""

import dataclasses

import numpy as np

from tfgen.data import open_sequences
from tfgen.data.cuts import one_seed
from tfgen.data.music.frames import frame_step_of
from tfgen.errors import unknown
from tfgen.preprocessing.told import told_by, told_of_one

_CONTEXTS = 16  # of `Cuts`, in one call of `forecast`


def data_of(model, name):
    """Returns the `DataConfig` of data that are read as a model's own are."""
    # What is out of bounds is refused in training data only.
    config = dataclasses.replace(model.recipe.data, name=name, bounds=())
    if model.processor.kind == "music":  # on its own grid, whatever is usual for such a file
        step = frame_step_of(model.processor.sample_rate)
        config = dataclasses.replace(config, kind="music", frame_step=step)
    return config


def open_series(model, name, identity=None, **changes):
    """Returns the `Sequences` of data as a model takes them.

    Args:
        model: A `NumbersModel` with a recipe.
        name: A path, or the name of a built-in set.
        identity: The id of the only series that is wanted.
        **changes: Fields of the data's configuration that are others than the recipe's.

    Raises:
        InputError: The data cannot be read, or do not fit the model, or have no such series.
    """
    config = dataclasses.replace(data_of(model, name), **changes)
    sequences = model.processor.check(open_sequences(config))
    if identity is None:
        return sequences
    if identity not in sequences.ids:
        raise unknown("series", identity, sequences.ids)
    return sequences.select([sequences.ids.index(identity)])


def forecast_series(model, contexts, horizon, num_samples, seed, rows, **options):
    """Returns the `Forecast` of each context.

    Args:
        model: A `NumbersModel`.
        contexts: List of `Context`.
        horizon: Positions to forecast.
        num_samples: Futures to draw for each.
        seed: An integer or None.
        rows: How many futures may be drawn at once.
        **options: Of `model.forecast`.
    """
    found = []
    size = min(len(contexts), max(1, rows // num_samples))
    for number, first in enumerate(range(0, len(contexts), size)):
        part = contexts[first : first + size]
        # Filled up, so that nothing is compiled twice.
        full = [part[index % len(part)] for index in range(size)]
        forecast = model.forecast(
            [context.values for context in full],
            horizon,
            num_samples=num_samples,
            seed=None if seed is None else seed + number,
            **_told(model.processor, full),
            **options,
        )
        for index in range(len(part)):
            quantiles = {level: values[index] for level, values in forecast.quantiles.items()}
            found.append(type(forecast)(forecast.mean[index], quantiles, forecast.samples[index]))
    return found


def forecast_cuts(model, cuts, past, context, horizon, num_samples, seeds, **options):
    """Returns what a model forecasts in pieces of data: `(pieces, samples, horizon, features)`.

    Args:
        model: A `NumbersModel`.
        cuts: `tfgen.data.cuts.Cuts`.
        past: Positions of each before its origin.
        context: How many of them the model is given.
        horizon: Positions to forecast.
        num_samples: Futures to draw for each.
        seeds: List of integers.
        **options: Of `model.forecast`.
    """
    first = past - context
    parts = []
    for start in range(0, len(cuts), _CONTEXTS):
        # Filled up, so that nothing is compiled twice.
        numbers = np.resize(np.arange(start, min(start + _CONTEXTS, len(cuts))), _CONTEXTS)
        here = cuts.take(numbers)
        told = told_by(
            model.processor,
            times=None if here.times is None else here.times[:, first:past],
            known=None if here.known is None else here.known[:, first : past + horizon],
            labels=here.labels,
            static=here.static,
        )
        drawn = model.forecast(
            here.values[:, first:past], horizon, num_samples=num_samples,
            seed=one_seed([*seeds, start]), **told, **options,
        )  # fmt: skip
        parts.append(drawn.samples[: len(cuts) - start])
    return np.concatenate(parts)


def _told(processor, contexts):
    """What a model is told of contexts besides their values, as arguments."""
    labels = [context.label for context in contexts]
    told = told_by(
        processor,
        times=[context.times for context in contexts],
        known=[context.known for context in contexts],
        labels=None if labels[0] is None else labels,
        static=[context.static for context in contexts],
    )
    starts = [context.start for context in contexts]
    if processor.needs_times and starts != [None] * len(starts):
        told["start_time"] = [
            context.times[-1] if start is None else start
            for context, start in zip(contexts, starts, strict=True)
        ]
    return told


def impute_series(model, sequences, num_samples, seed, **options):
    """Fills the gaps of series; `options` are of `model.impute`.

    Returns:
        `(arrays, gaps)`: for each series `num_samples` arrays `(time, features)`, one after the
        other in a list, and how many values were missing.
    """
    processor, arrays, gaps = model.processor, [], 0
    for number, values in enumerate(sequences.values):
        missing = int(np.isnan(values).sum())
        gaps += missing
        if not missing:
            arrays += [values] * num_samples
            continue
        given = told_of_one(processor, sequences, number)
        arrays += list(
            model.impute(
                values,
                num_samples=num_samples,
                seed=None if seed is None else seed + number,
                **options,
                **given,
            )
        )
    return arrays, gaps
