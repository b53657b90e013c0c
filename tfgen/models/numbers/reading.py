"""`Reading`: what a network reads of a position of numbers: what stands before it."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.checks import check, check_of_use, check_whole, is_int
from tfgen.layers.normal_features import put

AUTO = "auto"
MOST_LAG = 10_000  # more than the hours of a year
_MOST_REPEATED = 400  # the furthest that a season is read once more


class Past(NamedTuple):
    """What stands before positions, in the data's units; NaN is missing.

    Attributes:
        previous: float32 `(..., width)`, the values of the position before.
        first: bool `(...)`: whether there is no position before.
        lagged: float32 `(..., lags, width)`, the values of those so many positions before.
    """

    previous: Any
    first: Any
    lagged: Any


class Lags(NamedTuple):
    """Which positions are looked up besides the one before.

    Attributes:
        read: Tuple of integers, ascending: how many positions before those stand that are read.
        season: The one of them that a head tells the departure from; 0 is none.
        all: `read`, and what a linear skip has besides: the position before each of them.
        patch: Samples of a position, each of which has its own lagged values: of lags shorter than
            that, the value as many lags before as it takes to be before the position.
    """

    read: tuple[int, ...]
    season: int
    all: tuple[int, ...]
    patch: int = 1

    @classmethod
    def of(cls, processor, lags=(), seasonal_skip=0, linear_skip=False, frame=1):
        """Those of the arguments of a `NumberEmission`, checked.

        Raises:
            ValueError: For a lag out of range, or `"auto"` where the seasons are not known.
        """
        check_whole(1, frame=frame)
        for name, value in {"lags": lags, "seasonal_skip": seasonal_skip}.items():
            rule = f"{name}='auto' is for a processor that was fitted with seasons=True"
            automatic = isinstance(value, str) and value == AUTO
            check(not automatic or processor.seasons is not None, rule, **{name: value})
        found = [lag for lag in processor.seasons or () if lag < MOST_LAG]
        given = seasonal_skip
        season = (found or [0])[0] if given == AUTO else given
        rule = f"seasonal_skip must be an integer from 0 to {MOST_LAG:,}, or 'auto'"
        check(is_int(season) and 0 <= season <= MOST_LAG, rule, seasonal_skip=given)
        read = lags
        if isinstance(lags, str) and lags == AUTO:
            # A season is known the better the more often it was seen.
            most = min((processor.length or 0) // 4, _MOST_REPEATED)
            again = [times * lag for lag in found for times in (2, 3) if times * lag <= most]
            read = sorted({2, *found, *again})
        listed = isinstance(read, (list, tuple))
        fits = listed and all(is_int(lag) and 1 <= lag <= MOST_LAG for lag in read)
        check(fits, f"lags must be a list of integers from 1 to {MOST_LAG:,}, or 'auto'", lags=lags)
        series = processor.kind == "series"
        check_of_use(series, "series", [], lags=[*read])
        check_of_use(series, "series", 0, seasonal_skip=season)
        read = tuple(sorted({*read, *([season] if season else [])}))
        skipped = {lag + frame for lag in read} if linear_skip else ()
        every = tuple(sorted({*read, *skipped}))
        return cls(read, season, every, frame if every else 1)

    @property
    def span(self):
        """How many positions back the furthest lag reaches; 0 without any."""
        return -(-max(self.all, default=0) // self.patch)

    @property
    def history(self):
        """How many samples before a window are of use."""
        return self.span * self.patch

    @property
    def places(self):
        """Where the lagged samples `(lags, patch)` of a position are, counted from its first."""
        samples, lags = np.arange(self.patch), np.array(self.all, int)[:, None]
        return (samples - lags * (samples // lags + 1)).astype(np.int32)


class Reading:
    """What a network reads of positions: values before them, what is known, what is of the whole.

    Args:
        context: A `SequenceContext`.
        lags: `Lags`.
        local_scale: As of `NumberEmission`.
    """

    def __init__(self, context, lags, local_scale=0.0):
        self.context = context
        self.positions = context.positions
        self.lags = lags
        self.span = lags.span
        self.local_scale = local_scale

    @property
    def width(self):
        """Features of what a network reads of a position."""
        processor, numbers = self.positions.processor, self.positions.numbers
        levels, turning = sum(processor.levels), len(self.positions.circular)
        width = numbers * (2 if self.tells_missing else 1) + turning + levels
        if self.local_scale and processor.num_numbers:
            width += numbers + 1
        width += len(self.lags.read) * (2 * numbers + turning + levels)
        return width + 1 + self.positions.covariate_width + self.context.width

    @property
    def tells_missing(self):
        """Whether what is missing of the position before is told: a first patch may lack much."""
        return self.positions.processor.has_missing or self.positions.patch > 1

    def features(self, past, covariates, whole, scale):
        """What a network reads of positions, float32 `(..., width)`; see `NumberEmission.inputs`."""
        processor = self.positions.processor
        parts, unit = [], 1.0
        if processor.num_numbers:
            scaled = self.scaled(past.previous, scale)
            unit = self.unit(scaled)
            observed = ~tf.math.is_nan(scaled)
            cosines, scaled = self._straight(scaled, observed)
            parts += [*cosines, scaled / unit]
            if self.local_scale:
                # The same by orders of magnitude, 1 for a number of size 1 and for a unit of 1.
                range_of_sizes = np.arcsinh(1 / self.local_scale)
                parts.append(tf.asinh(scaled / self.local_scale) / range_of_sizes)
                parts.append(tf.asinh(unit / self.local_scale) / range_of_sizes)
            if self.tells_missing:
                parts.append(tf.cast(observed, tf.float32))
        parts += self._levels(past.previous)
        for lag in self.lags.read:
            values = self.at(past, lag)
            if processor.num_numbers:
                scaled = self.scaled(values, scale)
                observed = ~tf.math.is_nan(scaled)
                cosines, scaled = self._straight(scaled, observed)
                parts += [*cosines, scaled / unit, tf.cast(observed, tf.float32)]
            parts += self._levels(values)
        parts.append(tf.cast(past.first, tf.float32)[..., None])
        return tf.concat([*parts, covariates, whole], axis=-1)

    def _straight(self, scaled, observed):
        """A list of the cosines of angles, and the rest with their sines; 0 where missing."""
        turning = self.positions.circular
        scaled = tf.where(observed, scaled, 0.0)
        if not turning:
            return [], scaled
        angles = tf.gather(scaled, turning, axis=-1)
        there = tf.gather(tf.cast(observed, tf.float32), turning, axis=-1)
        return [tf.cos(angles) * there], put(scaled, turning, tf.sin(angles))

    def _levels(self, values):
        """The categories of values, one-hot; zeros where they are missing."""
        processor = self.positions.processor
        chosen = processor.categories(values)
        if len(processor.levels) > 1 and len(set(processor.levels)) == 1:
            each = tf.one_hot(chosen, processor.levels[0])  # (..., categories, levels)
            width = sum(processor.levels)
            row = tf.reshape(each, tf.concat([tf.shape(chosen)[:-1], [width]], axis=0))
            return [tf.ensure_shape(row, [*chosen.shape[:-1], width])]
        return [tf.one_hot(chosen[..., n], count) for n, count in enumerate(processor.levels)]

    def scaled(self, values, scale):
        """The numbers of values as networks and heads know them; NaN is missing."""
        return self.positions.scaled(self.positions.processor.numbers(values), scale)

    def unit(self, scaled):
        """What numbers are told in after a position, `(..., 1)`; 1 without `local_scale`."""
        if not self.local_scale:
            return tf.ones([])
        observed = ~tf.math.is_nan(scaled)
        count = tf.reduce_sum(tf.cast(observed, tf.float32), axis=-1, keepdims=True)
        squares = tf.reduce_sum(tf.where(observed, tf.square(scaled), 0.0), axis=-1, keepdims=True)
        unit = tf.sqrt(tf.math.divide_no_nan(squares, count) + self.local_scale**2)
        return tf.where(count > 0, unit, 1.0)

    def at(self, past, lag):
        """The values `(..., width)` so many positions before."""
        return past.lagged[..., self.lags.all.index(lag), :]

    # Where the past comes from: of a batch, or in a loop from step to step

    def before(self, batch):
        """The `Past` of every position of a batch of `Positions`: `(batch, time, ...)`.

        It is of `shown` in place of `values`, if there is that.
        """
        values, width = batch.get("shown", batch["values"]), self.positions.width
        rows, time = tf.unstack(tf.shape(values)[:2])
        begins = tf.ones([rows], tf.bool)
        parts, known = [values], 0
        if "first" in batch:  # windows of whole things may begin in their middle
            begins = batch["first"]
            # With lags there is more than the one position.
            there = batch["history"] if "history" in batch else batch["previous"][:, None]
            parts, known = [there, values], there.shape[1]
        missing = max(self.span, 1) - known
        if missing > 0:
            parts = [tf.fill([rows, missing, width], np.float32(np.nan)), *parts]
        values, begin = tf.concat(parts, axis=1), known + max(missing, 0)

        def back(lag):
            return values[:, begin - lag : begin - lag + time]

        if self.positions.patch > 1:
            begins_at = (begin + tf.range(time))[:, None] * self.positions.patch
            samples = self.positions.samples(values)
            lagged = [
                self.positions.joined(
                    tf.gather(samples, tf.reshape(begins_at + places, [-1]), axis=1)
                )
                for places in self.lags.places
            ]
        else:
            lagged = [back(lag) for lag in self.lags.all]
        lagged = tf.stack(lagged, axis=2) if lagged else tf.zeros([rows, time, 0, width])
        return Past(back(1), (tf.range(time)[None] == 0) & begins[:, None], lagged)

    def held(self, rows, values=None, lengths=None):
        """What a loop holds of the past for `step`, before the position after series, or a first.

        Args:
            rows: Number of them.
            values: float32 `(rows, time, width)`; None is nothing.
            lengths: int32 `(rows,)`.

        Returns:
            The last `span` values, float32 `(rows, span, width)`, and the place in them of the
            position to come, int32 `(rows,)`, the same for all; an empty tuple without lags.
        """
        if not self.span:
            return ()
        found = tf.fill([rows, self.span, self.positions.width], np.float32(np.nan))
        if values is not None:
            index = lengths[:, None] - self.span + tf.range(self.span)
            values = tf.gather(values, tf.maximum(index, 0), batch_dims=1)
            found = tf.where(index[..., None] >= 0, values, found)
        return found, tf.zeros([rows], tf.int32)

    def step(self, held, previous, first):
        """The `Past` of the position to come `(rows, ...)`, and what is held for the one after."""
        if not self.span:
            return Past(previous, first, tf.zeros([tf.shape(previous)[0], 0, 1])), held
        values, place = held
        now = tf.gather(place, 0)
        # The position before is as far back as the lag 1 says; it takes the place of the oldest.
        slot = tf.math.floormod(now - 1, self.span)
        values = keras.ops.slice_update(values, [0, slot, 0], previous[:, None])
        # So many positions before, and which of the samples there.
        back, sample = np.divmod(self.lags.places, self.positions.patch)
        places = tf.math.floormod(now + back, self.span) * self.positions.patch + sample
        samples = self.positions.samples(values)
        lagged = tf.gather(samples, tf.reshape(places, [-1]), axis=1)
        lagged = tf.reshape(lagged, [-1, len(self.lags.all), self.positions.width])
        return Past(previous, first, lagged), (values, tf.math.floormod(place + 1, self.span))
