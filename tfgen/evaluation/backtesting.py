"""`backtest`: what several models would have forecast of the same data, in one table."""

from typing import NamedTuple

import numpy as np

from tfgen.data.cuts import cut_at, cut_origins, held_lengths
from tfgen.data.memory import is_name
from tfgen.errors import InputError, unknown
from tfgen.evaluation import forecasts
from tfgen.evaluation.opening import held_out_from, open_for
from tfgen.evaluation.refitting import Refits
from tfgen.evaluation.rolling import seasons_of
from tfgen.files import atomic_file
from tfgen.models.numbers.calibrating import halves
from tfgen.models.numbers.lengths import context_for, positions_before, usual_horizon
from tfgen.models.numbers.over_data import data_of, forecast_cuts
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig
from tfgen.report.backtests import save_backtest_picture
from tfgen.report.tables import save_csv
from tfgen.values import whole_number

NAIVE = "seasonal-naive"
SPLITS = ("validation", "all")
COVERED = (0.5, 0.9)
ALL = "all"
_NAIVE_SEED = 1  # a purpose of random numbers


class Backtest(NamedTuple):
    """What `backtest` found.

    Attributes:
        table: Dict from a column to a list of cells: `model`, `series` and `feature`, which are
            `"all"` in a first row for each model, `forecasts`, how many were made, and the scores
            `mase`, `crps`, `weighted_quantile_loss`, `owa`, `msis`, `coverage_50`, `coverage_90`.
        facts: Dict of what they are of: `data`, `horizon`, `season`, `samples` and the `context` of
            each model.
        steps: Dict from a model to its `crps` and `coverage_90` of each step ahead, float64
            `(horizon,)`, over all series.
        last: Of the last forecast that was made: `history`, `truth` and the `samples` of each model
            by its name, with the `features` of their columns, and `times` or None.
    """

    table: dict
    facts: dict
    steps: dict
    last: dict


class _Read(NamedTuple):
    """Data as one model reads them; `model` is None for the naive forecast."""

    model: object
    sequences: object
    edges: list
    processor: object


