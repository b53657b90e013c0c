"""Generated windows beside real ones, in every score of `tfgen.evaluation.fidelity` and more."""

import numpy as np

from tfgen.data.cuts import as_numbers, cut_windows, filled, one_seed, pad_to, share_complete
from tfgen.errors import InputError
from tfgen.evaluation import fidelity
from tfgen.evaluation.context_fid import TS2Vec, context_fid
from tfgen.evaluation.memorisation import nearest_neighbour_ratio, nearest_numbers
from tfgen.evaluation.music import PIECE, copied_pieces, has_voices, voice_leading
from tfgen.preprocessing.told import told_by
from tfgen.report.score import Score

DISTANCES = (
    "discriminative", "predictive", "context_fid", "correlational", "marginal", "autocorrelation",
    "mmd", "masses", "memorisation", "class_accuracy",
    "voice_leading",
)  # fmt: skip
_BETTER = {
    "nearest_neighbour_ratio": {"better": "near", "target": 1.0},
    "class_accuracy": {"better": "higher"},
}
# Windows of training data among which the nearest to a generated one is looked for.
_MOST_NEIGHBOURS = 20_000
_LEAST_MASS = 0.1  # percent: a table has the masses that are so large in real or generated windows
_LEAST = 5  # windows of which there is a score
_GAPS = 0.5  # the most that may be missing of each column in a real window
_ROWS = 256  # samples of one call of `generate`
_DRAWN = 300  # windows of a side in the picture of all of them
_OTHERWISE = (
    "masses",
    "memorisation",
    "class_accuracy",
    "voice_leading",
)  # not distances of scaled windows
_WINDOWS, _NOISE = 2, 3  # purposes of random numbers


def score_generation(
    model, parts, against, wanted, runs, length, windows, seed, say, unscaled=False
):  # fmt: skip
    """The scores of generated windows beside real ones; see `evaluate_sequences`.

    Args:
        model: A `NumbersModel`.
        parts: `tfgen.data.cuts.Parts` of the data.
        against: The `Sequences` whose windows generated ones are compared with.
        wanted: Names of the scores, out of `DISTANCES`.
        runs, length, windows, seed, say, unscaled: As for `evaluate_sequences`.

    Returns:
        `(section, picture)`: the section of the report, and what is to be drawn.
    """
    length = length or _length(model, against)
    features = against.features
    scores, missing, points = {}, {}, _mass_points(against) if "masses" in wanted else []
    shares = []  # of each run: those of generated, of other real and of noise windows
    for run in range(runs):
        rng = np.random.default_rng([seed, run, _WINDOWS])
        real, other = _real_windows(against, length, windows, rng)
        say(f"{len(real):,} windows of {length} positions, run {run + 1} of {runs}")
        generated = _generate(model, real, length, against.ends, [seed, run])
        noise = _noise(real.values, features, np.random.default_rng([seed, run, _NOISE]))
        # What is missing in a real window is missing in the one that it is compared with.
        generated, noise = (np.where(np.isnan(real.values), np.nan, x) for x in (generated, noise))
        compared = (generated, real.values, other.values, noise)
        whole = [filled(x, features) for x in compared]
        arrays = [as_numbers(whole[place], features) for place in (1, 2, 0, 3)]
        scaled = arrays if unscaled else fidelity.scale_by_real(*arrays)
        if run == 0:
            picture = {"kind": "generation", "real": whole[1][:200], "samples": whole[0][:200],
                       "windows": (scaled[0][:_DRAWN], scaled[2][:_DRAWN])}  # fmt: skip
        if points:
            shares.append([fidelity.masses(x, points) for x in compared])
        rest = [name for name in wanted if name not in _OTHERWISE]
        for name, values in _distances(rest, *scaled, one_seed([seed, run]), say).items():
            scores.setdefault(name, []).append(values)
        if "memorisation" in wanted and not missing:
            try:
                values = _memorisation(parts, length, windows, features, arrays, rng)
            except InputError as error:  # too many gaps in what was held out
                missing["memorisation"], values = str(error), {}
            for name, row in values.items():
                scores.setdefault(name, []).append(row)
        if "class_accuracy" in wanted and real.labels is not None:
            values = _class_accuracy(parts, length, windows, features, arrays, real.labels, rng)
            scores.setdefault("class_accuracy", []).append(values)
        if "voice_leading" in wanted and has_voices(against):
            rows = [voice_leading(x, features) for x in (generated, other.values, noise)]
            for name in rows[0]:
                scores.setdefault(name, []).append([row[name] for row in rows])
        if "memorisation" in wanted and has_voices(against) and length >= PIECE:
            known = parts.known.values
            row = [copied_pieces(x, known, features) for x in (generated, parts.held.values, noise)]
            scores.setdefault("copied_pieces", []).append(row)
    section = {"windows": len(real), "length": length, "scores": {}}
    if unscaled:
        section["scale"] = "the data's own"
    if missing:
        section["not computed"] = missing
    complete = share_complete(against, length)
    if complete < 1:
        name = "share of real windows without gaps; those of the others are made in generated ones"
        section[name] = complete
    for name, rows in scores.items():
        of_model, of_real, of_noise = zip(*rows)
        better = _BETTER.get(name, {})
        score = Score.of(of_model, of_real, of_noise, **better)
        section["scores"][name] = score.to_dict()
    if points:
        section["scores"]["masses"], section["masses in percent"] = _mass_scores(
            points, np.array(shares), features
        )
    return section, picture


