"""How likely a sequence is to a diffusion model: by its ODE, or a bound by its noise levels.

Numbers are in nats, of the whole sequence, in the units of x: whoever scaled the data adds the
logarithm of the scale for each number.
"""

import math

import tensorflow as tf

from tfgen.errors import InputError
from tfgen.sampling import random
from tfgen.sampling.denoising import cast, expand
from tfgen.sampling.ode import integrate


def log_likelihood(
    denoiser, x0, sigmas, key=None, probes=1, method="rk4", prior_std=None, valid=None
):
    """Returns the log-density of sequences by the probability-flow ODE.

    Along dx / dsigma = (x - D) / sigma the log-density falls by the divergence of the right side,
    (d - tr J) / sigma with d numbers and the Jacobian J of D; at the top it is that of a Gaussian:
    arXiv:2011.13456, equation 39. The trace is estimated with probes of signs, `v' J v`
    (Hutchinson), its equation 40: unbiased, one product with J' each. Unlike there, each level has
    probes of its own, whose errors then cancel in part along the way.

    The sequence is taken to be at the lowest level above 0: what is returned is the density of the
    data with that little noise.

    Args:
        denoiser: Function `(x, sigma (batch,))` -> expected clean sequence, differentiable in x.
        x0: float `(batch, time, channels)`.
        sigmas: float `(levels,)`, falling, as for sampling; zeros do not count.
        key: int32 `(2,)`; probe i of a row depends on it, on i, on the level and on the row alone.
        probes: Integer from 1 up, or `"exact"`: as many products as there are numbers in a
            sequence, whose shape must then be static. For tests and short sequences.
        method: `"euler"`, `"heun"` or `"rk4"`; 1, 2 or 4 evaluations a step. For as many in all,
            20 steps of the last are nearer than 40 of Heun's.
        prior_std: Standard deviation of the Gaussian at the top; `sigmas[0]` if None. With data of
            spread s, `sqrt(sigmas[0]**2 + s**2)` is nearer to the truth.
        valid: bool, broadcast against x0: which numbers count. The others stay as they are given,
            at every level: padding that the denoiser does not heed changes nothing; where it does
            heed them, the density is that of the flow of the valid numbers beside them.

    Returns:
        float `(batch,)`, in the dtype of `x0`.

    Raises:
        InputError: If `key` is missing or `probes` is no such number.
    """
    x0 = tf.convert_to_tensor(x0)
    sigmas = cast(sigmas, x0.dtype)
    batch = tf.shape(x0)[0]
    weights = _weights(x0, valid)
    count = _total(weights)
    share = 1.0 if probes == "exact" else 1.0 / _check_probes(probes, key)

    def slope(state, sigma):
        x, _ = state
        # Of x alone: the gradients of a network's weights would be three times as much to trace.
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(x)
            x0_hat = denoiser(x, tf.fill([batch], sigma))
        trace = tf.zeros([batch], x.dtype)
        for vector in _probes(x, key, probes, sigma):
            vector *= weights
            product = tape.gradient(x0_hat, x, output_gradients=vector)
            trace += _total(vector * product)
        return weights * (x - x0_hat) / sigma, (count - share * trace) / sigma

    begin = (x0, tf.zeros([batch], x0.dtype))
    latent, change = integrate(slope, begin, sigmas, method, upward=True)
    std = sigmas[0] if prior_std is None else cast(prior_std, x0.dtype)
    prior = -_total(weights * tf.square(latent / std)) / 2.0 - count * _log_normaliser(std)
    return prior + change


