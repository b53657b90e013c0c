"""`AlibiBias`: attention that fades with the distance."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import check_whole


@keras.saving.register_keras_serializable(package="tfgen")
class AlibiBias(keras.layers.Layer):
    """What each head takes off its attention scores for every position of distance. No weights.

    Reference: Press et al., "Train short, test long" (arXiv:2108.12409), section 3: the slopes of
    `n` heads are `2**(-8/n), 2**(-16/n), ...`; where `n` is no power of two, those of the power
    below and, between them, every other one of the power above.

    Args:
        heads: Number of heads.
        **kwargs: `name`, `dtype` and the like.

    Call arguments:
        queries: int32 `(batch, time)`, positions of the queries.
        keys: int32 `(batch, slots)`, positions of the keys.

    Returns:
        float32 `(batch, heads, time, slots)`, 0 or negative where a key is not after its query.

    Raises:
        ValueError: If `heads` is no integer >= 1.
    """

    def __init__(self, heads, **kwargs):
        check_whole(1, heads=heads)
        super().__init__(**kwargs)
        self.heads = heads

    @property
    def slopes(self):
        """NumPy float32 `(heads,)`."""
        power = 2 ** int(np.floor(np.log2(self.heads)))
        slopes = 2.0 ** (-8.0 * np.arange(1, power + 1) / power)
        between = 2.0 ** (-4.0 * np.arange(1, 2 * power + 1, 2) / power)
        return np.concatenate([slopes, between])[: self.heads].astype(np.float32)

    def call(self, queries, keys):
        distance = queries[:, :, None] - keys[:, None, :]  # (batch, time, slots)
        return -tf.cast(distance, tf.float32)[:, None] * self.slopes[:, None, None]

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
