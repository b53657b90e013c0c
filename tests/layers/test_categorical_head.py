"""`CategoricalHead` against NumPy: probabilities and draws of several categories."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tfgen.layers.categorical_head import CategoricalHead
from tfgen.sampling import random

LEVELS = [2, 5, 1]
STARTS = [0, 2, 7]


def make(positions=(), seed=0):
    logits = 2 * np.random.default_rng(seed).normal(size=(*positions, sum(LEVELS)))
    return CategoricalHead(LEVELS), {"logits": tf.constant(logits, tf.float32)}


def uniform(rows, seed=0):
    return random.uniform(random.root(seed, random.SAMPLING), [rows, len(LEVELS)])


def probabilities(parameters, sharpness=1.0):
    logits = sharpness * parameters["logits"].numpy().astype("float64")
    return [
        scipy.special.softmax(logits[..., first : first + number], axis=-1)
        for first, number in zip(STARTS, LEVELS)
    ]


def test_log_prob_is_the_sum_of_the_categories_with_and_without_missing_ones():
    head, parameters = make((3, 4))
    rng = np.random.default_rng(1)
    levels = np.stack([rng.integers(0, n, (3, 4)) for n in LEVELS], axis=-1).astype("int32")
    expected = np.stack(
        [
            np.log(np.take_along_axis(p, levels[..., i : i + 1], axis=-1))[..., 0]
            for i, p in enumerate(probabilities(parameters))
        ],
        axis=-1,
    )
    found = head.log_prob(parameters, levels)
    np.testing.assert_allclose(found, expected.sum(axis=-1), rtol=1e-5, atol=1e-5)
    levels[0, 0, 1] = levels[1, 1] = -1
    expected[0, 0, 1] = expected[1, 1] = 0
    found = head.log_prob(parameters, levels)
    np.testing.assert_allclose(found, expected.sum(axis=-1), rtol=1e-5, atol=1e-5)
    observed = np.ones_like(levels, bool)
    observed[2, 2, 0], expected[2, 2, 0] = False, 0
    found = head.log_prob(parameters, levels, observed)
    np.testing.assert_allclose(found, expected.sum(axis=-1), rtol=1e-5, atol=1e-5)


def test_the_probabilities_of_all_combinations_add_up_to_1():
    head, parameters = make()
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in LEVELS]), axis=-1).astype("int32")
    repeated = {"logits": tf.broadcast_to(parameters["logits"], (*grid.shape[:-1], sum(LEVELS)))}
    assert np.exp(head.log_prob(repeated, grid)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "options, sharpness",
    [({}, 1), ({"temperature": 0.5}, 2), ({"temperature": 2.0}, 0.5), ({"bias": 3.0}, 1)],
)
def test_samples_have_the_probabilities(options, sharpness):
    rows = 20000
    head, parameters = make()
    repeated = {"logits": tf.repeat(parameters["logits"][None], rows, axis=0)}
    drawn = head.sample(repeated, uniform(rows), None, **options).numpy()
    assert drawn.dtype == np.int32 and drawn.shape == (rows, 3)
    assert (head.uniforms, head.normals) == (3, 0)
    for index, expected in enumerate(probabilities(parameters, sharpness)):
        counts = np.bincount(drawn[:, index], minlength=LEVELS[index])
        if len(expected) > 1:
            assert scipy.stats.chisquare(counts, rows * expected).pvalue > 0.01
    table = np.zeros((2, 5))
    np.add.at(table, (drawn[:, 0], drawn[:, 1]), 1)
    expected = np.outer(table.sum(1), table.sum(0)) / rows
    np.testing.assert_allclose(table / rows, expected / rows, atol=0.01)


def test_temperature_0_is_the_likeliest_level():
    head, parameters = make((20,))
    drawn = head.sample(parameters, uniform(20), None, temperature=0.0).numpy()
    for index, expected in enumerate(probabilities(parameters)):
        np.testing.assert_array_equal(drawn[:, index], expected.argmax(axis=-1))


def test_the_config_has_levels_and_no_features():
    head = CategoricalHead((2, 3))
    assert head.features == 2
    assert head.get_config()["levels"] == [2, 3] and "features" not in head.get_config()
    assert head(np.ones((4, 2)))["logits"].shape == [4, 5]


def test_many_categories_alike_are_what_they_are_one_by_one():
    rng = np.random.default_rng(3)
    parameters = {"logits": tf.constant(rng.normal(size=[5, 27]), tf.float32)}
    categories = tf.constant(rng.integers(-1, 3, [5, 9]), tf.int32)
    uniform = tf.constant(rng.random([5, 9]), tf.float32)
    many = CategoricalHead([3] * 9)
    told, drawn = many.log_prob(parameters, categories), many.sample(parameters, uniform, None)
    for n in range(0, 9, 3):  # three at a time are told one by one
        few, which = CategoricalHead([3] * 3), slice(n, n + 3)
        own = {"logits": parameters["logits"][:, 3 * n : 3 * n + 9]}
        told -= few.log_prob(own, categories[:, which])
        np.testing.assert_array_equal(drawn[:, which], few.sample(own, uniform[:, which], None))
    np.testing.assert_allclose(told, 0, atol=1e-5)
