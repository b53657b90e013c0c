"""`Places`: how far positions are from the beginning of their sequence, and from its end."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import MOST_PARTS, check, check_kind, check_most, check_whole
from tfgen.layers.sinusoidal_embedding import SinusoidalEmbedding
from tfgen.models.parts import made_of_parts
from tfgen.preprocessing import SequenceProcessor


@keras.saving.register_keras_serializable(package="tfgen")
class Places:
    """Waves of how far each position is from the beginning, and of whole things from the end.

    Convolutions alone do not know where they are. A series has no end of its own.

    Args:
        positions: Features, an even number, of how far each position is from the beginning; of
            drawings and clips, as many again of how far from their end.
        processor: A fitted `SequenceProcessor`; None is one unscaled number.

    Attributes:
        width: Features of a position.

    Raises:
        ValueError: For an odd number, or one out of range.
    """

    def __init__(self, positions=16, processor=None):
        processor = SequenceProcessor.plain() if processor is None else processor
        check_kind(SequenceProcessor, processor=processor)
        check_whole(2, positions=positions)
        check_most(MOST_PARTS, positions=positions)
        check(positions % 2 == 0, "positions must be even", positions=positions)
        self.waves = SinusoidalEmbedding(positions, base=1000.0, dtype="float32")
        self.positions = positions
        self.processor = processor
        self.width = positions * (2 if processor.ends else 1)

    def __call__(self, valid, batch):
        """float32 `(rows, time, width)`.

        Args:
            valid: bool `(rows, time)`.
            batch: Dict that may hold `first` bool `(rows,)`, whether the windows begin with their
                things, and `last` bool `(rows, time)`, where these end; a window that does not hold
                an end is not told how far it is.
        """
        after = tf.cumsum(tf.ones_like(valid, tf.int32), axis=1, exclusive=True)
        first = self.waves(after)
        if not self.processor.ends:
            return first
        before = tf.reduce_sum(tf.cast(valid, tf.int32), axis=1, keepdims=True) - 1 - after
        last = self.waves(tf.maximum(before, 0))
        if "first" in batch:
            first *= tf.cast(batch["first"], tf.float32)[:, None, None]
        if "last" in batch:
            ends = tf.reduce_any(batch["last"], axis=1)
            last *= tf.cast(ends, tf.float32)[:, None, None]
        return tf.concat([first, last], axis=-1)

    def get_config(self):
        return constructor_config(self)

    from_config = made_of_parts
