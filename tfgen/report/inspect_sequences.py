"""`inspect_sequences`: what is in sequences of numbers before anybody trains on them."""

import datetime
import math

import numpy as np

from tfgen.data.calendar_steps import find_calendar_step
from tfgen.data.found import counted
from tfgen.data.seasons import autocorrelation, seasons
from tfgen.data.sentinels import find_sentinels
from tfgen.data.series import open_sequences
from tfgen.kinds import find_kind, load
from tfgen.report.recorded import recorded_as, suggestion

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
_SHOWN = 8  # levels of a category, classes, names
_LAGS = (1, 2, 5, 10)
_MOST_FEATURES = 200
_MAX_SEQUENCES = 300  # of which correlations are taken
_DAY = 86400


def inspect_sequences(config):
    """Tells what was kept and dropped and why, ranges, gaps, lengths, classes and correlations.

    Args:
        config: A `tfgen.recipe.DataConfig`, as for `tfgen.data.series.open_sequences`.

    Returns:
        A text of several lines, without characters that a terminal would obey.
    """
    sequences = open_sequences(config)
    report = sequences.report
    lines = [
        f"{sequences.name}: {sequences.kind}, {_count(len(sequences), 'sequence')}, "
        f"{_count(sequences.positions, 'position')}, {_count(len(sequences.features), 'feature')}",
        f"kept: {_count(report.kept, find_kind(sequences.kind).unit)}",
    ]
    if not report.dropped:
        lines.append("dropped: nothing")
    lines += [f"dropped: {reason}" for reason in report.reasons()]
    lines += [f"note: {note}" for note in report.notes]
    split = sequences.split(config.validation_fraction, config.split)
    lines.append(f"split: {split[2]}")
    lines.append(_lengths(sequences))
    lines += _times(sequences)
    for what in "known", "static":
        names = getattr(sequences, f"{what}_names")
        if names:
            lines.append(f"{what}: {_some(names)}")
    if sequences.labels is not None:
        counts = np.bincount(sequences.labels, minlength=len(sequences.classes))
        lines.append(
            f"classes: {len(sequences.classes)}: {_some(_counted(sequences.classes, counts))}"
        )
    if sequences.texts is not None:
        sizes = [len(text) for text in sequences.texts]
        lines.append(
            f"texts: {min(sizes)} to {max(sizes)} of {len(set().union(*sequences.texts))} "
            f"characters: {_some([repr(text) for text in sequences.texts])}"
        )
    facts = load(find_kind(sequences.kind).facts)
    lines += _of_features(sequences, config) if facts is None else facts(sequences)
    return "\n".join(_shown(line) for line in lines)


def _of_features(sequences, config):
    """What there is to tell of each feature."""
    lines, step = [], _usual_step(sequences)
    longest = max(range(len(sequences)), key=lambda number: len(sequences.values[number]))
    numbers = {
        feature.name: np.concatenate([values[:, number] for values in sequences.values])
        for number, feature in enumerate(sequences.features)
        if not feature.is_category
    }
    for number, names in find_sentinels(numbers).items():
        lines.append(_sentinel(number, names))
    numbers = {name: counted(values) for name, values in numbers.items()}
    lines += suggestion(sequences, config, numbers) if sequences.kind == "series" else []
    for number, feature in enumerate(sequences.features[:_MOST_FEATURES]):
        columns = [values[:, number] for values in sequences.values]
        if feature.is_category:
            lines += _category(feature, columns)
        else:
            lines += _number(feature, columns, step, numbers[feature.name])
        lines.append(f"    {sparkline(columns[longest])}")
    if len(sequences.features) > _MOST_FEATURES:
        lines.append(f"and {len(sequences.features) - _MOST_FEATURES:,} more features")
    if len(sequences) > 1:
        lines.append(f"(drawn: '{sequences.ids[longest]}', the longest sequence)")
    return lines


def _sentinel(number, names):
    cells = sum(names.values())
    return (
        f"suspicious: {number:g} is in {_count(cells, 'cell')} of {_some(list(names))}, far from "
        f"all others: if it stands for missing, pass --set 'data.missing=[\"{number:g}\"]'"
    )


def sparkline(values, width=_WIDTH):
    """Draws numbers with the blocks of a terminal: means of equal parts, a space where missing."""
    parts = np.array_split(values, min(width, len(values)))
    means = np.array([np.nan if np.isnan(p).all() else np.nanmean(p, dtype=float) for p in parts])
    if np.isnan(means).all():
        return " " * len(means)
    low, high = np.nanmin(means), np.nanmax(means)
    # A constant runs along the bottom.
    scaled = (means - low) / ((high - low) or 1) * (len(_BLOCKS) - 1)
    return "".join(" " if np.isnan(height) else _BLOCKS[round(height)] for height in scaled)


def _lengths(sequences):
    lengths = np.array([len(values) for values in sequences.values])
    text = f"lengths: {lengths.min():,}"
    if lengths.min() < lengths.max():
        text += f" to {lengths.max():,}, median {np.median(lengths):,g}"
    text += " positions"
    if sequences.sample_rate and not find_kind(sequences.kind).facts:
        seconds = lengths / sequences.sample_rate
        rate = f"{sequences.sample_rate:,} samples a second"
        text += f" ({seconds.min():.3g} to {seconds.max():.3g} seconds at {rate})"
    return text


