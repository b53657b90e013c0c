"""`Reference`: from where, and in which unit, a head tells the numbers of a position."""

import keras
import tensorflow as tf

from tfgen.layers.normal_features import put


class _Shares(keras.layers.Layer):
    """Each number times a weight of its own, 1 at first."""

    def build(self, input_shape):
        self.shares = self.add_weight(shape=input_shape[-1:], initializer="ones", name="shares")
        self.built = True

    def call(self, numbers):
        return numbers * self.shares


class Reference:
    """Origin and unit of what a head tells, given what stands before a position.

    With a season, what a head tells is the departure from a share of the value a season before,
    a share for each number that is 1 at first; with a linear skip, from a linear map of the
    position before, at first the identity. With both, the linear map is of the departure of the
    position before from its own season: a seasonal autoregression (Box & Jenkins, Time Series
    Analysis, ch. 9). Where the season before is not known, there is the linear skip alone.
    Positions that are patches have all that for each of their numbers.

    Args:
        reading: `Reading`.
        linear_skip: As of `NumberEmission`.

    Attributes:
        linear, seasonal: The layers, or None.
    """

    def __init__(self, reading, linear_skip):
        self.reading = reading
        self.season = reading.lags.season
        numbers = reading.positions.numbers
        self.linear = self.seasonal = None
        if linear_skip and numbers:
            self.linear = keras.layers.Dense(
                numbers,
                use_bias=False,
                kernel_initializer="identity",
                dtype="float32",
                name="linear_skip",
            )
        if self.season and numbers:
            self.seasonal = _Shares(dtype="float32", name="seasonal_skip")

    def build(self):
        """Makes the weights."""
        for layer in (self.linear, self.seasonal):
            if layer is not None:
                layer.build((None, None, self.reading.positions.numbers))

    def __call__(self, past, scale):
        """Origin `(..., numbers)` and unit `(..., 1)` in scaled units, after a `Past`."""
        previous = self.reading.scaled(past.previous, scale)
        unit = self.reading.unit(previous)
        before = tf.where(tf.math.is_nan(previous), 0.0, previous)
        turning = self.reading.positions.circular
        origin, angles = 0.0, before if self.linear is not None else tf.zeros_like(before)
        season = known = None
        if self.seasonal is not None:
            season = self.reading.scaled(self.reading.at(past, self.season), scale)
            known = ~tf.math.is_nan(season)
            season = tf.where(known, season, 0.0)
            angles = tf.where(known, season, angles)
        if self.linear is not None:
            if season is not None:
                earlier = self.reading.scaled(
                    self.reading.at(past, self.season + self.reading.lags.patch), scale
                )
                # No NaN may reach a weight: its gradient would be one.
                there = ~tf.math.is_nan(previous) & ~tf.math.is_nan(earlier)
                departure = before - self.seasonal(tf.where(there, earlier, 0.0))
                before = tf.where(known, tf.where(there, departure, 0.0), before)
            if turning:
                before = put(before, turning, tf.zeros_like(tf.gather(before, turning, axis=-1)))
            origin = self.linear(before)
        if season is not None:
            origin += self.seasonal(season)
        if turning and (self.linear is not None or season is not None):
            # An angle departs from one that was.
            origin = put(origin, turning, tf.gather(angles, turning, axis=-1))
        return origin, unit
