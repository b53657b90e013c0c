"""Series read and told in patches (`frame`): against plain loops, and the same everywhere."""

import numpy as np
import pytest
import tensorflow as tf
from pasts import assert_the_loop_holds_it
from scipy import signal, stats

from tests.models.contract.rows import RECURRENT, TRANSFORMER, as_if_trained
from tfgen import models
from tfgen.data import Feature, Sequences, SequenceWindows
from tfgen.data.features import Step
from tfgen.models.numbers.least_squares import adapt
from tfgen.preprocessing import SequenceProcessor
from tfgen.recipe import PreprocessingConfig

pytestmark = pytest.mark.usefixtures("op_by_op", "few_positions")

NAN = np.float32(np.nan)
START, HOUR = 1_600_000_000, 3600
SKIPS = {"lags": [2], "seasonal_skip": 6, "linear_skip": True}
FEATURES = Feature("a"), Feature("b")
FAMILIES = pytest.mark.parametrize(
    "family", ["gru", pytest.param("transformer", marks=pytest.mark.long)]
)


def made(*lengths, features=FEATURES, missing=((7, 1),), **extra):
    rng = np.random.default_rng(3)
    lengths = lengths or (22, 17)
    values = [rng.normal([1, 5], [1, 2], [n, 2])[:, : len(features)] for n in lengths]
    values = [each.astype(np.float32) for each in values]
    for place in missing:
        values[0][place] = NAN
    ids = [str(number) for number in range(len(values))]
    return Sequences("made", "series", features, values, ids, **extra)


def dated(time=60):
    """With times and a number that is known beforehand."""
    rng = np.random.default_rng(4)
    return made(
        time, time, times=[START + HOUR * np.arange(time)] * 2,
        known=[rng.normal(3, 1, [time, 1]).astype(np.float32) for _ in range(2)],
        known_names=("k",),
    )  # fmt: skip


def model_of(family="gru", sequences=None, scaler="standard", **arguments):
    small = {"gru": RECURRENT, "transformer": TRANSFORMER}[family]
    sequences = made() if sequences is None else sequences
    processor = SequenceProcessor.fit(sequences, PreprocessingConfig(scaler=scaler))
    own = {"frame": 4, "head": "student_t", **small, **arguments}
    return as_if_trained(models.make(family, "numbers", processor=processor, **own))


def silence(head):
    """A head that gives the same distribution whatever the network says."""
    head.dense.kernel.assign(tf.zeros_like(head.dense.kernel))
    parameters = head(tf.zeros([1, head.dense.kernel.shape[0]]))
    return {name: value.numpy()[0] for name, value in parameters.items()}


def test_what_a_patch_reads():
    """Of the patch before and of each lag: values and whether each is known; what is known of its
    own times. Of a lag shorter than a patch, the last that is before the patch."""
    sequences = dated(22)
    model = model_of(sequences=sequences, lags=[2, 5])
    engine, processor = model.engine, model.processor
    values = sequences.values[0]
    numbers = (values - processor.scaler.mean) / processor.scaler.std
    times, known = sequences.times[0], sequences.known[0]
    batch = engine.positions.batch({
        "values": values[None], "times": times[None], "known": known[None],
    })  # fmt: skip
    reading = engine.emission.reading
    found = reading.features(
        reading.before(batch), engine.positions.covariates(batch), tf.zeros([1, 6, 0]), None
    )[0].numpy()
    assert found.shape == (6, reading.width)
    later = START + HOUR * np.arange(24)
    beyond = np.pad(known, [[0, 2], [0, 0]], constant_values=processor.known_scaler.mean[0])
    covariates = processor.covariates(later[None], beyond[None])[0].numpy().reshape(6, -1)
    for position in range(6):
        expected = []
        for lag in (4, 2, 5):
            rows = []
            for time in range(4 * position, 4 * position + 4):
                while time >= 4 * position:
                    time -= lag
                rows.append(numbers[time] if time >= 0 else np.full(2, NAN))
            rows = np.ravel(rows)
            expected += [*np.nan_to_num(rows), *~np.isnan(rows)]
        expected += [position == 0, *covariates[position]]
        np.testing.assert_allclose(found[position], expected, atol=2e-5)


