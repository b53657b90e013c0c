"""`SinusoidalEmbedding`: a fixed vector of sines and cosines for each position."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_positive, check_whole


@keras.saving.register_keras_serializable(package="tfgen")
class SinusoidalEmbedding(keras.layers.Layer):
    """Sines and cosines of the position at geometrically spaced wavelengths. No weights.

    The first half of a vector are sines, the second cosines. Reference: Vaswani et al.,
    "Attention is all you need" (arXiv:1706.03762), section 3.5.

    Args:
        width: Length of a vector; even.
        base: The longest wavelength is `2 pi base` positions.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        positions: int32 `(batch, time)`.

    Returns:
        Float `(batch, time, width)`.

    Raises:
        ValueError: For an odd width, or a base that is not positive.
    """

    def __init__(self, width, base=10000.0, **kwargs):
        check_whole(2, width=width)
        check(width % 2 == 0, "width must be even", width=width)
        check_positive(base=base)
        super().__init__(**kwargs)
        self.width = width
        self.base = float(base)

    def call(self, positions):
        half = self.width // 2
        exponent = tf.range(half, dtype=tf.float32) / half
        frequency = tf.pow(tf.constant(self.base, tf.float32), -exponent)  # (half,)
        angle = tf.cast(positions, tf.float32)[..., None] * frequency
        return tf.cast(tf.concat([tf.sin(angle), tf.cos(angle)], axis=-1), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.width)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
