"""Speculative sampling: a small model guesses ahead, the large one checks all guesses at once."""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.sampling.random import fold, gumbel, uniform
from tfgen.sampling.stops import extend
from tfgen.sampling.tokens import filtered, penalise_repetition, sample_token

# What the random numbers of a round are for.
_DRAW = 0
_ACCEPT = 1


class Speculated(NamedTuple):
    """The text that was drawn, and how the guesses fared.

    Attributes:
        tokens: int32 `(1, capacity)`, 0 behind the end.
        drawn: int32 `(1,)`, tokens drawn, a stop sequence included.
        trim: int32 `(1,)`, length of the stop sequence that ended the text, 0 if none did.
        proposed: int32 scalar, tokens that the draft guessed.
        accepted: int32 scalar, guesses that the target took. Those of the last round count in
            full, also where the text ended before them.
        rounds: int32 scalar, passes of the target.
    """

    tokens: Any
    drawn: Any
    trim: Any
    proposed: Any
    accepted: Any
    rounds: Any


class _Text(NamedTuple):
    """The text so far."""

    tokens: Any  # (1, capacity)
    recent: Any  # (1, tokens of a stop sequence)
    seen: Any  # (1, vocabulary)
    finished: Any  # ()
    drawn: Any  # ()
    trim: Any  # ()


class _Draft(NamedTuple):
    """The draft between rounds.

    Its state has read the text up to the token before the pending one, or to the one before that:
    `behind` is 1 then, and `missed` the token it has not read.
    """

    state: Any
    behind: Any  # ()
    missed: Any  # (1,)


