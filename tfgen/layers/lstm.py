"""`LSTM`: the Keras layer with a loop that trains fast on a CPU."""

import keras
import tensorflow as tf

from tfgen.layers.products import as_tensor, dense
from tfgen.layers.recurrent import FastRecurrent
from tfgen.layers.recurrent_kernels import lstm_cell, lstm_sequence


@keras.saving.register_keras_serializable(package="tfgen")
class LSTM(FastRecurrent, keras.layers.LSTM):
    """Long short-term memory, equal to `keras.layers.LSTM` on the same weights.

    It takes the arguments of `keras.layers.LSTM` and holds its weights under the same names, so
    weights move freely between the two. The input projection of the whole sequence is one matrix
    product, and the gradient is written by hand (see `tfgen.layers.recurrent_kernels`).

    Args:
        units: Number of units.
        **kwargs: Every other argument of `keras.layers.LSTM`. A configuration that the fast loop
            does not compute (other activations, `recurrent_dropout`, `unroll`) runs as in Keras.

    Example:

    >>> layer = LSTM(4, return_sequences=True)
    >>> layer(tf.ones((2, 5, 3))).shape
    TensorShape([2, 5, 4])

    Source: Hochreiter & Schmidhuber, 1997; forget gate: Gers et al., 2000.
    """

    def project(self, inputs):
        projected = dense(inputs, self.cell.kernel)
        return projected + as_tensor(self.cell.bias, inputs.dtype) if self.use_bias else projected

    def scan(self, projected, state, mask=None, recurrent_mask=None):
        kernel = as_tensor(self.cell.recurrent_kernel, projected.dtype)
        outputs, c_last = lstm_sequence(projected, *state, kernel, mask, recurrent_mask)
        return outputs, [outputs[-1], c_last]

    def recur(self, x, inner, state):
        return list(lstm_cell(x + inner, state[1])[:2])

    def recurrent_weights(self, dtype):
        kernel = as_tensor(self.cell.recurrent_kernel, dtype)
        return kernel, tf.zeros([4 * self.units], dtype)

    def stepper(self):
        kernel = as_tensor(self.cell.recurrent_kernel, self.compute_dtype)

        def step(projected, state):
            h, c, _ = lstm_cell(projected + tf.matmul(state[0], kernel), state[1])
            return h, [h, c]

        return step
