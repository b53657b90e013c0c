"""`WindowCritic`: the network that tells real sequences from generated ones."""

import math

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import MOST_LAYERS, check_flag, check_most, check_whole
from tfgen.layers.conv_1d import Conv1D
from tfgen.layers.downsample_1d import coarse_mask, halved
from tfgen.layers.group_norm import masked
from tfgen.layers.residual_block_1d import ResidualBlock1D
from tfgen.layers.spectral_norm import SpectralNorm
from tfgen.networks.named_parts import NamedParts
from tfgen.networks.window_generator import groups_of, levels_of


@keras.saving.register_keras_serializable(package="tfgen")
class WindowCritic(keras.layers.Layer):
    """The half of a `UNet1D` that leads downward, to one number for a whole sequence.

    That number is linear in the mean of the coarsest level's positions, by weights of which a part
    follows from the condition ("projection discriminator", arXiv:1802.05637).

    Args:
        channels: Channels of the inputs.
        critic_width: Channels at the top.
        critic_multipliers: For each level, its channels in units of `critic_width`.
        critic_blocks: Residual blocks of a level.
        spectral_norm: Whether every kernel is held to a largest singular value of 1, see
            `tfgen.layers.SpectralNorm`.
        condition_width: Features of a vector of the whole sequence; 0 is none.
        sequence_width: Features of each position, beside the inputs.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        x: float32 `(batch, time, channels)`.
        sequence: float32 `(batch, time, sequence_width)`.
        mask: Optional bool `(batch, time)`; what is False is not read.
        condition: float32 `(batch, condition_width)`.
        record: Function `(name, tensor)` that is called with what every block gives; or None.

    Returns:
        float32 `(batch,)`: the higher, the more it takes a sequence for real.

    Raises:
        ValueError: For an argument out of its range.
    """

    follows = ("channels", "condition_width", "sequence_width")  # from the other parts

    def __init__(
        self,
        channels=1,
        critic_width=32,
        critic_multipliers=(1, 2, 4),
        critic_blocks=1,
        spectral_norm=False,
        condition_width=0,
        sequence_width=1,
        seed=0,
        **kwargs,
    ):
        check_whole(1, channels=channels, critic_width=critic_width, critic_blocks=critic_blocks)
        check_most(MOST_LAYERS, critic_blocks=critic_blocks)
        check_whole(0, condition_width=condition_width, sequence_width=sequence_width)
        check_flag(spectral_norm=spectral_norm)
        critic_multipliers = levels_of(critic_multipliers=critic_multipliers)
        super().__init__(**kwargs)

        # Layers, by name, and what goes into them
        made = NamedParts(self.dtype_policy, seed)
        add, own_seed, glorot = made.add, made.own_seed, made.glorot
        groups = groups_of(critic_width)
        widths = [critic_width * multiplier for multiplier in critic_multipliers]

        add(Conv1D, "input_conv", channels + sequence_width, widths[0], 3, **glorot())
        for level, width in enumerate(widths):
            for index in range(critic_blocks):
                add(
                    ResidualBlock1D, f"level_{level}_block_{index}", width,
                    width, 0, groups, zero_init=False, seed=own_seed(),
                )  # fmt: skip
            if level < len(widths) - 1:
                add(Conv1D, f"level_{level}_conv", width, widths[level + 1], 3, **glorot())
        add(Conv1D, "output_conv", widths[-1], widths[-1], 1, **glorot())
        # Neither loss tells a constant.
        add(keras.layers.Dense, "verdict", widths[-1], 1, use_bias=False, **glorot())
        if condition_width:
            own = {"use_bias": False, **glorot()}
            add(keras.layers.Dense, "condition_dense", condition_width, widths[-1], **own)
        self.parts, self._channels = made.layers, made.channels

        # Config
        self.channels = channels
        self.critic_width = critic_width
        self.critic_multipliers = critic_multipliers
        self.critic_blocks = critic_blocks
        self.spectral_norm = spectral_norm
        self.condition_width = condition_width
        self.sequence_width = sequence_width
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape=None):
        for name, part in self.parts.items():
            part.build((None, None, self._channels[name]))
        if self.spectral_norm:
            for weight in self.trainable_weights:
                if len(weight.shape) > 1:
                    weight.constraint = SpectralNorm()

    def call(self, x, sequence, mask=None, condition=None, record=None):
        parts, levels = self.parts, len(self.critic_multipliers)
        x = tf.concat([tf.cast(x, self.compute_dtype), tf.cast(sequence, self.compute_dtype)], -1)
        x = parts["input_conv"](masked(x, mask))
        for level in range(levels):
            for index in range(self.critic_blocks):
                name = f"level_{level}_block_{index}"
                x = parts[name](x, mask=mask)
                if record is not None:
                    record(name, x)
            if level < levels - 1:
                # Means and a convolution, for the second gradient of one with strides is slow.
                x, mask = halved(x, mask), coarse_mask(mask)
                x = masked(parts[f"level_{level}_conv"](x), mask)
        x = tf.nn.silu(parts["output_conv"](x))
        if mask is None:
            x = tf.reduce_mean(x, axis=1)
        else:
            count = tf.reduce_sum(tf.cast(mask, x.dtype), axis=1, keepdims=True)
            x = tf.reduce_sum(masked(x, mask), axis=1) / tf.maximum(count, 1)
        verdict = parts["verdict"](x)[:, 0]
        if self.condition_width:
            own = parts["condition_dense"](tf.cast(condition, x.dtype))
            verdict += tf.reduce_sum(own * x, axis=-1) / math.sqrt(x.shape[-1])
        return tf.cast(verdict, tf.float32)

    def compute_output_shape(self, input_shape, **kwargs):
        return input_shape[:1]

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
