"""`calibrate_at_end`: forecasts of a trained model, calibrated by what was held out."""

from tfgen.data.cuts import held_lengths, held_out_from
from tfgen.errors import InputError
from tfgen.kinds import find_kind
from tfgen.models.numbers.calibrating import INDEPENDENT, calibrate_model, halves, independent
from tfgen.models.numbers.calibration import FEWEST
from tfgen.models.numbers.lengths import usual_horizon

# A training of fewer steps would take noticeably longer.
LEAST_STEPS = 500
_ORIGINS, _SAMPLES = 64, 50
# A diffusion model takes a run of evaluations for each sample: fewer samples, of fewer steps (of 10
# they are a tenth wider than of 50), and at most this share of what the training itself took, where
# a step of a sequence took as long as five evaluations.
_FEW_SAMPLES, _STEPS, _RESAMPLINGS, _SHARE, _STEP = 20, 20, 3, 0.1, 5


def calibrate_at_end(model, recipe, sequences, say):
    """Calibrates the forecasts of a model of series.

    It takes the first half of what was held out, or all of it where that is little. Nothing is done
    after less than 500 steps. Samples of a diffusion model take fewer steps here than otherwise, so
    that it takes at most a tenth of the training.

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
    if not model.can("forecast"):
        return
    origins, effort = _effort(model, recipe.training)
    if origins < FEWEST:
        return
    sequences = model.processor.check(sequences)
    edges = held_out_from(sequences, data.validation_fraction, data.split)
    horizon = usual_horizon(model.processor, held_lengths(sequences, edges))
    # Where a half would calibrate all steps ahead alike, all of it serves.
    share = 0.5 if independent(halves(sequences, edges), horizon) >= INDEPENDENT else 1.0
    given = {"origins": origins, "share": share, **effort}
    try:
        found = calibrate_model(model, sequences, edges, horizon, **given)
    except InputError as error:
        say(f"Forecasts are not calibrated: {error}")
    else:
        count = found.facts["origins"]
        say(f"Calibrated forecasts of {horizon} positions by {count} of held-out data")


def _effort(model, config):
    """`(origins, arguments)`: how many forecasts are worth their time, and how they are sampled."""
    if model.draws_in_order:
        return _ORIGINS, {"num_samples": _SAMPLES}
    engine = getattr(model.engine, "engines", [model.engine])[0]
    arguments, evaluations = {"num_samples": _FEW_SAMPLES, "num_steps": _STEPS}, _STEPS
    if not engine.denoiser.infilling:
        arguments["resamplings"] = _RESAMPLINGS
        evaluations *= _RESAMPLINGS
    worth = _SHARE * _STEP * config.steps * config.batch_size
    return min(_ORIGINS, int(worth / (evaluations * _FEW_SAMPLES))), arguments
