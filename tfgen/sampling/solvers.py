"""Solvers of diffusion: how a denoiser's word moves x from one noise level to the next.

A `Solver` says, for evaluation `index` of a run, at which x and level the denoiser is asked next,
and what becomes of x then. It is stateless: whatever it must remember is handed to it.
`tfgen.sampling.diffusion` runs it. There is a single call of the denoiser in the loop, whatever the
order of the solver, so that a compiled run holds the network once.

All formulas are in the variance-exploding form `x = x0 + sigma * noise`; of a variance-preserving
or flow sampler it is the same update, its state being x times its own signal scale.

With C for `corrector_steps`:

| solver | evaluations for N steps to 0 | random | source |
|---|---|---|---|
| `ddpm` | N | yes | arXiv:2006.11239, algorithm 2, with the variance of equation 7 |
| `ddim` | N | if `eta` > 0 | arXiv:2010.02502, equation 12 |
| `euler` | N | if `churn` > 0 | arXiv:2206.00364, algorithm 2 without its lines 6 to 8 |
| `heun` | 2N - 1 | if `churn` > 0 | arXiv:2206.00364, algorithm 2 |
| `dpmpp_2m` | N | no | arXiv:2211.01095, algorithm 2 |
| `dpmpp_2m_sde` | N | yes | arXiv:2211.01095, SDE-DPM-Solver++(2M) |
| `consistency` | N | yes | arXiv:2303.01469, algorithm 1 |
| `langevin` | N * C + 1 | yes | `tfgen.sampling.langevin` |
| `predictor_corrector` | N + (N - 1) * C | yes | `tfgen.sampling.langevin` |

If the levels end above 0, `heun` takes 2N, `langevin` one less and `predictor_corrector`
N * (C + 1).
"""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.errors import InputError
from tfgen.sampling import random
from tfgen.sampling.denoising import cast


class Place(NamedTuple):
    """Where a run is.

    Attributes:
        index: int32 scalar: number of the evaluation, from 0.
        steps: int32 scalar: steps of the whole run.
        sigmas: float `(levels,)`, in the dtype of x; step k leads from entry k to entry k + 1. Or
            `(levels, time, 1)`, where positions have levels of their own.
        to_zero: bool scalar: whether the last step leads to level 0 everywhere.
        key: int32 `(2,)`, the key of this evaluation; None if nobody gave one.
        valid: bool, broadcast against x: which numbers are no padding; None if all are valid.
    """

    index: Any
    steps: Any
    sigmas: Any
    to_zero: Any
    key: Any
    valid: Any

    def sigma(self, step):
        """The level at which a step begins."""
        return tf.gather(self.sigmas, step)

    def noise(self, x, purpose=0):
        """Standard normal noise in the shape of x; that of a row does not depend on the others."""
        if self.key is None:
            raise InputError("This solver is random and needs a key. Received: key=None")
        return tf.cast(random.normal(random.fold(self.key, purpose), tf.shape(x)), x.dtype)


class Solver(NamedTuple):
    """How a run goes.

    Attributes:
        evaluations: Function `(place)` -> int32 scalar, of the whole run; `place.index` is 0.
        arrive: Function `(place, x)` -> `(x, sigma)`, what the denoiser is asked; sigma is of the
            shape of an entry of `place.sigmas`.
        update: Function `(place, x, sigma, x0_hat, previous, memory)` -> `(x, memory)`, given what
            `arrive` gave, what the denoiser answered and what it had answered the time before.
        memory: Python integer: how many tensors like x it remembers.
        lowest: Whether the last evaluation of a run to 0 is at the schedule's lowest level. Of
            answers that are samples it would change nothing.
    """

    evaluations: Any
    arrive: Any
    update: Any
    memory: int = 0
    lowest: bool = True


def ddim(eta=0.0):
    """DDIM. `eta` = 0 is Euler's method for the probability-flow ODE, 1 is DDPM.

    Args:
        eta: Number or scalar tensor from 0 up: the share of new noise.
    """

    def update(place, x, sigma, x0_hat, _previous, memory):
        following = place.sigma(place.index + 1)
        if _is_zero(eta):
            return towards(x, sigma, x0_hat, following), memory
        up = new_noise(sigma, following, eta)
        down = tf.sqrt(tf.maximum(tf.square(following) - tf.square(up), 0.0))
        return towards(x, sigma, x0_hat, down) + up * place.noise(x), memory

    return Solver(_one_each, _as_is, update)


def ddpm():
    """DDPM's ancestral sampling, with the variance of the posterior given x0."""
    return ddim(eta=1.0)


def euler(churn=0.0, churn_min=0.0, churn_max=math.inf, churn_noise=1.0):
    """Euler's method; with `churn` noise is added before each step, and the step goes further.

    Args:
        churn: Number from 0 up, over the whole run: a level is raised by `churn / num_steps` of
            itself, at most by sqrt(2) - 1.
        churn_min: The lowest level that is raised.
        churn_max: The highest level that is raised.
        churn_noise: Standard deviation of the noise added.
    """
    raised = _churn(churn, churn_min, churn_max, churn_noise)

    def arrive(place, x):
        return raised(place, x, place.sigma(place.index))

    def update(place, x, sigma, x0_hat, _previous, memory):
        return towards(x, sigma, x0_hat, place.sigma(place.index + 1)), memory

    return Solver(_one_each, arrive, update)


