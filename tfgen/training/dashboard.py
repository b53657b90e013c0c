"""What a run tells TensorBoard."""

import time

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2

from tfgen.layers.clip_by_value import ClipByValue

# Prompts and seed of the text samples are fixed, so that what changes is the model.
SAMPLE_SEED = 0
SAMPLE_TOKENS = 300


class Dashboard:
    """Writes a run's scalars, samples and histograms under `train/` and `validation/`.

    What is special to a kind of data, its samples and its measure of loss, is a subclass's.

    Args:
        folder: The folder that `tensorboard --logdir` is pointed at.
        model: The model in training.
    """

    # What one position is called.
    unit = "positions"

    def __init__(self, folder, model):
        self.model = model
        self._activations = tf.function(model.activations, autograph=False)
        self.train = tf.summary.create_file_writer(str(folder / "train"))
        self.validation = tf.summary.create_file_writer(str(folder / "validation"))

    def begin(self, step):
        """Tells TensorBoard that the run goes on after `step`, or begins, if that is 0.

        What was logged of later steps, before a kill, it leaves out: they are done again. A start
        counts for that if there was one before it.
        """
        log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        start = event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=log)
        for writer in (self.train, self.validation):
            # tf.summary has no function for it, and a file of its own might be read too late.
            tf.raw_ops.ImportEvent(writer=writer._resource, event=start.SerializeToString())

    def progress(self, step, loss, learning_rate, gradient_norms, clip_norm, speed):
        """Logs a stretch of training steps.

        Args:
            step: Steps done.
            loss: Mean loss over the stretch, nats per position.
            learning_rate: At the last step.
            gradient_norms: Global norm at each step, before clipping.
            clip_norm: The norm that gradients are clipped to; 0 for none.
            speed: Positions a second over the stretch.
        """
        with self.train.as_default(step):
            tf.summary.scalar("epoch_loss", loss)
            tf.summary.scalar("epoch_learning_rate", learning_rate)
            self.measures(loss)
            tf.summary.scalar("gradients/global_norm", np.mean(gradient_norms))
            if clip_norm:
                clipped = np.mean(np.asarray(gradient_norms) > clip_norm)
                tf.summary.scalar("gradients/clip_fraction", clipped)
            tf.summary.scalar(f"throughput/{self.unit}_per_second", speed)

    def validated(self, step, loss):
        """Logs a validation: mean loss in nats per position."""
        with self.validation.as_default(step):
            tf.summary.scalar("epoch_loss", loss)
            self.measures(loss)

    def measures(self, loss):
        """Logs a loss in the field's own units."""

    def samples(self, step):
        """Writes samples of the model."""
        raise NotImplementedError

    def histograms(self, step, inputs):
        """Writes weights, activations on a batch of `inputs`, and what ClipByValue layers clip."""
        with self.train.as_default(step):
            for weight in self.model.trainable_weights:
                tf.summary.histogram(f"weights/{weight.path}", weight.value)
            for name, values in self.activations(inputs).items():
                tf.summary.histogram(f"activations/{name}", values)
            for layer in self.model._flatten_layers():
                if isinstance(layer, ClipByValue):
                    fraction = layer.clip_tracker.result()
                    tf.summary.scalar(f"activations/{layer.name}/clip_fraction", fraction)
                    layer.clip_tracker.reset_state()

    def activations(self, inputs):
        """What the layers give for a batch of the training: a dict from names to tensors."""
        return self._activations(inputs)

    def flush(self):
        self.train.flush()
        self.validation.flush()

    def close(self):
        self.train.close()
        self.validation.close()


class TextDashboard(Dashboard):
    """The dashboard of a text model."""

    unit = "tokens"

    def measures(self, loss):
        tf.summary.scalar("metrics/bits_per_token", loss / np.log(2))

    def activations(self, windows):
        # The last token of a window is predicted only.
        return super().activations(windows[:, :-1])

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
