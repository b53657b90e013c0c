"""`GaussianMixtureHead` against scipy's multivariate normal distribution."""

import itertools

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfgen.layers.gaussian_mixture_head import COVARIANCES, GaussianMixtureHead
from tfgen.sampling import random


def make(features, components=3, covariance="full", positions=(), seed=0):
    """A head, parameters as a call gives them, and the same for scipy."""
    head = GaussianMixtureHead(features, components, covariance)
    rng = np.random.default_rng([seed, features, components])
    parameters = {
        "logits": rng.normal(size=(*positions, components)),
        "means": rng.normal(size=(*positions, components, features)),
        "scales": rng.uniform(0.3, 1.5, size=(*positions, components, features)),
    }
    if covariance == "full" and features > 1:
        pairs = features * (features - 1) // 2
        parameters["couplings"] = rng.normal(size=(*positions, components, pairs))
    return head, {name: tf.constant(value, tf.float32) for name, value in parameters.items()}


def mixture(parameters, position=()):
    """`(weights, [scipy distributions])` of one position, float64."""
    one = {name: tensor.numpy()[position].astype("float64") for name, tensor in parameters.items()}
    weights = scipy.special.softmax(one["logits"])
    gaussians = []
    for k, (mean, scale) in enumerate(zip(one["means"], one["scales"])):
        chain = np.eye(len(mean))
        if "couplings" in one:
            chain[np.tril_indices(len(mean), -1)] = -one["couplings"][k]
        factor = np.linalg.inv(chain) * scale  # x - mean = factor @ noise
        gaussians.append((mean, factor @ factor.T))
    return weights, gaussians


def log_density(parameters, position, value):
    """That of the features which are not NaN, by scipy."""
    there = ~np.isnan(value)
    if not there.any():
        return 0.0
    weights, gaussians = mixture(parameters, position)
    logs = [
        scipy.stats.multivariate_normal.logpdf(value[there], mean[there], cov[np.ix_(there, there)])
        for mean, cov in gaussians
    ]
    return scipy.special.logsumexp(logs, b=weights)


def noise(head, rows, seed=0):
    key = random.root(seed, random.SAMPLING)
    uniform = random.uniform(random.fold(key, 1), [rows, head.uniforms])
    return uniform, random.normal(random.fold(key, 2), [rows, head.normals])


