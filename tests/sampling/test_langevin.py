"""Langevin dynamics: the laws that its chains keep, known for Gaussians and mixtures."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.sampling import random
from tfgen.sampling.diffusion import initial, sample
from tfgen.sampling.langevin import mala

KEY = random.root(5, random.SAMPLING)
WEIGHTS, MEANS, STD = np.array([0.7, 0.3]), np.array([-1.0, 1.5]), 0.5
SIGMAS = np.array([6.0, 3.0, 1.5, 0.8, 0.4])


def energy(x, sigma):
    """Minus the log-density of a noisy mixture, up to a constant, summed over a row."""
    variance = STD**2 + sigma[:, None, None, None] ** 2
    terms = np.log(WEIGHTS) - (x[..., None] - MEANS) ** 2 / (2 * variance)
    return -tf.reduce_sum(tf.reduce_logsumexp(terms, axis=-1), axis=[1, 2])


def law(sigma):
    return lambda x: stats.norm.cdf((x[:, None] - MEANS) / np.hypot(STD, sigma)) @ WEIGHTS


def graph(**own):
    return tf.function(lambda x, sigmas, key: mala(energy, x, sigmas, key, **own), autograph=False)


def test_annealed_langevin_has_the_variance_of_its_recursion():
    """At one level, for a Gaussian, the steps are an autoregression of order 1."""
    sigma, step = 0.8, 0.5
    sigmas = np.full(2, sigma)
    keep = 1 - step / 2 * sigma**2 / (1 + sigma**2)
    variance = 4.0
    for _ in range(6):
        variance = keep**2 * variance + step * sigma**2
    x = initial(KEY, [40_000, 1, 1], 2.0, tf.float64)
    found = sample(
        lambda x, sigma: x / (1 + sigma[:, None, None] ** 2), x, sigmas, "langevin", KEY,
        corrector_steps=6, step_size=step,
    )  # fmt: skip
    assert abs(found.numpy().var() / variance - 1) < 0.03


def test_predictor_corrector_is_algorithm_2():
    x = initial(KEY, [3, 5, 2], 4.0, tf.float64).numpy()
    found = sample(lambda x, _: 0.1 * x, x, [4.0, 3.0, 2.0], "predictor_corrector", KEY, snr=0.2)
    for index, (sigma, following) in enumerate([(4, 3), (3, 3), (3, 2), (2, 2)]):
        noise = random.normal(random.fold(random.fold(KEY, index), 0), x.shape).numpy()
        noise = noise.astype(np.float64)
        score = (0.1 * x - x) / sigma**2
        if index % 2 == 0:
            x = x + (sigma**2 - following**2) * score + np.sqrt(sigma**2 - following**2) * noise
        else:
            size = [np.sqrt((each**2).sum((1, 2), keepdims=True)) for each in (noise, score)]
            length = 2 * (0.2 * size[0] / size[1]) ** 2
            x = x + length * score + np.sqrt(2 * length) * noise
    np.testing.assert_allclose(found, x, rtol=1e-10)


def test_mala_keeps_the_law_whatever_the_step():
    """Begun in the law of a level it stays there, with steps too long for mere Langevin chains."""
    rng, sigma, rows = np.random.default_rng(3), 0.4, 8000
    start = rng.choice(MEANS, rows, p=WEIGHTS) + np.hypot(STD, sigma) * rng.normal(size=rows)
    x = tf.constant(start[:, None, None])
    chain = graph(corrector_steps=15, step_size=4.0)(x, tf.constant([sigma], tf.float64), KEY)
    found = chain.x.numpy().ravel()
    assert stats.kstest(found, law(sigma)).pvalue > 0.01
    assert abs(np.corrcoef(found, start)[0, 1]) < 0.7  # it has moved
    plain = sample(
        lambda x, sigma: x - sigma[:, None, None] ** 2 * slope(x, sigma),
        x, [sigma, sigma], "langevin", KEY, corrector_steps=15, step_size=4.0,
    )  # fmt: skip
    assert stats.kstest(plain.numpy().ravel(), law(sigma)).pvalue < 1e-6


def test_mala_accepts_by_the_rule_of_metropolis_and_hastings():
    rows, sigma, step = 400, 0.4, 4.0
    here = initial(KEY, [rows, 2, 1], 1.5, tf.float64)
    chain = graph(corrector_steps=1, step_size=step)(here, tf.constant([sigma], tf.float64), KEY)
    key = random.fold(KEY, 1)  # of the second evaluation: the first is that of the beginning
    noise = random.normal(random.fold(key, 0), [rows, 2, 1]).numpy().astype(np.float64)
    draw = random.uniform(random.fold(key, 1), [rows]).numpy().astype(np.float64)

    std, level = np.sqrt(step) * sigma, tf.fill([rows], tf.constant(sigma, tf.float64))
    ahead = here - std**2 / 2 * slope(here, level)
    there = ahead + std * noise
    behind = there - std**2 / 2 * slope(there, level)
    forth = stats.norm.logpdf(there, ahead, std).sum(axis=(1, 2))
    back = stats.norm.logpdf(here, behind, std).sum(axis=(1, 2))
    fall = (energy(here, level) - energy(there, level)).numpy()
    accepted = np.log(draw) < fall + back - forth
    assert 0.05 < accepted.mean() < 0.95
    np.testing.assert_array_equal(chain.acceptance[0], accepted)
    np.testing.assert_allclose(chain.x, np.where(accepted[:, None, None], there, here), rtol=1e-9)


def slope(x, sigma):
    with tf.GradientTape() as tape:
        tape.watch(x)
        values = energy(x, sigma)
    return tape.gradient(values, x)


@pytest.mark.parametrize("predictor", [True, False])
def test_mala_from_noise(predictor):
    rows = 3000
    x = initial(KEY, [rows, 1, 1], SIGMAS[0], tf.float64)
    run = graph(corrector_steps=15, step_size=1.0, predictor=predictor)
    chain = run(x, tf.constant(SIGMAS), KEY)
    assert stats.kstest(chain.x.numpy().ravel(), law(SIGMAS[-1])).pvalue > 0.001
    assert chain.acceptance.shape == (5, rows)
    assert (chain.acceptance.numpy().mean(axis=1) > 0.5).all()
    again = run(x, tf.constant(SIGMAS), random.fold(KEY, 1))
    assert np.abs(again.x - chain.x).min() > 0


@pytest.mark.long
def test_each_level_has_its_step_and_the_end_is_denoised():
    x = initial(KEY, [50, 1, 1], 6.0, tf.float64)
    steps = np.array([1.0, 1e-9, 1.0])
    padded = np.append(SIGMAS[:2], 0.0)

    def run(sigmas, **own):
        return graph(step_size=steps[: len(sigmas)], **own)(x, tf.constant(sigmas), KEY)

    chain = run(padded, corrector_steps=3)
    assert chain.acceptance.numpy()[1].min() == 1.0  # such short steps are always taken
    assert chain.acceptance.numpy()[2].max() == 0.0  # no chain at level 0
    before = run(padded[:2], corrector_steps=3).x
    level = tf.fill([50], tf.constant(3.0, tf.float64))
    np.testing.assert_allclose(chain.x, before - 9 * slope(before, level), rtol=1e-9)
    staying = run(padded, corrector_steps=3, predictor=False)
    shorter = run(padded[:2], corrector_steps=3, predictor=False)
    np.testing.assert_array_equal(staying.x, shorter.x)
    no_chain = run(padded[:2], corrector_steps=0)
    level = tf.fill([50], tf.constant(6.0, tf.float64))
    np.testing.assert_allclose(no_chain.x, x - (1 - 0.5) * 36 * slope(x, level), rtol=1e-9)


@pytest.mark.long
def test_padding_rows_and_xla():
    valid = np.array([True] * 3 + [False] * 2)[None, :, None]
    x = initial(KEY, [6, 5, 1], 6.0)
    loud = tf.where(valid, x, 7.0)

    def masked(x, sigma):
        values = tf.where(valid, x, 0.0)
        return tf.reduce_sum(values**2, axis=[1, 2]) / (2 * (1 + sigma**2))

    def chains(x):
        return mala(masked, x, SIGMAS[:3], KEY, 4, 1.5, valid=valid)

    signature = [tf.TensorSpec([None, None, 1])]
    run = tf.function(chains, autograph=False, input_signature=signature)
    quiet, chain = run(x), run(loud)
    np.testing.assert_array_equal(chain.x[:, :3], quiet.x[:, :3])
    np.testing.assert_array_equal(chain.x[:, 3:], loud[:, 3:])
    assert 0 < chain.acceptance.numpy().mean() < 1
    np.testing.assert_allclose(run(loud[:2]).x, chain.x[:2], rtol=1e-5)
    compiled = tf.function(chains, jit_compile=True, autograph=False)(loud)
    np.testing.assert_allclose(compiled.x, chain.x, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(compiled.acceptance, chain.acceptance)
