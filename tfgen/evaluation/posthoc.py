"""The scores of a small network trained afterwards: real or generated, and what comes next.

Both are TimeGAN's (Yoon et al., NeurIPS 2019) in the form that Diffusion-TS (arXiv:2403.01742)
published its figures with: one GRU of half as many units as there are features, Adam at 1e-3 and
batches of 128. The GRU is that of TensorFlow 1, whose gates begin with a bias of 1 and whose reset
gate acts before the product, because a network this small learns visibly otherwise with another.
"""

import functools

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError

BATCH_SIZE = 128
DISCRIMINATOR_STEPS = 2000
PREDICTOR_STEPS = 5000
LEARNING_RATE = 1e-3
TRAINING_SHARE = 0.8
# Purposes of the streams of random numbers on the host.
_SPLIT, WEIGHTS, _BATCHES = 1, 2, 3
# Numbers in the batches that one compiled call trains on, and windows in one that only reads.
_CHUNK_VALUES = 1 << 24
_CHUNK_STEPS = 250
_ROWS = 1024
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


def discriminative_score(real, generated, seed=0, iterations=DISCRIMINATOR_STEPS):
    """How well a GRU tells generated windows from real ones that it was not trained on.

    Of both, a random 80% train the network, and the rest are told apart by it.

    Args:
        real: Float array `(windows, time, features)`, scaled to [0, 1].
        generated: The same of the model; the number of windows may differ.
        seed: Integer that chooses the split, the first weights and the batches.
        iterations: Steps of training.

    Returns:
        `|accuracy - 0.5|`: 0 where the two cannot be told apart, 0.5 where they always can.

    Raises:
        InputError: If the arrays do not fit each other, hold NaN, or hold less than 5 windows.
    """
    real, generated = check_windows(real, generated, least=5)
    rng = np.random.default_rng([seed, _SPLIT])
    parts = []
    for windows in (real, generated):
        order, edge = rng.permutation(len(windows)), int(TRAINING_SHARE * len(windows))
        parts.append((windows[order[:edge]], windows[order[edge:]]))
    (real, real_test), (generated, generated_test) = parts
    each = min(BATCH_SIZE, len(real), len(generated))

    def batch(rng):
        return np.concatenate([_draw(rng, real, each), _draw(rng, generated, each)])

    features = real.shape[-1]
    weights = train_network(_discriminate, features, features // 2, batch, seed, iterations)
    hits = [
        np.sum((_read(_discriminate, weights, windows)[:, 0] > 0) == is_real)
        for windows, is_real in ((real_test, True), (generated_test, False))
    ]
    accuracy = sum(hits) / (len(real_test) + len(generated_test))
    return float(abs(accuracy - 0.5))


def predictive_score(real, generated, seed=0, iterations=PREDICTOR_STEPS):
    """How well a GRU that was trained on generated windows predicts real ones.

    It reads every feature but the last and predicts the last one at the next position. A single
    feature is predicted from its own past.

    Args:
        real: Float array `(windows, time, features)`, scaled to [0, 1].
        generated: The same of the model; the number of windows may differ.
        seed: Integer that chooses the first weights and the batches.
        iterations: Steps of training.

    Returns:
        Mean absolute error over all real windows. Compare it with that of real windows in the
        place of the generated ones: there is no zero to reach.

    Raises:
        InputError: If the arrays do not fit each other, hold NaN, or have a single position.
    """
    real, generated = check_windows(real, generated)
    if real.shape[1] < 2:
        raise InputError(f"The predictive score needs 2 positions. Received: time={real.shape[1]}")
    each = min(BATCH_SIZE, len(generated))
    features = real.shape[-1]
    weights = train_network(
        next_values,
        max(features - 1, 1),
        features // 2,
        lambda rng: _draw(rng, generated, each),
        seed,
        iterations,
    )
    predicted = _read(next_values, weights, real)  # (windows, time - 1)
    return float(np.mean(np.abs(predicted - real[:, 1:, -1])))


def check_windows(*arrays, least=1):
    """Returns arrays of windows as float32, after a look whether they fit each other."""
    arrays = [np.asarray(array, np.float32) for array in arrays]
    for array in arrays:
        if array.ndim != 3 or len(array) < least or not array.size:
            raise InputError(
                f"Windows must be (windows, time, features), at least {least} of them. "
                f"Received: shape={array.shape}"
            )
        if array.shape[1:] != arrays[0].shape[1:]:
            raise InputError(
                "Real and generated windows must have equal time and features. "
                f"Received: shapes={arrays[0].shape}, {array.shape}"
            )
        if not np.isfinite(array).all():
            raise InputError("Windows must hold finite numbers. Received: NaN or infinity")
    return arrays


def _draw(rng, windows, count):
    return windows[rng.choice(len(windows), count, replace=False, shuffle=False)]


def train_network(task, inputs, units, batch, seed, iterations):
    """Trains the network of a task and returns its weights.

    Args:
        task: `_discriminate` or `next_values`.
        inputs: Features that the GRU reads.
        units: Its width; at least 1 is taken.
        batch: Function from a NumPy generator to the windows of one step.
        seed: Integer.
        iterations: Steps.
    """
    weights = first_weights(np.random.default_rng([seed, WEIGHTS]), inputs, max(units, 1))
    rng = np.random.default_rng([seed, _BATCHES])
    first = batch(rng)
    # Batches are gathered here, so that nothing is compiled again for another number of windows.
    chunk = max(1, min(_CHUNK_STEPS, _CHUNK_VALUES // first.size))
    batches = np.zeros([chunk, *first.shape], np.float32)
    state = (weights, [tf.zeros_like(w) for w in weights], [tf.zeros_like(w) for w in weights])
    for start in range(0, iterations, chunk):
        count = min(chunk, iterations - start)
        for number in range(count):
            batches[number] = first if start + number == 0 else batch(rng)
        state = _trainer(task)(*state, tf.constant(start), tf.constant(count), tf.constant(batches))
    return state[0]


def first_weights(rng, inputs, units):
    """Glorot's uniform weights (Glorot & Bengio 2010); a bias of 1 on the gates."""

    def glorot(rows, columns):
        limit = np.sqrt(6 / (rows + columns))
        return tf.constant(rng.uniform(-limit, limit, [rows, columns]), tf.float32)

    gates, candidate = glorot(inputs + units, 2 * units), glorot(inputs + units, units)
    return [
        gates, tf.ones([2 * units]), candidate, tf.zeros([units]), glorot(units, 1), tf.zeros([1])
    ]  # fmt: skip


@functools.cache
def _trainer(task):
    """The compiled function that takes up to a chunk of steps of Adam (arXiv:1412.6980)."""

    @tf.function(jit_compile=True, autograph=False)
    def train(weights, means, squares, start, count, batches):
        def step(number, weights, means, squares):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                loss = task(weights, tf.gather(batches, number), loss=True)
            gradients = tape.gradient(loss, weights)
            k = tf.cast(start + number + 1, tf.float32)
            rate = LEARNING_RATE * tf.sqrt(1 - _BETA_2**k) / (1 - _BETA_1**k)
            means = [m + (1 - _BETA_1) * (g - m) for m, g in zip(means, gradients)]
            squares = [s + (1 - _BETA_2) * (g * g - s) for s, g in zip(squares, gradients)]
            weights = [
                w - rate * m / (tf.sqrt(s) + _EPSILON) for w, m, s in zip(weights, means, squares)
            ]
            return number + 1, weights, means, squares

        state = tf.while_loop(
            lambda number, *_: number < count, step, (tf.constant(0), weights, means, squares)
        )
        return state[1:]

    return train


@functools.cache
def _reader(task):
    return tf.function(task, jit_compile=True, autograph=False)


def _read(task, weights, windows):
    """What a trained network says of windows, in chunks of one size."""
    results = []
    for first in range(0, len(windows), _ROWS):
        rows = np.resize(windows[first : first + _ROWS], [_ROWS, *windows.shape[1:]])
        results.append(_reader(task)(weights, tf.constant(rows)).numpy())
    return np.concatenate(results)[: len(windows)]


def _discriminate(weights, windows, loss=False):
    """Logits `(windows, 1)` of being real; of a batch whose first half is real, the loss."""
    *gru, kernel, bias = weights
    logits = tf.matmul(gru_layer(gru, windows)[-1], kernel) + bias
    if not loss:
        return logits
    real, generated = tf.split(logits[:, 0], 2)
    return tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(generated))


def next_values(weights, windows, loss=False):
    """The last feature at positions 1, 2, ..., `(windows, time - 1)`; or the absolute error."""
    *gru, kernel, bias = weights
    inputs = windows[:, :-1, : max(windows.shape[-1] - 1, 1)]
    predicted = tf.sigmoid(tf.tensordot(gru_layer(gru, inputs), kernel, 1)[:, :, 0] + bias)
    predicted = tf.transpose(predicted)
    return tf.reduce_mean(tf.abs(predicted - windows[:, 1:, -1])) if loss else predicted


def gru_layer(weights, inputs):
    """Outputs `(time, windows, units)` of a GRU (arXiv:1406.1078), `reset_after=False`.

    For so few units, XLA's own gradient of the plain loop is three times as fast as the kernel of
    `tfgen.layers.recurrent_kernels`, which is made for products that take time.
    """
    gate_kernel, gate_bias, kernel, bias = weights
    width, units = inputs.shape[-1], kernel.shape[-1]
    gates_in = tf.einsum("btf,fu->tbu", inputs, gate_kernel[:width]) + gate_bias
    candidates_in = tf.einsum("btf,fu->tbu", inputs, kernel[:width]) + bias
    gate_kernel, kernel = gate_kernel[width:], kernel[width:]
    length = inputs.shape[1]

    def step(position, h, outputs):
        gates = tf.sigmoid(tf.gather(gates_in, position) + tf.matmul(h, gate_kernel))
        reset, update = gates[:, :units], gates[:, units:]
        inner = tf.matmul(reset * h, kernel)
        candidate = tf.tanh(tf.gather(candidates_in, position) + inner)
        h = candidate + update * (h - candidate)
        return position + 1, h, outputs.write(position, h)

    outputs = tf.TensorArray(tf.float32, size=length, element_shape=[inputs.shape[0], units])
    state = (tf.constant(0), tf.zeros([inputs.shape[0], units]), outputs)
    *_, outputs = tf.while_loop(
        lambda position, *_: position < length, step, state, maximum_iterations=length
    )
    return outputs.stack()
