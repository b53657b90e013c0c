"""`evaluate_sequences`: one report on a model of numbers, whatever its family and its data."""

from tfgen.data import Sequences, open_sequences
from tfgen.errors import InputError, unknown
from tfgen.evaluation.cuts import Parts
from tfgen.evaluation.generation import DISTANCES, score_generation
from tfgen.evaluation.likelihood import score_likelihood
from tfgen.evaluation.report import write_report
from tfgen.evaluation.report_figures import draw
from tfgen.evaluation.rolling import score_forecasts, usual_season
from tfgen.recipe import DataConfig

METRICS = ("likelihood", "forecast", *DISTANCES)
SPLITS = ("train", "validation", "all")
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
        model: A `SeriesGenerator`, or what has its methods `generate`, `score` and `forecast` and
            its `processor`.
        data: A `tfgen.recipe.DataConfig`, the name of a data set, or `Sequences`.
        split: What is predicted: `"validation"`, `"train"` or `"all"`; None takes validation.
        runs: Number of runs.
        horizon: Positions of a forecast; None takes a season if there is one, else 24.
        num_samples: Futures of a forecast.
        metrics: Which to compute, out of `METRICS`; None takes all that the data admit.
        seed: Integer.
        length: Positions of a generated window; None takes `generation.length` of the model, 24
            for series, and the median length, at most 256, for drawings and clips.
        windows: Windows generated in a run, and real ones that they are compared with.
        origins: Forecasts made in a run.
        context: Positions that a forecast sees; None takes the training window.
        season: Positions of a season, for the naive forecast; None takes a day if the data have
            several positions in one, else 1.
        reference: The split whose windows generated ones are compared with. None takes validation
            where at least 100 whole sequences were held out, and all elsewhere: of series that were
            cut in time, the last part has another season or level, and not to have it is no fault.
            Copies of the training data are seen by the memorisation, which is always that of the
            held-out part.
        name: What the report calls the model; None takes Keras' name.
        report: A folder to write `report.json` and `report.html` into, or None.
        say: Called with a line of text before each long part.

    Returns:
        A dict that JSON can hold; scores are those of `tfgen.evaluation.report.Score`.

    Raises:
        InputError: For an argument out of range, or data that is too short or does not fit.
    """
    wanted = METRICS if metrics is None else tuple(metrics)
    for metric in wanted:
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
    for key, value in (("runs", runs), ("windows", windows), ("origins", origins)):
        if value < 1:
            raise InputError(f"{key} must be at least 1. Received: {key}={value}")
    for key, value in (("split", split), ("reference", reference)):
        if value is not None and value not in SPLITS:
            raise unknown(key, value, SPLITS)
    parts, against, reference = _open(model, data, split or "validation", reference)
    results = {
        "model": name or getattr(model, "name", None),
        "data": parts.whole.name,
        "split": parts.split,
        "runs": runs,
        "seed": seed,
    }
    notes, pictures = [], []
    if "likelihood" in wanted:
        say(f"likelihood of {parts.held.positions:,} positions")
        results["likelihood"] = score_likelihood(model, parts)
    if "forecast" in wanted:
        season = season or usual_season(model.processor)
        horizon = horizon or (season if season > 1 else 24)
        try:
            if against.ends or against.kind != "series":
                raise InputError(f"{against.kind} are not forecast: they are generated whole")
            results["forecast"], picture = score_forecasts(
                model, parts, runs, horizon, num_samples, origins, context, season, seed, say
            )
            pictures.append(picture)
        except InputError as error:
            # Who asked for all that can be had still wants the rest.
            if metrics is not None:
                raise
            notes.append(f"no forecasts: {error}")
    distances = [name for name in wanted if name in DISTANCES]
    if "memorisation" in distances and (split == "all" or parts.known is parts.held):
        distances.remove("memorisation")
        notes.append("no memorisation: that needs a split that was not trained on")
    if distances:
        section, picture = score_generation(
            model, parts, against, distances, runs, length, windows, seed, say
        )
        results["generation"] = {"against": reference, **section}
        pictures.append(picture)
    results["notes"] = notes
    if report is not None:
        figures = draw(against, pictures, notes)
        write_report(results, report, figures)
    return results


def _open(model, data, split, reference):
    """Returns `(parts, against, reference)`: the last two are what windows are compared with."""
    trained_on = model.recipe.data if getattr(model, "recipe", None) else None
    if isinstance(data, Sequences):
        sequences, rules = data, trained_on or DataConfig()
    else:
        if isinstance(data, DataConfig):
            rules = data
        else:
            own = trained_on is not None and trained_on.name == str(data)
            rules = trained_on if own else DataConfig(name=str(data))
        sequences = open_sequences(rules)
    sequences = model.processor.check(sequences)
    train, rest, _ = sequences.split(rules.validation_fraction, rules.split)
    # Where sequences were cut in time, both parts have each of them.
    in_time = len(train) + len(rest) > len(sequences)
    splits = {"train": train, "validation": rest, "all": sequences}
    if reference is None:
        reference = "all" if in_time or len(rest) < FEW else "validation"
    for name, value in (("split", split), ("reference", reference)):
        if not len(splits[value]):
            raise InputError(
                f"{sequences.name} has nothing in this split. Received: {name}={value!r}"
            )
    held = whole = splits[split]
    edges = [0] * len(held)
    if split == "validation" and in_time:
        # What comes before is the past of a forecast, as it is when one is really made.
        whole = sequences
        edges = [len(v) - round(rules.validation_fraction * len(v)) for v in whole.values]
    return (
        Parts(train if len(train) else held, held, whole, edges, split),
        splits[reference],
        reference,
    )
