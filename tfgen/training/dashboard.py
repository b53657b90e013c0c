"""What a run tells TensorBoard."""

import contextlib
import sys
import time

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar_summary
from tensorboard.plugins.histogram import summary_v2 as histogram_summary
from tensorboard.plugins.hparams import api as hparams_api
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from tfgen.layers.clip_by_value import ClipByValue
from tfgen.training.projector import Cloud, write_clouds

# Prompts and seed of the text samples are fixed, so that what changes is the model.
SAMPLE_SEED = 0
SAMPLE_TOKENS = 300
# Of what has the name that Keras' callback gives it.
KERAS = "By the name that Keras' TensorBoard callback has for it, but drawn over steps"


class Dashboard:
    """Writes a run's scalars, samples and histograms under `train/` and `validation/`.

    TensorBoard shows groups of tags by the alphabet, capitals first: what people look for first is
    under `Loss/`. `epoch_loss`, which is the same, and `epoch_learning_rate` have the names that
    Keras' own callback gives them. The hyperparameters are those of `validation/`, whose loss is
    what runs are compared by.

    What is special to a kind of data, its samples and its measure of loss, is a subclass's.

    Args:
        folder: The folder that `tensorboard --logdir` is pointed at.
        model: The model in training.
    """

    # What one position is called.
    unit = "positions"

    def __init__(self, folder, model):
        self.model, self.folder = model, folder
        self._activations = tf.function(model.activations, autograph=False)
        self.train, self.validation = self._writers = [
            tf.summary.create_file_writer(str(folder / name)) for name in ("train", "validation")
        ]

    def begin(self, step, hyperparameters):
        """Tells TensorBoard that the run goes on after `step`, or begins, if that is 0.

        What was logged of later steps, before a kill, it leaves out: they are done again. A start
        counts for that if there was one before it.

        Args:
            step: Steps done.
            hyperparameters: Dict of what the run's row in the HParams table shows.
        """
        log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        start = event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=log)
        for writer in self._writers:
            # tf.summary has no function for it, and a file of its own might be read too late.
            tf.raw_ops.ImportEvent(writer=writer._resource, event=start.SerializeToString())
        with self.validation.as_default(step):
            hparams_api.hparams(hyperparameters)
        with self.train.as_default(step):
            layout = custom_scalar_summary.pb(self._layout()).SerializeToString()
            tf.summary.experimental.write_raw_pb(layout, step)

    def _layout(self):
        """The charts of the tab "Custom scalars": lines that belong together in one."""

        def category(title, **charts):
            return layout_pb2.Category(
                title=title,
                chart=[
                    layout_pb2.Chart(
                        title=name.replace("_", " "),
                        multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$"]),
                    )
                    for name, tag in charts.items()
                ],
            )

        return layout_pb2.Layout(
            category=[
                category("Loss", loss="Loss/loss", learning_rate="epoch_learning_rate"),
                category(
                    "Gradients",
                    norm_by_layer="gradient_norms/.*",
                    update_by_layer_in_norms_of_its_weights="update_ratios/.*",
                    clipped="gradients/clip_fraction",
                ),
                category(
                    "Layers",
                    dead_units="layers/.*/dead_fraction",
                    clipped="layers/.*/clip_fraction",
                ),
                category(
                    "Speed",
                    positions_per_second=f"throughput/{self.unit}_per_second",
                    waiting_for_data="throughput/waiting_for_data",
                    memory="throughput/.*_peak_mib",
                ),
            ]
        )

    def graph(self, batch):
        """Writes the graph of the model, as it computes the activations of a batch."""
        # What `tf.summary.trace_export` writes, a function of a function, is drawn as one long row.
        traced = self._activations.get_concrete_function(self.inputs(batch))
        with self.train.as_default(0):
            tf.summary.graph(traced.graph)

    def progress(
        self,
        step,
        loss,
        learning_rate,
        speed,
        waiting,
        gradient_norms,
        update_ratios,
        clip_norm,
        loss_scale=None,
    ):
        """Logs a stretch of training steps.

        Args:
            step: Steps done.
            loss: Mean loss over the stretch, nats per position.
            learning_rate: At the last step.
            speed: Positions a second over the stretch.
            waiting: The share of its time that went by in waiting for data.
            gradient_norms: Dict from a part of the model to its gradient's norm at each step,
                before clipping.
            update_ratios: Dict from a part to the norm of the last update, in norms of the weights.
            clip_norm: The norm that gradients are clipped to; 0 for none.
            loss_scale: What the loss is multiplied by in float16; a step whose gradients are too
                large for it is left out, and so are their norms.
        """
        whole = np.linalg.norm(list(gradient_norms.values()), axis=0)
        taken = np.isfinite(whole)
        with self.train.as_default(step):
            self._loss(loss)
            tf.summary.scalar("epoch_learning_rate", learning_rate, description=KERAS)
            if loss_scale is not None:
                tf.summary.scalar("gradients/loss_scale", loss_scale)
                tf.summary.scalar("gradients/skipped_fraction", np.mean(~taken))
            if taken.any():
                tf.summary.scalar("gradients/global_norm", np.mean(whole[taken]))
                if clip_norm:
                    clipped = np.mean(whole[taken] > clip_norm)
                    tf.summary.scalar("gradients/clip_fraction", clipped)
                for name, norms in gradient_norms.items():
                    tf.summary.scalar(f"gradient_norms/{name}", np.mean(norms[taken]))
            for name, ratio in update_ratios.items():
                tf.summary.scalar(f"update_ratios/{name}", ratio)
            tf.summary.scalar(f"throughput/{self.unit}_per_second", speed)
            tf.summary.scalar("throughput/waiting_for_data", waiting)
            for device, size in memory().items():
                tf.summary.scalar(f"throughput/{device}_peak_mib", size)

    def validated(self, step, loss):
        """Logs a validation: mean loss in nats per position."""
        with self.validation.as_default(step):
            self._loss(loss)

    def _loss(self, loss):
        tf.summary.scalar("Loss/loss", loss, description="A position's mean, drawn over steps")
        tf.summary.scalar("epoch_loss", loss, description=KERAS)
        self.measures(loss)

    def measures(self, loss):
        """Logs a loss in the field's own units."""

    def samples(self, step):
        """Writes samples of the model."""
        raise NotImplementedError

    def histograms(self, step, inputs, gradients):
        """Writes weights, their gradients, activations, and what of these is of no use.

        A unit is dead if it gives the same for every position of the batch. What ClipByValue layers
        clip is their own to tell.

        Args:
            step: Steps done.
            inputs: A batch of the training.
            gradients: List, in the order of the model's trainable weights.
        """
        with self.train.as_default(step):
            shown = {}
            for weight, gradient in zip(self.model.trainable_weights, gradients):
                shown[f"weights/{weight.path}"] = weight.value
                shown[f"gradients/{weight.path}"] = gradient
            for name, values in self.activations(inputs).items():
                values = np.asarray(tf.cast(values, tf.float32))
                shown[f"layers/{name}"] = values
                dead = np.mean(np.ptp(values.reshape(-1, values.shape[-1]), axis=0) == 0)
                tf.summary.scalar(f"layers/{name}/dead_fraction", dead)
            summary = _histograms(shown).SerializeToString()
            tf.summary.experimental.write_raw_pb(summary, step)
            for layer in self.model._flatten_layers():
                if isinstance(layer, ClipByValue):
                    fraction = float(layer.clip_tracker.result())
                    if not np.isnan(fraction):  # of a layer that is for generating alone
                        tf.summary.scalar(f"layers/{layer.name}/clip_fraction", fraction)
                    layer.clip_tracker.reset_state()

    def activations(self, batch):
        """What the layers give for a batch of the training: a dict from names to tensors."""
        return self._activations(self.inputs(batch))

    def inputs(self, batch):
        """What of a batch the layers see."""
        return batch

    def clouds(self):
        """What there is to see in the Projector: a list of `tfgen.training.projector.Cloud`s."""
        return []

    def flush(self):
        for writer in self._writers:
            writer.flush()

    def embeddings(self):
        """Writes what the Projector shows of the finished model."""
        clouds = self.clouds()
        if clouds:
            write_clouds(self.folder / "train", clouds)

    def close(self, succeeded=False):
        """Ends the run's row in the HParams table: it succeeded, or it stopped before its end."""
        status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
        with self.validation.as_default(0):
            ended = hparams_summary.session_end_pb(status).SerializeToString()
            tf.summary.experimental.write_raw_pb(ended, 0)
        for writer in self._writers:
            writer.close()


