"""`Downsample1D`: half as many positions, by a convolution."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_seed, check_whole
from tfgen.layers.group_norm import masked
from tfgen.layers.initializers import weight_seeds


def pairs(tensor):
    """Positions two by two: `(batch, time, ...)` to `(batch, ceil(time / 2), 2, ...)`.

    A last position without a partner gets zeros, or False.
    """
    time, rest = tensor.shape[1], tensor.shape[2:]
    if time is None or time % 2:
        odd = tf.shape(tensor)[1] % 2 if time is None else 1
        tensor = tf.pad(tensor, [[0, 0], [0, odd], *[[0, 0]] * len(rest)])
    half = -1 if time is None else (time + 1) // 2
    batch = tf.shape(tensor)[0] if time is None else -1
    return tf.reshape(tensor, [batch, half, 2, *rest])


def coarse_mask(mask):
    """The mask after one halving: a position is valid if any of the two it came from is."""
    return None if mask is None else tf.reduce_any(pairs(mask), axis=2)


def halved(tensor, mask):
    """Features of positions `(batch, time, width)` after one halving: means over valid pairs."""
    if tensor.shape.rank == 2:
        return tensor
    if mask is None:
        return tf.reduce_mean(pairs(tensor), axis=2)
    weights = tf.cast(pairs(mask), tensor.dtype)[..., None]  # (batch, half, 2, 1)
    sums = tf.reduce_sum(pairs(tensor) * weights, axis=2)
    return sums / tf.maximum(tf.reduce_sum(weights, axis=2), 1)


@keras.saving.register_keras_serializable(package="tfgen")
class Downsample1D(keras.layers.Layer):
    """A convolution over 4 positions at every second one, padded with a zero at either end.

    Position `n` of the outputs sees positions `2 n - 1` to `2 n + 2`, as with PyTorch's
    `Conv1d(kernel_size=4, stride=2, padding=1)`.

    Args:
        width: Channels of the outputs.
        seed: Integer that the weights are sampled from, or None.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, channels)`; an odd time has a zero put behind it.
        mask: Optional bool `(batch, time)`; where it is False, the inputs count as zeros, and where
            `coarse_mask(mask)` is False, the outputs are 0.

    Returns:
        Float `(batch, ceil(time / 2), width)`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, width, seed=None, **kwargs):
        check_whole(1, width=width)
        check_seed(seed)
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv1D(
            width,
            4,
            strides=2,
            padding="same",
            kernel_initializer=keras.initializers.GlorotUniform(*weight_seeds(seed, 1)),
            dtype=self.dtype_policy,
            name="conv",
        )
        self.width = width
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        self.conv.build((None, None, input_shape[-1]))

    def call(self, inputs, mask=None):
        return masked(self.conv(masked(inputs, mask)), coarse_mask(mask))

    def compute_mask(self, inputs, previous_mask=None):
        return coarse_mask(previous_mask)

    def compute_output_shape(self, input_shape, **kwargs):
        batch, time, _ = input_shape
        return (batch, None if time is None else (time + 1) // 2, self.width)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
