"""Lags as inputs and the seasonal skip: the same in training, in the loop and in windows."""

import h5py
import numpy as np
import pytest
import tensorflow as tf
from pasts import assert_the_loop_holds_it

from tests.models.contract.rows import RECURRENT, TRANSFORMER, as_if_trained
from tfgen import models
from tfgen.data import CarriedWindows, Feature, Sequences, SequenceWindows
from tfgen.data.features import Circle
from tfgen.errors import InputError
from tfgen.models.numbers.least_squares import adapt
from tfgen.models.weights import load_weights, save_weights
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig, Recipe
from tfgen.training.data import open_data

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

NAN = np.float32(np.nan)
SKIPS = {"seasonal_skip": 4, "linear_skip": True, "head": "regression"}


def made(*lengths, ends=False, missing=(7,), features=None):
    """Series of a number, of one with gaps, and of a category."""
    rng = np.random.default_rng(3)
    features = features or (Feature("a"), Feature("b"), Feature("c", levels=("x", "y", "z")))
    values = [
        np.stack([rng.normal(size=n), rng.normal(5, 2, n), np.arange(n) % 3], 1)[
            :, : len(features)
        ].astype(np.float32)
        for n in lengths or (20,)
    ]
    for position in missing:
        values[0][position, 1:2] = NAN
    ids = [str(number) for number in range(len(values))]
    return Sequences("made", "series", features, values, ids, ends=ends)


def model_of(family="gru", sequences=None, scaler="standard", **arguments):
    small = {"gru": RECURRENT, "transformer": TRANSFORMER}[family]
    sequences = made() if sequences is None else sequences
    processor = SequenceProcessor.fit(sequences, PreprocessingConfig(scaler=scaler))
    return as_if_trained(
        models.make(
            family, "numbers", processor=processor, **{"lags": [2, 5], **small, **arguments}
        )
    )


def reading_of(**arguments):
    return model_of(**arguments).engine.emission.reading


def test_what_is_read_is_what_was_so_many_positions_before():
    """Against plain loops: scaled values, whether each is known, and categories at each lag."""
    sequences = made()
    reading, processor = reading_of(), SequenceProcessor.fit(sequences)
    values = sequences.values[0]
    numbers = (values[:, :2] - processor.scaler.mean) / processor.scaler.std
    past = reading.before({"values": values[None]})
    empty = tf.zeros([1, len(values), 0])
    found = reading.features(past, empty, empty, None)[0].numpy()
    assert found.shape == (20, reading.width)
    for position in range(20):
        expected = []
        for lag in (1, 2, 5):
            known = position >= lag
            row = numbers[position - lag] if known else np.full(2, NAN)
            expected += [*np.nan_to_num(row), *~np.isnan(row)]
            expected += np.eye(3)[int(values[position - lag, 2])].tolist() if known else [0] * 3
        expected.append(position == 0)
        np.testing.assert_allclose(found[position], expected, atol=1e-5)


@pytest.mark.parametrize("given", [0, 3, 11])
def test_the_loop_holds_the_past_that_training_tells_of(given):
    """From the beginning, after fewer positions than a lag, and after more."""
    reading, values = reading_of(lags=[1, 2, 5, 6]), made(20, 17).values
    series = np.stack([values[0], np.pad(values[1], [[0, 3], [0, 0]], constant_values=NAN)])
    whole = reading.before({"values": series})
    held = assert_the_loop_holds_it(reading, whole, series, given)
    assert reading.span == 6 and held[0].shape == (2, 6, 3)


def test_contexts_of_different_lengths_hold_their_own_ends():
    reading, values = reading_of(), made(20).values[0]
    padded = tf.constant(np.stack([values] * 3))
    held, _ = reading.held(3, padded, tf.constant([2, 5, 20]))
    np.testing.assert_array_equal(held[0], np.concatenate([np.full([3, 3], NAN), values[:2]]))
    np.testing.assert_array_equal(held[1], values[:5])
    np.testing.assert_array_equal(held[2], values[15:])