@pytest.mark.parametrize("lags", [[2, 5, 8], [3], [13]], ids=str)
@pytest.mark.parametrize("given", [0, 1, 3])
def test_the_loop_holds_the_past_that_training_tells_of(given, lags):
    engine = model_of(lags=lags).engine
    reading, series = (
        engine.emission.reading,
        np.stack([made(24).values[0], made(24, 24).values[1]]),
    )
    batch = engine.positions.batch({"values": series})
    whole, patches = reading.before(batch), batch["values"]
    assert_the_loop_holds_it(reading, whole, np.asarray(patches), given)


@pytest.mark.parametrize("scaler", ["standard", "mean", "median"])
def test_the_likelihood_is_that_of_what_was_observed(scaler):
    """Of a head that always tells the same: each number by its place in a patch."""
    sequences = made(22, missing=[(7, 1), (8, 0), (9, 0)])
    model = model_of(sequences=sequences, scaler=scaler)
    of_head = silence(model.engine.emission.number_head)
    values = sequences.values[0].astype(np.float64)
    if scaler == "standard":
        own = model.processor.scaler
        scaled, slope = (values - own.mean) / own.std, -np.log(own.std)
    else:
        size = getattr(np, f"nan{scaler}")(np.abs(values), axis=0)
        scaled, slope = values / size, -np.log(size)
    padded = np.pad(scaled, [[0, 2], [0, 0]], constant_values=np.nan).reshape(6, 8)
    each = stats.t.logpdf(padded, of_head["df"], of_head["locations"], of_head["scales"])
    expected = np.nansum(each) + (slope * (~np.isnan(values)).sum(axis=0)).sum()
    score = model.score(values)
    assert score["log_likelihood"] == pytest.approx(expected, abs=1e-3)
    assert score["values"] == 41
    # What is missing at the end, or was never there, changes nothing.
    more = model.score([np.pad(values, [[0, 3], [0, 0]], constant_values=np.nan), values[:9]])
    assert more["log_likelihood"][0] == pytest.approx(expected, abs=1e-3)


def test_recorded_steps_and_bounds_have_their_probability():
    features = Feature("a", step=Step(0.5, 0.0, 1)), Feature("b", low=4.0)
    sequences = made(22, features=features, missing=[(7, 1)])
    values = sequences.values[0]
    values[:, 0] = np.round(values[:, 0] * 2) / 2
    values[:, 1] = np.maximum(values[:, 1], 4)
    model = model_of(sequences=sequences, scaler="mean", bounding="censored")
    of_head = silence(model.engine.emission.number_head)
    size = np.nanmean(np.abs(values.astype(np.float64)), axis=0)
    expected = 0.0
    for n, row in enumerate(values.astype(np.float64)):
        place = 2 * (n % 4)
        parameters = [of_head[name][place : place + 2] for name in ("df", "locations", "scales")]
        a, b = (stats.t(*(each[column] for each in parameters)) for column in (0, 1))
        mass = a.cdf((row[0] + 0.25) / size[0]) - a.cdf((row[0] - 0.25) / size[0])
        expected += np.log(mass / 0.5)
        if row[1] == 4:
            expected += b.logcdf(4 / size[1])
        elif not np.isnan(row[1]):
            expected += b.logpdf(row[1] / size[1]) - np.log(size[1])
    assert model.score(values)["log_likelihood"] == pytest.approx(expected, abs=1e-3)
    drawn = model.forecast(values, 6, num_samples=20, seed=1).samples
    np.testing.assert_array_equal(drawn[..., 0], np.round(drawn[..., 0] * 2) / 2)
    assert drawn[..., 1].min() == 4


