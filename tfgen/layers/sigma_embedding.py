"""`SigmaEmbedding`: a vector for each noise level; and the seeds of composite layers."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import (
    check,
    check_choice,
    check_positive,
    check_seed,
    check_whole,
)
from tfgen.layers.initializers import weight_seeds
from tfgen.layers.products import as_tensor, dense
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding

KINDS = ("sinusoidal", "fourier")


@keras.saving.register_keras_serializable(package="tfgen")
class SigmaEmbedding(keras.layers.Layer):
    """Embeds the noise level that a denoiser is told: waves of it, then two dense layers.

    What is embedded is `c_noise`, a smooth function of sigma such as `log(sigma) / 4`
    (arXiv:2206.00364, table 1). `"sinusoidal"` takes sines and cosines at geometrically spaced
    frequencies from `scale` down to `scale / 10000` radians per unit of c_noise (arXiv:2006.11239);
    `"fourier"` takes them at random frequencies, normal with a deviation of `scale` periods per
    unit (arXiv:2006.10739, arXiv:2011.13456), which are drawn once and never trained.

    Args:
        width: Features of the two dense layers, so of the outputs.
        kind: `"sinusoidal"` or `"fourier"`.
        scale: See above. Noise levels that are numbers of steps, 0 to 1000, suit a scale of 1.
        features: Number of waves, sines and cosines; even. None takes `width`.
        seed: Integer that weights and frequencies are sampled from, or None.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        c_noise: Float `(batch,)` or `(batch, time)`.

    Returns:
        Float `(batch, width)` or `(batch, time, width)`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, width, kind="sinusoidal", scale=16.0, features=None, seed=None, **kwargs):
        features = width if features is None else features
        check_whole(1, width=width)
        check_whole(2, features=features)
        check(features % 2 == 0, "features must be even", features=features)
        check_choice(KINDS, kind=kind)
        check_positive(scale=scale)
        check_seed(seed)
        super().__init__(autocast=False, **kwargs)  # 8 bits tell few noise levels apart
        self.waves = SinusoidalEmbedding(features, dtype="float32", name="waves")
        self.width = width
        self.kind = kind
        self.scale = float(scale)
        self.features = features
        self.seed = seed

    def build(self, input_shape=None):
        seeds = weight_seeds(self.seed, 3)
        if self.kind == "fourier":
            self.frequencies = self.add_weight(
                (self.features // 2,),
                keras.initializers.RandomNormal(0.0, self.scale, seed=seeds[0]),
                name="frequencies",
                dtype="float32",
                trainable=False,
            )
        for number, inputs in enumerate((self.features, self.width), start=1):
            initializer = keras.initializers.GlorotUniform(seeds[number])
            kernel = self.add_weight((inputs, self.width), initializer, name=f"kernel_{number}")
            bias = self.add_weight((self.width,), "zeros", name=f"bias_{number}")
            setattr(self, f"kernel_{number}", kernel)
            setattr(self, f"bias_{number}", bias)

    def call(self, c_noise):
        c_noise = tf.cast(c_noise, tf.float32)
        if self.kind == "sinusoidal":
            waves = self.waves(self.scale * c_noise)
        else:
            frequencies = as_tensor(self.frequencies, tf.float32)
            angle = 2 * np.pi * c_noise[..., None] * frequencies
            waves = tf.concat([tf.sin(angle), tf.cos(angle)], axis=-1)
        waves = tf.cast(waves, self.compute_dtype)
        hidden = tf.nn.silu(dense(waves, self.kernel_1, self.bias_1))
        return dense(hidden, self.kernel_2, self.bias_2)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.width)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
