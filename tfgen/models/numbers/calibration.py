"""`Calibration`: forecasts whose intervals hold the share that they promise, learned from origins."""

import dataclasses
import json

import numpy as np
import tensorflow as tf

from tfgen.data.archives import load_npz
from tfgen.data.readers import Unreadable
from tfgen.errors import InputError
from tfgen.export import Function
from tfgen.files import atomic_file
from tfgen.models.numbers.results import summary_of

# Levels of the quantiles that are moved; what lies between is moved in proportion, what lies
# beyond as the outermost.
LEVELS = np.array([0.01, 0.025, *np.arange(1, 20) / 20, 0.975, 0.99], np.float32)
FEWEST = 20  # forecasts to learn from
_SPREAD = (0.1, 0.9)


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """How far each quantile of a forecast is moved, by column and step ahead.

    Split conformal calibration of quantiles, each side by itself (Romano et al., "Conformalized
    Quantile Regression", arXiv:1905.03222, Theorem 2): the quantile of level p is moved by the
    quantile p of how far the truth lay above it in n forecasts of other data, the one of rank
    ceil((n + 1) p) above the median and floor((n + 1) p) below. Distances are relative to a
    forecast's own spread plus the usual one, so that a forecast that is sure of itself is moved
    less. Samples are moved as the quantiles that they are, in their order (Chernozhukov et al.,
    arXiv:0704.3649), and brought back to the bounds and steps of their column: paths, quantiles
    and means agree. Categories and circular columns stay as they are.

    Attributes:
        offsets: float32 `(levels, horizon, features)`, in units of the spreads.
        typical: float32 `(horizon, features)`: the usual spread, from the quantile 0.1 to 0.9; of
            data with a scale for each series in units of that.
        facts: Dict that JSON can hold: what it was learned from.
    """

    offsets: np.ndarray
    typical: np.ndarray
    facts: dict = dataclasses.field(default_factory=dict)

    @property
    def horizon(self):
        """Steps ahead that it was learned from."""
        return len(self.typical)

    @property
    def longest(self):
        """Steps ahead that can be calibrated: any, where all are moved alike."""
        return np.inf if self.facts.get("pooled") else self.horizon

    @classmethod
    def fit(cls, samples, observed, moved, scale=None, facts=None, pooled=False):
        """Learns from forecasts whose truth is known.

        Args:
            samples: Float array `(forecasts, samples, horizon, features)`.
            observed: Float array `(forecasts, horizon, features)`; NaN is missing.
            moved: bool `(features,)`: which columns are numbers, to be moved.
            scale: Float array `(forecasts, features)`: the scale of each series; None is 1.
            facts: See `Calibration`.
            pooled: Whether all steps ahead are moved by the same shares of their spreads, which
                fewer forecasts tell.

        Raises:
            InputError: For fewer than 20 forecasts; pooled, of fewer than 20 positions in all.
        """
        count = len(samples) * (samples.shape[2] if pooled else 1)
        if count < FEWEST:
            raise InputError(
                f"A calibration needs at least {FEWEST} forecasts of held-out data to learn from: "
                f"hold out more, or shorten horizon. Received: {len(samples)} forecasts"
            )
        ordered = np.sort(np.asarray(samples, np.float64), axis=1)
        observed = np.where(moved, np.asarray(observed, np.float64), np.nan)
        scale = np.ones(observed.shape[::2]) if scale is None else np.asarray(scale, np.float64)
        low, high = (_quantile(ordered, level) for level in _SPREAD)
        spread, error = high - low, np.abs(observed - _quantile(ordered, 0.5))
        typical = np.mean(spread / scale[:, None], axis=0)
        count = np.sum(~np.isnan(observed), axis=0)
        usual = np.nansum(error / scale[:, None], axis=0) / np.maximum(count, 1)
        # A forecast that is always sure of itself has the usual error for a spread.
        typical = np.where(typical > 0, typical, np.where(usual > 0, usual, 1.0))
        unit = spread + typical * scale[:, None]
        if pooled:
            count = np.sum(count, axis=0, keepdims=True)
        offsets = []
        for level in LEVELS.astype(np.float64):
            above = (observed - _quantile(ordered, level)) / unit
            if pooled:
                above = above.reshape(-1, 1, above.shape[-1])
            above = np.sort(above, axis=0)  # NaN last
            rank = (count + 1) * round(level, 6)
            lower, upper = np.floor(rank + 1e-9), np.ceil(rank - 1e-9)
            if level > 0.5:
                lower = upper
            elif level < 0.5:
                upper = lower
            ranks = [np.clip(each, 1, np.maximum(count, 1)).astype(int) for each in (lower, upper)]
            found = [np.take_along_axis(above, each[None] - 1, axis=0)[0] for each in ranks]
            offsets.append(np.where(count > 0, np.mean(found, axis=0), 0.0))
        offsets = np.broadcast_to(offsets, [len(LEVELS), *typical.shape])
        facts = {**(facts or {}), **({"pooled": True} if pooled else {})}
        return cls(np.float32(offsets), np.float32(typical), facts)

    def moved(self, samples, scale=None):
        """Samples as they are moved, float tensor `(batch, samples, horizon, features)`.

        Args:
            samples: Those of a forecast.
            scale: float32 `(batch, features)`: the scale of each series; None is 1.
        """
        samples = tf.transpose(samples, [0, 2, 3, 1])
        order = tf.argsort(samples, axis=-1, stable=True)
        ordered = tf.gather(samples, order, batch_dims=3)
        count, horizon = tf.shape(samples)[3], tf.shape(samples)[1]
        steps = tf.range(horizon)
        if self.longest == self.horizon:
            bad = f"A calibration is of {self.horizon} steps ahead"
            right = tf.debugging.assert_less_equal(horizon, self.horizon, bad)
            with tf.control_dependencies([right]):
                steps = tf.identity(steps)
        # Beyond what it was learned from, the last spread is the usual one.
        steps = tf.minimum(steps, self.horizon - 1)
        last = tf.maximum(count - 1, 1)
        place = tf.cast(tf.range(count), tf.float32) / tf.cast(last, tf.float32)
        place = tf.where(count > 1, place, 0.5)
        below = tf.searchsorted(LEVELS, place, side="right") - 1
        below = tf.clip_by_value(below, 0, len(LEVELS) - 2)
        left, right = tf.gather(LEVELS, below), tf.gather(LEVELS, below + 1)
        share = tf.clip_by_value((place - left) / (right - left), 0.0, 1.0)
        offsets = np.transpose(self.offsets, [1, 2, 0])  # (horizon, features, levels)
        offsets = tf.gather(tf.constant(offsets), steps)
        lower, upper = tf.gather(offsets, below, axis=-1), tf.gather(offsets, below + 1, axis=-1)
        offsets = tf.cast(lower + share * (upper - lower), samples.dtype)
        low, high = (_quantile_of(ordered, level) for level in _SPREAD)
        typical = tf.gather(tf.constant(self.typical), steps)
        typical = typical[None] if scale is None else typical[None] * scale[:, None]
        unit = high - low + tf.cast(typical, samples.dtype)
        # In their order again, where quantiles have passed each other.
        ordered = tf.sort(ordered + offsets * unit[..., None], axis=-1)
        result = tf.gather(ordered, tf.argsort(order, axis=-1), batch_dims=3)
        return tf.transpose(result, [0, 3, 1, 2])

    def save(self, path):
        """Writes it as an NPZ file."""
        with atomic_file(path) as temporary, open(temporary, "wb") as file:
            facts = np.array(json.dumps(self.facts, allow_nan=False))
            np.savez_compressed(file, offsets=self.offsets, typical=self.typical, facts=facts)

    @classmethod
    def load(cls, path, num_features):
        """Reads what `save` wrote for data of so many columns.

        Raises:
            InputError: For another file.
        """
        try:
            arrays = load_npz(path)
            facts = json.loads(str(arrays["facts"]))
        except (Unreadable, KeyError, ValueError, RecursionError) as error:
            line = (str(error).splitlines() or [""])[0]
            raise InputError(f"{path} is no calibration: {line:.300}") from error
        offsets, typical = arrays.get("offsets"), arrays.get("typical")
        good = isinstance(facts, dict) and all(
            each is not None and each.dtype == np.float32 and np.isfinite(each).all()
            for each in (offsets, typical)
        )
        good = good and typical.ndim == 2 and len(typical) and typical.shape[1] == num_features
        if not good or offsets.shape != (len(LEVELS), *typical.shape) or (typical <= 0).any():
            raise InputError(
                f"{path} is no calibration of a model of {num_features} columns: its arrays must be "
                f"finite float32 offsets ({len(LEVELS)}, horizon, {num_features}) and typical "
                f"(horizon, {num_features}) above 0"
            )
        return cls(offsets, typical, facts)


