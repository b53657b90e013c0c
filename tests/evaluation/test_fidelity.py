"""Every distance is near zero for real windows and sees the fault that it is there for."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.errors import InputError
from tfgen.evaluation import fidelity, posthoc
from tfgen.evaluation.memorisation import nearest_distances, nearest_neighbour_ratio


def waves(seed, number=600, length=12):
    """Windows of four features: one that rises, two AR(1) processes, and the sum of these."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(number, length + 50, 2)) * [1.0, 0.5]
    state = np.zeros([number, 2])
    values = []
    for position in range(length + 50):
        state = 0.8 * state + noise[:, position]
        values.append(state)
    values = np.stack(values[50:], axis=1)
    rising = np.arange(length)[:, None] / 4 + 0.2 * rng.normal(size=(number, length, 1))
    return np.concatenate([rising, values, values.sum(axis=-1, keepdims=True)], axis=-1)


def shuffled(windows, axis, seed=0):
    """Windows with an axis in another order in each window, and for each feature if it is time."""
    rng = np.random.default_rng(seed)
    order = rng.permuted(
        np.broadcast_to(np.arange(windows.shape[1])[:, None], windows.shape), axis=1
    )
    return np.take_along_axis(windows, order, axis=axis)


@pytest.fixture(scope="module")
def data():
    """Real windows, others of the same process, and broken ones, all on the scale of the real."""
    real, same = waves(1), waves(2)
    rng = np.random.default_rng(3)
    broken = {
        "same": same,
        "shifted": same + 1.5,
        "shuffled": shuffled(same, 1),
        "swapped": np.concatenate([same[:, :, :3], -same[:, :, 3:]], axis=-1),
        "noise": rng.normal(real.mean((0, 1)), real.std((0, 1)), real.shape),
    }
    real, *others = fidelity.scale_by_real(real, *broken.values())
    return real, dict(zip(broken, others))


def test_scaling_is_that_of_the_real_windows(data):
    real, others = data
    np.testing.assert_allclose(real.min(axis=(0, 1)), 0, atol=1e-7)
    np.testing.assert_allclose(real.max(axis=(0, 1)), 1)
    assert others["shifted"].max() > 1.05
    constant = np.full([2, 3, 1], 7.0)
    scaled, other = fidelity.scale_by_real(constant, constant + 2)
    assert np.all(scaled == 0) and np.all(other == 2)


def test_sines_of_half_the_range_have_twice_the_error_when_they_are_stretched():
    """Those of Diffusion-TS' code lie in [0.5, 1], and are scored so: `--scale data`."""
    phases = np.random.default_rng(0).uniform(0, 0.1, [2, 200, 2])
    real, other = np.sin(phases[:, :, None] * np.arange(1, 25)[:, None]) / 2 + 0.5
    stretched = fidelity.scale_by_real(real, other)
    ratio = fidelity.marginal_distance(*stretched) / fidelity.marginal_distance(real, other)
    assert ratio == pytest.approx(2, abs=0.1)


def test_each_distance_sees_its_own_fault(data):
    real, others = data

    def scores(distance):
        return {name: distance(real, windows) for name, windows in others.items()}

    marginal = scores(fidelity.marginal_distance)
    assert marginal["same"] < 0.01 and marginal["shuffled"] == pytest.approx(marginal["same"])
    assert marginal["shifted"] > 0.1
    time = scores(fidelity.autocorrelation_distance)
    assert time["same"] < 0.05 and time["shifted"] == pytest.approx(time["same"], abs=1e-5)
    assert time["shuffled"] > 0.15 and time["noise"] > 0.25
    features = scores(fidelity.correlational_score)
    assert features["same"] < 0.01 and features["shifted"] == pytest.approx(features["same"])
    assert features["swapped"] > 0.2 and features["noise"] > 0.1
    whole = scores(fidelity.mmd)
    assert abs(whole["same"]) < 0.002
    assert all(whole[name] > 0.01 for name in ("shifted", "shuffled", "swapped", "noise"))


