"""Streams of a `Rollout`: piece by piece, and the served function, from state to state."""

import tensorflow as tf

from tfgen.export import Function
from tfgen.models.packing import packed, size_of, unpacked
from tfgen.sampling.buckets import bucket

# Positions that are drawn at once.
CHUNK = 32
# Positions that are made room for at a time, where the state of a network grows.
ROOM = 1024
# More positions than any window has: what has a constant size takes all that it will ever have.
ALL_ROOM = 2**24


def room_for(network, begun, count):
    """How many positions after the first `begun` a state has room for, to draw `count` more."""
    if network.state_is_constant:
        return tf.constant(ALL_ROOM)
    most, wanted = network.max_positions, -(-(begun + count) // ROOM) * ROOM
    return (wanted if most is None else tf.maximum(tf.minimum(wanted, most), begun + count)) - begun


def pieces(rollout, told, length, sampling, called):
    """Yields the pieces of one sequence, arrays `(positions, features)`.

    Args:
        rollout: A `Rollout`.
        told: As of `tfgen.models.numbers.told.Told.of_samples`.
        length: Samples at most.
        sampling: Tensors of the seed and the options.
        called: Makes a context in which a loop is called.
    """
    positions = rollout.positions
    if "known" in told:
        told = {**told, "known": positions.with_more(told["known"], CHUNK)}
    begun, done, most = None, 0, positions.count(length)
    while done < most:
        count = min(CHUNK, most - done)
        covariates = positions.covariates_ahead(told, tf.constant(done), CHUNK, 1)
        if "known" in told:
            told = {**told, "known": told["known"][:, CHUNK * positions.patch :]}
        if begun is None:
            # Room for the whole at once, because each size of a state is compiled for.
            room = ALL_ROOM if rollout.state_is_constant else int(bucket(most, CHUNK))
            begun = rollout.begin(1, told, sampling, covariates, room)
        begun = begun._replace(covariates=covariates, count=tf.constant(count))
        with called():
            drawn = rollout.roll_single(begun)
        begun = drawn.rollout
        drawn_now = int(drawn.lengths[0])
        samples = positions.restored(drawn.values)[0, : drawn_now * positions.frame]
        yield samples[: length - done * positions.frame].numpy()
        done += drawn_now
        if drawn_now < count or (rollout.processor.ends and bool(drawn.ended[0])):
            return


def stream_function(rollout, specs, smallest):
    """The `Function` that draws the next positions of sequences.

    Args:
        rollout: A `Rollout`.
        specs: Those of its `generate`.
        smallest: What numbers of positions are rounded up to.
    """
    positions, network, ends = rollout.positions, rollout.network, rollout.processor.ends
    state = network.initial_state(1)
    shapes = network.state_invariants(state)
    held = rollout.emission.reading.held(1)
    like = tf.nest.map_structure(
        lambda tensor, shape: tf.TensorSpec(tf.TensorShape(shape), tensor.dtype),
        (state, held),
        (shapes, tf.nest.map_structure(lambda tensor: tensor.shape, held)),
    )
    like = (
        like,
        tf.TensorSpec([None, positions.width], tf.float32),
        tf.TensorSpec([None], tf.bool),
    )
    of_whole = {name: specs[name] for name in specs if name != "num_samples"}
    specs = {
        "state": tf.TensorSpec([None, size_of(like)], tf.int32),
        "index": tf.TensorSpec([], tf.int32),
        **of_whole,
    }

    def stream(arguments):
        index, rows = arguments["index"], tf.shape(arguments["state"])[0]
        count = positions.count(arguments["length"])
        capacity = bucket(count, smallest)
        given = dict(arguments)
        if "known" in given:
            given["known"] = positions.with_more(given["known"], capacity)
        covariates = positions.covariates_ahead(given, index, capacity, rows)
        begun = rollout.begin(rows, given, arguments, covariates, 0)
        first = begun.state, begun.previous, tf.zeros([rows], tf.bool)
        before = tf.cond(index == 0, lambda: packed(first, like), lambda: arguments["state"])
        (state, held), previous, ended = unpacked(before, like)
        if network.max_positions is not None:
            there = f"A sequence of this model ends at position {network.max_positions}"
            tf.debugging.Assert(index + count <= network.max_positions, [there])
        state = network.reserve(state, room_for(network, index, count))
        begun = begun._replace(
            state=(state, held),
            previous=previous,
            first=tf.fill([rows], index == 0),
            begun=index,
            count=count,
        )
        drawn = rollout.run(begun)
        after = drawn.rollout.state, drawn.rollout.previous, ended | drawn.ended
        values = positions.restored(drawn.values)[:, : count * positions.frame]
        found = {"state": packed(after, like), "index": index + count}
        if not ends:
            return {"values": values, **found}
        values = tf.where(ended[:, None, None], positions.missing, values)
        lengths = tf.where(ended, 0, drawn.lengths * positions.frame)
        return {"values": values, "lengths": lengths, "finished": after[2], **found}

    return Function("stream", tf.function(stream, input_signature=[specs], autograph=False), specs)
