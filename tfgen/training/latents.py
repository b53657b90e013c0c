"""What TensorBoard tells of the latents of a model that has an encoder."""

import numpy as np
import tensorflow as tf

from tfgen.models.latents import LOOKED_AT, posterior_graph, posterior_of_windows
from tfgen.preprocessing.told import told_of_one

_NATS = "Of the posterior from the prior, the mean of a sequence"
_ACTIVE = "Latents whose mean varies from sequence to sequence, arXiv:1509.00519"
_KNOWN = "Nats that the latents tell of which sequence it is: E KL(q(z|x), p) - KL(q(z), p)"
# How many held-out sequences are reconstructed, the first two pairs of which are walked between,
# and the steps of a walk.
_SHOWN, _STEPS = 8, 6
# What is shown is what is the likeliest, so that what changes is the model.
_LIKELIEST = {"seed": 0, "temperature": 0.0}


class LatentWatch:
    """Measures the posteriors of held-out sequences.

    Args:
        model: A model whose engine has a `posterior_of` batches.
        windows: The windows of the validation.
    """

    def __init__(self, model, windows):
        self._windows = windows
        space = model.engine.space
        self._prior = space.latent_prior
        weighed = " or model.free_bits, or a lower model.beta"
        self._or_else = "" if space.quantized else weighed
        self._graph = posterior_graph(model)
        self._told = False

    def write(self, writer, step):
        """Writes them; returns what a person is warned of, once, or None."""
        posterior = posterior_of_windows(self._graph, self._windows)
        found = posterior.told(self._prior)
        with writer.as_default(step):
            tf.summary.scalar("latents/rate", found["rate"], description=_NATS)
            tf.summary.scalar("latents/active_units", found["active_units"], description=_ACTIVE)
            known = found["mutual_information"]
            tf.summary.scalar("latents/mutual_information", known, description=_KNOWN)
            nats = found["rate_by_dimension"]
            tf.summary.histogram("latents/rate_by_dimension", nats, description=_NATS)
            tf.summary.histogram("latents/means", posterior.mean)
        if found["active_units"] or self._told or len(posterior.mean) < 2:
            return None
        self._told = True
        return (
            f"no latent is active at step {step}, the posterior has collapsed: try a higher "
            f"model.input_dropout{self._or_else}"
        )


def held_lines(windows, tokenizer):
    """Lines of text that a model is not trained on: of `LineWindows` of the validation."""
    lines, number = [], 0
    while len(lines) < LOOKED_AT and number < windows.steps_per_epoch:
        _, targets, weights = windows.batch(number)
        read = (weights > 0) & (targets != windows.line_break)
        # A transformer encodes a token less than it has positions.
        rows = (row[own][: windows.window - 1] for row, own in zip(targets, read))
        lines += [tokenizer.decode(row) for row in rows]
        number += 1
    return list(filter(None, lines))[:LOOKED_AT]


def lines_shown(model, lines):
    """Dict from a name to lines of text: reconstructions, and walks between fixed pairs."""
    lines = lines[:_SHOWN]
    found = model.reconstruct(lines, **_LIKELIEST)
    shown = {"reconstructions": [f"{one!r} -> {other!r}" for one, other in zip(lines, found)]}
    pairs = zip(lines[:4:2], lines[1:4:2])
    walks = [model.interpolate(*pair, _STEPS, **_LIKELIEST) for pair in pairs]
    return {**shown, "walks": [" | ".join(map(repr, walk)) for walk in walks]}


def sequences_shown(model, held_out, most):
    """Dict from a name to `(originals, made)`: the same of held-out sequences, lists of arrays.

    Args:
        model: A `NumbersModel`.
        held_out: `tfgen.data.Sequences`.
        most: Positions of one at most.
    """
    given = []
    for row in range(min(len(held_out), _SHOWN)):
        stop = min(len(held_out.values[row]), most)
        told = told_of_one(model.processor, held_out, row, 0, stop)
        told.pop("condition", None)  # what is to be seen is what the latents hold
        given.append((held_out.values[row][:stop], told))
    originals = [values for values, _ in given]
    found = [np.asarray(model.reconstruct(x, **told, **_LIKELIEST)) for x, told in given]
    shown = {"reconstructions": (originals, found)}
    for number, ((a, told), (b, _)) in enumerate(zip(given[:4:2], given[1:4:2])):
        shown[f"walk_{number}"] = [a, b], model.interpolate(a, b, _STEPS, **told, **_LIKELIEST)
    return shown
