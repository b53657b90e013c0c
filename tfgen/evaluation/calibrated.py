"""`calibrate`: a model's calibration, and what of data that it did not see its intervals hold."""

import numpy as np

from tfgen.data.cuts import cut_origins, held_lengths
from tfgen.errors import InputError
from tfgen.evaluation import forecasts
from tfgen.evaluation.opening import held_out_from, open_for
from tfgen.kinds import find_kind
from tfgen.models.numbers.calibrating import calibrate_model, halves
from tfgen.models.numbers.calibration import FEWEST
from tfgen.models.numbers.lengths import context_for, positions_before, usual_horizon
from tfgen.models.numbers.over_data import forecast_cuts
from tfgen.values import check_number, whole_number

COVERED = (0.5, 0.9)
_TESTED = 100  # forecasts at most
_SEED = 5  # a purpose of random numbers


def calibrate(
    model,
    data,
    horizon=None,
    origins=200,
    num_samples=100,
    context=None,
    share=0.5,
    seed=0,
    *,
    say=lambda text: None,
):
    """Calibrates a model's forecasts by what was held out of its training.

    Forecasts from origins that roll over the first part of what was held out tell how far each
    quantile has to be moved, by column and step ahead: see
    `tfgen.models.numbers.calibration.Calibration`. The last part tells what that brings. From then
    on `model.forecast(..., calibrated=True)` moves samples; `model.save` keeps the calibration, and
    `fit`, which makes other weights, drops it.

    Args:
        model: A `NumbersModel` of series.
        data: As for `evaluate_sequences`; the same that it was trained on, unless nothing was.
        horizon: Steps ahead; None takes a day if the data have several positions in one, else 24.
        origins: Forecasts to learn from at most, evenly spread; at least 20.
        num_samples: Futures of each.
        context: Positions that a forecast sees; None takes the training window.
        share: The part that is learned from, in time; of whole series that were held out, how
            many. The rest is tested on.
        seed: Integer.
        say: Called with a line of text before each part.

    Returns:
        A dict that JSON can hold: of what it was learned, and `coverage`, see
        `coverage_by_step`; None where too little is left to test on.

    Raises:
        InputError: For an argument out of range, a model of another kind, too little data.
    """
    if not find_kind(model.processor.kind).goes_on:
        raise InputError(
            f"Forecasts of series are calibrated. Received: a model of {model.processor.kind}"
        )
    counts = {"origins": origins, "num_samples": num_samples}
    counts |= {"horizon": horizon, "context": context}
    for name, value in counts.items():
        if value is not None:
            whole_number(name, value, FEWEST if name == "origins" else 1)
    check_number("share", share)
    if not 0 < share < 1:
        raise InputError(f"share must be between 0 and 1. Received: share={share}")
    sequences, rules = open_for(model, data)
    edges = held_out_from(sequences, rules)
    if horizon is None:
        horizon = usual_horizon(model.processor, held_lengths(sequences, edges))
    say(f"calibrating forecasts of {horizon} positions")
    calibration = calibrate_model(
        model, sequences, edges, horizon, context, origins, num_samples, share, seed
    )
    say("testing them")
    found = coverage_by_step(model, sequences, edges, num_samples=num_samples, seed=seed)
    return {**calibration.facts, "horizon": horizon, "coverage": found}


def coverage_by_step(model, sequences, edges, horizon=None, num_samples=100, seed=0):
    """The share of the truth in a model's intervals, before and after its calibration.

    Args:
        model: A `NumbersModel` with a `calibration`.
        sequences: `Sequences`, whole ones, as it was calibrated on.
        edges: Of each sequence the first position that was held out. What the calibration saw of
            it is left out.
        horizon: Steps ahead; None takes all that are calibrated.
        num_samples: Futures of a forecast.
        seed: Integer.

    Returns:
        A dict with `forecasts`, how many were made, and for 50% and 90% a list by steps, the mean
        over the columns: `coverage_50`, `coverage_50_calibrated` and so on. None where no forecast
        has room.
    """
    facts = model.calibration.facts
    horizon = min(horizon or model.calibration.horizon, model.calibration.horizon)
    rest = halves(sequences, edges, facts.get("share", 0.5)).rest
    before = positions_before(rest, list(map(len, sequences.values)), horizon)
    context = context_for(model, facts.get("context"), horizon, before)
    try:
        cuts = cut_origins(sequences, rest, context, horizon, _TESTED)
    except InputError:
        return None
    features = enumerate(model.processor.features)
    numbers = [number for number, each in features if not (each.is_category or each.circle)]
    truth, found = cuts.values[:, context:, numbers], {"forecasts": len(cuts)}
    for calibrated in (False, True):
        given = context, context, horizon, num_samples, [seed, _SEED]
        samples = forecast_cuts(model, cuts, *given, calibrated=calibrated)[..., numbers]
        for level in COVERED:
            name = f"coverage_{100 * level:.0f}" + "_calibrated" * calibrated
            steps = [slice(step, step + 1) for step in range(horizon)]
            found[name] = [
                float(np.nanmean(forecasts.coverage(samples[:, :, step], truth[:, step], level)))
                for step in steps
            ]
    return found


def coverage_text(found):
    """Returns what `coverage_by_step` found as lines of text: each step ahead, and the mean."""
    names = [f"coverage_{100 * level:.0f}" for level in COVERED]
    names = [name + end for name in names for end in ("", "_calibrated")]
    lines = [f"{'step':>4}" + "".join(f"{'in ' + n[9:11] + '%':>9}{'calibrated':>12}"
                                      for n in names[::2])]  # fmt: skip
    rows = zip(*(found[name] for name in names))
    steps = {str(step): row for step, row in enumerate(rows, 1)}
    steps["all"] = [float(np.mean(found[name])) for name in names]
    for step, row in steps.items():
        cells = (f"{value:>{12 if place % 2 else 9}.3f}" for place, value in enumerate(row))
        lines.append(f"{step:>4}" + "".join(cells))
    return "\n".join(lines)
