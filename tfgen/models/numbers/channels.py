"""`ChannelEmission`: sequences of numbers as the channels that a diffusion model denoises."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_kind, check_of_use, is_number
from tfgen.models.numbers.context import SequenceContext
from tfgen.models.numbers.recording import Recording
from tfgen.models.parts import made_of_parts

MOST_COMPANDED = 30.0  # 5e12 times `companding`


@keras.saving.register_keras_serializable(package="tfgen")
class ChannelEmission(keras.layers.Layer):
    """Scaled numbers as channels, and each category as one channel a level, -1 or 1.

    Args:
        context: A `SequenceContext`; None is that of one unscaled number.
        companding: Above 0, scaled numbers (or the coefficients of frames) c are told as
            `asinh(c / companding)`: linear below it, logarithmic above. For what is loud here and
            quiet there, such as sound: noise of one level is then as loud as what it is on.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range, or one that does not fit the data.
    """

    def __init__(self, context=None, companding=0.0, **kwargs):
        super().__init__(**kwargs)
        context = SequenceContext(dtype=self.dtype_policy) if context is None else context
        check_kind(SequenceContext, context=context)
        nonnegative = is_number(companding) and 0 <= companding < math.inf
        check(nonnegative, "companding must be a number >= 0", companding=companding)
        self.context = context
        self.positions = positions = context.positions
        processor = positions.processor
        check_of_use(processor.num_numbers, "data with numbers", 0, companding=companding)
        # Levels as channels: 1 for the level there is, -1 for the others.
        self._offsets = np.cumsum([positions.numbers, *processor.levels])
        self.channels = int(self._offsets[-1])
        columns = np.array([*processor.number_columns, *processor.category_columns], np.int32)
        widths = [positions.frame] * processor.num_numbers + list(processor.levels)
        self.feature_of_channel = np.repeat(columns, widths)
        self.recording = Recording(positions)
        self.bounds = self.recording.bounds
        self.companding = companding
        self.built = True

    @property
    def is_number(self):
        """bool `(channels,)`: which channels are of numbers."""
        return np.arange(self.channels) < self._offsets[0]

    def call(self, batch, key=None):
        """Clean channels float32 `(batch, time, channels)` and which of them were observed.

        Args:
            batch: As of `Positions`.
            key: int32 `(2,)`: numbers that were recorded in steps are spread over their steps by it,
                so that there is a density to learn (arXiv:1511.01844, section 3.1); None leaves
                them where they are.
        """
        processor, values = self.positions.processor, batch["values"]
        scale = batch["scale"][:, None] if processor.scaler.needs_scale else None
        numbers = processor.numbers(values)
        if key is not None:
            numbers = self.recording.spread(numbers, key)
        scaled = self._scaled(numbers, scale)
        parts, observed = [scaled], [~tf.math.is_nan(scaled)]
        categories = processor.categories(values)
        for index, levels in enumerate(processor.levels):
            chosen = categories[..., index]
            parts.append(2 * tf.one_hot(chosen, levels) - 1)
            observed.append(tf.repeat((chosen >= 0)[..., None], levels, axis=-1))
        observed = tf.concat(observed, axis=-1) & batch["valid"][..., None]
        return tf.where(observed, tf.concat(parts, axis=-1), 0.0), observed

    def values(self, channels, scale):
        """Values `(batch, positions, width)` in the data's units, and the share clipped."""
        processor = self.positions.processor
        numbers, *levels = np.split(np.arange(self.channels), self._offsets[:-1])
        scale = scale[:, None] if processor.scaler.needs_scale else None
        unscaled = self._unscaled(channels[..., : len(numbers)], scale)
        numbers, clipped = self.recording.held(unscaled)
        if self.positions.frame > 1:
            return numbers, clipped
        chosen = [tf.argmax(channels[..., one[0] : one[-1] + 1], -1, tf.int32) for one in levels]
        categories = tf.stack(chosen, axis=-1) if chosen else None
        return processor.join(numbers, categories), clipped

    def log_slope(self, numbers, scale):
        """Logarithm of d channel / d number `(..., numbers)`."""
        slope = self.positions.processor.log_slope(numbers, scale)
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
        if own is not None:
            if self.companding:
                own = np.arcsinh(np.divide(own, self.companding))
            limits[:, :count] = own
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
