"""Guidance, and gaps of a Gaussian process, whose conditional law is known."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen.errors import InputError
from tfgen.sampling import guidance, random
from tfgen.sampling.diffusion import initial, sample
from tfgen.sampling.noise_schedules import schedule
from tfgen.sampling.repaint import repaint

KEY = random.root(21, random.SAMPLING)
TIME = 8
ROWS = 2000
POSITIONS = np.arange(TIME)
COVARIANCE = np.exp(-np.abs(POSITIONS[:, None] - POSITIONS) / 4.0)
KNOWN = np.array([True, True, False, False, False, True, True, False])
OBSERVED = np.where(KNOWN, [0.8, 0.2, 0, 0, 0, -1.0, -1.3, 0], np.nan)
VALUES, VECTORS = np.linalg.eigh(COVARIANCE)


def process(x, sigma):
    """E[x0 | x] for the process of `COVARIANCE`: `(batch, time, 1)`."""
    shrink = VALUES / (VALUES + sigma[:, None] ** 2)
    return tf.matmul(tf.matmul(x[..., 0], VECTORS) * shrink, VECTORS.T)[..., None]


def conditional(noise_std=0.0):
    """Mean and covariance of the whole process, given what was observed."""
    gain = COVARIANCE[:, KNOWN] @ np.linalg.inv(
        COVARIANCE[np.ix_(KNOWN, KNOWN)] + noise_std**2 * np.eye(KNOWN.sum())
    )
    return gain @ OBSERVED[KNOWN], COVARIANCE - gain @ COVARIANCE[KNOWN]


def column(values):
    return tf.constant(values)[None, :, None]


def law(denoiser, sigmas, solver="heun"):
    """Mean and covariance of what a deterministic solver makes of noise, being affine in it."""
    starts = np.concatenate([np.zeros([1, TIME]), sigmas[0] * np.eye(TIME)])
    run = tf.function(lambda x: sample(denoiser, x, sigmas, solver), autograph=False)
    ends = run(tf.constant(starts[..., None])).numpy()[..., 0]
    moved = ends[1:] - ends[0]
    return ends[0], moved.T @ moved


@pytest.mark.parametrize("noise_std", [0.0, 0.3])
def test_guidance_is_exact_for_a_gaussian_process(noise_std):
    denoiser = guidance.reconstruction(
        process, column(OBSERVED), column(KNOWN), covariance="tweedie",
        noise_std=noise_std, solve_steps=5,
    )  # fmt: skip
    mean, covariance = law(denoiser, schedule("karras", 160, 0.002, 200.0))
    expected_mean, expected_covariance = conditional(noise_std)
    # The noise begins around 0, not around the mean: that leaves mean * std / 200.
    np.testing.assert_allclose(mean, expected_mean, atol=0.005)
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-3)


def test_one_guided_answer_is_that_of_the_joint_law():
    """E[x0 | x, observed] from the joint covariance of x0, x and what was observed."""
    sigma, x = 0.7, np.random.default_rng(2).normal(size=TIME)
    stack = np.block([
        [COVARIANCE + sigma**2 * np.eye(TIME), COVARIANCE[:, KNOWN]],
        [COVARIANCE[KNOWN], COVARIANCE[np.ix_(KNOWN, KNOWN)] + 0.04 * np.eye(KNOWN.sum())],
    ])  # fmt: skip
    cross = np.concatenate([COVARIANCE, COVARIANCE[:, KNOWN]], axis=1)
    expected = cross @ np.linalg.solve(stack, np.concatenate([x, OBSERVED[KNOWN]]))

    def answer(**own):
        denoiser = guidance.reconstruction(process, column(OBSERVED), column(KNOWN), **own)
        return denoiser(column(x), tf.constant([sigma], tf.float64)).numpy().ravel()

    tweedie = {"covariance": "tweedie", "noise_std": 0.2}
    np.testing.assert_allclose(answer(**tweedie), expected, rtol=1e-6)
    assert np.abs(answer(**tweedie, solve_steps=1) - expected).max() > 1e-3
    np.testing.assert_allclose(answer(weight=0.0), process(column(x), np.array([sigma]))[0, :, 0])

    # The two others by hand: sigma^2 J' is `spread` here.
    spread = sigma**2 * COVARIANCE @ np.linalg.inv(COVARIANCE + sigma**2 * np.eye(TIME))
    x0_hat = spread @ x / sigma**2
    wanted = np.where(KNOWN, np.nan_to_num(OBSERVED) - x0_hat, 0)
    np.testing.assert_allclose(
        answer(covariance="noise", weight=2.0, noise_std=0.1),
        x0_hat + 2 * spread @ wanted / (sigma**2 + 0.01),
    )
    prior = sigma**2 * 9 / (sigma**2 + 9)
    np.testing.assert_allclose(answer(sigma_data=3.0), x0_hat + spread @ wanted / prior)


def test_prior_guidance_is_exact_for_white_data():
    def white(x, sigma):
        return x * 4 / (4 + sigma[:, None, None] ** 2)

    denoiser = guidance.reconstruction(white, column(OBSERVED), column(KNOWN), sigma_data=2.0)
    mean, covariance = law(denoiser, schedule("karras", 160, 0.002, 200.0))
    np.testing.assert_allclose(mean, np.where(KNOWN, OBSERVED, 0), atol=1e-3)
    np.testing.assert_allclose(covariance, np.diag(np.where(KNOWN, 0, 4)), atol=0.01)


@pytest.mark.long
def test_guidance_compiles_and_keeps_rows_apart():
    observed = np.stack([OBSERVED, -2 * OBSERVED])[..., None].astype(np.float32)
    known = np.stack([KNOWN, np.roll(KNOWN, 1)])[..., None] & ~np.isnan(observed)

    def process32(x, sigma):
        return tf.cast(process(tf.cast(x, tf.float64), tf.cast(sigma, tf.float64)), tf.float32)

    def run(x, observed, known):
        denoiser = guidance.reconstruction(process32, observed, known, covariance="tweedie")
        return sample(denoiser, x, schedule("karras", 4, 0.05, 20.0), "dpmpp_2m")

    x = initial(KEY, [2, TIME, 1], 20.0)
    compiled = tf.function(run, jit_compile=True, autograph=False)(x, observed, known)
    np.testing.assert_allclose(compiled, run(x, observed, known), atol=1e-3)
    alone = run(x[1:], observed[1:], known[1:])
    np.testing.assert_allclose(compiled[1:], alone, atol=1e-3)


def errors(samples):
    """Root mean square errors of the mean and of the covariance in the gap."""
    mean, covariance = conditional()
    values = samples.numpy()[..., 0]
    gap = ~KNOWN
    wrong = (np.cov(values.T) - covariance)[np.ix_(gap, gap)]
    return [
        np.sqrt(np.mean(np.square(each)))
        for each in ((values.mean(axis=0) - mean)[gap], wrong)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def filled():
    @tf.function(autograph=False, reduce_retracing=True)
    def run(x, sigmas, resamplings, jump_length, eta):
        solver = repaint(column(OBSERVED), column(KNOWN), resamplings, jump_length, eta)
        return sample(process, x, sigmas, solver, KEY)

    def call(resamplings, jump_length=1, eta=1.0, steps=80):
        sigmas = tf.constant(schedule("karras", steps, 0.01, 20.0))
        x = initial(KEY, [ROWS, TIME, 1], 20.0, tf.float64)
        return run(x, sigmas, tf.constant(resamplings), tf.constant(jump_length), tf.constant(eta))

    return call


@pytest.mark.long
def test_repaint_comes_near_the_conditional_law_with_resampling(filled):
    """Errors of mean and covariance, 80 levels: .24 and .07 without, .02 and .02 with."""
    once, often = filled(1), filled(20)
    np.testing.assert_array_equal(often.numpy()[:, KNOWN, 0], [OBSERVED[KNOWN]] * ROWS)
    (mean_once, covariance_once), (mean_often, covariance_often) = errors(once), errors(often)
    assert mean_once > 0.12 and covariance_once > 0.05
    assert mean_often < 0.06 and covariance_often < 0.05


@pytest.mark.long
def test_repaint_in_jumps(filled):
    mean, covariance = errors(filled(10, jump_length=5))
    assert mean < 0.1 and covariance < 0.06


def test_eta_of_repaint_counts():
    x = initial(KEY, [2, TIME, 1], 5.0, tf.float64)
    found = [
        sample(
            process, x, [5.0, 2.0, 0.7], repaint(column(OBSERVED), column(KNOWN), 2, eta=eta), KEY
        )
        for eta in (1.0, 0.3)
    ]
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_repaint_is_algorithm_1():
    """By hand: three steps in jumps of two, each taken twice, so that the last is a short one."""
    sigmas = np.array([5.0, 2.0, 0.7, 0.0])
    x = initial(KEY, [2, TIME, 1], 5.0, tf.float64).numpy()
    asked, hinted = [], []

    def denoiser(x, sigma, previous):
        asked.append(float(sigma[0]))
        hinted.append(previous)
        return process(x, sigma) + 0.1 * previous

    found = sample(
        denoiser, tf.constant(x), sigmas, repaint(column(OBSERVED), column(KNOWN), 2, 2), KEY,
        threshold=lambda x0_hat: tf.minimum(x0_hat, 0.5), self_condition=True,
    )  # fmt: skip
    assert asked == [5.0, 2.0, 5.0, 2.0, 0.7, 0.7]

    observed, known = np.nan_to_num(OBSERVED)[None, :, None], KNOWN[None, :, None]
    x = np.where(known, observed + x, x)
    x0_hat = 0 * x
    order = [(0, 1, None), (1, 2, 0), (0, 1, None), (1, 2, None), (2, 3, 2), (2, 3, None)]
    for index, (now, then, back) in enumerate(order):
        step, again, rise = (
            random.normal(random.fold(random.fold(KEY, index), purpose), x.shape).numpy()
            .astype(np.float64) for purpose in range(3)
        )  # fmt: skip
        now, then = sigmas[now], sigmas[then]
        x0_hat = np.minimum(process(x, np.full(2, now)) + 0.1 * x0_hat, 0.5)
        mean = x0_hat + then**2 / now**2 * (x - x0_hat)
        drawn = mean + then * np.sqrt(1 - then**2 / now**2) * step
        x = np.where(known, observed + then * again, drawn)
        if back is not None:
            x = x + np.sqrt(sigmas[back] ** 2 - then**2) * rise
    np.testing.assert_allclose(found, x, rtol=1e-9)


def joint(conditional, unconditional):
    """A denoiser of twice as many rows, the first half of which knows the condition."""

    def denoiser(x, sigma, *previous):
        rows = [tf.split(each, 2, axis=0) for each in (x, sigma, *previous)]
        first, second = zip(*rows)
        return tf.concat([conditional(*first), unconditional(*second)], axis=0)

    return denoiser


def test_classifier_free_guidance():
    x, sigma = tf.ones([2, 3, 1]), tf.constant([1.0, 2.0])

    def conditional(x, sigma, *previous):
        return 3.0 * x + sum(previous)

    def unconditional(x, sigma, *previous):
        return sigma[:, None, None] * x

    for scale in (0.0, 1.0, 2.5, tf.constant([0.5, 4.0])):
        guided = guidance.classifier_free_joint(joint(conditional, unconditional), scale)
        for previous, told in ((), 3), ((5 * x,), 8):
            expected = np.array([1, 2]) + np.array(scale) * (told - np.array([1, 2]))
            np.testing.assert_allclose(guided(x, sigma, *previous)[:, 0, 0], expected)


def test_classifier_free_guidance_of_gaussians_is_a_product_of_powers():
    """p(x | c)^w p(x)^(1 - w) at each level, the score of which is the mixture of the scores."""

    def of(mean, std):
        return lambda x, sigma: (
            (x * std**2 + mean * sigma[:, None, None] ** 2) / (std**2 + sigma[:, None, None] ** 2)
        )

    sigma, scale, x = 0.5, 2.0, tf.constant([[[0.3]]], tf.float64)
    guided = guidance.classifier_free_joint(joint(of(1.0, 0.6), of(0.0, 1.0)), scale)
    precision = scale / (0.36 + 0.25) - 1.0 / 1.25
    centre = scale * 1.0 / (0.36 + 0.25) / precision
    expected = 0.3 - sigma**2 * precision * (0.3 - centre)
    found = guided(x, tf.constant([sigma], tf.float64))
    np.testing.assert_allclose(found[0, 0, 0], expected)


def test_replacement_ends_at_what_was_observed():
    denoiser = guidance.replacement(process, column(OBSERVED), column(KNOWN))
    x = initial(KEY, [2, TIME, 1], 20.0, tf.float64)
    found = sample(denoiser, x, schedule("karras", 10, 0.01, 20.0)).numpy()[..., 0]
    np.testing.assert_array_equal(found[:, KNOWN], [OBSERVED[KNOWN]] * 2)
    mean, _ = law(denoiser, schedule("karras", 40, 0.01, 200.0))
    expected, _ = conditional()
    # It does hear of them: nearer to the conditional mean than 0, which is the prior's.
    assert np.square((mean - expected)[~KNOWN]).sum() < 0.5 * np.square(expected[~KNOWN]).sum()


def test_refusal():
    with pytest.raises(InputError, match="Unknown covariance 'tweede'. Did you mean 'tweedie'?"):
        guidance.reconstruction(process, 0.0, True, covariance="tweede")