def backtest(
    models,
    data,
    horizon=None,
    origins=50,
    num_samples=100,
    context=None,
    season=None,
    seed=0,
    *,
    calibrated=False,
    split="validation",
    last=None,
    refit=None,
    refit_every=1,
    out=None,
    picture=None,
    say=lambda text: None,
):
    """Compares what models forecast from the same origins, which roll over held-out data.

    Every model reads the data as its own recipe says, and what is forecast is held out for each of
    them. A score of a series is that of one of its columns; in all, it is the mean over them, and
    of the quantile loss, whose sums are over all series, the mean over the columns. MASE and MSIS
    (95%) are relative to the error of the seasonal naive forecast within the series before its
    first origin, CRPS to its standard deviation there. OWA is the mean of MASE and sMAPE relative
    to those of Naive2, as in the M4 competition. Categories and circular columns are
    not scored.

    Args:
        models: A dict from names to models of series, or a list of them. `"seasonal-naive"` stands
            for the last season with its errors, see `forecasts.seasonal_naive_samples`.
        data: As for `evaluate_sequences`: a name, a path, arrays, a frame, `Sequences`.
        horizon: Positions of a forecast; None takes a day if the data have several positions in
            one, else 24.
        origins: Forecasts of each model at most, evenly spread.
        num_samples: Futures of a forecast.
        context: Positions that a forecast sees; None takes each model's training window, and
            before it what its lags reach back for.
        season: Positions of a season, of the naive forecast and of the scales; None takes a day, or
            else the strongest season that is found in what was not held out.
        seed: Integer.
        calibrated: Whether a model that has a calibration is shown with it, too. What calibrations
            saw of what was held out is then forecast by none.
        split: `"validation"`, or `"all"` for data that no model was trained on.
        last: Positions at the end of each series that are forecast, where data go on after those
            that the models were trained on; None takes what was held out of these.
        refit: Function `(model, sequences)` that trains a model again on what came before an origin
            and returns it: `tfgen.training.refit`, or with `functools.partial` its `further=STEPS`.
            None takes models as they are.
        refit_every: Origins from a training to the next.
        out: A CSV file to write the table to, or None.
        picture: A PNG file to write, or None: the scores by step ahead, and the last forecast.
        say: Called with a line of text before each model's forecasts.

    Returns:
        A `Backtest`. `pandas.DataFrame(result.table)` is its table.

    Raises:
        InputError: For an argument out of range, data of which nothing was held out or that are too
            short, or models that read other series out of them.
    """
    models = _named(models)
    counts = {"origins": origins, "num_samples": num_samples}
    counts |= {"horizon": horizon, "context": context, "season": season}
    counts |= {"refit_every": refit_every, "last": last}
    for name, value in counts.items():
        if value is not None:
            whole_number(name, value, 1)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if last is not None and split == "all":
        raise InputError("last is a part, and split='all' is everything. "
                         f"Received: last={last}, split='all'")  # fmt: skip
    if refit is not None and split == "all":
        raise InputError(
            "refit trains on what comes before what was held out, and up to each origin. "
            "Received: split='all'"
        )
    # The naive forecast is of what a model reads, if there is one.
    part = split, last, calibrated
    read = {n: _open(model, data, *part) for n, model in models.items() if model}
    spare = next(iter(read.values()), None) or _open(None, data, *part)
    read = {name: read.get(name, spare._replace(model=None)) for name in models}
    variants = {name: (name, {}) for name in read}
    if calibrated:
        able = [name for name, each in read.items() if getattr(each.model, "calibration", None)]
        if not able:
            raise InputError(
                "None of the models has a calibration: tfgen calibrate RUN --data FILE makes one. "
                "Received: calibrated=True"
            )
        variants |= {f"{name}, calibrated": (name, {"calibrated": True}) for name in able}
    first = next(iter(read.values()))
    names = _same_columns(read)
    columns = {name: _columns(each.sequences, names) for name, each in read.items()}
    whole = first.sequences
    edges = np.max([each.edges for each in read.values()], axis=0).tolist()
    values = [each[:, columns[next(iter(read))]] for each in whole.values]
    if season is None:
        known = whole.cut([(0, edge or len(v)) for edge, v in zip(edges, values)])
        _, season = seasons_of(first.processor, known)
    if horizon is None:
        horizon = usual_horizon(first.processor, held_lengths(whole, edges))
    longest = max(map(len, values))
    if horizon >= longest:
        raise InputError(f"horizon must be less than the {longest} positions of {whole.name}. "
                         f"Received: horizon={horizon}")  # fmt: skip
    before = positions_before(edges, list(map(len, values)), horizon)
    contexts = {
        # The naive forecast sees all that the others do.
        name: 1 if each.model is None else context_for(each.model, context, horizon, before)
        for name, each in read.items()
    }
    # As far as there is so much, two seasons are seen for the naive one.
    past = max(*contexts.values(), min(2 * season, before), 1)
    cuts = cut_origins(whole, edges, past, horizon, origins)
    truth = cuts.values[:, past:, columns[next(iter(read))]]
    histories = _histories(values, cuts.places, past)
    table, steps, drawn = {}, {}, {}
    refits = None if refit is None else Refits(refit, refit_every, cuts, past, edges, say)
    references = _references(values, cuts.places, past, horizon, season, truth, histories)
    for name, (of, options) in variants.items():
        each = read[of]
        say(f"{name}: {len(cuts)} forecasts")
        if each.model is None:
            samples = _naive(cuts, truth, past, histories, columns[of], season, num_samples, seed)
        else:
            # Of its own reading, which may have other columns known beforehand.
            here = cut_at(each.sequences, cuts.places, past + horizon)
            given = here, past, contexts[of], horizon, num_samples, [seed]
            if refits is None:
                samples = forecast_cuts(each.model, *given, **options)
            else:
                samples = refits.forecast(of, each.model, each.sequences, *given, **options)
            samples = samples[..., columns[of]]
        rows = _rows(samples, truth, cuts.places[:, 0], histories, season, references)
        for row in rows:
            series, feature = row.pop("series"), row.pop("feature")
            series = series if series == ALL else whole.ids[series]
            feature = feature if feature == ALL else names[feature]
            cells = {"model": name, "series": series, "feature": feature, **row}
            for column, cell in cells.items():
                table.setdefault(column, []).append(cell)
        steps[name] = _by_step(samples, truth, cuts.places[:, 0], histories)
        drawn[name] = samples[-1]
    features = [whole.features[number] for number in columns[next(iter(read))]]
    last = {
        "history": cuts.values[-1, :past][:, columns[next(iter(read))]], "truth": truth[-1],
        "samples": drawn, "features": features,
        "times": None if cuts.times is None else cuts.times[-1],
    }  # fmt: skip
    facts = {"data": whole.name, "horizon": horizon, "season": season, "samples": num_samples}
    found = Backtest(table, {**facts, "context": contexts}, steps, last)
    if out is not None:
        with atomic_file(out) as temporary:
            save_csv(temporary, {name: _spelled(cells) for name, cells in table.items()})
    if picture is not None:
        save_backtest_picture(found, picture)
    return found


