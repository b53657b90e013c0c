"""Slots: the caches of keys and values in the state of a transformer, and what each slot holds.

The keys and values of the blocks are `(batch, blocks, kv_heads, slots, head_width)`, and with a
convolution the `past` features `(batch, blocks, conv - 1, features)` that the next position still
needs; for all blocks the `position` that each slot holds `(batch, slots)`, -1 for none; the
`length` of the sequence so far `(batch,)`; the `cursor` `(batch,)`, the slot to write next, the
same in each row; and the `context`.
"""

import tensorflow as tf

from tfgen.layers.causal_self_attention import Places
from tfgen.sampling.buckets import stepped

# Slots are reserved by at least so many; a window's ring has so many more than it needs, so that
# what `verifier` reads at once does not overwrite what is still attended to.
SLOTS = 64


def ring_of(window):
    """Slots of a window's ring."""
    return -(-window // SLOTS) * SLOTS + SLOTS


def reserve(state, count, window):
    """A state in which `count` more positions have room; `window` is 0 or that of the attention."""
    slots, cursor = tf.shape(state["position"])[1], state["cursor"]
    used = tf.reduce_max(tf.concat([cursor, [0]], axis=0))  # no row is no cursor
    wanted = stepped(used + count, SLOTS)
    if window:
        wanted = tf.minimum(wanted, ring_of(window))
    count = tf.maximum(wanted - slots, 0)
    added = [[0, 0], [0, 0], [0, 0], [0, count], [0, 0]]
    return {
        **state,
        "keys": tf.pad(state["keys"], added),
        "values": tf.pad(state["values"], added),
        "position": tf.pad(state["position"], [[0, 0], [0, count]], constant_values=-1),
    }


def cache_of(state, index):
    """The cache of one block: keys, values and, with a convolution, the past features."""
    names = [name for name in ("keys", "values", "past") if name in state]
    return tuple(tf.gather(state[name], index, axis=1) for name in names)


def context_of(context, index):
    """What one block attends to besides, as arguments of its call."""
    if context is None:
        return {}
    keys_and_values = tuple(tf.gather(x, index, axis=1) for x in context["blocks"])
    return {"context": keys_and_values, "valid": context["valid"]}


def kept(caches, count, conv):
    """The caches as parts of a state, after so many `(batch,)` of the positions read.

    Args:
        caches: Keys, values and, with a convolution, features, each of all blocks.
        count: int32 `(batch,)`.
        conv: Positions of the convolution; 0 is none.
    """
    state = {"keys": caches[0], "values": caches[1]}
    if conv:
        last = count[:, None] + tf.range(conv - 1)[None]
        state["past"] = tf.gather(caches[2], last, axis=2, batch_dims=1)
    return state


def forget(state, window):
    """Drops what no later position attends to, and the holes that padding left."""
    if not window:
        return state
    slots = tf.shape(state["position"])[1]
    count = tf.minimum(window - 1, slots)
    # The latest positions, in their order, stand at the end of a sorted row.
    order = tf.argsort(state["position"], axis=1, stable=True)[:, slots - count :]

    def select(tensor, axis):
        return tf.gather(tensor, order, axis=axis, batch_dims=1)

    return {
        **state,
        "keys": select(state["keys"], 3),
        "values": select(state["values"], 3),
        "position": select(state["position"], 1),
        "cursor": tf.fill(tf.shape(state["cursor"]), count),
    }


def written(time, state):
    """The `Places` of so many positions read into slots, and the state without the caches."""
    slots = tf.shape(state["position"])[1]
    queries = state["length"][:, None] + tf.range(time)[None]  # (batch, time)
    targets = (state["cursor"][0] + tf.range(time)) % slots
    held = state["position"]
    for index in range(time):
        hit = tf.range(slots)[None] == tf.gather(targets, index)
        held = tf.where(hit, queries[:, index : index + 1], held)
    used = tf.minimum(state["cursor"][0] + time, slots)
    state = {
        **state,
        "position": held,
        "length": state["length"] + time,
        "cursor": state["cursor"] + time,
    }
    return Places(queries, held, targets, used=used), state
