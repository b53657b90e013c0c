"""Keras' own layers, as a Keras user takes them."""

import itertools

from tfgen.startup import import_tensorflow

import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks.sizes import SYMBOLS, as_text, random_windows  # noqa: E402
from benchmarks.workers import rate  # noqa: E402

# So many characters are generated between two looks at the clock: `predict` is slow.
PIECE = 8
# Rounds in which each way is tried.
TRIAL_ROUNDS = 2


def train(sizes, trial_seconds):
    """Training steps in the fastest of four ways, each of which is tried for some seconds first."""
    windows = random_windows(sizes)
    ways = {}
    for jit in (False, True):
        suffix = ", jit" if jit else ""
        ways["train_on_batch" + suffix] = _train_on_batch(sizes, windows, jit)
        ways["compiled step" + suffix] = _compiled_step(sizes, windows, jit)
    return _fastest(ways, trial_seconds)


def _fastest(ways, trial_seconds):
    """The fastest of `{name: run}`, each of which is tried for some seconds; and what was tried."""
    for run in ways.values():
        run()
    best = dict.fromkeys(ways, 0.0)
    for _ in range(TRIAL_ROUNDS):
        for name, run in ways.items():
            best[name] = max(best[name], rate(run, trial_seconds))
    fastest = max(best, key=best.get)
    tried = "; ".join(f"{name} {speed:,.0f}" for name, speed in best.items())
    return ways[fastest], f"{fastest} (tried: {tried})"


def _train_on_batch(sizes, windows, jit):
    model = _model(sizes, (sizes.batch, sizes.window))
    model.compile(keras.optimizers.Adam(1e-3), _loss(), jit_compile=jit)
    batches = itertools.cycle([(ids[:, :-1], ids[:, 1:]) for ids in windows])

    def run():
        model.train_on_batch(*next(batches))
        return sizes.batch * sizes.window

    return run


def _compiled_step(sizes, windows, jit):
    model = _model(sizes, (sizes.batch, sizes.window))
    loss = _loss()
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


def generate(sizes, trial_seconds):
    """A call for every character, on a model that keeps its state, in the fastest of three ways."""
    ways = {
        "predict": _by_predict(sizes),
        "compiled step": _by_compiled_step(sizes, False),
        "compiled step, jit": _by_compiled_step(sizes, True),
    }
    run, note = _fastest(ways, trial_seconds)
    return run, f"one call a character, {note}"


def _by_predict(sizes):
    model = _model(sizes, (sizes.batch, 1), stateful=True)
    generator = np.random.default_rng(0)
    carry = {"ids": np.ones([sizes.batch, 1], np.int32)}

    def run():
        rows = []
        for _ in range(PIECE):
            logits = model.predict(carry["ids"], batch_size=sizes.batch, verbose=0)[:, -1]
            weights = np.exp(logits - logits.max(axis=-1, keepdims=True)).astype(np.float64)
            ids = [generator.choice(SYMBOLS, p=row / row.sum()) for row in weights]
            carry["ids"] = np.array(ids, np.int32)[:, None]
            rows.append(as_text(ids))
        return sum(len(row) for row in rows)

    return run


def _by_compiled_step(sizes, jit):
    model = _model(sizes, (sizes.batch, 1), stateful=True)
    carry = {"ids": tf.ones([sizes.batch, 1], tf.int32), "seed": 0}

    @tf.function(jit_compile=jit, autograph=False)
    def step(ids, seed):
        logits = model(ids, training=False)[:, -1]
        return tf.random.stateless_categorical(logits, 1, [0, seed], tf.int32)

    def run():
        rows = []
        for _ in range(PIECE):
            carry["seed"] += 1
            carry["ids"] = step(carry["ids"], tf.constant(carry["seed"]))
            rows.append(as_text(carry["ids"].numpy()[:, 0]))
        return sum(len(row) for row in rows)

    return run


def _model(sizes, shape, stateful=False):
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[sizes.cell]
    return keras.Sequential(
        [
            keras.Input(batch_shape=shape, dtype="int32"),
            keras.layers.Embedding(SYMBOLS, sizes.embedding),
            *(
                layer(sizes.units, return_sequences=True, stateful=stateful)
                for _ in range(sizes.layers)
            ),
            keras.layers.Dense(SYMBOLS),
        ]
    )


def _loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
