"""The pictures of an evaluation's report."""

import numpy as np

from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.report.comparisons import autocorrelation_figure, marginal_figure, windows_figure
from tfgen.report.figures import to_png
from tfgen.report.kinds import Samples, figure_of, noun_of
from tfgen.report.series import forecast_figure

BANDS = (0.05, 0.25, 0.75, 0.95)
_COMPARED = 200


def draw(sequences, pictures, notes):
    """Draws what an evaluation has kept of its samples.

    Args:
        sequences: The data's `Sequences`, of which kind, features and rate are read.
        pictures: List of dicts, each with a `kind`: `"forecast"`, with `history`, `samples`,
            `truth` and `times` of one forecast, or `"generation"`, with arrays of `real` and
            generated `samples` `(number, time, features)`, and `windows`, a pair of more of both,
            their features numbers of one scale.
        notes: List of texts to which is added why there are no pictures, if there are none.

    Returns:
        List of `(title, PNG as bytes)`.
    """
    figures = []
    try:
        for picture in pictures:
            one = _forecast if picture["kind"] == "forecast" else _generation
            figures += [(title, to_png(figure)) for title, figure in one(sequences, picture)]
    except InputError as error:  # matplotlib is not installed
        notes.append(str(error))
    return figures


def _forecast(sequences, picture):
    samples = picture["samples"]
    bands = {level: np.quantile(samples, level, axis=0) for level in BANDS}
    times, horizon = picture["times"], samples.shape[1]
    before = min(len(picture["history"]), 4 * horizon)
    figure = forecast_figure(
        picture["history"][-before:],
        np.median(samples, axis=0),
        bands,
        sequences.features,
        truth=picture["truth"],
        times=None if times is None else times[-before - horizon :],
    )
    yield "The last forecast of the held-out data", figure


def _generation(sequences, picture):
    features, real, samples = sequences.features, picture["real"], picture["samples"]
    real, samples = list(real[:_COMPARED]), list(samples[:_COMPARED])
    kind, noun = sequences.kind, noun_of(sequences.kind)
    few = find_kind(kind).compared
    if find_kind(kind).beside:
        both = Samples(samples[:few], features, real=real[:few])
        yield "Windows, real and generated", figure_of(kind, both)
    else:
        rate = sequences.sample_rate or 1
        for name, group in ((f"Real {noun}", real), (f"Generated {noun}", samples)):
            yield name, figure_of(kind, Samples(group[:few], features, sample_rate=rate))
    yield "How often values occur", marginal_figure(samples, real, features)
    lag = min(48, len(real[0]) - 1)
    if lag:
        yield "Autocorrelation", autocorrelation_figure(samples, real, features, lag)
    yield "Windows as points: near ones are alike", windows_figure(*picture["windows"])
