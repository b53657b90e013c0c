"""`NegativeBinomialHead`: counts, such as what is sold of a thing in a day."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.checks import check_flag
from tfgen.layers.count_draws import GAMMA_TRIES, POISSON_UNIFORMS, gamma, poisson
from tfgen.layers.distribution_head import (
    DistributionHead,
    draw,
    inverse_softplus,
    noise_scale,
    softplus,
)

# Of a dispersion: below it, counts are told from Poisson's by no data.
_LEAST = 1e-6
_GREATEST = 2.0**24  # up to which float32 has all whole numbers


class Counts(NamedTuple):
    """Counts as they were recorded, and the size of the series they are from.

    Attributes:
        numbers: float32 `(..., features)`, whole numbers from 0.
        unit: Float, broadcast against them: the mean of the series.
    """

    numbers: Any
    unit: Any = 1.0


@keras.saving.register_keras_serializable(package="tfgen")
class NegativeBinomialHead(DistributionHead):
    """A negative binomial distribution for each feature, independent of the others: counts.

    As in DeepAR (Salinas et al., arXiv:1704.04110, section 3.1): the mean is unit * softplus and
    the dispersion softplus / sqrt(unit), where the unit is the mean of the series; the variance is
    mean + dispersion * mean ** 2. With `zero_inflated`, a count is 0 with a probability of its own
    and negative binomial otherwise: demand that comes now and then.

    The call gives `means` in units of the series, `dispersions`, both `(..., features)`, and, if
    inflated, `zeros`, logits of the probability of these zeros.

    Args:
        features: Number of values at each position.
        zero_inflated: Whether there are zeros besides those of the negative binomial distribution.
        kernel_initializer: As of `DistributionHead`.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, features, zero_inflated=False, kernel_initializer=None, **kwargs):
        check_flag(zero_inflated=zero_inflated)
        super().__init__(features, kernel_initializer, **kwargs)
        self.zero_inflated = zero_inflated

    @property
    def has_counts(self):
        return True

    def starts(self):
        starts = {
            "means": np.full(self.features, inverse_softplus(1.0)),
            "dispersions": np.full(self.features, inverse_softplus(1.0)),
        }
        if self.zero_inflated:
            starts["zeros"] = np.full(self.features, -1.0)
        return starts

    @property
    def uniforms(self):
        return self.features * (self.zero_inflated + 1 + GAMMA_TRIES + POISSON_UNIFORMS)

    @property
    def normals(self):
        return self.features * GAMMA_TRIES

    def distribution(self, raw, training=False):
        rest = {name: value for name, value in raw.items() if name == "zeros"}
        return {
            "means": softplus(raw["means"]) + _LEAST,
            "dispersions": softplus(raw["dispersions"]) + _LEAST,
            **rest,
        }

    def log_prob(self, parameters, counts, observed=None):
        """The log probability of counts.

        Args:
            parameters: What a call gave.
            counts: `Counts`; a missing number is NaN.
            observed: As of `DistributionHead.log_prob`.
        """
        numbers, unit = counts
        there = ~tf.math.is_nan(numbers)
        if observed is not None:
            there = there & observed
        # float64: lgamma of large numbers that are nearly equal.
        numbers = tf.clip_by_value(tf.where(there, numbers, 0.0), 0.0, _GREATEST)
        numbers = tf.cast(numbers, tf.float64)
        mean, dispersion = self._moments(parameters, unit)
        total = 1.0 / dispersion
        excess = dispersion * mean
        log_probs = tf.math.lgamma(numbers + total) - tf.math.lgamma(total)
        log_probs -= tf.math.lgamma(numbers + 1.0)
        # log(1 - p) and log p of the distribution's usual form.
        rest = tf.math.log1p(excess)
        log_probs += numbers * (tf.math.log(excess) - rest) - total * rest
        log_probs = tf.cast(log_probs, tf.float32)
        if self.zero_inflated:
            logits = parameters["zeros"]
            log_probs -= softplus(logits)
            zero = keras.ops.logaddexp(log_probs, logits - softplus(logits))
            log_probs = tf.where(tf.cast(numbers, tf.float32) == 0.0, zero, log_probs)
        return tf.reduce_sum(tf.where(there, log_probs, 0.0), axis=-1)

    def mean(self, parameters):
        """The mean, in units of the series."""
        mean = parameters["means"]
        return mean * tf.sigmoid(-parameters["zeros"]) if self.zero_inflated else mean

    def sample(self, parameters, uniform, normal, temperature=1.0, bias=0.0, unit=1.0):
        """Draws counts: see `DistributionHead.sample`.

        A gamma number is the rate of a Poisson one. Temperature and bias do to the distance of a
        count from the mean what they do to a scale; it is rounded afterwards.

        Args:
            parameters, uniform, normal, temperature, bias: As there.
            unit: Of `Counts`.

        Returns:
            float32 `(rows, features)`, whole numbers.
        """
        shape = [-1, self.features, self.uniforms // self.features]
        zero, of_gamma, of_poisson = tf.split(
            tf.reshape(uniform, shape),
            [int(self.zero_inflated), 1 + GAMMA_TRIES, POISSON_UNIFORMS],
            axis=-1,
        )
        mean, dispersion = self._moments(parameters, unit)
        normal = tf.reshape(normal, [-1, self.features, GAMMA_TRIES])
        rate = gamma(1.0 / dispersion, of_gamma, normal) * dispersion * mean
        drawn = poisson(tf.minimum(rate, float(_GREATEST)), of_poisson)
        spread = tf.cast(noise_scale(temperature, bias), tf.float64)
        drawn = tf.maximum(tf.round(mean + spread * (drawn - mean)), 0.0)
        drawn = tf.cast(drawn, tf.float32)
        if self.zero_inflated:
            logits = tf.stack([parameters["zeros"], tf.zeros_like(parameters["zeros"])], axis=-1)
            none = draw(logits, zero[..., 0], temperature, bias) == 0
            drawn = tf.where(none, 0.0, drawn)
        return drawn

    def _moments(self, parameters, unit):
        """Means and dispersions of counts, float64."""
        unit = tf.cast(unit, tf.float64)
        mean = tf.cast(parameters["means"], tf.float64) * unit
        return mean, tf.cast(parameters["dispersions"], tf.float64) / tf.sqrt(unit)