@pytest.mark.parametrize("skips", [{}, SKIPS], ids=["lags", "skips"])
@pytest.mark.parametrize("family", ["gru", pytest.param("transformer", marks=pytest.mark.long)])
def test_the_likelihood_of_a_sequence_is_that_of_its_steps(family, skips):
    """What training computes at once, and the loop of generation position by position."""
    sequences = made(14, features=(Feature("a"), Feature("b")), missing=())
    engine = model_of(family, sequences, scaler="none", **skips).engine
    values, emission = sequences.values[0], engine.emission
    nats, _, _ = engine.loss(engine.positions.batch({"values": values[None]}))
    step, state = engine.network.stepper(), engine.network.reserve(engine.initial_state(1), 16)
    held, previous, total = emission.reading.held(1), np.full([1, 2], NAN), 0.0
    empty, nothing = tf.zeros([1, 0]), np.zeros([1, 2], bool)
    for position, row in enumerate(values):
        past, held = emission.reading.step(held, previous, tf.constant([position == 0]))
        x = emission.inputs(past, empty, empty, None)
        hidden, state = step(emission.project(x[:, None])[:, 0], state)
        total += float(emission.weight(hidden, past, row[None], nothing, None)[0])
        previous = row[None]
    assert total == pytest.approx(-float(nats), rel=1e-5)


@pytest.mark.parametrize("family", ["gru", pytest.param("transformer", marks=pytest.mark.long)])
def test_a_forecast_goes_on_as_generation_does(family):
    model = model_of(family, **SKIPS)
    likeliest = {"temperature": 0.0, "bias": 0.0}
    drawn = model.generate(1, 8, seed=1, **likeliest)[0]
    for given in (3, 7):
        future = model.forecast(drawn[:given], 8 - given, num_samples=1, seed=2, **likeliest)
        np.testing.assert_allclose(future.samples[0], drawn[given:], atol=1e-5)


def test_windows_tell_what_the_whole_series_does():
    """Past the beginning of a window as within it; and the loss of windows that carry a state."""
    reading, sequences = reading_of(), made(23)
    whole = reading.before({"values": sequences.values[0][None]})
    windows = SequenceWindows(sequences, 6, 4, drop_remainder=False, history=reading.span)
    batch = windows.batch(0)
    past = reading.before(batch)
    for name in past._fields:
        found = np.concatenate([*getattr(past, name).numpy()])
        np.testing.assert_array_equal(found[:23], getattr(whole, name)[0])

    sequences = made(23, 17, ends=True, missing=())
    model = model_of(sequences=sequences, **SKIPS)
    windows = CarriedWindows(sequences, 6, 2, history=model.history)
    state, nats = model.initial_state(2), 0.0
    for k in range(windows.steps_per_epoch):
        loss, _, state = model.batch_total(model.unpack(windows.batch(k)), state=state)
        nats += float(loss)
    whole = model.score(sequences.values)["log_likelihood"].sum()
    assert nats == pytest.approx(-whole, rel=1e-5)


def test_what_a_head_tells_departs_from_a_linear_autoregression():
    """By hand: a map of the position before, and shares of the values at each lag."""
    sequences = made(12, features=(Feature("a"), Feature("b")), missing=())
    values = sequences.values[0]
    values[4, 0] = values[8, 1] = NAN
    given = {"scaler": "none", "head": "regression", "lags": [3], "seasonal_skip": 4}
    matrix = np.array([[0.9, 0.1], [-0.3, 0.7]])
    drift, spread = np.float32([0.3, -0.1]), np.float32([0.5, 2])
    for linear, lags in (False, (3, 4)), (True, (3, 4, 5)):
        model = model_of(sequences=sequences, linear_skip=linear, **given)
        emission = model.engine.emission
        np.testing.assert_array_equal(emission.lagged.initial, [0, 1, -1] if linear else [0, 1])
        shares = np.array([[0.5, 2.0], [-0.4, 0.3], [0.2, 0.6]])[: len(lags)]
        emission.lagged.set_weights([shares])
        if linear:
            emission.skip.set_weights([matrix])
            emission.residual.set_weights([drift, spread])
        batch = {"values": values[None]}
        origin, unit = emission.reference(emission.reading.before(batch), None)
        np.testing.assert_array_equal(unit, spread if linear else 1)
        for n in range(12):
            known = [[], []]
            for column in range(2):
                read = [values[n - lag, column] if n >= lag else NAN for lag in (1, *lags)]
                shorter, longer = read.copy(), None
                for place in range(1, len(read)):
                    if np.isnan(shorter[place]):
                        shorter[place] = shorter[place - 1]
                longer = [value for value in shorter if not np.isnan(value)][:1] or [0.0]
                known[column] = [longer[0] if np.isnan(value) else value for value in shorter]
            known = np.array(known).T
            expected = known[0] @ matrix + drift if linear else np.zeros(2)
            expected = expected + (shares * known[1:]).sum(0)
            np.testing.assert_allclose(origin[0, n], expected, rtol=1e-5, atol=1e-6)


