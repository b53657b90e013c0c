"""`PastAttention`: each position attends to a window of positions up to itself."""

import keras
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.products import as_tensor


@keras.saving.register_keras_serializable(package="tfgen")
class PastAttention(keras.layers.Layer):
    """Causal attention of recurrent outputs over the last `window` of them.

    Multiplicative attention with an attentional output, `tanh(W [h; context])` (Luong et al.,
    arXiv:1508.04025), over the model's own past instead of an encoder. The last `window` inputs
    are its state, so a sequence may be given in pieces of any length, down to one position.

    Args:
        window: Positions attended to, the present one included; at least 1.
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        inputs: Float `(batch, time, width)`.
        state: `[past, valid]`: float `(batch, window - 1, width)` and bool `(batch, window - 1)`,
            from `initial_state` or an earlier call.
        mask: Optional bool `(batch, time)` of right-padded sequences.

    Returns:
        `(outputs, state)`, outputs `(batch, time, width)`.

    Raises:
        ValueError: If `window` is no integer >= 1.
    """

    def __init__(self, window, seed=None, **kwargs):
        if not isinstance(window, int) or isinstance(window, bool) or window < 1:
            raise ValueError(f"window must be an integer >= 1. Received: window={window!r}")
        super().__init__(**kwargs)
        self.window = window
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        width = input_shape[-1]
        generator = keras.random.SeedGenerator(self.seed)

        def kernel(name, shape):
            initializer = keras.initializers.GlorotUniform(seed=generator)
            return self.add_weight(shape, initializer, name=name)

        self.score_kernel = kernel("score_kernel", (width, width))
        self.input_kernel = kernel("input_kernel", (width, width))
        self.context_kernel = kernel("context_kernel", (width, width))

    def initial_state(self, batch_size, width):
        past = self.window - 1
        return [
            tf.zeros([batch_size, past, width], self.compute_dtype),
            tf.zeros([batch_size, past], tf.bool),
        ]

    def call(self, inputs, state, mask=None):
        past, past_valid = state
        batch, time = tf.shape(inputs)[0], tf.shape(inputs)[1]
        valid = tf.ones([batch, time], tf.bool) if mask is None else mask
        keys = tf.concat([past, inputs], axis=1)  # (batch, window - 1 + time, width)
        keys_valid = tf.concat([past_valid, valid], axis=1)
        # Position n is key n + window - 1; it sees itself and the window - 1 keys before.
        age = tf.range(time)[:, None] + self.window - 1 - tf.range(tf.shape(keys)[1])[None]
        visible = (age >= 0) & (age < self.window)  # (time, keys)
        visible = visible[None] & keys_valid[:, None]  # (batch, time, keys)
        score_kernel = as_tensor(self.score_kernel, inputs.dtype)
        scores = tf.matmul(tf.matmul(inputs, score_kernel), keys, transpose_b=True)
        scores = tf.cast(scores, tf.float32) * inputs.shape[-1] ** -0.5
        # A padded position may see nothing: a large finite number keeps its softmax defined.
        weights = tf.nn.softmax(tf.where(visible, scores, -1e30), axis=-1)
        context = tf.matmul(tf.cast(weights, keys.dtype), keys)
        outputs = tf.tanh(
            tf.matmul(inputs, as_tensor(self.input_kernel, inputs.dtype))
            + tf.matmul(context, as_tensor(self.context_kernel, inputs.dtype))
        )
        # The last window - 1 valid keys of each row come next: padding stands at the end.
        length = tf.reduce_sum(tf.cast(valid, tf.int32), axis=1)
        last = length[:, None] + tf.range(self.window - 1)[None]
        return outputs, [
            tf.gather(keys, last, batch_dims=1),
            tf.gather(keys_valid, last, batch_dims=1),
        ]

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
