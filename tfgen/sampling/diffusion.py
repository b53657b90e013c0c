"""Sampling from a diffusion model: one loop over the noise levels, for any denoiser and solver.

    sigmas = schedule("karras", 20)
    x = initial(key, [16, 128, 3], sigmas[0])
    x0 = sample(denoiser, x, sigmas, "dpmpp_2m")

Everything is in the variance-exploding form `x = x0 + sigma * noise`, in the dtype of x, and works
in eager, graph and XLA code, with static and dynamic shapes.
"""

import inspect
from typing import Any, NamedTuple

import tensorflow as tf

from tfgen.errors import unknown
from tfgen.sampling import random
from tfgen.sampling.denoising import cast
from tfgen.sampling.langevin import langevin, predictor_corrector
from tfgen.sampling.solvers import (
    Place,
    Solver,
    consistency,
    ddim,
    ddpm,
    dpmpp_2m,
    dpmpp_2m_sde,
    euler,
    heun,
)

SOLVERS = {
    "ddpm": ddpm,
    "ddim": ddim,
    "euler": euler,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "consistency": consistency,
    "langevin": langevin,
    "predictor_corrector": predictor_corrector,
}


class Run(NamedTuple):
    """How far a run has come.

    Attributes:
        index: int32 scalar: evaluations done.
        x: float `(batch, time, channels)`.
        previous: float `(batch, time, channels)`, the denoiser's last answer; zeros at first.
        memory: Tuple of tensors like x, what the solver remembers.
    """

    index: Any
    x: Any
    previous: Any
    memory: Any


def make_solver(name, **own):
    """Returns the `Solver` of a name.

    Args:
        name: One of `SOLVERS`.
        **own: Its own arguments.

    Raises:
        InputError: For an unknown name or argument.
    """
    if name not in SOLVERS:
        raise unknown("solver", name, SOLVERS)
    allowed = list(inspect.signature(SOLVERS[name]).parameters)
    for key in own:
        if key not in allowed:
            raise unknown(f"argument of the solver '{name}'", key, allowed)
    return SOLVERS[name](**own)


def initial(key, shape, sigma, dtype=tf.float32):
    """Returns pure noise of a level; the first rows do not depend on the number of rows."""
    return cast(sigma, dtype) * tf.cast(random.normal(key, shape), dtype)


def sample(
    denoiser,
    x,
    sigmas,
    solver="dpmpp_2m",
    key=None,
    threshold=None,
    self_condition=False,
    valid=None,
    **own,
):
    """Denoises x from the first of the levels to the last, in one loop.

    Args:
        denoiser: Function `(x, sigma (batch,))` -> expected clean sequence, shaped as x.
        x: float `(batch, time, channels)`, at level `sigmas[0]`: `sigmas[0] * noise`.
        sigmas: float `(levels,)`, falling; step k leads from entry k to entry k + 1. It may end
            above 0. Zeros after the first one do not count: padded to one length, runs of any
            number of steps share one compiled loop. Or `(levels, time, 1)`: each position
            has levels of its own, of which the denoiser is told as `(batch, time)`; here, entries
            of numbers below 0 are the padding.
        solver: Name of a solver, or a `Solver`.
        key: int32 `(2,)`. Evaluation i draws from `fold(key, i)`, each row apart from the others.
            Needed where the solver is random.
        threshold: Optional function of the denoiser's answer, applied to every one of them; see
            `tfgen.sampling.thresholding`.
        self_condition: Whether the denoiser takes its previous answer (zeros at first) as a third
            argument: self-conditioning, arXiv:2208.04202.
        valid: bool, broadcast against x: which numbers are no padding. It counts where a solver
            measures x (`predictor_corrector`).
        **own: The solver's own arguments, if it is a name.

    Returns:
        float tensor like x, at level `sigmas[-1]`.

    Raises:
        InputError: For an unknown solver or argument, or a missing key.
    """
    solver = solver if isinstance(solver, Solver) else make_solver(solver, **own)
    run = start(x, solver)
    return advance(denoiser, run, sigmas, solver, key, None, threshold, self_condition, valid).x


def start(x, solver):
    """Returns the `Run` that has not begun."""
    x = tf.convert_to_tensor(x)
    return Run(tf.constant(0), x, tf.zeros_like(x), (tf.zeros_like(x),) * solver.memory)


def advance(
    denoiser,
    run,
    sigmas,
    solver,
    key=None,
    count=None,
    threshold=None,
    self_condition=False,
    valid=None,
):
    """Takes a run further by at most `count` evaluations, in one loop.

    How a run is cut into calls changes nothing in it.

    Args:
        denoiser: As of `sample`.
        run: A `Run`.
        sigmas: As of `sample`, all levels of the run.
        solver: A `Solver`.
        key: As of `sample`.
        count: Integer or int32 scalar; None for the rest of the run.
        threshold: As of `sample`.
        self_condition: As of `sample`.
        valid: As of `sample`.

    Returns:
        The `Run` after that; `evaluations` tells how many it takes in all.
    """
    shape, dtype = run.x.shape, run.x.dtype
    batch = tf.shape(run.x)[0]
    begun = _place(sigmas, dtype, key, valid)
    end = solver.evaluations(begun)
    if count is not None:
        end = tf.minimum(end, run.index + count)

    def body(index, x, previous, memory):
        place = begun._replace(index=index, key=None if key is None else random.fold(key, index))
        x, sigma = solver.arrive(place, x)
        more = (previous,) if self_condition else ()
        x0_hat = denoiser(x, _of_rows(sigma, batch), *more)
        if threshold is not None:
            x0_hat = threshold(x0_hat)
        x0_hat = tf.ensure_shape(x0_hat, shape)
        x, memory = solver.update(place, x, sigma, x0_hat, previous, memory)
        memory = tuple(tf.ensure_shape(each, shape) for each in memory)
        return index + 1, tf.ensure_shape(x, shape), x0_hat, memory

    return Run(*tf.while_loop(lambda index, *_: index < end, body, tuple(run)))


def evaluations(sigmas, solver):
    """Returns how many times a run asks the denoiser: int32 scalar."""
    return solver.evaluations(_place(sigmas, tf.float64, None, None))


def _place(sigmas, dtype, key, valid):
    sigmas = cast(sigmas, dtype)
    if len(sigmas.shape) == 1:
        positive = tf.reduce_sum(tf.cast(sigmas > 0, tf.int32))
        steps = tf.minimum(positive, tf.shape(sigmas)[0] - 1)
    else:
        steps = tf.reduce_sum(tf.cast(tf.reduce_all(sigmas >= 0, axis=[1, 2]), tf.int32)) - 1
    to_zero = tf.reduce_all(tf.gather(sigmas, steps) == 0)
    return Place(tf.constant(0), steps, sigmas, to_zero, key, valid)


def _of_rows(sigma, batch):
    """A level for each row, `(batch,)` or `(batch, time)`."""
    if not len(sigma.shape):
        return tf.fill([batch], sigma)
    return tf.broadcast_to(sigma[None, :, 0], [batch, tf.shape(sigma)[0]])
