"""PyTorch's own nn.LSTM and nn.GRU, as installed."""

import itertools

import torch
from torch import nn

from benchmarks.sizes import SYMBOLS, as_text, random_windows

# So many characters are generated between two looks at the clock.
PIECE = 64


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


def train(sizes):
    """Training steps with torch.optim.Adam."""
    network = Network(sizes)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    windows = torch.from_numpy(random_windows(sizes)).long()
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

    return run, _threads()


def generate(sizes):
    """A Python loop that draws one character a step from the state carried along."""
    network = Network(sizes).eval()
    carry = {"ids": torch.ones([sizes.batch, 1], dtype=torch.long), "state": None}
    piece = min(PIECE, sizes.tokens)

    @torch.no_grad()
    def run():
        ids, state, drawn = carry["ids"], carry["state"], []
        for _ in range(piece):
            logits, state = network(ids, state)
            ids = torch.multinomial(torch.softmax(logits[:, -1], dim=-1), 1)
            drawn.append(ids)
        carry.update(ids=ids, state=state)
        rows = torch.cat(drawn, dim=1).tolist()
        texts = [as_text(row) for row in rows]
        return sum(len(text) for text in texts)

    return run, f"one step a character, {_threads()}"


def matrix_product(size):
    """Products of two float32 matrices; counts floating-point operations."""
    matrix = torch.ones([size, size])

    def run():
        torch.matmul(matrix, matrix)
        return 2 * size**3

    return run, _threads()


def _threads():
    return f"{torch.get_num_threads()} threads"
