"""What a game costs either player, what its optimizers do, and what a generator learns of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.contract.arguments import whole_clips
from tests.models.contract.rows import GAN, as_if_trained
from tfgen import data, models
from tfgen.errors import InputError
from tfgen.layers.spectral_norm import SpectralNorm
from tfgen.models.engines.game import Game, energy_distance
from tfgen.models.numbers.positions import Positions
from tfgen.models.players import Every, Players
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig
from tfgen.sampling.latent_search import search

RNG = np.random.default_rng(0)
REAL = tf.constant(RNG.normal(size=[2, 3, 1]), tf.float32)
SHARE = tf.constant([0.3, 0.8])


def of_linear(slope, **arguments):
    """A round of a linear critic against a generator `y = shift`, and both gradients of its total."""
    weight, shift = tf.Variable(tf.fill([3, 1], slope)), tf.Variable(0.5)

    def critic(x):
        return tf.reduce_sum(x * weight, axis=[1, 2])

    with tf.GradientTape(persistent=True) as tape:
        generated = tf.ones_like(REAL) * shift
        found = Game(**arguments).play(critic, REAL, generated, SHARE)
        total = tf.reduce_sum(found.total)
    return found, tape.gradient(total, weight), tape.gradient(total, shift)


def test_the_relativistic_loss_and_its_penalties_are_those_computed_by_hand():
    found, of_weight, of_shift = of_linear(2.0, penalty=0.7)
    sums = REAL.numpy().sum(axis=(1, 2))
    lead = 2.0 * sums - 2.0 * 3 * 0.5  # C(x) - C(y)
    np.testing.assert_allclose(found.critic, np.log1p(np.exp(-lead)), rtol=1e-5)
    np.testing.assert_allclose(found.generator, np.log1p(np.exp(lead)), rtol=1e-5)
    # |w|^2 = 3 * 2^2, once for the real one and once for the generated one.
    np.testing.assert_allclose(found.penalty, [0.7 / 2 * 24] * 2, rtol=1e-5)
    total = found.critic + found.generator + found.penalty
    np.testing.assert_allclose(found.total, total, rtol=1e-5)
    sigmoid = 1 / (1 + np.exp(-lead))
    np.testing.assert_allclose(of_shift, np.sum(sigmoid * -2.0 * 3), rtol=1e-5)
    apart = REAL.numpy() - 0.5
    by_hand = np.einsum("n,ntc->tc", sigmoid - 1, apart) + 2 * 0.7 * 2 * 2.0
    np.testing.assert_allclose(of_weight, by_hand, rtol=1e-5)


def test_so_are_those_of_wasserstein():
    found, of_weight, of_shift = of_linear(0.25, loss="wgan_gp")
    sums, norm = REAL.numpy().sum(axis=(1, 2)), 0.25 * np.sqrt(3)
    np.testing.assert_allclose(found.critic, 0.25 * (1.5 - sums), rtol=1e-5)
    np.testing.assert_allclose(found.generator, [-0.25 * 1.5] * 2, rtol=1e-5)
    np.testing.assert_allclose(found.penalty, [10 * (norm - 1) ** 2] * 2, rtol=1e-4)
    np.testing.assert_allclose(of_shift, 2 * -0.25 * 3, rtol=1e-5)
    by_hand = (0.5 - REAL.numpy()).sum(axis=0) + 2 * 2 * 10 * (norm - 1) / np.sqrt(3)
    np.testing.assert_allclose(of_weight, by_hand, rtol=1e-4)


def test_a_distance_between_samples_is_twice_that_between_them_less_those_within():
    one, other = tf.constant([[0.0], [2.0]]), tf.constant([[1.0], [3.0]])
    assert float(energy_distance(one, other)) == 2 * 1.5 - 2 - 2
    far = float(energy_distance(one, other + 10))
    assert far == 2 * 11 - 4 and float(energy_distance(one, one)) < far


def test_a_spectral_norm_is_at_most_1():
    kernel = RNG.normal(size=[4, 5, 6]).astype(np.float32)
    found = SpectralNorm()(tf.constant(kernel)).numpy().reshape(20, 6)
    assert np.linalg.norm(found, 2) == pytest.approx(1, rel=0.05)
    shrunk = kernel.reshape(20, 6) * (found[0, 0] / kernel[0, 0, 0])
    np.testing.assert_allclose(found, shrunk, rtol=1e-5)
    small = tf.constant([[0.3, 0.0], [0.0, 0.5]])
    np.testing.assert_array_equal(SpectralNorm()(small), small)
    np.testing.assert_array_equal(SpectralNorm()(tf.zeros([2, 2])), np.zeros([2, 2]))


def test_a_search_ends_at_the_latents_of_least_cost():
    matrix = tf.constant(RNG.normal(size=[3, 5]), tf.float32)
    target = tf.constant(RNG.normal(size=[4, 5]), tf.float32)

    def cost(latents):
        error = tf.reduce_sum(tf.square(latents @ matrix - target), axis=1)
        return (error / 0.1 + tf.reduce_sum(tf.square(latents), axis=1)) / 2

    candidates = tf.constant(RNG.normal(size=[8, 3]), tf.float32)
    found = tf.function(lambda: search(cost, candidates, 4, 300))()
    squares = matrix.numpy() @ matrix.numpy().T + 0.1 * np.eye(3)  # ridge regression
    np.testing.assert_allclose(
        found, target.numpy() @ matrix.numpy().T @ np.linalg.inv(squares), atol=1e-3
    )


def weight(path, value):
    variable = keras.Variable(value, dtype="float32")
    variable._path = path
    return variable


def test_either_player_has_an_optimizer_and_the_generator_waits_for_its_turn():
    critic, generator = weight("critic/w", [0.0, 0.0]), weight("generator/w", [0.0])
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1.0, 0.5])
    made = Players.of(lambda: keras.optimizers.SGD(schedule, global_clipnorm=1.0), 2)
    players = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    players.build([generator, critic])
    found = []
    for _ in range(4):
        players.apply([tf.constant([0.5]), tf.constant([3.0, 4.0])], [generator, critic])
        found.append([float(generator[0]), *critic.numpy().tolist()])
    # The critic's gradient is cut to (0.6, 0.8), the generator's is short enough as it is; the rate
    # is halved after the second step of the critic, which is the generator's first.
    turns = zip((0.0, -0.5, -0.5, -0.75), (1, 2, 2.5, 3))
    by_hand = [[moved, -0.6 * share, -0.8 * share] for moved, share in turns]
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)
    assert float(Every(schedule, 2)(1)) == 0.5
    state = [variable.numpy() for variable in players.variables]
    counts = [int(each) for each in state if each.dtype.kind == "i"]
    assert sorted(counts) == [2, 4, 4]


def test_of_the_generator_alone_an_average_is_kept():
    critic, generator = weight("critic/w", [0.0]), weight("generator/w", [0.0])
    make = keras.optimizers.SGD
    players = Players.of(lambda: make(1.0, use_ema=True, ema_momentum=0.5), 1)
    players.build([critic, generator])
    for _ in range(2):
        players.apply([tf.constant([1.0]), tf.constant([1.0])], [critic, generator])
    players.finalize_variable_values([critic, generator])
    # The average is of -1 and -2, and of the 0 that it begins with.
    assert float(critic[0]) == -2.0 and -2.0 < float(generator[0]) < -1.0


def test_a_length_is_a_share_of_those_of_its_class_and_back():
    made = data.Sequences(
        "made", "strokes", (data.Feature("dx"),),
        [np.ones([size, 1], np.float32) for size in (2, 4, 4, 9)], list("abcd"), ends=True,
        labels=np.array([0, 0, 1, 1], np.int32), classes=("p", "q"),
    )  # fmt: skip
    positions = Positions(SequenceProcessor.fit(made, PreprocessingConfig(scaler="none")))
    shares = tf.constant([0.01, 0.99, 0.01, 0.99, 0.999999999])
    given = {"condition": tf.constant([0, 0, 1, 1, -1])}
    assert positions.drawn_lengths(shares, 8, given).numpy().tolist() == [2, 4, 4, 8, 8]
    lengths, given = tf.constant([2, 4, 4, 9, 4]), {"condition": tf.constant([0, 0, 1, 1, -1])}
    shares = positions.share_of_lengths(lengths, given)
    assert positions.drawn_lengths(shares, 99, given).numpy().tolist() == lengths.numpy().tolist()


@pytest.mark.usefixtures("op_by_op", "few_positions")
def test_latents_of_drawings_hold_their_lengths():
    model = as_if_trained(
        models.make("gan", processor=whole_clips("strokes"), **{**GAN, "multipliers": (1,)})
    )
    drawn = model.generate(3, seed=2)
    latents = model.encode(drawn)
    assert latents.shape == (3, model.engine.latent_size) == (3, 4)
    again = model.decode(latents)
    assert list(map(len, again)) == list(map(len, drawn))
    with pytest.raises(InputError, match="This model has no forecast: a GAN"):
        model.forecast(drawn[0], 2)
