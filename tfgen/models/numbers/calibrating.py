"""`calibrate_model`: a model's `Calibration`, of rolling origins of what was held out."""

from typing import NamedTuple

import numpy as np

from tfgen.data.cuts import cut_origins
from tfgen.errors import InputError
from tfgen.models.numbers.calibration import Calibration, scale_of_features
from tfgen.models.numbers.lengths import context_for, positions_before
from tfgen.models.numbers.over_data import forecast_cuts

_SEED = 4  # a purpose of random numbers
# Of fewer forecasts without a position in common, all steps ahead are calibrated alike.
INDEPENDENT = 10


class Halves(NamedTuple):
    """What was held out, in a part to calibrate on and one to test on.

    Attributes:
        edges, stops: Of each sequence the first position to calibrate on, and that after the last.
        rest: Of each sequence the first position to test on.
    """

    edges: list
    stops: list
    rest: list


def halves(sequences, edges, share=0.5):
    """Divides what was held out: in time the first part calibrates and the last tests.

    Of whole sequences that were held out, every so manieth calibrates.

    Args:
        sequences: `Sequences`.
        edges: Of each the first position that was held out; its length if none was.
        share: Of what is calibrated on, between 0 and 1.
    """
    sizes = [len(values) for values in sequences.values]
    held = [number for number, edge in enumerate(edges) if edge < sizes[number]]
    if len(held) > 1 and not any(edges[number] for number in held):
        counts = np.floor(np.arange(len(held) + 1) * share + 1e-9)
        chosen = {held[place] for place in np.flatnonzero(np.diff(counts))}
        stops = [size if number in chosen else 0 for number, size in enumerate(sizes)]
        rest = [0 if number in held and number not in chosen else size
                for number, size in enumerate(sizes)]  # fmt: skip
        return Halves(list(edges), stops, rest)
    stops = [edge + round(share * (size - edge)) for edge, size in zip(edges, sizes)]
    return Halves(list(edges), stops, stops)


def independent(part, horizon):
    """How many forecasts that have no position in common there are to calibrate on.

    Args:
        part: `Halves`.
        horizon: Steps ahead.
    """
    bounds = zip(part.edges, part.stops, strict=True)
    return sum(max(stop - edge, 0) // horizon for edge, stop in bounds)


def calibrate_model(
    model, sequences, edges, horizon, context=None, origins=200, num_samples=100, share=0.5,
    seed=0, **options,
):  # fmt: skip
    """Learns a model's calibration, and gives it to the model.

    Args:
        model: A `NumbersModel` of series.
        sequences: `Sequences` as it takes them, whole ones.
        edges: Of each sequence the first position that the model was not trained on.
        horizon: Steps ahead.
        context: Positions that a forecast sees; None takes the training window.
        origins: Forecasts at most, evenly spread.
        num_samples: Futures of each.
        share: See `halves`; 1 leaves nothing to test on.
        seed: Integer.
        **options: Of `model.forecast`, where sampling as the model does by itself takes too long.

    Returns:
        The `Calibration`.

    Raises:
        InputError: For too little held-out data.
    """
    part = halves(sequences, edges, share)
    before = positions_before(part.edges, part.stops, horizon)
    context = context_for(model, context, horizon, before)
    room = sum(
        max(stop - horizon - max(edge, context) + 1, 0)
        for edge, stop in zip(part.edges, part.stops, strict=True)
    )
    if not room:
        raise InputError(
            f"{sequences.name} has too little held-out data to calibrate forecasts of {horizon} "
            f"positions on. Received: horizon={horizon}"
        )
    stride = max(1, room // (4 * origins))
    cuts = cut_origins(sequences, part.edges, context, horizon, origins, part.stops, stride)
    samples = forecast_cuts(
        model, cuts, context, context, horizon, num_samples, [seed, _SEED], **options
    )
    processor, scale = model.processor, None
    if processor.scaler.needs_scale:
        numbers = processor.numbers(processor.counted(cuts.values[:, :context]))
        scale = scale_of_features(processor, processor.series_scale(numbers)).numpy()
    facts = {
        "data": sequences.name, "origins": len(cuts), "context": context, "samples": num_samples,
        "share": share, **options,
    }  # fmt: skip
    moved = np.array([not (each.is_category or each.circle) for each in processor.features])
    pooled = independent(part, horizon) < INDEPENDENT
    truth = cuts.values[:, context:]
    calibration = Calibration.fit(samples, truth, moved, scale, facts, pooled)
    model.calibration = calibration
    return calibration
