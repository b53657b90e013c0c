"""TS2Vec against plain loops over what was cut out, and what its distance sees."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import linalg

from tfgen.errors import InputError
from tfgen.evaluation import context_fid as module
from tfgen.evaluation.context_fid import TS2Vec, context_fid, frechet_distance


def walks(seed, number=300, length=8):
    """Windows of two features that go the same way."""
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(size=(number, length, 1)), axis=1) * [1, 0.5]
    return (0.05 * (values + rng.normal(size=values.shape)) + 0.5).astype(np.float32)


def test_frechet_distance_is_the_formula():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(50, 4)), rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + 1
    a, b = np.cov(first.T), np.cov(second.T)
    expected = np.sum((first.mean(0) - second.mean(0)) ** 2)
    expected += np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert frechet_distance(first, second) == pytest.approx(expected)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    # Fewer rows than columns: the covariances are singular.
    few = rng.normal(size=(5, 8))
    assert frechet_distance(few, few + [3, *[0] * 7]) == pytest.approx(9)
    with pytest.raises(InputError, match=r"shape=\(1, 8\)"):
        frechet_distance(few[:1], few)


def contrast(first, second):
    """The loss by the paper's sums, on what is cut out already."""

    def nats(z, chosen, own):
        logits = [z @ other for number, other in enumerate(others) if number != own]
        return np.log(np.sum(np.exp(logits))) - z @ chosen

    scales = []
    while True:
        batch, time, _ = first.shape
        instance, temporal = [], []
        for i in range(batch):
            for n in range(time):
                pair = [(first[i, n], second[i, n]), (second[i, n], first[i, n])]
                for side, (z, chosen) in enumerate(pair):
                    others = [*first[:, n], *second[:, n]]
                    instance.append(nats(z, chosen, side * batch + i))
                    others = [*first[i], *second[i]]
                    temporal.append(nats(z, chosen, side * time + n))
        scales.append(0.5 * np.mean(instance) + (0.5 * np.mean(temporal) if time > 1 else 0))
        if time == 1:
            return np.mean(scales)
        half = time // 2
        first, second = (
            np.maximum(z[:, 0 : 2 * half : 2], z[:, 1 : 2 * half : 2]) for z in (first, second)
        )


@pytest.mark.parametrize("length", [7, 5, 4, 1])
def test_the_loss_is_that_of_the_overlap_alone(length):
    first, second = np.random.default_rng(2).normal(size=(2, 3, 7, 4)).astype(np.float32)
    loss = module.hierarchical_loss(tf.constant(first), tf.constant(second), tf.constant(length))
    expected = contrast(first[:, :length].astype(float), second[:, :length].astype(float))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_dilated_convolution_and_a_crop():
    rng = np.random.default_rng(3)
    z = rng.normal(size=(2, 9, 5)).astype(np.float32)
    kernel, bias = rng.normal(size=(3, 5, 4)).astype(np.float32), np.float32([1, 2, 3, 4])
    for dilation in (1, 4, 16):
        result = module.convolve(tf.constant(z), kernel, bias, dilation, None)
        expected = tf.nn.conv1d(z, kernel, 1, "SAME", dilations=dilation) + bias
        np.testing.assert_allclose(result, expected, atol=1e-5)
    # What is outside of the crop has no influence on what is inside.
    encoder = TS2Vec(width=6, hidden=4, depth=3)
    weights = encoder.first_weights(5)
    inside = np.zeros([2, 9], np.float32)
    inside[:, 2:7] = 1
    whole = module.represent(weights, tf.constant(z), tf.constant(inside))
    alone = module.represent(weights, tf.constant(z[:, 2:7]))
    np.testing.assert_allclose(whole[:, 2:7], alone, atol=1e-5)
    assert not np.allclose(whole[:, 2:7], module.represent(weights, tf.constant(z))[:, 2:7])


