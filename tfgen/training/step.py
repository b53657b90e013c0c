"""One training step: the loss of a batch, its gradients and the update, compiled as one."""

import tensorflow as tf

from tfgen.errors import InputError
from tfgen.sampling import random
from tfgen.training.adapters import Adapters


class Step:
    """Updates a model's weights on a batch.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        optimizer: A Keras optimizer that is built.
        config: `TrainingConfig`.
        batch_size: Rows of a batch.
        adapters: The `tfgen.training.adapters.Adapters` whose variables the optimizer was built
            with; None makes those of the config.

    Attributes:
        groups: Names of the parts of the model whose gradients are told apart: what the paths of
            their weights begin with.
        gradients: Function `(batch, state) -> (loss, gradients, state)` of what a step would take;
            traced when it is first called.

    Raises:
        InputError: If a batch cannot be taken in as many parts as asked for.
    """

    def __init__(self, model, optimizer, config, batch_size, adapters=None):
        if batch_size % config.accumulate:
            raise InputError(
                f"training.accumulate must divide the {batch_size} rows of a batch. "
                f"Received: training.accumulate={config.accumulate}"
            )
        if config.accumulate > 1 and config.carry_state:
            raise InputError(
                "training.accumulate takes a batch in parts, and training.carry_state keeps one "
                f"state of it. Received: training.accumulate={config.accumulate}"
            )
        self.model, self.optimizer, self.config = model, optimizer, config
        self.adapters = Adapters(model, config) if adapters is None else adapters
        variables = self.adapters.variables
        # A layer's weights, or a block's, are a group.
        self._group_of = [variable.path.partition("/")[0] for variable in variables]
        self.groups = list(dict.fromkeys(self._group_of))
        jit = model.jit_compile_training
        self._call = tf.function(self._update, jit_compile=jit, autograph=False)
        # Needed now and then: tracing it takes seconds, and XLA would take half a minute.
        self.gradients = tf.function(self._gradients, autograph=False)
        self._apply = tf.function(
            lambda gradients: optimizer.apply(gradients, variables),
            jit_compile=True,
            autograph=False,
        )

    def __call__(self, batch, state=None):
        """Takes one step.

        Args:
            batch: What the model's `unpack` takes.
            state: What the step before returned, or None.

        Returns:
            `(loss, norms, state)`: the batch's loss; the gradient's norm, before it is clipped, for
            each of `groups`; and the state at the end.
        """
        taken = self._call(batch, state)
        self.adapters.push()
        return taken

    def grouped(self, values):
        """Lists of the values of each group; there is one value for each trained variable."""
        return [
            [value for value, group in zip(values, self._group_of) if group == name]
            for name in self.groups
        ]

    def _update(self, batch, state):
        loss, gradients, state = self._gradients(batch, state)
        gradients = self.adapters.pull(gradients)
        norms = tf.stack([tf.linalg.global_norm(part) for part in self.grouped(gradients)])
        # Where XLA does not compile the whole step, it does the update, which is a thousand small
        # operations otherwise.
        self._apply([tf.convert_to_tensor(gradient) for gradient in gradients])
        return loss, norms, state

    def _gradients(self, batch, state):
        key = random.root(self.config.seed, random.DROPOUT)
        key = random.fold(key, self.optimizer.iterations.value)
        if self.config.accumulate > 1:
            return *self._in_parts(batch, key), state
        # What is frozen is not watched, and what only leads to it is not differentiated.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._weights())
            loss, state = self.model.batch_loss(self.model.unpack(batch), key, state, training=True)
        return loss, tape.gradient(loss, self._weights()), state

    def _weights(self):
        return [weight.value for weight in self.model.trainable_variables]

    def _in_parts(self, batch, key):
        """Loss and gradients of a batch of which one part after the other is in memory."""
        parts = self.config.accumulate
        batch = tf.nest.map_structure(
            lambda rows: tf.reshape(rows, [parts, rows.shape[0] // parts, *rows.shape[1:]]), batch
        )

        def one_more(number, total, count, gradients):
            part = tf.nest.map_structure(lambda rows: tf.gather(rows, number), batch)
            tape = tf.GradientTape(watch_accessed_variables=False)
            with random.part_of_rows(number, parts), tape:
                tape.watch(self._weights())
                some, counted, _ = self.model.batch_total(
                    self.model.unpack(part), key, training=True
                )
            added = tape.gradient(some, self._weights())
            gradients = [old + new for old, new in zip(gradients, added)]
            return number + 1, total + some, count + counted, gradients

        zeros = [tf.zeros(weight.shape, weight.dtype) for weight in self.model.trainable_variables]
        _, total, count, gradients = tf.while_loop(
            lambda number, *_: number < parts,
            one_more,
            (tf.constant(0), tf.constant(0.0), tf.constant(0.0), zeros),
            parallel_iterations=1,
            maximum_iterations=parts,
        )
        share = tf.math.divide_no_nan(1.0, count)
        return total * share, [gradient * share for gradient in gradients]
