"""What is done to batches of series and of strokes: see `tfgen.data.augmentation`.

`jitter`, `scale` and `warp` are those of Um et al. (arXiv:1706.00527). A batch is that of
`tfgen.data.SequenceWindows.batch`. Whatever is done, numbers stay in their bounds, steps and
circles, gaps stay gaps, and times, known covariates, static numbers and labels are left alone. All
that is drawn holds for a row of the batch, which is a window.
"""

import numpy as np

from tfgen.data.features import bounds_of
from tfgen.data.music.frames import is_roll
from tfgen.errors import InputError, unknown
from tfgen.kinds import find_kind

# Of a warp, where the speed is drawn: at the ends and at as many places between them as Um et al.
KNOTS = 6
# Columns that are transposed unless others are named.
PITCHES = ("pitch", "note")
# MIDI's.
LOWEST, HIGHEST = 0, 127


def jitter(amount, columns, sequences):
    """Adds Gaussian noise.

    In a series, of so many times the column's standard deviation in the window, so that what stands
    still does so. In a drawing, each point is moved, by so many times the mean movement, and with
    it the end of one movement and the beginning of the next.
    """
    columns = _numbers("jitter", columns, sequences)
    strokes = find_kind(sequences.kind).pen

    def augment(batch, generator):
        values = batch["values"][..., columns]
        noise = generator.standard_normal(values.shape)
        if not strokes:
            noise *= amount * _spread(values)[:, None]
            return _with(batch, sequences, columns, values + noise)
        noise *= amount * batch["scale"][:, columns].mean(axis=-1)[:, None, None]
        # Windows that carry a state on are given the same noise, so one ends where the next begins.
        before = np.where(batch["first"][:, None], 0, noise[:, -1])
        noise = np.diff(np.concatenate([before[:, None], noise], axis=1), axis=1)
        previous = batch["previous"][:, columns] + noise[:, -1]
        return _with(batch, sequences, columns, values + noise, previous)

    return augment


def scale(amount, columns, sequences):
    """Multiplies by a factor, one for all the columns, whose logarithm is Gaussian.

    Its standard deviation is the amount.
    """
    # A direction has no size.
    columns = [
        number
        for number in _numbers("scale", columns, sequences)
        if sequences.features[number].circle is None
    ]

    def augment(batch, generator):
        factors = np.exp(amount * generator.standard_normal(len(batch["values"])))[:, None]
        values = batch["values"][..., columns] * factors[:, None]
        previous = batch["previous"][:, columns] * factors if "previous" in batch else None
        scales = batch["scale"][:, columns] * factors
        return _with(batch, sequences, columns, values, previous, scales)

    return augment


def warp(amount, columns, sequences):
    """Tells a sequence faster here and slower there; its first and last position stay.

    The logarithm of the speed is Gaussian at `KNOTS` places, with this standard deviation, and
    linear between them. Numbers are interpolated between two that are observed; beside a gap, and
    for a category or on a circle, the nearer position decides. In a drawing, points slide along
    their stroke, whose ends stay.
    """
    strokes = find_kind(sequences.kind).pen
    category = np.array([each.is_category or bool(each.circle) for each in sequences.features])

    def augment(batch, generator):
        values, valid = batch["values"], batch["valid"]
        rows, window, _ = values.shape
        lasts = valid.sum(axis=1, keepdims=True) - 1  # (batch, 1)
        starts, stops = np.zeros([rows, window], int), np.broadcast_to(lasts, [rows, window])
        if strokes:
            starts, stops = _strokes(values[..., 2] == 1, lasts)
        logarithms = amount * generator.standard_normal([rows, KNOTS])
        places = _warped(logarithms, lasts, starts, stops)
        if strokes:
            told = between(np.cumsum(values[..., :2], axis=1, dtype=np.float64), places)
            told = np.diff(told, axis=1, prepend=0)
            told = np.where(valid[..., None], told, values[..., :2])
            return _with(batch, sequences, [0, 1], told)
        told = between(values, places, category)
        # A window without any value has nothing to learn from.
        empty = np.isnan(told).all(axis=(1, 2))[:, None]
        told = np.where((valid & ~empty)[..., None], told, values)
        return _with(batch, sequences, np.arange(len(category)), told)

    return augment


def rotate(degrees, columns, sequences):
    """Turns each drawing by up to so many degrees either way."""

    def augment(batch, generator):
        angles = np.deg2rad(generator.uniform(-degrees, degrees, len(batch["values"])))
        cosine, sine = np.cos(angles), np.sin(angles)
        turn = np.stack([cosine, sine, -sine, cosine], axis=-1).reshape(-1, 2, 2)
        values = batch["values"][..., :2] @ turn
        previous = (batch["previous"][:, None, :2] @ turn)[:, 0]
        # Of the whole drawing only this is known; it holds where dx and dy are independent.
        scales = np.sqrt((batch["scale"][:, None, :2] ** 2 @ turn**2)[:, 0])
        return _with(batch, sequences, [0, 1], values, previous, scales)

    return augment


