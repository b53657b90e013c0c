"""`Upsample1D`: twice as many positions, by repetition and a convolution."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_seed, check_whole
from tfgen.layers.conv_1d import Conv1D
from tfgen.layers.group_norm import masked
from tfgen.layers.initializers import weight_seeds


def fine_mask(mask):
    """The mask after one doubling: both positions are valid if the one they came from is."""
    return None if mask is None else tf.repeat(mask, 2, axis=1)


@keras.saving.register_keras_serializable(package="tfgen")
class Upsample1D(keras.layers.Layer):
    """Each position twice, then a convolution over 3 of them (arXiv:2006.11239, appendix B).

    Args:
        width: Channels of the outputs.
        seed: Integer that the weights are sampled from, or None.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, channels)`.
        mask: Optional bool `(batch, time)`; where it is False, the inputs count as zeros, and where
            `fine_mask(mask)` is False, the outputs are 0.

    Returns:
        Float `(batch, 2 * time, width)`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, width, seed=None, **kwargs):
        check_whole(1, width=width)
        check_seed(seed)
        super().__init__(**kwargs)
        self.conv = Conv1D(
            width,
            3,
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
        x = tf.repeat(masked(inputs, mask), 2, axis=1)
        return masked(self.conv(x), fine_mask(mask))

    def compute_mask(self, inputs, previous_mask=None):
        return fine_mask(previous_mask)

    def compute_output_shape(self, input_shape, **kwargs):
        batch, time, _ = input_shape
        return (batch, None if time is None else 2 * time, self.width)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