def speculative_decode(
    target,
    draft,
    carry,
    draft_state,
    tokens,
    count,
    key,
    sampling,
    forbidden,
    draft_tokens,
    spelling=None,
):
    """Draws up to `count` tokens for one row, in one loop of rounds.

    In every round the draft draws `draft_tokens` tokens one after another, the target reads them
    in one pass, and as many are kept as Algorithm 1 of Leviathan et al., arXiv:2211.17192 (and of
    Chen et al., arXiv:2302.01318) allows: with `q` the distribution of the draft and `p` that of
    the target, a token `x` is accepted with probability `min(1, p(x) / q(x))`; the first that is
    not is sampled again from `max(0, p - q)`, made to sum to 1; if all are, one more is drawn from
    `p`. Both are the laws after repetition penalty, forbidden tokens and `filtered`, so that the
    text follows exactly the distribution of `tfgen.sampling.decode.decode`, though a key gives
    another text. Temperature 0 gives the very text of greedy decoding.

    The first token is drawn from `carry.logits`. From then on the last token drawn is pending:
    neither model has read it. A round feeds it first, so the target reads `draft_tokens + 1`
    tokens, whose hidden states give the laws of the guesses and of the one after them.

    Args:
        target: `(verify, rewind, head)`. `verify(ids int32 (1, n), state)` returns
            `(hidden (1, n, width), marks)`, `rewind(marks, kept int32 (1,))` the state after the
            first `kept` of those ids, and `head(hidden (n, width))` the logits
            `(n, vocabulary)`. State and marks need room for `count + draft_tokens` tokens.
        draft: `(step, head)`, `step(ids int32 (1,), state)` returning
            `(hidden (1, width), state)`; its vocabulary is the target's. So much room as well.
        carry: The target's `tfgen.sampling.decode.Carry` after the prompt, of one row, as
            `tfgen.sampling.decode.start` returns it.
        draft_state: The draft's state after the same prompt, a nest of tensors `(1, ...)`.
        tokens: int32 `(1, capacity)` of zeros. Its shape is what the loop is compiled for.
        count: int32 scalar, at most `capacity`: tokens to draw at most.
        key: int32 `(2,)`, from `tfgen.sampling.random`; one for each row.
        sampling: A `tfgen.sampling.decode.Sampling`.
        forbidden: bool `(vocabulary,)`, tokens that are never drawn.
        draft_tokens: Python integer >= 1, tokens guessed in a round.
        spelling: See `tfgen.sampling.stops.extend`.

    Returns:
        `Speculated`.
    """
    verify, rewind, head = target
    vocabulary = forbidden.shape[0]

    def allowed(logits, seen):
        """The logits before temperature, as `decode` has them."""
        logits = penalise_repetition(logits, seen, sampling.repetition_penalty)
        return tf.where(forbidden, -math.inf, logits)

    def law(logits, seen):
        logits = filtered(
            allowed(logits, seen),
            sampling.temperature,
            sampling.top_k,
            sampling.top_p,
            sampling.min_p,
        )
        return tf.nn.softmax(logits)  # (n, vocabulary)

    def body(rounds, pending, text, state, draft_carry, accepted_before):
        round_key = fold(key, rounds)
        # A row for each guess, and one for the token behind them.
        noise = gumbel(fold(round_key, _DRAW), [draft_tokens + 1, vocabulary])
        guesses, guess_laws, draft_states = _guess(
            draft, law, draft_carry, pending, text.seen, noise[:-1]
        )
        hidden, marks = verify(tf.concat([pending, guesses], axis=0)[None], state)
        # Each law knows the guesses before it as part of the text.
        one_hot = tf.range(vocabulary) == guesses[:, None]  # (draft_tokens, vocabulary)
        before = tf.cumsum(tf.cast(one_hot, tf.int32)) > 0
        laws = law(head(hidden[0]), tf.concat([text.seen, text.seen | before], axis=0))

        number = _accepted(guesses, guess_laws, laws[:-1], fold(round_key, _ACCEPT))
        rest = _rest(laws, guess_laws, number)
        last = tf.argmax(tf.math.log(rest) + noise[-1:], axis=-1, output_type=tf.int32)  # (1,)
        places = tf.range(draft_tokens + 1)
        new = tf.where(places < number, tf.concat([guesses, last], axis=0), last)
        text = _append(text, new, number + 1, count, sampling.stops, spelling)

        state = rewind(marks, (number + 1)[None])
        # The draft has not read its last guess.
        complete = tf.cast(number == draft_tokens, tf.int32)
        draft_carry = _Draft(
            state=draft_states(number - complete), behind=complete, missed=guesses[-1:]
        )
        return rounds + 1, last, text, state, draft_carry, accepted_before + number

    zero = tf.constant(0)
    seen = tf.ensure_shape(carry.seen, [1, vocabulary])
    text = _Text(tokens, carry.recent, seen, carry.finished[0], zero, zero)
    first = sample_token(
        tf.ensure_shape(allowed(carry.logits, seen), [1, vocabulary]),
        fold(fold(key, 0), _DRAW),
        sampling.temperature,
        sampling.top_k,
        sampling.top_p,
        sampling.min_p,
    )
    text = _append(text, first, 1, count, sampling.stops, spelling)
    draft_carry = _Draft(draft_state, behind=zero, missed=first)
    rounds, _, text, _, _, accepted = tf.while_loop(
        lambda _rounds, _pending, text, *_: (text.drawn < count) & ~text.finished,
        body,
        (tf.constant(1), first, text, carry.state, draft_carry, zero),
    )
    rounds -= 1  # the first token was number 0
    return Speculated(
        tokens=text.tokens,
        drawn=text.drawn[None],
        trim=text.trim[None],
        proposed=rounds * draft_tokens,
        accepted=accepted,
        rounds=rounds,
    )


