"""`LatentSpace`: what models of texts and of numbers have alike that are given latents."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_kind
from tfgen.models.engines.evidence import Evidence
from tfgen.models.parts import made_of_parts
from tfgen.networks.latent_prior import LatentPrior
from tfgen.networks.sequence_encoder import SequenceEncoder
from tfgen.sampling.posterior import importance_bound, latent_noise


@keras.saving.register_keras_serializable(package="tfgen")
class LatentSpace:
    """An encoder of sequences, what its posteriors cost, and the prior.

    Args:
        recognition: A `SequenceEncoder`.
        evidence: An `Evidence`.
        latent_prior: A `LatentPrior`; None is the standard normal distribution.
    """

    def __init__(self, recognition, evidence, latent_prior=None):
        check_kind(SequenceEncoder, recognition=recognition)
        check_kind(Evidence, evidence=evidence)
        latent_prior = (
            LatentPrior(recognition.latent_size) if latent_prior is None else latent_prior
        )
        check_kind(LatentPrior, latent_prior=latent_prior)
        self.recognition = recognition
        self.evidence = evidence
        self.latent_prior = latent_prior
        self.size = recognition.latent_size  # numbers of a latent vector

    @classmethod
    def compose(cls, take):
        """Returns one; `take` is of `tfgen.models.families`."""
        recognition = take(SequenceEncoder, name="recognition")
        size = recognition.latent_size
        prior = take(LatentPrior, latent_size=size, name="latent_prior")
        return cls(recognition, take(Evidence), prior)

    @property
    def layers(self):
        """What has weights, in the order in which these are kept."""
        return [self.recognition, *([self.latent_prior] if self.latent_prior.weights else [])]

    def build(self, width):
        """Makes the weights of the encoder, unless there are any, for positions of so many features."""
        if not self.recognition.built:
            self.recognition.build((None, None, width))
        if not self.latent_prior.built:
            self.latent_prior.build()

    def prior(self, seed, rows):
        """Latents `(rows, size)` of a seed, from the prior."""
        return self.latent_prior.draw(latent_noise(seed, [rows, self.size]))

    def learn(self, posterior, key, training):
        """`(latents, nats)`: what a decoder is given in a step, and the sum of what it costs."""
        latents = posterior.sample(self.evidence.noise(key, tf.shape(posterior.mean)))
        nats = self.latent_prior.divergence(posterior, latents)
        return latents, tf.reduce_sum(self.evidence.cost(nats, training))

    def hidden(self, key, shape):
        """bool `(batch, time)`: what the decoder is not shown; None for nothing, as without a key."""
        return None if key is None else self.evidence.hidden(key, shape)

    def score(self, posterior, log_prob, samples, seed, likelihoods):
        """What a `score` says of sequences: of their bound, see `importance_bound`, and its parts.

        Args:
            posterior: As there, as the others.
            log_prob: As there.
            samples: As there.
            seed: As there.
            likelihoods: Function of log-likelihoods `(batch,)` that gives the dict for them.
        """
        bound = importance_bound(posterior, self.latent_prior, log_prob, samples, seed)
        rest = {"rate": bound.rate, "reconstruction": bound.reconstruction}
        return {**likelihoods(bound.log_likelihood), **rest}

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts
