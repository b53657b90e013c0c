"""The loop that draws tokens one after another, for any model: state in, logits out."""

from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.sampling.random import fold
from tfgen.sampling.stops import extend
from tfgen.sampling.tokens import penalise_repetition, sample_token

# Stop sequences are compared as whole rows of this many tokens, so that neither a longer one nor
# one more changes the shape of the compiled loop. Beyond that the rows, or their number, grow by
# as much again.
STOP_BUCKET = 16
STOP_ROWS = 4


class Sampling(NamedTuple):
    """How tokens are drawn: scalar tensors, and the stop sequences as tokens.

    Attributes:
        temperature, top_k, top_p, min_p, repetition_penalty: See `tfgen.sampling.tokens`.
        stops: int32 `(sequences, symbols)`, each right-aligned behind -1; a row of -1 never stops.
            A token is one symbol, unless a tokenizer has a `spelling`.
    """

    temperature: Any
    top_k: Any
    top_p: Any
    min_p: Any
    repetition_penalty: Any
    stops: Any


class Carry(NamedTuple):
    """What one stretch of generation hands to the next.

    Attributes:
        state: The model's own state, a nest of tensors `(batch, ...)`.
        logits: float32 `(batch, vocabulary)` of the token to come.
        seen: bool `(batch, vocabulary)`, tokens of the prompt and of what was drawn.
        recent: int32 `(batch, symbols)`, the last symbols drawn, for the stop sequences.
        finished: bool `(batch,)`.
        drawn: int32 `(batch,)`, tokens drawn so far, a stop sequence included.
        trim: int32 `(batch,)`, symbols from the stop sequence that ended the row on, 0 if none did.
        limit: int32 `(batch,)`, tokens after which a row has finished.
    """

    state: Any
    logits: Any
    seen: Any
    recent: Any
    finished: Any
    drawn: Any
    trim: Any
    limit: Any


def start(state, logits, seen, stops, limit=None):
    """Returns the `Carry` before the first token is drawn; without a limit rows have none."""
    batch = tf.shape(logits)[0]
    return Carry(
        state=state,
        logits=logits,
        seen=seen,
        recent=tf.fill([batch, tf.shape(stops)[1]], -2),  # equal to no token and to no padding
        finished=tf.zeros([batch], tf.bool),
        drawn=tf.zeros([batch], tf.int32),
        trim=tf.zeros([batch], tf.int32),
        limit=tf.fill([batch], tf.int32.max) if limit is None else limit,
    )


def decode(step, carry, tokens, first, count, key, sampling, forbidden, spelling=None):
    """Draws up to `count` tokens for every row, in one loop.

    Token number `first + i` of row `r` is drawn with noise that depends on the key, on
    `first + i` and on `r` alone: not on the number of rows, nor on how the draws are split into
    calls.

    Args:
        step: Function `(ids int32 (batch,), state) -> (logits (batch, vocabulary), state)`.
        carry: A `Carry`.
        tokens: int32 `(batch, capacity)` of zeros. Its shape is what the loop is compiled for.
        first: int32 scalar, number of tokens drawn before this call.
        count: int32 scalar, at most `capacity`: how many to draw now.
        key: int32 `(2,)`, from `tfgen.sampling.random`.
        sampling: A `Sampling`.
        forbidden: bool `(vocabulary,)`, tokens that are never drawn.
        spelling: See `tfgen.sampling.stops.extend`.

    Returns:
        `(tokens, carry)`; rows that have finished are filled with 0.
    """
    slots = tf.range(tf.shape(tokens)[1])[None]  # (1, capacity)
    vocabulary = carry.logits.shape[-1]

    def body(count_drawn, tokens, carry):
        logits = penalise_repetition(carry.logits, carry.seen, sampling.repetition_penalty)
        logits = tf.where(forbidden, -float("inf"), logits)
        token = sample_token(
            logits,
            fold(key, first + count_drawn),
            sampling.temperature,
            sampling.top_k,
            sampling.top_p,
            sampling.min_p,
        )
        token = tf.where(carry.finished, 0, token)
        tokens = tf.where(slots == count_drawn, token[:, None], tokens)
        recent, trim = extend(carry.recent, token, sampling.stops, spelling)
        trim = tf.where(carry.finished, carry.trim, trim)
        next_logits, state = step(token, carry.state)
        drawn = carry.drawn + tf.cast(~carry.finished, tf.int32)
        return (
            count_drawn + 1,
            tokens,
            Carry(
                state=state,
                logits=tf.cast(next_logits, tf.float32),
                seen=carry.seen | (tf.range(vocabulary)[None] == token[:, None]),
                recent=recent,
                finished=carry.finished | (trim > 0) | (drawn >= carry.limit),
                drawn=drawn,
                trim=trim,
                limit=carry.limit,
            ),
        )

    def running(count_drawn, tokens, carry):
        return (count_drawn < count) & ~tf.reduce_all(carry.finished)

    _, tokens, carry = tf.while_loop(running, body, (tf.constant(0), tokens, carry))
    return tokens, carry


def sizes(tensor):
    """Returns the sizes of a tensor's axes: Python integers where they are known to the graph."""
    dynamic = tf.unstack(tf.shape(tensor))
    return [
        size if static is None else static
        for static, size in zip(tensor.shape, dynamic, strict=True)
    ]


def align_stops(ids, lengths):
    """Right-aligns tokenised stop sequences for `Sampling.stops`.

    Args:
        ids: int32 `(sequences, tokens)`, right-padded.
        lengths: int32 `(sequences,)`.

    Returns:
        int32 `(rows, width)` padded with -1 on the left, `width` a multiple of `STOP_BUCKET`, and
        with rows of -1 to a multiple of `STOP_ROWS`.
    """

    def rounded_up(size, bucket):
        return bucket * tf.maximum(1, (size + bucket - 1) // bucket)

    rows = rounded_up(tf.shape(ids)[0], STOP_ROWS)
    width = rounded_up(tf.shape(ids)[1], STOP_BUCKET)
    column = tf.range(width)[None] - (width - lengths[:, None])  # (sequences, width)
    ids = tf.pad(ids, [[0, 0], [0, width - tf.shape(ids)[1]]])
    aligned = tf.gather(ids, tf.maximum(column, 0), batch_dims=1)
    aligned = tf.where(column >= 0, aligned, -1)
    return tf.pad(aligned, [[0, rows - tf.shape(ids)[0]], [0, 0]], constant_values=-1)
