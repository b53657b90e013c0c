"""`PositionEmbedding`: a learned vector for each position."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_whole
from tfgen.layers.products import as_tensor


@keras.saving.register_keras_serializable(package="tfgen")
class PositionEmbedding(keras.layers.Layer):
    """A table with a learned vector for each position, as in GPT-2.

    Args:
        max_length: Number of positions; later ones get the last position's vector.
        width: Length of a vector.
        embeddings_initializer: Keras initialiser of the table.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        positions: int32 `(batch, time)`.

    Returns:
        Float `(batch, time, width)`.

    Raises:
        ValueError: If a size is no integer >= 1.
    """

    def __init__(self, max_length, width, embeddings_initializer="uniform", **kwargs):
        check_whole(1, max_length=max_length, width=width)
        super().__init__(**kwargs)
        self.max_length = max_length
        self.width = width
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape=None):
        self.embeddings = self.add_weight(
            (self.max_length, self.width), self.embeddings_initializer, name="embeddings"
        )

    def call(self, positions):
        table = as_tensor(self.embeddings, self.compute_dtype)
        # A gather: a slice by a tensor would be compiled anew for every position.
        return tf.gather(table, tf.clip_by_value(positions, 0, self.max_length - 1))

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.width)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
