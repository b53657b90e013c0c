"""How much noise: sigma as a function of n, from 0 (clean) to 1 (noise), and levels of a run.

Everything is in the variance-exploding form `x = x0 + sigma * noise`. A schedule that was published
as a variance-preserving one, `sqrt(abar) * x0 + sqrt(1 - abar) * noise`, has
`sigma = sqrt((1 - abar) / abar)`; the straight line `(1 - n) * x0 + n * noise` of flow matching has
`sigma = n / (1 - n)`.

| name | source | own arguments |
|---|---|---|
| linear | DDPM, arXiv:2006.11239, section 4 | `beta_min`, `beta_max`, `num_betas` |
| cosine | Improved DDPM, arXiv:2102.09672, equation 17 | `offset` |
| sigmoid | arXiv:2212.11972 | `start`, `end`, `tau` |
| karras | EDM, arXiv:2206.00364, equation 5 | `rho` |
| flow | arXiv:2209.03003; `shift` of arXiv:2403.03206, equation 23 | `shift` |

A schedule runs from `sigma_min` at n = 0 to `sigma_max` at n = 1: of a published one, that part of
its n is taken, stretched to [0, 1].
"""

import dataclasses
import functools
import inspect
import math
import numbers
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.errors import InputError, unknown


class _Form(NamedTuple):
    """A published schedule on the whole of its n.

    Attributes:
        sigma: Function `(n, rest)` of tensors, `rest` being `1 - n` without its rounding error.
        inverse: Function of a float64 NumPy number: the n of a sigma; above 1 where there is none.
    """

    sigma: Any
    inverse: Any


@dataclasses.dataclass(frozen=True)
class NoiseSchedule:
    """A noise schedule between two levels.

    Example:

    >>> schedule = noise_schedule("flow", sigma_min=0.01, sigma_max=99.0)
    >>> schedule.sigmas(3).round(3).tolist()
    [99.0, 1.0, 0.01, 0.0]

    Attributes:
        name: One of `SCHEDULES`.
        sigma_min: The level of n = 0.
        sigma_max: The level of n = 1.
        own: The arguments of this schedule, `((name, value), ...)`.
    """

    name: str
    sigma_min: float
    sigma_max: float
    own: tuple = ()

    def sigma(self, n):
        """Returns the level at n.

        Args:
            n: float tensor of any shape, in [0, 1].

        Returns:
            A tensor of the shape and dtype of `n`.
        """
        n = tf.convert_to_tensor(n)
        low, high = self._part
        rest = (1.0 - high) + (1.0 - n) * (high - low)
        return self._form.sigma(low + n * (high - low), rest)

    def n(self, sigma):
        """Returns the n, as float64 NumPy numbers, of levels from `sigma_min` to `sigma_max`."""
        low, high = self._part
        return (self._form.inverse(np.float64(sigma)) - low) / (high - low)

    def sigmas(self, num_steps):
        """Returns the levels of a run: float64 NumPy `(num_steps + 1,)`.

        They are at evenly spaced n, from `sigma_max` to `sigma_min`, and then comes 0. A single
        step leads from `sigma_max` to 0.

        Raises:
            InputError: If `num_steps` is no integer from 1 up.
        """
        if isinstance(num_steps, bool) or not isinstance(num_steps, numbers.Integral):
            raise InputError(f"num_steps must be an integer. Received: num_steps={num_steps!r}")
        if num_steps < 1:
            raise InputError(f"num_steps must be at least 1. Received: num_steps={num_steps!r}")
        with tf.init_scope():  # numbers even where a graph is being traced
            levels = self.sigma(tf.linspace(tf.constant(1.0, tf.float64), 0.0, num_steps)).numpy()
        return np.append(levels, 0.0)

    @functools.cached_property
    def _form(self):
        if self.name == "karras":
            return _karras(self.sigma_min, self.sigma_max, **dict(self.own))
        return SCHEDULES[self.name](**dict(self.own))

    @functools.cached_property
    def _part(self):
        low = float(self._form.inverse(np.float64(self.sigma_min)))
        return low, float(self._form.inverse(np.float64(self.sigma_max)))


def places(step, num_steps, lowest=True):
    """The n of the levels of a run before each step, from 1 down: float32, shaped as `step`.

    Args:
        step: int32 tensor, from 0; 0 is the place of those after the last.
        num_steps: int32 scalar.
        lowest: Whether the last is at n = 0, as in `NoiseSchedule.sigmas`, or one step before it.
    """
    last = tf.maximum(num_steps - 1, 1) if lowest else num_steps
    return tf.maximum(1.0 - tf.cast(step, tf.float32) / tf.cast(last, tf.float32), 0.0)


