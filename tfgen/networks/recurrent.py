"""`RecurrentNetwork`: LSTM and GRU layers with what stands between them."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.additive_attention import AdditiveAttention
from tfgen.layers.checks import (
    MOST_LAYERS,
    check_choice,
    check_flag,
    check_most,
    check_of_use,
    check_rate,
    check_whole,
)
from tfgen.layers.gru import GRU
from tfgen.layers.lstm import LSTM
from tfgen.layers.past_attention import PastAttention
from tfgen.layers.soft_window import SoftWindow
from tfgen.networks.causal import CausalNetwork
from tfgen.sampling import random

CELLS = {"lstm": LSTM, "gru": GRU}


@keras.saving.register_keras_serializable(package="tfgen")
class RecurrentNetwork(CausalNetwork):
    """Recurrent layers over `(batch, time, features)`.

    After Graves, "Generating sequences with recurrent neural networks" (arXiv:1308.0850). The state
    has a constant size, so a position costs the same however long the sequence already is.

    Args:
        cell: `"lstm"` or `"gru"`.
        units: Units of each layer.
        layers: Number of layers.
        dropout: Share of each layer's outputs that is dropped in training, the same units at
            every position (arXiv:1512.05287).
        recurrent_dropout: The same for the output that a cell hands to itself.
        layer_norm: Normalise the input of every layer, and of what follows (arXiv:1607.06450).
        residual: Add to each layer's output its input, where their widths agree.
        attention: How many of the last layer's past outputs, the present one included, each
            position attends to before the output; 0 is no attention.
        soft_window: Of models with an encoder: how many Gaussians move along the source, from its
            first item to its last, as the first layer says, which is given what they show at the
            next position (arXiv:1308.0850, section 5.1): of handwriting, the letter that is being
            written. 0 lets every position look for what it attends to.
        cross_attention: Whether the first layer's outputs attend to a context, see `context`, which
            the layers after it then know as well.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> network = RecurrentNetwork("gru", units=8, layers=1)
    >>> hidden, state = network(tf.zeros([2, 5, 3]))
    >>> hidden.shape
    TensorShape([2, 5, 8])
    """

    def __init__(
        self,
        cell="lstm",
        units=512,
        layers=2,
        dropout=0.0,
        recurrent_dropout=0.0,
        layer_norm=False,
        residual=False,
        attention=0,
        soft_window=0,
        cross_attention=False,
        seed=0,
        **kwargs,
    ):
        check_choice(CELLS, cell=cell)
        check_whole(1, units=units, layers=layers)
        check_most(MOST_LAYERS, layers=layers)
        check_rate(dropout=dropout, recurrent_dropout=recurrent_dropout)
        check_flag(layer_norm=layer_norm, residual=residual, cross_attention=cross_attention)
        check_whole(0, attention=attention, soft_window=soft_window)
        check_of_use(cross_attention, "models with an encoder", 0, soft_window=soft_window)
        super().__init__(seed=seed, **kwargs)
        common = {"dtype": self.dtype_policy}

        # Layers
        self.recurrent = [
            CELLS[cell](
                units,
                return_sequences=True,
                return_state=True,
                kernel_initializer=keras.initializers.GlorotUniform(self.weight_seed(1, index)),
                recurrent_initializer=keras.initializers.Orthogonal(
                    seed=self.weight_seed(2, index)
                ),
                name=f"{cell}_{index}",
                **common,
            )
            for index in range(layers)
        ]
        self.norms = [
            keras.layers.LayerNormalization(name=f"norm_{index}", **common)
            for index in range(layers + 1 if layer_norm else 0)
        ]
        self.past_attention = None
        if attention:
            self.past_attention = PastAttention(
                attention, seed=self.weight_seed(3), name="past_attention", **common
            )
        self.context_attention = self.window = None
        glorot = keras.initializers.GlorotUniform(self.weight_seed(4))
        if soft_window:
            self.window = SoftWindow(units, soft_window, glorot, name="soft_window", **common)
        elif cross_attention:
            self.context_attention = AdditiveAttention(
                units, glorot, name="context_attention", **common
            )

        # Config
        self.cell = cell
        self.units = units
        self.num_layers = layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.layer_norm = layer_norm
        self.residual = residual
        self.attention = attention
        self.soft_window = soft_window
        self.has_context = self.cross_attention = cross_attention

    @property
    def output_width(self):
        return self.units

    def build(self, input_shape):
        self.make_weights(input_shape[-1])

    def make_weights(self, width):
        # Not in `build`, whose scope would come before the names of the weights.
        for index, layer in enumerate(self.recurrent):
            inputs = width if index == 0 else self.units
            layer.build((None, None, inputs))
            if self.norms:
                self.norms[index].build((None, None, inputs))
        for layer in [*self.norms[-1:], self.past_attention, self.context_attention]:
            if layer is not None:
                layer.build((None, None, self.units))
        if self.window is not None:
            with keras.name_scope(self.window.name):
                self.window.make_weights(self.recurrent[0].cell.kernel.shape[-1])
        self.built = True

    def context(self, vectors, valid):
        """What the first layer's outputs attend to: `vectors (batch, items, units)`.

        Args:
            vectors: What a condition is told by.
            valid: bool `(batch, items)`: which of them there are.
        """
        items = vectors if self.window is not None else self.context_attention.read(vectors)
        return {"items": items, "valid": valid}

    def initial_state(self, batch_size, context=None):
        state = {"recurrent": [[] for _ in self.recurrent]}
        if context is not None:
            state["context"] = context
        for index, layer in enumerate(self.recurrent):
            sizes = layer.cell.state_size
            sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes]
            state["recurrent"][index] = [
                tf.zeros([batch_size, size], self.compute_dtype) for size in sizes
            ]
        if self.past_attention is not None:
            state["attention"] = self.past_attention.initial_state(batch_size, self.units)
        if self.window is not None:
            state["window"] = self.window.initial_state(batch_size)
        return state

    def call(
        self,
        x,
        state=None,
        mask=None,
        training=False,
        key=None,
        record=None,
        projected=None,
        context=None,
        attended=None,
    ):
        """The layers over whole sequences.

        Args:
            x: `(batch, time, features)`.
            state: As `initial_state`; None is that.
            mask: bool `(batch, time)`: where it is False the state is left alone.
            training: Whether dropout is on.
            key: int32 `(2,)`, what the dropout is drawn from.
            record: Dict into which each layer's outputs are put.
            projected: Function that gives the first layer's input product `(time, batch, gates)`,
                where that is had without the inputs.
            context: As of `context`, where there is no state, which has its own.
            attended: Function that is called with what is attended to of the context, see
                `AdditiveAttention`.

        Returns:
            `(hidden (batch, time, units), state)`.
        """
        batch = tf.shape(x)[0]
        state = self.initial_state(batch, context) if state is None else state
        new_state = {**state, "recurrent": []}
        for index, (layer, layer_state) in enumerate(zip(self.recurrent, state["recurrent"])):
            recurrent_drop = self._drop(self.recurrent_dropout, batch, training, key, 2 * index)
            windowed = index == 0 and self.window is not None
            if recurrent_drop is None and not windowed and layer.uses_fused_kernels(training):
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
                    if windowed:
                        y, windows, shares, layer_state, new_state["window"] = self.window.scan(
                            layer, gates, layer_state, state["window"], state["context"],
                            time_mask, recurrent_drop,
                        )  # fmt: skip
                    else:
                        y, layer_state = layer.scan(gates, layer_state, time_mask, recurrent_drop)
                    y = tf.transpose(y, [1, 0, 2])  # (batch, time, units)
            if record is not None:
                record[layer.name] = y
            drop = self._drop(self.dropout, batch, training, key, 2 * index + 1)
            x = self._add(x, y if drop is None else y * drop[:, None, :])
            if windowed:
                x += tf.transpose(windows, [1, 0, 2])
                if attended is not None:
                    attended(tf.transpose(shares, [1, 0, 2]))
            x = self._attended(index, x, state, attended)
            new_state["recurrent"].append(list(layer_state))
        x = self._normalised(-1, x)
        if self.past_attention is not None:
            x, new_state["attention"] = self.past_attention(x, state["attention"], mask=mask)
            if record is not None:
                record[self.past_attention.name] = x
        return x, new_state

    def project_table(self, table):
        """The first layer's input product for rows `(rows, features)`, `(rows, gates * units)`."""
        return self.recurrent[0].project(self._normalised(0, table))

    def stepper(self):
        """A function `(x (batch, features), state, projected=None)` for one position.

        The weights are read here, once, so that a loop around the function finds them ready.
        """
        steps = [layer.stepper() for layer in self.recurrent]
        windowed = self.window and self.window.stepper(self.recurrent[0])

        def step(x, state, projected=None):
            new_state = {**state, "recurrent": []}
            for index, layer in enumerate(self.recurrent):
                if index or projected is None:
                    projected = layer.project(self._normalised(index, x))
                layer_state = state["recurrent"][index]
                if index == 0 and windowed is not None:
                    y, window, layer_state, new_state["window"] = windowed(
                        projected, layer_state, state["window"], state["context"]
                    )
                    x = self._add(x, y) + window
                else:
                    y, layer_state = steps[index](projected, layer_state)
                    x = self._add(x, y)
                x = self._attended(index, x[:, None], state)[:, 0]
                new_state["recurrent"].append(layer_state)
            x = self._normalised(-1, x)
            if self.past_attention is not None:
                x, new_state["attention"] = self.past_attention(x[:, None], state["attention"])
                x = x[:, 0]
            return x, new_state

        return step

    def get_config(self):
        return {**super().get_config(), **constructor_config(self, layers=self.num_layers)}

    def _normalised(self, index, x):
        return self.norms[index](x) if self.norms else x

    def _add(self, x, y):
        return x + y if self.residual and x.shape[-1] == y.shape[-1] else y

    def _attended(self, index, x, state, attended=None):
        """`(batch, time, units)` of a layer with what the first one attends to."""
        if index or self.context_attention is None:
            return x
        context = state["context"]
        return self.context_attention(
            x, tuple(context["items"]), context["valid"], attended=attended
        )

    def _drop(self, rate, batch, training, key, number):
        """A dropout mask `(batch, units)`, scaled to keep the mean, or None."""
        if not training or not rate:
            return None
        mask = random.bernoulli_mask(random.fold(key, number), [batch, self.units], 1 - rate)
        return tf.cast(mask, self.compute_dtype)
