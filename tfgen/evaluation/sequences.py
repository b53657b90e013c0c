"""`evaluate_sequences`: one report on a model of numbers, whatever its family and its data."""

import numpy as np

from tfgen.data.cuts import Parts
from tfgen.data.sequences import holds_blocks
from tfgen.errors import InputError, unknown
from tfgen.evaluation.calibrated import coverage_by_step
from tfgen.evaluation.generation import DISTANCES, score_generation
from tfgen.evaluation.likelihood import score_likelihood
from tfgen.evaluation.music import has_voices
from tfgen.evaluation.opening import chosen_on_half, open_for, surrounded_error
from tfgen.evaluation.rolling import score_forecasts, seasons_of
from tfgen.kinds import find_kind
from tfgen.models.numbers.lengths import usual_horizon
from tfgen.report.evaluation_figures import draw
from tfgen.report.evaluation_page import write_report

METRICS = ("likelihood", "forecast", *DISTANCES)
SPLITS = ("train", "validation", "test", "all")
# With fewer held-out sequences than this, generated ones are compared with those of all.
FEW = 100


def evaluate_sequences(
    model,
    data,
    split=None,
    runs=5,
    horizon=None,
    num_samples=100,
    metrics=None,
    seed=0,
    *,
    length=None,
    windows=1000,
    origins=64,
    context=None,
    season=None,
    reference=None,
    max_sequences=None,
    unscaled=False,
    report=None,
    name=None,
    say=lambda text: None,
):
    """Measures how well a model of numbers predicts data, and how real what it generates is.

    Every score is that of several runs, each with samples, windows and small networks of its own
    seed, and stands beside what real data gets against other real data and what a naive model gets:
    for the likelihood independent Gaussians (frequencies for categories) of the training data, for
    forecasts the seasonal-naive one with its residuals, for generation Gaussian noise of the right
    mean and spread in the range of the real values.

    Args:
        model: A `NumbersModel`, or what has its methods `generate`, `score` and `forecast` and
            its `processor`.
        data: A `tfgen.recipe.DataConfig`, the name of a data set, or `Sequences`; or arrays, a
            frame or a dataset in memory, see `tfgen.data.memory.hold`, which are read as the
            model's own data are.
        split: What is predicted: `"validation"`, `"test"` (the half of it on which no weights were
            chosen if `training.choose_on` is half), `"train"` or `"all"`; None takes test if that
            is so, else validation.
        runs: Number of runs.
        horizon: Positions of a forecast; None takes a day if the data have several positions in
            one, else 24, but no more than were held out.
        num_samples: Futures of a forecast.
        metrics: Which to compute, out of `METRICS`; None takes all that the data admit.
        seed: Integer.
        length: Positions of a generated window; None takes `generation.length` of the model, 24
            for series, and the median length, at most 256, for drawings and clips.
        windows: Windows generated in a run, and real ones that they are compared with.
        origins: Forecasts made in a run.
        context: Positions that a forecast sees; None takes the training window, and before it what
            the lags of the model reach back for.
        season: Positions of a season, for the naive forecast, or a list of them, of which that
            with the least CRPS is taken; None takes the best of 1 (the last value), a day if the
            data have several positions in one, and those that `tfgen.data.seasons` finds in the
            training data. MASE is scaled by the season given, else by the day, else by the
            strongest that was found.
        reference: The split whose windows generated ones are compared with. None takes test, or
            else validation, where blocks or at least 100 whole sequences were held out, and all
            elsewhere: of series that were cut in time, the last part has another season or level,
            and not to have it is no fault.
            Copies of the training data are seen by the memorisation, which is always that of the
            held-out part.
        max_sequences: Sequences of the split to predict at most, evenly spread over it; None takes
            all.
        unscaled: Whether generated windows are compared with real ones in the data's own units;
            else both are scaled so that the real ones lie in [0, 1]. It tells for published
            figures that were taken so.
        name: What the report calls the model; None takes Keras' name.
        report: A folder to write `report.json` and `report.html` into, or None.
        say: Called with a line of text before each long part.

    Returns:
        A dict that JSON can hold; scores are those of `tfgen.report.score.Score`. What could
        not be computed is told in its `notes`.

    Raises:
        InputError: For an argument out of range, data that does not fit, or data of which nothing
            can be computed.
    """
    wanted = METRICS if metrics is None else tuple(metrics)
    for metric in wanted:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
    counts = {
        "runs": runs, "windows": windows, "origins": origins, "max_sequences": max_sequences,
    }  # fmt: skip
    for key, value in counts.items():
        if value is not None and value < 1:
            raise InputError(f"{key} must be at least 1. Received: {key}={value}")
    for key, value in (("split", split), ("reference", reference)):
        if value is not None and value not in SPLITS:
            raise unknown(key, value, SPLITS)
    given_seasons = [] if season is None else sorted({*np.atleast_1d(season).tolist()})
    for each in given_seasons:
        if type(each) is not int or each < 1:
            raise InputError(f"season must be an integer of at least 1. Received: season={each!r}")
    parts, ahead, against, reference = _open(model, data, split, reference)
    if metrics is not None and "voice_leading" in wanted and not has_voices(against):
        raise InputError(
            f"voice_leading is for music of four voices (data.voices=4), not for {against.name}"
        )
    held = ahead
    results = {
        "model": name or getattr(model, "name", None),
        "data": parts.whole.name,
        "split": parts.split,
        "runs": runs,
        "seed": seed,
    }
    if max_sequences is not None and max_sequences < len(parts.held):
        results["sequences"] = f"{max_sequences:,} of {len(parts.held):,}, evenly spread"
        parts = parts.few(max_sequences)
        ahead = ahead.few(min(max_sequences, len(ahead.held)))
    notes, pictures, refused = [], [], []

    def computed(name, score):
        """What `score()` returns; None, and a note, if that cannot be had of these data."""
        try:
            return score()
        except InputError as error:
            # Who asked for more still wants the rest.
            refused.append(error)
            notes.append(f"no {name}: {error}")

    if "likelihood" in wanted:
        say(f"likelihood of {parts.held.positions:,} positions")
        section = computed("likelihood", lambda: score_likelihood(model, parts))
        if section is not None:
            results["likelihood"] = section

    def forecasts():
        if against.ends or not find_kind(against.kind).goes_on:
            raise InputError(f"{against.kind} are not forecast: they are generated whole")
        if ahead.surrounded:
            raise surrounded_error()
        naive_seasons, scale_season = given_seasons, None
        if not given_seasons:
            naive_seasons, scale_season = seasons_of(model.processor, ahead.known)
        usual = usual_horizon(model.processor, [len(values) for values in ahead.held.values])
        return score_forecasts(
            model, ahead, runs, horizon or usual, num_samples, origins, context,
            naive_seasons, scale_season, seed, say,
        )  # fmt: skip

    if "forecast" in wanted:
        found = computed("forecasts", forecasts)
        if found is not None:
            results["forecast"], picture = found
            if ahead.split != parts.split:
                results["forecast"]["of"] = ahead.split
            pictures.append(picture)
            calibration = getattr(model, "calibration", None)
            if calibration is not None and parts.split in ("validation", "test"):
                say("calibrated forecasts")
                # What it saw it is not tested on, so that all that was held out is needed.
                if parts.split == "test":
                    held = _open(model, data, "validation", reference)[1]
                given = held.whole, held.edges, results["forecast"]["horizon"]
                tested = coverage_by_step(model, *given, num_samples, seed)
                results |= {} if tested is None else {"calibration": tested}
    distances = [name for name in wanted if name in DISTANCES]
    if "memorisation" in distances and (split == "all" or parts.known is parts.held):
        distances.remove("memorisation")
        notes.append("no memorisation: that needs a split that was not trained on")
    if distances:
        found = computed(
            "comparison with generated windows",
            lambda: score_generation(
                model, parts, against, distances, runs, length, windows, seed, say, unscaled
            ),
        )
        if found is not None:
            results["generation"] = {"against": reference, **found[0]}
            pictures.append(found[1])
    if refused and not {"likelihood", "forecast", "generation"} & results.keys():
        raise refused[0]
    results["notes"] = notes
    if report is not None:
        figures = draw(against, pictures, notes)
        write_report(results, report, figures)
    return results


