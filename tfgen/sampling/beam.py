"""Beam search: the most likely texts side by side, for any model: state in, logits out."""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.sampling.decode import sizes
from tfgen.sampling.rows import repeat_rows
from tfgen.sampling.stops import extend


class Hypotheses(NamedTuple):
    """The texts that a beam search found, the best of each row first.

    There are fewer than `num_beams` possible texts where the vocabulary and the count are very
    small; the places left over have a score of -inf and no tokens.

    Attributes:
        tokens: int32 `(batch, num_beams, capacity)`, 0 behind the end.
        lengths: int32 `(batch, num_beams)`, tokens of each, a stop sequence included.
        trim: int32 `(batch, num_beams)`, length of the stop sequence that ended it, else 0.
        scores: float32 `(batch, num_beams)`, log-likelihood / length**length_penalty.
    """

    tokens: Any
    lengths: Any
    trim: Any
    scores: Any


class _Running(NamedTuple):
    """The hypotheses that go on, the best of each row first.

    Scores are log-likelihoods less that of the best, `base`: the differences then keep their
    precision however long the text.
    """

    state: Any  # (batch * num_beams, ...)
    logits: Any  # (batch * num_beams, vocabulary)
    tokens: Any  # (batch, num_beams, capacity)
    recent: Any  # (batch, num_beams, tokens of a stop sequence)
    scores: Any  # (batch, num_beams)
    base: Any  # (batch, 1)


