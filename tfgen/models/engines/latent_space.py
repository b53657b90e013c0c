"""`LatentSpace`: what models of texts and of numbers have alike that are given latents."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config, parameters_of
from tfgen.layers.checks import check, check_kind, check_of_use
from tfgen.models.engines.evidence import Evidence
from tfgen.models.parts import made_of_parts
from tfgen.networks.latent_codes import LatentCodes
from tfgen.networks.latent_prior import LatentPrior
from tfgen.networks.sequence_encoder import SequenceEncoder
from tfgen.sampling.posterior import importance_bound
from tfgen.values import whole_number

# Those of an `Evidence` that weigh what the latents cost an encoder: codes cost it nothing.
_WEIGHED = "beta", "kl_anneal_steps", "free_bits"


@keras.saving.register_keras_serializable(package="tfgen")
class LatentSpace:
    """An encoder of sequences, what its posteriors cost, and the prior.

    Args:
        recognition: A `SequenceEncoder`.
        evidence: An `Evidence`.
        latent_prior: What latents are drawn from: a `LatentPrior`, or where the encoder gives vectors
            to quantize `LatentCodes`.
    """

    def __init__(self, recognition, evidence, latent_prior):
        check_kind(SequenceEncoder, recognition=recognition)
        check_kind(Evidence, evidence=evidence)
        self.quantized = recognition.latent == "quantized"
        check_kind(LatentCodes if self.quantized else LatentPrior, latent_prior=latent_prior)
        for name in _WEIGHED:
            default = parameters_of(Evidence)[name].default
            check_of_use(
                not self.quantized, "latent='gaussian'", default, **{name: getattr(evidence, name)}
            )
        self.recognition = recognition
        self.evidence = evidence
        self.latent_prior = latent_prior
        self.size = recognition.latent_size  # numbers of a latent vector

    @classmethod
    def compose(cls, take):
        """Returns one; `take` is of `tfgen.models.families`."""
        recognition = take(SequenceEncoder, name="recognition")
        priors = {"gaussian": LatentPrior, "quantized": LatentCodes}
        own = priors.pop(recognition.latent)
        prior = take(own, latent_size=recognition.latent_size, name="latent_prior")
        for latent, other in priors.items():
            take.unused(other, f"latent='{latent}'")
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
        return self.latent_prior.draw(seed, rows)

    def posterior(self, x, mask, record=None):
        """The `Posterior` of sequences, or their `Codes`; arguments as of a `SequenceEncoder`."""
        found = self.recognition(x, mask, record)
        return self.latent_prior(found) if self.quantized else found

    def learn(self, posterior, key, training):
        """`(latents, nats)`: what a decoder is given in a step, and the sum of what it costs."""
        latents = posterior.sample(self.evidence.noise(key, tf.shape(posterior.mean)))
        nats = self.latent_prior.divergence(posterior, latents)
        if self.quantized:
            cost = tf.reduce_sum(nats, axis=-1) + (posterior.price if training else 0.0)
        else:
            cost = self.evidence.cost(nats, training)
        return latents, tf.reduce_sum(cost)

    def hidden(self, key, shape):
        """bool `(batch, time)`: what the decoder is not shown; None for nothing, as without a key."""
        return None if key is None else self.evidence.hidden(key, shape)

    def samples(self, importance_samples):
        """The tensor of that argument of `score`; codes are certain, and have no more than one."""
        count = whole_number("importance_samples", importance_samples, 1)
        rule = "importance_samples must be 1 of quantized latents, which are certain"
        check(count == 1 or not self.quantized, rule, importance_samples=count)
        return tf.constant(count)

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