def test_distances_against_scipy_and_plain_sums(data):
    real, others = data
    a, b = real[:40], others["noise"][:30]
    expected = [
        stats.wasserstein_distance(a[:, :, n].ravel(), b[:, :, n].ravel()) for n in range(4)
    ]
    assert fidelity.marginal_distance(a, b) == pytest.approx(np.mean(expected))
    first, second = (np.corrcoef(x.reshape(-1, 4).T) for x in (a, b))
    total = sum(abs(first[i, j] - second[i, j]) for i in range(4) for j in range(i))
    assert fidelity.correlational_score(a, b) == pytest.approx(total / 10, rel=1e-5)
    both = np.concatenate([a, b]).reshape(70, -1).astype(np.float64)
    distance = np.linalg.norm(both[:, None] - both, axis=-1)
    kernel = np.exp(-(distance**2) / (2 * np.median(distance[np.triu_indices(70, 1)]) ** 2))
    within = [kernel[:40, :40], kernel[40:, 40:]]
    within = sum((k.sum() - len(k)) / (len(k) * (len(k) - 1)) for k in within)
    expected = within - 2 * kernel[:40, 40:].mean()
    assert fidelity.mmd(a, b) == pytest.approx(expected, rel=1e-6)


def test_masses_are_shares_of_exact_values():
    windows = np.array([[[0.0, 5], [-0.0, 5]], [[1e-9, 5], [3, 4]]])
    points = [(0, 0.0), (0, 3.0), (1, 5.0), (1, 6.0)]
    np.testing.assert_array_equal(fidelity.masses(windows, points), [50, 25, 75, 0])


def test_autocorrelation_of_an_autoregressive_process():
    long = waves(4, number=4000)
    rows = posthoc.check_windows(long)[0]
    np.testing.assert_allclose(fidelity.autocorrelations(rows, 2)[:, 1], [0.8, 0.64], atol=0.03)
    first = fidelity.autocorrelation_distance(long, shuffled(long, 1), lags=1)
    assert first > fidelity.autocorrelation_distance(long, shuffled(long, 1), lags=8)


def test_mmd_of_a_part_is_chosen_by_the_seed(data):
    real, others = data
    scores = [fidelity.mmd(real, others["noise"], max_windows=50, seed=seed) for seed in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]


def test_windows_that_do_not_fit_are_refused(data):
    real, _ = data
    with pytest.raises(InputError, match="equal time and features"):
        fidelity.mmd(real, real[:, 1:])
    with pytest.raises(InputError, match="at least 5 of them. Received"):
        fidelity.discriminative_score(real, real[:4])
    with pytest.raises(InputError, match="NaN"):
        fidelity.marginal_distance(real, real * np.nan)
    with pytest.raises(InputError, match="time=1"):
        fidelity.predictive_score(real[:, :1], real[:, :1])


def test_the_gru_is_that_of_keras():
    rng = np.random.default_rng(1)
    weights = posthoc.first_weights(rng, 5, 4)
    weights[3] = tf.constant(rng.normal(size=4), tf.float32)
    gates, gate_bias, kernel, bias = (weight.numpy() for weight in weights[:4])
    inputs = rng.normal(size=(7, 6, 5)).astype(np.float32)
    layer = tf.keras.layers.GRU(4, return_sequences=True, reset_after=False)
    layer.build(inputs.shape)
    order = [*range(4, 8), *range(4)]  # Keras: update, reset; TensorFlow 1: reset, update

    def join(rows):
        return np.concatenate([gates[rows][:, order], kernel[rows]], axis=1)

    biases = np.concatenate([gate_bias[order], bias])
    layer.set_weights([join(slice(0, 5)), join(slice(5, None)), biases])
    result = np.transpose(posthoc.gru_layer(weights[:4], tf.constant(inputs)), [1, 0, 2])
    np.testing.assert_allclose(result, layer(inputs), atol=1e-6)


