"""What a validation tells of the latents of a model that has an encoder."""

import numpy as np
import tensorflow as tf

# Variance over sequences of the mean of a posterior above which a latent is active
# (arXiv:1509.00519, section 5.3).
ACTIVE = 0.01
_NATS = "Of the posterior from the prior, the mean of a sequence"
_ACTIVE = "Latents whose mean varies from sequence to sequence, arXiv:1509.00519"


class LatentWatch:
    """Measures the posteriors of a batch of held-out sequences.

    Args:
        model: A model whose engine has a `posterior_of` batches.
        windows: The windows of the validation.
    """

    def __init__(self, model, windows):
        self._windows = windows
        self._posterior = tf.function(
            lambda batch: model.engine.posterior_of(model.unpack(batch)), autograph=False
        )
        self._told = False

    def write(self, writer, step):
        """Writes them; returns what a person is warned of, once, or None."""
        batch = tf.nest.map_structure(tf.constant, self._windows.batch(0))
        posterior = self._posterior(batch)
        nats = posterior.divergence().numpy().mean(axis=0)
        means = posterior.mean.numpy()
        active = int(np.sum(means.var(axis=0) > ACTIVE))
        with writer.as_default(step):
            tf.summary.scalar("latents/rate", nats.sum(), description=_NATS)
            tf.summary.scalar("latents/active_units", active, description=_ACTIVE)
            tf.summary.histogram("latents/rate_by_dimension", nats, description=_NATS)
            tf.summary.histogram("latents/means", means)
        if active or self._told or len(means) < 2:
            return None
        self._told = True
        return (
            f"no latent is active at step {step}, the posterior has collapsed: try a higher "
            "model.input_dropout or model.free_bits, or a lower model.beta"
        )
