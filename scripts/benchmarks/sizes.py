"""The models that every contestant builds, what a token of each costs, and what they are fed."""

import dataclasses

import numpy as np

SYMBOLS = 65  # of tiny-shakespeare; tfgen's "unknown" is one of them
GATES = {"lstm": 4, "gru": 3}
# Noise levels that diffusion models are trained on. They are sampled by DDIM in fewer steps.
TIMESTEPS = 1000


@dataclasses.dataclass(frozen=True)
class TextSizes:
    """An embedding, recurrent layers and a softmax."""

    cell: str = "lstm"
    units: int = 512
    layers: int = 2
    embedding: int = 512
    window: int = 128  # tokens, in training
    batch: int = 32  # windows of a training step, or texts generated side by side
    tokens: int = 512  # that one call generates

    def __str__(self):
        name = f"{self.cell.upper()} {self.layers} x {self.units}, embedding {self.embedding}"
        return f"{name}, batch {self.batch}, float32"

    def product_weights(self):
        """Number of weights that a token is multiplied by."""
        gates = GATES[self.cell] * self.units
        inputs = self.embedding + (self.layers - 1) * self.units
        return (inputs + self.layers * self.units) * gates + self.units * SYMBOLS

    def read_weights(self):
        """The number that tfgen reads: it looks up the first layer's input product."""
        return self.product_weights() - self.embedding * GATES[self.cell] * self.units

    def generating_flops(self):
        """Floating-point operations of tfgen's products, per token that is generated."""
        return 2 * self.read_weights()

    def training_flops(self):
        """Floating-point operations of the products, per token of a training step.

        A weight costs a multiplication and an addition forward, and twice that backward: for the
        gradient of its input and for its own. Elementwise work and the optimizer do not count, and
        what tfgen looks up instead counts.
        """
        return 6 * self.product_weights()


@dataclasses.dataclass(frozen=True)
class TransformerSizes:
    """nanoGPT's decoder without biases and dropout.

    Learned positions, layer normalisation, GELU layers four times as wide, and a softmax whose
    weights are the embedding.
    """

    layers: int = 6
    heads: int = 6
    width: int = 384
    window: int = 256  # tokens, in training, and beyond which no text may go
    batch: int = 16  # windows of a training step, or texts generated side by side
    tokens: int = 240  # that one call generates
    prompt: int = 16

    def __str__(self):
        name = f"transformer {self.layers} x {self.width}, {self.heads} heads"
        return f"{name}, context {self.window}, batch {self.batch}, float32"

    def product_weights(self):
        """Number of weights that a token is multiplied by.

        Of a block 3 `width^2` for queries, keys and values, one after the attention, and twice 4
        in the GELU layer; then the softmax.
        """
        return 12 * self.layers * self.width**2 + self.width * SYMBOLS

    def training_flops(self):
        """Floating-point operations of the products, per token of a training step.

        Six for a weight. Attention multiplies queries by keys and probabilities by values: 2 x 2 x
        `width` for each position of the window and block, three times that with the gradients.
        Masked positions are counted, as is usual (arXiv:2204.02311, appendix B).
        """
        return 6 * self.product_weights() + 12 * self.layers * self.width * self.window

    def generating_flops(self):
        """Floating-point operations of the products, per token that is generated."""
        return 2 * self.product_weights() + 4 * self.layers * self.width * self.mean_length()

    read_weights = product_weights

    def mean_length(self):
        """Positions that a token attends to while it is generated, on average, with itself."""
        return self.prompt + (self.tokens + 1) / 2


@dataclasses.dataclass(frozen=True)
class NumbersSizes:
    """Recurrent layers over numbers, unscaled, with a mixture of Gaussians.

    A position is sampled from the one before and a mark of the first one.
    """

    cell: str = "lstm"
    layers: int = 2
    units: int = 128
    features: int = 8
    components: int = 10  # Gaussians
    batch: int = 1
    steps: int = 512  # positions of a sequence

    def __str__(self):
        name = f"{self.cell.upper()} {self.layers} x {self.units}, {self.features} features"
        return f"{name}, {self.components} Gaussians, {self.steps} steps, batch {self.batch}"

    def outputs(self):
        """Names and sizes of what the head's product gives, in its order."""
        values = self.components * self.features
        return {"logits": self.components, "means": values, "scales": values}


@dataclasses.dataclass(frozen=True)
class DiffusionSizes:
    """A U-Net that removes noise from sequences of numbers.

    The rest is as `tfgen.layers.UNet1D` has it by default, and lucidrains' `Unet1D`: two residual
    blocks a level on either way, and linear attention in 4 heads of 32.
    """

    width: int = 32  # channels at the top; the peers' are such that they have `parameters`
    multipliers: tuple = (1, 2, 4, 8)  # channels of each level, in units of the width
    features: int = 8
    length: int = 128
    batch: int = 32
    steps: int = 50  # from noise to sequences
    attention: bool = True  # of tfgen's; lucidrains' has it, diffusers' does not
    parameters: int = 0  # of tfgen's network, and so about of the peers'

    def __str__(self):
        levels = "-".join(map(str, self.multipliers))
        name = f"U-Net {self.width} x {levels}, {self.features} features, length {self.length}"
        return f"{name}, batch {self.batch}" + ("" if self.attention else ", without attention")


def vocabulary():
    """The characters of the tokens; with tfgen's "unknown", of the id 0, they are `SYMBOLS`."""
    return "\n" + "".join(chr(ord(" ") + index) for index in range(SYMBOLS - 2))


CHARACTERS = "\N{REPLACEMENT CHARACTER}" + vocabulary()


def as_text(ids):
    """The characters of token ids; 0 is tfgen's "unknown"."""
    return "".join(CHARACTERS[index] for index in ids)


def characters(rows):
    """Makes texts of rows of token ids, as a user would want them, and counts their characters."""
    return sum(len(as_text(row)) for row in rows)


def random_windows(sizes, count=4):
    """Token ids `(count, batch, window + 1)`, the same for every contestant."""
    shape = (count, sizes.batch, sizes.window + 1)
    return np.random.default_rng(0).integers(1, SYMBOLS, shape, np.int32)


def random_prompts(sizes):
    """Token ids `(batch, prompt)`, the same for every contestant; the first is a line break."""
    ids = np.random.default_rng(1).integers(1, SYMBOLS, [sizes.batch, sizes.prompt], np.int32)
    ids[:, 0] = 1  # of "\n", the least character of the vocabulary
    return ids


def random_sequences(sizes, count=4):
    """Numbers float32 `(count, batch, length, features)`, the same for every contestant."""
    shape = (count, sizes.batch, sizes.length, sizes.features)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)