def _open(model, data, split, reference):
    """Returns `(parts, ahead, against, reference)`: `ahead` is what is forecast, the last two are
    what windows are compared with."""
    sequences, rules = open_for(model, data)
    rule = rules.validation_fraction, rules.split
    train, rest, _ = sequences.split(*rule)
    in_time = sequences.held_bounds(*rule) is not None
    splits = {"train": train, "validation": rest, "all": sequences}
    splits["test"] = sequences.split(*rule, "test")[1]
    usual = "test" if chosen_on_half(model, rules) else "validation"
    split = split or usual
    if reference is None:
        apart = holds_blocks(rules.split) or not (in_time or len(rest) < FEW)
        reference = usual if apart else "all"
    for name, value in (("split", split), ("reference", reference)):
        if not len(splits[value]):
            raise InputError(
                f"{sequences.name} has nothing in this split. Received: {name}={value!r}"
            )
    held = whole = splits[split]
    edges = [0] * len(held)
    if split in ("validation", "test") and in_time:
        # What comes before is the past of a forecast, as it is when one is really made.
        bounds = sequences.held_bounds(*rule, "test" if split == "test" else None)
        whole, edges = sequences, [edge for edge, _ in bounds]
        if split == "test":
            some = [number for number, (edge, stop) in enumerate(bounds) if edge < stop]
            whole, edges = sequences.select(some), [edges[number] for number in some]
    surrounded = split in ("validation", "test") and holds_blocks(rules.split)
    parts = Parts(train if len(train) else held, held, whole, edges, split, surrounded)
    ahead = parts
    ends = sequences.split_edges(*rule)
    if surrounded and ends is not None:
        some = [number for number, end in enumerate(ends) if end < len(sequences.values[number])]
        whole, ends = sequences.select(some), [ends[number] for number in some]
        end = whole.cut([(first, None) for first in ends])
        ahead = Parts(parts.known, end, whole, ends, "the end, which nothing was chosen on")
    return parts, ahead, splits[reference], reference
