"""What a training carries from one step to the next."""

import contextlib
import math

import numpy as np
import tensorflow as tf

from tfgen.training.checkpoints import Damaged
from tfgen.training.resume import check_fits

NONE_YET = {"loss": math.inf, "step": 0}


class RunState:
    """All that a training carries from one step to the next, and that a checkpoint holds.

    Args:
        model: A `tfgen.models.SequenceGenerator`.
        optimizer: A Keras optimizer that is built.
        adapters: `tfgen.training.adapters.Adapters`.
        carried: The model's state at the beginning, if windows carry one on; else None.
        averages: Whether the optimizer averages the weights.
        beside: Variables that an objective has besides the model's weights.

    Attributes:
        step: Steps done.
        carried: The state after the last one.
        best: Dict with the least validation loss and its step.
        best_weights: Dict of arrays by path, as they were then; None before.
        worse: Validations since.
        losses: Of the steps since the last line of the log.
        norms: Of their gradients, by layer.
    """

    def __init__(self, model, optimizer, adapters, carried=None, averages=False, beside=()):
        self.model, self.optimizer, self.adapters = model, optimizer, adapters
        self.averages, self.beside = averages, beside
        self.step, self.carried, self._initial = 0, carried, carried
        self.losses, self.norms = [], []
        self.forget_best()

    def forget_best(self):
        """Lets the next validation be the best so far."""
        self.best, self.best_weights, self.worse = NONE_YET, None, 0

    def validated(self, loss):
        """Keeps the weights that the model has now if none was better."""
        if loss < self.best["loss"]:
            self.best, self.worse = {"loss": loss, "step": self.step}, 0
            self.best_weights = self.weights()
        else:
            self.worse += 1

    def weights(self):
        """Arrays of the model's weights, and of the adapters that they are made of, by path."""
        return {path: variable.numpy() for path, variable in self._variables().items()}

    def assign(self, arrays):
        """Takes what `weights` gave."""
        for path, variable in self._variables().items():
            variable.assign(arrays[path])

    @contextlib.contextmanager
    def averaged(self):
        """Within it the model has the average of its weights, if there is one."""
        if not self.averages:
            yield
            return
        weights = self.weights()
        self.optimizer.finalize_variable_values(self.adapters.variables)
        self.adapters.push()
        try:
            yield
        finally:
            self.assign(weights)

    def arrays(self):
        """What a checkpoint holds, a dict of arrays; the rest is the `record`."""
        arrays = {f"model/{name}": array for name, array in self.weights().items()}
        arrays |= {f"best/{name}": array for name, array in (self.best_weights or {}).items()}
        arrays |= {f"base/{name}": one.numpy() for name, one in self.adapters.base.items()}
        for index, variable in enumerate(self.optimizer.variables):
            arrays[f"optimizer/{index}"] = variable.numpy()
        for index, part in _numbered(self.carried).items():
            arrays[f"state/{index}"] = part.numpy()
        return arrays | {"log/losses": numbers(self.losses), "log/norms": numbers(self.norms)}

    def record(self):
        """What a checkpoint remembers besides arrays, and the step."""
        return {"best": self.best, "worse": self.worse}

    def load(self, arrays, record, changes=()):
        """Goes back to a checkpoint.

        Args:
            arrays: What `arrays` gave.
            record: What `record` gave, with the step.
            changes: What the recipe changed since, see `Recipe.changes`.

        Raises:
            Damaged: If it is none that a training can have written.
            InputError: If something has not the shape that it had. Nothing is changed then.
        """
        _check_record(record)
        _check_logs(arrays)
        carried = _numbered(self._initial)
        variables = {str(i): variable for i, variable in enumerate(self.optimizer.variables)}
        best = _named(arrays, "best")
        parts = [
            ("the weight", _named(arrays, "model"), self._variables()),
            ("the adapted weight", _named(arrays, "base"), self.adapters.base),
            ("the optimizer's variable", _named(arrays, "optimizer"), variables),
            ("the carried state", _named(arrays, "state"), carried),
            *([("the best weight", best, self._variables())] if best else []),
        ]
        for what, stored, tensors in parts:
            check_fits(what, stored, tensors, changes)
            _check_types(what, stored, tensors)
        self.assign(_named(arrays, "model"))
        for path, base in self.adapters.base.items():
            base.assign(arrays[f"base/{path}"])
        for index, variable in variables.items():
            variable.assign(arrays[f"optimizer/{index}"])
        if carried:
            parts = [tf.constant(arrays[f"state/{index}"]) for index in carried]
            self.carried = tf.nest.pack_sequence_as(self._initial, parts)
        self.losses, self.norms = list(arrays["log/losses"]), list(arrays["log/norms"])
        self.best_weights = best or None
        self.step, self.best, self.worse = record["step"], record["best"], record["worse"]

    def _variables(self):
        weights = {weight.path: weight for weight in [*self.model.weights, *self.beside]}
        return weights | self.adapters.own


def _numbered(nest):
    """The tensors of a nest, if there is one, by their number as text."""
    if nest is None:
        return {}
    return {str(index): part for index, part in enumerate(tf.nest.flatten(nest))}


def numbers(values):
    """Scalars or vectors, of tensors or of arrays, as one float32 array."""
    return np.array([np.asarray(value) for value in values], np.float32)


def _named(arrays, part):
    """What a checkpoint holds of one part, by the names within it."""
    return {k.removeprefix(f"{part}/"): v for k, v in arrays.items() if k.startswith(f"{part}/")}


def _check_record(record):
    """Refuses a record that no training can have written."""
    best = record.get("best")
    good = (
        _is_count(record.get("step"))
        and _is_count(record.get("worse"))
        and isinstance(best, dict)
        and best.keys() == {"loss", "step"}
        and _is_count(best["step"])
        and type(best["loss"]) in (int, float)
        and not math.isnan(best["loss"])
        and isinstance(record.get("data"), dict | None)
    )
    if not good:
        raise Damaged(
            "the record of a checkpoint must hold step, worse and best, with its loss and step. "
            f"Received: {record!r}"
        )


def _check_logs(arrays):
    """Refuses losses and norms of the steps since the last line of the log that are none."""
    losses, norms = (arrays.get(f"log/{name}") for name in ("losses", "norms"))
    good = (
        losses is not None
        and norms is not None
        and losses.dtype == norms.dtype == np.float32
        and losses.ndim == 1
        and norms.ndim == (2 if len(losses) else 1)
        and len(losses) == len(norms)
    )
    if not good:
        raise Damaged("the checkpoint holds no losses and norms of its steps")


def _check_types(what, arrays, tensors):
    """Refuses integers where there should be floating-point numbers, and the reverse."""
    for name, tensor in tensors.items():
        was, now = arrays[name].dtype.name, tf.as_dtype(tensor.dtype).name
        if ("float" in was) != ("float" in now):
            raise Damaged(f"{what} {name} is {was} in the checkpoint, and {now} in the model")


def _is_count(value):
    return type(value) is int and 0 <= value < 2**63
