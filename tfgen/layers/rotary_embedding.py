"""`RotaryEmbedding`: positions as rotations of queries and keys."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
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
        scaling: How a model that was trained on shorter texts was stretched, see `check_scaling`;
            None is not at all.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, heads, time, width)`.
        positions: int32 `(batch, time)` or `(1, time)`; None counts from 0.

    Raises:
        ValueError: For an odd width, or a base that is not positive.
    """

    def __init__(self, width, base=10000.0, scaling=None, **kwargs):
        check_whole(2, width=width)
        check(width % 2 == 0, "width must be even", width=width)
        check_positive(base=base)
        super().__init__(**kwargs)
        self.width = width
        self.base = float(base)
        self.scaling = check_scaling(scaling=scaling)

    def call(self, inputs, positions=None):
        if positions is None:
            positions = tf.range(tf.shape(inputs)[2])[None]
        return rotate(inputs, positions, self.base, self.scaling)

    def compute_output_shape(self, input_shape, **kwargs):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}


def check_scaling(**scaling):
    """Returns a stretching of rotary positions as a tuple of floats, or None.

    Args:
        **scaling: One argument by its name: None; `[factor]`, which divides every angle
            (arXiv:2306.15595); or `[factor, low, high, length]` of Llama 3.1, which divides those
            whose wavelength is over `length / low` positions, none below `length / high`, and
            goes from one to the other between.

    Raises:
        ValueError: It is something else.
    """
    ((name, value),) = scaling.items()
    if value is None:
        return None
    numbers = list(value) if isinstance(value, list | tuple) else []
    real = all(type(n) in (int, float) and 0 < n < 3e38 for n in numbers)
    check(
        real and (len(numbers) == 1 or (len(numbers) == 4 and numbers[1] < numbers[2])),
        f"{name} must be None, [factor] or [factor, low, high, length] with low < high, all "
        "above 0",
        **scaling,
    )
    return tuple(float(n) for n in numbers)


@functools.cache
def _stretch(half, base, scaling):
    """What each frequency is multiplied by, float32 `(half,)`."""
    factor = scaling[0]
    if len(scaling) == 1:
        return np.full([half], 1 / factor, np.float32)
    _, low, high, length = scaling
    wavelength = 2 * np.pi * base ** (np.arange(half) / half)
    # 0 where all of it is stretched, 1 where nothing is.
    kept = np.clip((length / wavelength - low) / (high - low), 0, 1)
    return (kept + (1 - kept) / factor).astype(np.float32)


def rotate(inputs, positions, base, scaling=None):
    """What `RotaryEmbedding` does, as a function."""
    half = inputs.shape[-1] // 2
    exponent = tf.range(half, dtype=tf.float32) / half
    frequency = tf.pow(tf.constant(base, tf.float32), -exponent)  # (half,)
    if scaling is not None:
        frequency *= _stretch(half, base, scaling)
    # float32 also under a smaller policy: an angle of thousands of radians needs the bits.
    angle = tf.cast(positions, tf.float32)[:, None, :, None] * frequency
    cos, sin = tf.cast(tf.cos(angle), inputs.dtype), tf.cast(tf.sin(angle), inputs.dtype)
    first, second = inputs[..., :half], inputs[..., half:]
    return tf.concat([first * cos - second * sin, second * cos + first * sin], axis=-1)