def _mass_points(against):
    """Of each column of numbers, `(feature, value)` of zero and of its bounds, if it has any; else
    of the least and the greatest value. What is padded after an end would count: none there."""
    points = []
    for number, feature in enumerate(() if against.ends else against.features):
        column = np.concatenate([values[:, number] for values in against.values])
        column = column[np.isfinite(column)]
        # A circle has no ends.
        if feature.is_category or feature.circle or not len(column):
            continue
        low = column.min() if feature.low is None else column.dtype.type(feature.low)
        high = column.max() if feature.high is None else column.dtype.type(feature.high)
        points += [(number, value) for value in sorted({0.0, float(low), float(high)})]
    return points


def _mass_scores(points, shares, features):
    """`(score, table)` of the shares `(runs, 4, points)`: of generated, real, other real and noise
    windows. The score is the greatest difference from the real ones, in percentage points."""
    of_model, of_real, of_other, of_noise = np.moveaxis(shares, 1, 0)
    worst = [np.abs(x - of_real).max(axis=1) for x in (of_model, of_other, of_noise)]
    table = {}
    for number, (column, value) in enumerate(points):
        rows = [x[:, number] for x in (of_model, of_real, of_noise)]
        if max(rows[0].mean(), rows[1].mean()) >= _LEAST_MASS:
            score = Score.of(*rows, better="near", target=float(rows[1].mean()))
            table[f"{features[column].name} = {value:g}"] = score.to_dict()
    return Score.of(*worst).to_dict(), table


def _length(model, sequences):
    if getattr(model, "generation", None) is not None and model.generation.length:
        return model.generation.length
    if sequences.ends:
        return int(min(256, np.median([len(values) for values in sequences.values])))
    return 24