def _guess(draft, law, carry, pending, seen, noise):
    """Lets the draft draw a token for each row of Gumbel noise, behind the pending one.

    Returns:
        `(guesses int32 (number,), their laws (number, vocabulary), states)`, where `states(i)` is
        the draft's state after the pending token and `i` guesses, `i` below `number`.
    """
    step, head = draft
    number = noise.shape[0]
    places = tf.range(number)
    stacks = tf.nest.map_structure(
        lambda x: tf.TensorArray(
            x.dtype, size=number + 1, element_shape=x.shape, clear_after_read=False
        ),
        carry.state,
    )

    def body(fed, token, state, seen, guesses, laws, stacks):
        # Guess number `fed` follows the token that is fed here; it is -1 for a missed one.
        hidden, state = step(token, state)
        stacks = tf.nest.map_structure(lambda stack, x: stack.write(fed + 1, x), stacks, state)
        guessed_law = law(head(hidden), seen)  # (1, vocabulary)
        scores = tf.math.log(guessed_law) + tf.gather(noise, tf.maximum(fed, 0))
        guess = tf.argmax(scores, axis=-1, output_type=tf.int32)
        guess = tf.ensure_shape(guess, [1])
        guesses = tf.where(places == fed, guess, guesses)
        laws = tf.where(places[:, None] == fed, guessed_law, laws)
        token = tf.where(fed < 0, pending, guess)
        guessed = (tf.range(tf.shape(seen)[1]) == guess[:, None]) & (fed >= 0)
        return fed + 1, token, state, seen | guessed, guesses, laws, stacks

    token = tf.where(carry.behind > 0, carry.missed, pending)
    guesses = tf.zeros([number], tf.int32)
    laws = tf.zeros([number, seen.shape[1]])
    _, _, _, _, guesses, laws, stacks = tf.while_loop(
        lambda fed, *_: fed < number,
        body,
        (-carry.behind, token, carry.state, seen, guesses, laws, stacks),
    )

    def states(index):
        return tf.nest.map_structure(lambda stack: stack.read(index + 1), stacks)

    return guesses, laws, states


def _accepted(guesses, guess_laws, laws, key):
    """How many of the guesses are kept: those before the first that is not."""
    likely = tf.gather(laws, guesses, batch_dims=1)  # (draft_tokens,)
    guessed = tf.gather(guess_laws, guesses, batch_dims=1)
    kept = uniform(key, tf.shape(guesses)) * guessed < likely
    return tf.reduce_sum(tf.math.cumprod(tf.cast(kept, tf.int32)))


def _rest(laws, guess_laws, number):
    """The law, not made to sum to 1, of the token behind `number` accepted guesses."""
    guess_laws = tf.pad(guess_laws, [[0, 1], [0, 0]])  # behind the last there was no guess
    law = tf.gather(laws, number)
    rest = tf.maximum(law - tf.gather(guess_laws, number), 0.0)  # (vocabulary,)
    # Nothing is left only if rounding made two equal laws differ; either is right then.
    return tf.where(tf.reduce_any(rest > 0), rest, law)[None]


def _append(text, new, number, count, stops, spelling):
    """Appends the first `number` of `new` `(n,)` tokens, up to `count` and to a stop sequence."""
    size = new.shape[0]
    places = tf.range(size)
    last, each = text.recent, []
    for place in range(size):  # as many as the draft guesses, and one
        last, trim = extend(last, new[place : place + 1], stops, spelling)
        each.append((last, trim))
    recent, trims = (tf.concat(x, axis=0) for x in zip(*each))  # (n, symbols), (n,)
    number = tf.minimum(number, count - text.drawn)
    stopped = (trims > 0) & (places < number)
    finished = tf.reduce_any(stopped)
    first = tf.argmax(stopped, output_type=tf.int32)
    number = tf.where(finished, first + 1, number)
    slot = tf.range(tf.shape(text.tokens)[1]) - text.drawn  # (capacity,)
    placed = tf.gather(new, tf.clip_by_value(slot, 0, size - 1))
    vocabulary = tf.range(tf.shape(text.seen)[1])
    drawn = (vocabulary == new[:, None]) & (places < number)[:, None]
    return _Text(
        tokens=tf.where((slot >= 0) & (slot < number), placed, text.tokens),
        recent=tf.gather(recent, tf.maximum(number - 1, 0))[None],
        seen=text.seen | tf.reduce_any(drawn, axis=0),
        finished=finished,
        drawn=text.drawn + number,
        trim=tf.where(finished, tf.gather(trims, first), 0),
    )
