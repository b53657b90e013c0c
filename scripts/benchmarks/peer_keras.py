"""Keras' own layers, as a Keras user takes them."""

import itertools

from tfgen.startup import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks.sizes import SYMBOLS, characters, random_windows  # noqa: E402
from benchmarks.workers import in_turn  # noqa: E402

PIECE = 8  # so many characters are generated between two looks at the clock: `predict` is slow


def network(sizes, shape, stateful=False):
    """The network of `TextSizes` with random weights, of inputs of one shape."""
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[sizes.cell]
    options = {"return_sequences": True, "stateful": stateful}
    return keras.Sequential([
        keras.Input(batch_shape=shape, dtype="int32"),
        keras.layers.Embedding(SYMBOLS, sizes.embedding),
        *(layer(sizes.units, **options) for _ in range(sizes.layers)),
        keras.layers.Dense(SYMBOLS),
    ])  # fmt: skip


def train(sizes):
    """Training steps by `train_on_batch` and by a compiled step, each with XLA and without."""
    return {
        f"{name}{', jit' if jit else ''}": _training(sizes, make, jit)
        for name, make in (("train_on_batch", _on_batch), ("compiled step", _compiled_training))
        for jit in (False, True)
    }


def _training(sizes, make, jit):
    model = network(sizes, (sizes.batch, sizes.window))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    step = make(model, keras.optimizers.Adam(1e-3), loss, jit)
    windows = map(tf.constant, random_windows(sizes))
    batches = [(ids[:, :-1], ids[:, 1:]) for ids in windows]
    # The loss as a number: that waits for the step.
    return in_turn(lambda batch: float(step(*batch)), batches, sizes.batch * sizes.window)


def _on_batch(model, optimizer, loss, jit):
    model.compile(optimizer, loss, jit_compile=jit)
    return model.train_on_batch


def _compiled_training(model, optimizer, loss, jit):
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=jit, autograph=False)
    def step(ids, targets):
        weights = model.trainable_variables
        with tf.GradientTape() as tape:
            value = loss(targets, model(ids, training=True))
        gradients = tape.gradient(value, [weight.value for weight in weights])
        optimizer.apply(gradients, weights)
        return value

    return step


def generate(sizes):
    """A call for every character, on a model that keeps its state."""
    return {
        "predict": _generation(sizes, _by_predict),
        "compiled step": _generation(sizes, _by_compiled_step),
        "compiled step, jit": _generation(sizes, _by_compiled_step, jit=True),
    }


def _by_predict(model):
    generator = np.random.default_rng(0)

    def sample(ids, number):
        logits = model.predict(ids, batch_size=len(ids), verbose=0)[:, -1]
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True)).astype(np.float64)
        sampled = [generator.choice(SYMBOLS, p=row / row.sum()) for row in weights]
        return np.array(sampled, np.int32)[:, None]

    return sample


def _by_compiled_step(model, jit=False):
    @tf.function(jit_compile=jit, autograph=False)
    def step(ids, seed):
        logits = model(ids, training=False)[:, -1]
        return tf.random.stateless_categorical(logits, 1, [0, seed], tf.int32)

    return lambda ids, number: step(ids, tf.constant(number))


def _generation(sizes, make, **options):
    sample = make(network(sizes, (sizes.batch, 1), stateful=True), **options)
    ids, numbers = np.ones([sizes.batch, 1], np.int32), itertools.count(1)

    def run():
        nonlocal ids
        count = 0
        for _ in range(PIECE):
            ids = sample(ids, next(numbers))
            count += characters(np.asarray(ids))
        return count

    return run
