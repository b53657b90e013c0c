"""Masses between two edges against scipy, with gradients that stay finite."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfgen.layers.masses import log_normal_cdf, log_normal_mass, log_student_t_mass
from tfgen.layers.student_t_head import log_constant

INF = np.inf


def exact_normal(lower, upper):
    """In float64, on the side where both distribution functions are small."""
    lower, upper = np.float64(lower), np.float64(upper)
    flip = lower > -upper
    a, b = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    log_a, log_b = special.log_ndtr(a), special.log_ndtr(b)
    return log_b + np.log1p(-np.exp(log_a - log_b))


def exact_student_t(lower, upper, df):
    lower, upper, df = np.float64(lower), np.float64(upper), np.float64(df)
    flip = lower + upper > 0
    a, b = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    return np.log(stats.t.cdf(b, df) - stats.t.cdf(a, df))


def student_t(lower, upper, df):
    df = tf.constant(df)
    return log_student_t_mass(tf.constant(lower), tf.constant(upper), df, log_constant(df))


@pytest.mark.parametrize("compiled", [False, True])
def test_the_normal_distribution_function(compiled):
    z = np.concatenate([np.linspace(-40, 6, 2001), [-1e3, -1e4, 30]]).astype(np.float32)
    found = tf.function(log_normal_cdf, jit_compile=compiled)(z).numpy()
    np.testing.assert_allclose(found, special.log_ndtr(np.float64(z)), rtol=1e-6, atol=1e-6)


def cells(rng, width_from):
    """Cells of every width, in the middle and far out."""
    middle = rng.normal(size=4000) * 10 ** rng.uniform(-1, 1.4, 4000)
    width = 10 ** rng.uniform(width_from, 1.5, 4000)
    return (middle - width / 2).astype(np.float32), (middle + width / 2).astype(np.float32)


def test_masses_of_normal_cells_and_their_slopes():
    lower, upper = cells(np.random.default_rng(0), -3)
    edges = tf.constant(lower), tf.constant(upper)
    with tf.GradientTape() as tape:
        tape.watch(edges)
        found = log_normal_mass(*edges)
    expected = exact_normal(lower, upper)
    np.testing.assert_allclose(found, expected, rtol=5e-6, atol=5e-6)
    slopes = tape.gradient(found, edges)
    for edge, slope, sign in zip((lower, upper), slopes, (-1, 1), strict=True):
        exact = sign * np.exp(stats.norm.logpdf(np.float64(edge)) - expected)
        np.testing.assert_allclose(slope, exact, rtol=2e-3, atol=1e-3)
    # How the mass moves with the location, in which the two nearly cancel.
    moved = slopes[0] + slopes[1]
    exact = np.exp(stats.norm.logpdf(np.float64(upper)) - expected)
    exact -= np.exp(stats.norm.logpdf(np.float64(lower)) - expected)
    np.testing.assert_allclose(moved, exact, rtol=2e-3, atol=2e-3)


def test_masses_of_student_t_cells_and_their_slopes():
    rng = np.random.default_rng(0)
    lower, upper = cells(rng, -2)
    df = (2 + 10 ** rng.uniform(-2, 3, len(lower))).astype(np.float32)
    inputs = [tf.constant(each) for each in (lower, upper, df)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        found = log_student_t_mass(*inputs, log_constant(inputs[2]))
    expected = exact_student_t(lower, upper, df)
    exact = np.isfinite(expected) & (expected > -60)  # scipy's difference has digits left
    assert exact.mean() > 0.7
    np.testing.assert_allclose(found[exact], expected[exact], rtol=5e-6, atol=1e-5)
    slopes = tape.gradient(found, inputs)
    assert all(np.isfinite(slope).all() for slope in slopes)
    some = exact & (upper - lower > 0.1)
    up, down = (exact_student_t(lower, upper, df * factor) for factor in (1.001, 0.999))
    by_df = (up - down) / (0.002 * df)
    np.testing.assert_allclose((slopes[2] * df)[some], (by_df * df)[some], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("lower, upper", [(-INF, 1.0), (2.0, INF), (-INF, -50.0), (60.0, INF)])
def test_open_cells(lower, upper):
    with tf.GradientTape() as tape:
        shift, df = tf.constant(0.0), tf.constant(3.0)
        tape.watch([shift, df])
        edges = [edge if np.isinf(edge) else edge - shift for edge in (lower, upper)]
        edges = [tf.convert_to_tensor(edge, tf.float32) for edge in edges]
        normal = log_normal_mass(*edges)
        heavy = log_student_t_mass(*edges, df, log_constant(df))
        both = normal + heavy
    exact = (stats.norm.logcdf(upper) if np.isinf(lower) else stats.norm.logsf(lower)).item()
    assert float(normal) == pytest.approx(exact, rel=1e-5)
    exact = (stats.t.logcdf(upper, 3) if np.isinf(lower) else stats.t.logsf(lower, 3)).item()
    assert float(heavy) == pytest.approx(exact, rel=1e-5)
    assert all(np.isfinite(slope) and slope != 0 for slope in tape.gradient(both, [shift, df]))


def test_everything_is_certain_and_has_no_slope():
    with tf.GradientTape() as tape:
        edges = tf.constant(-INF), tf.constant(INF)
        tape.watch(edges)
        found = log_normal_mass(*edges) + student_t(-INF, INF, 4.0)
    assert float(found) == 0
    assert [float(slope) for slope in tape.gradient(found, edges)] == [0, 0]


def test_neighbouring_cells_make_a_whole():
    edges = np.linspace(-8, 8, 161, dtype=np.float32)
    lower, upper = np.r_[-INF, edges].astype("f4"), np.r_[edges, INF].astype("f4")
    assert np.exp(log_normal_mass(lower, upper)).sum() == pytest.approx(1, abs=1e-5)
    df = np.full(lower.shape, 2.5, np.float32)
    assert np.exp(student_t(lower, upper, df)).sum() == pytest.approx(1, abs=1e-5)
