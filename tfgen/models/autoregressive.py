"""`TextModel`: models that predict the next token, whatever their network."""

import contextlib
import functools
import re
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError, unknown
from tfgen.export import write_saved_model
from tfgen.layers.checks import check, check_flag, check_of_use, check_rate, check_whole
from tfgen.layers.condition_encoder import ConditionEncoder
from tfgen.layers.products import as_tensor, look_up
from tfgen.models.base import EXPORT_FORMAT, TextGenerator, check_export_format, check_kind
from tfgen.models.conditions import condition_specs, condition_tensors
from tfgen.models.first_calls import FirstCalls
from tfgen.models.searching import PROMPT_BUCKET, Searching
from tfgen.networks import CausalNetwork
from tfgen.sampling import decode as decoding
from tfgen.sampling import random
from tfgen.sampling.buckets import bucket, row_bucket
from tfgen.sampling.rows import repeat_rows
from tfgen.sampling.search import check_search
from tfgen.sampling.tokens import check_sampling_arguments
from tfgen.values import check_texts

# The decoding loop is compiled for room for so many tokens, times a power of two.
TOKENS_BUCKET = 64
# Positions that `score` handles at once, and tokens that `stream` draws at once.
SCORE_CHUNK = 256
STREAM_CHUNK = 8
# Tokens that `stream` makes room for at a time.
STREAM_ROOM = 1024

_ARGUMENTS = {
    "prompts": tf.TensorSpec([None], tf.string),
    "max_new_tokens": tf.TensorSpec([], tf.int32),
    "temperature": tf.TensorSpec([], tf.float32),
    "top_k": tf.TensorSpec([], tf.int32),
    "top_p": tf.TensorSpec([], tf.float32),
    "min_p": tf.TensorSpec([], tf.float32),
    "repetition_penalty": tf.TensorSpec([], tf.float32),
    "stop": tf.TensorSpec([None], tf.string),
    "num_samples": tf.TensorSpec([], tf.int32),
    "seed": tf.TensorSpec([], tf.int64),
    "strip_prompt": tf.TensorSpec([], tf.bool),
}
POOLINGS = ("mean", "last")
_CONDITION = -1  # no site of a network's dropout has it