def noise_schedule(name, sigma_min=0.002, sigma_max=80.0, **own):
    """Returns the `NoiseSchedule` of a name.

    Args:
        name: `"linear"`, `"cosine"`, `"sigmoid"`, `"karras"` or `"flow"`.
        sigma_min: Number above 0: the level of n = 0.
        sigma_max: Number above `sigma_min`: the level of n = 1.
        **own: Arguments of this schedule; the table of this module lists them.

    Raises:
        InputError: For an unknown name or argument, and for a number that is out of range.
    """
    if name not in SCHEDULES:
        raise unknown("noise schedule", name, SCHEDULES)
    allowed = [
        parameter.name
        for parameter in inspect.signature(SCHEDULES[name]).parameters.values()
        if parameter.default is not inspect.Parameter.empty
    ]
    for key, value in [("sigma_min", sigma_min), ("sigma_max", sigma_max), *own.items()]:
        if key in own and key not in allowed:
            raise unknown(f"argument of the schedule '{name}'", key, allowed)
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not np.isfinite(value):
            raise InputError(f"{key} must be a finite number. Received: {key}={value!r}")
        if value <= 0 and key not in ("start", "end", "offset"):
            raise InputError(f"{key} must be above 0. Received: {key}={value!r}")
    if sigma_min >= sigma_max:
        raise InputError(
            f"sigma_max must be above sigma_min, which is {sigma_min}. "
            f"Received: sigma_max={sigma_max!r}"
        )
    made = NoiseSchedule(name, float(sigma_min), float(sigma_max), tuple(sorted(own.items())))
    if made._part[1] > 1 + 1e-9:
        raise InputError(
            f"The schedule '{name}' does not reach sigma_max. Received: sigma_max={sigma_max!r}"
        )
    return made


def schedule(name, num_steps, sigma_min=0.002, sigma_max=80.0, **own):
    """Returns the levels of a run of `num_steps` steps: float64 NumPy `(num_steps + 1,)`.

    They fall from `sigma_max` to `sigma_min`, and then to 0.

    Raises:
        InputError: As `noise_schedule`, and if `num_steps` is no integer from 1 up.
    """
    return noise_schedule(name, sigma_min, sigma_max, **own).sigmas(num_steps)


def _linear(beta_min=1e-4, beta_max=0.02, num_betas=1000):
    """`abar` is the product of `1 - beta`; between two of the betas its logarithm is linear."""
    if num_betas != int(num_betas):
        raise InputError(f"num_betas must be an integer. Received: num_betas={num_betas!r}")
    if max(beta_min, beta_max) >= 1:
        raise InputError(f"beta_max must be below 1. Received: beta_max={beta_max!r}")
    betas = np.linspace(beta_min, beta_max, int(num_betas))
    table = np.append(0.0, np.cumsum(-np.log1p(-betas)))  # -log(abar)

    def sigma(n, _rest):
        place = n * num_betas
        left = tf.clip_by_value(tf.cast(place, tf.int32), 0, int(num_betas) - 1)
        values = tf.constant(table, n.dtype)
        start = tf.gather(values, left)
        slope = tf.gather(values, left + 1) - start
        return tf.sqrt(tf.math.expm1(start + slope * (place - tf.cast(left, n.dtype))))

    def inverse(level):
        wanted = np.log1p(level**2)
        # Beyond the last beta n is above 1, so that the caller sees it.
        beyond = np.maximum(wanted - table[-1], 0.0)
        return np.interp(wanted, table, np.arange(len(table))) / num_betas + beyond

    return _Form(sigma, inverse)


def _cosine(offset=0.008):
    """`abar = cos(b)**2 / cos(a)**2`, b running from a to a right angle."""
    if offset < 0:
        raise InputError(f"offset must not be negative. Received: offset={offset!r}")
    turn = math.pi / 2 / (1 + offset)
    a = offset * turn

    def sigma(n, rest):
        # 1 - abar = sin(b - a) * sin(b + a) / cos(a)**2, without the difference of near equals.
        return tf.sqrt(tf.sin(n * turn) * tf.sin(n * turn + 2 * a)) / tf.sin(rest * turn)

    def inverse(level):
        return (np.arctan2(np.hypot(level, math.sin(a)), math.cos(a)) - a) / turn

    return _Form(sigma, inverse)


def _sigmoid(start=-3.0, end=3.0, tau=1.0):
    """`abar` falls from 1 to 0 as a logistic function does between `start` and `end`."""
    if start >= end:
        raise InputError(f"end must be above start, which is {start}. Received: end={end!r}")
    first, last = start / tau, end / tau
    ratio = math.cosh(last / 2) / math.cosh(first / 2)

    def sigma(n, rest):
        # sigmoid(b) - sigmoid(a) = sinh((b - a) / 2) / (2 * cosh(a / 2) * cosh(b / 2)).
        half = (last - first) / 2
        return tf.sqrt(ratio * tf.sinh(n * half) / tf.sinh(rest * half))

    def inverse(level):
        below, above = 1 / (1 + math.exp(-first)), 1 / (1 + math.exp(-last))
        share = (above * level**2 + below) / (1 + level**2)
        return (np.log(share / (1 - share)) - first) / (last - first)

    return _Form(sigma, inverse)


def _karras(sigma_min, sigma_max, rho=7.0):
    """Evenly spaced in `sigma**(1 / rho)`."""
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)

    def sigma(n, rest):
        return tf.pow(n * high + rest * low, rho)

    def inverse(level):
        return (level ** (1 / rho) - low) / (high - low)

    return _Form(sigma, inverse)


def _flow(shift=1.0):
    def sigma(n, rest):
        return shift * n / rest

    def inverse(level):
        return level / (shift + level)

    return _Form(sigma, inverse)


SCHEDULES = {
    "linear": _linear,
    "cosine": _cosine,
    "sigmoid": _sigmoid,
    "karras": _karras,
    "flow": _flow,
}