def test_a_training_starts_from_the_linear_autoregression_of_least_squares():
    """Data that follow one: its coefficients are found; two series, of which one has a gap."""
    rng, series = np.random.default_rng(0), []
    for _ in range(2):
        x = rng.normal(size=[1500, 2])
        for t in range(4, 1500):
            x[t] += 0.5 * x[t - 1] + [0.3 * x[t - 1, 1], 0] + 0.4 * x[t - 3] - 0.2 * x[t - 4]
        series.append(x.astype(np.float32))
    series[0][700:710] = NAN
    sequences = Sequences("made", "series", (Feature("a"), Feature("b")), series, ["0", "1"])
    model = model_of(
        sequences=sequences, scaler="none", lags=[3], linear_skip=True, head="regression"
    )
    adapt(model, sequences)
    emission = model.engine.emission
    np.testing.assert_allclose(emission.skip.kernel, [[0.5, 0], [0.3, 0.5]], atol=0.05)
    np.testing.assert_allclose(emission.lagged.shares, [[0.4] * 2, [-0.2] * 2], atol=0.05)


def test_least_squares_of_little_data_stay_near_the_first_weights():
    """By the normal equations, of a number that comes back to a mean; angles are left alone."""
    x = np.resize([1.0, -1.2, 0.9, -1.0, 1.1, -0.8], 18)
    values = np.stack([x, np.linspace(0, 0.5, 18)], axis=1).astype(np.float32)
    features = Feature("a"), Feature("b", circle=Circle(1.0))
    sequences = Sequences("made", "series", features, [values], ["0"])
    model = model_of(
        sequences=sequences, scaler="none", lags=[], linear_skip=True, head="regression"
    )
    emission, expected = model.engine.emission, model.engine.emission.skip.kernel.numpy()
    adapt(model, sequences)
    before, now = np.stack([x[:-1], np.ones(17)], axis=1), x[1:]
    start = np.array([expected[0, 0], 0])
    weights = start + np.linalg.solve(
        before.T @ before + np.eye(2), before.T @ (now - before @ start)
    )
    expected[0, 0] = weights[0]
    np.testing.assert_allclose(emission.skip.kernel, expected, rtol=1e-5)
    np.testing.assert_allclose(emission.residual.drift, [weights[1], 0], rtol=1e-4)
    spread = np.sqrt(np.mean((now - before @ weights) ** 2))
    np.testing.assert_allclose(emission.residual.spread, [spread, 1], rtol=1e-4)