@keras.saving.register_keras_serializable(package="tfgen")
class TextModel(TextGenerator):
    """A generator that samples one token after another: an embedding, a network, and a softmax.

    Every text is understood to follow the tokenizer's start token, which is a line break unless
    the tokenizer has one of its own, so an empty prompt starts a line.

    Args:
        network: A `tfgen.networks.CausalNetwork`; without weights yet, it gets them here.
        embedding: Width of the token embedding; None takes what the network reads, or if it reads
            any width its `output_width` with `tie_embeddings`, else the lesser of that and 128.
        tie_embeddings: Use the embedding table as the softmax weights too (arXiv:1608.05859);
            needs an embedding as wide as what the network outputs.
        label_smoothing: In training, this share of the target's probability is spread evenly over
            the vocabulary (arXiv:1512.00567, section 7).
        num_classes: Generate conditioned on one of so many classes, by cross-attention.
        condition_width: Generate conditioned on a sequence of vectors of this width.
        condition_dropout: Share of the samples whose condition is hidden in training, so that
            `generate(guidance_scale=...)` has something to compare with (arXiv:2207.12598).
        **kwargs: Arguments of `TextGenerator`.

    Raises:
        ValueError: For an argument out of its range.

    Example:

    >>> model = TextModel(RecurrentNetwork("gru", units=8, layers=1), seed=1)
    >>> model(tf.constant([[104, 105]])).shape
    TensorShape([1, 2, 256])
    """

    engine = "autoregressive"

    def __init__(
        self,
        network,
        embedding=None,
        tie_embeddings=False,
        label_smoothing=0.0,
        num_classes=None,
        condition_width=None,
        condition_dropout=0.1,
        **kwargs,
    ):
        check_kind(CausalNetwork, network=network)
        check_rate(label_smoothing=label_smoothing, condition_dropout=condition_dropout)
        check_flag(tie_embeddings=tie_embeddings)
        if embedding is not None:
            check_whole(1, embedding=embedding)
        read, units = network.input_width, network.output_width
        check(
            embedding is None or read in (None, embedding),
            f"embedding must be None or {read}, as wide as what the network reads",
            embedding=embedding,
        )
        check(
            not tie_embeddings or (read or embedding or units) == units,
            f"tie_embeddings needs embedding == units == {units}",
            embedding=embedding,
        )
        for name, value in {"num_classes": num_classes, "condition_width": condition_width}.items():
            if value is not None:
                check_whole(1, **{name: value})
        check(
            num_classes is None or condition_width is None,
            "condition_width must be None where there are num_classes",
            condition_width=condition_width,
        )
        conditional = bool(num_classes or condition_width)
        check(
            not conditional or network.has_context,
            "num_classes and condition_width need a network with cross_attention",
            network=network,
        )
        check_of_use(
            conditional, "models with num_classes or condition_width", 0.1,
            condition_dropout=condition_dropout,
        )  # fmt: skip
        super().__init__(**kwargs)

        # Layers
        common = {"dtype": self.dtype_policy}
        begin = network.surroundings
        width = read or embedding or (units if tie_embeddings else min(units, 128))
        self.token_embedding = keras.layers.Embedding(
            self.tokenizer.vocabulary_size,
            width,
            embeddings_initializer=self._normal(begin.embedding_deviation, 0),
            name="token_embedding",
            **common,
        )
        self.network = network
        self.head = None
        if not tie_embeddings:
            glorot = keras.initializers.GlorotUniform(self.layer_seed(4))
            deviation = begin.head_deviation
            self.head = keras.layers.Dense(
                self.tokenizer.vocabulary_size,
                use_bias=begin.head_bias,
                kernel_initializer=glorot if deviation is None else self._normal(deviation, 8),
                name="head",
                **common,
            )
        self.condition_encoder = None
        if conditional:
            self.condition_encoder = ConditionEncoder(
                width,
                num_classes,
                condition_width,
                self._normal(begin.embedding_deviation, 9),
                name="condition",
                **common,
            )

        # Model
        self.embedding = embedding
        self.tie_embeddings = tie_embeddings
        self.label_smoothing = label_smoothing
        self.num_classes = num_classes
        self.condition_width = condition_width
        self.condition_dropout = condition_dropout
        self._check_generation("text", conditional)
        # Every weight is made at once, so that a new model can be inspected and loaded.
        self.token_embedding.build((None, None))
        if not network.built:
            network.make_weights(width)
        if self.head is not None:
            self.head.build((None, None, units))
        if self.condition_encoder is not None:
            self.condition_encoder.build()
        self.built = True
        self.reset_graphs()

    def _normal(self, deviation, *numbers):
        return keras.initializers.RandomNormal(0.0, deviation, seed=self.layer_seed(*numbers))

    def build(self, input_shape=None):
        """Does nothing: every weight exists since the model was made."""

    def get_config(self):
        names = (
            "embedding tie_embeddings label_smoothing num_classes condition_width condition_dropout"
        )
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            **{name: getattr(self, name) for name in names.split()},
        }

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        # Strings cannot enter a function that XLA compiles, so the text stays in the graphs around
        # these two. Only what loops long enough to pay for its compilation is compiled: reading
        # prompts and scoring are left to the graph, which takes any shape at once.
        self._decode = tf.function(self._decode_core, jit_compile=True, autograph=False)
        # A single row, whose number XLA code can only go by if it is known when it is traced.
        self._decode_single = tf.function(self._decode_core, jit_compile=True, autograph=False)
        self.token_nats = tf.function(self._nats_core, jit_compile=True, autograph=False)

        self.__dict__["_first_call"] = FirstCalls()  # not a layer: Keras is not to look into it

        for name in (
            "_begin_graph",
            "_search_graph",
            "_history_graph",
            "_generate_graph",
            "_score_graph",
            "_encode_graph",
            "_searching",
        ):
            self.__dict__.pop(name, None)

    @functools.cached_property
    def _begin_graph(self):
        sampling = decoding.Sampling(
            **{name: _ARGUMENTS[name] for name in decoding.Sampling._fields if name != "stops"},
            stops=tf.TensorSpec([None, None], tf.int32),
        )
        count = tf.TensorSpec([], tf.int32)
        specs = [_ARGUMENTS["prompts"], sampling, count, count, count, self._condition_specs()]
        return tf.function(self._begin, input_signature=specs, autograph=False)

    @functools.cached_property
    def _search_graph(self):
        """`_begin`; a search may have no guidance where the model takes conditions."""
        return tf.function(self._begin, autograph=False, reduce_retracing=True)

    @functools.cached_property
    def _history_graph(self):
        return tf.function(self._history, autograph=False, reduce_retracing=True)

    @functools.cached_property
    def _generate_graph(self):
        specs = {**_ARGUMENTS, **self._condition_specs()}
        specs = [specs, tf.TensorSpec([], tf.bool)]
        return tf.function(self._generate_texts, input_signature=specs, autograph=False)

    @functools.cached_property
    def _score_graph(self):
        specs = self._text_specs()
        return tf.function(self._score_texts, input_signature=[specs], autograph=False)

    @functools.cached_property
    def _encode_graph(self):
        specs = self._text_specs()
        return tf.function(self._encode_texts, input_signature=[specs], autograph=False)

    # The network over tokens

    @property
    def max_positions(self):
        return self.network.max_positions

    @property
    def state_is_constant(self):
        """Whether a text may go on without end, its state of the same size however long it is."""
        return self.network.state_is_constant

    @property
    def jit_compile_training(self):
        return self.network.jit_compile_training

    def initial_state(self, batch_size, condition=None, condition_valid=None, hidden=None):
        """The state before a text: a nest of tensors `(batch, ...)`.

        Args:
            batch_size: Number of texts.
            condition: Tensors of `tfgen.models.conditions`; None is none.
            condition_valid: As there.
            hidden: bool `(batch,)`: which texts are to know nothing of their condition.
        """
        context = self._context(batch_size, condition, condition_valid, hidden)
        given = {} if context is None else {"context": context}
        return self.network.initial_state(batch_size, **given)

    def reserve(self, state, count):
        """A state in which `count` more tokens have room."""
        return self.network.reserve(state, count)

    def state_invariants(self, state):
        """The shapes of a state for `tf.while_loop`: what grows from token to token is None."""
        return self.network.state_invariants(state)

    def hidden_states(
        self, ids, state=None, mask=None, training=False, key=None, record=None, condition=None
    ):
        """The network over int32 `(batch, time)`.

        Args:
            ids: Tokens.
            state: As of `initial_state`; None is the beginning.
            mask: bool `(batch, time)`: where it is False the state is left alone.
            training: Whether dropout is on.
            key: int32 `(2,)`, what the dropout is drawn from.
            record: Dict into which each layer's outputs are put.
            condition: Of training, where there is no state: a tensor, or a pair with its validity.

        Returns:
            `(hidden (batch, time, width), state)`.
        """
        given = {}
        if state is None and self.condition_encoder is not None:
            values, valid = condition if isinstance(condition, tuple) else (condition, None)
            batch = tf.shape(ids)[0]
            hide = self._hide(batch, key) if training else None
            given["context"] = self._context(batch, values, valid, hide)
        if self._projects:
            # The embedded tokens are only needed by `residual`, or by kernels that fuse everything,
            # and are otherwise dropped from the graph.
            x = self.token_embedding(ids)
            given["projected"] = lambda: look_up(self._projected_table(), tf.transpose(ids))
        else:
            x = look_up(self._table(), ids)
        return self.network.call(x, state, mask, training, key, record, **given)

    def logits(self, hidden):
        """Logits `(..., vocabulary)` of hidden states `(..., width)`."""
        if self.head is not None:
            return self.head(hidden)
        return tf.matmul(hidden, self._table(), transpose_b=True)

    def stepper(self):
        """A function `(ids (batch,), state)` -> `(hidden (batch, width), state)`."""
        table, step = self._table(), self.network.stepper()
        if not self._projects:
            return lambda ids, state: step(look_up(table, ids[:, None])[:, 0], state)
        projected = self._projected_table()
        return lambda ids, state: step(tf.gather(table, ids), state, tf.gather(projected, ids))

    def verifier(self):
        """As of the network, over tokens `(batch, count)`."""
        table = self._table()
        verify, rewind = self.network.verifier()
        return lambda ids, state: verify(look_up(table, ids), state), rewind

    def activations(self, inputs):
        record = {}
        self.hidden_states(inputs, record=record)
        return record

    def quantize_weights(self, dtype):
        self.network.quantize_weights(dtype)
        self.reset_graphs()

    @property
    def _projects(self):
        """Whether the network gives its first product for a table, whose rows are then looked up.

        So the first layer never sees an embedded text, which saves that layer's product.
        """
        return self.network.project_table is not None

    def _table(self):
        return as_tensor(self.token_embedding.embeddings, self.compute_dtype)

    def _projected_table(self):
        return self.network.project_table(self._table())

    def _context(self, batch, condition=None, valid=None, hidden=None):
        """What the network attends to of a condition; None of a model that takes none."""
        if self.condition_encoder is None:
            return None
        if condition is None:
            items = [batch] if self.num_classes else [batch, 1, self.condition_width]
            condition = tf.zeros(items, tf.int32 if self.num_classes else tf.float32)
            hidden = tf.ones([batch], tf.bool)
        hidden = tf.zeros([batch], tf.bool) if hidden is None else hidden
        if self.num_classes:
            hidden |= condition < 0
            condition = tf.maximum(condition, 0)
        elif valid is not None:
            hidden |= ~tf.reduce_any(valid, axis=1)
        vectors = self.condition_encoder(condition, hidden=hidden)
        valid = tf.ones(tf.shape(vectors)[:2], tf.bool) if valid is None else valid
        # A sample that knows nothing attends to "nothing", wherever its items end.
        return self.network.context(vectors, valid | hidden[:, None])

    def _hide(self, batch, key):
        """bool `(batch,)`: whose condition is hidden in this step of the training."""
        if not self.condition_dropout:
            return None
        kept = random.bernoulli_mask(
            random.fold(key, _CONDITION), [batch], 1 - self.condition_dropout
        )
        return kept == 0

    def call(self, inputs, condition=None, training=False):
        """Logits `(batch, time, vocabulary)` of the token after each of int `(batch, time)`.

        A conditional model takes a dict as `fit` does as well.
        """
        if isinstance(inputs, dict):
            inputs, condition = inputs["tokens"], inputs.get("condition", condition)
        inputs = tf.cast(inputs, tf.int32)
        key = random.root(self.seed, random.DROPOUT) if training else None
        hidden, _ = self.hidden_states(
            inputs, training=training, key=key, **self._conditioned(condition)
        )
        return self.logits(hidden)

    def batch_total(self, batch, key=None, state=None, training=False):
        logits, state = self._predicted(batch, key, state, training)
        return *self._loss_of(batch, logits, training), state

    def _measured(self, batch, key=None, training=False):
        logits, _ = self._predicted(batch, key, None, training)
        weights = batch[3] if len(batch) > 3 else None
        compared = {"y_true": batch[1], "y_pred": logits, "sample_weight": weights}
        return *self._loss_of(batch, logits, training), compared

    def _weighted(self, pair, condition, weights):
        """`(inputs, targets, condition or None, weights)`, the weights those of the targets.

        `weights` are of windows, of their tokens, or of the targets.
        """
        weights, targets = tf.cast(weights, tf.float32), pair[1]
        if len(weights.shape) == 1:
            weights = weights[:, None]
        if weights.shape[-1] not in (1, None) and weights.shape[-1] == targets.shape[-1] + 1:
            weights = weights[:, 1:]  # of windows, whose first token is no target
        return (*pair, *(condition or (None,)), tf.broadcast_to(weights, tf.shape(targets)))

    def _check_metrics(self, name, metrics):
        for metric in tf.nest.flatten(metrics):
            named = metric if isinstance(metric, str) else getattr(metric, "name", "")
            config = metric.get_config() if isinstance(metric, keras.metrics.Metric) else {}
            if config.get("from_logits") is False or named in ("crossentropy", "ce"):
                raise InputError(
                    "Metrics get logits: give keras.metrics.SparseCategoricalCrossentropy("
                    f"from_logits=True). Received: {name}={metrics!r}"
                )

    def _predicted(self, batch, key, state, training):
        """Logits float32 `(batch, time, vocabulary)` of a batch's targets, and the state after."""
        inputs = tf.cast(batch[0], tf.int32)
        conditioned = self._conditioned(*batch[2:3])
        hidden, state = self.hidden_states(inputs, state, training=training, key=key, **conditioned)
        return tf.cast(self.logits(hidden), tf.float32), state

    def _loss_of(self, batch, logits, training):
        """The sum of the nats of a batch's targets, weighted if it has weights, and their count."""
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(batch[1], tf.int32), logits)
        if training and self.label_smoothing:
            uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
            loss += self.label_smoothing * (uniform - loss)
        if len(batch) > 3:
            return tf.reduce_sum(loss * batch[3]), tf.reduce_sum(batch[3])
        return tf.reduce_sum(loss), tf.cast(tf.size(loss), tf.float32)

    def generate(
        self,
        prompts="",
        max_new_tokens=None,
        temperature=None,
        top_k=None,
        top_p=None,
        min_p=None,
        repetition_penalty=None,
        stop=None,
        num_samples=1,
        seed=None,
        strip_prompt=False,
        condition=None,
        guidance_scale=None,
        search=None,
    ):
        """Continues texts.

        The whole generation is one compiled loop. A first call compiles it; later ones with the
        about the same number of texts (2, 4, 8, 16, 32, then every 16), and lengths that round up to
        the same power of two, do not.

        Args:
            prompts: A text or a list of texts. Each gives the same as it would alone, except that
                text number i of a list is drawn with noise of its own.
            max_new_tokens: Tokens to draw for each text at most. None here and below takes the
                model's own default, `model.generation`; of a model whose positions end, this one
                is no more than its prompt leaves room for.
            temperature: Divides the logits; 0 takes the most likely token (greedy).
            top_k: Sample from the k most likely tokens; 0 is off.
            top_p: Draw from the smallest set of tokens whose probability reaches this
                (arXiv:1904.09751); 1.0 is off.
            min_p: Leave out tokens less likely than this times the most likely (arXiv:2407.01082).
            repetition_penalty: Above 1 makes tokens of the text so far less likely
                (arXiv:1909.05858).
            stop: A text or a list of texts that end the generation. The text returned ends before.
            num_samples: How many continuations of each prompt.
            seed: An integer. The same seed gives the same text, on every call and in the
                SavedModel; None takes a new one each time.
            strip_prompt: Return what follows the prompt only.
            condition: What the texts are conditioned on, if the model takes a condition: a class or
                one for each text; an array `(items, condition_width)` or a list of them. None is no
                condition.
            guidance_scale: Above 1 draws texts that are more like their condition than those of the
                training data (classifier-free guidance, arXiv:2207.12598, on logits as in
                arXiv:2306.17806); it costs a second row for each text. None takes the model's own
                default where there is a condition.
            search: Something of `tfgen.sampling.search` in place of sampling token by token:
                `BeamSearch`, `ContrastiveSearch` or `Speculative`. The first two sample nothing and
                take no temperature, no filters and no penalty.

        Returns:
            A text for a text, a list for a list; with `num_samples` above 1 a list of so many
            texts in place of each text.

        Raises:
            InputError: For an argument out of its range.
        """
        single = isinstance(prompts, str)
        texts = _texts("prompts", prompts)
        options = self._options(
            max_new_tokens, temperature, top_k, top_p, min_p, repetition_penalty, stop
        )
        check_sampling_arguments(num_samples=num_samples)
        _check_drawn(
            search, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
            repetition_penalty=repetition_penalty,
        )  # fmt: skip
        condition = self._guided_condition(condition, len(texts), guidance_scale)
        if not texts:
            return []
        rows = int(row_bucket(tf.constant(len(texts) * num_samples)))
        sizes = rows, int(bucket(options["max_new_tokens"], TOKENS_BUCKET))
        if check_search(search) is not None:
            with _as_input_error():
                options["max_new_tokens"] = self._fitting(texts, max_new_tokens)
            with self._first_call("search", search.kind, *sizes):
                arrays = self._search(search, texts, options, num_samples, seed, condition)
            prefixes = [""] * len(texts) if strip_prompt else texts
            samples = [[p + text for text in row] for p, row in zip(prefixes, arrays)]
            results = samples if num_samples > 1 else [row[0] for row in samples]
            return results[0] if single else results
        with _as_input_error(), self._first_call("generate", *sizes):
            arrays = self._generate_graph(
                _tensors(
                    prompts=texts,
                    **options,
                    num_samples=num_samples,
                    seed=_seed(seed),
                    strip_prompt=strip_prompt,
                    **condition,
                ),
                tf.constant(max_new_tokens is None),
            )
        samples = [[text.decode("utf-8") for text in row] for row in arrays.numpy()]
        results = samples if num_samples > 1 else [row[0] for row in samples]
        return results[0] if single else results

    def _search(self, search, texts, options, num_samples, seed, condition):
        """`generate` by a search; returns `num_samples` continuations of each text."""
        if search.kind != "beam" and "guidance_scale" in condition:
            scale = float(condition["guidance_scale"])
            if scale != 1:
                raise InputError(
                    f"guidance_scale goes with a beam search only. Received: guidance_scale={scale}"
                )
            condition = {name: condition[name] for name in condition if name != "guidance_scale"}
        options = dict(options)
        count = options.pop("max_new_tokens")
        options = {
            name: tf.constant(value, _ARGUMENTS[name].dtype) for name, value in options.items()
        }
        options["stop"] = tf.reshape(options["stop"], [-1])
        sampling = self._sampling(**options)
        prompts = tf.constant(texts)

        def begun(model, room, num_samples):
            # A draft may know nothing of conditions.
            known = {
                name: condition[name] for name in condition if name in model._condition_specs()
            }
            # The state and the hidden states of the prompt where there are no samples to draw.
            # Tensors, because a graph is traced anew for every other Python number.
            slots = tf.constant(room)
            if num_samples is None:
                return model._history_graph(prompts, slots, known), sampling, None
            carry = model._search_graph(
                prompts, sampling, tf.constant(num_samples), tf.constant(count), slots, known
            )
            return carry, sampling, known.get("guidance_scale")

        capacity = int(bucket(count, TOKENS_BUCKET))
        with _as_input_error():
            tokens, lengths = self._searching.run(
                search, begun, count, capacity, num_samples, _seed(seed)
            )
        found = self.tokenizer.detokenize(tokens, lengths).numpy()
        found = [text.decode("utf-8") for text in found]
        return [found[i : i + num_samples] for i in range(0, len(found), num_samples)]

    @functools.cached_property
    def _searching(self):
        return Searching(self)

    def stream(
        self,
        prompt="",
        max_new_tokens=None,
        temperature=None,
        top_k=None,
        top_p=None,
        min_p=None,
        repetition_penalty=None,
        stop=None,
        seed=None,
        strip_prompt=False,
        condition=None,
        guidance_scale=None,
    ):
        """Continues one text piece by piece; joined, the pieces are what `generate` returns.

        Takes the arguments of `generate`. Whole characters come only, and nothing that could
        still turn out to be the beginning of a stop text.

        Returns:
            An iterator of texts.
        """
        options = self._options(
            max_new_tokens, temperature, top_k, top_p, min_p, repetition_penalty, stop
        )
        (prompt,) = _texts("prompt", [prompt])
        condition = self._guided_condition(condition, 1, guidance_scale)
        with _as_input_error():  # now, not when the first piece is asked for
            options["max_new_tokens"] = self._fitting([prompt], max_new_tokens)
        return self._pieces(prompt, options, condition, _seed(seed), strip_prompt)

    def _pieces(self, prompt, options, condition, seed, strip_prompt):
        if prompt and not strip_prompt:
            yield prompt
        limit = options.pop("max_new_tokens")
        options = {
            name: tf.constant(value, _ARGUMENTS[name].dtype) for name, value in options.items()
        }
        options["stop"] = tf.reshape(options["stop"], [-1])
        sampling = self._sampling(**options)
        longest_stop = int(tf.reduce_max(tf.reduce_sum(tf.cast(sampling.stops >= 0, tf.int32), 1)))
        # Room for the whole text at once, because each size of a state is compiled for.
        room = bucket(min(limit, STREAM_ROOM), TOKENS_BUCKET)
        carry = self._begin_graph(
            tf.constant([prompt]), sampling, tf.constant(1), tf.constant(limit), room, condition
        )
        scale = condition.get("guidance_scale")
        key = random.root(seed, random.SAMPLING)
        decoder = self.tokenizer.decoder()
        drawn, shown = np.zeros([0], np.int32), 0
        while len(drawn) < limit and not carry.finished[0]:
            count = min(STREAM_CHUNK, limit - len(drawn))
            buffer = tf.zeros([1, STREAM_CHUNK], tf.int32)
            # Tensors, because a function is traced anew for every other Python number.
            first, count = tf.constant(len(drawn)), tf.constant(count)
            if len(drawn) and len(drawn) % room == 0:
                carry = carry._replace(state=self._reserve(carry.state, room, scale))
            with self._first_call("stream", int(room)):
                tokens, carry = self._decode_single(
                    carry, buffer, first, count, key, sampling, scale
                )
            new = tokens.numpy()[0, : int(carry.drawn[0]) - len(drawn)]
            drawn = np.concatenate([drawn, new])
            # What may yet be cut off as part of a stop text is held back.
            finished = bool(carry.finished[0])
            end = len(drawn) - (int(carry.trim[0]) if finished else max(longest_stop - 1, 0))
            if end > shown:
                piece = decoder.decode(drawn[shown:end])
                shown = end
                if piece:
                    yield piece
        end = len(drawn) - int(carry.trim[0])
        piece = decoder.decode(drawn[shown:end], final=True)
        if piece:
            yield piece

    def score(self, texts, condition=None):
        """How likely the model finds texts, each taken to follow a line break.

        Args:
            texts: A text or a list of texts.
            condition: See `generate`.

        Returns:
            A dict of float64 arrays `(texts,)`, or of numbers for a single text: `log_likelihood`
            in nats, `nats_per_character`, `bits_per_character`, and the int `characters`. An empty
            text has a log-likelihood of 0 and NaN per character.
        """
        single = isinstance(texts, str)
        texts = _texts("texts", texts)
        condition = self._condition(condition, len(texts))
        with _as_input_error():
            result = self._score_graph({"texts": tf.constant(texts, tf.string), **condition})
        result = {name: value.numpy() for name, value in result.items()}
        return {name: value[0] for name, value in result.items()} if single else result

    def encode(self, texts, pooling="mean", condition=None):
        """Embeds texts: the last hidden states, pooled over the positions of each text.

        Args:
            texts: A text or a list of texts.
            pooling: `"mean"` of all positions, or the `"last"` one, which has read the whole text.
            condition: See `generate`.

        Returns:
            float32 array `(texts, width)`, or `(width,)` for a single text.

        Raises:
            InputError: For another pooling.
        """
        if pooling not in POOLINGS:
            raise unknown("pooling", pooling, POOLINGS)
        single = isinstance(texts, str)
        texts = _texts("texts", texts)
        condition = self._condition(condition, len(texts))
        with _as_input_error():
            result = self._encode_graph({"texts": tf.constant(texts, tf.string), **condition})
        result = result[pooling].numpy()
        return result[0] if single else result

    def export(self, filepath, format=EXPORT_FORMAT, verbose=False):
        """Writes a SavedModel that generates, scores and encodes with TensorFlow alone.

        Its signatures take any number of texts:

        - `serving_default`: `prompts` -> `texts` `(batch,)`, drawn as `model.generation` says, with
          a new seed for every call;
        - `generate`: `prompts` and, as tensors, every argument of `generate` -> `texts`
          `(batch, num_samples)`; the same text for the same seed as this model;
        - `score`: `texts` -> what `score` returns;
        - `encode`: `texts` -> `mean` and `last`, each `(batch, width)`.

        A model that takes a condition has it as a further argument of each: `condition` `(batch,)`,
        -1 for none, or `condition` `(batch, items, width)` with `condition_valid` `(batch, items)`.

        Args:
            filepath: Folder to write; servers expect the name `<model>/<number>`.
            format: `"tf_saved_model"`, as Keras calls it.
            verbose: Whether to print each signature.

        Raises:
            InputError: For another format, a folder that holds something, or a tokenizer that runs
                outside of TensorFlow.
        """
        check_export_format(format)
        if not self.tokenizer.in_graph:
            raise InputError(
                f"A SavedModel cannot hold a {type(self.tokenizer).__name__}, which runs outside of "
                "TensorFlow: save the model with save() and serve it from Python"
            )
        texts = self._text_specs()
        prompts = {"prompts": texts["texts"], **texts}
        del prompts["texts"]
        write_saved_model(
            filepath,
            {
                "serving_default": (
                    lambda **arguments: self._serve(arguments),
                    prompts,
                ),
                "generate": (
                    lambda **arguments: {"texts": self._generate_texts(arguments)},
                    {**_ARGUMENTS, **self._condition_specs()},
                ),
                "score": (lambda **arguments: self._score_texts(arguments), texts),
                "encode": (lambda **arguments: self._encode_texts(arguments), texts),
            },
            verbose,
        )

    # Text around the compiled cores. These run as graphs, here and in the SavedModel.

    def _serve(self, arguments):
        defaults = self._options()
        stop = tf.constant(defaults.pop("stop"), tf.string)
        if self._condition_specs():
            defaults["guidance_scale"] = self.generation.guidance_scale
        rest = {
            "stop": stop,
            "num_samples": 1,
            "seed": random.serving_seed(),
            "strip_prompt": False,
        }
        texts = self._generate_texts(_tensors(**defaults, **rest, **arguments), True)
        return {"texts": texts[:, 0]}

    def _generate_texts(self, arguments, fit=False):
        """`generate` as a graph; returns strings `(batch, num_samples)`.

        With `fit` no text is longer than its prompt leaves room for; without, that is refused.
        """
        prompts, count = arguments["prompts"], arguments["max_new_tokens"]
        num_samples, scale = arguments["num_samples"], arguments.get("guidance_scale")
        names = decoding.Sampling._fields[:-1]
        sampling = self._sampling(*(arguments[name] for name in names), arguments["stop"])
        capacity = bucket(count, TOKENS_BUCKET)
        condition = {name: arguments[name] for name in self._condition_specs()}
        carry = self._begin(prompts, sampling, num_samples, count, capacity, condition, fit)
        buffer = tf.zeros([tf.shape(carry.logits)[0], capacity], tf.int32)
        key = random.root(arguments["seed"], random.SAMPLING)

        def found(decode, carry, tokens, rows):
            tokens, carry = decode(carry, tokens, tf.constant(0), count, key, sampling, scale)
            return tokens[:rows], (carry.drawn - carry.trim)[:rows]

        def single():
            return found(self._decode_single, *_one_row((carry, buffer)), 1)

        def several():
            # Filled up by rows that have finished, for a loop is compiled for a number of rows.
            rows = tf.shape(buffer)[0]
            index = tf.range(row_bucket(rows))
            full, tokens = tf.nest.map_structure(
                lambda x: tf.gather(x, tf.minimum(index, rows - 1)), (carry, buffer)
            )
            full = full._replace(finished=index >= rows)
            return found(self._decode, full, tokens, rows)

        tokens, lengths = tf.cond(tf.shape(buffer)[0] == 1, single, several)
        texts = self.tokenizer.detokenize(tokens, lengths)
        texts = tf.reshape(texts, [-1, num_samples])
        prefix = tf.where(arguments["strip_prompt"], tf.zeros_like(prompts), prompts)
        return tf.strings.join([tf.repeat(prefix[:, None], num_samples, axis=1), texts])

    def _begin(self, prompts, sampling, num_samples, count, room, condition, fit=False):
        """Reads the prompts; returns the `Carry` of `num_samples` rows for each.

        The state has room for `room` tokens, of which `count` are to be drawn; see `_limits`.
        """
        ids, lengths = self._start_and(prompts, 1)
        limits = self._limits(lengths, count, fit)
        state, logits, seen = self._prefill(ids, lengths, condition)
        state = self._reserve(state, room, condition.get("guidance_scale"))
        *rows, limits = repeat_rows((state, logits, seen, limits), num_samples)
        return decoding.start(*rows, sampling.stops, limits)

    # Conditions. With guidance each text has two rows, one that knows the condition and one that
    # does not. They stand in a second axis of the state: whoever selects or repeats texts takes
    # both.

    def _conditioned(self, condition=None):
        """The argument of `hidden_states` for a condition of training."""
        if condition is None:
            return {}
        if self.num_classes is None and self.condition_width is None:
            raise ValueError(
                "condition is for models made with num_classes or condition_width. "
                f"Received: condition={condition!r}"
            )
        return {"condition": condition}

    def _condition_specs(self):
        specs = condition_specs(self.num_classes, self.condition_width)
        return {**specs, "guidance_scale": tf.TensorSpec([], tf.float32)} if specs else {}

    def _text_specs(self):
        """The tensors of a function of texts, which knows no guidance."""
        given = condition_specs(self.num_classes, self.condition_width)
        return {"texts": _ARGUMENTS["prompts"], **given}

    def _condition(self, value, count):
        """The tensors of a condition that a person gave."""
        return condition_tensors(value, count, self.num_classes, self.condition_width)

    def _guided_condition(self, value, count, guidance_scale):
        """The same, and the scale of guidance if the model takes conditions."""
        tensors = self._condition(value, count)
        if guidance_scale is not None:
            check_sampling_arguments(guidance_scale=guidance_scale)
            if guidance_scale != 1 and not tensors:
                raise InputError(
                    "guidance_scale is for models made with num_classes or condition_width; "
                    f"this one has neither. Received: guidance_scale={guidance_scale}"
                )
            if guidance_scale != 1 and value is None:
                raise InputError(
                    "guidance_scale does nothing without a condition. "
                    f"Received: guidance_scale={guidance_scale}"
                )
        if tensors:
            default = 1.0 if value is None else self.generation.guidance_scale
            scale = default if guidance_scale is None else guidance_scale
            tensors["guidance_scale"] = tf.constant(scale, tf.float32)
        return tensors

    def _first_state(self, batch, condition, guided=False):
        """The state before a text, `2 * batch` rows of it if guided."""
        if not condition:
            return self.initial_state(batch)
        tensors = {name: condition[name] for name in condition if name != "guidance_scale"}
        if guided:
            tensors = {name: tf.repeat(value, 2, axis=0) for name, value in tensors.items()}
            tensors["hidden"] = tf.range(2 * batch) % 2 == 1
            batch = 2 * batch
        return self.initial_state(batch, **tensors)

    def _reserve(self, state, count, scale):
        if scale is None:
            return self.reserve(state, count)
        return _paired(self.reserve(_unpaired(state), count))

    def _guided(self, logits, scale):
        """Logits `(batch, vocabulary)` of rows, or of pairs of rows if there is a scale."""
        logits = tf.cast(logits, tf.float32)
        if scale is None:
            return logits
        given, free = logits[0::2], logits[1::2]
        return free + scale * (given - free)

    def _start_and(self, texts, further=0):
        """Tokens int32 `(batch, time)` of each text behind a line break, and their lengths.

        Refuses texts that have no positions for themselves and `further` tokens. The last token
        needs none, because nothing is predicted from it.
        """
        ids, lengths = self.tokenizer.tokenize(texts)
        if self.max_positions is not None:
            longest = _longest(lengths)
            most = self.max_positions - further
            found = tf.strings.format(
                f"Too long: this model has {self.max_positions} positions (max_length), so a text "
                f"can have at most {most} tokens here, and the longest has {{}}: shorten it. "
                "Received: tokens={}",
                [longest, longest + further],
            )
            tf.debugging.Assert(longest <= most, [found])
        ids = tf.pad(ids, [[0, 0], [1, 0]], constant_values=self.tokenizer.start_id)
        return ids, lengths + 1

    def _limits(self, lengths, count, fit):
        """Tokens int32 `(batch,)` to draw at most after prompts of these lengths.

        Args:
            lengths: As of `_start_and`.
            count: The most that was asked for, int32 scalar.
            fit: Whether what has no positions is left out; else it is refused.
        """
        if self.max_positions is None:
            return tf.fill(tf.shape(lengths), count)
        room = self.max_positions - (lengths - 1)
        longest = _longest(lengths - 1)
        found = tf.strings.format(
            f"Too long: this model has {self.max_positions} positions (max_length) and the longest "
            "prompt has {} tokens, so max_new_tokens can be at most {}, not {}. Received: tokens={}",
            [longest, self.max_positions - longest, count, longest + count],
        )
        tf.debugging.Assert(fit | (count <= self.max_positions - longest), [found])
        return tf.minimum(room, count)

    def _fitting(self, prompts, max_new_tokens):
        """How many tokens a search or a stream draws: the default as far as all prompts let it."""
        count = tf.constant(
            self.generation.max_new_tokens if max_new_tokens is None else max_new_tokens
        )
        _, lengths = self._start_and(tf.constant(prompts), 1)
        return int(tf.reduce_min(self._limits(lengths, count, max_new_tokens is None)))

    def _sampling(self, temperature, top_k, top_p, min_p, repetition_penalty, stop):
        stops = decoding.align_stops(*self.tokenizer.tokenize_inside(stop))
        return decoding.Sampling(temperature, top_k, top_p, min_p, repetition_penalty, stops)

    def _encode_texts(self, arguments):
        """`encode` as a graph, for every pooling."""
        ids, lengths = self._start_and(arguments["texts"], 1)  # the last token is read as well
        condition = {name: arguments[name] for name in arguments if name != "texts"}
        state = self._first_state(tf.shape(ids)[0], condition)
        valid = tf.range(tf.shape(ids)[1])[None] < lengths[:, None]  # (batch, time)
        hidden, _ = self.hidden_states(ids, state, mask=valid)
        hidden = tf.cast(hidden, tf.float32)
        share = tf.cast(valid, tf.float32) / tf.cast(lengths, tf.float32)[:, None]
        return {
            "mean": tf.reduce_sum(hidden * share[:, :, None], axis=1),
            "last": tf.gather(hidden, lengths - 1, batch_dims=1),
        }

    def _score_texts(self, arguments):
        """`score` as a graph."""
        texts = arguments["texts"]
        # What is not valid UTF-8 counts as the characters that it is read as.
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        ids, lengths = self._start_and(texts)
        steps = (tf.shape(ids)[1] + SCORE_CHUNK - 2) // SCORE_CHUNK
        ids = tf.pad(ids, [[0, 0], [0, steps * SCORE_CHUNK + 1 - tf.shape(ids)[1]]])

        def body(chunk, total, state):
            piece = ids[:, chunk * SCORE_CHUNK : (chunk + 1) * SCORE_CHUNK + 1]
            piece = tf.ensure_shape(piece, [None, SCORE_CHUNK + 1])
            # A text of n tokens after the start has n targets.
            nats, state = self._nats_core(piece, lengths - 1 - chunk * SCORE_CHUNK, state)
            return chunk + 1, total + tf.reduce_sum(tf.cast(nats, tf.float64), axis=1), state

        total = tf.zeros(tf.shape(lengths), tf.float64)
        condition = {name: arguments[name] for name in arguments if name != "texts"}
        state = self._first_state(tf.shape(ids)[0], condition)
        _, nats, _ = tf.while_loop(
            lambda chunk, *_: chunk < steps,
            body,
            (0, total, state),
            (tf.TensorShape([]), total.shape, self.state_invariants(state)),
        )
        characters = tf.strings.length(texts, unit="UTF8_CHAR")
        per_character = nats / tf.cast(characters, tf.float64)
        return {
            "log_likelihood": 0.0 - nats,  # no -0.0 for an empty text
            "nats_per_character": per_character,
            "bits_per_character": per_character / np.log(2.0),
            "characters": characters,
        }

    # The compiled cores: numbers in, numbers out.

    def _prefill(self, ids, lengths, condition):
        """The state after prompts, the logits of what follows, and which tokens they hold."""
        batch, time = tf.unstack(tf.shape(ids))
        valid = tf.range(time)[None] < lengths[:, None]  # (batch, time)
        scale = condition.get("guidance_scale")
        state = self._first_state(batch, condition, guided=scale is not None)
        repeats = 1 if scale is None else 2
        rows, row_valid, row_lengths = (
            tf.repeat(x, repeats, axis=0) for x in (ids, valid, lengths)
        )
        hidden, state = self.hidden_states(rows, state, mask=row_valid)
        last = tf.gather(hidden, row_lengths - 1, batch_dims=1)  # (rows, width)
        logits = self._guided(self.logits(last), scale)
        # The start token was not written by anybody, so it is not penalised as a repetition.
        counted = valid & (tf.range(time)[None] > 0)
        rows = tf.broadcast_to(tf.range(batch)[:, None], [batch, time])
        counts = tf.scatter_nd(
            tf.stack([rows, ids], axis=2),
            tf.cast(counted, tf.int32),
            [batch, self.tokenizer.vocabulary_size],
        )
        seen = counts > 0
        return (state if scale is None else _paired(state)), logits, seen

    def _history(self, prompts, room, condition):
        """The state after prompts, with room for `room` tokens, their hidden states, and which.

        These are padded to a multiple of a bucket.
        """
        ids, lengths = self._start_and(prompts, 1)
        time = tf.shape(ids)[1]
        ids = tf.pad(ids, [[0, 0], [0, -time % PROMPT_BUCKET]])
        valid = tf.range(tf.shape(ids)[1])[None] < lengths[:, None]  # (batch, time)
        state = self._first_state(tf.shape(ids)[0], condition)
        hidden, state = self.hidden_states(ids, state, mask=valid)
        return self.reserve(state, room), hidden, valid

    def logits_step(self, scale=None):
        """`stepper`, but giving the logits; with a scale of guidance, of pairs of rows."""
        step = self.stepper()

        def next_logits(ids, state):
            if scale is None:
                hidden, state = step(ids, state)
            else:
                hidden, state = step(tf.repeat(ids, 2), _unpaired(state))
                state = _paired(state)
            return self._guided(self.logits(hidden), scale), state

        return next_logits

    def forbidden(self):
        """bool `(vocabulary,)`: the tokens that are never drawn."""
        unknown_id = -1 if self.tokenizer.unknown_id is None else self.tokenizer.unknown_id
        return tf.range(self.tokenizer.vocabulary_size) == unknown_id

    def _decode_core(self, carry, tokens, first, count, key, sampling, scale=None):
        step = self.logits_step(scale)
        return decoding.decode(step, carry, tokens, first, count, key, sampling, self.forbidden())

    def _nats_core(self, ids, count, state):
        """The nats of each of `ids[:, 1:]`, int32 `(batch, time + 1)`, given all before it.

        `count` `(batch,)`: of each row so many targets are real; those after are 0 nats.
        Returns `(nats float32 (batch, time), state)`.
        """
        valid = tf.range(tf.shape(ids)[1] - 1)[None] < count[:, None]
        hidden, state = self.hidden_states(ids[:, :-1], state, mask=valid)
        logits = tf.cast(self.logits(hidden), tf.float32)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(ids[:, 1:], logits)
        return tf.where(valid, nats, 0.0), state

    def _options(
        self,
        max_new_tokens=None,
        temperature=None,
        top_k=None,
        top_p=None,
        min_p=None,
        repetition_penalty=None,
        stop=None,
    ):
        """The sampling arguments of a call, checked, with the model's defaults for None."""
        default = self.generation
        given = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "min_p": min_p,
            "repetition_penalty": repetition_penalty,
        }
        options = {k: getattr(default, k) if v is None else v for k, v in given.items()}
        check_sampling_arguments(**options)
        stop = _texts("stop", default.stop if stop is None else stop)
        options["stop"] = [text for text in stop if text]
        return options


