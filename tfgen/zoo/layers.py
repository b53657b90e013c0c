"""The table of the layers that `tfgen.zoo.get` gives by name."""

import dataclasses
import importlib


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One row of `LAYERS`: where a layer's class is, and what it does in one line.

    The class is imported when it is asked for, because its module imports TensorFlow.
    """

    path: str  # "module:Class"
    summary: str

    def load(self):
        """Returns the layer's class."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)


LAYERS = {
    "clip-by-value": LayerRow(
        "tfgen.layers.clip_by_value:ClipByValue",
        "Bounds activations, with a choice of gradients.",
    ),
    "lstm-layer": LayerRow(
        "tfgen.layers.lstm:LSTM",
        "An LSTM that trains fast on CPU.",
    ),
    "gru-layer": LayerRow(
        "tfgen.layers.gru:GRU",
        "A GRU that trains fast on CPU.",
    ),
}
