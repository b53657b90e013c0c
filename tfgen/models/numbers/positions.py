"""`Positions`: sequences of numbers as the positions that a network reads, and back."""

import numpy as np
import tensorflow as tf

from tfgen.layers.checks import MOST_PARTS, check, check_kind, check_most, check_whole
from tfgen.layers.products import dense
from tfgen.preprocessing import SequenceProcessor
from tfgen.sampling.decode import sizes


class Positions:
    """What one position of a network is: `frame` samples of data as a processor knows them.

    Args:
        processor: A fitted `tfgen.preprocessing.SequenceProcessor`; None is one unscaled number.
        frame: Samples of a position; above 1 of data that are one number over time alone.

    Raises:
        ValueError: For a frame that does not fit the data.
    """

    def __init__(self, processor=None, frame=1):
        processor = SequenceProcessor.plain() if processor is None else processor
        check_kind(SequenceProcessor, processor=processor)
        check_whole(1, frame=frame)
        check_most(MOST_PARTS, frame=frame)
        alone = processor.num_features == processor.num_numbers == 1
        fits = frame == 1 or (alone and not processor.covariate_width)
        check(
            fits, "frame must be 1, except for one number over time without a calendar", frame=frame
        )
        self.processor = processor
        self.frame = frame
        self.width = processor.num_features * frame  # values of a position
        self.numbers = processor.num_numbers * frame
        self._cosines = _cosines(frame)

    def count(self, length):
        """Positions in which so many samples have room."""
        return -(-length // self.frame)

    def samples(self, values):
        """Values `(rows, positions, width)` as samples `(rows, time, features)`."""
        if self.frame == 1:
            return values
        rows, time, _ = sizes(values)
        return tf.reshape(values, [rows, time * self.frame, 1])

    def restored(self, values):
        """Samples `(rows, time, features)` in the data's units, of values of positions."""
        return self.processor.restored(self.samples(values))

    @property
    def missing(self):
        """A missing value, of the type of values in the data's units."""
        return tf.constant(np.nan, self.processor.value_type)

    def scaled(self, numbers, scale):
        """Scaled numbers `(..., numbers)` as networks and heads know them; frames by frequencies."""
        scaled = self.processor.scale_numbers(numbers, scale)
        return scaled if self.frame == 1 else dense(scaled, self._cosines)

    def unscaled(self, scaled, scale):
        """The opposite of `scaled`."""
        if self.frame > 1:
            scaled = dense(scaled, self._cosines.T)
        return self.processor.unscale_numbers(scaled, scale)

    # Batches

    def batch(self, given):
        """The batch as a dict, by positions.

        Args:
            given: Samples in the data's units: a dict as `tfgen.data.SequenceWindows.batch` makes
                it, of which only `values` has to be there, or an array `(batch, time, features)`
                alone; NaN is missing.
        """
        batch = dict(given) if isinstance(given, dict) else {"values": given}
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
            own = batch.get("scale")
            batch["scale"] = (
                self.processor.series_scale(numbers) if own is None else self.processor.numbers(own)
            )
        return self._framed(batch)

    def series(self, arguments):
        """The batch for the arguments of a function of series, see `series_specs`."""
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
            numbers = self.processor.numbers(batch["values"])
            nothing = tf.reduce_all(tf.math.is_nan(numbers), axis=[1, 2])[:, None]
            typical, own = self.processor.size(), self.processor.series_scale(numbers)
            batch["scale"] = tf.where(nothing, typical, own)
        if "known" in batch:
            batch["known"] = batch["known"][:, :time]
        return self._framed(batch)

    def _framed(self, batch):
        """A batch by samples as one by positions."""
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

    # Covariates

    def covariates(self, batch, rows=None, count=None):
        """What is known of each position beforehand: `(rows, count, covariates)`."""
        if not self.processor.covariate_width:
            if rows is None:
                rows, count = tf.unstack(tf.shape(batch["values"])[:2])
            return tf.zeros([rows, count, 0])
        return self.processor.covariates(batch.get("times"), batch.get("known"))

    def covariates_ahead(self, given, begun, count, rows):
        """Covariates `(rows, count, covariates)` of a sequence drawn from its beginning."""
        times = None
        if self.processor.needs_times:
            times = self.times_after(given["start_time"], begun + tf.range(count))
            times = tf.broadcast_to(times, [rows, count])
        known = given.get("known")
        if known is not None:
            known = tf.broadcast_to(
                known[:, begun : begun + count], [rows, count, tf.shape(known)[2]]
            )
        return self.covariates({"times": times, "known": known}, rows, count)

    def times_after(self, start, steps):
        """Times int64 `(batch, steps)` so many steps after `start` `(batch,)`."""
        return self.processor.times_after(start[:, None], tf.cast(steps, tf.int64)[None])

    # The tensors of functions, live and served: dicts from names to `tf.TensorSpec`

    def whole_specs(self):
        """What belongs to whole sequences."""
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

    def generate_specs(self, sampling):
        """Of a function that draws from nothing; `sampling` are those of how is sampled."""
        specs = {
            "num_samples": tf.TensorSpec([], tf.int32),
            "length": tf.TensorSpec([], tf.int32),
            **sampling,
            **self.whole_specs(),
            **self._known_specs(),
        }
        if self.processor.needs_times:
            specs["start_time"] = tf.TensorSpec([None], tf.int64)
        return specs

    def series_specs(self):
        """Of a function of series `values`, right-padded, of so many `lengths`."""
        specs = {
            "values": tf.TensorSpec(
                [None, None, self.processor.num_features], self.processor.value_type
            ),
            "lengths": tf.TensorSpec([None], tf.int32),
            **self.whole_specs(),
            **self._known_specs(),
        }
        if self.processor.needs_times:
            specs["times"] = tf.TensorSpec([None, None], tf.int64)
        return specs

    def forecast_specs(self, sampling):
        """Of a function that forecasts."""
        return {
            **self.series_specs(),
            "horizon": tf.TensorSpec([], tf.int32),
            "num_samples": tf.TensorSpec([], tf.int32),
            "quantiles": tf.TensorSpec([None], tf.float32),
            **sampling,
        }


def _cosines(size):
    """The orthonormal discrete cosine transform (DCT-II), `(samples, coefficients)`."""
    samples, frequencies = np.arange(size)[:, None] + 0.5, np.arange(size)[None]
    matrix = np.sqrt(2 / size) * np.cos(np.pi / size * samples * frequencies)
    matrix[:, 0] /= np.sqrt(2)
    return matrix.astype(np.float32)