def _longest(lengths):
    return tf.reduce_max(tf.concat([lengths, [0]], axis=0))  # no text is no length


def _one_row(nest):
    """A nest of tensors with one row, told so."""
    # Not `ensure_shape`, which is also run where there are several rows.
    return tf.nest.map_structure(lambda x: tf.gather(x, [0]), nest)


def _paired(state):
    """Rows `(2 * batch, ...)` as pairs `(batch, 2, ...)`."""
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, tf.concat([[tf.shape(x)[0] // 2, 2], tf.shape(x)[1:]], 0)), state
    )


def _unpaired(state):
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, tf.concat([[tf.shape(x)[0] * 2], tf.shape(x)[2:]], 0)), state
    )


def _tensors(**arguments):
    """The arguments of `generate` as the tensors of its graph."""
    dtypes = {name: spec.dtype for name, spec in _ARGUMENTS.items()}
    return {
        name: value if tf.is_tensor(value) else tf.constant(value, dtypes.get(name))
        for name, value in arguments.items()
    }


@contextlib.contextmanager
def _as_input_error():
    """What a graph finds wrong with a text is the person's mistake."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(
            r"Too long: .*? Received: tokens=-?\d+|The text needs the token .*? vocabulary of \d+",
            str(error),
        )
        if not found:
            raise
        raise InputError(found.group()) from error


def _texts(name, value):
    """A text or several as a list, checked: TensorFlow says less clearly what is wrong."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        value = list(value)
    return list(check_texts(name, value))


def _check_drawn(search, **given):
    """Refuses what says how a token is sampled in a search that samples none."""
    if check_search(search) is None or search.kind == "speculative":
        return
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"{name} does nothing in a {type(search).__name__}, which samples no token. "
                f"Received: {name}={value!r}"
            )


def _seed(seed):
    return random.seed_tensor(random.new_seed() if seed is None else seed)
