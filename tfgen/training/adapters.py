"""Which numbers a training changes: all weights, those that are not frozen, or adapters of them."""

import fnmatch
import hashlib
import math

import keras
import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.training.checkpoints import read_arrays, write_arrays
from tfgen.values import check_number

ADAPTER = "adapter.npz"
# What `lora_targets` stands for where it is empty: products of matrices, by what our layers and
# Keras' call them. Recurrent kernels are adapted where they are named.
_TARGETS, _NO_TARGETS = ("*kernel", "*kernel_[0-9]"), ("*recurrent_kernel", "*conv_kernel")
# So that the adapters' first numbers are those of no batch of the same seed.
_PURPOSE = 4


class Adapters:
    """What an optimizer updates in place of a model's trainable weights.

    Frozen weights are taken out of `model.trainable_variables`, so that they have no gradient, no
    optimizer's state and no decay. Without `lora_rank` the rest is updated as it is, and `pull` and
    `push` do nothing.

    With it, a matrix W becomes W0 + s A B, of which A `(inputs, rank)` and B `(rank, outputs)` are
    updated (LoRA, arXiv:2106.09685). The model's own weight always holds that sum, so no layer
    knows of it: the chain rule takes the gradient of W to those of A and B,

        dA = s dW B^T,    dB = s A^T dW,

    and `push` writes the new sum. B begins as zeros, so that the model begins as it was. A kernel
    of a convolution counts as the matrix of its last axis by the others.

    Args:
        model: A `tfgen.models.SequenceGenerator`. Its weights' `trainable` is set.
        config: `TrainingConfig`.
        beside: Variables that are updated as they are besides the model's weights.

    Attributes:
        variables: List of what the optimizer updates.
        own: Dict by path of the adapters among them.
        base: Dict by path of variables with the W0 of each weight that is adapted.

    Raises:
        InputError: For a pattern that no weight matches, or if nothing is left to train.
    """

    def __init__(self, model, config, beside=()):
        self.model = model
        self.rank = config.lora_rank
        self.scale = (config.lora_alpha or config.lora_rank) / max(config.lora_rank, 1)
        everything = model.trainable_variables
        frozen = _matching("freeze", config.freeze, everything)
        free = [weight for weight in everything if weight.path not in frozen]
        adapted, also = set(), set()
        if self.rank:
            also = _matching("lora_also", config.lora_also, everything)
            adapted = self._targets(config.lora_targets, everything) - also
            free = [weight for weight in free if weight.path in adapted | also]
        else:
            for name in ("lora_targets", "lora_also"):
                if getattr(config, name):
                    raise InputError(
                        f"training.{name} needs a training.lora_rank. "
                        f"Received: training.{name}={list(getattr(config, name))}"
                    )
        if not free:
            raise InputError(
                "Nothing is left to train: every weight is frozen. "
                f"Received: training.freeze={list(config.freeze)}"
            )
        kept = {weight.path for weight in free}
        for weight in everything:
            weight.trainable = weight.path in kept
        self._pairs = {
            weight.path: _pair(weight, self.rank, np.random.default_rng([config.seed, k, _PURPOSE]))
            for k, weight in enumerate(free)
            if weight.path in adapted
        }
        self._also = [weight for weight in free if weight.path in also]
        self.variables = [
            one for weight in free for one in self._pairs.get(weight.path, [None, weight])[1:]
        ]
        self.own = {one.path: one for _, *pair in self._pairs.values() for one in pair}
        self._beside = list(beside)
        self.variables += self._beside
        self.base = {path: base for path, (base, _, _) in self._pairs.items()}
        # Not XLA, here or around it: what it makes of the sum depends on what is beside it, and
        # `merge` has to give the same bits.
        self._push = tf.function(self._write, autograph=False)

    @property
    def weights(self):
        """List of what gradients are taken of."""
        return [*self.model.trainable_variables, *self._beside]

    def pull(self, gradients):
        """Gradients of `variables`, of those of `weights`, in their order."""
        if not self._pairs:
            return gradients
        pulled = []
        for weight, gradient in zip(self.weights, gradients, strict=True):
            if weight.path not in self._pairs:
                pulled.append(gradient)
                continue
            _, a, b = self._pairs[weight.path]
            gradient = self.scale * tf.reshape(gradient, [a.shape[0], b.shape[1]])
            pulled.append(tf.matmul(gradient, b.value, transpose_b=True))
            pulled.append(tf.matmul(a.value, gradient, transpose_a=True))
        return pulled

    def push(self):
        """Writes what `variables` are now into the model's weights; not from within XLA."""
        if self._pairs:
            self._push()

    def rebase(self):
        """Takes the model's weights as they are for those that are adapted."""
        weights = {weight.path: weight for weight in self.model.weights}
        for path, base in self.base.items():
            base.assign(weights[path])

    def save(self, path):
        """Writes the adapters, and the weights that were trained beside them, for `merge`."""
        trained = {weight.path: weight for weight in self._also}
        arrays = {name: one.numpy() for name, one in {**self.own, **trained}.items()}
        record = {
            "rank": self.rank,
            "scale": self.scale,
            "adapted": list(self._pairs),
            "digest": _digest(self.model, {**self.base, **dict.fromkeys(trained)}),
        }
        write_arrays(path, arrays, record)

    @property
    def summary(self):
        """What is trained, for people; empty if that is all."""
        every = sum(_size(weight) for weight in self.model.weights)
        trained = sum(map(_size, self.variables)) - sum(map(_size, self._beside))
        if self._pairs:
            return (
                f"LoRA: {trained:,} numbers are trained in place of {every:,}, "
                f"of rank {self.rank} for {len(self._pairs)} matrices"
            )
        if trained == every:
            return ""
        return f"{trained:,} of {every:,} weights are trained"

    def _targets(self, patterns, weights):
        named = _matching("lora_targets", patterns or _TARGETS, weights, must=bool(patterns))
        if not patterns:
            named -= _matching("lora_targets", _NO_TARGETS, weights, must=False)
        # Kernels of convolutions only where they are named.
        dimensions = {w.path: len(w.shape) for w in weights}
        found = {p for p in named if dimensions[p] == 2 or (patterns and dimensions[p] > 2)}
        if not found:
            raise InputError(
                "training.lora_targets must name matrices of the model, among: "
                f"{', '.join(path for path, count in dimensions.items() if count > 1)}. "
                f"Received: training.lora_targets={list(patterns)}"
            )
        return found

    def _write(self):
        weights = {weight.path: weight for weight in self.model.trainable_variables}
        for path, pair in self._pairs.items():
            weights[path].assign(_sum(*pair, self.scale))


