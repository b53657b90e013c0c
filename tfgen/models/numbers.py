"""`NumbersGenerator`: what all models of sequences of numbers share."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.layers.checks import (
    MOST_PARTS,
    check,
    check_most,
    check_of_use,
    check_rate,
    check_whole,
)
from tfgen.layers.clip_by_value import ClipByValue
from tfgen.layers.products import dense
from tfgen.models.base import SequenceGenerator, check_kind
from tfgen.models.series_arguments import NO_CLASS, SeriesArguments
from tfgen.preprocessing import SequenceProcessor
from tfgen.sampling import random
from tfgen.sampling.decode import sizes

CLASS_WIDTH = 32  # of the embedding of a class
_HIDDEN = -1  # no layer has this number; what the hiding of classes is drawn from


class NumbersGenerator(SeriesArguments, SequenceGenerator):
    """A model of sequences of numbers: its processor, its batches, its classes, its frames.

    Args:
        frame: Samples that make one position, of data that are one number over time, such as sound.
            The network then runs once for all of them, and reads and outputs them as their discrete
            cosine transform, whose coefficients depend on each other less than samples do. What
            goes in and comes out stays samples; what is left of a last frame counts as silence, and
            a frame with a missing sample as missing.
        condition_dropout: Share of the sequences whose class is hidden in training, so that the
            model can also draw without one.
        processor: A fitted `tfgen.preprocessing.SequenceProcessor`; None is one unscaled number.
        **kwargs: Arguments of `SequenceGenerator`.

    Raises:
        ValueError: For an argument out of its range, or one that does not fit the data.
    """

    fit_takes = "sequences of numbers (sequences, time, features)"
    # Whether the training loss is a negative log-likelihood, in nats for each position.
    loss_is_likelihood = True
    # Whether `generate`, `forecast` and `impute` take a function `progress`.
    tells_progress = False
    # Whether what a draw begins with does not depend on how long it may be at most.
    draws_in_order = True
    # Tensors that say how is sampled, of the functions that do.
    sampling_specs = {}

    def __init__(self, frame=1, condition_dropout=0.1, processor=None, **kwargs):
        super().__init__(**kwargs)
        processor = SequenceProcessor.plain() if processor is None else processor
        check_kind(SequenceProcessor, processor=processor)
        check_whole(1, frame=frame)
        check_most(MOST_PARTS, frame=frame)
        check_rate(condition_dropout=condition_dropout)
        alone = processor.num_features == processor.num_numbers == 1
        fits = frame == 1 or (alone and not processor.covariate_width)
        check(
            fits, "frame must be 1, except for one number over time without a calendar", frame=frame
        )
        check_of_use(
            bool(processor.num_classes), "data with classes", 0.1,
            condition_dropout=condition_dropout,
        )  # fmt: skip
        self.processor = processor
        self.frame = frame
        self.position_width = processor.num_features * frame  # values at a position of the network
        self.condition_dropout = condition_dropout
        self._cosines = _cosines(frame)
        self._check_generation(processor.kind, bool(processor.num_classes))

        self.class_embedding = None
        if processor.num_classes:
            self.class_embedding = keras.layers.Embedding(
                processor.num_classes,
                min(processor.num_classes, CLASS_WIDTH),
                embeddings_initializer=keras.initializers.RandomNormal(
                    stddev=1.0, seed=self.layer_seed(42)
                ),
                dtype=self.dtype_policy,
                name="class_embedding",
            )
            self.class_embedding.build((None,))
        self.bounds = None

    def _make_bounds(self):
        """Makes the layer that holds what is drawn inside the data's bounds, if there are any."""
        if np.isfinite(np.stack(self.processor.bounds)).any():
            low, high = (np.tile(side, self.frame) for side in self.processor.bounds)
            self.bounds = ClipByValue(low, high, "hard", dtype="float32", name="bounds")
            self.bounds.build((None, None, len(low)))

    def build(self, input_shape=None):
        """Does nothing: every weight exists since the model was made."""

    @property
    def preprocessing(self):
        return self.processor

    def _bounded(self, numbers):
        """Numbers `(..., width)` held inside the bounds, and the share `(...)` that was outside."""
        if self.bounds is None:
            return numbers, tf.zeros(tf.shape(numbers)[:-1])
        held = self.bounds(numbers)
        return held, tf.reduce_mean(tf.cast(held != numbers, tf.float32), axis=-1)

    # Batches

    def unpack(self, data):
        """The batch as a dict, see `tfgen.data.SequenceWindows.batch`.

        `data` is such a dict, of which only `values` has to be there, or an array
        `(batch, time, features)` alone; NaN is missing.
        """
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        self._given_to_fit(inputs, targets, weights)
        batch = dict(inputs) if isinstance(inputs, dict) else {"values": inputs}
        batch["values"] = self.processor.counted(batch["values"])
        if "previous" in batch:
            batch["previous"] = self.processor.counted(batch["previous"])
        if "valid" not in batch:
            batch["valid"] = tf.ones(tf.shape(batch["values"])[:2], tf.bool)
        if self.processor.ends and "last" not in batch:
            after = tf.pad(batch["valid"][:, 1:], [[0, 0], [0, 1]])
            batch["last"] = batch["valid"] & ~after
        if self.processor.scaler.needs_scale:
            numbers = self.processor.numbers(batch["values"])
            given = batch.get("scale")
            batch["scale"] = (
                self.processor.series_scale(numbers)
                if given is None
                else self.processor.numbers(given)
            )
        return self._framed(batch)

    def _given_to_fit(self, x, y, sample_weight):
        for name, value in {"y": y, "sample_weight": sample_weight}.items():
            if value is not None:
                raise InputError(
                    "A model of numbers learns from sequences alone, each position the target of those "
                    f"before it: leave {name} out. Received: {name} of shape {np.shape(value)}"
                )
        return super()._given_to_fit(x, y, sample_weight)

    def _framed(self, batch):
        """A batch by samples, see `unpack`, as one by positions of the network."""
        if self.frame == 1:
            return batch
        _, time, _ = sizes(batch["values"])
        missing = -time % self.frame

        def frames(samples):
            samples = tf.pad(samples, [[0, 0], [0, missing]])
            return tf.reshape(samples, [-1, (time + missing) // self.frame, self.frame])

        valid = frames(batch["valid"])
        values = tf.where(valid, frames(batch["values"][..., 0]), 0.0)
        framed = {**batch, "values": values, "valid": tf.reduce_any(valid, axis=-1)}
        if "last" in batch:
            framed["last"] = tf.reduce_any(frames(batch["last"]), axis=-1)
        if "previous" in batch:
            # A window in the middle of a sequence is not told the whole frame before it.
            framed["previous"] = tf.fill([tf.shape(values)[0], self.frame], np.float32(np.nan))
        return framed

    def _scaled(self, numbers, scale):
        """Scaled numbers `(..., numbers)` as the network and the head know them."""
        scaled = self.processor.scale_numbers(numbers, scale)
        return scaled if self.frame == 1 else dense(scaled, self._cosines)

    def _unscaled(self, scaled, scale):
        """The opposite of `_scaled`."""
        if self.frame > 1:
            scaled = dense(scaled, self._cosines.T)
        return self.processor.unscale_numbers(scaled, scale)

    def _whole(self, batch, given, key=None):
        """What belongs to whole sequences: `(features (batch, width), scale or None)`.

        Args:
            batch: Number of sequences.
            given: Dict with any of `label` int32 `(batch,)`, -1 for none; `static`
                `(batch, static)`; `scale` `(batch, numbers)`.
            key: What the hiding of classes is drawn from; None hides none.
        """
        processor = self.processor
        parts, scale = [tf.zeros([batch, 0])], None
        if self.class_embedding is not None:
            label = given["label"] if "label" in given else tf.fill([batch], NO_CLASS)
            shown = tf.cast(label >= 0, tf.float32)
            if key is not None and self.condition_dropout:
                keep = random.bernoulli_mask(
                    random.fold(key, _HIDDEN), [batch], 1 - self.condition_dropout
                )
                shown *= tf.cast(keep > 0, tf.float32)
            vectors = tf.cast(self.class_embedding(tf.maximum(label, 0)), tf.float32)
            parts.append(vectors * shown[:, None])
        if processor.static_width:
            parts.append(processor.statics(given["static"]))
        if processor.scaler.needs_scale:
            if "scale" in given:
                scale = given["scale"]
            else:
                scale = tf.broadcast_to(
                    tf.constant(processor.scale, tf.float32), [batch, processor.num_numbers]
                )
            parts.append(tf.math.log(tf.maximum(scale, 1e-6)))
        return tf.concat(parts, axis=-1), scale

    def _rows_of(self, rows, given):
        """What belongs to whole sequences, for so many rows: `(features, scale)`."""
        given = dict(given)
        if "condition" in given:
            given["label"] = given["condition"]
        for name in ("label", "static", "scale"):
            if name in given:
                shape = tf.concat([[rows], tf.shape(given[name])[1:]], axis=0)
                given[name] = tf.broadcast_to(given[name], shape)
        whole, scale = self._whole(rows, given)
        return whole, tf.zeros([rows, 0]) if scale is None else scale

    def _frames(self, length):
        """Positions of the network in which so many samples have room."""
        return -(-length // self.frame)

    def _samples(self, values):
        """Values `(rows, frames, position_width)` as samples `(rows, time, features)`."""
        if self.frame == 1:
            return values
        rows, time, _ = sizes(values)
        return tf.reshape(values, [rows, time * self.frame, 1])

    def _restored(self, values):
        """Samples `(rows, time, features)` in the data's units, of values of the network's."""
        return self.processor.restored(self._samples(values))

    def _missing(self):
        """A missing value, of the type of values in the data's units."""
        return tf.constant(np.nan, self.processor.value_type)

    # Graphs of series, here and in the SavedModel

    def _whole_specs(self):
        specs = {}
        if self.processor.num_classes:
            specs["condition"] = tf.TensorSpec([None], tf.int32)
        if self.processor.static_width:
            specs["static"] = tf.TensorSpec(
                [None, self.processor.static_width], self.processor.static_type
            )
        return specs

    def _known_specs(self):
        count = len(self.processor.known_names)
        if not count:
            return {}
        return {"known": tf.TensorSpec([None, None, count], self.processor.known_type)}

    def _generate_specs(self):
        specs = {
            "num_samples": tf.TensorSpec([], tf.int32),
            "length": tf.TensorSpec([], tf.int32),
            **self.sampling_specs,
            **self._whole_specs(),
            **self._known_specs(),
        }
        if self.processor.needs_times:
            specs["start_time"] = tf.TensorSpec([None], tf.int64)
        return specs

    def _series_specs(self):
        specs = {
            "values": tf.TensorSpec(
                [None, None, self.processor.num_features], self.processor.value_type
            ),
            "lengths": tf.TensorSpec([None], tf.int32),
            **self._whole_specs(),
            **self._known_specs(),
        }
        if self.processor.needs_times:
            specs["times"] = tf.TensorSpec([None, None], tf.int64)
        return specs

    def _future(self, given, begun, count, rows):
        """Covariates `(rows, count, covariates)` of a sequence drawn from its beginning."""
        times = None
        if self.processor.needs_times:
            times = self._after(given["start_time"], begun + tf.range(count))
            times = tf.broadcast_to(times, [rows, count])
        known = given.get("known")
        if known is not None:
            known = tf.broadcast_to(
                known[:, begun : begun + count], [rows, count, tf.shape(known)[2]]
            )
        return self._covariates({"times": times, "known": known}, rows, count)

    def _after(self, start, steps):
        """Times int64 `(batch, steps)` so many steps after `start` `(batch,)`."""
        return self.processor.times_after(start[:, None], tf.cast(steps, tf.int64)[None])

    def _covariates(self, batch, rows=None, count=None):
        if not self.processor.covariate_width:
            if rows is None:
                rows, count = tf.unstack(tf.shape(batch["values"])[:2])
            return tf.zeros([rows, count, 0])
        return self.processor.covariates(batch.get("times"), batch.get("known"))

    def _batch(self, arguments):
        """The batch for the arguments of a function of series."""
        batch = {
            name: arguments[name] for name in ("times", "known", "static") if name in arguments
        }
        values, lengths = self.processor.counted(arguments["values"]), arguments["lengths"]
        time = tf.shape(values)[1]
        valid = tf.range(time)[None] < lengths[:, None]
        batch |= {"values": tf.where(valid[..., None], values, np.nan), "valid": valid}
        if "condition" in arguments:
            batch["label"] = arguments["condition"]
        if self.processor.ends:
            batch["last"] = tf.range(time)[None] == lengths[:, None] - 1
        if self.processor.scaler.needs_scale:
            batch["scale"] = self.processor.series_scale(self.processor.numbers(batch["values"]))
        if "known" in batch:
            batch["known"] = batch["known"][:, :time]
        return self._framed(batch)

    def get_config(self):
        return {
            **super().get_config(),
            "frame": self.frame,
            "condition_dropout": self.condition_dropout,
            "processor": keras.saving.serialize_keras_object(self.processor),
        }


def likelihoods_of(total, values, positions):
    """What `score` tells of log-likelihoods float64 `(batch,)` of so many values and positions."""
    return {
        "log_likelihood": total,
        "values": values,
        "nats_per_value": -total / tf.cast(values, tf.float64),
        "nats_per_position": -total / tf.cast(positions, tf.float64),
    }


def summary_of(samples, levels):
    """What `forecast` tells of samples `(batch, samples, horizon, features)`."""
    # Differences in float64: the mean of large numbers that are nearly equal lies among them.
    first = tf.cast(samples[:, :1], tf.float64)
    mean = first[:, 0] + tf.reduce_mean(tf.cast(samples, tf.float64) - first, axis=1)
    return {
        "mean": tf.cast(mean, samples.dtype),
        "quantiles": _quantiles(samples, levels),
        "samples": samples,
    }


def _quantiles(samples, levels):
    """Quantiles `(batch, levels, horizon, features)` of `(batch, samples, horizon, features)`.

    Between two samples they are interpolated, as NumPy's default does.
    """
    ordered = tf.sort(samples, axis=1)
    count = tf.shape(samples)[1]
    place = levels * tf.cast(count - 1, tf.float32)
    below = tf.cast(tf.math.floor(place), tf.int32)
    share = tf.cast(place - tf.cast(below, tf.float32), samples.dtype)[None, :, None, None]
    lower = tf.gather(ordered, below, axis=1)
    upper = tf.gather(ordered, tf.minimum(below + 1, count - 1), axis=1)
    # Not a weighted sum, which of two equal numbers makes another one.
    return lower + share * (upper - lower)


def _cosines(size):
    """The orthonormal discrete cosine transform (DCT-II), `(samples, coefficients)`."""
    samples, frequencies = np.arange(size)[:, None] + 0.5, np.arange(size)[None]
    matrix = np.sqrt(2 / size) * np.cos(np.pi / size * samples * frequencies)
    matrix[:, 0] /= np.sqrt(2)
    return matrix.astype(np.float32)
