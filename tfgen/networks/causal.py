"""`CausalNetwork`: what a network that reads position by position implements, and what it has."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError


class Surroundings(NamedTuple):
    """How the layers around a network begin, whose scale goes with its own.

    Attributes:
        embedding_deviation: Standard deviation of a token's embedding.
        head_deviation: The same of the weights of the softmax; None is Glorot's uniform.
        head_bias: Whether the softmax has biases.
    """

    embedding_deviation: float = 0.1
    head_deviation: float | None = None
    head_bias: bool = True


class CausalNetwork(keras.layers.Layer):
    """A Keras layer over `(batch, time, features)` in which no position sees those after it.

    A network implements four things, and has everything else from here:

    - `output_width`: features of a hidden state;
    - `initial_state(batch_size)`: a nest of tensors `(batch, ...)`;
    - `call(x, state, mask, training, key, record)` -> `(hidden, state)`, over whole sequences:
      masked positions leave the state alone, a state of None is that of the beginning, dropout is
      sampled from `key`, and each layer's outputs are put into the dict `record`, if there is one;
    - `stepper()`: a function `(x (batch, features), state)` -> `(hidden (batch, width), state)` for
      one position, in which what is the same at every position has been computed beforehand.

    One whose state grows with the sequence also says how, by `state_is_constant`, `reserve` and
    `state_invariants`; one that reads several positions in less time than one after another does so
    in `verifier`. Weights are made in `build`, as in any Keras layer.

    Args:
        seed: Integer that the initial weights are sampled from.
        **kwargs: `name`, `dtype` and the like.
    """

    # The features that `call` takes; None is any.
    input_width = None
    # The longest sequence there are positions for; None where there is no end.
    max_positions = None
    # Whether the state has the same size however long the sequence is.
    state_is_constant = True
    # Whether XLA compiles the training step: what measured faster.
    jit_compile_training = True
    # Whether it attends to what `context` makes of a sequence of vectors `(batch, items, width)`:
    # then `initial_state` and, without a state, `call` take it as `context`.
    has_context = False
    # A function of a table `(rows, features)` to the first product with each row, if there is one:
    # then `call` and the step of `stepper` take, as `projected`, what was looked up in its result.
    project_table = None
    surroundings = Surroundings()

    def __init__(self, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    @property
    def output_width(self):
        """Features of a hidden state."""
        raise NotImplementedError

    def make_weights(self, width):
        """Makes every weight, for inputs of so many features."""
        self.build((None, None, width))

    def initial_state(self, batch_size):
        """The state before the first position: a nest of tensors `(batch_size, ...)`."""
        raise NotImplementedError

    def call(self, x, state=None, mask=None, training=False, key=None, record=None):
        raise NotImplementedError

    def stepper(self):
        """A function `(x (batch, features), state)` -> `(hidden (batch, width), state)`."""
        raise NotImplementedError

    def reserve(self, state, count):
        """A state in which `count` more positions have room; one of constant size is as it is."""
        return state

    def state_invariants(self, state):
        """The shapes of a state for `tf.while_loop`: what grows with positions is None."""
        return tf.nest.map_structure(lambda tensor: tensor.shape, state)

    def verifier(self):
        """Reading several positions at once, with the choice of taking the last ones back.

        Returns:
            `(verify, rewind)`: `verify(x (batch, count, features), state)` -> `(hidden (batch,
            count, width), marks)`, and `rewind(marks, kept (batch,))` -> the state after so many of
            the positions, none to all of them.
        """
        step = self.stepper()

        def verify(x, state):
            hidden, states = [], [state]
            for index in range(x.shape[1]):
                output, state = step(x[:, index], state)
                hidden.append(output)
                states.append(state)
            marks = tf.nest.map_structure(lambda *tensors: tf.stack(tensors, axis=1), *states)
            return tf.stack(hidden, axis=1), marks

        def rewind(marks, kept):
            return tf.nest.map_structure(
                lambda tensor: tf.gather(tensor, kept, batch_dims=1), marks
            )

        return verify, rewind

    def quantize_weights(self, dtype):
        """Keeps the weights that `stepper` reads in fewer bits: see `tfgen.zoo.get`.

        Raises:
            InputError: If the network reads float32 weights only, or for another dtype.
        """
        refuse_small_weights(dtype)

    def weight_seed(self, *numbers):
        """A seed for an initialiser: one for every weight, from the network's own."""
        return weight_seed(self.seed, *numbers)

    def compute_output_shape(self, input_shape, *args, **kwargs):
        return (*input_shape[:-1], self.output_width)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


def refuse_small_weights(dtype):
    """Refuses another dtype than float32, of what generates with float32 weights only."""
    if dtype != "float32":
        raise InputError(
            "Only a transformer generates with smaller weights; save(folder, float16=True) "
            f"stores those of any family with half the bits. Received: dtype={dtype!r}"
        )


def weight_seed(seed, *numbers):
    """A seed for one of many initialisers, from the one seed of all of them."""
    return int(np.random.SeedSequence([seed % 2**64, *numbers]).generate_state(1)[0])
