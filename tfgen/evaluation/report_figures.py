"""The pictures of an evaluation's report, drawn by `tfgen.data.drawing`."""

import numpy as np

from tfgen.data import drawing
from tfgen.errors import InputError

BANDS = (0.05, 0.25, 0.75, 0.95)
_SHOWN, _DRAWN = 4, 49
_COMPARED = 200


def draw(sequences, pictures, notes):
    """Draws what an evaluation has kept of its samples.

    Args:
        sequences: The data's `Sequences`, of which kind, features and rate are read.
        pictures: List of dicts, each with a `kind`: `"forecast"`, with `history`, `samples`,
            `truth` and `times` of one forecast, or `"generation"`, with arrays of `real` and
            generated `samples` `(number, time, features)`.
        notes: List of texts to which is added why there are no pictures, if there are none.

    Returns:
        List of `(title, PNG as bytes)`.
    """
    figures = []
    try:
        for picture in pictures:
            one = _forecast if picture["kind"] == "forecast" else _generation
            figures += [
                (title, drawing.to_png(figure)) for title, figure in one(sequences, picture)
            ]
    except InputError as error:  # matplotlib is not installed
        notes.append(str(error))
    return figures


def _forecast(sequences, picture):
    samples = picture["samples"]
    bands = {level: np.quantile(samples, level, axis=0) for level in BANDS}
    times, horizon = picture["times"], samples.shape[1]
    shown = min(len(picture["history"]), 4 * horizon)
    figure = drawing.forecast_figure(
        picture["history"][-shown:],
        np.median(samples, axis=0),
        bands,
        sequences.features,
        truth=picture["truth"],
        times=None if times is None else times[-shown - horizon :],
    )
    yield "The last forecast of the held-out data", figure


def _generation(sequences, picture):
    features, real, samples = sequences.features, picture["real"], picture["samples"]
    real, samples = list(real[:_COMPARED]), list(samples[:_COMPARED])
    if sequences.kind == "strokes":
        for name, group in (("Real drawings", real), ("Generated drawings", samples)):
            yield name, drawing.stroke_sheet(group[:_DRAWN])
    elif sequences.kind == "audio":
        rate = sequences.sample_rate or 1
        for name, group in (("Real sounds", real), ("Generated sounds", samples)):
            yield name, drawing.sound_figure(group[:_SHOWN], rate)
    else:
        figure = drawing.series_figure(samples[:_SHOWN], features, real=real[:_SHOWN])
        yield "Windows, real and generated", figure
    yield "How often values occur", drawing.marginal_figure(samples, real, features)
    lag = min(48, len(real[0]) - 1)
    if lag:
        yield "Autocorrelation", drawing.autocorrelation_figure(samples, real, features, lag)
