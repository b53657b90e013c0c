"""The models of numbers in PyTorch: nn.LSTM or nn.GRU with a mixture of Gaussians, drawn in a loop.

The weights are tfgen's, and what the network makes of them is compared with what tfgen does.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.pytorch_ways import fastest, shown, with_threads

# Largest difference to tfgen's numbers, which are of about unit size.
TOLERANCE = 1e-3
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU}
CELLS = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}


class Network(nn.Module):
    """Recurrent layers and the product that gives a mixture's parameters.

    Args:
        sizes: `SeriesSizes`.
        arrays: What `peer_series.write_reference` wrote.
        as_cells: Whether a step of the loop goes through nn.LSTMCell or nn.GRUCell, a call a layer,
            or through nn.LSTM or nn.GRU, a call of one position.
    """

    def __init__(self, sizes, arrays, as_cells=False):
        super().__init__()
        self.sizes = sizes
        inputs = sizes.features + 1
        self.recurrent = LAYERS[sizes.cell](
            inputs, sizes.units, num_layers=sizes.layers, batch_first=True
        )
        self.head = nn.Linear(sizes.units, sum(sizes.outputs().values()))
        self.min_scale = float(arrays["min_scale"])
        with torch.no_grad():
            for index in range(sizes.layers):
                names = [f"{name}_{index}" for name in ("kernel", "recurrent", "bias")]
                own = _recurrent_weights(sizes.cell, *(arrays[name] for name in names))
                for name, array in own.items():
                    getattr(self.recurrent, f"{name}_l{index}").copy_(torch.from_numpy(array))
            self.head.weight.copy_(torch.from_numpy(arrays["head_kernel"].T.copy()))
            self.head.bias.copy_(torch.from_numpy(arrays["head_bias"]))
            self.cells = None
            if as_cells:
                self.cells = nn.ModuleList(
                    CELLS[sizes.cell](inputs if index == 0 else sizes.units, sizes.units)
                    for index in range(sizes.layers)
                )
                for index, cell in enumerate(self.cells):
                    for name, weight in cell.named_parameters():
                        weight.copy_(getattr(self.recurrent, f"{name}_l{index}"))

    def forward(self, x, state=None):
        """Raw parameters by name of inputs `(batch, time, features + 1)`, and the state."""
        hidden, state = self.recurrent(x, state)
        return self._raw(hidden), state

    def step(self, x, state=None):
        """The same for one position `(batch, features + 1)`."""
        if self.cells is None:
            hidden, state = self.recurrent(x[:, None], state)
            return self._raw(hidden[:, 0]), state
        new_state = []
        for cell, own in zip(self.cells, state or [None] * len(self.cells), strict=True):
            own = cell(x, own)
            x = own[0] if isinstance(own, tuple) else own
            new_state.append(own)
        return self._raw(x), new_state

    def _raw(self, hidden):
        outputs = self.sizes.outputs()
        parts = self.head(hidden).split(list(outputs.values()), dim=-1)
        return dict(zip(outputs, parts, strict=True))

    def draw(self, raw, likeliest=False):
        """Numbers `(batch, features)` of raw parameters `(batch, ...)`."""
        logits, features = raw["logits"], self.sizes.features
        if likeliest:
            chosen = logits.argmax(dim=-1)
        else:
            chosen = torch.multinomial(logits.softmax(dim=-1), 1)[:, 0]
        rows = torch.arange(len(chosen))

        def of_chosen(name):
            return raw[name].unflatten(-1, (self.sizes.components, -1))[rows, chosen]

        means = of_chosen("means")
        if likeliest:
            return means
        scales = self.min_scale + functional.softplus(of_chosen("scales"))
        deviations = scales * torch.randn_like(means)
        if "couplings" in raw:
            # Each deviation is its noise and the earlier ones by their couplings.
            matrix = means.new_zeros([len(rows), features, features])
            row, column = torch.tril_indices(features, features, -1)
            matrix[:, row, column] = -of_chosen("couplings")
            deviations = torch.linalg.solve_triangular(
                matrix, deviations[..., None], upper=False, unitriangular=True
            )[..., 0]
        return means + deviations

    @torch.inference_mode()
    def generate(self, batch, steps, likeliest=False):
        """Sequences `(batch, steps, features)` from nothing, as NumPy."""
        features = self.sizes.features
        values = torch.empty(batch, steps, features)
        x = torch.zeros(batch, features + 1)
        x[:, features] = 1.0  # the mark of the first position
        state = None
        for index in range(steps):
            raw, state = self.step(x, state)
            drawn = self.draw(raw, likeliest)
            values[:, index] = drawn
            x = functional.pad(drawn, (0, 1))
        return values.numpy()


def rollout(sizes, path, trial_seconds):
    """Whole generations in the fastest of four ways, each of which is tried first."""
    arrays = dict(np.load(path))
    threads = torch.get_num_threads()
    ways, difference = {}, 0.0
    for as_cells in (False, True):
        network = Network(sizes, arrays, as_cells).eval()
        difference = max(difference, check(network, arrays))
        kind = (CELLS if as_cells else LAYERS)[sizes.cell].__name__
        for count in sorted({1, threads}):
            ways[f"nn.{kind}, {shown(count)}"] = with_threads(_generation(network), count)
    run, tried = fastest(ways, trial_seconds)
    note = (
        f"{tried}; the same parameters of the mixture and the same sequence at temperature 0 as "
        f"tfgen up to {difference:.0e}"
    )
    return run, note


def _generation(network):
    sizes = network.sizes

    def run():
        values = network.generate(sizes.batch, sizes.steps)
        return values.shape[0] * values.shape[1]

    return run


@torch.inference_mode()
def check(network, arrays):
    """The largest difference between what the network and tfgen make of the same numbers.

    Raises:
        ValueError: It is more than rounding.
    """
    sizes = network.sizes
    values = torch.from_numpy(arrays["values"])
    before = functional.pad(values[:, :-1], (0, 0, 1, 0))
    first = torch.zeros(*values.shape[:2], 1)
    first[:, 0] = 1.0
    raw, _ = network(torch.cat([before, first], dim=-1))
    ours = {**raw, "scales": network.min_scale + functional.softplus(raw["scales"])}
    pairs = [(ours[name].numpy(), arrays[name]) for name in sizes.outputs()]
    likeliest = arrays["likeliest"]
    pairs.append((network.generate(1, likeliest.shape[1], likeliest=True), likeliest))
    difference = max(float(np.abs(a.ravel() - b.ravel()).max()) for a, b in pairs)
    if not difference <= TOLERANCE:
        raise ValueError(f"PyTorch's model differs from tfgen's by {difference:.1e}")
    return difference


def _recurrent_weights(cell, kernel, recurrent, bias):
    """Weights of one layer by PyTorch's names, of Keras' arrays.

    Keras' GRU has its gates as update, reset, candidate, and PyTorch's as reset, update, candidate;
    those of the LSTM agree, whose single bias Keras keeps.
    """
    if cell == "gru":
        kernel, recurrent, bias = (_swapped(array) for array in (kernel, recurrent, bias))
        input_bias, recurrent_bias = bias
    else:
        input_bias, recurrent_bias = bias, np.zeros_like(bias)
    return {
        "weight_ih": np.ascontiguousarray(kernel.T),
        "weight_hh": np.ascontiguousarray(recurrent.T),
        "bias_ih": input_bias.copy(),
        "bias_hh": recurrent_bias.copy(),
    }


def _swapped(array):
    update, reset, candidate = np.split(array, 3, axis=-1)
    return np.concatenate([reset, update, candidate], axis=-1)
