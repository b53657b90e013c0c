"""The models that every contestant builds, and what a token of each costs."""

import dataclasses

SYMBOLS = 65  # of tiny-shakespeare; tfgen's "unknown" is one of them
GATES = {"lstm": 4, "gru": 3}
BYTES = 4  # of a float32
WEIGHT_BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
# Below this, tfgen looks rows up by a product with one-hot rows (tfgen.models.recurrent).
ONE_HOT_LOOK_UP = 1024
# Noise levels that the peers of the diffusion model are trained on. They draw by DDIM in fewer
# steps.
TIMESTEPS = 1000


@dataclasses.dataclass(frozen=True)
class Sizes:
    """An embedding, recurrent layers and a softmax, and how they are fed.

    Attributes:
        cell: `"lstm"` or `"gru"`.
        units: Units of each layer.
        layers: Number of layers.
        embedding: Width of the embedding.
        window: Tokens of a training window.
        batch: Windows of a training step, or texts generated side by side.
        tokens: Tokens that one call generates.
    """

    cell: str = "lstm"
    units: int = 512
    layers: int = 2
    embedding: int = 512
    window: int = 128
    batch: int = 32
    tokens: int = 512

    @property
    def gates(self):
        """Width of all gates side by side."""
        return GATES[self.cell] * self.units

    def product_weights(self, table=False):
        """Number of weights that a token is multiplied by.

        Args:
            table: Without the first layer's input product, of which tfgen looks the result up.
        """
        recurrent = self.layers * self.units * self.gates
        inputs = (self.layers - 1) * self.units * self.gates
        first = 0 if table else self.embedding * self.gates
        return first + inputs + recurrent + self.units * SYMBOLS

    def training_flops(self, table=False):
        """Floating-point operations of the products, per token of a training step.

        A weight costs a multiplication and an addition in the forward pass, and twice that in the
        backward pass: for the gradient of its input and for its own. Elementwise work and the
        optimiser are not counted.

        Args:
            table: What tfgen executes. It projects the embedding table once a step, and looks its
                rows up by a product with one-hot rows, which themselves have no gradient.
        """
        flops = 6 * self.product_weights(table)
        if table:
            flops += 6 * SYMBOLS * self.embedding * self.gates / (self.batch * self.window)
            flops += 4 * SYMBOLS * self.gates if SYMBOLS <= ONE_HOT_LOOK_UP else 0
        return flops

    def bytes_read(self, table=False):
        """Bytes of weights that one position of a generation reads, whatever the batch."""
        return BYTES * self.product_weights(table)


@dataclasses.dataclass(frozen=True)
class TransformerSizes:
    """nanoGPT's decoder without biases and dropout, and how it is fed.

    Learned positions, layer normalisation, GELU layers four times as wide, and a softmax whose
    weights are the embedding.

    Attributes:
        layers: Number of blocks.
        heads: Attention heads.
        width: Features of a position.
        window: Tokens of a training window: the context, beyond which no text may go.
        batch: Windows of a training step, or texts generated side by side.
        tokens: Tokens that one call generates.
        prompt: Tokens of the prompts.
        dtype: `"float32"`, or `"bfloat16"` for mixed precision in training.
    """

    layers: int = 6
    heads: int = 6
    width: int = 384
    window: int = 256
    batch: int = 16
    tokens: int = 240
    prompt: int = 16
    dtype: str = "float32"

    def product_weights(self):
        """Number of weights that a token is multiplied by.

        Of a block 3 `width^2` for queries, keys and values, one after the attention, and twice 4
        in the GELU layer; then the softmax.
        """
        return 12 * self.layers * self.width**2 + self.width * SYMBOLS

    def training_flops(self):
        """Floating-point operations of the products, per token of a training step.

        Six for a weight, as in `Sizes`. Attention multiplies queries by keys and probabilities by
        values: 2 x 2 x `width` for each position of the window and block, three times that with
        the gradients. Masked positions are counted, as is usual (arXiv:2204.02311, appendix B).
        """
        return 6 * self.product_weights() + 12 * self.layers * self.width * self.window

    def generating_flops(self):
        """Floating-point operations of the products, per token that is generated."""
        return 2 * self.product_weights() + 4 * self.layers * self.width * self.mean_length()

    def mean_length(self):
        """Positions that a token attends to while it is generated, on average, with itself."""
        return self.prompt + (self.tokens + 1) / 2

    def bytes_read(self, weights="float32"):
        """Bytes of weights that one position of a generation reads, whatever the batch."""
        return WEIGHT_BYTES[weights] * self.product_weights()

    def cache_bytes_read(self):
        """Bytes of float32 keys and values that one token of one text reads, on average."""
        return 2 * BYTES * self.layers * self.width * self.mean_length()


