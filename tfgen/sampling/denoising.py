"""What a network predicts, and the denoiser that is made of it.

A denoiser is a function `D(x, sigma)`, the expected clean sequence given `x = x0 + sigma * noise`.
It is made of a network F whose input and target have a spread of about 1 at every level,

    D(x, sigma) = c_skip * x + c_out * F(c_in * x, c_noise),

EDM, arXiv:2206.00364, equation 7. What is called the objective is a choice of these four and so of
the target of F. With s for `sigma_data`, the standard deviation of the data, and
`r = sqrt(sigma^2 + s^2)`:

| objective | target of F | c_skip | c_out | c_in |
|---|---|---|---|---|
| epsilon | noise | 1 | -sigma | 1 / r |
| x0 | x0 / s | 0 | s | 1 / r |
| v | (s noise - sigma x0 / s) / r | s^2 / r^2 | -sigma s / r | 1 / r |
| edm | (sigma x0 / s - s noise) / r | s^2 / r^2 | sigma s / r | 1 / r |
| flow | noise - x0 / s | s / (sigma + s) | -sigma s / (sigma + s) | 1 / (sigma + s) |

epsilon is DDPM's (arXiv:2006.11239), v that of arXiv:2202.00512, flow the velocity of a straight
line (arXiv:2209.03003); at `sigma_data = 1` all are as published. `c_noise = log(sigma) / 4`.

Why the best D in the squared error is enough to sample: it is E[x0 | x], and the score of the noisy
data is (E[x0 | x] - x) / sigma^2 (Tweedie's formula; Vincent 2011, "A connection between score
matching and denoising autoencoders").
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.errors import unknown
from tfgen.sampling import random

OBJECTIVES = ("epsilon", "x0", "v", "edm", "flow")
WEIGHTINGS = ("uniform", "snr", "min_snr", "edm")


class Preconditioning(NamedTuple):
    """The scales of one objective at given levels; tensors of the shape of `sigma`.

    Attributes:
        c_skip: Of x in the denoiser.
        c_out: Of the network in the denoiser.
        c_in: Of x as the network sees it.
        c_noise: How the network is told the level.
        of_x0: Of x0 in the network's target.
        of_noise: Of the noise in the network's target.
    """

    c_skip: Any
    c_out: Any
    c_in: Any
    c_noise: Any
    of_x0: Any
    of_noise: Any


def preconditioning(objective, sigma, sigma_data=1.0):
    """Returns the `Preconditioning` of an objective.

    Args:
        objective: One of `OBJECTIVES`.
        sigma: float tensor of any shape, above 0.
        sigma_data: Standard deviation of the data, a number above 0.

    Raises:
        InputError: For an unknown objective.
    """
    sigma = tf.convert_to_tensor(sigma)
    data = cast(sigma_data, sigma.dtype)
    none, one = tf.zeros_like(sigma), tf.ones_like(sigma)
    total = tf.sqrt(tf.square(sigma) + tf.square(data))
    c_noise = tf.math.log(tf.maximum(sigma, 1e-20)) / 4.0
    if objective == "epsilon":
        return Preconditioning(one, -sigma, 1.0 / total, c_noise, none, one)
    if objective == "x0":
        return Preconditioning(none, one * data, 1.0 / total, c_noise, one / data, none)
    if objective in ("v", "edm"):
        sign = -1.0 if objective == "v" else 1.0
        return Preconditioning(
            c_skip=tf.square(data / total),
            c_out=sign * sigma * data / total,
            c_in=1.0 / total,
            c_noise=c_noise,
            of_x0=sign * sigma / (data * total),
            of_noise=-sign * data / total,
        )
    if objective == "flow":
        c_in = 1.0 / (sigma + data)
        return Preconditioning(data * c_in, -sigma * data * c_in, c_in, c_noise, -one / data, one)
    raise unknown("objective", objective, OBJECTIVES)


def cast(value, dtype):
    """Returns a number, array or tensor in a dtype; `tf.cast` takes numbers through float32."""
    if tf.is_tensor(value):
        return tf.cast(value, dtype)
    return tf.constant(np.asarray(value), dtype)


def expand(sigma, x):
    """Returns levels with axes of 1 appended, so that they multiply x.

    Args:
        sigma: Tensor `()`, `(batch,)` or `(batch, time)`.
        x: Tensor `(batch, time, ...)` of as many axes or more.
    """
    missing = len(x.shape) - len(sigma.shape)
    return sigma[(..., *[None] * missing)] if len(sigma.shape) else sigma


def add_noise(x0, noise, sigma):
    """Returns `x0 + sigma * noise`; sigma is `()`, `(batch,)` or `(batch, time)`."""
    return x0 + expand(cast(sigma, x0.dtype), x0) * noise


def denoise(network, x, sigma, objective, sigma_data=1.0):
    """Returns the expected clean sequence that a network stands for.

    Args:
        network: Function `(inputs (batch, time, channels), c_noise)` -> `(batch, time, channels)`;
            `c_noise` has the shape of `sigma`.
        x: float `(batch, time, channels)`.
        sigma: float `(batch,)` or `(batch, time)`, in the units of x.
        objective: One of `OBJECTIVES`.
        sigma_data: Standard deviation of the data.

    Returns:
        float `(batch, time, channels)`.
    """
    row = preconditioning(objective, cast(sigma, x.dtype), sigma_data)
    return expand(row.c_skip, x) * x + expand(row.c_out, x) * network(
        expand(row.c_in, x) * x, row.c_noise
    )


def target(x0, noise, sigma, objective, sigma_data=1.0):
    """Returns what the network should say about `x0 + sigma * noise`: `(batch, time, channels)`."""
    row = preconditioning(objective, cast(sigma, x0.dtype), sigma_data)
    return expand(row.of_x0, x0) * x0 + expand(row.of_noise, x0) * noise


def loss_weight(weighting, sigma, objective, sigma_data=1.0, gamma=5.0):
    """Returns the weight of the squared error of the denoiser, by level.

    With snr = (sigma_data / sigma)^2:

    - `"uniform"` is 1 / c_out^2: the plain squared error of the network against its own target.
    - `"snr"` is 1 / sigma^2: that of the noise, whatever the objective.
    - `"min_snr"` is min(snr, gamma) / sigma_data^2, arXiv:2303.09556.
    - `"edm"` is 1 / sigma^2 + 1 / sigma_data^2, arXiv:2206.00364, table 1: uniform for `edm`, `v`.

    Args:
        weighting: One of `WEIGHTINGS`.
        sigma: float tensor of any shape, above 0.
        objective: One of `OBJECTIVES`; counts for `"uniform"` alone.
        sigma_data: Standard deviation of the data.
        gamma: Where `"min_snr"` stops to grow.

    Returns:
        A tensor of the shape of `sigma`.

    Raises:
        InputError: For an unknown weighting or objective.
    """
    sigma = tf.convert_to_tensor(sigma)
    c_out = preconditioning(objective, sigma, sigma_data).c_out
    data = cast(sigma_data, sigma.dtype)
    if weighting == "uniform":
        return 1.0 / tf.square(c_out)
    if weighting == "snr":
        return 1.0 / tf.square(sigma)
    if weighting == "min_snr":
        snr = tf.square(data / sigma)
        return tf.minimum(snr, cast(gamma, sigma.dtype)) / tf.square(data)
    if weighting == "edm":
        return 1.0 / tf.square(sigma) + 1.0 / tf.square(data)
    raise unknown("loss weighting", weighting, WEIGHTINGS)


def squared_error(
    output, x0, noise, sigma, objective, weighting="uniform", sigma_data=1.0, gamma=5.0
):
    """Returns the weighted squared error of the denoiser, computed where it is of order 1.

    It equals `loss_weight(...) * (D(x0 + sigma * noise, sigma) - x0)**2`, but is taken from what
    the network said, so that small levels lose no digits.

    Args:
        output: float `(batch, time, channels)`, what the network said about `x0 + sigma * noise`.
        x0: float `(batch, time, channels)`.
        noise: float `(batch, time, channels)`, standard normal.
        sigma: float `(batch,)` or `(batch, time)`.
        objective: One of `OBJECTIVES`.
        weighting: One of `WEIGHTINGS`.
        sigma_data: Standard deviation of the data.
        gamma: Of `"min_snr"`.

    Returns:
        float `(batch, time, channels)`.
    """
    error = tf.square(output - target(x0, noise, sigma, objective, sigma_data))
    if weighting == "uniform":
        return error
    sigma = cast(sigma, x0.dtype)
    c_out = preconditioning(objective, sigma, sigma_data).c_out
    weight = loss_weight(weighting, sigma, objective, sigma_data, gamma) * tf.square(c_out)
    return expand(weight, x0) * error


def scheduled_sigma(key, shape, noise_schedule):
    """Draws levels to train on: those of a schedule at n uniform in (0, 1); float32 `shape`.

    Args:
        key: int32 `(2,)`, from `tfgen.sampling.random`.
        shape: `(batch,)`, or `(batch, time)` for a level of its own at each position.
        noise_schedule: A `tfgen.sampling.noise_schedules.NoiseSchedule`.
    """
    return noise_schedule.sigma(random.uniform(key, shape))


def lognormal_sigma(key, shape, mean=-1.2, std=1.2):
    """Draws levels to train on: `log(sigma)` is normal, arXiv:2206.00364, table 1.

    Its defaults are for data of standard deviation 0.5.

    Args:
        key: int32 `(2,)`.
        shape: `(batch,)` or `(batch, time)`.
        mean: Of the logarithm.
        std: Of the logarithm.
    """
    return tf.exp(mean + std * random.normal(key, shape))