def _named(models):
    """A dict from names to models, of which None is the naive one."""
    if not isinstance(models, dict):
        models = [models] if hasattr(models, "forecast") or models == NAIVE else list(models)
        names = [NAIVE if model == NAIVE else model.name for model in models]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"Several models have one name: give a dict from names. Received: {name}"
                )
        models = dict(zip(names, models, strict=True))
    if not models:
        raise InputError("backtest needs a model. Received: models=[]")
    found = {}
    for name, model in models.items():
        if isinstance(model, str) and model == NAIVE:
            model = None
        elif not hasattr(model, "forecast"):
            raise InputError(
                f"models are models of series, which tfgen.zoo.get opens, or '{NAIVE}'. "
                f"Received: {name}={model!r:.60}"
            )
        found[name] = model
    return found


def _open(model, data, split, last, calibrated):
    """Returns the data as a model reads them."""
    if model is None:
        plain = _Unfitted()
        sequences, rules = open_for(plain, data)
        processor = SequenceProcessor.fit(sequences, PreprocessingConfig())
    else:
        # What a file says is read as the model's own data are.
        named = is_name(data) and getattr(model, "recipe", None) is not None
        sequences, rules = open_for(model, data_of(model, str(data)) if named else data)
        processor = model.processor
    calibration = getattr(model, "calibration", None)
    if last is not None:
        edges = [max(len(values) - last, 0) for values in sequences.values]
    elif split == "all":
        edges = [0] * len(sequences)
    else:
        edges = held_out_from(sequences, rules)
        if calibrated and calibration is not None:
            share = calibration.facts.get("share", 0.5)
            if share == 1:
                raise InputError(
                    "A model was calibrated by all that was held out of its training: give what "
                    "came after as last. Received: calibrated=True"
                )
            edges = halves(sequences, edges, share).rest
    return _Read(model, sequences, edges, processor)


class _Unfitted:
    """Stands for a model where data are read by nobody's recipe."""

    recipe = None
    processor = property(lambda self: self)

    def check(self, sequences):
        return sequences


def _same_columns(read):
    """The names of the columns of numbers that all models read; they must read the same values."""
    (name, first), *others = read.items()
    names = [
        each.name for each in first.sequences.features if not (each.is_category or each.circle)
    ]
    for _, each in others:
        features = each.sequences.features
        there = {own.name for own in features if not (own.is_category or own.circle)}
        names = [column for column in names if column in there]
    if not names:
        raise InputError(
            f"The models read no column of numbers that all have. Received: {', '.join(read)}"
        )
    own = _columns(first.sequences, names)
    for other, each in others:
        theirs, same = _columns(each.sequences, names), first.sequences.ids == each.sequences.ids
        same = same and all(
            len(a) == len(b) and np.allclose(a[:, own], b[:, theirs], rtol=1e-4, equal_nan=True)
            for a, b in zip(first.sequences.values, each.sequences.values)
        )
        if not same:
            raise InputError(
                f"{name} and {other} read other series out of {first.sequences.name}, by their "
                f"recipes: compare models that were trained on data of one form. "
                f"Received: models={name}, {other}"
            )
    return names


def _columns(sequences, names):
    there = [each.name for each in sequences.features]
    return [there.index(name) for name in names]


def _histories(values, places, past):
    """By the number of a series, what it was before its first origin."""
    first = {}
    for number, start in places:
        first[number] = min(first.get(number, start), start)
    return {number: values[number][: start + past] for number, start in first.items()}


