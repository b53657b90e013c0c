"""`WindowGenerator`: the network that makes a whole sequence of a latent vector."""

import math

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import MOST_LAYERS, check, check_most, check_whole, whole_numbers
from tfgen.layers.conv_1d import Conv1D
from tfgen.layers.downsample_1d import coarse_mask, halved
from tfgen.layers.group_norm import GroupNorm, masked
from tfgen.layers.residual_block_1d import ResidualBlock1D
from tfgen.layers.upsample_1d import Upsample1D
from tfgen.networks.named_parts import NamedParts

MOST_LEVELS = 16
_GROUPS = 8  # of the normalisations


@keras.saving.register_keras_serializable(package="tfgen")
class WindowGenerator(keras.layers.Layer):
    """The half of a `UNet1D` that leads upward, from a latent vector in place of coarse channels.

        embedding of each position: of the latents and the condition, and of where it is
        coarsest level   product with the embedding, blocks
        ...                ↓ twice as many positions, blocks
        level 0            ↓ twice as many positions, blocks, output

    The blocks of a level are told its embeddings, which are the means of those of the level above,
    as a `UNet1D` is told noise levels by position. Any number of positions is made: as many as
    there are places of a `sequence`, which has to tell them apart.

    Args:
        channels_out: Channels of the outputs.
        latent_size: Numbers of a latent vector.
        width: Channels at the top; even.
        multipliers: For each level, its channels in units of `width`.
        blocks: Residual blocks of a level.
        condition_width: Features of a vector of the whole sequence; 0 is none.
        sequence_width: Features of each position.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        latents: float32 `(batch, latent_size)`.
        sequence: float32 `(batch, time, sequence_width)`.
        mask: Optional bool `(batch, time)`; where it is False, outputs are 0.
        condition: float32 `(batch, condition_width)`.
        record: Function `(name, tensor)` that is called with what every block gives; or None.

    Returns:
        float32 `(batch, time, channels_out)`.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(
        self,
        channels_out=1,
        latent_size=64,
        width=32,
        multipliers=(1, 2, 4),
        blocks=1,
        condition_width=0,
        sequence_width=1,
        seed=0,
        **kwargs,
    ):
        check_whole(1, channels_out=channels_out, latent_size=latent_size, blocks=blocks)
        check_whole(2, width=width)
        check(width % 2 == 0, "width must be even", width=width)
        check_most(MOST_LAYERS, blocks=blocks)
        check_whole(0, condition_width=condition_width)
        check_whole(1, sequence_width=sequence_width)
        multipliers = levels_of(multipliers=multipliers)
        super().__init__(**kwargs)

        # Layers, by name, and what goes into them
        made = NamedParts(self.dtype_policy, seed)
        add, own_seed, glorot = made.add, made.own_seed, made.glorot
        embedded = 4 * width
        groups = groups_of(width)
        widths = [width * multiplier for multiplier in multipliers]

        whole = latent_size + condition_width
        add(keras.layers.Dense, "latent_dense", whole, embedded, **glorot())
        add(keras.layers.Dense, "whole_dense", embedded, embedded, **glorot())
        add(Conv1D, "place_conv", sequence_width, embedded, 1, **glorot())
        add(Conv1D, "start_conv", embedded, widths[-1], 1, **glorot())
        for level in reversed(range(len(widths))):
            for index in range(blocks):
                add(
                    ResidualBlock1D, f"level_{level}_block_{index}", widths[level],
                    widths[level], embedded, groups, seed=own_seed(),
                )  # fmt: skip
            if level:
                name = f"level_{level}_conv"
                add(Upsample1D, name, widths[level], widths[level - 1], own_seed())
        add(GroupNorm, "output_norm", widths[0], groups)
        add(Conv1D, "output_conv", widths[0], channels_out, 3, **glorot())
        self.parts, self._channels = made.layers, made.channels

        # Config
        self.channels_out = channels_out
        self.latent_size = latent_size
        self.width = width
        self.multipliers = multipliers
        self.blocks = blocks
        self.condition_width = condition_width
        self.sequence_width = sequence_width
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape=None):
        for name, part in self.parts.items():
            part.build((None, None, self._channels[name]))

    def call(self, latents, sequence, mask=None, condition=None, record=None):
        parts, levels = self.parts, len(self.multipliers)
        latents = tf.cast(latents, self.compute_dtype)
        if self.condition_width:
            latents = tf.concat([latents, tf.cast(condition, latents.dtype)], axis=-1)
        whole = parts["whole_dense"](tf.nn.silu(parts["latent_dense"](latents)))
        embedding = whole[:, None] + parts["place_conv"](tf.cast(sequence, latents.dtype))
        length, time = tf.shape(sequence)[1], sequence.shape[1]
        unit = 2 ** (levels - 1)
        if time is None or time % unit:  # whole pairs at every level
            ends = [[0, 0], [0, -(length if time is None else time) % unit]]
            mask = tf.ones(tf.shape(sequence)[:2], tf.bool) if mask is None else mask
            mask, embedding = tf.pad(mask, ends), tf.pad(embedding, [*ends, [0, 0]])
        masks, embeddings = [mask], [embedding]
        for _ in range(levels - 1):
            embeddings.append(halved(embeddings[-1], masks[-1]))
            masks.append(coarse_mask(masks[-1]))
        x = masked(parts["start_conv"](tf.nn.silu(embeddings[-1])), masks[-1])
        for level in reversed(range(levels)):
            for index in range(self.blocks):
                name = f"level_{level}_block_{index}"
                x = parts[name](x, embedding=embeddings[level], mask=masks[level])
                if record is not None:
                    record(name, x)
            if level:
                x = parts[f"level_{level}_conv"](x, mask=masks[level])
        x = parts["output_conv"](tf.nn.silu(parts["output_norm"](x, mask=mask)))
        x = masked(x, mask)[:, : length if time is None else time]
        return tf.cast(x, tf.float32)

    def compute_output_shape(self, input_shape, **kwargs):
        return (*input_shape[:-1], self.channels_out)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}


def groups_of(width):
    """Groups of the normalisations of so many channels and their multiples: of two or more."""
    return math.gcd(_GROUPS, max(width // 2, 1))


def levels_of(**received):
    """The multipliers of a network's levels, a tuple; refused if they are none."""
    found = whole_numbers(1, **received)
    ((name, value),) = received.items()
    fits = 0 < len(found) <= MOST_LEVELS
    check(fits, f"{name} must be from 1 to {MOST_LEVELS} integers", **{name: value})
    return found
