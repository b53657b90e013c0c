"""What a validation tells of a model that learns by a critic."""

import tensorflow as tf

from tfgen.sampling import random

_REAL = "What the critic says of held-out windows, the mean"
_TRAINED = "The same of windows of the training: far above held-out ones, it knows them by heart"
_GENERATED = "The same of generated windows"
_PENALTY = "Of the critic's gradients, with its weight"


class GameWatch:
    """Plays a round on a batch of held-out windows, and one on a batch of the training's.

    Args:
        model: A model whose engine has a `played` of batches.
        windows: Dict of the windows of `"train"` and `"validation"`.
    """

    def __init__(self, model, windows):
        self._windows = windows
        self._played = tf.function(
            lambda batch: model.engine.played(
                model.unpack(batch), random.root(0, random.EVALUATION)
            ),
            autograph=False,
        )

    def write(self, writer, step):
        """Writes what was said and lost."""
        held_out, trained = (
            self._played(tf.nest.map_structure(tf.constant, self._windows[split].batch(0)))
            for split in ("validation", "train")
        )
        shown = {
            "critic_loss": (held_out.critic, None),
            "generator_loss": (held_out.generator, None),
            "gradient_penalty": (held_out.penalty, _PENALTY),
            "critic_of_real": (held_out.real, _REAL),
            "critic_of_training": (trained.real, _TRAINED),
            "critic_of_generated": (held_out.generated, _GENERATED),
        }
        with writer.as_default(step):
            for name, (values, description) in shown.items():
                tf.summary.scalar(f"gan/{name}", tf.reduce_mean(values), description=description)
