"""`UNet1D`: the network of a denoiser of sequences."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import (
    MOST_LAYERS,
    check,
    check_choice,
    check_flag,
    check_most,
    check_of_use,
    check_positive,
    check_seed,
    check_whole,
    whole_numbers,
)
from tfgen.layers.conv_1d import Conv1D
from tfgen.layers.downsample_1d import Downsample1D, coarse_mask, halved
from tfgen.layers.group_norm import GroupNorm, masked
from tfgen.layers.initializers import weight_seeds
from tfgen.layers.linear_attention_1d import LinearAttention1D
from tfgen.layers.products import dense
from tfgen.layers.residual_block_1d import ResidualBlock1D
from tfgen.layers.self_attention_1d import SelfAttention1D
from tfgen.layers.sigma_embedding import KINDS, SigmaEmbedding
from tfgen.layers.upsample_1d import Upsample1D


@keras.saving.register_keras_serializable(package="tfgen")
class UNet1D(keras.layers.Layer):
    """A U-Net over sequences (arXiv:1505.04597, as a denoiser: arXiv:2006.11239).

        input convolution ─────────────────────────────► last block, output
        level 0   blocks, attention ────────────► blocks, attention
        level 1     ↓ blocks, attention ──────► blocks, attention ↑
        ...           ↓ ...                              ... ↑
        middle          ↓ block, attention, block ─────────► ↑

    Each level has half the positions of the one above; the middle has those of the last. On its way
    down, a level works with the channels it is given and hands `width * multiplier` on; each of its
    blocks is joined by one on the way up. These are the sizes of lucidrains' `Unet1D`
    (`denoising_diffusion_pytorch`), within 1% in parameters; blocks are those of `ResidualBlock1D`.

    Sequences of any length go in: they are padded to whole pairs at every level, and cropped again.
    Padding is masked everywhere, so a sequence's outputs do not depend on how much of it follows.

    Args:
        channels_out: Channels of the outputs.
        width: Channels at the top; a multiple of `groups` and even.
        multipliers: For each level, what it hands down, in units of `width`.
        blocks: Residual blocks of a level, on either way.
        attention_at: Numbers of the levels with full attention; `len(multipliers)` is the middle.
            None is the middle alone.
        linear_attention: Whether the other levels, and the middle, have linear attention instead of
            none.
        heads: Heads of every attention.
        head_width: Features of a head.
        groups: See `GroupNorm`.
        embedding: How the noise level is embedded, see `SigmaEmbedding`.
        embedding_scale: Its `scale`.
        condition_width: Features of a vector that is added to the embedding; 0 is none.
        sequence_width: Channels of a sequence that is put beside the inputs; 0 is none.
        self_condition: Whether an estimate of the outputs is put beside the inputs
            (arXiv:2208.04202).
        seed: Integer that the weights are sampled from, or None.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        x: Float `(batch, time, channels)`.
        c_noise: Float `(batch,)`, or `(batch, time)` where each position has its own noise level; a
            coarse position then is told the mean of its valid ones' embeddings.
        mask: Optional bool `(batch, time)`; where it is False, inputs are not read and outputs
            are 0.
        condition: Float `(batch, condition_width)`; None is zeros.
        sequence: Float `(batch, time, sequence_width)`; None is zeros.
        self_condition: Float `(batch, time, channels_out)`; None is zeros.
        drop: Function `(tensor, site) -> tensor` that drops in training, or None. It is called in
            every residual block, whose number is `site`, so that each may have its own noise.
        record: Function `(name, tensor)`, called with what every block and attention gives, padded;
            or None. `record=activations.__setitem__` fills a dict.

    Returns:
        Float32 `(batch, time, channels_out)`; zeros before the first training step.

    Raises:
        ValueError: For an argument out of its range, and for what is given to a network that was
            made without it.
    """

    def __init__(
        self,
        channels_out,
        width=64,
        multipliers=(1, 2, 4, 8),
        blocks=2,
        attention_at=None,
        linear_attention=True,
        heads=4,
        head_width=32,
        groups=8,
        embedding="sinusoidal",
        embedding_scale=16.0,
        condition_width=0,
        sequence_width=0,
        self_condition=False,
        seed=None,
        **kwargs,
    ):
        check_whole(1, channels_out=channels_out, width=width, blocks=blocks, groups=groups)
        check_most(MOST_LAYERS, blocks=blocks)
        multipliers = whole_numbers(1, multipliers=multipliers)
        check(len(multipliers) <= 16, "multipliers must be at most 16", multipliers=multipliers)
        check(len(multipliers) > 0, "multipliers must not be empty", multipliers=multipliers)
        levels = len(multipliers)
        attention_at = (levels,) if attention_at is None else attention_at
        attention_at = whole_numbers(0, attention_at=attention_at)
        check(
            all(level <= levels for level in attention_at),
            f"attention_at must be levels from 0 to {levels}, which is the middle",
            attention_at=attention_at,
        )
        check(width % groups == 0, f"width must be a multiple of groups == {groups}", width=width)
        check(width % 2 == 0, "width must be even", width=width)
        check_choice(KINDS, embedding=embedding)
        check_positive(embedding_scale=embedding_scale)
        check_whole(0, condition_width=condition_width, sequence_width=sequence_width)
        check_flag(linear_attention=linear_attention, self_condition=self_condition)
        attends = bool(attention_at or linear_attention)
        check_of_use(attends, "a network with attention", 4, heads=heads)
        check_of_use(attends, "a network with attention", 32, head_width=head_width)
        check_seed(seed)
        # Noise levels keep their own precision; every layer below casts what it is given.
        super().__init__(autocast=False, **kwargs)

        # Layers, by name
        self.width = width
        # What each level takes and, after it, what it hands down.
        self.widths = [width, *(width * multiplier for multiplier in multipliers)]
        seeds = iter(weight_seeds(seed, 10 + levels * (2 * blocks + 4)))
        self._condition_seed = next(seeds)
        self.parts = {}

        def add(kind, name, *arguments, **options):
            self.parts[name] = kind(*arguments, name=name, dtype=self.dtype_policy, **options)

        def conv(name, width, size):
            initializer = keras.initializers.GlorotUniform(next(seeds))
            add(Conv1D, name, width, size, kernel_initializer=initializer)

        def block(name, width):
            add(ResidualBlock1D, name, width, 4 * self.width, groups, seed=next(seeds))

        def attention(name, level):
            if level in attention_at or linear_attention:
                kind = SelfAttention1D if level in attention_at else LinearAttention1D
                add(kind, name, heads, head_width, seed=next(seeds))

        add(
            SigmaEmbedding,
            "sigma_embedding",
            4 * width,
            embedding,
            embedding_scale,
            features=width,
            seed=next(seeds),
        )
        conv("input_conv", width, 7)
        for level in range(levels):
            taken, handed = self.widths[level : level + 2]
            for index in range(blocks):
                block(f"down_{level}_block_{index}", taken)
                block(f"up_{level}_block_{index}", handed)
            attention(f"down_{level}_attention", level)
            attention(f"up_{level}_attention", level)
            if level < levels - 1:
                add(Downsample1D, f"down_{level}_conv", handed, next(seeds))
            else:
                conv(f"down_{level}_conv", handed, 3)
            if level:
                add(Upsample1D, f"up_{level}_conv", taken, next(seeds))
            else:
                conv(f"up_{level}_conv", taken, 3)
        block("middle_block_0", handed)
        attention("middle_attention", levels)
        block("middle_block_1", handed)
        block("last_block", width)
        add(GroupNorm, "output_norm", groups)
        zeros = {"kernel_initializer": "zeros"}
        add(Conv1D, "output_conv", channels_out, 1, **zeros)
        self.sites = [name for name in self.parts if "block" in name]

        # Config
        self.channels_out = channels_out
        self.multipliers = multipliers
        self.blocks = blocks
        self.attention_at = attention_at
        self.linear_attention = linear_attention
        self.heads = heads
        self.head_width = head_width
        self.groups = groups
        self.embedding = embedding
        self.embedding_scale = float(embedding_scale)
        self.condition_width = condition_width
        self.sequence_width = sequence_width
        self.self_condition = self_condition
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        channels = input_shape[-1] + self.sequence_width
        channels += self.channels_out if self.self_condition else 0
        if self.condition_width:
            # Without a bias, so that a condition of zeros is none.
            self.condition_kernel = self.add_weight(
                (self.condition_width, 4 * self.width),
                keras.initializers.GlorotUniform(self._condition_seed),
                name="condition_kernel",
            )
        for name, part in self.parts.items():
            part.build((None, None, self._channels_into(name, channels)))

    def _channels_into(self, name, channels):
        """The channels that a part is given, in a network of so many."""
        if name == "input_conv":
            return channels
        where, *number = name.split("_")
        if where == "middle":
            return self.widths[-1]
        if where in ("down", "up"):
            level = int(number[0])
            taken, handed = self.widths[level : level + 2]
            joined = taken + handed if "block" in number else handed
            return taken if where == "down" else joined
        return 2 * self.width if where == "last" else self.width

    def call(
        self,
        x,
        c_noise,
        mask=None,
        condition=None,
        sequence=None,
        self_condition=None,
        drop=None,
        record=None,
    ):
        x = self._inputs(x, sequence, self_condition)
        embedding = self._embedding(c_noise, mask, condition)
        length, time, levels = tf.shape(x)[1], x.shape[1], len(self.multipliers)

        # Whole pairs at every level. The padding is no part of the sequence.
        unit = 2 ** (levels - 1)
        if time is None or time % unit:
            ends = [[0, 0], [0, -(length if time is None else time) % unit]]
            mask = tf.ones(tf.shape(x)[:2], tf.bool) if mask is None else mask
            mask = tf.pad(mask, ends)
            x = tf.pad(x, [*ends, [0, 0]])
            if embedding.shape.rank == 3:
                embedding = tf.pad(embedding, [*ends, [0, 0]])
        masks, embeddings = [mask], [embedding]
        for _ in range(levels - 1):
            embeddings.append(halved(embeddings[-1], masks[-1]))
            masks.append(coarse_mask(masks[-1]))

        def run(name, x, level, **options):
            if name in self.parts:
                x = self.parts[name](x, mask=masks[level], **options)
                if record is not None:
                    record(name, x)
            return x

        def block(name, x, level):
            own = None if drop is None else lambda tensor: drop(tensor, self.sites.index(name))
            return run(name, x, level, embedding=embeddings[level], drop=own)

        # Blocks and attentions read no padding and write zeros there; plain convolutions need that.
        x = first = self.parts["input_conv"](masked(x, mask))
        skips = []
        for level in range(levels):
            for index in range(self.blocks):
                x = block(f"down_{level}_block_{index}", x, level)
                if index == self.blocks - 1:
                    x = run(f"down_{level}_attention", x, level)
                skips.append(x)
            if level < levels - 1:
                x = run(f"down_{level}_conv", x, level)
        x = self.parts[f"down_{levels - 1}_conv"](x)

        x = block("middle_block_0", x, levels - 1)
        x = run("middle_attention", x, levels - 1)
        x = block("middle_block_1", x, levels - 1)

        for level in reversed(range(levels)):
            for index in range(self.blocks):
                x = tf.concat([x, skips.pop()], axis=-1)
                x = block(f"up_{level}_block_{index}", x, level)
            x = run(f"up_{level}_attention", x, level)
            if level:
                x = run(f"up_{level}_conv", x, level)
        x = self.parts["up_0_conv"](x)

        x = block("last_block", tf.concat([x, first], axis=-1), 0)
        x = tf.nn.silu(self.parts["output_norm"](x, mask=mask))
        x = masked(self.parts["output_conv"](x), mask)
        x = x[:, : length if time is None else time]
        return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)

    def _inputs(self, x, sequence, self_condition):
        """Everything that has positions, side by side, in the compute dtype."""
        parts = [tf.cast(x, self.compute_dtype)]
        extras = [
            ("sequence", sequence, self.sequence_width),
            ("self_condition", self_condition, self.channels_out if self.self_condition else 0),
        ]
        for name, given, width in extras:
            if given is None:
                if not width:
                    continue
                given = tf.zeros([*tf.unstack(tf.shape(x)[:2]), width])
            _check_width(name, given, width)
            parts.append(tf.cast(given, self.compute_dtype))
        return tf.concat(parts, axis=-1)

    def _embedding(self, c_noise, mask, condition):
        """`(batch, 4 width)` or `(batch, time, 4 width)`."""
        c_noise = tf.convert_to_tensor(c_noise)
        if mask is not None and c_noise.shape.rank == 2:
            c_noise = tf.where(mask, c_noise, tf.zeros_like(c_noise))
        embedding = self.parts["sigma_embedding"](c_noise)
        if condition is not None:
            _check_width("condition", condition, self.condition_width)
            added = dense(tf.cast(condition, self.compute_dtype), self.condition_kernel)
            embedding += added[:, None] if embedding.shape.rank == 3 else added
        return embedding

    def compute_output_shape(self, input_shape, **kwargs):
        return (*input_shape[:-1], self.channels_out)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}


def _check_width(name, given, width):
    """Refuses what has another number of channels than the network was made for."""
    if given.shape[-1] != width:
        raise ValueError(f"{name} must have {width} channels. Received: {name}={given.shape}")
