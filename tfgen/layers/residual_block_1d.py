"""`ResidualBlock1D`: two convolutions around which the inputs pass, told the noise level."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_flag, check_seed, check_whole
from tfgen.layers.conv_1d import Conv1D
from tfgen.layers.group_norm import GroupNorm, masked
from tfgen.layers.initializers import weight_seeds
from tfgen.layers.products import dense


@keras.saving.register_keras_serializable(package="tfgen")
class ResidualBlock1D(keras.layers.Layer):
    """The residual block of a U-Net over sequences.

        hidden = conv(silu(norm(inputs)))
        scale, shift = dense(silu(embedding))
        outputs = skip(inputs) + conv(drop(silu(norm(hidden) * (1 + scale) + shift)))

    Norms are `GroupNorm`, convolutions are 3 wide and padded with zeros, `skip` is a product where
    the width changes and nothing else where it does not. Reference: Dhariwal and Nichol, "Diffusion
    models beat GANs on image synthesis" (arXiv:2105.05233), section 3, "adaptive group
    normalization".

    Args:
        width: Channels of the outputs.
        embedding_width: Features of the embedding; 0 is a block that takes none.
        groups: See `GroupNorm`; it divides the channels of inputs and outputs.
        kernel_size: Positions that a convolution sees.
        zero_init: Whether the second convolution begins with zeros, so that the block begins as its
            skip.
        seed: Integer that the weights are sampled from, or None.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, channels)`.
        embedding: Float `(batch, embedding_width)` or `(batch, time, embedding_width)`; None if the
            block takes none.
        mask: Optional bool `(batch, time)`; where it is False, inputs count as zeros and outputs
            are 0.
        drop: Function `(tensor (batch, time, width)) -> tensor` that drops in training, or None.

    Returns:
        Float `(batch, time, width)`.

    Raises:
        ValueError: For an argument out of its range, and if an embedding is missing or too many.
    """

    def __init__(
        self,
        width,
        embedding_width=0,
        groups=8,
        kernel_size=3,
        zero_init=True,
        seed=None,
        **kwargs,
    ):
        check_whole(1, width=width, groups=groups, kernel_size=kernel_size)
        check_whole(0, embedding_width=embedding_width)
        check_flag(zero_init=zero_init)
        check_seed(seed)
        super().__init__(**kwargs)
        seeds = [keras.initializers.GlorotUniform(number) for number in weight_seeds(seed, 4)]
        dtype = {"dtype": self.dtype_policy}

        # Layers
        self.first_norm = GroupNorm(groups, name="first_norm", **dtype)
        self.first_conv = Conv1D(
            width,
            kernel_size,
            kernel_initializer=seeds[0],
            name="first_conv",
            **dtype,
        )
        self.second_norm = GroupNorm(groups, name="second_norm", **dtype)
        self.second_conv = Conv1D(
            width,
            kernel_size,
            kernel_initializer="zeros" if zero_init else seeds[2],
            name="second_conv",
            **dtype,
        )
        self._modulation_initializer, self._skip_initializer = seeds[1], seeds[3]

        # Config
        self.width = width
        self.embedding_width = embedding_width
        self.groups = groups
        self.kernel_size = kernel_size
        self.zero_init = zero_init
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        channels = input_shape[-1]
        self.modulation_kernel = self.modulation_bias = self.skip_kernel = self.skip_bias = None
        if self.embedding_width:
            self.modulation_kernel = self.add_weight(
                (self.embedding_width, 2 * self.width),
                self._modulation_initializer,
                name="modulation_kernel",
            )
            self.modulation_bias = self.add_weight(
                (2 * self.width,), "zeros", name="modulation_bias"
            )
        if channels != self.width:
            self.skip_kernel = self.add_weight(
                (channels, self.width), self._skip_initializer, name="skip_kernel"
            )
            self.skip_bias = self.add_weight((self.width,), "zeros", name="skip_bias")
        self.first_norm.build((None, None, channels))
        self.first_conv.build((None, None, channels))
        self.second_norm.build((None, None, self.width))
        self.second_conv.build((None, None, self.width))

    def call(self, inputs, embedding=None, mask=None, drop=None):
        if (embedding is None) != (self.embedding_width == 0):
            raise ValueError(
                f"embedding must {'' if self.embedding_width else 'not '}be given to a block with "
                f"embedding_width == {self.embedding_width}. "
                f"Received: embedding={getattr(embedding, 'shape', None)}"
            )
        # A masked position is 0 before each convolution: it is what stands beyond the end.
        hidden = self.first_conv(tf.nn.silu(self.first_norm(inputs, mask=mask)))
        hidden = self.second_norm(hidden, mask=mask)
        if embedding is not None:
            scale_shift = dense(tf.nn.silu(embedding), self.modulation_kernel, self.modulation_bias)
            if scale_shift.shape.rank == 2:
                scale_shift = scale_shift[:, None]
            scale, shift = tf.split(scale_shift, 2, axis=-1)
            hidden = masked(hidden * (1 + scale) + shift, mask)
        hidden = tf.nn.silu(hidden)
        if drop is not None:
            hidden = drop(hidden)
        hidden = self.second_conv(hidden)
        inputs = masked(inputs, mask)
        if self.skip_kernel is not None:
            inputs = dense(inputs, self.skip_kernel, self.skip_bias)
        return masked(inputs + hidden, mask)

    def compute_output_shape(self, input_shape, **kwargs):
        return (*input_shape[:-1], self.width)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
