"""`StudentTHead`: a Student-t distribution for each feature, for values with outliers."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.distribution_head import (
    LocationScaleHead,
    inverse_softplus,
    noise_scale,
    observed_values,
    softplus,
)
from tfgen.layers.masses import HALF_LOG_2_PI, student_t_log_density

# Degrees of freedom where the hidden state is 0: heavy tails from which either way is open.
_FIRST_DF = 6.0


@keras.saving.register_keras_serializable(package="tfgen")
class StudentTHead(LocationScaleHead):
    """A Student-t distribution for each feature, independent of the others.

    A location, a scale and the degrees of freedom, which are above 2, so that there is a variance.
    The fewer they are, the less an outlier counts. It is the usual output of forecasters for real
    values (Alexandrov et al., "GluonTS", arXiv:1906.05264).

    The call gives `locations`, `scales` and `df`, each `(..., features)`.

    Args:
        features: Number of values at each position.
        **kwargs: `low`, `high`, `bounding`, `min_scale` and `kernel_initializer` as of
            `LocationScaleHead`, `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, features, **kwargs):
        super().__init__(features, **kwargs)

    def starts(self):
        return {
            "locations": self.location_starts(np.zeros(self.features)),
            "scales": self.scale_starts(self.features),
            "df": np.full(self.features, inverse_softplus(_FIRST_DF - 2)),
        }

    @property
    def uniforms(self):
        return 2 * self.features

    def distribution(self, raw, training=False):
        return {
            "locations": self.locations(raw["locations"], training),
            "scales": self.scales(raw["scales"]),
            "df": 2.0 + softplus(raw["df"]),
        }

    @property
    def has_cells(self):
        return True

    def log_prob(self, parameters, scaled, observed=None, cells=None):
        values, observed = observed_values(scaled, observed)
        locations, scales, df = (parameters[name] for name in ("locations", "scales", "df"))
        constant = log_constant(df)
        log_probs = student_t_log_density((values - locations) / scales, df, constant)
        log_probs -= tf.math.log(scales)
        if cells is not None:
            log_probs = cells.student_t(log_probs, locations, scales, df, constant)
        return tf.reduce_sum(tf.where(observed, log_probs, 0.0), axis=-1)

    def mean(self, parameters):
        return parameters["locations"]

    def sample(self, parameters, uniform, normal, temperature=1.0, bias=0.0):
        """Draws values: see `DistributionHead.sample`.

        Each takes two uniform numbers by the polar method of Bailey, "Polar generation of random
        variates with the t-distribution", Mathematics of Computation 62 (1994): sqrt(df * (u **
        (-2 / df) - 1)) * cos(2 * pi * v) is t-distributed exactly. For many degrees of freedom it
        becomes the method of Box and Muller.
        """
        u, v = tf.split(uniform, 2, axis=-1)  # (rows, features)
        df = parameters["df"]
        radius = tf.sqrt(df * tf.math.expm1(-2.0 / df * tf.math.log(u)))
        noise = radius * tf.cos(2.0 * math.pi * v)
        return parameters["locations"] + (
            parameters["scales"] * noise * noise_scale(temperature, bias)
        )


def log_constant(df):
    """Log of the standard density at 0: lgamma((df+1)/2) - lgamma(df/2) - log(df*pi)/2.

    The two lgamma of many degrees of freedom are large and nearly equal: float32 would keep little
    of their difference. With x = df/2 and g(x) = lgamma(x + 1/2) - lgamma(x), the recurrence of
    lgamma gives g(x) = g(x + 4) + log of a product of four ratios; and g(y) = log(y)/2 - 1/(8y) +
    1/(192y^3) - 1/(640y^5) + ... (NIST Handbook, section 5.11) is off by 3e-9 from y = 5 up.
    """
    x = 0.5 * df
    ratios = tf.sqrt(1.0 + 4.0 / x)
    for shift in range(4):
        ratios *= (x + shift) / (x + (shift + 0.5))
    y = 1.0 / (x + 4.0)
    cube = y * y * y
    series = -y / 8.0 + cube / 192.0 - cube * y * y / 640.0
    return tf.math.log(ratios) + series - HALF_LOG_2_PI
