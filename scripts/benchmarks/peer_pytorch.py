"""PyTorch's recurrent layers, as models of text and of numbers, in the fastest of their ways.

The ways: nn.LSTM or nn.GRU and nn.LSTMCell or nn.GRUCell, each with oneDNN, through which a call of
one position may take several times as long, and without, with one thread and with all.
"""

import torch
from torch import nn
from torch.nn import functional

from benchmarks.sizes import SYMBOLS, as_text, random_windows
from benchmarks.ways import COUNT, COUNTS, threads, training, with_settings

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}
CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}
PIECE = 64  # so many characters are generated between two looks at the clock


class Network(nn.Module):
    """Recurrent layers and a product: of an embedding of tokens, or of numbers.

    Args:
        sizes: `TextSizes` or `NumbersSizes`.
        inputs: Width of the embedding, or numbers that a position is given.
        outputs: What the product gives.
        symbols: Tokens of the embedding; 0 is numbers.
        as_cells: Whether a step goes through nn.LSTMCell or nn.GRUCell, a call a layer, or through
            nn.LSTM or nn.GRU, a call of one position.
    """

    def __init__(self, sizes, inputs, outputs, symbols=0, as_cells=False):
        super().__init__()
        self.embedding = nn.Embedding(symbols, inputs) if symbols else None
        self.recurrent = self.cells = None
        if as_cells:
            widths = [inputs] + [sizes.units] * (sizes.layers - 1)
            self.cells = nn.ModuleList(CELLS[sizes.cell](width, sizes.units) for width in widths)
        else:
            self.recurrent = LAYERS[sizes.cell](
                inputs, sizes.units, num_layers=sizes.layers, batch_first=True
            )
        self.head = nn.Linear(sizes.units, outputs)

    def forward(self, x, state=None):
        """Outputs `(batch, time, outputs)` of layers, and the state."""
        x = x if self.embedding is None else self.embedding(x)
        hidden, state = self.recurrent(x, state)
        return self.head(hidden), state

    def step(self, x, state=None):
        """The same for one position, without the axis of time."""
        if self.cells is None:
            outputs, state = self(x[:, None], state)
            return outputs[:, 0], state
        x, new_state = x if self.embedding is None else self.embedding(x), []
        for cell, own in zip(self.cells, state or [None] * len(self.cells), strict=True):
            own = cell(x, own)
            x = own[0] if isinstance(own, tuple) else own
            new_state.append(own)
        return self.head(x), new_state


def text_network(sizes, as_cells=False):
    """The network of `TextSizes` with random weights."""
    return Network(sizes, sizes.embedding, SYMBOLS, SYMBOLS, as_cells)


def numbers_network(sizes, as_cells=False):
    """The network of `NumbersSizes`; the last input marks the first position."""
    outputs = sum(sizes.outputs().values())
    return Network(sizes, sizes.features + 1, outputs, as_cells=as_cells)


def train(sizes):
    """Training steps with torch.optim.Adam, with oneDNN and without."""
    windows = torch.from_numpy(random_windows(sizes)).long()
    network = text_network(sizes)

    def loss(batch):
        logits, _ = network(batch[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    run = training(loss, optimizer, list(windows), sizes.batch * sizes.window)
    return {
        f"{LAYERS[sizes.cell].__name__} {word} oneDNN, {threads(COUNT)}": with_settings(
            run, onednn=word == "with"
        )
        for word in ("with", "without")
    }


def generate(sizes):
    """A Python loop that samples one character a step."""

    def make(as_cells):
        network = text_network(sizes, as_cells).eval()
        carry = {"ids": torch.ones([sizes.batch], dtype=torch.long), "state": None}
        piece = min(PIECE, sizes.tokens)

        @torch.inference_mode()
        def run():
            ids, state, sampled = carry["ids"], carry["state"], []
            for _ in range(piece):
                logits, state = network.step(ids, state)
                ids = torch.multinomial(torch.softmax(logits, dim=-1), 1)[:, 0]
                sampled.append(ids)
            carry.update(ids=ids, state=state)
            texts = [as_text(row) for row in torch.stack(sampled, dim=1).tolist()]
            return sum(len(text) for text in texts)

        return run

    return _ways(make, sizes.cell)


def rollout(sizes):
    """Whole sequences of numbers, in a Python loop that samples one position a step."""

    def make(as_cells):
        network = numbers_network(sizes, as_cells).eval()

        def run():
            values = sample(network, sizes, sizes.batch, sizes.steps)
            return values.shape[0] * values.shape[1]

        return run

    return _ways(make, sizes.cell)


def _ways(make, cell):
    ways = {}
    for as_cells, kinds in enumerate((LAYERS, CELLS)):
        run = make(bool(as_cells))
        for word in ("with", "without"):
            for count in COUNTS:
                name = f"nn.{kinds[cell].__name__} {word} oneDNN, {threads(count)}"
                ways[name] = with_settings(run, count, word == "with")
    return ways


@torch.inference_mode()
def sample(network, sizes, batch, steps, most_likely=False, min_scale=1e-3):
    """Sequences `(batch, steps, features)` of a network of numbers, as NumPy."""
    features = sizes.features
    values = torch.empty(batch, steps, features)
    x = torch.zeros(batch, features + 1)
    x[:, features] = 1.0  # the mark of the first position
    state = None
    for index in range(steps):
        outputs, state = network.step(x, state)
        sampled = of_mixture(outputs, sizes, most_likely, min_scale)
        values[:, index] = sampled
        x = functional.pad(sampled, (0, 1))
    return values.numpy()


def of_mixture(outputs, sizes, most_likely=False, min_scale=1e-3):
    """Numbers `(batch, features)` of raw parameters of mixtures `(batch, outputs)`."""
    names = sizes.outputs()
    raw = dict(zip(names, outputs.split(list(names.values()), dim=-1), strict=True))
    if most_likely:
        chosen = raw["logits"].argmax(dim=-1)
    else:
        chosen = torch.multinomial(raw["logits"].softmax(dim=-1), 1)[:, 0]
    rows = torch.arange(len(chosen))

    def of_chosen(name):
        return raw[name].unflatten(-1, (sizes.components, -1))[rows, chosen]

    means = of_chosen("means")
    if most_likely:
        return means
    scales = min_scale + functional.softplus(of_chosen("scales"))
    return means + scales * torch.randn_like(means)


def matrix_product(size):
    """Products of two float32 matrices; counts floating-point operations."""
    matrix = torch.ones([size, size])

    def run():
        torch.matmul(matrix, matrix)
        return 2 * size**3

    return {threads(COUNT): run}
