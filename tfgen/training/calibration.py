"""`calibrate_at_end`: forecasts of a trained model, calibrated by what was held out."""

from tfgen.data.cuts import held_lengths, held_out_from
from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.models.numbers.calibrating import calibrate_model, halves
from tfgen.models.numbers.lengths import usual_horizon

# A training of fewer steps would take noticeably longer.
LEAST_STEPS = 500
_ORIGINS, _SAMPLES = 64, 50
_FEWEST = 10  # forecasts that have no position in common


def calibrate_at_end(model, recipe, sequences, say):
    """Calibrates the forecasts of a model of series that go from position to position.

    Nothing is done after less than 500 steps, and where little was held out.

    Args:
        model: The trained model.
        recipe: The `Recipe` of its training.
        sequences: All `Sequences` of its data; None of text.
        say: Called with a line of what was done.
    """
    data = recipe.data
    short = recipe.training.steps < LEAST_STEPS or data.split == "blocks"
    if short or sequences is None or not find_kind(sequences.kind).goes_on:
        return
    if not model.draws_in_order:  # others take a run of many evaluations for a few forecasts
        return
    sequences = model.processor.check(sequences)
    edges = held_out_from(sequences, data.validation_fraction, data.split)
    part = halves(sequences, edges)
    horizon = usual_horizon(model.processor, held_lengths(sequences, edges))
    if sum(max(stop - edge, 0) // horizon for edge, stop in zip(edges, part.stops)) < _FEWEST:
        return
    try:
        found = calibrate_model(
            model, sequences, edges, horizon, origins=_ORIGINS, num_samples=_SAMPLES
        )
    except InputError as error:
        say(f"Forecasts are not calibrated: {error}")
    else:
        count = found.facts["origins"]
        say(f"Calibrated forecasts of {horizon} positions by {count} of held-out data")