def _times(sequences):
    """From when to when, the usual step, and what leaves it."""
    if sequences.times is None:
        return []
    first = min(times[0] for times in sequences.times)
    last = max(times[-1] for times in sequences.times)
    lines = [f"times: {_date(first)} to {_date(last)}"]
    if sequences.time_form:
        lines.insert(0, f"time column: {sequences.time_form}")
    steps = np.concatenate([np.diff(times) for times in sequences.times])
    if not len(steps):
        return lines
    calendar = find_calendar_step(sequences.times)
    if calendar is None:
        usual = int(np.median(steps))
        irregular = np.count_nonzero(steps != usual)
        lines[-1] += f", step {_duration(usual)}"
    else:
        parts = [calendar.between(times[:-1], times[1:]) for times in sequences.times]
        irregular = np.count_nonzero(np.concatenate(parts) != 1)
        lines[-1] += f", step {calendar.name}"
    if not irregular:
        lines.append("gaps: none, every step is of this length")
        return lines
    largest, after, where = max(
        (int(np.diff(times).max()), int(times[np.diff(times).argmax()]), identity)
        for times, identity in zip(sequences.times, sequences.ids, strict=True)
        if len(times) > 1
    )
    of = f" in '{where}'" if len(sequences) > 1 else ""
    lines.append(
        f"gaps: {irregular:,} of {len(steps):,} steps ({_share(irregular / len(steps))}) are of "
        f"another length; the largest is {_duration(largest)}{of}, after {_date(after)}"
    )
    return lines


def _usual_step(sequences):
    """Seconds from position to position, as a rule; None without times."""
    steps = [np.diff(times) for times in sequences.times or () if len(times) > 1]
    calendar = find_calendar_step(sequences.times or ())
    if calendar is not None:
        return calendar.seconds
    return max(int(np.median(np.concatenate(steps))), 1) if steps else None


def _number(feature, columns, step, found):
    values = np.concatenate(columns)
    observed = values[~np.isnan(values)].astype(np.float64)
    text = f"{feature.name}: "
    if len(observed):
        # As many digits more as all values have in common.
        size, spread = np.abs(observed).max(), observed.std()
        more = math.ceil(math.log10(size / spread)) if 0 < 100 * spread < size else 0
        digits = [min(usual + more, 17) for usual in (6, 4)]
        low, high = (f"{value:.{digits[0]}g}" for value in (observed.min(), observed.max()))
        text += f"{low} to {high}, mean {observed.mean():.{digits[1]}g}"
        text += f", standard deviation {spread:.4g}"
    text += _missing(values)
    if feature.low is not None or feature.high is not None:
        low = "" if feature.low is None else f"{feature.low:g}"
        text += f"; bounds {low}:{'' if feature.high is None else f'{feature.high:g}'}"
    lines = [text]
    recorded = recorded_as(*found)
    if recorded:
        lines.append(f"    recorded: {recorded}")
    longest = max(map(len, columns))
    if len(observed) and longest > 3 and observed.min() < observed.max():
        chosen = columns[:: -(-len(columns) // _MAX_SEQUENCES)]
        found = seasons(chosen, step)
        correlations = autocorrelation(chosen, max(*found, *_LAGS))
        shown = [lag for lag in _LAGS if lag <= longest // 2]
        text = ", ".join(f"{_round(correlations[lag])} at lag {lag}" for lag in shown)
        told = [f"{_round(correlations[lag])} at lag {lag:,}" for lag in found]
        if told:
            text += f"; strongest season {told[0]}" + "".join(f", then {each}" for each in told[1:])
        if np.isfinite(correlations[0]):  # a feature may be constant in each sequence
            lines.append(f"    autocorrelation: {text}")
    return lines


def _category(feature, columns):
    values = np.concatenate(columns)
    observed = values[~np.isnan(values)].astype(np.int64)
    counts = np.bincount(observed, minlength=len(feature.levels))
    some = _some(_counted(feature.levels, counts))
    return [f"{feature.name}: {_count(len(feature.levels), 'level')}: {some}{_missing(values)}"]


def _missing(values):
    missing = np.isnan(values).mean()
    return f"; {_share(missing)} missing" if missing else ""


def _counted(names, counts):
    """The names with their counts, most frequent first."""
    order = np.argsort(-counts, kind="stable")
    return [f"{names[number]} {counts[number]:,}" for number in order]


def _some(texts):
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _count(number, noun):
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _share(share):
    return f"{100 * share:.2g}%" if share < 0.995 else f"{100 * share:.4g}%"


def _round(number):
    return f"{number:.2f}"


def _date(seconds):
    try:
        time = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=int(seconds))
    except OverflowError:
        return f"{seconds} s"
    return f"{time:%Y-%m-%d}" if int(seconds) % _DAY == 0 else f"{time:%Y-%m-%d %H:%M:%S}"


def _duration(seconds):
    for unit, size in (("d", _DAY), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size:,} {unit}"
    return f"{seconds:,} s"


def _shown(text):
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
