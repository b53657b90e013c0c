"""What a run tells TensorBoard."""

import numpy as np
import tensorflow as tf

from tfgen.layers.clip_by_value import ClipByValue

# Prompts and seed of the text samples are fixed, so that what changes is the model.
SAMPLE_SEED = 0
SAMPLE_TOKENS = 300


class Dashboard:
    """Writes a run's scalars, texts and histograms under `train/` and `validation/`.

    Args:
        folder: The folder that `tensorboard --logdir` is pointed at.
        model: The model in training.
    """

    def __init__(self, folder, model):
        self.model = model
        self._activations = tf.function(model.activations, autograph=False)
        self.train = tf.summary.create_file_writer(str(folder / "train"))
        self.validation = tf.summary.create_file_writer(str(folder / "validation"))

    def progress(self, step, loss, learning_rate, gradient_norms, clip_norm, tokens_per_second):
        """Logs a stretch of training steps.

        Args:
            step: Steps done.
            loss: Mean loss over the stretch, nats per token.
            learning_rate: At the last step.
            gradient_norms: Global norm at each step, before clipping.
            clip_norm: The norm that gradients are clipped to; 0 for none.
            tokens_per_second: Over the stretch.
        """
        with self.train.as_default(step):
            tf.summary.scalar("epoch_loss", loss)
            tf.summary.scalar("epoch_learning_rate", learning_rate)
            tf.summary.scalar("metrics/bits_per_token", loss / np.log(2))
            tf.summary.scalar("gradients/global_norm", np.mean(gradient_norms))
            if clip_norm:
                clipped = np.mean(np.asarray(gradient_norms) > clip_norm)
                tf.summary.scalar("gradients/clip_fraction", clipped)
            tf.summary.scalar("throughput/tokens_per_second", tokens_per_second)

    def validated(self, step, loss):
        """Logs a validation: mean loss in nats per token."""
        with self.validation.as_default(step):
            tf.summary.scalar("epoch_loss", loss)
            tf.summary.scalar("metrics/bits_per_token", loss / np.log(2))

    def samples(self, step):
        """Writes texts: the model's own and, colder, what it is surest of."""
        with self.train.as_default(step):
            for temperature in (1.0, 0.5):
                text = self.model.generate(
                    "", SAMPLE_TOKENS, temperature=temperature, seed=SAMPLE_SEED, stop=[]
                )
                # Indented by four, Markdown leaves line breaks as they are.
                block = "\n".join(f"    {line}" for line in text.split("\n"))
                tf.summary.text(f"samples/temperature_{temperature}", block)

    def histograms(self, step, inputs):
        """Writes weights, activations on `inputs`, and what ClipByValue layers clip."""
        with self.train.as_default(step):
            for weight in self.model.trainable_weights:
                tf.summary.histogram(f"weights/{weight.path}", weight.value)
            for name, values in self._activations(inputs).items():
                tf.summary.histogram(f"activations/{name}", values)
            for layer in self.model._flatten_layers():
                if isinstance(layer, ClipByValue):
                    fraction = layer.clip_tracker.result()
                    tf.summary.scalar(f"activations/{layer.name}/clip_fraction", fraction)
                    layer.clip_tracker.reset_state()

    def flush(self):
        self.train.flush()
        self.validation.flush()

    def close(self):
        self.train.close()
        self.validation.close()