@pytest.mark.parametrize(
    "own",
    [
        SKIPS, {"head": "gaussian_mixture", "components": 2, "covariance": "full"},
        pytest.param({"head": "chain", "components": 2, **SKIPS}, marks=pytest.mark.long),
        pytest.param({"head": "gaussian_mixture", "local_scale": 0.1}, marks=pytest.mark.long),
    ],
    ids=["skips", "full", "chain", "local"],
)  # fmt: skip
@FAMILIES
def test_the_likelihood_of_a_series_is_that_of_its_steps(family, own):
    """What training computes at once, and the loop of generation patch by patch."""
    engine = model_of(family, made(16, missing=()), scaler="none", **own).engine
    batch = engine.positions.batch({"values": made(16, missing=()).values[0][None]})
    emission = engine.emission
    nats, positions, _ = engine.loss(batch)
    step, state = engine.network.stepper(), engine.network.reserve(engine.initial_state(1), 16)
    held, previous, total = emission.reading.held(1), np.full([1, 8], NAN), 0.0
    empty, nothing = tf.zeros([1, 0]), np.zeros([1, 8], bool)
    for position, row in enumerate(batch["values"][0]):
        past, held = emission.reading.step(held, previous, tf.constant([position == 0]))
        hidden, state = step(
            emission.project(emission.inputs(past, empty, empty, None)[:, None])[:, 0], state
        )
        total += float(emission.weight(hidden, past, row[None], nothing, None)[0])
        previous = row[None]
    assert total == pytest.approx(-float(nats), rel=1e-5) and float(positions) == 4


def test_what_a_head_tells_departs_from_the_season_of_each_time():
    model = model_of(sequences=made(24, missing=()), scaler="none", **SKIPS)
    emission, values = model.engine.emission, made(24, missing=()).values[0]
    assert emission.reading.lags.all == (2, 6, 10)
    shares = np.linspace(-1, 2, 24).reshape(3, 8)
    drift, spread = np.linspace(0, 0.7, 8), np.linspace(1, 2, 8)
    matrix = np.random.default_rng(0).normal(size=[8, 8])
    emission.lagged.set_weights([shares])
    emission.skip.set_weights([matrix])
    emission.residual.set_weights([drift, spread])
    batch = model.engine.positions.batch({"values": values[None]})
    origin, unit = emission.reference(emission.reading.before(batch), None)

    def rows(start):
        return np.array([values[n] if n >= 0 else [NAN] * 2 for n in range(start, start + 4)])

    np.testing.assert_allclose(unit, spread, rtol=1e-6)
    for patch in range(6):
        before, season, earlier = (rows(4 * patch - lag).ravel() for lag in (4, 6, 10))
        # Of the lag 2, the later half of a patch has the value of 4 positions before.
        short = np.concatenate([rows(4 * patch - 2)[:2], rows(4 * patch - 4)[2:]]).ravel()
        # What is not known is taken for what is, of less positions before.
        season = np.where(np.isnan(season), short, season)
        earlier = np.where(np.isnan(earlier), season, earlier)
        expected = np.nan_to_num(before) @ matrix + drift
        expected += np.nan_to_num(shares * [short, season, earlier]).sum(axis=0)
        np.testing.assert_allclose(origin[0, patch], expected, rtol=1e-4, atol=1e-5)


@FAMILIES
def test_a_forecast_goes_on_as_generation_does(family):
    model = model_of(family, **SKIPS)
    likeliest = {"temperature": 0.0, "bias": 0.0}
    drawn = model.generate(1, 15, seed=1, **likeliest)[0]
    assert drawn.shape == (15, 2)
    for given in (4, 12):
        future = model.forecast(drawn[:given], 15 - given, num_samples=1, seed=2, **likeliest)
        np.testing.assert_allclose(future.samples[0], drawn[given:], rtol=1e-4, atol=1e-4)
    pieces = np.concatenate(list(model.stream(length=15, seed=1, **likeliest)))
    np.testing.assert_allclose(pieces, drawn, atol=1e-5)


