"""Context-FID: the Frechet distance of representations learned from real windows.

The representations are those of TS2Vec (Yue et al., AAAI 2022, arXiv:2106.10466), 320 numbers for a
window; the score is that of Jeha et al. (ICLR 2022) in the form in which Diffusion-TS
(arXiv:2403.01742) published its figures.
"""

import math

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.evaluation.posthoc import check_windows
from tfgen.sampling import random

KERNEL = 3
KEPT = 0.9  # of the representation in training; the rest is dropped out
SHOWN = 0.5  # of the positions in training; the rest is masked
DECAY = 0.01  # of AdamW's weights
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_WEIGHTS, _BATCHES = 1, 2
_CHUNK_STEPS = 50
_ROWS = 256
_FAR = 1e9  # taken from the logit of what is not to be chosen


def context_fid(real, generated, seed=0, iterations=None, encoder=None):
    """The Frechet distance between representations of real and of generated windows.

    It grows as the number of windows falls below a few times 320, for equal data too: compare it
    with that of as many real windows in the place of the generated ones.

    Args:
        real: Float array `(windows, time, features)`, scaled to [0, 1].
        generated: The same of the model.
        seed: Integer that chooses first weights, batches, crops and masks.
        iterations: Steps of training; None takes 200, or 600 for more than 100,000 numbers.
        encoder: A `TS2Vec` that was trained on the real windows; None trains one.

    Returns:
        A float, 0 for equal windows.
    """
    real, generated = check_windows(real, generated, least=2)
    encoder = encoder or TS2Vec(seed=seed).fit(real, iterations)
    return frechet_distance(encoder.encode(real), encoder.encode(generated))


def frechet_distance(first, second):
    """The Frechet (2-Wasserstein, squared) distance of two samples, taken as Gaussians.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) with means m and covariances C (Dowson & Landau
    1982). The trace of the root is the sum of the singular values of R1^T R2 with C = R R^T, which
    asks nothing of a covariance that is singular.

    Args:
        first: Float array `(number, width)`, at least 2 rows.
        second: The same, another number of rows.
    """
    roots, means = [], []
    for rows in (first, second):
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or len(rows) < 2:
            raise InputError(f"A Frechet distance needs 2 rows. Received: shape={rows.shape}")
        means.append(rows.mean(axis=0))
        roots.append((rows - means[-1]) / np.sqrt(len(rows) - 1))
    # C = A^T A with A the centred rows: the singular values of A1 A2^T are those that are meant.
    cross = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    spread = sum(np.sum(root**2) for root in roots) - 2 * cross
    return float(np.sum((means[0] - means[1]) ** 2) + max(spread, 0.0))


