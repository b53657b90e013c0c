"""The model that every contestant builds, and what a token of it costs."""

import dataclasses

SYMBOLS = 65  # of tiny-shakespeare; tfgen's "unknown" is one of them
GATES = {"lstm": 4, "gru": 3}
BYTES = 4  # of a float32
# Below this, tfgen looks rows up by a product with one-hot rows (tfgen.models.recurrent).
ONE_HOT_LOOK_UP = 1024


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


def vocabulary():
    """The characters of the symbols; with tfgen's "unknown" they are `SYMBOLS`."""
    return "\n" + "".join(chr(ord(" ") + index) for index in range(SYMBOLS - 2))


def random_windows(sizes, count=4):
    """Token ids `(count, batch, window + 1)`, the same for every contestant."""
    import numpy as np

    shape = (count, sizes.batch, sizes.window + 1)
    return np.random.default_rng(0).integers(1, SYMBOLS, shape, np.int32)