def test_crops_overlap_where_they_say():
    windows = np.arange(40 * 6, dtype=np.float32).reshape(40, 6, 1)  # every value is a place
    batches = TS2Vec(seed=1).batches(windows, 8)
    seen = set()
    for _ in range(200):
        views, shown, (one, two, overlap) = next(batches)
        np.testing.assert_array_equal(views[0, :, 6 - overlap :], views[1, :, :overlap])
        assert np.all(np.diff(views[0, :, 6 - one :, 0]) == 1)
        assert np.all(np.diff(views[1, :, :two, 0]) == 1)
        assert not views[0, :, : 6 - one].any() and not views[1, :, two:].any()
        assert set(np.unique(shown)) <= {0, 1}
        seen.add(int(overlap))
    assert seen == {2, 3, 4, 5, 6}


def test_a_step_compares_what_both_crops_hold(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 1.0)
    encoder = TS2Vec(width=4, hidden=4, depth=2)
    weights = encoder.first_weights(2)
    for _, (views, shown, lengths) in zip(range(6), encoder.batches(walks(1), 3)):
        one, two, overlap = lengths
        loss = module.contrastive_loss(
            weights, views, np.ones_like(shown), lengths, tf.constant([1, 2])
        )
        first = module.represent(weights, tf.constant(views[0, :, 8 - one :]))[:, -overlap:]
        second = module.represent(weights, tf.constant(views[1, :, :two]))[:, :overlap]
        expected = contrast(first.numpy().astype(float), second.numpy().astype(float))
        assert float(loss) == pytest.approx(expected, rel=1e-4)
        masked = module.contrastive_loss(weights, views, shown, lengths, tf.constant([1, 2]))
        assert float(masked) != pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def encoder():
    return TS2Vec(width=16, hidden=8, depth=2).fit(walks(1), iterations=100)


@pytest.mark.long
def test_the_distance_sees_what_is_broken(encoder):
    real, same = walks(1), walks(2)
    rng = np.random.default_rng(3)
    shuffled = rng.permuted(same, axis=1)

    def score(windows):
        return context_fid(real, windows, encoder=encoder)

    assert score(real) == pytest.approx(0, abs=1e-6)
    assert score(shuffled) > 3 * score(same)
    assert score(same + 0.5) > 20 * score(same)


@pytest.mark.long
def test_training_follows_its_arguments(encoder):
    real = walks(1)

    def encode(iterations=100, **arguments):
        arguments = {"width": 16, "hidden": 8, "depth": 2, **arguments}
        return TS2Vec(**arguments).fit(real, iterations).encode(real)

    same = encoder.encode(real)
    assert same.shape == (300, 16)
    np.testing.assert_array_equal(encode(), same)
    others = [encode(seed=1), encode(99), encode(learning_rate=1e-2)]
    assert all(np.abs(other - same).max() > 1e-3 for other in others)
    with pytest.raises(InputError, match="call fit first"):
        TS2Vec().encode(real)


@pytest.mark.long
def test_training_lowers_the_loss():
    real = walks(1)
    encoder = TS2Vec(width=16, hidden=8, depth=2, learning_rate=1e-2)
    batches = TS2Vec(seed=5).batches(real, 8)
    batches = [[tf.constant(part) for part in next(batches)] for _ in range(20)]
    measure = tf.function(module.contrastive_loss, autograph=False)
    losses = [
        np.mean([measure(weights, *batch, tf.constant([1, 2])) for batch in batches])
        for weights in (encoder.first_weights(2), encoder.fit(real, 100).weights)
    ]
    assert losses[1] < losses[0] - 0.1


@pytest.mark.exhaustive
def test_context_fid_of_the_size_of_the_paper():
    real, same = walks(1, 600), walks(2, 600)
    near, far = context_fid(real, same), context_fid(real, walks(2, 600)[:, ::-1])
    assert near < 0.2 * far
    assert context_fid(real, same, seed=1, iterations=50) != near
