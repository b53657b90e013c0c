"""`Scaler`: what every scaler of numbers does."""

import math
import numbers

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError

# Nothing is divided by less: float32 has no normal number below, and XLA takes such ones as 0.
TINY = float(np.finfo(np.float32).tiny)
# exp of it is the greatest float32 but for rounding. Inverses stop there, rather than at infinity.
MAX_EXPONENT = 88.7


class Scaler(keras.layers.Layer):
    """Turns numbers of the data's units into numbers that a network learns well from, and back.

    A scaler is a one-to-one function of each column (the last axis). Its constants are numbers in
    its configuration, so a SavedModel holds it without any variable. NaN, a missing value, stays
    NaN. All is float32 but for `adapt`, which counts in float64: the variance of a pressure of
    1013 +- 7 would be wrong in float32.

    Attributes:
        needs_scale: Whether `scale`, the scale of each series, has to be handed in at every call.
        limited: Whether the data it was fitted to lie in [-1, 1] once scaled, as a quantised head
            needs.
    """

    needs_scale = False
    statistic = "mean"  # of the absolute values of a series: what that scale is
    limited = False

    # Whether scaled numbers are mixtures of columns, no longer one of each.
    mixes = False

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", trainable=False, **kwargs)
        self.built = True

    def adapt(self, values, names=None):
        """Fits the constants to data.

        Args:
            values: Array `(positions, columns)`; NaN is missing.
            names: What the columns are called in messages; None numbers them.

        Returns:
            The scaler.

        Raises:
            InputError: If a column has no observed value, or an infinite one.
        """
        values = np.asarray(values)
        if values.ndim != 2:
            raise ValueError(f"values must be (positions, columns). Received: shape={values.shape}")
        names = list(range(values.shape[1])) if names is None else list(names)
        self._fit(observed_columns(values, names), names)
        return self

    def _fit(self, columns, names):
        """Sets the constants from a list of float64 arrays of the observed values."""

    def check_values(self, values, names):
        """Raises InputError if an array `(positions, columns)` holds what cannot be scaled."""

    def check_width(self, width):
        """Raises ValueError unless the scaler fits so many columns."""

    def __call__(self, values, scale=None, **kwargs):
        # Keras refuses a list of numbers before `call` sees it.
        lists = (list, tuple)
        values = np.asarray(values, np.float32) if isinstance(values, lists) else values
        scale = np.asarray(scale, np.float32) if isinstance(scale, lists) else scale
        return super().__call__(values, scale=scale, **kwargs)

    def call(self, values, scale=None):
        """Scaled values.

        Args:
            values: Float tensor `(..., columns)`.
            scale: Float tensor `(batch, columns)`, the batch being the first axis of the values:
                the mean (or `statistic`) absolute value of each series, in the units of `values`.
        """
        raise NotImplementedError

    def inverse(self, scaled, scale=None):
        """The values of scaled ones, as `call` takes and gives them."""
        raise NotImplementedError

    def log_slope(self, values, scale=None):
        """`log |d scaled / d value|` at each of the values, NaN where a value is.

        A density of scaled values, times the exponential of it, is one in the data's units.
        """
        raise NotImplementedError

    def scaled_bounds(self, low, high):
        """What `call` makes of bounds `(columns,)`, which may be infinite."""
        return self.call(low), self.call(high)

    def scaled_scale(self, scale):
        """The scale of series whose values went through this scaler; None if it cannot be told."""
        return None

    def get_config(self):
        return {"name": self.name}


def observed_columns(values, names):
    """Returns what is observed of each column, as a list of float64 arrays.

    Raises:
        InputError: If a column has no observed value, or an infinite one.
    """
    columns = []
    for name, column in zip(names, values.T, strict=True):
        column = column[~np.isnan(column)].astype(np.float64)
        if not len(column):
            raise InputError(f"Column '{name}' has no value in the training data: leave it out")
        if not np.isfinite(column).all():
            raise InputError(f"Column '{name}' holds an infinite value, which cannot be scaled")
        columns.append(column)
    return columns


def as_float(values):
    """The values as a float32 tensor."""
    return tf.cast(tf.convert_to_tensor(values), tf.float32)


def keep_missing(values, result):
    """The result, broadcast to the values, and NaN where a value is."""
    return tf.where(tf.math.is_nan(values), values, result + tf.zeros_like(values))


def align(scale, values):
    """A scale `(batch, columns)` with axes of 1 put in, to go with values `(batch, ..., columns)`.

    A series that has nothing but zeros, or nothing at all, has no scale: 1 is taken.
    """
    scale = as_float(scale)
    batch, columns = scale.shape[0], scale.shape[-1]
    middle = [1] * (values.shape.rank - scale.shape.rank)
    batch = tf.shape(scale)[0] if batch is None else batch
    if scale.shape.rank == 2:
        scale = tf.reshape(scale, [batch, *middle, columns])
    return tf.where((scale >= TINY) & tf.math.is_finite(scale), scale, 1.0)


def series_scale(numbers, statistic):
    """`tfgen.data.series_scales.series_scale` of a tensor `(batch, time, numbers)`, float32."""
    observed = ~tf.math.is_nan(numbers)
    sizes = tf.abs(numbers)
    total = tf.reduce_sum(tf.where(observed, sizes, 0.0), axis=1)
    count = tf.reduce_sum(tf.cast(observed, tf.float32), axis=1)
    scale = total / tf.maximum(count, 1.0)
    if statistic == "median":
        ordered = tf.sort(tf.where(observed, sizes, np.inf), axis=1)
        # One more, so that there is something to take where there is no position.
        ordered = tf.pad(ordered, [[0, 0], [0, 1], [0, 0]])
        last = tf.maximum(tf.cast(count, tf.int32) - 1, 0)
        places = tf.stack([last // 2, (last + 1) // 2], axis=-1)  # (batch, numbers, 2)
        ordered = tf.transpose(ordered, [0, 2, 1])
        middle = tf.reduce_mean(tf.gather(ordered, places, batch_dims=2), axis=-1)
        scale = tf.where((count > 0) & (middle > TINY), middle, scale)
    return tf.where(scale >= TINY, scale, 1.0)


def finite_numbers(name, values, positive=False):
    """Checks a list of numbers; returns a tuple of floats, or None for None.

    Raises:
        ValueError: If it is no list of finite numbers, or not all of them are above 0 and are to.
    """
    if values is None:
        return None
    rule = f"{name} must be a list of finite numbers{' above 0' if positive else ''}"
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise ValueError(f"{rule}. Received: {name}={values!r}")
    checked = []
    for value in values:
        number = as_finite(value)
        if number is None or (positive and number < TINY):
            raise ValueError(f"{rule}. Received: {name} with {value!r}")
        checked.append(number)
    return tuple(checked)


def as_finite(value):
    """The number as a float, or None unless it is a number that float32 has."""
    if not isinstance(value, numbers.Real) or isinstance(value, (bool, np.bool_)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    greatest = float(np.finfo(np.float32).max)
    return number if math.isfinite(number) and abs(number) <= greatest else None