def beam_search(
    step,
    state,
    logits,
    tokens,
    count,
    num_beams,
    length_penalty,
    stops,
    forbidden,
    spelling=None,
):
    """Searches for the most likely continuations of every row, in one loop.

    A hypothesis is finished when it ends with a stop sequence, or has `count` tokens. Finished
    ones compare by their log-likelihood over `length**length_penalty`, the length in tokens with
    the stop sequence: the rule of Hugging Face transformers, not the `((5 + length) / 6)**alpha`
    of Wu et al. (GNMT), arXiv:1609.08144. As there with `early_stopping=False`, a hypothesis can
    finish only while among the `num_beams` best, and a row ends as soon as `num_beams` have
    finished and none that runs is better than the worst of them, taken at its present length.
    So one beam is greedy decoding, and beams enough for all texts make the search exact.

    The likelihood is that of the model once `forbidden` tokens are taken out and the others made
    to sum to 1. A row does not depend on the others.

    Args:
        step: Function `(ids int32 (rows,), state) -> (logits (rows, vocabulary), state)`, here
            with `batch * num_beams` rows.
        state: The model's state after the prompt, a nest of tensors `(batch, ...)`.
        logits: float `(batch, vocabulary)` of the first token.
        tokens: int32 `(batch, capacity)` of zeros. Its shape is what the loop is compiled for.
        count: int32 scalar, at most `capacity`: tokens of a hypothesis at most.
        num_beams: Python integer >= 1; may exceed the vocabulary.
        length_penalty: float scalar; 0 is off, above 0 favours longer texts, below 0 shorter.
        stops: int32 `(sequences, tokens)`, as `tfgen.sampling.decode.Sampling.stops`.
        forbidden: bool `(vocabulary,)`, tokens that are never taken.
        spelling: See `tfgen.sampling.stops.extend`.

    Returns:
        `Hypotheses`.
    """
    batch, capacity = sizes(tokens)
    sequences, stop_width = sizes(stops)
    vocabulary = logits.shape[-1]
    slots = tf.range(capacity)
    length_penalty = tf.cast(length_penalty, tf.float32)
    first_row = tf.range(batch)[:, None] * num_beams  # (batch, 1)
    # A sequence of `stops` ends one continuation of a beam at most: so many candidates hold
    # `num_beams` that go on, if there are as many at all.
    candidates = tf.minimum(num_beams * (sequences + 1), num_beams * vocabulary)

    def normalised(scores, length):
        length = tf.cast(tf.maximum(length, 1), tf.float32)
        return scores / tf.pow(length, length_penalty)

    def extended(running, number, beam, token):
        """Tokens of hypotheses `beam` `(batch, n)` with one token more, and `extend` of theirs."""
        texts = tf.where(slots == number, token[..., None], _take(running.tokens, beam))
        return texts, *extend(_take(running.recent, beam), token, stops, spelling)

    def body(number, running, finished, done):
        allowed = tf.where(forbidden, -math.inf, running.logits)
        scores = tf.reshape(tf.nn.log_softmax(allowed), [batch, num_beams, vocabulary])
        scores = tf.reshape(running.scores[..., None] + scores, [batch, num_beams * vocabulary])
        scores, choice = tf.math.top_k(scores, k=candidates)  # (batch, candidates)
        beam, token = choice // vocabulary, choice % vocabulary
        texts, recent, trim = extended(running, number, beam, token)  # (batch, candidates, ...)

        ended = (trim > 0) & (tf.range(candidates) < num_beams) & ~done[:, None]
        more = Hypotheses(
            tokens=texts,
            lengths=tf.fill(tf.shape(trim), number + 1),
            trim=trim,
            scores=tf.where(ended, normalised(running.base + scores, number + 1), -math.inf),
        )
        finished = _best(num_beams, finished, more)

        scores, place = tf.math.top_k(tf.where(trim > 0, -math.inf, scores), k=num_beams)
        best = running.base + scores[:, :1]
        shift = tf.where(tf.math.is_finite(scores[:, :1]), scores[:, :1], 0.0)
        rows = tf.reshape(first_row + _take(beam, place), [-1])
        state = running.state
        if num_beams > 1:
            state = tf.nest.map_structure(
                lambda x: tf.ensure_shape(tf.gather(x, rows), x.shape), state
            )
        next_logits, state = step(tf.reshape(_take(token, place), [-1]), state)
        running = _Running(
            state=state,
            logits=tf.cast(next_logits, tf.float32),
            tokens=_take(texts, place),
            recent=_take(recent, place),
            scores=scores - shift,
            base=running.base + shift,
        )
        done |= finished.scores[:, -1] >= normalised(best, number + 1)[:, 0]
        return number + 1, running, finished, done

    running = _Running(
        state=repeat_rows(state, num_beams),
        logits=tf.repeat(tf.cast(logits, tf.float32), num_beams, axis=0),
        tokens=tf.repeat(tokens[:, None], num_beams, axis=1),
        recent=tf.fill([batch, num_beams, stop_width], -2),  # equal to no token
        # At first all beams are the same; only one of them counts.
        scores=tf.where(tf.range(num_beams) == 0, tf.zeros([batch, 1]), -math.inf),
        base=tf.zeros([batch, 1]),
    )
    none = tf.zeros([batch, num_beams], tf.int32)
    finished = Hypotheses(running.tokens, none, none, tf.fill([batch, num_beams], -math.inf))
    number, running, finished, done = tf.while_loop(
        lambda number, _running, _finished, done: (number < count) & ~tf.reduce_all(done),
        body,
        (tf.constant(0), running, finished, tf.zeros([batch], tf.bool)),
    )
    # Whatever still runs has reached `count`.
    scores = normalised(running.base + running.scores, number)
    scores = tf.where(done[:, None], -math.inf, scores)
    lengths = tf.fill([batch, num_beams], number)
    found = _best(num_beams, finished, Hypotheses(running.tokens, lengths, none, scores))
    exists = found.scores > -math.inf
    return Hypotheses(
        tokens=tf.where(exists[..., None], found.tokens, 0),
        lengths=tf.where(exists, found.lengths, 0),
        trim=tf.where(exists, found.trim, 0),
        scores=found.scores,
    )


def _best(number, hypotheses, more):
    """The `number` best of two lots of `Hypotheses`; among equals the former ones."""
    joined = Hypotheses(*(tf.concat(pair, axis=1) for pair in zip(hypotheses, more, strict=True)))
    scores, place = tf.math.top_k(joined.scores, k=number)
    return Hypotheses(
        _take(joined.tokens, place), _take(joined.lengths, place), _take(joined.trim, place), scores
    )


def _take(values, index):
    """Of `(batch, n, ...)` the entries `index` `(batch, m)` of each row."""
    return tf.gather(values, index, batch_dims=1)
