"""A model's own samples at every position of a batch, and batches that show them in place of data."""

import tensorflow as tf

from tfgen.layers.distribution_head import draw
from tfgen.models.engines.rollout import Rollout
from tfgen.models.engines.token_rollout import TokenRollout
from tfgen.sampling import random


def open_own_inputs(model):
    """Returns the `OwnNumbers` or `OwnTokens` of a model; None of one that is no single rollout."""
    engine = getattr(model, "engine", None)
    kinds = {Rollout: OwnNumbers, TokenRollout: OwnTokens}
    found = [made(engine) for kind, made in kinds.items() if isinstance(engine, kind)]
    return found[0] if found else None


class OwnNumbers:
    """Of a `Rollout`: values of positions, float32 `(batch, time, width)`.

    Args:
        engine: A `Rollout`.
    """

    def __init__(self, engine):
        self._engine = engine

    def replaceable(self, batch):
        """bool `(batch, time)`: which positions may be shown as samples: all but padding."""
        return batch["valid"]

    def samples(self, batch, key, state=None):
        """One sample of each position, recorded as data are, given what is shown of those before.

        What is missing of the data is sampled as well, as in a free run.

        Args:
            batch: Of `Positions`, perhaps of `shown`.
            key: int32 `(2,)`.
            state: As of the engine's `loss`.
        """
        engine, (rows, time) = self._engine, tf.unstack(tf.shape(batch["values"])[:2])
        hidden, _, scale = engine.read(batch, state)
        past = engine.emission.reading.before(batch)

        def flat(tensor):
            return tf.reshape(tensor, [rows * time, *tensor.shape[2:]])

        scale = None if scale is None else tf.repeat(scale[:, 0], time, axis=0)
        past = tf.nest.map_structure(flat, past)
        values, _, _ = engine.emission.sample(flat(hidden), past, scale, key, 1.0, 0.0)
        return tf.reshape(values, tf.shape(batch["values"]))

    def shown(self, batch, samples, chosen):
        """The batch whose chosen positions `(batch, time)` are read as these samples.

        By all that read them: the position after, and those whose lags reach back to them. What is
        to be predicted stays.
        """
        return {**batch, "shown": tf.where(chosen[..., None], samples, batch["values"])}


class OwnTokens:
    """Of a `TokenRollout`: tokens int32 `(batch, time)`, each one that an input predicts.

    Lines begin and end where those of the data do: a line break is neither replaced nor sampled,
    or what follows it would be the truth of another place. Nor is a target without weight replaced:
    padding.

    Args:
        engine: A `TokenRollout`.
    """

    def __init__(self, engine):
        self._engine = engine

    def replaceable(self, batch):
        """bool `(batch, time)`: which targets may be shown as samples where they are inputs."""
        found = tf.cast(batch[1], tf.int32) != self._engine.emission.tokenizer.start_id
        return found & (batch[3] > 0) if len(batch) > 3 else found

    def samples(self, batch, key, state=None):
        """One sample of what follows each input; see `OwnNumbers.samples`."""
        engine, condition = self._engine, batch[2] if len(batch) > 2 else None
        inputs = tf.cast(batch[0], tf.int32)
        hidden, _ = engine.hidden_states(inputs, state, condition=condition)
        logits = tf.cast(engine.logits(hidden), tf.float32)
        start = tf.range(logits.shape[-1]) == engine.emission.tokenizer.start_id
        logits = tf.where(engine.emission.forbidden | start, logits.dtype.min, logits)
        return draw(logits, random.uniform(key, tf.shape(inputs)))

    def shown(self, batch, samples, chosen):
        """The batch in which what follows the chosen inputs is read as these samples."""
        inputs = tf.cast(batch[0], tf.int32)
        after = tf.where(chosen[:, :-1], samples[:, :-1], inputs[:, 1:])
        return (tf.concat([inputs[:, :1], after], axis=1), *batch[1:])
