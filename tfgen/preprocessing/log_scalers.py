"""Scalers that bend: mu-law companding and log1p."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.preprocessing.scaler import (
    MAX_EXPONENT,
    TINY,
    Scaler,
    as_finite,
    as_float,
    finite_numbers,
    keep_missing,
)


@keras.saving.register_keras_serializable(package="tfgen")
class MuLawScaler(Scaler):
    """Companding of sound: fine steps near silence, coarse ones near the peak.

    With `x = value / peak` the scaled value is `sign(x) log(1 + mu |x|) / log(1 + mu)` (ITU-T
    G.711; mu = 255 for 256 levels, as in WaveNet, arXiv:1609.03499, section 2.2). Values beyond the
    peak go outside [-1, 1] by the same formula.

    Args:
        mu: Number above 0.
        peak: The greatest absolute value of each column; None until `adapt` has found them.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If an argument is no such number.
    """

    limited = True

    def __init__(self, mu=255, peak=None, **kwargs):
        super().__init__(**kwargs)
        if as_finite(mu) is None or mu < 1e-3:
            raise ValueError(f"mu must be a number from 0.001 on. Received: mu={mu!r}")
        self.mu = mu
        self._set(peak)

    def _set(self, peak):
        self.peak = finite_numbers("peak", peak, positive=True)

    def _fit(self, columns, names):
        peaks = [float(np.abs(column).max()) for column in columns]
        self._set([peak if peak >= TINY else 1.0 for peak in peaks])

    def check_width(self, width):
        if len(self.peak or ()) != width:
            raise ValueError(
                f"peak must have a number for each of {width} columns. Received: peak={self.peak}"
            )

    def _peak(self):
        if self.peak is None:
            raise ValueError("MuLawScaler has no constants yet: call adapt first")
        return tf.constant(self.peak, tf.float32)

    def call(self, values, scale=None):
        shares = as_float(values) / self._peak()
        return tf.sign(shares) * tf.math.log1p(self.mu * tf.abs(shares)) / math.log1p(self.mu)

    def inverse(self, scaled, scale=None):
        scaled = as_float(scaled)
        exponent = tf.minimum(tf.abs(scaled) * math.log1p(self.mu), MAX_EXPONENT)
        return tf.sign(scaled) * tf.math.expm1(exponent) / self.mu * self._peak()

    def log_slope(self, values, scale=None):
        values, peak = as_float(values), self._peak()
        constant = math.log(self.mu) - math.log(math.log1p(self.mu))
        return constant - tf.math.log1p(self.mu * tf.abs(values / peak)) - tf.math.log(peak)

    def get_config(self):
        peak = None if self.peak is None else list(self.peak)
        return {**super().get_config(), "mu": self.mu, "peak": peak}


@keras.saving.register_keras_serializable(package="tfgen")
class Log1pScaler(Scaler):
    """`log(1 + value)` of some columns, for those with a long tail to the right; leaves the others.

    Args:
        columns: Numbers of the columns, from 0.
        **kwargs: `name` and the like of a Keras layer.

    Raises:
        ValueError: If the columns are no different integers from 0 on.
    """

    def __init__(self, columns=(), **kwargs):
        super().__init__(**kwargs)
        whole = isinstance(columns, (list, tuple)) and all(
            type(column) is int and column >= 0 for column in columns
        )
        if not whole or len(set(columns)) != len(columns):
            raise ValueError(
                f"columns must be different integers from 0 on. Received: columns={columns!r}"
            )
        self.columns = tuple(columns)

    def adapt(self, values, names=None):
        super().adapt(values, names)
        values = np.asarray(values)
        self.check_width(values.shape[1])
        self.check_values(values, names or range(values.shape[1]))
        return self

    def check_values(self, values, names):
        for number in self.columns:
            least = np.nanmin(values[:, number], initial=np.inf)
            if least <= -1:
                raise InputError(
                    f"Column '{names[number]}' cannot go through log1p, which takes numbers above "
                    f"-1. Received: {names[number]}={least:g}"
                )

    def check_width(self, width):
        if max(self.columns, default=-1) >= width:
            raise ValueError(
                f"columns must be less than {width}, their number. Received: columns={self.columns}"
            )

    def _chosen(self, values):
        chosen = np.zeros([values.shape[-1]], bool)
        chosen[list(self.columns)] = True
        return chosen  # (columns,)

    def call(self, values, scale=None):
        values = as_float(values)
        chosen = self._chosen(values)
        # Where the other branch is taken, its gradient must be finite: 0 * inf is NaN.
        return tf.where(chosen, tf.math.log1p(tf.where(chosen, values, 0.0)), values)

    def inverse(self, scaled, scale=None):
        scaled = as_float(scaled)
        chosen = self._chosen(scaled)
        exponent = tf.where(chosen, tf.minimum(scaled, MAX_EXPONENT), 0.0)
        return tf.where(chosen, tf.math.expm1(exponent), scaled)

    def log_slope(self, values, scale=None):
        values = as_float(values)
        chosen = tf.where(self._chosen(values), values, 0.0)
        return keep_missing(values, -tf.math.log1p(chosen))

    def scaled_bounds(self, low, high):
        # No value is at -1 or below: a lower bound there is none.
        chosen = self._chosen(low)
        return self.call(tf.where(chosen, tf.maximum(low, -1.0), low)), self.call(high)

    def scaled_scale(self, scale):
        # Above the mean of the absolute logarithms (Jensen), and of the same order.
        return self.call(scale)

    def get_config(self):
        return {**super().get_config(), "columns": list(self.columns)}