class TS2Vec:
    """An encoder of windows, trained by hierarchical contrast (arXiv:2106.10466, sec. 3).

    A linear layer, then residual blocks of dilated convolutions (dilation 2^block). Two crops of a
    window that overlap are encoded with random positions masked; in the overlap, a position is to
    be told from the others of its window and from the same one of other windows, at every scale of
    a pyramid of max pooling.

    Args:
        width: Numbers in a representation.
        hidden: Channels of the blocks.
        depth: Number of blocks before the one that widens to `width`.
        batch_size: Windows in a step.
        learning_rate: Of AdamW; the weights of all steps are averaged at the end.
        seed: Integer.
    """

    def __init__(self, width=320, hidden=64, depth=10, batch_size=8, learning_rate=1e-3, seed=0):
        self.width = width
        self.hidden = hidden
        self.depth = depth
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.weights = None

    def fit(self, windows, iterations=None):
        """Trains on windows `(windows, time, features)` and returns the encoder."""
        [windows] = check_windows(windows, least=2)
        count, _, features = windows.shape
        if iterations is None:
            iterations = 200 if windows.size <= 100_000 else 600
        weights = self.first_weights(features)
        zeros = [tf.zeros_like(weight) for weight in weights]
        state = (weights, zeros, zeros, zeros)
        batches = self.batches(windows, min(self.batch_size, count))
        rate = tf.constant(self.learning_rate, tf.float32)
        key = random.root(self.seed, random.EVALUATION)
        for start in range(0, iterations, _CHUNK_STEPS):
            steps = min(_CHUNK_STEPS, iterations - start)
            chunk = [next(batches) for _ in range(steps)]
            # Chunks are of one size, so that one compilation serves all.
            chunk += [chunk[-1]] * (_CHUNK_STEPS - steps)
            arrays = [tf.constant(np.stack(parts)) for parts in zip(*chunk)]
            state = _train(*state, tf.constant(start), tf.constant(steps), rate, key, *arrays)
        self.weights = (
            [total / max(iterations, 1) for total in state[-1]] if iterations else weights
        )
        return self

    def encode(self, windows):
        """Returns `(windows, width)`: the maximum over time of the representations."""
        if self.weights is None:
            raise InputError("The encoder is not trained: call fit first")
        [windows] = check_windows(windows)
        results = []
        for first in range(0, len(windows), _ROWS):
            rows = np.resize(windows[first : first + _ROWS], [_ROWS, *windows.shape[1:]])
            results.append(_encode(self.weights, tf.constant(rows)).numpy())
        return np.concatenate(results)[: len(windows)]

    def first_weights(self, features):
        """Uniform in +-1/sqrt(inputs), as the reference has them by its framework's default."""
        rng = np.random.default_rng([self.seed, _WEIGHTS])
        weights = []

        def add(*shape):
            limit = 1 / math.sqrt(np.prod(shape[:-1]))
            for size in (shape, shape[-1:]):
                weights.append(tf.constant(rng.uniform(-limit, limit, size), tf.float32))

        add(features, self.hidden)
        for block in range(self.depth + 1):
            out = self.width if block == self.depth else self.hidden
            add(KERNEL, self.hidden, out)
            add(KERNEL, out, out)
        add(self.hidden, self.width)
        return weights

    def batches(self, windows, size):
        """Yields `(views, shown, lengths)` of one step, for ever.

        `views` is `(2, size, time, features)`: the first crop ends at the last position and the
        second begins at the first one, so that the overlap lies at the end of one and at the
        beginning of the other; `lengths` holds those of both and of the overlap. `shown` is float
        `(2, size, time)`, 0 where a position is masked.
        """
        rng = np.random.default_rng([self.seed, _BATCHES])
        count, length = windows.shape[:2]
        order = np.zeros(0, np.int64)
        while True:
            if len(order) < size:
                order = rng.permutation(count)
            rows, order = order[:size], order[size:]
            overlap = rng.integers(min(2, length), length + 1)
            left = rng.integers(length - overlap + 1)
            right = left + overlap
            first, last = rng.integers(left + 1), rng.integers(right, length + 1)
            # Each window is moved by an offset of its own, as far as the crops allow.
            offsets = rng.integers(-first, length - last + 1, size=size)
            views = np.zeros([2, size, *windows.shape[1:]], np.float32)
            lengths = np.array([right - first, last - left, overlap], np.int32)
            for row, (number, offset) in enumerate(zip(rows, offsets)):
                views[0, row, length - lengths[0] :] = windows[
                    number, offset + first : offset + right
                ]
                views[1, row, : lengths[1]] = windows[number, offset + left : offset + last]
            shown = (rng.random([2, size, length]) < SHOWN).astype(np.float32)
            yield views, shown, lengths


@tf.function(jit_compile=True, autograph=False)
def _train(weights, means, squares, totals, start, count, rate, key, views, shown, lengths):
    """Takes `count` steps of AdamW (arXiv:1711.05101), the first of them number `start`."""

    def step(number, weights, means, squares, totals):
        here = [tf.gather(part, number) for part in (views, shown, lengths)]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = contrastive_loss(weights, *here, random.fold(key, start + number))
        gradients = tape.gradient(loss, weights)
        k = tf.cast(start + number + 1, tf.float32)
        size = rate * tf.sqrt(1 - _BETA_2**k) / (1 - _BETA_1**k)
        means = [m + (1 - _BETA_1) * (g - m) for m, g in zip(means, gradients)]
        squares = [s + (1 - _BETA_2) * (g * g - s) for s, g in zip(squares, gradients)]
        weights = [
            w * (1 - rate * DECAY) - size * m / (tf.sqrt(s) + _EPSILON)
            for w, m, s in zip(weights, means, squares)
        ]
        totals = [total + w for total, w in zip(totals, weights)]
        return number + 1, weights, means, squares, totals

    state = (tf.constant(0), weights, means, squares, totals)
    return tf.while_loop(lambda number, *_: number < count, step, state)[1:]


def contrastive_loss(weights, views, shown, lengths, key):
    """The hierarchical contrastive loss of one step; eq. 1-3 and algorithm 1 of TS2Vec."""
    _, size, length, features = views.shape
    position = tf.range(length)
    inside = tf.stack([position >= length - lengths[0], position < lengths[1]])  # (2, time)
    inside = tf.cast(tf.repeat(inside, size, axis=0), tf.float32)  # (2 * size, time)
    flat = tf.reshape(views, [2 * size, length, features])
    z = represent(weights, flat, inside, tf.reshape(shown, [2 * size, length]))
    z *= random.bernoulli_mask(key, z.shape, KEPT)
    overlap = lengths[2]
    first = tf.roll(z[:size], overlap - length, axis=1)  # the overlap to the beginning
    return hierarchical_loss(first, z[size:], overlap)