def repeat(parameters, rows):
    return {name: tf.repeat(tensor[None], rows, axis=0) for name, tensor in parameters.items()}


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("features, components", [(1, 3), (2, 1), (3, 2), (5, 4)])
def test_log_prob_is_scipys(features, components, covariance):
    head, parameters = make(features, components, covariance, positions=(2, 3))
    values = 2 * np.random.default_rng(9).normal(size=(2, 3, features)).astype("float32")
    found = head.log_prob(parameters, values).numpy()
    for position in itertools.product(range(2), range(3)):
        expected = log_density(parameters, position, values[position])
        np.testing.assert_allclose(found[position], expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("features", [2, 4])
def test_every_pattern_of_missing_features_is_the_marginal(features, covariance):
    patterns = np.array(list(itertools.product([True, False], repeat=features)))
    head, parameters = make(features, 3, covariance, positions=(len(patterns),))
    values = np.random.default_rng(9).normal(size=patterns.shape).astype("float32")
    values[~patterns] = np.nan
    found = head.log_prob(parameters, values).numpy()
    expected = [log_density(parameters, (i,), value) for i, value in enumerate(values)]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    assert found[~patterns.any(axis=1)] == 0


def test_the_marginal_stays_right_where_features_are_nearly_one():
    # All features are multiples of the first but for a thousandth: float32 cannot decompose that
    # covariance by Cholesky.
    head, parameters = make(4, 1, positions=(50,))
    parameters["couplings"] = 1 + tf.abs(parameters["couplings"])
    parameters["scales"] = tf.constant([[1.0, 1e-3, 1e-3, 1e-3]]) * parameters["scales"]
    values = np.array(head.sample(parameters, *noise(head, 50)))
    values[:25, 0] = np.nan
    values[::2, 2] = np.nan
    found = head.log_prob(parameters, values).numpy()
    broken = 0
    for position, value in enumerate(values):
        there = ~np.isnan(value)
        _, [(mean, covariance)] = mixture(parameters, (position,))
        covariance = covariance[np.ix_(there, there)]
        error = value[there] - mean[there]
        sizes = np.log(2 * np.pi) * there.sum() + np.linalg.slogdet(covariance)[1]
        expected = -0.5 * (sizes + error @ np.linalg.solve(covariance, error))
        assert found[position] == pytest.approx(expected, abs=0.1)
        broken += np.isnan(tf.linalg.cholesky(covariance.astype("float32"))).any()
    assert broken > 0


def test_the_marginal_of_nothing_missing_is_the_density():
    # One position with a hole takes the others of the batch through the other branch.
    head, parameters = make(4, 3, positions=(6,))
    values = np.random.default_rng(2).normal(size=(6, 4)).astype("float32")

    def run(values):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            log_probs = head.log_prob(parameters, values)
        return log_probs, tape.gradient(log_probs, parameters)

    complete, slopes = run(values)
    holes = values.copy()
    holes[0, 1] = np.nan
    other, other_slopes = run(holes)
    np.testing.assert_allclose(other[1:], complete[1:], rtol=1e-5, atol=1e-5)
    assert abs(other[0] - complete[0]) > 0.1
    for name in parameters:
        np.testing.assert_allclose(
            other_slopes[name][1:], slopes[name][1:], rtol=1e-3, atol=1e-4, err_msg=name
        )


@pytest.mark.parametrize("hole", [None, (0, 1), (1, 0)])
def test_gradients_are_the_slopes_of_scipys_density(hole):
    head, parameters = make(3, 2, positions=(2,))
    values = np.random.default_rng(5).normal(size=(2, 3)).astype("float32")
    if hole:
        values[hole] = np.nan
    scaled = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch([parameters, scaled])
        total = tf.reduce_sum(head.log_prob(parameters, scaled))
    slopes = tape.gradient(total, {**parameters, "values": scaled})

    def density(arguments):
        values = arguments.pop("values")
        tensors = {name: tf.constant(value, tf.float64) for name, value in arguments.items()}
        return sum(log_density(tensors, (i,), values[i]) for i in range(2))

    point = {name: tensor.numpy().astype("float64") for name, tensor in parameters.items()}
    point["values"] = values.astype("float64")
    for name, value in point.items():
        for index in np.ndindex(value.shape):
            if np.isnan(value[index]):
                assert slopes[name].numpy()[index] == 0
                continue
            sides = []
            for step in (1e-5, -1e-5):
                moved = {**point, name: value.copy()}
                moved[name][index] += step
                sides.append(density(moved))
            expected = (sides[0] - sides[1]) / 2e-5
            np.testing.assert_allclose(slopes[name].numpy()[index], expected, rtol=2e-3, atol=2e-3)


@pytest.mark.long
def test_xla_gives_the_same_with_and_without_holes():
    head, parameters = make(3, 2, positions=(2, 3))
    whole = np.random.default_rng(5).normal(size=(2, 3, 3)).astype("float32")
    holes = whole.copy()
    holes[0, 1, 2] = holes[1, 2] = np.nan

    def run(values):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            log_probs = head.log_prob(parameters, values)
        return log_probs, tape.gradient(log_probs, parameters)

    jitted = tf.function(run, jit_compile=True, autograph=False)
    for values in (whole, holes):
        (found, slopes), (expected, wanted) = jitted(tf.constant(values)), run(tf.constant(values))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        for name in parameters:
            np.testing.assert_allclose(slopes[name], wanted[name], rtol=1e-3, atol=1e-4)
    # Padding alone does not take the slower branch; what it would compute is 0 all the same.
    padded = whole.copy()
    padded[:, 2] = np.nan
    np.testing.assert_array_equal(run(tf.constant(padded))[0][:, 2], [0, 0])


def test_xla_computes_the_marginal_only_where_it_is_needed():
    # XLA may turn a conditional into a choice between two results, and then computes both.
    head, parameters = make(2, 2, positions=(3,))

    def log_prob(values):
        return head.log_prob(parameters, values)

    jitted = tf.function(log_prob, jit_compile=True, autograph=False)
    code = jitted.experimental_get_compiler_ir(tf.zeros((3, 2)))(stage="optimized_hlo")
    assert " conditional(" in code


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_density_integrates_to_1(covariance):
    head, parameters = make(2, 3, covariance)
    axis = np.linspace(-14, 14, 701, dtype="float32")
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    density = np.exp(head.log_prob(parameters, grid).numpy().astype("float64"))
    assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-4)
    # Of one feature alone, the integral over the other.
    column = grid[:, 350].copy()
    column[:, 0] = np.nan
    marginal = np.exp(head.log_prob(parameters, column).numpy())
    np.testing.assert_allclose(marginal, density.sum(axis=1) * (axis[1] - axis[0]), atol=1e-4)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_samples_have_the_moments_and_the_marginals_of_the_mixture(covariance):
    rows = 40000
    head, parameters = make(3, 3, covariance)
    drawn = head.sample(repeat(parameters, rows), *noise(head, rows)).numpy().astype("float64")
    weights, gaussians = mixture(parameters)
    mean = sum(w * m for w, (m, _) in zip(weights, gaussians))
    second = sum(w * (c + np.outer(m, m)) for w, (m, c) in zip(weights, gaussians))
    covariances = second - np.outer(mean, mean)
    spread = np.sqrt(np.diag(covariances))
    np.testing.assert_allclose(head.mean(parameters), mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.02 * spread.max())
    np.testing.assert_allclose(
        np.cov(drawn.T) / np.outer(spread, spread),
        covariances / np.outer(spread, spread),
        atol=0.03,
    )
    for feature in range(3):

        def distribution(x, feature=feature):
            parts = [
                w * scipy.stats.norm.cdf(x, m[feature], np.sqrt(c[feature, feature]))
                for w, (m, c) in zip(weights, gaussians)
            ]
            return np.sum(parts, axis=0)

        assert scipy.stats.kstest(drawn[:, feature], distribution).pvalue > 0.01


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize(
    "options, variance, sharpness",
    [({"temperature": 0.25}, 0.25, 4.0), ({"bias": 0.5}, np.exp(-1), 1.5),
     ({"temperature": 0.5, "bias": 1.0}, 0.5 * np.exp(-2), 4.0)],
)  # fmt: skip
def test_temperature_and_bias_by_hand(covariance, options, variance, sharpness):
    rows = 20000
    head, parameters = make(2, 3, covariance)
    parameters["means"] = tf.constant([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0]])
    drawn = head.sample(repeat(parameters, rows), *noise(head, rows), **options).numpy()
    _, gaussians = mixture(parameters)
    weights = scipy.special.softmax(parameters["logits"].numpy() * sharpness)
    chosen = np.round(drawn[:, 0] / 100).astype(int)
    np.testing.assert_allclose(np.bincount(chosen, minlength=3) / rows, weights, atol=0.012)
    k = int(np.argmax(weights))
    covariances = np.cov(drawn[chosen == k].T)
    np.testing.assert_allclose(covariances, variance * gaussians[k][1], rtol=0.05, atol=0.005)


