"""Which tensor went bad first, when a loss is no longer finite."""

import numpy as np
import tensorflow as tf


def first_not_finite(model, batch, activations, gradients):
    """Names the first tensor of a step that holds a NaN or an infinity.

    Looked at in the order in which a step computes them: weights, data, activations layer by layer,
    the loss, and gradients from the loss backward.

    Args:
        model: The model before the step.
        batch: What the step was given.
        activations: Function of no arguments that gives the dict of a batch's activations.
        gradients: Function of no arguments that gives `(loss, gradients)`, these in the order of
            the model's trainable weights.

    Returns:
        A text for people, such as `"the activations of lstm_1"`; None if all of them are finite.
    """
    for weight in model.weights:
        if not _finite(weight):
            return f"the weight {weight.path}, by the update of the step before"
    # A NaN among numbers is a gap.
    if any(np.isinf(part).any() for part in tf.nest.flatten(batch)):
        return "the data"
    for name, values in activations().items():
        if not _finite(values):
            return f"the activations of {name}"
    loss, found = gradients()
    if not _finite(loss):
        return "the loss itself, of finite activations"
    for weight, gradient in reversed([*zip(model.trainable_weights, found)]):
        if not _finite(gradient):
            return f"the gradient of {weight.path}"
    return None


def _finite(tensor):
    array = np.asarray(tensor)
    # NumPy knows bfloat16 by ml_dtypes, which does not count as a float.
    if array.dtype.kind not in "fV":
        return True
    return bool(np.all(np.isfinite(array.astype(np.float32))))
