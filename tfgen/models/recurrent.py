"""`RecurrentGenerator`: LSTM and GRU text models."""

import keras
import tensorflow as tf

from tfgen.layers.checks import check, check_flag, check_whole
from tfgen.layers.products import as_tensor, look_up
from tfgen.models.autoregressive import AutoregressiveGenerator
from tfgen.models.recurrent_network import RecurrentNetwork, check_network


@keras.saving.register_keras_serializable(package="tfgen")
class RecurrentGenerator(RecurrentNetwork, AutoregressiveGenerator):
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
        seed: Integer that the initial weights are sampled from.
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
        check_network(
            cell, units, layers, dropout, recurrent_dropout, layer_norm, residual, attention
        )
        check_flag(tie_embeddings=tie_embeddings)
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
            embeddings_initializer=keras.initializers.RandomNormal(
                stddev=0.1, seed=self.layer_seed(0)
            ),
            dtype=self.dtype_policy,
            name="token_embedding",
        )
        self._make_network(
            cell, units, layers, dropout, recurrent_dropout, layer_norm, residual, attention
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
        self.embedding = embedding
        self.tie_embeddings = tie_embeddings
        self._check_generation("text", conditional=False)
        self._build_weights(width)

    def _build_weights(self, width):
        """Makes every weight at once, so that a new model can be inspected and loaded."""
        self.token_embedding.build((None, None))
        self._build_network(width)
        if self.head is not None:
            self.head.build((None, None, self.units))
        self.built = True

    def build(self, input_shape=None):
        """Does nothing: every weight exists since the model was made."""

    def hidden_states(self, ids, state=None, mask=None, training=False, key=None, outputs=None):
        # The embedded tokens are only needed by `residual`, or by kernels that fuse everything,
        # and are otherwise dropped from the graph.
        return self._network(
            self.token_embedding(ids),  # (batch, time, embedding)
            state,
            mask,
            training,
            key,
            outputs,
            projected=lambda: look_up(self._table(), tf.transpose(ids)),
        )

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
        network_step = self._network_stepper()

        def step(ids, state):
            return network_step(tf.gather(embeddings, ids), state, tf.gather(table, ids))

        return step

    def get_config(self):
        return {
            **super().get_config(),
            **self._network_config(),
            "embedding": self.embedding,
            "tie_embeddings": self.tie_embeddings,
        }

    def _table(self):
        """The first layer's input product for every token, `(vocabulary, gates * units)`."""
        embeddings = as_tensor(self.token_embedding.embeddings, self.compute_dtype)
        return self.recurrent[0].project(self._normalised(0, embeddings))
