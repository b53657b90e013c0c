"""`RotaryEmbedding`: positions as rotations of queries and keys."""

import keras
import tensorflow as tf

from tfgen.layers.checks import check, check_positive, check_whole


@keras.saving.register_keras_serializable(package="tfgen")
class RotaryEmbedding(keras.layers.Layer):
    """Turns each pair of features by an angle that grows with the position.

    The product of a turned query and a turned key depends on the distance between them alone, so a
    cache of turned keys stays valid however far the text goes. Feature `i` is paired with feature
    `i + width / 2`. No weights. Reference: Su et al., "RoFormer" (arXiv:2104.09864), Eq. 34.

    Args:
        width: Features of a head; even.
        base: The longest wavelength is `2 pi base` positions.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, heads, time, width)`.
        positions: int32 `(batch, time)` or `(1, time)`; None counts from 0.

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

    def call(self, inputs, positions=None):
        if positions is None:
            positions = tf.range(tf.shape(inputs)[2])[None]
        return rotate(inputs, positions, self.base)

    def compute_output_shape(self, input_shape, **kwargs):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "width": self.width, "base": self.base}


def rotate(inputs, positions, base):
    """What `RotaryEmbedding` does, as a function."""
    half = inputs.shape[-1] // 2
    exponent = tf.range(half, dtype=tf.float32) / half
    frequency = tf.pow(tf.constant(base, tf.float32), -exponent)  # (half,)
    # float32 also under a smaller policy: an angle of thousands of radians needs the bits.
    angle = tf.cast(positions, tf.float32)[:, None, :, None] * frequency
    cos, sin = tf.cast(tf.cos(angle), inputs.dtype), tf.cast(tf.sin(angle), inputs.dtype)
    first, second = inputs[..., :half], inputs[..., half:]
    return tf.concat([first * cos - second * sin, second * cos + first * sin], axis=-1)
