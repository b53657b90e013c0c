"""Drawing a token from logits: temperature, filters, repetition penalty.

A filter keeps the logits it allows and sets the others to -inf; one that is -inf already stays so
and is never drawn. Every number that controls a filter may be a Python number or a scalar tensor,
in eager, graph and XLA code; the result is the same.

Where tokens tie, the lower id counts as the likelier one, in the filters as in `argmax`: `top_k`
keeps exactly k tokens and `top_p` the smallest set, however many are equal.
"""

import math

import numpy as np
import tensorflow as tf

from tfgen.sampling.random import gumbel

# Smallest normal float32: below it XLA and Eigen may flush to zero.
_TINY = float(np.finfo(np.float32).tiny)

# Rounding in a float32 softmax. Without it probabilities .5, .3, .2 would need all three tokens to
# reach top_p=0.8 on one machine and two on another.
_TOLERANCE = 1e-6


def apply_temperature(logits, temperature):
    """Divides logits by the temperature, after moving each row's largest to 0.

    The move changes no probability; it keeps the quotient finite however low the temperature.

    Args:
        logits: float tensor `(batch, vocabulary)`.
        temperature: Scalar >= 0. At 0 all but the largest logits go to -inf, or very near it.

    Returns:
        float32 tensor `(batch, vocabulary)`.
    """
    logits = tf.cast(logits, tf.float32)
    temperature = tf.clip_by_value(tf.cast(temperature, tf.float32), _TINY, 0.25 / _TINY)
    largest = tf.reduce_max(logits, axis=-1, keepdims=True)  # (batch, 1)
    logits = tf.where(tf.math.is_finite(largest), logits - largest, logits)
    # A product: XLA turns a quotient by a constant into one, and its last bit would differ.
    return logits * (1.0 / temperature)


def filter_min_p(logits, min_p):
    """Keeps the tokens at least `min_p` times as probable as the most likely one.

    Reference: Nguyen et al., arXiv:2407.01082.

    Args:
        logits: float tensor `(batch, vocabulary)`.
        min_p: Scalar in [0, 1]; 0 is off, 1 keeps the most likely token and those that equal it.

    Returns:
        float32 tensor `(batch, vocabulary)`.
    """
    logits = tf.cast(logits, tf.float32)
    if _static(min_p) == 0:
        return logits
    largest = tf.reduce_max(logits, axis=-1, keepdims=True)  # (batch, 1)
    lowest = largest + tf.math.log(tf.cast(min_p, tf.float32)) - _TOLERANCE  # -inf at min_p = 0
    return tf.where((logits >= lowest) | (logits == largest), logits, -math.inf)


def penalise_repetition(logits, seen, penalty):
    """Makes tokens that were seen before less likely (or likelier, below 1).

    A positive logit is divided by the penalty and a negative one multiplied by it, so that both
    fall. The rule depends on where the logits' zero lies: apply it first, to the model's own
    logits. Reference: Keskar et al. (CTRL), arXiv:1909.05858, section 4.1, with the product for
    negative logits that is in general use.

    Args:
        logits: float tensor `(batch, vocabulary)`.
        seen: bool tensor `(batch, vocabulary)`.
        penalty: Scalar > 0; 1 is off.

    Returns:
        float32 tensor `(batch, vocabulary)`.
    """
    logits = tf.cast(logits, tf.float32)
    if _static(penalty) == 1:
        return logits
    penalty = tf.cast(penalty, tf.float32)
    penalised = tf.where(logits > 0, logits * (1.0 / penalty), logits * penalty)
    return tf.where(seen, penalised, logits)


