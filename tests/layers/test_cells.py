"""Likelihoods of recorded values: probabilities sum to 1, and are those of what is sampled."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from tfgen.layers import GaussianMixtureHead, RegressionHead, StudentTHead
from tfgen.layers.cells import Cells

HEADS = {
    "regression": lambda n: RegressionHead(n),
    "gaussian_mixture": lambda n: GaussianMixtureHead(n, components=3),
    "student_t": lambda n: StudentTHead(n),
}
every_head = pytest.mark.parametrize("kind", HEADS)
INF = np.inf


def head_of(kind, features):
    """A head and the parameters of its distribution at one position, by random weights."""
    head = HEADS[kind](features)
    rng = np.random.default_rng(1)
    head.build((None, 4))
    for weight in head.weights:
        weight.assign(weight + 0.5 * rng.normal(size=weight.shape))
    return head, head(tf.constant(rng.normal(size=[1, 4]), tf.float32))


def repeated(parameters, count):
    return {name: tf.repeat(value, count, axis=0) for name, value in parameters.items()}


def log_prob(head, parameters, values, lower, upper, columns=(0,)):
    values, lower, upper = (np.asarray(each, np.float32) for each in (values, lower, upper))
    cells = Cells(np.array(columns), tf.constant(lower), tf.constant(upper))
    return head.log_prob(repeated(parameters, len(values)), values, cells=cells).numpy()


@every_head
def test_bounds_and_what_lies_between_them_are_all_there_is(kind):
    head, parameters = head_of(kind, 1)
    low, high = -0.4, 0.7
    ends = log_prob(head, parameters, [[low], [high]], [[-INF], [high]], [[low], [INF]])

    def density(x):
        return float(np.exp(log_prob(head, parameters, [[x]], [[x]], [[x]])[0]))

    inside, _ = integrate.quad(density, low, high, epsabs=1e-6)
    assert np.exp(ends).sum() + inside == pytest.approx(1, abs=1e-4)
    assert (np.exp(ends) > 0.01).all() and inside > 0.01


@every_head
def test_what_is_sampled_and_clipped_has_these_probabilities(kind):
    """Samples in steps, held between two bounds: chi-square against the masses of the cells."""
    head, parameters = head_of(kind, 1)
    step, count = 0.25, 20000
    grid = np.arange(-4, 5) * step
    lower, upper = grid - step / 2, grid + step / 2
    lower[0], upper[-1] = -INF, INF
    masses = log_prob(head, parameters, grid[:, None], lower[:, None], upper[:, None])
    expected = np.exp(np.float64(masses))
    assert expected.sum() == pytest.approx(1, abs=1e-5)
    rng = np.random.default_rng(3)
    uniform = rng.uniform(size=[count, head.uniforms]).astype(np.float32)
    normal = rng.normal(size=[count, head.normals]).astype(np.float32)
    drawn = head.sample(repeated(parameters, count), uniform, normal).numpy()[:, 0]
    drawn = np.clip(np.round(drawn / step), -4, 4).astype(int) + 4
    found = np.bincount(drawn, minlength=9)
    assert stats.chisquare(found, expected / expected.sum() * count).pvalue > 1e-3


@every_head
def test_features_of_a_kind_each(kind):
    """A point, a cell and a missing value: each counts as it does alone."""
    head, parameters = head_of(kind, 3)
    value, lower, upper = [[0.3, 0.1, 0.2]], [[-INF, 0.1]], [[0.2, 0.1]]
    both = log_prob(head, parameters, value, lower, upper, columns=(2, 1))
    swapped = log_prob(head, parameters, value, [[0.1, -INF]], [[0.1, 0.2]], columns=(1, 2))
    np.testing.assert_allclose(both, swapped, rtol=1e-6)
    plain = head.log_prob(parameters, tf.constant(value))
    assert not np.allclose(both, plain)
    points = log_prob(head, parameters, value, [[0.2, 0.1]], [[0.2, 0.1]], columns=(2, 1))
    np.testing.assert_allclose(points, plain, rtol=1e-6)
    missing = log_prob(head, parameters, [[0.3, 0.1, np.nan]], lower, upper, columns=(2, 1))
    without = head.log_prob(parameters, tf.constant([[0.3, 0.1, np.nan]]))
    np.testing.assert_allclose(missing, without, rtol=1e-6)
    # Together they are less likely than without the cell, whose mass is no density.
    assert (both < missing).all()


@every_head
def test_slopes_are_finite_far_outside(kind):
    head, _ = head_of(kind, 2)
    hidden = tf.constant(np.random.default_rng(0).normal(size=[4, 4]) * 1e3, tf.float32)
    columns = np.array([0, 1])
    edge = np.float32([[-1e4, 0.0], [1e4, 1e4], [0.0, -1e4], [1.0, 1.0]])
    lower = np.where([[1, 0], [1, 1], [0, 0], [1, 0]], -INF, edge).astype(np.float32)
    upper = np.where(np.isinf(lower), edge, INF).astype(np.float32)
    with tf.GradientTape() as tape:
        parameters = head(hidden)
        total = head.log_prob(parameters, edge, cells=Cells(columns, lower, upper))
    assert np.isfinite(total).all()
    for slope in tape.gradient(total, head.trainable_weights):
        assert np.isfinite(slope).all()
