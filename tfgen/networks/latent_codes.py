"""`LatentCodes`: latents that are entries of a codebook, and the distribution of these entries."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_whole
from tfgen.layers.products import look_up
from tfgen.networks.causal import weight_seed
from tfgen.networks.recurrent import RecurrentNetwork
from tfgen.sampling import random
from tfgen.sampling.posterior import latent_key

_UNITS = 64  # of the network that tells a code given those before it
_COMMITMENT = 0.25  # what an encoder pays to stay near its codes (arXiv:1711.00937, section 3.2)


class Codes(NamedTuple):
    """The codes of each of a batch: what a `Posterior` is where latents are quantized.

    Attributes:
        mean: float32 `(batch, latents)`: the vectors of the codes side by side, whose gradient goes
            to the encoder as it is ("straight-through").
        chosen: int32 `(batch, groups)`: which entries of the codebook they are.
        price: float32 `(batch,)`: what draws codebook and encoder to each other in training.
    """

    mean: tf.Tensor
    chosen: tf.Tensor
    price: tf.Tensor

    def sample(self, noise):
        """The vectors: nothing is left to chance."""
        return self.mean

    def log_prob(self, latents):
        """0 for each: the codes are certain."""
        return tf.zeros(tf.shape(self.price))

    def told(self, prior):
        """What the codes tell of many sequences, as of `Posterior.told`.

        Returns:
            A dict: `rate_by_dimension`, nats of each of the groups; `rate`, their sum;
            `active_units`, in how many groups the code is not always the same; and
            `mutual_information`, the entropy of all codes of a sequence, in nats.
        """
        nats = tf.reduce_mean(prior.divergence(self, None), axis=0).numpy()
        chosen = self.chosen.numpy()
        counts = np.unique(chosen, axis=0, return_counts=True)[1] / len(chosen)
        return {
            "rate": float(np.sum(nats)),
            "active_units": int(np.sum(np.ptp(chosen, axis=0) > 0)),
            "mutual_information": float(-np.sum(counts * np.log(counts))),
            "rate_by_dimension": nats,
        }


@keras.saving.register_keras_serializable(package="tfgen")
class LatentCodes(keras.layers.Layer):
    """Quantizes latents (VQ-VAE, arXiv:1711.00937), and tells how likely their codes are.

    A latent vector is cut into groups of `code_size` numbers. Each is replaced by the nearest entry
    of one codebook, both of them of length 1, so that no entry is out of reach for its size
    (arXiv:2110.04627, section 3.2). The codes of a sequence are tokens: a GRU tells each given
    those before it. It learns beside the encoder, to which its gradient does not go, so that what
    is scored is a lower bound of the likelihood, and samples are those of its codes.

    Args:
        latent_size: Numbers of a latent vector.
        codes: Entries of the codebook.
        code_size: Numbers of an entry, of which `latent_size` is a multiple.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> codes = LatentCodes(latent_size=8, codes=16, code_size=2)
    >>> codes(tf.ones([3, 8])).chosen.shape
    TensorShape([3, 4])
    """

    follows = ("latent_size",)  # from the encoder

    def __init__(self, latent_size=16, codes=64, code_size=4, seed=0, **kwargs):
        # A likelihood is worth its digits, whatever the rest is computed in.
        super().__init__(**{**kwargs, "dtype": "float32"})
        check_whole(1, latent_size=latent_size, code_size=code_size)
        check_whole(2, codes=codes)
        rule = f"code_size must divide latent_size, {latent_size}"
        check(latent_size % code_size == 0, rule, code_size=code_size)

        # Layers
        own = {"seed": weight_seed(seed, 81), "dtype": "float32", "name": "code_network"}
        self.network = RecurrentNetwork("gru", _UNITS, 1, **own)
        glorot = keras.initializers.GlorotUniform(weight_seed(seed, 82))
        self.logits = keras.layers.Dense(
            codes, kernel_initializer=glorot, dtype="float32", name="code_logits"
        )

        # Config
        self.latent_size = latent_size
        self.codes = codes
        self.code_size = code_size
        self.seed = seed
        self.groups = latent_size // code_size

    def build(self, input_shape=None):
        normal = keras.initializers.RandomNormal(stddev=1.0, seed=weight_seed(self.seed, 83))
        self.codebook = self.add_weight(
            shape=(self.codes, self.code_size), initializer=normal, name="codebook"
        )
        self.network.make_weights(self.code_size)
        self.logits.build((None, _UNITS))
        self.built = True

    def call(self, latents):
        """The `Codes` of latents `(batch, latent_size)` of an encoder."""
        table = self._table()
        groups = tf.reshape(tf.cast(latents, tf.float32), [-1, self.groups, self.code_size])
        groups = tf.math.l2_normalize(groups, axis=-1)
        chosen = tf.argmax(tf.matmul(groups, table, transpose_b=True), -1, tf.int32)
        entries = look_up(table, chosen)
        apart = tf.square(tf.stop_gradient(groups) - entries)
        apart += _COMMITMENT * tf.square(groups - tf.stop_gradient(entries))
        vectors = groups + tf.stop_gradient(entries - groups)
        vectors = tf.reshape(vectors, [-1, self.latent_size])
        return Codes(vectors, chosen, tf.reduce_sum(apart, axis=[1, 2]))

    def divergence(self, codes, latents):
        """Nats that the codes of each group take, float32 `(batch, groups)`.

        Args:
            codes: `Codes`.
            latents: Not read: the codes are certain.
        """
        read = tf.stop_gradient(look_up(self._table(), codes.chosen))
        read = tf.pad(read[:, :-1], [[0, 0], [1, 0], [0, 0]])
        hidden, _ = self.network.call(read)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(codes.chosen, self.logits(hidden))

    def log_prob(self, latents):
        """Logarithm of the probability of the codes of latents, float32 `(batch,)`."""
        return -tf.reduce_sum(self.divergence(self(latents), latents), axis=-1)

    def draw(self, seed, rows):
        """Latents `(rows, latent_size)` of codes drawn one after another, of the seed of a call."""
        noise = random.gumbel(latent_key(seed), [rows, self.groups, self.codes])
        step, state = self.network.stepper(), self.network.initial_state(rows)
        entry, found, table = tf.zeros([rows, self.code_size]), [], self._table()
        for group in range(self.groups):
            hidden, state = step(entry, state)
            chosen = tf.argmax(self.logits(hidden) + noise[:, group], axis=-1)
            entry = tf.gather(table, chosen)
            found.append(entry)
        return tf.concat(found, axis=-1)

    def _table(self):
        return tf.math.l2_normalize(self.codebook, axis=-1)

    def compute_output_shape(self, input_shape):
        rows = input_shape[0]
        return Codes((rows, self.latent_size), (rows, self.groups), (rows,))

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
