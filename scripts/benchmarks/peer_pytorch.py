"""PyTorch's recurrent layers, as models of text and of numbers, in the fastest of their ways.

The ways: nn.LSTM or nn.GRU and nn.LSTMCell or nn.GRUCell, each with oneDNN, through which a call of
one position may take several times as long, and without, with one thread and with all.
"""

import torch
from torch import nn
from torch.nn import functional

from benchmarks.sizes import SYMBOLS, TextSizes, characters, random_windows
from benchmarks.ways import COUNT, COUNTS, stepper, threads, with_settings
from benchmarks.workers import in_turn

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}
CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}
PIECE = 64  # so many characters are generated between two looks at the clock


class Network(nn.Module):
    """Recurrent layers and a product: of an embedding of tokens (`TextSizes`), or of numbers
    (`NumbersSizes`), where one more input marks the first position.

    A step goes through nn.LSTMCell or nn.GRUCell, a call a layer, if `as_cells`, or else through
    nn.LSTM or nn.GRU, a call of one position.
    """

    def __init__(self, sizes, as_cells=False):
        super().__init__()
        if isinstance(sizes, TextSizes):
            width, outputs = sizes.embedding, SYMBOLS
            self.embedding = nn.Embedding(SYMBOLS, width)
        else:
            width, outputs = sizes.features + 1, sum(sizes.outputs().values())
            self.embedding = nn.Identity()
        units, count = sizes.units, sizes.layers
        self.as_cells = as_cells
        if as_cells:
            widths = [width] + [units] * (count - 1)
            self.recurrent = nn.ModuleList(CELLS[sizes.cell](each, units) for each in widths)
        else:
            layers = LAYERS[sizes.cell]
            self.recurrent = layers(width, units, num_layers=count, batch_first=True)
        self.head = nn.Linear(units, outputs)

    def forward(self, x, state=None):
        """Outputs `(batch, time, outputs)` of layers, and the state."""
        hidden, state = self.recurrent(self.embedding(x), state)
        return self.head(hidden), state

    def step(self, x, state=None):
        """The same for one position, without the axis of time."""
        if not self.as_cells:
            outputs, state = self(x[:, None], state)
            return outputs[:, 0], state
        x, new_state = self.embedding(x), []
        for cell, own in zip(self.recurrent, state or [None] * len(self.recurrent)):
            new_state.append(own := cell(x, own))
            x = own[0] if isinstance(own, tuple) else own
        return self.head(x), new_state


def train(sizes):
    """Training steps with torch.optim.Adam, with oneDNN and without."""
    windows = torch.from_numpy(random_windows(sizes)).long()
    network = Network(sizes)

    def loss(batch):
        logits, _ = network(batch[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    step = stepper(loss, torch.optim.Adam(network.parameters(), lr=1e-3))
    run = in_turn(step, list(windows), sizes.batch * sizes.window)
    return _with_and_without(LAYERS[sizes.cell], run, [COUNT])


def generate(sizes):
    """Characters, sampled in a Python loop that keeps the state."""

    def make(network):
        ids, state = torch.ones([sizes.batch], dtype=torch.long), None

        @torch.inference_mode()
        def run():
            nonlocal ids, state
            sampled = []
            for _ in range(min(PIECE, sizes.tokens)):
                logits, state = network.step(ids, state)
                ids = torch.multinomial(torch.softmax(logits, dim=-1), 1)[:, 0]
                sampled.append(ids)
            return characters(torch.stack(sampled, dim=1).tolist())

        return run

    return _stepping(sizes, make)


def rollout(sizes):
    """Whole sequences of numbers, in a Python loop that samples one position a step."""

    def make(network):
        def run():
            values = sample(network, sizes, sizes.batch, sizes.steps)
            return values.shape[0] * values.shape[1]

        return run

    return _stepping(sizes, make)


def _stepping(sizes, make):
    """The ways of what `make` makes of a network that is asked for a position at a time."""
    ways = {}
    for as_cells, kinds in enumerate((LAYERS, CELLS)):
        run = make(Network(sizes, bool(as_cells)).eval())
        ways |= _with_and_without(kinds[sizes.cell], run, COUNTS)
    return ways


def _with_and_without(kind, run, counts):
    return {
        f"nn.{kind.__name__} {word} oneDNN, {threads(count)}": with_settings(
            run, count, word == "with"
        )
        for word in ("with", "without")
        for count in counts
    }


@torch.inference_mode()
def sample(network, sizes, batch, steps, most_likely=False, min_scale=1e-3):
    """Sequences `(batch, steps, features)` of a network of numbers, as NumPy."""
    values = torch.empty(batch, steps, sizes.features)
    x = torch.zeros(batch, sizes.features + 1)
    x[:, -1] = 1.0  # the mark of the first position
    state = None
    for index in range(steps):
        outputs, state = network.step(x, state)
        values[:, index] = of_mixture(outputs, sizes, most_likely, min_scale)
        x = functional.pad(values[:, index], (0, 1))
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
    return means + (min_scale + functional.softplus(of_chosen("scales"))) * torch.randn_like(means)


def matrix_product(size):
    """Products of two float32 matrices; counts floating-point operations."""
    matrix = torch.ones([size, size])

    def run():
        torch.matmul(matrix, matrix)
        return 2 * size**3

    return {threads(COUNT): run}
