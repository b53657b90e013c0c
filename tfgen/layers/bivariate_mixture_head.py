"""`BivariateMixtureHead`: a mixture of correlated Gaussians in the plane, for pen strokes."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.checks import check, check_whole
from tfgen.layers.distribution_head import (
    LocationScaleHead,
    draw,
    mixture_log_prob,
    noise_scale,
    observed_values,
    spread,
)
from tfgen.layers.normal_features import normal_log_prob

# tanh reaches 1 in float32, and there the plane becomes a line.
_LARGEST_CORRELATION = 0.999


@keras.saving.register_keras_serializable(package="tfgen")
class BivariateMixtureHead(LocationScaleHead):
    """A mixture of Gaussians over the two offsets of a pen (Graves, arXiv:1308.0850, section 4.1).

    Each component has two means, two standard deviations and a correlation (equations 18 to 25).
    Two things differ: the standard deviations are softplus, not exp, of what the network gives,
    so that no single step makes them huge; and the correlation stays within 0.999. Whether the
    pen is down is no part of it: that is for a `CategoricalHead` beside this one.

    The call gives `logits` and `correlations` `(..., components)`, `means` and `scales`
    `(..., components, 2)`.

    Args:
        features: 2.
        components: Number of Gaussians.
        **kwargs: `low`, `high`, `bounding`, `min_scale` and `kernel_initializer` as of
            `LocationScaleHead` (the locations are the means), `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, features=2, components=20, **kwargs):
        check(features == 2, "features must be 2", features=features)
        check_whole(1, components=components)
        super().__init__(features, **kwargs)
        self.components = components

    def starts(self):
        shape = self.components, 2
        return {
            "logits": np.zeros(self.components),
            "means": self.location_starts(spread(*shape)),
            "scales": self.scale_starts(shape),
            "correlations": np.zeros(self.components),
        }

    @property
    def uniforms(self):
        return 1

    @property
    def normals(self):
        return 2

    def distribution(self, raw, training=False):
        return {
            "logits": raw["logits"],
            "means": self.locations(raw["means"], training),
            "scales": self.scales(raw["scales"]),
            "correlations": _LARGEST_CORRELATION * tf.tanh(raw["correlations"]),
        }

    def log_prob(self, parameters, scaled, observed=None):
        values, observed = observed_values(scaled, observed)
        scales, correlations = parameters["scales"], parameters["correlations"]
        z = (values[..., None, :] - parameters["means"]) / scales  # (..., components, 2)
        first, second = tf.unstack(z, axis=-1)
        first_scale, second_scale = tf.unstack(scales, axis=-1)
        first_there, second_there = tf.unstack(observed[..., None, :], axis=-1)  # (..., 1)
        # The exponent of equation 24 as a square for each offset: the second one given the first,
        # if that is observed.
        correlations = tf.where(first_there, correlations, 0.0)
        rest = tf.sqrt(1.0 - tf.square(correlations))
        given = normal_log_prob((second - correlations * first) / rest, second_scale * rest)
        log_probs = tf.where(first_there, normal_log_prob(first, first_scale), 0.0)
        log_probs += tf.where(second_there, given, 0.0)
        return mixture_log_prob(parameters["logits"], log_probs)

    def mean(self, parameters):
        weights = tf.nn.softmax(parameters["logits"])[..., None]
        return tf.reduce_sum(weights * parameters["means"], axis=-2)

    def sample(self, parameters, uniform, normal, temperature=1.0, bias=0.0):
        chosen = draw(parameters["logits"], uniform[:, 0], temperature, bias)  # (rows,)
        means, scales, correlation = (
            tf.gather(parameters[name], chosen, batch_dims=1)
            for name in ("means", "scales", "correlations")
        )
        first, second = tf.unstack(normal, axis=-1)
        second = correlation * first + tf.sqrt(1.0 - tf.square(correlation)) * second
        noise = tf.stack([first, second], axis=-1)  # (rows, 2)
        return means + scales * noise * noise_scale(temperature, bias)