def test_a_context_ends_with_a_patch():
    """Before its beginning its values are missing, its times go back; alone as among others."""
    sequences = dated()
    model = model_of(sequences=sequences, scaler="mean", **SKIPS)
    values, times, known = sequences.values[1], sequences.times[1], sequences.known[1]
    likeliest = {"temperature": 0.0, "bias": 0.0, "num_samples": 1, "seed": 1}

    def forecast(start, stop, horizon, missing=0):
        given = np.pad(values[start:stop], [[missing, 0], [0, 0]], constant_values=NAN)
        of_k = np.pad(
            known[start : stop + horizon], [[missing, 0], [0, 0]],
            constant_values=model.processor.known_scaler.mean[0],
        )  # fmt: skip
        when = START + HOUR * np.arange(start - missing, stop)
        return model.forecast(given, horizon, times=when, known=of_k, **likeliest).samples[0]

    found = forecast(5, 15, 8)
    np.testing.assert_allclose(found, forecast(5, 15, 8, missing=2), rtol=1e-5)
    np.testing.assert_allclose(found[:4], forecast(5, 15, 4), rtol=1e-5)
    assert forecast(5, 15, 7).shape == (7, 2)
    assert np.abs(found - forecast(4, 15, 8)).max() > 1e-4
    both = [values[5:15], values[5:18]]
    together = model.forecast(
        both, 4, times=[times[5:15], times[5:18]], known=np.stack([known[5:22]] * 2), **likeliest
    ).samples[:, 0]
    np.testing.assert_allclose(together, [forecast(5, 15, 4), forecast(5, 18, 4)], rtol=1e-4)
    alone = model.score(values[5:18], times=times[5:18], known=known[5:18])["log_likelihood"]
    several = model.score(
        [values[5:18], values[:25]], times=[times[5:18], times[:25]],
        known=np.stack([np.pad(known[5:18], [[0, 12], [0, 0]]), known[:25]]),
    )["log_likelihood"]  # fmt: skip
    assert several[0] == pytest.approx(alone, rel=1e-5)


def test_a_new_series_is_forecast_from_its_first_time():
    sequences = dated()
    model = model_of(sequences=sequences, **SKIPS)
    options = {"start_time": START + HOUR, "known": sequences.known[0][:6], "seed": 3}
    future = model.forecast(np.zeros([0, 2]), 6, 2, temperature=0.0, **options)
    drawn = model.generate(2, 6, temperature=0.0, **options)
    np.testing.assert_allclose(future.samples, drawn, rtol=1e-4, atol=1e-4)


def test_gaps_are_filled_within_patches():
    model = model_of(sequences=made(22, missing=()), **SKIPS)
    series = made(22, missing=()).values[0].copy()
    series[[2, 9, 21], [0, 1, 0]] = NAN
    filled = model.impute(series, num_samples=3, seed=0, particles=16)
    known = ~np.isnan(series)
    assert filled.shape == (3, 22, 2) and np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:, known], np.stack([series[known]] * 3))
    assert len(np.unique(filled[:, 2, 0])) > 1


def test_a_gap_is_filled_by_what_stands_beside_it_in_its_patch():
    """By enumeration of a mixture of two that never overlap: the value known tells which it is."""
    model = model_of(
        sequences=made(8, features=FEATURES[:1], missing=()), scaler="none", frame=2,
        head="gaussian_mixture", components=2,
    )  # fmt: skip
    silence(model.engine.emission.number_head)
    spread = np.full(4, np.log(np.expm1(0.1)))
    model.engine.emission.number_head.dense.bias.assign([0, 0, 5, 5, -5, -5, *spread])
    series = np.array([[5], [NAN], [NAN], [-5]], np.float32)
    filled = model.impute(series, num_samples=50, seed=0, particles=200)
    assert filled[:, 1].min() > 4 and filled[:, 2].max() < -4


def test_windows_begin_within_a_patch():
    """Half of them, so that every phase is learned; the rest of a patch is missing then."""
    sequences = made(200, 6, missing=())
    windows = SequenceWindows(sequences, 8, 4, history=8, patch=4)
    plain = SequenceWindows(sequences, 8, 4, history=8)
    leads = []
    for k in range(20 * windows.steps_per_epoch):
        batch, other = windows.batch(k), plain.batch(k)
        for row in range(4):
            lead = int(batch["valid"][row].argmax())
            leads.append(lead)
            kept = batch["values"][row, lead:]
            np.testing.assert_array_equal(kept, other["values"][row, : 8 - lead])
            assert np.isnan(batch["values"][row, :lead]).all()
            if lead:
                assert np.isnan(batch["history"][row]).all() and batch["first"][row]
    shares = np.bincount(leads, minlength=4) / len(leads)
    np.testing.assert_allclose(shares, [0.625, 0.125, 0.125, 0.125], atol=0.06)
    batch = model_of(**SKIPS).unpack(windows.batch(0))
    assert batch["values"].shape == (4, 2, 8) and batch["history"].shape == (4, 2, 8)


