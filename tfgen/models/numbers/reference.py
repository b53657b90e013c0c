"""`Reference`: from where, and in which unit, a head tells the numbers of a position."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.normal_features import put


class _Shares(keras.layers.Layer):
    """The sum over lags of each number times a weight of its own."""

    def __init__(self, initial, **kwargs):
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, input_shape):
        initial = np.broadcast_to(np.float32(self.initial)[:, None], input_shape[-2:])
        self.shares = self.add_weight(
            shape=initial.shape, initializer=lambda *_, **__: tf.constant(initial), name="shares"
        )
        self.built = True

    def call(self, numbers):
        return tf.reduce_sum(numbers * self.shares, axis=-2)


class _Residual(keras.layers.Layer):
    """What an autoregression leaves of each number: its mean, 0 at first, and the standard
    deviation about that, 1 until it is fitted to data."""

    def build(self, input_shape):
        shape = input_shape[-1:]
        self.drift = self.add_weight(shape=shape, initializer="zeros", name="drift")
        self.spread = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="spread"
        )
        self.built = True

    def call(self, origin, unit):
        return origin + self.drift, unit * self.spread


class Reference:
    """Origin and unit of what a head tells, given what stands before a position.

    With `linear_skip`, a head tells the departure from a linear autoregression on what is read: a
    linear map of the position before, at first the identity, and of each number a share of its own
    value at each lag and at the position before that, at first nothing. It is told in units of
    what the autoregression leaves unexplained, see `tfgen.models.numbers.least_squares`. A season adds the value one
    season before and takes away the one before that: the start is then the seasonal random walk
    `x[t-1] + x[t-s] - x[t-s-1]` (Box & Jenkins, Time Series Analysis, ch. 9), or, without
    `linear_skip`, the season before. A value that is not known is taken to be that of the next
    shorter lag, or else of the next longer one. Positions that are patches have all that for each
    of their numbers.

    Args:
        reading: `Reading`.
        linear_skip: As of `NumberEmission`.

    Attributes:
        linear, lagged, residual: The layers, or None.
    """

    def __init__(self, reading, linear_skip):
        self.reading = reading
        lags, numbers = reading.lags, reading.positions.numbers
        self.linear = self.lagged = self.residual = None
        if linear_skip and numbers:
            self.linear = keras.layers.Dense(
                numbers,
                use_bias=False,
                kernel_initializer="identity",
                dtype="float32",
                name="linear_skip",
            )
            self.residual = _Residual(dtype="float32", name="residual")
        if numbers and lags.all and (linear_skip or lags.season):
            earlier = lags.season + lags.patch if linear_skip and lags.season else None
            initial = [int(lag == lags.season) - int(lag == earlier) for lag in lags.all]
            self.lagged = _Shares(initial, dtype="float32", name="lagged_skip")

    def build(self):
        """Makes the weights."""
        numbers = self.reading.positions.numbers
        if self.linear is not None:
            self.linear.build((None, None, numbers))
            self.residual.build((None, None, numbers))
        if self.lagged is not None:
            self.lagged.build((None, None, len(self.reading.lags.all), numbers))

    def __call__(self, past, scale):
        """Origin and unit `(..., numbers or 1)` in scaled units, after a `Past`."""
        unit = self.reading.unit(self.reading.scaled(past.previous, scale))
        if self.linear is None and self.lagged is None:
            return 0.0, unit
        known, _ = self.known(past, scale)
        turning = self.reading.positions.circular
        before, lagged = known[..., 0, :], known[..., 1:, :]
        origin, angles = 0.0, before
        if self.linear is not None:
            if turning:
                before = put(before, turning, tf.zeros_like(tf.gather(before, turning, axis=-1)))
            origin, unit = self.residual(self.linear(before), unit)
        if self.lagged is not None:
            origin += self.lagged(lagged)
        if turning:  # an angle departs from one that was
            lags = self.reading.lags
            if lags.season:
                angles = lagged[..., lags.all.index(lags.season), :]
            origin = put(origin, turning, tf.gather(angles, turning, axis=-1))
        return origin, unit

    def known(self, past, scale):
        """Scaled numbers of the position before and at each lag, `(..., 1 + lags, numbers)`.

        Returns:
            Them without missing values, 0 where none is known, and bool: which are known.
        """
        values = [self.reading.scaled(past.previous, scale)]
        values += [
            self.reading.scaled(self.reading.at(past, lag), scale) for lag in self.reading.lags.all
        ]
        there = [~tf.math.is_nan(value) for value in values]
        filled = list(values)
        for order in (range(1, len(values)), range(len(values) - 2, -1, -1)):
            for number in order:
                other = filled[number - order.step]
                filled[number] = tf.where(tf.math.is_nan(filled[number]), other, filled[number])
        # No NaN may reach a weight: its gradient would be one.
        filled = [tf.where(tf.math.is_nan(value), 0.0, value) for value in filled]
        return tf.stack(filled, axis=-2), tf.stack(there, axis=-2)
