"""`AdditiveAttention`: recurrent outputs attend to an encoded context."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_whole, check_width
from tfgen.layers.initializers import in_parts
from tfgen.layers.products import as_tensor, dense


@keras.saving.register_keras_serializable(package="tfgen")
class AdditiveAttention(keras.layers.Layer):
    """What a position attends to of a context, added to it (Bahdanau et al., arXiv:1409.0473).

    The score of an item `h` for a position `s` is `v tanh(W s + U h)`, and what is added is a
    product of the items' mean by the softmax of these. What of it is the same at every position
    `read` makes once.

    Args:
        width: Features of a position, of an item, and inside.
        kernel_initializer: Keras initialiser of the products.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, width)`.
        context: Float `(batch, items, width)`, or what `read` made of it.
        valid: bool `(batch, items)`: which items there are; None is all.
        attended: As of `CrossAttention`, of one head.

    Returns:
        Float `(batch, time, width)`.

    Raises:
        ValueError: Unless `width` is an integer >= 1.
    """

    def __init__(self, width, kernel_initializer="glorot_uniform", **kwargs):
        check_whole(1, width=width)
        super().__init__(**kwargs)
        self.width = width
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape=None):
        check_width(self.width, input_shape)
        names = ("query", "key", "value")
        kernels = in_parts(self.kernel_initializer, [self.width] * 3, 1)
        for name, kernel in zip(names, kernels, strict=True):
            shape = (self.width, self.width)
            setattr(self, f"{name}_kernel", self.add_weight(shape, kernel, name=f"{name}_kernel"))
        self.key_bias = self.add_weight((self.width,), "zeros", name="key_bias")
        uniform = keras.initializers.Constant(self.width**-0.5)
        self.score = self.add_weight((self.width,), uniform, name="score")

    def read(self, context):
        """Keys and values `(batch, items, width)` of a context `(batch, items, width)`."""
        return dense(context, self.key_kernel, self.key_bias), dense(context, self.value_kernel)

    def call(self, inputs, context, valid=None, attended=None):
        keys, values = context if isinstance(context, (tuple, list)) else self.read(context)
        queries = dense(inputs, self.query_kernel)
        hidden = tf.tanh(queries[:, :, None] + keys[:, None])  # (batch, time, items, width)
        score = as_tensor(self.score, hidden.dtype)
        scores = tf.cast(tf.reduce_sum(hidden * score, axis=-1), tf.float32)
        if valid is not None:
            # Where there is no item, a large finite number keeps the softmax defined.
            scores = tf.where(valid[:, None], scores, -1e30)
        shares = tf.nn.softmax(scores)
        if attended is not None:
            attended(shares)
        return inputs + tf.matmul(tf.cast(shares, values.dtype), values)

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