def test_what_wanders_has_weights_that_sum_to_one():
    """Two random walks: a mean that they come back to, and one telling the other, are accidents."""
    rng = np.random.default_rng(1)
    values = np.cumsum(0.3 + rng.normal(size=[90, 2]), axis=0).astype(np.float32)
    sequences = Sequences("made", "series", (Feature("a"), Feature("b")), [values], ["0"])
    processor = SequenceProcessor.fit(sequences)
    given = {"lags": [2], "linear_skip": True, "processor": processor}
    model = models.make("gru", "numbers", **given, **RECURRENT)
    adapt(model, sequences)
    emission = model.engine.emission
    kernel, shares = emission.skip.kernel.numpy(), emission.lagged.shares.numpy()
    np.testing.assert_allclose(np.diag(kernel) + shares.sum(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(kernel[[0, 1], [1, 0]], 0, atol=1e-4)
    # What is left is its mean and its standard deviation, in scaled units.
    std = np.array(processor.scaler.std)
    drift = np.diff(values, axis=0).mean(axis=0) / std
    np.testing.assert_allclose(emission.residual.drift, drift, rtol=0.3)
    np.testing.assert_allclose(emission.residual.spread, 1 / std, rtol=0.25)


def test_what_is_told_exactly_leaves_room_for_a_jump():
    """A sine, and then ten times that: losses and gradients stay finite."""
    wave = np.sin(np.arange(200) * np.pi / 6)[:, None].astype(np.float32)
    sequences = Sequences("made", "series", (Feature("a"),), [wave], ["0"])
    model = models.make(
        "gru", "numbers", processor=SequenceProcessor.fit(sequences), lags=[2, 12],
        linear_skip=True, **RECURRENT,
    )  # fmt: skip
    adapt(model, sequences)
    assert model.engine.emission.residual.spread.numpy() == pytest.approx([0.03])
    bias = model.engine.emission.number_head.dense.bias
    bias.assign(tf.fill(bias.shape, -50.0))  # the least scale there is
    with tf.GradientTape() as tape:
        loss, _ = model.batch_loss(model.unpack({"values": 10 * wave[None]}))
    gradients = tape.gradient(loss, [each.value for each in model.trainable_weights])
    assert np.isfinite(loss) and np.isfinite(tf.linalg.global_norm(gradients))


def test_a_wide_table_tells_each_number_by_its_own_past():
    rng = np.random.default_rng(2)
    values = rng.normal(size=[300, 33]).astype(np.float32)
    for t in range(2, 300):
        values[t] += 0.7 * values[t - 1] - 0.3 * values[t - 2]
    features = [Feature(f"x{number}") for number in range(33)]
    sequences = Sequences("made", "series", features, [values], ["0"])
    model = models.make(
        "gru", "numbers", processor=SequenceProcessor.fit(sequences), lags=[2],
        linear_skip=True, **RECURRENT,
    )  # fmt: skip
    adapt(model, sequences)
    kernel = model.engine.emission.skip.kernel.numpy()
    assert not kernel[~np.eye(33, dtype=bool)].any()
    assert np.diag(kernel).mean() == pytest.approx(0.7, abs=0.05)
    assert model.engine.emission.lagged.shares.numpy()[0].mean() == pytest.approx(-0.3, abs=0.05)


def test_of_many_series_some_tell_of_lags_that_are_far_back():
    """300 series whose season is longer than what each could have if all were read."""
    rng, season = np.random.default_rng(3), 150
    values = []
    for _ in range(300):
        x = np.resize(rng.normal(size=season), 400) + 0.3 * rng.normal(size=400)
        values.append(x[:, None].astype(np.float32))
    ids = [str(number) for number in range(300)]
    sequences = Sequences("made", "series", (Feature("x"),), values, ids)
    model = models.make(
        "gru", "numbers", processor=SequenceProcessor.fit(sequences), lags=[season],
        linear_skip=True, **RECURRENT,
    )  # fmt: skip
    adapt(model, sequences)
    emission = model.engine.emission
    assert emission.lagged.shares.numpy()[0, 0] == pytest.approx(1 / 1.09, abs=0.05)
    assert abs(emission.skip.kernel.numpy()[0, 0]) < 0.05


def test_weights_of_before_there_was_a_residual_are_opened(tmp_path):
    model = model_of(linear_skip=True)
    path = tmp_path / "model.weights.h5"
    save_weights(model, path)
    with h5py.File(path, "a") as file:
        del file["layers/number_emission/residual"]
    other = model_of(linear_skip=True)
    load_weights(other, path)
    drift, spread = other.engine.emission.residual.get_weights()
    assert not drift.any() and (spread == 1).all()
    np.testing.assert_array_equal(
        other.engine.emission.skip.kernel, model.engine.emission.skip.kernel
    )
    with pytest.raises(InputError, match="do not fit the model"):
        load_weights(model_of(), path)


def test_the_skips_learn_where_values_are_missing():
    model = model_of(**SKIPS)
    batch = model.unpack({"values": made(20, missing=(3, 7, 8)).values[0][None]})
    with tf.GradientTape() as tape:
        loss, _ = model.batch_loss(batch)
    for weight, gradient in zip(
        model.trainable_weights, tape.gradient(loss, [w.value for w in model.trainable_weights])
    ):
        assert np.isfinite(gradient).all() and np.any(gradient), weight.path


def test_a_long_past_is_held_of_fewer_futures_at_once():
    assert model_of().rows_at_once == 4096
    assert model_of(lags=[8784]).rows_at_once == 2**26 // (8784 * 3)


def seasonal(length=480, period=12, noise=0.1, count=4):
    """Series that repeat a pattern of their own, but for noise."""
    rng = np.random.default_rng(0)
    values = [
        np.resize(rng.normal(size=period), length) + noise * rng.normal(size=length)
        for _ in range(count)
    ]
    ids = [str(number) for number in range(count)]
    values = [each[:, None].astype(np.float32) for each in values]
    return Sequences("made", "series", (Feature("x"),), values, ids)


def test_the_seasons_of_the_data_are_taken():
    sequences = seasonal()
    processor = SequenceProcessor.fit(sequences, seasons=True)
    assert processor.seasons == (12,) and SequenceProcessor.fit(sequences).seasons is None
    model = models.make("gru", "numbers", processor=processor, lags="auto", **RECURRENT)
    assert model.engine.emission.reading.lags[0] == (2, 12, 24, 36) and model.history == 36
    model = models.make("gru", "numbers", processor=processor, seasonal_skip="auto", **RECURRENT)
    assert model.engine.emission.reading.lags.season == 12
    with pytest.raises(ValueError, match="fitted with seasons=True"):
        models.make("gru", "numbers", lags="auto", **RECURRENT)


def test_a_recipe_takes_them_from_its_data():
    frame = {"x": seasonal(count=1).values[0][:, 0]}
    recipe = Recipe("gru", {"lags": "auto"}).override(
        {"training.window": 24, "data.validation_fraction": 0.25, "training.batch_size": 4}
    )
    import pandas as pd

    data = open_data(recipe, data=pd.DataFrame(frame))
    assert data.preprocessing.seasons == (12,) and "seasons found, in positions: 12" in data.summary
    for windows in data.windows.values():
        assert windows.batch(0)["history"].shape[1:] == (36, 1)
    with pytest.raises(InputError, match="lags must be a list of integers"):
        open_data(recipe.override({"model.lags": [0]}), data=pd.DataFrame(frame))


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_season_is_learned_by_its_lag():
    """Series whose patterns have not been seen: of no use to memory, all to who looks back."""
    sequences = seasonal(count=36, length=96)
    known, held = sequences.select(range(32)), np.stack(sequences.values[32:])
    processor, nats = SequenceProcessor.fit(known), []
    for given in ({}, {"lags": [12]}, {"seasonal_skip": 12}):
        model = models.make(
            "gru", "numbers", processor=processor, units=16, layers=1, seed=1, components=1, **given
        )
        model.compile(optimizer="adam")
        model.optimizer.learning_rate = 0.01
        windows = SequenceWindows(known, 48, 32, seed=1, history=model.history)
        for k in range(120):
            model.train_on_batch(windows.batch(k))
        nats.append(float(model.batch_loss(model.unpack({"values": held}))[0]))
    # Given the season before, what comes has a standard deviation of sqrt(2) of the noise.
    best = np.log(0.1 * np.sqrt(2) * np.sqrt(2 * np.pi * np.e))
    assert max(nats[1:]) < nats[0] - 0.4 and best - 0.1 < min(nats[1:])