@pytest.mark.long
def test_training_takes_the_steps_of_keras_adam():
    """Six steps on one batch, in chunks that do not divide them."""
    windows = np.random.default_rng(2).random((8, 5, 3)).astype(np.float32)
    chunk, posthoc._CHUNK_STEPS = posthoc._CHUNK_STEPS, 4
    try:
        result = posthoc.train_network(posthoc.next_values, 2, 2, lambda rng: windows, 7, 6)
    finally:
        posthoc._CHUNK_STEPS = chunk
    first = posthoc.first_weights(np.random.default_rng([7, posthoc.WEIGHTS]), 2, 2)
    variables = [tf.Variable(weight) for weight in first]
    optimizer = tf.keras.optimizers.Adam(1e-3, epsilon=1e-8)
    for _ in range(6):
        with tf.GradientTape() as tape:
            loss = posthoc.next_values(variables, tf.constant(windows), loss=True)
        optimizer.apply(tape.gradient(loss, variables), variables)
    for ours, theirs, before in zip(result, variables, first, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
        assert np.any(np.abs(ours - before) > 1e-3)


@pytest.mark.long
def test_discriminative_score(data):
    """Shuffled time is seen, though no marginal distribution has changed."""
    real, others = data

    def score(name, **arguments):
        return fidelity.discriminative_score(
            real, others[name], **{"iterations": 1500, **arguments}
        )

    same = score("same")
    assert same == score("same") < 0.12
    assert score("same", seed=1) != same
    assert score("shuffled") > 0.3
    assert score("shifted") > 0.25
    assert score("shuffled", iterations=1) < 0.15
    more = np.concatenate([others["shuffled"]] * 2)  # the counts may differ
    assert fidelity.discriminative_score(real, more, iterations=1500) > 0.3


@pytest.mark.long
def test_predictive_score(data):
    """The last feature is the sum of the others: whoever has learned that predicts the next."""
    real, others = data

    def score(name, **arguments):
        return fidelity.predictive_score(real, others[name], **{"iterations": 800, **arguments})

    same = score("same")
    assert same == score("same") < score("noise") - 0.005
    assert score("same", seed=1) != same
    assert score("swapped") > same + 0.015
    assert score("same", iterations=1) > same + 0.01


@pytest.mark.long
def test_predictive_score_by_hand():
    """Constant generated windows teach a constant, and its error over all real windows is known."""
    generated = np.full([20, 4, 2], 0.5)
    real = np.random.default_rng(6).random((30, 4, 2))
    score = fidelity.predictive_score(real, generated, iterations=3000)
    assert score == pytest.approx(np.abs(real[:, 1:, 1] - 0.5).mean(), abs=0.01)
    one = fidelity.predictive_score(real[:, :, :1], generated[:, :, :1], iterations=20)
    assert 0 < one < 1


def test_nearest_distances_and_their_ratio():
    rng = np.random.default_rng(7)
    train, held, fresh = rng.normal(size=(3, 300, 4, 2))
    plain = np.sqrt(np.mean((fresh[:, None] - train) ** 2, axis=(2, 3))).min(axis=1)
    np.testing.assert_allclose(nearest_distances(fresh, train, block=7), plain)
    result = nearest_neighbour_ratio(fresh, train, held)
    assert result["ratio"] == pytest.approx(1, abs=0.05) and result["copied"] < 0.05
    assert result["samples"] == pytest.approx(np.median(plain))
    copies = nearest_neighbour_ratio(train[:50] + 0.01, train, held)
    assert copies["ratio"] < 0.02 and copies["copied"] == 1
    assert nearest_neighbour_ratio(5 * fresh, train, held)["ratio"] > 2
    with pytest.raises(InputError, match="numbers="):
        nearest_distances(fresh, train[:, 1:])


def test_spectra_a_tenth_as_strong_are_ten_decibels_apart():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 64, 2))
    assert fidelity.log_spectral_distance(x, x) == 0
    assert fidelity.log_spectral_distance(x, x * 10**0.5) == pytest.approx(10, abs=1e-6)
    # A level says nothing, the order in time does: a walk has its power at low frequencies.
    assert fidelity.log_spectral_distance(x, x + 5) == pytest.approx(0, abs=1e-6)
    walk = np.cumsum(x, axis=1)
    assert fidelity.log_spectral_distance(x, walk / walk.std()) > 5