def elbo(denoiser, x0, sigmas, key, continuous=False, prior_std=None, valid=None):
    """Returns an estimate of a lower bound of the log-density: arXiv:2107.00630, section 4.

    The bound has three terms: how far x at the first level is from a Gaussian; how well x0 is told
    from x at the lowest level s above 0, by a Gaussian of mean D and standard deviation s; and
    between the levels, half of the squared error of D times the growth of 1 / sigma^2. With
    `continuous=False` the error is taken at the upper end of each step: the bound of a sampler with
    these steps. With `continuous=True` it is taken at a random level within, the logarithm of which
    is uniform: the bound for infinitely many steps, section 5, which is higher.

    Noise is drawn once a level, so that a single estimate may lie above the log-density; its mean
    does not. One evaluation for each level above 0.

    Args:
        denoiser: Function `(x, sigma (batch,))` -> expected clean sequence.
        x0: float `(batch, time, channels)`.
        sigmas: float `(levels,)`, falling, as for sampling; zeros do not count.
        key: int32 `(2,)`; the noise of a row depends on `fold(key, level)` and on the row alone.
        continuous: Which bound.
        prior_std: Standard deviation of the Gaussian at the top; `sigmas[0]` if None.
        valid: bool, broadcast against x0: which numbers count. The others get noise too.

    Returns:
        float `(batch,)`, in the dtype of `x0`.
    """
    x0 = tf.convert_to_tensor(x0)
    dtype = x0.dtype
    sigmas = cast(sigmas, dtype)
    batch = tf.shape(x0)[0]
    weights = _weights(x0, valid)
    last = tf.reduce_sum(tf.cast(sigmas > 0, tf.int32)) - 1
    lowest = tf.gather(sigmas, last)

    def body(index, total):
        here = random.fold(key, index)
        upper = tf.gather(sigmas, index)
        lower = tf.gather(sigmas, tf.minimum(index + 1, last))
        ratio = tf.math.log(upper / lower)  # 0 at the lowest level
        sigma = tf.fill([batch], upper)
        weight = (1.0 / tf.square(lower) - 1.0 / tf.square(upper)) / 2.0
        if continuous:
            share = tf.cast(random.uniform(random.fold(here, 1), [batch]), dtype)
            sigma *= tf.exp(-share * ratio)
            weight = ratio / tf.square(sigma)
        weight = tf.where(index == last, 0.5 / tf.square(lowest), weight)
        noise = tf.cast(random.normal(random.fold(here, 0), tf.shape(x0)), dtype)
        x0_hat = denoiser(x0 + expand(sigma, x0) * noise, sigma)
        return index + 1, total + weight * _total(weights * tf.square(x0_hat - x0))

    _, total = tf.while_loop(
        lambda index, _: index <= last, body, (tf.constant(0), tf.zeros([batch], dtype))
    )
    std = sigmas[0] if prior_std is None else cast(prior_std, dtype)
    ratio = tf.square(sigmas[0] / std)
    distance = _total(weights * (ratio + tf.square(x0 / std) - 1.0 - tf.math.log(ratio))) / 2.0
    return -total - distance - _total(weights) * _log_normaliser(lowest)


def _log_normaliser(std):
    return tf.math.log(std) + 0.5 * math.log(2 * math.pi)


def _weights(x, valid):
    """1 for numbers that count, 0 for the others, in the shape of x."""
    if valid is None:
        return tf.ones_like(x)
    return tf.broadcast_to(tf.cast(valid, x.dtype), tf.shape(x))


def _check_probes(probes, key):
    """Returns the number of random probes."""
    if isinstance(probes, bool) or not isinstance(probes, int) or probes < 1:
        raise InputError(
            f"probes must be an integer from 1 up, or 'exact'. Received: probes={probes!r}"
        )
    if key is None:
        raise InputError("Probes are random and need a key. Received: key=None")
    return probes


def _probes(x, key, probes, sigma):
    """What the Jacobian is multiplied by: a list of tensors like x."""
    if probes == "exact":
        size = math.prod(x.shape[1:])
        one_hot = tf.reshape(tf.eye(size, dtype=x.dtype), [size, 1, *x.shape[1:]])
        return [one_hot[i] * tf.ones_like(x) for i in range(size)]
    key = random.fold(key, tf.bitcast(tf.cast(sigma, tf.float32), tf.int32))
    return [
        tf.where(random.uniform(random.fold(key, i), tf.shape(x)) < 0.5, tf.ones_like(x), -1.0)
        for i in range(probes)
    ]


def _total(x):
    """The sum of each row: `(batch,)`."""
    return tf.reduce_sum(x, axis=list(range(1, len(x.shape))))
