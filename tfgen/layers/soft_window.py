"""`SoftWindow`: a recurrent layer that moves along a context, such as the text that it writes."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.arguments import constructor_config
from tfgen.layers.checks import MOST_PARTS, check_most, check_whole
from tfgen.layers.products import as_tensor, dense
from tfgen.layers.recurrent_kernels import weighed, window_shares, windowed_sequence

# Items that the Gaussians of a new window move on by at each position, from the slowest to the
# fastest: one of them is near to how many points a letter has, from which the others can learn.
_FIRST_STEPS = 0.02, 0.5


@keras.saving.register_keras_serializable(package="tfgen")
class SoftWindow(keras.layers.Layer):
    """The soft window of Graves (arXiv:1308.0850, section 5.1), around a recurrent layer.

    The layer's output says how far each of a few Gaussians over the items of the context moves on,
    never back, how wide it is and how much it counts. Their sum weighs the items, and what they
    give together is an input of the layer's next position, through a product of its own.

    Args:
        width: Features of an item, and of the recurrent layer's output.
        components: Gaussians.
        kernel_initializer: Keras initialiser of the products.
        **kwargs: `name`, `dtype` and the like.

    Raises:
        ValueError: For a number out of its range.
    """

    def __init__(self, width, components=10, kernel_initializer="glorot_uniform", **kwargs):
        check_whole(1, width=width, components=components)
        check_most(MOST_PARTS, components=components)
        super().__init__(**kwargs)
        self.width = width
        self.components = components
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def make_weights(self, gates):
        """Makes the weights, for a recurrent layer with inputs of so many `gates`."""

        def first(shape, dtype=None):
            low, high = (math.log(step) for step in _FIRST_STEPS)
            steps = np.linspace(low, high, self.components + 2)[1:-1]
            height = np.full(self.components, -math.log(self.components))
            return tf.constant(np.concatenate([height, np.zeros_like(height), steps]), dtype)

        shape = (self.width, 3 * self.components)
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel")
        self.bias = self.add_weight(shape[1:], first, name="bias")
        shape = (self.width, gates)
        self.feedback = self.add_weight(shape, self.kernel_initializer, name="feedback")
        self.built = True

    def initial_state(self, batch_size):
        """Before the first position: what the window shows, nothing; and where it is, at 0."""
        return [
            tf.zeros([batch_size, self.width], self.compute_dtype),
            tf.zeros([batch_size, self.components]),
        ]

    def scan(self, layer, projected, state, shown, context, mask=None, recurrent_mask=None):
        """Runs a recurrent layer and its window over a sequence, time-major.

        Args:
            layer: A `tfgen.layers.LSTM` or `GRU` as wide as the window.
            projected: As of the layer's `scan`.
            state: As there.
            shown: As of `initial_state`.
            context: Dict of `items` `(batch, items, width)` and `valid` bool `(batch, items)`.
            mask: As of the layer's `scan`.
            recurrent_mask: As there.

        Returns:
            `(outputs (time, batch, width), windows (time, batch, width), shares (time, batch,
            items), state, shown)`; the shares tell where the window is, and get no gradient.
        """
        dtype = projected.dtype
        weights = [
            *layer.recurrent_weights(dtype),
            *(as_tensor(each, dtype) for each in (self.feedback, self.kernel, self.bias)),
        ]
        items = tf.cast(context["items"], dtype)
        return windowed_sequence(
            layer.recur, projected, state, shown, weights, items, context["valid"], mask,
            recurrent_mask,
        )  # fmt: skip

    def stepper(self, layer):
        """A function `(projected, state, shown, context)` -> `(output, window, state, shown)` of
        one position; the rest as of `scan`."""
        step, dtype = layer.stepper(), self.compute_dtype
        feedback, kernel, bias = (
            as_tensor(each, dtype) for each in (self.feedback, self.kernel, self.bias)
        )

        def windowed(projected, state, shown, context):
            output, state = step(projected + tf.matmul(shown[0], feedback), state)
            shares, place = window_shares(dense(output, kernel, bias), shown[1], context["valid"])
            window = weighed(shares, tf.cast(context["items"], dtype))
            # As a loop wants it, whose state keeps its shape.
            window, place = (
                tf.ensure_shape(new, old.shape) for new, old in zip((window, place), shown)
            )
            return output, window, state, [window, place]

        return windowed

    def get_config(self):
        return {**super().get_config(), **constructor_config(self)}