def test_gradients_are_finite_where_values_are_missing():
    model = model_of(**SKIPS)
    batch = made(24, 24, missing=[(3, 0), (7, 1), (12, 0)])
    with tf.GradientTape() as tape:
        loss, _ = model.batch_loss(model.unpack({"values": np.stack(batch.values)}))
    weights = model.trainable_weights
    for weight, gradient in zip(weights, tape.gradient(loss, [w.value for w in weights])):
        assert np.isfinite(gradient).all() and np.any(gradient), weight.path


def test_what_patches_cannot_be_is_refused():
    three = (*FEATURES, Feature("c", levels=("x", "y")))
    values = [np.pad(each, [[0, 0], [0, 1]]) for each in made().values]
    categories = Sequences("made", "series", three, values, ["0", "1"])
    with pytest.raises(ValueError, match="frame must be 1, except for series without categories"):
        model_of(sequences=categories)
    with pytest.raises(ValueError, match="frame must be 1 for series in diffusion models"):
        processor = SequenceProcessor.fit(made())
        models.make("unet1d", "numbers", processor=processor, frame=4)
    with pytest.raises(ValueError, match="bivariate_mixture"):
        model_of(head="bivariate_mixture")
    model = model_of("transformer", positions="learned", max_length=5)
    assert model.max_positions == 17  # whatever place of a patch a context begins at


@pytest.mark.long
@pytest.mark.usefixtures("as_graphs")
def test_a_saved_model_forecasts_in_patches(tmp_path):
    sequences = dated()
    model = model_of(sequences=sequences, scaler="median", **SKIPS)
    values, times, known = sequences.values[0], sequences.times[0], sequences.known[0]
    given = values[:13], 7
    told = {"times": times[:13], "known": known[:20], "num_samples": 3, "seed": 2}
    live = model.forecast(*given, **told).samples
    model.save(tmp_path / "model")
    model.export(tmp_path / "served")
    again = models.load(tmp_path / "model").forecast(*given, **told).samples
    np.testing.assert_array_equal(again, live)
    served = tf.saved_model.load(str(tmp_path / "served")).signatures["forecast"]
    found = served(
        values=tf.constant(values[None, :13]), lengths=tf.constant([13]),
        times=tf.constant(times[None, :13]), known=tf.constant(known[None, :20]),
        horizon=tf.constant(7), num_samples=tf.constant(3), quantiles=tf.constant([0.5]),
        seed=tf.constant(2, tf.int64), temperature=tf.constant(1.0), bias=tf.constant(0.0),
    )["samples"]  # fmt: skip
    np.testing.assert_allclose(found[0], live, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("root", [0.9, 1.0])
def test_the_linear_part_of_a_patch_starts_at_least_squares(root):
    """Of an autoregression, each number of a patch is the last one before it, times a power."""
    noise = np.random.default_rng(1).normal(size=[8, 1500])
    values = [signal.lfilter([1], [1, -root], each)[:, None].astype(np.float32) for each in noise]
    sequences = Sequences("made", "series", FEATURES[:1], values, list("01234567"))
    model = model_of(sequences=sequences, scaler="none", lags=[12], linear_skip=True)
    assert adapt(model, sequences)
    reference = model.engine.emission.reference
    powers = root ** np.arange(1, 5)
    matrix = reference.linear.kernel.numpy()
    np.testing.assert_allclose(matrix[3], powers, atol=0.2)
    np.testing.assert_allclose(matrix[:3], 0, atol=0.2)
    np.testing.assert_allclose(reference.lagged.shares, 0, atol=0.2)
    spread = np.sqrt(np.cumsum(root ** (2.0 * np.arange(4))))
    np.testing.assert_allclose(reference.residual.spread, spread, rtol=0.05)
    if root == 1:  # what wanders without a level keeps it
        kept = matrix.sum(axis=0) + reference.lagged.shares.numpy().sum(axis=0)
        np.testing.assert_allclose(kept, 1, atol=1e-3)
    # Of two kinds of series the larger one does not count more.
    values[:4] = [
        signal.lfilter([100], [1, -0.5], each)[:, None].astype(np.float32) for each in noise[:4]
    ]
    adapt(model, Sequences("made", "series", FEATURES[:1], values, list("01234567")))
    assert 0.6 < reference.linear.kernel[3, 0] < 0.9
    short = [each[:3] for each in values]  # which have no patch
    assert adapt(model, Sequences("made", "series", FEATURES[:1], short, list("01234567")))