def filtered(logits, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """Returns the logits of the distribution that `sample_token` samples from.

    Temperature comes first, then `top_k`, `top_p` (of what `top_k` left, made to sum to 1 again;
    nucleus sampling, Holtzman et al., arXiv:1904.09751) and `min_p`.

    Args:
        logits: float tensor `(batch, vocabulary)`.
        temperature: Scalar >= 0. 0 leaves the largest logit alone, the lowest id among equals.
        top_k: Integer scalar: how many of the largest logits are kept. 0 is off, and so is anything
            from the size of the vocabulary up.
        top_p: Scalar in (0, 1]: the smallest set of tokens whose probability reaches it is kept,
            at least the most likely one; 1 is off. Reached means to within 1e-6, the rounding of
            float32.
        min_p: See `filter_min_p`.

    Returns:
        float32 tensor `(batch, vocabulary)`, -inf for what is never sampled.
    """
    logits = tf.cast(logits, tf.float32)

    def greedy():
        likeliest = tf.argmax(logits, axis=-1, output_type=tf.int32)
        alone = tf.range(tf.shape(logits)[-1]) == likeliest[..., None]
        return tf.where(alone, tf.zeros_like(logits), -math.inf)

    def draw():
        return _filtered(logits, temperature, top_k, top_p, min_p)

    return _cond(temperature, lambda value: value <= 0, greedy, draw)


def sample_token(logits, key, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """Draws one token for each row.

    The distribution is that of `filtered`, sampled as the largest of its logits plus Gumbel noise.
    Row i depends on the key, on i and on its own logits, not on the number of rows.

    Args:
        logits: float tensor `(batch, vocabulary)`.
        key: int32 tensor `(2,)`, see `tfgen.sampling.random`. One key is one draw: fold it for the
            next.
        temperature: Scalar >= 0. 0 takes the largest logit, the lowest id among equals.
        top_k: See `filtered`.
        top_p: See `filtered`.
        min_p: See `filter_min_p`.

    Returns:
        int32 tensor `(batch,)`.
    """
    logits = tf.cast(logits, tf.float32)

    def greedy():
        return tf.argmax(logits, axis=-1, output_type=tf.int32)

    def draw():
        allowed = _filtered(logits, temperature, top_k, top_p, min_p)
        noise = gumbel(key, tf.shape(allowed))
        return tf.argmax(allowed + noise, axis=-1, output_type=tf.int32)

    return _cond(temperature, lambda value: value <= 0, greedy, draw)


def _filtered(logits, temperature, top_k, top_p, min_p):
    """`filtered` at a temperature above 0."""
    allowed = filter_sorted(apply_temperature(logits, temperature), top_k, top_p)
    return filter_min_p(allowed, min_p)


def filter_sorted(logits, k, p):
    """Top-k, then top-p of what is left, with one sort, which is skipped if both are off."""
    vocabulary = logits.shape[-1]
    if vocabulary is None:
        vocabulary = tf.shape(logits)[-1]

    def active(k, p):
        return ((k > 0) & (k < vocabulary)) | (p < 1.0)

    def keep_largest():
        descending = tf.math.top_k(logits, k=vocabulary).values  # (batch, vocabulary)
        limit = tf.cast(k, tf.int32)
        limit = tf.where(limit > 0, tf.minimum(limit, vocabulary), vocabulary)
        descending = tf.where(tf.range(vocabulary) < limit, descending, -math.inf)
        probability = tf.nn.softmax(descending, axis=-1)
        before = tf.cumsum(probability, axis=-1, exclusive=True)  # mass of the likelier tokens
        mass = tf.cast(p, tf.float32)
        reached = tf.reduce_sum(
            tf.cast(before < mass - _TOLERANCE, tf.int32), axis=-1, keepdims=True
        )
        kept = tf.minimum(tf.maximum(reached, 1), limit)
        kept = tf.where(mass < 1.0, kept, limit)  # (batch, 1)
        # The sort says how many remain and what the least of them is; which of several equals
        # remain is decided here, by their ids.
        least = tf.gather(descending, kept - 1, batch_dims=1)  # (batch, 1)
        above = logits > least
        equal = logits == least
        room = kept - tf.reduce_sum(tf.cast(above, tf.int32), axis=-1, keepdims=True)
        rank = tf.cumsum(tf.cast(equal, tf.int32), axis=-1)  # 1 for the lowest id of the equals
        return tf.where(above | (equal & (rank <= room)), logits, -math.inf)

    return _cond((k, p), lambda pair: active(*pair), keep_largest, lambda: logits)


def _static(value):
    """Returns a Python number or the value of a constant tensor; None if only the graph knows."""
    return tf.get_static_value(value) if tf.is_tensor(value) else value


def _cond(values, predicate, if_true, if_false):
    """`tf.cond`, decided at once where the values are known."""
    known = tf.nest.map_structure(_static, values)
    if all(value is not None for value in tf.nest.flatten(known)):
        return if_true() if predicate(known) else if_false()
    values = tf.nest.map_structure(tf.convert_to_tensor, values)
    return tf.cond(predicate(values), if_true, if_false)
