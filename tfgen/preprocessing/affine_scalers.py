"""Scalers that shift and stretch: standard, min-max and robust."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.preprocessing.scaler import (
    TINY,
    Scaler,
    as_finite,
    as_float,
    finite_numbers,
    keep_missing,
)


class AffineScaler(Scaler):
    """Two numbers a column, of which the subclass says what they are and what they do."""

    # The names of the two arguments, and whether the second is a divisor.
    arguments = ()
    divides = True

    def _set(self, first, second):
        self._constants = None
        for name, values in zip(self.arguments, (first, second)):
            positive = self.divides and name == self.arguments[1]
            setattr(self, name, finite_numbers(name, values, positive=positive))
        first, second = (getattr(self, name) for name in self.arguments)
        if first is None and second is None:
            return
        if first is None or second is None or len(first) != len(second):
            names = " and ".join(self.arguments)
            raise ValueError(
                f"{names} must be as many. "
                f"Received: {self.arguments[0]}={first}, {self.arguments[1]}={second}"
            )
        self._constants = np.array([first, second], np.float32)  # (2, columns)

    def _fit(self, columns, names):
        pairs = []
        for name, column in zip(names, columns):
            pair = self._statistics(column)
            if None in map(as_finite, pair):
                raise InputError(f"Column '{name}' has values too large for float32 to scale")
            pairs.append(pair)
        first, second = zip(*pairs) if pairs else ((), ())
        self._set(first, second)

    def _statistics(self, column):
        raise NotImplementedError

    def check_width(self, width):
        width_of_it = 0 if self._constants is None else self._constants.shape[1]
        if width_of_it != width:
            raise ValueError(
                f"{self.arguments[0]} must have a number for each of {width} columns. "
                f"Received: {self.arguments[0]}={getattr(self, self.arguments[0])}"
            )

    def _pair(self):
        if self._constants is None:
            raise ValueError(f"{type(self).__name__} has no constants yet: call adapt first")
        return tf.constant(self._constants[0]), tf.constant(self._constants[1])

    def call(self, values, scale=None):
        center, width = self._pair()
        values = tf.convert_to_tensor(values)
        if values.dtype == tf.float64:
            # What float32 would lose is gone from large values once they are centred.
            exact = [np.array(getattr(self, name), np.float64) for name in self.arguments]
            return as_float((values - exact[0]) / exact[1])
        return (as_float(values) - center) / width

    def inverse(self, scaled, scale=None):
        center, width = self._pair()
        return as_float(scaled) * width + center

    def log_slope(self, values, scale=None):
        _, width = self._pair()
        return keep_missing(as_float(values), -tf.math.log(width))

    def get_config(self):
        config = super().get_config()
        for name in self.arguments:
            values = getattr(self, name)
            config[name] = None if values is None else list(values)
        return config


@keras.saving.register_keras_serializable(package="tfgen")
class StandardScaler(AffineScaler):
    """Subtracts the mean and divides by the standard deviation (that of the population).

    A constant column is divided by 1.

    Args:
        mean: A number for each column; None until `adapt` has found them.
        std: Likewise, above 0.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If they are no such numbers, or not as many.
    """

    arguments = ("mean", "std")

    def __init__(self, mean=None, std=None, **kwargs):
        super().__init__(**kwargs)
        self._set(mean, std)

    def _statistics(self, column):
        return _center(column, np.mean), _spread(column, np.std(column))


@keras.saving.register_keras_serializable(package="tfgen")
class RobustScaler(AffineScaler):
    """Subtracts the median and divides by the distance from the first to the third quartile.

    Outliers move neither. Where more than half of the values are equal, as of rain, that distance
    may be 0: the standard deviation is taken for it, and 1 for a constant column.

    Args:
        median: A number for each column; None until `adapt` has found them.
        iqr: The interquartile ranges, likewise, above 0.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If they are no such numbers, or not as many.
    """

    arguments = ("median", "iqr")

    def __init__(self, median=None, iqr=None, **kwargs):
        super().__init__(**kwargs)
        self._set(median, iqr)

    def _statistics(self, column):
        first, third = np.quantile(column, [0.25, 0.75])
        width = third - first if third - first >= TINY else np.std(column)
        return _center(column, np.median), _spread(column, width)


@keras.saving.register_keras_serializable(package="tfgen")
class MinMaxScaler(AffineScaler):
    """Maps the least value of the data to -1 and the greatest to 1, both exactly, there and back.

    A constant column is shifted to 0 and not stretched. Values outside go outside.

    Args:
        minimum: A number for each column; None until `adapt` has found them.
        maximum: Likewise, none below its minimum.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If they are no such numbers, or not as many, or in the wrong order.
    """

    arguments = ("minimum", "maximum")
    divides = False

    limited = True

    def __init__(self, minimum=None, maximum=None, **kwargs):
        super().__init__(**kwargs)
        self._set(minimum, maximum)

    def _set(self, first, second):
        super()._set(first, second)
        self._range = None
        if self._constants is None:
            return
        if (self._constants[0] > self._constants[1]).any():
            raise ValueError(
                "minimum must not be above maximum. "
                f"Received: minimum={self.minimum}, maximum={self.maximum}"
            )
        with np.errstate(over="ignore"):
            difference = self._constants[1] - self._constants[0]  # (columns,)
        if not np.isfinite(difference).all():
            raise InputError(
                "The values of a column lie too far apart for float32. "
                f"Received: minimum={self.minimum}, maximum={self.maximum}"
            )
        self._constant = difference < TINY
        self._range = np.where(self._constant, np.float32(1), difference)

    def _statistics(self, column):
        return float(column.min()), float(column.max())

    def call(self, values, scale=None):
        # Measured from the nearer end, so that either end comes out exactly, also where a compiler
        # multiplies by the reciprocal instead of dividing.
        low, high = self._pair()
        values = as_float(values)
        above, below = values - low, high - values
        near = tf.where(above < below, above / self._range * 2 - 1, 1 - below / self._range * 2)
        return tf.where(self._constant, above, near)

    def inverse(self, scaled, scale=None):
        low, high = self._pair()
        scaled = as_float(scaled)
        from_low = low + (scaled + 1) / 2 * self._range
        from_high = high - (1 - scaled) / 2 * self._range
        return tf.where(self._constant, low + scaled, tf.where(scaled < 0, from_low, from_high))

    def log_slope(self, values, scale=None):
        slope = np.where(self._constant, 0.0, math.log(2) - np.log(self._range, dtype=np.float64))
        return keep_missing(as_float(values), tf.constant(slope, tf.float32))


def _center(column, statistic):
    # The mean of equal numbers need not be that number, by rounding.
    return float(column[0] if column.min() == column.max() else statistic(column))


def _spread(column, width):
    return 1.0 if column.min() == column.max() or width < TINY else float(width)