def hierarchical_loss(first, second, length):
    """The mean over the scales of a pyramid of the instance and the temporal contrast.

    Args:
        first: Float `(batch, time, width)`: the representations of one crop.
        second: Those of the other, position by position.
        length: int32 scalar: only so many positions count.
    """
    total, scales = 0.0, 0.0
    while True:
        here = tf.cast(length > 0, tf.float32)
        instance = _instance_contrast(first, second, length)
        temporal = _temporal_contrast(first, second, length)
        # A single position has no other one to be told from.
        total += here * 0.5 * (instance + tf.where(length > 1, temporal, 0.0))
        scales += here
        half = first.shape[1] // 2
        if not half:
            return total / scales
        first, second = (
            tf.reduce_max(tf.reshape(z[:, : 2 * half], [z.shape[0], half, 2, z.shape[-1]]), axis=2)
            for z in (first, second)
        )
        length = length // 2


def _instance_contrast(first, second, length):
    """Eq. 2: which of the windows of the batch is it, at each position."""
    batch, time = first.shape[:2]
    z = tf.transpose(tf.concat([first, second], axis=0), [1, 0, 2])  # (time, 2 * batch, width)
    logits = tf.matmul(z, z, transpose_b=True) - _FAR * tf.eye(2 * batch)
    right = tf.tile(tf.transpose(tf.reduce_sum(first * second, axis=-1)), [1, 2])
    nats = tf.reduce_logsumexp(logits, axis=-1) - right  # (time, 2 * batch)
    counts = tf.cast(tf.range(time) < length, tf.float32)
    total = tf.reduce_sum(tf.reduce_mean(nats, axis=1) * counts)
    return total / tf.maximum(tf.reduce_sum(counts), 1.0)


def _temporal_contrast(first, second, length):
    """Eq. 1: which of the positions is it, in each window."""
    time = first.shape[1]
    z = tf.concat([first, second], axis=1)  # (batch, 2 * time, width)
    counts = tf.tile(tf.cast(tf.range(time) < length, tf.float32), [2])
    away = tf.maximum(tf.eye(2 * time), 1 - counts)  # itself, and what does not count
    logits = tf.matmul(z, z, transpose_b=True) - _FAR * away
    right = tf.tile(tf.reduce_sum(first * second, axis=-1), [1, 2])
    nats = tf.reduce_logsumexp(logits, axis=-1) - right  # (batch, 2 * time)
    total = tf.reduce_sum(tf.reduce_mean(nats, axis=0) * counts)
    return total / tf.maximum(tf.reduce_sum(counts), 1.0)


def represent(weights, windows, inside=None, shown=None):
    """Representations `(windows, time, width)`.

    Args:
        weights: List of tensors, in the order of `TS2Vec.first_weights`.
        windows: Float `(windows, time, features)`.
        inside: Float `(windows, time)`: 0 at positions that are no part of the crop. Every
            convolution sees zeros there, as beyond the ends.
        shown: Float `(windows, time)`: 0 where the latent vector of a position is masked.
    """
    weights = list(weights)
    # Matrix products and shifts: a tap that reaches beyond the window costs nothing then.
    z = tf.tensordot(windows, weights[0], 1) + weights[1]
    if shown is not None:
        z *= shown[:, :, None]
    blocks = (len(weights) - 4) // 4
    for block in range(blocks):
        kernel, bias, second_kernel, second_bias = weights[2 + 4 * block : 6 + 4 * block]
        inner = convolve(tf.nn.gelu(z), kernel, bias, 2**block, inside)
        inner = convolve(tf.nn.gelu(inner), second_kernel, second_bias, 2**block, inside)
        if block == blocks - 1:
            z = tf.tensordot(z, weights[-2], 1) + weights[-1]
        z += inner
    return z


def convolve(z, kernel, bias, dilation, inside):
    """A dilated convolution of three taps with zeros beyond the ends."""
    length = z.shape[1]
    if inside is not None:
        z *= inside[:, :, None]
    result = tf.tensordot(z, kernel[1], 1) + bias
    if dilation < length:
        result += tf.pad(
            tf.tensordot(z[:, :-dilation], kernel[0], 1), [[0, 0], [dilation, 0], [0, 0]]
        )
        result += tf.pad(
            tf.tensordot(z[:, dilation:], kernel[2], 1), [[0, 0], [0, dilation], [0, 0]]
        )
    return result


@tf.function(jit_compile=True, autograph=False)
def _encode(weights, windows):
    return tf.reduce_max(represent(weights, windows), axis=1)