def check_calibrated(model, horizon, options):
    """Refuses a calibrated forecast that a model cannot make."""
    calibration = model.calibration
    if calibration is None:
        raise InputError(
            "This model has no calibration, or was opened with other arguments than it was "
            "calibrated with: tfgen calibrate RUN --data FILE makes one. Received: calibrated=True"
        )
    if horizon > calibration.longest:
        raise InputError(
            f"This model's calibration is of {calibration.horizon} steps ahead: calibrate it with a "
            f"longer horizon. Received: horizon={horizon}"
        )
    for name, value in options.items():
        if value is not None and name != "progress":
            raise InputError(
                f"A calibration is of what the model samples by its defaults: leave {name} out. "
                f"Received: {name}={value!r}"
            )


def calibrated_result(model, arguments, result):
    """What a forecast tells of its samples as the model's calibration moves them.

    Args:
        model: A `NumbersModel` with a `calibration`.
        arguments: Tensors as of `Positions.forecast_specs`.
        result: What the engine's forecast is of them.
    """
    scale = model.engine.positions.series(arguments).get("scale")
    if scale is not None:
        scale = scale_of_features(model.processor, scale)
    moved = model.calibration.moved(result["samples"], scale)
    moved = recorded(model.engine, moved)
    return summary_of(moved, arguments["quantiles"], model.processor)


