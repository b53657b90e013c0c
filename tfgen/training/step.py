"""One training step: the loss of a batch, its gradients and the update, compiled as one."""

import contextlib

import keras
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.sampling import random
from tfgen.training.adapters import Adapters
from tfgen.training.devices import Devices


class Step:
    """Updates a model's weights on a batch.

    On one device XLA compiles all of it. Where several take their parts of the batch, it compiles
    what each computes, and what follows their exchange.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        optimizer: A Keras optimizer that is built.
        config: `TrainingConfig`.
        batch_size: Rows of a batch.
        adapters: The `tfgen.training.adapters.Adapters` whose variables the optimizer was built
            with; None makes those of the config.
        devices: `tfgen.training.devices.Devices` that take the step together; None is one.
        objective: What has the `batch_loss` and `batch_total` that are learned by; None is the
            model.

    Attributes:
        groups: Names of the parts of the model whose gradients are told apart: what the paths of
            their weights begin with.
        gradients: Function `(batch, state, number) -> (loss, gradients)` of what a step would take
            if there were only the rows of device `number`; traced when it is first called.

    Raises:
        InputError: If a batch cannot be taken in as many parts as asked for.
    """

    def __init__(
        self, model, optimizer, config, batch_size, adapters=None, devices=None, objective=None
    ):
        devices = devices or Devices()
        if batch_size % (config.accumulate * devices.count):
            shared = f" on each of {devices.count} devices" if devices.count > 1 else ""
            raise InputError(
                f"training.accumulate must divide the {batch_size} rows of a batch{shared}. "
                f"Received: training.accumulate={config.accumulate}"
                + (f", training.batch_size={config.batch_size}" if shared else "")
            )
        if config.accumulate > 1 and config.carry_state:
            raise InputError(
                "training.accumulate takes a batch in parts, and training.carry_state keeps one "
                f"state of it. Received: training.accumulate={config.accumulate}"
            )
        self.model, self.optimizer, self.config = model, optimizer, config
        self._objective = objective or model
        self._objective.follow(lambda: optimizer.iterations.value)
        self.adapters = Adapters(model, config) if adapters is None else adapters
        self.devices = devices
        # Sums are divided by it before their gradient is taken: float16 could not hold that of a
        # sum.
        self._unit = float(batch_size * config.window)
        # A layer's weights, or a block's, are a group.
        variables = self.adapters.variables
        self._group_of = [variable.path.partition("/")[0] for variable in variables]
        self.groups = list(dict.fromkeys(self._group_of))
        jit = model.jit_compile_training
        # What devices tell each other, XLA cannot compile; nor an update of several devices'
        # weights.
        self._call = tf.function(
            self._update, jit_compile=jit and not devices.several, autograph=False
        )
        self._share = tf.function(self._of_device, jit_compile=jit, autograph=False)
        # Needed now and then: tracing it takes seconds, and XLA would take half a minute.
        self.gradients = tf.function(self._gradients_alone, autograph=False)
        self._apply = tf.function(self._applied, jit_compile=not devices.mirrored, autograph=False)

    def __call__(self, batch, state=None):
        """Takes one step.

        Args:
            batch: What the model's `unpack` takes; all rows, on each device.
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

    @property
    def loss_scale(self):
        """What the loss is multiplied by, so that float16 can hold its gradients; None if
        nothing."""
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return self.optimizer.dynamic_scale
        return None

    def _update(self, batch, state):
        key = self._key()
        if self.devices.several:
            flat, state = self.devices.sums(self._share, batch, state, key)
            loss, gradients = self._mean(*self._split(flat))
        elif self.config.accumulate > 1:
            loss, gradients = self._mean(*self._sums(batch, key, 0, 1))
        else:
            loss, gradients, state = self._gradients(batch, state, key)
        gradients = self.adapters.pull(gradients)
        norms = [tf.linalg.global_norm(part) for part in self.grouped(gradients)]
        norms = self._unscaled(tf.stack(norms))
        # Where XLA does not compile the whole step, it does the update, which is a thousand small
        # operations otherwise.
        self._apply(gradients)
        return loss, norms, state

    def _applied(self, gradients):
        variables = self.adapters.variables
        if self.devices.mirrored and self.loss_scale is not None:
            # Keras' `apply` wants to be called for each device, which would add the gradients up
            # once more.
            self.optimizer._common_apply(gradients, variables)
        else:
            self.optimizer.apply(gradients, variables)

    def _key(self):
        key = random.root(self.config.seed, random.DROPOUT)
        return random.fold(key, self.optimizer.iterations.value)

    def _gradients_alone(self, batch, state, number=0):
        if self.config.accumulate > 1:
            sums = self._sums(batch, self._key(), number, self.devices.count)
            loss, gradients = self._mean(*sums)
        else:
            batch, state = self.rows((batch, state), number)
            loss, gradients, _ = self._gradients(batch, state, self._key())
        return loss, [self._unscaled(gradient) for gradient in gradients]

    def _gradients(self, batch, state, key):
        """Loss, its scaled gradients, and the state, of a batch that is taken as a whole."""
        with self._tape() as tape:
            loss, state = self._objective.batch_loss(
                self.model.unpack(batch), key, state, training=True
            )
            scaled = self.optimizer.scale_loss(loss)
        return loss, self._differentiated(tape, scaled), state

    def _unscaled(self, values):
        return values if self.loss_scale is None else values / self.loss_scale.value

    @contextlib.contextmanager
    def _tape(self):
        # What is frozen is not watched, and what only leads to it is not differentiated.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._weights())
            yield tape

    def _differentiated(self, tape, total):
        # That of a table may be told row by row, and twice of the same row.
        return [tf.convert_to_tensor(each) for each in tape.gradient(total, self._weights())]

    def _weights(self):
        return [weight.value for weight in self.adapters.weights]

    def _of_device(self, number, batch, state, key):
        """What a device adds to the sums, as one vector, which is exchanged at once; and its
        state."""
        count = self.devices.count
        if state is None:
            total, counted, gradients = self._sums(batch, key, number, count)
        else:
            rows, state = self.rows((batch, state), number, count)
            total, counted, gradients, state = self._part(rows, state, key, number, count)
        parts = [tf.reshape(gradient, [-1]) for gradient in gradients]
        return tf.concat([[total, counted], *parts], axis=0), state

    def _split(self, flat):
        """`(total, count, gradients)` of what `_of_device` made one vector."""
        weights = self.adapters.weights
        total, count, *parts = tf.split(
            flat, [1, 1, *(weight.shape.num_elements() for weight in weights)]
        )
        gradients = [tf.reshape(part, weight.shape) for part, weight in zip(parts, weights)]
        return total[0], count[0], gradients

    def _mean(self, total, count, gradients):
        share = tf.math.divide_no_nan(self._unit, count)
        return total * share, [gradient * share for gradient in gradients]

    def rows(self, nest, number, count=None):
        """The rows of one of so many equal parts, or of the device of that number."""
        count = self.devices.count if count is None else count
        if count == 1:
            return nest

        def part(rows):
            if rows is None:  # a state before the first step, or of a model that has none
                return None
            size = rows.shape[0] // count
            begin = [number * size, *[0] * (rows.shape.rank - 1)]
            return tf.slice(rows, begin, [size, *rows.shape[1:]])

        return tf.nest.map_structure(part, nest)

    def _part(self, batch, state, key, number, count):
        """Sums of one part of a batch, in units of `_unit`: `(total, count, gradients, state)`."""
        with random.part_of_rows(number, count), self._tape() as tape:
            total, counted, state = self._objective.batch_total(
                self.model.unpack(batch), key, state, training=True
            )
            total = total / self._unit
            scaled = self.optimizer.scale_loss(total)
        return total, counted, self._differentiated(tape, scaled), state

    def _sums(self, batch, key, device, devices):
        """Sums of a device's rows, of which one part after the other is in memory."""
        parts = self.config.accumulate

        def one_more(number, total, count, gradients):
            which, of = device * parts + number, devices * parts
            rows = self.rows(batch, which, of)
            some, counted, added, _ = self._part(rows, None, key, which, of)
            gradients = [old + new for old, new in zip(gradients, added)]
            return number + 1, total + some, count + counted, gradients

        zeros = [tf.zeros(weight.shape, weight.dtype) for weight in self.adapters.weights]
        begin = tf.constant(0), tf.constant(0.0), tf.constant(0.0), zeros
        if parts == 1:
            return one_more(*begin)[1:]
        return tf.while_loop(
            lambda number, *_: number < parts,
            one_more,
            begin,
            parallel_iterations=1,
            maximum_iterations=parts,
        )[1:]