def transpose(semitones, columns, sequences):
    """Moves the pitches of a sequence by one number of semitones, for all columns the same.

    It is drawn evenly from those up to so many either way that leave every pitch where there is
    one: between 0 and 127 and inside the bounds of a column of numbers, among the levels of a
    category. A category that is no integer, such as "rest", stays, as does a gap. Where the columns
    are pitches that sound or not, they change places.
    """
    if is_roll(sequences.features):
        return _transpose_roll(int(semitones), columns)
    columns = _pitches(columns, sequences)
    _check_pitches(columns, sequences)
    shifts = np.arange(-int(semitones), int(semitones) + 1)
    moves = [_moves(sequences.features[column], shifts) for column in columns]

    def augment(batch, generator):
        # What stands before a window is moved with it.
        before = "previous" in batch
        values = batch["values"]
        if before:
            values = np.concatenate([batch["previous"][:, None], values], axis=1)
        values = values[..., columns]
        moved = np.stack([move(values[..., i]) for i, move in enumerate(moves)], axis=-1)
        lost = np.isnan(moved) & ~np.isnan(values)  # (shifts, batch, window, columns)
        possible = ~lost.any(axis=(2, 3)).T  # (batch, shifts); not to move always is
        number = generator.integers(possible.sum(axis=1))
        chosen = np.argmax(np.cumsum(possible, axis=1) > number[:, None], axis=1)
        told = moved[chosen, np.arange(len(values))]
        scales = batch["scale"][:, columns] + _plain(sequences, columns) * shifts[chosen, None]
        scales = np.where(scales > 0, scales, batch["scale"][:, columns])
        previous, told = (told[:, 0], told[:, 1:]) if before else (None, told)
        return _with(batch, sequences, columns, told, previous, scales)

    return augment


def _transpose_roll(semitones, columns):
    """`transpose` of frames whose columns are the pitches of a range, in ascending order."""
    if columns is not None:
        raise InputError(
            "training.augment: transpose moves all pitches of a frame, and takes no columns here. "
            f"Received: columns={columns}"
        )

    def augment(batch, generator):
        values, names = batch["values"], ["values"]
        sounding = (values == 1).any(axis=1)
        if "previous" in batch:
            sounding |= batch["previous"] == 1
            names.append("previous")
        count = sounding.shape[1]
        below, above = sounding.argmax(axis=1), sounding[:, ::-1].argmax(axis=1)
        some = sounding.any(axis=1)
        lows = np.where(some, -np.minimum(below, semitones), 0)
        highs = np.where(some, np.minimum(above, semitones), 0)
        shifts = generator.integers(lows, highs, endpoint=True)
        places = np.arange(count) - shifts[:, None]  # (batch, pitches): where each comes from
        inside = (places >= 0) & (places < count)
        changed = {**batch}
        for name in names:
            each = batch[name]
            space = [slice(None), *[None] * (each.ndim - 2)]
            found = np.take_along_axis(each, np.clip(places, 0, count - 1)[*space], axis=-1)
            silent = np.where(np.isnan(each).all(axis=-1, keepdims=True), np.nan, 0)
            changed[name] = np.where(inside[*space], found, silent).astype(each.dtype)
        return changed

    return augment


def _moves(feature, shifts):
    """A function from values `(...)` to those after each shift, NaN where it leads nowhere."""
    if not feature.is_category:
        low, high = bounds_of([feature], dtype=np.float64)
        low, high = max(low[0], LOWEST), min(high[0], HIGHEST)

        def move(values):
            moved = values + shifts.reshape(-1, *[1] * values.ndim)
            inside = (moved >= low) & (moved <= high) | (moved == values)
            return np.where(inside, moved, np.nan)

        return move
    numbers = [_whole(level) for level in feature.levels]
    levels = {number: level for level, number in enumerate(numbers) if number is not None}
    if not levels:
        raise InputError(
            f"training.augment: transpose needs pitches that are integers, and '{feature.name}' "
            f"has none. Received: {feature.name}={feature.levels[0]!r}"
        )
    # The last row is that of a gap.
    table = [
        [
            levels.get(number + shift, np.nan) if shift and number is not None else level
            for shift in shifts
        ]
        for level, number in enumerate(numbers)
    ]
    table = np.array([*table, [np.nan] * len(shifts)]).T
    return lambda values: table[:, np.where(np.isnan(values), len(numbers), values).astype(int)]


def _whole(text):
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number % 1 == 0 else None


def _pitches(columns, sequences):
    if columns is not None:
        return _named(columns, sequences)
    names = [feature.name for feature in sequences.features]
    every = sequences.kind == "music"
    found = [n for n, name in enumerate(names) if every or name.casefold() in PITCHES]
    if not found:
        raise InputError(
            f"training.augment: transpose takes columns called {' or '.join(PITCHES)}, or those "
            f"that it names, as in 'transpose=5:{names[0]}'. Received: columns={', '.join(names)}"
        )
    return found


