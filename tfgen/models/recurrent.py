"""`RecurrentGenerator`: LSTM and GRU text models."""

import keras
import tensorflow as tf

from tfgen.layers.checks import check, check_choice, check_flag, check_rate, check_whole
from tfgen.layers.gru import GRU
from tfgen.layers.lstm import LSTM
from tfgen.layers.past_attention import PastAttention
from tfgen.layers.products import as_tensor, look_up
from tfgen.models.autoregressive import AutoregressiveGenerator
from tfgen.sampling import random

CELLS = {"lstm": LSTM, "gru": GRU}


@keras.saving.register_keras_serializable(package="tfgen")
class RecurrentGenerator(AutoregressiveGenerator):
    """Recurrent layers over an embedding, and a softmax over the next token.

    After Graves, "Generating sequences with recurrent neural networks" (arXiv:1308.0850). The state
    has a constant size, so a token costs the same however long the text already is.

    The first layer never sees an embedded sequence: the embedding table is projected once
    (`vocabulary x gates`) and its rows are looked up, which saves that layer's input product.

    Args:
        cell: `"lstm"` or `"gru"`.
        units: Units of each layer.
        layers: Number of layers. Keras keeps `model.layers` for itself, so the attribute is
            `num_layers`.
        embedding: Width of the token embedding; None takes `units` if `tie_embeddings`, else the
            lesser of `units` and 128.
        dropout: Share of each layer's outputs that is dropped in training, the same units at
            every position (arXiv:1512.05287).
        recurrent_dropout: The same for the output that a cell hands to itself.
        layer_norm: Normalise the input of every layer, and of the softmax (arXiv:1607.06450).
        residual: Add to each layer's output its input, where their widths agree.
        tie_embeddings: Use the embedding table as the softmax weights too (arXiv:1608.05859);
            needs `embedding == units`.
        attention: How many of the last layer's past outputs, the present one included, each
            position attends to before the softmax; 0 is no attention.
        tokenizer: A `tfgen.preprocessing` tokenizer; None takes bytes.
        generation: `GenerationConfig` or a dict of its fields.
        seed: Integer that the initial weights are drawn from.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> model = RecurrentGenerator("gru", units=8, layers=1, seed=1)
    >>> model(tf.constant([[104, 105]])).shape
    TensorShape([1, 2, 256])
    """

    def __init__(
        self,
        cell="lstm",
        units=512,
        layers=2,
        embedding=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        layer_norm=False,
        residual=False,
        tie_embeddings=False,
        attention=0,
        tokenizer=None,
        generation=None,
        seed=None,
        **kwargs,
    ):
        check_choice(CELLS, cell=cell)
        check_whole(1, units=units, layers=layers)
        check_rate(dropout=dropout, recurrent_dropout=recurrent_dropout)
        check_flag(layer_norm=layer_norm, residual=residual, tie_embeddings=tie_embeddings)
        check_whole(0, attention=attention)
        if embedding is not None:
            check_whole(1, embedding=embedding)
        check(
            not tie_embeddings or embedding in (None, units),
            f"tie_embeddings needs embedding == units == {units}",
            embedding=embedding,
        )
        super().__init__(tokenizer=tokenizer, generation=generation, seed=seed, **kwargs)

        # Layers
        width = embedding or (units if tie_embeddings else min(units, 128))
        self.token_embedding = keras.layers.Embedding(
            self.tokenizer.vocabulary_size,
            width,
            embeddings_initializer=keras.initializers.RandomNormal(0.1, seed=self.layer_seed(0)),
            dtype=self.dtype_policy,
            name="token_embedding",
        )
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
        self.head = None
        if not tie_embeddings:
            self.head = keras.layers.Dense(
                self.tokenizer.vocabulary_size,
                kernel_initializer=keras.initializers.GlorotUniform(self.layer_seed(4)),
                dtype=self.dtype_policy,
                name="head",
            )

        # Model
        self.cell = cell
        self.units = units
        self.num_layers = layers
        self.embedding = embedding
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.layer_norm = layer_norm
        self.residual = residual
        self.tie_embeddings = tie_embeddings
        self.attention = attention
        self._build_weights(width)

    def _build_weights(self, width):
        """Makes every weight at once, so that a new model can be inspected and loaded."""
        self.token_embedding.build((None, None))
        for index, layer in enumerate(self.recurrent):
            inputs = width if index == 0 else self.units
            layer.build((None, None, inputs))
            if self.norms:
                self.norms[index].build((None, None, inputs))
        hidden = (None, None, self.units)
        for layer in [*self.norms[-1:], self.past_attention, self.head]:
            if layer is not None:
                layer.build(hidden)
        self.built = True

    def build(self, input_shape=None):
        """Does nothing: every weight exists since the model was made."""

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

    def hidden_states(self, ids, state=None, mask=None, training=False, key=None, outputs=None):
        state = self.initial_state(tf.shape(ids)[0]) if state is None else state
        new_state = {"recurrent": []}
        # Where the first layer looks up its input in a projected table, this is only needed by
        # `residual`, and otherwise dropped from the graph.
        x = self.token_embedding(ids)  # (batch, time, embedding)
        for index, (layer, layer_state) in enumerate(zip(self.recurrent, state["recurrent"])):
            recurrent_drop = self._drop(self.recurrent_dropout, ids, training, key, 2 * index)
            if recurrent_drop is None and layer.uses_fused_kernels(training):
                y, *layer_state = layer(
                    self._normalised(index, x), initial_state=layer_state, mask=mask, training=True
                )
            else:
                if index == 0:
                    projected = look_up(self._table(), tf.transpose(ids))
                else:
                    projected = layer.project(tf.transpose(self._normalised(index, x), [1, 0, 2]))
                time_mask = None if mask is None else tf.transpose(mask)
                y, layer_state = layer.scan(projected, layer_state, time_mask, recurrent_drop)
                y = tf.transpose(y, [1, 0, 2])  # (batch, time, units)
            if outputs is not None:
                outputs[layer.name] = y
            drop = self._drop(self.dropout, ids, training, key, 2 * index + 1)
            x = self._add(x, y if drop is None else y * drop[:, None, :])
            new_state["recurrent"].append(list(layer_state))
        x = self._normalised(-1, x)
        if self.past_attention is not None:
            x, new_state["attention"] = self.past_attention(x, state["attention"], mask=mask)
            if outputs is not None:
                outputs[self.past_attention.name] = x
        return x, new_state

    def activations(self, inputs):
        outputs = {}
        self.hidden_states(inputs, outputs=outputs)
        return outputs

    def logits(self, hidden):
        if self.head is not None:
            return self.head(hidden)
        table = as_tensor(self.token_embedding.embeddings, self.compute_dtype)
        return tf.matmul(hidden, table, transpose_b=True)

    def stepper(self):
        table = self._table()
        embeddings = as_tensor(self.token_embedding.embeddings, self.compute_dtype)
        steps = [layer.stepper() for layer in self.recurrent]

        def step(ids, state):
            new_state = {"recurrent": []}
            x = tf.gather(embeddings, ids)
            for index, layer in enumerate(self.recurrent):
                if index == 0:
                    projected = tf.gather(table, ids)
                else:
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

    def get_config(self):
        return {
            **super().get_config(),
            "cell": self.cell,
            "units": self.units,
            "layers": self.num_layers,
            "embedding": self.embedding,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "layer_norm": self.layer_norm,
            "residual": self.residual,
            "tie_embeddings": self.tie_embeddings,
            "attention": self.attention,
        }

    def _table(self):
        """The first layer's input product for every token, `(vocabulary, gates * units)`."""
        embeddings = as_tensor(self.token_embedding.embeddings, self.compute_dtype)
        return self.recurrent[0].project(self._normalised(0, embeddings))

    def _normalised(self, index, x):
        return self.norms[index](x) if self.norms else x

    def _add(self, x, y):
        return x + y if self.residual and x.shape[-1] == y.shape[-1] else y

    def _drop(self, rate, ids, training, key, number):
        """A dropout mask `(batch, units)`, scaled to keep the mean, or None."""
        if not training or not rate:
            return None
        shape = [tf.shape(ids)[0], self.units]
        mask = random.bernoulli_mask(random.fold(key, number), shape, 1 - rate)
        return tf.cast(mask, self.compute_dtype)
