"""`TokenRollout`: texts sampled token by token, each given those before it."""

import functools

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_kind, check_rate
from tfgen.layers.products import look_up
from tfgen.models.parts import made_of_parts
from tfgen.models.text.emission import TokenEmission
from tfgen.networks import CausalNetwork
from tfgen.networks.source_encoder import SourceEncoder
from tfgen.sampling import decode as decoding
from tfgen.sampling.rows import in_sizes


@keras.saving.register_keras_serializable(package="tfgen")
class TokenRollout:
    """Tokens one after another: a causal network, and an emission of tokens.

    With guidance each text has two rows, one that knows the condition and one that does not. They
    stand in a second axis of the state: whoever selects or repeats texts takes both.

    Args:
        network: A `tfgen.networks.CausalNetwork`; without weights yet, it gets them here.
        emission: A `TokenEmission`.
        label_smoothing: In training, this share of the target's probability is spread evenly over
            the vocabulary (arXiv:1512.00567, section 7).
    """

    kind = "autoregressive"  # of `tfgen.uses.ENGINES`

    def __init__(self, network, emission, label_smoothing=0.0):
        check_kind(CausalNetwork, network=network)
        check_kind(TokenEmission, emission=emission)
        check_rate(label_smoothing=label_smoothing)
        emission.join(network)
        self.network = network
        self.emission = emission
        self.label_smoothing = label_smoothing
        self.reset_graphs()

    @classmethod
    def compose(cls, take, network):
        """Returns the engine of a class of networks; `take` is of `tfgen.models.families`."""
        source = take(SourceEncoder, name="source")
        source = {} if source.encoder is None else {"source_encoder": source}
        emission, own = take(TokenEmission, name="emission", **source), {}
        if take.has(network, "cross_attention"):
            own["cross_attention"] = emission.conditional
        return take(cls, network=take(network, name="network", **own), emission=emission)

    @property
    def layers(self):
        """What has weights, in the order in which these are kept."""
        return [self.emission.token_embedding, self.network, self.emission]

    def reset_graphs(self):
        """Forgets what was compiled, after a change of what the functions read besides weights."""
        # Only what loops long enough to pay for its compilation is compiled: reading prompts and
        # scoring are left to the graph, which takes any shape at once.
        self.decode = tf.function(self._decode, jit_compile=True, autograph=False)
        # A single row, whose number XLA code can only go by if it is known when it is traced.
        self.decode_single = tf.function(self._decode, jit_compile=True, autograph=False)
        self.token_nats = tf.function(self.nats, jit_compile=True, autograph=False)

    def quantize_weights(self, dtype):
        self.network.quantize_weights(dtype)
        self.reset_graphs()

    # The network over tokens

    def initial_state(self, batch_size, condition=None, condition_valid=None, hidden=None):
        """The state before a text: a nest of tensors `(batch, ...)`.

        Args:
            batch_size: Number of texts.
            condition: Tensors of `tfgen.models.conditions`; None is none.
            condition_valid: As there.
            hidden: bool `(batch,)`: which texts are to know nothing of their condition.
        """
        given = self._context(batch_size, condition, condition_valid, hidden)
        return self.network.initial_state(batch_size, **given)

    def hidden_states(
        self, ids, state=None, mask=None, training=False, key=None, record=None, condition=None,
        attended=None,
    ):  # fmt: skip
        """The network over int32 `(batch, time)`.

        Args:
            ids: Tokens.
            state: As of `initial_state`; None is the beginning.
            mask: bool `(batch, time)`: where it is False the state is left alone.
            training: Whether dropout is on.
            key: int32 `(2,)`, what the dropout is drawn from.
            record: Dict into which each layer's outputs are put.
            condition: Of training, where there is no state: a tensor, or a pair with its validity.
            attended: Function that the network calls with what is attended to of the condition.

        Returns:
            `(hidden (batch, time, width), state)`.
        """
        given = {}
        if state is None and self.emission.conditional:
            values, valid = condition if isinstance(condition, tuple) else (condition, None)
            batch = tf.shape(ids)[0]
            hide = self.emission.hide(batch, key) if training else None
            given = self._context(batch, values, valid, hide, key if training else None)
        if self._projects:
            # The embedded tokens are only needed by `residual`, or by kernels that fuse everything,
            # and are otherwise dropped from the graph.
            x = self.emission.token_embedding(ids)
            table = self.emission.table
            given["projected"] = lambda: look_up(
                self.network.project_table(table), tf.transpose(ids)
            )
        else:
            x = look_up(self.emission.table, ids)
        if attended is not None:
            given["attended"] = attended
        return self.network.call(x, state, mask, training, key, record, **given)

    def logits(self, hidden):
        """Logits `(..., vocabulary)` of hidden states `(..., width)`."""
        return self.emission.call(hidden)

    def stepper(self):
        """A function `(ids (batch,), state)` -> `(hidden (batch, width), state)`."""
        table, step = self.emission.table, self.network.stepper()
        if not self._projects:
            return lambda ids, state: step(look_up(table, ids[:, None])[:, 0], state)
        projected = self.network.project_table(table)
        return lambda ids, state: step(tf.gather(table, ids), state, tf.gather(projected, ids))

    def verifier(self):
        """As of the network, over tokens `(batch, count)`."""
        table = self.emission.table
        verify, rewind = self.network.verifier()
        return lambda ids, state: verify(look_up(table, ids), state), rewind

    @property
    def _projects(self):
        """Whether the network gives its first product for a table, whose rows are then looked up.

        So the first layer never sees an embedded text, which saves that layer's product.
        """
        return self.network.project_table is not None

    def _context(self, batch, condition=None, valid=None, hidden=None, key=None):
        """The network's argument for a condition; none of a model that takes none."""
        if not self.emission.conditional:
            return {}
        context = self.emission.context(batch, condition, valid, hidden, key)
        return {"context": self.network.context(*context)}

    # Training

    def loss(self, batch, key=None, state=None, training=False):
        """The loss of a batch, and the logits that it is of.

        Args:
            batch: `(inputs, targets)`, and perhaps a condition, and weights of the targets.
            key: int32 `(2,)`, what the dropout is drawn from.
            state: As of `initial_state`; None is the beginning.
            training: Whether dropout is on.

        Returns:
            `(total, count, state, logits)`: the sum of the nats of the targets, weighted if they
            have weights, and their count; the state after; float32 `(batch, time, vocabulary)`.
        """
        inputs = tf.cast(batch[0], tf.int32)
        condition = batch[2] if len(batch) > 2 else None
        self.check_condition(condition)
        hidden, state = self.hidden_states(
            inputs, state, training=training, key=key, condition=condition
        )
        logits = tf.cast(self.logits(hidden), tf.float32)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(batch[1], tf.int32), logits)
        if training and self.label_smoothing:
            uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
            loss += self.label_smoothing * (uniform - loss)
        if len(batch) > 3:
            return tf.reduce_sum(loss * batch[3]), tf.reduce_sum(batch[3]), state, logits
        return tf.reduce_sum(loss), tf.cast(tf.size(loss), tf.float32), state, logits

    def check_condition(self, condition):
        """Refuses a condition of training that the model does not take, or the lack of sources."""
        if condition is not None and not self.emission.conditional:
            raise ValueError(
                "condition is for models made with num_classes or condition_width, or with an "
                f"encoder. Received: condition={condition!r}"
            )
        if condition is None and self.emission.reads_source:
            raise ValueError(
                "A model with an encoder is trained on pairs, each batch a dict of 'tokens' and, as "
                "'condition', the bytes of sources and which there are (tfgen.data.PairWindows). "
                "Received: condition=None"
            )

    # Cores of the graphs: numbers in, numbers out

    def first_state(self, batch, condition, guided=False):
        """The state before a text, `2 * batch` rows of it if guided."""
        if not condition:
            return self.initial_state(batch)
        tensors = {name: condition[name] for name in condition if name != "guidance_scale"}
        if guided:
            tensors = {name: tf.repeat(value, 2, axis=0) for name, value in tensors.items()}
            tensors["hidden"] = tf.range(2 * batch) % 2 == 1
            batch = 2 * batch
        return self.initial_state(batch, **tensors)

    def reserve(self, state, count, scale=None):
        """A state in which `count` more tokens have room; of pairs of rows if there is a scale."""
        if scale is None:
            return self.network.reserve(state, count)
        return _paired(self.network.reserve(_unpaired(state), count))

    def prefill(self, ids, lengths, condition):
        """The state after prompts, the logits of what follows, and which tokens they hold."""
        batch, time = tf.unstack(tf.shape(ids))
        valid = tf.range(time)[None] < lengths[:, None]  # (batch, time)
        scale = condition.get("guidance_scale")
        state = self.first_state(batch, condition, guided=scale is not None)
        repeats = 1 if scale is None else 2
        rows, row_valid, row_lengths = (
            tf.repeat(x, repeats, axis=0) for x in (ids, valid, lengths)
        )
        hidden, state = self.hidden_states(rows, state, mask=row_valid)
        last = tf.gather(hidden, row_lengths - 1, batch_dims=1)  # (rows, width)
        logits = _guided(self.logits(last), scale)
        # The start token was not written by anybody, so it is not penalised as a repetition.
        counted = valid & (tf.range(time)[None] > 0)
        rows = tf.broadcast_to(tf.range(batch)[:, None], [batch, time])
        counts = tf.scatter_nd(
            tf.stack([rows, ids], axis=2),
            tf.cast(counted, tf.int32),
            [batch, self.emission.tokenizer.vocabulary_size],
        )
        return (state if scale is None else _paired(state)), logits, counts > 0

    def logits_step(self, scale=None):
        """`stepper`, but giving the logits; with a scale of guidance, of pairs of rows."""
        step = self.stepper()

        def next_logits(ids, state):
            if scale is None:
                hidden, state = step(ids, state)
            else:
                hidden, state = step(tf.repeat(ids, 2), _unpaired(state))
                state = _paired(state)
            return _guided(self.logits(hidden), scale), state

        return next_logits

    def decoded(self, carry, tokens, *operands, alone=None):
        """`tfgen.sampling.decode.decode` of any number of rows, by the compiled loops.

        Args:
            carry: As there, as the others, but for the step.
            tokens: As there.
            *operands: `first`, `count`, `key`, `sampling`, and the scale of guidance or None.
            alone: Whether there is one row, where that is known.
        """

        def call(loop, rows, beyond):
            carry, tokens = rows
            return loop(carry._replace(finished=carry.finished | beyond), tokens, *operands)

        loops = (functools.partial(call, loop) for loop in (self.decode, self.decode_single))
        return in_sizes((carry, tokens), *loops, alone=alone)

    def _decode(self, carry, tokens, first, count, key, sampling, scale=None):
        step, forbidden = self.logits_step(scale), self.emission.forbidden
        spelling = self.emission.tokenizer.spelling
        return decoding.decode(
            step, carry, tokens, first, count, key, sampling, forbidden, spelling
        )

    def nats(self, ids, count, state):
        """The nats of each of `ids[:, 1:]`, int32 `(batch, time + 1)`, given all before it.

        Args:
            ids: Tokens.
            count: int32 `(batch,)`: of each row so many targets are real; those after are 0 nats.
            state: As of `initial_state`.

        Returns:
            `(nats float32 (batch, time), state)`.
        """
        valid = tf.range(tf.shape(ids)[1] - 1)[None] < count[:, None]
        hidden, state = self.hidden_states(ids[:, :-1], state, mask=valid)
        logits = tf.cast(self.logits(hidden), tf.float32)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(ids[:, 1:], logits)
        return tf.where(valid, nats, 0.0), state

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts


def _guided(logits, scale):
    """Logits `(batch, vocabulary)` of rows, or of pairs of rows if there is a scale."""
    logits = tf.cast(logits, tf.float32)
    if scale is None:
        return logits
    given, free = logits[0::2], logits[1::2]
    return free + scale * (given - free)


def _paired(state):
    """Rows `(2 * batch, ...)` as pairs `(batch, 2, ...)`."""
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, tf.concat([[tf.shape(x)[0] // 2, 2], tf.shape(x)[1:]], 0)), state
    )


def _unpaired(state):
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, tf.concat([[tf.shape(x)[0] * 2], tf.shape(x)[2:]], 0)), state
    )