@dataclasses.dataclass(frozen=True)
class SeriesSizes:
    """Recurrent layers over numbers with a mixture of Gaussians, and how they are drawn from.

    A position is drawn from the one before and a mark of the first one; nothing is scaled.

    Attributes:
        cell: `"lstm"` or `"gru"`.
        layers: Number of layers.
        units: Units of each layer.
        features: Numbers at a position.
        components: Gaussians of the mixture.
        covariance: `"diagonal"` or `"full"`.
        batch: Sequences drawn side by side.
        steps: Positions of a sequence.
    """

    cell: str = "lstm"
    layers: int = 2
    units: int = 128
    features: int = 8
    components: int = 10
    covariance: str = "diagonal"
    batch: int = 1
    steps: int = 512

    def outputs(self):
        """Names and sizes of what the head's product gives, in its order."""
        pairs = self.features * (self.features - 1) // 2 if self.covariance == "full" else 0
        sizes = {
            "logits": self.components,
            "means": self.components * self.features,
            "scales": self.components * self.features,
        }
        return {**sizes, **({"couplings": self.components * pairs} if pairs else {})}


@dataclasses.dataclass(frozen=True)
class DiffusionSizes:
    """A U-Net that takes noise off sequences of numbers, and how it is fed.

    The rest is as `tfgen.layers.UNet1D` has it by default, and lucidrains' `Unet1D`: two residual
    blocks a level on either way, and linear attention in 4 heads of 32.

    Attributes:
        width: Channels at the top, of tfgen's network. The peers' are such that they have as many
            parameters.
        multipliers: Channels of each level, in units of `width`.
        features: Numbers at a position.
        length: Positions of a sequence.
        batch: Sequences of a training step, or drawn side by side.
        steps: Steps from noise to sequences.
        attention: Whether tfgen's network has attention, as lucidrains' has; diffusers' has none.
    """

    width: int = 32
    multipliers: tuple = (1, 2, 4, 8)
    features: int = 8
    length: int = 128
    batch: int = 32
    steps: int = 50
    attention: bool = True


def vocabulary():
    """The characters of the symbols; with tfgen's "unknown" they are `SYMBOLS`."""
    return "\n" + "".join(chr(ord(" ") + index) for index in range(SYMBOLS - 2))


def random_windows(sizes, count=4):
    """Token ids `(count, batch, window + 1)`, the same for every contestant."""
    import numpy as np

    shape = (count, sizes.batch, sizes.window + 1)
    return np.random.default_rng(0).integers(1, SYMBOLS, shape, np.int32)


def random_sequences(sizes, count=4):
    """Numbers float32 `(count, batch, length, features)`, the same for every contestant."""
    import numpy as np

    shape = (count, sizes.batch, sizes.length, sizes.features)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def random_prompts(sizes):
    """Token ids `(batch, prompt)`, the same for every contestant; the first is a line break."""
    import numpy as np

    ids = np.random.default_rng(1).integers(1, SYMBOLS, [sizes.batch, sizes.prompt], np.int32)
    ids[:, 0] = 1  # of "\n", the least character of the vocabulary
    return ids


def as_text(ids):
    """The characters of token ids; 0 is tfgen's "unknown"."""
    return "".join(CHARACTERS[index] for index in ids)


CHARACTERS = "\N{REPLACEMENT CHARACTER}" + vocabulary()