def _check_pitches(columns, sequences):
    """Refuses numbers that are no pitches, which would never be moved."""
    for column in columns:
        feature = sequences.features[column]
        each = [values[:, column] for values in sequences.values]
        wrong = [part[(part < LOWEST) | (part > HIGHEST)] for part in each]  # False for a gap
        wrong = np.concatenate(wrong) if wrong else np.zeros([0])
        if len(wrong) and not feature.is_category:
            raise InputError(
                f"training.augment: transpose is for pitches from {LOWEST} to {HIGHEST}, and rests "
                f"that are empty. Received: {feature.name}={wrong[0]:g}"
            )


def _numbers(name, columns, sequences):
    """The columns of numbers that are named, or all of them."""
    features = sequences.features
    every = [number for number, feature in enumerate(features) if not feature.is_category]
    chosen = every if columns is None else _named(columns, sequences)
    wrong = [features[number].name for number in chosen if number not in every]
    if wrong or not chosen:
        which = f"'{wrong[0]}' is a category" if wrong else "there is none"
        named = ", ".join(feature.name for feature in features) if columns is None else columns
        raise InputError(
            f"training.augment: {name} is for columns of numbers, and {which}. "
            f"Received: columns={named}"
        )
    return chosen


def _named(columns, sequences):
    names = [feature.name for feature in sequences.features]
    chosen = [columns] if columns in names else columns.split("+")
    for name in chosen:
        if name not in names:
            raise unknown("column of training.augment", name, names)
    return [number for number, name in enumerate(names) if name in chosen]


def _with(batch, sequences, columns, values, previous=None, scales=None):
    """The batch with some columns replaced, as they would be recorded."""
    features = [sequences.features[column] for column in columns]
    changed = {**batch, "values": batch["values"].copy()}
    changed["values"][..., columns] = _recorded(values, features)
    if previous is not None:
        changed["previous"] = batch["previous"].copy()
        changed["previous"][:, columns] = _recorded(previous, features)
    if scales is not None:
        changed["scale"] = batch["scale"].copy()
        changed["scale"][:, columns] = scales
    return changed


def _recorded(values, features):
    """Values `(..., features)` in the steps of each feature, in its circle and its bounds."""
    values = np.array(values)
    for number, feature in enumerate(features):
        if feature.step is not None:
            values[..., number] = feature.step.nearest(values[..., number])
        if feature.circle is not None:
            period, start = feature.circle
            values[..., number] = start + (values[..., number] - start) % period
    # In the type of the values: a bound of theirs stays what it is.
    return np.clip(values, *bounds_of(features, dtype=values.dtype))


def _plain(sequences, columns):
    """1 for a column of numbers, 0 for a category."""
    return np.array([not sequences.features[column].is_category for column in columns], int)


def _spread(values):
    """Standard deviation over the window `(batch, columns)`; 0 where nothing is observed."""
    observed = ~np.isnan(values)
    count = np.maximum(observed.sum(axis=1), 1)
    values = np.where(observed, values, 0).astype(np.float64)
    away = np.where(observed, values - (values.sum(axis=1) / count)[:, None], 0)
    return np.sqrt((away**2).sum(axis=1) / count)


def _strokes(lifted, lasts):
    """The first and last position of the stroke that each position belongs to, `(batch, time)`.

    Args:
        lifted: Bool `(batch, time)`: after which positions the pen is lifted.
        lasts: `(batch, 1)`: the last position of the window.
    """
    places = np.arange(lifted.shape[1])
    begins = np.concatenate([np.ones_like(lifted[:, :1]), lifted[:, :-1]], axis=1)
    starts = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    stops = np.where(lifted | (places >= lasts), places, len(places))
    return starts, np.minimum.accumulate(stops[:, ::-1], axis=1)[:, ::-1]


def _warped(logarithms, lasts, starts, stops):
    """Where each position comes from, `(batch, time)`: a rising map of each part onto itself."""
    places = np.arange(starts.shape[1])
    knots = np.minimum(places / np.maximum(lasts, 1), 1) * (KNOTS - 1)
    speeds = np.exp(between(logarithms[..., None], knots)[..., 0])
    steps = (speeds[:, 1:] + speeds[:, :-1]) / 2
    passed = np.concatenate([np.zeros([len(steps), 1]), np.cumsum(steps, axis=1)], axis=1)
    begun, ended = (np.take_along_axis(passed, np.maximum(at, 0), 1) for at in (starts, stops))
    spans = ended - begun
    share = np.divide(passed - begun, spans, out=np.zeros_like(spans), where=spans > 0)
    return np.clip(starts + share * (stops - starts), 0, len(places) - 1)


def between(values, places, category=False):
    """Values `(batch, time, features)` at other places `(batch, positions)`.

    The nearer of two positions decides if either is a gap, or for a category.
    """
    left = np.floor(places).astype(int)
    right = np.minimum(left + 1, values.shape[1] - 1)
    share = (places - left)[..., None]
    left, right = (np.take_along_axis(values, at[..., None], axis=1) for at in (left, right))
    nearer = np.where(share < 0.5, left, right)
    told = left + share * (right - left)
    return np.where(np.isnan(told) | category, nearer, told)
