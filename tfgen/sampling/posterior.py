"""Gaussian posteriors over latents, and the bounds of a likelihood that they give."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.sampling import random

# Of the key of a call, whose other numbers are those of what is decoded.
_LATENTS = 21
# Variance over sequences of the mean of a posterior above which a latent is active
# (arXiv:1509.00519, section 5.3).
_ACTIVE = 0.01
# Sequences that an estimate of their mixture holds beside all others at once.
_ROWS = 64
_LOG_2_PI = np.float32(np.log(2 * np.pi))


def latent_noise(seed, shape):
    """Standard normal noise of the seed of a call, float32 of that shape, which latents are of."""
    return random.normal(latent_key(seed), shape)


def latent_key(seed):
    """What the latents of the seed of a call are drawn from."""
    return random.fold(random.root(seed, random.SAMPLING), _LATENTS)


def first_noise(width):
    """The noise `(1, width)` of the first sample of `importance_bound` with a seed of 0."""
    return _noise(random.root(0, random.EVALUATION), 0, width)


class Posterior(NamedTuple):
    """A diagonal Gaussian for each of a batch, of the latents `z` behind what was seen.

    Attributes:
        mean: float32 `(batch, latents)`.
        log_variance: The same.
    """

    mean: tf.Tensor
    log_variance: tf.Tensor

    def sample(self, noise):
        """Latents `(batch, latents)` of standard normal noise that broadcasts to that."""
        return self.mean + tf.exp(0.5 * self.log_variance) * noise

    def divergence(self):
        """Nats `(batch, latents)` of each dimension from the standard normal distribution
        (arXiv:1312.6114, appendix B)."""
        variance = tf.exp(self.log_variance)
        return 0.5 * (tf.square(self.mean) + variance - 1.0 - self.log_variance)

    def log_prob(self, latents):
        """Logarithm of the density of latents `(batch, latents)`, float32 `(batch,)`."""
        off = tf.square(latents - self.mean) * tf.exp(-self.log_variance)
        return -0.5 * tf.reduce_sum(off + self.log_variance + _LOG_2_PI, axis=-1)

    def told(self, prior):
        """What the latents tell of many sequences.

        The mutual information of sequences and latents is the mean divergence of the posteriors
        from the prior less that of their mixture from the prior (Hoffman & Johnson, "ELBO surgery",
        2016), here of the mixture of these posteriors alone, at one sample of each: it is at most
        the logarithm of their number.

        Args:
            prior: As of `importance_bound`.

        Returns:
            A dict: `rate_by_dimension`, nats, an array `(latents,)`; `rate`, their sum;
            `active_units`, how many means vary from sequence to sequence; and
            `mutual_information`, nats.
        """
        noise = random.normal(random.root(0, random.EVALUATION), tf.shape(self.mean))
        nats = tf.reduce_mean(prior.divergence(self, self.sample(noise)), axis=0).numpy()
        means, log_variances = (tf.cast(each, tf.float64).numpy() for each in self)
        noise = noise.numpy()
        samples = means + np.exp(0.5 * log_variances) * noise
        # Of each sample, the logarithm of its own density to that of the mixture: the prior's is
        # in both divergences.
        known = -0.5 * np.sum(np.square(noise) + log_variances, axis=1)
        for first in range(0, len(samples), _ROWS):
            off = np.square(samples[first : first + _ROWS, None] - means) * np.exp(-log_variances)
            likely = -0.5 * np.sum(off + log_variances, axis=-1)  # (rows, sequences)
            most = np.max(likely, axis=1)
            shares = np.mean(np.exp(likely - most[:, None]), axis=1)
            known[first : first + _ROWS] -= most + np.log(shares)
        return {
            "rate": float(np.sum(nats)),
            "active_units": int(np.sum(np.var(means, axis=0) > _ACTIVE)),
            "mutual_information": float(np.mean(known)),
            "rate_by_dimension": nats,
        }


class Bound(NamedTuple):
    """What is known of a log-likelihood from samples of a posterior.

    Attributes:
        log_likelihood: float64 `(batch,)`, in nats: a lower bound.
        rate: Nats of the posterior from the prior.
        reconstruction: Nats of what was seen given the latents, the mean of the samples. Their sum
            with the rate is the negative evidence lower bound.
    """

    log_likelihood: tf.Tensor
    rate: tf.Tensor
    reconstruction: tf.Tensor


def importance_bound(posterior, prior, log_prob, samples, seed):
    """Returns the `Bound` of log p(x), from samples of a posterior.

    Of one sample it is the evidence lower bound, whose divergence is the prior's. Of more it is the
    importance-weighted bound (arXiv:1509.00519, Eq. 8), which comes nearer the more there are. The
    noise is the same for each of the batch, so that none depends on the others.

    Args:
        posterior: A `Posterior`.
        prior: What latents are drawn from: it has `log_prob(latents)`, float32 `(batch,)`, and
            `divergence(posterior, latents)`, as a `tfgen.networks.latent_prior.LatentPrior`.
        log_prob: Function of latents `(batch, latents)` that gives log p(x | z) float64 `(batch,)`.
        samples: int32 scalar tensor, at least 1.
        seed: Of the noise.
    """
    key = random.root(seed, random.EVALUATION)
    rows, width = tf.unstack(tf.shape(posterior.mean))
    zero = tf.zeros([rows], tf.float64)
    begun = tf.constant(0), tf.fill([rows], tf.constant(-math.inf, tf.float64)), zero, zero

    def one_more(number, weighted, nats, rate):
        latents = posterior.sample(_noise(key, number, width))
        likely = tf.cast(log_prob(latents), tf.float64)
        weight = tf.cast(prior.log_prob(latents) - posterior.log_prob(latents), tf.float64)
        own = tf.cast(prior.divergence(posterior, latents), tf.float64)
        rate += tf.reduce_sum(own, axis=-1)
        return number + 1, _logaddexp(weighted, likely + weight), nats - likely, rate

    _, weighted, nats, rate = tf.while_loop(
        lambda number, *_: number < samples, one_more, begun, parallel_iterations=1
    )
    count = tf.cast(samples, tf.float64)
    nats, rate = nats / count, rate / count
    bound = tf.where(samples == 1, -(rate + nats), weighted - tf.math.log(count))
    return Bound(bound, rate, nats)


def _noise(key, number, width):
    return random.normal(random.fold(key, number), [1, width])


def _logaddexp(one, other):
    return tf.reduce_logsumexp(tf.stack([one, other]), axis=0)
