"""The loss on held-out data."""

import numpy as np
import tensorflow as tf


class Validation:
    """Measures a model on held-out data.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        windows: What `tfgen.data` deals out without leaving anything out, or evenly spread; one
            epoch of it counts.
        devices: `tfgen.training.devices.Devices`. Workers share the batches, unless each batch goes
            on from the one before.
    """

    def __init__(self, model, windows, devices):
        self.model, self.windows, self.devices = model, windows, devices
        jit = model.jit_compile_training
        self._total = tf.function(self._evaluate, jit_compile=jit, autograph=False)

    def loss(self):
        """Mean loss, the same for all workers, which must all ask for it."""
        turns = 1 if self.windows.carries_state else self.devices.processes
        totals, state = np.zeros(2), None
        for k in range(self.devices.index % turns, self.windows.steps_per_epoch, turns):
            if self.windows.carries_state and self.windows.starts_epoch(k):
                state = self.model.initial_state(self.windows.batch_size)
            batch = tf.nest.map_structure(tf.constant, self.windows.batch(k))
            total, count, after = self._total(batch, state)
            state = after if self.windows.carries_state else None
            totals += float(total), float(count)
        if turns == 1 and not self.devices.chief:
            totals[:] = 0  # all have the same, but for rounding
        total, count = self.devices.add(totals)
        return float(total / count)

    def _evaluate(self, batch, state):
        return self.model.batch_total(self.model.unpack(batch), state=state)
