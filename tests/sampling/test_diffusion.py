"""Solvers with exact denoisers: a mixture of Gaussians on the line, and a single Gaussian.

On the line the flow of the probability-flow ODE keeps the order of points, so that it takes the
quantiles of one level to the same quantiles of another: the exact solution to compare with.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.errors import InputError
from tfgen.sampling import random
from tfgen.sampling.diffusion import (
    SOLVERS,
    advance,
    evaluations,
    initial,
    make_solver,
    sample,
    start,
)
from tfgen.sampling.noise_schedules import schedule
from tfgen.sampling.solvers import Solver

KEY = random.root(11, random.SAMPLING)
WEIGHTS, MEANS, STDS = np.array([[0.3, 0.5, 0.2], [-1.5, 0.2, 1.3], [0.2, 0.3, 0.15]])
RANDOM = {"ddpm", "dpmpp_2m_sde", "langevin", "predictor_corrector", "consistency"}


def mixture(x, sigma, stds=STDS):
    """E[x0 | x] for the mixture, every number apart from the others."""
    variance = stds**2 + sigma[:, None, None, None] ** 2
    gap = x[..., None] - MEANS
    share = tf.nn.softmax(np.log(WEIGHTS) - gap**2 / (2 * variance) - tf.math.log(variance) / 2)
    mean = (x[..., None] * stds**2 + MEANS * sigma[:, None, None, None] ** 2) / variance
    return tf.reduce_sum(share * mean, axis=-1)


def gaussian(x, sigma):
    """E[x0 | x] for standard normal data."""
    return x / (1 + sigma[:, None, None] ** 2)


def quantiles(q, sigma, stds=STDS):
    """The quantiles of the noisy mixture, by bisection."""
    low, high = np.full_like(q, -10 - 8 * sigma), np.full_like(q, 10 + 8 * sigma)
    for _ in range(80):
        middle = (low + high) / 2
        spread = np.hypot(stds, sigma)
        below = stats.norm.cdf((middle[:, None] - MEANS) / spread) @ WEIGHTS < q
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def line(values):
    return tf.constant(values[:, None, None], tf.float64)


def spaced(rows, sigma):
    """Noise of a level at evenly spaced quantiles: as many draws, without their chance."""
    return line(sigma * stats.norm.ppf((np.arange(rows) + 0.5) / rows))


def graph(denoiser, solver, dtype=tf.float64, **own):
    """`sample` as a graph for every shape: `(x, sigmas, key)`."""
    spec = tf.TensorSpec
    signature = [spec([None, None, None], dtype), spec([None], dtype), spec([2], tf.int32)]

    @tf.function(autograph=False, input_signature=signature)
    def run(x, sigmas, key):
        return sample(denoiser, x, sigmas, solver, key, **own)

    return run


@pytest.mark.parametrize("solver, order", [("euler", 1), ("ddim", 1), ("heun", 2), ("dpmpp_2m", 2)])
def test_order_of_convergence(solver, order):
    stds = 2 * STDS  # between modes far apart Euler's error falls in leaps
    q = (np.arange(64) + 0.5) / 64
    begin, end = quantiles(q, 10.0, stds), quantiles(q, 0.05, stds)
    steps = np.array([80, 160, 320, 640])
    errors = []
    run = graph(lambda x, sigma: mixture(x, sigma, stds), solver)
    for count in steps:
        sigmas = schedule("karras", count + 1, 0.05, 10.0)[:-1]
        found = run(line(begin), sigmas, KEY)
        errors.append(np.sqrt(np.mean((found.numpy().ravel() - end) ** 2)))
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(slope - order) < 0.1
    assert errors[-1] < {1: 5e-3, 2: 2e-5}[order]


@pytest.mark.long
@pytest.mark.parametrize(
    "solver, own, steps, bound",
    [
        ("dpmpp_2m", {}, 50, 0.02),
        ("heun", {}, 25, 0.02),
        ("dpmpp_2m_sde", {}, 50, 0.04),
        ("ddpm", {}, 200, 0.04),
        ("ddim", {"eta": 0.5}, 100, 0.04),
        ("euler", {"churn": 10.0}, 100, 0.04),
        ("heun", {"churn": 10.0}, 50, 0.04),
        ("langevin", {"corrector_steps": 40}, 20, 0.05),
        ("predictor_corrector", {"corrector_steps": 2, "snr": 0.2}, 50, 0.04),
    ],
)
def test_samples_follow_the_target(solver, own, steps, bound):
    rows = 4000
    sigmas = schedule("karras", steps, 0.01, 20.0)
    x = spaced(rows, 20.0)
    if solver == "predictor_corrector":  # whose step is measured over a whole sequence
        x = tf.constant(np.random.default_rng(0).permutation(x).reshape([-1, 80, 1]))
    found = graph(mixture, solver, **own)(x, sigmas, KEY).numpy().ravel()
    target = quantiles((np.arange(rows) + 0.5) / rows, 0.0)
    assert stats.wasserstein_distance(found, target) < bound


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("to_zero", [True, False])
def test_number_of_evaluations(name, to_zero):
    asked = []

    def denoiser(x, sigma):
        asked.append(sigma.numpy())
        return gaussian(x, sigma)

    own = {"corrector_steps": 3} if name in ("langevin", "predictor_corrector") else {}
    sigmas = schedule("karras", 5, 0.1, 10.0) if to_zero else np.geomspace(10, 0.1, 6)
    sample(denoiser, initial(KEY, [2, 3, 1], sigmas[0]), sigmas, name, KEY, **own)
    expected = {
        "heun": (9, 10),
        "langevin": (16, 15),
        "predictor_corrector": (5 + 3 * 4, 5 + 3 * 5),
    }.get(name, (5, 5))[0 if to_zero else 1]
    assert len(asked) == expected == int(evaluations(sigmas, make_solver(name, **own)))
    # It is never asked at level 0, and every row at the same level.
    assert np.min(asked) > 0 and {each.shape for each in asked} == {(2,)}
    assert {float(each[0]) for each in asked} <= set(sigmas.astype(np.float32).tolist())


@pytest.mark.parametrize("name", SOLVERS)
def test_a_denoiser_that_knows_x0_ends_there(name):
    x0 = np.float64([[[1.0, -2.0]], [[0.5, 3.0]]])
    sigmas = schedule("cosine", 6, 0.01, 20.0)
    own = {"corrector_steps": 3} if name in ("langevin", "predictor_corrector") else {}
    noise = initial(KEY, [2, 1, 2], sigmas[0], tf.float64)
    found = sample(lambda x, sigma: tf.constant(x0), noise, sigmas, name, KEY, **own)
    assert found.dtype == tf.float64
    np.testing.assert_array_equal(found, x0)


def test_ddim_is_that_of_the_paper():
    """Equation 12 on the variance-preserving state, with abar = 1 / (1 + sigma**2)."""
    sigma, following, eta = 2.0, 0.7, 0.6
    now, then = 1 / (1 + sigma**2), 1 / (1 + following**2)
    x = initial(KEY, [4, 5, 2], sigma, tf.float64).numpy()
    x0_hat = x / (1 + sigma**2)
    noise_hat = (x - x0_hat) / sigma
    up = eta * np.sqrt((1 - then) / (1 - now)) * np.sqrt(1 - now / then)
    noise = random.normal(random.fold(random.fold(KEY, 0), 0), [4, 5, 2]).numpy().astype(float)
    expected = np.sqrt(then) * x0_hat + np.sqrt(1 - then - up**2) * noise_hat + up * noise
    found = sample(gaussian, tf.constant(x), [sigma, following], "ddim", KEY, eta=eta)
    np.testing.assert_allclose(found, expected / np.sqrt(then), rtol=1e-10)


def test_ddpm_has_the_variance_of_the_posterior():
    """Of a Gaussian the variance after each step is known; so is that of one step."""
    sigmas = schedule("karras", 12, 0.05, 10.0)
    x = initial(KEY, [40_000, 1, 1], np.hypot(10, 1), tf.float64)
    variance = 101.0
    for sigma, following in zip(sigmas[:-1], sigmas[1:]):
        shrink = (1 + following**2) / (1 + sigma**2)
        variance = shrink**2 * variance + following**2 * (1 - following**2 / sigma**2)
    found = sample(gaussian, x, sigmas, "ddpm", KEY).numpy()
    assert abs(found.var() / variance - 1) < 0.03  # four standard errors
    assert abs(found.mean()) < 4 * np.sqrt(variance / 40_000)

    step = sample(lambda x, _: 0 * x, tf.zeros([40_000, 1, 1]), [2.0, 1.0], "ddpm", KEY)
    assert abs(step.numpy().var() / (1 * (4 - 1) / 4) - 1) < 0.03


def test_sde_solver_has_the_moments_of_its_recursion():
    """DPM-Solver++(2M) is linear for a Gaussian: x and the last answer have a joint covariance."""
    sigmas = schedule("karras", 8, 0.05, 10.0)
    eta = 0.7
    # Coordinates: x, x0_hat of the step before.
    covariance = np.array([[101.0, 0], [0, 0]])
    for step, (sigma, following) in enumerate(zip(sigmas[:-1], sigmas[1:])):
        answer = np.array([1 / (1 + sigma**2), 0.0])
        ahead = answer
        if 0 < step < 7:
            ratio = np.log(sigma / following) / np.log(sigmas[step - 1] / sigma) / 2
            ahead = answer + ratio * (answer - [0, 1])
        h = np.log(sigma / following) if following else np.inf
        keep = following / sigma * np.exp(-eta * h)
        row = keep * np.array([1.0, 0]) - np.expm1(-(1 + eta) * h) * ahead
        move = np.stack([row, answer])
        covariance = move @ covariance @ move.T
        covariance[0, 0] += following**2 * -np.expm1(-2 * eta * h) if following else 0
    x = initial(KEY, [40_000, 1, 1], np.hypot(10, 1), tf.float64)
    found = sample(gaussian, x, sigmas, "dpmpp_2m_sde", KEY, eta=eta).numpy()
    assert abs(found.var() / covariance[0, 0] - 1) < 0.03
    deterministic = sample(gaussian, x, sigmas, "dpmpp_2m_sde", eta=0.0)
    np.testing.assert_array_equal(deterministic, sample(gaussian, x, sigmas, "dpmpp_2m"))


def test_churn_raises_the_level():
    asked = []

    def denoiser(x, sigma):
        asked.append(float(sigma[0]))
        return 0 * x

    sigmas = [4.0, 2.0, 1.0, 0.0]
    x = tf.zeros([40_000, 1, 1])
    own = {"churn": 0.6, "churn_min": 1.5, "churn_max": 3.0, "churn_noise": 1.1}
    found = sample(denoiser, x, sigmas[:3], "euler", KEY, **own)
    np.testing.assert_allclose(asked, [4.0, 2.0 * (1 + 0.6 / 2)], rtol=1e-6)
    # The noise that was added, and what the step to level 1 leaves of it.
    variance = 1.1**2 * (2.6**2 - 2**2) / 2.6**2
    assert abs(found.numpy().var() / variance - 1) < 0.03
    asked.clear()
    sample(denoiser, x, sigmas, "heun", KEY, churn=30.0)
    np.testing.assert_allclose(asked[::2], np.sqrt(2) * np.array(sigmas[:3]), rtol=1e-6)
    np.testing.assert_allclose(asked[1::2], sigmas[1:3], rtol=1e-6)


CHOICES = {
    "ddim": {"eta": 0.8},
    "euler": {"churn": 3.0},
    "heun": {"churn": 3.0},
    "dpmpp_2m_sde": {"eta": 0.4},
    "langevin": {"corrector_steps": 2, "step_size": 0.1},
    "predictor_corrector": {"corrector_steps": 2, "snr": 0.1},
}


@pytest.mark.parametrize("name, key", [(name, key) for name, own in CHOICES.items() for key in own])
def test_every_argument_counts(name, key):
    sigmas = schedule("karras", 4, 0.1, 5.0)[:-1]
    own = {"corrector_steps": 3} if name in ("langevin", "predictor_corrector") else {}
    x = initial(KEY, [2, 3, 1], 5.0)
    plain = sample(gaussian, x, sigmas, name, KEY, **own)
    changed = sample(gaussian, x, sigmas, name, KEY, **{**own, key: CHOICES[name][key]})
    assert np.abs(plain - changed).min() > 1e-4


@pytest.mark.parametrize(
    "name", [*SOLVERS][:3] + [pytest.param(name, marks=pytest.mark.long) for name in [*SOLVERS][3:]]
)
def test_rows_padded_levels_and_graphs(name):
    own = CHOICES.get(name, {})
    sigmas = schedule("karras", 4, 0.1, 5.0).astype(np.float32)
    x = initial(KEY, [6, 3, 2], 5.0)
    eager = sample(gaussian, x, sigmas, name, KEY, **own)
    assert eager.dtype == tf.float32
    run = graph(gaussian, name, tf.float32, **own)
    # Levels padded with zeros, and shapes that the graph does not know.
    whole = run(x, np.pad(sigmas, (0, 3)), KEY)
    np.testing.assert_allclose(whole, eager, rtol=1e-4, atol=1e-5)
    # A row does not depend on the others.
    np.testing.assert_allclose(run(x[:2], sigmas, KEY), whole[:2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["heun", "dpmpp_2m_sde"])
def test_a_run_may_be_cut_into_pieces(name):
    solver = make_solver(name)
    sigmas = schedule("karras", 4, 0.1, 5.0)
    x = initial(KEY, [2, 3, 2], 5.0)
    run = start(x, solver)
    for count in (2, 1, 100):
        run = advance(gaussian, run, sigmas, solver, KEY, count=count)
    assert int(run.index) == int(evaluations(sigmas, solver))
    np.testing.assert_array_equal(run.x, sample(gaussian, x, sigmas, solver, KEY))


@pytest.mark.long
@pytest.mark.parametrize("name", ["heun", "predictor_corrector"])
def test_xla(name):
    sigmas = schedule("karras", 4, 0.1, 5.0).astype(np.float32)
    x = initial(KEY, [3, 4, 1], 5.0)

    @tf.function(jit_compile=True, autograph=False)
    def compiled(x, sigmas, key):
        return sample(gaussian, x, sigmas, name, key)

    for levels in (sigmas, np.pad(sigmas[2:], (0, 2))):
        expected = sample(gaussian, x, levels, name, KEY)
        np.testing.assert_allclose(compiled(x, levels, KEY), expected, rtol=1e-4, atol=1e-5)
    assert compiled.experimental_get_tracing_count() == 1


def test_draws_depend_on_the_key_and_on_the_step():
    x = tf.zeros([1, 20_000, 1])
    other = random.root(12, random.SAMPLING)
    ends = [sample(lambda x, _: 0 * x, x, [2.0, 1.0], "ddpm", key) for key in (KEY, other)]
    assert abs(np.corrcoef(ends[0][0, :, 0], ends[1][0, :, 0])[0, 1]) < 0.03
    # Two steps: the noise of the first and of the second are unrelated, so variances add.
    twice = sample(lambda x, _: 0 * x, x, [4.0, 2.0, 1.0], "ddpm", KEY).numpy()
    first = 4 * (1 - 4 / 16)
    assert abs(twice.var() / (first / 16 + 1 - 1 / 4) - 1) < 0.05


def test_self_conditioning_threshold_and_own_solver():
    heard = []

    def denoiser(x, sigma, previous):
        heard.append(previous.numpy().ravel().tolist())
        return 0 * x + len(heard)

    x = tf.ones([1, 1, 2])
    found = sample(
        denoiser, x, [3.0, 2.0, 1.0, 0.0], "ddim", self_condition=True,
        threshold=lambda x0_hat: tf.minimum(x0_hat, 2.5),
    )  # fmt: skip
    assert heard == [[0, 0], [1, 1], [2, 2]]
    np.testing.assert_array_equal(found, np.full([1, 1, 2], 2.5))

    jump = Solver(
        lambda place: 1, lambda place, x: (x, place.sigma(0)), lambda *given: (given[3], ())
    )
    np.testing.assert_array_equal(sample(gaussian, x, [3.0, 1.0, 0.0], jump), x / 10)


def test_padding_does_not_change_the_corrector():
    valid = np.array([True] * 4 + [False] * 3)[None, :, None]
    x = initial(KEY, [1, 7, 1], 5.0)
    loud = tf.where(valid, x, 100.0)
    sigmas = np.geomspace(5, 0.5, 4)

    def run(x, valid):
        return sample(gaussian, x, sigmas, "predictor_corrector", KEY, valid=valid)[:, :4].numpy()

    np.testing.assert_array_equal(run(loud, valid), run(x, valid))
    assert np.abs(run(loud, None) - run(x, None)).max() > 1e-3


@pytest.mark.parametrize(
    "make, found",
    [
        (lambda: make_solver("dpmpp_3m"), "Unknown solver 'dpmpp_3m'. Did you mean 'dpmpp_2m'"),
        (lambda: make_solver("ddim", etta=1), "Unknown argument of the solver 'ddim' 'etta'."),
        (lambda: make_solver("ddpm", eta=1), "argument of the solver 'ddpm' 'eta'. Known: (none)"),
        (
            lambda: sample(gaussian, tf.zeros([1, 1, 1]), [2.0, 1.0], "ddpm"),
            "This solver is random and needs a key. Received: key=None",
        ),
    ],
)
def test_refusals(make, found):
    with pytest.raises(InputError) as caught:
        make()
    assert found in str(caught.value)
