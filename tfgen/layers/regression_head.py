"""`RegressionHead`: a mean for each feature, the simplest thing there is."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.distribution_head import (
    LocationScaleHead,
    noise_scale,
    observed_values,
)
from tfgen.layers.normal_features import check_circular, normal_features


@keras.saving.register_keras_serializable(package="tfgen")
class RegressionHead(LocationScaleHead):
    """A mean for each feature, with normal noise of a size that is the same everywhere.

    Its likelihood is that of least squares: the means that maximise it minimise the squared error,
    with each feature weighed by its noise, which is learned as well. Uncertainty that changes along
    a sequence is for the other heads.

    The call gives `means` and `scales`, `(..., features)`, the latter all alike.

    Args:
        features: Number of values at each position.
        circular: Which features are angles in radians, with wrapped normal noise. Their means and
            samples are of any number of turns.
        **kwargs: `low`, `high`, `bounding`, `min_scale` and `kernel_initializer` as of
            `LocationScaleHead` (the locations are the means), `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, features, circular=(), **kwargs):
        super().__init__(features, **kwargs)
        self.circular = check_circular(features, circular)

    def starts(self):
        return {"means": self.location_starts(np.zeros(self.features))}

    @property
    def normals(self):
        return self.features

    def build(self, input_shape):
        super().build(input_shape)
        start = self.scale_starts(self.features)
        self.scale = self.add_weight(
            (self.features,),
            lambda shape, dtype: tf.constant(start, dtype),
            dtype="float32",
            autocast=False,
            name="scale",
        )

    def call(self, hidden, training=False):
        means = self.locations(self.raw(hidden)["means"], training)
        scales = self.scales(tf.convert_to_tensor(self.scale))
        return {"means": means, "scales": tf.broadcast_to(scales, tf.shape(means))}

    @property
    def has_cells(self):
        return True

    def log_prob(self, parameters, scaled, observed=None, cells=None):
        values, observed = observed_values(scaled, observed)
        means, scales = parameters["means"], parameters["scales"]
        log_probs = normal_features(values, means, scales, self.circular, cells)
        return tf.reduce_sum(tf.where(observed, log_probs, 0.0), axis=-1)

    def mean(self, parameters):
        return parameters["means"]

    def sample(self, parameters, uniform, normal, temperature=1.0, bias=0.0):
        noise = parameters["scales"] * normal * noise_scale(temperature, bias)
        return parameters["means"] + noise
