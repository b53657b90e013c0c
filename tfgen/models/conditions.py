"""What a text may be conditioned on, from what a person gives to the tensors of the graphs."""

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError, unknown

# "No condition" is a class below 0, or a sequence without a valid item.
NO_CLASS = -1


def condition_specs(num_classes=None, condition_width=None, latents=0):
    """The tensors that stand for a condition: a dict from names to `tf.TensorSpec`, or empty."""
    if num_classes:
        return {"condition": tf.TensorSpec([None], tf.int32)}
    if condition_width:
        return {
            "condition": tf.TensorSpec([None, None, condition_width], tf.float32),
            "condition_valid": tf.TensorSpec([None, None], tf.bool),
        }
    return {"condition": tf.TensorSpec([None, latents], tf.float32)} if latents else {}


def condition_tensors(
    value, count, num_classes=None, condition_width=None, latents=0, classes=None
):  # fmt: skip
    """The tensors of `condition_specs` for `count` texts.

    Args:
        value: None for no condition. For classes, a name or an integer for all texts or one for
            each; for vectors, an array `(items, condition_width)` for all texts, or a list with one
            for each, whose numbers of items may differ. A latent vector is one for all texts or one
            for each.
        count: Number of texts.
        num_classes: Number of classes, or None.
        condition_width: Features of a vector, or None.
        latents: Numbers of a latent vector, or 0. There are no tensors without one, then.
        classes: The names of the classes, or None.

    Raises:
        InputError: For a condition that the model does not take.
    """
    if num_classes:
        return {"condition": tf.constant(_classes(_numbers(value, classes), count, num_classes))}
    if condition_width:
        vectors, valid = _vectors(value, count, condition_width)
        return {"condition": tf.constant(vectors), "condition_valid": tf.constant(valid)}
    if latents:
        return {} if value is None else {"condition": tf.constant(_latents(value, count, latents))}
    if value is not None:
        raise InputError(
            "condition is for models made with num_classes or condition_width; this one has neither"
        )
    return {}


def _numbers(value, classes):
    """The numbers of classes, where they are called by their names."""
    if not classes:
        return value
    if isinstance(value, str):
        if value not in classes:
            raise unknown("condition", value, classes)
        return classes.index(value)
    if isinstance(value, (list, tuple)) and any(isinstance(each, str) for each in value):
        return [_numbers(each, classes) for each in value]
    return value


def _classes(value, count, num_classes):
    rule = f"condition must be a class from 0 to {num_classes - 1} for all texts or for each"
    if value is None:
        return np.full(count, NO_CLASS, np.int32)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.zeros(0)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise InputError(f"{rule}. Received: condition={value!r}")
    if array.size and not (array.min() >= 0 and array.max() < num_classes):
        raise InputError(f"{rule}. Received: condition={value!r}")
    if array.ndim == 1 and len(array) != count:
        raise InputError(
            f"condition must be one class or {count}, as there are texts. "
            f"Received: {len(array)} classes"
        )
    return np.broadcast_to(array, [count]).astype(np.int32)


def _latents(value, count, width):
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.shape not in ((width,), (count, width)) or not np.isfinite(array).all():
        raise InputError(
            f"condition must be a latent vector of {width} finite numbers for all of {count} texts "
            f"or for each. Received: an array of shape {array.shape}"
        )
    return np.broadcast_to(array, [count, width])


def _vectors(value, count, width):
    rule = f"condition must be numbers (items, {width}) for all texts, or a list of one for each"
    if value is None:
        return np.zeros([count, 1, width], np.float32), np.zeros([count, 1], bool)
    if isinstance(value, (list, tuple)):
        sequences = list(value)
    elif np.ndim(value) == 2:
        sequences = [value] * count
    elif np.ndim(value) == 3:
        sequences = list(value)
    else:
        raise InputError(f"{rule}. Received: condition={value!r}")
    if len(sequences) != count:
        raise InputError(
            f"condition must be one sequence or {count}, as there are texts. "
            f"Received: {len(sequences)} sequences"
        )
    arrays = []
    for sequence in sequences:
        try:
            array = np.asarray(sequence, np.float32)
        except (TypeError, ValueError):
            array = np.zeros(0)
        if array.ndim != 2 or array.shape[1] != width or not len(array):
            raise InputError(f"{rule}. Received: an array of shape {array.shape}")
        if not np.isfinite(array).all():
            raise InputError("condition must hold finite numbers. Received: NaN or infinity")
        arrays.append(array)
    items = max((len(array) for array in arrays), default=1)
    vectors = np.zeros([count, items, width], np.float32)
    valid = np.zeros([count, items], bool)
    for row, array in enumerate(arrays):
        vectors[row, : len(array)] = array
        valid[row, : len(array)] = True
    return vectors, valid
