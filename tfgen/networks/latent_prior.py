"""`LatentPrior`: what latents of whole sequences are drawn from, learned or not."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import MOST_LAYERS, check_most, check_whole
from tfgen.networks.causal import weight_seed
from tfgen.sampling.posterior import latent_noise

_UNITS = 64  # of the hidden layer of a coupling
# A coupling stretches a latent by between e^-2 and e^2, so that no step makes a density infinite.
_MOST = 2.0


@keras.saving.register_keras_serializable(package="tfgen")
class LatentPrior(keras.layers.Layer):
    """A distribution of latents: the standard normal one, or a flow that becomes that of the data.

    A flow of affine couplings (RealNVP, arXiv:1605.08803, Eq. 7 and 8) maps latents to standard
    normal ones: each coupling moves half of the latents by what the other half says, the halves in
    turn. Posteriors then need not fill a normal distribution for samples to look like the data
    (arXiv:1611.02731). At first it is the standard normal distribution.

    Args:
        latent_size: Numbers of a latent vector.
        prior_layers: Couplings; 0 is the standard normal distribution, with nothing to learn.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range; for couplings of a single latent.

    Example:

    >>> LatentPrior(latent_size=2).log_prob(tf.zeros([1, 2])).numpy().round(4)
    array([-1.8379], dtype=float32)
    """

    follows = ("latent_size",)  # from the encoder

    def __init__(self, latent_size=16, prior_layers=0, seed=0, **kwargs):
        super().__init__(**kwargs)
        check_whole(1, latent_size=latent_size)
        check_whole(0, prior_layers=prior_layers)
        check_most(MOST_LAYERS, prior_layers=prior_layers)
        if prior_layers and latent_size == 1:
            raise ValueError(
                "prior_layers need at least two latents, of which one says how the other moves. "
                f"Received: prior_layers={prior_layers!r}, latent_size=1"
            )

        def dense(number, units, activation, start):
            return keras.layers.Dense(
                units,
                activation,
                kernel_initializer=start(weight_seed(seed, 71, number)),
                name=f"coupling_{number // 2}_{'moves' if number % 2 else 'hidden'}",
                dtype="float32",  # a density is worth its digits
            )

        # Layers
        half, glorot = latent_size // 2, keras.initializers.GlorotUniform
        self.couplings = []
        for number in range(prior_layers):
            moved = half if number % 2 else latent_size - half
            hidden = dense(2 * number, _UNITS, "silu", glorot)
            moves = dense(2 * number + 1, 2 * moved, None, lambda seed: "zeros")
            self.couplings.append((hidden, moves))

        # Config
        self.latent_size = latent_size
        self.prior_layers = prior_layers
        self.seed = seed

    def build(self, input_shape=None):
        half = self.latent_size // 2
        for number, (hidden, moves) in enumerate(self.couplings):
            hidden.build((None, self.latent_size - half if number % 2 else half))
            moves.build((None, _UNITS))
        self.built = True

    def draw(self, seed, rows):
        """Latents `(rows, latent_size)` of the seed of a call."""
        return self.moved(latent_noise(seed, [rows, self.latent_size]))

    def moved(self, noise):
        """Latents `(batch, latent_size)` of standard normal noise of that shape."""
        for number in reversed(range(self.prior_layers)):
            kept, moved, (log_scale, shift) = self._coupling(number, noise)
            noise = self._joined(number, kept, moved * tf.exp(log_scale) + shift)
        return noise

    def log_prob(self, latents):
        """Logarithm of their density, float32 `(batch,)`."""
        nats = 0.5 * self.latent_size * np.float32(np.log(2 * np.pi))
        for number in range(self.prior_layers):
            kept, moved, (log_scale, shift) = self._coupling(number, latents)
            latents = self._joined(number, kept, (moved - shift) * tf.exp(-log_scale))
            nats += tf.reduce_sum(log_scale, axis=-1)
        return -nats - 0.5 * tf.reduce_sum(tf.square(latents), axis=-1)

    def divergence(self, posterior, latents):
        """Nats of posteriors from this, by dimension: float32 `(batch, latent_size)`.

        From the standard normal distribution it is exact. From a flow it is an estimate by the
        given samples of the posteriors, whose dimensions all have the same share of it.

        Args:
            posterior: A `Posterior`.
            latents: Of each a sample `(batch, latent_size)`.
        """
        if not self.prior_layers:
            return posterior.divergence()
        nats = posterior.log_prob(latents) - self.log_prob(latents)
        return tf.repeat(nats[:, None] / self.latent_size, self.latent_size, axis=1)

    def call(self, latents):
        """As `log_prob`."""
        return self.log_prob(latents)

    def _coupling(self, number, latents):
        """Half the latents, the others, and how these are moved."""
        half = self.latent_size // 2
        kept, moved = latents[:, :half], latents[:, half:]
        if number % 2:
            kept, moved = moved, kept
        hidden, moves = self.couplings[number]
        log_scale, shift = tf.split(moves(hidden(kept)), 2, axis=-1)
        return kept, moved, (_MOST * tf.tanh(log_scale / _MOST), shift)

    @staticmethod
    def _joined(number, kept, moved):
        return tf.concat([moved, kept] if number % 2 else [kept, moved], axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape[:1]

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
