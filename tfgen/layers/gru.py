"""`GRU`: the Keras layer with a loop that trains fast on a CPU."""

import keras
import tensorflow as tf

from tfgen.layers.products import as_tensor, dense
from tfgen.layers.recurrent import FastRecurrent
from tfgen.layers.recurrent_kernels import gru_cell, gru_sequence


@keras.saving.register_keras_serializable(package="tfgen")
class GRU(FastRecurrent, keras.layers.GRU):
    """Gated recurrent unit, equal to `keras.layers.GRU` on the same weights.

    It takes the arguments of `keras.layers.GRU` and holds its weights under the same names, so
    weights move freely between the two. The input projection of the whole sequence is one matrix
    product, and the gradient is written by hand (see `tfgen.layers.recurrent_kernels`).

    Args:
        units: Number of units.
        **kwargs: Every other argument of `keras.layers.GRU`. A configuration that the fast loop
            does not compute (`reset_after=False`, other activations, `recurrent_dropout`,
            `unroll`) runs as in Keras.

    Example:

    >>> layer = GRU(4, return_sequences=True)
    >>> layer(tf.ones((2, 5, 3))).shape
    TensorShape([2, 5, 4])

    Source: Cho et al., arXiv:1406.1078, in the `reset_after` form of cuDNN.
    """

    def project(self, inputs):
        projected = dense(inputs, self.cell.kernel)
        # The second row of the bias belongs to the recurrent product.
        return (
            projected + as_tensor(self.cell.bias, inputs.dtype)[0] if self.use_bias else projected
        )

    def scan(self, projected, state, mask=None, recurrent_mask=None):
        kernel, bias = self.recurrent_weights(projected.dtype)
        outputs = gru_sequence(projected, *state, kernel, bias, mask, recurrent_mask)
        return outputs, [outputs[-1]]

    def recur(self, x, inner, state):
        return [gru_cell(x, inner, state[0])[0]]

    def stepper(self):
        kernel, bias = self.recurrent_weights(self.compute_dtype)

        def step(projected, state):
            h, _ = gru_cell(projected, tf.matmul(state[0], kernel) + bias, state[0])
            return h, [h]

        return step

    def recurrent_weights(self, dtype):
        kernel = as_tensor(self.cell.recurrent_kernel, dtype)
        if self.use_bias:
            return kernel, as_tensor(self.cell.bias, dtype)[1]
        return kernel, tf.zeros([3 * self.units], dtype)

    def _kernel_applies(self, training):
        return self.reset_after and super()._kernel_applies(training)
