"""`QuantizedHead`: probabilities of equal bins between -1 and 1, for sound."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.checks import check_whole
from tfgen.layers.distribution_head import DistributionHead, draw, noise_scale, observed_values


@keras.saving.register_keras_serializable(package="tfgen")
class QuantizedHead(DistributionHead):
    """A softmax over bins of equal width between -1 and 1, for each feature by itself.

    With 256 bins of a mu-law scaled wave it is the output of WaveNet (arXiv:1609.03499, section
    2.2). It can have any shape, any number of peaks, and cannot leave the interval. Within a bin
    the density is uniform, so that likelihoods may be compared with those of other heads. A value
    outside the interval counts as one in the outer bin.

    The call gives `logits` `(..., features, bins)`.

    Args:
        features: Number of values at each position.
        bins: Number of bins.
        kernel_initializer: As of `DistributionHead`.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, features, bins=256, kernel_initializer=None, **kwargs):
        check_whole(2, bins=bins)
        super().__init__(features, kernel_initializer, **kwargs)
        self.bins = bins

    def starts(self):
        return {"logits": np.zeros((self.features, self.bins))}

    @property
    def uniforms(self):
        return 2 * self.features

    def log_prob(self, parameters, scaled, observed=None):
        values, observed = observed_values(scaled, observed)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=self.bin_of(values), logits=parameters["logits"]
        )
        log_probs = float(np.log(self.bins / 2)) - nats  # the width of a bin is 2 / bins
        return tf.reduce_sum(tf.where(observed, log_probs, 0.0), axis=-1)

    def bin_of(self, values):
        """The bins that values lie in, int32."""
        places = tf.floor((tf.clip_by_value(values, -1.0, 1.0) + 1.0) * (0.5 * self.bins))
        return tf.minimum(tf.cast(places, tf.int32), self.bins - 1)

    def mean(self, parameters):
        centres = (2 * np.arange(self.bins) + 1.0) / self.bins - 1
        return tf.reduce_sum(tf.nn.softmax(parameters["logits"]) * centres.astype(np.float32), -1)

    def sample(self, parameters, uniform, normal, temperature=1.0, bias=0.0):
        """Draws values: see `DistributionHead.sample`. Each lies in the bin drawn.

        What temperature and bias do to a scale they do to the distance from the bin's centre, which
        they do not make larger.
        """
        u, v = tf.split(uniform, 2, axis=-1)  # (rows, features)
        chosen = tf.cast(draw(parameters["logits"], u, temperature, bias), tf.float32)
        offsets = (v - 0.5) * tf.minimum(noise_scale(temperature, bias), 1.0)
        return (chosen + 0.5 + offsets) * (2.0 / self.bins) - 1.0