def scale_of_features(processor, scale):
    """The scale `(batch, features)` of all columns, of that of numbers; of a category 1."""
    columns = [*processor.number_columns, *processor.category_columns]
    ones = tf.ones([tf.shape(scale)[0], processor.num_categories])
    return tf.gather(tf.concat([scale, ones], axis=-1), np.argsort(columns), axis=-1)


def recorded(engine, values):
    """Values `(..., features)` in the data's units, held as the engine holds what it draws."""
    processor, recording = engine.processor, engine.emission.recording
    numbers, _ = recording.recorded(processor.numbers(processor.counted(values)))
    return processor.restored(processor.join(numbers, processor.categories(values)))


def calibrated_function(model, forecast):
    """The `Function` of calibrated forecasts, beside that of forecasts."""

    @tf.function(input_signature=[forecast.specs], autograph=False)
    def call(arguments):
        return calibrated_result(model, arguments, forecast.call(arguments))

    return Function("forecast_calibrated", call, forecast.specs)


def _quantile(ordered, level):
    """A quantile of ordered samples along axis 1, between two interpolated as NumPy's default."""
    place = level * (ordered.shape[1] - 1)
    below = min(int(place), max(ordered.shape[1] - 2, 0))
    above = min(below + 1, ordered.shape[1] - 1)
    return ordered[:, below] + (place - below) * (ordered[:, above] - ordered[:, below])


def _quantile_of(ordered, level):
    """The same of a tensor along its last axis."""
    count = tf.shape(ordered)[-1]
    place = level * tf.cast(count - 1, tf.float32)
    below = tf.cast(place, tf.int32)
    share = tf.cast(place - tf.cast(below, tf.float32), ordered.dtype)
    lower = tf.gather(ordered, below, axis=-1)
    return lower + share * (tf.gather(ordered, tf.minimum(below + 1, count - 1), axis=-1) - lower)
