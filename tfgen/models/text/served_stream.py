"""The served function `stream` of a model of texts: the state in, the next piece and the state out."""

import tensorflow as tf

from tfgen.export import Function
from tfgen.models.engines.rollout_stream import room_for
from tfgen.models.packing import packed, unpacked
from tfgen.models.serving import constant, with_defaults
from tfgen.models.text.arguments import options_of
from tfgen.models.text.graphs import OPTIONS, SAMPLED
from tfgen.models.text.streaming import STREAM_CHUNK
from tfgen.sampling import random
from tfgen.sampling.buckets import bucket

# Inputs of `generate` that a stream has not: its rows are those of its state.
_OF_GENERATE = ("num_samples", "strip_prompt")


def stream_functions(model, seeded):
    """`stream` and `stream_default` of a `TextModel`, as `tfgen.export.Function`s.

    Args:
        model: The model, without latents.
        seeded: Whether the latter makes a seed of its own.
    """
    graphs, usual = model.graphs, vars(options_of(model.generation, {}))
    specs = {
        "prompts": graphs.generate_specs()["prompts"],
        "state": tf.TensorSpec([None, None], tf.int32),
        "index": tf.TensorSpec([], tf.int32),
        **graphs.generate_specs(),
    }
    specs = {name: specs[name] for name in specs if name not in _OF_GENERATE}
    call = tf.function(lambda own: stream(graphs, own), input_signature=[specs], autograph=False)
    defaults = {
        name: constant(usual[name], specs[name].dtype)
        for name in (*OPTIONS, "guidance_scale")
        if name in specs
    }
    defaults["max_new_tokens"] = constant(STREAM_CHUNK)
    if seeded:
        defaults["seed"] = lambda arguments: random.serving_seed()
    return with_defaults([Function("stream", call, specs)], defaults)


def stream(graphs, arguments):
    """The next tokens of texts, as far as they are certain; those after prompts at first.

    Args:
        graphs: The model's `TextGraphs`.
        arguments: Tensors: `state` and `index`, and what `generate` takes; `max_new_tokens` is of
            this piece, and 0 gives what was held back.

    Returns:
        `texts` and `finished`, of each row, and the `state` and `index` of the next call.
    """
    engine, tokenizer, index = graphs.engine, graphs.tokenizer, arguments["index"]
    count, scale = arguments["max_new_tokens"], arguments.get("guidance_scale")
    sampling = graphs.sampling(*(arguments[name] for name in (*SAMPLED, "stop")))
    line = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
    like = graphs.begin_graph.get_concrete_function().structured_outputs, *line

    def begun():
        condition = {name: arguments[name] for name in graphs.condition_specs()}
        one, most = tf.constant(1), tf.constant(tf.int32.max)
        carry = graphs.begin(
            arguments["prompts"], sampling, one, most, tf.constant(0), condition, True
        )
        rows = tf.shape(carry.logits)[0]
        return packed((carry, tf.zeros([rows, 0], tf.int32), tf.zeros([rows], tf.int32)), like)

    state = tf.cond(index == 0, begun, lambda: arguments["state"])
    carry, held, held_count = unpacked(state, like)
    room = room_for(engine.network, index, count)
    carry = carry._replace(
        state=engine.reserve(carry.state, room, scale),
        recent=_fitted(carry.recent, tf.shape(sampling.stops)[1]),
    )
    before = carry.drawn
    buffer = tf.zeros([tf.shape(carry.logits)[0], bucket(count, STREAM_CHUNK)], tf.int32)
    key = random.root(arguments["seed"], random.SAMPLING)
    tokens, carry = engine.decoded(carry, buffer, index, count, key, sampling, scale)
    new = tokens, carry.drawn - before
    if tokenizer.spelling is not None:
        new = tokenizer.spelling.of(*new)
    rows = [
        tf.RaggedTensor.from_tensor(each, each_count)
        for each, each_count in [(held, held_count), new]
    ]
    symbols = tf.concat(rows, axis=1).to_tensor()
    symbols = tf.pad(symbols, [[0, 0], [0, 1]])  # no row of nothing
    total = held_count + new[1]
    # What may yet be cut off as part of a stop text is held back, and what begins a character.
    final = carry.finished | (count == 0)
    longest = tf.reduce_max(tf.reduce_sum(tf.cast(sampling.stops >= 0, tf.int32), axis=1))
    end = total - tf.where(final, carry.trim, tf.maximum(longest - 1, 0))
    texts, end = tokenizer.read_symbols(symbols, tf.maximum(end, 0), final)
    left = tf.where(final, 0, total - end)
    # As wide for every piece: a character has at most four bytes.
    width = tf.maximum(tf.reduce_max(left), tf.shape(sampling.stops)[1] + 4)
    place = tf.minimum(end[:, None] + tf.range(width), tf.shape(symbols)[1] - 1)
    after = carry, tf.gather(symbols, place, batch_dims=1), left
    return {
        "texts": texts,
        "finished": carry.finished,
        "state": packed(after, like),
        "index": index + count,
    }


def _fitted(recent, width):
    """The last symbols, as many as stop texts have: those of another call may have more or fewer."""
    missing = tf.maximum(width - tf.shape(recent)[1], 0)
    recent = tf.pad(recent, [[0, 0], [missing, 0]], constant_values=-2)
    return recent[:, tf.shape(recent)[1] - width :]
