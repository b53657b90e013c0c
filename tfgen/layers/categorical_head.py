"""`CategoricalHead`: categories beside the numbers, such as whether a pen is down."""

import keras
import numpy as np
import tensorflow as tf

from tfgen.layers.checks import check, is_int
from tfgen.layers.distribution_head import DistributionHead, draw

# Categories of as many levels each, from so many on, are told in one go.
_MANY = 8


@keras.saving.register_keras_serializable(package="tfgen")
class CategoricalHead(DistributionHead):
    """A softmax over the levels of each of several categories, which are independent.

    The call gives `logits` `(..., sum of levels)`, one category after the other.

    Args:
        levels: List of the number of levels of each category.
        kernel_initializer: As of `DistributionHead`.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(self, levels, kernel_initializer=None, **kwargs):
        right = isinstance(levels, (list, tuple)) and len(levels) > 0
        right = right and all(is_int(number) and number >= 1 for number in levels)
        check(right, "levels must be a list of integers >= 1", levels=levels)
        super().__init__(len(levels), kernel_initializer, **kwargs)
        self.levels = list(levels)

    def starts(self):
        return {"logits": np.zeros(sum(self.levels))}

    @property
    def has_categories(self):
        return True

    @property
    def uniforms(self):
        return len(self.levels)

    def log_prob(self, parameters, categories, observed=None):
        """The log probability of categories.

        Args:
            parameters: What a call gave.
            categories: int32 `(..., categories)`, numbers of levels. One below 0 is missing.
            observed: bool `(..., categories)`: False where one is not to count, whatever it is.

        Returns:
            float32 `(...)`, in nats; 0 where there is none observed.
        """
        there = categories >= 0
        if observed is not None:
            there = there & observed
        categories = tf.where(there, categories, 0)
        if self._alike:
            nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=categories, logits=self._by_category(parameters)
            )
            return -tf.reduce_sum(tf.where(there, nats, 0.0), axis=-1)
        total = 0.0
        for index, logits in enumerate(self._each(parameters)):
            nats = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=categories[..., index], logits=logits
            )
            total -= tf.where(there[..., index], nats, 0.0)
        return total

    def sample(self, parameters, uniform, normal, temperature=1.0, bias=0.0):
        """Draws levels, int32 `(rows, categories)`: see `DistributionHead.sample`.

        The bias does nothing here, as in Graves' equations: sharpened, a rare level, such as the
        end of a stroke, would hardly come any more.
        """
        if self._alike:
            return draw(self._by_category(parameters), uniform, temperature)
        drawn = [
            draw(logits, uniform[:, index], temperature)
            for index, logits in enumerate(self._each(parameters))
        ]
        return tf.stack(drawn, axis=-1)

    def _each(self, parameters):
        return tf.split(parameters["logits"], self.levels, axis=-1)

    @property
    def _alike(self):
        return len(self.levels) >= _MANY and len(set(self.levels)) == 1

    def _by_category(self, parameters):
        """The logits `(..., categories, levels)` of categories of as many levels each."""
        logits = parameters["logits"]
        shape = [len(self.levels), self.levels[0]]
        return tf.reshape(logits, tf.concat([tf.shape(logits)[:-1], shape], axis=0))
