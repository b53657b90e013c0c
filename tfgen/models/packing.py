"""A nest of tensors as one: the state of a served stream, which who calls it only hands on."""

import math

import tensorflow as tf


def size_of(like):
    """Numbers of a row of `packed`; None where tensors have a size that is not known beforehand."""
    if _unknown(like):
        return None
    return sum(math.prod(spec.shape[1:]) for spec in tf.nest.flatten(like))


def packed(nest, like):
    """Tensors `(rows, ...)` as int32 `(rows, size)`, bit by bit.

    Args:
        nest: Nest of them.
        like: The same nest of their `tf.TensorSpec`s. Sizes that these do not know are kept.
    """
    tensors = [tf.convert_to_tensor(each) for each in tf.nest.flatten(nest)]
    rows = tf.shape(tensors[0])[0]
    sizes = [tf.shape(tensors[which])[axis] for which, axis in _unknown(like)]
    parts = [tf.broadcast_to(tf.reshape(tf.stack(sizes), [1, -1]), [rows, len(sizes)])] * bool(
        sizes
    )
    parts += [tf.reshape(_bits(each), [rows, _count(each)]) for each in tensors]
    return tf.concat(parts, axis=1)


def unpacked(state, like):
    """The opposite of `packed`."""
    specs, unknown = tf.nest.flatten(like), _unknown(like)
    rows = tf.shape(state)[0]
    dims = [[*spec.shape[1:]] for spec in specs]
    for place, (which, axis) in enumerate(unknown):
        dims[which][axis - 1] = tf.reduce_max(state[:, place])
    sizes = tf.stack([tf.reduce_prod(tf.stack([1, *each])) for each in dims])
    wrong = "state must be zeros with index=0, or what this function returned"
    fits = tf.shape(state)[1] == len(unknown) + tf.reduce_sum(sizes)
    with tf.control_dependencies([tf.debugging.Assert(fits, [wrong])]):
        parts = tf.split(state[:, len(unknown) :], sizes, axis=1, num=len(specs))
    found = []
    for part, spec, each in zip(parts, specs, dims, strict=True):
        tensor = _of_bits(tf.reshape(part, tf.stack([rows, *each])), spec.dtype)
        found.append(tf.ensure_shape(tensor, [None, *spec.shape[1:]]))
    return tf.nest.pack_sequence_as(like, found)


def _unknown(like):
    """Which tensors have an axis whose size is not known, and which: besides that of rows."""
    return [
        (which, axis)
        for which, spec in enumerate(tf.nest.flatten(like))
        for axis in range(1, spec.shape.rank)
        if spec.shape[axis] is None
    ]


def _count(tensor):
    return tf.reduce_prod(tf.shape(tensor)[1:])


def _bits(tensor):
    if tensor.dtype.size == 4:
        return tf.bitcast(tensor, tf.int32)
    if tensor.dtype.is_floating:  # of 16 bits
        tensor = tf.bitcast(tensor, tf.uint16)
    return tf.cast(tensor, tf.int32)


def _of_bits(tensor, dtype):
    if dtype.size == 4:
        return tf.bitcast(tensor, dtype)
    return (
        tf.bitcast(tf.cast(tensor, tf.uint16), dtype)
        if dtype.is_floating
        else tf.cast(tensor, dtype)
    )
