"""`ConditionEncoder`: classes or vectors as the context of a cross-attention."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check, check_whole
from tfgen.layers.initializers import in_parts
from tfgen.layers.products import as_tensor, dense


@keras.saving.register_keras_serializable(package="tfgen")
class ConditionEncoder(keras.layers.Layer):
    """Turns what a sample is conditioned on into a sequence of vectors.

    A class is looked up in a table, a sequence of vectors is projected. Either has a learned vector
    that stands for "no condition", which classifier-free guidance needs (arXiv:2207.12598).

    Args:
        width: Features of the vectors made.
        num_classes: Number of classes, or None for vectors.
        condition_width: Features of the vectors given, or None for classes.
        embeddings_initializer: Keras initialiser of the weights.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        condition: int32 `(batch,)` classes or float `(batch, items, condition_width)`.
        hidden: bool `(batch,)`: which samples are to know nothing of their condition; None is none.

    Returns:
        Float `(batch, items, width)`, one item for a class.

    Raises:
        ValueError: Unless exactly one of `num_classes` and `condition_width` is given, and for a
            size that is no integer >= 1.
    """

    def __init__(
        self,
        width,
        num_classes=None,
        condition_width=None,
        embeddings_initializer="glorot_uniform",
        **kwargs,
    ):
        check_whole(1, width=width)
        check(
            (num_classes is None) != (condition_width is None),
            "num_classes must be given if condition_width is not, and only then",
            num_classes=num_classes,
        )
        for name, value in {"num_classes": num_classes, "condition_width": condition_width}.items():
            if value is not None:
                check_whole(1, **{name: value})
        super().__init__(**kwargs)
        self.width = width
        self.num_classes = num_classes
        self.condition_width = condition_width
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape=None):
        rows = self.num_classes or self.condition_width
        kernel, nothing = in_parts(self.embeddings_initializer, [rows, 1], 0)
        self.kernel = self.add_weight((rows, self.width), kernel, name="kernel")
        self.nothing = self.add_weight((1, self.width), nothing, name="nothing")

    def call(self, condition, hidden=None):
        if self.num_classes:
            table = as_tensor(self.kernel, self.compute_dtype)
            vectors = tf.gather(table, condition)[:, None]  # (batch, 1, width)
        else:
            vectors = dense(tf.cast(condition, self.compute_dtype), self.kernel)
        if hidden is None:
            return vectors
        nothing = as_tensor(self.nothing, self.compute_dtype)
        return tf.where(hidden[:, None, None], nothing, vectors)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
