"""PyTorch's own recurrent layers, in the fastest of the ways that it has for them."""

import itertools

import torch
from torch import nn

from benchmarks.pytorch_ways import fastest, shown, with_onednn, with_threads
from benchmarks.sizes import SYMBOLS, as_text, random_windows

# So many characters are generated between two looks at the clock.
PIECE = 64
# Through oneDNN a call of one position takes several times as long as without it.
ONEDNN = {" with oneDNN": True, " without oneDNN": False}


class Network(nn.Module):
    """Embedding, recurrent layers, softmax weights."""

    def __init__(self, sizes):
        super().__init__()
        layer = {"lstm": nn.LSTM, "gru": nn.GRU}[sizes.cell]
        self.embedding = nn.Embedding(SYMBOLS, sizes.embedding)
        self.recurrent = layer(
            sizes.embedding, sizes.units, num_layers=sizes.layers, batch_first=True
        )
        self.head = nn.Linear(sizes.units, SYMBOLS)

    def forward(self, ids, state=None):
        hidden, state = self.recurrent(self.embedding(ids), state)
        return self.head(hidden), state  # (batch, time, symbols)


class CellNetwork(nn.Module):
    """The same network with nn.LSTMCell or nn.GRUCell, a call for each layer and position."""

    def __init__(self, sizes):
        super().__init__()
        cell = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}[sizes.cell]
        self.embedding = nn.Embedding(SYMBOLS, sizes.embedding)
        self.cells = nn.ModuleList(
            cell(sizes.units if layer else sizes.embedding, sizes.units)
            for layer in range(sizes.layers)
        )
        self.head = nn.Linear(sizes.units, SYMBOLS)

    def forward(self, ids, state=None):
        x, new_state = self.embedding(ids[:, 0]), []
        for cell, own in zip(self.cells, state or [None] * len(self.cells), strict=True):
            own = cell(x, own)
            x = own[0] if isinstance(own, tuple) else own
            new_state.append(own)
        return self.head(x)[:, None], new_state


def train(sizes, trial_seconds):
    """Training steps with torch.optim.Adam, with oneDNN and without: the faster."""
    windows = torch.from_numpy(random_windows(sizes)).long()
    layer = f"nn.{sizes.cell.upper()}"
    ways = {
        f"{layer}{suffix}, {_threads()}": with_onednn(_training(sizes, windows), enabled)
        for suffix, enabled in ONEDNN.items()
    }
    return fastest(ways, trial_seconds)


def _training(sizes, windows):
    network = Network(sizes)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = itertools.cycle(list(windows))

    def run():
        batch = next(batches)
        optimizer.zero_grad()
        logits, _ = network(batch[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        loss.item()
        return sizes.batch * sizes.window

    return run


def generate(sizes, trial_seconds):
    """A Python loop that samples one character a step, in the fastest of several ways.

    The ways: nn.LSTM or nn.GRU with oneDNN and without, and nn.LSTMCell or nn.GRUCell, each with
    one thread and with all.
    """
    counts = sorted({1, torch.get_num_threads()})
    layer = f"nn.{sizes.cell.upper()}"
    ways = {}
    for count in counts:
        for suffix, enabled in ONEDNN.items():
            run = with_onednn(_generation(Network(sizes), sizes), enabled)
            ways[f"{layer}{suffix}, {shown(count)}"] = with_threads(run, count)
        run = _generation(CellNetwork(sizes), sizes)
        ways[f"{layer}Cell, {shown(count)}"] = with_threads(run, count)
    run, note = fastest(ways, trial_seconds)
    return run, f"one step a character, {note}"


def _generation(network, sizes):
    network.eval()
    carry = {"ids": torch.ones([sizes.batch, 1], dtype=torch.long), "state": None}
    piece = min(PIECE, sizes.tokens)

    @torch.inference_mode()
    def run():
        ids, state, sampled = carry["ids"], carry["state"], []
        for _ in range(piece):
            logits, state = network(ids, state)
            ids = torch.multinomial(torch.softmax(logits[:, -1], dim=-1), 1)
            sampled.append(ids)
        carry.update(ids=ids, state=state)
        rows = torch.cat(sampled, dim=1).tolist()
        texts = [as_text(row) for row in rows]
        return sum(len(text) for text in texts)

    return run


def matrix_product(size):
    """Products of two float32 matrices; counts floating-point operations."""
    matrix = torch.ones([size, size])

    def run():
        torch.matmul(matrix, matrix)
        return 2 * size**3

    return run, _threads()


def _threads():
    return shown(torch.get_num_threads())
