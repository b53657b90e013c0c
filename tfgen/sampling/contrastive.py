"""Contrastive search: likely tokens that do not repeat what is there, for any model."""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.sampling.decode import sizes
from tfgen.sampling.rows import repeat_rows
from tfgen.sampling.stops import extend


class Continuations(NamedTuple):
    """What a search made of each row.

    Attributes:
        tokens: int32 `(batch, capacity)`, 0 behind the end.
        drawn: int32 `(batch,)`, tokens of each row, a stop sequence included.
        trim: int32 `(batch,)`, length of the stop sequence that ended the row, 0 if none did.
    """

    tokens: Any
    drawn: Any
    trim: Any


class _Carry(NamedTuple):
    state: Any
    hidden: Any  # (batch, width)
    history: Any  # (batch, positions + capacity, width), of length 1
    recent: Any  # (batch, tokens of a stop sequence)
    finished: Any  # (batch,)
    drawn: Any
    trim: Any


def contrastive_search(
    step,
    head,
    state,
    hidden,
    history,
    history_valid,
    tokens,
    count,
    top_k,
    alpha,
    stops,
    forbidden,
    spelling=None,
):
    """Continues every row by contrastive search, in one loop; nothing is random.

    Of the `top_k` most likely tokens `v` it takes the one with the largest

        (1 - alpha) * p(v) - alpha * max_j cosine(h_v, h_j)

    where `h_v` is the hidden state at `v` and `h_j` those of the text before: Su et al.,
    arXiv:2202.06417, equation 5. Every candidate is run through the model, so that a token costs
    a step of `batch * top_k` rows. A row does not depend on the others.

    Args:
        step: Function `(ids int32 (rows,), state) -> (hidden (rows, width), state)`.
        head: Function `hidden (rows, width) -> logits (rows, vocabulary)`.
        state: The model's state after the prompt, a nest of tensors `(batch, ...)`.
        hidden: float `(batch, width)`, the hidden state at the last token of the prompt.
        history: float `(batch, positions, width)`, those of the whole prompt, the last included.
        history_valid: bool `(batch, positions)`, which of them are no padding.
        tokens: int32 `(batch, capacity)` of zeros. Its shape is what the loop is compiled for.
        count: int32 scalar, at most `capacity`: tokens to take at most.
        top_k: Python integer >= 1; 1 is greedy decoding, anything above the vocabulary all of it.
        alpha: float scalar from 0 (greedy decoding) to 1.
        stops: int32 `(sequences, tokens)`, as `tfgen.sampling.decode.Sampling.stops`.
        forbidden: bool `(vocabulary,)`, tokens that are never taken.
        spelling: See `tfgen.sampling.stops.extend`.

    Returns:
        `Continuations`.
    """
    batch, capacity = sizes(tokens)
    positions = sizes(history)[1]
    slots = tf.range(capacity)
    history_slots = tf.range(positions + capacity)[:, None]
    top_k = min(top_k, forbidden.shape[0])
    alpha = tf.cast(alpha, tf.float32)

    def body(number, tokens, carry):
        logits = tf.where(forbidden, -math.inf, tf.cast(head(carry.hidden), tf.float32))
        likeliest, candidates = tf.math.top_k(logits, k=top_k)  # (batch, top_k)
        total = tf.reduce_logsumexp(logits, axis=-1, keepdims=True)
        probability = tf.exp(likeliest - total)

        spread = repeat_rows(carry.state, top_k)
        hidden, state = step(tf.reshape(candidates, [-1]), spread)
        directions = tf.reshape(_unit(hidden), [batch, top_k, hidden.shape[-1]])
        cosine = tf.matmul(directions, carry.history, transpose_b=True)
        # What is padding, or not yet there.
        written = tf.range(positions + capacity) < positions + number
        cosine = tf.where((valid & written)[:, None], cosine, -1.0)  # (batch, top_k, positions)
        score = (1.0 - alpha) * probability - alpha * tf.reduce_max(cosine, axis=-1)
        score = tf.where(likeliest > -math.inf, score, -math.inf)  # fewer allowed than top_k
        best = tf.argmax(score, axis=-1, output_type=tf.int32)  # (batch,)

        token = tf.where(carry.finished, 0, tf.gather(candidates, best, batch_dims=1))
        recent, trim = extend(carry.recent, token, stops, spelling)
        trim = tf.where(carry.finished, carry.trim, trim)
        rows = tf.range(batch) * top_k + best
        direction = tf.gather(directions, best, batch_dims=1)
        state = tf.nest.map_structure(
            lambda x, like: tf.ensure_shape(tf.gather(x, rows), like.shape), state, carry.state
        )
        carry = _Carry(
            state=state,
            hidden=tf.gather(hidden, rows),
            history=tf.where(
                history_slots == positions + number, direction[:, None], carry.history
            ),
            recent=recent,
            finished=carry.finished | (trim > 0),
            drawn=carry.drawn + tf.cast(~carry.finished, tf.int32),
            trim=trim,
        )
        return number + 1, tf.where(slots == number, token[:, None], tokens), carry

    valid = tf.pad(history_valid, [[0, 0], [0, capacity]], constant_values=True)
    none = tf.zeros([batch], tf.int32)
    carry = _Carry(
        state=state,
        hidden=hidden,
        history=tf.pad(_unit(history), [[0, 0], [0, capacity], [0, 0]]),
        recent=tf.fill([batch, tf.shape(stops)[1]], -2),  # equal to no token
        finished=tf.zeros([batch], tf.bool),
        drawn=none,
        trim=none,
    )
    _, tokens, carry = tf.while_loop(
        lambda number, _tokens, carry: (number < count) & ~tf.reduce_all(carry.finished),
        body,
        (tf.constant(0), tokens, carry),
    )
    return Continuations(tokens, carry.drawn, carry.trim)


def _unit(vectors):
    """Vectors in float32, of length 1; zero stays zero."""
    return tf.math.l2_normalize(tf.cast(vectors, tf.float32), axis=-1, epsilon=1e-24)
