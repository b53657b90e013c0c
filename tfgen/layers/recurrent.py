"""What the LSTM and GRU layers share: Keras' own layer around another inner loop."""

import keras
import tensorflow as tf


class FastRecurrent:
    """Mixin for `keras.layers.LSTM` / `GRU` that replaces the loop over positions.

    Arguments, weights, states and masks stay those of the Keras layer; `inner_loop`, the one method
    in which Keras runs over the positions, is replaced by the kernels of
    `tfgen.layers.recurrent_kernels` where these compute the same function, and left to Keras where
    they do not (other activations, `recurrent_dropout`, `unroll`).

    On a GPU, training goes to the fused kernels that Keras chooses itself. Inference always takes
    the portable loop, so that what was exported on a GPU machine also runs on a CPU.
    """

    def project(self, inputs):
        """`inputs W + b`, gates side by side: `(..., features)` -> `(..., gates * units)`."""
        raise NotImplementedError

    def scan(self, projected, state, mask=None, recurrent_mask=None):
        """Runs the recurrence, time-major.

        Args:
            projected: What `project` returned, `(time, batch, gates * units)`.
            state: List of state tensors `(batch, units)`, in Keras' order.
            mask: Optional bool `(time, batch)`.
            recurrent_mask: Optional float `(batch, units)`.

        Returns:
            `(outputs, state)`, outputs `(time, batch, units)`.
        """
        raise NotImplementedError

    def stepper(self):
        """Returns `step(projected, state) -> (output, state)` for one position.

        `projected` is `(batch, gates * units)`. The weights are read here, once, so that a loop
        around the function finds them ready.
        """
        raise NotImplementedError

    def recur(self, x, inner, state):
        """The state after one position, of both products; for `windowed_sequence`."""
        raise NotImplementedError

    def recurrent_weights(self, dtype):
        """The kernel and the bias of the product with the output."""
        raise NotImplementedError

    def uses_fused_kernels(self, training):
        """Whether Keras' fused GPU kernels do the work."""
        return bool(training) and self.use_cudnn is not False and has_gpu()

    def _kernel_applies(self, training):
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and not self.unroll
            and not (training and self.recurrent_dropout)
            and not self.uses_fused_kernels(training)
        )

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not self._kernel_applies(training):
            return super().inner_loop(sequences, initial_state, mask, training=training)
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if training and self.dropout:
            sequences *= self.cell.get_dropout_mask(sequences[:, 0, :])[:, None, :]
        inputs = tf.transpose(sequences, [1, 0, 2])  # (time, batch, features)
        if mask is not None:
            mask = tf.transpose(mask)  # (time, batch)
        if self.go_backwards:
            inputs = tf.reverse(inputs, axis=[0])
            mask = None if mask is None else tf.reverse(mask, axis=[0])
        outputs, state = self.scan(self.project(inputs), initial_state, mask)
        if mask is not None:
            # Keras repeats the last output over masked positions, and gives zeros before the
            # first valid one (or everywhere, with `zero_output_for_mask`).
            shown = tf.cast(mask, outputs.dtype)
            if not self.zero_output_for_mask:
                shown = tf.cast(tf.cumsum(shown, axis=0) > 0, outputs.dtype)
            outputs *= shown[:, :, None]
        return outputs[-1], tf.transpose(outputs, [1, 0, 2]), state


def has_gpu():
    return bool(tf.config.list_physical_devices("GPU"))
