"""Forecasts from rolling origins of held-out data, beside the seasonal-naive one."""

import numpy as np

from tfgen.data.cuts import cut_origins
from tfgen.data.seasons import common_seasons
from tfgen.errors import InputError
from tfgen.evaluation import forecasts
from tfgen.models.numbers.lengths import context_for, positions_before, usual_season
from tfgen.models.numbers.over_data import forecast_cuts
from tfgen.report.score import Score

COVERED = (0.5, 0.8, 0.9)
_NAIVE = 1  # a purpose of random numbers


def seasons_of(processor, known):
    """The seasons that a naive forecast may have, and that of the data.

    Args:
        processor: The model's.
        known: The `Sequences` that a naive model learns from.

    Returns:
        `(naive_seasons, season)`: ascending integers, of which 1 repeats the last value; and a day
        if the data have several positions in one, else the strongest season found, else 1.
    """
    columns = [i for i, feature in enumerate(known.features) if not feature.is_category]
    found = common_seasons([values[:, columns] for values in known.values], processor.mean_step)
    day = usual_season(processor)
    return sorted({1, day, *found}), day if day > 1 else [*found, 1][0]


def score_forecasts(
    model, parts, runs, horizon, num_samples, origins, context, naive_seasons, scale_season, seed,
    say,
):  # fmt: skip
    """The scores of rolling forecasts of the held-out data; see `evaluate_sequences`.

    Args:
        naive_seasons: List of integers, of which the naive forecast takes that which serves it
            best.
        scale_season: The season whose naive errors MASE is scaled by; None takes that one.

    Returns:
        `(section, picture)`: the section of the report, and what is to be drawn.
    """
    features, whole = parts.held.features, parts.whole
    columns = [number for number, feature in enumerate(features) if not feature.is_category]
    if not columns:
        raise InputError("A forecast is scored on numbers, and the data have categories alone")
    before = positions_before(parts.edges, list(map(len, whole.values)), horizon)
    context = context_for(model, context, horizon, before)
    # Of a season that is longer than what there is before, a naive forecast knows nothing.
    naive_seasons = [each for each in naive_seasons if each <= max(before, 1)] or [1]
    # The naive forecast looks back for two seasons if there are so many positions.
    past = max(context, min(2 * max(naive_seasons), before))
    cuts = cut_origins(whole, parts.edges, past, horizon, origins)
    truth = cuts.values[:, past:, columns]
    history = [values[:, columns] for values in parts.known.values]
    scale = np.nanstd(np.concatenate(history).astype(np.float64), axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    names = [features[number].name for number in columns]
    periods = [features[n].circle and features[n].circle.period for n in columns]

    def naive_of(season, run):
        residuals = forecasts.seasonal_residuals(history, season, periods)
        drawn = forecasts.seasonal_naive_samples(
            cuts.values[:, :past, columns], horizon, season, num_samples, residuals,
            [seed, run, _NAIVE],
        )  # fmt: skip
        drawn = np.nan_to_num(drawn)  # a feature that was never observed before
        return _scores(drawn, truth, history, scale_season or season, scale, names, periods)

    tried = {season: naive_of(season, 0) for season in naive_seasons}
    season = min(
        naive_seasons, key=lambda each: (np.nan_to_num(tried[each]["crps"], nan=np.inf), each)
    )
    found, naive = {}, {}
    for run in range(runs):
        say(f"forecasts, run {run + 1} of {runs}")
        samples = forecast_cuts(model, cuts, past, context, horizon, num_samples, [seed, run])
        base = naive_of(season, run) if run else tried[season]
        of_model = _scores(
            samples[..., columns], truth, history, scale_season or season, scale, names, periods
        )
        for values, scores in ((of_model, found), (base, naive)):
            for name, value in values.items():
                scores.setdefault(name, []).append(value)
        if run == 0:
            picture = {"kind": "forecast", "history": cuts.values[-1, :past],
                       "samples": samples[-1], "truth": cuts.values[-1, past:],
                       "times": None if cuts.times is None else cuts.times[-1]}  # fmt: skip
    scores, single = {}, {}
    for name, values in found.items():
        target = {"better": "near", "target": float(name[-2:]) / 100} if "coverage" in name else {}
        score = Score.of(values, baseline=naive[name], **target).to_dict()
        (single if name.startswith("crps of") else scores)[name] = score
    section = {
        "horizon": horizon, "context": context, "season": season,
        "season of mase": scale_season or season, "forecasts": len(cuts),
        "samples": num_samples, "scores": scores, "crps in units of the data": single,
        "crps of the naive forecast by season": {
            str(each): float(tried[each]["crps"]) for each in naive_seasons
        },
    }  # fmt: skip
    return section, picture


def _scores(samples, truth, history, season, scale, names, periods):
    """The scores of forecasts of all origins, by name; over the features they are averaged."""

    def mean(values):
        return forecasts.mean_observed(values, 0)

    score = forecasts.crps(samples, truth, periods=periods)
    samples, truth = forecasts.unwound(samples, truth, periods)
    by_feature = forecasts.mean_observed(score, (0, 1))  # (features,)
    loss = forecasts.weighted_quantile_loss(samples, truth)
    median = np.median(samples, axis=-3)
    scores = {
        "crps": mean(by_feature / scale),
        "energy_score": mean(forecasts.energy_score(samples / scale, truth / scale).ravel()),
        "weighted_quantile_loss": mean(loss),
        "mase": mean(forecasts.mase(median, truth, history, season, periods)),
    }
    for level in COVERED:
        covered = forecasts.coverage(samples, truth, level)
        scores[f"coverage_{100 * level:.0f}"] = mean(covered)
    return scores | {f"crps of {name}": value for name, value in zip(names, by_feature)}
