"""What reads a source: the bytes of a text, or the positions of a sequence of numbers."""

import keras
import tensorflow as tf

from tfgen.layers.products import as_tensor, look_up
from tfgen.preprocessing import ByteTokenizer
from tfgen.preprocessing.scaler import as_float

# Sources are read as the bytes of their UTF-8: any text, with no vocabulary to find.
BYTES = 256


class ByteReader:
    """Reads texts, each as the bytes of its UTF-8.

    Attributes:
        specs: The tensors of a function that takes sources.
    """

    specs = {"source": tf.TensorSpec([None], tf.string)}

    def make_layer(self, units, initializer, dtype):
        """The layer that makes vectors of items, of so many features."""
        return keras.layers.Embedding(BYTES, units, initializer, name="embedding", dtype=dtype)

    def build(self, layer):
        layer.build((None, None))

    def read(self, given):
        """`(source (batch, items), lengths)`, of the tensors of `specs`."""
        return ByteTokenizer().tokenize(given["source"])

    def empty(self, batch):
        """Sources without an item; there is room for one."""
        return tf.zeros([batch, 1], tf.int32)

    def vectors(self, layer, source):
        """`(batch, items, units)` of int32 `(batch, items)`."""
        return look_up(as_tensor(layer.embeddings, layer.compute_dtype), source)


class NumberReader:
    """Reads sequences of numbers as their scaled features, categories as one number a level.

    A missing value counts as the mean; where the training data had any, a further number a feature
    tells that it is.

    Args:
        processor: A fitted `tfgen.preprocessing.SequenceProcessor`.

    Attributes:
        specs: As of `ByteReader`.
        width: Features of a position.
    """

    def __init__(self, processor):
        self.processor = processor
        self.width = processor.num_numbers * (1 + processor.has_missing) + sum(processor.levels)
        values = tf.TensorSpec([None, None, processor.num_features], processor.value_type)
        self.specs = {"source": values, "source_lengths": tf.TensorSpec([None], tf.int32)}

    def make_layer(self, units, initializer, dtype):
        return keras.layers.Dense(
            units, kernel_initializer=initializer, name="embedding", dtype=dtype
        )

    def build(self, layer):
        layer.build((None, None, self.width))

    def read(self, given):
        return given["source"], given["source_lengths"]

    def empty(self, batch):
        return tf.zeros([batch, 1, self.processor.num_features], self.processor.value_type)

    def features(self, source):
        """Float32 `(batch, items, width)` of values in the data's units."""
        processor = self.processor
        source = processor.counted(source)
        numbers = as_float(processor.scale_numbers(processor.numbers(source)))
        missing = tf.math.is_nan(numbers)
        parts = [tf.where(missing, 0.0, numbers)]
        if processor.has_missing:
            parts.append(tf.cast(missing, tf.float32))
        if processor.num_categories:
            levels = processor.categories(source)  # -1 is no level
            parts += [
                tf.one_hot(levels[..., column], count)
                for column, count in enumerate(processor.levels)
            ]
        return tf.concat(parts, axis=-1)

    def vectors(self, layer, source):
        return layer(tf.cast(self.features(source), layer.compute_dtype))
