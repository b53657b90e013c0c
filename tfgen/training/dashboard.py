"""What a run tells TensorBoard."""

import contextlib
import hashlib
import json
import sys
import textwrap
import time
import unicodedata

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
from tfgen.models.text.attention import source_attention
from tfgen.report.attention import attention_figure
from tfgen.report.figures import to_rgb
from tfgen.training.latents import lines_shown
from tfgen.training.projector import Cloud, write_clouds

# Prompts and seed of the text samples are fixed, so that what changes is the model.
SAMPLE_SEED = 0
SAMPLE_TOKENS = 300
SAMPLE_PAIRS = 12
SAMPLE_CLASSES = 8
ATTENDED_PAIRS = 3
# TensorBoard cuts off what is wider than the card of a text: so many columns fit.
COLUMNS = 100
# Of what has the name that Keras' callback gives it.
KERAS = "By the name that Keras' TensorBoard callback has for it, but drawn over steps"
# What a card says where its name is not enough.
NORM = "Mean over the steps since the point before, before clipping"
CLIPPED = "Share of steps whose gradient was longer than training.clip_norm, which it was cut to"
SKIPPED = "Share of steps left out because float16 could not hold their gradients"
RATIO = "How far a step moves the weights, in norms of the weights: about 0.001 is usual"
SPEED = "Of the training alone: validation and samples stop the clock"
WAITING = "Share of the time in which a step waited for its batch"
MEMORY = "The most that was in use so far"
DEAD = "Share of units that give the same for every position of a batch"


class Dashboard:
    """Writes a run's scalars, samples and histograms under `train/` and `validation/`.

    TensorBoard shows groups of tags by the alphabet, capitals first: what people look for first is
    under `Loss/`, and what they look at when that does not do, the units of each layer, comes after
    gradients, samples and throughput. `epoch_loss`, which is the same, and `epoch_learning_rate`
    have the names that Keras' own callback gives them. The hyperparameters are those of
    `validation/`, whose loss is what runs are compared by.

    What is special to a kind of data, its samples and its measure of loss, is a subclass's.

    Args:
        folder: The folder that `tensorboard --logdir` is pointed at.
        model: The model in training.
    """

    # What one position is called.
    unit = "positions"
    # The loss in the field's own unit: its name, and what a nat per position is in it.
    measure = None

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
            hparams_api.hparams(hyperparameters, trial_id=self._trial(hyperparameters))
        with self.train.as_default(step):
            layout = custom_scalar_summary.pb(self._layout()).SerializeToString()
            tf.summary.experimental.write_raw_pb(layout, step)

    def _trial(self, hyperparameters):
        """What a row of the HParams table is called: the run's folder, a hash of its settings."""
        settings = json.dumps(hyperparameters, sort_keys=True).encode()
        name = self.folder.resolve().parent.name
        return f"{name} {hashlib.sha256(settings).hexdigest()[:6]}"

    def _layout(self):
        """The charts of the tab "Custom scalars": lines that belong together in one.

        TensorBoard adds up the layouts of all runs: a chart has the same title and tags in each.
        """
        loss = {"loss": "Loss/loss", "learning rate": "epoch_learning_rate"}
        if self.measure is not None:
            name, _ = self.measure
            loss[name.replace("_", " ")] = f"Loss/{name}"
        units = {"share of dead units": "units/.*/dead_fraction"}
        if self._clipping():
            units["share of clipped values"] = "units/.*/clip_fraction"
        charts = {
            "Loss": loss,
            "Gradients": {
                "gradient norm by layer": "gradient_norms/.*",
                "update by layer, in norms of its weights": "update_ratios/.*",
                "share of steps with a clipped gradient": "gradients/clip_fraction",
            },
            "Units": units,
            "Speed": {
                "tokens or positions per second": "throughput/.*_per_second",
                "share of time waiting for data": "throughput/waiting_for_data",
                "peak memory, MiB": "throughput/.*_peak_mib",
            },
        }
        return layout_pb2.Layout(
            category=[
                layout_pb2.Category(
                    title=category,
                    chart=[
                        layout_pb2.Chart(
                            title=title,
                            multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$"]),
                        )
                        for title, tag in titled.items()
                    ],
                )
                for category, titled in charts.items()
            ]
        )

    def _clipping(self):
        layers = self.model._flatten_layers()
        return [each for each in layers if isinstance(each, ClipByValue) and each.report]

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
                skipped = np.mean(~taken)
                tf.summary.scalar("gradients/skipped_fraction", skipped, description=SKIPPED)
            if taken.any():
                norm = np.mean(whole[taken])
                tf.summary.scalar("gradients/global_norm", norm, description=NORM)
                if clip_norm:
                    clipped = np.mean(whole[taken] > clip_norm)
                    tf.summary.scalar("gradients/clip_fraction", clipped, description=CLIPPED)
                for name, norms in gradient_norms.items():
                    norm = np.mean(norms[taken])
                    tf.summary.scalar(f"gradient_norms/{name}", norm, description=NORM)
            for name, ratio in update_ratios.items():
                tf.summary.scalar(f"update_ratios/{name}", ratio, description=RATIO)
            tf.summary.scalar(f"throughput/{self.unit}_per_second", speed, description=SPEED)
            tf.summary.scalar("throughput/waiting_for_data", waiting, description=WAITING)
            for device, size in memory().items():
                tf.summary.scalar(f"throughput/{device}_peak_mib", size, description=MEMORY)

    def validated(self, step, loss):
        """Logs a validation: mean loss in nats per position."""
        with self.validation.as_default(step):
            self._loss(loss)

    def forecasts_validated(self, step, crps):
        """Logs what chooses the weights: the CRPS of forecasts, in standard deviations."""
        with self.validation.as_default(step):
            tf.summary.scalar("metrics/forecast_crps", crps, description="Of held-out data")

    def _loss(self, loss):
        tf.summary.scalar("Loss/loss", loss, description="A position's mean, drawn over steps")
        tf.summary.scalar("epoch_loss", loss, description=KERAS)
        if self.measure is not None:
            name, factor = self.measure
            tf.summary.scalar(f"Loss/{name}", loss * factor)

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
                shown[f"units/{name}"] = values
                dead = np.mean(np.ptp(values.reshape(-1, values.shape[-1]), axis=0) == 0)
                tf.summary.scalar(f"units/{name}/dead_fraction", dead, description=DEAD)
            summary = _histograms(shown).SerializeToString()
            tf.summary.experimental.write_raw_pb(summary, step)
            for layer in self._clipping():
                fraction = float(layer.clip_tracker.result())
                if not np.isnan(fraction):  # of a layer that nothing went through
                    tf.summary.scalar(f"units/{layer.name}/clip_fraction", fraction)
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
    """The dashboard of a text model.

    Args:
        folder: As of `Dashboard`, as the model.
        model: As there.
        lines: Held-out lines, whose latents are shown; none of a model without latents.
        show: Function `(tag, text)` that shows a sample as something else besides a text, or None.
    """

    unit = "tokens"
    measure = "loss_in_bits_per_token", 1 / np.log(2)

    def __init__(self, folder, model, lines=(), show=None):
        super().__init__(folder, model)
        self.lines, self.show = lines, show

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
        clouds = [Cloud("tokens", vectors, {"token": tokens})]
        if self.lines:
            clouds.append(Cloud("latents", self.model.encode(self.lines), {"line": self.lines}))
        return clouds

    def samples(self, step):
        """Writes texts: the model's own and, colder, what it is surest of."""
        count = min(SAMPLE_TOKENS, self.model.max_positions or SAMPLE_TOKENS)
        emission = getattr(getattr(self.model, "engine", None), "emission", None)
        classes = getattr(emission, "classes", None) or ()
        with self.train.as_default(step):
            for temperature in (1.0, 0.5):
                for name in classes[:SAMPLE_CLASSES] or [None]:
                    told = {} if name is None else {"condition": name}
                    text = self.model.generate(
                        "", count, temperature=temperature, seed=SAMPLE_SEED, stop=[], **told
                    )
                    tag = f"samples/temperature_{temperature}"
                    tag = tag if name is None else f"{tag}/{name}"
                    tf.summary.text(tag, text_block(text))
                    if self.show is not None:
                        self.show(tag, text)
            shown = lines_shown(self.model, self.lines) if self.lines else {}
            for name, lines in shown.items():
                tf.summary.text(f"latents/{name}", text_block("\n".join(lines)))


