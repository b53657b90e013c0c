"""`RecurrentNetwork`: LSTM and GRU layers with what stands between them, for text and numbers."""

import keras
import tensorflow as tf

from tfgen.layers.checks import (
    MOST_LAYERS,
    check_choice,
    check_flag,
    check_most,
    check_rate,
    check_whole,
)
from tfgen.layers.gru import GRU
from tfgen.layers.lstm import LSTM
from tfgen.layers.past_attention import PastAttention
from tfgen.sampling import random

CELLS = {"lstm": LSTM, "gru": GRU}


def check_network(cell, units, layers, dropout, recurrent_dropout, layer_norm, residual, attention):
    """Raises `ValueError` for an argument of a network that is out of its range."""
    check_choice(CELLS, cell=cell)
    check_whole(1, units=units, layers=layers)
    check_most(MOST_LAYERS, layers=layers)
    check_rate(dropout=dropout, recurrent_dropout=recurrent_dropout)
    check_flag(layer_norm=layer_norm, residual=residual)
    check_whole(0, attention=attention)


class RecurrentNetwork:
    """Mixin of a `SequenceGenerator`: recurrent layers over inputs `(batch, time, features)`.

    The class that mixes it in calls `_make_network` in its constructor, after Keras' own.
    """

    def _make_network(
        self,
        cell,
        units,
        layers,
        dropout,
        recurrent_dropout,
        layer_norm,
        residual,
        attention,
    ):
        # Layers
        self.recurrent = [
            CELLS[cell](
                units,
                return_sequences=True,
                return_state=True,
                kernel_initializer=keras.initializers.GlorotUniform(self.layer_seed(1, index)),
                recurrent_initializer=keras.initializers.Orthogonal(seed=self.layer_seed(2, index)),
                dtype=self.dtype_policy,
                name=f"{cell}_{index}",
            )
            for index in range(layers)
        ]
        self.norms = [
            keras.layers.LayerNormalization(dtype=self.dtype_policy, name=f"norm_{index}")
            for index in range(layers + 1 if layer_norm else 0)
        ]
        self.past_attention = None
        if attention:
            self.past_attention = PastAttention(
                attention, seed=self.layer_seed(3), dtype=self.dtype_policy, name="past_attention"
            )

        # Model
        self.cell = cell
        self.units = units
        self.num_layers = layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.layer_norm = layer_norm
        self.residual = residual
        self.attention = attention

    def _build_network(self, width):
        """Makes the weights for inputs of so many features."""
        for index, layer in enumerate(self.recurrent):
            inputs = width if index == 0 else self.units
            layer.build((None, None, inputs))
            if self.norms:
                self.norms[index].build((None, None, inputs))
        for layer in [*self.norms[-1:], self.past_attention]:
            if layer is not None:
                layer.build((None, None, self.units))

    def initial_state(self, batch_size):
        state = {"recurrent": [[] for _ in self.recurrent]}
        for index, layer in enumerate(self.recurrent):
            sizes = layer.cell.state_size
            sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes]
            state["recurrent"][index] = [
                tf.zeros([batch_size, size], self.compute_dtype) for size in sizes
            ]
        if self.past_attention is not None:
            state["attention"] = self.past_attention.initial_state(batch_size, self.units)
        return state

    def _network(
        self,
        x,
        state=None,
        mask=None,
        training=False,
        key=None,
        outputs=None,
        projected=None,
    ):
        """The layers over whole sequences.

        Args:
            x: `(batch, time, features)`.
            state: As `initial_state`; None is that.
            mask: bool `(batch, time)`: where it is False the state is left alone.
            training: Whether dropout is on.
            key: int32 `(2,)`, what the dropout is drawn from.
            outputs: Dict into which each layer's outputs are put.
            projected: Function that gives the first layer's input product `(time, batch, gates)`,
                where that is had without the inputs.

        Returns:
            `(hidden (batch, time, units), state)`.
        """
        batch = tf.shape(x)[0]
        state = self.initial_state(batch) if state is None else state
        new_state = {"recurrent": []}
        for index, (layer, layer_state) in enumerate(zip(self.recurrent, state["recurrent"])):
            recurrent_drop = self._drop(self.recurrent_dropout, batch, training, key, 2 * index)
            if recurrent_drop is None and layer.uses_fused_kernels(training):
                y, *layer_state = layer(
                    self._normalised(index, x), initial_state=layer_state, mask=mask, training=True
                )
            else:
                # A name in the graph, as it has where the layer is called.
                with tf.name_scope(layer.name):
                    if index == 0 and projected is not None:
                        gates = projected()
                    else:
                        gates = layer.project(tf.transpose(self._normalised(index, x), [1, 0, 2]))
                    time_mask = None if mask is None else tf.transpose(mask)
                    y, layer_state = layer.scan(gates, layer_state, time_mask, recurrent_drop)
                    y = tf.transpose(y, [1, 0, 2])  # (batch, time, units)
            if outputs is not None:
                outputs[layer.name] = y
            drop = self._drop(self.dropout, batch, training, key, 2 * index + 1)
            x = self._add(x, y if drop is None else y * drop[:, None, :])
            new_state["recurrent"].append(list(layer_state))
        x = self._normalised(-1, x)
        if self.past_attention is not None:
            x, new_state["attention"] = self.past_attention(x, state["attention"], mask=mask)
            if outputs is not None:
                outputs[self.past_attention.name] = x
        return x, new_state

    def _network_stepper(self):
        """A function `(x (batch, features), state, projected=None)` for one position.

        The weights are read here, once, so that a loop around the function finds them ready.
        """
        steps = [layer.stepper() for layer in self.recurrent]

        def step(x, state, projected=None):
            new_state = {"recurrent": []}
            for index, layer in enumerate(self.recurrent):
                if index or projected is None:
                    projected = layer.project(self._normalised(index, x))
                y, layer_state = steps[index](projected, state["recurrent"][index])
                x = self._add(x, y)
                new_state["recurrent"].append(layer_state)
            x = self._normalised(-1, x)
            if self.past_attention is not None:
                x, new_state["attention"] = self.past_attention(x[:, None], state["attention"])
                x = x[:, 0]
            return x, new_state

        return step

    def _network_config(self):
        return {
            "cell": self.cell,
            "units": self.units,
            "layers": self.num_layers,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "layer_norm": self.layer_norm,
            "residual": self.residual,
            "attention": self.attention,
        }

    def _normalised(self, index, x):
        return self.norms[index](x) if self.norms else x

    def _add(self, x, y):
        return x + y if self.residual and x.shape[-1] == y.shape[-1] else y

    def _drop(self, rate, batch, training, key, number):
        """A dropout mask `(batch, units)`, scaled to keep the mean, or None."""
        if not training or not rate:
            return None
        mask = random.bernoulli_mask(random.fold(key, number), [batch, self.units], 1 - rate)
        return tf.cast(mask, self.compute_dtype)
