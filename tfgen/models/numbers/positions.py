"""`Positions`: sequences of numbers as the positions that a network reads, and back."""

import numpy as np
import tensorflow as tf

from tfgen.layers.checks import MOST_PARTS, check, check_kind, check_most, check_whole
from tfgen.layers.products import dense
from tfgen.preprocessing import SequenceProcessor
from tfgen.sampling.decode import sizes


class Positions:
    """What one position of a network is: `frame` samples of data as a processor knows them.

    Of sound they are told by their frequencies. Of a series they are a patch: the numbers of all
    columns, one time after the other, each as it is and with what is known of its time.

    Args:
        processor: A fitted `tfgen.preprocessing.SequenceProcessor`; None is one unscaled number.
        frame: Samples of a position; above 1 of series without categories, or of data that are one
            number over time alone.
        latents: Numbers of a latent vector that is told of a whole sequence; 0 is none.

    Attributes:
        patch: Samples of a position that are told as they are: `frame` of series, else 1.
        width, numbers: Values of a position, and numbers among them.
        covariate_width: Covariates of a position.
        circular: Which of its numbers are angles.
        mixes: Whether scaled numbers are mixtures of several of the data's.

    Raises:
        ValueError: For a frame that does not fit the data.
    """

    def __init__(self, processor=None, frame=1, latents=0):
        processor = SequenceProcessor.plain() if processor is None else processor
        check_kind(SequenceProcessor, processor=processor)
        check_whole(1, frame=frame)
        check_most(MOST_PARTS, frame=frame)
        series = processor.kind == "series" and not processor.ends
        alone = processor.num_features == processor.num_numbers == 1
        fits = (alone and not processor.covariate_width) or (
            series and not processor.num_categories
        )
        rule = "frame must be 1, except for series without categories and for one number over time"
        check(fits or frame == 1, rule, frame=frame)
        self.processor = processor
        self.frame = frame
        self.latents = latents
        self.patch = frame if series else 1
        self.width = processor.num_features * frame
        self.numbers = processor.num_numbers * frame
        rule = f"frame must leave at most {MOST_PARTS:,} numbers in a position"
        check(self.numbers <= MOST_PARTS, rule, frame=frame)
        self.covariate_width = processor.covariate_width * self.patch
        self.circular = self.every(processor.circular)
        self.mixes = processor.scaler.mixes or frame > self.patch
        self._cosines = _cosines(frame)

    def count(self, length):
        """Positions in which so many samples have room."""
        return -(-length // self.frame)

    def room(self, positions):
        """Samples of a context and what follows it for which so many positions are enough."""
        # A context may begin within a patch, and what follows end within another.
        return (positions - 1) * self.frame + 1 if self.patch > 1 else positions * self.frame

    def samples(self, values):
        """Values `(rows, positions, width)` as samples `(rows, time, features)`."""
        if self.frame == 1:
            return values
        rows, time, _ = sizes(values)
        return tf.reshape(values, [rows, time * self.frame, self.width // self.frame])

    def restored(self, values):
        """Samples `(rows, time, features)` in the data's units, of values of positions."""
        return self.processor.restored(self.samples(values))

    @property
    def missing(self):
        """A missing value, of the type of values in the data's units."""
        return tf.constant(np.nan, self.processor.value_type)

    def scaled(self, numbers, scale):
        """Scaled numbers `(..., numbers)` as networks and heads know them; sound by frequencies."""
        scaled = self._of_each(self.processor.scale_numbers, numbers, scale)
        return scaled if self.frame == self.patch else dense(scaled, self._cosines)

    def unscaled(self, scaled, scale):
        """The opposite of `scaled`."""
        if self.frame > self.patch:
            scaled = dense(scaled, self._cosines.T)
        return self._of_each(self.processor.unscale_numbers, scaled, scale)

    def log_slope(self, numbers, scale):
        """`SequenceProcessor.log_slope` of the numbers of positions."""
        return self._of_each(self.processor.log_slope, numbers, scale)

    def size(self, scale):
        """`SequenceProcessor.size` for each number of a position."""
        return tf.concat([self.processor.size(scale)] * self.patch, axis=-1)

    def every(self, columns):
        """The numbers of a position, as a list, that belong to these columns of numbers."""
        starts = range(0, self.patch * self.processor.num_numbers, self.processor.num_numbers or 1)
        return [int(start + column) for start in starts for column in columns]

    def tiled(self, numbers):
        """An array `(columns,)` of columns of numbers, for each number of a position."""
        return np.tile(numbers, self.patch)

    def _of_each(self, function, numbers, scale):
        """A function of the numbers of a time, and of their scale, for all times of positions."""
        if self.patch == 1:
            return function(numbers, scale)
        shape = sizes(numbers)
        each = tf.reshape(numbers, [*shape[:-1], self.patch, self.processor.num_numbers])
        found = function(each, None if scale is None else scale[..., None, :])
        return tf.reshape(found, shape)

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
        for name in ("previous", "history"):
            if name in batch:
                batch[name] = self.processor.counted(batch[name])
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

    def series(self, arguments, ends=True):
        """The batch for the arguments of a function of series, see `series_specs`.

        With `ends`, what ends by itself ends with its last position, which tells so.
        """
        batch = {
            name: arguments[name]
            for name in ("times", "known", "static", "latents", "source")
            if name in arguments
        }
        values, lengths = self.processor.counted(arguments["values"]), arguments["lengths"]
        time = tf.shape(values)[1]
        valid = tf.range(time)[None] < lengths[:, None]
        batch |= {"values": tf.where(valid[..., None], values, np.nan), "valid": valid}
        if "condition" in arguments:
            batch["label"] = arguments["condition"]
        if self.processor.ends and ends:
            batch["last"] = tf.range(time)[None] == lengths[:, None] - 1
        if self.processor.scaler.needs_scale:
            numbers = self.processor.numbers(batch["values"])
            nothing = tf.reduce_all(tf.math.is_nan(numbers), axis=[1, 2])[:, None]
            typical, own = self.processor.size(), self.processor.series_scale(numbers)
            batch["scale"] = tf.where(nothing, typical, own)
        if "known" in batch:
            batch["known"] = batch["known"][:, :time]
        if self.patch > 1 and "times" in batch:  # of what the last patch has room for
            last = tf.gather(batch["times"], tf.maximum(lengths - 1, 0), batch_dims=1)[:, None]
            beyond = tf.cast(tf.range(time)[None] - lengths[:, None] + 1, tf.int64)
            after = self.processor.times_after(last, beyond)
            batch["times"] = tf.where(valid, batch["times"], after)
        return self._framed(batch)

    def _framed(self, batch):
        """A batch by samples as one by positions."""
        if self.frame == 1:
            return batch
        if self.patch > 1:
            return self._patched(batch)
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

    def _patched(self, batch):
        """A batch by samples as one by patches: of what fills none, the rest is missing."""
        valid, found = batch["valid"], dict(batch)
        missing = -sizes(valid)[1] % self.patch
        ends, after = [[0, 0], [0, missing]], [[0, 0], [0, missing], [0, 0]]
        for name in {"values", "known"} & batch.keys():
            inside = tf.where(valid[..., None], batch[name], np.nan)
            found[name] = tf.pad(inside, after, constant_values=np.nan)
        if "times" in batch:
            steps = tf.cast(1 + tf.range(missing), tf.int64)
            times = batch["times"]
            found["times"] = tf.concat([times, self.times_after(times[:, -1], steps)], axis=1)
        for name in {"values", "history"} & batch.keys():
            found[name] = self.joined(found[name])
        valid = tf.cast(tf.pad(valid, ends), tf.float32)
        found["valid"] = tf.reduce_any(self.joined(valid[..., None]) > 0, axis=-1)
        found.pop("last", None)
        return found

    def joined(self, samples):
        """What is told of samples `(rows, time, width)`, as of positions, for whole patches."""
        rows, time, width = sizes(samples)
        return tf.reshape(samples, [rows, time // self.patch, self.patch * width])

    def aligned(self, arguments):
        """The arguments of a function of series, so that what comes next begins a patch.

        Before the beginning of a series as many samples are missing as it takes for its end to be
        the end of a patch.
        """
        spare = -arguments["lengths"] % self.patch
        found = self.with_one_more(arguments)
        room = tf.maximum(self.count(tf.shape(arguments["values"])[1]), 1) * self.patch
        for name in {"values", "times", "known"} & arguments.keys():
            count = tf.shape(found[name])[1] if name == "known" else room
            index = tf.range(count)[None] - spare[:, None]
            moved = tf.gather(found[name], tf.maximum(index, 0), batch_dims=1)
            if name == "times":
                before = tf.cast(tf.minimum(index, 0), tf.int64)
                before = self.processor.times_after(arguments["times"][:, :1], before)
                found[name] = tf.where(index < 0, before, moved)
            else:
                found[name] = tf.where(index[..., None] < 0, np.nan, moved)
        return {**found, "lengths": arguments["lengths"] + spare}

    def last_frames(self, arguments):
        """The series without so many first samples that the rest fills whole frames."""
        lengths = arguments["lengths"]
        spare = lengths % self.frame
        index = spare[:, None] + tf.range(tf.shape(arguments["values"])[1])[None]
        index = tf.minimum(index, tf.maximum(lengths - 1, 0)[:, None])
        values = tf.gather(arguments["values"], index, batch_dims=1)
        return {"values": values, "lengths": lengths - spare}

    def with_one_more(self, arguments):
        """The arguments of a function of series, with room for a patch after each."""
        found, after = {**arguments}, [[0, 0], [0, self.patch], [0, 0]]
        found["values"] = tf.pad(arguments["values"], after, constant_values=np.nan)
        if "times" in arguments:
            found["times"] = tf.pad(arguments["times"], after[:2])
        if "known" in arguments:
            found["known"] = self.with_more(arguments["known"], 1)
        return found

    def with_more(self, known, positions):
        """What is known of samples `(rows, time, known)`, and nothing of so many positions more."""
        after = [[0, 0], [0, positions * self.patch], [0, 0]]
        return tf.pad(known, after, constant_values=np.nan)

    # Lengths of what ends by itself

    def drawn_lengths(self, share, length, given):
        """Samples of sequences, at most `length`: quantiles of the training data's.

        Args:
            share: float32 `(rows,)` in (0, 1), uniform for a draw.
            length: int32 scalar.
            given: Dict that may hold `condition` int32, of one or of each: the class, -1 for none.
        """
        table = self._lengths_of(given, tf.shape(share)[0])
        count = len(self.processor.lengths[0])
        place = tf.minimum(tf.cast(share * count, tf.int32), count - 1)
        return tf.minimum(tf.gather(table, place, batch_dims=1), length)

    def share_of_lengths(self, lengths, given):
        """The opposite of `drawn_lengths`: of lengths `(rows,)` of the data, their share."""
        table, lengths = self._lengths_of(given, tf.shape(lengths)[0]), lengths[:, None]
        below, same = (tf.cast(each, tf.float32) for each in (table < lengths, table == lengths))
        edge = 0.5 / float(len(self.processor.lengths[0]))
        share = tf.reduce_mean(below + same / 2, axis=1)
        return tf.clip_by_value(share, edge, 1 - edge)

    def _lengths_of(self, given, rows):
        """For each row the quantiles of its class, or of all, which come last."""
        table = tf.constant(self.processor.lengths, tf.int32)
        row = tf.fill([rows], len(self.processor.lengths) - 1)
        if "condition" in given:
            label = tf.broadcast_to(given["condition"], [rows])
            row = tf.where(label >= 0, label, row)
        return tf.gather(table, row)

    # Covariates

    def covariates(self, batch, rows=None, count=None):
        """What is known of each position beforehand: `(rows, count, covariates)`."""
        if not self.processor.covariate_width:
            if rows is None:
                rows, count = tf.unstack(tf.shape(batch["values"])[:2])
            return tf.zeros([rows, count, 0])
        of_samples = self.processor.covariates(batch.get("times"), batch.get("known"))
        return of_samples if self.patch == 1 else self.joined(of_samples)

    def covariates_ahead(self, given, begun, count, rows):
        """Covariates `(rows, count, covariates)` of positions after the first `begun` of a sequence
        that is drawn; what is `known` is given of these and perhaps of more."""
        positions, times = count, None
        begun, count = begun * self.patch, count * self.patch
        if self.processor.needs_times:
            times = self.times_after(given["start_time"], begun + tf.range(count))
            times = tf.broadcast_to(times, [rows, count])
        known = given.get("known")
        if known is not None:
            known = tf.broadcast_to(known[:, :count], [rows, count, tf.shape(known)[2]])
        return self.covariates({"times": times, "known": known}, rows, positions)

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
        if self.latents:
            specs["latents"] = tf.TensorSpec([None, self.latents], tf.float32)
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