class PairDashboard(TextDashboard):
    """The dashboard of a model that makes texts of sources.

    Args:
        folder: As of `Dashboard`, as the model.
        model: The model in training.
        references: Dict from held-out sources to lists of their texts.
        sources: Dict from sources to what the model takes.
    """

    def __init__(self, folder, model, references, sources):
        super().__init__(folder, model)
        self._shown = dict(list(references.items())[:SAMPLE_PAIRS])
        self._sources = [sources[each] for each in self._shown]

    def samples(self, step):
        """Writes what is made of held-out sources, and what should be."""
        made = self.model.generate(source=self._sources, temperature=0)
        rows = [
            f"| {' | '.join(map(_cell, (source, text, ' or '.join(right))))} |"
            for (source, right), text in zip(self._shown.items(), made, strict=True)
        ]
        table = "\n".join(["| source | made | right |", "| --- | --- | --- |", *rows])
        with self.train.as_default(step):
            tf.summary.text("samples/greedy", table)
            picture("samples/attention", attention_figure([*self._attended(made)]))

    def _attended(self, made):
        """What of a few sources each token made of them attends to, for a picture."""
        names, made = list(self._shown)[:ATTENDED_PAIRS], made[:ATTENDED_PAIRS]
        sources, tokenizer = self._sources[:ATTENDED_PAIRS], self.model.tokenizer
        found = source_attention(self.model, made, sources)
        for name, source, text, shares in zip(names, sources, made, found, strict=True):
            tokens = [tokenizer.decode([each]) for each in tokenizer.encode(text)]
            items = None
            if isinstance(source, str):
                # The bytes behind the first of a character have no name of their own.
                items = [(c, *[""] * (len(c.encode("utf-8", "replace")) - 1)) for c in source]
                items = [name for each in items for name in each]
            yield name, [*tokens, "end"], items, shares


def _cell(text):
    """A text as a cell of a table in Markdown."""
    return "".join(f"\\{each}" if each in "\\`*_|<>" else each for each in text[:COLUMNS])


def picture(tag, figure):
    """Writes a matplotlib figure as an image."""
    tf.summary.image(tag, to_rgb(figure)[None])


def text_block(text):
    """Returns a text as Markdown that shows it as it is, with long lines broken."""
    lines = []
    for line in text.split("\n"):
        wide = any(unicodedata.east_asian_width(each) in "WF" for each in line)
        lines += textwrap.wrap(
            line,
            COLUMNS // 2 if wide else COLUMNS,
            expand_tabs=False,
            replace_whitespace=False,
            drop_whitespace=False,
        ) or [""]
    # Indented by four, Markdown leaves line breaks as they are.
    return "\n".join(f"    {line}" for line in lines)
