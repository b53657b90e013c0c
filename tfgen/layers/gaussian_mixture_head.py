"""`GaussianMixtureHead`: a mixture of Gaussians, with or without correlations."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.checks import check, check_choice, check_whole
from tfgen.layers.distribution_head import (
    LocationScaleHead,
    draw,
    mixture_log_prob,
    noise_scale,
    observed_values,
    spread,
)
from tfgen.layers.normal_features import (
    angle_starts,
    check_circular,
    circular_mean,
    normal_features,
    normal_log_prob,
)

COVARIANCES = ("diagonal", "full")


@keras.saving.register_keras_serializable(package="tfgen")
class GaussianMixtureHead(LocationScaleHead):
    """A mixture of Gaussians over all features together (Bishop, "Mixture density networks", 1994).

    With `covariance="diagonal"` the features are independent within a component; what they have to
    do with each other is told by the choice among the components. With `"full"` a component is a
    chain of regressions: feature f is normal about

        means[f] + sum over g < f of couplings[f, g] * (x[g] - means[g])

    with the standard deviation scales[f]. This is a Cholesky decomposition that needs no
    computing: every number is allowed, and densities and draws take one pass over the features. The
    number of couplings grows with the square of the number of features.

    The call gives `logits` `(..., components)`, `means` and `scales` `(..., components, features)`
    and, if full, `couplings` `(..., components, features * (features - 1) / 2)`, row after row.

    Args:
        features: Number of values at each position.
        components: Number of Gaussians.
        covariance: `"diagonal"` or `"full"`.
        circular: Which features are angles in radians: wrapped normal within a component, of a
            covariance that is diagonal. Their means and samples are of any number of turns.
        **kwargs: `low`, `high`, `bounding`, `min_scale` and `kernel_initializer` as of
            `LocationScaleHead` (the locations are the means), `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, features, components=10, covariance="diagonal", circular=(), **kwargs):
        check_whole(1, components=components)
        check_choice(COVARIANCES, covariance=covariance)
        super().__init__(features, **kwargs)
        self.components = components
        self.covariance = covariance
        self.circular = check_circular(features, circular)
        fits = not (self.circular and self._coupled)
        check(fits, "covariance must be 'diagonal' with circular features", covariance=covariance)

    def starts(self):
        shape = self.components, self.features
        starts = {
            "logits": np.zeros(self.components),
            "means": self.location_starts(angle_starts(spread(*shape), self.circular)),
            "scales": self.scale_starts(shape),
        }
        if self._coupled:
            pairs = self.features * (self.features - 1) // 2
            starts["couplings"] = np.zeros((self.components, pairs))
        return starts

    @property
    def uniforms(self):
        return 1

    @property
    def normals(self):
        return self.features

    @property
    def _coupled(self):
        return self.covariance == "full" and self.features > 1

    def distribution(self, raw, training=False):
        return {
            **raw,
            "means": self.locations(raw["means"], training),
            "scales": self.scales(raw["scales"]),
        }

    @property
    def has_cells(self):
        return not self._coupled

    def log_prob(self, parameters, scaled, observed=None, cells=None):
        values, observed = observed_values(scaled, observed)
        if self._coupled:
            deviations = values[..., None, :] - parameters["means"]  # (..., components, features)
            log_probs = _chain_log_prob(
                deviations, observed[..., None, :], parameters["scales"], parameters["couplings"]
            )
        else:
            log_probs = normal_features(
                values[..., None, :],
                parameters["means"],
                parameters["scales"],
                self.circular,
                None if cells is None else cells.of_components(),
            )
            log_probs = tf.reduce_sum(tf.where(observed[..., None, :], log_probs, 0.0), axis=-1)
        return mixture_log_prob(parameters["logits"], log_probs)

    def mean(self, parameters):
        weights = tf.nn.softmax(parameters["logits"])[..., None]
        return circular_mean(parameters["means"], parameters["scales"], weights, self.circular)

    def sample(self, parameters, uniform, normal, temperature=1.0, bias=0.0):
        chosen = draw(parameters["logits"], uniform[:, 0], temperature, bias)  # (rows,)
        means, scales = (
            tf.gather(parameters[name], chosen, batch_dims=1) for name in ("means", "scales")
        )
        noise = scales * normal * noise_scale(temperature, bias)  # (rows, features)
        if not self._coupled:
            return means + noise
        couplings = tf.gather(parameters["couplings"], chosen, batch_dims=1)
        rows, deviations = _rows(couplings, self.features), []
        for row, one in enumerate(tf.unstack(noise, axis=-1)):
            for weight, other in zip(rows[row], deviations, strict=True):
                one += weight * other
            deviations.append(one)
        return means + tf.stack(deviations, axis=-1)


def _rows(couplings, features):
    """For each feature, what it has to do with each feature before it: lists of tensors `(...)`."""
    pairs = iter(tf.unstack(couplings, axis=-1))
    return [[next(pairs) for _ in range(row)] for row in range(features)]


@tf.custom_gradient
def _chain_log_prob(deviations, observed, scales, couplings):
    """Log density of a chain of regressions; see `GaussianMixtureHead`.

    What is missing costs several times as much, so that is computed only where a position has it in
    part. The gradient is computed anew from the inputs: `tf.cond` would keep what both of its
    branches want for it.
    """
    inputs = deviations, scales, couplings
    none = ~tf.reduce_any(observed, axis=-1)  # padding
    some = tf.reduce_any(~observed & ~none[..., None])

    def complete(deviations, scales, couplings):
        log_probs = _complete_log_prob(deviations, scales, couplings)
        return tf.where(none, 0.0, log_probs)

    def marginal(deviations, scales, couplings):
        return _marginal_log_prob(deviations, observed, scales, couplings)

    def gradient(upstream):
        def of(function):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = function(*inputs)
            return tape.gradient(outputs, inputs, output_gradients=upstream)

        slopes = tf.cond(some, lambda: of(marginal), lambda: of(complete))
        return slopes[0], None, slopes[1], slopes[2]

    return tf.cond(some, lambda: marginal(*inputs), lambda: complete(*inputs)), gradient


def _complete_log_prob(deviations, scales, couplings):
    """Log density where every feature is observed."""
    columns = tf.unstack(deviations, axis=-1)
    rests = []
    for weights, rest in zip(_rows(couplings, len(columns)), columns, strict=True):
        for weight, other in zip(weights, columns):
            rest -= weight * other
        rests.append(rest)
    rests = tf.stack(rests, axis=-1)
    return tf.reduce_sum(normal_log_prob(rests / scales, scales), axis=-1)


def _marginal_log_prob(deviations, observed, scales, couplings):
    """Log density of the observed features alone.

    The deviations are `factor @ noise`, where a row of the factor adds to the feature's own noise
    what it takes over from the rows before. Feature by feature, what an observed one tells is
    taken out of those that follow: modified Gram-Schmidt on the observed rows. Their covariance
    is never formed, which would cost half of float32's digits, and no row becomes shorter than the
    feature's own scale.
    """
    own = scales[..., None] * np.eye(scales.shape[-1], dtype=np.float32)
    rows = [own[..., 0, :]]  # (..., components, features)
    for row in range(1, scales.shape[-1]):
        weights = couplings[..., row * (row - 1) // 2 : row * (row + 1) // 2]
        taken_over = tf.reduce_sum(weights[..., None] * tf.stack(rows, axis=-2), axis=-2)
        rows.append(own[..., row, :] + taken_over)
    factor = tf.stack(rows, axis=-2)  # (..., components, features, features)

    total = tf.zeros_like(scales[..., 0])
    # Features first, as they are taken one by one. This also keeps XLA from computing both branches
    # of the `tf.cond` and choosing a result, which it does with branches of elementwise operations.
    turned = tf.unstack(_last_first(observed)), tf.unstack(_last_first(scales))
    for there, scale in zip(*turned, strict=True):
        direction, error = factor[..., 0, :], deviations[..., 0]
        variance = tf.maximum(tf.reduce_sum(tf.square(direction), axis=-1), tf.square(scale))
        sigma = tf.sqrt(variance)
        total += tf.where(there, normal_log_prob(error / sigma, sigma), 0.0)

        factor, deviations = factor[..., 1:, :], deviations[..., 1:]  # those that follow
        told = tf.where(there, 1.0 / variance, 0.0)[..., None]
        told *= tf.reduce_sum(factor * direction[..., None, :], axis=-1)
        factor -= told[..., None] * direction[..., None, :]
        deviations -= told * error[..., None]
    return total


def _last_first(tensor):
    """The last axis moved to the front."""
    rank = tensor.shape.rank
    return tf.transpose(tensor, [rank - 1, *range(rank - 1)])