def merge(model, path):
    """Puts adapters into the model that they were trained on.

    Its weights are then those that the fine-tuned model was saved with, to the bit, on the same
    machine.

    Args:
        model: The model that the training started from, as `tfgen.zoo.get` gives it; its weights
            are changed.
        path: Path of the `adapter.npz` that `tfgen.training.train` left in the run's folder.

    Returns:
        The model.

    Raises:
        InputError: If the file holds no adapters, or those of another model.
    """
    arrays, record = read_arrays(path)
    weights = {weight.path: weight for weight in model.weights}
    if not {"scale", "adapted", "digest"} <= record.keys():
        raise InputError(f"{path} holds no adapters")
    try:
        pairs = {name: [arrays.pop(f"{name}/{part}") for part in ("lora_a", "lora_b")]
                 for name in record["adapted"]}  # fmt: skip
        scale = check_number("scale", record["scale"])
    except (KeyError, TypeError, InputError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    fits = {*pairs, *arrays} <= weights.keys()
    fits = fits and all(array.shape == weights[name].shape for name, array in arrays.items())
    for name, (a, b) in pairs.items() if fits else ():
        rows, columns = math.prod(weights[name].shape[:-1]), weights[name].shape[-1]
        # Of one rank, which both have.
        fits = (
            fits
            and b.ndim == 2
            and (a.shape, b.shape) == ((rows, b.shape[0]), (b.shape[0], columns))
        )
    if not fits or _digest(model, dict.fromkeys(arrays)) != record["digest"]:
        raise InputError(f"{path} holds the adapters of another model, or of other weights of it")

    @tf.function(autograph=False)
    def write():
        for name, (a, b) in pairs.items():
            a, b = variables[name]
            weights[name].assign(_sum(weights[name], a, b, scale))

    variables = {name: [tf.Variable(part) for part in pair] for name, pair in pairs.items()}
    write()
    for name, array in arrays.items():
        weights[name].assign(array)
    return model


def _pair(weight, rank, rng):
    """`(base, a, b)` of a weight: itself, and an adapter that adds nothing yet."""
    inputs, outputs = math.prod(weight.shape[:-1]), weight.shape[-1]
    a = rng.normal(0.0, 1 / math.sqrt(inputs), [inputs, rank]).astype(np.float32)
    parts = {"lora_base": weight.numpy(), "lora_a": a, "lora_b": np.zeros([rank, outputs], "f")}
    return tuple(_variable(f"{weight.path}/{name}", value) for name, value in parts.items())


def _variable(path, value):
    variable = keras.Variable(value, dtype="float32", name=path.rpartition("/")[2])
    # Optimizers call their state, and dashboards its parts, by the path.
    variable._path = path
    return variable


def _sum(base, a, b, scale):
    product = tf.matmul(tf.convert_to_tensor(a), tf.convert_to_tensor(b))
    return tf.convert_to_tensor(base) + scale * tf.reshape(product, base.shape)


def _matching(key, patterns, weights, must=True):
    """Paths of the weights that a pattern matches: the path, or the layers that it begins with."""
    found = set()
    for pattern in patterns:
        matched = {w.path for w in weights if _matches(w.path, pattern)}
        if must and not matched:
            raise InputError(
                f"training.{key}: no weight matches '{pattern}'. "
                f"There are: {', '.join(_groups(weights))}"
            )
        found |= matched
    return found


def _matches(path, pattern):
    parts = path.split("/")
    begins = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return any(fnmatch.fnmatchcase(begin, pattern) for begin in begins)


def _groups(weights):
    """What a person may name: the layers, or what is in the one layer that there is."""
    for depth in (1, 2):
        groups = dict.fromkeys("/".join(w.path.split("/")[:depth]) for w in weights)
        if len(groups) > 1:
            break
    return list(groups)


def _digest(model, others):
    """SHA-256 of a model's weights, some of them others' in their place, or left out for None."""
    digest = hashlib.sha256()
    for weight in model.weights:
        weight = others.get(weight.path, weight)
        if weight is not None:
            digest.update(weight.numpy().tobytes())
    return digest.hexdigest()


def _size(weight):
    return math.prod(weight.shape)
