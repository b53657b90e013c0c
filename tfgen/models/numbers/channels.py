"""`ChannelEmission`: sequences of numbers as the channels that a diffusion model denoises."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_kind, check_of_use, is_number
from tfgen.layers.masses import HALF_LOG_2_PI
from tfgen.layers.normal_features import put
from tfgen.models.numbers.context import SequenceContext
from tfgen.models.numbers.recording import Recording
from tfgen.models.parts import made_of_parts
from tfgen.sampling import random

MOST_COMPANDED = 30.0  # 5e12 times `companding`
# Standard deviation of the logarithm of the radius that angles are given.
_RADIUS = 0.2
_WIDEST = 2.0  # radius
_FURTHEST = 3.0  # standard deviations of what lies beyond a bound


@keras.saving.register_keras_serializable(package="tfgen")
class ChannelEmission(keras.layers.Layer):
    """Scaled numbers as channels, and each category as one channel a level, -1 or 1.

    A circular column is two channels, sine and cosine. What was recorded in steps, at a bound or on a
    circle has no density: in training it is spread over what it stands for, and samples are
    recorded again, so that they are numbers of the data. The likelihood is a lower bound then, as
    of variational dequantisation (Ho et al., "Flow++", arXiv:1902.00275, section 3.1).

    Args:
        context: A `SequenceContext`; None is that of one unscaled number.
        companding: Above 0, scaled numbers (or the coefficients of frames) c are told as
            `asinh(c / companding)`: linear below it, logarithmic above. For what is loud here and
            quiet there, such as sound: noise of one level is then as loud as what it is on.
        beyond: Above 0, a value at a bound of the data stands for all beyond it: it is spread so
            far beyond, in scaled units, by the absolute value of a normal number; `ClipByValue`
            brings samples back, so that a bound comes as often as in the data.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range, or one that does not fit the data.
    """

    def __init__(self, context=None, companding=0.0, beyond=0.0, **kwargs):
        super().__init__(**kwargs)
        context = SequenceContext(dtype=self.dtype_policy) if context is None else context
        check_kind(SequenceContext, context=context)
        for name, value in {"companding": companding, "beyond": beyond}.items():
            nonnegative = is_number(value) and 0 <= value < math.inf
            check(nonnegative, f"{name} must be a number >= 0", **{name: value})
        self.context = context
        self.positions = positions = context.positions
        processor, frame = positions.processor, positions.frame
        rule = "frame must be 1 for series in diffusion models, which see whole windows"
        check(positions.patch == 1, rule, frame=frame)
        check_of_use(processor.num_numbers, "data with numbers", 0, companding=companding)
        fits = not (companding and (processor.circular or beyond))
        check(fits, "companding must be 0 with data.circular or beyond", companding=companding)
        plain = positions.frame == 1 and not processor.scaler.mixes
        bounded = plain and bool(np.isfinite(processor.bounds).any())
        check_of_use(bounded, "columns with bounds", 0, beyond=beyond)
        # Numbers, then the cosines of the circular ones, then levels as channels: 1 for the level
        # there is, -1 for the others.
        self.circular = processor.circular
        parts = [positions.numbers, len(self.circular), *processor.levels]
        self._offsets = np.cumsum(parts)
        self.channels = int(self._offsets[-1])
        turned = [processor.number_columns[number] for number in self.circular]
        columns = [*processor.number_columns, *turned, *processor.category_columns]
        widths = [positions.frame] * processor.num_numbers + [1] * len(turned)
        widths += list(processor.levels)
        self.feature_of_channel = np.repeat(np.array(columns, np.int32), widths)
        self.recording = Recording(positions)
        self.bounds = self.recording.bounds
        self.companding = companding
        self.beyond = beyond
        self.built = True

    @property
    def is_number(self):
        """bool `(channels,)`: which channels are of numbers."""
        return np.arange(self.channels) < self._offsets[1]

    def call(self, batch, key=None):
        """Clean channels float32 `(batch, time, channels)` and which of them were observed.

        Args:
            batch: As of `Positions`.
            key: int32 `(2,)`, by which what has no density is spread; None leaves it where it is.
        """
        processor, values = self.positions.processor, batch["values"]
        scale = batch["scale"][:, None] if processor.scaler.needs_scale else None
        numbers = processor.numbers(values)
        spread = numbers if key is None else self.recording.spread(numbers, key)
        scaled = self._scaled(spread, scale)
        if key is not None and self.beyond:
            low, high = processor.bounds
            away = self.beyond * tf.abs(self._normal(numbers, key))
            at_low, at_high = numbers <= low, numbers >= high
            ends = self._scaled(numbers, scale)
            scaled = tf.where(at_low, ends - away, tf.where(at_high, ends + away, scaled))
        parts, observed = [scaled], [~tf.math.is_nan(scaled)]
        if self.circular:
            angles = tf.gather(scaled, self.circular, axis=-1)
            radius = 1.0 if key is None else tf.exp(_RADIUS * self._radial(angles, key))
            parts = [put(scaled, self.circular, radius * tf.sin(angles)), radius * tf.cos(angles)]
            observed.append(~tf.math.is_nan(angles))
        categories = processor.categories(values)
        for index, levels in enumerate(processor.levels):
            chosen = categories[..., index]
            parts.append(2 * tf.one_hot(chosen, levels) - 1)
            observed.append(tf.repeat((chosen >= 0)[..., None], levels, axis=-1))
        observed = tf.concat(observed, axis=-1) & batch["valid"][..., None]
        return tf.where(observed, tf.concat(parts, axis=-1), 0.0), observed

    def _normal(self, numbers, key):
        return random.normal(random.fold(key, 1), tf.shape(numbers))

    def _radial(self, angles, key):
        return random.normal(random.fold(key, 2), tf.shape(angles))

    def values(self, channels, scale):
        """Values `(batch, positions, width)` in the data's units, and the share clipped."""
        processor = self.positions.processor
        numbers, cosines, *levels = np.split(np.arange(self.channels), self._offsets[:-1])
        scale = scale[:, None] if processor.scaler.needs_scale else None
        scaled = channels[..., : len(numbers)]
        if self.circular:
            sines = tf.gather(scaled, self.circular, axis=-1)
            angles = tf.atan2(sines, tf.gather(channels, cosines, axis=-1))
            scaled = put(scaled, self.circular, angles)
        unscaled = self._unscaled(scaled, scale)
        numbers, clipped = self.recording.held(unscaled)
        if self.positions.frame > 1:
            return numbers, clipped
        chosen = [tf.argmax(channels[..., one[0] : one[-1] + 1], -1, tf.int32) for one in levels]
        categories = tf.stack(chosen, axis=-1) if chosen else None
        return processor.join(numbers, categories), clipped

    def sequences(self, channels, scale, lengths, length):
        """What a function that samples returns, of channels: `values`, `lengths`, `clip_fraction`.

        Args:
            channels: float32 `(rows, positions, channels)`.
            scale: As of `SequenceContext`.
            lengths: int32 `(rows,)`, samples of each sequence; the others are missing.
            length: int32 scalar, the most.
        """
        positions = self.positions
        values, clipped = self.values(channels, scale)
        values = positions.restored(values)[:, :length]
        if positions.processor.ends:
            valid = tf.sequence_mask(positions.count(lengths), tf.shape(channels)[1])
            clipped = tf.where(valid, clipped, 0.0)
        total = tf.cast(tf.reduce_sum(positions.count(lengths)), tf.float32)
        valid = tf.sequence_mask(lengths, length)
        return {
            "values": tf.where(valid[..., None], values, positions.missing),
            "lengths": lengths,
            "clip_fraction": tf.math.divide_no_nan(tf.reduce_sum(clipped), total),
        }

    def nearer(self, channels):
        """Channels whose levels are as far as data may have them: `2 p - 1`, of their softmax p."""
        if not self.positions.processor.num_categories:
            return channels
        sizes = [int(self._offsets[1]), *self.positions.processor.levels]
        rest, *levels = tf.split(channels, sizes, axis=-1)
        return tf.concat([rest, *(2 * tf.nn.softmax(each) - 1 for each in levels)], axis=-1)

    def log_slope(self, numbers, scale, key):
        """What makes a log density of channels one of recorded numbers, `(..., numbers)`.

        The logarithm of d channel / d number; of what was spread by the key, its share in the
        lower bound: less the log density of how far it was spread.
        """
        processor = self.positions.processor
        slope = processor.log_slope(numbers, scale)
        if self.beyond:
            low, high = processor.bounds
            z = self._normal(numbers, key)
            # The density of |z| is twice that of z.
            nats = 0.5 * tf.square(z) + (HALF_LOG_2_PI + math.log(self.beyond / 2))
            slope = tf.where((numbers <= low) | (numbers >= high), nats, slope)
        if self.circular:
            # dx dy = r dr d(angle), and log r is normal.
            slopes = tf.gather(slope, self.circular, axis=-1)
            z = self._radial(slopes, key)
            nats = 2 * _RADIUS * z + 0.5 * tf.square(z) + (HALF_LOG_2_PI + math.log(_RADIUS))
            slope = put(slope, self.circular, slopes + nats)
        if not self.companding:
            return slope
        # d asinh(u) / du = 1 / sqrt(1 + u^2); frames are turned by an orthogonal matrix.
        scaled = self.positions.scaled(numbers, scale) / self.companding
        return slope - np.log(self.companding) - tf.math.log1p(tf.square(scaled)) / 2.0

    @property
    def limits(self):
        """Lowest and highest channels that data may have, float32 `(2, channels)`."""
        limits = np.ones([2, self.channels], np.float32) * [[-1], [1]]  # levels
        count = self._offsets[0]
        limits[:, :count] *= np.inf
        own = None
        if self.positions.frame == 1 and count:
            own = self.positions.processor.scaled_bounds()
        if own is not None and self.beyond:
            own = own[0] - _FURTHEST * self.beyond, own[1] + _FURTHEST * self.beyond
        if own is not None:
            if self.companding:
                own = np.arcsinh(np.divide(own, self.companding))
            limits[:, :count] = own
        turned = [*self.circular, *range(count, self._offsets[1])]
        limits[:, turned] = [[-_WIDEST], [_WIDEST]]
        return limits.astype(np.float32)

    def _scaled(self, numbers, scale):
        scaled = self.positions.scaled(numbers, scale)
        return tf.asinh(scaled / self.companding) if self.companding else scaled

    def _unscaled(self, scaled, scale):
        if self.companding:
            # No further than data may be: sinh leaves float32 at 89.
            scaled = tf.sinh(tf.clip_by_value(scaled, -MOST_COMPANDED, MOST_COMPANDED))
            scaled *= self.companding
        return self.positions.unscaled(scaled, scale)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}

    from_config = made_of_parts