def _real_windows(against, length, most, rng):
    """Windows to compare with, and as many others; halves of one lot where there are too few."""
    pool = cut_windows(against, length, 2 * most, rng, _GAPS)
    order = rng.permutation(len(pool))
    count = min(most, len(pool))
    others = order[count : 2 * count]
    if len(others) < count:
        # What is real is compared with a half of what the model is.
        others = order[count // 2 : count]
    return pool.take(order[:count]), pool.take(others if len(others) else order)


def _generate(model, real, length, ends, seeds):
    """As many windows as there are real ones, each at the time and under the conditions of one."""
    groups = [np.arange(i, min(i + _ROWS, len(real))) for i in range(0, len(real), _ROWS)]
    rows = len(groups[0])
    parts = []
    # Drawings and clips that are made as a whole are cut afterwards.
    asked = length if model.draws_in_order or not ends else None
    for number, group in enumerate(groups):
        # Of one size, so that one compilation serves all.
        here = real.take(np.resize(group, rows))
        own = {name: getattr(here, name) for name in ("known", "labels", "static", "texts")}
        told = told_by(model.processor, **own)
        if model.processor.needs_times:
            told["start_time"] = here.times[:, 0]
        drawn = model.generate(rows, asked, seed=one_seed([*seeds, number]), **told)
        parts.append((pad_to(drawn, length) if ends else np.asarray(drawn))[: len(group)])
    return np.concatenate(parts)


def _noise(real, features, rng):
    """Independent noise with the mean and spread of each feature, or with its frequencies."""
    over = {"axis": (0, 1)}
    noise = rng.normal(np.nanmean(real, **over), np.nanstd(real, **over), real.shape)
    noise = np.clip(noise, np.nanmin(real, **over), np.nanmax(real, **over))
    for number, feature in enumerate(features):
        if feature.is_category:
            known = real[..., number][~np.isnan(real[..., number])]
            noise[..., number] = rng.choice(known, real.shape[:2])
    return noise.astype(real.dtype)


def _distances(names, real, other, generated, noise, seed, say):
    """For each name the score of the model, of the real and of the naive windows."""
    found = {}
    compared = {"model": (real, generated), "real": (real, other), "noise": (real, noise)}
    if len(other) < len(real):
        compared["real"] = (real[: len(real) - len(other)], other)
    plain = {
        "correlational": fidelity.correlational_score,
        "marginal": fidelity.marginal_distance,
        "autocorrelation": fidelity.autocorrelation_distance,
        "mmd": lambda a, b: fidelity.mmd(a, b, seed=seed),
        "discriminative": lambda a, b: fidelity.discriminative_score(a, b, seed=seed),
        "predictive": lambda a, b: fidelity.predictive_score(a, b, seed=seed),
    }
    if "context_fid" in names:
        say("  context_fid")
        encoder = TS2Vec(seed=seed).fit(real)
        plain["context_fid"] = lambda a, b: context_fid(a, b, encoder=encoder)
    for name in names:
        say(f"  {name}")
        # Too few to tell anything of: no score, as against an end of the whole evaluation.
        found[name] = [
            plain[name](*pair) if min(map(len, pair)) >= _LEAST else np.nan
            for pair in compared.values()
        ]
    return found


def _memorisation(parts, length, most, features, arrays, rng):
    """Nearest training windows of generated, of held-out and of noise windows."""
    real, _, generated, noise = arrays
    cuts = ((parts.known, _MOST_NEIGHBOURS), (parts.held, 2 * most))
    train, held = (
        as_numbers(filled(cut_windows(of, length, number, rng, _GAPS).values, features), features)
        for of, number in cuts
    )
    train, held, generated, noise = fidelity.scale_by_real(real, train, held, generated, noise)[1:]
    half = max(1, len(held) // 2)
    rows = [
        nearest_neighbour_ratio(samples, train, reference)
        for samples, reference in ((generated, held), (held[half:], held[:half]), (noise, held))
        if len(samples)
    ]
    if len(rows) < 3:
        return {}
    return {
        "nearest_neighbour_ratio": [row["ratio"] for row in rows],
        "copied_share": [row["copied"] for row in rows],
    }


def _class_accuracy(parts, length, most, features, arrays, labels, rng):
    """The share whose nearest training window is of their own class: that which was asked for.

    Of the generated windows, of held-out ones, and of noise with the real ones' classes.
    """
    real, _, generated, noise = arrays
    train = cut_windows(parts.known, length, _MOST_NEIGHBOURS, rng, _GAPS)
    held = cut_windows(parts.held, length, most, rng, _GAPS)
    known, others = (as_numbers(filled(x.values, features), features) for x in (train, held))
    known, others, generated, noise = fidelity.scale_by_real(real, known, others, generated, noise)[
        1:
    ]
    pairs = (generated, labels), (others, held.labels), (noise, labels)
    return [np.mean(train.labels[nearest_numbers(x, known)] == own) for x, own in pairs]