def _histograms(shown):
    """One summary of many histograms; what `tf.summary.histogram` computes takes twice the time."""
    summary = summary_pb2.Summary()
    for tag, values in shown.items():
        values = np.asarray(values)
        values = values[np.isfinite(values)]
        summary.value.extend(histogram_summary.histogram_pb(tag, values).value)
    return summary


def memory():
    """The most memory that was in use so far, in MiB, of the process and of each GPU."""
    found = {}
    with contextlib.suppress(ImportError):  # Windows has no such module
        import resource

        # Linux counts in KiB, macOS in bytes.
        unit = 2**20 if sys.platform == "darwin" else 2**10
        found["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    for device in tf.config.list_logical_devices("GPU"):
        peak = tf.config.experimental.get_memory_info(device.name)["peak"]
        found[device.name.rpartition("device:")[2].replace(":", "_")] = peak / 2**20
    return found


class TextDashboard(Dashboard):
    """The dashboard of a text model."""

    unit = "tokens"

    def measures(self, loss):
        tf.summary.scalar("Loss/loss_in_bits_per_token", loss / np.log(2))

    def inputs(self, batch):
        if isinstance(batch, tuple):  # inputs that are not what the targets follow
            return batch[0]
        return batch[:, :-1]  # the last token of a window is predicted only

    def clouds(self):
        if not hasattr(self.model, "token_embedding"):  # a family of a person's own
            return []
        count = self.model.tokenizer.vocabulary_size
        tokens = [self.model.tokenizer.decode(np.array([number])) for number in range(count)]
        vectors = self.model.token_embedding.embeddings.numpy()[:count]
        return [Cloud("tokens", vectors, {"token": tokens})]

    def samples(self, step):
        """Writes texts: the model's own and, colder, what it is surest of."""
        count = min(SAMPLE_TOKENS, self.model.max_positions or SAMPLE_TOKENS)
        with self.train.as_default(step):
            for temperature in (1.0, 0.5):
                text = self.model.generate(
                    "", count, temperature=temperature, seed=SAMPLE_SEED, stop=[]
                )
                # Indented by four, Markdown leaves line breaks as they are.
                block = "\n".join(f"    {line}" for line in text.split("\n"))
                tf.summary.text(f"samples/temperature_{temperature}", block)