def heun(churn=0.0, churn_min=0.0, churn_max=math.inf, churn_noise=1.0):
    """Heun's method, of order 2: the slope of a step is the mean of those at its two ends.

    Args:
        churn: As of `euler`.
        churn_min: As of `euler`.
        churn_max: As of `euler`.
        churn_noise: As of `euler`.
    """
    raised = _churn(churn, churn_min, churn_max, churn_noise)

    def evaluations(place):
        return 2 * place.steps - tf.cast(place.to_zero, tf.int32)

    def arrive(place, x):
        step, second = place.index // 2, place.index % 2 == 1
        raised_x, sigma = raised(place, x, place.sigma(step))
        sigma = tf.where(second, place.sigma(step + 1), sigma)
        return tf.where(second, x, raised_x), sigma

    def update(place, x, sigma, x0_hat, _previous, memory):
        step, second = place.index // 2, place.index % 2 == 1
        start, first_slope = memory
        slope = _over(x - x0_hat, sigma)
        following = place.sigma(step + 1)
        _, begun = raised(place, x, place.sigma(step))
        corrected = start + (following - begun) * (first_slope + slope) / 2.0
        x_next = tf.where(second, corrected, towards(x, sigma, x0_hat, following))
        return x_next, (x, slope)

    return Solver(evaluations, arrive, update, memory=2)


def dpmpp_2m():
    """DPM-Solver++(2M), of order 2 with one evaluation a step."""
    return dpmpp_2m_sde(eta=0.0)


def dpmpp_2m_sde(eta=1.0):
    """The SDE form of DPM-Solver++(2M).

    Args:
        eta: Number or scalar tensor from 0 up: the share of new noise; 0 is `dpmpp_2m`.
    """

    def update(place, x, sigma, x0_hat, previous, memory):
        step = place.index
        following = place.sigma(step + 1)
        before = place.sigma(tf.maximum(step - 1, 0))
        # There is nothing to extrapolate from at first, and nowhere to go from 0.
        ahead = tf.where(following > 0, following, sigma)
        length, length_before = _log_ratio(sigma, ahead), _log_ratio(before, sigma)
        second = (step > 0) & (following > 0)
        share = tf.where(second, _over(length, tf.where(second, 2.0 * length_before, 1.0)), 0.0)
        x0_hat = x0_hat + share * (x0_hat - previous)

        ratio = _over(following, sigma)
        if _is_zero(eta):
            return x0_hat + ratio * (x - x0_hat), memory
        exponent = cast(eta, x.dtype)
        up = following * tf.sqrt(1.0 - tf.pow(ratio, 2.0 * exponent))
        return x0_hat + tf.pow(ratio, 1.0 + exponent) * (x - x0_hat) + up * place.noise(x), memory

    return Solver(_one_each, _as_is, update)


def consistency():
    """Gives each answer new noise, up to the next level: for networks whose answers are samples.

    Few-step generators are, see `tfgen.training.self_forcing`. Of a network that answers with
    expected sequences it draws what varies too little.
    """

    def update(place, x, sigma, x0_hat, _previous, memory):
        following = place.sigma(place.index + 1)
        renoised = x0_hat + following * place.noise(x)
        if len(following.shape):  # what is at its level stays there, as what is clean
            renoised = tf.where(following < sigma, renoised, x)
        return renoised, memory

    return Solver(_one_each, _as_is, update, lowest=False)


def towards(x, sigma, x0_hat, following):
    """Moves x on the straight line through `x0_hat` from level `sigma` to level `following`."""
    return x0_hat + _over(following, sigma) * (x - x0_hat)


def new_noise(sigma, following, eta):
    """Standard deviation of the new noise of a DDIM step, arXiv:2010.02502, equation 16."""
    share = tf.maximum(1.0 - tf.square(_over(following, sigma)), 0.0)
    return tf.minimum(cast(eta, sigma.dtype) * following * tf.sqrt(share), following)


def _over(value, level):
    """A quotient; where positions have levels of their own, 0 at those that are clean or stay."""
    return tf.math.divide_no_nan(value, level) if len(level.shape) else value / level


def _log_ratio(sigma, other):
    ratio = _over(sigma, other)
    return tf.math.log(tf.where(ratio > 0, ratio, 1.0) if len(sigma.shape) else ratio)


def _one_each(place):
    return place.steps


def _as_is(place, x):
    return x, place.sigma(place.index)


def _churn(churn, churn_min, churn_max, churn_noise):
    def raised(place, x, sigma):
        if _is_zero(churn):
            return x, sigma
        dtype = x.dtype
        gamma = cast(churn, dtype) / tf.cast(place.steps, dtype)
        inside = (sigma >= cast(churn_min, dtype)) & (sigma <= cast(churn_max, dtype))
        gamma = tf.where(inside, tf.minimum(gamma, math.sqrt(2) - 1), 0.0)
        added = sigma * tf.sqrt(gamma * (2.0 + gamma)) * cast(churn_noise, dtype)
        return x + added * place.noise(x), sigma * (1.0 + gamma)

    return raised


def _is_zero(value):
    """Whether a number is known to be 0 before anything is run."""
    return not tf.is_tensor(value) and value == 0
