"""`SequenceEncoder`: whole sequences, read in both directions, as a Gaussian each."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import MOST_LAYERS, check, check_choice, check_most, check_whole
from tfgen.networks.both_ways import ENCODERS, both_ways, read_both_ways
from tfgen.networks.causal import weight_seed
from tfgen.sampling.posterior import Posterior

# Variances of a posterior are between e^-10 and e^10, so that no step makes one of them infinite.
_MOST = 10.0
LATENTS = "gaussian", "quantized"


@keras.saving.register_keras_serializable(package="tfgen")
class SequenceEncoder(keras.layers.Layer):
    """Latents for each sequence, the recognition model of a VAE: a diagonal Gaussian, or a vector.

    Two causal networks read a sequence, one of them backwards, as in sketch-rnn (arXiv:1704.03477).
    Their hidden states are pooled by attention over the positions (arXiv:1703.03130, of one head),
    so that length does not matter, and a linear map gives mean and logarithm of the variance, or
    the vector that `LatentCodes` quantizes.

    Args:
        latent_size: Numbers of a latent vector.
        latent: `"gaussian"`, or `"quantized"`, see `LatentCodes`.
        encoder: What reads: `"gru"`, `"lstm"` or `"transformer"`.
        encoder_units: Features of each direction.
        encoder_layers: Layers of each direction.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> encoder = SequenceEncoder(latent_size=4, encoder_units=8)
    >>> encoder(tf.zeros([2, 5, 3]), tf.ones([2, 5], tf.bool)).mean.shape
    TensorShape([2, 4])
    """

    def __init__(
        self,
        latent_size=16,
        latent="gaussian",
        encoder="gru",
        encoder_units=128,
        encoder_layers=1,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_whole(1, latent_size=latent_size, encoder_layers=encoder_layers)
        check_most(MOST_LAYERS, encoder_layers=encoder_layers)
        check_choice(LATENTS, latent=latent)
        check_choice(ENCODERS, encoder=encoder)
        check_whole(1, encoder_units=encoder_units)
        fits = encoder != "transformer" or encoder_units % 2 == 0
        check(fits, "encoder_units must be even for a transformer", encoder_units=encoder_units)
        common = {"dtype": self.dtype_policy}

        def dense(units, number, name, **own):
            kernel = keras.initializers.GlorotUniform(weight_seed(seed, 61, number))
            own |= {"kernel_initializer": kernel, "name": name, **common}
            return keras.layers.Dense(units, **own)

        # Layers
        self.networks = both_ways(encoder, encoder_units, encoder_layers, seed, self.dtype_policy)
        self.projection = None
        if self.networks[0].input_width is not None:
            self.projection = dense(self.networks[0].input_width, 0, "projection")
        self.attention = dense(1, 1, "attention", use_bias=False)
        numbers = 2 if latent == "gaussian" else 1
        self.gaussian = dense(numbers * latent_size, 2, latent)

        # Config
        self.latent_size = latent_size
        self.latent = latent
        self.encoder = encoder
        self.encoder_units = encoder_units
        self.encoder_layers = encoder_layers
        self.seed = seed

    def build(self, input_shape):
        width = input_shape[-1]
        if self.projection is not None:
            self.projection.build((None, None, width))
            width = self.networks[0].input_width
        for network in self.networks:
            with keras.name_scope(network.name):
                network.make_weights(width)
        self.attention.build((None, None, 2 * self.encoder_units))
        self.gaussian.build((None, 2 * self.encoder_units))
        self.built = True

    def call(self, x, mask, record=None):
        """The posterior of sequences; of quantized latents the vectors to quantize.

        Args:
            x: `(batch, time, features)`.
            mask: bool `(batch, time)`: the positions that count, from the first on.
            record: Dict into which each layer's outputs are put.

        Returns:
            A `Posterior` `(batch, latent_size)`; of a sequence without a position the prior. Of
            vectors to quantize it is a tensor.
        """
        if self.projection is not None:
            x = self.projection(x)
        hidden = read_both_ways(self.networks, x, mask)
        hidden = tf.cast(hidden, tf.float32)
        scores = tf.where(mask, tf.cast(self.attention(hidden), tf.float32)[..., 0], -1e9)
        shares = tf.nn.softmax(scores, axis=1) * tf.cast(mask, tf.float32)
        pooled = tf.reduce_sum(hidden * shares[..., None], axis=1)
        found = tf.cast(self.gaussian(pooled), tf.float32)
        found = tf.where(tf.reduce_any(mask, axis=1)[:, None], found, 0.0)
        quantized = self.latent == "quantized"
        mean, log_variance = (found, None) if quantized else tf.split(found, 2, axis=-1)
        if record is not None:
            record["encoder"], record["latents"] = hidden, mean
        if quantized:
            return found
        return Posterior(mean, _MOST * tf.tanh(log_variance / _MOST))

    def compute_output_shape(self, input_shape, *args, **kwargs):
        shape = input_shape[0], self.latent_size
        return shape if self.latent == "quantized" else Posterior(shape, shape)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