def _naive(cuts, truth, past, histories, columns, season, num_samples, seed):
    """Samples of the seasonal naive forecast, with the errors within each series."""
    samples = np.empty([len(cuts), num_samples, *truth.shape[1:]])
    for number, history in histories.items():
        chosen = np.flatnonzero(cuts.places[:, 0] == number)
        samples[chosen] = forecasts.seasonal_naive_samples(
            cuts.values[chosen, :past][..., columns], truth.shape[1], season, num_samples,
            forecasts.seasonal_residuals(history, season), [seed, int(number), _NAIVE_SEED],
        )  # fmt: skip
    return np.nan_to_num(samples)  # a column that was never observed before


def _references(values, places, past, horizon, season, truth, histories):
    """By the number of a series, MASE and sMAPE `(features,)` of Naive2."""
    naive = np.stack([
        forecasts.naive2(values[number][: start + past], horizon, season)
        for number, start in places
    ])  # fmt: skip
    return {
        number: _errors(naive[places[:, 0] == number], truth[places[:, 0] == number], each, season)
        for number, each in histories.items()
    }


def _errors(forecast, observed, history, season):
    return forecasts.mase(forecast, observed, history, season), forecasts.smape(forecast, observed)


def _rows(samples, truth, numbers, histories, season, references):
    """Yields the scores in all, then those of each series and column."""
    loss = forecasts.weighted_quantile_loss(samples, truth)
    rows, smapes, naive = [], [], []
    for number, history in histories.items():
        chosen = numbers == number
        here, observed = samples[chosen], truth[chosen]
        median = np.median(here, axis=-3)
        mase, smape = _errors(median, observed, history, season)
        base_mase, base_smape = references[number]
        scores = {
            "mase": mase,
            "crps": forecasts.mean_observed(forecasts.crps(here, observed), (0, 1)) / _std(history),
            "weighted_quantile_loss": forecasts.weighted_quantile_loss(here, observed),
            "owa": (_ratio(mase, base_mase) + _ratio(smape, base_smape)) / 2,
            "msis": forecasts.msis(here, observed, history, season),
            **{
                f"coverage_{100 * level:.0f}": forecasts.coverage(here, observed, level)
                for level in COVERED
            },
        }
        smapes.append(smape)
        naive.append((base_mase, base_smape))
        for column in range(truth.shape[-1]):
            cells = {name: float(score[column]) for name, score in scores.items()}
            counted = {"forecasts": int(chosen.sum())}
            rows.append({"series": number, "feature": column, **counted, **cells})
    names = [name for name in rows[0] if name not in ("series", "feature", "forecasts")]
    every = {name: _mean([row[name] for row in rows]) for name in names}
    every["weighted_quantile_loss"] = _mean(loss)
    base_mase, base_smape = (_mean(each) for each in zip(*naive))
    every["owa"] = (_ratio(every["mase"], base_mase) + _ratio(_mean(smapes), base_smape)) / 2
    return [{"series": ALL, "feature": ALL, "forecasts": len(truth), **every}, *rows]


def _by_step(samples, truth, numbers, histories):
    """The scores of each step ahead, over all series."""
    scale = np.stack([_std(histories[number]) for number in numbers])  # (forecasts, features)
    score = forecasts.crps(samples, truth) / scale[:, None]
    covered = [
        _mean(forecasts.coverage(samples[:, :, step : step + 1], truth[:, step : step + 1], 0.9))
        for step in range(truth.shape[1])
    ]
    return {"crps": forecasts.mean_observed(score, (0, 2)), "coverage_90": np.array(covered)}


def _std(history):
    with np.errstate(invalid="ignore"):
        mean = forecasts.mean_observed(history, 0)
        spread = np.sqrt(forecasts.mean_observed(np.square(history - mean, dtype=np.float64), 0))
    return np.where(spread > 0, spread, np.nan)


def _ratio(value, base):
    return value / np.where(base > 0, base, np.nan)


def _mean(values):
    return float(forecasts.mean_observed(np.ravel(values).astype(np.float64), 0))


def _spelled(cells):
    """Cells as texts; of a score that could not be computed an empty one."""
    return ["" if isinstance(cell, float) and np.isnan(cell) else str(cell) for cell in cells]
