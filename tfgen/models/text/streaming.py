"""`stream` of a model of texts: one text piece by piece."""

import numpy as np
import tensorflow as tf

from tfgen.models.text.arguments import sampling_of
from tfgen.models.text.graphs import TOKENS_BUCKET
from tfgen.sampling import random
from tfgen.sampling.buckets import bucket

# Tokens that are sampled at once.
STREAM_CHUNK = 8
# Tokens that are made room for at a time.
STREAM_ROOM = 1024


def pieces(graphs, prompt, begun, options, condition, seed, first_call):
    """Yields the pieces of a text as they become certain.

    Args:
        graphs: The model's `TextGraphs`.
        prompt: The text to continue.
        begun: What to yield of it.
        options: A `TokenSampling`, whose tokens have room.
        condition: Tensors of `guided_condition`.
        seed: int64 scalar tensor.
        first_call: `FirstCalls` of the model.
    """
    if begun:
        yield begun
    engine, limit = graphs.engine, options.max_new_tokens
    sampling = sampling_of(graphs, options)
    longest_stop = int(tf.reduce_max(tf.reduce_sum(tf.cast(sampling.stops >= 0, tf.int32), 1)))
    # Room for the whole text at once, because each size of a state is compiled for.
    room = bucket(min(limit, STREAM_ROOM), TOKENS_BUCKET)
    carry = graphs.begin_graph(
        tf.constant([prompt]), sampling, tf.constant(1), tf.constant(limit), room, condition
    )
    scale = condition.get("guidance_scale")
    key = random.root(seed, random.SAMPLING)
    tokenizer = graphs.tokenizer
    decoder = tokenizer.symbol_decoder()
    drawn, shown = np.zeros([0], np.int32), 0
    symbols = tokenizer.spelled(drawn)
    while len(drawn) < limit and not carry.finished[0]:
        count = min(STREAM_CHUNK, limit - len(drawn))
        buffer = tf.zeros([1, STREAM_CHUNK], tf.int32)
        # Tensors, because a function is traced anew for every other Python number.
        first, count = tf.constant(len(drawn)), tf.constant(count)
        if len(drawn) and len(drawn) % room == 0:
            carry = carry._replace(state=engine.reserve(carry.state, room, scale))
        with first_call("stream", int(room)):
            tokens, carry = engine.decode_single(carry, buffer, first, count, key, sampling, scale)
        new = tokens.numpy()[0, : int(carry.drawn[0]) - len(drawn)]
        drawn = np.concatenate([drawn, new])
        symbols = np.concatenate([symbols, tokenizer.spelled(new)])
        # What may yet be cut off as part of a stop text is held back.
        finished = bool(carry.finished[0])
        end = len(symbols) - (int(carry.trim[0]) if finished else max(longest_stop - 1, 0))
        if end > shown:
            piece = decoder.decode(symbols[shown:end])
            shown = end
            if piece:
                yield piece
    end = len(symbols) - int(carry.trim[0])
    piece = decoder.decode(symbols[shown:end], final=True)
    if piece:
        yield piece
