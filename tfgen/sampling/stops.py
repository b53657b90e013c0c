"""Where a text ends: stop sequences among the symbols of the tokens drawn."""

import tensorflow as tf


def extend(recent, token, stops, spelling=None):
    """Appends a token to what was drawn last, and looks for a stop sequence in it.

    Args:
        recent: int32 `(..., symbols)`, the last symbols drawn; what was not drawn is -2.
        token: int32 `(...)`.
        stops: int32 `(sequences, symbols)`, as `tfgen.sampling.decode.Sampling.stops`.
        spelling: The `tfgen.preprocessing.tokenizer.Spelling` of the tokens, of which a stop
            sequence may then end or begin within one; None where a token is one symbol.

    Returns:
        `(recent, trim)`: with the token, and int32 `(...)`: how many symbols are to be taken off
        the end, so that the text ends before the stop sequence that began first; 0 if there is
        none.
    """
    if spelling is None:
        recent = tf.concat([recent[..., 1:], token[..., None]], axis=-1)
        return recent, stop_length(recent, stops)
    symbols, starts = tf.constant(spelling.symbols), tf.constant(spelling.starts)
    first = tf.gather(starts, token)
    length = (tf.gather(starts, token + 1) - first)[..., None]  # (..., 1)
    place = tf.range(spelling.longest)
    new = tf.gather(symbols, tf.minimum(first[..., None] + place, len(spelling.symbols) - 1))
    line = tf.concat([recent, tf.where(place < length, new, -2)], axis=-1)
    width = tf.range(tf.shape(stops)[1])
    # The last symbols as of each of the token's: (..., longest, symbols).
    found = stop_length(tf.gather(line, place[:, None] + 1 + width, axis=-1), stops)
    cut = tf.where((found > 0) & (place < length), found + length - 1 - place, 0)
    recent = tf.gather(line, length + width, batch_dims=len(token.shape))
    return recent, tf.reduce_max(cut, axis=-1)


def stop_length(recent, stops):
    """Finds the longest stop sequence that the last tokens end with.

    Args:
        recent: int32 `(..., tokens)`, the last tokens drawn; what was not drawn is -2.
        stops: int32 `(sequences, tokens)`, as `Sampling.stops`.

    Returns:
        int32 `(...)`, its length; 0 if there is none.
    """
    wanted = stops >= 0  # a stop sequence stands behind tokens that need not match
    lengths = tf.reduce_sum(tf.cast(wanted, tf.int32), axis=1)
    match = tf.reduce_all((recent[..., None, :] == stops) | ~wanted, axis=-1)
    return tf.reduce_max(tf.where(match, lengths, 0), axis=-1)  # match: (..., sequences)
