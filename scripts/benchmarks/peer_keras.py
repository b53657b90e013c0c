"""Keras' own layers, as a Keras user takes them."""

import itertools

from tfgen.startup import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks.sizes import SYMBOLS, as_text, random_windows  # noqa: E402

PIECE = 8  # so many characters are generated between two looks at the clock: `predict` is slow


def network(sizes, shape, stateful=False):
    """The network of `TextSizes` with random weights, of inputs of one shape."""
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[sizes.cell]
    layers = [
        layer(sizes.units, return_sequences=True, stateful=stateful) for _ in range(sizes.layers)
    ]
    return keras.Sequential(
        [
            keras.Input(batch_shape=shape, dtype="int32"),
            keras.layers.Embedding(SYMBOLS, sizes.embedding),
            *layers,
            keras.layers.Dense(SYMBOLS),
        ]
    )


def train(sizes):
    """Training steps by `train_on_batch` and by a compiled step, each with XLA and without."""
    return {
        f"{name}{', jit' if jit else ''}": make(sizes, random_windows(sizes), jit)
        for name, make in (("train_on_batch", _on_batch), ("compiled step", _compiled_training))
        for jit in (False, True)
    }


def _on_batch(sizes, windows, jit):
    model = network(sizes, (sizes.batch, sizes.window))
    model.compile(keras.optimizers.Adam(1e-3), _loss(), jit_compile=jit)
    batches = itertools.cycle([(ids[:, :-1], ids[:, 1:]) for ids in windows])

    def run():
        model.train_on_batch(*next(batches))
        return sizes.batch * sizes.window

    return run


def _compiled_training(sizes, windows, jit):
    model, loss = network(sizes, (sizes.batch, sizes.window)), _loss()
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=jit, autograph=False)
    def step(batch):
        weights = model.trainable_variables
        with tf.GradientTape() as tape:
            value = loss(batch[:, 1:], model(batch[:, :-1], training=True))
        gradients = tape.gradient(value, [weight.value for weight in weights])
        optimizer.apply(gradients, weights)
        return value

    batches = itertools.cycle([tf.constant(ids) for ids in windows])

    def run():
        step(next(batches)).numpy()
        return sizes.batch * sizes.window

    return run


def _loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def generate(sizes):
    """A call for every character, on a model that keeps its state."""
    return {
        "predict": _by_predict(sizes),
        "compiled step": _by_compiled_step(sizes, False),
        "compiled step, jit": _by_compiled_step(sizes, True),
    }


def _by_predict(sizes):
    model = network(sizes, (sizes.batch, 1), stateful=True)
    generator = np.random.default_rng(0)

    def sample(ids, number):
        logits = model.predict(ids, batch_size=sizes.batch, verbose=0)[:, -1]
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True)).astype(np.float64)
        sampled = [generator.choice(SYMBOLS, p=row / row.sum()) for row in weights]
        return np.array(sampled, np.int32)[:, None]

    return _generation(sizes, sample, np.ones([sizes.batch, 1], np.int32))


def _by_compiled_step(sizes, jit):
    model = network(sizes, (sizes.batch, 1), stateful=True)

    @tf.function(jit_compile=jit, autograph=False)
    def step(ids, seed):
        logits = model(ids, training=False)[:, -1]
        return tf.random.stateless_categorical(logits, 1, [0, seed], tf.int32)

    def sample(ids, number):
        return step(ids, tf.constant(number))

    return _generation(sizes, sample, tf.ones([sizes.batch, 1], tf.int32))


def _generation(sizes, sample, ids):
    carry, numbers = {"ids": ids}, itertools.count(1)

    def run():
        rows = []
        for _ in range(PIECE):
            carry["ids"] = sample(carry["ids"], next(numbers))
            rows.append(as_text(np.asarray(carry["ids"])[:, 0]))
        return sum(len(row) for row in rows)

    return run
