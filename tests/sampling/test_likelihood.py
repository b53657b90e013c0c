"""Log-likelihoods and their bound, against Gaussians and a mixture, whose densities are known."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.errors import InputError
from tfgen.sampling import random
from tfgen.sampling.inversion import encode
from tfgen.sampling.likelihood import elbo, log_likelihood
from tfgen.sampling.noise_schedules import schedule

KEY = random.root(8, random.SAMPLING)
RNG = np.random.default_rng(4)
TIME = 4
COVARIANCE = np.exp(-np.abs(np.subtract.outer(np.arange(TIME), np.arange(TIME))) / 2)
SIGMAS = schedule("karras", 40, 0.01, 100.0)
MEANS, STD, WEIGHTS = np.array([-1.0, 0.8]), 0.4, np.array([0.6, 0.4])


def process(x, sigma):
    """E[x0 | x] for a Gaussian process: `(batch, time, 1)`."""
    values, vectors = np.linalg.eigh(COVARIANCE)
    shrink = values / (values + sigma[:, None] ** 2)
    return tf.matmul(tf.matmul(x[..., 0], vectors) * shrink, vectors.T)[..., None]


def mixture(x, sigma):
    """E[x0 | x] for a mixture of two Gaussians, each number apart."""
    level = sigma[:, None, None, None] ** 2
    variance = STD**2 + level
    share = tf.nn.softmax(np.log(WEIGHTS) - (x[..., None] - MEANS) ** 2 / (2 * variance))
    return tf.reduce_sum(share * (x[..., None] * STD**2 + MEANS * level) / variance, axis=-1)


X_PROCESS = RNG.multivariate_normal(np.zeros(TIME), COVARIANCE, 3)[..., None]
LOG_PROCESS = stats.multivariate_normal(
    np.zeros(TIME), COVARIANCE + 0.01**2 * np.eye(TIME)
).logpdf(X_PROCESS[..., 0])  # fmt: skip
X_MIXTURE = np.array([-1.3, -0.2, 0.1, 0.8, 2.0])[:, None, None]
LOG_MIXTURE = np.log(stats.norm.pdf(X_MIXTURE, MEANS, np.hypot(STD, 0.01))[:, 0] @ WEIGHTS)


def graph(function, denoiser, **own):
    signature = [tf.TensorSpec([None, None, None], tf.float64), tf.TensorSpec([None], tf.float64)]
    signature.append(tf.TensorSpec([2], tf.int32))
    return tf.function(
        lambda x, sigmas, key: function(denoiser, x, sigmas, key=key, **own),
        autograph=False, input_signature=signature,
    )  # fmt: skip


@pytest.mark.parametrize("method, bound", [("rk4", 0.002), ("heun", 0.1), ("euler", 2.0)])
def test_exact_trace(method, bound):
    top = np.hypot(100, 1)
    found = tf.function(
        lambda x: log_likelihood(
            process, x, SIGMAS, probes="exact", method=method, prior_std=top
        ),
        autograph=False,
    )(tf.constant(X_PROCESS))  # fmt: skip
    worst = np.abs(found - LOG_PROCESS).max()
    assert worst < bound
    if method != "rk4":  # the method does count
        assert worst > {"heun": 0.004, "euler": 0.1}[method]


def test_mixture():
    # One number a row: then a probe of signs gives the trace itself.
    run = graph(log_likelihood, mixture)
    np.testing.assert_allclose(run(X_MIXTURE, SIGMAS, KEY), LOG_MIXTURE, atol=0.01)
    total = np.trapezoid(
        np.exp(run(np.linspace(-4, 4, 201)[:, None, None], SIGMAS, KEY)), np.linspace(-4, 4, 201)
    )
    assert abs(total - 1) < 5e-3


@pytest.mark.long
def test_probes_are_unbiased_and_more_of_them_are_better():
    x = np.repeat(X_PROCESS[:1], 800, axis=0)
    one, four = (
        graph(log_likelihood, process, probes=probes)(x, SIGMAS, KEY).numpy() for probes in (1, 4)
    )
    for found in (one, four):
        assert abs(found.mean() - LOG_PROCESS[0]) < 4 * found.std() / np.sqrt(800) + 0.005
    assert one.std() > 0.1
    assert 0.4 < four.std() / one.std() < 0.6
    other = graph(log_likelihood, process)(x, SIGMAS, random.fold(KEY, 1))
    assert np.abs(other - one).max() > 0.1
    few = graph(log_likelihood, process)(x[:3], SIGMAS, KEY)
    np.testing.assert_allclose(few, one[:3])


def test_prior_std_is_that_of_the_top():
    run = graph(log_likelihood, mixture)
    wide = graph(log_likelihood, mixture, prior_std=200.0)
    change = wide(X_MIXTURE, SIGMAS, KEY) - run(X_MIXTURE, SIGMAS, KEY)
    up = tf.function(lambda x: encode(mixture, x, SIGMAS, "rk4"), autograph=False)
    latent = np.square(up(tf.constant(X_MIXTURE)).numpy().ravel())
    np.testing.assert_allclose(change, latent / 2 * (1 / 1e4 - 1 / 4e4) - np.log(2), rtol=1e-9)


@pytest.mark.parametrize("function", [log_likelihood, elbo])
def test_padding_and_rows(function):
    """A row of three numbers and two of padding is as likely as three rows of one number."""
    valid = np.array([True, True, True, False, False])[None, :, None]
    x = np.concatenate([X_MIXTURE[:3], np.full([2, 1, 1], 9.0)]).reshape(1, 5, 1)
    run = graph(function, mixture, valid=valid)
    found = run(x, SIGMAS, KEY).numpy()
    np.testing.assert_allclose(run(x - 5 * ~valid, SIGMAS, KEY), found)
    np.testing.assert_allclose(run(np.repeat(x, 2, 0), SIGMAS, KEY)[0], found[0])
    if function is log_likelihood:
        np.testing.assert_allclose(found, [LOG_MIXTURE[:3].sum()], atol=0.05)
    everything = graph(function, mixture)(x, SIGMAS, KEY)
    assert abs(everything - found) > 10  # two numbers that are most unlikely


def bound_of(denoiser, x, sigmas, **own):
    """The mean of many estimates, and its standard error."""
    rows = np.repeat(x, 1000, axis=0)
    found = graph(elbo, denoiser, **own)(rows, sigmas, KEY).numpy().reshape(len(x), 1000)
    return found.mean(axis=1), found.std(axis=1) / np.sqrt(1000)


@pytest.mark.long
def test_the_bound_lies_below_and_becomes_tight():
    few = schedule("karras", 10, 0.01, 100.0)
    discrete_few, _ = bound_of(mixture, X_MIXTURE, few)
    discrete, error = bound_of(mixture, X_MIXTURE, SIGMAS)
    many, many_error = bound_of(mixture, X_MIXTURE, schedule("karras", 300, 0.01, 100.0))
    limit, limit_error = bound_of(mixture, X_MIXTURE, SIGMAS, continuous=True)
    assert (discrete < LOG_MIXTURE - 3 * error).all()
    assert (discrete_few < discrete - 0.5).all()
    for found, spread, slack in ((many, many_error, 0.4), (limit, limit_error, 0.01)):
        assert (found < LOG_MIXTURE + 4 * spread).all()
        assert (found > LOG_MIXTURE - 4 * spread - slack).all()


@pytest.mark.long
def test_a_worse_denoiser_has_a_lower_bound():
    good, error = bound_of(process, X_PROCESS, SIGMAS, continuous=True)
    assert (np.abs(good - LOG_PROCESS) < 4 * error + 0.02).all()
    worse, _ = bound_of(lambda x, s: 0.9 * process(x, s), X_PROCESS, SIGMAS, continuous=True)
    assert (worse < good - 1).all()
    top, _ = bound_of(process, X_PROCESS, SIGMAS, continuous=True, prior_std=300.0)
    ratio = (100 / 300) ** 2
    expected = good - TIME * (ratio - 1 - np.log(ratio)) / 2
    np.testing.assert_allclose(top, expected, atol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize(
    "function, own", [(log_likelihood, {"probes": 2, "method": "euler"}), (elbo, {})]
)
def test_xla_in_float32(function, own):
    sigmas = schedule("karras", 6, 0.05, 20.0)[:-1]

    def run(x):
        return function(mixture32, x, sigmas, key=KEY, **own)

    def mixture32(x, sigma):
        return tf.cast(mixture(tf.cast(x, tf.float64), tf.cast(sigma, tf.float64)), tf.float32)

    x = tf.constant(X_MIXTURE, tf.float32)
    compiled = tf.function(run, jit_compile=True, autograph=False)(x)
    assert compiled.dtype == tf.float32 and compiled.shape == (5,)
    np.testing.assert_allclose(compiled, run(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "own, found",
    [
        ({"probes": 0}, "probes must be an integer from 1 up, or 'exact'. Received: probes=0"),
        ({}, "Probes are random and need a key. Received: key=None"),
        ({"key": KEY, "method": "rk5"}, "Unknown method 'rk5'. Did you mean 'rk4'? Known: euler"),
    ],
)
def test_refusals(own, found):
    with pytest.raises(InputError) as caught:
        log_likelihood(mixture, X_MIXTURE, SIGMAS, **own)
    assert found in str(caught.value)