def test_temperature_0_is_the_mean_of_the_likeliest_component():
    head, parameters = make(3, 4, positions=(30,))
    drawn = head.sample(parameters, *noise(head, 30), temperature=0.0)
    best = parameters["logits"].numpy().argmax(axis=-1)
    np.testing.assert_array_equal(drawn, parameters["means"].numpy()[np.arange(30), best])


def test_the_calls_parameters_have_these_names_and_shapes():
    def shapes(*arguments):
        head = GaussianMixtureHead(*arguments)
        return {name: tensor.shape[2:] for name, tensor in head(np.ones((2, 3, 4), "f")).items()}

    diagonal = {"logits": [5], "means": [5, 3], "scales": [5, 3]}
    assert shapes(3, 5) == diagonal
    assert shapes(3, 5, "full") == {**diagonal, "couplings": [5, 3]}
    assert shapes(1, 5, "full") == {"logits": [5], "means": [5, 1], "scales": [5, 1]}
    assert shapes(4) == {"logits": [10], "means": [10, 4], "scales": [10, 4]}


@pytest.mark.long
def test_training_finds_a_correlation():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(4000, 2))
    values = np.stack([noise[:, 0], 0.8 * noise[:, 0] + 0.6 * noise[:, 1]], axis=-1)
    head = GaussianMixtureHead(2, 1, "full")
    hidden = tf.ones((1, 1))
    head.build((1, 1))

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(head.log_prob(head(hidden), values))
        weights = head.trainable_variables
        for weight, slope in zip(weights, tape.gradient(loss, [w.value for w in weights])):
            weight.assign_sub(0.2 * slope)
        return loss

    for _ in range(150):
        loss = step()
    best = -scipy.stats.multivariate_normal.logpdf(values, values.mean(0), np.cov(values.T))
    assert float(loss) == pytest.approx(best.mean(), abs=2e-3)
    assert float(head(hidden)["couplings"][0, 0, 0]) == pytest.approx(0.8, abs=0.03)
