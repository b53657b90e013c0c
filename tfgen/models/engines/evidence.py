"""`Evidence`: what a model of latents learns by, besides what its decoder loses."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_rate, check_whole, is_number
from tfgen.sampling import random
from tfgen.sampling.posterior import first_noise

# Of the key of a training step; networks take numbers from 0 on, and -1 hides conditions.
_NOISE, _INPUTS = -2, -3


@keras.saving.register_keras_serializable(package="tfgen")
class Evidence:
    """The evidence lower bound as a loss: the divergence of posteriors from the prior, and its price.

    A decoder that sees every position before the one it tells may do without the latents, whose
    posterior then is the prior ("posterior collapse", arXiv:1511.06349). Each argument works against
    it. They count in training alone: what is validated and scored is the bound itself.

    Args:
        beta: What a nat of the divergence costs (arXiv:1804.03599); 1 is the evidence lower bound.
        kl_anneal_steps: Training steps in which that grows from 0 (arXiv:1511.06349); 0 is at once.
        free_bits: Nats of each dimension of each sequence that cost nothing (arXiv:1606.04934, Eq.
            15, there of a mean over the batch); of a learned prior, of all dimensions together.
        input_dropout: Share of the positions whose value the decoder is not shown
            ("word dropout", arXiv:1511.06349), another choice at every step.
    """

    def __init__(self, beta=1.0, kl_anneal_steps=0, free_bits=0.25, input_dropout=0.2):
        for name, value in {"beta": beta, "free_bits": free_bits}.items():
            fits = is_number(value) and 0 <= value < float("inf")
            check(fits, f"{name} must be a number >= 0", **{name: value})
        check_whole(0, kl_anneal_steps=kl_anneal_steps)
        check_rate(input_dropout=input_dropout)
        self.beta = beta
        self.kl_anneal_steps = kl_anneal_steps
        self.free_bits = free_bits
        self.input_dropout = input_dropout
        self.step = None  # function that gives the training step, see `follow`

    def follow(self, step):
        """Goes by a training: `step` is a function that gives the number of its steps so far."""
        self.step = step

    def noise(self, key, shape):
        """Standard normal noise of the latents `(batch, latents)`, the same for all without a key."""
        if key is None:
            return first_noise(shape[1])  # so that a loss is a score
        return random.normal(random.fold(key, _NOISE), shape)

    def cost(self, nats, training=False):
        """Nats that the latents of each cost, float32 `(batch,)`, of their nats by dimension."""
        if not training:
            return tf.reduce_sum(nats, axis=-1)
        price = tf.constant(self.beta, tf.float32)
        if self.kl_anneal_steps:
            step = 0 if self.step is None else self.step()
            share = tf.cast(step, tf.float32) / self.kl_anneal_steps
            price *= tf.minimum(share, 1.0)
        return price * tf.reduce_sum(tf.maximum(nats, self.free_bits), axis=-1)

    def hidden(self, key, shape):
        """bool `(batch, time)`: what the decoder is not shown in training; None for nothing."""
        if not self.input_dropout:
            return None
        return random.uniform(random.fold(key, _INPUTS), shape) < self.input_dropout

    def get_config(self):
        return constructor_config(self)

    @classmethod
    def from_config(cls, config):
        return cls(**config)
