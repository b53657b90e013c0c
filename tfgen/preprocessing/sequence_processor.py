"""`SequenceProcessor`: sequences of numbers to what a network sees, and back."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import argument_names
from tfgen.data.calendar_steps import CalendarStep
from tfgen.data.features import Feature, bounds_of
from tfgen.data.sequences import Sequences
from tfgen.data.series import open_sequences
from tfgen.errors import InputError
from tfgen.preprocessing import sequence_arguments, sequence_fitting, sequence_inputs
from tfgen.preprocessing.affine_scalers import StandardScaler
from tfgen.preprocessing.scaler import as_float, finite_numbers, keep_missing, series_scale
from tfgen.preprocessing.scalers import NoScaler, build_scaler, scaler_record
from tfgen.recipe import DataConfig, PreprocessingConfig


@keras.saving.register_keras_serializable(package="tfgen")
class SequenceProcessor(keras.layers.Layer):
    """What a model of sequences knows of its data: columns, scales, bounds, classes and times.

    The columns of a value `(..., features)` are numbers, which are scaled, and categories, whose
    values are the numbers of their levels. All methods on tensors are TensorFlow operations on
    constants with static shapes, so they run in compiled functions, and a SavedModel holds them
    without any variable. Called as a layer it gives the scaled numbers of values.

    Args:
        kind: One of `tfgen.kinds.KINDS`, but `"text"`.
        features: List of `tfgen.data.sequences.Feature`, or of dicts of its fields.
        scaler: `Scaler` of the numbers, or its record; None leaves them as they are.
        known_names: Names of the covariates that are known beforehand.
        known_scaler: Their scaler, likewise.
        static_names: Names of the numbers that belong to a whole sequence.
        static_scaler: Their scaler, likewise.
        classes: Names of the classes that sequences may have.
        ends: Whether the end of a sequence means something.
        sample_rate: Of audio, positions a second.
        step: Median seconds between two positions; None without times.
        calendar_step: Where positions are months or business days apart, `str` of their
            `tfgen.data.calendar_steps.CalendarStep`; else None.
        start_time: When the training data begin, in seconds since 1970.
        calendar: Periods in seconds, of which the network is told the phase.
        irregular: Whether the seconds between positions vary, so that the network is told them.
        length: Typical number of positions of a sequence; the greatest, of what ends by itself.
        lengths: For each class, and for all of them last, evenly spread quantiles of the numbers of
            positions: what the length of what ends by itself is drawn from where it is not told
            position by position.
        has_missing: Whether values were missing in the training data.
        scale: The typical scale of a series, a number for each column of numbers: what a scaler of
            each series takes where there is no series yet.
        origin: A number for each column of numbers, from which its values are counted in float32;
            what comes and goes in the data's units is float64 then. None, for values that float32
            holds, counts from 0, and all is float32.
        seasons: Lags at which the data is like itself again; None if they were not looked for.
        **kwargs: `name` and the like of a Keras layer.

    Attributes:
        feature_names, num_features: Of all columns.
        number_columns, num_numbers: Which columns are numbers.
        category_columns, num_categories, levels: Which are categories, and their numbers of levels.
        circular: Which of the columns of numbers are circular.
        num_classes, static_width, covariate_width: How many there are.

    Raises:
        ValueError: If an argument is out of range or they do not fit each other.
    """

    def __init__(
        self,
        kind="series",
        features=(),
        scaler=None,
        known_names=(),
        known_scaler=None,
        static_names=(),
        static_scaler=None,
        classes=(),
        ends=False,
        sample_rate=None,
        step=None,
        start_time=None,
        calendar=(),
        irregular=False,
        length=None,
        lengths=(),
        has_missing=False,
        scale=None,
        calendar_step=None,
        origin=None,
        seasons=None,
        **kwargs,
    ):
        # Values of float64 are not to be cast before they are counted from the origin.
        super().__init__(dtype="float32", trainable=False, autocast=False, **kwargs)
        self.kind = kind
        self.features = tuple(
            sequence_arguments.feature(feature)
            for feature in sequence_arguments.listed("features", features)
        )
        self.known_names = sequence_arguments.names("known_names", known_names)
        self.static_names = sequence_arguments.names("static_names", static_names)
        self.classes = sequence_arguments.names("classes", classes)
        self.ends, self.sample_rate = ends, sample_rate
        self.step, self.calendar_step = step, calendar_step
        self._step = None if calendar_step is None else CalendarStep.parse(calendar_step)
        self.start_time = start_time
        self.calendar = sequence_arguments.listed("calendar", calendar)
        self.irregular = irregular
        self.length = length
        self.lengths = tuple(sequence_arguments.listed("lengths", lengths))
        self.has_missing = has_missing
        self.seasons = None if seasons is None else sequence_arguments.listed("seasons", seasons)
        self.origin = finite_numbers("origin", origin)
        self.feature_names = sequence_arguments.names(
            "features", [feature.name for feature in self.features]
        )
        columns = range(len(self.features))
        self.category_columns = tuple(i for i in columns if self.features[i].is_category)
        self.number_columns = tuple(i for i in columns if not self.features[i].is_category)
        self.levels = tuple(len(self.features[i].levels) for i in self.category_columns)
        self.num_features, self.num_numbers = len(self.features), len(self.number_columns)
        self.num_categories = len(self.category_columns)
        self.num_classes, self.static_width = len(self.classes), len(self.static_names)
        # Of columns of numbers: angles in radians stand for circular ones, whatever the scaler.
        self.circular = [n for n, circle in enumerate(self.circles) if circle is not None]
        self._is_circular = np.isin(np.arange(self.num_numbers), self.circular)
        periods = [2 * math.pi if each is None else each.period for each in self.circles]
        self._rates = np.float32(2 * math.pi / np.array(periods))
        self.scale = finite_numbers("scale", [1.0] * self.num_numbers if scale is None else scale)
        self.scaler = self._scaler("scaler", scaler, self.num_numbers)
        self.known_scaler = self._scaler("known_scaler", known_scaler, len(self.known_names))
        self.static_scaler = self._scaler("static_scaler", static_scaler, self.static_width)
        sequence_arguments.check(self)
        self.covariate_width = 2 * len(self.calendar) + self.irregular + len(self.known_names)
        self.built = True

    def _scaler(self, name, scaler, width):
        scaler = NoScaler() if scaler is None else build_scaler(scaler)
        try:
            scaler.check_width(width)
        except ValueError as error:
            raise ValueError(f"{name} does not fit: {error}") from error
        if scaler.needs_scale and name != "scaler":
            raise ValueError(f"{name} must need no scale of series. Received: {name}={scaler}")
        return scaler

    @classmethod
    def fit(cls, sequences, config=None, data=None, seasons=False):
        """Returns the processor of training sequences.

        Args:
            sequences: `tfgen.data.sequences.Sequences`: those of the training split alone; or
                arrays, a frame or a dataset, see `tfgen.data.memory.hold`.
            config: `tfgen.recipe.PreprocessingConfig`: `scaler`, `log1p` and `calendar`; None is
                the default one.
            data: `tfgen.recipe.DataConfig` that says what the columns of a frame or of arrays are;
                None is the default one.
            seasons: Whether to look for seasons, which models with `lags="auto"` read.

        Raises:
            InputError: If a column cannot be scaled, or the configuration names one that there
                is not.
        """
        if not isinstance(sequences, Sequences):
            sequences = open_sequences(DataConfig() if data is None else data, sequences)
        config = PreprocessingConfig() if config is None else config
        return cls(**sequence_fitting.arguments(sequences, config, seasons))

    @classmethod
    def plain(cls, features=1):
        """Returns the processor of numbers `x0`, `x1`, ... that are left as they are."""
        return cls(features=[Feature(f"x{number}") for number in range(features)])

    def check(self, sequences):
        """Returns other sequences as this processor's model takes them.

        Columns, levels and classes are matched by name. A level that the model does not know is a
        missing value, counted in the report.

        Args:
            sequences: `tfgen.data.sequences.Sequences`.

        Raises:
            InputError: If the columns are not those that the model was trained on, or it needs
                times that there are not, or a value cannot be scaled.
        """
        return sequence_inputs.check(self, sequences)

    def as_values(self, rows):
        """Turns what a person has into an array.

        Args:
            rows: Array or list `(time, features)` or `(batch, time, features)`, `(time,)` for a
                single feature, a list of them of different lengths, or a frame of pandas or polars
                (or a list of them) with a column for each feature. A category is the number of its
                level; in a frame also the level itself. NaN is missing.

        Returns:
            `(values, lengths, single)`: `(batch, time, features)` of type `value_type`, NaN after
            the end of a sequence; int32 `(batch,)`; whether `rows` was one sequence and no batch of
            them.

        Raises:
            InputError: If the features are not as many, or a value is none the model can take.
        """
        return sequence_inputs.as_values(self, rows)

    @property
    def value_type(self):
        """NumPy's type of values in the data's units: float32, or float64 where that is needed."""
        return np.float32 if self.origin is None else np.float64

    @property
    def known_type(self):
        """NumPy's type of covariates that are known beforehand, likewise."""
        return _type_of(self.known_scaler)

    @property
    def static_type(self):
        """NumPy's type of numbers that belong to a whole sequence, likewise."""
        return _type_of(self.static_scaler)

    def counted(self, values):
        """Values float32 `(..., features)` counted from the origins, of values in the data's units.

        All other methods take and give numbers that are so counted.
        """
        if self.origin is None:
            return as_float(values)
        return as_float(tf.cast(values, tf.float64) - self._origins())

    def restored(self, values):
        """Values in the data's units, of type `value_type`: the opposite of `counted`."""
        if self.origin is None:
            return values
        return tf.cast(values, tf.float64) + self._origins()

    def _origins(self):
        origins = np.zeros([self.num_features])
        origins[list(self.number_columns)] = self.origin
        return origins  # float64 (features,)

    def call(self, values, scale=None):
        return self.scale_numbers(self.numbers(self.counted(values)), scale)

    def numbers(self, values):
        """The columns of numbers `(..., numbers)` of values `(..., features)`."""
        values = as_float(values)
        if not self.num_categories:
            return values
        return tf.gather(values, np.array(self.number_columns, np.int32), axis=-1)

    def categories(self, values):
        """The levels int32 `(..., categories)` of values `(..., features)`; missing is -1."""
        columns = np.array(self.category_columns, np.int32)
        chosen = tf.gather(as_float(values), columns, axis=-1)
        known = (chosen >= 0) & (chosen < tf.constant(self.levels, tf.float32))  # False for NaN
        return tf.cast(tf.where(known, chosen, -1.0), tf.int32)

    def join(self, numbers, categories):
        """The values `(..., features)` of numbers and categories; None stands for none of them."""
        parts = [] if numbers is None else [as_float(numbers)]
        if self.num_categories:
            parts.append(tf.where(categories < 0, math.nan, tf.cast(categories, tf.float32)))
        order = np.argsort([*self.number_columns, *self.category_columns])
        return tf.gather(tf.concat(parts, axis=-1), order.astype(np.int32), axis=-1)

    def series_scale(self, numbers):
        """The scale of each series `(batch, numbers)`: the mean absolute value of what is observed,
        or another statistic of the scaler's.

        Args:
            numbers: Float tensor `(batch, time, numbers)`, NaN where missing or after the end.

        Returns:
            Float32; 1 where nothing is observed, or nothing but zeros.
        """
        scale = series_scale(as_float(numbers), self.scaler.statistic)
        # Angles have no scale of their own.
        return self._turned(scale, lambda: np.float32(1.0))

    def scale_numbers(self, numbers, scale=None):
        """Scaled numbers `(..., numbers)`.

        Args:
            numbers: Float tensor `(..., numbers)`.
            scale: Float tensor `(batch, numbers)`, for a scaler of each series; None takes the
                typical scale of the training data.
        """
        scaled = self.scaler.call(numbers, self.size(scale))
        return self._turned(scaled, lambda: as_float(numbers) * self._rates)

    def unscale_numbers(self, scaled, scale=None):
        """Numbers in the data's units of scaled ones. They may leave bounds by rounding."""
        numbers = self.scaler.inverse(scaled, self.size(scale))
        return self._turned(numbers, lambda: scaled / self._rates)

    def log_slope(self, numbers, scale=None):
        """`log |d scaled / d number|`, by which a log density of scaled numbers becomes one of
        numbers in the data's units."""
        slopes = self.scaler.log_slope(numbers, self.size(scale))
        return self._turned(slopes, lambda: keep_missing(numbers, np.log(self._rates)))

    def size(self, scale=None):
        """The mean absolute value of each series, or the typical one where there is none."""
        return tf.constant(self.scale, tf.float32) if scale is None else scale

    def _turned(self, straight, angles):
        """Columns of which the circular ones are those of the function `angles`."""
        return tf.where(self._is_circular, angles(), straight) if self.circular else straight

    @property
    def circles(self):
        """The `Circle` of each column of numbers, None of one without."""
        return [self.features[column].circle for column in self.number_columns]

    @property
    def bounds(self):
        """`(low, high)`, float32 arrays `(numbers,)`, counted from the origin; infinite where
        open."""
        return bounds_of([self.features[n] for n in self.number_columns], self.origin)

    @property
    def steps(self):
        """The `Step` of each column of numbers, None of one without."""
        return [self.features[column].step for column in self.number_columns]

    def scaled_bounds(self):
        """As `bounds`, of scaled numbers; None where they cannot be told in these."""
        if self.scaler.needs_scale or self.scaler.mixes:
            return None
        with tf.init_scope():
            low, high = self.scaler.scaled_bounds(*self.bounds)
            return low.numpy(), high.numpy()

    def covariates(self, times=None, known=None, previous=None):
        """What the network is told about each position.

        Args:
            times: int64 tensor `(batch, time)`, seconds since 1970.
            known: Float tensor `(batch, time, known)`. A missing one counts as the mean.
            previous: int64 tensor `(batch,)`: the time before the first position; None takes it to
                be a step before.

        Returns:
            Float32 `(batch, time, covariate_width)`: sine and cosine of the phase in each period of
            the calendar, `log(1 + steps)` since the position before if they vary, and the scaled
            known covariates. None if the width is 0.

        Raises:
            InputError: If times or known covariates are needed and there are none.
        """
        parts = []
        if self.needs_times:
            if times is None:
                raise InputError("The model was trained on data with times: give times")
            times = sequence_arguments.seconds(times)
        for period in self.calendar:
            # float32 has no seconds of today's dates: what is left of them after whole periods is
            # taken in int64.
            phase = tf.cast(tf.math.floormod(times, period), tf.float32) * (2 * math.pi / period)
            parts += [tf.sin(phase), tf.cos(phase)]  # (batch, time)
        if self.irregular:
            parts.append(tf.math.log1p(self._passed(times, previous)))
        joined = [tf.stack(parts, axis=-1)] if parts else []
        if self.known_names:
            if known is None:
                names = ", ".join(self.known_names)
                raise InputError(f"The model needs covariates that are known beforehand: {names}")
            joined.append(_mean_for_missing(self.known_scaler.call(known)))
        return tf.concat(joined, axis=-1) if joined else None

    def _passed(self, times, previous):
        """Steps since the position before, float32 `(batch, time)`, 1 where there is none."""
        before = times[:, :1] if previous is None else sequence_arguments.seconds(previous)[:, None]
        before = tf.concat([before, times[:, :-1]], axis=1)
        if self._step is None:
            passed = tf.cast(tf.maximum(times - before, 0), tf.float32) / self.step
        else:
            passed = self._step.between(before, times)
            passed = tf.maximum(tf.cast(passed, tf.float32), 0.0)
        if previous is not None:
            return passed
        return tf.concat([tf.ones_like(passed[:, :1]), passed[:, 1:]], axis=1)

    @property
    def mean_step(self):
        """Mean seconds between two positions, which months and weekends do not change; or None."""
        return self.step if self._step is None else self._step.seconds

    def times_after(self, times, steps):
        """Returns the times so many steps after others.

        Args:
            times: int64 array or tensor, seconds since 1970.
            steps: The like, also below 0.

        Returns:
            The like, int64.
        """
        if self._step is None:
            return times + steps * self.step
        return self._step.after(times, steps)

    @property
    def needs_times(self):
        """Whether `covariates` needs times."""
        return bool(self.calendar) or self.irregular

    def statics(self, static):
        """Scaled static numbers `(batch, static)`; a missing one counts as the mean."""
        return _mean_for_missing(self.static_scaler.call(static))

    @classmethod
    def from_config(cls, config):
        return cls(**sequence_arguments.without_former(config))

    def get_config(self):
        config = {"name": self.name}
        for name in argument_names(SequenceProcessor):
            value = getattr(self, name)
            config[name] = list(value) if isinstance(value, tuple) else value
        config["features"] = [
            {**dataclasses.asdict(feature), "levels": list(feature.levels)}
            for feature in self.features
        ]
        for name in ("scaler", "known_scaler", "static_scaler"):
            config[name] = scaler_record(getattr(self, name))
        return config


def _type_of(scaler):
    """float64 if float32 cannot tell a thousandth of a column's standard deviation."""
    if not isinstance(scaler, StandardScaler):
        return np.float32
    steps = np.spacing(np.abs(np.array(scaler.mean, np.float32)))
    return np.float64 if (steps > np.array(scaler.std) / 1000).any() else np.float32


def _mean_for_missing(scaled):
    """The network's inputs hold no NaN: 0 is the mean of what a standard scaler gives."""
    return tf.where(tf.math.is_nan(scaled), 0.0, scaled)
